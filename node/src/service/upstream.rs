//! A JSON-RPC service over HTTP, on the node's own network.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::Outcome;
use crate::env::Env;
use crate::federation::Failure;
use crate::http::{Client, Server};
use crate::wire::{JsonRpcCall, payload};

/// How long a connection is kept that nobody uses, in milliseconds: shorter than any server's patience.
const MAX_IDLE_MILLIS: u64 = 1_000;

/// The largest answer taken from an upstream, in bytes.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// Why a text is no upstream URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("upstream \"{0}\" is not a URL that can be called; write http://HOST:PORT/PATH, or https://")]
pub struct BadUrl(String);

/// An `http://` or `https://` URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpUrl {
    uri: Uri,
    authority: HeaderValue,
    server: Server,
}

impl FromStr for HttpUrl {
    type Err = BadUrl;

    fn from_str(text: &str) -> Result<Self, BadUrl> {
        let bad = || BadUrl(text.to_owned());
        let uri: Uri = text.parse().map_err(|_| bad())?;
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(bad)?.to_owned();
        let authority = uri.authority().ok_or_else(bad)?.as_str();
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(bad()),
        };
        if authority.contains('@') {
            return Err(bad());
        }
        let authority = HeaderValue::from_str(authority).map_err(|_| bad())?;
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        Ok(HttpUrl { uri, authority, server: Server { host, port, tls } })
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.uri.fmt(f)
    }
}

/// One upstream.
pub struct Upstream {
    url: HttpUrl,
    client: Client,
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
        let client = Client::of(url.server.clone(), MAX_ANSWER_BYTES, Duration::from_millis(MAX_IDLE_MILLIS));
        Upstream { url, client }
    }

    /// Calls a method. Takes as long as the upstream does. `traceparent` is the caller's W3C trace context.
    pub async fn call(
        self: Arc<Self>,
        env: Env,
        method: String,
        params: Option<Box<RawValue>>,
        traceparent: Option<String>,
    ) -> Outcome {
        let call = JsonRpcCall { jsonrpc: "2.0".into(), method, params, id: Some(payload(&1)) };
        let body = Bytes::from(payload(&call).get().to_owned());
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(self.url.uri.path_and_query().map_or("/", |path| path.as_str()))
            .header(HOST, self.url.authority.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .expect("the URL was checked when it was read");
        if let Some(context) = traceparent.and_then(|text| HeaderValue::try_from(text).ok()) {
            request.headers_mut().insert("traceparent", context);
        }
        let (status, body) = self.client.send(&env, request).await.map_err(|error| self.failed(&error))?;
        match serde_json::from_slice::<Reply>(&body) {
            Ok(Reply { error: Some(error), .. }) => {
                let message = error.get("message").and_then(|text| text.as_str()).unwrap_or("no message");
                Err(Failure::ServiceFailed { message: message.to_owned(), detail: Some(error) })
            }
            Ok(reply) if status.is_success() => Ok(reply.result.unwrap_or_else(|| payload(&()))),
            Ok(_) => Err(self.answered(status)),
            Err(error) if status.is_success() => {
                Err(self.failed(&format!("its answer is no JSON-RPC response: {error}")))
            }
            Err(_) => Err(self.answered(status)),
        }
    }

    /// It answered with an HTTP error. Callers see which: one of 400 to 499 is about their call.
    fn answered(&self, status: StatusCode) -> Failure {
        Failure::ServiceFailed {
            message: format!("upstream {}: it answered with HTTP {status}", self.url),
            detail: Some(json!({ "http_status": status.as_u16() })),
        }
    }

    fn failed(&self, reason: &impl fmt::Display) -> Failure {
        Failure::ServiceFailed { message: format!("upstream {}: {reason}", self.url), detail: None }
    }
}
