//! From a dial to two ends of a connection: SYN, SYN-ACK, ACK, and what happens when one of them finds nobody.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::connection::{Connection, End, Holder, wake};
use super::link::{HostId, Path};
use super::observe::Observation;
use super::pool::{Key, Pool};
use super::state::State;
use super::timeline::{Event, Flags, Side};
use crate::trace::Kind;

/// Connections that wait to be accepted; beyond this, SYNs are dropped and tried again. SYNs that arrive within one
/// round trip of each other may overshoot.
const BACKLOG_CONNECTIONS: usize = 128;
/// A SYN is tried again after 1 s, 3 s, 7 s … and given up after 127 s (Linux, `tcp_syn_retries`).
const SYN_RETRIES: u32 = 6;
const NANOS_PER_SECOND: u64 = 1_000_000_000;

struct Dial {
    host: HostId,
    process: u32,
    to: SocketAddr,
    /// What the listener sees.
    from: SocketAddr,
    /// The host that answers for the address, if any does.
    target: Option<HostId>,
    started: u64,
    tries: u32,
    result: Option<Result<Side, ErrorKind>>,
    waker: Option<Waker>,
}

pub(super) struct Listening {
    pub(super) host: HostId,
    pub(super) process: u32,
    pub(super) at: SocketAddr,
    /// Arrived and not yet accepted.
    queue: VecDeque<(Side, SocketAddr)>,
    waker: Option<Waker>,
}

/// Those who dial, and those who may be dialled.
#[derive(Default)]
pub(super) struct Ports {
    dials: Pool<Dial>,
    pub(super) listeners: Pool<Listening>,
}

impl Ports {
    /// Nobody waits for anybody any more.
    pub(super) fn clear(&mut self) {
        *self = Ports::default();
    }

    /// How many sockets a process holds with which it dials still; those that are connected are streams.
    pub(super) fn dials_of(&self, process: u32) -> usize {
        let dialling = |dial: &&Dial| dial.process == process && !matches!(dial.result, Some(Ok(_)));
        self.dials.values().filter(dialling).count()
    }
}

impl State {
    /// Begins to dial; [`poll_dial`](Self::poll_dial) tells how it ends.
    pub(super) fn dial(&mut self, host: HostId, process: u32, to: SocketAddr) -> io::Result<Key> {
        self.processes.check(process)?;
        self.check_descriptors(process)?;
        let target = self.hosts.target(host, to.ip());
        let from = self.hosts.source(host, to.ip(), target);
        let aim = target.map_or(u64::from(crate::trace::NONE), |target| u64::from(target.0));
        self.trace.emit(self.timeline.now, Kind::Dial, host.0, u64::from(to.port()), aim);
        let started = self.timeline.now;
        let dial = Dial { host, process, to, from, target, started, tries: 0, result: None, waker: None };
        let key = self.ports.dials.insert(dial);
        self.send_syn(key);
        Ok(key)
    }

