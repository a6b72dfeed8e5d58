//! The database: opened, brought to the present schema, checked.

use std::io;
use std::str::FromStr;
use std::time::Duration;

use rusqlite::types::{FromSqlError, Type};
use rusqlite::{Connection, Row};
use rusqlite_migration::{M, Migrations, SchemaVersion};

use super::seal;
use crate::dht::Id;
use crate::env::{Storage, UnixTime, database_error};
use crate::wire::NodeKind;

/// The database's name on the node's disk.
pub const DATABASE_FILE: &str = "relay.db";

/// Each step is applied once and never changed: a change is one more step at the end. Times are milliseconds since 1970.
pub(super) static STEPS: [M<'static>; 3] = [
    M::up(
        "CREATE TABLE pins (
        node_id    TEXT PRIMARY KEY NOT NULL,
        public_key TEXT NOT NULL,
        role       TEXT NOT NULL,
        first_seen INTEGER NOT NULL,
        last_seen  INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE added_peers (
        url      TEXT PRIMARY KEY NOT NULL,
        node_id  TEXT,
        added_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE removed_peers (
        node_id    TEXT PRIMARY KEY NOT NULL,
        removed_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE announcing_mains (
        main_id    TEXT PRIMARY KEY NOT NULL,
        expires_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE announced_services (
        main_id TEXT NOT NULL,
        node_id TEXT NOT NULL,
        service TEXT NOT NULL,
        entry   TEXT NOT NULL,
        PRIMARY KEY (main_id, node_id, service)
    ) STRICT, WITHOUT ROWID;",
    ),
    // Each row is sealed: a disk may change what it stores, and SQLite looks at its own structures only.
    M::up(
        "ALTER TABLE pins RENAME TO bare_pins;
    CREATE TABLE pins (
        node_id    TEXT PRIMARY KEY NOT NULL,
        public_key TEXT NOT NULL,
        role       TEXT NOT NULL,
        first_seen INTEGER NOT NULL,
        last_seen  INTEGER NOT NULL,
        seal       INTEGER NOT NULL AS (row_seal(node_id, public_key, role, first_seen, last_seen)) STORED
                   CHECK (seal = row_seal(node_id, public_key, role, first_seen, last_seen))
    ) STRICT, WITHOUT ROWID;
    INSERT INTO pins SELECT * FROM bare_pins;
    DROP TABLE bare_pins;
    ALTER TABLE added_peers RENAME TO bare_added_peers;
    CREATE TABLE added_peers (
        url      TEXT PRIMARY KEY NOT NULL,
        node_id  TEXT,
        added_at INTEGER NOT NULL,
        seal     INTEGER NOT NULL AS (row_seal(url, node_id, added_at)) STORED
                 CHECK (seal = row_seal(url, node_id, added_at))
    ) STRICT, WITHOUT ROWID;
    INSERT INTO added_peers SELECT * FROM bare_added_peers;
    DROP TABLE bare_added_peers;
    ALTER TABLE removed_peers RENAME TO bare_removed_peers;
    CREATE TABLE removed_peers (
        node_id    TEXT PRIMARY KEY NOT NULL,
        removed_at INTEGER NOT NULL,
        seal       INTEGER NOT NULL AS (row_seal(node_id, removed_at)) STORED
                   CHECK (seal = row_seal(node_id, removed_at))
    ) STRICT, WITHOUT ROWID;
    INSERT INTO removed_peers SELECT * FROM bare_removed_peers;
    DROP TABLE bare_removed_peers;
    ALTER TABLE announcing_mains RENAME TO bare_announcing_mains;
    CREATE TABLE announcing_mains (
        main_id    TEXT PRIMARY KEY NOT NULL,
        expires_at INTEGER NOT NULL,
        seal       INTEGER NOT NULL AS (row_seal(main_id, expires_at)) STORED
                   CHECK (seal = row_seal(main_id, expires_at))
    ) STRICT, WITHOUT ROWID;
    INSERT INTO announcing_mains SELECT * FROM bare_announcing_mains;
    DROP TABLE bare_announcing_mains;
    ALTER TABLE announced_services RENAME TO bare_announced_services;
    CREATE TABLE announced_services (
        main_id TEXT NOT NULL,
        node_id TEXT NOT NULL,
        service TEXT NOT NULL,
        entry   TEXT NOT NULL,
        seal    INTEGER NOT NULL AS (row_seal(main_id, node_id, service, entry)) STORED
                CHECK (seal = row_seal(main_id, node_id, service, entry)),
        PRIMARY KEY (main_id, node_id, service)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO announced_services SELECT * FROM bare_announced_services;
    DROP TABLE bare_announced_services;",
    ),
    // What is known by way of the DHT. Ids and keys are bytes: half the size of their digits.
    M::up(
        "CREATE TABLE known_peers (
        peer_id     BLOB PRIMARY KEY NOT NULL,
        dht_node_id BLOB,
        public_key  BLOB NOT NULL,
        is_relay    INTEGER NOT NULL,
        topic       TEXT NOT NULL,
        first_seen  INTEGER NOT NULL,
        last_seen   INTEGER NOT NULL,
        source      TEXT NOT NULL,
        seal        INTEGER NOT NULL AS (row_seal(peer_id, dht_node_id, public_key, is_relay, topic,
                                                  first_seen, last_seen, source)) STORED
                    CHECK (seal = row_seal(peer_id, dht_node_id, public_key, is_relay, topic,
                                           first_seen, last_seen, source))
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE metadata_cache (
        peer_id    BLOB PRIMARY KEY NOT NULL,
        value      BLOB NOT NULL,
        seq        INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        seal       INTEGER NOT NULL AS (row_seal(peer_id, value, seq, expires_at)) STORED
                   CHECK (seal = row_seal(peer_id, value, seq, expires_at))
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE dht_contacts (
        address TEXT PRIMARY KEY NOT NULL,
        node_id BLOB NOT NULL,
        seal    INTEGER NOT NULL AS (row_seal(address, node_id)) STORED
                CHECK (seal = row_seal(address, node_id))
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE own_metadata (
        seq   INTEGER PRIMARY KEY NOT NULL,
        value BLOB NOT NULL,
        seal  INTEGER NOT NULL AS (row_seal(seq, value)) STORED
              CHECK (seal = row_seal(seq, value))
    ) STRICT, WITHOUT ROWID;",
    ),
];

/// Why what a node remembers cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk does not work, or another connection holds the database.
    #[error("cannot use the database {DATABASE_FILE} in the data directory: {0}")]
    Disk(#[from] io::Error),
    /// The file is not what was written.
    #[error(
        "{DATABASE_FILE} in the data directory is damaged ({0}). It is left as it is. Restore it from a backup, or move \
         {DATABASE_FILE} and {DATABASE_FILE}-wal away: the node then starts without pinned keys, without the peers \
         added or removed by API, without its registry snapshot, its known peers and the \
         version of its metadata"
    )]
    Damaged(String),
    /// A later version wrote it.
    #[error(
        "{DATABASE_FILE} in the data directory has the schema version {found}; this program knows versions up to \
         {known}. Start a newer relay, or give this one another -data-dir"
    )]
    Newer {
        /// The schema version of the file.
        found: usize,
        /// The latest that this program knows.
        known: usize,
    },
    /// There is no room for one more.
    #[error(
        "there are {limit} {what} in {DATABASE_FILE} already, and no more fit; remove some that are not needed"
    )]
    Full {
        /// What is full.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType};
        match error {
            // A value that no version of ours writes.
            FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..) => {
                StoreError::Damaged(error.to_string())
            }
            _ => classify(database_error(&error)),
        }
    }
}

