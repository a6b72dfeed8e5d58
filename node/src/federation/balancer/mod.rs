//! Which instance of a service gets a call.
//!
//! The default is the power of two choices: two instances are drawn, the one whose call is expected to cost less
//! gets it ([`load`] says how cost is told). Costs within a factor of two are a tie, and ties rotate: the one that
//! was chosen longer ago wins, so that equal instances get equal shares.
//!
//! Instances that the caller does not allow are left out, but never more than [`LEFT_OUT_PERCENT`] at once: where
//! most instances fail, their load would only bring down the rest. The best of those that are out come back then,
//! marked [`Choice::readmitted`]. Where *all* are out there is nobody left to protect, and the caller says what it
//! wants ([`WhenAllOut`]): an honest refusal, or the best of a bad lot.
//!
//! Work per call does not grow with the number of instances: two draws where these are allowed, else a survey of
//! at most [`SURVEY_MOST`] instances. Only while a whole survey finds nobody, up to [`SEARCH_MOST`] are asked.

mod load;
mod policy;

#[cfg(test)]
mod tests;

use std::time::Duration;

use indexmap::IndexMap;
use rand::RngExt;

use crate::env::{Instant, Rng};
use crate::wire::NodeId;
use load::{Load, UNPROVEN_SECONDS};

pub use policy::{Policy, UnknownPolicy};

/// Share of a service's instances that may be left out at once, in percent, rounded up. One always stays.
const LEFT_OUT_PERCENT: usize = 50;
/// Instances that are looked at for one call where draws alone do not do: all of up to so many, else a sample.
const SURVEY_MOST: usize = 128;
/// Instances that are asked for one that is allowed before all count as out.
const SEARCH_MOST: usize = 1_024;
/// Instances whose load is kept. One beyond them is balanced as if it had no history.
pub(super) const MAX_INSTANCES: usize = 65_536;
/// Services whose turn is kept, for round-robin. One beyond them starts each turn at random.
pub(super) const MAX_TURNS: usize = 65_536;

/// Costs within this factor are a tie.
const TIE_FACTOR: f64 = 2.0;
/// How long what is known of an unused instance is kept. Its latency and failures have faded out long before.
const IDLE: Duration = Duration::from_secs(600);
/// How often idle entries are looked for, at most.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// Who can be chosen.
#[derive(Clone, Copy, Debug)]
pub struct Candidates<N, A> {
    /// How many there are.
    pub count: usize,
    /// The node of each, by index below `count`. `Fn(usize) -> &NodeId`.
    pub node: N,
    /// Whether a node may be used now: its breaker admits calls, its link is up. `Fn(&NodeId) -> bool`.
    pub allowed: A,
    /// What to do where none is allowed.
    pub when_all_out: WhenAllOut,
}

/// What to do where no candidate is allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenAllOut {
    /// Choose none: the caller hears at once that the circuit is open.
    #[default]
    Refuse,
    /// Choose the one with the lowest cost all the same ("panic routing").
    ChooseBest,
}

/// The one that was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Its index among the candidates.
    pub index: usize,
    /// It is not allowed, and was chosen since too many are out. Its breaker is to be passed by.
    pub readmitted: bool,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallOutcome {
    /// It was answered, if only with an error that is not the instance's fault.
    Success,
    /// It failed, and the instance is to blame.
    Failure,
    /// The caller gave up. It took at least that long.
    Cancelled,
}

/// A call under way. To be given back with [`Balancer::finished`].
#[must_use = "a call that never finishes weighs on its instance"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flight {
    /// The entry that it was counted in; an entry made anew after [`Balancer::forget`] knows nothing of it.
    epoch: u64,
    began: Instant,
}

/// The flight of an instance that there was no room for.
const UNCOUNTED: u64 = 0;

