//! A stranger of the DHT, who writes its datagrams by hand, right ones and wrong ones.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use ed25519_dalek::{Signer, SigningKey};
use relay_node::dht::bencode::Value;
use relay_node::dht::signed_buffer;
use tokio::net::UdpSocket;

use crate::http;
use crate::world::{PATIENCE, Relay};

/// A bencoded byte string.
pub(crate) fn text(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    [format!("{}:", bytes.len()).as_bytes(), bytes].concat()
}

/// A bencoded number.
pub(crate) fn int(number: i64) -> Vec<u8> {
    format!("i{number}e").into_bytes()
}

/// What a query says: values are bencoded already.
pub(crate) type Arguments = BTreeMap<&'static str, Vec<u8>>;

/// A bencoded dictionary.
pub(crate) fn dict(entries: &Arguments) -> Vec<u8> {
    let mut out = b"d".to_vec();
    for (key, value) in entries {
        out.extend(text(key));
        out.extend(value);
    }
    out.push(b'e');
    out
}

/// Where the DHT of a relay listens.
pub(crate) async fn dht_at(relay: &Relay) -> SocketAddr {
    let status = http::get(&relay.at, "/dht/status").await;
    let listen: SocketAddr = status["listen"][0].as_str().expect("it listens").parse().expect("an address");
    SocketAddr::from(([127, 0, 0, 1], listen.port()))
}

/// An answer or an error, as its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer(pub(crate) Vec<u8>);

impl Answer {
    fn message(&self) -> Value<'_> {
        Value::parse(&self.0).expect("relays bencode")
    }

    /// A value of the answer itself, bencoded.
    pub(crate) fn said(&self, key: &str) -> Option<Vec<u8>> {
        Some(self.message().get(b"r")?.get(key.as_bytes())?.raw().to_vec())
    }

    /// A byte string of the answer itself.
    pub(crate) fn bytes(&self, key: &str) -> Option<Vec<u8>> {
        Some(self.message().get(b"r")?.get_bytes(key.as_bytes())?.to_vec())
    }

    /// A byte string beside the answer.
    pub(crate) fn beside(&self, key: &str) -> Option<Vec<u8>> {
        self.message().get_bytes(key.as_bytes()).map(<[u8]>::to_vec)
    }

    /// Code and words, where it is an error.
    pub(crate) fn error(&self) -> Option<(i64, String)> {
        let mut parts = self.message().get(b"e")?.items()?;
        let code = parts.next()?.as_int()?;
        Some((code, String::from_utf8(parts.next()?.as_bytes()?.to_vec()).ok()?))
    }

    /// The code of an error; 0 for an answer.
    pub(crate) fn code(&self) -> i64 {
        self.error().map_or(0, |(code, _)| code)
    }
}

/// A node that asks, and answers nothing.
pub(crate) struct Stranger {
    socket: UdpSocket,
    relay: SocketAddr,
    pub(crate) id: [u8; 20],
    /// Says that it cannot be asked (BEP 43).
    pub(crate) read_only: bool,
    asked: u32,
    /// Queries that came while it waited for answers.
    pub(crate) queries: Vec<Vec<u8>>,
    /// Answers that it did not wait for.
    pub(crate) others: Vec<Vec<u8>>,
}

