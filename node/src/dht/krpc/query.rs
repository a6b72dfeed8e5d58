//! Queries.

use crate::dht::bencode::{Value, Writer};
use crate::dht::contact::Family;
use crate::dht::id::Id;
use crate::dht::item::{KEY_BYTES, SIGNATURE_BYTES};

use super::refusal::{ErrorCode, Refusal};

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query<'a> {
    /// Who asks.
    pub id: Id,
    /// The asking node cannot be asked (BEP 43).
    pub read_only: bool,
    /// What is asked.
    pub method: Method<'a>,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Method<'a> {
    /// Are you there?
    Ping,
    /// Who is closest to this?
    FindNode {
        /// What.
        target: Id,
        /// Nodes of which families.
        want: Want,
    },
    /// Who has announced itself under this?
    GetPeers {
        /// What.
        info_hash: Id,
        /// Nodes of which families.
        want: Want,
    },
    /// I am to be found under this.
    AnnouncePeer(Announce<'a>),
    /// What is kept under this? (BEP 44)
    Get {
        /// What.
        target: Id,
        /// The value itself only where it is of a later version than this.
        newer_than: Option<i64>,
        /// Nodes of which families.
        want: Want,
    },
    /// Keep this. (BEP 44)
    Put(Put<'a>),
}

/// Of which families a query wants nodes (BEP 32). None asked for: of that which it came by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Want {
    /// IPv4.
    pub v4: bool,
    /// IPv6.
    pub v6: bool,
}

/// "I am to be found under this."
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announce<'a> {
    /// Under what.
    pub info_hash: Id,
    /// At which port; `None` says at the one that this query came from.
    pub port: Option<u16>,
    /// From the answer to a `get_peers`.
    pub token: &'a [u8],
}

/// "Keep this."
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Put<'a> {
    /// From the answer to a `get`.
    pub token: &'a [u8],
    /// The value, bencoded, canonical. Its length is not checked yet.
    pub value: Value<'a>,
    /// What a mutable item has beside its value.
    pub mutable: Option<PutMutable<'a>>,
}

/// What a mutable item has beside its value. Nothing of it is checked yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PutMutable<'a> {
    /// Whose it is.
    pub key: &'a [u8; KEY_BYTES],
    /// Which of its owner's.
    pub salt: &'a [u8],
    /// Which version.
    pub seq: i64,
    /// Of salt, seq and value.
    pub signature: &'a [u8; SIGNATURE_BYTES],
    /// The version that it is to replace.
    pub cas: Option<i64>,
}

impl Want {
    /// What the query did not say.
    pub const UNSAID: Want = Want { v4: false, v6: false };

    /// Both.
    pub const BOTH: Want = Want { v4: true, v6: true };

    /// Whether nodes of `family` are to be in the answer to a query that came by `from`.
    pub fn includes(self, family: Family, from: Family) -> bool {
        match (self, family) {
            (Want { v4: false, v6: false }, _) => family == from,
            (Want { v4, .. }, Family::V4) => v4,
            (Want { v6, .. }, Family::V6) => v6,
        }
    }

    fn read(arguments: Value<'_>) -> Self {
        let mut want = Want::UNSAID;
        for name in arguments.get(b"want").and_then(|want| want.items()).into_iter().flatten() {
            want.v4 |= name.as_bytes() == Some(b"n4");
            want.v6 |= name.as_bytes() == Some(b"n6");
        }
        want
    }

    fn write(self, out: &mut Writer) {
        out.list(|out| {
            for (wanted, name) in [(self.v4, b"n4"), (self.v6, b"n6")] {
                if wanted {
                    out.bytes(name);
                }
            }
        });
    }
}

impl Method<'_> {
    /// Its name on the wire.
    pub fn name(&self) -> &'static [u8] {
        match self {
            Method::Ping => b"ping",
            Method::FindNode { .. } => b"find_node",
            Method::GetPeers { .. } => b"get_peers",
            Method::AnnouncePeer(_) => b"announce_peer",
            Method::Get { .. } => b"get",
            Method::Put(_) => b"put",
        }
    }
}

impl<'a> Query<'a> {
    /// Reads the query in `message`.
    ///
    /// # Errors
    /// 203 or 204, where the asking side is to be told what is wrong.
    pub(super) fn read(message: Value<'a>) -> Result<Self, Refusal> {
        let method =
            message.get_bytes(b"q").ok_or_else(|| Refusal::protocol("the query has no method (q)"))?;
        let arguments = message
            .get(b"a")
            .filter(|arguments| arguments.entries().is_some())
            .ok_or_else(|| Refusal::protocol("the query has no arguments (a)"))?;
        let id = id_of(arguments, b"id", "the argument id is not there or not 20 bytes long")?;
        let method = match method {
            b"ping" => Method::Ping,
            b"find_node" => Method::FindNode { target: target(arguments)?, want: Want::read(arguments) },
            b"get_peers" => {
                Method::GetPeers { info_hash: info_hash(arguments)?, want: Want::read(arguments) }
            }
            b"announce_peer" => Method::AnnouncePeer(Announce::read(arguments)?),
            b"get" => Method::Get {
                target: target(arguments)?,
                newer_than: int(arguments, b"seq", "the argument seq is no number of 64 bits")?,
                want: Want::read(arguments),
            },
            b"put" => Method::Put(Put::read(arguments)?),
            _ => return Err(Refusal::new(ErrorCode::MethodUnknown, "the method is not known")),
        };
        let read_only = message.get_int(b"ro").is_some_and(|ro| ro != 0);
        Ok(Query { id, read_only, method })
    }

