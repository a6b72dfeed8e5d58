//! Errors as messages, with their codes (BEP 5, BEP 44).

use std::fmt;

use crate::dht::bencode::{Value, Writer};

/// Of the text of an error, this much is kept.
const TEXT_BYTES_MAX: usize = 128;

/// What went wrong, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorCode {
    /// 201: something.
    Generic,
    /// 202: the asked node cannot.
    Server,
    /// 203: the query is malformed, an argument is wrong, or the token is.
    Protocol,
    /// 204: the asked node does not know the method.
    MethodUnknown,
    /// 205: the value is longer than 1,000 bytes.
    ValueTooBig,
    /// 206: the signature does not fit.
    BadSignature,
    /// 207: the salt is longer than 64 bytes.
    SaltTooBig,
    /// 301: the stored version is not the one that the put was to replace.
    CasMismatch,
    /// 302: the stored version is newer, or is another value of the same version.
    SeqTooOld,
    /// A number that no BEP here knows.
    Other(i64),
}

impl ErrorCode {
    const KNOWN: [(ErrorCode, i64); 9] = [
        (ErrorCode::Generic, 201),
        (ErrorCode::Server, 202),
        (ErrorCode::Protocol, 203),
        (ErrorCode::MethodUnknown, 204),
        (ErrorCode::ValueTooBig, 205),
        (ErrorCode::BadSignature, 206),
        (ErrorCode::SaltTooBig, 207),
        (ErrorCode::CasMismatch, 301),
        (ErrorCode::SeqTooOld, 302),
    ];

    /// Its number.
    pub fn number(self) -> i64 {
        match self {
            ErrorCode::Other(number) => number,
            known => Self::KNOWN.iter().find(|(code, _)| *code == known).map_or(201, |(_, number)| *number),
        }
    }

    /// The code with this number.
    pub fn from_number(number: i64) -> Self {
        Self::KNOWN
            .iter()
            .find(|(_, known)| *known == number)
            .map_or(ErrorCode::Other(number), |(code, _)| *code)
    }
}

/// Why a query was not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} {text}", code.number())]
pub struct Refusal {
    /// For programs.
    pub code: ErrorCode,
    /// For people. What came from others is cut and has no control characters.
    pub text: String,
}

impl Refusal {
    /// A refusal in words of ours.
    pub fn new(code: ErrorCode, text: impl fmt::Display) -> Self {
        Refusal { code, text: text.to_string() }
    }

    /// 203.
    pub(in crate::dht) fn protocol(text: &'static str) -> Self {
        Refusal::new(ErrorCode::Protocol, text)
    }

    /// Whatever is in it: an error that is written wrongly is an error still.
    pub(super) fn read(message: Value<'_>) -> Self {
        let mut parts = message.get(b"e").and_then(|error| error.items()).into_iter().flatten();
        let number = parts.next().and_then(|number| number.as_int());
        let text = parts.next().and_then(|text| text.as_bytes()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text[..text.len().min(TEXT_BYTES_MAX)]);
        Refusal {
            code: number.map_or(ErrorCode::Generic, ErrorCode::from_number),
            text: text.chars().filter(|letter| !letter.is_control()).collect(),
        }
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.list(|out| {
            out.int(self.code.number());
            out.bytes(self.text.as_bytes());
        });
    }
}
