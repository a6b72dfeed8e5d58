//! Hosts, what they are called, and who can be reached at which address.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use relay_node::env::{BoxFuture, SrvRecord};
use tokio::runtime::Handle;

use crate::engine::event::disk::Disk;
use crate::engine::event::{Certificate, HostId, HostSpec};

/// Ports given to those who ask for any lie below those that turmoil gives to those who dial.
const FIRST_FREE_PORT: u16 = 32_768;
const LAST_FREE_PORT: u16 = 49_151;

pub(super) struct Host {
    pub(super) spec: HostSpec,
    pub(super) certificate: Option<Certificate>,
    pub(super) disk: Disk,
    /// How often each named seed was drawn.
    pub(super) seeds: BTreeMap<&'static str, u64>,
    /// Ports that are listened on, by transport.
    taken: BTreeSet<(Transport, u16)>,
    next_port: u16,
    /// Turmoil's runtime for the host, once it has one.
    runtime: Option<Handle>,
    /// What is to run once there is one.
    waiting: Vec<BoxFuture<'static, ()>>,
}

/// What a port is a port of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Transport {
    Stream,
    Datagram,
}

#[derive(Default)]
pub(super) struct Hosts {
    list: Vec<Host>,
    names: HashMap<String, HostId>,
    addresses: HashMap<IpAddr, HostId>,
    srv: HashMap<String, Vec<SrvRecord>>,
}

impl Hosts {
    /// # Panics
    /// Where another host has the name or the address: the topology is wrong.
    pub(super) fn add(&mut self, spec: HostSpec) -> HostId {
        let id = HostId(self.list.len() as u32);
        let HostSpec { name, address, .. } = &spec;
        let twin = self.names.insert(name.clone(), id);
        assert!(twin.is_none(), "two hosts are named {name}; give each its own name");
        let twin = self.addresses.insert(*address, id);
        assert!(twin.is_none(), "two hosts have the address {address}; give each its own address");
        self.list.push(Host {
            spec,
            certificate: None,
            disk: Disk::default(),
            seeds: BTreeMap::new(),
            taken: BTreeSet::new(),
            next_port: FIRST_FREE_PORT,
            runtime: None,
            waiting: Vec::new(),
        });
        id
    }

    pub(super) fn get(&self, id: HostId) -> &Host {
        &self.list[id.index()]
    }

    pub(super) fn get_mut(&mut self, id: HostId) -> &mut Host {
        &mut self.list[id.index()]
    }

