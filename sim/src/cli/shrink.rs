//! `relay-sim shrink`.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use xxhash_rust::xxh3::xxh3_64;

use super::args::ShrinkArgs;
use super::reports::write;
use super::runs::{Unit, side_by_side};
use super::{Refusal, files, run};
use crate::gates::show;
use crate::replay::{Capsule, SUFFIX, Signature};
use crate::scenario::Scenario;
use crate::shrink::{self, Prover, Shrunk, Size, Verdict};

/// A smaller scenario draws other numbers from the same seed: with so many more it may fail still.
const MORE_SEEDS: u64 = 2;

/// `relay-sim shrink`.
pub(super) fn shrink(args: ShrinkArgs) -> Result<u8, Refusal> {
    let capsule = files::capsule(&args.capsule)?;
    let scenario = Arc::new(files::parse(&capsule.file, &capsule.scenario, &capsule.set)?);
    let name = scenario.name.clone();
    // What was told of the whole does not hold for what is left of it.
    let text = shrink::written_out(without_head(&capsule.scenario), &scenario.source.parameters)
        .map_err(|error| Refusal(format!("cannot edit {}: {error}", capsule.file)))?;
    let started = Instant::now();
    let first = Unit { scenario, seed: capsule.seed }.run_on(capsule.engine, false);
    let Some(signature) = Signature::of(&first) else {
        let file = args.capsule.display();
        return Err(Refusal(format!(
            "{file} does not fail with this build: there is nothing to shrink; `relay-sim replay` shows the run"
        )));
    };
    let before = shrink::size_of(&text);
    println!("{name} with seed {}: {signature}", capsule.seed);
    let mut bench = Bench {
        signature: &signature,
        capsule: &capsule,
        seed: capsule.seed,
        jobs: run::jobs(args.jobs),
        // A limit beyond all clocks is none.
        deadline: started.checked_add(args.time_limit),
        runs: 1,
        passed: BTreeSet::new(),
        bar: ProgressBar::new_spinner()
            .with_style(ProgressStyle::with_template("{spinner} {msg}").expect("the template is sound")),
    };
    let shrunk = shrink::shrink(&text, &mut bench)
        .map_err(|error| Refusal(format!("cannot edit {}: {error}", capsule.file)))?;
    bench.bar.finish_and_clear();
    let (seed, runs) = (bench.seed, bench.runs);
    let out = args.out.unwrap_or_else(|| beside(&args.capsule));
    let text = finished(&shrunk, &capsule, &signature, seed, &out);
    // What is written is what was proven, but for its head.
    let last = Arc::new(files::parse(&out.display().to_string(), &text, &[])?);
    let last = Unit { scenario: last, seed }.run_on(capsule.engine, false);
    if !signature.is_of(&last) {
        return Err(Refusal(format!(
            "what is left does not fail in the same way: {signature}; this is a bug"
        )));
    }
    write(&out, &text)?;
    let after = shrink::size_of(&text);
    println!(
        "shrunk      {} → {} faults, {} → {} hosts, {} → {} loads, {} → {} lines; {runs} runs in {}{}",
        before.faults,
        after.faults,
        before.hosts,
        after.hosts,
        before.loads,
        after.loads,
        before.lines,
        after.lines,
        show(started.elapsed()),
        if shrunk.is_minimal { "" } else { ", then the time was up" },
    );
    println!("written     {}", out.display());
    println!("run it      cargo sim run {}", out.display());
    Ok(0)
}

/// A text without the comment at its top.
fn without_head(text: &str) -> &str {
    let mut rest = text;
    while let Some((line, after)) = rest.split_once('\n')
        && (line.trim().is_empty() || line.starts_with('#'))
    {
        rest = after;
    }
    rest
}

fn beside(capsule: &Path) -> PathBuf {
    let name = capsule.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let stem = name.strip_suffix(SUFFIX).unwrap_or(&name);
    capsule.with_file_name(format!("{stem}.small.toml"))
}