impl Stranger {
    /// One that speaks to this relay.
    pub(crate) async fn of(relay: &Relay) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("loopback has ports");
        let relay = dht_at(relay).await;
        let (queries, others) = (Vec::new(), Vec::new());
        Stranger { socket, relay, id: [0x5a; 20], read_only: true, asked: 0, queries, others }
    }

    pub(crate) fn at(&self) -> SocketAddr {
        self.socket.local_addr().expect("it is bound")
    }

    /// Sends any bytes.
    pub(crate) async fn send(&self, datagram: &[u8]) {
        self.socket.send_to(datagram, self.relay).await.expect("loopback takes datagrams");
    }

    /// The next datagram from the relay.
    pub(crate) async fn receive(&self) -> Vec<u8> {
        let mut buffer = vec![0; 4_096];
        let received = tokio::time::timeout(PATIENCE, self.socket.recv_from(&mut buffer)).await;
        let (length, from) = received.expect("the relay answers").expect("the socket works");
        assert_eq!(from, self.relay, "nobody else knows this port");
        buffer.truncate(length);
        buffer
    }

    /// Answers that have come and that it did not wait for.
    pub(crate) fn unasked(&mut self) -> Vec<Vec<u8>> {
        let mut buffer = [0; 4_096];
        while let Ok((length, _)) = self.socket.try_recv_from(&mut buffer) {
            self.others.push(buffer[..length].to_vec());
        }
        std::mem::take(&mut self.others)
    }

    /// The datagram of a query, and its transaction.
    pub(crate) fn query(&mut self, method: &str, mut arguments: Arguments) -> (Vec<u8>, Vec<u8>) {
        self.asked += 1;
        let transaction = self.asked.to_be_bytes().to_vec();
        arguments.entry("id").or_insert_with(|| text(self.id));
        let mut message = Arguments::from([
            ("a", dict(&arguments)),
            ("q", text(method)),
            ("t", text(&transaction)),
            ("y", text("q")),
        ]);
        if self.read_only {
            message.insert("ro", int(1));
        }
        (dict(&message), transaction)
    }

    /// Asks and waits for the answer.
    pub(crate) async fn ask(&mut self, method: &str, arguments: Arguments) -> Answer {
        let (datagram, transaction) = self.query(method, arguments);
        self.send(&datagram).await;
        loop {
            let answer = Answer(self.receive().await);
            if answer.beside("y") == Some(b"q".to_vec()) {
                self.queries.push(answer.0);
            } else if answer.beside("t").as_ref() == Some(&transaction) {
                return answer;
            } else {
                self.others.push(answer.0);
            }
        }
    }

    /// Allows to write under `target`.
    pub(crate) async fn token(&mut self, target: &[u8]) -> Vec<u8> {
        let got = self.ask("get", Arguments::from([("target", text(target))])).await;
        got.bytes("token").unwrap_or_else(|| panic!("no token: {got:?}"))
    }

    /// Gets its token and puts.
    pub(crate) async fn put(&mut self, put: &Put) -> Answer {
        let token = self.token(&put.target()).await;
        let put = Put { token, ..put.clone() };
        self.ask("put", put.arguments()).await
    }
}

/// A mutable item on its way.
#[derive(Clone, Debug)]
pub(crate) struct Put {
    pub(crate) key: SigningKey,
    pub(crate) salt: Vec<u8>,
    pub(crate) seq: i64,
    pub(crate) cas: Option<i64>,
    /// Bencoded.
    pub(crate) value: Vec<u8>,
    pub(crate) token: Vec<u8>,
    /// In place of the right one.
    pub(crate) signature: Option<[u8; 64]>,
}

impl Put {
    /// Of the key with this seed, without salt.
    pub(crate) fn of(seed: u8, seq: i64, value: &str) -> Self {
        Put {
            key: SigningKey::from_bytes(&[seed; 32]),
            salt: Vec::new(),
            seq,
            cas: None,
            value: text(value),
            token: Vec::new(),
            signature: None,
        }
    }

    /// Where it is kept.
    pub(crate) fn target(&self) -> Vec<u8> {
        let target = relay_node::dht::mutable_target(&self.key.verifying_key().to_bytes(), &self.salt);
        target.as_bytes().to_vec()
    }

    pub(crate) fn arguments(&self) -> Arguments {
        let signed = self.key.sign(&signed_buffer(&self.salt, self.seq, &self.value)).to_bytes();
        let mut arguments = Arguments::from([
            ("k", text(self.key.verifying_key().to_bytes())),
            ("seq", int(self.seq)),
            ("sig", text(self.signature.unwrap_or(signed))),
            ("token", text(&self.token)),
            ("v", self.value.clone()),
        ]);
        if !self.salt.is_empty() {
            arguments.insert("salt", text(&self.salt));
        }
        if let Some(cas) = self.cas {
            arguments.insert("cas", int(cas));
        }
        arguments
    }
}
