//! Parameters, templates, phases and repetitions that mean nothing.

use super::{Case, base, check, load, set, text};

#[test]
fn each_is_reported_at_its_place() {
    let cases: &[Case] = &[
        base(
            "[params]
homes = 6
",
            r#"
12:1 the parameter `homes` is used nowhere
  expected "${homes}" somewhere in this file
  help: leave it out, or use it
"#,
        ),
        base(
            r#"[params]
loss = [1]
"a b" = 1
"#,
            "
12:8 a parameter cannot be a list
  expected a text, a number, true or false, or a table with a `default`
13:1 not a name for a parameter
  expected letters, digits, `-` and `_`
",
        ),
        base(
            r#"[params]
homes = { default = 6, type = "intger" }
loss = { type = "share", default = "many" }
load = { type = "rate" }
few = { default = 6, max = 3 }
more = { default = 6, mni = 3 }
"#,
            r#"
12:31 bad value for `type` in a parameter: "intger"
  expected one of `integer`, `number`, `boolean`, `text`, `duration`, `rate`, `share`, `size`, `bandwidth`
  help: did you mean `integer`?
13:36 the default of this parameter is not of its type
  expected a value of the type that it says
14:8 a parameter has no `default`
  expected `default = …` in here
15:1 the parameter `few` is used nowhere
  expected "${few}" somewhere in this file
  help: leave it out, or use it
15:19 the default is 6
  expected at most 3
16:1 the parameter `more` is used nowhere
  expected "${more}" somewhere in this file
  help: leave it out, or use it
16:23 unknown key `mni` in a parameter
  expected one of `type`, `min`, `max`, `about`, `default`
  help: did you mean `min`?
"#,
        ),
        text(
            r#"params = 3
[[main]]
name = "main-a"
count = "${homes}"
"#,
            "
1:10 `params` is a whole number
  expected a table: [params]
4:9 bad value for `count` in [[main]]: this is a string
  expected a whole number from 0 to 2^63 - 1
",
        ),
        base(
            r#"[params]
homes = 6
[[home]]
name = "other"
count = "${hmes}"
main = "main-a"
[[home]]
name = "third-${homes"
count = "${homes}"
main = "main-a"
"#,
            "
15:9 no parameter is called `hmes`
  expected one of `homes`
  help: did you mean `homes`?
18:8 `${` is not closed
  expected `}` after the name
  help: for the two characters themselves write `$${`
",
        ),
        base(
            r#"[[home]]
name = "other"
count = "${homes}"
main = "main-a"
"#,
            "
13:9 no parameter is called `homes`
  expected [params] in this file to name it
",
        ),
        base(
            r#"[params]
homes = "six"
[[home]]
name = "other"
count = "${homes}"
main = "main-a"
"#,
            "
15:9 bad value for `count` in [[home]]: this is a string
  expected a whole number from 0 to 2^63 - 1
  12:1 `homes` is six here
",
        ),
        set(
            &[("homes", "many")],
            r#"[params]
homes = 6
[[home]]
name = "other"
count = "${homes}"
main = "main-a"
"#,
            "
12:1 `--set homes=many` is no value for `homes`
  expected a whole number
",
        ),
        set(
            &[("homes", "1000"), ("hmes", "3")],
            r#"[params]
homes = { default = 6, min = 1, max = 100 }
[[home]]
name = "other"
count = "${homes}"
main = "main-a"
"#,
            "
11:1 `--set hmes=3`: no parameter is called `hmes`
  expected one of `homes`
  help: did you mean `homes`?
12:1 `--set homes=1000` is out of range
  expected 1 to 100
",
        ),
        set(
            &[("homes", "0")],
            r#"[params]
homes = 6
[[home]]
name = "other"
count = "${homes}"
main = "main-a"
"#,
            "
15:9 no host at all
  expected at least 1
  12:1 `homes` is 0 by --set
  help: leave `count` out for a single host
",
        ),
        set(
            &[("loss", "often")],
            r#"[params]
loss = { default = "1%", type = "share" }
[network]
loss = "${loss}"
"#,
            "
12:1 `--set loss=often` is no value for `loss`
  expected a share, such as 0.1%
",
        ),
        set(
            &[("homes", "3")],
            "
",
            "
1:1 `--set homes=3`: no parameter is called `homes`
  expected [params] in this file
",
        ),
        base(
            r#"[template.edge]
services = ["echo"]
"#,
            r#"
11:11 the template `edge` is used nowhere
  expected `use = "edge"` in some table
  help: leave it out, or use it
"#,
        ),
        base(
            r#"[template.edge]
servces = ["echo"]
[[home]]
name = "a"
use = "edge"
main = "main-a"
[[home]]
name = "b"
use = "egde"
main = "main-a"
[[home]]
name = "c"
use = "edge"
main = "main-a"
[[home]]
name = "d"
use = 3
main = "main-a"
"#,
            "
12:1 unknown key `servces` in [[home]]
  expected one of `name`, `count`, `start`, `node_id`, `services`, `cpu`, `cores`, `disk`, `clock`, `nat`, `nat_mapping`, `hairpin`, `main`, `fallback`
  help: did you mean `services`?
19:7 no template is called `egde`
  expected one of `edge`
  help: did you mean `edge`?
27:7 bad value for `use`: this is a whole number
  expected the name of a template in quotes, or a list of them
",
        ),
        base(
            r#"[template]
edge = 3
[template.one]
use = "two"
[template.two]
use = "one"
[[home]]
name = "a"
use = "one"
main = "main-a"
"#,
            "
12:8 the template `edge` is a whole number
  expected a table: [template.NAME]
16:7 templates use each other more than 8 deep
  expected no circle of templates
",
        ),
        base(
            r#"[[home]]
name = "a"
use = "edge"
"#,
            "
13:7 no template is called `edge`
  expected [template.edge] in this file
",
        ),
        base(
            r#"[[phase]]
name = "warm up"
lasts = "1m"
[[phase]]
lasts = "0s"
[[phase]]
name = "storm"
[[phase]]
name = "calm"
lats = "1m"
"#,
            "
12:8 not a name for a phase
  expected 1 to 64 letters, digits, `-`, `_` or `.`, a letter or digit first
14:1 [[phase]] has no `name`
  expected `name = …` in here
15:9 `lasts` is zero
  expected a duration above zero
16:1 [[phase]] has no `lasts`
  expected `lasts = …` in here
20:1 unknown key `lats` in [[phase]]
  expected one of `name`, `lasts`
  help: did you mean `lasts`?
",
        ),
        base(
            r#"[[phase]]
name = "calm"
lasts = "1m"
[[phase]]
name = "calm"
lasts = "1m"
"#,
            "
15:8 two phases are called `calm`
  expected a name of its own
",
        ),
        text(
            r#"duration = "90s"
[[phase]]
name = "calm"
lasts = "1m"
[[phase]]
name = "storm"
lasts = "1m"
[[main]]
name = "main-a"
"#,
            "
1:12 the phases last 2m together
  expected at least 2m
  help: leave `duration` out: then the run lasts as long as its phases
",
        ),
        base(
            r#"[[phase]]
name = "storm"
lasts = "1m"
[[fault]]
phase = "strom"
at = "2m"
kind = "crash"
host = "main-a"
[[fault]]
phase = "storm"
at = "1m"
kind = "stop"
host = "main-a"
[[fault]]
phase = 3
at = "10s"
kind = "crash"
host = "home-1"
"#,
            "
15:9 no phase is called `strom`
  expected the name of a [[phase]]
  help: did you mean `storm`?
21:6 this fault begins after the end of the phase `storm`
  expected a time before its end, 1m
  help: times count from the start of the phase
25:9 this is no name of a phase
  expected the name of a [[phase]] in quotes
",
        ),
        base(
            r#"[[fault]]
phase = "storm"
kind = "crash"
host = "main-a"
"#,
            "
12:9 no phase is called `storm`
  expected the name of a [[phase]]
  help: the scenario has no [[phase]]
",
        ),
        load(
            r#"phase = "storm"
rate = "1/s"
stop = "2m"
[[phase]]
name = "calm"
lasts = "1m"
[[phase]]
name = "storm"
lasts = "1m"
"#,
            "
19:8 `stop` is after the end of the phase `storm`
  expected a time before its end, 1m
  help: times count from the start of the phase
",
        ),
        base(
            r#"[[fault]]
at = "1m"
kind = "crash"
host = "main-a"
down = "10s"
times = 3
"#,
            "
16:1 `times` without `every`
  expected `every` beside it, the time from one to the next
",
        ),
        base(
            r#"[[fault]]
at = "1m"
kind = "crash"
host = "main-a"
down = "10s"
every = "1m"
times = 3
until = "4m"
"#,
            "
18:9 `times` and `until` say the same
  expected one of them
",
        ),
        base(
            r#"[[fault]]
at = "1m"
kind = "crash"
host = "main-a"
down = "10s"
every = "1m"
times = 10
"#,
            "
17:9 the last of these faults begins at 10m, after the end
  expected at most 9 times before 10m
",
        ),
        base(
            r#"[[fault]]
at = "1m"
kind = "crash"
host = "main-a"
down = "10s"
every = "1m"
until = "1m"
[[fault]]
at = "1m"
kind = "crash"
host = "home-1"
down = "10ms"
every = "20ms"
[[fault]]
at = "1m"
kind = "crash"
host = "home-2"
down = "10ms"
every = "0s"
"#,
            "
17:9 this fault never happens
  expected at least one time
23:9 this fault happens 27000 times
  expected at most 10000: a longer time
29:9 `every` is zero
  expected a duration above zero
",
        ),
        base(
            r#"[[fault]]
at = "1m"
kind = "crash"
host = "main-a"
down = "90s"
every = "1m"
times = 3
"#,
            "
12:6 `main-a` is already down
  expected a time at which it is up
  12:6 here it goes down
",
        ),
        base(
            r#"[[fault]]
at = "1m"
kind = "crash"
hosts = "home-9"
every = "1m"
times = 3
"#,
            "
14:9 no host is called `home-9`
  expected the name of a host
  help: did you mean `home-1`?
",
        ),
    ];
    check(cases);
}
