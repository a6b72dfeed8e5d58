//! Values that are kept published, through changes, churn and forgetfulness.

use std::time::Duration;

use ed25519_dalek::SigningKey;
use rand::SeedableRng;
use relay_node::dht::{
    BUCKET_SIZE, Event, GetRequest, Id, Item, MutableItem, Publication, PublicationTiming, Published,
    PutRequest,
};
use relay_node::env::Rng;

use crate::network::{Network, Weather};

const MINUTE: Duration = Duration::from_secs(60);

fn key(number: usize) -> SigningKey {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&number.to_be_bytes());
    SigningKey::from_bytes(&seed)
}

fn value(text: &str) -> Vec<u8> {
    format!("{}:{text}", text.len()).into_bytes()
}

/// A node and what it publishes.
struct Publisher {
    number: usize,
    publication: Publication,
    rng: Rng,
    said: Vec<Published>,
}

impl Publisher {
    fn new(network: &Network, number: usize, key: SigningKey, text: &str, seq: i64) -> Self {
        let timing = PublicationTiming::default();
        let publication = Publication::new(key, b"", (value(text), seq), timing, network.now).unwrap();
        Publisher { number, publication, rng: Rng::seed_from_u64(number as u64), said: Vec::new() }
    }

    /// Hears what has happened, and puts what is due.
    fn turn(&mut self, network: &mut Network) {
        let now = network.now;
        let Some(host) = &mut network.hosts[self.number] else { return };
        for event in std::mem::take(&mut host.events) {
            let said = self.publication.handle_event(&event, now, &mut self.rng);
            if let Some(Published::Rebased { seq } | Published::Adopted { seq }) = &said {
                assert_eq!(self.publication.next_timeout(), None, "nothing is put before the seq is on disk");
                self.publication.confirm(*seq);
            }
            self.said.extend(said);
        }
        self.publication.handle_timeout(&mut host.dht, now, &mut self.rng);
        network.drain(self.number);
    }
}

/// Lets time pass, with a turn for each publisher every second, or every ten where it is long.
fn run(network: &mut Network, publishers: &mut [Publisher], span: Duration) {
    let step = if span > 30 * MINUTE { Duration::from_secs(10) } else { Duration::from_secs(1) };
    let end = network.now + span;
    while network.now < end {
        publishers.iter_mut().for_each(|publisher| publisher.turn(network));
        network.run(step);
    }
}

fn read(network: &mut Network, from: usize, key: &SigningKey) -> Option<(i64, Vec<u8>)> {
    let request = GetRequest::of_key(&key.verifying_key().to_bytes(), b"");
    match network.command(from, |dht, now| dht.get(request, now)) {
        Event::Got { found, .. } => found.item.map(|item| (item.seq().unwrap(), item.value().to_vec())),
        other => panic!("{other:?}"),
    }
}

fn holders(network: &Network, target: &Id) -> usize {
    let has_it = |number: &&usize| network.host(**number).dht.kept_item(target).is_some();
    network.closest(target).iter().filter(has_it).count()
}

#[test]
fn a_change_is_there_at_once_and_a_republish_changes_nothing() {
    let mut network = Network::joined(1, Weather::FAIR, 30);
    let mut publishers = [Publisher::new(&network, 3, key(1), "first", 1)];
    run(&mut network, &mut publishers, 5 * Duration::from_secs(1));
    assert_eq!(read(&mut network, 20, &key(1)), Some((1, value("first"))));
    let now = network.now;
    assert_eq!(publishers[0].publication.change(value("first"), now), Ok(false));
    assert_eq!(publishers[0].publication.change(value("second"), now), Ok(true));
    run(&mut network, &mut publishers, 5 * Duration::from_secs(1));
    assert_eq!(read(&mut network, 20, &key(1)), Some((2, value("second"))));
    // Five hours later, two of which an item lives: it was put again, the very same.
    run(&mut network, &mut publishers, 300 * MINUTE);
    assert_eq!(read(&mut network, 20, &key(1)), Some((2, value("second"))));
    let kept = |said: &&Published| matches!(said, Published::Kept(end) if end.report.refused.is_empty());
    assert_eq!(publishers[0].said.iter().filter(kept).count(), publishers[0].said.len());
    let full = |said: &&Published| matches!(said, Published::Kept(end) if end.report.had.is_empty());
    assert!((6..=8).contains(&publishers[0].said.iter().filter(full).count()));
}

#[test]
fn who_forgot_its_seq_finds_it_again() {
    for (text, seq_after) in [("same", 7), ("other", 8)] {
        let mut network = Network::joined(2, Weather::FAIR, 30);
        let mut before = [Publisher::new(&network, 3, key(1), "same", 7)];
        run(&mut network, &mut before, 5 * Duration::from_secs(1));
        let mut after = [Publisher::new(&network, 3, key(1), text, 1)];
        run(&mut network, &mut after, 10 * Duration::from_secs(1));
        assert_eq!(after[0].publication.item().seq, seq_after, "{:?}", after[0].said);
        assert_eq!(read(&mut network, 20, &key(1)), Some((seq_after, value(text))));
    }
}

