//! Having an item kept by the nodes closest to it.

use crate::dht::bencode::Value;
use crate::dht::event::StoreReport;
use crate::dht::id::Id;
use crate::dht::item::{Item, MutableItem};
use crate::dht::krpc::{self, Method, PutMutable, Response};
use crate::dht::walk::{Said, Walk};

use super::{StoreAt, Worth, item_of};

/// What is to be kept.
#[derive(Debug)]
pub(in crate::dht) struct Put {
    item: Item,
    cas: Option<i64>,
    /// Only by nodes that do not have it.
    only_lacking: bool,
    /// A newer version that was met on the way.
    newer: Option<MutableItem>,
}

impl Put {
    /// `own` is what this node keeps for others under the same target.
    pub(in crate::dht) fn new(item: Item, cas: Option<i64>, only_lacking: bool, own: Option<&Item>) -> Self {
        let newer = match own {
            Some(Item::Mutable(own)) if Some(own.seq) > item.seq() => Some(own.clone()),
            _ => None,
        };
        Put { item, cas, only_lacking, newer }
    }

    /// What is put, and the version that it is to replace.
    pub(in crate::dht) fn item(&self) -> (&Item, Option<i64>) {
        (&self.item, self.cas)
    }

    /// Nobody needs to send a version that is not newer than ours.
    pub(super) fn newer_than(&self) -> Option<i64> {
        self.newer.as_ref().map(|newer| newer.seq).or(self.item.seq())
    }

    pub(super) fn has_cas(&self) -> bool {
        self.cas.is_some()
    }

    pub(super) fn absorb(&mut self, target: &Id, response: &Response<'_>, token: Option<Vec<u8>>) -> Worth {
        let salt = match &self.item {
            Item::Mutable(item) => &item.salt[..],
            Item::Immutable { .. } => &[],
        };
        let Ok(found) = item_of(response, (target, salt), self.newer.as_ref()) else { return Worth::Lie };
        let has_item = found.is_some() || response.seq.is_some();
        if let Some(Item::Mutable(found)) = found
            && Some(found.seq) > self.newer_than()
        {
            self.newer = Some(found);
        }
        Worth::Said(Said { token, seq: response.seq, has_item })
    }

    /// Who is to keep it. Nobody, where a newer version is there: all would refuse it, or worse, not all.
    pub(super) fn walked(&mut self, walks: &[Walk], report: &mut StoreReport) -> Vec<StoreAt> {
        report.newer = self.newer.take();
        if report.newer.is_some() {
            return Vec::new();
        }
        let mut stores = Vec::new();
        for (contact, said) in walks.iter().flat_map(Walk::result) {
            if self.only_lacking && self.is_had_by(said) {
                report.had.push(contact);
            } else if let Some(token) = said.token.clone() {
                stores.push(StoreAt { contact, token });
            }
        }
        stores
    }

    pub(super) fn store<'a>(&'a self, token: &'a [u8]) -> Option<Method<'a>> {
        put_of(&self.item, token, self.cas)
    }

    fn is_had_by(&self, said: &Said) -> bool {
        match self.item.seq() {
            Some(seq) => said.seq == Some(seq),
            None => said.has_item,
        }
    }
}

/// The query that puts an item.
pub(super) fn put_of<'a>(item: &'a Item, token: &'a [u8], cas: Option<i64>) -> Option<Method<'a>> {
    let value = Value::parse(item.value()).ok()?;
    let mutable = match item {
        Item::Immutable { .. } => None,
        Item::Mutable(MutableItem { key, salt, seq, signature, .. }) => {
            Some(PutMutable { key, salt, seq: *seq, signature, cas })
        }
    };
    Some(Method::Put(krpc::Put { token, value, mutable }))
}
