//! Plans of faults, drawn from a seed.
//!
//! [`draw`] is given a federation ([`Shape`]) and how much is to go wrong ([`Appetite`]). A plan has three phases: the
//! federation forms; the *safety* phase, in which things go wrong and what must always hold must hold; and, after
//! everything has healed, the *liveness* phase, in which all must come right again.
//!
//! Swarm testing: each seed switches every family of faults on or off by itself and draws how often it occurs beside
//! the others. A run in which a few families are on goes deeper than one in which all of them are, a little each.
//!
//! How it is drawn, so that one thing does not move the others:
//!
//! 1. `slots.rs`: the times at which something is wrong, by host, from a stream of each host. They alone decide the
//!    share of host-time under faults, and never overlap on one host: no host goes down while it is down.
//! 2. Each slot goes to the family that scores highest for it, among those that are on and fit the host. Switching one
//!    off gives its slots to the others, and leaves theirs alone.
//! 3. What exactly happens in a slot is drawn from a stream of that slot and family.

mod families;
mod slots;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::{Fault, Selector, Share, Stream};

pub use families::Family;
use families::Scene;
use slots::{Owner, Slot};

/// The federation has this long to form before anything goes wrong, in seconds.
pub const FORM_SECONDS: u64 = 20;

/// The liveness phase lasts a quarter of the run, and no less and no more than this, in seconds.
pub const LIVENESS_SECONDS_MIN: u64 = 180;
/// See [`LIVENESS_SECONDS_MIN`].
pub const LIVENESS_SECONDS_MAX: u64 = 600;

/// The shortest run that has room for all three phases, in seconds.
pub const RUN_SECONDS_MIN: u64 = 300;

/// The largest share of host-time that can be asked to be under faults, in percent: beyond it there is hardly a
/// federation left to test.
pub const FAILURE_PERCENT_MAX: u64 = 50;

/// A federation, as far as faults go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Its hosts; at least one.
    pub hosts: Vec<HostShape>,
    /// How long the run lasts; at least [`RUN_SECONDS_MIN`].
    pub duration: Duration,
}

/// A host, as far as faults go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostShape {
    /// Its name.
    pub name: String,
    /// A hub, or a machine behind NAT.
    pub is_main: bool,
    /// Whether it speaks TLS, and has a certificate that can expire.
    pub has_certificate: bool,
    /// Whether it may lose its disk: one that makes a new node id then. Others would come back under their old id with
    /// a new key, which nobody takes, and rightly.
    pub may_lose_disk: bool,
    /// When it starts: nothing happens to it before.
    pub start: Duration,
}

/// How much is to go wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appetite {
    /// The share of host-time in the safety phase that is to be under a fault; at most [`FAILURE_PERCENT_MAX`].
    pub failure_rate: Share,
    /// The families that may be switched on.
    pub families: Vec<Family>,
}

/// What goes wrong, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// When what happens.
    pub phases: Phases,
    /// The families that are on, and how often each is drawn beside the others: 1 to 4.
    pub families: Vec<(Family, u64)>,
    /// Those of them that a fault was drawn from.
    pub drawn: Vec<Family>,
    /// The faults, by the time at which they begin.
    pub faults: Vec<Fault>,
    /// The share of host-time in the safety phase that is under a fault of the host's own.
    pub under_fault: Share,
}

/// The phases of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phases {
    /// From here on things go wrong.
    pub safety: Duration,
    /// From here on nothing does.
    pub heal: Duration,
    /// The run is over.
    pub end: Duration,
}

/// Why there can be no plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Too short for three phases.
    #[error("chaos needs time to form, to fail and to heal: let the run last at least {RUN_SECONDS_MIN} s")]
    TooShort,
    /// More than can be borne.
    #[error("a failure rate of {0} leaves no federation to test; at most {FAILURE_PERCENT_MAX}%")]
    TooMuch(Share),
    /// Nothing is allowed to go wrong.
    #[error(
        "no family of faults fits these hosts: name others, or give Mains `tls` for certificates that expire"
    )]
    NoFamily,
}

