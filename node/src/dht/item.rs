//! Items (BEP 44): values under their own hash, and signed values under a key.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

use super::bencode::Value;
use super::id::Id;

/// A value, bencoded, is at most this long.
pub const VALUE_BYTES_MAX: usize = 1_000;

/// Our own values, before they are bencoded, are at most this long: some peers measure one length, some the other.
pub const OWN_VALUE_BYTES_MAX: usize = 996;

/// A salt is at most this long.
pub const SALT_BYTES_MAX: usize = 64;

/// Length of a public key.
pub const KEY_BYTES: usize = 32;

/// Length of a signature.
pub const SIGNATURE_BYTES: usize = 64;

/// Something that the DHT keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A value that is found by its hash, and never another.
    Immutable {
        /// The value, bencoded.
        value: Vec<u8>,
    },
    /// A value that the holder of a key may replace.
    Mutable(MutableItem),
}

/// A signed value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MutableItem {
    /// Whose it is.
    pub key: [u8; KEY_BYTES],
    /// Which of its owner's, where there are several. At most [`SALT_BYTES_MAX`].
    pub salt: Vec<u8>,
    /// Which version. Never negative.
    pub seq: i64,
    /// The value, bencoded. At most [`VALUE_BYTES_MAX`].
    pub value: Vec<u8>,
    /// Of salt, seq and value.
    pub signature: [u8; SIGNATURE_BYTES],
}

/// Why something cannot be an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ItemError {
    /// The value is too long.
    #[error("the value takes {bytes} bytes, at most {VALUE_BYTES_MAX} are possible")]
    ValueTooLong {
        /// Its length, bencoded.
        bytes: usize,
    },
    /// The salt is too long.
    #[error("the salt takes {bytes} bytes, at most {SALT_BYTES_MAX} are possible")]
    SaltTooLong {
        /// Its length.
        bytes: usize,
    },
    /// The sequence number is below zero.
    #[error("a sequence number is never negative")]
    NegativeSeq,
    /// A later version is published already.
    #[error("version {seq} is not newer than version {published}, which is published")]
    NotNewer {
        /// The version that was to be.
        seq: i64,
        /// The one that there is.
        published: i64,
    },
    /// The value is not bencoded in the one canonical way.
    #[error("the value is not canonically bencoded")]
    NotCanonical,
    /// Signature, salt, seq and value do not belong together, or the key is none.
    #[error("the signature is not of this key, salt, seq and value")]
    BadSignature,
}

impl Item {
    /// An immutable item.
    ///
    /// # Errors
    /// When the value is too long or not canonical.
    pub fn immutable(value: Vec<u8>) -> Result<Self, ItemError> {
        check_value(&value)?;
        Ok(Item::Immutable { value })
    }

    /// Where it is kept.
    pub fn target(&self) -> Id {
        match self {
            Item::Immutable { value } => Id::hash(&[value]),
            Item::Mutable(item) => item.target(),
        }
    }

    /// The value, bencoded.
    pub fn value(&self) -> &[u8] {
        match self {
            Item::Immutable { value } => value,
            Item::Mutable(item) => &item.value,
        }
    }

    /// Its version; none where it cannot change.
    pub fn seq(&self) -> Option<i64> {
        match self {
            Item::Immutable { .. } => None,
            Item::Mutable(item) => Some(item.seq),
        }
    }
}

impl MutableItem {
    /// Signs a value.
    ///
    /// # Errors
    /// When one of its parts is over its limit or the value is not canonical.
    pub fn sign(key: &SigningKey, salt: &[u8], seq: i64, value: Vec<u8>) -> Result<Self, ItemError> {
        check_value(&value)?;
        check_parts(salt, seq)?;
        Ok(MutableItem {
            key: key.verifying_key().to_bytes(),
            salt: salt.to_vec(),
            seq,
            signature: key.sign(&signed_buffer(salt, seq, &value)).to_bytes(),
            value,
        })
    }

    /// Where it is kept.
    pub fn target(&self) -> Id {
        mutable_target(&self.key, &self.salt)
    }

    /// Whether it is within the limits and its owner signed it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn verify(&self) -> Result<(), ItemError> {
        check_value(&self.value)?;
        check_parts(&self.salt, self.seq)?;
        verify_signature(&self.key, &self.salt, self.seq, &self.value, &self.signature)
    }
}

/// Where the items of a key are kept.
pub fn mutable_target(key: &[u8; KEY_BYTES], salt: &[u8]) -> Id {
    Id::hash(&[key, salt])
}

/// What is signed.
pub fn signed_buffer(salt: &[u8], seq: i64, value: &[u8]) -> Vec<u8> {
    let mut buffer = Vec::with_capacity(salt.len() + value.len() + 48);
    if !salt.is_empty() {
        buffer.extend_from_slice(format!("4:salt{}:", salt.len()).as_bytes());
        buffer.extend_from_slice(salt);
    }
    buffer.extend_from_slice(format!("3:seqi{seq}e1:v").as_bytes());
    buffer.extend_from_slice(value);
    buffer
}

/// Whether this key signed these.
///
/// # Errors
/// [`ItemError::BadSignature`].
pub(super) fn verify_signature(
    key: &[u8; KEY_BYTES],
    salt: &[u8],
    seq: i64,
    value: &[u8],
    signature: &[u8; SIGNATURE_BYTES],
) -> Result<(), ItemError> {
    let key = VerifyingKey::from_bytes(key).map_err(|_| ItemError::BadSignature)?;
    let signature = Signature::from_bytes(signature);
    key.verify_strict(&signed_buffer(salt, seq, value), &signature).map_err(|_| ItemError::BadSignature)
}

