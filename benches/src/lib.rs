//! What the benchmarks share: federations of any size, as scenarios. The benchmarks are in `benches/`, what they showed
//! is in the README.

use std::sync::Arc;
use std::time::Duration;

use relay_sim::scenario::Scenario;

/// Mains of every federation here.
pub const MAINS: usize = 3;

/// Three Mains with so many Homes each. Every Home offers one service and calls another Home every ten seconds, from
/// second 20 on. Nothing goes wrong, nothing is gated, and the Mains' views are not read in between: what is left is
/// the engine and the node.
///
/// # Panics
/// Where `duration` is too short or too long for a scenario.
pub fn federation(homes_per_main: usize, duration: Duration) -> Arc<Scenario> {
    let seconds = duration.as_secs();
    let mut text = format!(
        r#"
        duration = "{seconds}s"
        [network]
        latency = "10ms"
        jitter = "2ms"
        [[service]]
        name = "echo"
        kind = "echo"
        [[load]]
        name = "everyone-calls-someone"
        from = "home-*"
        to = "home-*"
        service = "echo"
        method = "echo"
        rate = "1 per 10s"
        start = "20s"
        [probe]
        interval = "{seconds}s"
        "#
    );
    for main in 1..=MAINS {
        text.push_str(&format!(
            r#"
            [[main]]
            name = "main-{main}"
            [[home]]
            name = "home-{main}"
            count = {homes_per_main}
            main = "main-{main}"
            services = ["echo"]
            "#
        ));
    }
    Arc::new(Scenario::load("benches/federation.toml", &text).expect("the scenario is sound"))
}