/// The text that is written: it names the seed, says where it came from and how to run it.
fn finished(shrunk: &Shrunk, capsule: &Capsule, signature: &Signature, seed: u64, out: &Path) -> String {
    let mut document: toml_edit::DocumentMut =
        shrunk.text.parse().expect("it was written by the same library");
    document.remove("seed");
    let body = document.to_string();
    let end = match shrunk.is_minimal {
        true => "Nothing more can be left out.",
        false => "The time for shrinking was up before nothing more could be left out.",
    };
    format!(
        "# Shrunk from {} with seed {}, which failed with: {signature}\n\
         # This fails in the same way: relay-sim run {}\n\
         # {end}\n\nseed = {seed}\n{}",
        capsule.file,
        capsule.seed,
        out.display(),
        body.trim_start()
    )
}

/// Runs candidates.
struct Bench<'a> {
    signature: &'a Signature,
    capsule: &'a Capsule,
    /// The seed that the scenario fails with so far.
    seed: u64,
    jobs: NonZeroUsize,
    deadline: Option<Instant>,
    runs: u64,
    /// Texts that did not fail, as hashes.
    passed: BTreeSet<u64>,
    bar: ProgressBar,
}

impl Prover for Bench<'_> {
    fn first_that_fails(&mut self, texts: &[String]) -> Verdict {
        for (number, chunk) in texts.chunks(self.jobs.get()).enumerate() {
            if self.deadline.is_some_and(|deadline| Instant::now() > deadline) {
                return Verdict::Stop;
            }
            let (mut found, mut runs, mut passed) = (None, 0, Vec::new());
            side_by_side(
                chunk,
                self.jobs,
                |text| self.try_one(text),
                |text, (seed, tried)| {
                    runs += tried;
                    match seed {
                        Some(seed) if found.is_none() => found = Some((passed.len(), seed)),
                        Some(_) => {}
                        None => passed.push(xxh3_64(text.as_bytes())),
                    }
                },
            );
            self.runs += runs;
            self.passed.extend(passed);
            self.bar.tick();
            if let Some((before, seed)) = found {
                self.seed = seed;
                // All before it in its chunk have passed.
                return Verdict::Fails(number * self.jobs.get() + before);
            }
        }
        Verdict::NoneFails
    }

    fn step(&mut self, what: &str, size: Size) {
        let Size { faults, hosts, loads, lines } = size;
        let line = format!(
            "{:>5} runs  {faults:>3} faults {hosts:>3} hosts {loads:>2} loads {lines:>4} lines  next: {what}",
            self.runs
        );
        if self.bar.is_hidden() {
            println!("{line}");
        } else {
            self.bar.set_message(line);
            self.bar.enable_steady_tick(Duration::from_millis(200));
        }
    }
}

impl Bench<'_> {
    /// The seed with which a text fails in the same way, and how many runs that took.
    fn try_one(&self, text: &str) -> (Option<u64>, u64) {
        if self.passed.contains(&xxh3_64(text.as_bytes())) {
            return (None, 0);
        }
        let Ok(scenario) = Scenario::load(&self.capsule.file, text) else {
            return (None, 0);
        };
        let scenario = Arc::new(scenario);
        for more in 0..=MORE_SEEDS {
            // Seeds of scenario files are below 2^63.
            let seed = (self.seed + more) & (u64::MAX >> 1);
            let run = Unit { scenario: Arc::clone(&scenario), seed }.run_on(self.capsule.engine, false);
            if self.signature.is_of(&run) {
                return (Some(seed), more + 1);
            }
        }
        (None, MORE_SEEDS + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_of_a_text_is_its_comment() {
        assert_eq!(without_head("# a\n#  b\n\nname = \"c\"\n# d\n"), "name = \"c\"\n# d\n");
        assert_eq!(without_head("x = 1\n"), "x = 1\n");
    }

    #[test]
    fn the_small_one_goes_beside_its_capsule() {
        assert_eq!(beside(Path::new("a/b-7.capsule.json")), Path::new("a/b-7.small.toml"));
        assert_eq!(beside(Path::new("other.json")), Path::new("other.json.small.toml"));
    }
}
