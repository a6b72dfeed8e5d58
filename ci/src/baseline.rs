//! `cargo ci baseline`: every scenario's figures against what they were.
//!
//! `reports/baselines/SCENARIO.json` holds the worst value of each figure over the plan's seeds, and by how much it may be
//! worse. Virtual time and counts only: another machine gives the same figures.

use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;

use relay_reports::baseline::Baseline;
use relay_reports::model::{Metric, keep_worst};
use relay_sim::cli::baselines::Baselines;
use relay_sim::cli::runs::{Unit, side_by_side};
use relay_sim::execute::Verdict;
use relay_sim::report::metrics;

use crate::plan::Entry;
use crate::table::Table;
use crate::{Refusal, Session};

/// Where the baselines are, from the root.
pub(crate) const FOLDER: &str = "reports/baselines";

/// The worst figures of one scenario over its seeds.
pub(crate) struct Worst<'a> {
    /// The scenario's place in the plan.
    pub(crate) entry: &'a Entry,
    /// The figures.
    pub(crate) metrics: Vec<Metric>,
}

/// Runs the plan's scenarios and holds their figures against the baselines, or writes these. Returns the exit code.
pub(crate) fn run(session: &Session, write_them: bool) -> Result<u8, Refusal> {
    let entries = &session.plan.entries;
    let units: Vec<(usize, Unit)> =
        entries.iter().enumerate().flat_map(|(at, entry)| units(at, entry)).collect();
    let mut worst: Vec<_> = entries.iter().map(|entry| Worst { entry, metrics: Vec::new() }).collect();
    let mut failed = Vec::new();
    let measured = |(_, unit): &(usize, Unit)| {
        let run = unit.run_as_one_of_many();
        (metrics(&run), run.verdict())
    };
    side_by_side(&units, session.jobs, measured, |(at, unit), (metrics, verdict)| {
        keep_worst(&mut worst[*at].metrics, &metrics);
        if verdict != Verdict::Passed {
            failed.push(format!("{}: {}", unit.command(), verdict.as_str()));
        }
    });
    if let Some(first) = failed.first() {
        let count = failed.len();
        return Err(Refusal(format!(
            "{count} runs did not pass, so their figures say nothing; the first: {first}"
        )));
    }
    if write_them {
        write(&session.baselines, &worst)?;
        return Ok(0);
    }
    let judged = judge(&session.baselines, &worst)?;
    println!("{judged}");
    Ok(judged.exit_code())
}

/// All runs of an entry, each with the entry's place.
pub(crate) fn units(at: usize, entry: &Entry) -> impl Iterator<Item = (usize, Unit)> {
    let scenario = entry.scenario.clone();
    entry.seeds.clone().map(move |seed| (at, Unit { scenario: scenario.clone(), seed }))
}

/// What the baselines say of a plan's runs. Its `Display` is for people.
pub(crate) struct Judged {
    /// Figures that were held against a baseline, and how many of them are no worse than they may be.
    figures: usize,
    held: usize,
    /// A row for every figure that is beyond its tolerance, either way: good or bad, then the cells.
    beyond: Vec<(bool, [String; 5])>,
    /// What else there is to say, a sentence each.
    notes: Vec<String>,
    /// A figure that is there no longer, a sentence each.
    missing: Vec<String>,
}

impl Judged {
    /// Whether anything is worse than it may be.
    pub(crate) fn is_worse(&self) -> bool {
        !self.missing.is_empty() || self.held < self.figures
    }

    fn exit_code(&self) -> u8 {
        if self.is_worse() { Verdict::GateFailed.exit_code() } else { 0 }
    }
}

impl std::fmt::Display for Judged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.beyond.is_empty() {
            let mut table = Table::new(["", "scenario", "metric", "baseline", "worst now", "tolerance"]);
            for (good, cells) in &self.beyond {
                table.row(*good, cells.clone());
            }
            writeln!(f, "{table}")?;
        }
        for line in self.missing.iter().chain(&self.notes) {
            writeln!(f, "baseline: {line}")?;
        }
        let verdict = if self.is_worse() {
            "worse than it may be; where that is wanted: cargo ci baseline --write"
        } else {
            "no worse than it may be"
        };
        write!(f, "baseline: {} of {} figures hold: {verdict}", self.held, self.figures)
    }
}

