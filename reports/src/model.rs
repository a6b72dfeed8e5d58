//! What a run showed, as plain data: the one input of every output format.
//!
//! Times and durations are whole nanoseconds of *virtual* time (`_ns`), counted from the start of the run. Whole
//! numbers survive JSON exactly, cannot be NaN, and print the same everywhere, so that two runs of one seed give the
//! same bytes. [`Report::wall`] is the single exception: it holds what the machine contributed and differs from run
//! to run; compare reports after setting it to `None` ([`Report::without_wall`]).
//!
//! The caller summarises: it buckets points, picks samples and cuts lists to the limits below. Where a list was cut,
//! the model carries the full count beside it.

mod lanes;
mod metric;

use serde::{Deserialize, Serialize};

pub use lanes::{LINK_LANES_MAX, Lane, LaneMark, LaneSpan, Lanes, NODE_LANES_MAX, SPANS_PER_LANE_MAX};
pub use metric::{Against, Better, Metric, Standing, Unit, keep_worst};

/// The version of the format that this crate reads and writes; grows when a field changes its meaning or goes away.
pub const SCHEMA_VERSION: u32 = 1;
/// Points that one chart should have at most: about one per pixel of a wide page.
pub const CHART_POINTS_MAX: usize = 600;
/// Homes that are listed by name under one Main; the rest is a count.
pub const HOMES_LISTED_PER_MAIN_MAX: usize = 24;
/// Events that the timeline should hold at most.
pub const TIMELINE_EVENTS_MAX: usize = 2_000;
/// Calls that each list of samples should hold at most.
pub const CALL_SAMPLES_MAX: usize = 40;
/// Intervals into which the history of an invariant is divided at most.
pub const CHECK_POINTS_MAX: usize = 60;
/// Violations that one invariant should list at most; [`Invariant::violated`] counts all of them.
pub const VIOLATIONS_LISTED_MAX: usize = 20;

/// One run of one scenario with one seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA_VERSION`] of the writer.
    pub schema_version: u32,
    /// What was run, and how to run it again.
    pub run: RunInfo,
    /// How it ended, in one word.
    pub verdict: Verdict,
    /// How it ended, in sentences.
    pub summary: Summary,
    /// What had to hold.
    pub checks: Checks,
    /// Who took part.
    pub topology: Topology,
    /// What happened to the federation.
    pub history: History,
    /// What happened to the calls.
    pub calls: Calls,
    /// Hash over every event of the run, in lower-case hexadecimal. Equal hashes mean equal runs.
    pub trace_hash: String,
    /// What the machine contributed: the only part that differs between two runs of one seed.
    pub wall: Option<WallFigures>,
}

impl Report {
    /// The part that is the same in every run of one seed with one version.
    #[must_use]
    pub fn without_wall(self) -> Self {
        Self { wall: None, ..self }
    }
}

/// What was run, and how to run it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunInfo {
    /// The scenario.
    pub scenario: ScenarioInfo,
    /// The seed of all randomness. Over 2^53 in JSON it needs a reader with 64-bit integers.
    pub seed: u64,
    /// Version of the simulator, with the commit where it is known: `0.1.0 (98b7b20)`.
    pub version: String,
    /// Name of the engine: `event` or `turmoil`.
    pub engine: String,
    /// The command that repeats this run, as one would type it: `relay-sim run FILE --seed 7`.
    pub replay_command: String,
    /// Settings that held in the run, each with its unit; a simulator fills in what it knows.
    #[serde(default)]
    pub settings: Vec<NamedValue>,
    /// The parameters of the scenario, and what was drawn from the seed where the run was made up from one; may be
    /// empty.
    #[serde(default)]
    pub parameters: Vec<NamedValue>,
}

/// A name and a value as people read them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedValue {
    /// The name: `network: latency`.
    pub name: String,
    /// The value with its unit: `5 ms`.
    pub value: String,
}

impl NamedValue {
    /// A name with its value.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into() }
    }
}

