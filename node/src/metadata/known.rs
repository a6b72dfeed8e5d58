//! The nodes that this one has heard of: who they are, by which key, and since when.

use std::time::Duration;

use crate::dht::{Id, KEY_BYTES, mutable_target};
use crate::env::UnixTime;

/// Peers that are known at most. When there are as many, those that were met come in, in place of those that others only
/// told of.
pub const KNOWN_PEERS_MAX: usize = 10_000;

/// How far the last time that a peer was seen may lag behind on disk, in seconds.
pub const LAST_SEEN_LAG_SECONDS: u32 = 3_600;

/// One that was met and has not been seen for so long makes room for one that is met now, in seconds.
const AWAY_SECONDS: u32 = 86_400;

/// A node that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownPeer {
    /// Who it is: SHA-1 of its key.
    pub peer_id: Id,
    /// Its place in the DHT, where that was said.
    pub dht_node_id: Option<Id>,
    /// Its Ed25519 key.
    pub public_key: [u8; KEY_BYTES],
    /// Whether it relays for others.
    pub is_relay: bool,
    /// How it was first heard of.
    pub source: Source,
    /// When it was first heard of, in whole seconds.
    pub first_seen: UnixTime,
    /// When it was last heard of, in whole seconds.
    pub last_seen: UnixTime,
}

/// How a peer was first heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// It proved its key to us on a link.
    Link,
    /// Another peer told of it.
    Shared,
}

/// What was heard of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerNews {
    /// Who it is said to be.
    pub peer_id: Id,
    /// Its place in the DHT, where that was said.
    pub dht_node_id: Option<Id>,
    /// Its Ed25519 key.
    pub public_key: [u8; KEY_BYTES],
    /// Whether it relays for others.
    pub is_relay: bool,
    /// Who says so: [`Source::Link`] where it is the peer itself.
    pub source: Source,
}

/// What became of news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learned {
    /// The peer was not known before.
    New,
    /// It was known, and is seen once more.
    Seen,
    /// Nothing is learned.
    Refused(Refusal),
}

/// Why nothing was learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is this node.
    #[error("the peer is this node itself")]
    Ourselves,
    /// Its id is not that of its key.
    #[error("the peer id is not the SHA-1 of the public key")]
    NotItsKey,
    /// There is no room.
    #[error("{KNOWN_PEERS_MAX} peers are known already, and no more fit")]
    Full,
}

/// What is to be written to disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerChanges {
    /// Those that are new or changed, as they are now.
    pub upserts: Vec<KnownPeer>,
    /// Those that are not known any more. To be removed before the others are written.
    pub removed: Vec<Id>,
}

impl PeerChanges {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.upserts.is_empty() && self.removed.is_empty()
    }
}

/// The known peers of one node. Pure, and compact: about a hundred bytes each.
///
/// Each has a number, in the order in which they were learned, so that it takes one number for each link to know what the
/// other side has not been told of yet.
#[derive(Debug)]
pub struct KnownPeers {
    ourselves: Id,
    /// By number, which only grows.
    entries: Vec<Entry>,
    /// Places in `entries`, by peer id.
    by_id: Vec<u32>,
    last_number: u64,
    /// Entries that differ from what is on disk.
    changed: usize,
    /// Peers that are on disk still, and not known any more. Only what was written comes here, so no more than were known.
    removed: Vec<Id>,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    /// Seconds since 1970, as all times here.
    first_seen: u32,
    last_seen: u32,
    /// The last time seen that was written to disk; `None` where it is not there yet.
    written: Option<u32>,
    has_changed: bool,
    is_relay: bool,
    source: Source,
    who: Who,
}

#[derive(Clone, Copy, Debug)]
struct Who {
    peer_id: Id,
    dht_node_id: Option<Id>,
    public_key: [u8; KEY_BYTES],
}

impl KnownPeers {
    /// None, of the node `ourselves`.
    pub fn new(ourselves: Id) -> Self {
        KnownPeers {
            ourselves,
            entries: Vec::new(),
            by_id: Vec::new(),
            last_number: 0,
            changed: 0,
            removed: Vec::new(),
        }
    }

    /// Those that were kept on disk, the earliest known first. What does not fit or is no peer of ours is passed over,
    /// and goes from the disk with the next changes. A time that is ahead of `now` was written under a wrong clock, and
    /// becomes `now`.
    pub fn restore(ourselves: Id, mut kept: Vec<KnownPeer>, now: UnixTime) -> Self {
        let mut known = KnownPeers::new(ourselves);
        kept.sort_by_key(|peer| (peer.first_seen, peer.peer_id));
        let latest = seconds(now);
        known.entries.reserve_exact(kept.len().min(KNOWN_PEERS_MAX));
        for peer in kept {
            let Err(place) = known.place(&peer.peer_id) else { continue };
            if known.refusal(&peer.peer_id, &peer.public_key).is_some() || known.is_full() {
                known.removed.push(peer.peer_id);
                continue;
            }
            let last_seen = seconds(peer.last_seen).min(latest);
            known.push(place, |number| Entry {
                number,
                first_seen: seconds(peer.first_seen).min(last_seen),
                last_seen,
                written: Some(last_seen),
                has_changed: false,
                is_relay: peer.is_relay,
                source: peer.source,
                who: Who {
                    peer_id: peer.peer_id,
                    dht_node_id: peer.dht_node_id,
                    public_key: peer.public_key,
                },
            });
        }
        known
    }

