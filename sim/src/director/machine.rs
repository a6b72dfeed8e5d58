//! What goes wrong on a machine whose relay runs on.

use relay_chaos::{Expired, OnHosts};

use super::Director;
use crate::scenario::HostSet;

impl Director {
    pub(super) fn expire(&mut self, number: usize, fault: &OnHosts<HostSet, Expired>) {
        self.expired.insert(number, fault.hosts.clone());
        self.certify(&fault.hosts);
    }

    pub(super) fn renew(&mut self, number: usize, fault: &OnHosts<HostSet, Expired>) {
        self.expired.remove(&number);
        self.certify(&fault.hosts);
        self.healed(format!("the certificates of {} are renewed", fault.hosts));
    }

    /// Gives these hosts the certificates that the active faults leave them.
    fn certify(&self, hosts: &HostSet) {
        let now = self.world.sim.now();
        for host in hosts.hosts() {
            let is_expired = self.expired.values().any(|set| set.contains(*host));
            self.world.certify([*host], is_expired.then_some(now));
        }
    }
}
