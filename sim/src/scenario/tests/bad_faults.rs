//! Faults that cannot happen.

use super::{Case, base, check};

#[test]
fn each_is_reported_at_its_place() {
    let cases: &[Case] = &[
        base(
            "[[fault]]
",
            "
11:1 [[fault]] has no `at`
  expected `at = …` in here
11:1 [[fault]] has no `kind`
  expected `kind = …` in here
",
        ),
        base(
            r#"[[fault]]
at = "10m"
kind = "crash"
host = "main-a"
"#,
            "
12:6 this fault begins after the end of the run
  expected a time before the end, 10m
  help: the run ends at 10m: lengthen `duration`, or make this earlier
",
        ),
        base(
            r#"[[fault]]
at = "1m"
kind = "earthquake"
host = "main-a"
"#,
            r#"
13:8 bad value for `kind` in [[fault]]: "earthquake"
  expected one of `partition`, `link`, `streams`, `nat`, `dns`, `descriptors`, `crash`, `stop`, `rolling-restart`, `pause`, `slow`, `clock`, `disk`, `certificate-expires`
"#,
        ),
        base(
            r#"[[fault]]
at = "1m"
kind = "partition"
hosts = "main-a"
lasts = "1m"
cut = "5s"
"#,
            "
16:1 a partition that comes and goes needs `whole` beside `cut`
  expected both: how long it is cut, and how long whole, in turn
",
        ),
        base(
            r#"[[fault]]
at = "1m"
kind = "certificate-expires"
hosts = "main-a"
"#,
            r#"
11:1 a [[fault]] of kind "certificate-expires" has no `lasts`
  expected `lasts = …` in here
14:9 `main-a` has no certificate
  expected Mains with `tls = true`
"#,
        ),
        base(
            r#"[[fault]]
at = "1m"
kind = "crash"
host = "home"
"#,
            "
14:8 no host is called `home`
  expected the name of a host
  help: `home` has a count: its hosts are `home-1` and so on, and `home-*` means all of them
",
        ),
        base(
            r#"[[fault]]
at = "1m"
kind = "crash"
host = "main-a"
hosts = "home-1"
"#,
            "
14:1 `host` and `hosts` are the same
  expected one of them
",
        ),
        base(
            r#"[[fault]]
at = "1m"
kind = "crash"
host = "main-a"
lasts = "5s"
"#,
            r#"
15:1 unknown key `lasts` in a [[fault]] of kind "crash"
  expected one of `at`, `kind`, `hosts`, `host`, `how`, `at_disk_operation`, `down`, `disk`
"#,
        ),
        base(
            r#"[[fault]]
at = "1m"
kind = "crash"
host = "main-a"
how = "powercut"
"#,
            r#"
15:7 bad value for `how` in a [[fault]] of kind "crash": "powercut"
  expected one of `kill`, `power-cut`
  help: did you mean `power-cut`?
"#,
        ),
        base(
            r#"[[fault]]
at = "1m"
kind = "crash"
host = "main-a"
disk = "wipe"
"#,
            r#"
15:8 the disk is wiped, but the host never starts again
  expected `down` beside it
  help: say when it starts again: `down = "30s"`
"#,
        ),
        base(
            r#"[[fault]]
at = "1m"
kind = "crash"
host = "main-a"
down = "0s"
"#,
            "
15:8 `down` is zero
  expected a duration above zero
",
        ),
        base(
            r#"[[fault]]
at = "1m"
kind = "crash"
host = "main-a"
down = "1m"
[[fault]]
at = "2m"
kind = "stop"
hosts = ["main-*", "home-*"]
"#,
            "
17:6 `main-a` is already down
  expected a time at which it is up
  12:6 here it goes down
",
        ),
        base(
            r#"[[home]]
name = "late"
main = "main-a"
start = "2m"
[[fault]]
at = "1m"
kind = "stop"
host = "late"
"#,
            "
16:6 `late` is not up yet: it starts at 2m
  expected a time after its start
",
        ),
        base(
            r#"[[fault]]
at = "1m"
kind = "partition"
hosts = "main-a"
"#,
            r#"
11:1 a [[fault]] of kind "partition" has no `lasts`
  expected `lasts = …` in here
"#,
        ),
        base(
            r#"[[fault]]
at = "1m"
kind = "partition"
hosts = "*"
lasts = "5s"
"#,
            "
14:9 nobody is left to be cut off from
  expected some of the hosts, or the other side in `from`
",
        ),
        base(
            r#"[[fault]]
at = "1m"
kind = "partition"
hosts = ["main-a", "home-1"]
from = "home-*"
lasts = "5s"
"#,
            "
15:8 `home-1` is on both sides of the partition
  expected hosts of the other side
  14:9 one side
",
        ),
        base(
            r#"[[fault]]
at = "1m"
kind = "partition"
hosts = "main-a"
direction = "inbound"
lasts = "5s"
"#,
            r#"
15:13 bad value for `direction` in a [[fault]] of kind "partition": "inbound"
  expected one of `both`, `in`, `out`
"#,
        ),
        base(
            r#"[[fault]]
at = "1m"
kind = "link"
from = "main-a"
to = "home-*"
lasts = "5s"
"#,
            "
11:1 this changes nothing about the links
  expected some of `latency`, `jitter`, `shape`, `loss`, `bandwidth`, `queue`, `duplicate`, `reorder`, `corrupt` in here
",
        ),
        base(
            r#"[[fault]]
at = "9m"
kind = "partition"
hosts = "main-a"
lasts = "50s"
[gates]
convergence = "20s"
"#,
            "
15:9 the run ends before convergence after this fault can be judged: partition of main-a from everyone, both ways, 50s
  is over at 9m50s, and the run at 10m
  help: the gate gives the federation 20s: let the run last at least 10m10s
",
        ),
    ];
    check(cases);
}
