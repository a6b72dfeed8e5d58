//! On a real disk: what is kept, what is refused, and that nothing differs after the file was opened anew.

mod metadata;
mod model;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::database::Database;
use super::*;
use crate::env::{Env, Storage, UnixTime};
use crate::federation::Policy;
use crate::wire::{Announced, NodeId, NodeKind};

fn disk(path: &Path) -> Arc<dyn Storage> {
    Env::production(path).storage
}

fn at(seconds: u64) -> UnixTime {
    UnixTime(Duration::from_secs(seconds))
}

fn id(text: &str) -> NodeId {
    text.parse().unwrap()
}

fn added(url: &str, node: Option<&str>, seconds: u64) -> AddedPeer {
    AddedPeer { url: url.parse().unwrap(), node: node.map(id), added_at: at(seconds) }
}

fn removed(node: &str, seconds: u64) -> RemovedPeer {
    RemovedPeer { node: id(node), removed_at: at(seconds) }
}

fn announced(node: &str, name: &str) -> Announced {
    let (node_type, methods) = (NodeKind::Home, vec!["get".into(), "put \"it\"".into()]);
    Announced { name: name.into(), node_id: id(node), node_type, methods, balance: Some(Policy::Random) }
}

fn refusal(disk: &dyn Storage) -> StoreError {
    Database::open(disk).and_then(|database| database.check()).expect_err("it must be refused")
}

#[test]
fn the_first_key_of_a_node_stays() {
    let home = tempfile::tempdir().unwrap();
    let disk = disk(home.path());
    let mut database = Database::open(&*disk).unwrap();
    let first = database.pin(id("alice"), "aa".into(), NodeKind::Home, at(10)).unwrap();
    assert_eq!((first.public_key.as_str(), first.first_seen), ("aa", at(10)));
    let day = 86_400;
    let other = database.pin(id("alice"), "bb".into(), NodeKind::Main, at(10 + day)).unwrap();
    assert_eq!(other, first, "another key neither replaces the pin nor counts as seen");
    assert_eq!(database.pin(id("alice"), "aa".into(), NodeKind::Home, at(9 + day)).unwrap(), first);
    let seen = database.pin(id("alice"), "aa".into(), NodeKind::Home, at(10 + day)).unwrap();
    assert_eq!((seen.first_seen, seen.last_seen), (at(10), at(10 + day)));
    drop(database);
    let mut database = Database::open(&*disk).unwrap();
    assert_eq!(database.pins().unwrap(), [seen]);
    assert!(database.forget_pin(&id("alice")).unwrap());
    assert!(!database.forget_pin(&id("alice")).unwrap());
    assert_eq!(
        database.pin(id("alice"), "bb".into(), NodeKind::Home, at(20)).unwrap().public_key,
        "bb",
        "after that it is at first sight again"
    );
}

#[test]
fn no_more_keys_are_pinned_than_there_is_room_for() {
    let home = tempfile::tempdir().unwrap();
    let mut database = Database::open(&*disk(home.path())).unwrap();
    database.pin(id("alice"), "aa".into(), NodeKind::Home, at(1)).unwrap();
    database.pins = Some(MAX_PINS);
    let refusal = database.pin(id("bob"), "bb".into(), NodeKind::Home, at(1)).unwrap_err();
    assert!(refusal.to_string().contains("100000 pinned keys"), "{refusal}");
    database.pin(id("alice"), "aa".into(), NodeKind::Home, at(2)).expect("who is known comes in");
    database.forget_pin(&id("alice")).unwrap();
    database.pin(id("bob"), "bb".into(), NodeKind::Home, at(1)).expect("there is room again");
}

const DAY: u64 = 86_400;

