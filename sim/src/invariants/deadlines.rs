//! No call ends later than its deadline.
//!
//! Source: DESIGN §6. The deadline is the caller's timeout and the time that its own relay may take to say that it is
//! over. A relay that is stopped, or whose clock is wrong, is excused. Whether a call ends at all, and once, is `one-outcome`'s business.

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
                let excused = || self.weather.is_impaired(ended.caller, ended.sent, ended.ended);
                findings.check(ended.ended, ended.ended <= deadline || excused(), || {
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
    use relay_chaos::{Fault, FaultKind, OnHosts, Paused};

    use super::super::EndedCall;
    use super::super::testing::{ended, judge, seconds, success};
    use super::*;
    use crate::scenario::{HostIndex, Scenario};

    const TEXT: &str = "[[main]]\nname = \"main\"\n[[home]]\nname = \"home\"\nmain = \"main\"\n";

    fn findings(sent: u64, over: u64, deadline: u64) -> (u64, u64) {
        let mut scenario = Scenario::load("test.toml", TEXT).unwrap();
        let hosts = scenario.topology.hosts.only(HostIndex(1));
        let pause = OnHosts { hosts, what: Paused {}, lasts: Some(seconds(10)) };
        scenario.faults.push(Fault { at: seconds(100), what: FaultKind::Pause(pause) });
        let weather = Weather::new(&scenario);
        let call = EndedCall { sent: seconds(sent), ended: seconds(over), ..ended(7, success(7, &[])) };
        let sent = Observed::CallSent { at: seconds(sent), call: 7, deadline: seconds(deadline) };
        let findings = judge(Deadlines::new(weather), &[sent, Observed::CallEnded(&call)]);
        (findings.checked, findings.violated)
    }

    #[test]
    fn in_time_and_too_late() {
        assert_eq!(findings(1, 2, 2), (1, 0));
        assert_eq!(findings(1, 2, 1), (1, 1));
    }

    #[test]
    fn who_is_stopped_cannot_be_in_time() {
        assert_eq!(findings(95, 111, 105), (1, 0));
        assert_eq!(findings(95, 99, 98), (1, 1), "before it was stopped");
        assert_eq!(findings(121, 130, 125), (1, 1), "long after");
    }
}
