//! Network address translation: what lets a Home out and nobody in.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::{IpAddr, SocketAddr};

/// A mapping without outbound traffic for this long is gone.
const MAPPING_NANOS: u64 = 120 * 1_000_000_000;
/// The first port that a translator gives out.
const FIRST_PORT: u16 = 20_000;

/// A translator in front of a host. Hosts that name the same public address share one.
///
/// Streams: outbound only. Datagrams: a port-restricted cone (RFC 4787: endpoint-independent mapping, address and
/// port-dependent filtering), 120 s without outbound traffic end a mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nat {
    /// The address that others see.
    pub public: IpAddr,
}

/// All translators of a run, by public address.
#[derive(Default)]
pub(super) struct Translators(BTreeMap<IpAddr, Translator>);

struct Translator {
    ports: BTreeMap<SocketAddr, u16>,
    mappings: BTreeMap<u16, Mapping>,
    next_port: u16,
}

struct Mapping {
    internal: SocketAddr,
    /// When something was last sent.
    used: u64,
    /// To whom, and when last.
    remotes: BTreeMap<SocketAddr, u64>,
}

impl Default for Translator {
    fn default() -> Self {
        Self { ports: BTreeMap::new(), mappings: BTreeMap::new(), next_port: FIRST_PORT }
    }
}

impl Translators {
    /// The public address of what `internal` sends to `remote`; `None` where no port is free.
    pub(super) fn outbound(
        &mut self,
        nat: &Nat,
        internal: SocketAddr,
        remote: SocketAddr,
        now: u64,
    ) -> Option<SocketAddr> {
        let translator = self.0.entry(nat.public).or_default();
        let port = match translator.ports.get(&internal) {
            Some(port) if translator.mappings.get(port).is_some_and(|mapping| is_live(mapping.used, now)) => {
                *port
            }
            _ => translator.open(internal, now)?,
        };
        let mapping = translator.mappings.get_mut(&port)?;
        mapping.used = now;
        mapping.remotes.retain(|_, used| is_live(*used, now));
        mapping.remotes.insert(remote, now);
        Some(SocketAddr::new(nat.public, port))
    }

    /// Who is meant by `to`, a translator's address, in a packet from `remote`; `None` where it lets nothing in.
    pub(super) fn inbound(&self, to: SocketAddr, remote: SocketAddr, now: u64) -> Option<SocketAddr> {
        let mapping = self.0.get(&to.ip())?.mappings.get(&to.port())?;
        let sent = *mapping.remotes.get(&remote)?;
        (is_live(mapping.used, now) && is_live(sent, now)).then_some(mapping.internal)
    }
}

impl Translator {
    fn open(&mut self, internal: SocketAddr, now: u64) -> Option<u16> {
        self.mappings.retain(|_, mapping| is_live(mapping.used, now));
        self.ports.retain(|_, port| self.mappings.contains_key(port));
        for _ in FIRST_PORT..=u16::MAX {
            let port = self.next_port;
            self.next_port = port.checked_add(1).unwrap_or(FIRST_PORT);
            if let Entry::Vacant(free) = self.mappings.entry(port) {
                free.insert(Mapping { internal, used: now, remotes: BTreeMap::new() });
                self.ports.insert(internal, port);
                return Some(port);
            }
        }
        None
    }
}

fn is_live(used: u64, now: u64) -> bool {
    now.saturating_sub(used) <= MAPPING_NANOS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn nat() -> Nat {
        Nat { public: "203.0.113.1".parse().unwrap() }
    }

    #[test]
    fn only_those_that_were_written_to_get_in() {
        let mut all = Translators::default();
        let home = address("10.0.0.2:6881");
        let seen = all.outbound(&nat(), home, address("198.51.100.1:1000"), 0).unwrap();
        assert_eq!(seen.ip(), nat().public);
        assert_eq!(all.inbound(seen, address("198.51.100.1:1000"), 1), Some(home));
        assert_eq!(all.inbound(seen, address("198.51.100.1:1001"), 1), None, "another port");
        assert_eq!(all.inbound(seen, address("198.51.100.9:1000"), 1), None, "another address");
    }

    #[test]
    fn the_mapping_is_the_same_for_all_remotes_and_ends_without_traffic() {
        let mut all = Translators::default();
        let home = address("10.0.0.2:6881");
        let (one, two) = (address("198.51.100.1:1"), address("198.51.100.2:2"));
        let seen = all.outbound(&nat(), home, one, 0).unwrap();
        assert_eq!(all.outbound(&nat(), home, two, MAPPING_NANOS), Some(seen));
        assert_eq!(all.inbound(seen, one, MAPPING_NANOS + 1), None, "not refreshed towards this one");
        assert_eq!(all.inbound(seen, two, MAPPING_NANOS + 1), Some(home));
        let later = 3 * MAPPING_NANOS;
        assert_eq!(all.inbound(seen, two, later), None);
        assert_ne!(all.outbound(&nat(), home, one, later), Some(seen), "a new mapping has a new port");
    }
}