/// A full table of nodes that were seen once, at this time, in seconds.
fn full_of_strangers(database: &mut Database, seen: u64) {
    database.connection.execute_batch("BEGIN").unwrap();
    let mut insert =
        database.connection.prepare("INSERT INTO pins VALUES (?1, 'aa', 'home', ?2, ?2)").unwrap();
    for n in 0..MAX_PINS {
        insert.execute((format!("s{n:06}"), (seen * 1_000).cast_signed())).unwrap();
    }
    drop(insert);
    database.connection.execute_batch("COMMIT").unwrap();
    database.pins = None;
}

#[test]
fn who_came_once_and_long_ago_makes_room() {
    let home = tempfile::tempdir().unwrap();
    let mut database = Database::open(&*disk(home.path())).unwrap();
    let nobody = |_: &NodeId| false;
    full_of_strangers(&mut database, 10 * DAY);
    database.seen(&[id("s000000")], at(10 * DAY + DAY / 2)).unwrap();
    database.seen(&[id("s000001")], at(12 * DAY)).unwrap();
    let listed = |node: &NodeId| *node == id("s000002");
    let new = id("alice");
    assert_eq!(
        database.make_room(&new, at((10 + STRANGER_DAYS) * DAY - 1), listed).unwrap(),
        [],
        "too early"
    );
    database.pin(new.clone(), "aa".into(), NodeKind::Home, at(40 * DAY)).expect_err("no room yet");
    let forgotten = database.make_room(&new, at((10 + STRANGER_DAYS) * DAY), listed).unwrap();
    assert_eq!((forgotten.len(), forgotten[0].as_str()), (1_000, "s000000"), "seen twice on one day is once");
    for kept in ["s000001", "s000002"] {
        assert!(!forgotten.contains(&id(kept)) && database.pin_of(&id(kept)).unwrap().is_some(), "{kept}");
    }
    assert_eq!(database.pin_of(&forgotten[999]).unwrap(), None);
    database.pin(new.clone(), "aa".into(), NodeKind::Home, at(40 * DAY)).unwrap();
    assert_eq!(database.pins_after(None, 1).unwrap().total, MAX_PINS - 999);
    assert_eq!(database.make_room(&id("bob"), at(40 * DAY), nobody).unwrap(), [], "there is room");
}

#[test]
fn a_table_that_is_full_of_those_that_stay_is_not_searched_for_each_who_comes() {
    let home = tempfile::tempdir().unwrap();
    let mut database = Database::open(&*disk(home.path())).unwrap();
    let nobody = |_: &NodeId| false;
    database.pin(id("regular"), "aa".into(), NodeKind::Home, at(0)).unwrap();
    database.pin(id("regular"), "aa".into(), NodeKind::Home, at(40 * DAY)).unwrap();
    database.pins = Some(MAX_PINS);
    let now = at(100 * DAY);
    assert_eq!(database.make_room(&id("alice"), now, nobody).unwrap(), []);
    assert!(database.no_room_before > now, "it is not looked again at once");
    assert_eq!(database.make_room(&id("regular"), now, nobody).unwrap(), [], "who is known needs no room");
    database.forget_pin(&id("regular")).unwrap();
    assert!(database.no_room_before <= now, "an operator has made some");
}

#[test]
fn pins_come_in_pages() {
    let home = tempfile::tempdir().unwrap();
    let mut database = Database::open(&*disk(home.path())).unwrap();
    for node in ["b", "a", "c"] {
        database.pin(id(node), "aa".into(), NodeKind::Home, at(1)).unwrap();
    }
    let page = |after: Option<&str>, limit| {
        let page = database.pins_after(after.map(id).as_ref(), limit).unwrap();
        let nodes: Vec<String> = page.pins.iter().map(|pin| pin.node.to_string()).collect();
        (nodes.join(" "), page.total, page.more)
    };
    assert_eq!(page(None, 2), ("a b".into(), 3, true));
    assert_eq!(page(Some("b"), 2), ("c".into(), 3, false));
    assert_eq!(page(None, 3), ("a b c".into(), 3, false));
    assert_eq!(page(Some("c"), 1), (String::new(), 3, false));
}

