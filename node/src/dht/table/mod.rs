//! The routing table: whom a node knows, in buckets by how many bits their ids share with its own (BEP 5).
//!
//! A bucket for each number of shared bits is the same as splitting the one that holds our own id whenever it is full.
//! Only nodes that have answered get in, so nobody fills it with addresses that are not there.

mod bucket;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use crate::env::Instant;

use super::contact::Contact;
use super::id::{Distance, Id};

use bucket::{Bucket, Entry};

/// Contacts in a bucket, nodes in an answer, nodes that an item is put to: the `k` of Kademlia.
pub const BUCKET_SIZE: usize = 8;

/// Contacts that wait for a place in a bucket.
pub const REPLACEMENTS_MAX: usize = 8;

/// A contact that was not heard of for this long is asked whether it is still there.
pub const QUESTIONABLE_AFTER: Duration = Duration::from_secs(15 * 60);

/// So many queries without an answer, one after the other, and a contact is bad: it is told to nobody any more, and
/// gives its place to any other.
pub const FAILURES_UNTIL_BAD: u8 = 2;

/// So many, and it is forgotten.
pub const FAILURES_UNTIL_FORGOTTEN: u8 = 5;

/// A contact that did not answer once is asked again after this.
pub const SECOND_CHANCE_AFTER: Duration = Duration::from_secs(30);

/// Contacts with the same address, in the whole table: whoever has one address is not to be everywhere. Loopback is
/// free.
pub const CONTACTS_PER_ADDRESS_MAX: usize = 2;

/// Whom a node knows.
#[derive(Debug)]
pub(super) struct RoutingTable {
    me: Id,
    buckets: Vec<Bucket>,
    of_address: BTreeMap<IpAddr, usize>,
}

/// What became of a contact that answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answered {
    /// It was there already.
    Known,
    /// It has a place now.
    Added,
    /// Its bucket is full. This one in it was not heard of for longest: ask whether it is still there.
    Waits(Option<Contact>),
    /// It has no business here: it is ourselves, or one too many of its address.
    Refused,
}

impl RoutingTable {
    /// An empty one of the node with this id.
    pub(super) fn new(me: Id) -> Self {
        RoutingTable { me, buckets: Vec::new(), of_address: BTreeMap::new() }
    }

    pub(super) fn me(&self) -> Id {
        self.me
    }

    /// Contacts that are not bad.
    pub(super) fn len(&self) -> usize {
        self.buckets.iter().flat_map(Bucket::usable).count()
    }

    /// All contacts, the closest buckets last.
    pub(super) fn contacts(&self) -> impl Iterator<Item = Contact> {
        self.buckets.iter().flat_map(|bucket| bucket.live.iter().map(|entry| entry.contact))
    }

    /// Buckets up to the closest that has a contact, with whether each is full.
    pub(super) fn fill(&self) -> impl Iterator<Item = (usize, bool)> {
        self.buckets.iter().enumerate().map(|(at, bucket)| (at, bucket.live.len() >= BUCKET_SIZE))
    }

    /// Whether the bucket that `id` belongs to is full.
    pub(super) fn is_full(&self, id: &Id) -> bool {
        self.bucket(id).is_some_and(|bucket| bucket.live.len() >= BUCKET_SIZE)
    }

    /// Whether a contact that was only heard of would get a place if it answered.
    pub(super) fn wants(&self, contact: &Contact) -> bool {
        let room = self.bucket(&contact.id).is_none_or(|bucket| bucket.wants(contact));
        contact.id != self.me && room && self.has_room_for_address(contact.address.ip())
    }

    /// Notes that a contact has answered.
    pub(super) fn answered(&mut self, contact: Contact, now: Instant) -> Answered {
        if contact.id == self.me {
            return Answered::Refused;
        }
        self.forget_former_ids(&contact);
        let has_room_for_address = self.has_room_for_address(contact.address.ip());
        let at = self.me.shared_bits(&contact.id);
        if self.buckets.len() <= at {
            self.buckets.resize_with(at + 1, Bucket::default);
        }
        let bucket = &mut self.buckets[at];
        if let Some(entry) = bucket.entry(&contact) {
            entry.answered(now);
            return Answered::Known;
        }
        // An id that is taken stays with the address that it came with, for as long as that one answers.
        let taken = bucket.live.iter().position(|entry| entry.contact.id == contact.id);
        if taken.is_some_and(|taken| bucket.live[taken].failures == 0) || !has_room_for_address {
            return Answered::Refused;
        }
        let replaced = match taken.or_else(|| bucket.live.iter().position(Entry::is_bad)) {
            Some(at) => Some(bucket.live.remove(at)),
            None if bucket.live.len() >= BUCKET_SIZE => {
                bucket.wait(Entry::new(contact, now));
                return Answered::Waits(bucket.most_questionable(now));
            }
            None => None,
        };
        bucket.spare.retain(|spare| spare.contact.id != contact.id);
        bucket.live.push(Entry::new(contact, now));
        *self.of_address.entry(contact.address.ip()).or_default() += 1;
        if let Some(replaced) = replaced {
            self.leave_address(replaced.contact.address.ip());
        }
        Answered::Added
    }

    /// Notes that a contact has asked us something: it is alive, if it is who it says.
    pub(super) fn asked(&mut self, contact: &Contact, now: Instant) {
        if let Some(entry) = self.bucket_mut(&contact.id).and_then(|bucket| bucket.entry(contact)) {
            entry.asked(now);
        }
    }

