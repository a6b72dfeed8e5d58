//! `request`: call a service.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::envelope::{Envelope, read};
use super::writer::Writer;
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
    /// How long the caller still waits; the node's default where it says nothing. Each hop takes off what it used.
    /// Older relays know it in whole seconds.
    pub timeout: Option<Duration>,
    /// Nothing is to be called: only the way is wanted.
    pub dry_run: bool,
}

/// What stands in `data`: what the older wire has no field for.
#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct Extra {
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    dry_run: bool,
}

/// The timeout where nothing else stands in `data`, as it does in most requests.
fn only_timeout(data: &RawValue) -> Option<u64> {
    let digits = data.get().strip_prefix("{\"timeout_ms\":")?.strip_suffix('}')?;
    let is_number =
        digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    if is_number { digits.parse().ok() } else { None }
}

impl PartialEq for Request {
    fn eq(&self, other: &Self) -> bool {
        let text = |request: &Request| request.call.as_ref().map(|call| call.get().to_owned());
        self.service == other.service
            && self.method == other.method
            && self.timeout == other.timeout
            && self.dry_run == other.dry_run
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
    pub(super) fn decode(envelope: &Envelope<'_>) -> Result<Self, WireError> {
        let missing = |field| WireError::Missing { kind: "request", field };
        let service = envelope.server_name.as_ref().ok_or_else(|| missing("server_name"))?;
        check_service_name(service).map_err(|error| WireError::invalid("server_name", error))?;
        let method = envelope.method.as_ref().ok_or_else(|| missing("method"))?;
        if method.is_empty() || method.len() > MAX_METHOD_BYTES {
            let reason = format!("{} bytes, 1 to {MAX_METHOD_BYTES} are allowed", method.len());
            return Err(WireError::invalid("method", reason));
        }
        let extra = match envelope.data.and_then(only_timeout) {
            Some(millis) => Extra { timeout_ms: Some(millis), dry_run: false },
            None => envelope.read_data()?,
        };
        let millis = extra.timeout_ms.map(Duration::from_millis);
        let timeout = millis.or_else(|| envelope.timeout_seconds.map(Duration::from_secs));
        Ok(Request {
            service: service.as_str().to_owned(),
            method: method.as_str().to_owned(),
            call: envelope.jsonrpc_request.map(ToOwned::to_owned),
            timeout,
            dry_run: extra.dry_run,
        })
    }

    pub(super) fn encode(&self, out: &mut Writer) {
        out.text("server_name", &self.service);
        out.text("method", &self.method);
        if let Some(call) = &self.call {
            out.raw("jsonrpc_request", call);
        }
        let millis = self.timeout.map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
        // Rounded up: an older relay must not give up before the caller does.
        if let Some(millis) = millis {
            out.number("timeout_seconds", millis.div_ceil(1_000));
        }
        match millis {
            Some(millis) if !self.dry_run => out.timeout(millis),
            None if !self.dry_run => {}
            _ => out.json("data", &Extra { timeout_ms: millis, dry_run: self.dry_run }),
        }
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
            read(call.get()).map_err(|error| WireError::invalid("jsonrpc_request", error))?;
        if call.jsonrpc != "2.0" {
            let reason = format!("`jsonrpc` is `{}`, only 2.0 is spoken", call.jsonrpc);
            return Err(WireError::invalid("jsonrpc_request", reason));
        }
        Ok(call.params)
    }
}
