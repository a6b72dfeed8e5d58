//! Upgrades that cannot be done.

use super::{Case, base, check};

#[test]
fn each_is_reported_at_its_place() {
    let cases: &[Case] = &[
        base(
            "[[upgrade]]
",
            r#"
11:1 this upgrade changes nothing
  expected [upgrade.node], `services`, `balance`, `tls`, `main`, `fallback`, `peers` or `dht` in here
  help: a [[fault]] of kind "rolling-restart" restarts hosts as they are
11:1 [[upgrade]] has no `name`
  expected `name = …` in here
11:1 [[upgrade]] has no `at`
  expected `at = …` in here
11:1 [[upgrade]] has no `hosts`
  expected `hosts = …` in here
"#,
        ),
        base(
            r#"[[upgrade]]
name = "to two"
at = "10m"
hosts = "homes"
batch = 0
services = ["ehco"]
"#,
            "
12:8 not a name for an upgrade
  expected 1 to 64 letters, digits, `-`, `_` or `.`, a letter or digit first
13:6 this upgrade begins after the end of the run
  expected a time before the end, 10m
  help: the run ends at 10m: lengthen `duration`, or make this earlier
15:9 a batch of nobody
  expected at least one host
16:13 no service is called `ehco`
  expected the name of a [[service]]
  help: did you mean `echo`?
",
        ),
        base(
            r#"[[upgrade]]
name = "a"
at = "1m"
hosts = "homes"
batch = "0%"
balance = "robin"
[[upgrade]]
name = "b"
at = "1m"
hosts = "home-9"
batch = 1.5
[upgrade.node]
heartbeat = "2m"
unhealthy_after = "1m"
drian = "1s"
"#,
            r#"
15:9 a batch of nobody
  expected at least one host
16:11 bad value for `balance` in [[upgrade]]: "robin"
  expected one of `power-of-two`, `round-robin`, `least-connections`, `random`
20:9 no host is called `home-9`
  expected the name of a host
  help: did you mean `home-1`?
21:9 bad value for `batch` in [[upgrade]]: this is a number with a point
  expected a whole number of hosts, or a share of them in quotes, such as "25%"
24:19 `unhealthy_after` is shorter than `heartbeat`
  expected at least 2m
25:1 unknown key `drian` in [upgrade.node]
  expected one of `heartbeat`, `unhealthy_after`, `backoff_initial`, `backoff_cap`, `registry_ttl`, `call_timeout`, `drain`, `home_calls_per_second`
  help: did you mean `drain`?
"#,
        ),
        base(
            r#"[[upgrade]]
name = "a"
at = "9m30s"
hosts = "homes"
pause = "1m"
[upgrade.node]
heartbeat = "2m"
[[upgrade]]
name = "a"
at = "1m"
hosts = "homes"
batch = "50%"
on_abort = "roll-back"
[upgrade.node]
heartbeat = "2m"
"#,
            "
13:6 this upgrade ends at 11m52s, after the end of the run
  expected an end before 10m
  help: begin earlier, with larger batches, or lengthen `duration`
19:8 two upgrades are called `a`
  expected a name of its own
23:1 `on_abort` without `abort_on`
  expected `abort_on` beside it, the gates to watch
",
        ),
        base(
            r#"[[home]]
name = "late"
main = "main-a"
start = "5m"
[[upgrade]]
name = "a"
at = "1m"
hosts = "homes"
abort_on = ["errors", "calm", "busy"]
on_abort = "rollback"
[upgrade.node]
heartbeat = "2m"
[[gate]]
name = "busy"
metric = "relay_calls_in_flight"
aggregate = "max"
at_most = 10
[[gate]]
name = "busier"
metric = "relay_calls_in_flight"
aggregate = "max"
at_most = 10
window = "10s"
"#,
            r#"
18:9 `late` is not up yet when its turn comes
  expected hosts that have started
19:13 no [[gate]] is called `errors`
  expected the name of a [[gate]] with a `window`
  help: they are called `busy`, `busier`
19:23 no [[gate]] is called `calm`
  expected the name of a [[gate]] with a `window`
  help: they are called `busy`, `busier`
19:31 the gate `busy` is judged at the end only
  expected a [[gate]] with a `window`
  help: give the gate a `window`, such as "30s": it is judged over the last such time
20:12 bad value for `on_abort` in [[upgrade]]: "rollback"
  expected one of `stop`, `roll-back`
  help: did you mean `roll-back`?
"#,
        ),
        base(
            r#"[[fault]]
at = "1m5s"
kind = "crash"
host = "home-2"
down = "30s"
[[upgrade]]
name = "a"
at = "1m"
hosts = "homes"
[upgrade.node]
heartbeat = "2m"
"#,
            "
18:6 `home-2` is down when its turn comes, at 1m21s
  expected a time at which the hosts are up
",
        ),
        base(
            r#"[[upgrade]]
name = "a"
at = "9m"
hosts = "home-1"
[upgrade.node]
heartbeat = "2m"
[gates]
convergence = "1m"
"#,
            "
13:6 the run ends before convergence after this upgrade can be judged
  its last host is up at 9m11s
  help: let the run last at least 10m11s
",
        ),
        base(
            r#"[[phase]]
name = "storm"
lasts = "1m"
[[upgrade]]
name = "a"
phase = "storm"
at = "2m"
hosts = "homes"
[upgrade.node]
heartbeat = "2m"
"#,
            "
17:6 this upgrade begins after the end of the phase `storm`
  expected a time before its end, 1m
  help: times count from the start of the phase
",
        ),
    ];
    check(cases);
}

#[test]
fn ways_that_lead_nowhere_are_reported() {
    let cases: &[Case] = &[
        base(
            r#"[[upgrade]]
name = "a"
at = "1m"
hosts = "*"
main = "main-b"
fallback = "home-1"
peers = ["main-a", "main-z"]
"#,
            "
15:1 `main-a` is a Main and has no `main`
  expected an upgrade of Homes only
15:8 no host is called `main-b`
  expected the name of a host
  help: did you mean `main-a`?
16:1 `main-a` is a Main and has no `fallback`
  expected an upgrade of Homes only
16:12 `home-1` is a Home and cannot be a fallback
  expected the name of a [[main]]
17:1 `home-1` is a Home and has no `peers`
  expected an upgrade of Mains only
17:20 no host is called `main-z`
  expected the name of a host
  help: did you mean `main-a`?
",
        ),
        base(
            r#"[[upgrade]]
name = "a"
at = "1m"
hosts = "homes"
main = []
tls = true
"#,
            "
15:8 a Home needs a Main
  expected the name of a [[main]]
16:1 no Main is among these hosts
  expected Mains, and all who dial them
  help: Homes speak no TLS: they are dialled by nobody
",
        ),
        base(
            r#"[[upgrade]]
name = "a"
at = "1m"
hosts = ["mains", "home-1"]
tls = "yes"
[[upgrade]]
name = "b"
at = "5m"
hosts = ["mains", "home-1"]
tls = false
"#,
            "
15:7 bad value for `tls` in [[upgrade]]: this is a string
  expected true or false
20:1 `home-2` dials `main-a` and is not told that it is `ws://` now
  expected `hosts` with all who dial the Mains among them
",
        ),
    ];
    check(cases);
}
