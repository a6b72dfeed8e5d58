//! Values of the wrong kind, or out of range.

use super::{Case, base, check, text};

#[test]
fn each_is_reported_at_its_place() {
    let cases: &[Case] = &[
        text(
            r#"duration = 10
[[main]]
name = "a"
"#,
            r#"
1:12 bad value for `duration` in the scenario: this is a whole number
  expected a duration in quotes, such as "90s" or "20ms"
"#,
        ),
        text(
            r#"duration = "10 parsecs"
[[main]]
name = "a"
"#,
            r#"
1:12 bad value for `duration` in the scenario: "10 parsecs" is not a duration
  expected a duration such as "90s", "1m30s", "10m" or "20ms"
"#,
        ),
        text(
            r#"duration = "0s"
[[main]]
name = "a"
"#,
            "
1:12 `duration` is zero
  expected a duration above zero
",
        ),
        text(
            r#"seed = -1
[[main]]
name = "a"
"#,
            "
1:8 bad value for `seed` in the scenario: -1 is out of range
  expected a whole number from 0 to 2^63 - 1
",
        ),
        text(
            r#"seed = 9223372036854775808
[[main]]
name = "a"
"#,
            "
1:8 bad value for `seed` in the scenario: 9223372036854775808 is out of range
  expected a whole number from 0 to 2^63 - 1
",
        ),
        text(
            r#"name = "no spaces please"
[[main]]
name = "a"
"#,
            "
1:8 not a name for a scenario
  expected 1 to 64 letters, digits, `-`, `_` or `.`, a letter or digit first
",
        ),
        base(
            r#"[probe]
interval = "0s"
"#,
            "
12:12 `interval` is zero
  expected a duration above zero
",
        ),
        base(
            r#"[network]
bandwidth = "100Mbps"
"#,
            r#"
12:13 bad value for `bandwidth` in [network]: "100Mbps" is not a bandwidth
  expected a bandwidth such as "100Mbit/s", "1Gbit/s" or "64kbit/s"
"#,
        ),
        base(
            r#"[network]
loss = "150%"
"#,
            r#"
12:8 bad value for `loss` in [network]: "150%" is more than 100%
  expected a share such as "0.1%" or "100%"
"#,
        ),
        base(
            r#"[network]
loss = "100%"
"#,
            r#"
12:8 everything gets lost
  expected less than 100%
  help: a [[fault]] of kind "partition" cuts hosts off
"#,
        ),
        base(
            "[network]
latency = true
",
            r#"
12:11 bad value for `latency` in [network]: this is true or false
  expected a duration in quotes, such as "90s" or "20ms"
"#,
        ),
        base(
            r#"[node]
heartbeat = "30s"
unhealthy_after = "20s"
"#,
            "
13:19 `unhealthy_after` is shorter than `heartbeat`
  expected at least 30s
",
        ),
        base(
            r#"[node]
backoff_initial = "1s"
backoff_cap = "500ms"
"#,
            "
13:15 `backoff_cap` is shorter than `backoff_initial`
  expected at least 1s
",
        ),
        base(
            r#"[[link]]
from = "home-*"
to = "main-a"
"#,
            "
11:1 this changes nothing about the links
  expected some of `latency`, `jitter`, `shape`, `loss`, `bandwidth`, `queue`, `duplicate`, `reorder`, `corrupt` in here
",
        ),
        base(
            r#"[[link]]
from = "home-*"
to = "main-a"
one_way = "yes"
latency = "1s"
"#,
            "
14:11 bad value for `one_way` in [[link]]: this is a string
  expected true or false
",
        ),
        base(
            r#"[[link]]
latency = "1s"
"#,
            "
11:1 [[link]] has no `from`
  expected `from = …` in here
11:1 [[link]] has no `to`
  expected `to = …` in here
",
        ),
    ];
    check(cases);
}
