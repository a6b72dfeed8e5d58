//! Why a call failed: facts, and the one place where they become wire codes.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use super::Refusal;
use crate::wire::{MAX_HOPS, NodeAddress, NodeId};

/// A failed call as every caller sees it: a JSON-RPC error object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallError {
    /// A JSON-RPC or Relay error code.
    pub code: i64,
    /// What failed, in words.
    pub message: String,
    /// Who says so.
    #[serde(default)]
    pub data: Box<ErrorData>,
}

/// What stands in `error.data`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ErrorData {
    /// The node that refused the call or saw it fail.
    pub node: Option<NodeId>,
    /// The nodes that the call had passed by then, the caller's first.
    pub path: Vec<NodeId>,
    /// Whether the same call may be sent again without being run twice.
    pub retryable: bool,
    /// The service's own error, where the service failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<serde_json::Value>,
    /// When to try again, in milliseconds from now, where the node that refused the call knows.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "hint")]
    pub retry_after_ms: Option<NonZeroU32>,
    /// Which limit of the node that refused the call was hit, where it is one on its sender alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<SenderLimit>,
}

/// Whatever number of milliseconds another relay says; none is no hint.
fn hint<'de, D: Deserializer<'de>>(from: D) -> Result<Option<NonZeroU32>, D::Error> {
    let millis = Option::<u64>::deserialize(from)?;
    Ok(millis.and_then(|millis| NonZeroU32::new(u32::try_from(millis).unwrap_or(u32::MAX))))
}

/// A limit on what one sender may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SenderLimit {
    /// `-home-calls-per-second`.
    HomeCallsPerSecond,
    /// One that this version does not know.
    #[serde(other)]
    Other,
}

/// The facts behind a [`CallError`].
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Failure {
    /// Nobody offers a service of that name.
    #[error("service not found: no node offers `{service}`")]
    NoSuchService {
        /// The service asked for.
        service: String,
    },
    /// The node is there and does not offer the service.
    #[error("service not found: {node} does not offer `{service}`")]
    NotOffered {
        /// The node asked.
        node: NodeId,
        /// The service asked for.
        service: String,
    },
    /// No node of that id is known.
    #[error("service not found: the node {node} is not known")]
    NoSuchNode {
        /// The node asked for.
        node: NodeId,
    },
    /// The way to the node is known and down.
    #[error("no route: {0}")]
    NoRoute(String),
    /// The link broke after the call had been sent over it: it may have run.
    #[error("the connection to {next} was lost while the call was under way; it may have run")]
    ConnectionLost {
        /// The node at the other end of the link.
        next: NodeId,
    },
    /// No answer came in time. It may have run.
    #[error("no answer within {0:?}; the call may have run")]
    TimedOut(Duration),
    /// The instance, or the way to it, has failed too often of late.
    #[error("circuit open: {node} has failed too often; next try in {} s", retry_after.as_secs() + 1)]
    CircuitOpen {
        /// The instance, or the Main on the way to it.
        node: NodeId,
        /// When a call may go through again.
        retry_after: Duration,
    },
    /// The same for every instance of a service.
    #[error("circuit open: every instance of `{service}` has failed too often; try again in some seconds")]
    AllCircuitsOpen {
        /// The service.
        service: String,
    },
    /// Another node, with another key, is connected under this id.
    #[error("{node} is connected already, with another key; give this node an id of its own with -node-id")]
    IdInUse {
        /// The id.
        node: NodeId,
    },
    /// The call has been through [`MAX_HOPS`] hops, or its `ttl` is used up.
    #[error("hop limit: a call makes at most {MAX_HOPS} hops")]
    HopLimit,
    /// The call has been here before.
    #[error("loop: the call has already passed {node}")]
    Loop {
        /// This node.
        node: NodeId,
    },
    /// Too much is waiting already.
    #[error("overloaded: {reason}")]
    Overloaded {
        /// What is too much.
        reason: String,
        /// When there may be room again.
        retry_after: Duration,
    },
    /// The node that sent this calls more often than it may.
    #[error("overloaded: more than {per_second} calls per second; -home-calls-per-second sets this limit")]
    TooFast {
        /// The limit.
        per_second: u32,
        /// When the next one may come.
        retry_after: Duration,
    },
    /// The message that carries the call, or its answer, is over the size limit of a link.
    #[error(
        "the message has {bytes} bytes and links take at most {limit}; send less at a time, or raise \
         -max-message-bytes on every relay on the way"
    )]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit of the node that says so.
        limit: usize,
    },
    /// The message that carries the call is broken.
    #[error("malformed message: {0}")]
    Malformed(String),
    /// The method is none that the service has.
    #[error("method not found: {0}")]
    NoSuchMethod(String),
    /// The arguments are not what is needed.
    #[error("invalid params: {0}")]
    InvalidParams(String),
    /// The service itself answered with an error, or not at all.
    #[error("service failed: {message}")]
    ServiceFailed {
        /// What happened.
        message: String,
        /// The service's own error object, where it gave one.
        detail: Option<serde_json::Value>,
    },
    /// The other side may not come in.
    #[error(transparent)]
    NotTrusted(#[from] Refusal),
    /// The service is not for this caller.
    #[error(
        "unauthorized: {caller} may not call `{service}`; the `allow` list in its service file says who may"
    )]
    NotAllowed {
        /// The service.
        service: String,
        /// Who called.
        caller: NodeAddress,
    },
    /// The operator of this node has removed that peer.
    #[error(
        "unauthorized: {node} was removed from the peers here; POST /registry/peers/add here brings it back"
    )]
    RemovedPeer {
        /// The peer.
        node: NodeId,
    },
    /// This node is closing.
    #[error("{node} is shutting down")]
    ShuttingDown {
        /// This node.
        node: NodeId,
    },
    /// This node has closed before the answer came. The call may have run.
    #[error("{node} stopped before the answer came; the call may have run")]
    Abandoned {
        /// This node.
        node: NodeId,
    },
    /// A bug of ours.
    #[error("internal error: {0}")]
    Internal(String),
}

