//! Hosts and the processes on them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use async_task::Task;
use relay_chaos::NameAnswer;
use relay_node::env::SrvRecord;
use slab::Slab;

use super::disk::Disk;
use super::executor::Meta;
use super::link::HostId;
use super::nat::Nat;
use super::pool::Key;
use super::state::Aftermath;
use super::tls::Certificate;

/// The first port given to those who ask for any (IANA's dynamic range).
const FIRST_EPHEMERAL_PORT: u16 = 49152;

/// A host to be added to a run.
#[derive(Clone, Debug)]
pub struct HostSpec {
    /// Its name in name resolution, logs and messages.
    pub name: String,
    /// Its own address.
    pub address: IpAddr,
    /// What stands between it and the others, if anything does.
    pub nat: Option<Nat>,
}

/// Names a process of a run. Numbers are never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessId(pub(in crate::engine) u32);

/// Whether a process shares its host's fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessKind {
    /// Part of the system under test: gone when its host loses power.
    Node,
    /// Part of the test (load, services, checks): stays when its host loses power, and checks no certificates.
    Harness,
}

pub(super) struct Host {
    pub(super) name: String,
    pub(super) address: IpAddr,
    pub(super) nat: Option<Nat>,
    pub(super) certificate: Option<Certificate>,
    pub(super) listeners: Vec<(SocketAddr, Key)>,
    pub(super) sockets: Vec<(SocketAddr, Key)>,
    next_port: u16,
    pub(super) disk: Disk,
    /// How often each named seed was drawn.
    pub(super) seeds: BTreeMap<&'static str, u64>,
}

#[derive(Default)]
pub(super) struct Hosts {
    list: Vec<Host>,
    names: HashMap<String, HostId>,
    addresses: HashMap<IpAddr, HostId>,
    srv: HashMap<String, Vec<SrvRecord>>,
    /// What is wrong with the name servers of hosts.
    names_trouble: BTreeMap<HostId, NameAnswer>,
    /// How many descriptors a process of a host may hold, where that is limited.
    descriptors: BTreeMap<HostId, u32>,
}

