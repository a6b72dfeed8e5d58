//! What lookups of metadata gave.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::metadata::{Given, Worth};
use crate::scenario::HostIndex;

/// Digits of a latency that are kept.
const DIGITS: u8 = 3;

/// Lookups that did not give what they should, kept for people; the others are counted only.
const SAMPLES_MAX: usize = 10;

/// A lookup that has ended.
#[derive(Clone, Debug)]
pub struct EndedLookup {
    /// Which it is one of, by its place in the scenario.
    pub lookup: usize,
    /// Whose node was asked.
    pub from: HostIndex,
    /// About whom.
    pub to: HostIndex,
    /// The peer id that it was asked for.
    pub peer: String,
    /// When it was asked.
    pub sent: Duration,
    /// When the answer was there.
    pub ended: Duration,
    /// The answer.
    pub answer: Answer,
    /// Whether the answer led to the peer; `None` where nobody tried.
    pub reached: Option<bool>,
}

/// How a lookup ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// With metadata.
    Given(Given),
    /// The node knows nothing of that peer, or nothing is published: its words.
    NotFound(String),
    /// The node has too much to do, or takes no part in the DHT: its words.
    Unavailable(String),
    /// The node did not answer in time.
    NoAnswer,
    /// The node went away meanwhile.
    Gone(String),
}

impl Answer {
    /// What was given.
    pub fn given(&self) -> Option<&Given> {
        match self {
            Answer::Given(given) => Some(given),
            _ => None,
        }
    }

    /// In a word.
    pub const fn kind(&self) -> &'static str {
        match self {
            Answer::Given(_) => "given",
            Answer::NotFound(_) => "not found",
            Answer::Unavailable(_) => "unavailable",
            Answer::NoAnswer => "no answer",
            Answer::Gone(_) => "node gone",
        }
    }
}

/// What a lookup was worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether something of the peer was kept when it was asked, and the node that was asked had had time to join.
    pub is_due: bool,
    /// What the answer was worth, where something was given.
    pub worth: Option<Worth>,
}

impl Verdict {
    /// Whether it gave what is true, or was so until lately.
    pub fn is_right(&self) -> bool {
        matches!(self.worth, Some(Worth::Right | Worth::Older))
    }

    /// Whether it gave what was replaced too long ago.
    pub fn is_stale(&self) -> bool {
        matches!(self.worth, Some(Worth::Stale { .. }))
    }
}

/// The lookups of one `[[lookup]]`.
pub struct LookupStats {
    /// How long those took that gave something, in microseconds.
    pub latency: Histogram<u64>,
    /// All of them.
    pub total: u64,
    /// Of those, the ones about peers that had something kept.
    pub due: u64,
    /// Of those, the ones that gave what is true.
    pub right: u64,
    /// Those that gave what was replaced too long ago.
    pub stale: u64,
    /// Those that gave something.
    pub given: u64,
    /// Of those, the ones that came from a cache.
    pub hits: u64,
    /// Those after which somebody tried to connect, and those after which it could be done.
    pub reached: (u64, u64),
    /// Those that gave nothing, or nothing that is true, by what they gave.
    pub failures: BTreeMap<&'static str, u64>,
    /// The first of them that were due, in words.
    pub samples: Vec<(Duration, HostIndex, HostIndex, String)>,
}

impl Default for LookupStats {
    fn default() -> Self {
        LookupStats {
            latency: Histogram::new(DIGITS).expect("3 digits are fine"),
            total: 0,
            due: 0,
            right: 0,
            stale: 0,
            given: 0,
            hits: 0,
            reached: (0, 0),
            failures: BTreeMap::new(),
            samples: Vec::new(),
        }
    }
}

impl LookupStats {
    /// Counts one.
    pub(super) fn ended(&mut self, lookup: &EndedLookup, verdict: &Verdict) {
        self.total += 1;
        self.due += u64::from(verdict.is_due);
        self.right += u64::from(verdict.is_due && verdict.is_right());
        self.stale += u64::from(verdict.is_stale());
        if let Some(given) = lookup.answer.given() {
            self.given += 1;
            self.hits += u64::from(given.cached);
            let micros = lookup.ended.saturating_sub(lookup.sent).as_micros();
            let micros = u64::try_from(micros).unwrap_or(u64::MAX);
            self.latency.record(micros).expect("a histogram that may grow takes any value");
        }
        if let Some(reached) = lookup.reached {
            self.reached.0 += 1;
            self.reached.1 += u64::from(reached);
        }
        if verdict.is_right() || !verdict.is_due {
            return;
        }
        let (kind, words) = match (&verdict.worth, &lookup.answer) {
            (Some(Worth::Stale { newer, since }), Answer::Given(given)) => {
                let old = given.version.sequence;
                ("stale", format!("version {old}, though {newer} has been kept since {since:?}"))
            }
            (Some(Worth::Wrong), Answer::Given(given)) => {
                ("wrong", format!("what the peer never said: {}", given.version.content))
            }
            (_, Answer::Given(given)) => {
                ("unheard", format!("version {}, of which nobody heard", given.version.sequence))
            }
            (_, Answer::NotFound(words) | Answer::Unavailable(words) | Answer::Gone(words)) => {
                (lookup.answer.kind(), words.clone())
            }
            (_, Answer::NoAnswer) => (lookup.answer.kind(), String::new()),
        };
        *self.failures.entry(kind).or_default() += 1;
        if self.samples.len() < SAMPLES_MAX {
            self.samples.push((lookup.sent, lookup.from, lookup.to, format!("{kind}: {words}")));
        }
    }
}
