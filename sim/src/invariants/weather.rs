//! What the plan of faults says of a time: whether anything is wrong then, and what was done to a host.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use relay_chaos::{Disk, DiskFailure, Fault, FaultKind, NameAnswer};

use crate::scenario::{HostIndex, HostSet, OnAbort, Scenario, Upgrade, Window};

/// How long a machine may have to catch up with after it was slow or stood still.
const BACKLOG: Duration = Duration::from_secs(10);

/// A relay that has descriptors again takes those in that have waited within this time: it looks ten times a second.
const ACCEPTS_AGAIN: Duration = Duration::from_secs(1);

/// Knows the faults of a scenario. Cheap to clone.
#[derive(Clone)]
pub(super) struct Weather {
    /// The faults that come whatever happens.
    faults: Arc<[Fault<HostSet>]>,
    /// Those that had come, of the others. Many look, and who adds one does so while nobody does.
    befell: Arc<RwLock<Vec<Fault<HostSet>>>>,
    /// From when to when an upgrade may be on its way back, which no plan tells, or some relays speak TLS and others do
    /// not yet know.
    ways_back: Arc<[Window]>,
    is_main: Arc<[bool]>,
}

impl Weather {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let is_main = scenario.topology.hosts.iter().map(|(_, host)| host.is_main());
        let topology = &scenario.topology;
        let is_torn = |upgrade: &Upgrade| upgrade.cut_over(topology).next().is_some();
        let ways_back = topology.upgrades.iter().filter(|it| it.rest() > it.end() || is_torn(it));
        // One that is given up half-way and stays so leaves relays that cannot reach each other for good.
        let rest = |it: &Upgrade| match it.on_abort {
            OnAbort::Stop if is_torn(it) && !it.abort_on.is_empty() => scenario.run.duration,
            _ => it.rest(),
        };
        let ways_back = ways_back.map(|it| Window { from: it.batches[0].at, to: rest(it) });
        let faults = scenario.faults.iter().filter(|fault| !fault.is_conditional()).cloned().collect();
        Weather { faults, befell: Arc::default(), ways_back: ways_back.collect(), is_main: is_main.collect() }
    }

    /// A fault that may or may not come has come.
    pub(super) fn befell(&self, fault: Fault<HostSet>) {
        self.befell.write().unwrap_or_else(PoisonError::into_inner).push(fault);
    }

    /// Whether this is so of any fault.
    fn any(&self, is_so: impl Fn(&Fault<HostSet>) -> bool) -> bool {
        self.faults.iter().any(&is_so)
            || self.befell.read().unwrap_or_else(PoisonError::into_inner).iter().any(is_so)
    }

    /// Whether no fault is active at any moment from the first to the last.
    pub(super) fn is_calm(&self, first: Duration, last: Duration) -> bool {
        self.nobody_goes_back(first, last) && !self.any(|fault| fault.active().overlaps(first, last))
    }

    /// Whether no upgrade may be on its way back at any moment from the first to the last.
    fn nobody_goes_back(&self, first: Duration, last: Duration) -> bool {
        !self.ways_back.iter().any(|way| way.from <= last && first < way.to)
    }

    /// As [`Weather::is_calm`], but for Homes that have been down all that time.
    pub(super) fn is_calm_but_for_the_dead(&self, first: Duration, last: Duration) -> bool {
        let is_grave = |fault: &Fault<HostSet>| {
            let active = fault.active();
            let mains = || self.is_main.iter().enumerate().filter(|(_, is_main)| **is_main);
            let index = |at: usize| HostIndex(u32::try_from(at).unwrap_or(u32::MAX));
            matches!(fault.what, FaultKind::Crash(_) | FaultKind::Stop(_))
                && active.start <= first
                && active.end.is_none_or(|end| end > last)
                && !mains().any(|(at, _)| fault.takes_down(|set: &HostSet| set.contains(index(at))))
        };
        self.nobody_goes_back(first, last)
            && !self.any(|fault| fault.active().overlaps(first, last) && !is_grave(fault))
    }

    /// Whether the host that went down at this time was asked to, and nothing else is wrong until `last`.
    pub(super) fn left_in_peace(&self, host: HostIndex, at: Duration, last: Duration) -> bool {
        let is_stop = |fault: &Fault<HostSet>| {
            matches!(fault.what, FaultKind::Stop(_))
                && fault.active().start == at
                && fault.takes_down(|set: &HostSet| set.contains(host))
        };
        let meanwhile = |fault: &Fault<HostSet>| fault.active().overlaps(at, last);
        self.nobody_goes_back(at, last)
            && self.any(meanwhile)
            && !self.any(|fault| meanwhile(fault) && !is_stop(fault))
    }

    /// Whether the host's disk has lied to it or rotted by now: what it was told is kept may be gone or be something else.
    pub(super) fn is_deceived(&self, host: HostIndex, at: Duration) -> bool {
        self.any(|fault| match &fault.what {
            FaultKind::Disk(it) => {
                let deceives = matches!(it.what.trouble, DiskFailure::LostSync | DiskFailure::BitRot);
                deceives && it.hosts.contains(host) && fault.active().start <= at
            }
            _ => false,
        })
    }

    /// Whether names have lied to this host by now: a peer that it was told to dial may be listed under whom it found there
    /// instead. From then on, as no plan tells how long it has a link to that one.
    pub(super) fn is_misled(&self, host: HostIndex, at: Duration) -> bool {
        self.any(|fault| match &fault.what {
            FaultKind::Dns(it) => {
                let lies = it.what.answer == NameAnswer::Wrong && it.hosts.contains(host);
                lies && fault.active().start <= at
            }
            _ => false,
        })
    }

    /// Whether the disk of the host that went down at this time was emptied with it.
    pub(super) fn emptied(&self, host: HostIndex, at: Duration) -> bool {
        self.any(|fault| match &fault.what {
            FaultKind::Crash(it) => {
                it.disk == Disk::Wipe && it.hosts.contains(host) && fault.active().start == at
            }
            _ => false,
        })
    }

    /// For how long the relay of this host was held up from the first to the last: its machine was slow, stood still, or
    /// caught up with what had come in; or it could open nothing for those who dialled it. A clock holds nobody up. No call
    /// that it was handed can be later than that for its own relay's sake.
    pub(super) fn held_up(&self, host: HostIndex, first: Duration, last: Duration) -> Duration {
        let spell = |fault: &Fault<HostSet>| {
            let settles = match &fault.what {
                FaultKind::Slow(_) | FaultKind::Pause(_) => BACKLOG,
                FaultKind::Descriptors(_) => ACCEPTS_AGAIN,
                _ => return None,
            };
            let active = fault.active();
            let end = active.end.map_or(last, |end| end + settles);
            let (from, to) = (active.start.max(first), end.min(last));
            (fault.what.hosts().contains(host) && from < to).then_some((from, to))
        };
        let mut spells: Vec<_> = self.faults.iter().filter_map(spell).collect();
        spells.sort_unstable();
        let (mut sum, mut counted) = (Duration::ZERO, first);
        for (from, to) in spells {
            sum += to.saturating_sub(from.max(counted));
            counted = counted.max(to);
        }
        sum
    }

    /// Whether the relay of this host could open nothing at some time from the first to the last, and may have had to refuse
    /// its own clients.
    pub(super) fn lacks_descriptors(&self, host: HostIndex, first: Duration, last: Duration) -> bool {
        let first = first.saturating_sub(ACCEPTS_AGAIN);
        let mut active = self.faults.iter().filter(|fault| fault.active().overlaps(first, last));
        active.any(|fault| matches!(&fault.what, FaultKind::Descriptors(it) if it.hosts.contains(host)))
    }

    /// Whether packets arrive everywhere, as far as links are to, at any moment from the first to the last.
    pub(super) fn network_is_whole(&self, first: Duration, last: Duration) -> bool {
        let breaks = |what: &FaultKind<HostSet>| {
            matches!(what, FaultKind::Partition(_) | FaultKind::Link(_) | FaultKind::Nat(_))
        };
        let mut active = self.faults.iter().filter(|fault| fault.active().overlaps(first, last));
        !active.any(|fault| breaks(&fault.what))
    }

    /// Whether a time that the relay of this host counts down may take another one: it is stopped or slow, or its
    /// seconds are longer or shorter than others'. A clock that is merely off counts like any other.
    pub(super) fn counts_otherwise(&self, host: HostIndex, first: Duration, last: Duration) -> bool {
        self.befalls(host, first, last, |what| match what {
            FaultKind::Pause(_) | FaultKind::Slow(_) => true,
            FaultKind::Clock(it) => it.what.drift.is_some(),
            _ => false,
        })
    }

    /// Whether such a fault is active on the host from the first to the last, or was so lately that its machine may
    /// still catch up.
    fn befalls(
        &self,
        host: HostIndex,
        first: Duration,
        last: Duration,
        is_it: impl Fn(&FaultKind<HostSet>) -> bool,
    ) -> bool {
        let first = first.saturating_sub(BACKLOG);
        self.any(|fault| {
            fault.active().overlaps(first, last) && is_it(&fault.what) && fault.what.hosts().contains(host)
        })
    }
}

