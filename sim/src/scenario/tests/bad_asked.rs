//! Gates, expectations and sights that nothing can come of.

use super::{Case, base, check, load, text};

#[test]
fn each_is_reported_at_its_place() {
    let cases: &[Case] = &[
        load(
            r#"rate = "1/s"
[[gate]]
"#,
            "
18:1 this gate has no limit
  expected `at_most`, `at_least` or `equals` in here
18:1 [[gate]] has no `name`
  expected `name = …` in here
18:1 [[gate]] has no `metric`
  expected `metric = …` in here
",
        ),
        load(
            r#"rate = "1/s"
[[gate]]
name = "slow answers"
metric = "latncy"
at_most = "1s"
[[gate]]
name = "links"
metric = "relay_link"
at_most = 3
aggregate = "max"
[[gate]]
name = "open"
metric = 'relay_links{kind="home"'
at_most = 3
"#,
            r#"
19:8 not a name for a gate
  expected 1 to 64 letters, digits, `-`, `_` or `.`, a letter or digit first
20:10 no metric is called `latncy`
  expected one of `calls`, `failures`, `call_rate`, `goodput`, `success`, `availability`, `latency`, `reconnects`, `lookups`, `resolution`, `cache_hits`, `stale`, `reach`, `lookup_latency`, `metadata_bytes`, or a metric of nodes: relay_…
  help: did you mean `latency`?
24:10 no metric is called `relay_link`
  expected one of `calls`, `failures`, `call_rate`, `goodput`, `success`, `availability`, `latency`, `reconnects`, `lookups`, `resolution`, `cache_hits`, `stale`, `reach`, `lookup_latency`, `metadata_bytes`, or a metric of nodes: relay_…
  help: did you mean `relay_links`?
29:10 not a metric: the braces are not closed
  expected a metric such as 'relay_links{kind="home"}'
"#,
        ),
        load(
            r#"rate = "1/s"
[[gate]]
name = "a"
metric = "latency"
aggregate = "sum"
at_most = "1s"
[[gate]]
name = "b"
metric = "call_rate"
aggregate = "max"
at_least = "1/s"
[[gate]]
name = "c"
metric = "relay_links"
at_least = 1
[[gate]]
name = "d"
metric = "relay_links"
aggregate = "mxa"
at_least = 1
"#,
            r#"
21:13 this aggregate means nothing here
  expected `max`, `min`, `mean`, or a quantile such as `p99`
26:13 this aggregate means nothing here
  expected no `aggregate`: this metric is one value
28:1 [[gate]] has no `aggregate`
  expected `aggregate = …` in here
35:13 bad value for `aggregate` in a [[gate]]: "mxa"
  expected `max`, `min`, `mean`, `sum`, `last`, `increase`, or a quantile such as `p99`
  help: did you mean `max`?
"#,
        ),
        load(
            r#"rate = "1/s"
[[gate]]
name = "a"
metric = "latency"
at_most = 3
[[gate]]
name = "b"
metric = "success"
at_least = "1s"
[[gate]]
name = "c"
metric = "calls"
at_least = "many"
[[gate]]
name = "d"
metric = "calls"
at_least = 1
at_most = 2
[[gate]]
name = "e"
metric = "latency"
equals = "1s"
[[gate]]
name = "f"
metric = "calls"
at_least = nan
"#,
            r#"
21:11 bad value for `at_most` in [[gate]]: this is a whole number
  expected a duration in quotes, such as "90s" or "20ms"
25:12 bad value for `at_least` in [[gate]]: "1s" is not a share
  expected a share such as "0.1%" or "100%"
29:12 bad value for `at_least` in [[gate]]: this is a string
  expected a number
33:1 `at_most` and `at_least` in one gate
  expected one of them
  help: make two gates of them, each with a name of its own
38:10 no measurement is exactly this
  expected `at_most` or `at_least`
42:12 bad value for `at_least` in [[gate]]: this is no number that anything can be compared with
  expected a number
"#,
        ),
        load(
            r#"rate = "1/s"
[[gate]]
name = "a"
metric = "calls"
load = "cals"
of = "home-9"
phase = "storm"
at_least = 1
[[gate]]
name = "b"
metric = "relay_links"
aggregate = "max"
load = "calls"
at_least = 1
[[gate]]
name = "c"
metric = "reconnects"
window = "10s"
at_most = 1
"#,
            "
21:8 no load is called `cals`
  expected the name of a [[load]]
  help: did you mean `calls`?
22:6 no host is called `home-9`
  expected the name of a host
  help: did you mean `home-1`?
23:9 no phase is called `storm`
  expected the name of a [[phase]]
  help: the scenario has no [[phase]]
29:1 `load` means nothing here
  expected no `load`: this metric is not about calls
34:1 `window` means nothing here
  expected no `window`: every moment is judged already, or they are counted as a whole
",
        ),
        load(
            r#"rate = "1/s"
[[phase]]
name = "calm"
lasts = "10m"
[[gate]]
name = "a"
metric = "calls"
from = "5m"
to = "5m"
at_least = 1
[[gate]]
name = "b"
metric = "calls"
to = "11m"
at_least = 1
[[gate]]
name = "c"
metric = "calls"
phase = "calm"
window = "11m"
at_least = 1
[[gate]]
name = "d"
metric = "calls"
window = "1ms"
at_least = 1
[[gate]]
name = "d"
metric = "calls"
at_least = 1
"#,
            "
25:6 this is no part of the run
  expected `from` before `to`, and `to` at most 10m
30:6 this is no part of the run
  expected `from` before `to`, and `to` at most 10m
36:10 no such window fits into the time that is judged
  expected at most 10m
41:10 this window is too short
  expected at least 10ms
44:8 two gates are called `d`
  expected a name of its own
",
        ),
        base(
            r#"[[gate]]
name = "a"
metric = "calls"
at_least = 1
"#,
            "
13:10 this gate judges calls, and the scenario makes none
  expected a [[load]] in this file
  help: add a [[load]], or leave this gate out
",
        ),
        load(
            r#"rate = "1/s"
[[sometimes]]
[[sometimes]]
what = "fallbck"
[[sometimes]]
what = "slow-call"
longer = "1s"
[[sometimes]]
what = "metric"
metric = "relay_lnks"
[[sometimes]]
what = "upgrade-done"
[[sometimes]]
what = "restart"
times = 0
[[sometimes]]
what = "reconnect"
[[sometimes]]
what = "reconnect"
"#,
            r#"
18:1 [[sometimes]] has no `what`
  expected `what = …` in here
20:8 bad value for `what` in [[sometimes]]: "fallbck"
  expected one of `call-refused`, `slow-call`, `reconnect`, `fallback`, `restart`, `breaker-opens`, `metric`, `upgrade-done`, `upgrade-aborted`
  help: did you mean `fallback`?
21:1 a [[sometimes]] of "slow-call" has no `longer_than`
  expected `longer_than = …` in here
23:1 unknown key `longer` in a [[sometimes]] of "slow-call"
  expected one of `name`, `times`, `phase`, `from`, `to`, `what`, `of`, `longer_than`, `load`
24:1 a [[sometimes]] of "metric" has no `above`
  expected `above = …` in here
26:10 no metric is called `relay_lnks`
  expected a metric of nodes: relay_…
  help: did you mean `relay_links`?
28:8 the scenario has no upgrade
  expected an [[upgrade]] in this file
31:9 `times` is zero
  expected at least 1
35:8 this is asked for twice: reconnect
  expected a `name` of its own
"#,
        ),
        load(
            r#"rate = "1/s"
expect = [{ at_least = "90%" }, { codes = [], at_most = "90%" }, { codes = -32003 }]
[[expect]]
codes = [-32003]
at_least = "90%"
at_most = "80%"
load = "cals"
"#,
            "
18:11 [[expect]] has no `codes`
  expected `codes = …` in here
18:43 no code at all
  expected at least one, such as [-32003]
18:76 bad value for `codes` in [[expect]]: this is a whole number
  expected a list of error codes, such as [-32003, -32007]
22:11 `at_most` is less than `at_least`
  expected at least 90%
23:8 no load is called `cals`
  expected the name of a [[load]]
  help: did you mean `calls`?
",
        ),
        text(
            r#"expect_failure = ["p99", "gate:sucess", "gate:calls/p99", "gate:calls/p98", "invariant:one_outcom", "gate:busy", "gate:busy"]
[[service]]
name = "echo"
kind = "echo"
[[main]]
name = "main-a"
services = ["echo"]
[[load]]
name = "calls"
from = "main-a"
by = "service"
service = "echo"
method = "echo"
rate = "1/s"
[load.gates]
p99 = "1s"
[gates]
success = "100%"
[[gate]]
name = "busy"
metric = "calls"
at_least = 1
"#,
            r#"
1:19 `p99` is nothing that can fail
  expected "gate:NAME", "gate:LOAD/NAME" or "invariant:NAME"
1:26 no gate is called `sucess`
  expected a gate of this scenario
  help: did you mean `success`?
1:59 no gate is called `calls/p98`
  expected a gate of this scenario
  help: did you mean `calls/p99`?
1:77 no invariant is called `one_outcom`
  expected the name of an invariant
  help: did you mean `one-outcome`?
1:114 this is listed twice
  expected each once
"#,
        ),
        text(
            r#"expect_failure = "invariant:one-outcom"
[[main]]
name = "main-a"
"#,
            "
1:18 no invariant is called `one-outcom`
  expected the name of an invariant
  help: did you mean `one-outcome`?
",
        ),
        text(
            r#"expect_failure = "gate:success"
[[main]]
name = "main-a"
"#,
            "
1:18 no gate is called `success`
  expected a gate of this scenario
  help: the scenario has no gate
",
        ),
    ];
    check(cases);
}
