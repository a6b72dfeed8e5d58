//! Nodes and addresses in few bytes (BEP 5, BEP 32).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::dht::bencode::Writer;
use crate::dht::contact::{Contact, Family};
use crate::dht::id::Id;

const V4_BYTES: usize = 4 + 2;
const V6_BYTES: usize = 16 + 2;

impl Family {
    /// Bytes of an address with its port.
    const fn address_bytes(self) -> usize {
        match self {
            Family::V4 => V4_BYTES,
            Family::V6 => V6_BYTES,
        }
    }

    /// Bytes of a node: its id and address.
    pub(in crate::dht) const fn node_bytes(self) -> usize {
        Id::BYTES + self.address_bytes()
    }
}

/// An address, from 6 bytes or 18.
pub fn read_address(bytes: &[u8]) -> Option<SocketAddr> {
    let (ip, port) = bytes.split_last_chunk::<2>()?;
    let ip: IpAddr = match *ip {
        [a, b, c, d] => Ipv4Addr::new(a, b, c, d).into(),
        _ => Ipv6Addr::from(<[u8; 16]>::try_from(ip).ok()?).into(),
    };
    Some(SocketAddr::new(ip, u16::from_be_bytes(*port)))
}

/// An address as a byte string.
pub fn write_address(out: &mut Writer, address: SocketAddr) {
    let mut bytes = Vec::with_capacity(V6_BYTES);
    push_address(&mut bytes, address);
    out.bytes(&bytes);
}

fn push_address(bytes: &mut Vec<u8>, address: SocketAddr) {
    match address.ip() {
        IpAddr::V4(v4) => bytes.extend_from_slice(&v4.octets()),
        IpAddr::V6(v6) => bytes.extend_from_slice(&v6.octets()),
    }
    bytes.extend_from_slice(&address.port().to_be_bytes());
}

/// Nodes of one family, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompactNodes<'a> {
    bytes: &'a [u8],
    family: Family,
}

impl<'a> CompactNodes<'a> {
    /// None at all.
    pub const fn none(family: Family) -> Self {
        CompactNodes { bytes: &[], family }
    }

    /// Nodes written by [`pack`](Self::pack), or by others. Of a length that fits no number of nodes, none.
    pub fn read(bytes: &'a [u8], family: Family) -> Self {
        let whole = bytes.len().is_multiple_of(family.node_bytes());
        CompactNodes { bytes: if whole { bytes } else { &[] }, family }
    }

    /// The bytes for these nodes; those of the other family are left out.
    pub fn pack<'c>(contacts: impl IntoIterator<Item = &'c Contact>, family: Family) -> Vec<u8> {
        let mut bytes = Vec::new();
        for contact in contacts.into_iter().filter(|contact| Family::of(contact.address) == family) {
            bytes.extend_from_slice(contact.id.as_bytes());
            push_address(&mut bytes, contact.address);
        }
        bytes
    }

    /// Its bytes.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The nodes. An address of IPv4 that is written as one of IPv6 stays what it is written as.
    pub fn iter(&self) -> impl Iterator<Item = Contact> + use<'a> {
        self.bytes.chunks_exact(self.family.node_bytes()).filter_map(|node| {
            let (id, address) = node.split_at(Id::BYTES);
            Some(Contact { id: Id::from_slice(id)?, address: read_address(address)? })
        })
    }
}

/// The bencoded list of these addresses.
pub fn pack_addresses(addresses: &[SocketAddr]) -> Vec<u8> {
    let mut out = Writer::new();
    out.list(|out| addresses.iter().for_each(|address| write_address(out, *address)));
    out.finish()
}
