//! What goes wrong between a relay and its network: translators, names, sockets.

use std::collections::BTreeMap;

use relay_chaos::{Descriptors, NameAnswer, NameTrouble, NatChange, NatTrouble, OnHosts};

use super::Director;
use crate::scenario::{HostIndex, HostSet};

/// What is active of it, by fault.
#[derive(Default)]
pub(super) struct Edge {
    names: BTreeMap<usize, (HostSet, NameAnswer)>,
    descriptors: BTreeMap<usize, (HostSet, u32)>,
    /// How often a translator was given another address.
    moves: u32,
}

impl Director {
    pub(super) fn disturb_nat(&mut self, fault: &OnHosts<HostSet, NatTrouble>) {
        for host in fault.hosts.hosts() {
            match fault.what.change {
                NatChange::Forget => self.world.sim.event().forget_nat(self.world.host(*host)),
                NatChange::Move => {
                    self.world.move_nat(*host, self.edge.moves);
                    self.edge.moves += 1;
                }
            }
        }
    }

    pub(super) fn break_names(&mut self, number: usize, fault: &OnHosts<HostSet, NameTrouble>) {
        self.edge.names.insert(number, (fault.hosts.clone(), fault.what.answer));
        self.set_names(&fault.hosts);
    }

    pub(super) fn mend_names(&mut self, number: usize, fault: &OnHosts<HostSet, NameTrouble>) {
        self.edge.names.remove(&number);
        self.set_names(&fault.hosts);
        self.healed(format!("{} are told again what names stand for", fault.hosts));
    }

    pub(super) fn limit_descriptors(&mut self, number: usize, fault: &OnHosts<HostSet, Descriptors>) {
        self.edge.descriptors.insert(number, (fault.hosts.clone(), fault.what.limit));
        self.set_descriptors(&fault.hosts);
    }

    pub(super) fn free_descriptors(&mut self, number: usize, fault: &OnHosts<HostSet, Descriptors>) {
        self.edge.descriptors.remove(&number);
        self.set_descriptors(&fault.hosts);
        self.healed(format!("{} have descriptors again", fault.hosts));
    }

    /// Gives these hosts the name servers that the active faults leave them: the last one counts.
    fn set_names(&self, hosts: &HostSet) {
        for host in hosts.hosts() {
            let answer = of(&self.edge.names, *host).last();
            self.world.sim.event().set_names(self.world.host(*host), answer);
        }
    }

    /// Gives these hosts the descriptors that the active faults leave them: the fewest count.
    fn set_descriptors(&self, hosts: &HostSet) {
        for host in hosts.hosts() {
            let limit = of(&self.edge.descriptors, *host).min();
            self.world.sim.event().set_descriptor_limit(self.world.host(*host), limit);
        }
    }
}

/// What active faults say of a host, in the order in which they began.
fn of<T: Copy>(active: &BTreeMap<usize, (HostSet, T)>, host: HostIndex) -> impl Iterator<Item = T> {
    active.values().filter(move |(hosts, _)| hosts.contains(host)).map(|(_, what)| *what)
}