#[test]
fn another_value_under_the_same_seq_is_followed() {
    let mut network = Network::joined(3, Weather::FAIR, 30);
    let mut before = [Publisher::new(&network, 3, key(1), "one", 7)];
    run(&mut network, &mut before, 5 * Duration::from_secs(1));
    let mut after = [Publisher::new(&network, 4, key(1), "two", 7)];
    run(&mut network, &mut after, 10 * Duration::from_secs(1));
    assert_eq!(read(&mut network, 20, &key(1)), Some((8, value("two"))));
    assert!(after[0].said.contains(&Published::Rebased { seq: 8 }));
}

#[test]
fn two_with_one_key_do_not_chase_each_other_for_ever() {
    let mut network = Network::joined(4, Weather::FAIR, 30);
    let publisher = |network: &Network, number, text| Publisher::new(network, number, key(1), text, 1);
    let mut both = [publisher(&network, 3, "one"), publisher(&network, 4, "two")];
    run(&mut network, &mut both, 10 * MINUTE);
    let seq = both.iter().map(|publisher| publisher.publication.item().seq).max().unwrap();
    assert!(seq < 40, "{seq} versions in ten minutes");
}

#[test]
fn without_a_network_it_is_tried_again_until_there_is_one() {
    let mut network = Network::new(5, Weather::FAIR);
    let home = network.add_with("10.1.0.1:30609".parse().ok(), |config| config.read_only = true);
    let mut publishers = [Publisher::new(&network, home, key(1), "alone", 1)];
    run(&mut network, &mut publishers, 10 * MINUTE);
    let failures = publishers[0].said.len();
    assert!((3..30).contains(&failures), "{failures}");
    assert!(publishers[0].said.iter().all(|said| matches!(said, Published::Failed(_))));
    network.add(None);
    run(&mut network, &mut publishers, 10 * MINUTE);
    assert_eq!(read(&mut network, 1, &key(1)), Some((1, value("alone"))));
}

#[test]
fn half_of_all_nodes_are_replaced_in_an_hour_and_no_item_is_lost() {
    let mut network = Network::joined(6, Weather::FAIR, 48);
    // Those who publish stay: what nobody publishes any more may go.
    let mut publishers: Vec<Publisher> =
        (0..16).map(|number| Publisher::new(&network, number, key(number), "here", 1)).collect();
    run(&mut network, &mut publishers, MINUTE);
    let mut fewest = BUCKET_SIZE;
    for leaving in 24..48 {
        network.remove(leaving);
        let entry = network.any_address();
        network.add(entry);
        run(&mut network, &mut publishers, Duration::from_secs(150));
        for publisher in &publishers {
            fewest = fewest.min(holders(&network, &publisher.publication.item().target()));
        }
    }
    for number in 0..16 {
        assert_eq!(read(&mut network, 20, &key(number)), Some((1, value("here"))), "item {number}");
    }
    assert!(fewest >= 4, "an item was kept by {fewest} of the eight closest nodes only");
}

#[test]
fn a_put_that_nobody_asked_for_is_none_of_its_business() {
    let mut network = Network::joined(7, Weather::FAIR, 10);
    let mut publishers = [Publisher::new(&network, 3, key(1), "here", 1)];
    let other = MutableItem::sign(&key(2), b"", 1, value("other")).unwrap();
    let request = PutRequest::of(Item::Mutable(other));
    let event = network.command(3, |dht, now| dht.put(request, now));
    let now = network.now;
    let mut rng = Rng::seed_from_u64(1);
    assert_eq!(publishers[0].publication.handle_event(&event, now, &mut rng), None);
    run(&mut network, &mut publishers, 5 * Duration::from_secs(1));
    assert_eq!(publishers[0].said.len(), 1);
}

#[test]
fn who_had_nobody_to_put_it_to_puts_it_as_soon_as_it_has() {
    let mut network = Network::joined(8, Weather::FAIR, 20);
    // A Home: it keeps nothing itself.
    let number = network.add_with(None, |config| config.read_only = true);
    let mut publishers = [Publisher::new(&network, number, key(8), "here", 1)];
    // Alone it tries again, ever more seldom.
    run(&mut network, &mut publishers, 10 * MINUTE);
    assert!(publishers[0].said.iter().all(|said| matches!(said, Published::Failed(_))));
    let tries = publishers[0].said.len();
    let (way, now) = (network.any_address().unwrap(), network.now);
    network.host_mut(number).dht.set_bootstrap(vec![way], now);
    network.drain(number);
    run(&mut network, &mut publishers, Duration::from_secs(5));
    let later = &publishers[0].said[tries..];
    assert!(matches!(later, [Published::Kept(end)] if end.seq == 1), "{later:?}");
}
