//! Faults of machines that cannot happen, and what they are when they can.

use super::super::Scenario;
use super::{BASE, Case, base, check};

#[test]
fn each_is_reported_at_its_place() {
    let cases: &[Case] = &[
        base(
            r#"[[fault]]
at = "1m"
kind = "pause"
host = "main-a"
"#,
            r#"
11:1 a [[fault]] of kind "pause" has no `lasts`
  expected `lasts = …` in here
"#,
        ),
        base(
            r#"[[fault]]
at = "1m"
kind = "slow"
host = "main-a"
cpu = "0s per message"
lasts = "1m"
"#,
            "
15:7 nothing gets slower
  expected a cost above zero
",
        ),
        base(
            r#"[[fault]]
at = "1m"
kind = "slow"
host = "main-a"
"#,
            r#"
11:1 a [[fault]] of kind "slow" has no `cpu`
  expected `cpu = …` in here
"#,
        ),
        base(
            r#"[[fault]]
at = "1m"
kind = "clock"
host = "main-a"
lasts = "1m"
"#,
            "
11:1 this changes nothing about the clocks
  expected `offset` or `drift` in here
",
        ),
        base(
            r#"[[fault]]
at = "1m"
kind = "clock"
host = "main-a"
offset = "soon"
drift = "60%"
"#,
            r#"
15:10 bad value for `offset` in a [[fault]] of kind "clock": "soon" is not a duration
  expected an offset such as "-90s", "+5m" or "250ms"
16:9 bad value for `drift` in a [[fault]] of kind "clock": "60%" is too much
  expected a drift such as "200ppm", "-50ppm" or "1%", at most 50% either way
"#,
        ),
        base(
            r#"[[fault]]
at = "1m"
kind = "disk"
host = "main-a"
"#,
            r#"
11:1 a [[fault]] of kind "disk" has no `trouble`
  expected `trouble = …` in here
"#,
        ),
        base(
            r#"[[fault]]
at = "1m"
kind = "disk"
host = "main-a"
trouble = "io-eror"
share = "0%"
"#,
            r#"
15:11 bad value for `trouble` in a [[fault]] of kind "disk": "io-eror"
  expected one of `lost-sync`, `torn-write`, `full`, `io-error`, `bit-rot`
  help: did you mean `io-error`?
16:9 nothing goes wrong
  expected a share above zero
"#,
        ),
        base(
            r#"[[fault]]
at = "1m"
kind = "crash"
host = "main-a"
at_disk_operation = 7
"#,
            r#"
15:21 only a power cut waits for the disk
  expected `how = "power-cut"` beside it
"#,
        ),
        base(
            r#"[[fault]]
at = "1m"
kind = "crash"
host = "main-a"
how = "power-cut"
at_disk_operation = 0
"#,
            "
16:21 there is no operation 0
  expected at least 1, the next operation
",
        ),
        base(
            r#"[[home]]
name = "late"
main = "main-a"
clock = {}
disk = "2ms"
[[home]]
name = "later"
main = "main-a"
clock = "+5m"
disk = "2s per sync"
"#,
            r#"
14:9 this changes nothing about the clocks
  expected `offset` or `drift` in here
15:8 bad value for `disk` in [[home]]: "2ms" does not say what it is for
  expected a cost in quotes, such as "2ms per sync"
19:9 `clock` is a string
  expected a table: `clock`
20:8 bad value for `disk` in [[home]]: "2s per sync" is more than 1s per sync
  expected a cost in quotes, such as "2ms per sync"
"#,
        ),
    ];
    check(cases);
}

#[test]
fn what_can_happen_reads_as_it_is_written() {
    let text = format!(
        r#"{BASE}[[fault]]
at = "1m"
kind = "pause"
host = "main-a"
lasts = "20s"
[[fault]]
at = "2m"
kind = "slow"
host = "main-a"
cpu = "5ms per message"
lasts = "20s"
[[fault]]
at = "3m"
kind = "clock"
hosts = "home-*"
offset = "-90s"
drift = "200ppm"
[[fault]]
at = "4m"
kind = "disk"
host = "main-a"
trouble = "bit-rot"
share = "0.1%"
[[fault]]
at = "5m"
kind = "crash"
host = "main-a"
how = "power-cut"
at_disk_operation = 40
down = "30s"
"#
    );
    let faults = Scenario::load("x.toml", &text).unwrap().faults;
    let words: Vec<_> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(
        words,
        [
            "pause of main-a, 20s",
            "slowness of main-a: 5ms per message, 20s",
            "clocks of home-*: off by -1m30s, drift +200ppm",
            "disk of main-a rots (0.1%)",
            "crash of main-a (power cut at disk operation 40), down for 30s",
        ]
    );
}

#[test]
fn machines_have_clocks_and_disks_of_their_own_or_those_of_all() {
    let text = format!(
        "[host]\ndisk = \"2ms per sync\"\n{BASE}[[home]]\nname = \"odd\"\nmain = \"main-a\"\ndisk = \"0s per sync\"\nclock = {{ offset = \"-2m\", drift = \"50ppm\" }}\n"
    );
    let hosts = Scenario::load("x.toml", &text).unwrap().topology.hosts;
    let machine = |name| hosts.get(hosts.find(name).unwrap()).machine;
    let (usual, odd) = (machine("home-1"), machine("odd"));
    assert_eq!((usual.per_sync.as_millis(), odd.per_sync.as_millis()), (2, 0));
    assert_eq!(usual.clock, relay_chaos::ClockTrouble::default());
    assert_eq!(odd.clock.offset.unwrap().to_string(), "-2m");
    assert_eq!(odd.clock.drift.unwrap().ppm(), 50);
}
