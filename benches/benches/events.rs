//! What an event costs in the event engine, from 9 to 3,003 nodes: it must not grow with the number of hosts beyond
//! what caches make of it.

#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "a benchmark measures wall time")]

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use relay_benches::{MAINS, federation};
use relay_sim::execute::{Execution, Settings, execute};

/// Homes at each Main, and virtual seconds: about the same number of calls each.
const SIZES: [(usize, u64); 4] = [(2, 7_200), (32, 900), (332, 120), (1_000, 60)];

/// Runs of which the table shows the best.
const TABLE_RUNS: usize = 3;

fn run(homes: usize, seconds: u64) -> Execution {
    execute(&federation(homes, Duration::from_secs(seconds)), &Settings::default())
}

fn events(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("events");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_secs(4));
    for (homes, seconds) in SIZES {
        let nodes = MAINS * (homes + 1);
        group.throughput(Throughput::Elements(run(homes, seconds).trace.count()));
        group.bench_function(BenchmarkId::from_parameter(nodes), |bencher| {
            bencher.iter(|| run(homes, seconds));
        });
    }
    group.finish();
}

/// The table of the README.
fn table(_: &mut Criterion) {
    println!("| nodes | virtual s | events | events/s | µs/event | calls | calls/s |");
    println!("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for (homes, seconds) in SIZES {
        let timed = || {
            let started = Instant::now();
            let run = run(homes, seconds);
            (started.elapsed().as_secs_f64(), run)
        };
        let runs = (0..TABLE_RUNS).map(|_| timed());
        let (wall, run) = runs.min_by(|one, two| one.0.total_cmp(&two.0)).expect("there is a run");
        let (events, calls) = (run.trace.count(), run.record.calls.total());
        println!(
            "| {} | {seconds} | {events} | {:.0} | {:.2} | {calls} | {:.0} |",
            MAINS * (homes + 1),
            events as f64 / wall,
            wall * 1e6 / events as f64,
            calls as f64 / wall
        );
    }
}

criterion_group!(benches, events, table);
criterion_main!(benches);
