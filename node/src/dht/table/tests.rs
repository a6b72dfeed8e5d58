use std::net::SocketAddr;

use proptest::prelude::*;
use rand_chacha::rand_core::SeedableRng;

use super::*;
use crate::env::Rng;

const ME: Id = Id::from_bytes([0; 20]);

fn at(seconds: u64) -> Instant {
    Instant::from_nanos(seconds * 1_000_000_000)
}

/// A contact in bucket 0 (its first bit is not ours), with an address of its own.
fn far(number: u8) -> Contact {
    let mut id = [0; 20];
    (id[0], id[19]) = (0x80, number);
    Contact { id: Id::from_bytes(id), address: SocketAddr::from(([198, 51, 100, number], 1)) }
}

fn full() -> RoutingTable {
    let mut table = RoutingTable::new(ME);
    for number in 0..8 {
        assert_eq!(table.answered(far(number), at(u64::from(number))), Answered::Added);
    }
    table
}

fn fail(table: &mut RoutingTable, contact: Contact, times: u8) {
    (0..times).for_each(|_| table.failed(&contact, at(100)));
}

#[test]
fn a_full_bucket_lets_others_wait_until_one_is_bad() {
    let mut table = full();
    assert!(!table.wants(&far(8)) && table.is_full(&far(8).id));
    // All are fresh: nobody is to be asked.
    assert_eq!(table.answered(far(8), at(10)), Answered::Waits(None));
    assert_eq!(table.answered(far(9), at(11)), Answered::Waits(None));
    // The one not heard of for longest is.
    assert_eq!(table.answered(far(8), at(15 * 60)), Answered::Waits(Some(far(0))));
    fail(&mut table, far(0), 1);
    assert!(table.contacts().any(|contact| contact == far(0)));
    fail(&mut table, far(0), 1);
    let contacts: Vec<Contact> = table.contacts().collect();
    assert!(
        !contacts.contains(&far(0)) && contacts.contains(&far(8)),
        "the latest takes the place: {contacts:?}"
    );
    assert_eq!(contacts.len(), BUCKET_SIZE);
}

#[test]
fn nobody_waits_with_more_than_eight() {
    let mut table = full();
    for number in 8..100 {
        table.answered(far(number), at(10));
    }
    assert_eq!(table.buckets[0].spare.len(), REPLACEMENTS_MAX);
    assert_eq!(table.buckets[0].spare[7].contact, far(99));
}

#[test]
fn a_bad_contact_is_told_to_nobody_and_gives_way() {
    let mut table = full();
    fail(&mut table, far(3), 2);
    assert_eq!((table.len(), table.contacts().count()), (7, 8));
    assert!(!table.closest(&far(3).id, 8).contains(&far(3)));
    assert!(table.wants(&far(8)));
    assert_eq!(table.answered(far(8), at(101)), Answered::Added);
    assert!(!table.contacts().any(|contact| contact == far(3)));
    assert_eq!(table.of_address.len(), BUCKET_SIZE);
}

#[test]
fn a_bad_contact_that_answers_is_good_again_and_one_that_never_does_is_forgotten() {
    let mut table = full();
    fail(&mut table, far(3), 4);
    assert_eq!(table.answered(far(3), at(200)), Answered::Known);
    assert_eq!(table.len(), 8);
    fail(&mut table, far(3), 5);
    assert_eq!(table.contacts().count(), 7);
    assert_eq!(table.of_address.len(), 7);
}

#[test]
fn an_id_stays_with_its_address_for_as_long_as_that_answers() {
    let mut table = full();
    let thief = Contact { address: "203.0.113.9:1".parse().unwrap(), ..far(3) };
    assert!(!table.wants(&thief));
    assert_eq!(table.answered(thief, at(20)), Answered::Refused);
    table.failed(&far(3), at(20));
    assert_eq!(table.answered(thief, at(20)), Answered::Added, "it has moved");
    assert_eq!(table.contacts().filter(|contact| contact.id == thief.id).count(), 1);
}

#[test]
fn where_another_answers_now_the_former_is_gone() {
    let mut table = full();
    let restarted = Contact { id: far(77).id, ..far(3) };
    assert_eq!(table.answered(restarted, at(10)), Answered::Added);
    let there: Vec<Contact> = table.contacts().filter(|contact| contact.address == far(3).address).collect();
    assert_eq!(there, [restarted]);
    assert_eq!((table.len(), table.of_address.len()), (8, 8));
}

