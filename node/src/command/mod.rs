//! `relay dht …`: the DHT from the command line, without running a relay.
//!
//! A command is a node of the DHT for as long as it takes: it asks, is not asked (BEP 43), and keeps nothing. [`parse`]
//! reads its arguments, [`DhtCommand::run`] does what they ask for, `show` puts what came of it into words or JSON.

mod args;
mod ask;
mod show;

use crate::config::BootstrapAddress;
use crate::dht::Id;

pub use args::parse;

/// It is done.
pub const EXIT_DONE: u8 = 0;

/// Nothing was found, or nobody took it.
pub const EXIT_NOTHING: u8 = 1;

/// Wrong usage, as in sysexits.h.
pub const EXIT_USAGE: u8 = 64;

/// What is asked of the DHT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DhtCommand {
    /// What is to be done.
    pub task: Task,
    /// Nodes to begin with; never empty.
    pub bootstrap: Vec<BootstrapAddress>,
    /// The answer is for programs.
    pub json: bool,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// Find an item.
    Get {
        /// Where it is kept.
        target: Id,
        /// The salt of a mutable item; empty where it has none.
        salt: Vec<u8>,
    },
    /// Have an item kept.
    Put(Put),
    /// Find the nodes closest to an id.
    Find {
        /// Which.
        target: Id,
    },
    /// Find who announced itself.
    Peers {
        /// Under what.
        info_hash: Id,
    },
}

/// An item that is to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// Its value, not bencoded yet: a byte string.
    pub value: Vec<u8>,
    /// Signs it; without one it is immutable.
    pub signed: Option<Signed>,
}

/// What a mutable item has beside its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The file with its Ed25519 private key: 64 hexadecimal digits.
    pub key_file: String,
    /// Which of its owner's items.
    pub salt: Vec<u8>,
    /// Its version; one more than what is found where it is not given.
    pub seq: Option<i64>,
    /// The version that it is to replace.
    pub cas: Option<i64>,
}

/// What a command has to say in the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// For standard output.
    pub out: String,
    /// For standard error.
    pub err: String,
    /// The exit code.
    pub exit: u8,
}
