//! The first scenario as a whole: ten virtual minutes, 3 Mains, 6 Homes, a partition and a crash.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads its input")]

use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use relay_sim::execute::{Settings, Verdict, execute};
use relay_sim::scenario::Scenario;

const FILE: &str = "scenarios/federation/three-mains-six-homes.toml";

fn scenario(criterion: &mut Criterion) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../");
    let text = std::fs::read_to_string(format!("{path}{FILE}")).expect("the scenario is there");
    let scenario = Arc::new(Scenario::load(FILE, &text).expect("the scenario is sound"));
    let first = execute(&scenario, &Settings::default());
    assert_eq!(first.verdict(), Verdict::Passed);
    let mut group = criterion.benchmark_group("scenario");
    group.sample_size(20).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(4));
    // Throughput reads as virtual seconds per wall second.
    group.throughput(Throughput::Elements(first.virtual_time.as_secs()));
    group.bench_function("three-mains-six-homes", |bencher| {
        bencher.iter(|| execute(&scenario, &Settings::default()));
    });
    group.finish();
}

criterion_group!(benches, scenario);
criterion_main!(benches);
