//! After any sequence of operations, and a restart anywhere, the database holds what a plain model holds.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::dht::{Contact, Id, mutable_target};
use crate::link::RelayUrl;
use crate::metadata::{KnownPeer, PeerChanges, Source};

/// What each Main announced, and until when that lives.
type Announcements = BTreeMap<NodeId, (UnixTime, BTreeMap<(NodeId, String), Announced>)>;

#[derive(Clone, Debug)]
enum Step {
    Pin(NodeId, String, NodeKind),
    ForgetPin(NodeId),
    Add(AddedPeer),
    Remove(RemovedPeer, RelayUrl),
    ReplaceSnapshot(Announcements),
    ConfirmSnapshot(NodeId, UnixTime),
    KnowPeers(PeerChanges),
    Contacts(BTreeMap<String, Contact>),
    Restart,
}

#[derive(Default)]
struct Model {
    pins: BTreeMap<NodeId, (String, NodeKind)>,
    added: BTreeMap<String, AddedPeer>,
    removed: BTreeMap<NodeId, RemovedPeer>,
    snapshot: BTreeMap<NodeId, MainSnapshot>,
    known: BTreeMap<Id, KnownPeer>,
    contacts: BTreeMap<String, Contact>,
}

impl Model {
    fn apply(&mut self, step: Step) {
        match step {
            Step::Pin(node, key, role) => {
                self.pins.entry(node).or_insert((key, role));
            }
            Step::ForgetPin(node) => {
                self.pins.remove(&node);
            }
            Step::Add(peer) => {
                self.removed.retain(|node, _| Some(node) != peer.node.as_ref());
                let added_at =
                    self.added.get(&peer.url.to_string()).map_or(peer.added_at, |earlier| earlier.added_at);
                self.added.insert(peer.url.to_string(), AddedPeer { added_at, ..peer });
            }
            Step::Remove(peer, url) => {
                self.added.retain(|_, added| added.node.as_ref() != Some(&peer.node) && added.url != url);
                self.removed.insert(peer.node.clone(), peer);
            }
            Step::ReplaceSnapshot(mains) => {
                let mains = mains.into_iter().map(|(main, (expires_at, services))| {
                    let services = services.into_values().collect();
                    (main.clone(), MainSnapshot { main, expires_at, services })
                });
                self.snapshot = mains.collect();
            }
            Step::ConfirmSnapshot(main, expires_at) => {
                if let Some(kept) = self.snapshot.get_mut(&main) {
                    kept.expires_at = expires_at;
                }
            }
            Step::KnowPeers(PeerChanges { upserts, removed }) => {
                self.known.retain(|peer_id, _| !removed.contains(peer_id));
                for peer in upserts {
                    let kept = self.known.entry(peer.peer_id).or_insert(peer);
                    kept.last_seen = kept.last_seen.max(peer.last_seen);
                    kept.dht_node_id = kept.dht_node_id.or(peer.dht_node_id);
                    kept.is_relay = peer.is_relay;
                }
            }
            Step::Contacts(contacts) => self.contacts = contacts,
            Step::Restart => {}
        }
    }

    fn peers(&self) -> Peers {
        let mut added: Vec<_> = self.added.values().cloned().collect();
        added.sort_by_key(|peer| (peer.added_at, peer.url.to_string()));
        let mut removed: Vec<_> = self.removed.values().cloned().collect();
        removed.sort_by_key(|peer| (peer.removed_at, peer.node.clone()));
        Peers { added, removed }
    }
}

fn apply(database: &mut Database, step: Step) -> Result<(), StoreError> {
    match step {
        Step::Pin(node, key, role) => database.pin(node, key, role, at(5)).map(drop),
        Step::ForgetPin(node) => database.forget_pin(&node).map(drop),
        Step::Add(peer) => database.add_peer(&peer),
        Step::Remove(peer, url) => database.remove_peer(&peer, &[url]),
        Step::ReplaceSnapshot(mains) => {
            let mains = mains.into_iter().map(|(main, (expires_at, services))| MainSnapshot {
                main,
                expires_at,
                services: services.into_values().collect(),
            });
            database.replace_snapshot(&mains.collect::<Vec<_>>())
        }
        Step::ConfirmSnapshot(main, expires_at) => database.confirm_snapshot(&[(main, expires_at)]),
        Step::KnowPeers(changes) => database.keep_known_peers(&changes),
        Step::Contacts(contacts) => database.keep_dht_contacts(&contacts.into_values().collect::<Vec<_>>()),
        Step::Restart => Ok(()),
    }
}

fn a_node() -> impl Strategy<Value = NodeId> {
    prop_oneof!["[a-d]", "[a-zA-Z0-9._-]{1,128}"].prop_map(|text| text.parse().unwrap())
}

fn a_kind() -> impl Strategy<Value = NodeKind> {
    prop_oneof![Just(NodeKind::Main), Just(NodeKind::Home)]
}

