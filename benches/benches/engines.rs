//! The event engine beside turmoil, on the same federations: virtual seconds per wall second of each, and the ratio.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a benchmark reads its input and the real clock"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use relay_benches::{MAINS, federation};
use relay_sim::engine::Engine;
use relay_sim::execute::{Settings, Verdict, execute};
use relay_sim::scenario::Scenario;

/// A partition and a crash in ten minutes, one call per Home and second.
const NINE: &str = "scenarios/federation/three-mains-six-homes.toml";

/// Homes of each Main in the larger federation: 99 nodes in all.
const HOMES_PER_MAIN: usize = 32;

/// The event engine runs the larger federation for so long.
const LONG: Duration = Duration::from_secs(900);

/// Turmoil runs it for so long, of which the first calls are made at second 20.
const SHORT: Duration = Duration::from_secs(60);

/// Runs of the event engine, of which the fastest counts: whatever else the machine does only ever slows one down.
const EVENT_RUNS: usize = 5;

/// As [`EVENT_RUNS`].
const TURMOIL_RUNS: usize = 2;

fn main() {
    // `cargo test --benches` and `cargo bench -- --test` want to know whether it starts, not how fast it is.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../");
    let text = std::fs::read_to_string(format!("{path}{NINE}")).expect("the scenario is there");
    let nine = Arc::new(Scenario::load(NINE, &text).expect("the scenario is sound"));
    println!("| nodes | event: virtual s | per wall s | turmoil: virtual s | per wall s | event : turmoil |");
    println!("| ---: | ---: | ---: | ---: | ---: | ---: |");
    row(&nine, &nine);
    row(&federation(HOMES_PER_MAIN, LONG), &federation(HOMES_PER_MAIN, SHORT));
    assert_eq!(MAINS * (1 + HOMES_PER_MAIN), 99);
}

fn row(on_event: &Arc<Scenario>, on_turmoil: &Arc<Scenario>) {
    let (event_seconds, event) = speed(on_event, Engine::Event, EVENT_RUNS);
    let (turmoil_seconds, turmoil) = speed(on_turmoil, Engine::Turmoil, TURMOIL_RUNS);
    let nodes = on_event.topology.hosts.len();
    println!(
        "| {nodes} | {event_seconds:.0} | {event:.0} | {turmoil_seconds:.0} | {turmoil:.2} | {:.0} |",
        event / turmoil
    );
}

/// The virtual time of a run in seconds, and the virtual seconds per wall second of the fastest of so many.
fn speed(scenario: &Arc<Scenario>, engine: Engine, runs: usize) -> (f64, f64) {
    let settings = Settings { engine, ..Settings::default() };
    let mut virtual_seconds = 0.0;
    let mut best = f64::INFINITY;
    for _ in 0..runs {
        let started = Instant::now();
        let run = execute(scenario, &settings);
        best = best.min(started.elapsed().as_secs_f64());
        assert_eq!(run.verdict(), Verdict::Passed, "{} on {engine}", scenario.name);
        virtual_seconds = run.virtual_time.as_secs_f64();
    }
    (virtual_seconds, virtual_seconds / best)
}
