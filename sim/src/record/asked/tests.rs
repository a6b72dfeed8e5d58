//! Meters and sightings, on made-up histories.

use super::*;

const SCENARIO: &str = r#"
duration = "100s"
[[service]]
name = "echo"
kind = "echo"
[[main]]
name = "main"
count = 2
services = ["echo"]
[[home]]
name = "home"
main = "main-1"
[[load]]
name = "calls"
from = "homes"
by = "service"
service = "echo"
method = "echo"
rate = "1/s"
[[load]]
name = "more"
from = "mains"
by = "service"
service = "echo"
method = "echo"
rate = "1/s"
"#;

const HOME: HostIndex = HostIndex(2);
const REFUSED: i64 = -32003;

struct Run {
    scenario: Arc<Scenario>,
    asked: AskedFor,
}

impl Run {
    fn new(rest: &str) -> Run {
        let scenario = Arc::new(Scenario::load("x.toml", &format!("{SCENARIO}{rest}")).unwrap());
        Run { asked: AskedFor::new(&scenario), scenario }
    }

    /// A call of a load ended so many seconds after the start, as long after it was due.
    fn call(&mut self, load: usize, due: f64, took_millis: u64, outcome: &Outcome) {
        let due = Duration::from_secs_f64(due);
        let caller = if load == 0 { HOME } else { HostIndex(0) };
        let service = "echo".to_owned();
        let call = OpenCall {
            load,
            caller,
            callee: None,
            service: service.clone(),
            due,
            sent: due,
            deadline: due,
            hops: Vec::new(),
        };
        let at = due + Duration::from_millis(took_millis);
        let ended = EndedCall {
            call: 1,
            caller,
            callee: None,
            service,
            sent: due,
            ended: at,
            outcome: outcome.clone(),
        };
        let whole = !self.asked.expects(&call, &ended);
        self.asked.ended(&call, &ended, whole);
    }

    /// The worst value of the first gate, the windows judged and those that break the limit.
    fn end(mut self) -> (Option<f64>, u64, u64) {
        self.asked.finish(self.scenario.run.duration);
        let measured = self.asked.meters[0].measured();
        (measured.worst, measured.windows, measured.breaches)
    }
}

fn success() -> Outcome {
    Outcome::Success { answers: 1, path: Vec::new() }
}

fn refused() -> Outcome {
    Outcome::Refused { code: REFUSED, message: String::new(), path: Vec::new() }
}

#[test]
fn a_fixed_window_counts_calls_by_when_they_were_due() {
    let mut run = Run::new(
        "[[gate]]\nname = \"a\"\nmetric = \"latency\"\naggregate = \"max\"\nfrom = \"10s\"\nto = \"20s\"\nat_most = \"5s\"",
    );
    run.call(0, 9.9, 9_000, &success());
    run.call(0, 10.0, 2_000, &success());
    run.call(1, 19.9, 4_000, &success());
    run.call(1, 12.0, 9_000, &refused());
    run.call(1, 20.0, 9_000, &success());
    let (worst, windows, breaches) = run.end();
    assert!(worst.is_some_and(|worst| (worst - 4.0).abs() < 0.01), "{worst:?}");
    assert_eq!((windows, breaches), (1, 0));
}

#[test]
fn a_load_and_its_callers_are_told_from_others() {
    let gate = |more: &str| {
        let mut run = Run::new(&format!("[[gate]]\nname = \"a\"\nmetric = \"calls\"\nequals = 3\n{more}"));
        (0..3).for_each(|at| run.call(0, f64::from(at), 10, &success()));
        (0..5).for_each(|at| run.call(1, f64::from(at), 10, &success()));
        run.end()
    };
    assert_eq!(gate("load = \"calls\""), (Some(3.0), 1, 0));
    assert_eq!(gate("of = \"mains\""), (Some(5.0), 1, 1));
    assert_eq!(gate(""), (Some(8.0), 1, 1));
}

#[test]
fn each_sliding_window_is_judged_for_itself() {
    let text = "[[gate]]\nname = \"a\"\nmetric = \"availability\"\nwindow = \"10s\"\nat_least = \"90%\"";
    let mut run = Run::new(text);
    for second in 0..100 {
        let outcome = if (40..45).contains(&second) { refused() } else { success() };
        run.call(0, f64::from(second), 0, &outcome);
    }
    // Every second from the tenth on ends a window; 13 of them have one to five failures of ten.
    let (worst, windows, breaches) = run.end();
    assert_eq!((worst, windows), (Some(0.5), 91));
    assert!((12..=14).contains(&breaches), "{breaches}");
}

#[test]
fn a_window_without_calls_is_silent_about_shares_and_loud_about_rates() {
    let silent = |metric: &str, limit: &str| {
        let gate = format!(
            "[[gate]]\nname = \"a\"\nmetric = \"{metric}\"\nwindow = \"10s\"\nat_least = \"{limit}\""
        );
        let mut run = Run::new(&gate);
        (0..5).for_each(|second| run.call(0, f64::from(second), 0, &success()));
        run.end()
    };
    assert_eq!(silent("availability", "100%"), (Some(1.0), 5, 0));
    assert_eq!(silent("call_rate", "1 per 100s"), (Some(0.0), 91, 86));
}

