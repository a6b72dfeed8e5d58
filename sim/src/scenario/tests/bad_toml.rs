//! Text that is not TOML, and keys that nobody knows.

use super::{Case, base, check, text};

#[test]
fn each_is_reported_at_its_place() {
    let cases: &[Case] = &[
        text(
            r#"duration = "10m
[[main]]
"#,
            r#"
1:16 not valid TOML: invalid basic string
  expected `"`
"#,
        ),
        text(
            "a = 1
a = 2
",
            "
2:1 not valid TOML: duplicate key
  expected a key that is not there yet
",
        ),
        text(
            "",
            r#"
1:1 the scenario has no Main
  expected a [[main]] in this file
  help: the smallest one is:  [[main]]  name = "main-a"
"#,
        ),
        text(
            r#"name = "x"
main = 3
"#,
            "
2:8 `main` is a whole number
  expected a table: [[main]]
",
        ),
        text(
            "main = [3]
",
            "
1:9 `main` is a whole number
  expected a table: [[main]]
",
        ),
        text(
            r#"node = "fast"
[[main]]
name = "a"
"#,
            "
1:8 `node` is a string
  expected a table: [node]
",
        ),
        base(
            r#"[gats]
p99 = "1s"
"#,
            "
11:2 unknown key `gats` in the scenario
  expected one of `name`, `description`, `params`, `template`, `phase`, `duration`, `seed`, `probe`, `operator`, `node`, `service`, `host`, `dht`, `main`, `home`, `groups`, and 14 more
  help: did you mean `gate`?
",
        ),
        base(
            r#"[node]
heart_beat = "30s"
"#,
            "
12:1 unknown key `heart_beat` in [node]
  expected one of `heartbeat`, `unhealthy_after`, `backoff_initial`, `backoff_cap`, `registry_ttl`, `call_timeout`, `drain`, `home_calls_per_second`
  help: did you mean `heartbeat`?
",
        ),
        base(
            r#"[[main]]
nmae = "main-b"
"#,
            "
12:1 unknown key `nmae` in [[main]]
  expected one of `name`, `count`, `start`, `node_id`, `tls`, `services`, `cpu`, `cores`, `disk`, `clock`, `dht`, `peers`, `peers_srv`
  help: did you mean `name`?
",
        ),
    ];
    check(cases);
}
