//! What a run shows, gathered while it goes on: nothing here grows with the number of calls but a few counters.

mod asked;
mod calls;
mod connections;
mod convergence;
mod course;
pub(crate) mod dht;
mod levels;
mod loads;
mod samples;
mod timeline;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use relay_chaos::Fault;
use relay_node::config::Timing;

use crate::engine::Observation;
use crate::invariants::{
    CallNumber, EndedCall, Invariants, Listed, Observed, Outcome, PeerChange, Recalled, Reported,
};
use crate::metadata::Published;
use crate::oracle::{Callee, Oracle};
use crate::scenario::{HostIndex, HostSet, Role, Scenario};
use crate::world::index_of;

use dht::Counter;

pub use asked::{AskedFor, ExpectedCalls, Measured, Meter, Sighting};
pub use calls::{Bucket, CallStats};
pub use connections::{LinkChange, Reconnects};
pub use convergence::{Convergence, Episode, EpisodeEnd};
pub use course::{Count, Course, HostChange};
pub use dht::{Answer, Dht, EndedLookup, LookupStats, Rollout, Traffic, Verdict};
pub use levels::{Curve, Levels, Point};
pub use loads::LoadStats;
pub use samples::{HopTime, Sample, Samples};
pub use timeline::{Happening, Timeline};

/// A call under way, as its caller knows it.
#[derive(Clone, Debug)]
pub struct OpenCall {
    /// The load that it is of, by its place in the scenario.
    pub load: usize,
    /// Who calls.
    pub caller: HostIndex,
    /// Whom, where it is for one host.
    pub callee: Option<HostIndex>,
    /// The service called.
    pub service: String,
    /// When the load wanted it made: latency counts from here, so that a slow relay cannot hide behind its callers.
    pub due: Duration,
    /// When it was handed to the relay.
    pub sent: Duration,
    /// When its outcome must be there.
    pub deadline: Duration,
    /// How long each node had it, once that is known.
    pub hops: Vec<HopTime>,
}

/// Everything that a run shows.
pub struct Record {
    /// What must always hold.
    pub invariants: Invariants,
    /// How long the Mains took to agree after each disturbance.
    pub convergence: Convergence,
    /// The calls.
    pub calls: CallStats,
    /// The same by load, in the order of the scenario.
    pub loads: Vec<LoadStats>,
    /// Who came back to whom.
    pub reconnects: Reconnects,
    /// What happened when.
    pub timeline: Timeline,
    /// What the scenario asks for by name.
    pub asked: AskedFor,
    /// Who was up when, and when each invariant was looked at.
    pub course: Course,
    /// What became of the DHT.
    pub dht: Dht,
    under_way: UnderWay,
}

/// The calls under way, and who knows whether their paths are whole.
struct UnderWay {
    oracle: Oracle,
    calls: BTreeMap<CallNumber, OpenCall>,
    next: CallNumber,
}

impl Record {
    /// An empty record. `timing` is what the relays are set to, `probe_gap` the longest time between two views.
    pub fn new(scenario: &Arc<Scenario>, timing: &Timing, probe_gap: Duration) -> Self {
        Record {
            invariants: Invariants::new(scenario, timing, probe_gap),
            convergence: Convergence::default(),
            calls: CallStats::new(scenario.run.duration),
            loads: scenario.loads.iter().map(|load| LoadStats::new(load.stop)).collect(),
            reconnects: Reconnects::default(),
            timeline: Timeline::default(),
            asked: AskedFor::new(scenario),
            course: Course::new(scenario.run.duration),
            dht: Dht::new(scenario),
            under_way: UnderWay {
                oracle: Oracle::new(Arc::clone(scenario)),
                calls: BTreeMap::new(),
                next: 1,
            },
        }
    }

    /// A call is handed to its caller's relay. Returns its number.
    pub fn call_sent(&mut self, call: OpenCall) -> CallNumber {
        let number = self.under_way.next;
        self.under_way.next += 1;
        self.course.pass(call.sent, &self.invariants);
        self.invariants.observe(&Observed::CallSent { at: call.sent, call: number, deadline: call.deadline });
        self.under_way.calls.insert(number, call);
        number
    }

    /// The nodes on a call's way told how long each of them had it. Before [`Record::call_ended`].
    pub fn call_timed(&mut self, number: CallNumber, hops: Vec<HopTime>) {
        if let Some(call) = self.under_way.calls.get_mut(&number) {
            call.hops = hops;
        }
    }