/// The scenario as its file introduces itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScenarioInfo {
    /// Its name: `three-mains-six-homes`.
    pub name: String,
    /// What it is for, in a sentence or two; may be empty.
    pub description: String,
    /// The file it was read from, relative to the repository.
    pub file: String,
    /// Virtual length of the run; every chart spans it.
    pub duration_ns: u64,
    /// Its whole text, to run it again without the file; may be empty.
    #[serde(default)]
    pub text: String,
}

/// How a run ended. The worst finding wins, in the order of this list from the bottom up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// All gates and invariants held.
    Passed,
    /// A gate did not hold; no invariant was violated.
    GateFailed,
    /// Something happened that must never happen.
    InvariantViolated,
    /// Code of ours panicked.
    Panicked,
    /// The same seed gave two different runs; nothing else about the run counts.
    NotDeterministic,
}

/// How a run ended, in sentences.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// One sentence: what held, or what failed first.
    pub headline: String,
    /// What whoever gets the failing seed needs next, a line or a preformatted block each: the panic message with host
    /// and task, the first event that differs. Empty where all holds.
    pub details: Vec<String>,
}

/// What had to hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checks {
    /// Measured against limits from the scenario, in its order.
    pub gates: Vec<Gate>,
    /// What must hold in every scenario.
    pub invariants: Vec<Invariant>,
    /// Figures by which this run can be compared with others.
    #[serde(default)]
    pub metrics: Vec<Metric>,
}

/// A figure that the scenario puts a limit on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// Name as in the scenario file: `convergence`.
    pub name: String,
    /// The limit with its unit: `≤ 20 s`.
    pub limit: String,
    /// The measured value with its unit: `15.3 s`; `—` where nothing was there to measure.
    pub measured: String,
    /// Whether the gate holds.
    pub holds: bool,
    /// What was measured, in a sentence; may be empty.
    pub explanation: String,
}

/// A property that must hold at every moment of every run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invariant {
    /// Short name: `answer-reaches-caller`.
    pub name: String,
    /// The property in a sentence.
    pub statement: String,
    /// How often it was checked. Zero means that the run had no occasion to.
    pub checked: u64,
    /// How often it was violated, listed or not.
    pub violated: u64,
    /// The first violations, at most [`VIOLATIONS_LISTED_MAX`].
    pub violations: Vec<Violation>,
    /// When it was checked, and with what result, in order; at most [`CHECK_POINTS_MAX`] intervals.
    #[serde(default)]
    pub history: Vec<CheckPoint>,
}

/// How often an invariant was checked in one interval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckPoint {
    /// Begin of the interval, ns of virtual time.
    pub start_ns: u64,
    /// Its length, ns.
    pub width_ns: u64,
    /// Checks in it.
    pub checked: u64,
    /// Of those, the ones that found it violated.
    pub violated: u64,
}

/// One violation of an invariant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// When it was seen, ns of virtual time.
    pub at_ns: u64,
    /// What was seen: hosts, call, values.
    pub text: String,
}

/// Who took part.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topology {
    /// The Main Relays, in the order of the scenario.
    pub mains: Vec<MainInfo>,
}

/// A Main Relay and the Homes that the scenario attaches to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MainInfo {
    /// Host name of the Main.
    pub name: String,
    /// How many Homes it has, listed or not.
    pub home_count: u64,
    /// The first Homes, at most [`HOMES_LISTED_PER_MAIN_MAX`].
    pub homes: Vec<String>,
}

impl MainInfo {
    /// Counts all `homes` and keeps the first ones by name.
    pub fn new(name: impl Into<String>, homes: impl IntoIterator<Item = String>) -> Self {
        let mut home_count = 0;
        let mut listed = Vec::new();
        for home in homes {
            home_count += 1;
            if listed.len() < HOMES_LISTED_PER_MAIN_MAX {
                listed.push(home);
            }
        }
        Self { name: name.into(), home_count, homes: listed }
    }
}

