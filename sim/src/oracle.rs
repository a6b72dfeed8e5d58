//! What should be: which calls had a whole path, and what every Main should list.
//!
//! The path of a call is whole when, from the moment it is sent to the moment it ends, every host on its way is up,
//! nothing is cut between two of them, and the federation has been seen to agree again since the last time when that
//! was otherwise. The last part matters: right after a heal the wires are whole, and the links over them are not yet.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use relay_chaos::{CrashKind, Fault, FaultKind};
use relay_node::config::Timing;

use crate::scenario::{HostIndex, HostSet, Role, Scenario};
use crate::world::longest_timing;

/// Whom a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callee<'a> {
    /// This host.
    Host(HostIndex),
    /// Any host that offers this service.
    Service(&'a str),
}

/// How long a Home takes to dial another Main and to be announced, with room to spare.
const MOVE_TIME: Duration = Duration::from_secs(5);

/// A Home looks for its preferred Main at least this often, and moves back at once.
const RETURN_TIME: Duration = Duration::from_secs(60);

/// A relay that stood still let calls time out over links that are whole: whoever opened a circuit for that keeps it open
/// for 30 s, and then for one call.
const CIRCUIT_CLOSES: Duration = Duration::from_secs(35);

/// What a Home has of one of its Mains. Ordered: what is worse wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Hold {
    /// Nothing has happened to it of late.
    Firm,
    /// It is back, and the Home may be back on it or not yet.
    Regained,
    /// It has been gone for so long that the Home is elsewhere.
    Lost,
    /// Nobody can tell.
    Unclear,
}

/// Knows the plan of the faults, and is told when the federation agrees.
pub struct Oracle {
    scenario: Arc<Scenario>,
    /// When all Mains were seen to agree with the truth, after something had changed. Ascending.
    settled: Vec<Duration>,
    /// The faults of the scenario that come whatever happens, and what nobody could plan for.
    faults: Vec<Fault<HostSet>>,
    timing: Timing,
    /// By Home: since when it is told to hang on other Mains than at its start, and on which. By time.
    moves: BTreeMap<HostIndex, Vec<(Duration, Role)>>,
    cutovers: Vec<Cutover>,
}

/// A time in which some dial these Mains otherwise than they can be dialled.
struct Cutover {
    mains: Vec<HostIndex>,
    from: Duration,
    /// `None`: it goes on.
    to: Option<Duration>,
}

impl Oracle {
    /// At the start nobody agrees on anything.
    pub fn new(scenario: Arc<Scenario>) -> Self {
        let faults = scenario.faults.iter().filter(|fault| !fault.is_conditional()).cloned().collect();
        let timing = longest_timing(&scenario);
        let (settled, moves, cutovers) = Default::default();
        Oracle { scenario, settled, faults, timing, moves, cutovers }
    }

    /// Something goes wrong that the scenario could not plan for.
    pub fn unforeseen(&mut self, fault: Fault<HostSet>) {
        self.faults.push(fault);
    }

    /// From now on a host is told to be this and to dial these.
    pub fn moved(&mut self, at: Duration, host: HostIndex, role: Role) {
        self.moves.entry(host).or_default().push((at, role));
    }

    /// From now on some dial these Mains otherwise than they can be dialled, until [`Oracle::cut_over`].
    pub fn cuts_over(&mut self, at: Duration, mains: Vec<HostIndex>) {
        self.cutovers.push(Cutover { mains, from: at, to: None });
    }

    /// All who dial these Mains do so as they can be dialled.
    pub fn cut_over(&mut self, at: Duration, mains: &[HostIndex]) {
        for cutover in self.cutovers.iter_mut().filter(|it| it.to.is_none() && it.mains == mains) {
            cutover.to = Some(at);
        }
    }

    /// All Mains agree with the truth.
    pub fn settled(&mut self, at: Duration) {
        self.settled.push(at);
    }

    /// Whether a call that `caller` sent at `sent` and that ended at `ended` had a whole path all the time.
    pub fn path_was_whole(
        &self,
        caller: HostIndex,
        callee: Callee<'_>,
        sent: Duration,
        ended: Duration,
    ) -> bool {
        if !self.agreed_between(Duration::ZERO, sent) {
            return false;
        }
        match callee {
            Callee::Host(host) => self.all_ways_whole(caller, host, sent, ended),
            // Whichever instance is chosen must be reachable, save those that are gone for good and known to be.
            Callee::Service(service) => {
                let offering = self.scenario.offering(service);
                let mut instances = offering.filter(|host| !self.buried(*host, sent)).peekable();
                instances.peek().is_some()
                    && instances.all(|host| self.all_ways_whole(caller, host, sent, ended))
            }
        }
    }

