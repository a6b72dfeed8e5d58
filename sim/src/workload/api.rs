//! A client of one relay's API, on the host's loopback.

use std::fmt::Write;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, HOST, HeaderValue};
use hyper::{Method, Request, StatusCode};
use relay_node::env::Env;
use relay_node::http::{Client, ClientError, Server};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::invariants::{CallNumber, Outcome};
use crate::record::HopTime;

/// How long a connection is kept that nobody uses, in seconds: half of a relay's own patience.
const MAX_IDLE_SECONDS: u64 = 30;

/// The largest answer taken, in bytes: the registry of a hundred thousand services.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// A client of one relay.
pub struct Api {
    env: Env,
    client: Client,
    /// For a port that speaks TLS at some times: a client for these, and whether now is one.
    secure: Option<(Client, Box<dyn Fn() -> bool + Send + Sync>)>,
    host: HeaderValue,
}

/// One `remote_call`.
pub struct RemoteCall<'a> {
    /// The call's number: it travels in the arguments, and services that echo give it back.
    pub number: CallNumber,
    /// The node id to call, or any instance of the service.
    pub node: Option<&'a str>,
    /// The service.
    pub service: &'a str,
    /// Its method.
    pub method: &'a str,
    /// How large the arguments are at least, in bytes.
    pub payload: u64,
    /// How long the caller waits.
    pub timeout: Duration,
    /// Which calls leave queues first; 0 is not said.
    pub priority: i64,
    /// Whether the service gives the arguments back.
    pub echoes: bool,
}

#[derive(Deserialize)]
struct Reply<'a> {
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    error: Option<ErrorObject>,
    trace: Option<Trace>,
    id: Option<CallNumber>,
}

#[derive(Deserialize)]
struct ErrorObject {
    code: i64,
    message: String,
    #[serde(default)]
    data: ErrorPath,
}

#[derive(Deserialize, Default)]
struct ErrorPath {
    #[serde(default)]
    path: Vec<String>,
}

#[derive(Deserialize)]
struct Trace {
    path: Vec<String>,
    #[serde(default)]
    timing: Vec<Timing>,
}

#[derive(Deserialize)]
struct Timing {
    node: String,
    ms: f64,
}

#[derive(Deserialize)]
struct Echo {
    nonce: CallNumber,
}

impl Api {
    /// A client of the relay that listens on `port` of this host's loopback.
    pub fn new(env: Env, port: u16) -> Self {
        Api::with(env, port, false)
    }

    /// As [`Api::new`], `tls` where that port speaks TLS.
    pub fn with(env: Env, port: u16, tls: bool) -> Self {
        let host = HeaderValue::try_from(format!("127.0.0.1:{port}")).expect("digits and dots");
        Api { client: client(port, tls), secure: None, env, host }
    }

    /// As [`Api::new`], of a port of which `tls` says each time whether it speaks TLS.
    pub fn following(env: Env, port: u16, tls: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Api { secure: Some((client(port, true), Box::new(tls))), ..Api::new(env, port) }
    }

    fn client(&self) -> &Client {
        match &self.secure {
            Some((secure, speaks_tls)) if speaks_tls() => secure,
            _ => &self.client,
        }
    }

    /// Makes a call and waits for its outcome, which is the relay's to give; bound it from outside. Beside it, how long
    /// each node on its way had it, as far as they told.
    pub async fn call(&self, call: &RemoteCall<'_>) -> (Outcome, Vec<HopTime>) {
        let request = Request::post("/rpc").header(HOST, self.host.clone()).body(Full::from(body(call)));
        let request = request.expect("every part is a valid header");
        match self.client().send(&self.env, request).await {
            Ok((_, body)) => outcome(call, &body),
            Err(error) => (Outcome::RelayGone(error.to_string()), Vec::new()),
        }
    }

    /// Reads a route.
    ///
    /// # Errors
    /// When the relay is not there.
    pub async fn get(&self, route: &'static str) -> Result<Bytes, ClientError> {
        self.read(route).await.map(|(_, body)| body)
    }

    /// Reads a route, and says with which status it was answered.
    ///
    /// # Errors
    /// When the relay is not there.
    pub async fn read(&self, route: &str) -> Result<(StatusCode, Bytes), ClientError> {
        let request = Request::get(route).header(HOST, self.host.clone()).body(Full::default());
        self.client().send(&self.env, request.expect("every part is a valid header")).await
    }
}

impl Api {
    /// Sends a request for the relay's operator, with its admin token. Returns the status of the answer and its body.
    ///
    /// # Errors
    /// When the relay is not there.
    pub async fn admin(
        &self,
        method: Method,
        route: &str,
        token: &str,
        body: String,
    ) -> Result<(StatusCode, Bytes), ClientError> {
        let request = Request::builder().method(method).uri(route).header(HOST, self.host.clone());
        let request = request.header(AUTHORIZATION, format!("Bearer {token}")).body(Full::from(body));
        self.client().send(&self.env, request.expect("every part is a valid header")).await
    }
}

fn client(port: u16, tls: bool) -> Client {
    let server = Server { host: "127.0.0.1".into(), port, tls };
    Client::of(server, MAX_ANSWER_BYTES, Duration::from_secs(MAX_IDLE_SECONDS))
}

