//! What stands on the older wire: `{type, id?, from, to, data, timestamp, route?, ttl?, reply_to?}`.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::OlderError;
use crate::wire::{MAX_PATH_ENTRIES, read};

/// Length that an id, a node's name or a `response_id` may have, in bytes.
pub const MAX_TEXT_BYTES: usize = 1_024;

/// How often one message may be wrapped into `route_message`s.
pub const MAX_WRAPPINGS: usize = 4;

/// The types of the older mesh, and the one that answers what is none of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Are you there?
    Ping,
    /// I am.
    Pong,
    /// Call a service.
    ServerCall,
    /// What a call gave.
    ServerResponse,
    /// These are my services.
    RegistrySync,
    /// A message on its way to somebody else.
    RouteMessage,
    /// What you sent cannot be handled. Older nodes log it as unknown.
    Error,
}

impl Kind {
    /// Every type.
    pub const ALL: [Kind; 7] = [
        Kind::Ping,
        Kind::Pong,
        Kind::ServerCall,
        Kind::ServerResponse,
        Kind::RegistrySync,
        Kind::RouteMessage,
        Kind::Error,
    ];

    /// The wire's name of this type.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Ping => "ping",
            Kind::Pong => "pong",
            Kind::ServerCall => "server_call",
            Kind::ServerResponse => "server_response",
            Kind::RegistrySync => "registry_sync",
            Kind::RouteMessage => "route_message",
            Kind::Error => "error",
        }
    }
}

/// One message of the older mesh. Only `kind` and `from` are always there.
#[derive(Clone, Debug)]
pub struct Message {
    /// What it is about.
    pub kind: Kind,
    /// Empty where the sender gave none.
    pub id: String,
    /// The node that made it.
    pub from: String,
    /// The node that it is for; empty where the sender gave none.
    pub to: String,
    /// An object, unparsed.
    pub data: Option<Box<RawValue>>,
    /// RFC 3339. For people.
    pub timestamp: String,
    /// The nodes that it has passed, its maker first.
    pub route: Vec<String>,
    /// Hops that it may still make; 0 where the sender says nothing.
    pub ttl: i64,
    /// What it answers; empty where it answers nothing.
    pub reply_to: String,
}

impl PartialEq for Message {
    fn eq(&self, other: &Self) -> bool {
        let text = |message: &Message| message.data.as_ref().map(|data| data.get().to_owned());
        (self.kind, &self.id, &self.from, &self.to, &self.timestamp, &self.route, self.ttl, &self.reply_to)
            == (
                other.kind,
                &other.id,
                &other.from,
                &other.to,
                &other.timestamp,
                &other.route,
                other.ttl,
                &other.reply_to,
            )
            && text(self) == text(other)
    }
}

/// A message as JSON has it. `null` reads as absent: that is how older nodes write an empty object or list.
#[derive(Deserialize)]
struct Incoming {
    r#type: Option<String>,
    id: Option<String>,
    from: Option<String>,
    to: Option<String>,
    data: Option<Box<RawValue>>,
    timestamp: Option<String>,
    route: Option<Vec<String>>,
    ttl: Option<i64>,
    reply_to: Option<String>,
}

#[derive(Serialize)]
struct Outgoing<'a> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    id: &'a str,
    from: &'a str,
    to: &'a str,
    data: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "str::is_empty")]
    timestamp: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    route: &'a [String],
    #[serde(skip_serializing_if = "is_zero")]
    ttl: i64,
    #[serde(skip_serializing_if = "str::is_empty")]
    reply_to: &'a str,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(value: &i64) -> bool {
    *value == 0
}

impl Message {
    /// Reads one message. Unknown fields are ignored.
    ///
    /// # Errors
    /// [`OlderError`] says in words what is wrong. Never panics, whatever the text is.
    pub fn decode(text: &str) -> Result<Self, OlderError> {
        let incoming: Incoming = read(text).map_err(OlderError::Json)?;
        let Some(name) = incoming.r#type.filter(|name| !name.is_empty()) else {
            return Err(OlderError::Missing { kind: "mesh message", field: "type" });
        };
        let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.name() == name) else {
            return Err(OlderError::UnknownType(name));
        };
        let message = Message {
            kind,
            id: incoming.id.unwrap_or_default(),
            from: incoming.from.unwrap_or_default(),
            to: incoming.to.unwrap_or_default(),
            data: incoming.data,
            timestamp: incoming.timestamp.unwrap_or_default(),
            route: incoming.route.unwrap_or_default(),
            ttl: incoming.ttl.unwrap_or_default(),
            reply_to: incoming.reply_to.unwrap_or_default(),
        };
        if message.from.is_empty() {
            return Err(OlderError::Missing { kind: kind.name(), field: "from" });
        }
        message.check_limits()?;
        Ok(message)
    }

    fn check_limits(&self) -> Result<(), OlderError> {
        for (field, text) in
            [("id", &self.id), ("from", &self.from), ("to", &self.to), ("reply_to", &self.reply_to)]
        {
            check_length(field, text)?;
        }
        if self.route.len() > MAX_PATH_ENTRIES {
            let reason = format!("{} entries, at most {MAX_PATH_ENTRIES}", self.route.len());
            return Err(OlderError::invalid("route", reason));
        }
        match &self.data {
            Some(data) if !data.get().starts_with('{') => {
                Err(OlderError::invalid("data", "it must be an object"))
            }
            _ => Ok(()),
        }
    }

    /// Writes one message.
    pub fn encode(&self) -> String {
        let outgoing = Outgoing {
            r#type: self.kind.name(),
            id: &self.id,
            from: &self.from,
            to: &self.to,
            data: self.data.as_deref(),
            timestamp: &self.timestamp,
            route: &self.route,
            ttl: self.ttl,
            reply_to: &self.reply_to,
        };
        serde_json::to_string(&outgoing).expect("a message has only string keys and finite numbers")
    }

    /// Reads `data` as the object that this type carries there; an absent one reads as empty.
    pub(super) fn read_data<'a, T: Deserialize<'a>>(&'a self) -> Result<T, OlderError> {
        let text = self.data.as_ref().map_or("{}", |data| data.get());
        read(text).map_err(|error| OlderError::invalid("data", error))
    }
}

/// Checks that what is kept until it is answered stays small.
pub(super) fn check_length(field: &'static str, text: &str) -> Result<(), OlderError> {
    if text.len() > MAX_TEXT_BYTES {
        let reason = format!("{} bytes, at most {MAX_TEXT_BYTES}", text.len());
        return Err(OlderError::invalid(field, reason));
    }
    Ok(())
}
