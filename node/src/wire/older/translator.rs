//! One connection to an older peer: its messages become frames, and the router's frames its messages.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::call::{self, Caller};
use super::message::{Kind, MAX_WRAPPINGS, Message};
use super::registry::{self, Listed};
use super::{MAX_TEXT_BYTES, OlderError};
use crate::env::UnixTime;
use crate::federation::{CallError, Failure};
use crate::wire::{
    Body, DEFAULT_TTL, ErrorReport, Frame, Header, Heartbeat, NodeAddress, NodeId, NodeKind, Registration,
    Request, Response, ServiceOffer, Target, payload,
};

/// Answers that one peer may wait for. More calls are refused as overload.
pub const MAX_OWED_ANSWERS: usize = 4_096;

/// Length of a sender's `timestamp` that is carried on; RFC 3339 with nanoseconds and a zone has 35.
const MAX_TIMESTAMP_CHARS: usize = 40;

/// What one message became.
#[derive(Debug, Default, PartialEq)]
pub struct Taken {
    /// For the router.
    pub frame: Option<Frame>,
    /// For the peer, by way of the link's queue and [`Translator::put_out`].
    pub reply: Option<Frame>,
    /// The peer speaks `registry_sync` and may be told of our services.
    pub syncs: bool,
}

/// A message that could not be understood.
#[derive(Debug, PartialEq, Eq)]
pub struct Rejected {
    /// What the complaint answers, as its `correlation_id`, so that it reaches whoever waits.
    pub answering: Option<String>,
    /// What is wrong.
    pub error: OlderError,
}

/// A request that does not fit this wire. Its call is to fail at once.
#[derive(Debug, PartialEq)]
pub struct Unsent {
    /// The request's.
    pub header: Header,
    /// Why.
    pub failure: Failure,
}

/// What a message of the peer's is to be answered with.
struct Owed {
    to: String,
    reply_to: String,
    /// It came wrapped from a node behind the peer, and so must the answer go.
    wrapped: bool,
    about: About,
}

enum About {
    Ping { timestamp: Option<Box<RawValue>> },
    Call { response_id: Option<Box<RawValue>> },
    Other,
}

/// Translates for one connection. `message_id`s that it makes are unique as long as its prefix is.
pub struct Translator {
    me: NodeId,
    peer: NodeId,
    prefix: String,
    count: u64,
    owed: BTreeMap<String, Owed>,
    /// What the peer last said that it serves.
    offered: Option<Vec<ServiceOffer>>,
}

impl Translator {
    /// For the connection between `me` and `peer`; `prefix` tells it from all others that this node has had with it.
    pub fn new(me: NodeId, peer: NodeId, prefix: String) -> Self {
        Translator { me, peer, prefix, count: 0, owed: BTreeMap::new(), offered: None }
    }

    /// Answers that the peer waits for.
    pub fn owed(&self) -> usize {
        self.owed.len()
    }

    /// Reads one message of the peer's.
    ///
    /// # Errors
    /// [`Rejected`] where it is none. Never panics, whatever the text is.
    pub fn take_in(&mut self, text: &str) -> Result<Taken, Rejected> {
        let unanswered = |error| Rejected { answering: None, error };
        let mut message = Message::decode(text).map_err(unanswered)?;
        let mut wrappings = 0;
        let mut refusal = self.journey(&message);
        while message.kind == Kind::RouteMessage {
            wrappings += 1;
            if wrappings > MAX_WRAPPINGS {
                let reason = format!("wrapped over {MAX_WRAPPINGS} times");
                return Err(unanswered(OlderError::invalid("data.original_message", reason)));
            }
            message = unwrap(&message).map_err(unanswered)?;
            refusal = refusal.or_else(|| self.journey(&message));
        }
        self.take(message, wrappings > 0, refusal)
    }

