//! `POST /rpc`: JSON-RPC 2.0, single and batch, with the method `remote_call`, and `SERVICE.METHOD` for any instance of
//! a service.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::future::join_all;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::api::Api;
use crate::federation::{Answer, Call, CallError, ErrorData, Failure};
use crate::wire::{self, NodeId, Target, check_service_name, payload};

/// Calls that one batch may hold.
const MAX_BATCH_CALLS: usize = 1_000;

/// The longest timeout that a caller may name, in seconds. The router cuts it down further.
const MAX_TIMEOUT_SECONDS: f64 = 1e6;

/// The header of the W3C trace context.
const TRACEPARENT: &str = "traceparent";

/// Whether this is a trace context that can be carried on: `00-<32 hex>-<16 hex>-<2 hex>`, or a later version.
fn is_traceparent(text: &str) -> bool {
    let mut parts = text.split('-');
    let mut hex = |digits: usize| {
        parts.next().is_some_and(|part| part.len() == digits && part.bytes().all(|it| it.is_ascii_hexdigit()))
    };
    hex(2) && hex(32) && hex(16) && hex(2) && text.len() <= 128
}

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow, default)]
    jsonrpc: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    method: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    /// Absent in a notification; `null` is an id like any other.
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
}

fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

/// The arguments of `remote_call`.
#[derive(Deserialize)]
struct RemoteCall {
    /// The node to call: `bob.home@relay-a.com` or `bob.home`.
    node_id: Option<String>,
    /// Any instance of this service.
    service_name: Option<String>,
    /// The service at `node_id`.
    server_name: Option<String>,
    method: String,
    args: Option<Box<RawValue>>,
    /// Seconds.
    timeout: Option<f64>,
    /// Leaves queues before calls of lower priority; 0 where it is absent.
    priority: Option<i64>,
    #[serde(default)]
    trace: bool,
    /// Only the way is wanted: nothing is called, `result` is null. Implies `trace`.
    #[serde(default)]
    dry_run: bool,
}

#[derive(Serialize)]
struct Reply<'a> {
    jsonrpc: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<CallError>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<Trace>,
    id: &'a RawValue,
}

#[derive(Serialize)]
struct Trace {
    path: Vec<NodeId>,
    hops: usize,
    /// How long each node waited for its answer; the one that served the call: how long its service took.
    timing: Vec<Timing>,
}

#[derive(Serialize)]
struct Timing {
    node: NodeId,
    ms: f64,
}

/// Answers the request, or every request of a batch.
pub(super) async fn handle(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let context = headers.get(TRACEPARENT).and_then(|it| it.to_str().ok());
    let body = match body {
        Ok(body) => body,
        Err(rejection) => return json(rejection.status(), unread(&api, &rejection)),
    };
    match answer(&api, &body, context).await {
        Some(reply) => json(StatusCode::OK, reply),
        None => StatusCode::NO_CONTENT.into_response(),
    }
}

/// The reply to a request or to a batch; `None` where it is all notifications. `context` is the client's W3C trace
/// context.
pub(super) async fn answer(api: &Arc<Api>, body: &[u8], context: Option<&str>) -> Option<String> {
    let context = context.filter(|context| is_traceparent(context));
    let is_batch = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    if !is_batch {
        return one(api, body, context).await;
    }
    let batch: Vec<&RawValue> = match serde_json::from_slice(body) {
        Ok(batch) => batch,
        Err(error) => return Some(unreadable(api, -32700, format!("parse error: {error}"))),
    };
    if batch.is_empty() || batch.len() > MAX_BATCH_CALLS {
        let reason = format!("a batch has 1 to {MAX_BATCH_CALLS} calls, this one has {}", batch.len());
        return Some(unreadable(api, -32600, reason));
    }
    let replies = join_all(batch.iter().map(|request| one(api, request.get().as_bytes(), context))).await;
    let replies: Vec<String> = replies.into_iter().flatten().collect();
    if replies.is_empty() { None } else { Some(format!("[{}]", replies.join(","))) }
}

/// The reply to a request whose body could not be taken in.
fn unread(api: &Api, rejection: &BytesRejection) -> String {
    let limit = api.board.limits.max_message_bytes;
    let message = match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            format!("the request has over {limit} bytes; send less at a time, or raise -max-message-bytes")
        }
        _ => format!("the request did not arrive whole: {rejection}"),
    };
    unreadable(api, -32600, message)
}

