//! Calls under way through this node: who asked, whom it went to, and until when.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use super::health::Charge;
use super::{CallId, LinkId, Ticket};
use crate::env::Instant;
use crate::wire::{NodeAddress, NodeId, SmolStr};

/// Who waits for the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    /// A caller at this node.
    Here(CallId),
    /// The node at the other end of this link.
    Link(LinkId),
}

/// Who is to give the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Answerer {
    /// The node at the other end of this link, or one behind it.
    Link(LinkId),
    /// A service of this node.
    Service(Ticket),
}

/// A call under way.
#[derive(Debug)]
pub(super) struct PendingCall {
    pub(super) asker: Asker,
    pub(super) answerer: Answerer,
    pub(super) source: NodeAddress,
    pub(super) message_id: SmolStr,
    /// The nodes that it has passed, this one last.
    pub(super) path: Vec<NodeId>,
    pub(super) timeout: Duration,
    /// When it left here, or was delivered.
    pub(super) since: Instant,
    /// The caller wants to know how long each hop took.
    pub(super) traced: bool,
    pub(super) priority: Option<i64>,
    /// What it weighs, and on whom; `None` where it stays here.
    pub(super) charge: Option<Charge>,
}

/// What an answer is found by. A ticket is this node's own number and says it all.
#[derive(PartialEq, Eq, Hash)]
enum Key {
    Link(LinkId, NodeId, SmolStr),
    Service(Ticket),
}

impl PendingCall {
    fn deadline(&self) -> Instant {
        self.since + self.timeout
    }

    fn key(&self) -> Key {
        match self.answerer {
            Answerer::Link(link) => Key::Link(link, self.source.id.clone(), self.message_id.clone()),
            Answerer::Service(ticket) => Key::Service(ticket),
        }
    }
}

/// What a cancellation is found by.
#[derive(PartialEq, Eq, Hash)]
enum AskerKey {
    Here(CallId),
    Link(LinkId, NodeId, SmolStr),
}

impl PendingCall {
    fn asker_key(&self) -> AskerKey {
        match self.asker {
            Asker::Here(call) => AskerKey::Here(call),
            Asker::Link(link) => AskerKey::Link(link, self.source.id.clone(), self.message_id.clone()),
        }
    }
}

/// How many calls a link has to do with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    /// They came over it.
    asked: usize,
    /// They went over it.
    waiting: usize,
}

/// The table of calls under way, found by answer, by deadline, and by link.
#[derive(Default)]
pub(super) struct Pending {
    calls: BTreeMap<u64, PendingCall>,
    by_key: HashMap<Key, u64>,
    by_asker: HashMap<AskerKey, u64>,
    deadlines: BTreeSet<(Instant, u64)>,
    by_link: BTreeMap<LinkId, Counts>,
    /// Calls of clients of this node.
    own: usize,
    next: u64,
}

impl Pending {
    pub(super) fn len(&self) -> usize {
        self.calls.len()
    }

    /// Calls of clients of this node.
    pub(super) fn own(&self) -> usize {
        self.own
    }

    /// Calls that came over this link.
    pub(super) fn asked_over(&self, link: LinkId) -> usize {
        self.by_link.get(&link).map_or(0, |counts| counts.asked)
    }

    /// Calls that went over this link.
    pub(super) fn waiting_on(&self, link: LinkId) -> usize {
        self.by_link.get(&link).map_or(0, |counts| counts.waiting)
    }

    /// Adds a call; gives it back where its asker has one with the same id under way.
    pub(super) fn insert(&mut self, call: PendingCall) -> Result<(), Box<PendingCall>> {
        if self.by_asker.contains_key(&call.asker_key()) {
            return Err(Box::new(call));
        }
        match self.by_key.entry(call.key()) {
            std::collections::hash_map::Entry::Occupied(_) => Err(Box::new(call)),
            std::collections::hash_map::Entry::Vacant(free) => {
                let number = self.next;
                self.next += 1;
                free.insert(number);
                self.by_asker.insert(call.asker_key(), number);
                self.deadlines.insert((call.deadline(), number));
                self.count(&call, |counted| counted + 1);
                self.calls.insert(number, call);
                Ok(())
            }
        }
    }

