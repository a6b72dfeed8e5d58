//! Every call ends in exactly one outcome.
//!
//! Source: DESIGN §6; that it ends in time is `deadlines`' business. A caller whose own relay goes down has its outcome in that; a relay that runs owes one.
//! It may refuse its caller only while it can open nothing, and stay silent only where it was held up, while it had the
//! call, for as long as the caller waited in vain.

use std::collections::BTreeMap;
use std::time::Duration;

use super::weather::Weather;
use super::{CallNumber, Findings, Invariant, Observed, Outcome};
use crate::scenario::HostIndex;

/// A relay listens so long after its start at the latest: what it writes to its disk before that takes time.
const STARTS_WITHIN: Duration = Duration::from_secs(1);

/// See the module.
pub(super) struct OneOutcome {
    weather: Weather,
    /// Calls under way and their deadlines.
    open: BTreeMap<CallNumber, Duration>,
    /// By host: since when its relay runs, or since when it is gone.
    up: BTreeMap<HostIndex, Result<Duration, Duration>>,
}

impl OneOutcome {
    pub(super) fn new(weather: Weather) -> Self {
        OneOutcome { weather, open: BTreeMap::new(), up: BTreeMap::new() }
    }

    /// Whether the relay of this host was down at some moment since then. One that never started is down.
    fn was_down(&self, host: HostIndex, since: Duration) -> bool {
        match self.up.get(&host) {
            Some(Ok(started)) => *started + STARTS_WITHIN > since,
            Some(Err(_)) | None => true,
        }
    }
}

