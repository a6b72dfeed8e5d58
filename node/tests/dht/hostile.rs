//! Nodes that lie, and datagrams of strangers.

use std::net::SocketAddr;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use proptest::prelude::*;
use rand::{Rng as _, RngExt, SeedableRng};
use relay_node::dht::bencode::{Value, Writer};
use relay_node::dht::krpc::{
    Announce, Body, CompactNodes, Message, Method, Put, PutMutable, Query, Response, Want,
};
use relay_node::dht::{
    BUCKET_SIZE, Config, Contact, Dht, Event, Family, GetRequest, Id, Item, MutableItem, PutRequest,
    QUERIES_PER_WALK_MAX, QueryLimits,
};
use relay_node::env::{Instant, Rng};

use crate::network::{Liar, Network, Weather, report_of};

fn item(number: u8) -> MutableItem {
    let key = SigningKey::from_bytes(&[number; 32]);
    MutableItem::sign(&key, b"", 1, b"4:true".to_vec()).unwrap()
}

/// Says nothing at all.
fn silent(_: &[u8], _: Contact, _: &mut Rng) -> Option<Vec<u8>> {
    None
}

/// Answers with noise.
fn noisy(datagram: &[u8], _: Contact, rng: &mut Rng) -> Option<Vec<u8>> {
    let mut answer = datagram.to_vec();
    rng.fill_bytes(&mut answer[5..]);
    Some(answer)
}

/// What was asked about.
fn target_of(method: &Method<'_>) -> Id {
    match method {
        Method::FindNode { target, .. } | Method::Get { target, .. } => *target,
        Method::GetPeers { info_hash, .. } => *info_hash,
        _ => Id::from_bytes([0; 20]),
    }
}

/// Has a value for everything, signed by somebody else, and knows nodes ever closer that are not there.
fn forger(datagram: &[u8], me: Contact, rng: &mut Rng) -> Option<Vec<u8>> {
    let Ok(Message { transaction, body: Body::Query(query), .. }) = Message::decode(datagram) else {
        return None;
    };
    let target = target_of(&query.method);
    let nodes: Vec<Contact> = (0..8)
        .map(|_| Contact {
            id: target.sharing(rng.random_range(20..159), rng),
            address: SocketAddr::from(([10, 9, rng.random(), rng.random()], 1)),
        })
        .collect();
    let nodes = CompactNodes::pack(&nodes, Family::V4);
    let forged = MutableItem::sign(&SigningKey::from_bytes(&[99; 32]), b"", 9, b"6:forged".to_vec()).unwrap();
    let value = matches!(query.method, Method::Get { .. }).then(|| Value::parse(&forged.value).unwrap());
    let response = Response {
        nodes: Some(CompactNodes::read(&nodes, Family::V4)),
        token: Some(b"token"),
        value,
        seq: value.map(|_| forged.seq),
        signed: value.map(|_| (&forged.key, &forged.signature)),
        ..Response::of(me.id)
    };
    Some(Message { transaction, version: None, body: Body::Response(response) }.encode())
}

/// Answers under another id each time.
fn shifty(datagram: &[u8], _: Contact, rng: &mut Rng) -> Option<Vec<u8>> {
    let Ok(Message { transaction, body: Body::Query(_), .. }) = Message::decode(datagram) else {
        return None;
    };
    let response = Response::of(Id::random(rng));
    Some(Message { transaction, version: None, body: Body::Response(response) }.encode())
}

#[test]
fn a_quarter_of_liars_hides_nothing_and_forges_nothing() {
    let mut network = Network::joined(1, Weather::FAIR, 80);
    let liars: [Liar; 4] = [silent, noisy, forger, shifty];
    for (number, liar) in (40..60).zip(liars.into_iter().cycle()) {
        network.host_mut(number).liar = Some(liar);
    }
    for number in 0..20 {
        let request = PutRequest::of(Item::Mutable(item(number)));
        let report = report_of(network.command(usize::from(number), |dht, now| dht.put(request, now)));
        assert!(report.taken.len() >= 6, "{report:?}");
    }
    for number in 0..20 {
        let from = 60 + usize::from(number);
        let request = GetRequest::of_key(&item(number).key, b"");
        let Event::Got { found, cost, .. } = network.command(from, |dht, now| dht.get(request, now)) else {
            panic!()
        };
        assert_eq!(found.item, Some(Item::Mutable(item(number))), "item {number}");
        assert!(cost.queries as usize <= QUERIES_PER_WALK_MAX + BUCKET_SIZE, "{cost:?}");
    }
    let caught: u64 = (0..40).map(|number| network.host(number).dht.counters().liars).sum();
    assert!(caught > 0);
}