/// Holds figures against the baselines in `folder`.
pub(crate) fn judge(folder: &Path, worst: &[Worst<'_>]) -> Result<Judged, Refusal> {
    let mut judged =
        Judged { figures: 0, held: 0, beyond: Vec::new(), notes: Vec::new(), missing: Vec::new() };
    let mut without = Vec::new();
    let mut baselines = match folder.exists() {
        true => Some(Baselines::in_folder(folder)?),
        false => None,
    };
    for Worst { entry, metrics } in worst {
        let name = &entry.scenario.name;
        let baseline = match &mut baselines {
            Some(baselines) => baselines.of(name)?,
            None => None,
        };
        let Some(baseline) = baseline else {
            without.push(name.as_str());
            continue;
        };
        let judgement = baseline.judge(metrics);
        for line in judgement.lines() {
            judged.figures += 1;
            judged.held += usize::from(!line.worse);
            if line.beyond {
                let [metric, before, after, tolerance] = line.cells;
                judged.beyond.push((!line.worse, [name.clone(), metric, before, after, tolerance]));
            }
        }
        let gone = judgement.missing.iter();
        judged.missing.extend(gone.map(|metric| format!("{name}: {metric} can no longer be measured")));
        if baseline.seeds != in_words(&entry.seeds) {
            let (then, now) = (&baseline.seeds, in_words(&entry.seeds));
            judged.notes.push(format!("{name}: written with seeds {then}, run with {now}"));
        }
    }
    if !without.is_empty() {
        let line = format!("none for {}", without.join(", "));
        match baselines {
            // What is never compared may get worse for ever.
            Some(_) => {
                judged.missing.push(format!("{line}; write it: cargo ci baseline --write --only FILE"));
            }
            None => judged.notes.push(line),
        }
    }
    Ok(judged)
}

/// Writes the baselines, keeping the tolerances that people have set.
fn write(folder: &Path, worst: &[Worst<'_>]) -> Result<(), Refusal> {
    let refuse =
        |file: &Path, error: std::io::Error| Refusal(format!("cannot write {}: {error}", file.display()));
    fs::create_dir_all(folder).map_err(|error| refuse(folder, error))?;
    let mut baselines = Baselines::in_folder(folder)?;
    for Worst { entry, metrics } in worst {
        let name = &entry.scenario.name;
        let file = baselines.file(name);
        let earlier = baselines.of(name)?;
        let baseline = Baseline::of(name, &in_words(&entry.seeds), metrics, earlier);
        if earlier == Some(&baseline) {
            println!("unchanged: {}", file.display());
            continue;
        }
        fs::write(&file, baseline.to_json()).map_err(|error| refuse(&file, error))?;
        println!("written:   {}", file.display());
    }
    Ok(())
}

/// Seeds as the plan writes them.
fn in_words(seeds: &RangeInclusive<u64>) -> String {
    match (seeds.start(), seeds.end()) {
        (first, last) if first == last => first.to_string(),
        (first, last) => format!("{first}..{last}"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use relay_reports::model::{Better, Unit as Quantity};
    use relay_sim::scenario::Scenario;

    use super::*;

    fn entry() -> Entry {
        let scenario = Scenario::load("scenarios/small.toml", "[[main]]\nname = \"main-a\"\n").unwrap();
        Entry {
            file: "scenarios/small.toml".into(),
            scenario: Arc::new(scenario),
            seeds: 1..=3,
            determinism: None,
            event_only: None,
        }
    }

    fn figures(p99_ms: u64) -> Vec<Metric> {
        vec![Metric::new("p99", Quantity::Ns, Better::Lower, p99_ms * 1_000_000)]
    }

    #[test]
    fn what_was_written_holds_and_a_planted_regression_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("reports/baselines");
        let entry = entry();
        let judged = |p99| judge(&folder, &[Worst { entry: &entry, metrics: figures(p99) }]).unwrap();
        assert!(!judged(100).is_worse(), "no baseline yet");
        assert!(judged(100).to_string().contains("none for small"), "{}", judged(100));
        write(&folder, &[Worst { entry: &entry, metrics: figures(100) }]).unwrap();
        assert!(!judged(120).is_worse());
        let worse = judged(130);
        assert!(worse.is_worse() && worse.exit_code() == 1);
        let text = worse.to_string();
        assert!(text.contains("130 ms") && text.contains("--write"), "{text}");
        let gone = judge(&folder, &[Worst { entry: &entry, metrics: Vec::new() }]).unwrap();
        fs::remove_file(folder.join("small.json")).unwrap();
        assert!(judged(100).is_worse(), "where there are baselines, each scenario has one");
        assert!(gone.is_worse() && gone.to_string().contains("can no longer be measured"), "{gone}");
    }

    #[test]
    fn other_seeds_than_those_written_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let mut entry = entry();
        write(folder.path(), &[Worst { entry: &entry, metrics: figures(100) }]).unwrap();
        entry.seeds = 4..=4;
        let judged = judge(folder.path(), &[Worst { entry: &entry, metrics: figures(100) }]).unwrap();
        assert!(judged.to_string().contains("written with seeds 1..3, run with 4"), "{judged}");
    }

    #[test]
    fn a_bad_baseline_is_refused_with_its_file() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("small.json"), "{").unwrap();
        let entry = entry();
        let refusal = judge(folder.path(), &[Worst { entry: &entry, metrics: figures(1) }]).err().unwrap();
        assert!(refusal.to_string().contains("small.json: this is no baseline"), "{refusal}");
    }
}
