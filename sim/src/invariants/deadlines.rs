//! No call ends later than its deadline.
//!
//! Source: DESIGN §6. The deadline is the caller's timeout and the time that its own relay may take to say that it is
//! over: longer where its clock is slow or it is paused ([`crate::scenario::Scenario::owed_by`]). A relay whose machine is
//! slow or catches up, or which can open nothing for its callers, may be late, by no more than it was held up for while it
//! had the call. Whether a call ends at all, and once, is `one-outcome`'s business.

use std::collections::BTreeMap;
use std::time::Duration;

use super::weather::Weather;
use super::{CallNumber, Findings, Invariant, Observed};

/// See the module.
pub(super) struct Deadlines {
    weather: Weather,
    /// Calls under way and their deadlines.
    open: BTreeMap<CallNumber, Duration>,
}

impl Deadlines {
    pub(super) fn new(weather: Weather) -> Self {
        Deadlines { weather, open: BTreeMap::new() }
    }
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
                let late = ended.ended.saturating_sub(deadline);
                let in_time =
                    late.is_zero() || late <= self.weather.held_up(ended.caller, ended.sent, ended.ended);
                findings.check(ended.ended, in_time, || {
                    format!("call {} ended {late:?} after its deadline with {:?}", ended.call, ended.outcome)
                });
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::EndedCall;
    use super::super::testing::{ended, judge, seconds, success};
    use super::*;
    use crate::scenario::Scenario;

    const TEXT: &str = "[[main]]\nname = \"main\"\n[[home]]\nname = \"home\"\nmain = \"main\"\n";

    /// Of a call of a Home that something is wrong with from 100 s to 110 s.
    fn findings(trouble: &str, sent: u64, over: u64, deadline: u64) -> (u64, u64) {
        findings_of("home", trouble, sent, over, deadline)
    }

    /// Of a call of the Home where something is wrong with this host.
    fn findings_of(host: &str, trouble: &str, sent: u64, over: u64, deadline: u64) -> (u64, u64) {
        let fault = format!("[[fault]]\nat = \"100s\"\nhost = \"{host}\"\nlasts = \"10s\"\n{trouble}\n");
        let scenario = Scenario::load("test.toml", &format!("duration = \"10m\"\n{TEXT}{fault}")).unwrap();
        let call = EndedCall { sent: seconds(sent), ended: seconds(over), ..ended(7, success(7, &[])) };
        let sent = Observed::CallSent { at: seconds(sent), call: 7, deadline: seconds(deadline) };
        let history = [sent, Observed::CallEnded(&call)];
        let findings = judge(Deadlines::new(Weather::new(&scenario)), &history);
        (findings.checked, findings.violated)
    }

    const SLOW: &str = "kind = \"slow\"\ncpu = \"50ms per message\"";
    const NOTHING: &str = "kind = \"descriptors\"\nlimit = 1";

    #[test]
    fn in_time_and_too_late() {
        assert_eq!(findings(SLOW, 1, 2, 2), (1, 0));
        assert_eq!(findings(SLOW, 1, 2, 1), (1, 1));
    }

    #[test]
    fn who_is_slow_cannot_be_in_time() {
        assert_eq!(findings(SLOW, 95, 111, 105), (1, 0));
        assert_eq!(findings(SLOW, 95, 99, 98), (1, 1), "before it was slow");
        assert_eq!(findings(SLOW, 121, 130, 125), (1, 1), "long after");
        assert_eq!(findings("kind = \"pause\"", 95, 111, 110), (1, 0), "it catches up");
        assert_eq!(findings(NOTHING, 95, 111, 105), (1, 0), "it waited to be taken in");
    }

    #[test]
    fn who_was_held_up_is_late_by_no_more_than_that() {
        assert_eq!(findings(SLOW, 115, 130, 125), (1, 0), "held up from 115 s to 120 s");
        assert_eq!(findings(SLOW, 117, 131, 126), (1, 1), "for 3 s, and 5 s late");
        assert_eq!(findings("kind = \"pause\"", 118, 131, 128), (1, 1), "for 2 s, and 3 s late");
        assert_eq!(findings(NOTHING, 112, 124, 122), (1, 1), "it has long been taken in");
        assert_eq!(findings(NOTHING, 110, 124, 120), (1, 1), "it was taken in within a second");
    }

    #[test]
    fn anothers_trouble_is_no_excuse() {
        for trouble in [SLOW, NOTHING, "kind = \"pause\""] {
            assert_eq!(findings_of("main", trouble, 101, 109, 108), (1, 1), "{trouble}");
        }
    }

    #[test]
    fn what_a_deadline_allows_for_is_no_excuse() {
        for trouble in ["clock\"\noffset = \"1h\"", "clock\"\ndrift = \"-30%\""] {
            assert_eq!(findings(&format!("kind = \"{trouble}"), 101, 109, 108), (1, 1), "{trouble}");
        }
    }
}