    /// Takes news of a peer. Of one that is known, only the last time seen moves; what was not known of it is added, and
    /// the peer itself may correct whether it is a relay. One that is met after it was told of counts as learned anew.
    ///
    /// When all places are taken, a peer that is met takes that of the one not heard of for longest among those that were
    /// only told of, or, where all were met, among those that have been away for a day.
    pub fn learn(&mut self, news: PeerNews, now: UnixTime) -> Learned {
        if let Some(refusal) = self.refusal(&news.peer_id, &news.public_key) {
            return Learned::Refused(refusal);
        }
        let now = seconds(now);
        match self.place(&news.peer_id) {
            Ok(at) => {
                let entry = &mut self.entries[self.by_id[at] as usize];
                let was_changed = entry.has_changed;
                entry.learn(&news, now);
                self.changed += usize::from(entry.has_changed && !was_changed);
                if news.source == Source::Link && entry.source == Source::Shared {
                    self.is_met(at);
                }
                return Learned::Seen;
            }
            Err(_) if self.is_full() && !(news.source == Source::Link && self.make_room(now)) => {
                return Learned::Refused(Refusal::Full);
            }
            Err(_) => {}
        }
        // Where room was made, places have moved.
        let place = self.place(&news.peer_id).unwrap_or_else(|at| at);
        self.push(place, |number| Entry {
            number,
            first_seen: now,
            last_seen: now,
            written: None,
            has_changed: true,
            is_relay: news.is_relay,
            source: news.source,
            who: Who { peer_id: news.peer_id, dht_node_id: news.dht_node_id, public_key: news.public_key },
        });
        self.changed += 1;
        Learned::New
    }

    /// A peer is linked with us at this moment.
    pub fn seen(&mut self, peer_id: &Id, now: UnixTime) {
        let Ok(at) = self.place(peer_id) else { return };
        let entry = &mut self.entries[self.by_id[at] as usize];
        let was_changed = entry.has_changed;
        entry.seen(seconds(now));
        self.changed += usize::from(entry.has_changed && !was_changed);
    }

    /// The peer of this id.
    pub fn get(&self, peer_id: &Id) -> Option<KnownPeer> {
        let at = self.place(peer_id).ok()?;
        Some(self.at(at))
    }

    /// How many are known.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// At most `limit` peers by id, those after `after`, and the id to go on after where there are more.
    pub fn page(&self, after: Option<&Id>, limit: usize) -> (Vec<KnownPeer>, Option<Id>) {
        let from = match after.map(|id| self.place(id)) {
            Some(Ok(at)) => at + 1,
            Some(Err(at)) => at,
            None => 0,
        };
        let to = self.len().min(from.saturating_add(limit));
        let peers: Vec<KnownPeer> = (from..to).map(|at| self.at(at)).collect();
        let next = peers.last().filter(|_| to < self.len()).map(|peer| peer.peer_id);
        (peers, next)
    }

    /// All of them, in the order in which they were learned.
    pub fn iter(&self) -> impl Iterator<Item = KnownPeer> {
        self.entries.iter().map(Entry::peer)
    }

    /// At most `limit` of the `wanted` peers that were learned after the one numbered `after`, in that order: what may be
    /// told to a link that was told of all up to there. Begins with 0. Gives the number to go on after; it is `after`
    /// where there was nothing more.
    pub fn share(
        &self,
        after: u64,
        limit: usize,
        wanted: impl Fn(&KnownPeer) -> bool,
    ) -> (Vec<KnownPeer>, u64) {
        let from = self.entries.partition_point(|entry| entry.number <= after);
        let (mut peers, mut next) = (Vec::new(), after);
        for entry in &self.entries[from..] {
            if peers.len() == limit {
                break;
            }
            next = entry.number;
            let peer = entry.peer();
            if wanted(&peer) {
                peers.push(peer);
            }
        }
        (peers, next)
    }

    /// Whether anything was learned after the one numbered `after`.
    pub fn has_more(&self, after: u64) -> bool {
        self.entries.last().is_some_and(|entry| entry.number > after)
    }

    /// What differs from the disk by now. It counts as written from here on: see [`KnownPeers::put_back`].
    pub fn take_changes(&mut self) -> PeerChanges {
        let mut upserts = Vec::with_capacity(self.changed);
        if self.changed > 0 {
            for entry in self.entries.iter_mut().filter(|entry| entry.has_changed) {
                entry.has_changed = false;
                entry.written = Some(entry.last_seen);
                upserts.push(entry.peer());
            }
        }
        self.changed = 0;
        PeerChanges { upserts, removed: std::mem::take(&mut self.removed) }
    }

