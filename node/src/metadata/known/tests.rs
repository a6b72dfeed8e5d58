use proptest::prelude::*;

use super::*;

fn at(seconds: u64) -> UnixTime {
    UnixTime(Duration::from_secs(seconds))
}

fn key(n: usize) -> [u8; KEY_BYTES] {
    let mut key = [0; KEY_BYTES];
    key[..8].copy_from_slice(&n.to_le_bytes());
    key
}

fn id(n: usize) -> Id {
    mutable_target(&key(n), b"")
}

fn news(n: usize, source: Source) -> PeerNews {
    PeerNews { peer_id: id(n), dht_node_id: None, public_key: key(n), is_relay: false, source }
}

fn ours() -> KnownPeers {
    KnownPeers::new(id(usize::MAX))
}

/// As many as there may be, each seen a second after the one before.
fn full(source: impl Fn(usize) -> Source) -> KnownPeers {
    let mut known = ours();
    for n in 0..KNOWN_PEERS_MAX {
        assert_eq!(known.learn(news(n, source(n)), at(n as u64)), Learned::New);
    }
    known
}

#[test]
fn who_is_not_of_its_key_or_ourselves_is_refused() {
    let mut known = ours();
    let other = PeerNews { public_key: key(2), ..news(1, Source::Link) };
    assert_eq!(known.learn(other, at(1)), Learned::Refused(Refusal::NotItsKey));
    assert_eq!(known.learn(news(usize::MAX, Source::Link), at(1)), Learned::Refused(Refusal::Ourselves));
    assert!(known.is_empty() && known.take_changes().is_empty());
}

#[test]
fn what_is_known_stays_but_for_the_last_time_seen() {
    let mut known = ours();
    assert_eq!(known.learn(news(1, Source::Shared), at(10)), Learned::New);
    let place = Some(Id::from_bytes([3; 20]));
    let more = PeerNews { dht_node_id: place, is_relay: true, ..news(1, Source::Shared) };
    assert_eq!(known.learn(more, at(20)), Learned::Seen);
    let expected = KnownPeer {
        peer_id: id(1),
        dht_node_id: place,
        public_key: key(1),
        is_relay: false,
        source: Source::Shared,
        first_seen: at(10),
        last_seen: at(20),
    };
    assert_eq!(known.get(&id(1)), Some(expected), "hearsay makes nobody a relay");
    let itself =
        PeerNews { dht_node_id: Some(Id::from_bytes([4; 20])), is_relay: true, ..news(1, Source::Link) };
    known.learn(itself, at(15));
    let met = KnownPeer { is_relay: true, source: Source::Link, ..expected };
    assert_eq!(known.get(&id(1)), Some(met), "time does not go back");
    assert_eq!(known.get(&id(2)), None);
}

#[test]
fn who_is_met_takes_the_place_of_one_only_told_of() {
    let mut known = full(|n| if n < 3 { Source::Link } else { Source::Shared });
    known.learn(news(3, Source::Shared), at(99_999));
    known.take_changes();
    let late = at(100_000);
    assert_eq!(known.learn(news(70_000, Source::Shared), late), Learned::Refused(Refusal::Full));
    assert_eq!(known.learn(news(70_000, Source::Link), late), Learned::New);
    assert_eq!(known.len(), KNOWN_PEERS_MAX);
    assert_eq!(known.get(&id(4)), None, "0 to 2 were met, 3 was seen again");
    assert!(
        [0, 1, 2, 3, 5, 70_000].iter().all(|n| known.get(&id(*n)).is_some_and(|peer| peer.peer_id == id(*n)))
    );
    let changes = known.take_changes();
    assert_eq!(changes.removed, [id(4)]);
    assert_eq!(changes.upserts.iter().map(|peer| peer.peer_id).collect::<Vec<_>>(), [id(70_000)]);
    let mut met = full(|_| Source::Link);
    let same_day = at(50_000);
    assert_eq!(met.learn(news(70_000, Source::Link), same_day), Learned::Refused(Refusal::Full));
    assert_eq!(met.learn(news(7, Source::Link), same_day), Learned::Seen, "who is known may always be seen");
    met.seen(&id(0), late);
    assert_eq!(met.learn(news(70_000, Source::Link), late), Learned::New);
    assert_eq!(met.get(&id(1)), None, "of those that are away for a day the one away for longest");
    assert!(met.get(&id(0)).is_some_and(|peer| peer.last_seen == late) && met.get(&id(7)).is_some());
}