    /// How the dial ended; its key is used up then.
    pub(super) fn poll_dial(&mut self, key: Key, context: &Context<'_>) -> Poll<io::Result<Side>> {
        let Some(dial) = self.ports.dials.get_mut(key) else {
            return Poll::Ready(Err(ErrorKind::NotConnected.into()));
        };
        match dial.result.take() {
            Some(result) => {
                self.ports.dials.remove(key);
                Poll::Ready(result.map_err(io::Error::from))
            }
            None => {
                dial.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// The dial is not wanted any more; a connection that it already has is closed.
    pub(super) fn abandon_dial(&mut self, key: Key) {
        if let Some(dial) = self.ports.dials.remove(key)
            && let Some(Ok(side)) = dial.result
        {
            self.close(side);
        }
    }

    /// Drops all dials of a process, silently.
    pub(super) fn drop_dials(&mut self, process: u32) {
        for key in self.ports.dials.keys_where(|dial| dial.process == process) {
            self.ports.dials.remove(key);
        }
    }

    /// The translator with this address has forgotten who dials through it: their next packets come from other ports.
    pub(super) fn disown_dials(&mut self, public: IpAddr) {
        let from_there = |dial: &Dial| dial.result.is_none() && dial.from.ip() == public;
        for key in self.ports.dials.keys_where(from_there) {
            let Some(dial) = self.ports.dials.get_mut(key) else { continue };
            dial.from = self.hosts.source(dial.host, dial.to.ip(), dial.target);
        }
    }

    /// Sends the first packet of a dial, or gives up.
    pub(super) fn send_syn(&mut self, key: Key) {
        let now = self.timeline.now;
        let Some(dial) = self.ports.dials.get_mut(key) else { return };
        if dial.result.is_some() {
            return;
        }
        if dial.tries > SYN_RETRIES {
            let (host, to) = (dial.host, dial.to);
            self.trace.emit(now, Kind::DialTimeout, host.0, u64::from(to.port()), 0);
            self.observations.push(Observation::DialTimedOut { at: Duration::from_nanos(now), host, to });
            return self.finish_dial(key, Err(ErrorKind::TimedOut));
        }
        dial.tries += 1;
        let again = dial.started + ((1 << dial.tries) - 1) * NANOS_PER_SECOND;
        self.timeline.at(again, Event::SynRetry(key));
        let Some(target) = dial.target else { return };
        let mut path = Path::new(dial.host, target);
        self.send_packet(&mut path, Event::Syn(key));
    }

    /// A SYN arrives at its target: the listener's answer, a refusal, or nothing.
    pub(super) fn syn(&mut self, key: Key) {
        let Some(dial) = self.ports.dials.get(key) else { return };
        let Some(target) = dial.target.filter(|_| dial.result.is_none()) else { return };
        if self.topology.blocked(&mut Path::new(dial.host, target)) {
            return;
        }
        let mut back = Path::new(target, dial.host);
        let answer = match self.listener(target, dial.to) {
            None => Event::Refused(key),
            Some(listener) if listener.1.queue.len() >= BACKLOG_CONNECTIONS => return,
            Some(_) => Event::SynAck(key),
        };
        self.send_packet(&mut back, answer);
    }

    /// The listener's answer arrives: the dialler has its connection, and tells the listener so.
    pub(super) fn syn_ack(&mut self, key: Key) {
        let Some(dial) = self.ports.dials.get(key) else { return };
        let Some(target) = dial.target.filter(|_| dial.result.is_none()) else { return };
        if self.topology.blocked(&mut Path::new(target, dial.host)) {
            return;
        }
        let (host, process, from) = (dial.host, dial.process, dial.from);
        let Some((listener, listening)) = self.listener(target, dial.to) else {
            // It was there when it answered: its host resets what it no longer knows.
            return self.finish_dial(key, Err(ErrorKind::ConnectionReset));
        };
        let mut ends = [End::new(host, process, target), End::new(target, listening.process, host)];
        ends[0].is_accepted = true;
        let side = Side::new(self.connections.pool.insert(Connection { ends, listener, from }), 0);
        self.trace.name_ends(side.id(), host.0, target.0);
        self.transmit(side, 0, Flags::OPEN);
        self.finish_dial(key, Ok(side));
    }

    /// "Nothing listens" arrives.
    pub(super) fn refused(&mut self, key: Key) {
        let now = self.timeline.now;
        let Some(dial) = self.ports.dials.get(key) else { return };
        let Some(target) = dial.target.filter(|_| dial.result.is_none()) else { return };
        if self.topology.blocked(&mut Path::new(target, dial.host)) {
            return;
        }
        let (host, to) = (dial.host, dial.to);
        self.trace.emit(now, Kind::Refuse, host.0, u64::from(to.port()), 0);
        self.observations.push(Observation::DialRefused { at: Duration::from_nanos(now), host, to });
        self.finish_dial(key, Err(ErrorKind::ConnectionRefused));
    }

    fn finish_dial(&mut self, key: Key, result: Result<Side, ErrorKind>) {
        if let Some(dial) = self.ports.dials.get_mut(key) {
            dial.result = Some(result);
            wake(&mut dial.waker);
        }
    }

    /// One packet without retransmission of its own.
    fn send_packet(&mut self, path: &mut Path, event: Event) {
        let now = self.timeline.now;
        if self.topology.blocked(path) || self.topology.loses(path) {
            return;
        }
        let at = self.topology.arrival(path, now, 0);
        self.timeline.at(at, event);
    }

    /// Opens a listener.
    pub(super) fn listen(
        &mut self,
        host: HostId,
        process: u32,
        at: SocketAddr,
    ) -> io::Result<(Key, SocketAddr)> {
        self.processes.check(process)?;
        self.check_descriptors(process)?;
        let at = self.hosts.bind(host, at, |host| &host.listeners)?;
        let listening = Listening { host, process, at, queue: VecDeque::new(), waker: None };
        let key = self.ports.listeners.insert(listening);
        self.hosts.get_mut(host).listeners.push((at, key));
        Ok((key, at))
    }

    /// The next connection, and where it came from.
    pub(super) fn poll_accept(
        &mut self,
        key: Key,
        context: &Context<'_>,
    ) -> Poll<io::Result<(Side, SocketAddr)>> {
        let Some(listening) = self.ports.listeners.get_mut(key) else {
            return Poll::Ready(Err(ErrorKind::NotConnected.into()));
        };
        if listening.queue.is_empty() {
            listening.waker = Some(context.waker().clone());
            return Poll::Pending;
        }
        let process = listening.process;
        // Without a descriptor for it, it stays in the queue.
        self.check_descriptors(process)?;
        let found = self.ports.listeners.get_mut(key).and_then(|listening| listening.queue.pop_front());
        let Some((side, from)) = found else { return Poll::Pending };
        if let Some(connection) = self.connections.pool.get_mut(side.connection()) {
            connection.ends[side.end()].is_accepted = true;
        }
        Poll::Ready(Ok((side, from)))
    }

    /// Closes a listener. What waits in its queue is reset; with `tell`, the diallers learn so.
    pub(super) fn close_listener(&mut self, key: Key, tell: bool) {
        let Some(listening) = self.ports.listeners.remove(key) else { return };
        self.hosts.get_mut(listening.host).listeners.retain(|(_, listener)| *listener != key);
        for (side, _) in listening.queue {
            self.vanish(side, tell);
        }
    }

    /// The handshake of `from`'s connection is complete: its other end waits to be accepted.
    pub(super) fn hand_to_listener(&mut self, from: Side) {
        let now = self.timeline.now;
        let Some(connection) = self.connections.pool.get_mut(from.connection()) else { return };
        let (host, dialler) = (connection.ends[1].host, connection.ends[0].host);
        let Some(listening) = self.ports.listeners.get_mut(connection.listener) else {
            connection.ends[1].holder = Holder::Gone;
            return;
        };
        listening.queue.push_back((from.other(), connection.from));
        wake(&mut listening.waker);
        let port = listening.at.port();
        self.trace.emit(now, Kind::Accept, host.0, from.id(), u64::from(dialler.0));
        let at = Duration::from_nanos(now);
        self.observations.push(Observation::Accepted { at, host, from_host: dialler, port });
    }

    /// The listener that answers for `to` on `host`.
    fn listener(&self, host: HostId, to: SocketAddr) -> Option<(Key, &Listening)> {
        let found = self.hosts.get(host).listeners.iter().find(|(at, _)| covers(*at, to))?;
        Some((found.1, self.ports.listeners.get(found.1)?))
    }
}

/// Whether something bound at `at` gets what is sent to `to`.
pub(super) fn covers(at: SocketAddr, to: SocketAddr) -> bool {
    at.port() == to.port() && (at.ip() == to.ip() || at.ip().is_unspecified() || to.ip().is_unspecified())
}