/// What happened to the federation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// Faults with a duration; the charts shade them. In order of their start.
    pub fault_bands: Vec<FaultBand>,
    /// How long the Mains' views took to agree with the truth again after each disturbance.
    pub convergence: Vec<ConvergencePoint>,
    /// What happened when, in order of time; at most [`TIMELINE_EVENTS_MAX`].
    pub timeline: Vec<TimelineEvent>,
    /// How many events there were, listed or not.
    pub timeline_total: u64,
    /// The states of nodes and links.
    #[serde(default)]
    pub lanes: Lanes,
    /// How likely the failure still is where the randomness is drawn anew from some moment on; empty where nobody has
    /// measured it.
    #[serde(default)]
    pub likelihood: Vec<LikelihoodPoint>,
    /// How full things were over virtual time: memory, tables, queues.
    #[serde(default)]
    pub series: Vec<Series>,
}

/// Runs that are alike until a moment and differ from then on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LikelihoodPoint {
    /// The moment from which on the randomness is another one, ns of virtual time.
    pub from_ns: u64,
    /// Runs made.
    pub runs: u64,
    /// Of those, the ones that failed the same way.
    pub failed: u64,
}

/// One figure over virtual time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Series {
    /// Its name: `live memory`, `table: calls`.
    pub name: String,
    /// What the values count: `bytes`, `entries`.
    pub unit: String,
    /// Whether the machine has a part in it: two runs of one seed need not agree on it to the last digit.
    pub of_machine: bool,
    /// The points, in order; at most [`CHART_POINTS_MAX`]. Times in which nothing was seen have none.
    pub points: Vec<SeriesPoint>,
}

/// What was seen of a [`Series`] in one interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeriesPoint {
    /// Start of the interval, ns of virtual time.
    pub start_ns: u64,
    /// Length of the interval, ns.
    pub width_ns: u64,
    /// The mean, rounded.
    pub mean: u64,
    /// The most.
    pub max: u64,
}

/// A fault with a duration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultBand {
    /// First moment of the fault, ns of virtual time.
    pub start_ns: u64,
    /// First moment after it; `None` where it lasts to the end of the run.
    pub end_ns: Option<u64>,
    /// Sort of fault, lower case: `partition`, `crash` and `link` have a colour of their own, others share one.
    pub kind: String,
    /// What stands over the band: short, `relay-b cut off`.
    pub label: String,
    /// The hosts it hits; may be empty.
    pub hosts: Vec<String>,
}

/// One disturbance of the Mains' views of all services.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConvergencePoint {
    /// When the clock began to run: the heal, the restart, the start of the run. Ns of virtual time.
    pub start_ns: u64,
    /// How long until every view equalled the truth; `None` where that did not happen before the next disturbance or the end.
    pub settled_after_ns: Option<u64>,
    /// What disturbed it: `relay-a healed`.
    pub cause: String,
}

/// Something worth knowing that happened at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimelineEvent {
    /// When, ns of virtual time.
    pub at_ns: u64,
    /// Where; `None` where it concerns the whole federation.
    pub host: Option<String>,
    /// Sort of event, one lower-case word: `fault`, `heal`, `crash`, `restart`, `link`, `registry`, `call`, `violation`,
    /// `panic`. The page filters by it.
    pub kind: String,
    /// What happened, in a few words.
    pub text: String,
}

/// What happened to the calls.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calls {
    /// Figures over the whole run.
    pub totals: CallTotals,
    /// Latency over virtual time, in order; at most [`CHART_POINTS_MAX`] points.
    pub latency: Vec<LatencyPoint>,
    /// Calls over virtual time, in order; at most [`CHART_POINTS_MAX`] points.
    pub rate: Vec<RatePoint>,
    /// How calls ended, most frequent first.
    pub outcomes: Vec<OutcomeCount>,
    /// The slowest calls that succeeded, slowest first; at most [`CALL_SAMPLES_MAX`].
    pub slowest: Vec<CallSample>,
    /// Failed calls, unexpected ones first, then in order of time; at most [`CALL_SAMPLES_MAX`].
    pub failed: Vec<CallSample>,
}

