use proptest::prelude::*;

use super::super::record::tests::{a_private_node, a_public_node};
use super::*;

const TTL: Duration = Duration::from_secs(300);

fn at(seconds: u64) -> Instant {
    Instant::from_nanos(seconds * 1_000_000_000)
}

fn unix(seconds: u64) -> UnixTime {
    UnixTime(Duration::from_secs(1_700_000_000 + seconds))
}

fn id(n: usize) -> Id {
    Id::hash(&[&n.to_le_bytes()])
}

#[test]
fn entries_live_for_their_time_and_looks_are_counted() {
    let mut cache = MetadataCache::new(TTL);
    assert_eq!(cache.get(&id(1), at(0)), None);
    cache.put(id(1), a_public_node(), 4, at(0));
    assert_eq!(cache.get(&id(1), at(299)), Some(&a_public_node()));
    assert_eq!(cache.peek(&id(1), at(299)), Some(&a_public_node()));
    assert_eq!(cache.get(&id(1), at(300)), None, "too old, though not yet forgotten");
    assert_eq!((cache.len(), cache.hits(), cache.misses()), (1, 1, 2));
    assert_eq!((cache.expire(at(300)), cache.len()), (1, 0));
    cache.put(id(1), a_public_node(), 4, at(400));
    assert!(cache.invalidate(&id(1)) && !cache.invalidate(&id(1)));
    assert_eq!(cache.peek(&id(1), at(400)), None);
    assert_eq!((cache.hits(), cache.misses(), cache.bytes()), (1, 2, 0));
}

#[test]
fn an_older_version_replaces_none_that_is_believed() {
    let mut cache = MetadataCache::new(TTL);
    assert!(cache.put(id(1), a_public_node(), 4, at(0)));
    assert!(!cache.put(id(1), a_private_node(), 3, at(1)));
    assert_eq!(cache.peek(&id(1), at(1)), Some(&a_public_node()));
    assert!(cache.put(id(1), a_private_node(), 4, at(200)), "the same one again lives anew");
    assert_eq!(cache.peek(&id(1), at(499)), Some(&a_private_node()));
    assert!(cache.put(id(1), a_public_node(), 1, at(500)), "what has expired says nothing");
}

#[test]
fn the_one_that_expires_first_makes_room() {
    let mut cache = MetadataCache::new(TTL);
    for n in 0..CACHED_MAX {
        cache.put(id(n), a_public_node(), 1, at(n as u64 / 100));
    }
    cache.put(id(0), a_public_node(), 1, at(50));
    assert_eq!(cache.len(), CACHED_MAX, "one that is there takes no more room");
    cache.put(id(CACHED_MAX), a_public_node(), 1, at(50));
    assert_eq!(cache.len(), CACHED_MAX);
    let gone: Vec<usize> = (0..=CACHED_MAX).filter(|n| cache.peek(&id(*n), at(50)).is_none()).collect();
    assert!(gone.len() == 1 && (1..100).contains(&gone[0]), "{gone:?}");
}

/// Counted is what was allocated: the capacity of each text and list, and the places in the trees as if these were half
/// empty, which is the worst that a B-tree comes to.
#[test]
fn a_thousand_entries_of_full_size_take_under_five_megabytes() {
    let mut full = a_private_node();
    full.content.capabilities = (0..18).map(|n| format!("capability-{n:020}")).collect();
    full.content.version = "v".repeat(10);
    let spare = 1_000 - full.encode().unwrap().len();
    full.content.version.push_str(&"v".repeat(spare));
    let value = full.encode().unwrap();
    assert_eq!(value.len(), 1_000, "as long as an item may be");
    // Many short texts take more room than few long ones.
    let mut many = a_private_node();
    many.content.capabilities = (0..32).map(|n| format!("capability-{n:02}")).collect();
    let many = many.encode().unwrap();
    for value in [value, many] {
        let mut cache = MetadataCache::new(TTL);
        for n in 0..1_000 {
            cache.put(id(n), Metadata::decode(&value).unwrap(), 1, at(0));
        }
        assert!(cache.bytes() > 1_000 * value.len(), "{}", cache.bytes());
        assert!(cache.bytes() < 5_000_000, "{}", cache.bytes());
        cache.expire(at(300));
        assert_eq!(cache.bytes(), 0);
    }
}

