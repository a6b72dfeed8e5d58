//! Datagrams: late, out of order, or lost.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll, Waker};

use super::dial::covers;
use super::host::Hosts;
use super::link::{HostId, Path};
use super::nat::Translators;
use super::pool::{Key, Pool};
use super::state::State;
use super::timeline::Event;
use crate::trace::Kind;

/// The largest payload of one datagram over IPv4.
const PAYLOAD_MAX_BYTES: usize = 65_507;
/// Received and not yet read, by socket; beyond this datagrams are dropped (Linux, `rmem_default`).
const RECEIVE_QUEUE_BYTES: usize = 212_992;
/// A datagram that is to be overtaken comes later by one to two times its link's latency, or this where that is longer.
const OVERTAKEN_NANOS_MIN: u64 = 10_000_000;
/// What one datagram takes of the queue besides its payload.
const QUEUE_OVERHEAD_BYTES: usize = 256;

#[derive(Default)]
pub(super) struct Datagrams {
    pub(super) sockets: Pool<Socket>,
    flying: Pool<Flying>,
    translators: Translators,
}

pub(super) struct Socket {
    host: HostId,
    pub(super) process: u32,
    at: SocketAddr,
    queue: VecDeque<(SocketAddr, Box<[u8]>)>,
    queued_bytes: usize,
    /// Several tasks may receive on one socket.
    wakers: Vec<Waker>,
}

struct Flying {
    path: Path,
    from: SocketAddr,
    /// The address at the receiving host, behind its NAT if there is one.
    to: SocketAddr,
    target: HostId,
    bytes: Box<[u8]>,
}

impl State {
    pub(super) fn bind_datagram(
        &mut self,
        host: HostId,
        process: u32,
        at: SocketAddr,
    ) -> io::Result<(Key, SocketAddr)> {
        self.processes.check(process)?;
        self.check_descriptors(process)?;
        let at = self.hosts.bind(host, at, |host| &host.sockets)?;
        let (queue, wakers) = (VecDeque::new(), Vec::new());
        let key = self.datagrams.sockets.insert(Socket { host, process, at, queue, queued_bytes: 0, wakers });
        self.hosts.get_mut(host).sockets.push((at, key));
        Ok((key, at))
    }

    pub(super) fn send_datagram(&mut self, key: Key, bytes: &[u8], to: SocketAddr) -> io::Result<()> {
        let now = self.timeline.now;
        let Some(socket) = self.datagrams.sockets.get(key) else {
            return Err(ErrorKind::NotConnected.into());
        };
        if bytes.len() > PAYLOAD_MAX_BYTES {
            let message = format!("{} bytes do not fit into a datagram ({PAYLOAD_MAX_BYTES})", bytes.len());
            return Err(io::Error::new(ErrorKind::InvalidInput, message));
        }
        let (host, port) = (socket.host, u64::from(to.port()));
        let internal = SocketAddr::new(source(&self.hosts, host, socket.at.ip(), to.ip()), socket.at.port());
        self.trace.emit_bytes(now, Kind::DatagramSent, host.0, port, bytes);
        // As with a real socket, the sender never learns what became of it.
        let Some((from, inner, target)) = self.route(host, internal, to) else {
            self.drop_datagram(host, port, bytes.len());
            return Ok(());
        };
        let mut path = Path::new(host, target);
        if self.topology.blocked(&mut path)
            || self.topology.loses_datagram(&mut path)
            || self.topology.overloaded(&mut path, now, bytes.len() as u64)
        {
            self.drop_datagram(host, port, bytes.len());
            return Ok(());
        }
        let (mishaps, _, dice) = self.topology.mishaps(&mut path);
        if dice.chance(mishaps.duplicate) {
            // A way of its own: it is not to come at the same time.
            let path = Path::new(host, target);
            self.launch(Flying { path, from, to: inner, target, bytes: bytes.into() });
        }
        self.launch(Flying { path, from, to: inner, target, bytes: bytes.into() });
        Ok(())
    }

    /// Puts a datagram on its way, late or damaged where the path does that.
    fn launch(&mut self, mut flying: Flying) {
        let now = self.timeline.now;
        let mut at = self.topology.arrival(&mut flying.path, now, flying.bytes.len() as u64);
        let (mishaps, latency, dice) = self.topology.mishaps(&mut flying.path);
        if dice.chance(mishaps.reorder) {
            let lag = latency.max(OVERTAKEN_NANOS_MIN);
            at = at.saturating_add(lag).saturating_add(dice.below(lag));
        }
        if dice.chance(mishaps.corrupt) && !flying.bytes.is_empty() {
            let bit = dice.below(flying.bytes.len() as u64 * 8) as usize;
            flying.bytes[bit / 8] ^= 1 << (bit % 8);
        }
        let key = self.datagrams.flying.insert(flying);
        self.timeline.at(at, Event::Datagram(key));
    }