/// Figures over all calls of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallTotals {
    /// Calls that succeeded.
    pub succeeded: u64,
    /// Calls that failed while their path was not whole from send to answer.
    pub failed_expected: u64,
    /// Calls that failed although their path was whole.
    pub failed_unexpected: u64,
    /// Median latency of the calls that succeeded, ns; 0 where there was none, here and in the next three.
    pub p50_ns: u64,
    /// 90th percentile, ns.
    pub p90_ns: u64,
    /// 99th percentile, ns.
    pub p99_ns: u64,
    /// Slowest, ns.
    pub max_ns: u64,
}

impl CallTotals {
    /// All calls that ended.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.succeeded.saturating_add(self.failed_expected).saturating_add(self.failed_unexpected)
    }
}

/// Latency of the calls that were sent in one interval and succeeded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatencyPoint {
    /// Begin of the interval, ns of virtual time.
    pub start_ns: u64,
    /// Its length, ns.
    pub width_ns: u64,
    /// Calls in it. Zero makes a gap in the chart, and so does an interval that is left out.
    pub calls: u64,
    /// Median latency, ns.
    pub p50_ns: u64,
    /// 90th percentile, ns.
    pub p90_ns: u64,
    /// 99th percentile, ns.
    pub p99_ns: u64,
    /// Slowest, ns.
    pub max_ns: u64,
}

/// How the calls that were sent in one interval ended. Counts, not rates: readers divide by the width.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RatePoint {
    /// Begin of the interval, ns of virtual time.
    pub start_ns: u64,
    /// Its length, ns.
    pub width_ns: u64,
    /// Calls that succeeded.
    pub succeeded: u64,
    /// Calls that failed while their path was not whole from send to answer.
    pub failed_expected: u64,
    /// Calls that failed although their path was whole.
    pub failed_unexpected: u64,
}

/// How many calls ended one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeCount {
    /// JSON-RPC error code; `None` for success.
    pub code: Option<i32>,
    /// Its name in words: `succeeded`, `timed out`.
    pub name: String,
    /// Calls that ended so.
    pub count: u64,
}

/// One call, to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallSample {
    /// When it was sent, ns of virtual time.
    pub at_ns: u64,
    /// Host that sent it.
    pub caller: String,
    /// What it called: `blog@bob.home`.
    pub target: String,
    /// Time from the intended send to the outcome, ns.
    pub latency_ns: u64,
    /// How it ended, in words, as in [`OutcomeCount::name`].
    pub outcome: String,
    /// Whether its path was whole from send to answer. A failed call with a whole path is unexpected.
    pub path_whole: bool,
    /// The hosts it went through as far as is known, caller first.
    pub path: Vec<String>,
    /// More about it, where it was looked at more closely.
    #[serde(default)]
    pub detail: Option<CallDetail>,
}

/// What else is known of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallDetail {
    /// The load that made it.
    pub load: String,
    /// The service that it called.
    pub service: String,
    /// Whom it was for; `None` for any instance of the service.
    pub callee: Option<String>,
    /// JSON-RPC error code; `None` for success, and where its own relay said nothing.
    pub code: Option<i32>,
    /// How long after it was due it was handed to its own relay, ns.
    pub waited_ns: u64,
    /// How long each node on its way had it, caller first, as far as nodes told. Each time contains the next.
    pub hops: Vec<HopTime>,
    /// The faults that were active at any time between due and ended.
    pub faults: Vec<String>,
}

/// How long one node had a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HopTime {
    /// The node.
    pub node: String,
    /// From the moment it took the call to the moment it had the answer, ns of virtual time; the one that served it: how
    /// long its service took.
    pub took_ns: u64,
}

/// What the machine contributed. Differs between two runs of one seed, and is left out of every comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WallFigures {
    /// Wall-clock time of the run, ns.
    pub wall_ns: u64,
    /// Virtual seconds per wall second.
    pub virtual_per_wall: f64,
    /// Events that the engine processed.
    pub events: u64,
}
