//! A JSON-RPC service over HTTP, on the node's own network.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, Response, Uri};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Outcome;
use crate::env::{Env, Instant, dial_host};
use crate::federation::Failure;
use crate::wire::{JsonRpcCall, payload};

/// Idle connections kept for one upstream.
const MAX_IDLE_CONNECTIONS: usize = 8;

/// How long a connection is kept that nobody uses, in milliseconds: shorter than any server's own patience, so that a
/// call does not meet a connection that is just being closed.
const MAX_IDLE_MILLIS: u64 = 1_000;

/// How long each call gets a connection of its own, after the upstream has closed one that was in use again without
/// saying so before, in seconds.
const DISTRUST_SECONDS: u64 = 60;

/// The largest answer taken from an upstream, in bytes.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// Why a text is no upstream URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("upstream \"{0}\" is not a URL that can be called; write http://HOST:PORT/PATH")]
pub struct BadUrl(String);

/// An `http://` URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpUrl {
    uri: Uri,
    authority: HeaderValue,
    host: String,
    port: u16,
}

impl FromStr for HttpUrl {
    type Err = BadUrl;

    fn from_str(text: &str) -> Result<Self, BadUrl> {
        let bad = || BadUrl(text.to_owned());
        let uri: Uri = text.parse().map_err(|_| bad())?;
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(bad)?.to_owned();
        let authority = uri.authority().ok_or_else(bad)?.as_str();
        if uri.scheme_str() != Some("http") || authority.contains('@') {
            return Err(bad());
        }
        let authority = HeaderValue::from_str(authority).map_err(|_| bad())?;
        let port = uri.port_u16().unwrap_or(80);
        Ok(HttpUrl { uri, authority, host, port })
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.uri.fmt(f)
    }
}

/// One upstream and the connections to it that are free.
pub struct Upstream {
    url: HttpUrl,
    idle: Mutex<Idle>,
}

type Connection = SendRequest<Full<Bytes>>;

#[derive(Default)]
struct Idle {
    /// Each with the time at which it became free, the latest last.
    connections: Vec<(Connection, Instant)>,
    /// Until then no connection is used twice.
    distrust_until: Instant,
}

#[derive(Deserialize)]
struct Reply {
    #[serde(default)]
    result: Option<Box<RawValue>>,
    #[serde(default)]
    error: Option<serde_json::Value>,
}

impl Upstream {
    /// An upstream without connections yet.
    pub fn new(url: HttpUrl) -> Self {
        Upstream { url, idle: Mutex::default() }
    }

    /// Calls a method. Takes as long as the upstream does.
    pub async fn call(self: Arc<Self>, env: Env, method: String, params: Option<Box<RawValue>>) -> Outcome {
        let call = JsonRpcCall { jsonrpc: "2.0".into(), method, params, id: Some(payload(&1)) };
        let body = Bytes::from(payload(&call).get().to_owned());
        let request = Request::builder()
            .method(Method::POST)
            .uri(self.url.uri.path_and_query().map_or("/", |path| path.as_str()))
            .header(HOST, self.url.authority.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .expect("the URL was checked when it was read");
        let (connection, response) = self.send(&env, request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await;
        let body = body.map_err(|error| self.failed(&*error))?.to_bytes();
        self.give_back(&env, connection);
        match serde_json::from_slice::<Reply>(&body) {
            Ok(Reply { error: Some(error), .. }) => {
                let message = error.get("message").and_then(|text| text.as_str()).unwrap_or("no message");
                Err(Failure::ServiceFailed { message: message.to_owned(), detail: Some(error) })
            }
            Ok(reply) if status.is_success() => Ok(reply.result.unwrap_or_else(|| payload(&()))),
            Ok(_) => Err(self.failed(&format!("it answered with HTTP {status}"))),
            Err(error) if status.is_success() => {
                Err(self.failed(&format!("its answer is no JSON-RPC response: {error}")))
            }
            Err(_) => Err(self.failed(&format!("it answered with HTTP {status}"))),
        }
    }

    /// Sends a request over a free connection or a new one. What a free one did not even take goes over a new one;
    /// what it took and did not answer may have run, and is not sent again.
    async fn send(
        &self,
        env: &Env,
        request: Request<Full<Bytes>>,
    ) -> Result<(Connection, Response<Incoming>), Failure> {
        let mut request = request;
        if let Some(mut free) = self.free_connection(env) {
            match free.try_send_request(request).await {
                Ok(response) => return Ok((free, response)),
                Err(mut error) => {
                    self.distrust(env);
                    match error.take_message() {
                        Some(not_taken) => request = not_taken,
                        None => return Err(self.failed(error.error())),
                    }
                }
            }
        }
        let mut fresh = self.connect(env).await?;
        let response = fresh.send_request(request).await.map_err(|error| self.failed(&error))?;
        Ok((fresh, response))
    }

    fn free_connection(&self, env: &Env) -> Option<Connection> {
        let now = env.clock.now();
        let mut idle = self.idle.lock().expect("nothing panics with the list");
        while let Some((connection, since)) = idle.connections.pop() {
            let is_fresh = now - since < Duration::from_millis(MAX_IDLE_MILLIS);
            if is_fresh && connection.is_ready() && !connection.is_closed() {
                return Some(connection);
            }
        }
        None
    }

    async fn connect(&self, env: &Env) -> Result<Connection, Failure> {
        let stream = dial_host(&*env.network, &self.url.host, self.url.port).await;
        let stream = stream.map_err(|error| self.failed(&error))?;
        let (sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| self.failed(&error))?;
        env.spawn("upstream-connection", async move {
            if let Err(error) = connection.await {
                tracing::debug!("upstream connection: {error}");
            }
        });
        Ok(sender)
    }

    fn give_back(&self, env: &Env, connection: Connection) {
        let now = env.clock.now();
        let mut idle = self.idle.lock().expect("nothing panics with the list");
        if idle.connections.len() < MAX_IDLE_CONNECTIONS && idle.distrust_until <= now {
            idle.connections.push((connection, now));
        }
    }

    /// This upstream closes connections without a word: none is used twice for a while.
    fn distrust(&self, env: &Env) {
        tracing::debug!(upstream = %self.url, "it closes connections without saying so; each call gets its own");
        let mut idle = self.idle.lock().expect("nothing panics with the list");
        idle.distrust_until = env.clock.now() + Duration::from_secs(DISTRUST_SECONDS);
        idle.connections.clear();
    }

    fn failed(&self, reason: &(impl fmt::Display + ?Sized)) -> Failure {
        Failure::ServiceFailed { message: format!("upstream {}: {reason}", self.url), detail: None }
    }
}