fn body(call: &RemoteCall<'_>) -> String {
    let RemoteCall { number, service, method, .. } = call;
    let mut text = String::with_capacity(256 + usize::try_from(call.payload).unwrap_or(0));
    let whom = match call.node {
        Some(node) => format!(r#""node_id":"{node}","server_name":"{service}""#),
        None => format!(r#""service_name":"{service}""#),
    };
    let written = write!(
        text,
        r#"{{"jsonrpc":"2.0","id":{number},"method":"remote_call","params":{{{whom},"method":"{method}","timeout":{},"trace":true,"args":{{"nonce":{number},"pad":""#,
        call.timeout.as_secs_f64(),
    );
    written.expect("a string takes what is written");
    (0..call.payload).for_each(|_| text.push('x'));
    text.push_str("\"}");
    if call.priority != 0 {
        write!(text, r#","priority":{}"#, call.priority).expect("a string takes what is written");
    }
    text.push_str("}}");
    text
}

fn outcome(call: &RemoteCall<'_>, body: &[u8]) -> (Outcome, Vec<HopTime>) {
    let nonsense = |what: String| (Outcome::Nonsense(what), Vec::new());
    let reply: Reply<'_> = match serde_json::from_slice(body) {
        Ok(reply) => reply,
        Err(error) => return nonsense(format!("{error}: {}", String::from_utf8_lossy(body))),
    };
    let (path, timing) = reply.trace.map_or_else(Default::default, |trace| (trace.path, trace.timing));
    let hops = timing.into_iter().map(|it| HopTime {
        node: it.node,
        // A relay that tells nonsense of its time spoils a diagram, not the run.
        took: Duration::try_from_secs_f64(it.ms / 1e3).unwrap_or_default(),
    });
    let outcome = match (reply.result, reply.error, reply.id) {
        (Some(result), None, Some(id)) => {
            // Services that do not echo answer everyone alike; then only the envelope tells whose answer it is.
            let answers = match serde_json::from_str::<Echo>(result.get()) {
                Ok(echo) if call.echoes => echo.nonce,
                Err(_) if call.echoes => return nonsense(result.get().to_owned()),
                _ => id,
            };
            Outcome::Success { answers, path }
        }
        (None, Some(error), Some(_)) => {
            Outcome::Refused { code: error.code, message: error.message, path: error.data.path }
        }
        _ => return nonsense(String::from_utf8_lossy(body).into_owned()),
    };
    (outcome, hops.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call() -> RemoteCall<'static> {
        RemoteCall {
            number: 7,
            node: Some("home-b"),
            service: "echo",
            method: "say",
            payload: 5,
            timeout: Duration::from_millis(2500),
            priority: 0,
            echoes: true,
        }
    }

    #[test]
    fn the_body_is_a_remote_call() {
        let value: serde_json::Value = serde_json::from_str(&body(&call())).unwrap();
        assert_eq!(value["params"]["node_id"], "home-b");
        assert_eq!(value["params"]["timeout"], 2.5);
        assert_eq!(value["params"]["args"]["pad"], "xxxxx");
        assert!(value["params"].get("priority").is_none());
        let urgent: serde_json::Value =
            serde_json::from_str(&body(&RemoteCall { priority: -3, ..call() })).unwrap();
        assert_eq!((&urgent["params"]["priority"], &urgent["id"]), (&(-3).into(), &7.into()));
        let by_service = RemoteCall { node: None, ..call() };
        let value: serde_json::Value = serde_json::from_str(&body(&by_service)).unwrap();
        assert_eq!(value["params"]["service_name"], "echo");
    }

    #[test]
    fn replies_become_outcomes() {
        let timed = |text: &str| outcome(&call(), text.as_bytes());
        let outcome = |text: &str| timed(text).0;
        let success =
            outcome(r#"{"jsonrpc":"2.0","result":{"nonce":7},"trace":{"path":["a","b"],"hops":1},"id":7}"#);
        assert_eq!(success, Outcome::Success { answers: 7, path: vec!["a".into(), "b".into()] });
        let (_, hops) = timed(
            r#"{"jsonrpc":"2.0","result":{"nonce":7},"trace":{"path":["a"],"timing":[{"node":"a","ms":1.5}]},"id":7}"#,
        );
        assert_eq!(hops, [HopTime { node: "a".into(), took: Duration::from_micros(1_500) }]);
        let crossed = outcome(r#"{"jsonrpc":"2.0","result":{"nonce":8},"id":7}"#);
        assert_eq!(crossed, Outcome::Success { answers: 8, path: vec![] });
        let refused = outcome(
            r#"{"jsonrpc":"2.0","error":{"code":-32003,"message":"no","data":{"path":["a"]}},"id":7}"#,
        );
        assert_eq!(refused, Outcome::Refused { code: -32003, message: "no".into(), path: vec!["a".into()] });
        assert!(matches!(outcome("<html>"), Outcome::Nonsense(_)));
        assert!(matches!(outcome(r#"{"jsonrpc":"2.0","result":3,"id":7}"#), Outcome::Nonsense(_)));
    }
}
