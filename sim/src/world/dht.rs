//! Who takes part in the DHT, and how.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use relay_node::config::{BindAddresses, BootstrapAddress, DhtSettings, MetadataTiming};

use super::World;
use crate::engine::{HostId, HostSpec, Sim};
use crate::scenario::{HostIndex, Role, Scenario};

/// The UDP port of the DHT, on every host.
pub const DHT_PORT: u16 = 30_609;

impl World {
    /// Whether the host's relay is a node of the DHT, now or at its next start.
    pub fn is_in_dht(&self, index: HostIndex) -> bool {
        let topology = &self.scenario.topology;
        let state = self.lock();
        let changed = state[index.as_usize()].upgrades.iter().rev();
        let changed = changed.filter_map(|upgrade| topology.upgrades[*upgrade].change.dht).next();
        changed.unwrap_or(topology.hosts.get(index).dht)
    }

    /// The hosts that others must know: their relays run as nodes of the DHT, and can be connected to.
    pub fn peers_of_dht(&self) -> Vec<HostIndex> {
        let all = self.scenario.topology.hosts.iter();
        let members = all.map(|(index, _)| index);
        members.filter(|index| self.is_in_dht(*index) && self.can_be_reached(*index)).collect()
    }

    /// Whether the host's relay runs, and others have a way to it.
    pub fn can_be_reached(&self, index: HostIndex) -> bool {
        let has_way = match &self.scenario.topology.hosts.get(index).role {
            Role::Main { .. } => true,
            Role::Home { main, fallback } => {
                std::iter::once(main).chain(fallback).any(|main| self.is_up(*main))
            }
        };
        has_way && self.is_up(index)
    }

    /// The relay's host that has this public address.
    pub fn owner_of(&self, address: IpAddr) -> Option<HostIndex> {
        let IpAddr::V4(address) = address else { return None };
        let index = HostIndex(u32::from(address).checked_sub(u32::from(Ipv4Addr::new(11, 0, 0, 1)))?);
        (index.as_usize() < self.scenario.topology.hosts.len()).then_some(index)
    }

    /// The hosts of the strangers, group by group as in the scenario.
    pub fn strangers(&self) -> &[HostId] {
        &self.strangers
    }

    /// Where the DHT of a Main is.
    pub fn dht_address(index: HostIndex) -> SocketAddr {
        SocketAddr::new(super::public_address(index), DHT_PORT)
    }

    /// The DHT of a relay that takes part.
    pub(super) fn dht_settings(&self) -> DhtSettings {
        let plan = &self.scenario.topology.dht;
        let (wanted, mut timing) = (&plan.settings, MetadataTiming::default());
        timing.republish = wanted.republish.unwrap_or(timing.republish);
        timing.cache_ttl = wanted.cache_ttl.unwrap_or(timing.cache_ttl);
        timing.cache_cleanup = wanted.cache_cleanup.unwrap_or(timing.cache_cleanup);
        timing.discovery = wanted.discovery.unwrap_or(timing.discovery);
        let way_in = |main: &HostIndex| BootstrapAddress {
            host: self.scenario.topology.hosts.get(*main).name.clone(),
            port: DHT_PORT,
        };
        DhtSettings {
            addresses: BindAddresses::Given { v4: Some(Ipv4Addr::UNSPECIFIED), v6: None },
            port: Some(DHT_PORT),
            bootstrap: plan.bootstrap.iter().map(way_in).collect(),
            timing,
        }
    }
}

/// Adds the hosts of the strangers.
pub(super) fn add_strangers(sim: &Sim, scenario: &Scenario) -> Vec<HostId> {
    let names = scenario
        .topology
        .dht
        .strangers
        .iter()
        .flat_map(|strangers| (1..=strangers.count).map(|number| format!("{}-{number}", strangers.name)));
    // Beside 11.0.0.0/8 and 12.0.0.0/8. Each in a network of its own, as nodes of a botnet are.
    let address = |number: u32| Ipv4Addr::from(u32::from(Ipv4Addr::new(13, 0, 0, 1)) + (number << 8)).into();
    (0..)
        .zip(names)
        .map(|(number, name)| sim.add_host(HostSpec { name, address: address(number), nat: None }))
        .collect()
}
