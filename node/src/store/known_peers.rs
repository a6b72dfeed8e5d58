//! The nodes that this one has heard of.

use rusqlite::types::FromSqlError;
use rusqlite::{Row, TransactionBehavior, params};

use super::StoreError;
use super::database::{Database, id, millis, not_ours, time};
use crate::dht::{Id, mutable_target};
use crate::metadata::{KnownPeer, PeerChanges, Source, TOPIC};

impl Database {
    /// All known peers, by id.
    pub(super) fn known_peers(&self) -> Result<Vec<KnownPeer>, StoreError> {
        let mut query = self.connection.prepare(
            "SELECT peer_id, dht_node_id, public_key, is_relay, first_seen, last_seen, source FROM known_peers
             WHERE topic = ?1 ORDER BY peer_id",
        )?;
        let peers = query.query_map([TOPIC], read)?.collect::<Result<_, _>>()?;
        Ok(peers)
    }

    /// Removes those that are not known any more, and keeps the others. When and how a peer was first heard of stays as it
    /// was kept first, and so does its key; the last time that it was seen only moves on.
    pub(super) fn keep_known_peers(&mut self, changes: &PeerChanges) -> Result<(), StoreError> {
        let change = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut remove = change.prepare("DELETE FROM known_peers WHERE peer_id = ?1")?;
        let mut keep = change.prepare(
            "INSERT INTO known_peers VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (peer_id) DO UPDATE SET
                 last_seen = max(last_seen, excluded.last_seen),
                 dht_node_id = coalesce(dht_node_id, excluded.dht_node_id),
                 is_relay = excluded.is_relay",
        )?;
        for peer_id in &changes.removed {
            remove.execute([peer_id.as_bytes()])?;
        }
        for peer in &changes.upserts {
            keep.execute(params![
                peer.peer_id.as_bytes(),
                peer.dht_node_id.as_ref().map(Id::as_bytes),
                peer.public_key,
                peer.is_relay,
                TOPIC,
                millis(peer.first_seen),
                millis(peer.last_seen),
                peer.source.as_str(),
            ])?;
        }
        drop((remove, keep));
        change.commit()?;
        Ok(())
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<KnownPeer> {
    let bad = |column, what: &str| not_ours(column, FromSqlError::Other(what.into()));
    let peer_id = id(row, 0)?;
    let dht_node_id = match row.get_ref(1)?.as_blob_or_null() {
        Ok(None) => None,
        _ => Some(id(row, 1)?),
    };
    let public_key = row.get(2)?;
    if mutable_target(&public_key, b"") != peer_id {
        return Err(bad(2, "not the key of this peer"));
    }
    let is_relay = match row.get(3)? {
        0 => false,
        1 => true,
        other => return Err(rusqlite::Error::IntegralValueOutOfRange(3, other)),
    };
    let source = row.get_ref(6)?.as_str().map_err(|error| not_ours(6, error))?;
    let source = Source::of(source).ok_or_else(|| bad(6, "no way to hear of a peer"))?;
    let (first_seen, last_seen) = (time(row, 4)?, time(row, 5)?);
    Ok(KnownPeer { peer_id, dht_node_id, public_key, is_relay, source, first_seen, last_seen })
}