    /// A call has ended.
    pub fn call_ended(&mut self, number: CallNumber, ended: Duration, outcome: Outcome) {
        let Some(call) = self.under_way.calls.remove(&number) else { return };
        let callee = match call.callee {
            Some(host) => Callee::Host(host),
            None => Callee::Service(&call.service),
        };
        let whole = self.under_way.oracle.path_was_whole(call.caller, callee, call.sent, ended);
        if !matches!(outcome, Outcome::Success { .. }) {
            let (service, expected) = (&call.service, !whole);
            tracing::info!(target: "relay_sim", call = number, service, expected, "a call failed: {outcome}");
        }
        let ended = EndedCall {
            call: number,
            caller: call.caller,
            callee: call.callee,
            service: call.service.clone(),
            sent: call.sent,
            ended,
            outcome,
        };
        self.invariants.observe(&Observed::CallEnded(&ended));
        // What is expected to fail says nothing about the others.
        let whole = !self.asked.expects(&call, &ended) && whole;
        self.asked.ended(&call, &ended, whole);
        self.calls.ended(&call, &ended, whole);
        if let Some(load) = self.loads.get_mut(call.load) {
            load.ended(call, ended, whole);
        }
    }

    /// How many calls are under way.
    pub fn open_calls(&self) -> usize {
        self.under_way.calls.len()
    }

    /// The calls under way.
    pub fn open(&self) -> impl Iterator<Item = (CallNumber, &OpenCall)> {
        self.under_way.calls.iter().map(|(number, call)| (*number, call))
    }

    /// A Main told what it lists, sorted.
    pub fn viewed(&mut self, at: Duration, main: HostIndex, listed: &[Listed]) {
        self.course.pass(at, &self.invariants);
        self.invariants.observe(&Observed::Viewed { at, main, listed });
    }

    /// A relay told how it is.
    pub fn reported(&mut self, at: Duration, host: HostIndex, reported: &Reported) {
        self.course.levels.reported(at, host, reported);
        self.invariants.observe(&Observed::Reported { at, host, reported });
    }

    /// So many bytes of the run are live.
    pub fn holds(&mut self, at: Duration, bytes: i64) {
        self.course.levels.holds(at, u64::try_from(bytes).unwrap_or(0));
    }

    /// A relay's operator changed its peers, or tried to.
    pub fn changed(&mut self, at: Duration, host: HostIndex, change: &PeerChange) {
        self.invariants.observe(&Observed::Changed { at, host, change });
    }

    /// A relay told its operator what it knows.
    pub fn recalled(&mut self, at: Duration, host: HostIndex, recalled: &Recalled) {
        self.invariants.observe(&Observed::Recalled { at, host, recalled });
    }

    /// A Main's view, asked for at `asked`, agrees with the truth or not. `all` are the Mains that must agree.
    pub fn compared(
        &mut self,
        asked: Duration,
        at: Duration,
        main: HostIndex,
        agrees: bool,
        all: &[HostIndex],
    ) {
        if let Some(took) = self.convergence.compared(asked, at, main, agrees, all) {
            self.under_way.oracle.settled(at);
            let text = format!("every Main's view equals the truth, after {:.1} s", took.as_secs_f64());
            self.timeline.push(at, None, "settled", text);
        }
    }

    /// A disturbance begins; [`Record::calm`] ends it.
    pub fn disturb(&mut self, at: Duration) {
        self.convergence.disturb(at);
        self.dht.discovery.disturb(at);
        self.dht.begin_anew();
    }

    /// A disturbance is over.
    pub fn calm(&mut self, at: Duration, cause: String) {
        self.convergence.calm(at, cause.clone());
        self.dht.discovery.calm(at, cause);
        self.dht.begin_anew();
    }

    /// Something has changed at once: a start, or a departure for good.
    pub fn changed_at_once(&mut self, at: Duration, cause: String) {
        self.convergence.changed(at, cause.clone());
        self.dht.discovery.changed(at, cause);
        self.dht.begin_anew();
    }

    /// A peer told of its metadata.
    pub fn published(&mut self, at: Duration, host: HostIndex, published: &Published) {
        self.dht.published(at, published);
        self.invariants.observe(&Observed::Published { at, host, published });
    }

    /// A lookup of metadata has ended.
    pub fn looked_up(&mut self, lookup: &EndedLookup) {
        self.course.pass(lookup.ended, &self.invariants);
        let verdict = self.dht.ended(lookup);
        if verdict.is_due && !verdict.is_right() {
            let (from, peer, answer) = (lookup.from.0, &lookup.peer, lookup.answer.kind());
            tracing::info!(target: "relay_sim", from, peer, answer, worth = ?verdict.worth, "a lookup failed");
        }
        if lookup.reached == Some(false) {
            let (from, to, answer) = (lookup.from.0, lookup.to.0, lookup.answer.kind());
            tracing::info!(target: "relay_sim", from, to, answer, "a peer was not reached");
        }
        self.invariants.observe(&Observed::LookedUp(lookup));
        self.asked.looked_up(lookup, &verdict);
    }