fn a_time() -> impl Strategy<Value = UnixTime> {
    (1..100_000_000_u64).prop_map(|millis| UnixTime(Duration::from_millis(millis)))
}

fn a_url() -> impl Strategy<Value = RelayUrl> {
    prop_oneof!["ws://[a-d]", "ws://[a-d]:[1-9][0-9]{0,3}/[a-z]{0,3}"].prop_map(|text| text.parse().unwrap())
}

fn an_announcement() -> impl Strategy<Value = ((NodeId, String), Announced)> {
    (a_node(), "[a-zA-Z0-9._-]{1,128}", a_kind(), prop::collection::vec(any::<String>(), 0..3)).prop_map(
        |(node_id, name, node_type, methods)| {
            ((node_id.clone(), name.clone()), Announced { name, node_id, node_type, methods, balance: None })
        },
    )
}

fn a_peer() -> impl Strategy<Value = KnownPeer> {
    let place = prop::option::of(any::<[u8; 20]>());
    (0_u8..5, place, any::<bool>(), any::<bool>(), a_time(), a_time()).prop_map(
        |(n, place, is_relay, is_link, first_seen, last_seen)| KnownPeer {
            peer_id: mutable_target(&[n; 32], b""),
            dht_node_id: place.map(Id::from_bytes),
            public_key: [n; 32],
            is_relay,
            source: if is_link { Source::Link } else { Source::Shared },
            first_seen,
            last_seen,
        },
    )
}

fn some_changes() -> impl Strategy<Value = PeerChanges> {
    let peers = || prop::collection::vec(a_peer(), 0..4);
    (peers(), peers()).prop_map(|(upserts, gone)| PeerChanges {
        upserts,
        removed: gone.iter().map(|peer| peer.peer_id).collect(),
    })
}

fn some_contacts() -> impl Strategy<Value = BTreeMap<String, Contact>> {
    let contact = (any::<[u8; 20]>(), any::<std::net::IpAddr>(), any::<u16>())
        .prop_map(|(id, ip, port)| Contact { id: Id::from_bytes(id), address: (ip, port).into() });
    prop::collection::vec(contact, 0..4).prop_map(|contacts| {
        contacts.into_iter().map(|contact| (contact.address.to_string(), contact)).collect()
    })
}

fn a_step() -> impl Strategy<Value = Step> {
    let main = (a_time(), prop::collection::btree_map(a_node(), an_announcement(), 0..4))
        .prop_map(|(until, services)| (until, services.into_values().collect()));
    prop_oneof![
        3 => (a_node(), "[0-9a-f]{64}", a_kind()).prop_map(|(node, key, role)| Step::Pin(node, key, role)),
        1 => a_node().prop_map(Step::ForgetPin),
        3 => (a_url(), prop::option::of(a_node()), a_time())
            .prop_map(|(url, node, added_at)| Step::Add(AddedPeer { url, node, added_at })),
        2 => (a_node(), a_time(), a_url())
            .prop_map(|(node, removed_at, url)| Step::Remove(RemovedPeer { node, removed_at }, url)),
        2 => prop::collection::btree_map(a_node(), main, 0..4).prop_map(Step::ReplaceSnapshot),
        1 => (a_node(), a_time()).prop_map(|(main, until)| Step::ConfirmSnapshot(main, until)),
        2 => some_changes().prop_map(Step::KnowPeers),
        1 => some_contacts().prop_map(Step::Contacts),
        2 => Just(Step::Restart),
    ]
}

proptest! {
    // Each step is synced to a real disk.
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_database_holds_what_a_plain_model_holds(steps in prop::collection::vec(a_step(), 1..30)) {
        let home = tempfile::tempdir().unwrap();
        let disk = disk(home.path());
        let mut model = Model::default();
        let mut database = Some(Database::open(&*disk).unwrap());
        for step in steps.into_iter().chain([Step::Restart]) {
            if let Step::Restart = step {
                // One connection at a time.
                drop(database.take());
                database = Some(Database::open(&*disk).unwrap());
            }
            let database = database.as_mut().expect("open between steps");
            apply(database, step.clone()).unwrap();
            model.apply(step);
            let pins: BTreeMap<_, _> = database
                .pins()
                .unwrap()
                .into_iter()
                .map(|pin| (pin.node, (pin.public_key, pin.role)))
                .collect();
            prop_assert_eq!(&pins, &model.pins);
            prop_assert_eq!(database.peers().unwrap(), model.peers());
            let snapshot = database.snapshot(UnixTime::default()).unwrap();
            prop_assert_eq!(snapshot, model.snapshot.values().cloned().collect::<Vec<_>>());
            prop_assert_eq!(database.known_peers().unwrap(), model.known.values().copied().collect::<Vec<_>>());
            prop_assert_eq!(
                database.dht_contacts().unwrap(),
                model.contacts.values().copied().collect::<Vec<_>>()
            );
        }
        database.expect("open at the end").check().unwrap();
    }
}
