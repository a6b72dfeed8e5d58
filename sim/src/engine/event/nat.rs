//! Network address translation: what lets a Home out, and whom it lets in.
//!
//! Streams: outbound only. They keep their mapping for as long as they last: RFC 5382 lets none go that was idle for less
//! than 2 h 4 min, and relays say something every half minute. What happens to them when a translator forgets them is in
//! `connection/trouble.rs`.
//!
//! Datagrams: as the [`NatKind`] says, with RFC 4787's words: a *mapping* is the public port of an internal address,
//! *filtering* is who may use it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::link::nanos;

/// A mapping without outbound datagrams for this long is gone, unless a [`Nat`] says otherwise: the least that RFC 4787
/// allows (REQ-5), and what Linux does (`nf_conntrack_udp_timeout_stream`).
const MAPPING: Duration = Duration::from_secs(120);
/// The first port that a translator gives out.
const FIRST_PORT: u16 = 20_000;

/// A translator in front of a host. Hosts that name the same public address share one, and are to describe it alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nat {
    /// The address that others see.
    pub public: IpAddr,
    /// Whom it lets in.
    pub kind: NatKind,
    /// A mapping without outbound datagrams for this long is gone. What comes in does not lengthen it (RFC 4787, REQ-6).
    pub mapping: Duration,
    /// Whether those behind it reach each other, and themselves, by its public address (RFC 4787, REQ-9).
    pub hairpin: bool,
}

/// How a translator treats datagrams (the names are RFC 3489's, which everybody still uses).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NatKind {
    /// One mapping for all remotes, open to everybody.
    FullCone,
    /// One mapping for all remotes, open to the addresses that were written to.
    AddressRestricted,
    /// One mapping for all remotes, open to the addresses and ports that were written to.
    #[default]
    PortRestricted,
    /// A mapping for each remote, open to that one.
    Symmetric,
}

impl Nat {
    /// As most are: port-restricted, mappings of two minutes, no hairpin.
    pub fn new(public: IpAddr) -> Self {
        Self { public, kind: NatKind::default(), mapping: MAPPING, hairpin: false }
    }
}

/// All translators of a run, by public address.
#[derive(Default)]
pub(super) struct Translators(BTreeMap<IpAddr, Translator>);

struct Translator {
    kind: NatKind,
    /// In nanoseconds.
    lasts: u64,
    ports: BTreeMap<Inside, u16>,
    mappings: BTreeMap<u16, Mapping>,
    next_port: u16,
}

/// What a mapping is for: an internal address, and for a symmetric translator also the remote one.
type Inside = (SocketAddr, Option<SocketAddr>);

struct Mapping {
    inside: Inside,
    /// When something was last sent.
    used: u64,
    /// To whom, and when last.
    remotes: BTreeMap<SocketAddr, u64>,
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
        let translator = self.0.entry(nat.public).or_insert_with(|| Translator::new(nat));
        let inside = (internal, (nat.kind == NatKind::Symmetric).then_some(remote));
        let lasts = translator.lasts;
        let port = match translator.ports.get(&inside) {
            Some(port) if translator.mappings.get(port).is_some_and(|it| is_live(it.used, now, lasts)) => {
                *port
            }
            _ => translator.open(inside, now)?,
        };
        let mapping = translator.mappings.get_mut(&port)?;
        mapping.used = now;
        if mapping.remotes.insert(remote, now).is_none() {
            mapping.remotes.retain(|_, used| is_live(*used, now, lasts));
        }
        Some(SocketAddr::new(nat.public, port))
    }

    /// Who is meant by `to`, a translator's address, in a packet from `remote`; `None` where it lets nothing in.
    pub(super) fn inbound(&self, to: SocketAddr, remote: SocketAddr, now: u64) -> Option<SocketAddr> {
        let translator = self.0.get(&to.ip())?;
        let mapping = translator.mappings.get(&to.port())?;
        let live = |used: u64| is_live(used, now, translator.lasts);
        let lets_in = match translator.kind {
            NatKind::FullCone => true,
            NatKind::AddressRestricted => {
                let mut written_to = mapping.remotes.iter();
                written_to.any(|(known, used)| known.ip() == remote.ip() && live(*used))
            }
            NatKind::PortRestricted | NatKind::Symmetric => {
                mapping.remotes.get(&remote).is_some_and(|used| live(*used))
            }
        };
        (lets_in && live(mapping.used)).then_some(mapping.inside.0)
    }

    /// Forgets all mappings of the translator with this address.
    pub(super) fn forget(&mut self, public: IpAddr) {
        if let Some(translator) = self.0.get_mut(&public) {
            // The next ones have other ports: a remote that writes to an old one is to reach nobody.
            translator.mappings.clear();
            translator.ports.clear();
        }
    }
}

