//! Circuit breakers: whoever keeps failing is left alone for a while, then tried with one call.
//!
//! Closed: calls pass and are counted. Open: after [`CONSECUTIVE_FAILURES`] in a row, or when
//! [`FAILURE_PERCENT`] of at least [`WINDOW_CALLS_LEAST`] calls of the last ten seconds failed, all are refused for
//! [`OPEN_FOR`]. Half-open: one probe passes; its success closes, its failure opens for [`OPEN_FOR`] again.
//!
//! Each change of state starts a new generation; a result that belongs to an older one says nothing about now and is
//! dropped.

mod keyed;
mod window;

#[cfg(test)]
mod tests;

use std::time::Duration;

use super::{CallError, Failure};
use crate::env::Instant;
use window::Window;

pub(super) use keyed::MAX_BREAKERS;
pub use keyed::{Breakers, Changes};

/// Failures in a row that open a breaker.
const CONSECUTIVE_FAILURES: u32 = 5;
/// Share of failed calls in the window that opens a breaker, in percent.
const FAILURE_PERCENT: u64 = 50;
/// Calls in the window below which their failure rate means nothing.
const WINDOW_CALLS_LEAST: u64 = 20;
/// How long an open breaker refuses calls. Also how long a probe's result is waited for before another may go.
const OPEN_FOR: Duration = Duration::from_secs(30);

/// How a call ended, as far as a breaker minds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was answered, if only with an error that is not the instance's fault.
    Success,
    /// It failed in a way that [`counts`].
    Failure,
    /// Nobody knows: the caller gave up, or the call was never sent.
    Unknown,
}

impl Verdict {
    /// What a call's result says of the one that was to answer it.
    pub fn of<T>(result: &Result<T, CallError>) -> Self {
        match result {
            Err(error) if error.counts() => Verdict::Failure,
            _ => Verdict::Success,
        }
    }
}

/// Where a breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Calls pass.
    Closed,
    /// Calls are refused.
    Open {
        /// Until then.
        until: Instant,
    },
    /// The next call is a probe, or one is under way.
    HalfOpen,
}

/// Where a breaker stands, without times: what it changes from and to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Calls pass.
    Closed,
    /// Calls are refused.
    Open,
    /// A probe is under way, or is the next call.
    HalfOpen,
}

impl Stage {
    /// All of them.
    pub const ALL: [Stage; 3] = [Stage::Closed, Stage::Open, Stage::HalfOpen];

    /// Whether a breaker may go from here to there.
    pub const fn may_become(self, to: Stage) -> bool {
        use Stage::{Closed, HalfOpen, Open};
        matches!((self, to), (Closed, Open) | (Open, HalfOpen) | (HalfOpen, Closed | Open))
    }

    /// Its name in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Stage::Closed => "closed",
            Stage::Open => "open",
            Stage::HalfOpen => "half-open",
        }
    }
}

/// The right to make one call. To be given back with [`Breaker::record`].
#[must_use = "a call that is never recorded holds a half-open breaker for 30 s"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permit {
    generation: u64,
}

/// The call may not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// No call passes before then, unless a probe that is under way ends earlier.
    pub until: Instant,
}

/// One breaker.
#[derive(Clone, Debug, Default)]
pub struct Breaker {
    phase: Phase,
    generation: u64,
}

#[derive(Clone, Debug)]
enum Phase {
    Closed {
        in_a_row: u32,
        window: Window,
    },
    Open {
        until: Instant,
    },
    /// `until`: when the probe that is under way is given up.
    Probing {
        until: Instant,
    },
    /// Half-open without a probe.
    Waiting,
}

impl Default for Phase {
    fn default() -> Self {
        Phase::Closed { in_a_row: 0, window: Window::default() }
    }
}

impl Breaker {
    /// A closed breaker.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for one call; the call must be made and recorded where it is granted. To only look, see
    /// [`Breaker::admits`].
    ///
    /// # Errors
    /// When the breaker is open, or half-open with its probe under way.
    pub fn allow(&mut self, now: Instant) -> Result<Permit, Refused> {
        match self.phase {
            Phase::Closed { .. } => {}
            Phase::Open { until } | Phase::Probing { until } if now < until => return Err(Refused { until }),
            Phase::Open { .. } | Phase::Probing { .. } | Phase::Waiting => {
                self.enter(Phase::Probing { until: now + OPEN_FOR });
            }
        }
        Ok(Permit { generation: self.generation })
    }

