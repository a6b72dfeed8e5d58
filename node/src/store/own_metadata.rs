//! The latest version of this node's own metadata: one row, so that a restart publishes the same bytes under the same seq.

use rusqlite::{OptionalExtension as _, TransactionBehavior, params};

use super::StoreError;
use super::database::Database;
use crate::dht::VALUE_BYTES_MAX;
use crate::metadata::OwnVersion;

impl Database {
    /// The version that is kept.
    pub(super) fn own_metadata(&self) -> Result<Option<OwnVersion>, StoreError> {
        let mut query =
            self.connection.prepare("SELECT seq, value FROM own_metadata ORDER BY seq DESC LIMIT 1")?;
        let kept = query.query_row((), |row| Ok(OwnVersion { seq: row.get(0)?, value: row.get(1)? }));
        let kept = kept.optional()?;
        if kept.as_ref().is_some_and(|version| version.seq < 0 || version.value.len() > VALUE_BYTES_MAX) {
            return Err(StoreError::Damaged("own_metadata holds what is no item of the DHT".into()));
        }
        Ok(kept)
    }

    /// Keeps a version in place of the one before.
    pub(super) fn keep_own_metadata(&mut self, version: &OwnVersion) -> Result<(), StoreError> {
        let change = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        change.execute("DELETE FROM own_metadata", ())?;
        change.execute("INSERT INTO own_metadata VALUES (?1, ?2)", params![version.seq, version.value])?;
        change.commit()?;
        Ok(())
    }
}
