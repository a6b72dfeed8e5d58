//! Operations under way: their walks are carried by queries, and what they found is stored.

use std::net::SocketAddr;

use rand::seq::IteratorRandom;

use crate::dht::contact::{Contact, Family};
use crate::dht::event::{Cost, OperationId};
use crate::dht::id::Id;
use crate::dht::krpc::{Body, Message, Method, Query, Refusal, Response, Want};
use crate::dht::operation::{Operation, StoreAt, Task, Worth};
use crate::dht::table::BUCKET_SIZE;
use crate::dht::transactions::{Opening, Purpose, Waiting};
use crate::dht::walk::{Ask, Walk};
use crate::env::Instant;

use super::Dht;

/// Known nodes that a walk begins with: as many again as it needs, since some may be gone.
const START_CONTACTS: usize = 2 * BUCKET_SIZE;

/// Configured ways in that a walk tries where too few nodes are known.
const START_ENTRIES: usize = 4;

impl Dht {
    pub(super) fn begin(&mut self, task: Task, target: Id, now: Instant) -> OperationId {
        self.operations_begun += 1;
        let id = OperationId(self.operations_begun);
        let families = match &task {
            Task::Join { family } | Task::Fill { family } => vec![*family],
            _ => self.overlays.iter().map(|overlay| overlay.family).collect(),
        };
        let walks = families.into_iter().filter_map(|family| self.walk(family, target)).collect();
        let operation = Operation { task, walks, storing: None, cost: Cost::default(), started: now };
        self.drive(id, operation, now);
        id
    }

    fn walk(&mut self, family: Family, target: Id) -> Option<Walk> {
        let overlay = self.overlays.get(family)?;
        let (me, contacts) = (overlay.table.me(), overlay.table.closest(&target, START_CONTACTS));
        let entries = if contacts.len() < BUCKET_SIZE {
            let is_news = |address: &SocketAddr| contacts.iter().all(|contact| contact.address != *address);
            let entries = self.config.bootstrap.iter().copied();
            let entries = entries.filter(|address| Family::of(*address) == family).filter(is_news);
            entries.sample(&mut self.rng, START_ENTRIES)
        } else {
            Vec::new()
        };
        let radius = overlay.table.radius();
        let walk = Walk::new((me, family), target, self.config.parallel.max(1), &contacts, entries);
        Some(walk.covering(radius))
    }

    /// Sends what the operation may send now; ends it where it has ended. It is put back where it has not.
    fn drive(&mut self, id: OperationId, mut operation: Operation, now: Instant) {
        if operation.storing.is_none() {
            for at in 0..operation.walks.len() {
                self.drive_walk(id, &mut operation, at, now);
            }
            if operation.has_walked() {
                self.transactions.abandon(id.0);
                let (event, stores) = operation.walked(id, now);
                event.into_iter().for_each(|event| self.output.tell(event));
                self.keep_own(&mut operation, now);
                stores.iter().for_each(|store| self.store(id, &mut operation, store, now));
            }
        }
        match &operation.storing {
            Some(storing) if storing.under_way == 0 => {
                self.ended(&operation, now);
                let event = operation.finished(id, now);
                event.into_iter().for_each(|event| self.output.tell(event));
            }
            _ => drop(self.operations.insert(id, operation)),
        }
    }

    fn drive_walk(&mut self, id: OperationId, operation: &mut Operation, at: usize, now: Instant) {
        let (family, target) = (operation.walks[at].family, operation.walks[at].target);
        // Whoever speaks both asks for both while it joins, so that one leads to the other.
        let joins = matches!(operation.task, Task::Join { .. });
        let want = if joins && self.overlays.are_two() { Want::BOTH } else { Want::UNSAID };
        while let Some(ask) = operation.walks[at].next() {
            let question = operation.task.question(target, want);
            let purpose = Purpose::Step { operation: id.0, walk: at };
            let (to, contact) = match ask {
                Ask::Contact(contact) => (contact.address, Some(contact)),
                Ask::Entry(address) => (address, None),
            };
            let opening = Opening { to, id: contact.map(|contact| contact.id), purpose, repeatable: true };
            if self.ask(family, opening, question, now) {
                operation.cost.queries += 1;
            } else {
                operation.walks[at].failed(contact);
            }
        }
    }

    /// Of an item that is put we are one of the keepers, where we are closer than one of the others: whoever looks for
    /// it will ask us.
    fn keep_own(&mut self, operation: &mut Operation, now: Instant) {
        let (Task::Put(put), Some(storing)) = (&operation.task, &mut operation.storing) else { return };
        if self.config.read_only || storing.report.newer.is_some() {
            return;
        }
        let is_close = operation.walks.iter().any(Walk::is_close);
        let (item, cas) = put.item();
        storing.report.kept_here = is_close && self.server.keep_own(item, cas, now);
    }

