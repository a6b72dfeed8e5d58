//! A series of datagrams from strangers to one node.
//!
//! The input is cut into steps: a byte of pause, a byte of who sends, two bytes of length, and the datagram. A datagram
//! that begins with `@` is the rest of an answer to the node's latest query to whom it comes from.

#![no_main]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use rand_chacha::rand_core::SeedableRng;
use relay_node::dht::bencode::Value;
use relay_node::dht::krpc::{Body, Message};
use relay_node::dht::{Config, Dht, GetRequest, ITEMS_MAX, Id, PEERS_MAX, TRANSACTIONS_MAX};
use relay_node::env::{Instant, Rng};

fuzz_target!(|input: &[u8]| {
    let mut now = Instant::from_nanos(1);
    let mut config = Config::v4(Id::from_bytes([9; 20]));
    config.v6 = config.v4;
    config.bootstrap = vec![stranger(0), stranger(1)];
    let mut dht = Dht::new(config, Rng::seed_from_u64(1), now);
    let mut asked: BTreeMap<SocketAddr, Vec<u8>> = BTreeMap::new();
    let _ = dht.get(GetRequest::of_target(Id::from_bytes([3; 20])), now);
    let mut rest = input;
    while let Some((&[pause, who, high, low], after)) = rest.split_first_chunk::<4>() {
        let length = usize::from(u16::from_be_bytes([high, low])).min(after.len());
        let (datagram, next) = after.split_at(length);
        rest = next;
        now = now + Duration::from_millis(u64::from(pause) * u64::from(pause));
        if dht.next_timeout().is_some_and(|due| due <= now) {
            dht.handle_timeout(now);
        }
        let from = stranger(who % 16);
        match (datagram.split_first(), asked.get(&from)) {
            (Some((b'@', answer)), Some(transaction)) => {
                let mut whole = b"d1:r".to_vec();
                whole.extend_from_slice(answer);
                whole.extend_from_slice(format!("1:t{}:", transaction.len()).as_bytes());
                whole.extend_from_slice(transaction);
                whole.extend_from_slice(b"1:y1:re");
                dht.handle(&whole, from, now);
            }
            _ => dht.handle(datagram, from, now),
        }
        while let Some(transmit) = dht.poll_transmit() {
            assert!(Value::parse_canonical(&transmit.datagram).is_ok());
            let message = Message::decode(&transmit.datagram).expect("we read what we write");
            if let Body::Query(_) = message.body {
                asked.insert(transmit.to, message.transaction.to_vec());
            }
        }
        while dht.poll_event().is_some() {}
        let (items, peers) = dht.kept();
        assert!(items <= ITEMS_MAX && peers <= PEERS_MAX && dht.queries_under_way() <= TRANSACTIONS_MAX);
        assert!(dht.contacts().len() <= 32, "sixteen strangers with two families are no more contacts");
    }
});

fn stranger(number: u8) -> SocketAddr {
    if number < 12 {
        SocketAddr::from(([198, 51, 100, number], 30_609))
    } else {
        SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(number)], 30_609))
    }
}
