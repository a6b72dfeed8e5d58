//! A node of the DHT, without sockets and without a clock.
//!
//! [`handle`](Dht::handle) and [`handle_timeout`](Dht::handle_timeout) take what happens, commands begin lookups, and
//! `poll_*` give out what is to be done. See [`Dht`] for the order.

mod chores;
mod commands;
mod inbound;
mod lookups;
mod output;
mod overlay;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::env::{Instant, Rng};

use super::contact::{Contact, Family};
use super::event::{Counters, Event, OperationId, Transmit};
use super::id::Id;
use super::item::Item;
use super::operation::Operation;
use super::server::{QueryLimits, Server};
use super::transactions::{Overdue, Transactions};

use output::Output;
use overlay::{Overlay, Overlays};

pub use commands::{GetRequest, PutRequest};

/// Lookups that a node's owner may have under way at the same time. Further ones are refused.
pub const OPERATIONS_MAX: usize = 64;

/// Queries that a lookup has under way at the same time, unless configured otherwise: the `α` of Kademlia.
pub const PARALLEL_QUERIES: usize = 3;

/// What a node must know to begin.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its id among nodes of IPv4; none where it does not speak IPv4.
    pub v4: Option<Id>,
    /// Its id among nodes of IPv6; none where it does not speak IPv6.
    pub v6: Option<Id>,
    /// It cannot be asked from outside: it says so in its queries and answers none (BEP 43).
    pub read_only: bool,
    /// It takes an id that fits its address (BEP 42) once most others agree on which that is.
    pub follow_address: bool,
    /// Contacts must have ids that fit their addresses (BEP 42). Not every node of the internet's DHT has.
    pub require_fitting_ids: bool,
    /// Ways in: asked at the start, when alone, and now and then.
    pub bootstrap: Vec<SocketAddr>,
    /// Queries that a lookup has under way at the same time. At least 1.
    pub parallel: usize,
    /// How much is answered.
    pub limits: QueryLimits,
}

impl Config {
    /// A node of IPv4 with this id, that is asked and answers.
    pub fn v4(id: Id) -> Self {
        Config {
            v4: Some(id),
            v6: None,
            read_only: false,
            follow_address: false,
            require_fitting_ids: false,
            bootstrap: Vec::new(),
            parallel: PARALLEL_QUERIES,
            limits: QueryLimits::default(),
        }
    }
}

/// A node of the DHT.
///
/// After each `handle_*` and each command, drain in this order: [`poll_transmit`](Self::poll_transmit) until there is
/// nothing to send, [`poll_event`](Self::poll_event) until nothing has happened (an event may be answered with a
/// command: begin again then), then ask [`next_timeout`](Self::next_timeout) and call
/// [`handle_timeout`](Self::handle_timeout) at that time or later. What is not drained is bounded: of datagrams the
/// oldest are dropped, as a network would, of events too.
///
/// `now` never goes back. All randomness comes from the generator that it was given.
#[derive(Debug)]
pub struct Dht {
    config: Config,
    rng: Rng,
    overlays: Overlays,
    server: Server,
    transactions: Transactions,
    operations: BTreeMap<OperationId, Operation>,
    operations_begun: u64,
    output: Output,
    counters: Counters,
}

impl Dht {
    /// A node that knows nobody yet. It begins to join with the first [`handle_timeout`](Self::handle_timeout).
    pub fn new(config: Config, mut rng: Rng, now: Instant) -> Self {
        let overlay = |id: Option<Id>, family| id.map(|id| Overlay::new(id, family, now));
        let overlays = Overlays::new(overlay(config.v4, Family::V4), overlay(config.v6, Family::V6));
        let centre = config.v4.or(config.v6).unwrap_or_else(|| Id::random(&mut rng));
        Dht {
            server: Server::new(centre, config.limits, &mut rng, now),
            config,
            rng,
            overlays,
            transactions: Transactions::default(),
            operations: BTreeMap::new(),
            operations_begun: 0,
            output: Output::default(),
            counters: Counters::default(),
        }
    }

    /// This node's id in one family, where it speaks that.
    pub fn id(&self, family: Family) -> Option<Id> {
        self.overlays.get(family).map(|overlay| overlay.table.me())
    }

    /// Whom it knows, for a restart: to be given to [`meet`](Self::meet).
    pub fn contacts(&self) -> Vec<Contact> {
        self.overlays.iter().flat_map(|overlay| overlay.table.contacts()).collect()
    }

    /// How many nodes it knows that answer.
    pub fn contact_count(&self) -> usize {
        self.overlays.iter().map(|overlay| overlay.table.len()).sum()
    }

    /// The nodes closest to `target` that it knows by itself, at most eight of each family.
    pub fn closest_known(&self, target: &Id) -> Vec<Contact> {
        self.overlays
            .iter()
            .flat_map(|overlay| overlay.table.closest(target, super::table::BUCKET_SIZE))
            .collect()
    }

    /// The item that it keeps for others under `target`.
    pub fn kept_item(&self, target: &Id) -> Option<&Item> {
        self.server.item(target)
    }

    /// How many items and announcements it keeps for others.
    pub fn kept(&self) -> (usize, usize) {
        self.server.kept()
    }

    /// Commands and lookups of its own that are under way.
    pub fn operations_under_way(&self) -> usize {
        self.operations.len()
    }

    /// Queries that wait for an answer.
    pub fn queries_under_way(&self) -> usize {
        self.transactions.len()
    }

    /// What it has counted.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The next datagram to be sent.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.output.next_transmit()
    }

    /// The next thing that has happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.output.next_event()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called. `None` only where no family is spoken and
    /// nothing is kept.
    pub fn next_timeout(&self) -> Option<Instant> {
        let chores = self.overlays.iter().map(Overlay::next_timeout);
        chores.chain(self.transactions.next_timeout()).chain(self.server.next_expiry()).min()
    }

    /// Does what is due by now.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.server.expire(now);
        while let Some(overdue) = self.transactions.overdue(now) {
            match overdue {
                Overdue::Slow { waiting, datagram } => self.on_slow(&waiting, datagram, now),
                Overdue::Lost(waiting) => self.on_lost(&waiting, now),
            }
        }
        self.do_chores(now);
    }
}