#[test]
fn one_address_is_not_everywhere() {
    let mut table = RoutingTable::new(ME);
    let mut rng = Rng::seed_from_u64(1);
    let mut add = |table: &mut RoutingTable, ip: &str, bits: usize| {
        let address = format!("{ip}:{}", 1_000 + bits).parse().unwrap();
        table.answered(Contact { id: ME.sharing(bits, &mut rng), address }, at(0))
    };
    let added = (0..20).filter(|bits| add(&mut table, "198.51.100.7", *bits) == Answered::Added).count();
    assert_eq!(added, CONTACTS_PER_ADDRESS_MAX);
    let added = (0..20).filter(|bits| add(&mut table, "127.0.0.1", *bits) == Answered::Added).count();
    assert_eq!(added, 20);
    let first = table.contacts().find(|contact| !contact.address.ip().is_loopback()).unwrap();
    table.remove(&first);
    assert_eq!(add(&mut table, "198.51.100.7", 30), Answered::Added);
}

#[test]
fn who_is_due_is_asked_in_turn() {
    let mut table = full();
    assert_eq!((table.due(at(899)), table.next_due()), (None, Some(at(900))));
    assert_eq!(table.due(at(950)), Some(far(0)));
    table.checking(&far(0), at(950));
    assert_eq!(table.due(at(950)), Some(far(1)));
    table.asked(&far(1), at(950));
    assert_eq!(table.due(at(950)), Some(far(2)));
    (0..100).for_each(|second| table.asked(&far(1), at(950 + 60 * second)));
    assert_eq!(table.buckets[0].live[1].due, at(1 + 30 * 60), "questions do not take the place of an answer");
    table.answered(far(0), at(951));
    assert_eq!(table.next_due(), Some(at(902)));
}

#[test]
fn we_are_not_our_own_contact() {
    let mut table = full();
    let me = Contact { id: ME, ..far(1) };
    assert!(!table.wants(&me));
    assert_eq!(table.answered(me, at(0)), Answered::Refused);
    table.failed(&me, at(0));
    assert_eq!(table.len(), 8);
}

#[test]
fn another_id_of_ours_keeps_the_contacts() {
    let mut table = full();
    fail(&mut table, far(0), 2);
    let me = Id::from_bytes([0xff; 20]);
    table.rekey(me, at(1));
    assert_eq!((table.me(), table.len()), (me, 7));
}

proptest! {
    #[test]
    fn the_closest_are_found(seed: u64, target: [u8; 20], count in 1usize..40) {
        let mut rng = Rng::seed_from_u64(seed);
        let mut table = RoutingTable::new(Id::random(&mut rng));
        for number in 0u32..300 {
            let address = SocketAddr::from((number.to_be_bytes(), 1));
            let id = if number % 3 == 0 { table.me().sharing(number as usize / 3, &mut rng) } else { Id::random(&mut rng) };
            table.answered(Contact { id, address }, at(0));
        }
        let target = Id::from_bytes(target);
        for target in [target, table.me(), table.me().sharing(3, &mut rng), table.me().sharing(159, &mut rng)] {
            let mut all: Vec<Contact> = table.contacts().collect();
            all.sort_by_key(|contact| target.distance(&contact.id));
            all.truncate(count);
            prop_assert_eq!(table.closest(&target, count), all);
        }
    }

    #[test]
    fn whatever_happens_the_table_stays_within_its_bounds(
        events in proptest::collection::vec((0u8..4, 0u8..30, 0usize..4, 0u8..12), 0..400),
    ) {
        let mut table = RoutingTable::new(ME);
        for (time, (event, number, bits, ip)) in events.into_iter().enumerate() {
            let mut id = [0; 20];
            (id[0], id[19]) = (0x80 >> bits, number);
            let contact = Contact { id: Id::from_bytes(id), address: SocketAddr::from(([198, 51, 100, ip], 1)) };
            let now = at(time as u64 * 60);
            match event {
                0 | 1 => {
                    table.answered(contact, now);
                }
                2 => table.failed(&contact, now),
                _ => table.remove(&contact),
            }
            let mut of_address: BTreeMap<IpAddr, usize> = BTreeMap::new();
            table.contacts().for_each(|contact| *of_address.entry(contact.address.ip()).or_default() += 1);
            prop_assert_eq!(&of_address, &table.of_address);
            prop_assert!(of_address.values().all(|count| *count <= CONTACTS_PER_ADDRESS_MAX));
            for bucket in &table.buckets {
                prop_assert!(bucket.live.len() <= BUCKET_SIZE && bucket.spare.len() <= REPLACEMENTS_MAX);
                let mut ids: Vec<Id> = bucket.live.iter().map(|entry| entry.contact.id).collect();
                ids.sort_unstable();
                ids.dedup();
                prop_assert_eq!(ids.len(), bucket.live.len());
            }
        }
    }
}