#[test]
fn each_link_is_told_of_each_peer_once() {
    let mut known = ours();
    for n in 0..7 {
        known.learn(news(n, Source::Shared), at(1));
    }
    let ids = |peers: Vec<KnownPeer>| peers.iter().map(|peer| peer.peer_id).collect::<Vec<_>>();
    let (first, next) = known.share(0, 4, |peer| peer.peer_id != id(2));
    assert_eq!(ids(first), [id(0), id(1), id(3), id(4)], "itself it need not be told of");
    let (rest, end) = known.share(next, 4, |peer| peer.peer_id != id(2));
    assert_eq!(ids(rest), [id(5), id(6)]);
    assert!(!known.has_more(end));
    assert_eq!(known.share(end, 4, |peer| peer.peer_id != id(2)), (vec![], end));
    known.learn(news(5, Source::Shared), at(2));
    assert!(!known.has_more(end), "what is heard of again is not told again");
    known.learn(news(7, Source::Link), at(2));
    assert!(known.has_more(end));
    assert_eq!(ids(known.share(end, 50, |peer| peer.peer_id != id(2)).0), [id(7)]);
    let (nobody, past) = known.share(end, 50, |peer| peer.peer_id != id(7));
    assert!(nobody.is_empty() && past > end, "it goes on past the one that is passed over");
}

/// A Home that was another Main's: those who hear of met ones only must hear of it from its new Main.
#[test]
fn one_that_is_met_later_is_told_again() {
    let mut known = ours();
    for n in 0..5 {
        known.learn(news(n, Source::Shared), at(1));
    }
    let met = |peer: &KnownPeer| peer.source == Source::Link;
    let (nobody, told) = known.share(0, 50, met);
    assert!(nobody.is_empty() && !known.has_more(told));
    assert_eq!(known.learn(news(2, Source::Link), at(2)), Learned::Seen);
    assert!(known.has_more(told));
    let (peers, _) = known.share(told, 50, met);
    assert_eq!(peers.iter().map(|peer| peer.peer_id).collect::<Vec<_>>(), [id(2)]);
    assert!((0..5).all(|n| known.get(&id(n)).is_some_and(|peer| peer.peer_id == id(n))));
    assert_eq!((known.len(), known.page(None, 50).0.len()), (5, 5));
    assert_eq!(known.learn(news(2, Source::Link), at(3)), Learned::Seen);
    assert!(!known.has_more(6), "once");
}

#[test]
fn pages_are_by_id_and_complete() {
    let mut known = ours();
    for n in 0..25 {
        known.learn(news(n, Source::Shared), at(1));
    }
    let mut expected: Vec<Id> = (0..25).map(id).collect();
    expected.sort_unstable();
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let (peers, next) = known.page(after.as_ref(), 10);
        found.extend(peers.iter().map(|peer| peer.peer_id));
        match next {
            Some(_) => after = next,
            None => break,
        }
    }
    assert_eq!(found, expected);
    assert_eq!(known.page(None, 25).1, None, "nothing comes after the last");
    // An id that is not there is a place too.
    let just_before = Id::from_bytes([0; 20]);
    assert_eq!(known.page(Some(&just_before), 1).0[0].peer_id, expected[0]);
}