    /// The DHT took so many bytes in both directions on a host since its relay started. Where the older way runs beside it,
    /// that counts the time.
    pub fn dht_took(&mut self, at: Duration, host: HostIndex, bytes: u64, runs_alone: bool) {
        self.metadata_took(at, host, Counter { bytes, is_of_dht: true, counts_time: runs_alone });
    }

    /// The older way to spread metadata took so many bytes in both directions on a host since it started there.
    pub fn broadcasts_took(&mut self, at: Duration, host: HostIndex, bytes: u64) {
        self.metadata_took(at, host, Counter { bytes, is_of_dht: false, counts_time: true });
    }

    fn metadata_took(&mut self, at: Duration, host: HostIndex, counter: Counter) {
        let growth = self.dht.took(at, host, counter);
        self.asked.took(at, host, growth);
    }

    /// A node, asked at `asked`, knows all other `members` of the DHT, or not.
    pub fn acquainted(
        &mut self,
        asked: Duration,
        at: Duration,
        host: HostIndex,
        agrees: bool,
        members: &[HostIndex],
    ) {
        if let Some(took) = self.dht.compared(asked, at, host, agrees, members) {
            let text = format!("every peer knows every other, after {:.1} s", took.as_secs_f64());
            self.timeline.push(at, None, "acquainted", text);
        }
    }

    /// Something goes wrong that the scenario could not plan for.
    pub fn unforeseen(&mut self, fault: Fault<HostSet>) {
        self.under_way.oracle.unforeseen(fault);
    }

    /// From now on a host is told to be this and to dial these.
    pub fn moved(&mut self, at: Duration, host: HostIndex, role: &Role) {
        self.asked.moved(host, role);
        self.under_way.oracle.moved(at, host, role.clone());
    }

    /// From now on some dial these Mains otherwise than they can be dialled: nobody can expect the Mains to agree.
    pub fn cuts_over(&mut self, at: Duration, mains: Vec<HostIndex>) {
        self.disturb(at);
        self.under_way.oracle.cuts_over(at, mains);
    }

    /// That is over.
    pub fn cut_over(&mut self, at: Duration, mains: &[HostIndex], why: String) {
        self.calm(at, why);
        self.under_way.oracle.cut_over(at, mains);
    }

    /// The power went at the disk operation that the fault in this place of the scenario waited for: `fault` is what came
    /// of it, on one host and from now on.
    pub fn power_went(&mut self, number: usize, host: HostIndex, fault: Fault<HostSet>) {
        match fault.active().end {
            Some(_) if self.course.power_cuts.iter().any(|(cut, _)| *cut == number) => {}
            Some(_) => self.disturb(fault.at),
            None => self.changed_at_once(fault.at, fault.to_string()),
        }
        self.course.power_cuts.insert((number, host));
        self.invariants.befell(fault.clone());
        self.under_way.oracle.unforeseen(fault);
    }

    /// A relay went down or came up.
    pub fn node(&mut self, at: Duration, host: HostIndex, node: Option<&str>, up: bool) {
        self.asked.node(at, host, up);
        self.dht.node(at, host, up);
        self.course.changed(at, host, up);
        self.invariants.observe(&match up {
            true => Observed::NodeBack { at, host, node },
            false => Observed::NodeGone { at, host, node },
        });
    }

    /// What the network saw.
    pub fn network(&mut self, observations: Vec<Observation>) {
        for observation in observations {
            if let Observation::Reset { at, host, peer } = observation {
                self.reconnects.lost(at, index_of(host), index_of(peer));
            }
            if let Observation::Accepted { at, host, from_host, .. } = observation {
                let (host, from) = (index_of(host), index_of(from_host));
                if self.dht.is_visit(from, host) {
                    self.invariants.observe(&Observed::Accepted { at, host, from });
                    continue;
                }
                let again = self.reconnects.accepted(at, host, from);
                self.asked.accepted(at, host, from, again);
                self.invariants.observe(&Observed::Accepted { at, host, from });
            }
        }
    }

    /// The run is over.
    pub fn finish(&mut self, at: Duration) {
        self.convergence.finish(at);
        self.dht.discovery.finish(at);
        self.asked.finish(at);
        self.invariants.finish(at);
        self.course.finish(&self.invariants);
    }
}