    /// Whether [`Breaker::allow`] would grant a call now.
    pub fn admits(&self, now: Instant) -> bool {
        match self.phase {
            Phase::Closed { .. } | Phase::Waiting => true,
            Phase::Open { until } | Phase::Probing { until } => now >= until,
        }
    }

    /// How the call that `permit` was for ended. Each permit is recorded once.
    pub fn record(&mut self, permit: Permit, verdict: Verdict, now: Instant) {
        if permit.generation != self.generation {
            return;
        }
        match (&mut self.phase, verdict) {
            (Phase::Closed { in_a_row, window }, Verdict::Success) => {
                *in_a_row = 0;
                window.add(now, false);
            }
            (Phase::Closed { in_a_row, window }, Verdict::Failure) => {
                *in_a_row += 1;
                window.add(now, true);
                if *in_a_row >= CONSECUTIVE_FAILURES || window.is_bad(now) {
                    self.enter(Phase::Open { until: now + OPEN_FOR });
                }
            }
            (Phase::Probing { .. }, Verdict::Success) => self.enter(Phase::default()),
            (Phase::Probing { .. }, Verdict::Failure) => self.enter(Phase::Open { until: now + OPEN_FOR }),
            (Phase::Probing { .. }, Verdict::Unknown) => self.enter(Phase::Waiting),
            // No permit has the generation of these; and a call without a verdict is none.
            (Phase::Open { .. } | Phase::Waiting, _) | (Phase::Closed { .. }, Verdict::Unknown) => {}
        }
    }

    /// Where the breaker stands.
    pub fn state(&self, now: Instant) -> State {
        match self.phase {
            Phase::Closed { .. } => State::Closed,
            Phase::Open { until } if now < until => State::Open { until },
            Phase::Open { .. } | Phase::Probing { .. } | Phase::Waiting => State::HalfOpen,
        }
    }

    /// Where it stands. One whose time to be open is up is half-open from its probe on.
    pub fn stage(&self) -> Stage {
        match self.phase {
            Phase::Closed { .. } => Stage::Closed,
            Phase::Open { .. } => Stage::Open,
            Phase::Probing { .. } | Phase::Waiting => Stage::HalfOpen,
        }
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.generation += 1;
    }
}

/// Whether an error of this code counts against the one that was to answer: unreachable or lost (-32003), timed out
/// (-32004), internal error (-32603), service failed (-32010).
///
/// All others say that the call was answered, and are the caller's or nobody's fault: what it asked for is not
/// there (-32001, -32002, -32601, -32602) or may not be asked for (-32008), the call is broken or took a wrong way
/// (-32700, -32600, -32006, -32009). Overload (-32007), an orderly shutdown (-32011) and another breaker's refusal
/// (-32005) carry their own hint and must not add to it.
///
/// -32010 alone does not tell a broken service from one that refuses its arguments: see [`CallError::counts`].
pub const fn counts(code: i64) -> bool {
    matches!(code, -32003 | -32004 | -32603 | -32010)
}

impl Failure {
    /// Whether this failure counts against the one that was to answer. See [`counts`].
    pub fn counts(&self) -> bool {
        match self {
            Failure::ServiceFailed { detail, .. } => service_is_broken(detail.as_ref()),
            other => counts(other.code()),
        }
    }
}

impl CallError {
    /// Whether this error counts against the one that was to answer. See [`counts`]. Where the service failed, its
    /// own error decides: none there (it was unreachable or slow), an HTTP status from 500 on or -32603 counts,
    /// any other is its answer.
    pub fn counts(&self) -> bool {
        match self.code {
            -32010 => service_is_broken(self.data.detail.as_ref()),
            code => counts(code),
        }
    }
}

fn service_is_broken(detail: Option<&serde_json::Value>) -> bool {
    let Some(detail) = detail else { return true };
    let number = |field| detail.get(field).and_then(serde_json::Value::as_i64);
    number("code") == Some(-32603) || number("http_status").is_some_and(|status| status >= 500)
}