#[test]
fn an_upgrade_sees_what_holds_now() {
    let text = "[[gate]]\nname = \"a\"\nmetric = \"availability\"\nwindow = \"10s\"\nat_least = \"90%\"";
    let mut run = Run::new(text);
    let scenario = Arc::clone(&run.scenario);
    let gate = &scenario.gates.asked.gates[0];
    let holds = |run: &mut Run, at| run.asked.meters[0].holds_now(gate, Duration::from_secs(at));
    assert!(holds(&mut run, 3), "nothing was seen");
    (0..9).for_each(|second| run.call(0, f64::from(second), 0, &success()));
    assert!(holds(&mut run, 9));
    run.call(0, 9.5, 0, &refused());
    run.call(0, 9.6, 0, &refused());
    assert!(!holds(&mut run, 10));
    assert!(holds(&mut run, 30), "it is long ago");
}

#[test]
fn nodes_values_become_what_is_asked_for() {
    let told = |aggregate: &str, values: &[(u64, u32, u64)]| {
        let gate = format!(
            "[[gate]]\nname = \"a\"\nmetric = \"relay_reconnects_total\"\naggregate = \"{aggregate}\"\nat_most = 5"
        );
        let mut run = Run::new(&gate);
        for (at, host, value) in values {
            let text = format!("relay_reconnects_total {value}\nrelay_reconnects_total_x 77\n");
            run.asked.told(Duration::from_secs(*at), HostIndex(*host), &text);
        }
        run.end()
    };
    let values = [(1, 0, 1), (2, 1, 2), (3, 0, 4), (4, 1, 9), (5, 0, 2), (6, 1, 3)];
    assert_eq!(told("max", &values), (Some(9.0), 1, 1));
    assert_eq!(told("min", &values), (Some(1.0), 1, 0));
    assert_eq!(told("mean", &values), (Some(3.5), 1, 0));
    assert_eq!(told("sum", &values), (Some(13.0), 1, 1), "4 and 9 at one moment");
    assert_eq!(told("last", &values), (Some(3.0), 1, 0), "2 and 3 at the end");
    assert_eq!(
        told("increase", &values),
        (Some(15.0), 1, 1),
        "3 and 2, then 7 and 3 of counters that began anew"
    );
    assert_eq!(told("p50", &values).0.map(f64::round), Some(2.0));
    assert_eq!(told("max", &[]), (None, 0, 0), "nobody told anything");
}

#[test]
fn what_happened_is_seen_with_whom_and_when() {
    let mut run = Run::new(
        r#"
        [[sometimes]]
        what = "call-refused"
        code = -32003
        load = "calls"
        [[sometimes]]
        name = "late"
        what = "slow-call"
        longer_than = "1s"
        from = "50s"
        [[sometimes]]
        what = "fallback"
        [[sometimes]]
        what = "reconnect"
        of = "mains"
        [[sometimes]]
        what = "restart"
        [[sometimes]]
        what = "breaker-opens"
        of = "main-1"
    "#,
    );
    run.call(1, 1.0, 0, &refused());
    run.call(0, 2.0, 0, &refused());
    run.call(0, 3.0, 0, &refused());
    run.call(0, 4.0, 2_000, &success());
    run.call(0, 60.0, 2_000, &success());
    let second = Duration::from_secs(1);
    run.asked.accepted(second, HostIndex(0), HOME, false);
    run.asked.accepted(second * 2, HostIndex(1), HOME, false);
    run.asked.accepted(second * 3, HostIndex(0), HOME, true);
    run.asked.node(second, HOME, true);
    run.asked.node(second * 7, HOME, false);
    run.asked.node(second * 8, HOME, true);
    run.asked.told(second, HostIndex(1), "relay_breakers{state=\"open\"} 1\n");
    run.asked.told(second, HostIndex(0), "relay_breakers{state=\"half-open\"} 1\n");
    let times: Vec<u64> = run.asked.sightings.iter().map(|it| it.times).collect();
    assert_eq!(times, [2, 1, 1, 0, 1, 0]);
    let first: Vec<_> = run.asked.sightings.iter().map(|it| it.first.map(|at| at.as_secs())).collect();
    assert_eq!(first, [Some(2), Some(62), Some(2), None, Some(8), None]);
}

#[test]
fn expected_failures_are_counted_and_told_from_others() {
    let mut run = Run::new("[[expect]]\ncodes = [-32003]\nload = \"calls\"\nfrom = \"10s\"\nto = \"20s\"\n");
    for due in [9.0, 10.0, 15.0, 20.0] {
        run.call(0, due, 0, &refused());
    }
    run.call(0, 16.0, 0, &success());
    run.call(1, 15.0, 0, &refused());
    let seen = run.asked.expected[0];
    assert_eq!((seen.calls, seen.failed), (3, 2));
}
