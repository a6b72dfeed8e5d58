//! Pinned keys: the public key that a node showed when it was first seen.
//!
//! Anybody may become a Home, and each new id takes a place. Those of nodes that came once and never again are given to
//! others when there are no more; a node that was seen on two days keeps its own for good.

use std::time::Duration;

use rusqlite::{OptionalExtension, Row, TransactionBehavior, params};

use super::StoreError;
use super::database::{Database, kind, millis, text, time};
use crate::env::UnixTime;
use crate::wire::{NodeId, NodeKind};

/// Keys that one node pins. At the limit only those are forgotten that were seen once and long ago; where there are none,
/// new nodes are refused: who floods a node with new ids must not make it forget those that it knows.
pub const MAX_PINS: usize = 100_000;

/// A node that was seen once only makes room for another after so long, in days: longer than most machines are switched
/// off in one go, and short enough that who fills the table shuts others out for a month, not for ever.
pub const STRANGER_DAYS: u64 = 30;

/// Pins that make room at once: the table is searched once for so many new nodes, not for each.
const ROOM_AT_ONCE: usize = 1_000;

/// Where a search has found no room and nobody who could make some, it is searched again after so long, in seconds.
const SEARCH_AGAIN_SECONDS: u64 = 3_600;

/// How far [`Pin::last_seen`] may lag behind, in seconds: a node that comes back every minute costs one write a day.
pub(crate) const LAST_SEEN_LAG_SECONDS: u64 = 86_400;

/// A key that a node id is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The node.
    pub node: NodeId,
    /// Its public key as it was given when it was pinned: Ed25519, 64 hex digits.
    pub public_key: String,
    /// What it was when it was pinned.
    pub role: NodeKind,
    /// When it was pinned.
    pub first_seen: UnixTime,
    /// When it last showed this key, up to a day later than this.
    pub last_seen: UnixTime,
}

/// Pins after a node id, as many as were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinPage {
    /// The pins, by node id.
    pub pins: Vec<Pin>,
    /// How many there are in all.
    pub total: usize,
    /// Whether there are more behind these.
    pub more: bool,
}

impl Database {
    /// All pins, by node id.
    pub(super) fn pins(&self) -> Result<Vec<Pin>, StoreError> {
        let mut query = self
            .connection
            .prepare("SELECT node_id, public_key, role, first_seen, last_seen FROM pins ORDER BY node_id")?;
        let pins = query.query_map((), read)?.collect::<Result<_, _>>()?;
        Ok(pins)
    }

    /// The pins of at most `limit` nodes whose ids come after `after`.
    pub(super) fn pins_after(&self, after: Option<&NodeId>, limit: usize) -> Result<PinPage, StoreError> {
        let mut query = self.connection.prepare(
            "SELECT node_id, public_key, role, first_seen, last_seen FROM pins WHERE node_id > ?1 \
             ORDER BY node_id LIMIT ?2",
        )?;
        let wanted = u32::try_from(limit).unwrap_or(u32::MAX).saturating_add(1);
        let after = after.map_or("", NodeId::as_str);
        let mut pins: Vec<Pin> = query.query_map(params![after, wanted], read)?.collect::<Result<_, _>>()?;
        let more = pins.len() > limit;
        pins.truncate(limit);
        Ok(PinPage { pins, total: self.count_pins()?, more })
    }

    /// Nodes that are known have been seen again. Those whose pins say so already are left as they are.
    pub(super) fn seen(&mut self, nodes: &[NodeId], now: UnixTime) -> Result<(), StoreError> {
        let change = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let long_ago = now.0.saturating_sub(Duration::from_secs(LAST_SEEN_LAG_SECONDS));
        for node in nodes {
            change.execute(
                "UPDATE pins SET last_seen = ?2 WHERE node_id = ?1 AND last_seen <= ?3",
                params![node.as_str(), millis(now), millis(UnixTime(long_ago))],
            )?;
        }
        change.commit()?;
        Ok(())
    }

