//! Metadata that was looked up a short while ago.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::record::Metadata;
use crate::dht::Id;
use crate::env::{Instant, UnixTime};

/// Entries at most. The one that expires first makes room for one more.
pub const CACHED_MAX: usize = 4_096;

/// Metadata as it is kept for a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedMetadata {
    /// Whose it is.
    pub peer_id: Id,
    /// What it tells of itself.
    pub metadata: Metadata,
    /// The item's seq.
    pub seq: i64,
    /// Until when it may be believed.
    pub expires_at: UnixTime,
}

/// What is to be written to disk. What has expired goes from there by its time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheChanges {
    /// Entries that are new or changed.
    pub upserts: Vec<CachedMetadata>,
    /// Entries that are not believed any more.
    pub removed: Vec<Id>,
}

impl CacheChanges {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.upserts.is_empty() && self.removed.is_empty()
    }
}

/// What was looked up, until it is too old. Pure.
#[derive(Debug)]
pub struct MetadataCache {
    ttl: Duration,
    entries: BTreeMap<Id, Entry>,
    by_expiry: BTreeSet<(Instant, Id)>,
    /// Entries that are on disk still, and not here any more. Only what is there comes here, so no more than fit.
    removed: BTreeSet<Id>,
    /// What the entries have allocated beside their places.
    heap_bytes: usize,
    hits: u64,
    misses: u64,
}

#[derive(Debug)]
struct Entry {
    metadata: Metadata,
    seq: i64,
    expires: Instant,
    /// It is not on disk as it is here.
    has_changed: bool,
    /// It is on disk, as it is here or as it was.
    is_on_disk: bool,
}

impl MetadataCache {
    /// An empty one, whose entries live for `ttl`.
    pub fn new(ttl: Duration) -> Self {
        MetadataCache {
            ttl,
            entries: BTreeMap::new(),
            by_expiry: BTreeSet::new(),
            removed: BTreeSet::new(),
            heap_bytes: 0,
            hits: 0,
            misses: 0,
        }
    }

    /// Takes up what was kept and has not expired. The clocks are `now` and `unix` at the same time.
    pub fn restore(&mut self, kept: Vec<CachedMetadata>, now: Instant, unix: UnixTime) {
        for CachedMetadata { peer_id, metadata, seq, expires_at } in kept {
            let left = expires_at.0.saturating_sub(unix.0);
            // A wall clock that was ahead then, or is behind now, says nothing about its age.
            if left > self.ttl {
                self.removed.insert(peer_id);
            } else if !left.is_zero() {
                let (has_changed, is_on_disk) = (false, true);
                self.insert(peer_id, Entry { metadata, seq, expires: now + left, has_changed, is_on_disk });
            }
        }
    }

    /// What a peer tells of itself, where that is known and not too old. Counts a hit or a miss.
    pub fn get(&mut self, peer_id: &Id, now: Instant) -> Option<&Metadata> {
        let found = self.entries.get(peer_id).filter(|entry| entry.expires > now);
        match found {
            Some(_) => self.hits += 1,
            None => self.misses += 1,
        }
        found.map(|entry| &entry.metadata)
    }

    /// As [`MetadataCache::get`], and counts nothing: for looks that would not lead to a lookup.
    pub fn peek(&self, peer_id: &Id, now: Instant) -> Option<&Metadata> {
        self.entries.get(peer_id).filter(|entry| entry.expires > now).map(|entry| &entry.metadata)
    }

    /// Takes what was looked up, for as long as entries live. `false` where a later version is here already: somebody
    /// answered with an old one.
    pub fn put(&mut self, peer_id: Id, metadata: Metadata, seq: i64, now: Instant) -> bool {
        if self.entries.get(&peer_id).is_some_and(|entry| entry.expires > now && entry.seq > seq) {
            return false;
        }
        let expires = now + self.ttl;
        let earlier = self.entries.get(&peer_id).is_some_and(|entry| entry.is_on_disk);
        let is_on_disk = self.removed.remove(&peer_id) || earlier;
        self.insert(peer_id, Entry { metadata, seq, expires, has_changed: true, is_on_disk });
        true
    }

