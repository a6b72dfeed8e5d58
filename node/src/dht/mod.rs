//! A Kademlia DHT that keeps signed values, wire-compatible with BitTorrent's (BEPs 5, 32, 42, 43, 44): pure.
//!
//! Nothing here but [`driver`] is async, does I/O, reads a clock or draws from a generator of its own. Datagrams, time and
//! commands go in; datagrams to be sent and [`Event`]s come out. [`Dht`] says in which order. [`driver`] is the thin shell
//! around it: sockets, a timer, and commands that can be awaited.
//!
//! From the wire inwards: [`krpc`] reads and writes messages in [`bencode`], `transactions` knows which query an answer
//! is for, `table` whom we know, `server` what we keep for others. A command is an `operation`: it walks towards its
//! target (`walk`) and stores there. `upkeep` says when a node looks after itself. `kademlia` joins all of it.

pub mod bencode;
mod bep42;
mod contact;
pub mod driver;
mod event;
mod id;
mod item;
mod kademlia;
pub mod krpc;
mod operation;
mod publication;
mod server;
mod table;
mod transactions;
mod upkeep;
mod votes;
mod walk;

pub use bep42::{fits, id_for, is_local};
pub use contact::{Contact, Family};
pub(crate) use driver::look_up;
pub use driver::{BindError, Driver, Ended, News, Sockets};
pub use event::{Busy, Cost, Counters, Event, Found, OperationId, StoreReport, Transmit};
pub use id::{Distance, Id, IdError};
pub use item::{
    Item, ItemError, KEY_BYTES, MutableItem, OWN_VALUE_BYTES_MAX, SALT_BYTES_MAX, SIGNATURE_BYTES,
    VALUE_BYTES_MAX, mutable_target, signed_buffer,
};
pub use kademlia::{Config, Dht, GetRequest, OPERATIONS_MAX, PARALLEL_QUERIES, PutRequest};
pub use krpc::ErrorCode;
pub use publication::{Publication, PublicationTiming, Published, PutEnd, REBASES_MAX};
pub use server::{
    ANNOUNCEMENT_LIFETIME, ANSWER_BYTES_MAX, ITEM_LIFETIME, ITEMS_MAX, ITEMS_PER_ADDRESS_MAX,
    LIMITED_ADDRESSES_MAX, PEERS_MAX, PEERS_PER_ANSWER_MAX, PEERS_PER_TARGET_MAX, QueryLimits, QueryRate,
    TOKEN_BYTES, TOKEN_ROTATION,
};
pub use table::{
    BUCKET_SIZE, CONTACTS_PER_ADDRESS_MAX, FAILURES_UNTIL_BAD, FAILURES_UNTIL_FORGOTTEN, QUESTIONABLE_AFTER,
    REPLACEMENTS_MAX, SECOND_CHANCE_AFTER,
};
pub use transactions::{LOST_AFTER, SLOW_AFTER, TRANSACTIONS_MAX};
pub use upkeep::{BOOTSTRAP_INTERVAL, CHECK_SPACING, REJOIN_INTERVAL, REJOIN_SOON};
pub use walk::{CANDIDATES_MAX, NODES_PER_ANSWER_MAX, QUERIES_PER_WALK_MAX, WIDTH_MAX};

/// Says in every message which program speaks.
const VERSION: &[u8] = b"RL\x00\x01";