impl Phases {
    /// The phases of a run of this length.
    ///
    /// # Errors
    /// Where it is too short.
    pub fn of(duration: Duration) -> Result<Phases, PlanError> {
        if duration < Duration::from_secs(RUN_SECONDS_MIN) {
            return Err(PlanError::TooShort);
        }
        let liveness = (duration / 4)
            .clamp(Duration::from_secs(LIVENESS_SECONDS_MIN), Duration::from_secs(LIVENESS_SECONDS_MAX));
        // Whole seconds read better.
        let heal = Duration::from_secs((duration - liveness).as_secs());
        Ok(Phases { safety: Duration::from_secs(FORM_SECONDS), heal, end: duration })
    }
}

/// The plan of a seed.
///
/// # Errors
/// Where what is asked for cannot be.
pub fn draw(seed: u64, shape: &Shape, appetite: &Appetite) -> Result<Plan, PlanError> {
    let phases = Phases::of(shape.duration)?;
    if appetite.failure_rate > Share::of(FAILURE_PERCENT_MAX, 100).unwrap_or_default() {
        return Err(PlanError::TooMuch(appetite.failure_rate));
    }
    let root = Stream::new(seed).child("faults");
    let families = switches(&root, shape, appetite)?;
    let slots = slots::draw(&root, shape, phases, appetite.failure_rate);
    let mut faults: Vec<Fault> = Vec::new();
    let mut drawn: Vec<Family> = Vec::new();
    for slot in &slots {
        let Some(family) = winner(&root, slot, shape, &families) else { continue };
        let stream = slot.stream(&root).child(family.name());
        let mut scene = Scene { shape, slot, stream };
        let before = faults.len();
        faults.extend(family.faults(&mut scene));
        if faults.len() > before && !drawn.contains(&family) {
            drawn.push(family);
        }
    }
    faults.sort_by_key(|fault| fault.at);
    let under_fault = under_fault(&faults, shape, phases);
    Ok(Plan { phases, families, drawn, faults, under_fault })
}

/// Which families are on, and how often each occurs.
fn switches(root: &Stream, shape: &Shape, appetite: &Appetite) -> Result<Vec<(Family, u64)>, PlanError> {
    let fits = |family: &Family| shape.hosts.iter().any(|host| family.fits(host));
    let drawn = |family: Family| {
        let mut stream = root.child("switch").child(family.name());
        (stream.chance(50), stream.between(1, 4), stream.number())
    };
    let allowed = || Family::all().filter(|it| appetite.families.contains(it)).filter(fits);
    let on: Vec<_> = allowed().filter(|it| drawn(*it).0).map(|it| (it, drawn(it).1)).collect();
    if !on.is_empty() {
        return Ok(on);
    }
    // A seed under which nothing can go wrong would prove little.
    let last = allowed().max_by_key(|it| drawn(*it).2).ok_or(PlanError::NoFamily)?;
    Ok(vec![(last, drawn(last).1)])
}

/// The family that a slot goes to: the one with the highest number among all tickets, of which each family has as many
/// as its weight.
fn winner(root: &Stream, slot: &Slot, shape: &Shape, families: &[(Family, u64)]) -> Option<Family> {
    let fits = |family: Family| match slot.owner {
        Owner::Host(host) => family.fits(&shape.hosts[host]),
        Owner::Several => family.takes_several() && shape.hosts.iter().any(|host| family.fits(host)),
    };
    let fitting = families.iter().filter(|(family, _)| fits(*family));
    let best = fitting.max_by_key(|(family, weight)| {
        let mut tickets = slot.stream(root).child("tickets").child(family.name());
        (0..*weight).map(|_| tickets.number()).max()
    });
    best.map(|(family, _)| *family)
}

/// How much of all hosts' time in the safety phase is under a fault of their own.
fn under_fault(faults: &[Fault], shape: &Shape, phases: Phases) -> Share {
    let mut nanos = 0_u128;
    for host in &shape.hosts {
        let mut until = phases.safety;
        let is_meant = |set: &Selector| set.patterns().contains(&host.name);
        // By their beginning: what is counted already is not counted again.
        for fault in faults.iter().filter(|fault| is_meant(fault.what.hosts())) {
            let active = fault.active();
            let end = active.end.unwrap_or(phases.heal).min(phases.heal);
            nanos += end.saturating_sub(active.start.max(until)).as_nanos();
            until = until.max(end);
        }
    }
    let whole = (phases.heal - phases.safety).as_nanos() * shape.hosts.len() as u128;
    let micros = |nanos: u128| u64::try_from(nanos / 1000).unwrap_or(u64::MAX);
    Share::of(micros(nanos), micros(whole)).unwrap_or_default()
}
