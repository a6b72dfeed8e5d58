//! Chaos from a seed: a federation, loads and faults are drawn, and written down as a scenario like any other.
//!
//! What comes out is text: it can be read, run by `relay-sim run`, kept in a capsule, and shrunk. All that was drawn
//! stands in a comment at its top. The faults come from [`relay_chaos::plan`]; what the federation looks like, from
//! `federation.rs`; who calls whom, from `loads.rs`. A scenario of one's own can take the place of the latter two
//! (`base.rs`).

mod base;
mod closed;
mod federation;
mod loads;
#[cfg(test)]
mod tests;

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use relay_chaos::plan::{self, Appetite, Family, HostShape, Phases, Plan, PlanError, Shape};
use relay_chaos::quantity::duration;
use relay_chaos::{Share, Stream};

use crate::scenario::{NodeId, Scenario, ScenarioError};
use crate::world::timing;

pub use base::{Base, BaseError, settings_left};
pub use closed::{ClosedLoop, LOAD_START};
pub use federation::Bounds;

/// How long runs last where nothing says so.
pub const DEFAULT_DURATION: Duration = Duration::from_secs(600);

/// Time to announce what is offered, on top of noticing and dialling.
const ANNOUNCE: Duration = Duration::from_secs(10);

/// The least share of calls over whole paths that must succeed in all phases together.
const SUCCESS: &str = "90%";

/// What all seeds of one command have in common.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// How long each run lasts.
    pub duration: Duration,
    /// How much is to go wrong.
    pub appetite: Appetite,
    /// Who is there.
    pub source: World,
}

/// Where the federations of a campaign come from.
#[derive(Clone, Debug)]
pub enum World {
    /// Each seed draws one within these bounds.
    Drawn(Bounds),
    /// All seeds run this one, with its loads.
    Given(Box<Base>),
}

/// What a seed came to.
#[derive(Clone, Debug)]
pub struct Drawn {
    /// The scenario, ready to run; its text has everything.
    pub scenario: Arc<Scenario>,
    /// The faults in it.
    pub plan: Plan,
}

/// Why a seed came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum CampaignError {
    /// There is no plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// What was drawn is no scenario: a mistake in here, or a base that does not fit the duration.
    #[error("what was drawn is no scenario")]
    Scenario(#[from] Box<ScenarioError>),
}

impl Default for Campaign {
    /// Ten minutes, a tenth of host-time under faults of all families, at most three Mains and six Homes.
    fn default() -> Self {
        Campaign {
            duration: DEFAULT_DURATION,
            appetite: Appetite {
                failure_rate: Share::of(1, 10).expect("a tenth is a share"),
                families: Family::all().collect(),
            },
            source: World::Drawn(Bounds { mains: 3, homes: 6 }),
        }
    }
}

impl Campaign {
    /// What this seed draws.
    ///
    /// # Errors
    /// Where what is asked for cannot be.
    pub fn draw(&self, seed: u64) -> Result<Drawn, CampaignError> {
        let phases = Phases::of(self.duration)?;
        let name = match &self.source {
            World::Drawn(_) => format!("chaos-{seed}"),
            World::Given(base) => format!("{}-chaos-{seed}", base.name()),
        };
        let file = format!("{name}.toml");
        let mut notes = Notes::default();
        let root = Stream::new(seed);
        let body = match &self.source {
            World::Drawn(bounds) => {
                let federation = federation::draw(&root.child("federation"), bounds, &mut notes);
                let quiet = federation::text(&federation);
                let loads = loads::draw(&root.child("loads"), &federation, &mut notes);
                let calm = patience(&load(&file, &head(&name, seed, self.duration), &quiet, &[])?);
                let loads = loads::text(&loads, &federation, phases, calm);
                (format!("{quiet}{loads}"), calm)
            }
            World::Given(base) => {
                let calm = patience(base.scenario());
                (base.text(phases, calm), calm)
            }
        };
        let (body, calm) = body;
        let head = head(&name, seed, self.duration);
        let set = match &self.source {
            World::Drawn(_) => Vec::new(),
            World::Given(base) => settings_left(&base.set(), &body),
        };
        let shape = shape(&load(&file, &head, &body, &set)?);
        let plan = plan::draw(seed, &shape, &self.appetite)?;
        notes.of_plan(&plan, self.appetite.failure_rate);
        let gates = gates(calm);
        let faults = faults(&plan);
        let comment = notes.comment(seed);
        let text = format!("{body}{faults}{gates}");
        let scenario = load(&file, &format!("{comment}{head}"), &text, &set)?;
        Ok(Drawn { scenario: Arc::new(scenario), plan })
    }
}