fn json(status: StatusCode, body: String) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], body).into_response()
}

/// The reply to a request whose id cannot be told.
fn unreadable(api: &Api, code: i64, message: String) -> String {
    let data = ErrorData { node: Some(api.board.me().clone()), ..ErrorData::default() };
    reply(None, Err(CallError { code, message, data: Box::new(data) }), None)
}

fn reply(id: Option<&RawValue>, outcome: Result<Box<RawValue>, CallError>, trace: Option<Trace>) -> String {
    if let (Some(id), Ok(result), None) = (id, &outcome, &trace) {
        // What nearly all replies are: two texts that are JSON already.
        return format!(r#"{{"jsonrpc":"2.0","result":{},"id":{}}}"#, result.get(), id.get());
    }
    let null = payload(&());
    let (result, error) = match outcome {
        Ok(result) => (Some(result), None),
        Err(error) => (None, Some(error)),
    };
    let reply = Reply { jsonrpc: "2.0", result, error, trace, id: id.unwrap_or(&null) };
    serde_json::to_string(&reply).expect("a reply is plain JSON")
}

/// Answers one request; `None` for a notification.
///
/// `context` is the client's W3C trace context.
async fn one(api: &Arc<Api>, text: &[u8], context: Option<&str>) -> Option<String> {
    let request: Request = match serde_json::from_slice(text) {
        Ok(request) => request,
        Err(error) if error.is_data() => {
            return Some(unreadable(api, -32600, format!("not a JSON-RPC request: {error}")));
        }
        Err(error) => return Some(unreadable(api, -32700, format!("parse error: {error}"))),
    };
    let here = |failure: Failure| failure.at(api.board.me(), &[]);
    if request.jsonrpc != "2.0" {
        // Answered even without an id: what is no request is no notification either.
        return Some(unreadable(api, -32600, "not a JSON-RPC request: `jsonrpc` must be \"2.0\"".into()));
    }
    let (outcome, trace) = {
        match wanted(&request.method, request.params) {
            Err(failure) => (Err(here(failure)), None),
            Ok(mut call) => {
                call.traceparent = context.map(str::to_owned);
                let traced = call.trace;
                let Answer { outcome, path, timing } = api.board.call(call).await;
                let timing =
                    timing.into_iter().map(|it| Timing { node: it.node, ms: it.micros as f64 / 1e3 });
                let trace = traced.then(|| Trace {
                    hops: path.len().saturating_sub(1),
                    path,
                    timing: timing.collect(),
                });
                (outcome, trace)
            }
        }
    };
    request.id.map(|id| reply(Some(id), outcome, trace))
}

/// The call that a request asks for.
fn wanted(method: &str, params: Option<&RawValue>) -> Result<Call, Failure> {
    if method == "remote_call" {
        return remote_call(params);
    }
    // A service's name may have dots, so that the method is what stands behind the last one.
    let Some((service, method)) = method.rsplit_once('.').filter(|(_, method)| !method.is_empty()) else {
        return Err(Failure::NoSuchMethod(format!("{method}; there is remote_call, and SERVICE.METHOD")));
    };
    check_service_name(service).map_err(|error| {
        Failure::NoSuchMethod(format!("{error}; there is remote_call, and SERVICE.METHOD"))
    })?;
    Ok(Call {
        target: None,
        service: service.to_owned(),
        method: method.to_owned(),
        params: params.map(ToOwned::to_owned),
        timeout: None,
        priority: None,
        trace: false,
        dry_run: false,
        traceparent: None,
    })
}

/// The call that the arguments ask for.
fn remote_call(params: Option<&RawValue>) -> Result<Call, Failure> {
    let invalid = |reason: String| Failure::InvalidParams(reason);
    let params = params.ok_or_else(|| invalid("remote_call needs params".into()))?;
    let params: RemoteCall = wire::read(params.get()).map_err(invalid)?;
    let (target, service) = match (params.node_id, params.server_name, params.service_name) {
        (Some(node), Some(service), None) => {
            let target: Target = node.parse().map_err(|error| invalid(format!("node_id: {error}")))?;
            (Some(target), service)
        }
        (None, None, Some(service)) => (None, service),
        (Some(_), _, Some(_)) => return Err(invalid("give node_id or service_name, not both".into())),
        (Some(_), None, None) => return Err(invalid("node_id needs server_name, the service there".into())),
        (None, _, _) => {
            return Err(invalid(
                "say whom to call: node_id and server_name, or service_name for any instance".into(),
            ));
        }
    };
    check_service_name(&service).map_err(|error| invalid(error.to_string()))?;
    if params.method.is_empty() {
        return Err(invalid("method is empty".into()));
    }
    let timeout = match params.timeout {
        None => None,
        Some(seconds) if seconds.is_finite() && seconds > 0.0 && seconds <= MAX_TIMEOUT_SECONDS => {
            Some(Duration::from_secs_f64(seconds))
        }
        Some(seconds) => {
            let reason =
                format!("timeout is {seconds}, it must be over 0 and at most {MAX_TIMEOUT_SECONDS} seconds");
            return Err(invalid(reason));
        }
    };
    Ok(Call {
        target,
        service,
        method: params.method,
        params: params.args,
        timeout,
        priority: params.priority,
        trace: params.trace || params.dry_run,
        dry_run: params.dry_run,
        traceparent: None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Call, Failure> {
        remote_call(Some(&RawValue::from_string(text.to_owned()).unwrap()))
    }

    #[test]
    fn a_node_or_any_instance_can_be_called() {
        let call = parse(
            r#"{"node_id":"bob.home@relay-a","server_name":"shop","method":"get","args":[1],"timeout":1.5,"trace":true}"#,
        )
        .unwrap();
        assert_eq!(call.target.unwrap().to_string(), "bob.home@relay-a");
        assert_eq!((call.service.as_str(), call.timeout), ("shop", Some(Duration::from_millis(1500))));
        assert!(call.trace && !call.dry_run);
        let call = parse(r#"{"service_name":"shop","method":"get"}"#).unwrap();
        assert!(call.target.is_none() && !call.trace);
        let dry = parse(r#"{"service_name":"shop","method":"get","dry_run":true,"priority":3}"#).unwrap();
        assert!(dry.trace && dry.dry_run && dry.priority == Some(3), "a dry run is made for its trace");
    }

    #[test]
    fn what_is_missing_is_named() {
        let refusal = |text: &str| parse(text).unwrap_err().to_string();
        assert!(remote_call(None).unwrap_err().to_string().contains("needs params"));
        assert!(refusal(r#"{"method":"m"}"#).contains("node_id and server_name"));
        assert!(refusal(r#"{"node_id":"a","method":"m"}"#).contains("server_name"));
        assert!(refusal(r#"{"service_name":"a"}"#).contains("method"));
        assert!(
            refusal(r#"{"service_name":"a","node_id":"b","server_name":"c","method":"m"}"#)
                .contains("not both")
        );
        assert!(refusal(r#"{"service_name":"a","method":"m","timeout":-1}"#).contains("timeout"));
        assert!(refusal(r#"{"node_id":"a b","server_name":"c","method":"m"}"#).contains("node_id"));
    }

    #[test]
    fn the_last_dot_is_between_service_and_method() {
        let args = RawValue::from_string("[1]".into()).unwrap();
        let call = wanted("blog.v2.get", Some(&args)).unwrap();
        assert_eq!((call.service.as_str(), call.method.as_str()), ("blog.v2", "get"));
        assert_eq!((call.params.unwrap().get(), call.target), ("[1]", None));
        for odd in ["", ".", "get", "echo.", ".say", "a b.say"] {
            let failure = wanted(odd, None).unwrap_err();
            assert!(
                matches!(&failure, Failure::NoSuchMethod(words) if words.contains("SERVICE.METHOD")),
                "{odd}"
            );
        }
    }

    #[test]
    fn a_null_id_is_an_id_and_no_id_is_a_notification() {
        let id =
            |text: &str| serde_json::from_str::<Request>(text).map(|r| r.id.map(|id| id.get().to_owned()));
        assert_eq!(id(r#"{"jsonrpc":"2.0","method":"m","id":null}"#).unwrap().as_deref(), Some("null"));
        assert_eq!(id(r#"{"jsonrpc":"2.0","method":"m"}"#).unwrap(), None);
    }

    proptest! {
        #[test]
        fn arbitrary_params_never_panic(text in ".{0,100}") {
            if let Ok(raw) = RawValue::from_string(text) {
                let _ = remote_call(Some(&raw));
            }
        }
    }
}
