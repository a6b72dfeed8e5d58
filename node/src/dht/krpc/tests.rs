use proptest::prelude::*;

use super::*;
use crate::dht::contact::{Contact, Family};
use crate::dht::id::Id;

fn id(text: &[u8; 20]) -> Id {
    Id::from_bytes(*text)
}

fn refused(datagram: &[u8]) -> (ErrorCode, String) {
    match Message::decode(datagram) {
        Err(DecodeError::Refused { transaction: b"aa", refusal }) => (refusal.code, refusal.text),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_examples_of_bep_5() {
    let me = id(b"abcdefghij0123456789");
    let other = id(b"mnopqrstuvwxyz123456");
    let query = |method| Body::Query(Query { id: me, read_only: false, method });
    let announce = Announce { info_hash: other, port: Some(6881), token: b"aoeusnth" };
    for (datagram, body) in [
        (&b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe"[..], query(Method::Ping)),
        (
            b"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q9:find_node1:t2:aa1:y1:qe",
            query(Method::FindNode { target: other, want: Want::UNSAID }),
        ),
        (
            b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers1:t2:aa1:y1:qe",
            query(Method::GetPeers { info_hash: other, want: Want::UNSAID }),
        ),
        (
            b"d1:ad2:id20:abcdefghij012345678912:implied_porti0e9:info_hash20:mnopqrstuvwxyz1234564:porti6881e5:token8:aoeusnthe1:q13:announce_peer1:t2:aa1:y1:qe",
            query(Method::AnnouncePeer(announce)),
        ),
        (b"d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re", Body::Response(Response::of(other))),
        (
            b"d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee",
            Body::Error(Refusal::new(ErrorCode::Generic, "A Generic Error Ocurred")),
        ),
    ] {
        let message = Message { transaction: b"aa", version: None, body };
        assert_eq!(Message::decode(datagram).as_ref(), Ok(&message));
        assert_eq!(message.encode().escape_ascii().to_string(), datagram.escape_ascii().to_string());
    }
    let peers = b"d1:rd2:id20:abcdefghij01234567895:token8:aoeusnth6:valuesl6:axje.u6:idhtnmee1:t2:aa1:y1:re";
    let Ok(Message { body: Body::Response(response), .. }) = Message::decode(peers) else { panic!() };
    let peers: Vec<_> = response.values.unwrap().iter().map(|peer| peer.to_string()).collect();
    assert_eq!(
        (peers, response.token),
        (vec!["97.120.106.101:11893".into(), "105.100.104.116:28269".into()], Some(&b"aoeusnth"[..]))
    );
}

#[test]
fn what_has_no_answer_is_told_apart_from_what_is_refused() {
    let no_message = |datagram: &[u8]| match Message::decode(datagram) {
        Err(error) => error.to_string(),
        Ok(message) => panic!("{message:?}"),
    };
    assert!(no_message(b"GET / HTTP/1.1").contains("not bencoded"));
    assert!(no_message(b"le").contains("no transaction id"));
    assert!(no_message(b"d1:t2:aa1:y1:ze").contains("no query, response or error"));
    assert!(no_message(b"d1:rd2:id2:aae1:t2:aa1:y1:re").contains("answerer's id"));
    assert!(no_message(&[b'd'; DATAGRAM_BYTES_MAX + 1]).contains("at most 2048"));
    let long = format!("d1:t33:{}1:y1:qe", "a".repeat(33));
    assert!(no_message(long.as_bytes()).contains("too long"));

    assert_eq!(refused(b"d1:t2:aa1:y1:qe"), (ErrorCode::Protocol, "the query has no method (q)".into()));
    for (arguments, method, says) in [
        ("i1e", "ping", "(a)"),
        ("de", "ping", "argument id"),
        ("d2:id20:abcdefghij0123456789e", "find_node", "target"),
        ("d2:id20:abcdefghij0123456789e", "get_peers", "info_hash"),
        ("d2:id20:abcdefghij01234567894:porti0e5:token1:te", "announce_peer", "port"),
        ("d2:id20:abcdefghij01234567894:porti70000e5:token1:te", "announce_peer", "port"),
        (
            "d2:id20:abcdefghij01234567893:seqi9223372036854775808e6:target20:abcdefghij0123456789e",
            "get",
            "seq",
        ),
        ("d2:id20:abcdefghij01234567895:token1:te", "put", "v is not there"),
        ("d2:id20:abcdefghij01234567891:vi1ee", "put", "token"),
        ("d2:id20:abcdefghij01234567895:token1:t1:vd1:bi1e1:ai1eee", "put", "canonical"),
        ("d2:id20:abcdefghij01234567891:k2:aa5:token1:t1:vi1ee", "put", "32 bytes"),
    ] {
        let datagram = format!("d1:a{arguments}1:q{}:{method}1:t2:aa1:y1:qe", method.len());
        let (code, text) = refused(datagram.as_bytes());
        assert_eq!(code, ErrorCode::Protocol, "{text}");
        assert!(text.contains(says), "{text}");
    }
    let unknown = b"d1:ad2:id20:abcdefghij0123456789e1:q4:vote1:t2:aa1:y1:qe";
    assert_eq!(refused(unknown).0, ErrorCode::MethodUnknown);
}

#[test]
fn messages_of_others_need_not_be_in_order() {
    let shuffled = b"d1:y1:q1:t2:aa1:q4:ping2:roi1e1:ad2:id20:abcdefghij0123456789ee";
    let Ok(Message { body: Body::Query(query), .. }) = Message::decode(shuffled) else { panic!() };
    assert!(query.read_only);
    // Nor need an error be one.
    for (error, number) in [("i1e", 201), ("li999ee", 999), ("l1:xi1ee", 201), ("li302e3:a\nbe", 302)] {
        let datagram = format!("d1:e{error}1:t2:aa1:y1:ee");
        let Ok(Message { body: Body::Error(refusal), .. }) = Message::decode(datagram.as_bytes()) else {
            panic!()
        };
        assert_eq!(refusal.code.number(), number);
        assert!(!refusal.text.contains('\n'));
    }
}

#[test]
fn nodes_of_a_length_that_fits_nothing_are_none() {
    let contact = Contact { id: id(b"abcdefghij0123456789"), address: "198.51.100.7:30609".parse().unwrap() };
    let bytes = CompactNodes::pack(&[contact], Family::V4);
    assert_eq!(bytes.len(), 26);
    assert!(CompactNodes::pack(&[contact], Family::V6).is_empty());
    assert!(CompactNodes::read(&bytes, Family::V4).iter().eq([contact]));
    assert_eq!(CompactNodes::read(&bytes[1..], Family::V4).iter().count(), 0);
    assert_eq!(CompactNodes::read(&bytes, Family::V6).iter().count(), 0);
}

#[test]
fn a_family_that_nobody_asked_for_is_that_of_the_sender() {
    let n4 = Want { v4: true, v6: false };
    assert!(Want::UNSAID.includes(Family::V6, Family::V6) && !Want::UNSAID.includes(Family::V4, Family::V6));
    assert!(n4.includes(Family::V4, Family::V6) && !n4.includes(Family::V6, Family::V6));
    assert!(Want::BOTH.includes(Family::V4, Family::V6) && Want::BOTH.includes(Family::V6, Family::V4));
}

fn ids() -> impl Strategy<Value = Id> {
    any::<[u8; 20]>().prop_map(Id::from_bytes)
}

fn wants() -> impl Strategy<Value = Want> {
    (any::<bool>(), any::<bool>()).prop_map(|(v4, v6)| Want { v4, v6 })
}

proptest! {
    #[test]
    fn queries_round_trip(
        (me, target, read_only) in (ids(), ids(), any::<bool>()),
        (want, port, seq, cas) in (wants(), proptest::option::of(1u16..), proptest::option::of(any::<i64>()), proptest::option::of(any::<i64>())),
        token in proptest::collection::vec(any::<u8>(), 0..20),
        (key, signature, salt) in (any::<[u8; 32]>(), any::<[[u8; 32]; 2]>(), proptest::collection::vec(any::<u8>(), 0..70)),
        transaction in proptest::collection::vec(any::<u8>(), 0..TRANSACTION_BYTES_MAX),
    ) {
        let mut out = Writer::new();
        out.bytes(&salt);
        let value = out.finish();
        let value = Value::parse(&value).unwrap();
        let signature: [u8; 64] = signature.concat().try_into().unwrap();
        let mutable = seq.map(|seq| PutMutable { key: &key, salt: &salt, seq, signature: &signature, cas });
        for method in [
            Method::Ping,
            Method::FindNode { target, want },
            Method::GetPeers { info_hash: target, want },
            Method::AnnouncePeer(Announce { info_hash: target, port, token: &token }),
            Method::Get { target, newer_than: seq, want },
            Method::Put(Put { token: &token, value, mutable }),
        ] {
            let query = Query { id: me, read_only, method };
            let message = Message { transaction: &transaction, version: Some(b"RL01"), body: Body::Query(query) };
            let bytes = message.encode();
            prop_assert!(Value::parse_canonical(&bytes).is_ok());
            prop_assert_eq!(Message::decode(&bytes), Ok(message));
        }
    }

    #[test]
    fn responses_round_trip(
        (me, v4, v6) in (ids(), any::<([u8; 4], u16)>(), any::<([u8; 16], u16)>()),
        (key, signature, seq) in (any::<[u8; 32]>(), any::<[[u8; 32]; 2]>(), proptest::option::of(any::<i64>())),
        token in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..20)),
    ) {
        let (v4, v6) = (std::net::SocketAddr::from(v4), std::net::SocketAddr::from(v6));
        let contacts = [Contact { id: me, address: v4 }, Contact { id: me, address: v6 }];
        let (nodes, nodes6) = (CompactNodes::pack(&contacts, Family::V4), CompactNodes::pack(&contacts, Family::V6));
        let signature: [u8; 64] = signature.concat().try_into().unwrap();
        let peers = pack_addresses(&[v4, v6]);
        let response = Response {
            id: me,
            seen_as: Some(v6),
            nodes: Some(CompactNodes::read(&nodes, Family::V4)),
            nodes6: Some(CompactNodes::read(&nodes6, Family::V6)),
            token: token.as_deref(),
            values: Values::new(&peers),
            value: Value::parse(b"5:value").ok(),
            seq,
            signed: Some((&key, &signature)),
        };
        prop_assert!(response.nodes_of(Family::V4).iter().eq([contacts[0]]));
        prop_assert!(response.nodes_of(Family::V6).iter().eq([contacts[1]]));
        prop_assert!(response.values.unwrap().iter().eq([v4, v6]));
        let message = Message { transaction: b"xy", version: None, body: Body::Response(response) };
        let bytes = message.encode();
        prop_assert!(Value::parse_canonical(&bytes).is_ok());
        prop_assert_eq!(Message::decode(&bytes), Ok(message));
    }

    #[test]
    fn damaged_messages_never_panic(at in 0usize..120, byte: u8, cut in 0usize..120) {
        let mut datagram = b"d1:ad2:id20:abcdefghij01234567891:k32:012345678901234567890123456789012:seqi1e5:token1:t1:v1:xe1:q3:put1:t2:aa1:y1:qe".to_vec();
        let length = datagram.len();
        datagram[at % length] = byte;
        datagram.truncate(length - cut.min(length));
        let _ = Message::decode(&datagram);
    }
}