#[cfg(test)]
mod tests {
    use relay_chaos::{Crash, CrashKind};

    use super::super::testing::seconds;
    use super::*;

    const HOSTS: &str = r#"
duration = "10m"
[[main]]
name = "main"
[[home]]
name = "home"
main = "main"
"#;
    const MAIN: HostIndex = HostIndex(0);
    const HOME: HostIndex = HostIndex(1);

    fn weather(faults: &str) -> Weather {
        let scenario = Scenario::load("test.toml", &format!("{HOSTS}{faults}"));
        Weather::new(&scenario.unwrap_or_else(|error| panic!("{:?}", miette::Report::new(error))))
    }

    #[test]
    fn it_is_calm_before_and_after_a_fault_and_not_meanwhile() {
        let weather = weather("[[fault]]\nat = \"60s\"\nkind = \"crash\"\nhost = \"main\"\ndown = \"10s\"\n");
        assert!(weather.is_calm(seconds(0), seconds(59)) && weather.is_calm(seconds(70), seconds(90)));
        assert!(!weather.is_calm(seconds(0), seconds(60)) && !weather.is_calm(seconds(69), seconds(90)));
        assert!(!weather.is_calm_but_for_the_dead(seconds(61), seconds(69)), "a Main is missed");
    }

    #[test]
    fn a_home_that_is_dead_all_the_time_disturbs_nobody() {
        let weather = weather("[[fault]]\nat = \"60s\"\nkind = \"crash\"\nhost = \"home\"\ndown = \"60s\"\n");
        assert!(weather.is_calm_but_for_the_dead(seconds(61), seconds(119)));
        assert!(!weather.is_calm_but_for_the_dead(seconds(59), seconds(61)), "it dies meanwhile");
        assert!(!weather.is_calm_but_for_the_dead(seconds(61), seconds(120)), "it comes back meanwhile");
        assert!(!weather.is_calm(seconds(61), seconds(62)));
    }

