//! A name server on loopback, with just enough of DNS (RFC 1035, RFC 2782).

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::UdpSocket;

const A: u16 = 1;
const SRV: u16 = 33;
const INTERNET: u16 = 1;
const NO_SUCH_NAME: u16 = 3;

/// Starts one that knows these names (lower case, without a dot at the end): an SRV record for each target and port, and
/// 127.0.0.1 for each target.
pub(crate) async fn start(names: BTreeMap<String, Vec<(String, u16)>>) -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("loopback has free ports");
    let at = socket.local_addr().expect("a bound socket has an address");
    tokio::spawn(async move {
        let mut query = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut query).await {
            let _ = socket.send_to(&answer(&query[..length], &names), from).await;
        }
    });
    at
}

fn answer(query: &[u8], names: &BTreeMap<String, Vec<(String, u16)>>) -> Vec<u8> {
    let mut end = 12;
    let mut labels = Vec::new();
    while query[end] != 0 {
        let label = &query[end + 1..=end + usize::from(query[end])];
        labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
        end += label.len() + 1;
    }
    let name = labels.join(".");
    let wanted = u16::from_be_bytes([query[end + 1], query[end + 2]]);
    let is_target = names.values().flatten().any(|(target, _)| *target == name);
    let data: Vec<Vec<u8>> = match (wanted, names.get(&name)) {
        (SRV, Some(targets)) => targets.iter().map(|(target, port)| srv(target, *port)).collect(),
        (A, None) if is_target => vec![Ipv4Addr::LOCALHOST.octets().to_vec()],
        _ => Vec::new(),
    };
    let code = if is_target || names.contains_key(&name) { 0 } else { NO_SUCH_NAME };
    let mut reply = query[..2].to_vec();
    let count = u16::try_from(data.len()).expect("few records");
    // A response, recursion asked for and to be had; one question, so many answers.
    [0x8180 | code, 1, count, 0, 0].iter().for_each(|word: &u16| reply.extend(word.to_be_bytes()));
    reply.extend(&query[12..end + 5]);
    for data in data {
        let length = u16::try_from(data.len()).expect("short records");
        // The name is the question's; the record lives for a second.
        [0xc00c, wanted, INTERNET, 0, 1, length].iter().for_each(|word| reply.extend(word.to_be_bytes()));
        reply.extend(data);
    }
    reply
}

fn srv(target: &str, port: u16) -> Vec<u8> {
    let mut data = Vec::new();
    [10, 1, port].iter().for_each(|word| data.extend(word.to_be_bytes()));
    for label in target.split('.') {
        data.push(u8::try_from(label.len()).expect("a label"));
        data.extend(label.as_bytes());
    }
    data.push(0);
    data
}
