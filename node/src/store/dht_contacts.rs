//! The nodes of the DHT that were known: ways in after a restart, when the first ones are gone.

use rusqlite::{Row, TransactionBehavior, params};

use super::StoreError;
use super::database::{Database, id, text};
use crate::dht::Contact;

/// Nodes that are kept at most.
pub const DHT_CONTACTS_MAX: usize = 512;

impl Database {
    /// Those that are kept, by address.
    pub(super) fn dht_contacts(&self) -> Result<Vec<Contact>, StoreError> {
        let mut query =
            self.connection.prepare("SELECT address, node_id FROM dht_contacts ORDER BY address")?;
        let contacts = query.query_map((), read)?.collect::<Result<_, _>>()?;
        Ok(contacts)
    }

    /// Keeps these and none of those before.
    pub(super) fn keep_dht_contacts(&mut self, contacts: &[Contact]) -> Result<(), StoreError> {
        let change = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        change.execute("DELETE FROM dht_contacts", ())?;
        let mut keep = change.prepare("INSERT OR REPLACE INTO dht_contacts VALUES (?1, ?2)")?;
        for contact in contacts.iter().take(DHT_CONTACTS_MAX) {
            keep.execute(params![contact.address.to_string(), contact.id.as_bytes()])?;
        }
        drop(keep);
        change.commit()?;
        Ok(())
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Contact> {
    Ok(Contact { address: text(row, 0)?, id: id(row, 1)? })
}
