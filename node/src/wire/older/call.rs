//! `server_call` and `server_response`, and the name by which an answer finds its caller.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::OlderError;
use super::message::{Message, check_length};
use crate::federation::{CallError, Failure};
use crate::wire::request::MAX_METHOD_BYTES;
use crate::wire::{
    JsonRpcCall, MAX_PATH_ENTRIES, NodeAddress, NodeId, NodeKind, Request, Target, check_service_name,
    payload,
};

/// How long an older node is told to take where the caller says nothing, in seconds.
const DEFAULT_TIMEOUT_SECONDS: f64 = 60.0;

/// The longest timeout that an older node may ask for, in seconds; the router cuts it down further.
const MAX_TIMEOUT_SECONDS: f64 = 1e9;

/// `data` of a `server_call`, but for its `response_id`.
#[derive(Deserialize)]
struct CallData {
    call: Option<Call>,
}

#[derive(Deserialize)]
struct Call {
    server_name: Option<String>,
    method: Option<String>,
    args: Option<Box<RawValue>>,
    /// Seconds.
    timeout: Option<f64>,
}

#[derive(Serialize)]
struct CallOut<'a> {
    server_name: &'a str,
    method: &'a str,
    args: Box<RawValue>,
    timeout: f64,
}

/// The `response_id` of a call, so far as it can be read: whoever waits for it is to hear what was wrong.
///
/// # Errors
/// Where there is one that is too long to be kept.
pub(super) fn response_id(message: &Message) -> Result<Option<Box<RawValue>>, OlderError> {
    #[derive(Deserialize)]
    struct Scrap {
        response_id: Option<Box<RawValue>>,
    }
    let Ok(Scrap { response_id: Some(id) }) = message.read_data::<Scrap>() else {
        return Ok(None);
    };
    check_length("data.response_id", id.get())?;
    Ok(Some(id))
}

/// The request that a `server_call` asks for; `message_id` goes into its JSON-RPC call.
pub(super) fn request(message: &Message, message_id: &str) -> Result<Request, OlderError> {
    let missing = |field| OlderError::Missing { kind: "server_call", field };
    let data: CallData = message.read_data()?;
    let call = data.call.ok_or_else(|| missing("data.call"))?;
    let service = call.server_name.ok_or_else(|| missing("data.call.server_name"))?;
    check_service_name(&service).map_err(|error| OlderError::invalid("data.call.server_name", error))?;
    let method = call.method.ok_or_else(|| missing("data.call.method"))?;
    if method.is_empty() || method.len() > MAX_METHOD_BYTES {
        let reason = format!("{} bytes, 1 to {MAX_METHOD_BYTES} are allowed", method.len());
        return Err(OlderError::invalid("data.call.method", reason));
    }
    let timeout = match call.timeout {
        // Zero is how older nodes write that there is none.
        None | Some(0.0) => None,
        Some(seconds) if seconds > 0.0 && seconds <= MAX_TIMEOUT_SECONDS => {
            Some(Duration::from_secs_f64(seconds))
        }
        Some(seconds) => {
            let reason = format!("{seconds} is not over 0 seconds and at most {MAX_TIMEOUT_SECONDS}");
            return Err(OlderError::invalid("data.call.timeout", reason));
        }
    };
    let json_rpc = JsonRpcCall {
        jsonrpc: "2.0".into(),
        method: method.clone(),
        params: call.args,
        id: Some(payload(&message_id)),
    };
    Ok(Request { service, method, call: Some(payload(&json_rpc)), timeout, dry_run: false })
}

/// `data` of the `server_call` that carries a request. Older nodes take a list of arguments: none is an empty one, and
/// a single value a list of one.
///
/// # Errors
/// Where the request carries no JSON-RPC 2.0 call.
pub(super) fn call_data(request: &Request, response_id: &str) -> Result<Box<RawValue>, Failure> {
    #[derive(Serialize)]
    struct Data<'a> {
        call: CallOut<'a>,
        response_id: &'a str,
    }
    let params = request.params().map_err(|error| Failure::Malformed(error.to_string()))?;
    let args = match params {
        None => payload(&[(); 0]),
        Some(list) if list.get().starts_with('[') => list,
        Some(value) => payload(&[value]),
    };
    Ok(payload(&Data {
        call: CallOut {
            server_name: &request.service,
            method: &request.method,
            args,
            timeout: request.timeout.map_or(DEFAULT_TIMEOUT_SECONDS, |timeout| timeout.as_secs_f64()),
        },
        response_id,
    }))
}