    /// Whether it is known where both ends hang, and every way between them is whole.
    fn all_ways_whole(&self, caller: HostIndex, callee: HostIndex, sent: Duration, ended: Duration) -> bool {
        let mains = |host| self.mains_of(host, sent, ended);
        let (Some(near), Some(far)) = (mains(caller), mains(callee)) else { return false };
        near.iter().all(|near| {
            far.iter().all(|far| {
                let mut path = vec![caller, *near, *far, callee];
                path.dedup();
                self.whole(&path, sent, ended)
            })
        })
    }

    fn agreed_between(&self, first: Duration, last: Duration) -> bool {
        let from = self.settled.partition_point(|at| *at < first);
        self.settled.get(from).is_some_and(|at| *at <= last)
    }

    /// A host that went down for good, which the federation has noticed by `now`.
    fn buried(&self, host: HostIndex, now: Duration) -> bool {
        self.faults.iter().any(|fault| {
            let active = fault.active();
            active.end.is_none()
                && fault.takes_down(|set: &HostSet| set.contains(host))
                && self.agreed_between(active.start, now)
        })
    }

    /// How long a fault is felt after it is over, though all Mains tell the truth.
    ///
    /// What streams held back in a partition or a stall goes out at their next retransmission, and the waits between
    /// these double (RFC 6298): the next may be as far off as it lasted. A link over which nothing came for
    /// `unhealthy_after` is given up, and the new one has no such past.
    ///
    /// Where a NAT has forgotten a Home, its Main knows of nothing; the Home learns from a reset, when it next sends
    /// something, and comes back.
    fn echo_of(&self, fault: &Fault<HostSet>) -> Duration {
        let timing = &self.timing;
        let lasts = match &fault.what {
            FaultKind::Partition(it) => it.lasts,
            FaultKind::Streams(it) => it.lasts.unwrap_or_default(),
            FaultKind::Pause(_) => return CIRCUIT_CLOSES,
            FaultKind::Nat(_) => return timing.heartbeat + timing.backoff.initial + MOVE_TIME,
            _ => return Duration::ZERO,
        };
        if lasts < timing.unhealthy_after { lasts } else { Duration::ZERO }
    }

    /// The Mains that a host may hang on while the call is under way; a Main is its own. `None` where a Home may be on
    /// its way from one to another.
    fn mains_of(&self, host: HostIndex, sent: Duration, ended: Duration) -> Option<Vec<HostIndex>> {
        let (main, fallback) = match self.role(host, sent, ended)? {
            Role::Main { .. } => return Some(vec![host]),
            Role::Home { main, fallback } => (*main, fallback),
        };
        if fallback.is_empty() {
            return Some(vec![main]);
        }
        let mut mains = std::iter::once(main).chain(fallback.iter().copied());
        if mains.any(|main| self.may_strand(host, main, sent, ended)) {
            return None;
        }
        let mut possible = Vec::new();
        for main in std::iter::once(main).chain(fallback.iter().copied()) {
            match self.hold(host, main, sent, ended) {
                Hold::Firm => {
                    possible.push(main);
                    return Some(possible);
                }
                Hold::Regained => possible.push(main),
                Hold::Lost => {}
                Hold::Unclear => return None,
            }
        }
        (!possible.is_empty()).then_some(possible)
    }

    /// What a host is told to be while the call is under way; `None` where that changes meanwhile.
    fn role(&self, host: HostIndex, sent: Duration, ended: Duration) -> Option<&Role> {
        let moves = self.moves.get(&host).map_or(&[][..], Vec::as_slice);
        let before = moves.partition_point(|(at, _)| *at <= sent);
        if moves.get(before).is_some_and(|(at, _)| *at <= ended) {
            return None;
        }
        let last = before.checked_sub(1).map(|last| &moves[last].1);
        Some(last.unwrap_or(&self.scenario.topology.hosts.get(host).role))
    }

    /// Whether some may have dialled this Main otherwise than it could be dialled, at some time of the call or since when
    /// the federation has not agreed again.
    fn is_torn(&self, main: HostIndex, sent: Duration, ended: Duration) -> bool {
        self.cutovers.iter().filter(|it| it.mains.contains(&main)).any(|it| {
            let is_past = it.to.is_some_and(|to| to <= sent && self.agreed_between(to, sent));
            it.from <= ended && !is_past
        })
    }