    fn take(&mut self, message: Message, wrapped: bool, refusal: Option<Failure>) -> Result<Taken, Rejected> {
        let (kind, full) = (message.kind, self.owed.len() >= MAX_OWED_ANSWERS);
        let owed = |about| Owed {
            to: message.from.clone(),
            reply_to: if message.reply_to.is_empty() { &message.id } else { &message.reply_to }.clone(),
            wrapped,
            about,
        };
        let about = match kind {
            Kind::ServerCall => About::Call {
                response_id: call::response_id(&message)
                    .map_err(|error| Rejected { answering: None, error })?,
            },
            Kind::Ping => About::Ping { timestamp: ping_timestamp(&message) },
            _ => About::Other,
        };
        let owed = owed(about);
        let key = self.next_id();
        let refuse = |this: &mut Self, owed, failure: &Failure| {
            this.owed.insert(key.clone(), owed);
            let report = ErrorReport { code: failure.code(), message: failure.to_string() };
            let reply = Some(this.reply(&key, Body::Error(report)));
            Ok(Taken { reply, ..Taken::default() })
        };
        if let Some(failure) = refusal {
            return refuse(self, owed, &failure);
        }
        let for_others = wrapped && message.to != self.me.as_str();
        if matches!(kind, Kind::Ping | Kind::RegistrySync) && for_others {
            let words = format!("a {} goes no further than this node, not to {}", kind.name(), message.to);
            return refuse(self, owed, &Failure::NoRoute(words));
        }
        if kind == Kind::ServerCall && full {
            let words = format!("{MAX_OWED_ANSWERS} calls of {} are under way", self.peer);
            return refuse(
                self,
                owed,
                &Failure::Overloaded { reason: words, retry_after: std::time::Duration::from_secs(1) },
            );
        }
        match self.understand(&message, &key) {
            Ok(taken) => {
                if matches!(kind, Kind::Ping | Kind::ServerCall) {
                    self.owed.insert(key, owed);
                }
                Ok(taken)
            }
            Err(error) => {
                self.owed.insert(key.clone(), owed);
                Err(Rejected { answering: Some(key), error })
            }
        }
    }

    /// What a message with nothing against it becomes; `key` is its id from here on.
    fn understand(&mut self, message: &Message, key: &str) -> Result<Taken, OlderError> {
        let mut taken = Taken::default();
        let mut header = self.header_from_peer(key.to_owned(), message);
        let body = match message.kind {
            Kind::Ping => {
                taken.reply = Some(self.reply(key, Body::Heartbeat(Heartbeat::default())));
                Body::Heartbeat(Heartbeat::default())
            }
            Kind::Pong => Body::Heartbeat(Heartbeat::default()),
            Kind::ServerCall => {
                header.destination = self.destination(&message.to)?;
                header.path = self.path(message)?;
                header.ttl = match message.ttl {
                    0 => DEFAULT_TTL,
                    ttl => u32::try_from(ttl).unwrap_or(u32::MAX),
                };
                Body::Request(call::request(message, key)?)
            }
            Kind::ServerResponse => {
                let (caller, outcome) = call::outcome(message, &self.peer)?;
                header.correlation_id = Some(caller.message_id.into());
                header.destination = Some(caller.source);
                header.path = vec![self.peer.clone()];
                header.priority = caller.priority;
                // The peer's own time is not known; that of the nodes on the way back is.
                header.trace = caller.traced.then(Vec::new);
                Body::Response(Response::new(outcome))
            }
            Kind::RegistrySync => {
                taken.syncs = true;
                match registry::offers(message, &self.peer)? {
                    // Older nodes may repeat themselves; only what is new is to make its way through the federation.
                    Some(services) if self.offered.as_ref() != Some(&services) => {
                        self.offered = Some(services.clone());
                        Body::Registration(Registration { services, ..Registration::default() })
                    }
                    _ => Body::Heartbeat(Heartbeat::default()),
                }
            }
            // Another adapter's complaint; whatever it says, it is not complained about.
            Kind::Error => Body::Error(message.read_data().unwrap_or_default()),
            Kind::RouteMessage => unreachable!("it was unwrapped"),
        };
        taken.frame = Some(Frame { header, body });
        Ok(taken)
    }

    /// Why a message goes no further, if it has come too far.
    fn journey(&self, message: &Message) -> Option<Failure> {
        if message.route.iter().any(|node| node == self.me.as_str()) {
            Some(Failure::Loop { node: self.me.clone() })
        } else {
            (message.ttl < 0).then_some(Failure::HopLimit)
        }
    }

    /// Where a call goes: to any instance where it is for this node, which stands for the federation; a service of
    /// this node's own comes first there.
    fn destination(&self, to: &str) -> Result<Option<NodeAddress>, OlderError> {
        if to.is_empty() || to == self.me.as_str() {
            return Ok(None);
        }
        let Target { id, main_relay } = to.parse().map_err(|error| OlderError::invalid("to", error))?;
        Ok(Some(NodeAddress { kind: NodeKind::Home, id, main_relay }))
    }

