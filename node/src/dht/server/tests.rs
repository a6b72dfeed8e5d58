use ed25519_dalek::SigningKey;

use super::*;
use crate::dht::bencode::Writer;
use crate::dht::item::{MutableItem, OWN_VALUE_BYTES_MAX, mutable_target};
use crate::dht::krpc::{ErrorCode, Put, PutMutable};

const ME: Id = Id::from_bytes([9; 20]);
const ASKER: Id = Id::from_bytes([5; 20]);

/// A node that knows eight others of each family.
struct Eight;

impl Neighbours for Eight {
    fn me(&self, _: Family) -> Id {
        ME
    }

    fn closest(&self, family: Family, _: &Id) -> Vec<Contact> {
        let address = |n: u8| match family {
            Family::V4 => SocketAddr::from(([198, 51, 100, n], 30_609)),
            Family::V6 => SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, n.into()], 30_609)),
        };
        (0..8).map(|n| Contact { id: Id::from_bytes([n; 20]), address: address(n) }).collect()
    }
}

fn at(seconds: u64) -> Instant {
    Instant::from_nanos(seconds * 1_000_000_000)
}

fn asker() -> SocketAddr {
    "198.51.100.200:4000".parse().unwrap()
}

fn server() -> Server {
    Server::new(ME, QueryLimits::default(), &mut Rng::seed_from_u64(1), at(0))
}

fn ask_from(server: &mut Server, from: SocketAddr, method: Method<'_>) -> (usize, Vec<u8>) {
    let query = Query { id: ASKER, read_only: false, method };
    let asked = Asked { transaction: b"t", query: &query, from, now: at(1) };
    let answer = server.answer(asked, &Eight);
    let datagram = Message { transaction: b"t", version: None, body: Body::Query(query) }.encode();
    (datagram.len(), answer.datagram)
}

fn ask(server: &mut Server, method: Method<'_>) -> Vec<u8> {
    ask_from(server, asker(), method).1
}

fn response(answer: &[u8]) -> Response<'_> {
    match Message::decode(answer) {
        Ok(Message { transaction: b"t", body: Body::Response(response), .. }) => response,
        other => panic!("{other:?}"),
    }
}

/// The error's number; 0 where there is none.
fn code(answer: &[u8]) -> i64 {
    match Message::decode(answer) {
        Ok(Message { transaction: b"t", body: Body::Error(refusal), .. }) => refusal.code.number(),
        Ok(Message { body: Body::Response(_), .. }) => 0,
        other => panic!("{other:?}"),
    }
}

fn token(server: &mut Server, target: Id) -> Vec<u8> {
    let answer = ask(server, Method::Get { target, newer_than: None, want: Want::UNSAID });
    response(&answer).token.unwrap().to_vec()
}

