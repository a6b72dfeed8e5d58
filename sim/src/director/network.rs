//! What goes wrong between hosts.

use relay_chaos::{Direction, Fault, LinkFault, Partition, StreamFailure, Streams};

use super::Director;
use crate::engine::HostSet as EngineSet;
use crate::scenario::{HostIndex, HostSet};

impl Director {
    pub(super) fn cut(&mut self, number: usize, partition: &Partition<HostSet>) {
        let side = self.set(|host| partition.hosts.contains(host));
        let other = self.set(|host| match &partition.from {
            Some(from) => from.contains(host),
            None => !partition.hosts.contains(host),
        });
        let sim = &self.world.sim;
        let mut cuts = Vec::new();
        if partition.direction != Direction::In {
            cuts.push(sim.cut(side.clone(), other.clone()));
        }
        if partition.direction != Direction::Out {
            cuts.push(sim.cut(other, side));
        }
        self.cuts.insert(number, cuts);
    }

    pub(super) fn heal(&mut self, number: usize, partition: &Partition<HostSet>) {
        self.cuts.remove(&number).into_iter().flatten().for_each(|cut| self.world.sim.heal(cut));
        self.healed(format!("the partition of {} heals", partition.hosts));
    }

    pub(super) fn degrade(&mut self, number: usize, fault: &Fault<HostSet>) {
        self.degraded.insert(number, fault.clone());
        self.set_links();
    }

    pub(super) fn restore(&mut self, number: usize, fault: &LinkFault<HostSet>) {
        self.degraded.remove(&number);
        self.set_links();
        self.healed(format!("links from {} to {} are as before", fault.from, fault.to));
    }

    pub(super) fn break_streams(&mut self, number: usize, streams: &Streams<HostSet>) {
        let (from, to) =
            (self.set(|host| streams.from.contains(host)), self.set(|host| streams.to.contains(host)));
        let share = streams.share.as_f64();
        match streams.trouble {
            StreamFailure::Reset => self.world.sim.event().reset_streams(&from, &to, share),
            StreamFailure::Stall => {
                let stall = self.world.sim.event().stall_streams(&from, &to, share);
                self.stalls.insert(number, stall);
            }
        }
    }

    pub(super) fn mend_streams(&mut self, number: usize, streams: &Streams<HostSet>) {
        if let Some(stall) = self.stalls.remove(&number) {
            self.world.sim.event().end_stall(stall);
            self.healed(format!("streams between {} and {} go on", streams.from, streams.to));
        }
    }

    fn set_links(&self) {
        let active: Vec<_> = self.degraded.values().cloned().collect();
        self.world.set_links(&active);
    }

    fn set(&self, wanted: impl Fn(HostIndex) -> bool) -> EngineSet {
        let hosts = self.world.scenario.topology.hosts.iter();
        EngineSet::of(hosts.filter(|(index, _)| wanted(*index)).map(|(index, _)| self.world.host(index)))
    }
}
