//! `request`: call a service.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::envelope::Envelope;
use super::{WireError, check_service_name};

/// Length that a method name may have, in bytes.
pub(super) const MAX_METHOD_BYTES: usize = 256;

/// A call on its way to a service.
#[derive(Clone, Debug)]
pub struct Request {
    /// The service.
    pub service: String,
    /// Its method.
    pub method: String,
    /// The JSON-RPC call carried (`jsonrpc_request`), unparsed; see [`JsonRpcCall`].
    pub call: Option<Box<RawValue>>,
    /// How long the caller waits, in whole seconds; 60 where it says nothing.
    pub timeout_seconds: Option<u64>,
}

impl PartialEq for Request {
    fn eq(&self, other: &Self) -> bool {
        let text = |request: &Request| request.call.as_ref().map(|call| call.get().to_owned());
        self.service == other.service
            && self.method == other.method
            && self.timeout_seconds == other.timeout_seconds
            && text(self) == text(other)
    }
}

/// The JSON-RPC 2.0 call inside a request.
#[derive(Debug, Serialize, Deserialize)]
pub struct JsonRpcCall {
    /// Always `2.0`.
    pub jsonrpc: String,
    /// The method, the same as the request's.
    pub method: String,
    /// The arguments, unparsed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<Box<RawValue>>,
    /// The caller's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Box<RawValue>>,
}

/// The JSON text of any value, for a payload field.
pub fn payload(value: &impl Serialize) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).expect("payloads that we make are plain JSON")
}

impl Request {
    pub(super) fn decode(envelope: &mut Envelope) -> Result<Self, WireError> {
        let missing = |field| WireError::Missing { kind: "request", field };
        let service = envelope.server_name.take().ok_or_else(|| missing("server_name"))?;
        check_service_name(&service).map_err(|error| WireError::invalid("server_name", error))?;
        let method = envelope.method.take().ok_or_else(|| missing("method"))?;
        if method.is_empty() || method.len() > MAX_METHOD_BYTES {
            let reason = format!("{} bytes, 1 to {MAX_METHOD_BYTES} are allowed", method.len());
            return Err(WireError::invalid("method", reason));
        }
        Ok(Request {
            service,
            method,
            call: envelope.jsonrpc_request.take(),
            timeout_seconds: envelope.timeout_seconds,
        })
    }

    pub(super) fn encode(self, envelope: &mut Envelope) {
        envelope.server_name = Some(self.service);
        envelope.method = Some(self.method);
        envelope.jsonrpc_request = self.call;
        envelope.timeout_seconds = self.timeout_seconds;
    }

    /// The arguments of the call, unparsed; `None` where it carries none.
    ///
    /// # Errors
    /// When `jsonrpc_request` is no JSON-RPC 2.0 call.
    pub fn params(&self) -> Result<Option<Box<RawValue>>, WireError> {
        let Some(call) = &self.call else {
            return Ok(None);
        };
        let call: JsonRpcCall =
            serde_json::from_str(call.get()).map_err(|error| WireError::invalid("jsonrpc_request", error))?;
        if call.jsonrpc != "2.0" {
            let reason = format!("`jsonrpc` is `{}`, only 2.0 is spoken", call.jsonrpc);
            return Err(WireError::invalid("jsonrpc_request", reason));
        }
        Ok(call.params)
    }
}
