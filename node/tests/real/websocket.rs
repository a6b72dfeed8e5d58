//! A raw WebSocket client that may say what no relay would.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{self, Message};

use crate::world::PATIENCE;

pub(crate) const HOMES: &str = "/ws/federation";
pub(crate) const PEERS: &str = "/ws/peers";

/// The header of a dialler that speaks our version.
pub(crate) const OURS: Option<(&str, &str)> = Some(("Sec-WebSocket-Protocol", "relay.1"));

const NONCE: [u8; 32] = [7; 32];

pub(crate) struct Raw {
    socket: WebSocketStream<TcpStream>,
    name: &'static str,
    key: SigningKey,
}

/// What came next.
#[derive(Debug)]
pub(crate) enum Next {
    Message(Value),
    Closed(Option<CloseFrame>),
}

impl Raw {
    /// Connects; `header` is one more header line, such as the subprotocols offered.
    pub(crate) async fn dial(
        at: &str,
        path: &str,
        name: &'static str,
        header: Option<(&str, &str)>,
    ) -> Result<Self, tungstenite::Error> {
        let mut request = hyper::Request::builder()
            .uri(format!("ws://{at}{path}"))
            .header("Host", at)
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", generate_key());
        if let Some((key, value)) = header {
            request = request.header(key, value);
        }
        let stream = TcpStream::connect(at).await?;
        let request = request.body(()).expect("a valid request");
        let (socket, _) = tokio_tungstenite::client_async(request, stream).await?;
        // The same name has the same key; another may be put in its place.
        let mut seed = [0; 32];
        seed[..name.len().min(32)].copy_from_slice(&name.as_bytes()[..name.len().min(32)]);
        Ok(Raw { socket, name, key: SigningKey::from_bytes(&seed) })
    }

    /// A registered Home that offers `service`, which [`Raw::serve`] answers.
    pub(crate) async fn home(at: &str, name: &'static str, service: &str) -> Self {
        let mut home = Raw::dial(at, HOMES, name, OURS).await.expect("the endpoint takes Homes");
        let answer = home.prove("home").await;
        assert_eq!(answer["type"], "proof", "{answer}");
        home.send(&home.registration("home", service)).await;
        let answer = home.message().await;
        assert_eq!(answer["type"], "registration", "{answer}");
        assert_eq!(answer["correlation_id"], "r1", "{answer}");
        home
    }

    /// With another key than the one that goes with its name.
    pub(crate) fn with_key(self, key: SigningKey) -> Self {
        Raw { key, ..self }
    }

    /// Answers the Main's challenge; gives what comes in return, which must hold where it is a proof.
    pub(crate) async fn prove(&mut self, kind: &str) -> Value {
        let (proof, main_key, mains_part) = self.answer_challenge(kind).await;
        self.send(&proof).await;
        let answer = self.message().await;
        if answer["type"] == "proof" {
            let signature =
                hex::decode(answer["data"]["signature"].as_str().expect("hex digits")).expect("hex digits");
            let signature = Signature::from_bytes(&signature.try_into().expect("64 bytes"));
            main_key.verify_strict(&mains_part, &signature).expect("the Main has its key");
        }
        answer
    }

    /// The proof that would answer the Main's challenge.
    pub(crate) async fn proof(&mut self, kind: &str) -> Value {
        self.answer_challenge(kind).await.0
    }

    /// The answer to the Main's challenge, the Main's key, and what the Main is to sign. The signed bytes are put
    /// together here as the protocol has them, not by the code under test.
    async fn answer_challenge(&mut self, kind: &str) -> (Value, VerifyingKey, Vec<u8>) {
        let challenge = self.message().await;
        assert_eq!(challenge["type"], "challenge", "{challenge}");
        let bytes = |value: &Value| hex::decode(value.as_str().expect("hex digits")).expect("hex digits");
        let main = challenge["source_node"]["id"].as_str().expect("an id").to_owned();
        let main_key = bytes(&challenge["data"]["public_key"]);
        let key = self.key.verifying_key().to_bytes();
        let signed = |end: &str| {
            let nonce = bytes(&challenge["data"]["nonce"]);
            let fields: [&[u8]; 10] = [
                b"relay.1 proof of key",
                end.as_bytes(),
                self.name.as_bytes(),
                kind.as_bytes(),
                &key,
                &NONCE,
                main.as_bytes(),
                b"main",
                &main_key,
                &nonce,
            ];
            let framed =
                fields.map(|field| [&u32::try_from(field.len()).unwrap().to_be_bytes(), field].concat());
            framed.concat()
        };
        let proof = json!({
            "type": "proof",
            "message_id": "p1",
            "source_node": { "type": kind, "id": self.name },
            "data": {
                "public_key": hex::encode(key),
                "nonce": hex::encode(NONCE),
                "signature": hex::encode(self.key.sign(&signed("dialler")).to_bytes()),
            },
        });
        let main_key =
            VerifyingKey::from_bytes(&main_key.clone().try_into().expect("32 bytes")).expect("a key");
        (proof, main_key, signed("acceptor"))
    }

    pub(crate) fn registration(&self, kind: &str, service: &str) -> Value {
        json!({
            "type": "registration",
            "message_id": "r1",
            "source_node": { "type": kind, "id": self.name },
            "data": { "services": [{ "name": service }] },
        })
    }

    pub(crate) async fn send(&mut self, message: &Value) {
        self.send_frame(Message::text(message.to_string())).await;
    }

    pub(crate) async fn send_frame(&mut self, message: Message) {
        self.socket.send(message).await.expect("the link is up");
    }

    /// The next message, or how the link ended.
    pub(crate) async fn next(&mut self) -> Next {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.socket.next()).await;
            match next.expect("something comes") {
                Some(Ok(Message::Text(text))) => {
                    return Next::Message(serde_json::from_str(&text).expect("relays speak JSON"));
                }
                Some(Ok(Message::Close(frame))) => return Next::Closed(frame),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Next::Closed(None),
            }
        }
    }

    /// The next message; panics where the link ends.
    pub(crate) async fn message(&mut self) -> Value {
        match self.next().await {
            Next::Message(message) => message,
            Next::Closed(frame) => panic!("the link was closed: {frame:?}"),
        }
    }

    /// Calls a service over this link, as a Home does, and gives the response.
    pub(crate) async fn call(&mut self, id: &str, service: &str, params: &Value) -> Value {
        let call = json!({
            "type": "request",
            "message_id": id,
            "source_node": { "type": "home", "id": self.name },
            "routing_path": [self.name],
            "server_name": service,
            "method": "say",
            "jsonrpc_request": { "jsonrpc": "2.0", "method": "say", "params": params, "id": 1 },
        });
        self.send(&call).await;
        let response = self.message().await;
        assert_eq!((&response["type"], &response["correlation_id"]), (&json!("response"), &json!(id)));
        response["data"].clone()
    }
}