#[test]
fn the_oldest_removal_is_forgotten_and_no_more_peers_are_added_than_there_is_room_for() {
    let home = tempfile::tempdir().unwrap();
    let mut database = Database::open(&*disk(home.path())).unwrap();
    // One transaction instead of a thousand: each would be synced.
    database.connection.execute_batch("BEGIN").unwrap();
    for n in 0..MAX_REMOVED_PEERS {
        let statement = format!("INSERT INTO removed_peers VALUES ('r{n}', {n}000)");
        database.connection.execute_batch(&statement).unwrap();
    }
    for n in 0..MAX_ADDED_PEERS {
        let statement = format!("INSERT INTO added_peers VALUES ('ws://a{n}:80', NULL, 0)");
        database.connection.execute_batch(&statement).unwrap();
    }
    database.connection.execute_batch("COMMIT").unwrap();
    database.remove_peer(&removed("one-more", 5_000), &[]).unwrap();
    let refusal = database.add_peer(&added("ws://one-more:80", Some("r7"), 1)).unwrap_err();
    assert!(refusal.to_string().contains("1024 peers added by API"), "{refusal}");
    let peers = database.peers().unwrap();
    assert_eq!(peers.added.len(), MAX_ADDED_PEERS);
    assert_eq!(peers.removed.len(), MAX_REMOVED_PEERS);
    assert_eq!(
        peers.removed[0],
        removed("r1", 1),
        "r0 is forgotten; r7 stays removed, as its addition failed"
    );
    assert_eq!(peers.removed.last(), Some(&removed("one-more", 5_000)));
}

#[test]
fn a_snapshot_ends_with_its_time_and_is_confirmed_by_main() {
    let home = tempfile::tempdir().unwrap();
    let mut database = Database::open(&*disk(home.path())).unwrap();
    let snapshot =
        |main: &str, until: u64, services| MainSnapshot { main: id(main), expires_at: at(until), services };
    let a = snapshot("a", 100, vec![announced("alice", "blog"), announced("alice", "shop")]);
    let b = snapshot("b", 200, vec![]);
    database.replace_snapshot(&[snapshot("gone", 300, vec![announced("bob", "blog")])]).unwrap();
    database.replace_snapshot(&[a.clone(), b.clone()]).unwrap();
    assert_eq!(database.snapshot(at(99)).unwrap(), [a.clone(), b.clone()]);
    assert_eq!(database.snapshot(at(100)).unwrap(), [b]);
    database.confirm_snapshot(&[(id("a"), at(400)), (id("nobody"), at(400))]).unwrap();
    assert_eq!(database.snapshot(at(399)).unwrap(), [MainSnapshot { expires_at: at(400), ..a }]);
}

#[test]
fn a_damaged_file_is_refused_in_words_and_left_as_it_is() {
    let home = tempfile::tempdir().unwrap();
    let disk = disk(home.path());
    let mut database = Database::open(&*disk).unwrap();
    for n in 0..200 {
        database.pin(id(&format!("node-{n}")), "ab".repeat(32), NodeKind::Home, at(n)).unwrap();
    }
    drop(database);
    let whole = disk.read(DATABASE_FILE).unwrap().unwrap();
    Database::open(&*disk).and_then(|database| database.check()).expect("it is whole");
    let (mut head, mut page, mut end) = (whole.clone(), whole.clone(), whole);
    head[..100].fill(b'x');
    let middle = page.len() / 2 / 1024 * 1024;
    page[middle..middle + 512].fill(0xff);
    end.truncate(end.len() / 2);
    for (what, file) in [("its head", head), ("a page", page), ("its end", end)] {
        disk.write(DATABASE_FILE, &file).unwrap();
        let error = refusal(&*disk);
        assert!(matches!(error, StoreError::Damaged(_)), "{what}: {error:?}");
        for words in ["relay.db", "damaged", "backup"] {
            assert!(error.to_string().contains(words), "{what}: {error}");
        }
        assert_eq!(disk.read(DATABASE_FILE).unwrap().unwrap(), file, "{what}");
    }
}

