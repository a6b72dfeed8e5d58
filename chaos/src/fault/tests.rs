//! When faults are active, whom they touch, how they read and how they are written.

use super::*;
use crate::quantity::{Drift, Offset};
use crate::{LinkChange, Share};

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn partition(from: Option<&str>, direction: Direction) -> Fault {
    let from = from.map(Selector::from);
    let what = Partition { hosts: Selector::from("b"), from, direction, lasts: secs(90) };
    Fault { at: secs(120), what: FaultKind::Partition(what) }
}

fn crash(down: Option<Duration>, disk: Disk) -> Fault {
    let what =
        Crash { hosts: Selector::from("b"), how: CrashKind::PowerCut, at_disk_operation: None, down, disk };
    Fault { at: secs(10), what: FaultKind::Crash(what) }
}

fn slow_link(one_way: bool) -> Fault {
    let change = LinkChange { loss: Some(Share::ONE), ..LinkChange::default() };
    let what =
        LinkFault { from: Selector::from("a"), to: Selector::from("b"), one_way, change, lasts: secs(5) };
    Fault { at: secs(1), what: FaultKind::Link(what) }
}

fn on_b<W>(what: W) -> OnHosts<Selector, W> {
    OnHosts { hosts: Selector::from("b"), what, lasts: Some(secs(60)) }
}

fn is(name: &str) -> impl Fn(&Selector) -> bool + '_ {
    move |set| set.patterns().iter().any(|pattern| pattern == name)
}

/// Whether a packet from one host to the other is stopped.
fn severs(fault: &Fault, source: &str, target: &str) -> bool {
    fault.severs(is(source), is(target))
}

#[test]
fn says_what_it_is() {
    let words = |fault: Fault| fault.to_string();
    assert_eq!(words(partition(None, Direction::Both)), "partition of b from everyone, both ways, 1m30s");
    assert_eq!(words(partition(Some("a"), Direction::In)), "partition of b from a, inbound only, 1m30s");
    assert_eq!(
        words(crash(Some(secs(75)), Disk::Wipe)),
        "crash of b (power cut), down for 1m15s, disk wiped"
    );
    assert_eq!(words(crash(None, Disk::Keep)), "crash of b (power cut), down for good");
    assert_eq!(words(slow_link(false)), "links of a and b: loss 100%, 5s");
    assert_eq!(words(slow_link(true)), "links of a to b: loss 100%, 5s");
    let stop = Stop { hosts: Selector::from("b"), down: Some(secs(60)) };
    assert_eq!(FaultKind::Stop(stop).to_string(), "stop of b, down for 1m");
}

#[test]
fn is_active_until_before_its_end() {
    let active = partition(None, Direction::Both).active();
    assert_eq!(active, Active { start: secs(120), end: Some(secs(210)) });
    assert!(!active.contains(secs(119)) && active.contains(secs(120)));
    assert!(active.contains(secs(209)) && !active.contains(secs(210)));
    assert!(active.overlaps(secs(0), secs(120)) && !active.overlaps(secs(0), secs(119)));
    assert!(active.overlaps(secs(209), secs(300)) && !active.overlaps(secs(210), secs(300)));
    let for_good = crash(None, Disk::Keep).active();
    assert_eq!(for_good.end, None);
    assert!(for_good.contains(secs(1_000_000)) && for_good.overlaps(secs(500), secs(600)));
}

#[test]
fn a_partition_stops_what_its_direction_says() {
    let both = partition(None, Direction::Both);
    assert!(severs(&both, "a", "b") && severs(&both, "b", "a"));
    assert!(!severs(&both, "a", "c"), "others are not touched");
    let inbound = partition(None, Direction::In);
    assert!(severs(&inbound, "a", "b") && !severs(&inbound, "b", "a"));
    let outbound = partition(None, Direction::Out);
    assert!(!severs(&outbound, "a", "b") && severs(&outbound, "b", "a"));
    let from_a = partition(Some("a"), Direction::Both);
    assert!(severs(&from_a, "a", "b") && severs(&from_a, "b", "a"));
    assert!(!severs(&from_a, "c", "b") && !severs(&from_a, "b", "c"));
}

#[test]
fn a_partition_spares_its_own_side() {
    let hosts = Selector::new(["a", "b"]);
    let what = Partition { hosts, from: None, direction: Direction::Both, lasts: secs(1) };
    let fault = Fault { at: secs(0), what: FaultKind::Partition(what) };
    assert!(!severs(&fault, "a", "b"));
    assert!(severs(&fault, "a", "c"));
}

#[test]
fn a_crash_severs_its_host_from_all() {
    let fault = crash(None, Disk::Keep);
    assert!(severs(&fault, "a", "b") && severs(&fault, "b", "a") && !severs(&fault, "a", "c"));
    assert!(fault.takes_down(is("b")) && !fault.takes_down(is("a")));
    assert!(fault.touches(is("b")) && !fault.touches(is("a")));
}