    #[test]
    fn who_was_stopped_left_in_peace_and_who_crashed_did_not() {
        let stop = weather("[[fault]]\nat = \"60s\"\nkind = \"stop\"\nhost = \"home\"\ndown = \"60s\"\n");
        assert!(stop.left_in_peace(HOME, seconds(60), seconds(70)));
        assert!(!stop.left_in_peace(MAIN, seconds(60), seconds(70)));
        let crash = weather("[[fault]]\nat = \"60s\"\nkind = \"crash\"\nhost = \"home\"\n");
        assert!(!crash.left_in_peace(HOME, seconds(60), seconds(70)));
    }

    #[test]
    fn a_disk_that_lied_excuses_its_host_from_then_on_and_one_that_fails_does_not() {
        let of = |trouble: &str| {
            weather(&format!(
                "[[fault]]\nat = \"60s\"\nkind = \"disk\"\nhost = \"home\"\ntrouble = \"{trouble}\"\nlasts = \"10s\"\n"
            ))
        };
        let lies = of("lost-sync");
        assert!(!lies.is_deceived(HOME, seconds(59)) && lies.is_deceived(HOME, seconds(300)));
        assert!(!lies.is_deceived(MAIN, seconds(300)));
        assert!(!of("io-error").is_deceived(HOME, seconds(65)));
    }

    #[test]
    fn names_that_have_lied_may_have_misled() {
        let weather = weather(
            "[[fault]]\nat = \"60s\"\nkind = \"dns\"\nhost = \"main\"\nanswer = \"wrong\"\nlasts = \"10s\"\n",
        );
        assert!(!weather.is_misled(MAIN, seconds(59)) && weather.is_misled(MAIN, seconds(60)));
        assert!(weather.is_misled(MAIN, seconds(190)));
        assert!(!weather.is_misled(HOME, seconds(65)));
    }

