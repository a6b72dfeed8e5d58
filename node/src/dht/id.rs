//! Node ids, targets and the distance between them (BEP 5).

use std::fmt;
use std::str::FromStr;

use rand::Rng as _;
use sha1::{Digest, Sha1};

use crate::env::Rng;

/// A place in the id space: of a node, of an item, of a list of peers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id([u8; Id::BYTES]);

/// How far two ids are apart: their XOR, as a number. Smaller is closer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Distance([u8; Id::BYTES]);

/// What is no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an id is 40 hexadecimal digits")]
pub struct IdError;

impl Id {
    /// Length of an id.
    pub const BYTES: usize = 20;

    /// Length of an id in bits.
    pub const BITS: usize = 8 * Id::BYTES;

    /// The id with these bytes.
    pub const fn from_bytes(bytes: [u8; Id::BYTES]) -> Self {
        Id(bytes)
    }

    /// The id with these bytes, where there are as many as it takes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Id)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; Id::BYTES] {
        &self.0
    }

    /// Any id.
    pub fn random(rng: &mut Rng) -> Self {
        let mut bytes = [0; Id::BYTES];
        rng.fill_bytes(&mut bytes);
        Id(bytes)
    }

    /// SHA-1 over `parts`, one after the other.
    pub fn hash(parts: &[&[u8]]) -> Self {
        let mut hash = Sha1::new();
        for part in parts {
            hash.update(part);
        }
        Id(hash.finalize().into())
    }

    /// How far `other` is away.
    pub fn distance(&self, other: &Id) -> Distance {
        Distance(std::array::from_fn(|at| self.0[at] ^ other.0[at]))
    }

    /// Bits that both have in common from the front on: 160 for the id itself.
    pub fn shared_bits(&self, other: &Id) -> usize {
        self.distance(other).leading_zeros()
    }

    /// An id that shares exactly `bits` bits with this one and is random after them; `bits` is at most 159.
    pub fn sharing(&self, bits: usize, rng: &mut Rng) -> Self {
        let mut id = Id::random(rng);
        let (byte, bit) = (bits / 8, 0x80 >> (bits % 8));
        id.0[..byte].copy_from_slice(&self.0[..byte]);
        // Of the byte in which they part: the bits before from us, the one after turned over, the rest random.
        let before = !(bit | (bit - 1));
        id.0[byte] = (self.0[byte] & before) | (!self.0[byte] & bit) | (id.0[byte] & (bit - 1));
        id
    }
}

impl Distance {
    /// No distance at all.
    pub const ZERO: Distance = Distance([0; Id::BYTES]);

    /// Half of it.
    pub fn half(&self) -> Self {
        Distance(std::array::from_fn(|at| {
            let before = if at == 0 { 0 } else { self.0[at - 1] };
            (before << 7) | (self.0[at] >> 1)
        }))
    }

    /// Zero bits at the front.
    pub fn leading_zeros(&self) -> usize {
        match self.0.iter().position(|byte| *byte != 0) {
            Some(at) => 8 * at + self.0[at].leading_zeros() as usize,
            None => Id::BITS,
        }
    }
}

impl fmt::Display for Id {
    /// 40 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Distance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Id(self.0), f)
    }
}

impl FromStr for Id {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let mut bytes = [0; Id::BYTES];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| IdError)?;
        Ok(Id(bytes))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;
    use crate::env::Rng;

    #[test]
    fn text_and_back() {
        let id: Id = "4a533d47ec9c7d95b1ad75f576cffc641853b750".parse().unwrap();
        assert_eq!(id.to_string(), "4a533d47ec9c7d95b1ad75f576cffc641853b750");
        assert_eq!("4a53".parse::<Id>(), Err(IdError));
        assert_eq!(Id::from_slice(&[0; 19]), None);
    }

    #[test]
    fn the_hash_is_sha_1_over_all_parts() {
        let whole = Id::hash(&[b"abc"]);
        assert_eq!(whole.to_string(), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(Id::hash(&[b"a", b"", b"bc"]), whole);
    }

    #[test]
    fn half_a_distance_is_one_bit_less() {
        let mut bytes = [0; 20];
        (bytes[0], bytes[1], bytes[19]) = (0xab, 0xcc, 0xef);
        let distance = Id(bytes).distance(&Id([0; 20]));
        assert_eq!(format!("{:?}", distance.half()), "55e6000000000000000000000000000000000077");
        assert_eq!(Distance::ZERO.half(), Distance::ZERO);
    }

    proptest! {
        #[test]
        fn distance_is_a_metric(a: [u8; 20], b: [u8; 20], c: [u8; 20]) {
            let (a, b, c) = (Id(a), Id(b), Id(c));
            prop_assert_eq!(a.distance(&b), b.distance(&a));
            prop_assert_eq!(a.distance(&b) == a.distance(&a), a == b);
            // For every id and distance there is one id only: two are never equally far from a third.
            prop_assert_eq!(a.distance(&b) == a.distance(&c), b == c);
        }

        #[test]
        fn a_made_id_shares_as_many_bits_as_asked(bytes: [u8; 20], bits in 0usize..160, seed: u64) {
            let id = Id(bytes);
            prop_assert_eq!(id.sharing(bits, &mut Rng::seed_from_u64(seed)).shared_bits(&id), bits);
        }
    }
}
