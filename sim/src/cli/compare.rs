//! `relay-sim compare`: two reports, or two folders of them, side by side.

use std::collections::BTreeMap;

use comfy_table::Cell;
use relay_reports::compare::{Comparison, compare as compare_reports};
use relay_reports::model::{Report, Standing};
use relay_reports::{Tolerance, Tolerances};

use super::args::CompareArgs;
use super::baselines::Baselines;
use super::output::{empty_table, right};
use super::{Refusal, reports};

/// Exit code where something got worse: as that of a gate that failed.
const EXIT_WORSE: u8 = 1;

/// Compares, prints what differs, and returns the exit code.
pub(super) fn compare(args: &CompareArgs) -> Result<u8, Refusal> {
    let before = reports::read(&args.before)?;
    let after = reports::read(&args.after)?;
    let mut baselines = args.baselines.as_deref().map(Baselines::in_folder).transpose()?;
    let pairs = pairs(before, after);
    if pairs.both.is_empty() {
        return Err(Refusal(format!(
            "{} and {} have no scenario and seed in common",
            args.before.display(),
            args.after.display()
        )));
    }
    let (mut worse, mut same) = (0, 0);
    for (before, after) in &pairs.both {
        let tolerances = tolerances(baselines.as_mut(), &args.tolerance, &after.run.scenario.name)?;
        let comparison = compare_reports(before, after, &tolerances);
        let regressions = comparison.regressions();
        worse += usize::from(!regressions.is_empty());
        if comparison.differs() {
            print(&comparison, &regressions);
        } else {
            same += 1;
        }
    }
    for (what, keys) in [("before", &pairs.only_before), ("after", &pairs.only_after)] {
        for (scenario, seed) in keys {
            println!("only {what}: {scenario}, seed {seed}");
        }
    }
    let all = pairs.both.len();
    println!("compared {all} pairs of runs: {same} are the same, {worse} got worse");
    Ok(if worse > 0 { EXIT_WORSE } else { 0 })
}

fn tolerances(
    baselines: Option<&mut Baselines>,
    default: &Tolerance,
    scenario: &str,
) -> Result<Tolerances, Refusal> {
    let baseline = match baselines {
        Some(baselines) => baselines.of(scenario)?,
        None => None,
    };
    Ok(match baseline {
        Some(baseline) => baseline.tolerances(default.clone()),
        None => Tolerances::all(default.clone()),
    })
}

/// Runs that both sides have, and those that only one has.
struct Pairs {
    both: Vec<(Report, Report)>,
    only_before: Vec<reports::Key>,
    only_after: Vec<reports::Key>,
}

fn pairs(mut before: BTreeMap<reports::Key, Report>, after: BTreeMap<reports::Key, Report>) -> Pairs {
    // Two single runs are compared whatever they are of.
    if before.len() == 1 && after.len() == 1 {
        let both = before.into_values().zip(after.into_values()).collect();
        return Pairs { both, only_before: Vec::new(), only_after: Vec::new() };
    }
    let (mut both, mut only_after) = (Vec::new(), Vec::new());
    for (key, report) in after {
        match before.remove(&key) {
            Some(earlier) => both.push((earlier, report)),
            None => only_after.push(key),
        }
    }
    Pairs { both, only_before: before.into_keys().collect(), only_after }
}

fn print(comparison: &Comparison, regressions: &[String]) {
    println!("{}", comparison.title);
    for caveat in &comparison.caveats {
        println!("  note: {caveat}");
    }
    println!("{}", table(comparison));
    for regression in regressions {
        println!("  worse: {regression}");
    }
    println!();
}

fn table(comparison: &Comparison) -> comfy_table::Table {
    let mut table = empty_table();
    table.set_header(["", "what", "before", "after", "ratio", "allowed"]);
    let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "—".to_owned());
    for metric in comparison.metrics.iter().filter(|it| it.before != it.after) {
        let mark = match metric.standing {
            Standing::Worse => "✗",
            Standing::Within => "",
            Standing::Better => "✓",
        };
        table.add_row([
            Cell::new(mark),
            Cell::new(&metric.name),
            right(&shown(&metric.before)),
            right(&shown(&metric.after)),
            right(&metric.ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}×"))),
            right(&metric.tolerance),
        ]);
    }
    for gate in comparison.gates.iter().filter(|gate| gate.differs()) {
        let side = |side: &Option<relay_reports::model::Gate>| match side {
            Some(gate) => format!("{} {}", if gate.holds { "✓" } else { "✗" }, gate.measured),
            None => "not asked for".to_owned(),
        };
        let limit = gate.after.as_ref().or(gate.before.as_ref()).map_or("", |gate| gate.limit.as_str());
        table.add_row([
            Cell::new(if gate.broke() { "✗" } else { "" }),
            Cell::new(format!("gate {}", gate.name)),
            right(&side(&gate.before)),
            right(&side(&gate.after)),
            right(""),
            right(limit),
        ]);
    }
    for invariant in &comparison.invariants {
        let (before, after) = invariant.violated;
        table.add_row([
            Cell::new(if after > before { "✗" } else { "✓" }),
            Cell::new(format!("invariant {}", invariant.name)),
            right(&format!("violated {before}×")),
            right(&format!("violated {after}×")),
            right(""),
            right("never"),
        ]);
    }
    table
}
