//! What the command prints.

use std::time::Duration;

use comfy_table::{Cell, CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};

use crate::engine::Engine;
use crate::execute::{Execution, Verdict};
use crate::gates::show;
use crate::report::hash;

use super::sightings::Sightings;

/// Lines under the header and at both ends, nothing else.
const STYLE: TableStyle = TableStyle::new()
    .top_border(LineStyle::none().fill('─').junction('─').left('─').right('─'))
    .header_separator(LineStyle::none().fill('─').junction('─').left('─').right('─'))
    .bottom_border(LineStyle::none().fill('─').junction('─').left('─').right('─'));

/// Columns that a table takes up at most: it is to fit a terminal and a CI log.
const WIDTH_COLUMNS: u16 = 120;

/// A table without rows.
pub(super) fn empty_table() -> Table {
    let mut table = Table::new();
    table.load_style(STYLE).set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH_COLUMNS);
    table
}

/// A cell whose text stands to the right.
pub(super) fn right(text: &str) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

/// The line over a run's table.
pub(super) fn heading(run: &Execution, verdict: Verdict) -> String {
    let hosts = &run.scenario.topology.hosts;
    let mains = hosts.iter().filter(|(_, host)| host.is_main()).count();
    let (name, seed) = (&run.scenario.name, run.seed);
    let duration = relay_chaos::quantity::duration::format(run.scenario.run.duration);
    let homes = hosts.len() - mains;
    let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    let (mains, homes) = (count(mains, "Main"), count(homes, "Home"));
    let engine = match run.engine {
        Engine::Event => String::new(),
        other => format!(" · on {other}"),
    };
    format!("{name} · seed {seed} · {mains}, {homes}, {duration}{engine} · {}", verdict.as_str())
}

/// The gates with what was measured, then the invariants.
pub(super) fn table(run: &Execution) -> Table {
    let mut table = empty_table();
    table.set_header(["", "gate", "limit", "measured", "of what"]);
    let mark = |holds: bool| if holds { "✓" } else { "✗" };
    for gate in &run.gates {
        table.add_row([
            Cell::new(mark(gate.holds)),
            Cell::new(gate.title()),
            right(&gate.limit),
            right(&gate.measured),
            Cell::new(&gate.explanation),
        ]);
    }
    for (invariant, findings) in run.record.invariants.results() {
        table.add_row([
            Cell::new(mark(findings.violated == 0)),
            Cell::new(invariant.name()),
            right("always"),
            right(&match findings.violated {
                0 => format!("{} checks", findings.checked),
                violated => format!("{violated} of {} violate it", findings.checked),
            }),
            Cell::new(invariant.statement()),
        ]);
    }
    table
}

/// The lines under a run's table.
pub(super) fn figures(run: &Execution, wall: Duration) -> String {
    let calls = &run.record.calls;
    let broken = calls.total() - calls.succeeded - calls.failed_unexpected();
    let speed = run.virtual_time.as_secs_f64() / wall.as_secs_f64().max(1e-9);
    format!(
        "calls       {} made: {} succeeded, {} failed while their path was broken, {} failed otherwise\n\
         trace hash  {}  ({} events)\n\
         speed       {speed:.0} virtual seconds per wall second ({} in {})",
        calls.total(),
        calls.succeeded,
        broken,
        calls.failed_unexpected(),
        hash(run),
        run.trace.count(),
        show(run.virtual_time),
        show(wall),
    )
}

/// What is said of one scenario that was run with several seeds.
#[derive(Default)]
pub(super) struct Tally {
    /// Runs.
    pub(super) runs: u64,
    /// Those that did not pass: seed and verdict.
    pub(super) failed: Vec<(u64, Verdict)>,
    /// The slowest return to agreement.
    pub(super) convergence: Duration,
    /// The worst p99 of a run.
    pub(super) p99: Duration,
    /// Calls of all runs.
    pub(super) calls: u64,
    /// Virtual time of all runs.
    pub(super) virtual_time: Duration,
    /// What must happen in one of them at least.
    pub(super) sometimes: Sightings,
}

impl Tally {
    /// Adds a run.
    pub(super) fn add(&mut self, run: &Execution, verdict: Verdict) {
        self.runs += 1;
        if verdict != Verdict::Passed {
            self.failed.push((run.seed, verdict));
        }
        let (convergence, _) = run.record.convergence.worst().unwrap_or_default();
        self.convergence = self.convergence.max(convergence);
        let p99 = Duration::from_micros(run.record.calls.latency.value_at_quantile(0.99));
        self.p99 = self.p99.max(p99);
        self.calls += run.record.calls.total();
        self.virtual_time += run.virtual_time;
        self.sometimes.add(run);
    }
}

/// The table over several runs.
pub(super) fn summary<'a>(tallies: impl Iterator<Item = (&'a str, &'a Tally)>) -> Table {
    let mut table = empty_table();
    table.set_header(["", "scenario", "runs", "passed", "calls", "slowest convergence", "worst p99"]);
    for (name, tally) in tallies {
        let passed = tally.runs - tally.failed.len() as u64;
        table.add_row([
            Cell::new(if tally.failed.is_empty() && !tally.sometimes.proves_nothing() {
                "✓"
            } else {
                "✗"
            }),
            Cell::new(name),
            right(&tally.runs.to_string()),
            right(&passed.to_string()),
            right(&tally.calls.to_string()),
            right(&show(tally.convergence)),
            right(&show(tally.p99)),
        ]);
    }
    table
}