/// The top of the file.
fn head(name: &str, seed: u64, duration: Duration) -> String {
    let duration = duration::format(duration);
    format!(
        "name = \"{name}\"\ndescription = \"Drawn from seed {seed}.\"\nduration = \"{duration}\"\nseed = {seed}\n"
    )
}

fn load(
    file: &str,
    head: &str,
    body: &str,
    set: &[(String, String)],
) -> Result<Scenario, Box<ScenarioError>> {
    Scenario::load_with(file, &format!("{head}{body}"), set).map_err(Box::new)
}

/// How long the federation may take to agree again: a dead link is noticed, another one dialled after the longest
/// wait, and what is offered announced over it.
fn patience(scenario: &Scenario) -> Duration {
    let timing = timing(&scenario.node);
    let exact = timing.unhealthy_after + timing.dial + timing.backoff.cap + ANNOUNCE;
    Duration::from_secs(exact.as_secs_f64().ceil() as u64)
}

/// The scenario's hosts, as far as faults go.
fn shape(scenario: &Scenario) -> Shape {
    let hosts = scenario.topology.hosts.iter().map(|(_, host)| HostShape {
        name: host.name.clone(),
        is_main: host.is_main(),
        has_certificate: host.tls,
        may_lose_disk: host.node_id == NodeId::Generated,
        start: host.start,
    });
    Shape { hosts: hosts.collect(), duration: scenario.run.duration }
}

/// The faults as tables of a scenario.
fn faults(plan: &Plan) -> String {
    let mut text = format!(
        "\n# From {} on things go wrong; from {} on nothing does, and all must come right.\n",
        duration::format(plan.phases.safety),
        duration::format(plan.phases.heal)
    );
    for fault in &plan.faults {
        let table = toml::to_string(fault).expect("a fault is a flat table");
        write!(text, "\n[[fault]]\n{table}").expect("strings take all");
    }
    text
}

/// What must hold. While things go wrong, a call over a whole path may still fail: a breaker that opened is open for
/// half a minute, and where packets get lost TCP's waits eat its time. What is strict is the liveness phase.
fn gates(calm: Duration) -> String {
    let calm = duration::format(calm);
    format!("\n[gates]\nconvergence = \"{calm}\"\nsuccess = \"{SUCCESS}\"\nmax_hops = 3\nmin_calls = 10\n")
}

/// What was drawn, in words.
#[derive(Default)]
struct Notes {
    lines: Vec<(&'static str, String)>,
}

impl Notes {
    fn add(&mut self, name: &'static str, value: impl ToString) {
        self.lines.push((name, value.to_string()));
    }

    fn of_plan(&mut self, plan: &Plan, wanted: Share) {
        let families: Vec<String> =
            plan.families.iter().map(|(family, weight)| format!("{family} ×{weight}")).collect();
        self.add("families on", families.join(", "));
        let drawn = plan.under_fault.as_f64() * 100.0;
        self.add("host-time under faults", format!("{drawn:.1}% drawn, {wanted} wanted"));
        let mut kinds: std::collections::BTreeMap<&str, usize> = std::collections::BTreeMap::new();
        plan.faults.iter().for_each(|fault| *kinds.entry(fault.what.name()).or_default() += 1);
        let kinds: Vec<String> = kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        self.add("faults", if kinds.is_empty() { "none".into() } else { kinds.join(", ") });
        let Phases { safety, heal, end } = plan.phases;
        let [safety, heal, end] = [safety, heal, end].map(duration::format);
        self.add("phases", format!("forms until {safety}, safety until {heal}, liveness until {end}"));
    }

    fn comment(&self, seed: u64) -> String {
        let mut text = format!("# Drawn by `relay-sim chaos` from seed {seed}:\n");
        for (name, value) in &self.lines {
            writeln!(text, "#   {name}: {value}").expect("strings take all");
        }
        text.push('\n');
        text
    }
}

/// What was drawn for a scenario of a campaign: the comment at its top, line by line.
pub fn notes(scenario: &Scenario) -> impl Iterator<Item = &str> {
    scenario.source.text.lines().map_while(|line| line.strip_prefix('#')).map(str::trim)
}