    /// What a Home with fallbacks has of one of its Mains.
    fn hold(&self, home: HostIndex, main: HostIndex, sent: Duration, ended: Duration) -> Hold {
        let mut hold = Hold::Firm;
        for fault in self.faults.iter().filter(|fault| breaks(fault, &[home, main])) {
            let active = fault.active();
            if active.start > ended {
                continue;
            }
            let seen = match active.end {
                Some(end) if end <= sent => match sent - end {
                    since if since >= RETURN_TIME && self.agreed_between(end, sent) => continue,
                    _ if self.agreed_between(end, sent) => Hold::Regained,
                    _ => Hold::Unclear,
                },
                _ if keeps_out(fault)
                    && active.start + self.time_to_move(fault) <= sent
                    && active.contains(ended) =>
                {
                    Hold::Lost
                }
                _ => Hold::Unclear,
            };
            hold = hold.max(seen);
        }
        hold
    }

    /// Whether a Home that wants to move to a Main may not get there, though nothing lies between them: because of the
    /// Main's certificate, of names, or of sockets.
    fn may_strand(&self, home: HostIndex, main: HostIndex, sent: Duration, ended: Duration) -> bool {
        self.is_torn(main, sent, ended)
            || self.faults.iter().any(|fault| {
                let concerns = match &fault.what {
                    FaultKind::Expiry(it) => it.hosts.contains(main),
                    FaultKind::Dns(it) => it.hosts.contains(home),
                    FaultKind::Descriptors(it) => it.hosts.contains(home) || it.hosts.contains(main),
                    _ => false,
                };
                let active = fault.active();
                let is_past = active.end.is_some_and(|end| end <= sent && self.agreed_between(end, sent));
                concerns && active.start <= ended && !is_past
            })
    }

    /// How long a Home may take from the beginning of a fault until it hangs on another Main and all others know.
    fn time_to_move(&self, fault: &Fault<HostSet>) -> Duration {
        let timing = &self.timing;
        let noticed = match &fault.what {
            FaultKind::Crash(it) if it.how == CrashKind::Kill => Duration::ZERO,
            FaultKind::Stop(_) => timing.drain,
            _ => timing.unhealthy_after + timing.dial,
        };
        noticed + timing.backoff.cap + MOVE_TIME
    }

    fn whole(&self, path: &[HostIndex], sent: Duration, ended: Duration) -> bool {
        let is_torn = !self.cutovers.is_empty() && path.iter().any(|main| self.is_torn(*main, sent, ended));
        !is_torn
            && self.faults.iter().filter(|fault| breaks(fault, path)).all(|fault| {
                let active = fault.active();
                if active.start > ended {
                    return true;
                }
                // It was active before or during the call: it must be over, and the federation agree since.
                active
                    .end
                    .is_some_and(|end| end + self.echo_of(fault) <= sent && self.agreed_between(end, sent))
            })
    }
}

/// Whether the fault takes a host of the path down, or cuts one from the next, either way.
fn breaks(fault: &Fault<HostSet>, path: &[HostIndex]) -> bool {
    let cut = |from: HostIndex, to: HostIndex| fault.severs(|set| set.contains(from), |set| set.contains(to));
    path.iter().any(|host| fault.takes_down(|set| set.contains(*host)))
        || path.windows(2).any(|pair| cut(pair[0], pair[1]) || cut(pair[1], pair[0]))
}