    fn store(&mut self, id: OperationId, operation: &mut Operation, store: &StoreAt, now: Instant) {
        let StoreAt { contact, token } = store;
        let Some(target) = operation.walks.first().map(|walk| walk.target) else { return };
        let Some(method) = operation.task.store(target, token) else { return };
        let opening = Opening {
            to: contact.address,
            id: Some(contact.id),
            purpose: Purpose::Store { operation: id.0 },
            repeatable: operation.task.is_store_repeatable(),
        };
        let sent = self.ask(Family::of(contact.address), opening, method, now);
        operation.cost.queries += u32::from(sent);
        if let Some(storing) = &mut operation.storing {
            storing.under_way += 1;
        }
        if !sent {
            operation.stored(*contact, None);
        }
    }

    /// Sends a query. Not where too many wait already.
    pub(super) fn ask(&mut self, family: Family, opening: Opening, method: Method<'_>, now: Instant) -> bool {
        let Some(me) = self.id(family) else { return false };
        let query = Query { id: me, read_only: self.config.read_only, method };
        let datagram = self.transactions.open(opening, now, &mut self.rng, |transaction| {
            let body = Body::Query(query);
            Message { transaction, version: Some(crate::dht::VERSION), body }.encode()
        });
        let Some(datagram) = datagram else { return false };
        self.counters.asked += 1;
        self.output.send(opening.to, datagram, &mut self.counters);
        true
    }

    /// A node has answered a step.
    pub(super) fn step_answered(
        &mut self,
        (id, at): (u64, usize),
        contact: Contact,
        by_id: bool,
        response: &Response<'_>,
        now: Instant,
    ) {
        let fit = self.is_fit(&contact);
        self.with(OperationId(id), now, |dht, operation| {
            let Some(walk) = operation.walks.get_mut(at) else { return };
            operation.cost.answers += 1;
            match operation.task.absorb(&walk.target, response) {
                Worth::Said(said) if fit => {
                    let nodes = response.nodes_of(walk.family).iter();
                    walk.heard(nodes.filter(|contact| dht.is_fit(contact)));
                    walk.answered(contact, by_id, said);
                }
                worth => {
                    dht.counters.liars += u64::from(worth == Worth::Lie);
                    walk.failed(by_id.then_some(contact));
                }
            }
            // Nodes of the family that this walk is not in: another way into that one.
            let other = if walk.family == Family::V4 { Family::V6 } else { Family::V4 };
            response.nodes_of(other).iter().for_each(|contact| dht.consider(contact, now));
        });
    }

    /// A node does not answer a step, or not what it should.
    pub(super) fn step_failed(&mut self, (id, at): (u64, usize), contact: Option<Contact>, now: Instant) {
        self.with(OperationId(id), now, |_, operation| {
            if let Some(walk) = operation.walks.get_mut(at) {
                walk.failed(contact);
            }
        });
    }

    /// A store has ended.
    pub(super) fn store_ended(
        &mut self,
        id: u64,
        contact: Contact,
        outcome: Option<Result<(), Refusal>>,
        now: Instant,
    ) {
        self.with(OperationId(id), now, |_, operation| {
            operation.cost.answers += u32::from(outcome.is_some());
            operation.stored(contact, outcome);
        });
    }

    /// A query is slow.
    pub(super) fn on_slow(&mut self, waiting: &Waiting, datagram: Option<Vec<u8>>, now: Instant) {
        if let Some(datagram) = datagram {
            self.counters.repeated += 1;
            self.output.send(waiting.to, datagram, &mut self.counters);
        }
        if let Purpose::Step { operation, walk } = waiting.purpose {
            self.with(OperationId(operation), now, |_, operation| {
                if let Some(walk) = operation.walks.get_mut(walk) {
                    walk.slow(waiting.contact());
                }
            });
        }
    }

    /// A query will not be answered.
    pub(super) fn on_lost(&mut self, waiting: &Waiting, now: Instant) {
        self.counters.lost += 1;
        if let Some(contact) = waiting.contact()
            && let Some(overlay) = self.overlays.get_mut(Family::of(contact.address))
        {
            overlay.table.failed(&contact, now);
        }
        self.give_up(waiting, now);
    }

    /// Changes an operation, and then lets it go on.
    fn with(&mut self, id: OperationId, now: Instant, change: impl FnOnce(&mut Dht, &mut Operation)) {
        // One that was cancelled waits for nothing.
        if let Some(mut operation) = self.operations.remove(&id) {
            change(self, &mut operation);
            self.drive(id, operation, now);
        }
    }
}
