//! A Kademlia DHT that keeps signed values, wire-compatible with BitTorrent's (BEPs 5, 32, 42, 43, 44): pure.

pub mod bencode;
mod bep42;
mod contact;
mod id;
mod item;
pub mod krpc;

pub use bep42::{fits, id_for};
pub use contact::{Contact, Family};
pub use id::{Distance, Id, IdError};
pub use item::{
    Item, ItemError, KEY_BYTES, MutableItem, OWN_VALUE_BYTES_MAX, SALT_BYTES_MAX, SIGNATURE_BYTES,
    VALUE_BYTES_MAX, mutable_target, signed_buffer,
};
