//! How a node's database is opened: every implementation of [`Storage::open_db`](super::Storage::open_db) comes through
//! here, so that they differ in the disk below and in nothing else.

use std::io;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

/// What a database is opened with. In this order: the size of a page and the way of locking are settled before the
/// journal is first touched.
///
/// The write-ahead log is synced at each commit (`FULL`), so that a commit survives a power cut. Held exclusively, it
/// needs no memory shared between processes. Pages are small because the tables are, and never written before their
/// commit (`cache_spill`), so that what is written when depends on commits alone.
const PRAGMAS: &str = "
    PRAGMA page_size = 1024;
    PRAGMA locking_mode = EXCLUSIVE;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA wal_autocheckpoint = 256;
    PRAGMA journal_size_limit = 1048576;
    PRAGMA cache_size = -64;
    PRAGMA cache_spill = OFF;
    PRAGMA temp_store = MEMORY;
    PRAGMA mmap_size = 0;
    PRAGMA cell_size_check = ON;
    PRAGMA trusted_schema = OFF;
";

/// Opens the database at `path`, made where there is none, through SQLite's file system called `vfs`; `None` is the
/// operating system's.
///
/// # Errors
/// `InvalidData` where the file is no database or a damaged one, `ResourceBusy` where another connection holds it, and
/// whatever else the disk says.
pub fn open_database(path: &Path, vfs: Option<&str>) -> io::Result<Connection> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = match vfs {
        Some(vfs) => Connection::open_with_flags_and_vfs(path, flags, vfs),
        None => Connection::open_with_flags(path, flags),
    };
    let prepare = |database: Connection| {
        // Whoever holds it holds it as long as it lives: waiting does not help.
        database.busy_timeout(Duration::ZERO)?;
        database.execute_batch(PRAGMAS)?;
        Ok(database)
    };
    opened.and_then(prepare).map_err(|error| database_error(&error))
}

/// An error of SQLite as one of the disk.
pub fn database_error(error: &rusqlite::Error) -> io::Error {
    let kind = match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => io::ErrorKind::InvalidData,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => io::ErrorKind::ResourceBusy,
        Some(ErrorCode::DiskFull) => io::ErrorKind::StorageFull,
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => io::ErrorKind::PermissionDenied,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error.to_string())
}
