//! Loads that could not be made, and gates that could not be judged.

use super::{Case, base, check, load};

#[test]
fn each_is_reported_at_its_place() {
    let cases: &[Case] = &[
        load(
            r#"rate = "0/s"
"#,
            r#"
17:8 bad value for `rate` in a [[load]] of kind "open": "0/s" is a rate of zero
  expected a rate such as "1/s", "6/m" or "1 per 10s"
"#,
        ),
        load(
            r#"rate = "1000000/s"
"#,
            "
17:8 too many calls
  expected at most 100000/s for each host
",
        ),
        load(
            "",
            r#"
11:1 a [[load]] of kind "open" has no `rate`
  expected `rate = …` in here
"#,
        ),
        load(
            r#"kind = "closed"
rate = "1/s"
"#,
            r#"
11:1 a [[load]] of kind "closed" has no `callers`
  expected `callers = …` in here
18:1 unknown key `rate` in a [[load]] of kind "closed"
  expected one of `name`, `kind`, `think`, `callers`, `from`, `service`, `method`, `payload`, `timeout`, `priority`, `by`, `to`, `start`, `stop`, `gates`, `expect`
"#,
        ),
        load(
            r#"kind = "closed"
callers = 0
"#,
            "
18:11 0 callers on each host
  expected 1 to 10000
",
        ),
        load(
            r#"kind = "opne"
rate = "1/s"
"#,
            r#"
17:8 bad value for `kind` in [[load]]: "opne"
  expected one of `open`, `closed`
  help: did you mean `open`?
"#,
        ),
        load(
            r#"rate = "1/s"
pacing = "bursty"
"#,
            r#"
18:10 bad value for `pacing` in a [[load]] of kind "open": "bursty"
  expected one of `even`, `poisson`
"#,
        ),
        load(
            r#"rate = "1/s"
start = "11m"
"#,
            "
18:9 this load starts after the end of the run
  expected a time before the end, 10m
  help: the run ends at 10m: lengthen `duration`, or make this earlier
",
        ),
        load(
            r#"rate = "1/s"
start = "5m"
stop = "4m"
"#,
            "
19:8 this load stops at an impossible time
  expected a time after 5m and not after 10m
",
        ),
        load(
            r#"rate = "1/s"
timeout = "0s"
"#,
            "
18:11 `timeout` is zero
  expected a duration above zero
",
        ),
        load(
            r#"rate = "1/s"
payload = "1MiB"
"#,
            "
18:11 no relay takes a message of this size
  expected at most 960KiB
",
        ),
        load(
            r#"rate = "1/s"
by = "service"
"#,
            r#"
14:6 `to` means nothing here
  expected no `to` with `by = "service"`
  help: the federation picks the host: leave `to` out, or say `by = "node"`
"#,
        ),
        base(
            r#"[[load]]
name = "l"
rate = "1/s"
from = []
to = "home"
service = "echo"
method = "echo"
"#,
            "
14:8 this list names no host
  expected at least one name or pattern
15:6 no host is called `home`
  expected the name of a host
  help: `home` has a count: its hosts are `home-1` and so on, and `home-*` means all of them
",
        ),
        base(
            r#"[[load]]
name = "l"
rate = "1/s"
from = "home-*"
service = "ehco"
method = "echo"
"#,
            r#"
11:1 a [[load]] of kind "open" has no `to`
  expected `to = …` in here
15:11 no service is called `ehco`
  expected the name of a [[service]]
  help: did you mean `echo`?
"#,
        ),
        base(
            r#"[[load]]
name = "l"
rate = "1/s"
from = "home-*"
to = "main-a"
service = "echo"
method = "echo"
"#,
            r#"
15:6 `main-a` does not offer the service `echo`
  expected hosts that offer `echo`
  help: add `services = ["echo"]` to its table
"#,
        ),
        base(
            r#"[[load]]
name = "l"
rate = "1/s"
from = "home-1"
to = "home-1"
service = "echo"
method = "echo"
"#,
            "
15:6 `home-1` would call itself only
  expected another host: nobody calls itself
",
        ),
        base(
            r#"[[home]]
name = "new"
main = "main-a"
node_id = "generated"
services = ["echo"]
[[load]]
name = "l"
rate = "1/s"
from = "home-*"
to = "new"
service = "echo"
method = "echo"
"#,
            r#"
20:6 `new` makes its own node id, which nobody knows beforehand
  expected hosts whose node id is their name
  help: call it by its service: `by = "service"`, and no `to`
"#,
        ),
        base(
            r#"[[service]]
name = "s"
kind = "static"
answers = { list = [] }
[[load]]
name = "l"
rate = "1/s"
from = "home-*"
by = "service"
service = "s"
method = "lisst"
"#,
            r#"
20:11 nobody offers the service `s`
  expected a service that some host offers
  help: add `services = ["s"]` to a [[home]] or a [[main]]
21:10 the service `s` has no method `lisst`
  expected one of `list`
  help: did you mean `list`?
"#,
        ),
        load(
            r#"rate = "1/s"
[[load]]
name = "calls"
rate = "1/s"
from = "home-*"
to = "home-*"
service = "echo"
method = "echo"
"#,
            "
19:8 two loads are called `calls`
  expected a name of its own
",
        ),
        base(
            r#"[gates]
p99 = "1s"
min_calls = 5
"#,
            "
12:1 the gate `p99` judges calls, and the scenario makes none
  expected a [[load]] in this file
  help: add a [[load]], or leave this gate out
13:1 the gate `min_calls` judges calls, and the scenario makes none
  expected a [[load]] in this file
  help: add a [[load]], or leave this gate out
",
        ),
        load(
            r#"rate = "1/s"
priority = "high"
[load.gates]
goodput = "many"
p98 = "1s"
fails_with = ["-32007"]
fails_within = "0s"
"#,
            r#"
18:12 bad value for `priority` in a [[load]] of kind "open": this is a string
  expected a whole number
20:11 bad value for `goodput` in [load.gates]: "many" is not a rate
  expected a rate such as "1/s", "6/m" or "1 per 10s"
21:1 unknown key `p98` in [load.gates]
  expected one of `goodput`, `goodput_max`, `success`, `availability`, `p50`, `p90`, `p99`, `p999`, `max`, `fails_within`, `fails_with`
  help: did you mean `p90`?
22:15 bad value for `fails_with` in [load.gates]: this is a string
  expected a list of error codes, such as [-32003, -32007]
23:16 `fails_within` is zero
  expected a duration above zero
"#,
        ),
        load(
            r#"rate = "1/s"
[gates]
min_calls = 0
"#,
            "
19:13 `min_calls` is zero
  expected at least 1
  help: leave it out to ask for nothing
",
        ),
        load(
            r#"rate = "1/s"
[gates]
min_calls = 2000
"#,
            "
19:13 the loads make at most 1202 calls
  expected at most 1202
",
        ),
        load(
            r#"rate = "1/s"
[gates]
max_hops = 4
"#,
            "
19:12 `max_hops` is 4
  expected 1 to 3: no message makes more hops
",
        ),
        load(
            r#"rate = "1/s"
[gates]
success = "101%"
"#,
            r#"
19:11 bad value for `success` in [gates]: "101%" is more than 100%
  expected a share such as "0.1%" or "100%"
"#,
        ),
        base(
            r#"[gates]
convergence = "500ms"
"#,
            "
12:15 the Mains' views are read every 1s, too seldom to measure this
  expected at least 1s
  help: shorten `interval` in [probe]
",
        ),
        base(
            r#"[gates]
convergence = "11m"
"#,
            "
12:15 the run ends before convergence after the last start can be judged
  expected at most 10m
  help: lengthen `duration`
",
        ),
        // One wrong load does not make the number of calls look wrong as well.
        load(
            r#"rate = "x"
[[load]]
name = "few"
from = "home-*"
to = "home-*"
service = "echo"
method = "echo"
rate = "1/h"
[gates]
min_calls = 500
"#,
            r#"
17:8 bad value for `rate` in a [[load]] of kind "open": "x" is not a rate
  expected a rate such as "1/s", "6/m" or "1 per 10s"
"#,
        ),
    ];
    check(cases);
}