impl Translator {
    fn new(nat: &Nat) -> Self {
        let (ports, mappings) = (BTreeMap::new(), BTreeMap::new());
        Self { kind: nat.kind, lasts: nanos(nat.mapping), ports, mappings, next_port: FIRST_PORT }
    }

    fn open(&mut self, inside: Inside, now: u64) -> Option<u16> {
        self.mappings.retain(|_, mapping| is_live(mapping.used, now, self.lasts));
        self.ports.retain(|_, port| self.mappings.contains_key(port));
        for _ in FIRST_PORT..=u16::MAX {
            let port = self.next_port;
            self.next_port = port.checked_add(1).unwrap_or(FIRST_PORT);
            if let Entry::Vacant(free) = self.mappings.entry(port) {
                free.insert(Mapping { inside, used: now, remotes: BTreeMap::new() });
                self.ports.insert(inside, port);
                return Some(port);
            }
        }
        None
    }
}

fn is_live(used: u64, now: u64, lasts: u64) -> bool {
    now.saturating_sub(used) <= lasts
}

#[cfg(test)]
mod tests {
    use super::*;

    const LASTS: u64 = 120_000_000_000;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn nat(kind: NatKind) -> Nat {
        Nat { kind, ..Nat::new("203.0.113.1".parse().unwrap()) }
    }

    /// Who of three gets in after the Home wrote to `198.51.100.1:1000`: that one, its other port, another address.
    fn lets_in(kind: NatKind) -> [bool; 3] {
        let mut all = Translators::default();
        let home = address("10.0.0.2:6881");
        let seen = all.outbound(&nat(kind), home, address("198.51.100.1:1000"), 0).unwrap();
        assert_eq!(seen.ip(), nat(kind).public);
        ["198.51.100.1:1000", "198.51.100.1:1001", "198.51.100.9:1000"].map(|remote| {
            let inner = all.inbound(seen, address(remote), 1);
            assert!(inner.is_none_or(|inner| inner == home));
            inner.is_some()
        })
    }

    #[test]
    fn each_kind_lets_in_whom_it_says() {
        assert_eq!(lets_in(NatKind::FullCone), [true, true, true]);
        assert_eq!(lets_in(NatKind::AddressRestricted), [true, true, false]);
        assert_eq!(lets_in(NatKind::PortRestricted), [true, false, false]);
        assert_eq!(lets_in(NatKind::Symmetric), [true, false, false]);
    }

    #[test]
    fn the_mapping_is_the_same_for_all_remotes_and_ends_without_traffic() {
        let (mut all, nat) = (Translators::default(), nat(NatKind::PortRestricted));
        let home = address("10.0.0.2:6881");
        let (one, two) = (address("198.51.100.1:1"), address("198.51.100.2:2"));
        let seen = all.outbound(&nat, home, one, 0).unwrap();
        assert_eq!(all.outbound(&nat, home, two, LASTS), Some(seen));
        assert_eq!(all.inbound(seen, one, LASTS + 1), None, "not refreshed towards this one");
        assert_eq!(all.inbound(seen, two, LASTS + 1), Some(home));
        let later = 3 * LASTS;
        assert_eq!(all.inbound(seen, two, later), None);
        assert_ne!(all.outbound(&nat, home, one, later), Some(seen), "a new mapping has a new port");
    }

    #[test]
    fn a_symmetric_translator_has_a_mapping_for_each_remote() {
        let (mut all, nat) = (Translators::default(), nat(NatKind::Symmetric));
        let home = address("10.0.0.2:6881");
        let (one, two) = (address("198.51.100.1:1"), address("198.51.100.2:2"));
        let (to_one, to_two) =
            (all.outbound(&nat, home, one, 0).unwrap(), all.outbound(&nat, home, two, 0).unwrap());
        assert_ne!(to_one, to_two);
        assert_eq!(all.outbound(&nat, home, one, 1), Some(to_one), "and keeps it");
        assert_eq!(all.inbound(to_one, two, 1), None, "what one told another does not help");
        assert_eq!(all.inbound(to_two, two, 1), Some(home));
    }

    #[test]
    fn what_was_forgotten_lets_nobody_in_and_comes_back_under_another_port() {
        let (mut all, nat) = (Translators::default(), nat(NatKind::FullCone));
        let (home, remote) = (address("10.0.0.2:6881"), address("198.51.100.1:1"));
        let seen = all.outbound(&nat, home, remote, 0).unwrap();
        all.forget(nat.public);
        assert_eq!(all.inbound(seen, remote, 1), None);
        assert_ne!(all.outbound(&nat, home, remote, 1), Some(seen));
        assert_eq!(all.inbound(seen, remote, 2), None);
    }
}
