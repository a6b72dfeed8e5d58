//! Getting an item: the newest version of all answers.

use crate::dht::event::Found;
use crate::dht::id::Id;
use crate::dht::item::{Item, MutableItem};
use crate::dht::krpc::{Method, Response};
use crate::dht::walk::{Said, Walk};

use super::put::put_of;
use super::{StoreAt, Worth, item_of};

/// What is looked for, and what was found so far.
#[derive(Debug)]
pub(in crate::dht) struct Get {
    salt: Vec<u8>,
    newer_than: Option<i64>,
    /// Nodes close by that lack it are given it.
    repair: bool,
    best: Option<Item>,
    liars: usize,
}

impl Get {
    /// `own` is what this node keeps for others: it asks itself too.
    pub(in crate::dht) fn new(
        salt: Vec<u8>,
        newer_than: Option<i64>,
        repair: bool,
        own: Option<&Item>,
    ) -> Self {
        let best = own.filter(|own| own.seq().is_none() || own.seq() > newer_than).cloned();
        Get { salt, newer_than, repair, best, liars: 0 }
    }

    /// Later nodes need not send again what an earlier one has sent.
    pub(super) fn newer_than(&self) -> Option<i64> {
        self.best().map(|best| best.seq).max(self.newer_than)
    }

    /// There is only one value under its own hash.
    pub(super) fn is_satisfied(&self) -> bool {
        matches!(self.best, Some(Item::Immutable { .. }))
    }

    pub(super) fn absorb(&mut self, target: &Id, response: &Response<'_>, token: Option<Vec<u8>>) -> Worth {
        let Ok(item) = item_of(response, (target, &self.salt), self.best()) else {
            self.liars += 1;
            return Worth::Lie;
        };
        let (seq, has_item) = (response.seq, item.is_some() || response.seq.is_some());
        if let Some(item) = item {
            let is_news = match item.seq() {
                Some(_) => item.seq() > self.newer_than(),
                None => self.best.is_none(),
            };
            if is_news {
                self.best = Some(item);
            }
        }
        Worth::Said(Said { token, seq, has_item })
    }

    /// What was found, and who is to be given it.
    pub(super) fn walked(&mut self, walks: &[Walk]) -> (Found, Vec<StoreAt>) {
        let result = || walks.iter().flat_map(Walk::result);
        let seq = self.newer_than();
        let has_it = |said: &Said| match seq {
            Some(_) => said.seq == seq,
            None => said.has_item,
        };
        let found = Found {
            item: self.best.clone(),
            holders: result().filter(|(_, said)| has_it(said)).count(),
            asked: result().count(),
            liars: self.liars,
        };
        let lacks = |said: &&Said| self.repair && self.best().is_some() && said.seq < seq;
        let stores = result()
            .filter(|(_, said)| lacks(said))
            .filter_map(|(contact, said)| Some(StoreAt { contact, token: said.token.clone()? }));
        (found, stores.collect())
    }

    pub(super) fn store<'a>(&'a self, token: &'a [u8]) -> Option<Method<'a>> {
        put_of(self.best.as_ref()?, token, None)
    }

    fn best(&self) -> Option<&MutableItem> {
        match &self.best {
            Some(Item::Mutable(item)) => Some(item),
            _ => None,
        }
    }
}
