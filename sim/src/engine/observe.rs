//! What happened on the network, for those who check it.

use std::net::SocketAddr;
use std::time::Duration;

use super::event::HostId;

/// Kept until taken; beyond this many, new ones are counted only.
const OBSERVATIONS_MAX: usize = 1_000_000;

/// Something on the network that an invariant may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observation {
    /// A listener of `host` was given a stream.
    Accepted {
        /// Virtual time.
        at: Duration,
        /// Where the listener is.
        host: HostId,
        /// Who dialled.
        from_host: HostId,
        /// The listener's port.
        port: u16,
    },
    /// A dial was answered: nothing listens.
    DialRefused {
        /// Virtual time.
        at: Duration,
        /// Who dialled.
        host: HostId,
        /// Whom.
        to: SocketAddr,
    },
    /// A dial was given up: nobody answered.
    DialTimedOut {
        /// Virtual time.
        at: Duration,
        /// Who dialled.
        host: HostId,
        /// Whom.
        to: SocketAddr,
    },
    /// A stream of `host` was reset by its peer, or given up because nothing got through.
    Reset {
        /// Virtual time.
        at: Duration,
        /// The host that noticed.
        host: HostId,
        /// The host at the other end.
        peer: HostId,
    },
}

#[derive(Default)]
pub(super) struct Observations {
    kept: Vec<Observation>,
    missed: u64,
}

impl Observations {
    pub(super) fn push(&mut self, observation: Observation) {
        if self.kept.len() < OBSERVATIONS_MAX {
            self.kept.push(observation);
        } else {
            self.missed += 1;
        }
    }

    pub(super) fn take(&mut self) -> Vec<Observation> {
        if self.missed > 0 {
            tracing::warn!(missed = self.missed, "observations were not taken in time; some are missing");
            self.missed = 0;
        }
        std::mem::take(&mut self.kept)
    }
}
