//! What is known by way of the DHT.

use super::*;
use crate::dht::{Contact, Id, mutable_target};
use crate::metadata::{
    CacheChanges, CachedMetadata, Content, Endpoint, KnownPeer, Metadata, NodeType, OwnVersion, PeerChanges,
    Source,
};

fn peer(n: u8) -> KnownPeer {
    KnownPeer {
        peer_id: mutable_target(&[n; 32], b""),
        dht_node_id: (n.is_multiple_of(2)).then(|| Id::from_bytes([n; 20])),
        public_key: [n; 32],
        is_relay: n.is_multiple_of(3),
        source: if n.is_multiple_of(2) { Source::Link } else { Source::Shared },
        first_seen: at(10),
        last_seen: at(20),
    }
}

fn by_id(mut peers: Vec<KnownPeer>) -> Vec<KnownPeer> {
    peers.sort_by_key(|peer| peer.peer_id);
    peers
}

fn metadata(port: u16) -> Metadata {
    let content = Content {
        node_id: Some(id("relay-b")),
        node_type: NodeType::Public,
        is_relay: true,
        public: Endpoint { ip: Some("198.51.100.7".parse().unwrap()), port },
        private: Endpoint::default(),
        relay: None,
        protocols: vec!["relay.1".into()],
        capabilities: vec!["echo".into()],
        version: "0.1.0".into(),
    };
    Metadata { content, timestamp: 5, sequence: 6 }
}

fn cached(n: u8, until: u64) -> CachedMetadata {
    CachedMetadata {
        peer_id: Id::from_bytes([n; 20]),
        metadata: metadata(n.into()),
        seq: 7,
        expires_at: at(until),
    }
}

fn contact(n: u8) -> Contact {
    Contact { id: Id::from_bytes([n; 20]), address: format!("198.51.100.{n}:30609").parse().unwrap() }
}

/// A few rows in each table.
pub(super) fn fill(database: &mut Database) {
    let peers = PeerChanges { upserts: (1..6).map(peer).collect(), removed: vec![] };
    database.keep_known_peers(&peers).unwrap();
    let entries = CacheChanges { upserts: vec![cached(1, 400), cached(2, 500)], removed: vec![] };
    database.keep_cached_metadata(&entries, at(1)).unwrap();
    database.keep_dht_contacts(&[contact(1), contact(2)]).unwrap();
    let value = metadata(8080).encode().unwrap();
    database.keep_own_metadata(&OwnVersion { seq: 3, value }).unwrap();
}

#[test]
fn a_known_peer_stays_as_it_was_first_kept() {
    let home = tempfile::tempdir().unwrap();
    let disk = disk(home.path());
    let mut database = Database::open(&*disk).unwrap();
    let keep = |database: &mut Database, upserts: Vec<KnownPeer>, removed| {
        database.keep_known_peers(&PeerChanges { upserts, removed }).unwrap();
    };
    keep(&mut database, vec![peer(1), peer(2)], vec![]);
    let place = Some(Id::from_bytes([9; 20]));
    let news = |n| KnownPeer {
        dht_node_id: place,
        is_relay: true,
        source: Source::Shared,
        first_seen: at(50),
        last_seen: at(60),
        ..peer(n)
    };
    keep(&mut database, vec![news(1), news(2)], vec![]);
    keep(&mut database, vec![KnownPeer { last_seen: at(1), ..news(1) }], vec![]);
    drop(database);
    let mut database = Database::open(&*disk).unwrap();
    let (first, second) = (
        KnownPeer { dht_node_id: place, is_relay: true, last_seen: at(60), ..peer(1) },
        KnownPeer { is_relay: true, last_seen: at(60), ..peer(2) },
    );
    assert_eq!(database.known_peers().unwrap(), by_id(vec![first, second]));
    keep(&mut database, vec![peer(1)], vec![peer(1).peer_id, peer(2).peer_id]);
    assert_eq!(database.known_peers().unwrap(), [peer(1)], "what is removed and kept anew is new");
}