#[test]
fn the_last_time_seen_is_written_once_an_hour() {
    let mut known = ours();
    known.learn(news(1, Source::Link), at(10));
    assert_eq!(known.take_changes().upserts[0].last_seen, at(10));
    known.learn(news(1, Source::Link), at(10 + 3_599));
    assert!(known.take_changes().is_empty());
    known.learn(news(1, Source::Link), at(10 + 3_600));
    let changes = known.take_changes();
    assert_eq!(changes.upserts[0].last_seen, at(3_610));
    assert!(known.take_changes().is_empty());
    known.put_back(changes.clone());
    known.put_back(changes.clone());
    assert_eq!(known.take_changes(), changes, "what could not be written is there again, once");
    let relay = PeerNews { is_relay: true, ..news(1, Source::Link) };
    known.learn(relay, at(3_611));
    assert!(known.take_changes().upserts[0].is_relay, "all else is written soon");
}

#[test]
fn what_was_kept_is_known_again() {
    let mut before = ours();
    for n in 0..5 {
        before.learn(news(n, Source::Shared), at(100 - n as u64));
    }
    let mut kept = before.take_changes().upserts;
    kept.push(KnownPeer { peer_id: id(8), public_key: key(9), ..kept[0] });
    kept.push(KnownPeer { peer_id: id(usize::MAX), public_key: key(usize::MAX), ..kept[0] });
    let mut after = KnownPeers::restore(id(usize::MAX), kept, at(98));
    assert_eq!(after.len(), 5);
    assert_eq!(after.get(&id(0)).unwrap().last_seen, at(98), "nobody is seen in the future");
    assert_eq!(after.get(&id(4)), before.get(&id(4)));
    let told: Vec<Id> =
        after.share(0, 50, |peer| peer.peer_id != id(9)).0.iter().map(|peer| peer.peer_id).collect();
    assert_eq!(told, [4, 3, 2, 1, 0].map(id), "the earliest known first");
    let changes = after.take_changes();
    assert!(changes.upserts.is_empty(), "all of it is on disk");
    assert_eq!(changes.removed.len(), 2, "what is no peer of ours goes from there");
}

/// Memory that all of them take, by the room that was allocated: a thousand nodes with as many peers each fit into 128 MB.
#[test]
fn a_peer_takes_at_most_128_bytes() {
    let mut known = ours();
    for n in 0..KNOWN_PEERS_MAX {
        known.learn(news(n, Source::Shared), at(1));
        if n >= 999 {
            assert!(known.bytes() <= 128 * known.len(), "{} bytes for {}", known.bytes(), known.len());
        }
    }
}

proptest! {
    /// Whatever is learned in whatever order: the index finds each, and the changes lead the disk to what is known.
    #[test]
    fn the_disk_follows(steps in prop::collection::vec((0_usize..12, any::<bool>(), any::<bool>(), 0_u64..9_000), 1..60)) {
        let mut known = ours();
        let mut disk = std::collections::BTreeMap::new();
        for (n, is_link, is_written, now) in steps {
            let source = if is_link { Source::Link } else { Source::Shared };
            known.learn(PeerNews { is_relay: now.is_multiple_of(2), ..news(n, source) }, at(now));
            let changes = known.take_changes();
            if !is_written {
                known.put_back(changes);
                continue;
            }
            for peer_id in &changes.removed {
                disk.remove(peer_id);
            }
            disk.extend(changes.upserts.into_iter().map(|peer| (peer.peer_id, peer)));
            let (all, _) = known.page(None, 100);
            prop_assert_eq!(disk.len(), all.len());
            for peer in all {
                let kept = disk[&peer.peer_id];
                prop_assert!(peer.last_seen.0 - kept.last_seen.0 < Duration::from_secs(3_600));
                let (last_seen, source) = (peer.last_seen, peer.source);
                prop_assert_eq!(KnownPeer { last_seen, source, ..kept }, peer);
            }
        }
    }
}
