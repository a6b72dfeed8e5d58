//! One bucket: contacts of which each shares the same number of bits with us, and those that wait for their place.

use crate::dht::contact::Contact;
use crate::env::Instant;

use super::{BUCKET_SIZE, FAILURES_UNTIL_BAD, QUESTIONABLE_AFTER, REPLACEMENTS_MAX, SECOND_CHANCE_AFTER};

#[derive(Debug, Default)]
pub(super) struct Bucket {
    pub(super) live: Vec<Entry>,
    /// The one that was heard of last is at the end.
    pub(super) spare: Vec<Entry>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) contact: Contact,
    /// Queries without an answer, one after the other.
    pub(super) failures: u8,
    /// When to ask whether it is still there.
    pub(super) due: Instant,
    /// Since when it has not answered.
    answered: Instant,
}

impl Entry {
    pub(super) fn new(contact: Contact, now: Instant) -> Self {
        Entry { contact, failures: 0, due: now + QUESTIONABLE_AFTER, answered: now }
    }

    pub(super) fn answered(&mut self, now: Instant) {
        *self = Entry::new(self.contact, now);
    }

    /// It has asked us something. That is a sign of life, but of whoever wrote its id there: it counts once, and then an
    /// answer is due.
    pub(super) fn asked(&mut self, now: Instant) {
        if self.failures == 0 {
            self.due = (now + QUESTIONABLE_AFTER).min(self.answered + 2 * QUESTIONABLE_AFTER);
        }
    }

    pub(super) fn failed(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        // A bad one is asked now and then still: it may have been our own network that was gone.
        self.due = now + if self.is_bad() { QUESTIONABLE_AFTER } else { SECOND_CHANCE_AFTER };
    }

    pub(super) fn is_bad(&self) -> bool {
        self.failures >= FAILURES_UNTIL_BAD
    }
}

impl Bucket {
    pub(super) fn usable(&self) -> impl Iterator<Item = &Entry> {
        self.live.iter().filter(|entry| !entry.is_bad())
    }

    pub(super) fn entry(&mut self, contact: &Contact) -> Option<&mut Entry> {
        self.live.iter_mut().find(|entry| entry.contact == *contact)
    }

    /// Whether it would have a place here.
    pub(super) fn wants(&self, contact: &Contact) -> bool {
        let room = self.live.len() < BUCKET_SIZE || self.live.iter().any(Entry::is_bad);
        room && self.live.iter().all(|entry| entry.contact.id != contact.id || entry.failures > 0)
    }

    /// Lets one wait for a place; the one that waits longest makes room.
    pub(super) fn wait(&mut self, entry: Entry) {
        self.spare.retain(|spare| spare.contact.id != entry.contact.id);
        if self.spare.len() >= REPLACEMENTS_MAX {
            self.spare.remove(0);
        }
        self.spare.push(entry);
    }

    /// The contact that should long have been asked whether it is still there.
    pub(super) fn most_questionable(&self, now: Instant) -> Option<Contact> {
        let first = self.live.iter().min_by_key(|entry| entry.due)?;
        (first.due <= now || first.failures > 0).then_some(first.contact)
    }
}
