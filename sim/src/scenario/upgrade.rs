//! Configurations that change while the federation runs.

use std::time::Duration;

use relay_chaos::{Fault, FaultKind, Stop};
use relay_node::federation::Policy;

use super::hosts::HostSet;
use super::model::NodeSettings;

/// Relays are stopped in good order, a few at a time, and start again with another configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Upgrade {
    /// Its name, for people.
    pub name: String,
    /// Who goes when; at least one batch, by time.
    pub batches: Vec<Batch>,
    /// How long after the request a host starts again.
    pub down: Duration,
    /// How long a batch is up before the next one goes down.
    pub pause: Duration,
    /// What changes.
    pub change: Change,
    /// The gates on metrics, by their place, that must hold for it to go on.
    pub abort_on: Vec<usize>,
    /// What happens when one does not.
    pub on_abort: OnAbort,
}

/// Hosts that are stopped together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// When.
    pub at: Duration,
    /// Who.
    pub hosts: HostSet,
}

/// What an [`Upgrade`] changes; what is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Change {
    /// Settings of the relay.
    pub node: NodeSettings,
    /// The services that it offers, as indices into the topology's services.
    pub services: Option<Vec<usize>>,
    /// How calls by name are spread: for its own services a Home's wish, for all services a Main's word.
    pub balance: Option<Policy>,
    /// Whether it is a node of the DHT.
    pub dht: Option<bool>,
}

/// What becomes of an [`Upgrade`] that is given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnAbort {
    /// The hosts that have it keep it; the others stay as they are.
    #[default]
    Stop,
    /// The hosts that have it go back to what they had, the last batch first.
    RollBack,
}

impl Upgrade {
    /// The stops that it is made of, in order.
    pub fn faults(&self) -> impl Iterator<Item = Fault<HostSet>> + '_ {
        self.batches.iter().map(|batch| {
            let what = FaultKind::Stop(Stop { hosts: batch.hosts.clone(), down: Some(self.down) });
            Fault { at: batch.at, what }
        })
    }

    /// The batch that a fault is; `None` where it is none of this upgrade.
    pub fn batch_of(&self, fault: &Fault<HostSet>) -> Option<usize> {
        let FaultKind::Stop(stop) = &fault.what else { return None };
        self.batches.iter().position(|batch| batch.at == fault.at && batch.hosts == stop.hosts)
    }

    /// When it is done: the last batch has been up for its pause.
    pub fn end(&self) -> Duration {
        self.batches.last().map_or(Duration::ZERO, |last| last.at) + self.down + self.pause
    }

    /// When whatever comes of it is over, a way back included.
    pub fn rest(&self) -> Duration {
        match self.on_abort {
            OnAbort::RollBack if !self.abort_on.is_empty() => {
                let batches = u32::try_from(self.batches.len()).unwrap_or(u32::MAX);
                self.end() + (self.down + self.pause).saturating_mul(batches)
            }
            _ => self.end(),
        }
    }
}

impl NodeSettings {
    /// These settings where they say something, and `other` where they do not.
    #[must_use]
    pub fn or(self, other: NodeSettings) -> NodeSettings {
        NodeSettings {
            heartbeat: self.heartbeat.or(other.heartbeat),
            unhealthy_after: self.unhealthy_after.or(other.unhealthy_after),
            backoff_initial: self.backoff_initial.or(other.backoff_initial),
            backoff_cap: self.backoff_cap.or(other.backoff_cap),
            registry_ttl: self.registry_ttl.or(other.registry_ttl),
            call_timeout: self.call_timeout.or(other.call_timeout),
            drain: self.drain.or(other.drain),
            home_calls_per_second: self.home_calls_per_second.or(other.home_calls_per_second),
        }
    }
}
