//! A raw WebSocket client that may say what no relay would.

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

pub(crate) struct Raw {
    socket: WebSocketStream<TcpStream>,
    name: &'static str,
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
        Ok(Raw { socket, name })
    }

    /// A registered Home that offers `service`, which [`Raw::serve`] answers.
    pub(crate) async fn home(at: &str, name: &'static str, service: &str) -> Self {
        let protocol = Some(("Sec-WebSocket-Protocol", "relay.1"));
        let mut home = Raw::dial(at, HOMES, name, protocol).await.expect("the endpoint takes Homes");
        home.send(&home.registration("home", service)).await;
        let answer = home.message().await;
        assert_eq!(answer["type"], "registration", "{answer}");
        assert_eq!(answer["correlation_id"], "r1", "{answer}");
        home
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