#[test]
fn cached_metadata_ends_with_its_time() {
    let home = tempfile::tempdir().unwrap();
    let mut database = Database::open(&*disk(home.path())).unwrap();
    let changes = |upserts, removed| CacheChanges { upserts, removed };
    let (a, b, c) = (cached(1, 100), cached(2, 200), cached(3, 300));
    database.keep_cached_metadata(&changes(vec![a.clone(), b.clone(), c.clone()], vec![]), at(1)).unwrap();
    assert_eq!(database.cached_metadata(at(99)).unwrap(), [a, b.clone(), c.clone()]);
    assert_eq!(database.cached_metadata(at(100)).unwrap(), [b.clone(), c.clone()]);
    let later = CachedMetadata { metadata: metadata(99), seq: 8, expires_at: at(400), ..c };
    database.keep_cached_metadata(&changes(vec![later.clone()], vec![b.peer_id]), at(100)).unwrap();
    let kept = database.cached_metadata(at(0)).unwrap();
    assert_eq!(kept, std::slice::from_ref(&later), "the first is gone from the disk");
    let mut unfit = metadata(1);
    unfit.content.version = "v".repeat(2_000);
    let unfit = CachedMetadata { metadata: unfit, ..later };
    database.keep_cached_metadata(&changes(vec![unfit], vec![]), at(100)).unwrap();
    assert_eq!(database.cached_metadata(at(0)).unwrap(), []);
}

#[test]
fn the_latest_contacts_and_the_latest_version_of_our_own_are_kept() {
    let home = tempfile::tempdir().unwrap();
    let mut database = Database::open(&*disk(home.path())).unwrap();
    assert_eq!((database.own_metadata().unwrap(), database.dht_contacts().unwrap()), (None, vec![]));
    fill(&mut database);
    let many: Vec<Contact> = (0..600_u16)
        .map(|port| Contact { address: ([198, 51, 100, 7], 10_000 + port).into(), ..contact(1) })
        .collect();
    database.keep_dht_contacts(&many).unwrap();
    assert_eq!(database.dht_contacts().unwrap(), many[..DHT_CONTACTS_MAX]);
    let six = Contact { address: "[2001:db8::1]:30609".parse().unwrap(), ..contact(1) };
    database.keep_dht_contacts(&[six, contact(2)]).unwrap();
    assert_eq!(database.dht_contacts().unwrap(), [contact(2), six]);
    // A seq that went back, as after a change of the key, replaces the row too.
    let version = OwnVersion { seq: 2, value: metadata(9).encode().unwrap() };
    database.keep_own_metadata(&version).unwrap();
    assert_eq!(database.own_metadata().unwrap(), Some(version));
}

#[test]
fn a_row_that_no_relay_writes_is_damage() {
    let home = tempfile::tempdir().unwrap();
    let database = Database::open(&*disk(home.path())).unwrap();
    let key = [1; 32];
    let (peer_id, key) = (mutable_target(&key, b""), hex::encode(key));
    let peer = |id: &str, place: &str, key: &str, relay: u8, source: &str| {
        format!(
            "known_peers VALUES (x'{id}', {place}, x'{key}', {relay}, 'remote-network-mesh', 1, 2, '{source}')"
        )
    };
    let peer_id = peer_id.to_string();
    let node = hex::encode([7; 20]);
    let rows = [
        peer(&node, "NULL", &key, 0, "link"),
        peer(&peer_id, "x'0102'", &key, 0, "link"),
        peer(&peer_id, "NULL", &key[2..], 0, "link"),
        peer(&peer_id, "NULL", &key, 2, "link"),
        peer(&peer_id, "NULL", &key, 1, "rumour"),
        format!("metadata_cache VALUES (x'{node}', x'323a6465', 1, 9000)"),
        format!("metadata_cache VALUES (x'{}', x'323a6465', 1, 9000)", &node[2..]),
        format!("dht_contacts VALUES ('nowhere', x'{node}')"),
        "dht_contacts VALUES ('198.51.100.7:1', x'07')".to_owned(),
        "own_metadata VALUES (-1, x'323a6465')".to_owned(),
        format!("own_metadata VALUES (1, x'{}')", "00".repeat(1_001)),
    ];
    let read = || -> Result<usize, StoreError> {
        let known = database.known_peers()?.len() + database.cached_metadata(at(1))?.len();
        Ok(known + database.dht_contacts()?.len() + usize::from(database.own_metadata()?.is_some()))
    };
    for row in rows {
        database.connection.execute_batch(&format!("INSERT INTO {row}")).unwrap();
        let error = read().expect_err(&row);
        assert!(matches!(error, StoreError::Damaged(_)), "{row}: {error:?}");
        let table = row.split(' ').next().unwrap();
        database.connection.execute_batch(&format!("DELETE FROM {table}")).unwrap();
    }
    database
        .connection
        .execute_batch(&format!("INSERT INTO {}", peer(&peer_id, "NULL", &key, 1, "link")))
        .unwrap();
    assert_eq!(read().unwrap(), 1, "and this is one that a relay writes");
}
