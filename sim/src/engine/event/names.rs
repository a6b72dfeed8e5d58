//! Name servers: what a process gets when it asks, and what it gets from one that does not do its work.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};

use relay_chaos::NameAnswer;
use relay_node::env::SrvRecord;

use super::host::ProcessKind;
use super::link::HostId;
use super::state::State;

/// How long somebody waits for a name server that is silent: two tries of five seconds (`resolv.conf(5)`; hickory waits
/// as long for each).
pub(super) const SILENCE_NANOS: u64 = 10 * 1_000_000_000;

/// What asking a name server comes to.
pub(super) enum Answer<T> {
    /// This.
    Found(T),
    /// Why there is nothing.
    Failed(io::Error),
    /// Nothing at all.
    Silent,
}

impl State {
    /// The address of a name, or of an address as text.
    pub(super) fn look_up(
        &mut self,
        process: u32,
        host: HostId,
        name: &str,
        port: u16,
    ) -> Answer<SocketAddr> {
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        let trouble = self.trouble_of(process, host);
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Answer::Found(SocketAddr::new(address, port));
        }
        // The host knows its own loopback without asking.
        let trouble = trouble.filter(|_| !bare.eq_ignore_ascii_case("localhost"));
        let found = self.hosts.find(bare);
        let nothing = || Answer::Failed(unknown(name, "has no address"));
        match trouble {
            None => found.map_or_else(nothing, |address| Answer::Found(SocketAddr::new(address, port))),
            Some(NameAnswer::Failure) => Answer::Failed(server_failure(name)),
            Some(NameAnswer::Nothing) => nothing(),
            Some(NameAnswer::Silence) => Answer::Silent,
            Some(NameAnswer::Wrong) => match self.another_than(found) {
                Some(wrong) => Answer::Found(SocketAddr::new(self.hosts.get(wrong).address, port)),
                None => nothing(),
            },
        }
    }

    /// The SRV records of a name; never none.
    pub(super) fn look_up_srv(&mut self, process: u32, host: HostId, name: &str) -> Answer<Vec<SrvRecord>> {
        let trouble = self.trouble_of(process, host);
        let mut records = self.hosts.srv(name).to_vec();
        let nothing = || Answer::Failed(unknown(name, "has no such records"));
        match trouble {
            Some(NameAnswer::Failure) => return Answer::Failed(server_failure(name)),
            Some(NameAnswer::Nothing) => return nothing(),
            Some(NameAnswer::Silence) => return Answer::Silent,
            Some(NameAnswer::Wrong) => {
                for record in &mut records {
                    let right = self.hosts.find(&record.target);
                    if let Some(wrong) = self.another_than(right) {
                        record.target.clone_from(&self.hosts.get(wrong).name);
                    }
                }
            }
            None => {}
        }
        if records.is_empty() { nothing() } else { Answer::Found(records) }
    }

    /// What is wrong with the name server of a process. That of the harness does its work.
    fn trouble_of(&self, process: u32, host: HostId) -> Option<NameAnswer> {
        self.hosts.names(host).filter(|_| self.processes.kind(process) == ProcessKind::Node)
    }

    /// Any host but the one with this address.
    fn another_than(&mut self, address: Option<IpAddr>) -> Option<HostId> {
        let right = address.and_then(|address| self.hosts.owner(address));
        let others = self.hosts.len() - u64::from(right.is_some());
        if others == 0 {
            return None;
        }
        let drawn = self.topology.mischief().below(others) as u32;
        let skipped = right.is_some_and(|HostId(right)| drawn >= right);
        Some(HostId(drawn + u32::from(skipped)))
    }
}

fn unknown(name: &str, what: &str) -> io::Error {
    io::Error::new(ErrorKind::NotFound, format!("{name} {what}"))
}

fn server_failure(name: &str) -> io::Error {
    io::Error::other(format!("{name}: the name server could not find out (SERVFAIL)"))
}
