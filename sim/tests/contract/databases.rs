//! What is promised of databases, on every disk.

use std::io::ErrorKind;
use std::sync::Arc;

use relay_node::env::Storage;
use rusqlite::Connection;
use rusqlite::types::Value;

use crate::sites::Site;

/// Rows that do not fit into the cache of a connection.
const MANY_ROWS: u32 = 2_000;

pub(crate) fn with_table(disk: &dyn Storage) -> Connection {
    let database = disk.open_db("test.db").unwrap();
    database.execute_batch("CREATE TABLE IF NOT EXISTS t (x TEXT NOT NULL)").unwrap();
    database
}

pub(crate) fn insert(database: &Connection, value: &str) {
    database.execute("INSERT INTO t VALUES (?1)", [value]).unwrap();
}

pub(crate) fn rows(database: &Connection) -> Vec<String> {
    let mut query = database.prepare("SELECT x FROM t ORDER BY rowid").unwrap();
    let rows = query.query_map((), |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

async fn on_left(site: &Site, work: impl FnOnce(Arc<dyn Storage>) + Send + 'static) {
    let disk = Arc::clone(&site.left.storage);
    site.left.blocking("database", move || work(disk)).await.unwrap();
}

pub(crate) async fn a_database_keeps_what_was_committed(site: Site) {
    on_left(&site, |disk| {
        let database = with_table(&*disk);
        insert(&database, "one");
        insert(&database, "two");
        assert_eq!(rows(&database), ["one", "two"]);
        drop(database);
        assert_eq!(rows(&disk.open_db("test.db").unwrap()), ["one", "two"]);
        assert!(rows(&with_other_name(&*disk)).is_empty(), "each name is another database");
    })
    .await;
    let other = Arc::clone(&site.right.storage);
    site.right
        .blocking("database", move || {
            assert!(rows(&with_table(&*other)).is_empty(), "each host has its own disk");
        })
        .await
        .unwrap();
}

fn with_other_name(disk: &dyn Storage) -> Connection {
    let database = disk.open_db("other.db").unwrap();
    database.execute_batch("CREATE TABLE t (x TEXT NOT NULL)").unwrap();
    database
}

pub(crate) async fn what_was_not_committed_is_gone(site: Site) {
    on_left(&site, |disk| {
        let database = with_table(&*disk);
        insert(&database, "committed");
        database.execute_batch("BEGIN").unwrap();
        insert(&database, "not committed");
        drop(database);
        let database = disk.open_db("test.db").unwrap();
        assert_eq!(rows(&database), ["committed"]);
        database.execute_batch("BEGIN").unwrap();
        insert(&database, "taken back");
        database.execute_batch("ROLLBACK").unwrap();
        assert_eq!(rows(&database), ["committed"]);
    })
    .await;
}

pub(crate) async fn a_database_has_one_connection(site: Site) {
    on_left(&site, |disk| {
        let database = with_table(&*disk);
        let refusal = disk.open_db("test.db").unwrap_err();
        assert_eq!(refusal.kind(), ErrorKind::ResourceBusy, "{refusal}");
        assert!(refusal.to_string().contains("test.db"), "{refusal}");
        insert(&database, "the first one goes on");
        drop(database);
        assert_eq!(rows(&disk.open_db("test.db").unwrap()), ["the first one goes on"]);
    })
    .await;
}

pub(crate) async fn databases_are_opened_the_same_way(site: Site) {
    on_left(&site, |disk| {
        let database = with_table(&*disk);
        let setting = |name: &str| -> Value {
            database.query_row(&format!("PRAGMA {name}"), (), |row| row.get(0)).unwrap()
        };
        let text = |text: &str| Value::Text(text.into());
        assert_eq!(setting("journal_mode"), text("wal"));
        assert_eq!(setting("locking_mode"), text("exclusive"));
        assert_eq!(setting("synchronous"), Value::Integer(2), "FULL");
        assert_eq!(setting("page_size"), Value::Integer(1_024));
    })
    .await;
}

pub(crate) async fn a_large_transaction_is_whole_after_a_reopen(site: Site) {
    on_left(&site, |disk| {
        let mut database = with_table(&*disk);
        for round in 0..3 {
            let change = database.transaction().unwrap();
            for row in 0..MANY_ROWS {
                let value = format!("{round} {row} {}", "x".repeat(200));
                change.execute("INSERT INTO t VALUES (?1)", [value]).unwrap();
            }
            change.commit().unwrap();
            database.execute("DELETE FROM t WHERE rowid % 2 = 0", ()).unwrap();
            database.execute_batch("VACUUM").unwrap();
        }
        let before = rows(&database);
        drop(database);
        let database = disk.open_db("test.db").unwrap();
        assert_eq!(rows(&database), before);
        let verdict: String = database.query_row("PRAGMA integrity_check", (), |row| row.get(0)).unwrap();
        assert_eq!(verdict, "ok");
    })
    .await;
}

pub(crate) async fn what_is_no_database_is_refused_and_left_alone(site: Site) {
    on_left(&site, |disk| {
        disk.write("test.db", &[7; 5_000]).unwrap();
        let refusal = disk.open_db("test.db").unwrap_err();
        assert_eq!(refusal.kind(), ErrorKind::InvalidData, "{refusal}");
        assert!(refusal.to_string().contains("test.db"), "{refusal}");
        assert_eq!(disk.read("test.db").unwrap().unwrap(), [7; 5_000]);
    })
    .await;
}