    /// Where the table is full and `node` is new: forgets nodes that were seen once only, and not for
    /// [`STRANGER_DAYS`], the longest ago first, but for those that are to be `spared`. Gives those that are forgotten.
    pub(super) fn make_room(
        &mut self,
        node: &NodeId,
        now: UnixTime,
        spared: impl Fn(&NodeId) -> bool,
    ) -> Result<Vec<NodeId>, StoreError> {
        let pinned = self.count_pins()?;
        if pinned < MAX_PINS || now < self.no_room_before || self.pin_of(node)?.is_some() {
            return Ok(Vec::new());
        }
        let patience = Duration::from_secs(STRANGER_DAYS * 86_400);
        let (mut strangers, mut next) = (Vec::new(), now + Duration::from_secs(SEARCH_AGAIN_SECONDS));
        {
            let mut query = self.connection.prepare(
                "SELECT node_id, last_seen FROM pins WHERE last_seen = first_seen ORDER BY last_seen, node_id",
            )?;
            let mut rows = query.query(())?;
            while let Some(row) = rows.next()? {
                let (stranger, seen): (NodeId, _) = (text(row, 0)?, time(row, 1)?);
                if now < seen + patience {
                    next = next.min(seen + patience);
                    break;
                }
                if strangers.len() == ROOM_AT_ONCE {
                    break;
                }
                if !spared(&stranger) {
                    strangers.push(stranger);
                }
            }
        }
        if strangers.is_empty() {
            self.no_room_before = next;
            return Ok(strangers);
        }
        let change = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for stranger in &strangers {
            change.execute("DELETE FROM pins WHERE node_id = ?1", [stranger.as_str()])?;
        }
        change.commit()?;
        self.pins = Some(pinned.saturating_sub(strangers.len()));
        Ok(strangers)
    }

    /// The pin of one node.
    pub(super) fn pin_of(&self, node: &NodeId) -> Result<Option<Pin>, StoreError> {
        let mut query = self.connection.prepare(
            "SELECT node_id, public_key, role, first_seen, last_seen FROM pins WHERE node_id = ?1",
        )?;
        Ok(query.query_row([node.as_str()], read).optional()?)
    }

    /// Pins a key at first sight. What is pinned then is returned: an earlier key stays.
    pub(super) fn pin(
        &mut self,
        node: NodeId,
        public_key: String,
        role: NodeKind,
        now: UnixTime,
    ) -> Result<Pin, StoreError> {
        if let Some(mut pin) = self.pin_of(&node)? {
            let lag = now.0.saturating_sub(pin.last_seen.0);
            if pin.public_key == public_key && lag >= Duration::from_secs(LAST_SEEN_LAG_SECONDS) {
                self.connection.execute(
                    "UPDATE pins SET last_seen = ?2 WHERE node_id = ?1",
                    params![node.as_str(), millis(now)],
                )?;
                pin.last_seen = stored(now);
            }
            return Ok(pin);
        }
        let pinned = self.count_pins()?;
        if pinned >= MAX_PINS {
            return Err(StoreError::Full { what: "pinned keys", limit: MAX_PINS });
        }
        self.connection.execute(
            "INSERT INTO pins VALUES (?1, ?2, ?3, ?4, ?4)",
            params![node.as_str(), public_key, role.to_string(), millis(now)],
        )?;
        self.pins = Some(pinned + 1);
        Ok(Pin { node, public_key, role, first_seen: stored(now), last_seen: stored(now) })
    }

    /// Forgets a node's key: the next one that it shows is pinned. `false` where there is none.
    pub(super) fn forget_pin(&mut self, node: &NodeId) -> Result<bool, StoreError> {
        self.pins = None;
        self.no_room_before = UnixTime::default();
        Ok(self.connection.execute("DELETE FROM pins WHERE node_id = ?1", [node.as_str()])? > 0)
    }

    /// Counted once: with many pins it takes milliseconds.
    fn count_pins(&self) -> Result<usize, StoreError> {
        match self.pins {
            Some(pins) => Ok(pins),
            None => {
                let pins: u32 =
                    self.connection.query_row("SELECT count(*) FROM pins", (), |row| row.get(0))?;
                Ok(pins as usize)
            }
        }
    }
}

/// The time as it is after a restart.
fn stored(time: UnixTime) -> UnixTime {
    UnixTime(Duration::from_millis(millis(time).unsigned_abs()))
}

fn read(row: &Row<'_>) -> rusqlite::Result<Pin> {
    Ok(Pin {
        node: text(row, 0)?,
        public_key: row.get(1)?,
        role: kind(row, 2)?,
        first_seen: time(row, 3)?,
        last_seen: time(row, 4)?,
    })
}
