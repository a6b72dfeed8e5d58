//! What must hold at every moment of every run, whatever the scenario: one property per file.
//!
//! An invariant sees what happened ([`Observed`]) in the order of virtual time and reports what breaks it. It never
//! looks into a node: what it knows is what callers, operators and the network see.

mod answer_reaches_its_caller;
mod balancer;
mod breakers;
mod deadlines;
mod listing_ends;
mod no_inbound_to_homes;
mod no_stale_read;
mod one_outcome;
mod queue_bounds;
mod reaches_its_callee;
mod registry;
mod reported;
mod restart_durability;
mod three_hops;
mod weather;

use std::fmt;
use std::time::Duration;

use relay_chaos::Fault;
use relay_node::config::Timing;

use crate::metadata::Published;
use crate::record::EndedLookup;
use crate::scenario::{HostIndex, HostSet, Scenario};

pub use reported::{OpenBreaker, Reported, Sample};
pub use restart_durability::{PeerChange, Recalled, node_at};
use weather::Weather;

/// Violations of one invariant that are kept; the rest are counted.
const VIOLATIONS_KEPT_MAX: usize = 20;

/// The number of a call, unique in its run.
pub type CallNumber = u64;

/// Something that happened.
#[derive(Clone, Copy, Debug)]
pub enum Observed<'a> {
    /// A caller handed a call to its own relay, which must answer by `deadline`.
    CallSent {
        /// When.
        at: Duration,
        /// The call.
        call: CallNumber,
        /// When the caller's patience ends.
        deadline: Duration,
    },
    /// A call ended for its caller.
    CallEnded(&'a EndedCall),
    /// A host took a connection.
    Accepted {
        /// When.
        at: Duration,
        /// The host that listens.
        host: HostIndex,
        /// The host that dialled.
        from: HostIndex,
    },
    /// A Main was asked what it lists.
    Viewed {
        /// When.
        at: Duration,
        /// The Main.
        main: HostIndex,
        /// What it lists, sorted.
        listed: &'a [Listed],
    },
    /// A relay was asked how it is.
    Reported {
        /// When.
        at: Duration,
        /// Its host.
        host: HostIndex,
        /// What it says.
        reported: &'a Reported,
    },
    /// A relay's operator changed its peers, or tried to.
    Changed {
        /// When.
        at: Duration,
        /// Its host.
        host: HostIndex,
        /// How.
        change: &'a PeerChange,
    },
    /// A relay told its operator what it knows.
    Recalled {
        /// When.
        at: Duration,
        /// Its host.
        host: HostIndex,
        /// What it knows.
        recalled: &'a Recalled,
    },
    /// A peer told of its metadata in the DHT.
    Published {
        /// When.
        at: Duration,
        /// Its host.
        host: HostIndex,
        /// What it has.
        published: &'a Published,
    },
    /// A lookup of a peer's metadata ended.
    LookedUp(&'a EndedLookup),
    /// A relay went down.
    NodeGone {
        /// When.
        at: Duration,
        /// Its host.
        host: HostIndex,
        /// Its node id, where it had one.
        node: Option<&'a str>,
    },
    /// A relay runs.
    NodeBack {
        /// When.
        at: Duration,
        /// Its host.
        host: HostIndex,
        /// Its node id, where it has one already.
        node: Option<&'a str>,
    },
}

/// A service as a Main lists it. Ordered by service, then by node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// The service.
    pub service: String,
    /// The node that serves it.
    pub node: String,
    /// The Main that the node is behind.
    pub owner: String,
    /// Whether that is the Main that was asked.
    pub is_local: bool,
}

/// A call that has ended.
#[derive(Clone, Debug)]
pub struct EndedCall {
    /// The call.
    pub call: CallNumber,
    /// Who called.
    pub caller: HostIndex,
    /// Whom, where it was for one host.
    pub callee: Option<HostIndex>,
    /// The service called.
    pub service: String,
    /// When it was handed to the relay.
    pub sent: Duration,
    /// When the caller had its outcome.
    pub ended: Duration,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a call ended for its caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The service answered.
    Success {
        /// The call that the answer says it is for.
        answers: CallNumber,
        /// The nodes on its way, the caller's first.
        path: Vec<String>,
    },
    /// The federation, or the service, refused it.
    Refused {
        /// The JSON-RPC error code.
        code: i64,
        /// In words.
        message: String,
        /// The nodes that it had passed.
        path: Vec<String>,
    },
    /// The caller's own relay was not there, or went down meanwhile.
    RelayGone(String),
    /// The caller's own relay did not answer in time.
    NoOutcome,
    /// The caller's own relay answered with what is no answer.
    Nonsense(String),
}

impl Outcome {
    /// The nodes that the call passed, as far as they are known.
    pub fn path(&self) -> &[String] {
        match self {
            Outcome::Success { path, .. } | Outcome::Refused { path, .. } => path,
            Outcome::RelayGone(_) | Outcome::NoOutcome | Outcome::Nonsense(_) => &[],
        }
    }
}

/// In words: `-32004: the time is up`.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Success { .. } => f.write_str("success"),
            Outcome::Refused { code, message, .. } => write!(f, "{code}: {message}"),
            Outcome::RelayGone(reason) => write!(f, "its own relay is gone: {reason}"),
            Outcome::NoOutcome => f.write_str("no outcome"),
            Outcome::Nonsense(what) => write!(f, "no answer: {what}"),
        }
    }
}

