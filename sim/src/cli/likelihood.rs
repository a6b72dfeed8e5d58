//! `relay-sim likelihood`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use relay_chaos::quantity::duration;
use relay_reports::model::LikelihoodPoint;

use super::args::LikelihoodArgs;
use super::reports::Reports;
use super::runs::{Unit, side_by_side};
use super::{Refusal, files, run};
use crate::engine::Engine;
use crate::execute::{Settings, execute};
use crate::gates::show;
use crate::replay::Signature;
use crate::report::report;

/// A bar as wide as this means that the failure always comes.
const BAR_COLUMNS: u32 = 40;

/// What came of runs that went as in the capsule until then, and otherwise from then on.
#[derive(Clone, Copy)]
struct Point {
    from_seconds: f64,
    runs: u32,
    failed: u32,
}

impl Point {
    fn reported(&self) -> LikelihoodPoint {
        let (runs, failed) = (u64::from(self.runs), u64::from(self.failed));
        LikelihoodPoint { from_ns: (self.from_seconds * 1e9) as u64, runs, failed }
    }
}

/// `relay-sim likelihood`.
pub(super) fn likelihood(args: &LikelihoodArgs) -> Result<u8, Refusal> {
    let capsule = files::capsule(&args.capsule)?;
    if capsule.engine != Engine::Event {
        let (file, engine) = (args.capsule.display(), capsule.engine);
        return Err(Refusal(format!(
            "{file} is of a run on {engine}: only the event engine can take another turn half-way. Run its scenario \
             there, and use the capsule of that"
        )));
    }
    let scenario = Arc::new(files::parse(&capsule.file, &capsule.scenario, &capsule.set)?);
    let started = Instant::now();
    let first = Unit { scenario: Arc::clone(&scenario), seed: capsule.seed }.run(false);
    let Some(signature) = Signature::of(&first) else {
        let file = args.capsule.display();
        return Err(Refusal(format!("{file} does not fail with this build: there is nothing to measure")));
    };
    println!("{} with seed {}: {signature}", scenario.name, capsule.seed);
    let from = |point: u32| scenario.run.duration * point / args.points;
    let units: Vec<(u32, u64)> =
        (0..args.points).flat_map(|point| (1..=u64::from(args.runs)).map(move |run| (point, run))).collect();
    let mut failed = vec![0; args.points as usize];
    let bar = run::progress(units.len());
    let one = |(point, turn): &(u32, u64)| {
        // Other than the capsule's own, and the same for every point.
        let other = capsule.seed.wrapping_add(*turn);
        let reseed = Some((from(*point), other));
        let settings = Settings { seed: Some(capsule.seed), reseed, ..Settings::default() };
        signature.is_of(&execute(&scenario, &settings))
    };
    side_by_side(&units, run::jobs(args.jobs), one, |(point, _), fails| {
        bar.inc(1);
        failed[*point as usize] += u32::from(fails);
    });
    bar.finish_and_clear();
    let points = (0..args.points).zip(failed).map(|(point, failed)| Point {
        from_seconds: from(point).as_secs_f64(),
        runs: args.runs,
        failed,
    });
    let points: Vec<Point> = points.collect();
    println!("chance takes another turn from … on, and it fails so often still:");
    points.iter().for_each(|point| println!("{}", line(point)));
    println!("{}", verdict(&points));
    println!("{} runs in {}", units.len() + 1, show(started.elapsed()));
    if let Some(folder) = &args.report {
        let again = format!("cargo sim likelihood {}", args.capsule.display());
        let mut report = report(&first, again, None);
        report.history.likelihood = points.iter().map(Point::reported).collect();
        println!("report      {}", Reports::new(folder.clone(), false).add(&report)?.display());
    }
    Ok(0)
}

fn line(point: &Point) -> String {
    let Point { from_seconds, runs, failed } = *point;
    let from = duration::format(Duration::from_millis((from_seconds * 1e3) as u64));
    let bar = "█".repeat((failed * BAR_COLUMNS / runs) as usize);
    format!("{from:>12} {:>4}%  {bar}", failed * 100 / runs)
}

/// What the points say, in a sentence.
fn verdict(points: &[Point]) -> String {
    let always = |point: &&Point| point.failed == point.runs;
    let bound = points.iter().rev().take_while(always).last();
    let chance = points.first().map_or(0.0, |point| f64::from(point.failed) / f64::from(point.runs));
    match bound {
        Some(first) if first.from_seconds == 0.0 => "It comes whatever chance does.".into(),
        Some(first) => {
            let from = duration::format(Duration::from_millis((first.from_seconds * 1e3) as u64));
            let before = (chance * 100.0).round();
            format!("From {from} on it is bound to come; {before}% of other seeds fail from the start.")
        }
        None => {
            "It is never bound to come: chance decides until the end, or decided before in what waited for \
                 its time already."
                .into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(from_seconds: f64, failed: u32) -> Point {
        Point { from_seconds, runs: 10, failed }
    }

    #[test]
    fn it_says_from_when_on_the_failure_is_bound_to_come() {
        let points = [point(0.0, 1), point(30.0, 10), point(60.0, 2), point(90.0, 10), point(120.0, 10)];
        assert_eq!(
            verdict(&points),
            "From 1m30s on it is bound to come; 10% of other seeds fail from the start."
        );
        assert_eq!(verdict(&[point(0.0, 10), point(9.0, 10)]), "It comes whatever chance does.");
        assert!(verdict(&[point(0.0, 10), point(9.0, 9)]).contains("never bound"));
        assert_eq!(line(&point(61.5, 5)), format!("{:>12} {:>4}%  {}", "1m1s500ms", 50, "█".repeat(20)));
    }
}
