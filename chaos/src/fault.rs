//! What goes wrong, when, and with whom.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::quantity::duration;
use crate::{LinkChange, Selector};

/// One thing that goes wrong. `S` says with whom: patterns as written, or whatever they were resolved to.
///
/// Serialized to TOML it is a `[[fault]]` table of a scenario file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault<S = Selector> {
    /// When it begins, from the start of the run.
    #[serde(with = "duration")]
    pub at: Duration,
    /// What happens.
    #[serde(flatten)]
    pub what: FaultKind<S>,
}

/// What happens in a [`Fault`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum FaultKind<S = Selector> {
    /// Packets between two sides do not arrive for a while.
    Partition(Partition<S>),
    /// Hosts go down without a word of their own.
    Crash(Crash<S>),
    /// Hosts are asked to end (SIGTERM) and do so in good order.
    Stop(Stop<S>),
    /// Links behave otherwise for a while.
    Link(LinkFault<S>),
    /// Certificates have run out, and are renewed late.
    #[serde(rename = "certificate-expires")]
    Expiry(Expiry<S>),
}

/// Packets between two sides do not arrive. Nobody is told: dials time out, streams stall.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Partition<S = Selector> {
    /// One side.
    pub hosts: S,
    /// The other side; everyone else where it is `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<S>,
    /// Which packets are stopped, seen from `hosts`.
    pub direction: Direction,
    /// How long until it heals.
    #[serde(with = "duration")]
    pub lasts: Duration,
}

/// Which packets a partition stops, seen from its `hosts`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Those to and from `hosts`.
    #[default]
    Both,
    /// Those to `hosts`: they can speak, and hear nothing.
    In,
    /// Those from `hosts`: they hear, and are not heard.
    Out,
}

/// Hosts go down without a word of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Crash<S = Selector> {
    /// Who goes down.
    pub hosts: S,
    /// What takes them down.
    pub how: CrashKind,
    /// How long until they start again; `None`: they stay down.
    #[serde(with = "duration::optional", skip_serializing_if = "Option::is_none")]
    pub down: Option<Duration>,
    /// What they find on their disk when they start again.
    pub disk: Disk,
}

/// What takes a host down in a [`Crash`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum CrashKind {
    /// The process is killed: its connections are reset, and what it wrote is kept.
    #[default]
    #[serde(rename = "kill")]
    Kill,
    /// The power goes: peers hear nothing, and only what was synced is kept.
    #[serde(rename = "power-cut")]
    PowerCut,
}

/// What a host finds on its disk when it starts again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Disk {
    /// What the crash left.
    #[default]
    Keep,
    /// Nothing.
    Wipe,
}

/// Hosts are asked to end (SIGTERM) and do so in good order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stop<S = Selector> {
    /// Who ends.
    pub hosts: S,
    /// How long after the request they start again; `None`: they stay down.
    #[serde(with = "duration::optional", skip_serializing_if = "Option::is_none")]
    pub down: Option<Duration>,
}

/// Links behave otherwise for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LinkFault<S = Selector> {
    /// Where the packets come from.
    pub from: S,
    /// Where they go.
    pub to: S,
    /// Whether packets the other way stay as they were.
    pub one_way: bool,
    /// What changes.
    #[serde(flatten)]
    pub change: LinkChange,
    /// How long until the links are as before.
    #[serde(with = "duration")]
    pub lasts: Duration,
}

/// The certificates of hosts have run out. Who is connected stays so; nobody new is, until they are renewed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Expiry<S = Selector> {
    /// Whose certificates.
    pub hosts: S,
    /// How long until they are renewed.
    #[serde(with = "duration")]
    pub lasts: Duration,
}

/// When a fault is active: from `start` until before `end`, or for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Active {
    /// When it begins, from the start of the run.
    pub start: Duration,
    /// When it is over: the heal, or the restart. `None`: never.
    pub end: Option<Duration>,
}

impl Active {
    /// Whether it is active at `time`.
    pub fn contains(&self, time: Duration) -> bool {
        self.start <= time && self.end.is_none_or(|end| time < end)
    }

    /// Whether it is active at any time from `first` to `last`, both included.
    pub fn overlaps(&self, first: Duration, last: Duration) -> bool {
        self.start <= last && self.end.is_none_or(|end| first < end)
    }
}

impl<S> Fault<S> {
    /// When the fault is active. A crash or a stop lasts until the host starts again.
    pub fn active(&self) -> Active {
        let lasts = match &self.what {
            FaultKind::Partition(it) => Some(it.lasts),
            FaultKind::Crash(it) => it.down,
            FaultKind::Stop(it) => it.down,
            FaultKind::Link(it) => Some(it.lasts),
            FaultKind::Expiry(it) => Some(it.lasts),
        };
        Active { start: self.at, end: lasts.map(|lasts| self.at.saturating_add(lasts)) }
    }

    /// Whether a host is down while the fault is active. `contains` says whether the host is in a set.
    pub fn takes_down(&self, contains: impl Fn(&S) -> bool) -> bool {
        match &self.what {
            FaultKind::Crash(it) => contains(&it.hosts),
            FaultKind::Stop(it) => contains(&it.hosts),
            FaultKind::Partition(_) | FaultKind::Link(_) | FaultKind::Expiry(_) => false,
        }
    }

