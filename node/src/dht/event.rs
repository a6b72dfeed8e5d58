//! What a DHT node tells its owner.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::contact::{Contact, Family};
use super::item::{Item, MutableItem};
use super::krpc::Refusal;

/// A command that is under way. Ends in exactly one event of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId(pub(super) u64);

/// A datagram to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// To whom.
    pub to: SocketAddr,
    /// What.
    pub datagram: Vec<u8>,
}

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// This node looked itself up and knows its neighbours: first soon after the start, then again and again. With no
    /// contacts it is alone, and tries again by itself.
    Joined {
        /// In which DHT.
        family: Family,
        /// How many nodes it knows.
        contacts: usize,
    },
    /// The end of a [`find_node`](super::Dht::find_node).
    Found {
        /// Of which.
        operation: OperationId,
        /// The closest nodes, the closest of each family first.
        closest: Vec<Contact>,
        /// What it took.
        cost: Cost,
    },
    /// The end of a [`get`](super::Dht::get).
    Got {
        /// Of which.
        operation: OperationId,
        /// What was found; verified, and of all versions the newest.
        found: Found,
        /// What it took.
        cost: Cost,
    },
    /// The end of a [`put`](super::Dht::put) or an [`announce`](super::Dht::announce).
    Stored {
        /// Of which.
        operation: OperationId,
        /// Who took it.
        report: StoreReport,
        /// What it took.
        cost: Cost,
    },
    /// The end of a [`get_peers`](super::Dht::get_peers).
    Peers {
        /// Of which.
        operation: OperationId,
        /// Who announced itself there, in order of address.
        peers: Vec<SocketAddr>,
        /// What it took.
        cost: Cost,
    },
    /// Most of those asked see this node under this address.
    SeenAs {
        /// Which.
        ip: IpAddr,
    },
}

/// What a lookup took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Queries sent; what was sent again is not counted.
    pub queries: u32,
    /// Answers.
    pub answers: u32,
    /// From the command to its end.
    pub took: Duration,
}

/// What a `get` found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The item. `None` where there is none, or none newer than asked for.
    pub item: Option<Item>,
    /// Of the closest nodes, those that have this version, or say so. Where nothing newer than asked for was found,
    /// those that say that they have the version asked with.
    pub holders: usize,
    /// The closest nodes that answered.
    pub asked: usize,
    /// Nodes that answered with something that is not the item.
    pub liars: usize,
}

/// Who took an item or an announcement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreReport {
    /// They have it now.
    pub taken: Vec<Contact>,
    /// They had it already and were not asked to take it.
    pub had: Vec<Contact>,
    /// They said no.
    pub refused: Vec<(Contact, Refusal)>,
    /// This node is one of the closest itself, and keeps it.
    pub kept_here: bool,
    /// They did not say anything.
    pub silent: Vec<Contact>,
    /// A newer version was found: nobody was asked to take the older one.
    pub newer: Option<MutableItem>,
}

/// Why a command is not taken on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} lookups are under way already; try again when one of them has ended", super::OPERATIONS_MAX)]
pub struct Busy;

/// What a node has counted since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counters {
    /// Datagrams handled.
    pub datagrams_in: u64,
    /// Their bytes.
    pub bytes_in: u64,
    /// Datagrams given out to be sent.
    pub datagrams_out: u64,
    /// Their bytes.
    pub bytes_out: u64,
    /// Datagrams that are no message.
    pub garbage: u64,
    /// Queries received.
    pub queries: u64,
    /// Of them, those answered.
    pub answered: u64,
    /// Of them, and of what was garbage, those refused with an error.
    pub refused: u64,
    /// Of them, those over the limits, dropped.
    pub limited: u64,
    /// Answers and errors that nobody waited for.
    pub unsolicited: u64,
    /// Queries sent.
    pub asked: u64,
    /// Of them, those answered, were it with an error.
    pub answers: u64,
    /// Of them, those sent once more.
    pub repeated: u64,
    /// Of them, those never answered.
    pub lost: u64,
    /// Answers that came from another id than was asked, or with an item that is not the one.
    pub liars: u64,
    /// Datagrams that were dropped because nobody took them to be sent.
    pub overflowed: u64,
}