fn classify(error: io::Error) -> StoreError {
    if error.kind() == io::ErrorKind::InvalidData {
        StoreError::Damaged(error.to_string())
    } else {
        StoreError::Disk(error)
    }
}

/// The open database.
pub(super) struct Database {
    pub(super) connection: Connection,
    /// How many keys are pinned, once they were counted.
    pub(super) pins: Option<usize>,
    /// Until when no search for pins that make room can find one.
    pub(super) no_room_before: UnixTime,
}

impl Database {
    /// Opens the database on this disk, made where there is none, and brings it to the present schema.
    pub(super) fn open(disk: &dyn Storage) -> Result<Self, StoreError> {
        let mut connection = disk.open_db(DATABASE_FILE).map_err(classify)?;
        seal::register(&connection)?;
        let schema = Migrations::from_slice(&STEPS);
        if let SchemaVersion::Outside(found) = schema.current_version(&connection).map_err(migration)? {
            return Err(StoreError::Newer { found: found.get(), known: STEPS.len() });
        }
        schema.to_latest(&mut connection).map_err(migration)?;
        Ok(Database { connection, pins: None, no_room_before: UnixTime::default() })
    }

    /// Reads every page and every row, and looks at each row's seal.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] with the first damage found.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let verdict: String = self.connection.query_row("PRAGMA integrity_check(1)", (), |row| row.get(0))?;
        match verdict.as_str() {
            "ok" => Ok(()),
            _ if is_unreadable(&verdict) => Err(StoreError::Disk(io::Error::other(verdict))),
            _ => Err(StoreError::Damaged(verdict)),
        }
    }
}

