//! Ids that fit the address of their node (BEP 42), so that nobody chooses where in the id space it is.

use std::net::IpAddr;

use rand::{Rng as _, RngExt};

use super::id::Id;
use crate::env::Rng;

const V4_MASK: [u8; 4] = [0x03, 0x0f, 0x3f, 0xff];
const V6_MASK: [u8; 8] = [0x01, 0x03, 0x07, 0x0f, 0x1f, 0x3f, 0x7f, 0xff];

/// Castagnoli's polynomial, bits reversed.
const CRC32C: u32 = 0x82f6_3b78;

/// An id for a node with this address: eight first parts are possible, the rest is random.
pub fn id_for(address: IpAddr, rng: &mut Rng) -> Id {
    let mut bytes = [0; Id::BYTES];
    rng.fill_bytes(&mut bytes);
    let prefix = prefix(address, bytes[19]);
    bytes[0] = prefix[0];
    bytes[1] = prefix[1];
    bytes[2] = prefix[2] | rng.random_range(0..8);
    Id::from_bytes(bytes)
}

/// Whether a node with this address may have this id. In networks that are not the internet's everyone may.
pub fn fits(id: &Id, address: IpAddr) -> bool {
    let bytes = id.as_bytes();
    is_local(address) || prefix(address, bytes[19]) == [bytes[0], bytes[1], bytes[2] & 0xf8]
}

/// Whether an address says nothing about who holds it: loopback, link-local and private networks.
pub fn is_local(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local() || v4.is_unspecified(),
        IpAddr::V6(v6) => {
            v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_unspecified()
        }
    }
}

/// The first 21 bits that the address and `draw` (the id's last byte) ask for.
fn prefix(address: IpAddr, draw: u8) -> [u8; 3] {
    let crc = match address.to_canonical() {
        IpAddr::V4(v4) => masked_crc(v4.octets(), V4_MASK, draw),
        IpAddr::V6(v6) => {
            let octets = v6.octets();
            masked_crc(std::array::from_fn(|at| octets[at]), V6_MASK, draw)
        }
    };
    let [first, second, third, _] = crc.to_be_bytes();
    [first, second, third & 0xf8]
}

fn masked_crc<const N: usize>(octets: [u8; N], mask: [u8; N], draw: u8) -> u32 {
    let mut masked: [u8; N] = std::array::from_fn(|at| octets[at] & mask[at]);
    masked[0] |= (draw & 0x07) << 5;
    crc32c(&masked)
}

/// Bit by bit: at most eight bytes, once per contact, are not worth a table.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = !0;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (CRC32C & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    #[test]
    fn the_vectors_of_the_bep() {
        for (address, draw, id) in [
            ("124.31.75.21", 1, "5fbfbff10c5d6a4ec8a88e4c6ab4c28b95eee401"),
            ("21.75.31.124", 86, "5a3ce9c14e7a08645677bbd1cfe7d8f956d53256"),
            ("65.23.51.170", 22, "a5d43220bc8f112a3d426c84764f8c2a1150e616"),
            ("84.124.73.14", 65, "1b0321dd1bb1fe518101ceef99462b947a01ff41"),
            ("43.213.53.83", 90, "e56f6cbf5b7c4be0237986d5243b87aa6d51305a"),
        ] {
            let (address, id): (IpAddr, Id) = (address.parse().unwrap(), id.parse().unwrap());
            assert_eq!(id.as_bytes()[19], draw);
            assert!(fits(&id, address), "{id} for {address}");
        }
    }

    #[test]
    fn the_check_value_of_the_checksum() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn an_id_fits_its_own_address_and_hardly_another() {
        let mut rng = Rng::seed_from_u64(1);
        for text in ["198.51.100.7", "2001:db8::1", "::ffff:198.51.100.7"] {
            let address: IpAddr = text.parse().unwrap();
            let ids: Vec<Id> = (0..100).map(|_| id_for(address, &mut rng)).collect();
            assert!(ids.iter().all(|id| fits(id, address)), "{text}");
            assert!(!ids.iter().any(|id| fits(id, "203.0.113.9".parse().unwrap())), "{text}");
        }
    }

    #[test]
    fn no_id_is_wrong_in_a_private_network() {
        let id = Id::from_bytes([7; 20]);
        for text in ["127.0.0.1", "10.1.2.3", "192.168.1.1", "::1", "fd00::1", "fe80::1"] {
            assert!(fits(&id, text.parse().unwrap()), "{text}");
        }
        assert!(!fits(&id, "198.51.100.7".parse().unwrap()));
    }
}