    /// Forgets what a peer told: it turned out to be wrong. Whether there was anything.
    pub fn invalidate(&mut self, peer_id: &Id) -> bool {
        self.remove(peer_id)
    }

    /// Forgets what is too old by `now`. Gives how many that were.
    pub fn expire(&mut self, now: Instant) -> usize {
        let mut expired = 0;
        while let Some((expires, peer_id)) = self.by_expiry.first().copied()
            && expires <= now
        {
            self.by_expiry.pop_first();
            self.forget(&peer_id);
            expired += 1;
        }
        expired
    }

    /// How many entries there are, the expired ones that were not yet forgotten too.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How often what was asked for was here.
    pub fn hits(&self) -> u64 {
        self.hits
    }

    /// How often what was asked for was not here, or too old.
    pub fn misses(&self) -> u64 {
        self.misses
    }

    /// How long entries live.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// Bytes that the entries take: what their texts and lists have allocated, used or not, and their places in the two
    /// trees. Nodes of a tree may be half empty, so that each place counts twice.
    pub fn bytes(&self) -> usize {
        let place = size_of::<(Id, Entry)>() + size_of::<(Instant, Id)>();
        self.heap_bytes + 2 * place * self.len() + 2 * size_of::<Id>() * self.removed.len()
    }

    /// What differs from the disk, but for what has expired. It counts as written from here on: see
    /// [`MetadataCache::put_back`]. The clocks are `now` and `unix` at the same time.
    pub fn take_changes(&mut self, now: Instant, unix: UnixTime) -> CacheChanges {
        let mut upserts = Vec::new();
        for (peer_id, entry) in &mut self.entries {
            if entry.has_changed && entry.expires > now {
                entry.has_changed = false;
                entry.is_on_disk = true;
                upserts.push(CachedMetadata {
                    peer_id: *peer_id,
                    metadata: entry.metadata.clone(),
                    seq: entry.seq,
                    expires_at: unix + (entry.expires - now),
                });
            }
        }
        CacheChanges { upserts, removed: std::mem::take(&mut self.removed).into_iter().collect() }
    }

    /// Changes that could not be written: they are there again the next time.
    pub fn put_back(&mut self, changes: CacheChanges) {
        for CachedMetadata { peer_id, .. } in changes.upserts {
            if let Some(entry) = self.entries.get_mut(&peer_id) {
                entry.has_changed = true;
            }
        }
        let gone = changes.removed.into_iter().filter(|peer_id| !self.entries.contains_key(peer_id));
        self.removed.extend(gone);
    }

    fn insert(&mut self, peer_id: Id, entry: Entry) {
        self.unlink(&peer_id);
        if self.len() >= CACHED_MAX
            && let Some((_, first)) = self.by_expiry.first().copied()
        {
            self.remove(&first);
        }
        self.by_expiry.insert((entry.expires, peer_id));
        self.heap_bytes += entry.metadata.heap_bytes();
        self.entries.insert(peer_id, entry);
    }

    /// Takes an entry out, here and on disk.
    fn remove(&mut self, peer_id: &Id) -> bool {
        let removed = self.unlink(peer_id);
        if removed.as_ref().is_some_and(|entry| entry.is_on_disk) {
            self.removed.insert(*peer_id);
        }
        removed.is_some()
    }

    fn unlink(&mut self, peer_id: &Id) -> Option<Entry> {
        let entry = self.forget(peer_id)?;
        self.by_expiry.remove(&(entry.expires, *peer_id));
        Some(entry)
    }

    fn forget(&mut self, peer_id: &Id) -> Option<Entry> {
        let entry = self.entries.remove(peer_id)?;
        self.heap_bytes -= entry.metadata.heap_bytes();
        Some(entry)
    }
}

#[cfg(test)]
mod tests;