    pub(super) fn name(&self, id: u32) -> &str {
        self.list.get(id as usize).map_or("-", |host| &host.spec.name)
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn address(&self, at: usize) -> IpAddr {
        self.list[at].spec.address
    }

    pub(super) fn find(&self, name: &str) -> Option<IpAddr> {
        if name.eq_ignore_ascii_case("localhost") {
            return Some(Ipv4Addr::LOCALHOST.into());
        }
        self.names.get(name).map(|host| self.get(*host).spec.address)
    }

    /// The SRV records of a name.
    pub(super) fn srv(&self, name: &str) -> &[SrvRecord] {
        self.srv.get(&srv_key(name)).map_or(&[], Vec::as_slice)
    }

    pub(super) fn set_srv(&mut self, name: &str, records: Vec<SrvRecord>) {
        self.srv.insert(srv_key(name), records);
    }

    /// The host that packets from `from` to `address` reach: nobody behind a NAT from outside.
    pub(super) fn target(&self, from: HostId, address: IpAddr) -> Option<HostId> {
        if address.is_loopback() || address.is_unspecified() {
            return Some(from);
        }
        let host = self.addresses.get(&address).copied()?;
        (host == from || self.get(host).spec.nat.is_none()).then_some(host)
    }

    /// The host at the other end of a socket of `host`.
    pub(super) fn peer(&self, host: HostId, address: IpAddr) -> Option<HostId> {
        if address.is_loopback() { Some(host) } else { self.addresses.get(&address).copied() }
    }

    /// What others see of a stream that comes from `from`.
    pub(super) fn seen(&self, from: SocketAddr) -> SocketAddr {
        let host = self.addresses.get(&from.ip()).map(|host| self.get(*host));
        match host.and_then(|host| host.spec.nat.as_ref()) {
            Some(nat) => SocketAddr::new(nat.public, from.port()),
            None => from,
        }
    }

    /// Takes a port of a host; the address that was asked for, with the port.
    pub(super) fn bind(
        &mut self,
        host: HostId,
        transport: Transport,
        at: SocketAddr,
    ) -> io::Result<SocketAddr> {
        let here = self.get_mut(host);
        if !at.ip().is_loopback() && !at.ip().is_unspecified() && at.ip() != here.spec.address {
            let message = format!("{} has no address {}", here.spec.name, at.ip());
            return Err(io::Error::new(ErrorKind::AddrNotAvailable, message));
        }
        if at.port() != 0 {
            let free = here.taken.insert((transport, at.port()));
            return if free { Ok(at) } else { Err(ErrorKind::AddrInUse.into()) };
        }
        for _ in FIRST_FREE_PORT..=LAST_FREE_PORT {
            let port = here.next_port;
            here.next_port = if port == LAST_FREE_PORT { FIRST_FREE_PORT } else { port + 1 };
            if here.taken.insert((transport, port)) {
                return Ok(SocketAddr::new(at.ip(), port));
            }
        }
        Err(ErrorKind::AddrInUse.into())
    }

    /// Gives a port back.
    pub(super) fn unbind(&mut self, host: HostId, transport: Transport, port: u16) {
        self.get_mut(host).taken.remove(&(transport, port));
    }
}

impl Host {
    /// Where turmoil is told to bind: it knows loopback and "anywhere".
    pub(super) fn bound(&self, at: SocketAddr) -> SocketAddr {
        match at.ip() == self.spec.address {
            true => SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), at.port()),
            false => at,
        }
    }

    /// Runs something on the host, below all processes.
    pub(super) fn launch(&mut self, work: BoxFuture<'static, ()>) {
        match &self.runtime {
            Some(runtime) => drop(runtime.spawn(work)),
            None => self.waiting.push(work),
        }
    }

    /// The host exists in turmoil from here on.
    pub(super) fn registered(&mut self, runtime: Handle) {
        for work in self.waiting.drain(..) {
            drop(runtime.spawn(work));
        }
        self.runtime = Some(runtime);
    }
}

/// DNS knows no case, and a name may end with a dot.
fn srv_key(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::Nat;

    fn hosts() -> Hosts {
        let mut hosts = Hosts::default();
        let nat = Nat::new("11.0.0.2".parse().unwrap());
        for (name, address, nat) in [("main", "11.0.0.1", None), ("home", "10.0.0.2", Some(nat))] {
            hosts.add(HostSpec { name: name.into(), address: address.parse().unwrap(), nat });
        }
        hosts
    }

    #[test]
    fn nobody_reaches_a_home_from_outside_and_a_home_reaches_itself() {
        let hosts = hosts();
        let (main, home) = (HostId(0), HostId(1));
        for address in ["10.0.0.2", "11.0.0.2"] {
            assert_eq!(hosts.target(main, address.parse().unwrap()), None);
        }
        assert_eq!(hosts.target(home, "10.0.0.2".parse().unwrap()), Some(home));
        assert_eq!(hosts.target(home, "127.0.0.1".parse().unwrap()), Some(home));
        assert_eq!(hosts.target(home, "11.0.0.1".parse().unwrap()), Some(main));
        assert_eq!(hosts.seen("10.0.0.2:77".parse().unwrap()), "11.0.0.2:77".parse().unwrap());
    }

    #[test]
    fn a_port_is_taken_until_it_is_given_back() {
        let mut hosts = hosts();
        let at: SocketAddr = "0.0.0.0:80".parse().unwrap();
        hosts.bind(HostId(0), Transport::Stream, at).unwrap();
        hosts.bind(HostId(0), Transport::Datagram, at).unwrap();
        let refusal = hosts.bind(HostId(0), Transport::Stream, at).unwrap_err();
        assert_eq!(refusal.kind(), ErrorKind::AddrInUse);
        hosts.unbind(HostId(0), Transport::Stream, 80);
        hosts.bind(HostId(0), Transport::Stream, at).unwrap();
        let foreign = hosts.bind(HostId(0), Transport::Stream, "10.9.9.9:80".parse().unwrap()).unwrap_err();
        assert_eq!(foreign.kind(), ErrorKind::AddrNotAvailable);
    }
}