fn check_value(value: &[u8]) -> Result<(), ItemError> {
    if value.len() > VALUE_BYTES_MAX {
        return Err(ItemError::ValueTooLong { bytes: value.len() });
    }
    Value::parse_canonical(value).map_err(|_| ItemError::NotCanonical)?;
    Ok(())
}

fn check_parts(salt: &[u8], seq: i64) -> Result<(), ItemError> {
    if salt.len() > SALT_BYTES_MAX {
        return Err(ItemError::SaltTooLong { bytes: salt.len() });
    }
    if seq < 0 { Err(ItemError::NegativeSeq) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::hazmat::{ExpandedSecretKey, raw_sign};
    use sha2::Sha512;

    use super::*;

    const HELLO: &[u8] = b"12:Hello World!";
    const PUBLIC: &str = "77ff84905a91936367c01360803104f92432fcd904a43511876df5cdf3e7e548";
    /// Scalar and prefix, not a seed.
    const EXPANDED: &str = "e06d3183d14159228433ed599221b80bd0a5ce8352e4bdf0262f76786ef1c74d\
                            b7e7a9fea2c0eb269d61e3b38e450a22e754941ac78479d6c54e1faf6037881d";

    fn bytes<const N: usize>(text: &str) -> [u8; N] {
        hex::decode(text).unwrap().try_into().unwrap()
    }

    #[test]
    fn the_vectors_of_the_bep() {
        for (salt, buffer, target, signature) in [
            (
                &b""[..],
                &b"3:seqi1e1:v12:Hello World!"[..],
                "4a533d47ec9c7d95b1ad75f576cffc641853b750",
                "305ac8aeb6c9c151fa120f120ea2cfb923564e11552d06a5d856091e5e853cff\
                 1260d3f39e4999684aa92eb73ffd136e6f4f3ecbfda0ce53a1608ecd7ae21f01",
            ),
            (
                b"foobar",
                b"4:salt6:foobar3:seqi1e1:v12:Hello World!",
                "411eba73b6f087ca51a3795d9c8c938d365e32c1",
                "6834284b6b24c3204eb2fea824d82f88883a3d95e8b4a21b8c0ded553d17d17d\
                 df9a8a7104b1258f30bed3787e6cb896fca78c58f8e03b5f18f14951a87d9a08",
            ),
        ] {
            assert_eq!(signed_buffer(salt, 1, HELLO), buffer);
            let secret = ExpandedSecretKey::from_bytes(&bytes(EXPANDED));
            let key = VerifyingKey::from(&secret);
            assert_eq!(key.to_bytes(), bytes(PUBLIC));
            assert_eq!(raw_sign::<Sha512>(&secret, buffer, &key).to_bytes(), bytes(signature));
            let item = MutableItem {
                key: bytes(PUBLIC),
                salt: salt.to_vec(),
                seq: 1,
                value: HELLO.to_vec(),
                signature: bytes(signature),
            };
            assert_eq!(item.verify(), Ok(()));
            assert_eq!(item.target().to_string(), target);
        }
        let immutable = Item::immutable(HELLO.to_vec()).unwrap();
        assert_eq!(immutable.target().to_string(), "e5f96f6f38320f0f33959cb4d3d656452117aadb");
    }

    #[test]
    fn a_signature_covers_every_part() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let item = MutableItem::sign(&key, b"salt", 4, HELLO.to_vec()).unwrap();
        assert_eq!(item.verify(), Ok(()));
        let other_key = SigningKey::from_bytes(&[8; 32]).verifying_key().to_bytes();
        let changes: [fn(&mut MutableItem); 4] = [
            |item| item.seq += 1,
            |item| item.salt.push(b'x'),
            |item| item.value = b"12:Hello world!".to_vec(),
            |item| item.signature[9] ^= 1,
        ];
        for change in changes {
            let mut changed = item.clone();
            change(&mut changed);
            assert_eq!(changed.verify(), Err(ItemError::BadSignature));
        }
        assert_eq!(MutableItem { key: other_key, ..item }.verify(), Err(ItemError::BadSignature));
    }

    #[test]
    fn what_is_over_a_limit_is_not_signed() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let sign = |salt: &[u8], seq, value: &[u8]| MutableItem::sign(&key, salt, seq, value.to_vec()).err();
        let value = |length: usize| [format!("{length}:").as_bytes(), &vec![b'x'; length]].concat();
        assert_eq!(value(OWN_VALUE_BYTES_MAX).len(), VALUE_BYTES_MAX);
        assert_eq!(sign(&[0; SALT_BYTES_MAX], i64::MAX, &value(OWN_VALUE_BYTES_MAX)), None);
        assert_eq!(sign(b"", 0, &value(997)), Some(ItemError::ValueTooLong { bytes: 1_001 }));
        assert_eq!(sign(&[0; 65], 0, HELLO), Some(ItemError::SaltTooLong { bytes: 65 }));
        assert_eq!(sign(b"", -1, HELLO), Some(ItemError::NegativeSeq));
        assert_eq!(sign(b"", 0, b"d1:b0:1:a0:e"), Some(ItemError::NotCanonical));
    }
}