/// Knows nobody, has nothing, and takes everything without keeping it.
fn denier(datagram: &[u8], me: Contact, _: &mut Rng) -> Option<Vec<u8>> {
    let Ok(Message { transaction, body: Body::Query(_), .. }) = Message::decode(datagram) else {
        return None;
    };
    let response = Response { token: Some(b"token"), ..Response::of(me.id) };
    Some(Message { transaction, version: None, body: Body::Response(response) }.encode())
}

#[test]
fn ids_made_up_around_an_item_do_not_hide_it() {
    let mut network = Network::joined(3, Weather::FAIR, 60);
    let target = item(1).target();
    for _ in 0..12 {
        let (entry, id) = (network.any_address(), target.sharing(40, network.rng()));
        let number = network.add_with(entry, |config| config.v4 = Some(id));
        network.run(Duration::from_secs(5));
        network.host_mut(number).liar = Some(denier);
    }
    network.run(Duration::from_secs(300));
    let request = PutRequest::of(Item::Mutable(item(1)));
    let report = report_of(network.command(3, |dht, now| dht.put(request, now)));
    let takers = network.numbers_of(&report.taken);
    assert!(takers.iter().filter(|number| **number >= 60).count() >= BUCKET_SIZE, "{takers:?}");
    assert!(takers.iter().any(|number| *number < 60), "{takers:?}");
    for from in 0..60 {
        let request = GetRequest { repair: false, ..GetRequest::of_key(&item(1).key, b"") };
        let Event::Got { found, .. } = network.command(from, |dht, now| dht.get(request, now)) else {
            panic!()
        };
        assert_eq!(found.item, Some(Item::Mutable(item(1))), "from {from}");
    }
}

#[test]
fn who_lies_about_its_id_is_no_contact_any_more() {
    let mut network = Network::joined(2, Weather::FAIR, 20);
    // The last to come is nobody's way in: those are asked again without knowing who is there.
    network.host_mut(19).liar = Some(shifty);
    let address = network.host(19).address;
    network.run(Duration::from_secs(3_600));
    for number in network.numbers().into_iter().filter(|number| *number != 19) {
        let contacts = network.host(number).dht.contacts();
        assert!(contacts.iter().all(|contact| contact.address != address), "{number}");
    }
}

fn at(millis: u64) -> Instant {
    Instant::from_nanos(millis * 1_000_000)
}

fn node(seed: u64, change: impl FnOnce(&mut Config)) -> Dht {
    let mut rng = Rng::seed_from_u64(seed);
    let mut config = Config::v4(Id::from_bytes([9; 20]));
    change(&mut config);
    let rng_of_node = Rng::seed_from_u64(rng.random());
    Dht::new(config, rng_of_node, at(1))
}

fn sent(dht: &mut Dht) -> Vec<(SocketAddr, Vec<u8>)> {
    std::iter::from_fn(|| dht.poll_transmit()).map(|transmit| (transmit.to, transmit.datagram)).collect()
}

fn stranger(number: u32) -> SocketAddr {
    SocketAddr::from(((0xc633_0000 + number).to_be_bytes(), 4_000))
}

fn ping(id: u8) -> Vec<u8> {
    let query = Query { id: Id::from_bytes([id; 20]), read_only: true, method: Method::Ping };
    Message { transaction: b"t", version: None, body: Body::Query(query) }.encode()
}