/// One bit of the file is wrong, at each of many places in turn: it is refused, or reads as it was.
#[test]
fn no_rotten_bit_is_taken_for_a_value() {
    let home = tempfile::tempdir().unwrap();
    let disk = disk(home.path());
    let read = |database: &Database| -> Result<String, StoreError> {
        database.check()?;
        let federation =
            format!("{:?} {:?} {:?}", database.pins()?, database.peers()?, database.snapshot(at(1))?);
        let (peers, cached) = (database.known_peers()?, database.cached_metadata(at(1))?);
        let (contacts, own) = (database.dht_contacts()?, database.own_metadata()?);
        Ok(format!("{federation} {peers:?} {cached:?} {contacts:?} {own:?}"))
    };
    let mut database = Database::open(&*disk).unwrap();
    for n in 0..12 {
        database.pin(id(&format!("node-{n}")), format!("{n:02}").repeat(32), NodeKind::Home, at(n)).unwrap();
    }
    database.add_peer(&added("ws://b:8080", Some("relay-b"), 5)).unwrap();
    database.remove_peer(&removed("relay-c", 6), &[]).unwrap();
    let services = vec![announced("bob", "blog"), announced("bob", "shop")];
    database.replace_snapshot(&[MainSnapshot { main: id("b"), expires_at: at(400), services }]).unwrap();
    metadata::fill(&mut database);
    let before = read(&database).unwrap();
    drop(database);
    let whole = disk.read(DATABASE_FILE).unwrap().unwrap();
    let mut refused = 0;
    for place in (0..whole.len()).step_by(37) {
        let mut rotten = whole.clone();
        rotten[place] ^= 1 << (place % 8);
        disk.write(DATABASE_FILE, &rotten).unwrap();
        match Database::open(&*disk).and_then(|database| read(&database)) {
            Ok(found) => assert_eq!(found, before, "byte {place}"),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 30, "{refused}");
}

#[test]
fn what_an_earlier_version_kept_is_there_and_sealed() {
    let home = tempfile::tempdir().unwrap();
    let disk = disk(home.path());
    let mut connection = disk.open_db(DATABASE_FILE).unwrap();
    rusqlite_migration::Migrations::from_slice(&super::database::STEPS)
        .to_version(&mut connection, 1)
        .unwrap();
    let rows = "INSERT INTO pins VALUES ('alice', 'aa', 'home', 1000, 2000);
        INSERT INTO added_peers VALUES ('ws://b:8080/', 'relay-b', 5000);
        INSERT INTO removed_peers VALUES ('relay-c', 6000);
        INSERT INTO announcing_mains VALUES ('b', 400000);";
    connection.execute_batch(rows).unwrap();
    drop(connection);
    let database = Database::open(&*disk).unwrap();
    database.check().unwrap();
    assert_eq!(database.pins().unwrap()[0].public_key, "aa");
    let peers = database.peers().unwrap();
    assert_eq!((peers.added.len(), peers.removed), (1, vec![removed("relay-c", 6)]));
    assert_eq!(database.snapshot(at(1)).unwrap()[0].expires_at, at(400));
}

#[test]
fn a_value_that_no_relay_writes_is_damage() {
    let home = tempfile::tempdir().unwrap();
    let database = Database::open(&*disk(home.path())).unwrap();
    for row in ["'a b', NULL, 0", "'a', 'not a node id', 0", "'ws://a:1', NULL, -1"] {
        database.connection.execute_batch(&format!("INSERT INTO added_peers VALUES ({row})")).unwrap();
        let error = database.peers().unwrap_err();
        assert!(matches!(error, StoreError::Damaged(_)), "{row}: {error:?}");
        database.connection.execute_batch("DELETE FROM added_peers").unwrap();
    }
}

#[test]
fn the_database_of_a_later_version_is_refused_in_words() {
    let home = tempfile::tempdir().unwrap();
    let disk = disk(home.path());
    let database = Database::open(&*disk).unwrap();
    database.connection.execute_batch("PRAGMA user_version = 77").unwrap();
    drop(database);
    let error = refusal(&*disk);
    assert!(matches!(error, StoreError::Newer { found: 77, known: 3 }), "{error:?}");
    for words in ["77", "newer relay", "-data-dir"] {
        assert!(error.to_string().contains(words), "{error}");
    }
}

/// A kept schema step must never change: nodes out there have applied it.
#[test]
fn the_schema_is_what_it_was() {
    let home = tempfile::tempdir().unwrap();
    let database = Database::open(&*disk(home.path())).unwrap();
    let mut query = database.connection.prepare("SELECT name, sql FROM sqlite_schema").unwrap();
    let rows = query.query_map((), |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let tables: BTreeMap<String, String> = rows.collect::<Result<_, _>>().unwrap();
    let expected = [
        (
            "added_peers",
            "url TEXT PRIMARY KEY NOT NULL, node_id TEXT, added_at INTEGER NOT NULL",
            "url, node_id, added_at",
        ),
        (
            "announced_services",
            "main_id TEXT NOT NULL, node_id TEXT NOT NULL, service TEXT NOT NULL, entry TEXT NOT NULL",
            "main_id, node_id, service, entry",
        ),
        (
            "announcing_mains",
            "main_id TEXT PRIMARY KEY NOT NULL, expires_at INTEGER NOT NULL",
            "main_id, expires_at",
        ),
        ("dht_contacts", "address TEXT PRIMARY KEY NOT NULL, node_id BLOB NOT NULL", "address, node_id"),
        (
            "known_peers",
            "peer_id BLOB PRIMARY KEY NOT NULL, dht_node_id BLOB, public_key BLOB NOT NULL, \
             is_relay INTEGER NOT NULL, topic TEXT NOT NULL, first_seen INTEGER NOT NULL, \
             last_seen INTEGER NOT NULL, source TEXT NOT NULL",
            "peer_id, dht_node_id, public_key, is_relay, topic, first_seen, last_seen, source",
        ),
        (
            "metadata_cache",
            "peer_id BLOB PRIMARY KEY NOT NULL, value BLOB NOT NULL, seq INTEGER NOT NULL, \
             expires_at INTEGER NOT NULL",
            "peer_id, value, seq, expires_at",
        ),
        ("own_metadata", "seq INTEGER PRIMARY KEY NOT NULL, value BLOB NOT NULL", "seq, value"),
        (
            "pins",
            "node_id TEXT PRIMARY KEY NOT NULL, public_key TEXT NOT NULL, role TEXT NOT NULL, \
             first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL",
            "node_id, public_key, role, first_seen, last_seen",
        ),
        (
            "removed_peers",
            "node_id TEXT PRIMARY KEY NOT NULL, removed_at INTEGER NOT NULL",
            "node_id, removed_at",
        ),
    ];
    let expected: BTreeMap<String, String> = expected
        .map(|(name, columns, sealed)| {
            let seal = format!(
                "seal INTEGER NOT NULL AS (row_seal({sealed})) STORED CHECK (seal = row_seal({sealed}))"
            );
            let key =
                if name == "announced_services" { ", PRIMARY KEY (main_id, node_id, service)" } else { "" };
            (name.into(), format!("CREATE TABLE {name} ( {columns}, {seal}{key} ) STRICT, WITHOUT ROWID"))
        })
        .into();
    let found =
        tables.into_iter().map(|(name, sql)| (name, sql.split_whitespace().collect::<Vec<_>>().join(" ")));
    assert_eq!(found.collect::<BTreeMap<_, _>>(), expected);
}