    pub(super) fn datagram(&mut self, key: Key) {
        let now = self.timeline.now;
        let Some(Flying { mut path, from, to, target, bytes }) = self.datagrams.flying.remove(key) else {
            return;
        };
        let port = u64::from(to.port());
        let found =
            self.hosts.get(target).sockets.iter().find(|(at, _)| covers(*at, to)).map(|found| found.1);
        let socket = found.and_then(|key| self.datagrams.sockets.get_mut(key));
        let size = bytes.len() + QUEUE_OVERHEAD_BYTES;
        match socket {
            Some(socket)
                if !self.topology.blocked(&mut path) && socket.queued_bytes + size <= RECEIVE_QUEUE_BYTES =>
            {
                self.trace.emit_bytes(now, Kind::DatagramDelivered, target.0, port, &bytes);
                socket.queued_bytes += size;
                socket.queue.push_back((from, bytes));
                socket.wakers.drain(..).for_each(Waker::wake);
            }
            _ => self.drop_datagram(target, port, bytes.len()),
        }
    }

    pub(super) fn poll_receive(
        &mut self,
        key: Key,
        buffer: &mut [u8],
        context: &Context<'_>,
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        let Some(socket) = self.datagrams.sockets.get_mut(key) else {
            return Poll::Ready(Err(ErrorKind::NotConnected.into()));
        };
        let (host, process) = (socket.host, socket.process);
        if !socket.queue.is_empty()
            && self.is_charged(host, process)
            && self.cpus.has_read(host, self.timeline.now)
        {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let Some(socket) = self.datagrams.sockets.get_mut(key) else {
            return Poll::Ready(Err(ErrorKind::NotConnected.into()));
        };
        let Some((from, bytes)) = socket.queue.pop_front() else {
            if !socket.wakers.iter().any(|waker| waker.will_wake(context.waker())) {
                socket.wakers.push(context.waker().clone());
            }
            return Poll::Pending;
        };
        socket.queued_bytes -= bytes.len() + QUEUE_OVERHEAD_BYTES;
        if self.is_charged(host, process) {
            self.cpus.charge(host, 1, self.timeline.now);
        }
        let count = bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&bytes[..count]);
        Poll::Ready(Ok((count, from)))
    }

    pub(super) fn close_datagram(&mut self, key: Key) {
        if let Some(socket) = self.datagrams.sockets.remove(key) {
            self.hosts.get_mut(socket.host).sockets.retain(|(_, other)| *other != key);
        }
    }

    /// Whom a datagram reaches: the sender's address as seen there, the address inside, and the host.
    fn route(
        &mut self,
        host: HostId,
        internal: SocketAddr,
        to: SocketAddr,
    ) -> Option<(SocketAddr, SocketAddr, HostId)> {
        let now = self.timeline.now;
        if self.hosts.target(host, to.ip()) == Some(host) {
            return Some((internal, to, host));
        }
        let translators = &mut self.datagrams.translators;
        let from = match &self.hosts.get(host).nat {
            Some(nat) if nat.public == to.ip() && !nat.hairpin => return None,
            Some(nat) => translators.outbound(nat, internal, to, now)?,
            None => internal,
        };
        if let Some(target) = self.hosts.target(host, to.ip()) {
            return Some((from, to, target));
        }
        let inner = translators.inbound(to, from, now)?;
        Some((from, inner, self.hosts.owner(inner.ip())?))
    }

    /// The address of the translator in front of a host, if there is one.
    pub(super) fn public_address(&self, host: HostId) -> Option<IpAddr> {
        self.hosts.get(host).nat.as_ref().map(|nat| nat.public)
    }

    /// The translator with this address forgets all mappings, and gets another address where `moved` says so.
    pub(super) fn forget_mappings(&mut self, public: IpAddr, moved: Option<IpAddr>) {
        self.datagrams.translators.forget(public);
        self.disown_streams(public);
        let Some(moved) = moved else { return self.disown_dials(public) };
        for nat in self.hosts.iter_mut().filter_map(|host| host.nat.as_mut()) {
            if nat.public == public {
                nat.public = moved;
            }
        }
        self.disown_dials(public);
    }

    fn drop_datagram(&mut self, host: HostId, port: u64, bytes: usize) {
        self.trace.emit(self.timeline.now, Kind::DatagramDropped, host.0, port, bytes as u64);
    }
}

/// The address that a socket bound to `bound` sends from.
fn source(hosts: &Hosts, host: HostId, bound: IpAddr, to: IpAddr) -> IpAddr {
    if !bound.is_unspecified() {
        bound
    } else if to.is_loopback() {
        to
    } else {
        hosts.get(host).address
    }
}