    /// Changes that could not be written: they are there again the next time.
    pub fn put_back(&mut self, changes: PeerChanges) {
        for peer in changes.upserts {
            // One that has gone since was taken for written then, and is to be removed: that harms nothing.
            if let Ok(at) = self.place(&peer.peer_id) {
                let entry = &mut self.entries[self.by_id[at] as usize];
                self.changed += usize::from(!entry.has_changed);
                entry.has_changed = true;
            }
        }
        self.removed.extend(changes.removed);
        self.removed.sort_unstable();
        self.removed.dedup();
    }

    /// Bytes that they take, used or not.
    pub fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
            + self.by_id.capacity() * size_of::<u32>()
            + self.removed.capacity() * size_of::<Id>()
    }

    fn is_full(&self) -> bool {
        self.len() >= KNOWN_PEERS_MAX
    }

    fn refusal(&self, peer_id: &Id, public_key: &[u8; KEY_BYTES]) -> Option<Refusal> {
        if *peer_id != mutable_target(public_key, b"") {
            Some(Refusal::NotItsKey)
        } else if *peer_id == self.ourselves {
            Some(Refusal::Ourselves)
        } else {
            None
        }
    }

    /// Where it is in `by_id`, or where it belongs.
    fn place(&self, peer_id: &Id) -> Result<usize, usize> {
        self.by_id.binary_search_by_key(peer_id, |at| self.entries[*at as usize].who.peer_id)
    }

    fn at(&self, place: usize) -> KnownPeer {
        self.entries[self.by_id[place] as usize].peer()
    }

    fn push(&mut self, place: usize, entry: impl FnOnce(u64) -> Entry) {
        // Not twice as much room each time: a thousand nodes live in one process.
        let spare = 16 + self.len() / 8;
        if self.entries.len() == self.entries.capacity() {
            self.entries.reserve_exact(spare);
        }
        if self.by_id.len() == self.by_id.capacity() {
            self.by_id.reserve_exact(spare);
        }
        self.last_number += 1;
        self.by_id.insert(place, u32::try_from(self.entries.len()).expect("the limit is small"));
        self.entries.push(entry(self.last_number));
    }

    /// Forgets the peer not heard of for longest: among those that were only told of, or, where all were met, among those
    /// that have been away for long. `false` where there is none.
    fn make_room(&mut self, now: u32) -> bool {
        let told = self.entries.iter().enumerate().filter(|(_, entry)| entry.source == Source::Shared);
        let told = told.min_by_key(|(_, entry)| entry.last_seen);
        let away = || {
            let gone = |entry: &Entry| now.saturating_sub(entry.last_seen) >= AWAY_SECONDS;
            let away = self.entries.iter().enumerate().filter(|(_, entry)| gone(entry));
            away.min_by_key(|(_, entry)| entry.last_seen)
        };
        let Some((at, _)) = told.or_else(away) else { return false };
        let entry = self.take(at);
        self.changed -= usize::from(entry.has_changed);
        if entry.written.is_some() {
            self.removed.push(entry.who.peer_id);
        }
        true
    }

    /// One that was only told of until now is met: it is news for those who are told of none but the met ones. On disk it
    /// stays as it was first heard of.
    fn is_met(&mut self, place: usize) {
        let mut entry = self.take(self.by_id[place] as usize);
        entry.source = Source::Link;
        self.push(place, |number| Entry { number, ..entry });
    }

    /// Takes an entry out, and with it its place.
    fn take(&mut self, at: usize) -> Entry {
        self.by_id.retain(|place| *place as usize != at);
        for place in self.by_id.iter_mut().filter(|place| **place as usize > at) {
            *place -= 1;
        }
        self.entries.remove(at)
    }
}

impl Entry {
    fn learn(&mut self, news: &PeerNews, now: u32) {
        if self.who.dht_node_id.is_none() && news.dht_node_id.is_some() {
            self.who.dht_node_id = news.dht_node_id;
            self.has_changed = true;
        }
        if news.source == Source::Link && self.is_relay != news.is_relay {
            self.is_relay = news.is_relay;
            self.has_changed = true;
        }
        self.seen(now);
    }

    fn seen(&mut self, now: u32) {
        self.last_seen = self.last_seen.max(now);
        let lags_behind = |written| self.last_seen - written >= LAST_SEEN_LAG_SECONDS;
        self.has_changed |= self.written.is_none_or(lags_behind);
    }

    fn peer(&self) -> KnownPeer {
        let time = |seconds: u32| UnixTime(Duration::from_secs(seconds.into()));
        let Who { peer_id, dht_node_id, public_key } = self.who;
        KnownPeer {
            peer_id,
            dht_node_id,
            public_key,
            is_relay: self.is_relay,
            source: self.source,
            first_seen: time(self.first_seen),
            last_seen: time(self.last_seen),
        }
    }
}

impl Source {
    /// `link` or `shared`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Source::Link => "link",
            Source::Shared => "shared",
        }
    }

    /// What [`Source::as_str`] says of it.
    pub fn of(text: &str) -> Option<Self> {
        [Source::Link, Source::Shared].into_iter().find(|source| source.as_str() == text)
    }
}

/// Whole seconds since 1970; the last ones there are from 2106 on.
fn seconds(time: UnixTime) -> u32 {
    u32::try_from(time.0.as_secs()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
