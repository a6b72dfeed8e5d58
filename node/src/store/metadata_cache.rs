//! Metadata that was looked up: kept, so that a node that restarts need not look all of it up again.

use rusqlite::types::FromSqlError;
use rusqlite::{Row, TransactionBehavior, params};

use super::StoreError;
use super::database::{Database, id, millis, not_ours, time};
use crate::env::UnixTime;
use crate::metadata::{CacheChanges, CachedMetadata, Metadata};

impl Database {
    /// What has not expired by `now`, by peer id.
    pub(super) fn cached_metadata(&self, now: UnixTime) -> Result<Vec<CachedMetadata>, StoreError> {
        let mut query = self.connection.prepare(
            "SELECT peer_id, value, seq, expires_at FROM metadata_cache WHERE expires_at > ?1 ORDER BY peer_id",
        )?;
        let cached = query.query_map([millis(now)], read)?.collect::<Result<_, _>>()?;
        Ok(cached)
    }

    /// Keeps what has changed, and forgets what has expired by `now`.
    pub(super) fn keep_cached_metadata(
        &mut self,
        changes: &CacheChanges,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        let change = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        change.execute("DELETE FROM metadata_cache WHERE expires_at <= ?1", [millis(now)])?;
        let mut remove = change.prepare("DELETE FROM metadata_cache WHERE peer_id = ?1")?;
        let mut keep = change.prepare("INSERT OR REPLACE INTO metadata_cache VALUES (?1, ?2, ?3, ?4)")?;
        for peer_id in &changes.removed {
            remove.execute([peer_id.as_bytes()])?;
        }
        for CachedMetadata { peer_id, metadata, seq, expires_at } in &changes.upserts {
            match metadata.encode() {
                Ok(value) => keep.execute(params![peer_id.as_bytes(), value, seq, millis(*expires_at)])?,
                // What was read from an item can be written as one; a cache may forget the rest.
                Err(_) => remove.execute([peer_id.as_bytes()])?,
            };
        }
        drop((remove, keep));
        change.commit()?;
        Ok(())
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<CachedMetadata> {
    let value = row.get_ref(1)?.as_blob().map_err(|error| not_ours(1, error))?;
    let metadata = Metadata::decode(value).map_err(|error| not_ours(1, FromSqlError::other(error)))?;
    Ok(CachedMetadata { peer_id: id(row, 0)?, metadata, seq: row.get(2)?, expires_at: time(row, 3)? })
}
