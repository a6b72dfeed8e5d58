//! A command under way: it walks towards its target, and then stores there, where it has something to store.

mod get;
mod peers;
mod put;

use crate::env::Instant;

use super::contact::{Contact, Family};
use super::event::{Cost, Event, OperationId, StoreReport};
use super::id::Id;
use super::item::{Item, MutableItem, mutable_target};
use super::krpc::{Method, Refusal, Response, Want};
use super::walk::{Said, Walk};

pub(super) use get::Get;
pub(super) use peers::Peers;
pub(super) use put::Put;

/// A command under way.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) task: Task,
    /// One in each family that is spoken.
    pub(super) walks: Vec<Walk>,
    /// What became of the stores; there once the walks have ended.
    pub(super) storing: Option<Storing>,
    pub(super) cost: Cost,
    pub(super) started: Instant,
}

/// What it is for.
#[derive(Debug)]
pub(super) enum Task {
    /// To know our neighbours.
    Join { family: Family },
    /// To know someone in a part of the id space.
    Fill { family: Family },
    /// To know who is closest to something.
    Find,
    /// To get an item.
    Get(Get),
    /// To have an item kept.
    Put(Put),
    /// To get announcements, or to make one.
    Peers(Peers),
}

/// What became of the stores so far.
#[derive(Debug, Default)]
pub(super) struct Storing {
    pub(super) under_way: usize,
    pub(super) report: StoreReport,
}

/// A node that is to store something, and its leave to write there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StoreAt {
    pub(super) contact: Contact,
    pub(super) token: Vec<u8>,
}

/// What an answer to a step is worth.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Worth {
    /// It says this.
    Said(Said),
    /// It says something that is not so.
    Lie,
}

impl Task {
    /// What each node on the way is asked.
    pub(super) fn question(&self, target: Id, want: Want) -> Method<'static> {
        match self {
            Task::Join { .. } | Task::Fill { .. } | Task::Find => Method::FindNode { target, want },
            Task::Get(get) => Method::Get { target, newer_than: get.newer_than(), want },
            Task::Put(put) => Method::Get { target, newer_than: put.newer_than(), want },
            Task::Peers(_) => Method::GetPeers { info_hash: target, want },
        }
    }

    /// What the chosen nodes are asked to store, with the token of each.
    pub(super) fn store<'a>(&'a self, target: Id, token: &'a [u8]) -> Option<Method<'a>> {
        match self {
            Task::Join { .. } | Task::Fill { .. } | Task::Find => None,
            Task::Get(get) => get.store(token),
            Task::Put(put) => put.store(token),
            Task::Peers(peers) => peers.store(target, token),
        }
    }

    /// Whether a store does no harm when it arrives twice: not where the second would find the first in its place.
    pub(super) fn is_store_repeatable(&self) -> bool {
        !matches!(self, Task::Put(put) if put.has_cas())
    }

    /// Takes the answer to a step.
    pub(super) fn absorb(&mut self, target: &Id, response: &Response<'_>) -> Worth {
        let token = Said::token_of(response.token);
        match self {
            Task::Join { .. } | Task::Fill { .. } | Task::Find => Worth::Said(Said::default()),
            Task::Get(get) => get.absorb(target, response, token),
            Task::Put(put) => put.absorb(target, response, token),
            Task::Peers(peers) => {
                peers.absorb(response);
                Worth::Said(Said { token, ..Said::default() })
            }
        }
    }
}

impl Operation {
    /// Whether its walks have ended, or need not go on.
    pub(super) fn has_walked(&self) -> bool {
        let satisfied = matches!(&self.task, Task::Get(get) if get.is_satisfied());
        satisfied || self.walks.iter().all(Walk::is_done)
    }

    /// The walks have ended: what to tell, and where to store.
    pub(super) fn walked(&mut self, operation: OperationId, now: Instant) -> (Option<Event>, Vec<StoreAt>) {
        let mut storing = Storing::default();
        self.cost.took = now - self.started;
        let cost = self.cost;
        let outcome = match &mut self.task {
            Task::Join { .. } | Task::Fill { .. } => (None, Vec::new()),
            Task::Find => {
                let closest = self.walks.iter().flat_map(Walk::result).map(|(contact, _)| contact).collect();
                (Some(Event::Found { operation, closest, cost }), Vec::new())
            }
            Task::Get(get) => {
                let (found, stores) = get.walked(&self.walks);
                (Some(Event::Got { operation, found, cost }), stores)
            }
            Task::Put(put) => (None, put.walked(&self.walks, &mut storing.report)),
            Task::Peers(peers) => peers.walked(operation, &self.walks, cost),
        };
        self.storing = Some(storing);
        outcome
    }

    /// A node has said what became of a store; `None` where it says nothing.
    pub(super) fn stored(&mut self, contact: Contact, outcome: Option<Result<(), Refusal>>) {
        let Some(storing) = &mut self.storing else { return };
        storing.under_way = storing.under_way.saturating_sub(1);
        match outcome {
            Some(Ok(())) => storing.report.taken.push(contact),
            Some(Err(refusal)) => storing.report.refused.push((contact, refusal)),
            None => storing.report.silent.push(contact),
        }
    }

    /// All stores have ended: what to tell.
    pub(super) fn finished(mut self, operation: OperationId, now: Instant) -> Option<Event> {
        let tells = match &self.task {
            Task::Put(_) => true,
            Task::Peers(peers) => peers.is_announcement(),
            Task::Join { .. } | Task::Fill { .. } | Task::Find | Task::Get(_) => false,
        };
        self.cost.took = now - self.started;
        let report = self.storing.take().filter(|_| tells)?.report;
        Some(Event::Stored { operation, report, cost: self.cost })
    }
}

/// The item in an answer, where there is one and it is the one that was asked for. `known` was verified before.
fn item_of(
    response: &Response<'_>,
    (target, salt): (&Id, &[u8]),
    known: Option<&MutableItem>,
) -> Result<Option<Item>, Lie> {
    let Some(value) = response.value else { return Ok(None) };
    let Some((key, signature)) = response.signed else {
        let item = Item::immutable(value.raw().to_vec()).map_err(|_| Lie)?;
        return if item.target() == *target { Ok(Some(item)) } else { Err(Lie) };
    };
    let seq = response.seq.filter(|seq| *seq >= 0).ok_or(Lie)?;
    if mutable_target(key, salt) != *target {
        return Err(Lie);
    }
    let (value, salt) = (value.raw().to_vec(), salt.to_vec());
    let item = MutableItem { key: *key, salt, seq, value, signature: *signature };
    if known != Some(&item) {
        item.verify().map_err(|_| Lie)?;
    }
    Ok(Some(Item::Mutable(item)))
}

/// An answer that is not so.
#[derive(Debug, PartialEq, Eq)]
struct Lie;
