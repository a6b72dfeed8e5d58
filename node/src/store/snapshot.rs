//! What other Mains announced: kept so that a Main that restarts knows the federation before its peers are back.

use rusqlite::types::FromSqlError;
use rusqlite::{Row, TransactionBehavior, params};

use super::StoreError;
use super::database::{Database, millis, not_ours, text, time};
use crate::env::UnixTime;
use crate::wire::{Announced, NodeId};

/// The services behind one other Main, and how long that may be believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MainSnapshot {
    /// The Main.
    pub main: NodeId,
    /// Until when its entries live, unless it confirms them.
    pub expires_at: UnixTime,
    /// What it announced, by node and service.
    pub services: Vec<Announced>,
}

impl Database {
    /// What was announced and has not expired, by Main.
    pub(super) fn snapshot(&self, now: UnixTime) -> Result<Vec<MainSnapshot>, StoreError> {
        let mut query = self.connection.prepare(
            "SELECT main_id, expires_at FROM announcing_mains WHERE expires_at > ?1 ORDER BY main_id",
        )?;
        let mut mains: Vec<MainSnapshot> = query
            .query_map([millis(now)], |row| {
                Ok(MainSnapshot { main: text(row, 0)?, expires_at: time(row, 1)?, services: Vec::new() })
            })?
            .collect::<Result<_, _>>()?;
        let mut query = self
            .connection
            .prepare("SELECT entry FROM announced_services WHERE main_id = ?1 ORDER BY node_id, service")?;
        for snapshot in &mut mains {
            let services = query.query_map([snapshot.main.as_str()], read)?;
            snapshot.services = services.collect::<Result<_, _>>()?;
        }
        Ok(mains)
    }

    /// Keeps this and nothing of what was kept before, all or nothing.
    pub(super) fn replace_snapshot(&mut self, mains: &[MainSnapshot]) -> Result<(), StoreError> {
        let change = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        change.execute_batch("DELETE FROM announcing_mains; DELETE FROM announced_services")?;
        let mut add_main = change.prepare("INSERT INTO announcing_mains VALUES (?1, ?2)")?;
        let mut add_service = change.prepare("INSERT INTO announced_services VALUES (?1, ?2, ?3, ?4)")?;
        for MainSnapshot { main, expires_at, services } in mains {
            add_main.execute(params![main.as_str(), millis(*expires_at)])?;
            for service in services {
                let (node, name) = (service.node_id.as_str(), &service.name);
                // As it was on the wire: what a later version adds to an entry needs no column here.
                let entry = serde_json::to_string(service).expect("a list of texts is JSON");
                add_service.execute(params![main.as_str(), node, name, entry])?;
            }
        }
        drop((add_main, add_service));
        change.commit()?;
        Ok(())
    }

    /// Says anew until when the entries of Mains live whose entries are as they were.
    pub(super) fn confirm_snapshot(&mut self, mains: &[(NodeId, UnixTime)]) -> Result<(), StoreError> {
        let change = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for (main, expires_at) in mains {
            change.execute(
                "UPDATE announcing_mains SET expires_at = ?2 WHERE main_id = ?1",
                params![main.as_str(), millis(*expires_at)],
            )?;
        }
        change.commit()?;
        Ok(())
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Announced> {
    let entry = row.get_ref(0)?.as_str().map_err(|error| not_ours(0, error))?;
    serde_json::from_str(entry).map_err(|error| not_ours(0, FromSqlError::other(error)))
}