/// `data` of the `server_response` that tells how a call ended. `node` is the one that answered.
pub(super) fn response_data(
    outcome: Result<Box<RawValue>, CallError>,
    node: &NodeId,
    response_id: Option<&RawValue>,
) -> Box<RawValue> {
    #[derive(Serialize)]
    struct Data<'a> {
        success: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        result: Option<Box<RawValue>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
        node_id: NodeId,
        #[serde(skip_serializing_if = "Option::is_none")]
        response_id: Option<&'a RawValue>,
    }
    payload(&match outcome {
        Ok(result) => {
            Data { success: true, result: Some(result), error: None, node_id: node.clone(), response_id }
        }
        Err(error) => Data {
            success: false,
            result: None,
            node_id: error.data.node.unwrap_or_else(|| node.clone()),
            error: Some(error.message),
            response_id,
        },
    })
}

/// What a `server_response` says: whom it is for, and how the call ended. `peer` sent it.
pub(super) fn outcome(
    message: &Message,
    peer: &NodeId,
) -> Result<(Caller, Result<Box<RawValue>, CallError>), OlderError> {
    #[derive(Deserialize)]
    struct Data {
        success: Option<bool>,
        result: Option<Box<RawValue>>,
        error: Option<Value>,
        node_id: Option<String>,
        response_id: Option<String>,
    }
    let data: Data = message.read_data()?;
    let Some(response_id) = data.response_id else {
        return Err(OlderError::Missing { kind: "server_response", field: "data.response_id" });
    };
    let caller = Caller::read(&response_id)?;
    if data.success.unwrap_or(data.error.is_none()) {
        return Ok((caller, Ok(data.result.unwrap_or_else(|| payload(&())))));
    }
    let node = data.node_id.and_then(|id| id.parse().ok()).unwrap_or_else(|| peer.clone());
    let (message, detail) = match data.error {
        Some(Value::String(words)) => (words, None),
        None => ("the service gave no reason".to_owned(), None),
        Some(other) => ("the service answered with an error object".to_owned(), Some(other)),
    };
    let not_offered = message.strip_prefix("server ").and_then(|rest| rest.strip_suffix(" not found"));
    let failure = match not_offered {
        // The words that older nodes have for this, the only sign of it.
        Some(service) => Failure::NotOffered { node: node.clone(), service: service.to_owned() },
        None => Failure::ServiceFailed { message, detail },
    };
    let mut path = caller.path.clone();
    path.push(peer.clone());
    Ok((caller, Err(failure.at(&node, &path))))
}

/// Who waits for an answer. It travels to the older peer and back as the call's `response_id`, so that nothing has to
/// be remembered here of calls that are never answered: `home:alice.home@relay-a/alice.home,relay-a/t5/17-4`, where `t`
/// stands for a call whose times are wanted, and 5 is its priority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    pub(super) source: NodeAddress,
    /// The nodes that the call had passed when it left, this one last.
    pub(super) path: Vec<NodeId>,
    pub(super) priority: Option<i64>,
    /// The time of each hop is wanted.
    pub(super) traced: bool,
    pub(super) message_id: String,
}

impl Caller {
    pub(super) fn write(&self) -> String {
        let path: Vec<&str> = self.path.iter().map(NodeId::as_str).collect();
        let traced = if self.traced { "t" } else { "" };
        let priority = self.priority.map(|priority| priority.to_string()).unwrap_or_default();
        let Caller { source, message_id, .. } = self;
        format!("{}:{source}/{}/{traced}{priority}/{message_id}", source.kind, path.join(","))
    }

    pub(super) fn read(text: &str) -> Result<Self, OlderError> {
        let foreign =
            || OlderError::invalid("data.response_id", "it is none that this node gave with a call");
        check_length("data.response_id", text)?;
        let parts: Vec<&str> = text.splitn(4, '/').collect();
        let [source, path, marks, message_id] = parts[..] else { return Err(foreign()) };
        let (kind, source) = source.split_once(':').ok_or_else(foreign)?;
        let kind = match kind {
            "home" => NodeKind::Home,
            "main" => NodeKind::Main,
            _ => return Err(foreign()),
        };
        let Target { id, main_relay } = source.parse().map_err(|_| foreign())?;
        let (traced, priority) = match marks.strip_prefix('t') {
            Some(priority) => (true, priority),
            None => (false, marks),
        };
        let priority = match priority {
            "" => None,
            number => Some(number.parse().map_err(|_| foreign())?),
        };
        let path: Result<Vec<NodeId>, _> = path.split(',').take(MAX_PATH_ENTRIES).map(str::parse).collect();
        Ok(Caller {
            source: NodeAddress { kind, id, main_relay },
            path: path.map_err(|_| foreign())?,
            priority,
            traced,
            message_id: message_id.to_owned(),
        })
    }
}