    pub(super) fn write_arguments(&self, out: &mut Writer) {
        let id = self.id.as_bytes();
        out.dict(|a| match &self.method {
            Method::Ping => a.bytes(b"id", id),
            Method::FindNode { target, want } => {
                a.bytes(b"id", id);
                a.bytes(b"target", target.as_bytes());
                write_want(a, *want);
            }
            Method::GetPeers { info_hash, want } => {
                a.bytes(b"id", id);
                a.bytes(b"info_hash", info_hash.as_bytes());
                write_want(a, *want);
            }
            Method::AnnouncePeer(announce) => {
                a.bytes(b"id", id);
                a.int(b"implied_port", i64::from(announce.port.is_none()));
                a.bytes(b"info_hash", announce.info_hash.as_bytes());
                // Some peers ask for a port even where it is not to count.
                a.int(b"port", i64::from(announce.port.unwrap_or(1)));
                a.bytes(b"token", announce.token);
            }
            Method::Get { target, newer_than, want } => {
                a.bytes(b"id", id);
                if let Some(seq) = newer_than {
                    a.int(b"seq", *seq);
                }
                a.bytes(b"target", target.as_bytes());
                write_want(a, *want);
            }
            Method::Put(put) => {
                if let Some(cas) = put.mutable.and_then(|mutable| mutable.cas) {
                    a.int(b"cas", cas);
                }
                a.bytes(b"id", id);
                if let Some(mutable) = put.mutable {
                    a.bytes(b"k", mutable.key);
                    if !mutable.salt.is_empty() {
                        a.bytes(b"salt", mutable.salt);
                    }
                    a.int(b"seq", mutable.seq);
                    a.bytes(b"sig", mutable.signature);
                }
                a.bytes(b"token", put.token);
                a.entry(b"v", |out| out.value(put.value));
            }
        });
    }
}

impl<'a> Announce<'a> {
    fn read(arguments: Value<'a>) -> Result<Self, Refusal> {
        let implied = arguments.get_int(b"implied_port").is_some_and(|implied| implied != 0);
        let port =
            arguments.get_int(b"port").and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0);
        if !implied && port.is_none() {
            return Err(Refusal::protocol("the argument port is not there or no port"));
        }
        Ok(Announce {
            info_hash: info_hash(arguments)?,
            port: port.filter(|_| !implied),
            token: token(arguments)?,
        })
    }
}

impl<'a> Put<'a> {
    /// A put with a key is one of a mutable item, and then whole: half of one would be stored under another target.
    fn read(arguments: Value<'a>) -> Result<Self, Refusal> {
        let value = arguments.get(b"v").ok_or_else(|| Refusal::protocol("the argument v is not there"))?;
        // Others will write the value anew. A signature of one that they write in another way would not fit any more.
        if !value.is_canonical() {
            return Err(Refusal::protocol("the argument v is not canonically bencoded"));
        }
        let mutable = match arguments.get(b"k") {
            Some(key) => Some(PutMutable::read(key, arguments)?),
            None => None,
        };
        Ok(Put { token: token(arguments)?, value, mutable })
    }
}

impl<'a> PutMutable<'a> {
    fn read(key: Value<'a>, arguments: Value<'a>) -> Result<Self, Refusal> {
        let key = key.as_bytes().and_then(|key| key.try_into().ok());
        let signature = arguments.get_bytes(b"sig").and_then(|signature| signature.try_into().ok());
        let salt = match arguments.get(b"salt") {
            Some(salt) => {
                salt.as_bytes().ok_or_else(|| Refusal::protocol("the argument salt is no byte string"))?
            }
            None => &[],
        };
        Ok(PutMutable {
            key: key.ok_or_else(|| Refusal::protocol("the argument k is not 32 bytes long"))?,
            salt,
            seq: int(arguments, b"seq", "the argument seq is no number of 64 bits")?
                .ok_or_else(|| Refusal::protocol("a mutable item has a seq"))?,
            signature: signature
                .ok_or_else(|| Refusal::protocol("the argument sig is not there or not 64 bytes long"))?,
            cas: int(arguments, b"cas", "the argument cas is no number of 64 bits")?,
        })
    }
}

fn target(arguments: Value<'_>) -> Result<Id, Refusal> {
    id_of(arguments, b"target", "the argument target is not there or not 20 bytes long")
}

fn info_hash(arguments: Value<'_>) -> Result<Id, Refusal> {
    id_of(arguments, b"info_hash", "the argument info_hash is not there or not 20 bytes long")
}

fn id_of(arguments: Value<'_>, key: &[u8], otherwise: &'static str) -> Result<Id, Refusal> {
    arguments.get_bytes(key).and_then(Id::from_slice).ok_or_else(|| Refusal::protocol(otherwise))
}

fn token(arguments: Value<'_>) -> Result<&[u8], Refusal> {
    arguments.get_bytes(b"token").ok_or_else(|| Refusal::protocol("the argument token is not there"))
}

fn int(arguments: Value<'_>, key: &[u8], otherwise: &'static str) -> Result<Option<i64>, Refusal> {
    match arguments.get(key) {
        Some(number) => number.as_int().map(Some).ok_or_else(|| Refusal::protocol(otherwise)),
        None => Ok(None),
    }
}

fn write_want(arguments: &mut crate::dht::bencode::DictWriter<'_>, want: Want) {
    if want != Want::UNSAID {
        arguments.entry(b"want", |out| want.write(out));
    }
}