/// Whether a check found a page that the disk would not give: no damage, as far as anybody can tell. SQLite writes such
/// a verdict as `… unable to get the page. error code=266`, with an extended result code.
fn is_unreadable(verdict: &str) -> bool {
    let code = verdict.rsplit_once("error code=").and_then(|(_, code)| code.trim().parse::<i32>().ok());
    code.is_some_and(|code| code & 0xff == rusqlite::ffi::SQLITE_IOERR)
}

fn migration(error: rusqlite_migration::Error) -> StoreError {
    match error {
        rusqlite_migration::Error::RusqliteError { err, .. } => err.into(),
        other => StoreError::Damaged(other.to_string()),
    }
}

/// Milliseconds since 1970, as they are stored.
pub(super) fn millis(time: UnixTime) -> i64 {
    i64::try_from(time.0.as_millis()).unwrap_or(i64::MAX)
}

/// The time in a column of milliseconds since 1970.
pub(super) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<UnixTime> {
    let millis: i64 = row.get(column)?;
    let millis =
        u64::try_from(millis).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, millis))?;
    Ok(UnixTime(Duration::from_millis(millis)))
}

/// The value in a column of text.
pub(super) fn text<T>(row: &Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    let text = row.get_ref(column)?.as_str().map_err(|error| not_ours(column, error))?;
    text.parse().map_err(|error| not_ours(column, FromSqlError::other(error)))
}

/// Main or Home, from a column of text.
pub(super) fn kind(row: &Row<'_>, column: usize) -> rusqlite::Result<NodeKind> {
    match row.get_ref(column)?.as_str().map_err(|error| not_ours(column, error))? {
        "main" => Ok(NodeKind::Main),
        "home" => Ok(NodeKind::Home),
        other => Err(not_ours(column, FromSqlError::Other(format!("no kind of node: {other}").into()))),
    }
}

/// The id in a column of bytes.
pub(super) fn id(row: &Row<'_>, column: usize) -> rusqlite::Result<Id> {
    let bytes = row.get_ref(column)?.as_blob().map_err(|error| not_ours(column, error))?;
    Id::from_slice(bytes).ok_or_else(|| not_ours(column, FromSqlError::Other("an id has 20 bytes".into())))
}

pub(super) fn not_ours(column: usize, error: FromSqlError) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}

#[cfg(test)]
mod tests {
    use super::is_unreadable;

    #[test]
    fn a_page_that_the_disk_would_not_give_is_no_damage() {
        assert!(is_unreadable("Tree 2 page 2: unable to get the page. error code=266"), "SQLITE_IOERR_READ");
        assert!(is_unreadable("unable to get the page. error code=10"), "SQLITE_IOERR");
        assert!(!is_unreadable("Tree 2 page 2: unable to get the page. error code=11"), "SQLITE_CORRUPT");
        assert!(!is_unreadable("row 1 missing from index") && !is_unreadable("error code=many"));
    }
}
