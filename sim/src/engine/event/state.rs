//! Everything of a run that is behind its one lock, and what each event does to it.
//!
//! No future is polled or dropped while the lock is held; waking a task only puts it on the ready list, which has a
//! lock of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::connection::{Connections, End, Holder};
use super::cpu::Cpus;
use super::datagram::Datagrams;
use super::dial::Ports;
use super::host::{Hosts, Life, ProcessKind, Processes};
use super::link::{HostId, Topology};
use super::observe::Observations;
use super::timeline::{Event, Side, Timeline};
use crate::trace::{Kind, NONE, Trace};

pub(super) struct State {
    pub(super) timeline: Timeline,
    pub(super) trace: Trace,
    pub(super) topology: Topology,
    pub(super) hosts: Hosts,
    pub(super) processes: Processes,
    pub(super) cpus: Cpus,
    pub(super) connections: Connections,
    pub(super) ports: Ports,
    pub(super) datagrams: Datagrams,
    pub(super) observations: Observations,
}

/// What is left to do after a poll, because of what the task did to its disk.
#[derive(Default)]
pub(super) struct Aftermath {
    /// Whether there is anything; readable without the lock of the state.
    pub(super) any: Arc<AtomicBool>,
    /// Processes that died with their hosts' power, and whose tasks are still there.
    pub(super) dead: Vec<u32>,
    /// When the disk is done: whoever was woken goes on then.
    pub(super) until: Option<u64>,
    /// Those who waited for this may go on.
    pub(super) done: Option<u32>,
}

impl Aftermath {
    fn bury(&mut self, process: u32) {
        self.dead.push(process);
        self.any.store(true, Ordering::Relaxed);
    }

    pub(super) fn wait_until(&mut self, until: u64) {
        self.until = Some(until);
        self.any.store(true, Ordering::Relaxed);
    }
}

/// How a process loses its network. The numbers are in traces.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Farewell {
    /// It ended by itself: what is still open is closed in order.
    Close,
    /// It was killed: its peers get resets.
    Reset,
    /// Its host lost power: only its own host's other processes notice.
    Silence,
}

impl State {
    pub(super) fn new(seed: u64, trace: Trace) -> Self {
        Self {
            timeline: Timeline::default(),
            trace,
            topology: Topology::new(seed),
            hosts: Hosts::default(),
            processes: Processes::default(),
            cpus: Cpus::default(),
            connections: Connections::default(),
            ports: Ports::default(),
            datagrams: Datagrams::default(),
            observations: Observations::default(),
        }
    }

    /// Moves time to the next event and applies it. False where nothing is left to happen.
    pub(super) fn step(&mut self) -> bool {
        let Some(event) = self.timeline.advance() else { return false };
        self.trace.leave();
        match event {
            Event::Timer(key) => {
                let now = self.timeline.now;
                self.trace.emit(now, Kind::Timer, NONE, now, 0);
                if let Some(waker) = self.timeline.fire(key) {
                    waker.wake();
                }
            }
            Event::Segment { from, bytes, flags, sent } => self.deliver(from, bytes, flags, sent),
            Event::Credit { to, bytes } => self.credit(to, bytes),
            Event::Reset { to } => self.reset(to),
            Event::Unknown { to } => self.unknown(to),
            Event::Retransmit { from, since } => self.retransmit(from, since),
            Event::GiveUp { from, since } => self.give_up(from, since),
            Event::Syn(dial) => self.syn(dial),
            Event::SynRetry(dial) => self.send_syn(dial),
            Event::SynAck(dial) => self.syn_ack(dial),
            Event::Refused(dial) => self.refused(dial),
            Event::Datagram(key) => self.datagram(key),
            Event::CoreFree(host) => self.cpus.free(host),
            Event::DiskDone(key) => self.processes.aftermath.done = Some(key),
        }
        true
    }

    /// Takes the network and the disk from a process; its tasks are dropped afterwards, by the caller, without the
    /// lock.
    pub(super) fn cut_off(&mut self, process: u32, farewell: Farewell) {
        self.processes.list[process as usize].life = Life::Dead;
        self.drop_dials(process);
        for key in self.ports.listeners.keys_where(|listener| listener.process == process) {
            self.close_listener(key, farewell != Farewell::Silence);
        }
        for key in self.datagrams.sockets.keys_where(|socket| socket.process == process) {
            self.close_datagram(key);
        }
        for side in self.sides_where(|end| end.process == process && end.holder == Holder::Process) {
            match farewell {
                Farewell::Close => self.close(side),
                Farewell::Reset => self.vanish(side, true),
                Farewell::Silence => self.vanish(side, self.is_local(side)),
            }
        }
    }

    /// Takes the power from a host: its network and disk first. The tasks of its nodes are dropped when the poll that is
    /// going on is over.
    pub(super) fn lose_power(&mut self, host: HostId) {
        self.topology.set_dark(host, true);
        let now = self.timeline.now;
        for node in self.nodes_of(host) {
            self.trace.emit(now, Kind::ProcessEnd, host.0, u64::from(node), Farewell::Silence as u64);
            self.cut_off(node, Farewell::Silence);
            self.processes.aftermath.bury(node);
        }
        self.forget_kernel(host);
        self.hosts.get_mut(host).disk.power_cut();
    }

    /// The host lost power: what its kernel still had to send for streams that were closed is gone as well.
    pub(super) fn forget_kernel(&mut self, host: HostId) {
        for side in self.sides_where(|end| end.host == host && end.holder == Holder::Kernel) {
            self.vanish(side, false);
        }
    }

    fn sides_where(&self, wanted: impl Fn(&End) -> bool) -> Vec<Side> {
        let keys = self.connections.pool.keys_where(|connection| connection.ends.iter().any(&wanted));
        let both = keys.into_iter().flat_map(|key| [Side::new(key, 0), Side::new(key, 1)]);
        let found = |side: &Side| {
            self.connections.pool.get(side.connection()).is_some_and(|found| wanted(&found.ends[side.end()]))
        };
        both.filter(found).collect()
    }

    /// Whether both ends are on one host.
    fn is_local(&self, side: Side) -> bool {
        let connection = self.connections.pool.get(side.connection());
        connection.is_some_and(|connection| connection.ends[0].host == connection.ends[1].host)
    }

    /// Forgets the whole network without a word, so that what is dropped afterwards has nothing to do.
    pub(super) fn forget_network(&mut self) {
        self.connections = Connections::default();
        self.ports.clear();
        self.datagrams = Datagrams::default();
    }

    /// Whether no task of this process is polled at present.
    pub(super) fn is_held(&self, process: u32) -> bool {
        self.processes.is_paused(process)
    }

    /// Whether what this process receives costs its host time.
    pub(super) fn is_charged(&self, host: HostId, process: u32) -> bool {
        self.cpus.charges(host)
            && self.processes.list.get(process as usize).is_some_and(|it| it.kind == ProcessKind::Node)
    }

    /// The living processes that go down with their host.
    pub(super) fn nodes_of(&self, host: HostId) -> Vec<u32> {
        let nodes = self.processes.list.iter().enumerate().filter(|(_, process)| {
            process.host == host && process.life != Life::Dead && process.kind == ProcessKind::Node
        });
        nodes.map(|(id, _)| id as u32).collect()
    }
}