/// What is known of all instances.
#[derive(Debug, Default)]
pub struct Balancer {
    /// By node, then by service.
    loads: IndexMap<NodeId, IndexMap<Box<str>, Load>>,
    /// Entries in `loads`, of all nodes.
    instances: usize,
    turns: IndexMap<Box<str>, Turn>,
    /// Choices and entries made so far: what orders them.
    serial: u64,
    swept: Instant,
}

/// Where round-robin goes on.
#[derive(Debug)]
struct Turn {
    next: usize,
    used: Instant,
}

impl Balancer {
    /// Nothing known yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The candidate that gets the next call for `service`, or `None` where there is none that may.
    ///
    /// Choosing commits to nothing; say [`Balancer::started`] once the call is sent.
    pub fn choose<'n>(
        &mut self,
        service: &str,
        policy: Policy,
        among: &Candidates<impl Fn(usize) -> &'n NodeId, impl Fn(&NodeId) -> bool>,
        now: Instant,
        rng: &mut Rng,
    ) -> Option<Choice> {
        if among.count == 0 {
            return None;
        }
        self.sweep_if_due(now);
        let choice = match policy {
            Policy::PowerOfTwo => self.power_of_two(service, among, now, rng),
            Policy::RoundRobin => self.round_robin(service, among, now, rng),
            Policy::LeastConnections => self.least_connections(service, among, now, rng),
            Policy::Random => self.random(service, among, now, rng),
        }?;
        // Only these two break ties by the last choice.
        if matches!(policy, Policy::PowerOfTwo | Policy::LeastConnections) {
            self.serial += 1;
            let serial = self.serial;
            if let Some(load) = self.load_mut(service, (among.node)(choice.index), now) {
                load.chosen = serial;
            }
        }
        Some(choice)
    }

    /// A call to an instance is sent.
    pub fn started(&mut self, service: &str, node: &NodeId, now: Instant) -> Flight {
        let epoch = self.load_mut(service, node, now).map_or(UNCOUNTED, |load| {
            load.started();
            load.epoch
        });
        Flight { epoch, began: now }
    }

    /// A call has ended. To be said once for each flight.
    pub fn finished(
        &mut self,
        service: &str,
        node: &NodeId,
        flight: Flight,
        outcome: CallOutcome,
        now: Instant,
    ) {
        let load = self.loads.get_mut(node).and_then(|services| services.get_mut(service));
        if let Some(load) = load
            && load.epoch == flight.epoch
        {
            load.used = now;
            load.finished(outcome, now - flight.began, now);
        }
    }

    /// A node is gone, or back as another process: nothing that was known of it holds.
    pub fn forget(&mut self, node: &NodeId) {
        if let Some(services) = self.loads.swap_remove(node) {
            self.instances -= services.len();
        }
    }

    /// Calls under way to an instance.
    pub fn outstanding(&self, service: &str, node: &NodeId) -> u32 {
        self.load(service, node).map_or(0, |load| load.outstanding)
    }

    /// Instances whose load is kept.
    pub fn instances(&self) -> usize {
        self.instances
    }

    /// Services whose turn in round-robin is kept.
    pub fn turns(&self) -> usize {
        self.turns.len()
    }

    fn power_of_two<'n>(
        &self,
        service: &str,
        among: &Candidates<impl Fn(usize) -> &'n NodeId, impl Fn(&NodeId) -> bool>,
        now: Instant,
        rng: &mut Rng,
    ) -> Option<Choice> {
        let (first, second) = two_below(among.count, rng);
        if among.allows(first) && among.allows(second) {
            return Some(self.cheaper(service, among, Choice::of(first), Choice::of(second), now));
        }
        let eligible = self.survey(service, among, among.start(first), now);
        match eligible.len() {
            0 => None,
            count => {
                let (first, second) = two_below(count, rng);
                Some(self.cheaper(service, among, eligible[first], eligible[second], now))
            }
        }
    }

    fn round_robin<'n>(
        &mut self,
        service: &str,
        among: &Candidates<impl Fn(usize) -> &'n NodeId, impl Fn(&NodeId) -> bool>,
        now: Instant,
        rng: &mut Rng,
    ) -> Option<Choice> {
        let start = match self.turns.get(service) {
            Some(turn) => turn.next % among.count,
            None if self.turns.len() < MAX_TURNS => 0,
            None => rng.random_range(0..among.count),
        };
        let choice = if among.allows(start) {
            Choice::of(start)
        } else {
            *self.survey(service, among, start, now).first()?
        };
        let turn = Turn { next: choice.index + 1, used: now };
        if let Some(known) = self.turns.get_mut(service) {
            *known = turn;
        } else if self.turns.len() < MAX_TURNS {
            self.turns.insert(service.into(), turn);
        }
        Some(choice)
    }

    fn least_connections<'n>(
        &self,
        service: &str,
        among: &Candidates<impl Fn(usize) -> &'n NodeId, impl Fn(&NodeId) -> bool>,
        now: Instant,
        rng: &mut Rng,
    ) -> Option<Choice> {
        let start = among.start(rng.random_range(0..among.count));
        let rank = |choice: &Choice| {
            let load = self.load(service, (among.node)(choice.index));
            let (outstanding, chosen) = load.map_or((0, 0), |load| (load.outstanding, load.chosen));
            // One that fails at once never has a call under way, and would get them all.
            let penalty = match (choice.readmitted, load) {
                (true, Some(load)) => load.penalty(now),
                _ => 1.0,
            };
            ((f64::from(outstanding) + 1.0) * penalty, chosen)
        };
        let eligible = self.survey(service, among, start, now);
        let ranked = eligible.into_iter().map(|choice| (rank(&choice), choice));
        ranked
            .min_by(|((a, a_chosen), _), ((b, b_chosen), _)| a.total_cmp(b).then(a_chosen.cmp(b_chosen)))
            .map(|(_, choice)| choice)
    }

    fn random<'n>(
        &self,
        service: &str,
        among: &Candidates<impl Fn(usize) -> &'n NodeId, impl Fn(&NodeId) -> bool>,
        now: Instant,
        rng: &mut Rng,
    ) -> Option<Choice> {
        let drawn = rng.random_range(0..among.count);
        if among.allows(drawn) {
            return Some(Choice::of(drawn));
        }
        let eligible = self.survey(service, among, among.start(drawn), now);
        (!eligible.is_empty()).then(|| eligible[rng.random_range(0..eligible.len())])
    }

    /// Of two candidates the one whose call is expected to cost less.
    fn cheaper<'n>(
        &self,
        service: &str,
        among: &Candidates<impl Fn(usize) -> &'n NodeId, impl Fn(&NodeId) -> bool>,
        first: Choice,
        second: Choice,
        now: Instant,
    ) -> Choice {
        let [one, other] =
            [first, second].map(|choice| self.cost(service, (among.node)(choice.index), choice, now));
        if one.0 > other.0 * TIE_FACTOR {
            second
        } else if other.0 > one.0 * TIE_FACTOR || one.1 <= other.1 {
            first
        } else {
            second
        }
    }

    /// What a call would cost, and when the candidate was chosen last.
    fn cost(&self, service: &str, node: &NodeId, choice: Choice, now: Instant) -> (f64, u64) {
        let (cost, chosen) = self.load(service, node).map_or((0.0, 0), |load| (load.cost(now), load.chosen));
        // Nobody is curious about one that should be out.
        (if choice.readmitted { cost.max(UNPROVEN_SECONDS) } else { cost }, chosen)
    }

    /// The candidates that may get the call, in order from `start` on: those that are allowed, and the best of the
    /// others where too many would be left out. Looks at [`SURVEY_MOST`].
    fn survey<'n>(
        &self,
        service: &str,
        among: &Candidates<impl Fn(usize) -> &'n NodeId, impl Fn(&NodeId) -> bool>,
        start: usize,
        now: Instant,
    ) -> Vec<Choice> {
        let seen = among.count.min(SURVEY_MOST);
        let from_start = |step: usize| (start + step) % among.count;
        let (mut eligible, mut out): (Vec<usize>, Vec<usize>) =
            (0..seen).partition(|step| among.allows(from_start(*step)));
        if eligible.is_empty() {
            let beyond = seen..among.count.min(SEARCH_MOST);
            eligible.extend(beyond.into_iter().find(|step| among.allows(from_start(*step))));
        }
        let back = if eligible.is_empty() {
            usize::from(among.when_all_out == WhenAllOut::ChooseBest)
        } else {
            let most_out = (seen * LEFT_OUT_PERCENT).div_ceil(100);
            out.len().saturating_sub(most_out)
        };
        let allowed = eligible.len();
        if back > 0 {
            let readmitted = |index| Choice { index, readmitted: true };
            out.sort_by_cached_key(|step| {
                let index = from_start(*step);
                // Costs are finite and not negative: their bits are in the order of the numbers. Equals by index, so
                // that a turn further on the same ones are back.
                let cost = self.cost(service, (among.node)(index), readmitted(index), now).0;
                (cost.to_bits(), index)
            });
            eligible.extend(out.into_iter().take(back));
        }
        let mut choices: Vec<(usize, Choice)> = eligible
            .into_iter()
            .enumerate()
            .map(|(place, step)| (step, Choice { index: from_start(step), readmitted: place >= allowed }))
            .collect();
        choices.sort_by_key(|(step, _)| *step);
        choices.into_iter().map(|(_, choice)| choice).collect()
    }

    fn load(&self, service: &str, node: &NodeId) -> Option<&Load> {
        self.loads.get(node)?.get(service)
    }

    /// The entry of an instance, made where there is none; `None` where there is no room for one.
    fn load_mut(&mut self, service: &str, node: &NodeId, now: Instant) -> Option<&mut Load> {
        if self.load(service, node).is_none() {
            if self.instances >= MAX_INSTANCES {
                return None;
            }
            self.instances += 1;
            self.serial += 1;
            let load = Load::new(self.serial, now);
            self.loads.entry(node.clone()).or_default().insert(service.into(), load);
        }
        let load = self.loads.get_mut(node)?.get_mut(service)?;
        load.used = now;
        Some(load)
    }

    /// Once in a while drops what was not used for [`IDLE`], with calls under way that nobody ended.
    fn sweep_if_due(&mut self, now: Instant) {
        if now - self.swept < SWEEP_EVERY {
            return;
        }
        self.swept = now;
        self.loads.retain(|_, services| {
            services.retain(|_, load| now - load.used < IDLE);
            !services.is_empty()
        });
        self.instances = self.loads.values().map(IndexMap::len).sum();
        self.turns.retain(|_, turn| now - turn.used < IDLE);
    }
}

impl Choice {
    const fn of(index: usize) -> Self {
        Choice { index, readmitted: false }
    }
}

impl<'n, N: Fn(usize) -> &'n NodeId, A: Fn(&NodeId) -> bool> Candidates<N, A> {
    fn allows(&self, index: usize) -> bool {
        (self.allowed)((self.node)(index))
    }

    /// Where a survey begins: all are seen in their own order where it reaches all, else those from `drawn` on.
    fn start(&self, drawn: usize) -> usize {
        if self.count <= SURVEY_MOST { 0 } else { drawn }
    }
}

/// Two different numbers below `count`, which is not zero; the same twice where it is one.
fn two_below(count: usize, rng: &mut Rng) -> (usize, usize) {
    if count == 1 {
        return (0, 0);
    }
    let first = rng.random_range(0..count);
    let second = rng.random_range(0..count - 1);
    (first, if second >= first { second + 1 } else { second })
}