/// Whether the fault, as long as it lasts, takes a Home from its Main and keeps it from coming back. Streams that break
/// are made anew; without descriptors those that there are go on.
fn keeps_out(fault: &Fault<HostSet>) -> bool {
    !matches!(fault.what, FaultKind::Streams(_) | FaultKind::Descriptors(_) | FaultKind::Nat(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCENARIO: &str = r#"
duration = "10m"
[[service]]
name = "echo"
kind = "echo"
[[main]]
name = "main"
count = 3
[[home]]
name = "home-1"
main = "main-1"
services = ["echo"]
[[home]]
name = "home-2"
main = "main-2"
services = ["echo"]
[[home]]
name = "home-3"
main = "main-3"
services = ["echo"]
[[fault]]
at = "100s"
kind = "partition"
hosts = "main-2"
lasts = "50s"
[[fault]]
at = "300s"
kind = "crash"
host = "home-3"
how = "kill"
"#;

    fn oracle(settled: &[u64]) -> Oracle {
        let scenario = Scenario::load("test.toml", SCENARIO).unwrap();
        let mut oracle = Oracle::new(Arc::new(scenario));
        settled.iter().for_each(|at| oracle.settled(Duration::from_secs(*at)));
        oracle
    }

    fn whole(oracle: &Oracle, from: &str, callee: Callee<'_>, sent: u64, ended: u64) -> bool {
        let caller = oracle.scenario.topology.hosts.find(from).unwrap();
        oracle.path_was_whole(caller, callee, Duration::from_secs(sent), Duration::from_secs(ended))
    }

    fn host(oracle: &Oracle, name: &str) -> Callee<'static> {
        Callee::Host(oracle.scenario.topology.hosts.find(name).unwrap())
    }

    #[test]
    fn a_call_before_the_first_agreement_proves_nothing() {
        let oracle = oracle(&[5]);
        let callee = host(&oracle, "home-3");
        assert!(!whole(&oracle, "home-1", callee, 4, 5));
        assert!(whole(&oracle, "home-1", callee, 5, 6));
    }

    #[test]
    fn a_partition_breaks_only_paths_through_it_until_the_federation_agrees_again() {
        let oracle = oracle(&[5, 160]);
        let (two, three) = (host(&oracle, "home-2"), host(&oracle, "home-3"));
        assert!(whole(&oracle, "home-1", two, 98, 99));
        assert!(!whole(&oracle, "home-1", two, 98, 100), "it began while the call was under way");
        assert!(!whole(&oracle, "home-1", two, 120, 121));
        assert!(!whole(&oracle, "home-1", two, 155, 156), "healed, and not agreed yet");
        assert!(!whole(&oracle, "home-1", two, 160, 161), "agreed, and streams may still wait to retransmit");
        assert!(whole(&oracle, "home-1", two, 200, 201));
        assert!(whole(&oracle, "home-1", three, 120, 121), "the others are not concerned");
        assert!(!whole(&oracle, "home-2", two, 120, 121), "even a Home's way to itself over its Main");
    }

    #[test]
    fn a_home_with_a_fallback_is_expected_there_once_it_had_time_to_move() {
        let text = SCENARIO.replace(
            "name = \"home-2\"\nmain = \"main-2\"",
            "name = \"home-2\"\nmain = \"main-2\"\nfallback = \"main-3\"",
        );
        let text = text.replace("lasts = \"50s\"", "lasts = \"120s\"");
        let mut oracle = Oracle::new(Arc::new(Scenario::load("test.toml", &text).unwrap()));
        [5, 230].iter().for_each(|at| oracle.settled(Duration::from_secs(*at)));
        let two = host(&oracle, "home-2");
        assert!(whole(&oracle, "home-1", two, 98, 99));
        assert!(!whole(&oracle, "home-1", two, 150, 151), "it may not have noticed yet");
        // 60 s of silence, 5 s for a dial, 15 s of backoff, 5 s to be announced.
        assert!(whole(&oracle, "home-1", two, 186, 187), "it hangs on main-3 by now");
        assert!(!whole(&oracle, "home-1", two, 222, 223), "healed, and nobody knows where it is");
        assert!(whole(&oracle, "home-1", two, 231, 232), "here or there, both ways are whole");
        assert!(whole(&oracle, "home-1", two, 290, 291));
    }

    /// [`SCENARIO`] with this instead of its faults.
    fn with_fault(fault: &str, settled: &[u64]) -> Oracle {
        let (quiet, _) = SCENARIO.split_once("[[fault]]").unwrap();
        let text = format!("{quiet}[[fault]]\nat = \"100s\"\n{fault}");
        let mut oracle = Oracle::new(Arc::new(Scenario::load("test.toml", &text).unwrap()));
        settled.iter().for_each(|at| oracle.settled(Duration::from_secs(*at)));
        oracle
    }

    #[test]
    fn a_stall_is_felt_for_as_long_again_unless_links_are_given_up_in_it() {
        let stall = "kind = \"streams\"\nfrom = \"main-1\"\nto = \"main-2\"\ntrouble = \"stall\"\nlasts = ";
        let oracle = with_fault(&format!("{stall}\"20s\""), &[5, 120]);
        let (two, three) = (host(&oracle, "home-2"), host(&oracle, "home-3"));
        assert!(!whole(&oracle, "home-1", two, 110, 111));
        assert!(!whole(&oracle, "home-1", two, 139, 140), "the next retransmission may be as far off");
        assert!(whole(&oracle, "home-1", two, 140, 141));
        assert!(whole(&oracle, "home-1", three, 110, 111), "others have streams of their own");
        let oracle = with_fault(&format!("{stall}\"70s\""), &[5, 170]);
        assert!(whole(&oracle, "home-1", two, 170, 171));
    }

    #[test]
    fn a_reset_is_over_when_the_federation_agrees_again() {
        let reset = "kind = \"streams\"\nfrom = \"home-1\"\nto = \"main-1\"\ntrouble = \"reset\"";
        let oracle = with_fault(reset, &[5, 102]);
        let two = host(&oracle, "home-2");
        assert!(!whole(&oracle, "home-1", two, 99, 100) && !whole(&oracle, "home-1", two, 101, 103));
        assert!(whole(&oracle, "home-1", two, 102, 103));
    }

    #[test]
    fn what_a_nat_has_forgotten_is_known_when_the_home_next_speaks() {
        let forget = "kind = \"nat\"\nhosts = \"home-2\"\nchange = \"forget\"";
        let oracle = with_fault(forget, &[5, 100]);
        let (two, three) = (host(&oracle, "home-2"), host(&oracle, "home-3"));
        assert!(!whole(&oracle, "home-1", two, 130, 131), "its Main knows of nothing");
        // 30 s to the next heartbeat, half a second before it dials, 5 s to be announced.
        assert!(whole(&oracle, "home-1", two, 136, 137));
        assert!(whole(&oracle, "home-1", three, 101, 102));
    }

    #[test]
    fn a_home_without_descriptors_or_names_may_be_nowhere() {
        let fallback = |oracle: Oracle| {
            let text = oracle.scenario.source.text.replace(
                "name = \"home-2\"\nmain = \"main-2\"",
                "name = \"home-2\"\nmain = \"main-2\"\nfallback = \"main-3\"",
            );
            Oracle::new(Arc::new(Scenario::load("test.toml", &text).unwrap()))
        };
        for fault in [
            "kind = \"descriptors\"\nhosts = \"main-2\"\nlimit = 5\nlasts = \"2m\"",
            "kind = \"dns\"\nhosts = \"home-2\"\nanswer = \"failure\"\nlasts = \"2m\"",
        ] {
            let mut oracle = fallback(with_fault(fault, &[]));
            [5, 230].iter().for_each(|at| oracle.settled(Duration::from_secs(*at)));
            let two = host(&oracle, "home-2");
            assert!(whole(&oracle, "home-1", two, 98, 99), "{fault}");
            assert!(!whole(&oracle, "home-1", two, 210, 211), "{fault}");
            assert!(whole(&oracle, "home-1", two, 231, 232), "{fault}");
        }
    }

    #[test]
    fn a_service_is_whole_where_all_living_instances_are() {
        let oracle = oracle(&[5, 160, 310]);
        assert!(whole(&oracle, "home-1", Callee::Service("echo"), 200, 201));
        assert!(!whole(&oracle, "home-1", Callee::Service("echo"), 120, 121));
        assert!(
            !whole(&oracle, "home-1", Callee::Service("echo"), 301, 302),
            "not everyone knows of the death"
        );
        assert!(whole(&oracle, "home-1", Callee::Service("echo"), 311, 312));
        assert!(!whole(&oracle, "home-1", host(&oracle, "home-3"), 311, 312));
    }

    #[test]
    fn a_home_that_was_moved_is_expected_where_it_is_told_to_be() {
        let mut oracle = oracle(&[5, 95, 160]);
        let at = |name: &str| oracle.scenario.topology.hosts.find(name).unwrap();
        let (home, main, two) = (at("home-1"), at("main-2"), host(&oracle, "home-2"));
        oracle.moved(Duration::from_secs(90), home, Role::Home { main, fallback: Vec::new() });
        assert!(whole(&oracle, "home-1", two, 50, 51), "it hangs on main-1");
        assert!(!whole(&oracle, "home-1", two, 89, 91), "it moves");
        assert!(whole(&oracle, "home-1", two, 96, 97));
        let three = host(&oracle, "home-3");
        assert!(!whole(&oracle, "home-1", three, 120, 121), "its new Main is cut off");
    }

    #[test]
    fn while_some_dial_a_main_otherwise_than_it_speaks_nothing_is_whole_through_it() {
        let mut oracle = oracle(&[5, 60]);
        let main = oracle.scenario.topology.hosts.find("main-1").unwrap();
        let (two, three) = (host(&oracle, "home-2"), host(&oracle, "home-3"));
        oracle.cuts_over(Duration::from_secs(20), vec![main]);
        assert!(whole(&oracle, "home-1", two, 10, 11));
        assert!(!whole(&oracle, "home-1", two, 19, 21) && !whole(&oracle, "home-1", two, 70, 71));
        assert!(whole(&oracle, "home-3", two, 30, 31), "others are not concerned");
        oracle.cut_over(Duration::from_secs(50), &[main]);
        assert!(!whole(&oracle, "home-1", three, 55, 56), "not agreed yet");
        assert!(whole(&oracle, "home-1", three, 61, 62));
    }
}