/// A property.
pub trait Invariant: Send {
    /// Its name, as in its file.
    fn name(&self) -> &'static str;

    /// What must hold, in a sentence.
    fn statement(&self) -> String;

    /// Looks at what happened.
    fn observe(&mut self, observed: &Observed<'_>, findings: &mut Findings);

    /// The run is over.
    fn finish(&mut self, _at: Duration, _findings: &mut Findings) {}
}

/// What an invariant found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// How often it had something to check.
    pub checked: u64,
    /// How often it was violated.
    pub violated: u64,
    /// The first violations, by time.
    pub violations: Vec<Violation>,
}

/// A moment at which an invariant did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// When.
    pub at: Duration,
    /// What happened.
    pub text: String,
}

impl Findings {
    /// Counts a check, which `holds` or not.
    fn check(&mut self, at: Duration, holds: bool, text: impl FnOnce() -> String) {
        self.checked += 1;
        if holds {
            return;
        }
        self.violated += 1;
        if self.violations.len() < VIOLATIONS_KEPT_MAX {
            self.violations.push(Violation { at, text: text() });
        }
    }
}

/// What stands between the world and those who watch it: it is given what happened and hands on what is to be seen.
/// Without one everything is seen as it was.
pub type Lens = Box<dyn FnMut(&Observed<'_>, &mut dyn FnMut(&Observed<'_>)) + Send>;

/// All invariants and what they have found so far.
pub struct Invariants {
    all: Vec<(Box<dyn Invariant>, Findings)>,
    lens: Option<Lens>,
    weather: Weather,
}

impl Invariants {
    /// All of them, for a run of this scenario whose relays have these settings.
    pub fn new(scenario: &Scenario, timing: &Timing, probe_gap: Duration) -> Self {
        let hosts = || scenario.topology.hosts.iter().map(|(_, host)| host);
        let is_home = hosts().map(|host| !host.is_main()).collect();
        let names = hosts().map(|host| host.name.clone()).collect();
        let weather = Weather::new(scenario);
        let all: Vec<Box<dyn Invariant>> = vec![
            Box::new(one_outcome::OneOutcome::new(weather.clone())),
            Box::new(deadlines::Deadlines::new(weather.clone())),
            Box::new(answer_reaches_its_caller::AnswerReachesItsCaller),
            Box::new(reaches_its_callee::ReachesItsCallee::new(scenario)),
            Box::new(three_hops::ThreeHops),
            Box::new(no_inbound_to_homes::NoInboundToHomes::new(is_home)),
            Box::new(listing_ends::ListingEnds::new(timing, probe_gap)),
            Box::new(registry::Registry::new(scenario, timing, probe_gap, weather.clone())),
            Box::new(balancer::Balancer::new(scenario, timing, weather.clone())),
            Box::new(breakers::Breakers::new(scenario, weather.clone())),
            Box::new(queue_bounds::QueueBounds::new(names)),
            Box::new(restart_durability::RestartDurability::new(weather.clone())),
            Box::new(no_stale_read::NoStaleRead::new(scenario, weather.clone())),
        ];
        let all = all.into_iter().map(|invariant| (invariant, Findings::default())).collect();
        Invariants { all, lens: None, weather }
    }

    /// Has everything seen through this from now on: how a test makes sure that the watchers are not blind.
    pub fn look_through(&mut self, lens: Lens) {
        self.lens = Some(lens);
    }

    /// A fault that may or may not come has come.
    pub fn befell(&mut self, fault: Fault<HostSet>) {
        self.weather.befell(fault);
    }

    /// Shows all of them what happened.
    pub fn observe(&mut self, observed: &Observed<'_>) {
        let Invariants { all, lens, .. } = self;
        let mut show = |observed: &Observed<'_>| {
            for (invariant, findings) in &mut *all {
                invariant.observe(observed, findings);
            }
        };
        match lens {
            Some(lens) => lens(observed, &mut show),
            None => show(observed),
        }
    }

    /// Tells all of them that the run is over.
    pub fn finish(&mut self, at: Duration) {
        for (invariant, findings) in &mut self.all {
            invariant.finish(at, findings);
        }
    }

    /// What each found.
    pub fn results(&self) -> impl Iterator<Item = (&dyn Invariant, &Findings)> {
        self.all.iter().map(|(invariant, findings)| (&**invariant, findings))
    }
}

#[cfg(test)]
mod testing {
    use super::*;

    /// Shows a made-up history to an invariant and returns what it found.
    pub(super) fn judge(mut invariant: impl Invariant, history: &[Observed<'_>]) -> Findings {
        let mut findings = Findings::default();
        for observed in history {
            invariant.observe(observed, &mut findings);
        }
        invariant.finish(Duration::from_secs(1_000_000), &mut findings);
        findings
    }

    pub(super) fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// A call that was sent at 1 s and ended at 2 s.
    pub(super) fn ended(call: CallNumber, outcome: Outcome) -> EndedCall {
        EndedCall {
            call,
            caller: HostIndex(1),
            callee: Some(HostIndex(2)),
            service: "echo".into(),
            sent: seconds(1),
            ended: seconds(2),
            outcome,
        }
    }

    pub(super) fn success(answers: CallNumber, path: &[&str]) -> Outcome {
        Outcome::Success { answers, path: path.iter().map(|&node| node.to_owned()).collect() }
    }
}
