//! No call ends later than its deadline.
//!
//! Source: DESIGN §6. The deadline is the caller's timeout and the time that its own relay may take to say that it is
//! over. Whether a call ends at all, and once, is `one-outcome`'s business.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{CallNumber, Findings, Invariant, Observed};

/// See the module.
#[derive(Default)]
pub(super) struct Deadlines {
    /// Calls under way and their deadlines.
    open: BTreeMap<CallNumber, Duration>,
}

impl Invariant for Deadlines {
    fn name(&self) -> &'static str {
        "deadlines"
    }

    fn statement(&self) -> String {
        "no call ends later than its deadline".into()
    }

    fn observe(&mut self, observed: &Observed<'_>, findings: &mut Findings) {
        match *observed {
            Observed::CallSent { call, deadline, .. } => {
                self.open.insert(call, deadline);
            }
            Observed::CallEnded(ended) => {
                let Some(deadline) = self.open.remove(&ended.call) else { return };
                findings.check(ended.ended, ended.ended <= deadline, || {
                    let late = ended.ended - deadline;
                    format!("call {} ended {late:?} after its deadline with {:?}", ended.call, ended.outcome)
                });
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ended, judge, seconds, success};
    use super::*;

    #[test]
    fn in_time_and_too_late() {
        let call = ended(7, success(7, &[]));
        let violated = |deadline| {
            let sent = Observed::CallSent { at: seconds(1), call: 7, deadline: seconds(deadline) };
            let findings = judge(Deadlines::default(), &[sent, Observed::CallEnded(&call)]);
            (findings.checked, findings.violated)
        };
        assert_eq!(violated(2), (1, 0));
        assert_eq!(violated(1), (1, 1));
    }
}