    /// Whether no packet arrives that one host sends to another while the fault is active.
    ///
    /// `source` and `target` say whether the sending and the receiving host are in a set.
    pub fn severs(&self, source: impl Fn(&S) -> bool, target: impl Fn(&S) -> bool) -> bool {
        if self.takes_down(&source) || self.takes_down(&target) {
            return true;
        }
        let FaultKind::Partition(it) = &self.what else { return false };
        let other = |host: &dyn Fn(&S) -> bool| match &it.from {
            Some(from) => host(from),
            None => !host(&it.hosts),
        };
        let leaves = source(&it.hosts) && other(&target);
        let enters = other(&source) && target(&it.hosts);
        match it.direction {
            Direction::Both => leaves || enters,
            Direction::In => enters,
            Direction::Out => leaves,
        }
    }

    /// The change made to the link from one host to another while the fault is active.
    ///
    /// `source` and `target` say whether the sending and the receiving host are in a set.
    pub fn degrades(&self, source: impl Fn(&S) -> bool, target: impl Fn(&S) -> bool) -> Option<&LinkChange> {
        let FaultKind::Link(it) = &self.what else { return None };
        let along = source(&it.from) && target(&it.to);
        let back = !it.one_way && source(&it.to) && target(&it.from);
        (along || back).then_some(&it.change)
    }

    /// Whether the fault has to do with a host at all. `contains` says whether the host is in a set.
    pub fn touches(&self, contains: impl Fn(&S) -> bool) -> bool {
        match &self.what {
            FaultKind::Partition(it) => contains(&it.hosts) || it.from.as_ref().is_none_or(contains),
            FaultKind::Crash(it) => contains(&it.hosts),
            FaultKind::Stop(it) => contains(&it.hosts),
            FaultKind::Link(it) => contains(&it.from) || contains(&it.to),
            FaultKind::Expiry(it) => contains(&it.hosts),
        }
    }

    /// The same fault with each set of hosts turned into another, such as patterns into the hosts they match.
    pub fn map<T>(self, mut to: impl FnMut(S) -> T) -> Fault<T> {
        let what = match self.what {
            FaultKind::Partition(Partition { hosts, from, direction, lasts }) => {
                FaultKind::Partition(Partition { hosts: to(hosts), from: from.map(to), direction, lasts })
            }
            FaultKind::Crash(Crash { hosts, how, down, disk }) => {
                FaultKind::Crash(Crash { hosts: to(hosts), how, down, disk })
            }
            FaultKind::Stop(Stop { hosts, down }) => FaultKind::Stop(Stop { hosts: to(hosts), down }),
            FaultKind::Link(LinkFault { from, to: target, one_way, change, lasts }) => {
                FaultKind::Link(LinkFault { from: to(from), to: to(target), one_way, change, lasts })
            }
            FaultKind::Expiry(Expiry { hosts, lasts }) => {
                FaultKind::Expiry(Expiry { hosts: to(hosts), lasts })
            }
        };
        Fault { at: self.at, what }
    }
}

/// The fault in words, without its time: `partition of main-b from everyone, both ways, 90s`.
impl<S: fmt::Display> fmt::Display for Fault<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.what.fmt(f)
    }
}

impl<S: fmt::Display> fmt::Display for FaultKind<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FaultKind::Partition(it) => {
                write!(f, "partition of {} from ", it.hosts)?;
                match &it.from {
                    Some(from) => from.fmt(f)?,
                    None => f.write_str("everyone")?,
                }
                let direction = match it.direction {
                    Direction::Both => "both ways",
                    Direction::In => "inbound only",
                    Direction::Out => "outbound only",
                };
                write!(f, ", {direction}, {}", duration::format(it.lasts))
            }
            FaultKind::Crash(it) => {
                let how = match it.how {
                    CrashKind::Kill => "kill",
                    CrashKind::PowerCut => "power cut",
                };
                write!(f, "crash of {} ({how}), {}", it.hosts, Down(it.down))?;
                match (it.disk, it.down) {
                    (Disk::Wipe, Some(_)) => f.write_str(", disk wiped"),
                    _ => Ok(()),
                }
            }
            FaultKind::Stop(it) => write!(f, "stop of {}, {}", it.hosts, Down(it.down)),
            FaultKind::Link(it) => {
                let way = if it.one_way { "to" } else { "and" };
                let lasts = duration::format(it.lasts);
                write!(f, "links of {} {way} {}: {}, {lasts}", it.from, it.to, it.change.describe())
            }
            FaultKind::Expiry(it) => {
                write!(f, "certificates of {} expired, {}", it.hosts, duration::format(it.lasts))
            }
        }
    }
}

/// How long a host is down, in words.
struct Down(Option<Duration>);

impl fmt::Display for Down {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(down) => write!(f, "down for {}", duration::format(down)),
            None => f.write_str("down for good"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
        let what = Crash { hosts: Selector::from("b"), how: CrashKind::PowerCut, down, disk };
        Fault { at: secs(10), what: FaultKind::Crash(what) }
    }

    fn slow_link(one_way: bool) -> Fault {
        let change = LinkChange { loss: Some(Share::ONE), ..LinkChange::default() };
        let what =
            LinkFault { from: Selector::from("a"), to: Selector::from("b"), one_way, change, lasts: secs(5) };
        Fault { at: secs(1), what: FaultKind::Link(what) }
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
        let fault = Fault {
            at: secs(1),
            what: FaultKind::Expiry(Expiry { hosts: Selector::from("b"), lasts: secs(60) }),
        };
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
}
