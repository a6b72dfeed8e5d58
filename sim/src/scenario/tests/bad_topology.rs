//! Hosts and services that do not fit together.

use super::{Case, base, check, text};

#[test]
fn each_is_reported_at_its_place() {
    let cases: &[Case] = &[
        text(
            r#"[[home]]
name = "home"
main = "main-a"
"#,
            r#"
1:1 the scenario has no Main
  expected a [[main]] in this file
  help: the smallest one is:  [[main]]  name = "main-a"
"#,
        ),
        base(
            r#"[[main]]
name = "main-b"
count = 0
"#,
            "
13:9 no host at all
  expected at least 1
  help: leave `count` out for a single host
",
        ),
        base(
            r#"[[main]]
name = "main-b"
count = 2000
"#,
            "
13:9 too many hosts
  expected at most 1000 in all
",
        ),
        base(
            r#"[[main]]
name = "main-b"
cpu = "50us"
cores = 0
[host]
cores = 2
"#,
            "
13:7 bad value for `cpu` in [[main]]: \"50us\" does not say what it is for
  expected a cost in quotes, such as \"100us per message\"
14:9 0 cores
  expected 1 to 128
16:9 cores without a cost mean nothing
  expected `cpu` as well
  help: say what a message costs: `cpu = \"100us per message\"`
",
        ),
        base(
            r#"[[main]]
name = "main-b"
cpu = "fast per message"
[[main]]
name = "main-c"
cpu = "2s per message"
"#,
            "
13:7 bad value for `cpu` in [[main]]: \"fast\" is not a duration
  expected a cost in quotes, such as \"100us per message\"
16:7 bad value for `cpu` in [[main]]: \"2s per message\" is more than 1s per message
  expected a cost in quotes, such as \"100us per message\"
",
        ),
        base(
            r#"[[dns]]
name = "example.com"
targets = "home-1"
[[dns]]
at = "10m"
name = "_relay._tcp.fed"
"#,
            r#"
12:8 not a name of SRV records
  expected one such as "_relay._tcp.fed"
  help: _relays._tcp.fed is for Mains with `tls = true`
13:11 `home-1` is a Home and cannot be a target
  expected the name of a [[main]]
14:1 [[dns]] has no `targets`
  expected `targets = …` in here
15:6 this name changes after the end of the run
  expected a time before the end, 10m
  help: the run ends at 10m: lengthen `duration`, or make this earlier
"#,
        ),
        base(
            "[[main]]
count = 2
",
            "
11:1 [[main]] has no `name`
  expected `name = …` in here
",
        ),
        base(
            r#"[[main]]
name = "main b"
"#,
            "
12:8 not a name for a host
  expected 1 to 64 letters, digits, `-`, `_` or `.`, a letter or digit first
",
        ),
        base(
            r#"[[main]]
name = "main-a"
"#,
            "
12:8 two hosts are called `main-a`
  expected a name of its own
  5:8 the first one is here
",
        ),
        base(
            r#"[[home]]
name = "home-2"
main = "main-a"
"#,
            "
12:8 two hosts are called `home-2`
  expected a name of its own
  7:8 the first one is here
",
        ),
        base(
            r#"[[home]]
name = "alone"
"#,
            "
11:1 [[home]] has no `main`
  expected `main = …` in here
",
        ),
        base(
            r#"[[home]]
name = "far"
main = "mian-a"
"#,
            "
13:8 no host is called `mian-a`
  expected the name of a host
  help: did you mean `main-a`?
",
        ),
        base(
            r#"[[home]]
name = "far"
main = "home-1"
"#,
            "
13:8 `home-1` is a Home and cannot be the Main of a Home
  expected the name of a [[main]]
",
        ),
        base(
            r#"[[home]]
name = "far"
main = "main-a"
fallback = ["main-a", "main-x"]
"#,
            "
14:23 no host is called `main-x`
  expected the name of a host
  help: did you mean `main-a`?
",
        ),
        base(
            r#"[[home]]
name = "far"
main = "main-a"
services = ["eco"]
"#,
            "
14:13 no service is called `eco`
  expected the name of a [[service]]
  help: did you mean `echo`?
",
        ),
        base(
            r#"[[home]]
name = "far"
main = "main-a"
services = ["echo", "echo"]
"#,
            "
14:21 the service `echo` is listed twice
  expected each service once
",
        ),
        base(
            r#"[[home]]
name = "far"
main = "main-a"
start = "15m"
"#,
            "
14:9 this host starts after the end of the run
  expected a time before the end, 10m
  help: the run ends at 10m: lengthen `duration`, or make this earlier
",
        ),
        base(
            r#"[[home]]
name = "far"
main = "main-a"
node_id = "random"
"#,
            r#"
14:11 bad value for `node_id` in [[home]]: "random"
  expected one of `host-name`, `generated`
"#,
        ),
        base(
            r#"[[main]]
name = "main-b"
peers = ["main-[a"]
"#,
            r#"
13:10 not a pattern: unclosed character class; missing ']'
  expected a pattern such as "home-*"
"#,
        ),
        base(
            r#"[[main]]
name = "main-b"
peers = ["hub-*"]
"#,
            "
13:10 no host matches `hub-*`
  expected a pattern that some host matches
  help: the hosts are `main-a`, `main-b`, `home-1`, `home-2`
",
        ),
        base(
            r#"[[main]]
name = "main-b"
peers = 7
"#,
            "
13:9 bad value for `peers` in [[main]]: this is a whole number
  expected a name in quotes, or a list of them
",
        ),
        base(
            r#"[[main]]
name = "main-b"
peers = ["main-a", 7]
"#,
            "
13:20 bad value for `peers` in [[main]]: this is a whole number
  expected a name in quotes, or a list of them
",
        ),
        base(
            r#"[[service]]
name = "echo"
kind = "echo"
"#,
            "
12:8 two services are called `echo`
  expected a name of its own
",
        ),
        base(
            r#"[[service]]
name = "x"
kind = "ehco"
"#,
            r#"
13:8 bad value for `kind` in [[service]]: "ehco"
  expected one of `echo`, `static`, `http`
  help: did you mean `echo`?
"#,
        ),
        base(
            r#"[[service]]
name = "x"
"#,
            "
11:1 [[service]] has no `kind`
  expected `kind = …` in here
",
        ),
        base(
            r#"[[service]]
name = "x"
kind = "echo"
answers = { a = 1 }
"#,
            r#"
14:1 unknown key `answers` in a [[service]] of kind "echo"
  expected one of `name`, `kind`, `methods`
"#,
        ),
        base(
            r#"[[service]]
name = "x"
kind = "static"
"#,
            r#"
11:1 a [[service]] of kind "static" has no `answers`
  expected `answers = …` in here
"#,
        ),
        base(
            r#"[[service]]
name = "x"
kind = "static"
answers = {}
"#,
            "
14:11 this service answers nothing
  expected method = answer in here
",
        ),
        base(
            r#"[[service]]
name = "x"
kind = "static"
answers = { a = nan }
"#,
            r#"
14:17 bad value for `answers` in a [[service]] of kind "static": a number with a point that JSON has no words for
  expected a value that JSON can hold
"#,
        ),
        base(
            r#"[[service]]
name = "x"
kind = "static"
methods = ["b"]
answers = { a = 1 }
"#,
            "
14:12 there is no answer for the method `b`
  expected a method in [service.answers]
",
        ),
        base(
            r#"[[service]]
name = "x"
kind = "http"
upstream = { failure_rate = "1" }
"#,
            r#"
14:29 bad value for `failure_rate` in [service.upstream]: "1" is not a share
  expected a share such as "0.1%" or "100%"
"#,
        ),
    ];
    check(cases);
}
