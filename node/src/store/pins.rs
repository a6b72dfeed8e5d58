//! Pinned keys: the public key that a node showed when it was first seen.

use std::time::Duration;

use rusqlite::{OptionalExtension, Row, params};

use super::StoreError;
use super::database::{Database, kind, millis, text, time};
use crate::env::UnixTime;
use crate::wire::{NodeId, NodeKind};

/// Keys that one node pins. At the limit new nodes are refused rather than old ones forgotten: who floods a node with
/// new ids must not make it forget those that it knows.
pub const MAX_PINS: usize = 100_000;

/// How far [`Pin::last_seen`] may lag behind, in seconds: a node that comes back every minute costs one write a day.
const LAST_SEEN_LAG_SECONDS: u64 = 86_400;

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

impl Database {
    /// All pins, by node id.
    pub(super) fn pins(&self) -> Result<Vec<Pin>, StoreError> {
        let mut query = self
            .connection
            .prepare("SELECT node_id, public_key, role, first_seen, last_seen FROM pins ORDER BY node_id")?;
        let pins = query.query_map((), read)?.collect::<Result<_, _>>()?;
        Ok(pins)
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
