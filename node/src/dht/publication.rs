//! Keeps one value of ours in the DHT: put at once when it changes, put again every hour, and tended in between.

use std::time::Duration;

use ed25519_dalek::SigningKey;

use crate::env::{Instant, Rng};
use crate::federation::{Backoff, BackoffPolicy};

use super::event::{Event, OperationId, StoreReport};
use super::item::{Item, ItemError, MutableItem};
use super::kademlia::{Dht, PutRequest};
use super::krpc::ErrorCode;
use super::table::BUCKET_SIZE;

/// Versions of others that are overtaken one after the other before it is left for later.
pub const REBASES_MAX: u32 = 4;

/// With fewer keepers than this it is looked for more of them soon, and then ever more seldom.
const KEEPERS_ENOUGH: usize = BUCKET_SIZE;

/// When to put again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicationTiming {
    /// All keepers are given the same version again, so that they do not drop it. Well below
    /// [`ITEM_LIFETIME`](super::ITEM_LIFETIME).
    pub republish: Duration,
    /// Keepers that lack it are given it: new ones, where old ones have gone. Takes one lookup and nothing else where
    /// all have it.
    pub tend: Duration,
    /// When nobody took it.
    pub retry: BackoffPolicy,
}

impl Default for PublicationTiming {
    fn default() -> Self {
        PublicationTiming {
            republish: Duration::from_secs(3_600),
            tend: Duration::from_secs(900),
            retry: BackoffPolicy { initial: Duration::from_secs(5), cap: Duration::from_secs(300) },
        }
    }
}

/// A put that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutEnd {
    /// Which version was put; a later one may be due by now.
    pub seq: i64,
    /// Who took it, and who did not.
    pub report: StoreReport,
}

/// What became of a put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Published {
    /// It is kept by somebody.
    Kept(PutEnd),
    /// Somebody with our key put another value under our seq or a later one. Ours follows it, under this seq, once that
    /// is [confirmed](Publication::confirm).
    Rebased {
        /// Its seq now: to be written down.
        seq: i64,
    },
    /// The very value was there under a later seq, as after a loss of our own memory. Ours is that now. It goes on once
    /// that is [confirmed](Publication::confirm).
    Adopted {
        /// Its seq now: to be written down.
        seq: i64,
    },
    /// Nobody took it. It is tried again.
    Failed(PutEnd),
}

/// One value of ours, and what it takes to keep it there. Pure: a put is a command to the [`Dht`], its end an event.
#[derive(Debug)]
pub struct Publication {
    key: SigningKey,
    item: MutableItem,
    timing: PublicationTiming,
    republish_at: Instant,
    tend_at: Instant,
    under_way: Option<UnderWay>,
    /// The version of somebody else that ours is to replace.
    cas: Option<i64>,
    following: Following,
    waits: Waits,
}

/// How long it is until the next try.
#[derive(Debug)]
struct Waits {
    /// After puts that nobody took.
    retry: Backoff,
    /// There was nobody to take the last one.
    met_nobody: bool,
    /// While too few keep it.
    thin: Backoff,
}

/// How versions that are not ours are followed.
#[derive(Clone, Copy, Debug, Default)]
struct Following {
    /// Versions that were overtaken one after the other.
    rebases: u32,
    /// Our seq was raised because others said so, without a signed version to show. Once for each value: a node that
    /// lies is not to keep us from settling.
    on_hearsay: bool,
    /// The seq that we have now is not confirmed to be written down. Put before that, a power cut could make us put
    /// another value under it.
    unconfirmed: bool,
}

#[derive(Clone, Copy, Debug)]
struct UnderWay {
    operation: OperationId,
    /// All keepers are asked, not only those that lack it.
    is_full: bool,
    /// What is put; the value may have changed meanwhile.
    seq: i64,
}

