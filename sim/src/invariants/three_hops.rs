//! No call makes more than three hops, and none passes a node twice.
//!
//! Source: PROTOCOL §1: Home → Main → Main → Home, whatever the `ttl` says.

use relay_node::wire::MAX_HOPS;

use super::{Findings, Invariant, Observed};

/// See the module.
pub(super) struct ThreeHops;

impl Invariant for ThreeHops {
    fn name(&self) -> &'static str {
        "three-hops"
    }

    fn statement(&self) -> String {
        format!("no call makes more than {MAX_HOPS} hops or passes a node twice")
    }

    fn observe(&mut self, observed: &Observed<'_>, findings: &mut Findings) {
        let Observed::CallEnded(ended) = *observed else { return };
        let path = ended.outcome.path();
        if path.is_empty() {
            return;
        }
        let looped = (1..path.len()).any(|at| path[..at].contains(&path[at]));
        findings.check(ended.ended, path.len() - 1 <= MAX_HOPS && !looped, || {
            format!("call {} went {}", ended.call, path.join(" → "))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::Outcome;
    use super::super::testing::{ended, judge, success};
    use super::*;

    fn violated(path: &[&str]) -> u64 {
        let call = ended(1, success(1, path));
        judge(ThreeHops, &[Observed::CallEnded(&call)]).violated
    }

    #[test]
    fn three_hops_are_fine_a_fourth_or_a_loop_is_not() {
        assert_eq!(violated(&["a", "m", "n", "b"]), 0);
        assert_eq!(violated(&["a"]), 0);
        assert_eq!(violated(&["a", "m", "n", "o", "b"]), 1);
        assert_eq!(violated(&["a", "m", "a"]), 1);
    }

    #[test]
    fn refused_calls_are_looked_at_too() {
        let path = ["a", "m", "n", "m"].map(str::to_owned).to_vec();
        let call = ended(1, Outcome::Refused { code: -32006, message: "loop".into(), path });
        assert_eq!(judge(ThreeHops, &[Observed::CallEnded(&call)]).violated, 1);
    }
}