impl Failure {
    /// The JSON-RPC error code of this fact. The codes are part of the protocol.
    pub const fn code(&self) -> i64 {
        match self {
            Failure::NoSuchMethod(_) => -32601,
            Failure::InvalidParams(_) => -32602,
            Failure::Internal(_) => -32603,
            Failure::NoSuchService { .. } | Failure::NotOffered { .. } => -32001,
            Failure::NoSuchNode { .. } => -32002,
            Failure::NoRoute(_) | Failure::ConnectionLost { .. } => -32003,
            Failure::TimedOut(_) => -32004,
            Failure::CircuitOpen { .. } | Failure::AllCircuitsOpen { .. } => -32005,
            Failure::HopLimit | Failure::Loop { .. } => -32006,
            Failure::Overloaded { .. } | Failure::TooFast { .. } => -32007,
            Failure::RemovedPeer { .. }
            | Failure::IdInUse { .. }
            | Failure::NotTrusted(_)
            | Failure::NotAllowed { .. } => -32008,
            Failure::Malformed(_) | Failure::TooLarge { .. } => -32009,
            Failure::ServiceFailed { .. } => -32010,
            Failure::ShuttingDown { .. } | Failure::Abandoned { .. } => -32011,
        }
    }

    /// Whether the same call may be sent again without the risk that it runs twice, and with hope.
    pub const fn retryable(&self) -> bool {
        matches!(
            self,
            Failure::NoRoute(_)
                | Failure::Overloaded { .. }
                | Failure::TooFast { .. }
                | Failure::ShuttingDown { .. }
                | Failure::CircuitOpen { .. }
                | Failure::AllCircuitsOpen { .. }
        )
    }

    /// When to try again, where that is known.
    const fn retry_after(&self) -> Option<Duration> {
        match self {
            Failure::Overloaded { retry_after, .. }
            | Failure::TooFast { retry_after, .. }
            | Failure::CircuitOpen { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }

    /// The error that `node` answers with, `path` being the nodes that the call has passed.
    pub fn at(self, node: &NodeId, path: &[NodeId]) -> CallError {
        let mut data = ErrorData {
            node: Some(node.clone()),
            path: path.to_vec(),
            retryable: self.retryable(),
            detail: None,
            retry_after_ms: self
                .retry_after()
                .and_then(|wait| NonZeroU32::new(u32::try_from(wait.as_millis()).unwrap_or(u32::MAX).max(1))),
            limit: matches!(self, Failure::TooFast { .. }).then_some(SenderLimit::HomeCallsPerSecond),
        };
        let code = self.code();
        let message = self.to_string();
        if let Failure::ServiceFailed { detail, .. } = self {
            data.detail = detail;
        }
        CallError { code, message, data: Box::new(data) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_nodes_and_services_read_the_same_and_differ_in_code() {
        let node: NodeId = "nobody.home".parse().unwrap();
        let unknown_node = Failure::NoSuchNode { node: node.clone() };
        let unknown_service = Failure::NoSuchService { service: "shop".into() };
        assert!(unknown_node.to_string().starts_with("service not found"));
        assert!(unknown_service.to_string().starts_with("service not found"));
        assert_eq!((unknown_node.code(), unknown_service.code()), (-32002, -32001));
    }

    #[test]
    fn what_is_overloaded_says_when_to_come_back() {
        let node: NodeId = "relay-a".parse().unwrap();
        let error = |failure: Failure| failure.at(&node, &[]);
        let wait = Duration::from_micros(120_300);
        let full = error(Failure::Overloaded { reason: "full".into(), retry_after: wait });
        assert_eq!(
            (full.code, full.data.retryable, full.data.retry_after_ms),
            (-32007, true, NonZeroU32::new(120))
        );
        let fast = error(Failure::TooFast { per_second: 5, retry_after: Duration::from_nanos(1) });
        assert_eq!(
            (fast.code, fast.data.retryable, fast.data.retry_after_ms),
            (-32007, true, NonZeroU32::new(1))
        );
        let text = serde_json::to_string(&full.data).unwrap();
        assert!(text.contains(r#""retry_after_ms":120"#), "{text}");
        assert_eq!(serde_json::from_str::<ErrorData>(&text).unwrap(), *full.data);
        let of_others = |text: &str| serde_json::from_str::<ErrorData>(text).unwrap();
        assert_eq!(of_others(r#"{"retry_after_ms":0,"limit":"none-of-ours"}"#).retry_after_ms, None);
        assert_eq!(of_others(r#"{"retry_after_ms":5000000000}"#).retry_after_ms, NonZeroU32::new(u32::MAX));
        let text = serde_json::to_string(&error(Failure::HopLimit).data).unwrap();
        assert!(!text.contains("retry_after_ms"), "{text}");
    }

    #[test]
    fn only_what_surely_did_not_run_is_retryable() {
        let next: NodeId = "relay-a".parse().unwrap();
        assert!(Failure::NoRoute("peer down".into()).retryable());
        assert!(!Failure::ConnectionLost { next: next.clone() }.retryable());
        assert!(!Failure::TimedOut(Duration::from_secs(1)).retryable());
        let error = Failure::ShuttingDown { node: next.clone() }.at(&next, std::slice::from_ref(&next));
        assert_eq!((error.code, error.data.node, error.data.path.len()), (-32011, Some(next), 1));
    }
}