impl Publication {
    /// Publishes `value` (bencoded) as version `seq`: at once, and from then on.
    ///
    /// # Errors
    /// When value or salt are over their limits.
    pub fn new(
        key: SigningKey,
        salt: &[u8],
        (value, seq): (Vec<u8>, i64),
        timing: PublicationTiming,
        now: Instant,
    ) -> Result<Self, ItemError> {
        let item = MutableItem::sign(&key, salt, seq, value)?;
        let retry = Backoff::new(timing.retry);
        Ok(Publication {
            key,
            item,
            timing,
            republish_at: now,
            tend_at: now + timing.tend,
            under_way: None,
            cas: None,
            following: Following::default(),
            waits: Waits { retry, met_nobody: false, thin: Backoff::new(timing.retry) },
        })
    }

    /// What is published.
    pub fn item(&self) -> &MutableItem {
        &self.item
    }

    /// Publishes another value, under the next seq, at once. Says whether it is another: the same changes nothing, so
    /// that a republish is identical to the byte.
    ///
    /// # Errors
    /// When the value is over its limit, or no seq is left.
    pub fn change(&mut self, value: Vec<u8>, now: Instant) -> Result<bool, ItemError> {
        if value == self.item.value {
            return Ok(false);
        }
        self.sign_as(self.item.seq, value)?;
        self.begin_anew(now);
        Ok(true)
    }

    /// Publishes another value as version `seq`, at once.
    ///
    /// # Errors
    /// When the value is over its limit, or `seq` is not above that of what is published.
    pub fn supersede(&mut self, value: Vec<u8>, seq: i64, now: Instant) -> Result<(), ItemError> {
        if seq <= self.item.seq {
            return Err(ItemError::NotNewer { seq, published: self.item.seq });
        }
        self.sign_as(seq - 1, value)?;
        self.begin_anew(now);
        Ok(())
    }

    /// The seq that a version was [rebased](Published::Rebased) to, or was adopted with, is written down: it may be put.
    pub fn confirm(&mut self, seq: i64) {
        if self.item.seq == seq {
            self.following.unconfirmed = false;
        }
    }

