//! How calls by name are spread, in a whole federation.

use std::sync::Arc;

use relay_sim::execute::{Execution, Settings, execute};
use relay_sim::scenario::Scenario;

const SLOW_INSTANCE: &str = include_str!("../../scenarios/federation/slow-instance.toml");

fn run(balance: &str, seed: u64) -> Execution {
    let text = SLOW_INSTANCE
        .replace("kind = \"echo\"", &format!("kind = \"echo\"\nbalance = \"{balance}\""))
        .replace("p99 = \"40ms\"\n", "");
    let scenario = Scenario::load("slow-instance.toml", &text).unwrap();
    execute(&Arc::new(scenario), &Settings { seed: Some(seed), ..Settings::default() })
}

#[test]
fn with_one_of_four_instances_ten_times_slower_p99_is_at_most_half_of_round_robins() {
    for seed in 1..=3 {
        let p99 = |balance| run(balance, seed).record.calls.latency.value_at_quantile(0.99);
        let (two, robin) = (p99("power-of-two"), p99("round-robin"));
        assert!(two * 2 <= robin, "seed {seed}: {two} µs against {robin} µs");
    }
}

#[test]
fn every_policy_serves_every_call() {
    for balance in ["power-of-two", "round-robin", "least-connections", "random"] {
        let run = run(balance, 1);
        assert_eq!(run.record.calls.total(), run.record.calls.succeeded, "{balance}");
        assert!(run.gates.iter().all(|gate| gate.holds), "{balance}: {:?}", run.gates);
    }
}
