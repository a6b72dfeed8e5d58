//! What cannot be said of the DHT.

use super::{Case, base, check};

#[test]
fn each_is_reported_at_its_place() {
    let cases: &[Case] = &[
        base(
            r#"[dht]
on = "yes"
cache_ttl = "0s"
bootstrap = "home-1"
republsh = "1h"
"#,
            "
12:6 bad value for `on` in [dht]: this is a string
  expected true or false
13:13 `cache_ttl` is zero
  expected a duration above zero
14:13 `home-1` is a Home and cannot be a way into the DHT
  expected the name of a [[main]]
15:1 unknown key `republsh` in [dht]
  expected one of `on`, `republish`, `cache_ttl`, `cache_cleanup`, `discovery`, `bootstrap`
  help: did you mean `republish`?
",
        ),
        base(
            r#"[[lookup]]
name = "pairs"
from = "home-1"
to = "home-2"
pairs = 0
every = "11m"
start = "1m"
stop = "30s"
"#,
            "
13:8 `home-1` is no node of the DHT
  expected hosts with `dht = true`
  help: say `on = true` in [dht] to have all of them in it
14:6 `home-2` is no node of the DHT
  expected hosts with `dht = true`
  help: say `on = true` in [dht] to have all of them in it
15:9 0 pairs
  expected 1 to 100000
16:9 there is no time for a single round
  expected at most 0s
18:8 this lookup stops at an impossible time
  expected a time after 1m and not after 10m
",
        ),
        base(
            r#"[dht]
on = true
[[lookup]]
name = "pairs"
from = "home-1"
to = "home-1"
pairs = 3
[[lookup]]
name = "pairs"
from = "homes"
to = "main-b"
"#,
            "
16:6 `home-1` would look itself up only
  expected another host: nobody looks itself up
18:1 [[lookup]] has no `pairs`
  expected `pairs = …` in here
21:6 no host is called `main-b`
  expected the name of a host
  help: did you mean `main-a`?
",
        ),
        base(
            r#"[[stranger]]
name = "home"
kind = "garbage"
near = "home-1"
count = 0
[[stranger]]
name = "sybil"
kind = "sybil"
bootstrap = "main-a"
[[stranger]]
name = "liar"
kind = "lying"
bootstrap = "main-a"
"#,
            "
11:1 [[stranger]] has no `bootstrap`
  expected `bootstrap = …` in here
12:8 other hosts are called `home-1` and so on
  expected a name of its own
14:8 `near` means nothing here
  expected no `near`
  help: only those of kind \"sybil\" choose their places
15:9 no stranger at all
  expected at least 1, and at most 1000 in all
16:1 [[stranger]] has no `near`
  expected `near = …` in here
22:8 bad value for `kind` in [[stranger]]: \"lying\"
  expected one of `garbage`, `sybil`
",
        ),
        base(
            r#"[dht]
on = true
[broadcast]
hosts = "homes"
evry = "1m"
"#,
            "
14:9 `home-1` is a node of the DHT from its start on
  expected hosts without the DHT
  help: say `dht = false` there: an [[upgrade]] with `dht = true` switches it on
15:1 unknown key `evry` in [broadcast]
  expected one of `hosts`, `host`, `every`, `beside`
  help: did you mean `every`?
",
        ),
    ];
    check(cases);
}

#[test]
fn gates_without_what_they_judge_are_met_with_what_is_missing() {
    let cases: &[Case] = &[
        base(
            r#"[gates]
discovery = "30s"
resolution = "99%"
bytes_saved = "80%"
"#,
            "
12:1 nobody is a node of the DHT
  expected what this gate judges in this file
  help: say `on = true` in [dht], or leave this gate out
13:1 nobody looks anything up
  expected what this gate judges in this file
  help: add a [[lookup]], or leave this gate out
14:1 there is nothing to compare with
  expected what this gate judges in this file
  help: this needs [broadcast], and an [[upgrade]] with `dht = true`
",
        ),
        base(
            r#"[dht]
on = true
[probe]
dht = "20s"
[gates]
discovery = "15s"
[[gate]]
name = "warm"
metric = "cache_hits"
at_least = "80%"
[[gate]]
name = "bytes"
metric = "metadata_bytes"
lookup = "pairs"
at_most = 1000
"#,
            "
16:13 nodes are asked whom they know every 20s, too seldom to measure this
  expected at least 15s
",
        ),
    ];
    check(&cases[..1]);
    let error = super::super::Scenario::load("x.toml", &cases[1].text).expect_err("it is wrong");
    let found = super::problems(&error);
    for words in [
        "16:13 nodes are asked whom they know every 20s, too seldom to measure this",
        "help: shorten `dht` in [probe]",
        "19:10 this gate judges lookups, and the scenario makes none",
        "24:10 no lookup is called `pairs`",
        "24:1 `lookup` means nothing here",
    ] {
        assert!(found.contains(words), "{words} in\n{found}");
    }
}