    /// The nodes that a call has passed, the peer last. Those of the mesh count as hops like any other.
    fn path(&self, message: &Message) -> Result<Vec<NodeId>, OlderError> {
        let mut path = Vec::with_capacity(message.route.len() + 1);
        for node in &message.route {
            path.push(node.parse().map_err(|error| OlderError::invalid("route", error))?);
        }
        if path.last() != Some(&self.peer) {
            path.push(self.peer.clone());
        }
        Ok(path)
    }

    fn next_id(&mut self) -> String {
        self.count += 1;
        format!("{}-{}", self.prefix, self.count)
    }

    fn header_from_peer(&self, message_id: String, message: &Message) -> Header {
        Header {
            message_id: message_id.into(),
            correlation_id: None,
            // It goes on over the newer wire, where it is as short as every time is.
            timestamp: message.timestamp.chars().take(MAX_TIMESTAMP_CHARS).collect(),
            source: NodeAddress {
                kind: NodeKind::Home,
                id: self.peer.clone(),
                main_relay: Some(self.me.clone()),
            },
            destination: None,
            path: Vec::new(),
            ttl: DEFAULT_TTL,
            priority: None,
            trace: None,
            traceparent: None,
        }
    }

    /// A frame that only [`Translator::put_out`] sees.
    fn reply(&mut self, answering: &str, body: Body) -> Frame {
        let header = Header {
            message_id: self.next_id().into(),
            correlation_id: Some(answering.into()),
            timestamp: String::new(),
            source: NodeAddress { kind: NodeKind::Main, id: self.me.clone(), main_relay: None },
            destination: None,
            path: Vec::new(),
            ttl: DEFAULT_TTL,
            priority: None,
            trace: None,
            traceparent: None,
        };
        Frame { header, body }
    }
}

impl Translator {
    /// Writes one frame as a message of at most `limit` bytes; `None` where this wire has nothing like it.
    ///
    /// # Errors
    /// [`Unsent`] for a request that cannot be sent. An answer that is too large goes as a failure instead.
    pub fn put_out(
        &mut self,
        frame: Frame,
        at: UnixTime,
        limit: usize,
    ) -> Result<Option<String>, Box<Unsent>> {
        let Frame { header, body } = frame;
        let owed = header.correlation_id.as_deref().and_then(|key| self.owed.remove(key));
        let text = match (body, owed) {
            (Body::Request(request), _) => return self.call_text(header, &request, at, limit).map(Some),
            (Body::Response(response), Some(owed)) => {
                let node = header.path.first().unwrap_or(&self.me).clone();
                let outcome = response.outcome().unwrap_or_else(|error| {
                    Err(Failure::Malformed(error.to_string()).at(&self.me, &header.path))
                });
                let About::Call { response_id } = &owed.about else { return Ok(None) };
                let data = call::response_data(outcome, &node, response_id.as_deref());
                let text = self.answer(Kind::ServerResponse, header.message_id.to_string(), &owed, data, at);
                if text.len() <= limit {
                    return Ok(Some(text));
                }
                let failure = Failure::TooLarge { bytes: text.len(), limit };
                let data =
                    call::response_data(Err(failure.at(&self.me, &[])), &self.me, response_id.as_deref());
                self.answer(Kind::ServerResponse, header.message_id.into(), &owed, data, at)
            }
            (Body::Heartbeat(_), Some(owed)) => {
                let About::Ping { timestamp } = &owed.about else { return Ok(None) };
                let data = payload(&Pong { timestamp: timestamp.as_deref(), pong_time: at.0.as_secs() });
                self.answer(Kind::Pong, header.message_id.into(), &owed, data, at)
            }
            (Body::Heartbeat(_), None) => {
                let data = payload(&Ping { timestamp: at.0.as_secs() });
                self.message(Kind::Ping, header.message_id.into(), data, at).encode()
            }
            (Body::Error(report), Some(owed)) => match &owed.about {
                About::Call { response_id } => {
                    let error =
                        CallError { code: report.code, message: report.message, data: Default::default() };
                    let data = call::response_data(Err(error), &self.me, response_id.as_deref());
                    self.answer(Kind::ServerResponse, header.message_id.into(), &owed, data, at)
                }
                _ => self.answer(Kind::Error, header.message_id.into(), &owed, payload(&report), at),
            },
            (Body::Error(report), None) => {
                self.message(Kind::Error, header.message_id.into(), payload(&report), at).encode()
            }
            // Nothing on this wire is like a cancellation or a farewell; a closing frame is all that it has.
            (
                Body::Response(_)
                | Body::Registration(_)
                | Body::Discovery(_)
                | Body::Goodbye(_)
                | Body::Cancel(_)
                | Body::Challenge(_)
                | Body::Proof(_)
                | Body::KnownPeers(_),
                _,
            ) => return Ok(None),
        };
        Ok((text.len() <= limit).then_some(text))
    }

