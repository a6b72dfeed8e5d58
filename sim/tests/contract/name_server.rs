//! A name server on loopback, with just enough of DNS (RFC 1035, RFC 2782) for the real world's resolver.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "it is part of the real world under test"
)]

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::UdpSocket;

const SRV: u16 = 33;
const INTERNET: u16 = 1;
const NO_SUCH_NAME: u16 = 3;

/// The records of `_relay._tcp.fed.test`: priority, weight, port, target.
const RECORDS: [(u16, u16, u16, &str); 2] = [(20, 0, 8081, "main-b.test"), (10, 5, 8080, "main-a.test")];

/// Starts it, on the running runtime; where it is.
pub(crate) async fn start() -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let at = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut query = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut query).await {
            let _ = socket.send_to(&answer(&query[..length]), from).await;
        }
    });
    at
}

fn answer(query: &[u8]) -> Vec<u8> {
    let mut end = 12;
    let mut name = String::new();
    while query[end] != 0 {
        let length = usize::from(query[end]);
        name += &String::from_utf8_lossy(&query[end + 1..=end + length]).to_ascii_lowercase();
        name.push('.');
        end += length + 1;
    }
    let question = &query[12..end + 5];
    let records: &[_] = match name.as_str() {
        "_relay._tcp.fed.test." => &RECORDS,
        _ => &[],
    };
    let exists = !records.is_empty() || name.ends_with("empty.test.");
    let code = if exists { 0 } else { NO_SUCH_NAME };
    let mut reply = query[..2].to_vec();
    // A response, recursion asked for and to be had; one question, so many answers.
    for word in [0x8180 | code, 1, records.len() as u16, 0, 0] {
        reply.extend(word.to_be_bytes());
    }
    reply.extend(question);
    for (priority, weight, port, target) in records {
        let mut data = Vec::new();
        [priority, weight, port].iter().for_each(|word| data.extend(word.to_be_bytes()));
        for label in target.split('.') {
            data.push(label.len() as u8);
            data.extend(label.as_bytes());
        }
        data.push(0);
        // The name is the question's.
        [0xc00c, SRV, INTERNET, 0, 1, data.len() as u16]
            .iter()
            .for_each(|word| reply.extend(word.to_be_bytes()));
        reply.extend(data);
    }
    reply
}
