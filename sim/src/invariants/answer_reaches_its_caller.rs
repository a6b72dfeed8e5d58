//! An answer reaches only the caller that asked for it.
//!
//! Every call carries its number in its arguments, and the service gives it back: an answer with another number was
//! meant for somebody else.

use super::{Findings, Invariant, Observed, Outcome};

/// See the module.
pub(super) struct AnswerReachesItsCaller;

impl Invariant for AnswerReachesItsCaller {
    fn name(&self) -> &'static str {
        "answer-reaches-its-caller"
    }

    fn statement(&self) -> String {
        "an answer reaches only the caller that asked for it".into()
    }

    fn observe(&mut self, observed: &Observed<'_>, findings: &mut Findings) {
        if let Observed::CallEnded(ended) = *observed
            && let Outcome::Success { answers, .. } = ended.outcome
        {
            findings.check(ended.ended, answers == ended.call, || {
                format!("call {} was answered with the answer to call {answers}", ended.call)
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ended, judge, success};
    use super::*;

    #[test]
    fn ones_own_answer_is_fine_and_anothers_is_not() {
        let own = ended(1, success(1, &[]));
        let other = ended(2, success(1, &[]));
        let history = [Observed::CallEnded(&own), Observed::CallEnded(&other)];
        let findings = judge(AnswerReachesItsCaller, &history);
        assert_eq!((findings.checked, findings.violated), (2, 1));
        assert!(findings.violations[0].text.contains("call 2"));
    }
}