    /// The `registry_sync` that tells the peer of these services.
    pub fn sync(&mut self, listed: &[Listed], at: UnixTime) -> String {
        let id = self.next_id();
        self.message(Kind::RegistrySync, id, registry::sync_data(&self.me, listed), at).encode()
    }

    fn call_text(
        &self,
        header: Header,
        request: &Request,
        at: UnixTime,
        limit: usize,
    ) -> Result<String, Box<Unsent>> {
        let caller = Caller {
            source: header.source.clone(),
            path: header.path.clone(),
            priority: header.priority,
            traced: header.trace.is_some(),
            message_id: header.message_id.to_string(),
        };
        let response_id = caller.write();
        let data = match call::call_data(request, &response_id) {
            Ok(_) if response_id.len() > MAX_TEXT_BYTES => {
                let words =
                    format!("the caller's address is over the {MAX_TEXT_BYTES} bytes of the older wire");
                return Err(Box::new(Unsent { header, failure: Failure::Malformed(words) }));
            }
            Ok(data) => data,
            Err(failure) => return Err(Box::new(Unsent { header, failure })),
        };
        let mut message = self.message(Kind::ServerCall, header.message_id.to_string(), data, at);
        message.route = header.path.iter().map(ToString::to_string).collect();
        message.ttl = i64::from(header.ttl);
        let text = message.encode();
        if text.len() > limit {
            let failure = Failure::TooLarge { bytes: text.len(), limit };
            return Err(Box::new(Unsent { header, failure }));
        }
        Ok(text)
    }

    /// A message of this node's to the peer.
    fn message(&self, kind: Kind, id: String, data: Box<RawValue>, at: UnixTime) -> Message {
        Message {
            kind,
            id,
            from: self.me.to_string(),
            to: self.peer.to_string(),
            data: Some(data),
            // Older nodes close a connection over a message whose time they cannot read.
            timestamp: at.to_string(),
            route: vec![self.me.to_string()],
            ttl: i64::from(DEFAULT_TTL),
            reply_to: String::new(),
        }
    }

    /// The text of an answer, wrapped where it goes to a node behind the peer.
    fn answer(&self, kind: Kind, id: String, owed: &Owed, data: Box<RawValue>, at: UnixTime) -> String {
        let mut answer = self.message(kind, id, data, at);
        answer.to.clone_from(&owed.to);
        answer.reply_to.clone_from(&owed.reply_to);
        if !owed.wrapped || owed.to == self.peer.as_str() {
            return answer.encode();
        }
        #[derive(Serialize)]
        struct Wrapped {
            original_message: Box<RawValue>,
        }
        let original_message =
            RawValue::from_string(answer.encode()).expect("a message that we wrote is JSON");
        self.message(
            Kind::RouteMessage,
            format!("{}-w", answer.id),
            payload(&Wrapped { original_message }),
            at,
        )
        .encode()
    }
}

#[derive(Serialize)]
struct Ping {
    timestamp: u64,
}

#[derive(Serialize)]
struct Pong<'a> {
    timestamp: Option<&'a RawValue>,
    pong_time: u64,
}

/// What a ping's `data.timestamp` says, if it is short enough to be kept.
fn ping_timestamp(message: &Message) -> Option<Box<RawValue>> {
    #[derive(Deserialize)]
    struct Data {
        timestamp: Option<Box<RawValue>>,
    }
    let data: Data = message.read_data().ok()?;
    data.timestamp.filter(|timestamp| timestamp.get().len() <= MAX_TEXT_BYTES)
}

/// The message inside a `route_message`.
fn unwrap(message: &Message) -> Result<Message, OlderError> {
    #[derive(Deserialize)]
    struct Data {
        original_message: Option<Box<RawValue>>,
    }
    let data: Data = message.read_data()?;
    let Some(original) = data.original_message else {
        return Err(OlderError::Missing { kind: "route_message", field: "data.original_message" });
    };
    Message::decode(original.get())
}