#[test]
fn what_was_kept_lives_no_longer_than_it_would_have() {
    let mut before = MetadataCache::new(TTL);
    before.put(id(1), a_public_node(), 4, at(0));
    before.put(id(2), a_private_node(), 5, at(100));
    let kept = before.take_changes(at(150), unix(0)).upserts;
    assert_eq!(kept.iter().find(|entry| entry.peer_id == id(1)).unwrap().expires_at, unix(150));
    assert!(before.take_changes(at(150), unix(0)).is_empty());
    // 160 seconds later, on another monotonic clock.
    let mut after = MetadataCache::new(TTL);
    after.restore(kept.clone(), at(7), unix(160));
    assert_eq!(after.len(), 1, "the first has expired");
    assert_eq!(after.peek(&id(2), at(7 + 89)), Some(&a_private_node()));
    assert_eq!(after.peek(&id(2), at(7 + 90)), None);
    assert!(after.take_changes(at(7), unix(160)).is_empty(), "it is on disk");
    // The wall clock has gone back by a day.
    let mut set_back = MetadataCache::new(TTL);
    set_back.restore(kept.clone(), at(7), UnixTime(unix(0).0 - Duration::from_secs(86_400)));
    assert_eq!(set_back.len(), 0, "nobody knows how old they are");
    assert_eq!(set_back.take_changes(at(7), unix(0)).removed.len(), 2);
    before.put_back(CacheChanges { upserts: kept.clone(), removed: vec![] });
    assert_eq!(before.take_changes(at(150), unix(0)).upserts, kept);
}

#[derive(Clone, Debug)]
enum Step {
    Put(usize, i64),
    Invalidate(usize),
    Wait(u64),
    Expire,
    Write,
    FailToWrite,
}

fn a_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_usize..6, 0_i64..4).prop_map(|(n, seq)| Step::Put(n, seq)),
        2 => (0_usize..6).prop_map(Step::Invalidate),
        2 => (1_u64..200).prop_map(Step::Wait),
        1 => Just(Step::Expire),
        2 => Just(Step::Write),
        1 => Just(Step::FailToWrite),
    ]
}

proptest! {
    /// After each write, what the disk holds and has not expired is what the cache holds and has not expired.
    #[test]
    fn the_disk_follows(steps in prop::collection::vec(a_step(), 1..60)) {
        let mut cache = MetadataCache::new(TTL);
        let mut disk = BTreeMap::new();
        let mut now = 0;
        for step in steps {
            match step {
                Step::Put(n, seq) => {
                    cache.put(id(n), Metadata { sequence: seq, ..a_public_node() }, seq, at(now));
                }
                Step::Invalidate(n) => {
                    cache.invalidate(&id(n));
                }
                Step::Wait(seconds) => now += seconds,
                Step::Expire => {
                    cache.expire(at(now));
                }
                Step::FailToWrite => {
                    let changes = cache.take_changes(at(now), unix(now));
                    cache.put_back(changes);
                }
                Step::Write => {
                    let changes = cache.take_changes(at(now), unix(now));
                    disk.retain(|peer_id, _| !changes.removed.contains(peer_id));
                    disk.extend(changes.upserts.into_iter().map(|entry| (entry.peer_id, entry)));
                    disk.retain(|_, entry| entry.expires_at > unix(now));
                    for n in 0..6 {
                        let kept = disk.get(&id(n)).map(|entry| &entry.metadata);
                        prop_assert_eq!(kept, cache.peek(&id(n), at(now)));
                    }
                }
            }
        }
    }
}
