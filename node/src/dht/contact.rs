//! Who is where.

use std::net::{IpAddr, SocketAddr};

use super::id::Id;

/// A node of the DHT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Contact {
    /// Its place in the id space.
    pub id: Id,
    /// Where it is reached.
    pub address: SocketAddr,
}

/// IPv4 and IPv6 are two DHTs beside each other (BEP 32).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Both.
    pub const ALL: [Family; 2] = [Family::V4, Family::V6];

    /// The one that an address belongs to. It must be [`canonical`].
    pub fn of(address: SocketAddr) -> Self {
        if address.is_ipv4() { Family::V4 } else { Family::V6 }
    }
}

/// The address itself, where it is an IPv4 address that came through an IPv6 socket. Scope and flow are dropped: they
/// do not travel.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Whether a datagram could go there at all. What others tell of their neighbours may be anything.
pub(super) fn is_reachable(address: SocketAddr) -> bool {
    let multicast_or_none = match address.ip() {
        IpAddr::V4(v4) => v4.is_multicast() || v4.is_broadcast() || v4.octets()[0] == 0,
        IpAddr::V6(v6) => v6.is_multicast() || v6.is_unspecified() || v6.to_ipv4_mapped().is_some(),
    };
    address.port() != 0 && !multicast_or_none
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_lead_nowhere_are_told() {
        for (text, expected) in [
            ("198.51.100.7:1", true),
            ("127.0.0.1:30609", true),
            ("[2001:db8::1]:30609", true),
            ("198.51.100.7:0", false),
            ("0.0.0.0:1", false),
            ("0.1.2.3:1", false),
            ("224.0.0.1:1", false),
            ("255.255.255.255:1", false),
            ("[::]:1", false),
            ("[ff02::1]:1", false),
            ("[::ffff:198.51.100.7]:1", false),
        ] {
            assert_eq!(is_reachable(text.parse().unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn mapped_addresses_are_the_address_itself() {
        let address = canonical("[::ffff:198.51.100.7]:9".parse().unwrap());
        assert_eq!(address.to_string(), "198.51.100.7:9");
        assert_eq!(Family::of(address), Family::V4);
        assert_eq!(Family::of("[::1]:9".parse().unwrap()), Family::V6);
    }
}
