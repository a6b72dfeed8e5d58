//! KRPC: datagrams to messages and back (BEP 5, with BEPs 32, 42, 43 and 44).
//!
//! Reading borrows from the datagram. One file per kind of message: [`Query`], [`Response`], [`Refusal`].

mod compact;
mod query;
mod refusal;
mod response;
#[cfg(test)]
mod tests;

use super::bencode::{BencodeError, Value, Writer};

pub use compact::{CompactNodes, pack_addresses, read_address, write_address};
pub use query::{Announce, Method, Put, PutMutable, Query, Want};
pub use refusal::{ErrorCode, Refusal};
pub use response::{Response, Values};

/// A datagram that is longer is not looked at.
pub const DATAGRAM_BYTES_MAX: usize = 2_048;

/// The longest transaction id that is answered.
pub const TRANSACTION_BYTES_MAX: usize = 32;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// What the asking side chose; an answer has that of its query.
    pub transaction: &'a [u8],
    /// Which program speaks: two letters and two bytes of version.
    pub version: Option<&'a [u8]>,
    /// What it says.
    pub body: Body<'a>,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// A question.
    Query(Query<'a>),
    /// Its answer.
    Response(Response<'a>),
    /// Or why there is none.
    Error(Refusal),
}

/// Why a datagram is no message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError<'a> {
    /// It is longer than [`DATAGRAM_BYTES_MAX`].
    #[error("the datagram has {bytes} bytes, at most {DATAGRAM_BYTES_MAX} are read")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// It is not bencoded.
    #[error("the datagram is not bencoded: {0}")]
    Bencode(#[from] BencodeError),
    /// It is bencoded, and no message that could be answered.
    #[error("the datagram is no message: {0}")]
    NoMessage(&'static str),
    /// It is a query that is to be refused.
    #[error("the query is refused: {refusal}")]
    Refused {
        /// The query's.
        transaction: &'a [u8],
        /// The answer.
        refusal: Refusal,
    },
}

impl<'a> Message<'a> {
    /// Reads a datagram.
    ///
    /// # Errors
    /// What is wrong with it; [`DecodeError::Refused`] where there is someone to be told.
    pub fn decode(datagram: &'a [u8]) -> Result<Self, DecodeError<'a>> {
        if datagram.len() > DATAGRAM_BYTES_MAX {
            return Err(DecodeError::TooLong { bytes: datagram.len() });
        }
        let message = Value::parse(datagram)?;
        let transaction =
            message.get_bytes(b"t").ok_or(DecodeError::NoMessage("it has no transaction id"))?;
        if transaction.len() > TRANSACTION_BYTES_MAX {
            return Err(DecodeError::NoMessage("its transaction id is too long"));
        }
        let body = match message.get_bytes(b"y") {
            Some(b"q") => Body::Query(
                Query::read(message).map_err(|refusal| DecodeError::Refused { transaction, refusal })?,
            ),
            Some(b"r") => Body::Response(
                Response::read(message)
                    .ok_or(DecodeError::NoMessage("a response has a dictionary with the answerer's id"))?,
            ),
            Some(b"e") => Body::Error(Refusal::read(message)),
            _ => return Err(DecodeError::NoMessage("it is no query, response or error")),
        };
        Ok(Message { transaction, version: message.get_bytes(b"v"), body })
    }

    /// The datagram.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.dict(|message| {
            match &self.body {
                Body::Query(query) => {
                    message.entry(b"a", |out| query.write_arguments(out));
                    message.bytes(b"q", query.method.name());
                    if query.read_only {
                        message.int(b"ro", 1);
                    }
                }
                Body::Response(response) => {
                    if let Some(address) = response.seen_as {
                        message.entry(b"ip", |out| write_address(out, address));
                    }
                    message.entry(b"r", |out| response.write(out));
                }
                Body::Error(refusal) => message.entry(b"e", |out| refusal.write(out)),
            }
            message.bytes(b"t", self.transaction);
            if let Some(version) = self.version {
                message.bytes(b"v", version);
            }
            let kind: &[u8] = match self.body {
                Body::Query(_) => b"q",
                Body::Response(_) => b"r",
                Body::Error(_) => b"e",
            };
            message.bytes(b"y", kind);
        });
        out.finish()
    }
}
