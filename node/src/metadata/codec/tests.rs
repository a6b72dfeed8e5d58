use proptest::prelude::*;

use super::super::record::tests::{a_private_node, a_public_node};
use super::*;

fn value(inner: &str) -> Vec<u8> {
    format!("{}:{inner}", inner.len()).into_bytes()
}

/// The dictionary in which one piece of text stands for another, of any length.
fn changed(from: &str, to: &str) -> Result<Metadata, MetadataError> {
    let encoded = a_private_node().encode().unwrap();
    let inner = Value::parse(&encoded).unwrap().as_bytes().unwrap();
    let inner = std::str::from_utf8(inner).unwrap();
    assert!(inner.contains(from), "{inner}");
    Metadata::decode(&value(&inner.replacen(from, to, 1)))
}

#[test]
fn the_bytes_are_these_for_ever() {
    let expected = "d12:capabilitiesl4:echo5:relaye8:is_relayi1e7:node_id11:relay-a.com9:node_type6:public\
        10:private_ip8:10.0.0.712:private_porti8080e9:protocolsl7:relay.1e9:public_ip12:198.51.100.7\
        11:public_porti8080e8:sequencei4e9:timestampi1700000000e11:using_relayi0e7:version5:0.1.0e";
    let encoded = a_public_node().encode().unwrap();
    assert_eq!(String::from_utf8(encoded.clone()).unwrap().split_once(':').unwrap().1, expected);
    assert_eq!(Metadata::decode(&encoded), Ok(a_public_node()));
    let private = a_private_node();
    assert_eq!(Metadata::decode(&private.encode().unwrap()), Ok(private));
}

#[test]
fn keys_of_later_versions_are_passed_over() {
    assert_eq!(changed("12:capabilities", "1:ali1ei2ee12:capabilities"), Ok(a_private_node()));
    let out_of_order = changed("7:version", "6:uptimei7e7:version");
    assert!(
        matches!(out_of_order, Err(MetadataError::NotBencoded(BencodeError::Order { .. }))),
        "{out_of_order:?}"
    );
}

#[test]
fn what_is_wrong_is_named() {
    let bad = |field, expected| Err(MetadataError::Bad { field, expected });
    for (from, to, error) in [
        ("8:is_relayi0e", "", Err(MetadataError::Missing { field: "is_relay" })),
        ("9:node_type7:private", "", Err(MetadataError::Missing { field: "node_type" })),
        ("is_relayi0e", "is_relayi2e", bad("is_relay", "0 or 1")),
        ("7:private10", "7:Private10", bad("node_type", "`public` or `private`")),
        ("10:alice.home", "5:a b c", bad("node_id", "a node id")),
        ("private_porti8080e", "private_porti65536e", bad("private_port", "a port")),
        ("private_porti8080e", "private_port4:8080", bad("private_port", "a port")),
        ("8:10.0.0.7", "9:10.0.0.07", bad("private_ip", "an IP address")),
        ("8:10.0.0.7", "0:", bad("private_ip", "an IP address")),
        ("sequencei4e", "sequencei-4e", bad("sequence", NUMBER)),
        ("5:0.1.0", "5:0.1.\n", bad("version", TEXT)),
        ("5:0.1.0", "6:0.1.\u{85}", bad("version", TEXT)),
        ("l7:relay.1e", "7:relay.1", bad("protocols", "a list of texts")),
        ("l7:relay.1e", "li1ee", bad("protocols", "a list of texts")),
        ("40:0707", "40:0A07", bad("connected_relay", "a peer id of 40 lowercase hexadecimal digits")),
        ("relay_session_id3:s-1", "relay_session_idi1e", bad("relay_session_id", TEXT)),
    ] {
        assert_eq!(changed(from, to), error, "{to}");
    }
    assert_eq!(Metadata::decode(b"de"), Err(MetadataError::NoDictionary));
    assert_eq!(Metadata::decode(b"2:le"), Err(MetadataError::NoDictionary));
    let long = [b"997:".as_slice(), &[b'x'; 997]].concat();
    assert_eq!(Metadata::decode(&long), Err(MetadataError::TooLong { bytes: 997 }));
}