#[test]
fn a_link_fault_degrades_and_severs_nothing() {
    let both = slow_link(false);
    assert!(both.degrades(is("a"), is("b")).is_some() && both.degrades(is("b"), is("a")).is_some());
    assert!(both.degrades(is("a"), is("c")).is_none());
    assert!(!severs(&both, "a", "b"));
    let one_way = slow_link(true);
    assert!(one_way.degrades(is("a"), is("b")).is_some() && one_way.degrades(is("b"), is("a")).is_none());
    assert!(one_way.touches(is("a")) && one_way.touches(is("b")) && !one_way.touches(is("c")));
}

#[test]
fn an_expired_certificate_takes_nobody_down() {
    let fault = Fault { at: secs(1), what: FaultKind::Expiry(on_b(Expired {})) };
    assert_eq!(fault.to_string(), "certificates of b expired, 1m");
    assert_eq!(fault.active(), Active { start: secs(1), end: Some(secs(61)) });
    assert!(!severs(&fault, "a", "b") && !fault.takes_down(is("b")));
    assert!(fault.touches(is("b")) && !fault.touches(is("a")));
    let text = toml::to_string(&fault).expect("it can be written");
    assert_eq!(text, "at = \"1s\"\nkind = \"certificate-expires\"\nhosts = \"b\"\nlasts = \"1m\"\n");
    assert_eq!(fault.map(|set| format!("<{set}>")).to_string(), "certificates of <b> expired, 1m");
}

#[test]
fn a_partition_from_everyone_touches_everyone() {
    assert!(partition(None, Direction::Both).touches(is("c")));
    assert!(!partition(Some("a"), Direction::Both).touches(is("c")));
}

#[test]
fn is_written_as_a_scenario_has_it() {
    let text = toml::to_string(&partition(None, Direction::Both)).expect("it can be written");
    assert_eq!(
        text,
        "at = \"2m\"\nkind = \"partition\"\nhosts = \"b\"\ndirection = \"both\"\nlasts = \"1m30s\"\n"
    );
    let text = toml::to_string(&slow_link(true)).expect("it can be written");
    let expected = "at = \"1s\"\nkind = \"link\"\nfrom = \"a\"\nto = \"b\"\none_way = true\nloss = \"100%\"\nlasts = \"5s\"\n";
    assert_eq!(text, expected);
}

#[test]
fn maps_all_its_sets() {
    let longer = |set: Selector| format!("<{set}>");
    assert_eq!(
        partition(Some("a"), Direction::Out).map(longer).to_string(),
        "partition of <b> from <a>, outbound only, 1m30s"
    );
    assert_eq!(slow_link(true).map(longer).to_string(), "links of <a> to <b>: loss 100%, 5s");
}

#[test]
fn what_happens_on_hosts_reads_in_words_and_is_written_as_a_scenario_has_it() {
    let written = |what| toml::to_string(&Fault { at: secs(1), what }).expect("it can be written");
    let clock = FaultKind::Clock(on_b(ClockTrouble {
        offset: Some(Offset::back(secs(90))),
        drift: Drift::from_ppm(200),
    }));
    assert_eq!(clock.to_string(), "clocks of b: off by -1m30s, drift +200ppm, 1m");
    let expected = "at = \"1s\"\nkind = \"clock\"\nhosts = \"b\"\noffset = \"-1m30s\"\ndrift = \"+200ppm\"\nlasts = \"1m\"\n";
    assert_eq!(written(clock), expected);
    let slow = FaultKind::Slow(on_b(Slowed { per_message: Duration::from_millis(5) }));
    assert_eq!(slow.to_string(), "slowness of b: 5ms per message, 1m");
    assert!(written(slow).contains("cpu = \"5ms per message\""));
    let disk = FaultKind::Disk(on_b(DiskTrouble { trouble: DiskFailure::LostSync, share: Share::ONE }));
    assert_eq!(disk.to_string(), "disk of b loses syncs, 1m");
    assert!(written(disk).contains("trouble = \"lost-sync\"\nshare = \"100%\""));
    let pause = FaultKind::Pause(on_b(Paused {}));
    assert_eq!(written(pause), "at = \"1s\"\nkind = \"pause\"\nhosts = \"b\"\nlasts = \"1m\"\n");
}

#[test]
fn who_is_paused_is_not_reached_and_who_is_slow_is() {
    let pause = Fault { at: secs(1), what: FaultKind::Pause(on_b(Paused {})) };
    assert!(severs(&pause, "a", "b") && pause.takes_down(is("b")) && pause.disturbs());
    let slow =
        Fault { at: secs(1), what: FaultKind::Slow(on_b(Slowed { per_message: Duration::from_millis(1) })) };
    assert!(!severs(&slow, "a", "b") && !slow.disturbs() && slow.touches(is("b")));
}

#[test]
fn what_happens_in_a_moment_is_over_when_it_begins() {
    let what = Streams {
        from: Selector::from("a"),
        to: Selector::from("b"),
        trouble: StreamFailure::Reset,
        share: Share::ONE,
        lasts: None,
    };
    let reset = Fault { at: secs(5), what: FaultKind::Streams(what) };
    assert!(reset.active().is_moment());
    assert!(severs(&reset, "a", "b") && severs(&reset, "b", "a") && !severs(&reset, "a", "c"));
    assert_eq!(reset.to_string(), "streams between a and b are reset");
}
