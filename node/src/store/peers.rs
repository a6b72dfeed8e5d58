//! What the operator changed of the list of peers while the node ran: who was added, and who was removed and is kept out.

use rusqlite::{Row, TransactionBehavior, params};

use super::StoreError;
use super::database::{Database, millis, text, time};
use crate::env::UnixTime;
use crate::link::RelayUrl;
use crate::wire::NodeId;

/// Peers that may have been added.
pub const MAX_ADDED_PEERS: usize = 1_024;

/// Peers that may have been removed and are kept out. The one that was removed first is forgotten for one more.
pub const MAX_REMOVED_PEERS: usize = 1_024;

/// A peer that was added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddedPeer {
    /// Where it is dialled.
    pub url: RelayUrl,
    /// Who it is, where that was said.
    pub node: Option<NodeId>,
    /// When it was added.
    pub added_at: UnixTime,
}

/// A peer that was removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemovedPeer {
    /// Who it is.
    pub node: NodeId,
    /// When it was removed.
    pub removed_at: UnixTime,
}

/// All that was changed and not taken back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peers {
    /// Those that were added, by time, then by URL.
    pub added: Vec<AddedPeer>,
    /// Those that were removed, by time, then by id.
    pub removed: Vec<RemovedPeer>,
}

impl Database {
    /// Who was added, and who was removed.
    pub(super) fn peers(&self) -> Result<Peers, StoreError> {
        let mut query = self
            .connection
            .prepare("SELECT url, node_id, added_at FROM added_peers ORDER BY added_at, url")?;
        let added = query.query_map((), read_added)?.collect::<Result<_, _>>()?;
        let mut query = self
            .connection
            .prepare("SELECT node_id, removed_at FROM removed_peers ORDER BY removed_at, node_id")?;
        let removed = query.query_map((), read_removed)?.collect::<Result<_, _>>()?;
        Ok(Peers { added, removed })
    }

    /// Keeps a peer that was added; where it had been removed, that is taken back. A URL that was added before keeps its
    /// time.
    pub(super) fn add_peer(&mut self, peer: &AddedPeer) -> Result<(), StoreError> {
        let change = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let node = peer.node.as_ref().map(NodeId::as_str);
        change.execute("DELETE FROM removed_peers WHERE node_id = ?1", [node])?;
        change.execute(
            "INSERT INTO added_peers VALUES (?1, ?2, ?3) ON CONFLICT (url) DO UPDATE SET node_id = excluded.node_id",
            params![peer.url.to_string(), node, millis(peer.added_at)],
        )?;
        let added: u32 = change.query_row("SELECT count(*) FROM added_peers", (), |row| row.get(0))?;
        if added as usize > MAX_ADDED_PEERS {
            return Err(StoreError::Full { what: "peers added by API", limit: MAX_ADDED_PEERS });
        }
        change.commit()?;
        Ok(())
    }

    /// Keeps that a peer was removed; where it had been added, under its id or as one of these URLs, that is taken back.
    pub(super) fn remove_peer(&mut self, peer: &RemovedPeer, urls: &[RelayUrl]) -> Result<(), StoreError> {
        let change = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let node = peer.node.as_str();
        change.execute("DELETE FROM added_peers WHERE node_id = ?1", [node])?;
        for url in urls {
            change.execute("DELETE FROM added_peers WHERE url = ?1", [url.to_string()])?;
        }
        change.execute(
            "INSERT INTO removed_peers VALUES (?1, ?2) ON CONFLICT DO UPDATE SET removed_at = excluded.removed_at",
            params![node, millis(peer.removed_at)],
        )?;
        change.execute(
            "DELETE FROM removed_peers WHERE node_id IN (
                SELECT node_id FROM removed_peers ORDER BY removed_at DESC, node_id DESC LIMIT -1 OFFSET ?1)",
            [u32::try_from(MAX_REMOVED_PEERS).expect("the limit is small")],
        )?;
        change.commit()?;
        Ok(())
    }
}

fn read_added(row: &Row<'_>) -> rusqlite::Result<AddedPeer> {
    let node = match row.get_ref(1)?.as_str_or_null() {
        Ok(None) => None,
        _ => Some(text(row, 1)?),
    };
    Ok(AddedPeer { url: text(row, 0)?, node, added_at: time(row, 2)? })
}

fn read_removed(row: &Row<'_>) -> rusqlite::Result<RemovedPeer> {
    Ok(RemovedPeer { node: text(row, 0)?, removed_at: time(row, 1)? })
}