    /// Another value of ours: it is put at once, whatever became of the one before.
    fn begin_anew(&mut self, now: Instant) {
        self.republish_at = now;
        self.following = Following::default();
        self.waits.retry.reset();
        self.waits.thin.reset();
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called; `None` while a put of this version is under way,
    /// or its seq waits to be confirmed.
    pub fn next_timeout(&self) -> Option<Instant> {
        // A put of an earlier version is given up for that of the present one.
        let is_busy = self.under_way.is_some_and(|under_way| under_way.seq == self.item.seq);
        let may_put = !is_busy && !self.following.unconfirmed;
        may_put.then(|| self.republish_at.min(self.tend_at))
    }

    /// Puts what is due by now.
    pub fn handle_timeout(&mut self, dht: &mut Dht, now: Instant, rng: &mut Rng) {
        if self.next_timeout().is_none_or(|due| due > now) {
            return;
        }
        if let Some(earlier) = self.under_way.take() {
            dht.cancel(earlier.operation);
        }
        let is_full = self.republish_at <= now;
        let item = Item::Mutable(self.item.clone());
        let request = PutRequest { item, cas: self.cas, only_lacking: !is_full };
        match dht.put(request, now) {
            Ok(operation) => self.under_way = Some(UnderWay { operation, is_full, seq: self.item.seq }),
            Err(_busy) => self.put_off(now, rng),
        }
    }

    /// Takes an event of the [`Dht`]: says what became of our put, where it is about that. It may be due again at once.
    pub fn handle_event(&mut self, event: &Event, now: Instant, rng: &mut Rng) -> Option<Published> {
        if let Event::Joined { contacts: 1.., .. } = event
            && std::mem::take(&mut self.waits.met_nobody)
        {
            self.republish_at = now;
        }
        let Event::Stored { operation, report, .. } = event else { return None };
        let ended = self.under_way.take_if(|under_way| under_way.operation == *operation)?;
        if ended.seq != self.item.seq {
            // The value has changed meanwhile, and is due anyway. Who has a later version is found out then.
            return Some(outcome(ended.seq, report));
        }
        self.waits.met_nobody = !is_kept(report) && report.refused.is_empty() && report.silent.is_empty();
        if let Some(newer) = &report.newer {
            return Some(self.overtake(newer.clone(), report, now, rng));
        }
        let refusals = |code| report.refused.iter().filter(|(_, refusal)| refusal.code == code).count();
        let too_old = refusals(ErrorCode::SeqTooOld);
        if too_old > 0 && too_old >= keepers(report) && !self.following.on_hearsay {
            // Most have another value of the same seq: we forgot what we had put.
            self.following.on_hearsay = true;
            let stored = MutableItem { value: Vec::new(), ..self.item.clone() };
            return Some(self.overtake(stored, report, now, rng));
        }
        if self.cas.take().is_some() && refusals(ErrorCode::CasMismatch) > 0 {
            // Those that have older versions still refused too. Without the comparison they will not; and where it was
            // somebody else again, the next walk meets that version.
            self.republish_at = now;
        } else if is_kept(report) {
            self.following.rebases = 0;
            self.waits.retry.reset();
            self.tend_at = now + self.timing.tend;
            if keepers(report) >= KEEPERS_ENOUGH {
                self.waits.thin.reset();
            } else {
                // As when it was put before others were met: those that come now lack it.
                self.tend_at = self.tend_at.min(now + self.waits.thin.next_wait(rng));
            }
            if ended.is_full {
                self.republish_at = now + self.timing.republish;
            }
        } else {
            self.put_off(now, rng);
        }
        Some(outcome(ended.seq, report))
    }

    /// Follows a version that is not ours.
    fn overtake(
        &mut self,
        newer: MutableItem,
        report: &StoreReport,
        now: Instant,
        rng: &mut Rng,
    ) -> Published {
        self.following.rebases += 1;
        self.following.unconfirmed = true;
        let seq = newer.seq;
        if newer.value == self.item.value {
            self.item = newer;
            self.cas = None;
            self.due(now, rng);
            return Published::Adopted { seq };
        }
        if self.sign_as(seq, self.item.value.clone()).is_err() {
            // There is no seq after the last one. Whoever has our key has used it.
            self.following.unconfirmed = false;
            self.put_off(now, rng);
            return Published::Failed(PutEnd { seq: self.item.seq, report: report.clone() });
        }
        self.cas = Some(seq);
        self.due(now, rng);
        Published::Rebased { seq: self.item.seq }
    }

    /// Signs a value as the version after `seq`.
    fn sign_as(&mut self, seq: i64, value: Vec<u8>) -> Result<(), ItemError> {
        let next = seq.checked_add(1).ok_or(ItemError::NegativeSeq)?;
        self.item = MutableItem::sign(&self.key, &self.item.salt, next, value)?;
        Ok(())
    }

    /// Puts at once, but not for ever: two who hold the same key would overtake each other without end.
    fn due(&mut self, now: Instant, rng: &mut Rng) {
        if self.following.rebases > REBASES_MAX {
            self.following.rebases = 0;
            self.put_off(now, rng);
        } else {
            self.republish_at = now;
        }
    }

    fn put_off(&mut self, now: Instant, rng: &mut Rng) {
        self.republish_at = now + self.waits.retry.next_wait(rng);
        self.tend_at = self.republish_at.max(self.tend_at);
    }
}

fn outcome(seq: i64, report: &StoreReport) -> Published {
    let end = PutEnd { seq, report: report.clone() };
    if is_kept(report) { Published::Kept(end) } else { Published::Failed(end) }
}

fn is_kept(report: &StoreReport) -> bool {
    keepers(report) > 0
}

fn keepers(report: &StoreReport) -> usize {
    report.taken.len() + report.had.len() + usize::from(report.kept_here)
}
