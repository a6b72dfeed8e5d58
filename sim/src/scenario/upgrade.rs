//! Configurations that change while the federation runs.

use std::time::Duration;

use relay_chaos::{Fault, FaultKind, Stop};
use relay_node::federation::Policy;

use super::hosts::{HostIndex, HostSet, Role};
use super::model::{NodeSettings, Topology};

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
    /// Whom they dial, and how.
    pub ways: Ways,
}

/// What an [`Upgrade`] changes of the ways between relays; what is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ways {
    /// Whether the Mains among the hosts speak TLS. All of the hosts dial these Mains accordingly from then on.
    pub tls: Option<bool>,
    /// The Mains that the hosts, which are Homes, connect to, in turn; at least one.
    pub mains: Option<Vec<HostIndex>>,
    /// The Mains that they turn to where their own is not there, in this order.
    pub fallback: Option<Vec<HostIndex>>,
    /// The Mains that the hosts, which are Mains, dial from their start on.
    pub peers: Option<Vec<HostIndex>>,
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
    /// Who gets it, in the order in which they do.
    pub fn hosts(&self) -> impl Iterator<Item = HostIndex> + '_ {
        self.batches.iter().flat_map(|batch| batch.hosts.hosts()).copied()
    }

    /// Whether this host gets it.
    pub fn includes(&self, host: HostIndex) -> bool {
        self.batches.iter().any(|batch| batch.hosts.contains(host))
    }

    /// The Mains that speak another language after it: until each host has it, some cannot reach others.
    pub fn cut_over<'a>(&'a self, topology: &'a Topology) -> impl Iterator<Item = HostIndex> + 'a {
        let is_one = self.change.ways.tls.is_some();
        self.hosts().filter(move |host| is_one && topology.hosts.get(*host).is_main())
    }

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

/// What hosts are told that have had some upgrades, given by their places, the latest last.
impl Topology {
    /// What a host is, and whom it dials.
    pub fn role_after(&self, host: HostIndex, upgrades: &[usize]) -> Role {
        let mut role = self.hosts.get(host).role.clone();
        for upgrade in upgrades.iter().map(|upgrade| &self.upgrades[*upgrade]) {
            let ways = &upgrade.change.ways;
            match &mut role {
                Role::Home { main, fallback } => {
                    let place = upgrade.hosts().position(|it| it == host).unwrap_or_default();
                    if let Some(mains) = &ways.mains {
                        *main = mains[place % mains.len()];
                    }
                    if let Some(others) = &ways.fallback {
                        fallback.clone_from(others);
                    }
                    fallback.retain(|other| other != main);
                }
                Role::Main { peers, .. } => {
                    if let Some(others) = &ways.peers {
                        *peers = others.iter().copied().filter(|other| *other != host).collect();
                    }
                }
            }
        }
        role
    }

    /// Whether a Main speaks TLS.
    pub fn tls_after(&self, main: HostIndex, upgrades: &[usize]) -> bool {
        let told = self.told(upgrades).next();
        let host = self.hosts.get(main);
        host.is_main() && told.map_or(host.tls, |(_, tls)| tls)
    }

    /// Whether a host dials this Main by `wss://`: as it was told last, in an upgrade that both have had or are to have.
    pub fn dials_tls_after(&self, main: HostIndex, upgrades: &[usize]) -> bool {
        let told = self.told(upgrades).find(|(upgrade, _)| upgrade.includes(main));
        told.map_or(self.hosts.get(main).tls, |(_, tls)| tls)
    }

    /// Whether a Main speaks TLS at some time.
    pub fn has_certificate(&self, host: HostIndex) -> bool {
        let mut later = self.upgrades.iter().filter(|upgrade| upgrade.change.ways.tls == Some(true));
        let host_is_main = self.hosts.get(host).is_main();
        self.hosts.get(host).tls || (host_is_main && later.any(|upgrade| upgrade.includes(host)))
    }

    /// Whether a host is told at some time to dial other Mains than at its start.
    pub fn moves(&self, host: HostIndex) -> bool {
        let is_move = |ways: &Ways| ways.mains.is_some() || ways.fallback.is_some() || ways.peers.is_some();
        self.upgrades.iter().any(|upgrade| is_move(&upgrade.change.ways) && upgrade.includes(host))
    }

    /// The upgrades that say something of TLS, the latest first, and what they say.
    fn told<'a>(&'a self, upgrades: &'a [usize]) -> impl Iterator<Item = (&'a Upgrade, bool)> {
        let upgrades = upgrades.iter().rev().map(|upgrade| &self.upgrades[*upgrade]);
        upgrades.filter_map(|upgrade| Some((upgrade, upgrade.change.ways.tls?)))
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