#[test]
fn garbage_is_answered_with_no_more_than_came() {
    let mut dht = node(1, |_| {});
    for (datagram, answered) in [
        (&b""[..], false),
        (b"x", false),
        (b"d", false),
        (b"d1:ad2:id20:", false),
        (b"GET / HTTP/1.1\r\nHost: relay-a.com\r\nUser-Agent: something long enough for an answer\r\n\r\n", false),
        (b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:q and then there is more that is no bencoding", true),
        // Errors are never answered, however wrong.
        (b"d1:ei1e1:t2:aa1:y1:ee", false),
        (b"d1:rd2:id20:abcdefghij0123456789e1:t2:aa1:y1:re", false),
    ] {
        dht.handle(datagram, stranger(1), at(5));
        let answers = sent(&mut dht);
        assert_eq!(answers.len(), usize::from(answered), "{}", datagram.escape_ascii());
        for (to, answer) in answers {
            assert_eq!(to, stranger(1));
            assert!(answer.len() <= datagram.len() && answer.starts_with(b"d1:eli203e"), "{}", answer.escape_ascii());
        }
    }
    assert_eq!(dht.counters().garbage, 6);
    assert_eq!(dht.counters().unsolicited, 2);
}

#[test]
fn an_error_for_garbage_starts_no_endless_exchange() {
    let (mut one, mut other) = (node(1, |_| {}), node(2, |_| {}));
    one.handle(&[b'd'; 200], stranger(2), at(5));
    let (_, error) = sent(&mut one).remove(0);
    other.handle(&error, stranger(1), at(6));
    assert_eq!(sent(&mut other), []);
}

#[test]
fn one_address_is_answered_so_often_and_no_more() {
    let mut dht = node(1, |_| {});
    let limits = QueryLimits::default();
    for _ in 0..1_000 {
        dht.handle(&ping(1), stranger(1), at(5));
    }
    assert_eq!(sent(&mut dht).len(), limits.each.burst.get() as usize);
    dht.handle(&ping(1), stranger(2), at(5));
    assert_eq!(sent(&mut dht).len(), 1);
    assert_eq!(dht.counters().limited, 1_000 - u64::from(limits.each.burst.get()));
}

#[test]
fn a_node_that_cannot_be_asked_does_not_answer() {
    let mut dht = node(1, |config| config.read_only = true);
    dht.handle(&ping(1), stranger(1), at(5));
    dht.handle(b"d1:t1:t1:y1:qe", stranger(1), at(5));
    assert_eq!(sent(&mut dht), []);
}

#[test]
fn a_family_that_is_not_spoken_is_not_heard() {
    let mut dht = node(1, |_| {});
    dht.handle(&ping(1), "[2001:db8::1]:9".parse().unwrap(), at(5));
    assert_eq!(sent(&mut dht), []);
    dht.handle(&ping(1), "[::ffff:198.51.100.7]:9".parse().unwrap(), at(5));
    assert_eq!(sent(&mut dht)[0].0, "198.51.100.7:9".parse().unwrap());
}

/// Answers pings of `dht` from each of these addresses, and tells it that it is seen as `seen`.
fn confirm(dht: &mut Dht, seen: SocketAddr, now: Instant) {
    for (to, datagram) in sent(dht) {
        let Ok(Message { transaction, body: Body::Query(_), .. }) = Message::decode(&datagram) else {
            continue;
        };
        let id = Id::hash(&[to.to_string().as_bytes()]);
        let response = Response { seen_as: Some(seen), ..Response::of(id) };
        let answer = Message { transaction, version: None, body: Body::Response(response) }.encode();
        dht.handle(&answer, to, now);
    }
}

#[test]
fn a_public_node_takes_an_id_that_fits_its_address() {
    let mut dht = node(1, |config| config.follow_address = true);
    let seen: SocketAddr = "203.0.113.77:30609".parse().unwrap();
    let before = dht.id(Family::V4).unwrap();
    assert!(!relay_node::dht::fits(&before, seen.ip()));
    for number in 0..6 {
        let address = stranger(number << 8);
        let query =
            Query { id: Id::hash(&[address.to_string().as_bytes()]), read_only: false, method: Method::Ping };
        let query = Message { transaction: b"t", version: None, body: Body::Query(query) }.encode();
        dht.handle(&query, address, at(5));
        confirm(&mut dht, seen, at(6));
    }
    let after = dht.id(Family::V4).unwrap();
    assert!(relay_node::dht::fits(&after, seen.ip()), "{after}");
    let events: Vec<Event> = std::iter::from_fn(|| dht.poll_event()).collect();
    assert_eq!(events, [Event::SeenAs { ip: seen.ip() }]);
    assert_eq!(dht.contact_count(), 6);
}

#[test]
fn contacts_may_have_to_fit_their_addresses() {
    for (required, contacts) in [(true, 0), (false, 1)] {
        let mut dht = node(1, |config| config.require_fitting_ids = required);
        let address = stranger(1);
        let id = Id::hash(&[address.to_string().as_bytes()]);
        let query = Query { id, read_only: false, method: Method::Ping };
        let query = Message { transaction: b"t", version: None, body: Body::Query(query) }.encode();
        dht.handle(&query, address, at(5));
        confirm(&mut dht, address, at(6));
        assert_eq!(dht.contact_count(), contacts);
    }
}

/// What a stranger may send: sound messages, damaged ones, noise.
fn datagrams() -> impl Strategy<Value = Vec<u8>> {
    let ids = any::<[u8; 20]>().prop_map(Id::from_bytes);
    let sound = (ids, any::<[u8; 20]>(), 0u8..8, any::<i64>(), any::<bool>()).prop_map(
        |(id, target, kind, seq, read_only)| {
            let target = Id::from_bytes(target);
            let mut value = Writer::new();
            value.int(seq);
            let value = value.finish();
            let value = Value::parse(&value).unwrap();
            let mutable =
                PutMutable { key: &[7; 32], salt: b"salt", seq, signature: &[8; 64], cas: Some(seq) };
            let method = match kind {
                0 => Method::Ping,
                1 => Method::FindNode { target, want: Want::BOTH },
                2 => Method::GetPeers { info_hash: target, want: Want::UNSAID },
                3 => Method::Get { target, newer_than: Some(seq), want: Want::BOTH },
                4 => Method::AnnouncePeer(Announce { info_hash: target, port: Some(9), token: b"12345678" }),
                5 => Method::Put(Put { token: b"12345678", value, mutable: None }),
                6 => Method::Put(Put { token: b"12345678", value, mutable: Some(mutable) }),
                _ => {
                    let response = Response { value: Some(value), seq: Some(seq), ..Response::of(id) };
                    let body = Body::Response(response);
                    return Message { transaction: b"tttt", version: None, body }.encode();
                }
            };
            let body = Body::Query(Query { id, read_only, method });
            Message { transaction: b"tttt", version: None, body }.encode()
        },
    );
    let damaged = (sound.clone(), any::<prop::sample::Index>(), any::<u8>(), any::<prop::sample::Index>())
        .prop_map(|(mut datagram, at, byte, end)| {
            let at = at.index(datagram.len());
            datagram[at] = byte;
            datagram.truncate(end.index(datagram.len() + 1));
            datagram
        });
    let noise = proptest::collection::vec(any::<u8>(), 0..300);
    prop_oneof![4 => sound, 3 => damaged, 1 => noise]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn whatever_strangers_send_nothing_panics(
        events in proptest::collection::vec((datagrams(), 0u32..40, 0u64..3_000), 1..60),
    ) {
        let mut dht = node(1, |config| config.v6 = config.v4);
        let mut now = 1;
        let _ = dht.get(GetRequest::of_target(Id::from_bytes([3; 20])), at(now));
        for (datagram, from, passes) in events {
            now += passes;
            if dht.next_timeout().is_some_and(|due| due <= at(now)) {
                dht.handle_timeout(at(now));
            }
            dht.handle(&datagram, stranger(from), at(now));
            for (_, datagram) in sent(&mut dht) {
                prop_assert!(Value::parse_canonical(&datagram).is_ok());
                prop_assert!(Message::decode(&datagram).is_ok());
            }
        }
    }
}

/// 30,000 messages from as many addresses, and nobody takes what is to be sent: everything stays within its limit.
#[test]
fn a_flood_takes_no_memory() {
    let mut dht = node(1, |_| {});
    let mut rng = Rng::seed_from_u64(1);
    let mut id = [0; 20];
    for number in 0..30_000_u32 {
        rng.fill_bytes(&mut id);
        let method = match number % 3 {
            0 => Method::Ping,
            1 => Method::GetPeers { info_hash: Id::from_bytes(id), want: Want::BOTH },
            _ => Method::Get { target: Id::from_bytes(id), newer_than: None, want: Want::UNSAID },
        };
        let query = Query { id: Id::from_bytes(id), read_only: false, method };
        let datagram = Message { transaction: b"t", version: None, body: Body::Query(query) }.encode();
        dht.handle(&datagram, stranger(number), at(u64::from(number)));
        if number % 100 == 0 {
            dht.handle_timeout(at(u64::from(number)));
        }
    }
    assert_eq!(dht.contact_count(), 0, "who never answers is no contact");
    assert!(dht.queries_under_way() <= 16, "{}", dht.queries_under_way());
    assert_eq!(dht.kept(), (0, 0));
    let waiting = sent(&mut dht).len();
    assert!(waiting <= 4_096, "{waiting}");
    assert_eq!(waiting as u64 + dht.counters().overflowed, dht.counters().datagrams_out);
}