fn value(length: usize) -> Vec<u8> {
    let mut out = Writer::new();
    out.bytes(&vec![b'x'; length]);
    out.finish()
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn signed(salt: &[u8], seq: i64, value: &[u8]) -> MutableItem {
    MutableItem::sign(&key(), salt, seq, value.to_vec()).unwrap()
}

fn put_mutable(server: &mut Server, item: &MutableItem, cas: Option<i64>, token: &[u8]) -> i64 {
    let mutable =
        PutMutable { key: &item.key, salt: &item.salt, seq: item.seq, signature: &item.signature, cas };
    let value = Value::parse(&item.value).unwrap();
    code(&ask(server, Method::Put(Put { token, value, mutable: Some(mutable) })))
}

fn put(server: &mut Server, item: &MutableItem, cas: Option<i64>) -> i64 {
    let token = token(server, item.target());
    put_mutable(server, item, cas, &token)
}

fn put_immutable(server: &mut Server, value: &[u8], token: &[u8]) -> i64 {
    let value = Value::parse(value).unwrap();
    code(&ask(server, Method::Put(Put { token, value, mutable: None })))
}

#[test]
fn plain_questions_are_answered() {
    let mut server = server();
    let pong = ask(&mut server, Method::Ping);
    assert_eq!((response(&pong).id, response(&pong).seen_as), (ME, Some(asker())));
    let find = |want| Method::FindNode { target: ASKER, want };
    let count = |answer: &[u8]| {
        let response = response(answer);
        (response.nodes_of(Family::V4).iter().count(), response.nodes_of(Family::V6).iter().count())
    };
    assert_eq!(count(&ask(&mut server, find(Want::UNSAID))), (8, 0));
    assert_eq!(count(&ask(&mut server, find(Want::BOTH))), (8, 8));
    let by_v6 = "[2001:db8::7]:1".parse().unwrap();
    assert_eq!(count(&ask_from(&mut server, by_v6, find(Want::UNSAID)).1), (0, 8));
}

#[test]
fn peers_are_announced_and_found() {
    let mut server = server();
    let topic = Id::hash(&[b"remote-network-mesh"]);
    let get = || Method::GetPeers { info_hash: topic, want: Want::UNSAID };
    let empty = ask(&mut server, get());
    assert_eq!(response(&empty).values, None);
    assert_eq!(response(&empty).nodes_of(Family::V4).iter().count(), 8);
    let token = response(&empty).token.unwrap();
    for (port, token, expected) in
        [(Some(7_000), token, 0), (None, token, 0), (None, &b"12345678"[..], 203), (None, b"", 203)]
    {
        let announce = Method::AnnouncePeer(Announce { info_hash: topic, port, token });
        assert_eq!(code(&ask(&mut server, announce)), expected);
    }
    let found = ask(&mut server, get());
    let mut ports: Vec<_> = response(&found).values.unwrap().iter().map(|peer| peer.port()).collect();
    ports.sort_unstable();
    assert_eq!(ports, [4_000, 7_000]);
    let by_v6 = "[2001:db8::7]:1".parse().unwrap();
    assert_eq!(response(&ask_from(&mut server, by_v6, get()).1).values, None);
}

#[test]
fn items_are_kept_and_given_back_without_their_salt() {
    let mut server = server();
    let item = signed(b"salt", 4, b"12:Hello World!");
    assert_eq!(put(&mut server, &item, None), 0);
    let get = |newer_than| Method::Get { target: item.target(), newer_than, want: Want::UNSAID };
    for newer_than in [None, Some(3), Some(-1)] {
        let answer = ask(&mut server, get(newer_than));
        let response = response(&answer);
        assert_eq!(response.value.unwrap().raw(), item.value);
        assert_eq!((response.seq, response.signed), (Some(4), Some((&item.key, &item.signature))));
        assert!(response.token.is_some() && response.nodes.is_some());
        assert_eq!(Value::parse(&answer).unwrap().get(b"r").unwrap().get(b"salt"), None);
    }
    for newer_than in [Some(4), Some(5)] {
        let answer = ask(&mut server, get(newer_than));
        let response = response(&answer);
        assert_eq!((response.seq, response.value, response.signed), (Some(4), None, None));
        assert!(response.token.is_some() && response.nodes.is_some());
    }
    let immutable = b"d1:ai1e1:bi2ee";
    let target = Id::hash(&[immutable]);
    let token = token(&mut server, target);
    assert_eq!(put_immutable(&mut server, immutable, &token), 0);
    let answer = ask(&mut server, Method::Get { target, newer_than: None, want: Want::UNSAID });
    assert_eq!(response(&answer).value.unwrap().raw(), immutable);
    assert_eq!((response(&answer).seq, response(&answer).signed), (None, None));
}

#[test]
fn what_is_wrong_is_told_in_the_usual_order() {
    let mut server = server();
    let stored = signed(b"", 5, b"1:a");
    assert_eq!(put(&mut server, &stored, None), 0);
    let good = token(&mut server, stored.target());
    // Everything is wrong with this one. One thing after the other is set right, and the next is told.
    let mut item = MutableItem {
        seq: -1,
        salt: vec![b's'; 65],
        value: value(1_001),
        signature: [1; 64],
        ..stored.clone()
    };
    let cas = Some(9);
    assert_eq!(put_mutable(&mut server, &item, cas, b"bad"), 205);
    item.value = b"1:b".to_vec();
    assert_eq!(put_mutable(&mut server, &item, cas, b"bad"), 207);
    item.salt.clear();
    assert_eq!(put_mutable(&mut server, &item, cas, b"bad"), 203);
    assert_eq!(put_mutable(&mut server, &item, cas, &good), 203, "the seq is negative");
    item.seq = 4;
    assert_eq!(put_mutable(&mut server, &item, cas, &good), 206);
    let item = signed(b"", 4, b"1:b");
    assert_eq!(put_mutable(&mut server, &item, cas, &good), 301);
    assert_eq!(put_mutable(&mut server, &item, Some(5), &good), 302);
    assert_eq!(put_mutable(&mut server, &item, None, &good), 302);
    assert_eq!(put_mutable(&mut server, &signed(b"", 6, b"1:b"), Some(5), &good), 0);
    // The same for an immutable item.
    let long = value(997);
    assert_eq!(put_immutable(&mut server, &long, b"bad"), 205);
    assert_eq!(put_immutable(&mut server, &value(996), b"bad"), 203);
    let token = token(&mut server, Id::hash(&[&value(996)]));
    assert_eq!(put_immutable(&mut server, &value(996), &token), 0);
}

#[test]
fn versions_only_go_forward() {
    let mut server = server();
    let first = signed(b"", 1, b"1:a");
    assert_eq!(put(&mut server, &first, Some(77)), 0, "cas says nothing where nothing is stored");
    assert_eq!(put(&mut server, &first, None), 0, "the same again refreshes");
    assert_eq!(put(&mut server, &first, Some(1)), 0);
    assert_eq!(put(&mut server, &first, Some(0)), 301);
    assert_eq!(put(&mut server, &signed(b"", 1, b"1:b"), None), 302, "the same version of another value");
    assert_eq!(put(&mut server, &signed(b"", 0, b"1:a"), None), 302);
    assert_eq!(put(&mut server, &signed(b"", i64::MAX, b"1:b"), Some(1)), 0);
    assert_eq!(put(&mut server, &signed(b"other", 1, b"1:c"), Some(1)), 0, "another salt is another item");
    let target = mutable_target(&first.key, b"");
    assert_eq!(server.item(&target).and_then(Item::seq), Some(i64::MAX));
}

#[test]
fn a_refresh_makes_an_item_live_longer() {
    let mut server = server();
    let item = signed(b"", 1, b"1:a");
    assert_eq!(put(&mut server, &item, None), 0);
    let expiry = server.next_expiry().unwrap();
    assert_eq!(expiry, at(1) + ITEM_LIFETIME);
    server.expire(expiry);
    assert_eq!((server.kept(), server.next_expiry()), ((0, 0), None));
}

#[test]
fn a_token_of_another_address_or_target_is_refused() {
    let mut server = server();
    let item = signed(b"", 1, b"1:a");
    let other = token(&mut server, mutable_target(&item.key, b"other"));
    assert_eq!(put_mutable(&mut server, &item, None, &other), 203);
    let from = "198.51.100.201:4000".parse().unwrap();
    let get = Method::Get { target: item.target(), newer_than: None, want: Want::UNSAID };
    let answer = ask_from(&mut server, from, get).1;
    let foreign = response(&answer).token.unwrap().to_vec();
    assert_eq!(put_mutable(&mut server, &item, None, &foreign), 203);
}

/// The largest answers to the smallest queries: what a liar about its address could make us send to another's.
#[test]
fn no_answer_is_longer_than_a_packet_or_than_the_protocol_needs() {
    let mut server = server();
    let item = signed(&[b's'; 64], i64::MAX, &value(OWN_VALUE_BYTES_MAX));
    assert_eq!(put(&mut server, &item, None), 0);
    let topic = Id::from_bytes([3; 20]);
    for n in 0..=255 {
        server.peers.announce(topic, SocketAddr::from(([203, 0, 113, n], 9)), at(1));
    }
    let mut worst: Vec<(&str, usize, usize)> = Vec::new();
    for want in [Want::UNSAID, Want::BOTH] {
        for (name, method) in [
            ("ping", Method::Ping),
            ("find_node", Method::FindNode { target: topic, want }),
            ("get_peers", Method::GetPeers { info_hash: topic, want }),
            ("get", Method::Get { target: item.target(), newer_than: None, want }),
        ] {
            let (asked, answer) = ask_from(&mut server, asker(), method);
            assert!(answer.len() <= ANSWER_BYTES_MAX, "{name}: {} bytes", answer.len());
            assert!(response(&answer).nodes_of(Family::V4).iter().count() >= 5 || name == "ping");
            worst.push((name, asked, answer.len()));
        }
    }
    // A value of 1,000 bytes with its key and signature, and nodes: BEP 44 wants them in one answer to one question.
    let ratio = |(_, asked, answered): &(&str, usize, usize)| *answered as f64 / *asked as f64;
    let most = |of: &str| worst.iter().filter(|row| row.0 == of).map(ratio).fold(0.0, f64::max);
    assert!(most("ping") < 1.8, "{worst:?}");
    assert!(most("find_node") < 6.0, "{worst:?}");
    assert!(most("get_peers") < 9.5, "{worst:?}");
    assert!(most("get") < 17.0, "{worst:?}");
    // What is refused is answered with about as much as was asked.
    let refused = ask_from(
        &mut server,
        asker(),
        Method::AnnouncePeer(Announce { info_hash: topic, port: None, token: b"" }),
    );
    assert!(refused.1.len() <= refused.0, "{refused:?}");
    let refusal = refuse(b"t", Refusal::new(ErrorCode::MethodUnknown, "the method is not known"));
    assert!(refusal.len() < 80);
}
