//! Putting items: what is checked, in the order in which the most used peer checks it.

use std::net::{IpAddr, Ipv4Addr};

use crate::dht::id::Id;
use crate::dht::item::{
    Item, MutableItem, SALT_BYTES_MAX, VALUE_BYTES_MAX, mutable_target, verify_signature,
};
use crate::dht::krpc::{ErrorCode, Put, PutMutable, Refusal};
use crate::env::Instant;

use super::Server;

pub(super) const BAD_TOKEN: &str = "the token is not valid here: ask for one with get or get_peers";

impl Server {
    /// Keeps what is put. That its arguments are there and well-formed was checked when it was read.
    pub(super) fn put(&mut self, put: Put<'_>, from: IpAddr, now: Instant) -> Result<(), Refusal> {
        let value = put.value.raw();
        if value.len() > VALUE_BYTES_MAX {
            return Err(Refusal::new(ErrorCode::ValueTooBig, "the value is longer than 1000 bytes"));
        }
        let salt = put.mutable.map_or(&[][..], |mutable| mutable.salt);
        if salt.len() > SALT_BYTES_MAX {
            return Err(Refusal::new(ErrorCode::SaltTooBig, "the salt is longer than 64 bytes"));
        }
        let target = match put.mutable {
            Some(mutable) => mutable_target(mutable.key, salt),
            None => Id::hash(&[value]),
        };
        if !self.tokens.is_valid(put.token, from, &target, now) {
            return Err(Refusal::protocol(BAD_TOKEN));
        }
        let item = match put.mutable {
            Some(mutable) => Item::Mutable(self.accept_mutable(mutable, value, &target)?),
            None => Item::Immutable { value: value.to_vec() },
        };
        self.items.put(item, from, now).map_err(|error| Refusal::new(ErrorCode::Server, error))
    }

    /// Keeps an item of this node's own, as one of the nodes closest to it. Says whether it is kept.
    pub(in crate::dht) fn keep_own(&mut self, item: &Item, cas: Option<i64>, now: Instant) -> bool {
        let may_replace = match (self.items.get(&item.target()), item) {
            (Some(Item::Mutable(stored)), Item::Mutable(item)) => check_version(item, stored, cas).is_ok(),
            _ => true,
        };
        may_replace && self.items.put(item.clone(), IpAddr::V4(Ipv4Addr::UNSPECIFIED), now).is_ok()
    }

    fn accept_mutable(&self, put: PutMutable<'_>, value: &[u8], target: &Id) -> Result<MutableItem, Refusal> {
        if put.seq < 0 {
            return Err(Refusal::protocol("seq is negative"));
        }
        let item = MutableItem {
            key: *put.key,
            salt: put.salt.to_vec(),
            seq: put.seq,
            value: value.to_vec(),
            signature: *put.signature,
        };
        let Some(Item::Mutable(stored)) = self.items.get(target) else {
            verify(&item)?;
            return Ok(item);
        };
        // What is kept already was verified then.
        if *stored != item {
            verify(&item)?;
        }
        check_version(&item, stored, put.cas)?;
        Ok(item)
    }
}

fn check_version(item: &MutableItem, stored: &MutableItem, cas: Option<i64>) -> Result<(), Refusal> {
    let refuse = |code| Err(Refusal::new(code, format_args!("the stored seq is {}", stored.seq)));
    if cas.is_some_and(|cas| cas != stored.seq) {
        return refuse(ErrorCode::CasMismatch);
    }
    if item.seq < stored.seq {
        return refuse(ErrorCode::SeqTooOld);
    }
    if item.seq == stored.seq && item.value != stored.value {
        return Err(Refusal::new(ErrorCode::SeqTooOld, "the stored seq is the same, of another value"));
    }
    Ok(())
}

fn verify(item: &MutableItem) -> Result<(), Refusal> {
    verify_signature(&item.key, &item.salt, item.seq, &item.value, &item.signature)
        .map_err(|error| Refusal::new(ErrorCode::BadSignature, error))
}
