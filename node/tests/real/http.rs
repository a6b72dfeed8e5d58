//! A client of a relay's HTTP API, and an upstream that takes its time.

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, HOST};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::world::PATIENCE;

/// One request; fails where there is no connection or no answer.
pub(crate) async fn send(
    at: &str,
    method: Method,
    path: &str,
    body: String,
) -> Result<Response<String>, Box<dyn Error>> {
    send_with(at, method, path, body, None).await
}

/// The same with a token.
pub(crate) async fn send_with(
    at: &str,
    method: Method,
    path: &str,
    body: String,
    token: Option<&str>,
) -> Result<Response<String>, Box<dyn Error>> {
    let mut request = Request::builder().method(method).uri(path).header(HOST, at);
    if let Some(token) = token {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    ask(at, request.body(body)?).await
}

/// Any request.
pub(crate) async fn ask(at: &str, request: Request<String>) -> Result<Response<String>, Box<dyn Error>> {
    let exchange = async { exchange(TcpStream::connect(at).await?, request).await };
    tokio::time::timeout(PATIENCE, exchange).await?
}

/// One request over this stream.
pub(crate) async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<String>,
) -> Result<Response<String>, Box<dyn Error>> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let response = sender.send_request(request.map(Full::<Bytes>::from)).await?;
    let (head, body) = response.into_parts();
    let body = String::from_utf8(body.collect().await?.to_bytes().to_vec())?;
    Ok(Response::from_parts(head, body))
}

/// The JSON at `path`.
pub(crate) async fn get(at: &str, path: &str) -> Value {
    let response = send(at, Method::GET, path, String::new()).await.expect("the relay answers");
    assert_eq!(response.status(), 200, "{}", response.body());
    serde_json::from_str(response.body()).expect("the API speaks JSON")
}

/// The text at `path`.
pub(crate) async fn text(at: &str, path: &str) -> String {
    let response = send(at, Method::GET, path, String::new()).await.expect("the relay answers");
    assert_eq!(response.status(), 200, "{}", response.body());
    response.into_body()
}

/// Posts this text to `/rpc`: status and body.
pub(crate) async fn post_rpc(at: &str, body: &str) -> (u16, String) {
    let response = send(at, Method::POST, "/rpc", body.to_owned()).await.expect("the relay answers");
    (response.status().as_u16(), response.into_body())
}

/// The whole reply to a `remote_call` with these params.
pub(crate) async fn remote_call(at: &str, params: Value) -> Value {
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "remote_call", "params": params });
    let (status, body) = post_rpc(at, &call.to_string()).await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).expect("a JSON-RPC reply")
}

/// A JSON-RPC upstream that answers nothing until it is told to.
pub(crate) struct SlowUpstream {
    pub(crate) url: String,
    called: Arc<Semaphore>,
    gate: Arc<Semaphore>,
}

impl SlowUpstream {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has free ports");
        let url = format!("http://{}/rpc", listener.local_addr().expect("a bound socket has an address"));
        let (called, gate) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let upstream = SlowUpstream { url, called: Arc::clone(&called), gate: Arc::clone(&gate) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (called, gate) = (Arc::clone(&called), Arc::clone(&gate));
                let service = hyper::service::service_fn(move |_| {
                    let (called, gate) = (Arc::clone(&called), Arc::clone(&gate));
                    async move {
                        called.add_permits(1);
                        gate.acquire().await.expect("never closed").forget();
                        let reply = json!({ "jsonrpc": "2.0", "id": 1, "result": "at last" });
                        Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(reply.to_string())))
                    }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        upstream
    }

    /// Waits until a call has arrived.
    pub(crate) async fn called(&self) {
        let call = tokio::time::timeout(PATIENCE, self.called.acquire()).await;
        call.expect("the call arrives").expect("never closed").forget();
    }

    /// Lets one call be answered.
    pub(crate) fn answer(&self) {
        self.gate.add_permits(1);
    }

    /// The service file that offers it as `slow_service`.
    pub(crate) fn service(&self) -> String {
        format!("[[service]]\nname = \"slow_service\"\nkind = \"http\"\nupstream = \"{}\"\n", self.url)
    }
}