    /// Notes that a contact has not answered.
    pub(super) fn failed(&mut self, contact: &Contact, now: Instant) {
        let Some(bucket) = self.buckets.get_mut(self.me.shared_bits(&contact.id)) else { return };
        bucket.spare.retain(|spare| spare.contact != *contact);
        let Some(at) = bucket.live.iter().position(|entry| entry.contact == *contact) else { return };
        let entry = &mut bucket.live[at];
        entry.failed(now);
        let fits = |spare: &Entry| has_room(&self.of_address, spare.contact.address.ip());
        if entry.is_bad()
            && let Some(latest) = bucket.spare.iter().rposition(fits)
        {
            let spare = bucket.spare.remove(latest);
            bucket.live[at] = spare;
            *self.of_address.entry(spare.contact.address.ip()).or_default() += 1;
        } else if entry.failures >= FAILURES_UNTIL_FORGOTTEN {
            bucket.live.remove(at);
        } else {
            return;
        }
        self.leave_address(contact.address.ip());
    }

    /// Takes a contact out: it is not who it said.
    pub(super) fn remove(&mut self, contact: &Contact) {
        let Some(bucket) = self.bucket_mut(&contact.id) else { return };
        bucket.spare.retain(|spare| spare.contact != *contact);
        if let Some(at) = bucket.live.iter().position(|entry| entry.contact == *contact) {
            bucket.live.remove(at);
            self.leave_address(contact.address.ip());
        }
    }

    /// The `count` contacts closest to `target` that are not bad, the closest first.
    pub(super) fn closest(&self, target: &Id, count: usize) -> Vec<Contact> {
        // Whoever shares as many bits with us as the target does shares more with the target than all others. All that
        // share more with us share as many with the target. Then it goes outwards, bucket by bucket.
        let shared = self.me.shared_bits(target).min(self.buckets.len());
        let own = shared..(shared + 1).min(self.buckets.len());
        let closer_to_us = own.end..self.buckets.len();
        let outwards = (0..shared).rev().map(|at| at..at + 1);
        let mut found = Vec::with_capacity(count + BUCKET_SIZE);
        for group in [own, closer_to_us].into_iter().chain(outwards) {
            if found.len() >= count {
                break;
            }
            let start = found.len();
            found.extend(self.buckets[group].iter().flat_map(Bucket::usable).map(|entry| entry.contact));
            found[start..].sort_unstable_by_key(|contact: &Contact| target.distance(&contact.id));
        }
        found.truncate(count);
        found
    }

    /// Within which distance of any target about four nodes are to be expected: half of that within which our own eight
    /// closest neighbours are. Zero where too few are known.
    pub(super) fn radius(&self) -> Distance {
        match self.closest(&self.me, BUCKET_SIZE).get(BUCKET_SIZE - 1) {
            Some(eighth) => self.me.distance(&eighth.id).half(),
            None => Distance::ZERO,
        }
    }

    /// The contact that is to be asked whether it is still there since longest, where there is one.
    pub(super) fn due(&self, now: Instant) -> Option<Contact> {
        let entries = self.buckets.iter().flat_map(|bucket| &bucket.live);
        let first = entries.min_by_key(|entry| entry.due)?;
        (first.due <= now).then_some(first.contact)
    }

    /// When the next contact is to be asked.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.buckets.iter().flat_map(|bucket| &bucket.live).map(|entry| entry.due).min()
    }

    /// Notes that a contact is being asked, so that it is not due again while the answer is on its way.
    pub(super) fn checking(&mut self, contact: &Contact, now: Instant) {
        if let Some(entry) = self.bucket_mut(&contact.id).and_then(|bucket| bucket.entry(contact)) {
            entry.due = now + SECOND_CHANCE_AFTER;
        }
    }

    /// The same contacts seen from another id.
    pub(super) fn rekey(&mut self, me: Id, now: Instant) {
        let before = std::mem::replace(self, RoutingTable::new(me));
        for contact in before.buckets.iter().flat_map(Bucket::usable).map(|entry| entry.contact) {
            self.answered(contact, now);
        }
    }

    /// Where one node answers now, no other is any more.
    fn forget_former_ids(&mut self, contact: &Contact) {
        if !self.of_address.contains_key(&contact.address.ip()) {
            return;
        }
        let is_former = |other: &Contact| other.address == contact.address && other.id != contact.id;
        let former = self.contacts().find(is_former);
        former.into_iter().for_each(|former| self.remove(&former));
    }

    fn bucket(&self, id: &Id) -> Option<&Bucket> {
        self.buckets.get(self.me.shared_bits(id))
    }

    fn bucket_mut(&mut self, id: &Id) -> Option<&mut Bucket> {
        self.buckets.get_mut(self.me.shared_bits(id))
    }

    fn has_room_for_address(&self, ip: IpAddr) -> bool {
        has_room(&self.of_address, ip)
    }

    fn leave_address(&mut self, ip: IpAddr) {
        if let Some(count) = self.of_address.get_mut(&ip) {
            *count -= 1;
            if *count == 0 {
                self.of_address.remove(&ip);
            }
        }
    }
}

fn has_room(of_address: &BTreeMap<IpAddr, usize>, ip: IpAddr) -> bool {
    ip.is_loopback() || of_address.get(&ip).is_none_or(|count| *count < CONTACTS_PER_ADDRESS_MAX)
}

#[cfg(test)]
mod tests;