#[test]
fn limits_hold_both_ways() {
    let refused = |change: fn(&mut Metadata)| {
        let mut node = a_private_node();
        change(&mut node);
        node.encode().unwrap_err().to_string()
    };
    let with = |change: fn(&mut Content)| {
        let mut node = a_private_node();
        change(&mut node.content);
        node.encode().unwrap_err()
    };
    assert_eq!(
        with(|node| node.protocols = vec!["p".into(); PROTOCOLS_MAX + 1]),
        MetadataError::TooMany { field: "protocols", limit: PROTOCOLS_MAX }
    );
    let bad = |field| MetadataError::Bad { field, expected: TEXT };
    assert_eq!(with(|node| node.capabilities = vec!["c".repeat(NAME_BYTES_MAX + 1)]), bad("capabilities"));
    assert_eq!(with(|node| node.version = "v".repeat(VERSION_BYTES_MAX + 1)), bad("version"));
    assert_eq!(
        with(|node| node.relay.as_mut().unwrap().address = "a".repeat(ADDRESS_BYTES_MAX + 1)),
        bad("relay_address")
    );
    assert_eq!(with(|node| node.relay.as_mut().unwrap().session_id = "s\0".into()), bad("relay_session_id"));
    assert!(refused(|node| node.timestamp = -1).contains("timestamp of the metadata is not a number"));
    let capabilities = format!("l{}e", "1:c".repeat(CAPABILITIES_MAX + 1));
    assert_eq!(
        changed("l4:echo5:relaye", &capabilities),
        Err(MetadataError::TooMany { field: "capabilities", limit: CAPABILITIES_MAX })
    );
    assert!(changed("l4:echo5:relaye", &format!("l65:{}e", "c".repeat(65))).is_err());
}

#[test]
fn it_is_as_long_as_an_item_allows_and_no_longer() {
    let mut node = a_public_node();
    node.content.capabilities = vec!["c".repeat(60); 11];
    node.content.version = "v".repeat(10);
    let spare = 1_000 - node.encode().unwrap().len();
    node.content.version.push_str(&"v".repeat(spare));
    let longest = node.encode().unwrap();
    assert_eq!(longest.len(), 1_000, "996 bytes and `996:`");
    assert_eq!(Metadata::decode(&longest), Ok(node.clone()));
    node.content.version.push('v');
    let error = node.encode().unwrap_err();
    assert_eq!(error, MetadataError::TooLong { bytes: 997 });
    assert!(error.to_string().contains("997 bytes, at most 996"), "{error}");
}

fn an_endpoint() -> impl Strategy<Value = Endpoint> {
    (any::<Option<IpAddr>>(), any::<u16>()).prop_map(|(ip, port)| Endpoint { ip, port })
}

fn a_relay() -> impl Strategy<Value = RelayUse> {
    (any::<[u8; 20]>(), "[a-z0-9-]{0,20}", "\\PC{0,20}").prop_map(|(id, session_id, address)| RelayUse {
        peer_id: Id::from_bytes(id),
        session_id,
        address,
    })
}

fn a_content() -> impl Strategy<Value = Content> {
    let names = || prop::collection::vec("\\PC{0,6}", 0..6);
    (
        (prop::option::of("[a-z.]{1,20}"), any::<bool>(), any::<bool>()),
        (an_endpoint(), an_endpoint(), prop::option::of(a_relay())),
        (names(), names(), "[0-9.]{0,8}"),
    )
        .prop_map(|((node_id, is_public, is_relay), (public, private, relay), texts)| Content {
            node_id: node_id.map(|id| id.parse().unwrap()),
            node_type: if is_public { NodeType::Public } else { NodeType::Private },
            is_relay,
            public,
            private,
            relay,
            protocols: texts.0,
            capabilities: texts.1,
            version: texts.2,
        })
}

fn some_metadata() -> impl Strategy<Value = Metadata> {
    (a_content(), 0..=i64::MAX, 0..=i64::MAX).prop_map(|(content, timestamp, sequence)| Metadata {
        content,
        timestamp,
        sequence,
    })
}

proptest! {
    #[test]
    fn what_is_written_reads_as_it_was(metadata in some_metadata()) {
        let value = metadata.encode().unwrap();
        prop_assert!(Value::parse(&value).unwrap().is_canonical());
        prop_assert_eq!(Metadata::decode(&value).unwrap(), metadata);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Metadata::decode(&bytes);
        let inner = [format!("{}:", bytes.len()).as_bytes(), &bytes].concat();
        let _ = Metadata::decode(&inner);
    }

    /// What is read after damage is what it says: it can be written, in no more bytes.
    #[test]
    fn damage_is_refused_or_read_as_it_stands(
        metadata in some_metadata(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut value = metadata.encode().unwrap();
        let at = at.index(value.len());
        value[at] = byte;
        if let Ok(read) = Metadata::decode(&value) {
            let again = read.encode().unwrap();
            prop_assert!(again.len() <= value.len());
            prop_assert_eq!(Metadata::decode(&again).unwrap(), read);
        }
    }
}