impl Hosts {
    /// # Panics
    /// Where another host has the name or the address: the topology is wrong.
    pub(super) fn add(&mut self, spec: HostSpec) -> HostId {
        let id = HostId(self.list.len() as u32);
        let HostSpec { name, address, nat } = spec;
        let twin = self.names.insert(name.clone(), id);
        assert!(twin.is_none(), "two hosts are named {name}; give each its own name");
        let twin = self.addresses.insert(address, id);
        assert!(twin.is_none(), "two hosts have the address {address}; give each its own address");
        self.list.push(Host {
            name,
            address,
            nat,
            certificate: None,
            listeners: Vec::new(),
            sockets: Vec::new(),
            next_port: FIRST_EPHEMERAL_PORT,
            disk: Disk::default(),
            seeds: BTreeMap::new(),
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
        self.list.get(id as usize).map_or("-", |host| &host.name)
    }

    pub(super) fn find(&self, name: &str) -> Option<IpAddr> {
        if name.eq_ignore_ascii_case("localhost") {
            return Some(Ipv4Addr::LOCALHOST.into());
        }
        self.names.get(name).map(|host| self.get(*host).address)
    }

    pub(super) fn named(&self, name: &str) -> Option<HostId> {
        self.names.get(name).copied()
    }

    /// The SRV records of a name.
    pub(super) fn srv(&self, name: &str) -> &[SrvRecord] {
        self.srv.get(&srv_key(name)).map_or(&[], Vec::as_slice)
    }

    pub(super) fn set_srv(&mut self, name: &str, records: Vec<SrvRecord>) {
        self.srv.insert(srv_key(name), records);
    }

    pub(super) fn len(&self) -> u64 {
        self.list.len() as u64
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Host> {
        self.list.iter_mut()
    }

    /// What disks do wrong is drawn from another seed from now on.
    pub(super) fn reseed_disks(&mut self, seed: u64) {
        self.list.iter_mut().for_each(|host| host.disk.reseed(seed, &host.name));
    }

    /// What is wrong with the name server of a host.
    pub(super) fn names(&self, host: HostId) -> Option<NameAnswer> {
        self.names_trouble.get(&host).copied()
    }

    pub(super) fn set_names(&mut self, host: HostId, trouble: Option<NameAnswer>) {
        match trouble {
            Some(trouble) => self.names_trouble.insert(host, trouble),
            None => self.names_trouble.remove(&host),
        };
    }

    /// How many descriptors a process of the host may hold, where that is limited.
    pub(super) fn descriptors(&self, host: HostId) -> Option<u32> {
        self.descriptors.get(&host).copied()
    }

    pub(super) fn set_descriptors(&mut self, host: HostId, limit: Option<u32>) {
        match limit {
            Some(limit) => self.descriptors.insert(host, limit),
            None => self.descriptors.remove(&host),
        };
    }

    /// The host that packets from `from` to `address` reach: nobody behind a NAT from outside.
    pub(super) fn target(&self, from: HostId, address: IpAddr) -> Option<HostId> {
        if address.is_loopback() || address.is_unspecified() {
            return Some(from);
        }
        let host = self.owner(address)?;
        (host == from || self.get(host).nat.is_none()).then_some(host)
    }

    /// The host whose own address this is.
    pub(super) fn owner(&self, address: IpAddr) -> Option<HostId> {
        self.addresses.get(&address).copied()
    }

    /// Where a stream from `host` to `address` seems to come from.
    pub(super) fn source(&mut self, host: HostId, address: IpAddr, target: Option<HostId>) -> SocketAddr {
        let here = self.get_mut(host);
        let port = here.next_port();
        let ip = match &here.nat {
            _ if address.is_loopback() => address,
            _ if target == Some(host) => here.address,
            Some(nat) => nat.public,
            None => here.address,
        };
        SocketAddr::new(ip, port)
    }

    /// Where something that asks for `at` is bound.
    pub(super) fn bind(
        &mut self,
        host: HostId,
        at: SocketAddr,
        taken: impl Fn(&Host) -> &Vec<(SocketAddr, Key)>,
    ) -> io::Result<SocketAddr> {
        let here = self.get_mut(host);
        if !at.ip().is_loopback() && !at.ip().is_unspecified() && at.ip() != here.address {
            let message = format!("{} has no address {}", here.name, at.ip());
            return Err(io::Error::new(ErrorKind::AddrNotAvailable, message));
        }
        let clashes = |here: &Host, at: SocketAddr| {
            taken(here).iter().any(|(other, _)| {
                let overlap =
                    other.ip() == at.ip() || other.ip().is_unspecified() || at.ip().is_unspecified();
                other.port() == at.port() && overlap
            })
        };
        if at.port() != 0 {
            return if clashes(here, at) { Err(ErrorKind::AddrInUse.into()) } else { Ok(at) };
        }
        for _ in FIRST_EPHEMERAL_PORT..=u16::MAX {
            let free = SocketAddr::new(at.ip(), here.next_port());
            if !clashes(here, free) {
                return Ok(free);
            }
        }
        Err(ErrorKind::AddrInUse.into())
    }
}

/// DNS knows no case, and a name may end with a dot.
fn srv_key(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

impl Host {
    /// Goes round: streams that were dialled may share a port with older ones, listeners and sockets never do.
    fn next_port(&mut self) -> u16 {
        let port = self.next_port;
        self.next_port = port.checked_add(1).unwrap_or(FIRST_EPHEMERAL_PORT);
        port
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Running,
    /// Its main future returned: no new tasks, while the destructors of the old ones still have a network.
    Ending,
    Dead,
}

pub(super) struct Process {
    pub(super) host: HostId,
    pub(super) name: &'static str,
    pub(super) kind: ProcessKind,
    pub(super) life: Life,
    /// The task whose end is the process's.
    pub(super) main: u32,
    pub(super) tasks: Slab<Task<(), Meta>>,
    /// How many files it has open.
    pub(super) files: u32,
}

#[derive(Default)]
pub(super) struct Processes {
    pub(super) list: Vec<Process>,
    pub(super) next_task: u32,
    /// Those that are not polled.
    pub(super) paused: BTreeSet<u32>,
    pub(super) aftermath: Aftermath,
}

impl Processes {
    pub(super) fn is_paused(&self, process: u32) -> bool {
        !self.paused.is_empty() && self.paused.contains(&process)
    }

    pub(super) fn alive(&self, process: u32) -> bool {
        self.list.get(process as usize).is_some_and(|process| process.life != Life::Dead)
    }

    pub(super) fn kind(&self, process: u32) -> ProcessKind {
        self.list[process as usize].kind
    }

    /// # Errors
    /// Where the process is dead: it has no network and no disk any more.
    pub(super) fn check(&self, process: u32) -> io::Result<()> {
        if self.alive(process) {
            Ok(())
        } else {
            Err(io::Error::new(ErrorKind::NotConnected, "the process has ended"))
        }
    }
}
