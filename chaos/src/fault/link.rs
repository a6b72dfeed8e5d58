//! What goes wrong on the way, short of a partition.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::quantity::duration;
use crate::{LinkChange, Selector, Share};

/// Links behave otherwise for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LinkFault<S = Selector> {
    /// Where the packets come from.
    pub from: S,
    /// Where they go.
    pub to: S,
    /// Whether packets the other way stay as they were.
    pub one_way: bool,
    /// What changes.
    #[serde(flatten)]
    pub change: LinkChange,
    /// How long until the links are as before.
    #[serde(with = "duration")]
    pub lasts: Duration,
}

/// Streams between two sides fail, though packets get through: a broken middlebox, a firewall that was restarted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Streams<S = Selector> {
    /// One side.
    pub from: S,
    /// The other side.
    pub to: S,
    /// What happens to the streams that are established when the fault begins. New ones are well.
    pub trouble: StreamFailure,
    /// To how many of them it happens, drawn per stream.
    pub share: Share,
    /// How long a stall lasts; a reset happens in a moment and has none.
    #[serde(with = "duration::optional", skip_serializing_if = "Option::is_none")]
    pub lasts: Option<Duration>,
}

/// What happens to a stream in [`Streams`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StreamFailure {
    /// Nothing gets through, either way; afterwards what was held back comes.
    Stall,
    /// Both ends are told that it is broken.
    Reset,
}

impl<S> LinkFault<S> {
    pub(super) fn concerns(&self, source: impl Fn(&S) -> bool, target: impl Fn(&S) -> bool) -> bool {
        let along = source(&self.from) && target(&self.to);
        let back = !self.one_way && source(&self.to) && target(&self.from);
        along || back
    }

    pub(super) fn map<T>(self, to: &mut impl FnMut(S) -> T) -> LinkFault<T> {
        let LinkFault { from, to: target, one_way, change, lasts } = self;
        LinkFault { from: to(from), to: to(target), one_way, change, lasts }
    }
}

impl<S> Streams<S> {
    pub(super) fn lasts(&self) -> Option<Duration> {
        match self.trouble {
            StreamFailure::Stall => self.lasts,
            StreamFailure::Reset => Some(Duration::ZERO),
        }
    }

    pub(super) fn concerns(&self, source: impl Fn(&S) -> bool, target: impl Fn(&S) -> bool) -> bool {
        source(&self.from) && target(&self.to) || source(&self.to) && target(&self.from)
    }

    pub(super) fn map<T>(self, to: &mut impl FnMut(S) -> T) -> Streams<T> {
        let Streams { from, to: target, trouble, share, lasts } = self;
        Streams { from: to(from), to: to(target), trouble, share, lasts }
    }
}

impl<S: fmt::Display> fmt::Display for LinkFault<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = if self.one_way { "to" } else { "and" };
        let lasts = duration::format(self.lasts);
        write!(f, "links of {} {way} {}: {}, {lasts}", self.from, self.to, self.change.describe())
    }
}

impl<S: fmt::Display> fmt::Display for Streams<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.trouble {
            StreamFailure::Stall => "stall",
            StreamFailure::Reset => "are reset",
        };
        let whose = if self.share == Share::ONE { String::new() } else { format!("{} of ", self.share) };
        write!(f, "{whose}streams between {} and {} {what}", self.from, self.to)?;
        match self.lasts {
            Some(lasts) => write!(f, ", {}", duration::format(lasts)),
            None => Ok(()),
        }
    }
}