    #[test]
    fn a_disk_is_emptied_when_it_is_wiped() {
        let weather = weather(
            "[[fault]]\nat = \"60s\"\nkind = \"crash\"\nhost = \"home\"\ndown = \"10s\"\ndisk = \"wipe\"\n",
        );
        assert!(weather.emptied(HOME, seconds(60)) && !weather.emptied(HOME, seconds(61)));
        assert!(!weather.emptied(MAIN, seconds(60)));
    }

    #[test]
    fn who_was_slow_is_held_up_for_a_while_and_by_no_more_than_that() {
        let slow = "[[fault]]\nat = \"60s\"\nkind = \"slow\"\nhost = \"home\"\ncpu = \"50ms per message\"\nlasts = \"10s\"\n";
        let paused = "[[fault]]\nat = \"65s\"\nkind = \"pause\"\nhost = \"home\"\nlasts = \"20s\"\n";
        let held_up = |faults: &str, host, first, last| {
            weather(faults).held_up(host, seconds(first), seconds(last)).as_secs()
        };
        assert_eq!(held_up(slow, HOME, 50, 65), 5);
        assert_eq!(held_up(slow, HOME, 75, 90), 5, "it catches up");
        assert_eq!((held_up(slow, HOME, 80, 90), held_up(slow, HOME, 40, 60)), (0, 0));
        assert_eq!(held_up(slow, MAIN, 50, 90), 0, "another's machine");
        assert_eq!(held_up(&format!("{slow}{paused}"), HOME, 50, 200), 35, "no second counts twice");
        let for_good = slow.replace("lasts = \"10s\"\n", "");
        assert_eq!(held_up(&for_good, HOME, 100, 130), 30);
        let none =
            "[[fault]]\nat = \"60s\"\nkind = \"descriptors\"\nhost = \"home\"\nlimit = 1\nlasts = \"10s\"\n";
        assert_eq!(held_up(none, HOME, 50, 90), 11);
        let lacks = |first, last| weather(none).lacks_descriptors(HOME, seconds(first), seconds(last));
        assert!(lacks(50, 60) && lacks(70, 90) && !lacks(50, 59) && !lacks(72, 90));
    }

    #[test]
    fn a_power_cut_that_waits_for_the_disk_excuses_nothing_until_it_comes() {
        let weather = weather(
            "[[fault]]\nat = \"60s\"\nkind = \"crash\"\nhost = \"home\"\nhow = \"power-cut\"\nat_disk_operation = 5\n\
             down = \"60s\"\ndisk = \"wipe\"\n",
        );
        assert!(weather.is_calm(seconds(0), seconds(600)) && !weather.emptied(HOME, seconds(70)));
        let (hosts, down) = (HostSet::one("home", HOME), Some(seconds(50)));
        let (how, at_disk_operation, disk) = (CrashKind::PowerCut, Some(5), Disk::Wipe);
        let what = FaultKind::Crash(Crash { hosts, how, at_disk_operation, down, disk });
        weather.clone().befell(Fault { at: seconds(70), what });
        assert!(weather.is_calm(seconds(60), seconds(69)) && !weather.is_calm(seconds(69), seconds(70)));
        assert!(weather.is_calm_but_for_the_dead(seconds(71), seconds(119)));
        assert!(weather.emptied(HOME, seconds(70)) && !weather.emptied(HOME, seconds(60)));
    }

    #[test]
    fn only_a_clock_that_drifts_counts_otherwise() {
        let clock = |trouble: &str| {
            weather(&format!("[[fault]]\nat = \"60s\"\nkind = \"clock\"\nhost = \"home\"\n{trouble}\n"))
        };
        let counts = |trouble| clock(trouble).counts_otherwise(HOME, seconds(65), seconds(66));
        assert!(counts("drift = \"-30%\"") && counts("drift = \"1%\"\noffset = \"1h\""));
        assert!(!counts("offset = \"1h\""));
        assert_eq!(clock("drift = \"1%\"").held_up(HOME, seconds(65), seconds(66)), Duration::ZERO);
    }
}