impl Invariant for OneOutcome {
    fn name(&self) -> &'static str {
        "one-outcome"
    }

    fn statement(&self) -> String {
        "every call ends in exactly one outcome".into()
    }

    fn observe(&mut self, observed: &Observed<'_>, findings: &mut Findings) {
        match *observed {
            Observed::CallSent { call, deadline, .. } => {
                self.open.insert(call, deadline);
            }
            Observed::CallEnded(ended) => {
                let call = ended.call;
                let Some(deadline) = self.open.remove(&call) else {
                    return findings.check(ended.ended, false, || {
                        format!("call {call} ended a second time, or was never made: {:?}", ended.outcome)
                    });
                };
                let lacks_descriptors =
                    || self.weather.lacks_descriptors(ended.caller, ended.sent, ended.ended);
                // Who dials it waits to be accepted, perhaps for longer than a call may take.
                let was_held_up = || {
                    let late = ended.ended.saturating_sub(deadline);
                    let held_up = self.weather.held_up(ended.caller, ended.sent, ended.ended);
                    !held_up.is_zero() && late <= held_up
                };
                let sound = match ended.outcome {
                    Outcome::Success { .. } | Outcome::Refused { .. } => true,
                    // A relay that runs must not drop a call without a word.
                    Outcome::RelayGone(_) => self.was_down(ended.caller, ended.sent) || lacks_descriptors(),
                    Outcome::NoOutcome => was_held_up(),
                    Outcome::Nonsense(_) => false,
                };
                findings.check(ended.ended, sound, || {
                    format!(
                        "call {call}, sent at {:?} with a deadline at {deadline:?}, ended with {:?}",
                        ended.sent, ended.outcome
                    )
                });
            }
            Observed::NodeBack { at, host, .. } => {
                self.up.insert(host, Ok(at));
            }
            Observed::NodeGone { at, host, .. } => {
                self.up.insert(host, Err(at));
            }
            _ => {}
        }
    }

    fn finish(&mut self, at: Duration, findings: &mut Findings) {
        for (call, deadline) in std::mem::take(&mut self.open) {
            findings.check(at, false, || format!("call {call} with a deadline at {deadline:?} never ended"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::EndedCall;
    use super::super::testing::{ended, judge, seconds, success};
    use super::*;
    use crate::scenario::Scenario;

    fn invariant() -> OneOutcome {
        let scenario = Scenario::load("test.toml", "[[main]]\nname = \"main\"").unwrap();
        OneOutcome::new(Weather::new(&scenario))
    }

    fn sent(call: CallNumber, deadline: u64) -> Observed<'static> {
        Observed::CallSent { at: seconds(1), call, deadline: seconds(deadline) }
    }

    #[test]
    fn one_outcome_in_time_is_fine() {
        let good = ended(7, success(7, &[]));
        let gone = ended(8, Outcome::RelayGone("reset".into()));
        let history = [sent(7, 11), sent(8, 11), Observed::CallEnded(&good), Observed::CallEnded(&gone)];
        let findings = judge(invariant(), &history);
        assert_eq!((findings.checked, findings.violated), (2, 0));
    }

    #[test]
    fn a_relay_that_runs_does_not_drop_a_call() {
        let gone = ended(8, Outcome::RelayGone("reset".into()));
        let host = gone.caller;
        let back = |at| Observed::NodeBack { at: seconds(at), host, node: None };
        let went = |at| Observed::NodeGone { at: seconds(at), host, node: None };
        let violated = |before: &[Observed<'static>]| {
            let history: Vec<_> =
                before.iter().copied().chain([sent(8, 11), Observed::CallEnded(&gone)]).collect();
            judge(invariant(), &history).violated
        };
        assert_eq!(violated(&[]), 0, "it has not started yet");
        assert_eq!(violated(&[back(0)]), 1, "it has been up all the time");
        assert_eq!(violated(&[back(0), went(1)]), 0);
        assert_eq!(violated(&[back(0), went(0), back(1)]), 0, "it came back while the call was under way");
    }

    #[test]
    fn none_two_and_nonsense_are_not() {
        let good = ended(7, success(7, &[]));
        assert_eq!(judge(invariant(), &[sent(7, 11)]).violated, 1);
        let twice = [sent(7, 11), Observed::CallEnded(&good), Observed::CallEnded(&good)];
        assert_eq!(judge(invariant(), &twice).violated, 1);
        let nonsense = ended(7, Outcome::Nonsense("<html>".into()));
        assert_eq!(judge(invariant(), &[sent(7, 11), Observed::CallEnded(&nonsense)]).violated, 1);
        let silence = ended(7, Outcome::NoOutcome);
        assert_eq!(judge(invariant(), &[sent(7, 11), Observed::CallEnded(&silence)]).violated, 1);
    }

    #[test]
    fn only_who_can_open_nothing_may_refuse_its_caller_and_only_who_is_held_up_may_be_silent() {
        let judged = |host: &str, at: &str, trouble: &str, made: u64, outcome: Outcome| {
            let text = format!(
                "[[main]]\nname = \"main\"\n[[home]]\nname = \"home\"\nmain = \"main\"\n\
                 [[fault]]\nat = \"{at}\"\nhost = \"{host}\"\n{trouble}\n"
            );
            let weather = Weather::new(&Scenario::load("test.toml", &text).unwrap());
            // Its time is up after 10 s, and its caller waits for 2 s more.
            let (made, over) = (seconds(made), seconds(made + 12));
            let call = EndedCall { sent: made, ended: over, ..ended(7, outcome) };
            let up = Observed::NodeBack { at: Duration::ZERO, host: call.caller, node: None };
            let sent = Observed::CallSent { at: made, call: 7, deadline: made + seconds(10) };
            judge(OneOutcome::new(weather), &[up, sent, Observed::CallEnded(&call)]).violated
        };
        let violated = |trouble: &str, outcome| judged("home", "2s", trouble, 2, outcome);
        let violated_on = |host: &str, trouble: &str, outcome| judged(host, "2s", trouble, 2, outcome);
        let violated_from =
            |at: &str, trouble: &str, made, outcome| judged("home", at, trouble, made, outcome);
        let gone = || Outcome::RelayGone("refused".into());
        let no_descriptors = "kind = \"descriptors\"\nlimit = 1";
        let slow = "kind = \"slow\"\ncpu = \"50ms per message\"";
        assert_eq!((violated(no_descriptors, gone()), violated(slow, gone())), (0, 1));
        let silence = || Outcome::NoOutcome;
        assert_eq!((violated(no_descriptors, silence()), violated(slow, silence())), (0, 0));
        for trouble in [no_descriptors, slow] {
            let elsewhere = |outcome| violated_on("main", trouble, outcome);
            assert_eq!((elsewhere(gone()), elsewhere(silence())), (1, 1), "another's {trouble}");
        }
        let over = format!("{no_descriptors}\nlasts = \"500ms\"");
        assert_eq!(violated_from("0s", &over, 60, silence()), 1, "it was over when the call was made");
        assert_eq!(violated_from("0s", &over, 60, gone()), 1);
        assert_eq!(violated_from("0s", &format!("{slow}\nlasts = \"500ms\""), 60, silence()), 1);
        let paused = "kind = \"pause\"\nlasts = \"5s\"";
        assert_eq!((violated(paused, gone()), violated(paused, silence())), (1, 0));
        for trouble in ["offset = \"1h\"", "drift = \"-30%\""] {
            let clock = format!("kind = \"clock\"\n{trouble}");
            assert_eq!((violated(&clock, gone()), violated(&clock, silence())), (1, 1), "{trouble}");
        }
    }
}
