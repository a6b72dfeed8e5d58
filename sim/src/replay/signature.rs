//! What a failure is, apart from its numbers: two runs with the same signature fail in the same way.

use std::fmt;

use crate::execute::{Execution, Verdict};
use crate::gates::Gate;
use crate::record::EpisodeEnd;

/// What failed: the verdict, and the gate, invariant or panic that it rests on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signature {
    /// What came of the run.
    pub verdict: Verdict,
    /// What it rests on: `gate after-heal: availability`, `invariant one-outcome`, `panic in session (…)`.
    pub what: String,
}

impl Signature {
    /// The signature of a run; `None` where it passed. Where several things fail, the first counts.
    pub fn of(run: &Execution) -> Option<Signature> {
        let what = failing(run).into_iter().next()?;
        Some(Signature { verdict: run.verdict(), what })
    }

    /// Whether a run fails in this way; other things may fail beside it.
    pub fn is_of(&self, run: &Execution) -> bool {
        run.verdict() == self.verdict && failing(run).contains(&self.what)
    }
}

/// `gate failed: gate after-heal: availability`.
impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

/// Everything that decides the verdict, without times and figures.
fn failing(run: &Execution) -> Vec<String> {
    match run.verdict() {
        Verdict::Passed | Verdict::NotDeterministic => Vec::new(),
        Verdict::Panicked => {
            let halt = run.halt.iter().map(|halt| {
                // "deadlock at 3s: …", "endless loop: …", "the director panicked: …"
                let end = halt.find(" at ").into_iter().chain(halt.find(':')).min().unwrap_or(halt.len());
                format!("halt {}", &halt[..end])
            });
            let panics = run.panics.iter().map(|panic| {
                // The place in the source; messages name hosts.
                let place =
                    panic.message.rfind('(').map_or(panic.message.as_str(), |at| &panic.message[at..]);
                format!("panic in {} {place}", panic.task)
            });
            panics.chain(halt).collect()
        }
        Verdict::InvariantViolated => {
            run.violations().map(|(invariant, _)| format!("invariant {}", invariant.name())).collect()
        }
        Verdict::GateFailed => {
            let failed = run.gates.iter().filter(|gate| !gate.holds);
            failed.flat_map(|gate| of_gate(gate, run)).collect()
        }
    }
}

/// The ways in which a gate fails, the worst first.
fn of_gate(gate: &Gate, run: &Execution) -> Vec<String> {
    let title = gate.title();
    let ways = match gate.name.as_ref() {
        "convergence" => of_convergence(run),
        _ => Vec::new(),
    };
    match gate.measured_anything {
        _ if !ways.is_empty() => ways.into_iter().map(|way| format!("gate {title} ({way})")).collect(),
        true => vec![format!("gate {title}")],
        // A gate that had nothing to judge fails in another way than one that was missed.
        false => vec![format!("gate {title} (nothing was measured)")],
    }
}

/// How the Mains came to miss the time that they have to agree: not at all, too late, or because the run was over before
/// that time was. None where they did not: the gate is turned round, or there was nothing to agree on.
fn of_convergence(run: &Execution) -> Vec<&'static str> {
    let limit = run.scenario.gates.convergence.unwrap_or_default();
    let ended = |is: &dyn Fn(EpisodeEnd) -> bool| {
        run.record.convergence.episodes.iter().any(|episode| is(episode.end))
    };
    let ways = [
        ("never converged", ended(&|end| matches!(end, EpisodeEnd::RunOver(waited) if waited > limit))),
        (
            "converged too late",
            ended(&|end| match end {
                EpisodeEnd::Settled(took) | EpisodeEnd::Disturbed(took) => took > limit,
                EpisodeEnd::RunOver(_) => false,
            }),
        ),
        (
            "over before it was time to converge",
            ended(&|end| matches!(end, EpisodeEnd::RunOver(waited) if waited <= limit)),
        ),
    ];
    ways.into_iter().filter(|(_, is_so)| *is_so).map(|(way, _)| way).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::execute::{Settings, execute};
    use crate::scenario::Scenario;

    fn run(gates: &str, seed: u64) -> Execution {
        let text = format!(
            "duration = \"30s\"\n[[main]]\nname = \"a\"\n[[main]]\nname = \"b\"\n[[fault]]\nat = \"5s\"\n\
             kind = \"partition\"\nhosts = \"a\"\nlasts = \"1m\"\n[gates]\n{gates}"
        );
        let scenario = Arc::new(Scenario::load("test.toml", &text).unwrap());
        execute(&scenario, &Settings { seed: Some(seed), ..Settings::default() })
    }

    #[test]
    fn a_failure_has_the_same_signature_with_any_seed_and_none_where_all_holds() {
        let one = Signature::of(&run("convergence = \"5s\"", 1)).unwrap();
        assert_eq!(one.to_string(), "gate convergence (never converged)");
        assert!(one.is_of(&run("convergence = \"6s\"\nreconnects = 0", 2)), "the figures do not matter");
        let load = "[[service]]\nname = \"echo\"\nkind = \"echo\"\n[[home]]\nname = \"h\"\nmain = \"a\"\n\
                    services = [\"echo\"]\n[[load]]\nname = \"l\"\nfrom = \"a\"\nto = \"h\"\nservice = \"echo\"\n\
                    method = \"get\"\nrate = \"1 per 10h\"\n";
        let nothing = Signature::of(&run(&format!("max_hops = 3\n{load}"), 1)).unwrap();
        assert_eq!(nothing.to_string(), "gate max_hops (nothing was measured)", "nobody calls anybody");
        let calm = run("reconnects = 1000", 1);
        assert_eq!(Signature::of(&calm), None);
        assert!(!one.is_of(&calm));
    }

    #[test]
    fn never_to_converge_is_another_failure_than_to_converge_too_late() {
        let hub = "duration = \"3m\"\n[[main]]\nname = \"a\"\n[[main]]\nname = \"b\"\n";
        let partition = |at: &str, lasts: &str| {
            format!("[[fault]]\nat = \"{at}\"\nkind = \"partition\"\nhosts = \"a\"\nlasts = \"{lasts}\"\n")
        };
        let run = |faults: &str, limit: &str| {
            let text = format!("{hub}{faults}[gates]\nconvergence = \"{limit}\"\n");
            execute(&Arc::new(Scenario::load("test.toml", &text).unwrap()), &Settings::default())
        };
        let late = run(&partition("20s", "70s"), "1s");
        let never = run(&partition("20s", "10m"), "20s");
        let told = |run: &Execution| Signature::of(run).unwrap().to_string();
        assert_eq!(told(&late), "gate convergence (converged too late)");
        assert_eq!(told(&never), "gate convergence (never converged)");
        let all = [&late, &never];
        for (place, one) in all.iter().enumerate() {
            let signature = Signature::of(one).unwrap();
            let same: Vec<bool> = all.iter().map(|other| signature.is_of(other)).collect();
            assert_eq!(same, [0, 1].map(|other| other == place), "{signature}");
        }
    }
}
