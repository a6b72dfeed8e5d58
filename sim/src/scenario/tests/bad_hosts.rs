//! Selectors and groups that stand for nobody.

use super::{Case, base, check, text};

#[test]
fn each_is_reported_at_its_place() {
    let cases: &[Case] = &[
        base(
            r#"[groups]
edge = ["home-1", "main-b/*"]
"#,
            r#"
12:19 no Main is called `main-b`
  expected a Main and its Homes, such as "main-a/*"
  help: did you mean `main-a`?
"#,
        ),
        base(
            r#"[groups]
edge = ["home-1", "main-a/far-*"]
"#,
            "
12:19 no Home of `main-a` is called `far-*`
  expected a name or a pattern of its Homes
",
        ),
        base(
            "[groups]
edge = 3
",
            r#"
12:8 bad value for the group `edge`: this is a whole number
  expected hosts, such as ["home-1", "main-b/*"]
"#,
        ),
        base(
            r#"[groups]
edge = []
"two words" = "home-1"
"#,
            "
12:8 this list names no host
  expected at least one name or pattern
13:1 not a name for a group
  expected 1 to 64 letters, digits, `-`, `_` or `.`, a letter or digit first
",
        ),
        base(
            r#"[groups]
edge = ["@core"]
core = ["@edge", "home-1"]
"#,
            "
12:8 the group `edge` is made of itself
  expected no circle of groups
13:8 the group `core` is made of itself
  expected no circle of groups
",
        ),
        base(
            r#"[groups]
edge = "home-*"
[[link]]
from = "@egde"
to = "main-a"
latency = "1ms"
"#,
            "
14:8 no group is called `egde`
  expected the name of a group of [groups]
  help: did you mean `edge`?
",
        ),
        base(
            r#"[[link]]
from = "@edge"
to = "main-a"
latency = "1ms"
"#,
            r#"
12:8 no group is called `edge`
  expected the name of a group of [groups]
  help: add it to the file:  [groups]  edge = ["home-*"]
"#,
        ),
        base(
            r#"[[link]]
from = ["home-1", "!home-*"]
to = "!mian-a"
latency = "1ms"
"#,
            "
12:8 nobody is left of these hosts
  expected patterns that leave some host over
13:6 no host is called `mian-a`
  expected the name of a host
  help: did you mean `main-a`?
",
        ),
        base(
            r#"[[link]]
from = "mains"
to = ["homes", "!home-[1"]
latency = "1ms"
"#,
            r#"
13:16 not a pattern: unclosed character class; missing ']'
  expected a pattern such as "home-*"
"#,
        ),
        base(
            r#"[[home]]
name = "far"
main = ["@edge"]
[groups]
edge = ["home-1"]
"#,
            "
13:9 `home-1` is a Home and cannot be the Main of a Home
  expected the name of a [[main]]
",
        ),
        text(
            r#"groups = ["a"]
[[main]]
name = "main-a"
"#,
            "
1:10 `groups` is a list
  expected a table: [groups]
",
        ),
    ];
    check(cases);
}