    /// Takes out the call that went over `link` and that this answer to `source`'s message belongs to.
    pub(super) fn answered_over(
        &mut self,
        link: LinkId,
        source: &NodeId,
        message_id: SmolStr,
    ) -> Option<PendingCall> {
        let number = self.by_key.get(&Key::Link(link, source.clone(), message_id)).copied()?;
        self.take(number)
    }

    /// Takes out the call that was delivered here under `ticket`.
    pub(super) fn answered_here(&mut self, ticket: Ticket) -> Option<PendingCall> {
        let number = self.by_key.get(&Key::Service(ticket)).copied()?;
        self.take(number)
    }

    /// Takes out a call of a client of this node.
    pub(super) fn cancelled_here(&mut self, call: CallId) -> Option<PendingCall> {
        let number = self.by_asker.get(&AskerKey::Here(call)).copied()?;
        self.take(number)
    }

    /// Takes out the call that came over `link` as `source`'s message.
    pub(super) fn cancelled_over(
        &mut self,
        link: LinkId,
        source: &NodeId,
        message_id: SmolStr,
    ) -> Option<PendingCall> {
        let number = self.by_asker.get(&AskerKey::Link(link, source.clone(), message_id)).copied()?;
        self.take(number)
    }

    /// Whether any call came over this link or waits for it.
    pub(super) fn uses(&self, link: LinkId) -> bool {
        let uses =
            |call: &PendingCall| call.asker == Asker::Link(link) || call.answerer == Answerer::Link(link);
        self.calls.values().any(uses)
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Takes out one call whose deadline has come.
    pub(super) fn expired(&mut self, now: Instant) -> Option<PendingCall> {
        let (at, number) = *self.deadlines.first()?;
        if at > now { None } else { self.take(number) }
    }

    /// Takes out all calls that wait for this link. Looks at every call, which is fine: links break seldom.
    pub(super) fn waiting_for(&mut self, link: LinkId) -> Vec<PendingCall> {
        self.take_where(|call| call.answerer == Answerer::Link(link))
    }

    /// Takes out all calls whose caller is behind this link.
    pub(super) fn asked_by(&mut self, link: LinkId) -> Vec<PendingCall> {
        self.take_where(|call| call.asker == Asker::Link(link))
    }

    /// Takes out all calls.
    pub(super) fn all(&mut self) -> Vec<PendingCall> {
        self.take_where(|_| true)
    }

    fn take_where(&mut self, wanted: impl Fn(&PendingCall) -> bool) -> Vec<PendingCall> {
        let numbers: Vec<u64> =
            self.calls.iter().filter(|(_, call)| wanted(call)).map(|(number, _)| *number).collect();
        numbers.into_iter().filter_map(|number| self.take(number)).collect()
    }

    fn take(&mut self, number: u64) -> Option<PendingCall> {
        let call = self.calls.remove(&number)?;
        self.deadlines.remove(&(call.deadline(), number));
        self.by_key.remove(&call.key());
        self.by_asker.remove(&call.asker_key());
        self.count(&call, |counted| counted - 1);
        Some(call)
    }

    fn count(&mut self, call: &PendingCall, change: impl Fn(usize) -> usize) {
        let mut counted = |link: LinkId, field: fn(&mut Counts) -> &mut usize| {
            let counts = self.by_link.entry(link).or_default();
            let value = field(counts);
            *value = change(*value);
            if *counts == Counts::default() {
                self.by_link.remove(&link);
            }
        };
        match call.asker {
            Asker::Link(link) => counted(link, |counts| &mut counts.asked),
            Asker::Here(_) => self.own = change(self.own),
        }
        match call.answerer {
            Answerer::Link(link) => counted(link, |counts| &mut counts.waiting),
            Answerer::Service(_) => {}
        }
    }
}
