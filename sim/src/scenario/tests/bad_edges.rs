//! Faults between relays and their network that cannot happen, and links and NATs that cannot be.

use super::{Case, base, check};

#[test]
fn each_is_reported_at_its_place() {
    let cases: &[Case] = &[
        base(
            r#"[[fault]]
at = "1m"
kind = "streams"
from = "home-*"
to = "main-a"
share = "0%"
"#,
            r#"
11:1 a [[fault]] of kind "streams" has no `trouble`
  expected `trouble = …` in here
16:9 this happens to no stream
  expected more than 0%
"#,
        ),
        base(
            r#"[[fault]]
at = "1m"
kind = "streams"
from = "home-*"
to = "main-a"
trouble = "stall"
"#,
            r#"
11:1 a [[fault]] of kind "streams" has no `lasts`
  expected `lasts = …` in here
"#,
        ),
        base(
            r#"[[fault]]
at = "1m"
kind = "streams"
from = "home-*"
to = "main-a"
trouble = "reset"
lasts = "5s"
"#,
            r#"
17:1 unknown key `lasts` in a [[fault]] of kind "streams"
  expected one of `at`, `kind`, `from`, `to`, `trouble`, `share`
"#,
        ),
        base(
            r#"[[fault]]
at = "1m"
kind = "nat"
hosts = ["home-1", "main-a"]
change = "reboot"
"#,
            r#"
14:9 `main-a` is a Main and behind no NAT
  expected Homes
15:10 bad value for `change` in a [[fault]] of kind "nat": "reboot"
  expected one of `forget`, `move`
"#,
        ),
        base(
            r#"[[fault]]
at = "1m"
kind = "nat"
hosts = "home-1"
change = "move"
lasts = "5s"
"#,
            r#"
16:1 unknown key `lasts` in a [[fault]] of kind "nat"
  expected one of `at`, `kind`, `hosts`, `host`, `change`
"#,
        ),
        base(
            r#"[[fault]]
at = "1m"
kind = "dns"
hosts = "home-1"
answer = "servfail"
lasts = "0s"
"#,
            r#"
15:10 bad value for `answer` in a [[fault]] of kind "dns": "servfail"
  expected one of `failure`, `nothing`, `silence`, `wrong`
16:9 `lasts` is zero
  expected a duration above zero
"#,
        ),
        base(
            r#"[[fault]]
at = "1m"
kind = "descriptors"
limit = 0
"#,
            r#"
11:1 a [[fault]] of kind "descriptors" has no `hosts`
  expected `hosts = …` in here
14:9 no descriptor at all
  expected at least 1: a relay listens
"#,
        ),
        base(
            r#"[[link]]
from = "home-*"
to = "main-a"
shape = "bell"
corrupt = "100%"
"#,
            r#"
14:9 bad value for `shape` in [[link]]: "bell"
  expected one of `uniform`, `normal`, `exponential`, `pareto`
15:11 everything is corrupted
  expected less than 100%
  help: a [[fault]] of kind "partition" cuts hosts off
"#,
        ),
        base(
            r#"[[home]]
name = "office"
main = "main-a"
nat = "cone"
nat_mapping = "0s"
hairpin = "no"
"#,
            r#"
14:7 bad value for `nat` in [[home]]: "cone"
  expected one of `full-cone`, `address-restricted`, `port-restricted`, `symmetric`
15:15 `nat_mapping` is zero
  expected a duration above zero
16:11 bad value for `hairpin` in [[home]]: this is a string
  expected true or false
"#,
        ),
    ];
    check(cases);
}
