//! The short way for calls: plain `POST /rpc` requests are read and answered here; at the first request that
//! is anything else, the connection goes on to hyper and its router, which know all of HTTP.
//!
//! Calls are what a node is for, and they come as one plain request after the other on a connection that is kept: a
//! general server takes more time for each than the node itself does. A client that does not wait for one answer before
//! it sends the next request has its calls made side by side; the answers go back in the order of the requests.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream::FuturesOrdered;
use futures_util::{FutureExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use super::access::Guard;
use super::api::Api;
use super::rewound::Rewound;
use super::{HEAD_SECONDS, rpc};
use crate::env::Stream;

/// How every request that is answered here begins.
const REQUEST_LINE: &[u8] = b"POST /rpc HTTP/1.1\r\n";

/// The longest head of a request that is answered here, in bytes.
const MAX_HEAD_BYTES: usize = 8 * 1024;

/// Headers of a request that is answered here.
const MAX_HEADERS: usize = 32;

/// Requests of one connection that are under way at once. A client that sends more has to wait.
const MAX_PIPELINED: usize = 64;

/// What is read at once, in bytes: of short requests, and of a long one.
const READ_BYTES: usize = 4 * 1024;
const MAX_READ_BYTES: usize = 64 * 1024;

/// What an idle connection keeps for its answers, in bytes.
const MAX_KEPT_BYTES: usize = 64 * 1024;

/// One connection, and what its requests need.
pub(super) struct Front<'a> {
    pub(super) api: &'a Arc<Api>,
    pub(super) guard: &'a Guard,
    pub(super) closing: &'a CancellationToken,
}

/// What stands first in the input.
enum First<'a> {
    /// A request whose end has not come; so many bytes of it are missing at least.
    Incomplete(usize),
    /// A call.
    Rpc { head: usize, body: usize, authorization: Option<&'a [u8]>, traceparent: Option<&'a str> },
    /// Nothing for here.
    Other,
}

impl Front<'_> {
    /// Answers requests until the connection ends. Gives it back, with what has been read of it, where hyper is to go
    /// on.
    pub(super) async fn serve(&self, mut stream: Stream) -> Option<Stream> {
        let clock = &self.api.board.env.clock;
        let idle = Duration::from_secs(HEAD_SECONDS);
        let (mut input, mut out) = (BytesMut::new(), Vec::new());
        let mut calls = FuturesOrdered::new();
        // Of the bodies of calls that are under way.
        let mut held_bytes = 0;
        let mut heard = clock.now();
        let mut in_head;
        let mut patience = clock.sleep_until(heard + idle);
        loop {
            let mut missing = READ_BYTES;
            let mut is_other = false;
            in_head = false;
            let most = self.api.board.limits.max_message_bytes;
            while calls.len() < MAX_PIPELINED && held_bytes < most {
                match self.first(&input) {
                    First::Incomplete(bytes) => {
                        in_head = bytes == 0 && !input.is_empty();
                        missing = bytes.clamp(READ_BYTES, MAX_READ_BYTES);
                        break;
                    }
                    First::Rpc { head, body, traceparent, .. } => {
                        let context = traceparent.map(str::to_owned);
                        let text = input.split_to(head + body).freeze().slice(head..);
                        held_bytes += body;
                        calls.push_back(self.answer(text, context).map(move |reply| (reply, body)));
                    }
                    First::Other => {
                        is_other = true;
                        break;
                    }
                }
            }
            while let Some(Some((reply, body))) = calls.next().now_or_never() {
                held_bytes -= body;
                write(&mut out, &reply);
            }
            if !out.is_empty() {
                stream.write_all(&out).await.ok()?;
                out.clear();
                out.shrink_to(MAX_KEPT_BYTES);
                // It has been idle since now, however long the call took.
                heard = clock.now();
                continue;
            }
            if calls.is_empty() {
                if is_other {
                    return Some(Box::new(Rewound { read: input.freeze(), stream }));
                }
                if self.closing.is_cancelled() {
                    return None;
                }
            }
            input.reserve(missing);
            let may_read = !is_other && calls.len() < MAX_PIPELINED && held_bytes < most;
            tokio::select! {
                biased;
                Some((reply, body)) = calls.next() => {
                    held_bytes -= body;
                    write(&mut out, &reply);
                }
                read = stream.read_buf(&mut input), if may_read => match read {
                    // Nobody waits for the answers any more: what is under way is cancelled by being dropped.
                    Ok(0) | Err(_) => return None,
                    // A head has its time as a whole: one that comes byte by byte must not hold the connection.
                    Ok(_) if in_head => {}
                    Ok(_) => heard = clock.now(),
                },
                () = self.closing.cancelled(), if calls.is_empty() => {}
                () = &mut patience, if calls.is_empty() => {
                    // One timer per span of patience, not one per request.
                    if clock.now() - heard >= idle {
                        return None;
                    }
                    patience = clock.sleep_until(heard + idle);
                }
            }
        }
    }

    async fn answer(&self, text: Bytes, context: Option<String>) -> Option<String> {
        rpc::answer(self.api, &text, context.as_deref()).await
    }

    fn first<'a>(&self, input: &'a [u8]) -> First<'a> {
        match first(input, self.api.board.limits.max_message_bytes) {
            // The words of the refusal are the router's.
            First::Rpc { authorization, .. } if !self.guard.may_call(authorization) => First::Other,
            first => first,
        }
    }
}

/// Looks at the first request. One with over `max_body` bytes is for the router, which says so.
fn first(input: &[u8], max_body: usize) -> First<'_> {
    let known = input.len().min(REQUEST_LINE.len());
    if input[..known] != REQUEST_LINE[..known] {
        return First::Other;
    }
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let head = match request.parse(input) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) if input.len() < MAX_HEAD_BYTES => return First::Incomplete(0),
        Ok(httparse::Status::Partial) | Err(_) => return First::Other,
    };
    let (mut length, mut authorization, mut traceparent) = (None, None, None);
    for header in request.headers.iter() {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("content-length") {
            let Some(bytes) = decimal(header.value).filter(|_| length.is_none()) else { return First::Other };
            length = Some(bytes);
        } else if is("connection") {
            if !header.value.eq_ignore_ascii_case(b"keep-alive") {
                return First::Other;
            }
        } else if is("transfer-encoding")
            || is("expect")
            || is("upgrade")
            || is("te")
            || is("trailer")
            || is("origin")
        {
            return First::Other;
        } else if is("authorization") {
            authorization = Some(header.value);
        } else if is("traceparent") {
            traceparent = std::str::from_utf8(header.value).ok();
        }
    }
    match length {
        Some(body) if body <= max_body => match (head + body).saturating_sub(input.len()) {
            0 => First::Rpc { head, body, authorization, traceparent },
            missing => First::Incomplete(missing),
        },
        _ => First::Other,
    }
}

/// A number of digits only: HTTP allows no sign here.
fn decimal(text: &[u8]) -> Option<usize> {
    let digits =
        std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    digits.parse().ok()
}

/// Appends the answer to one request; to notifications there is none.
fn write(out: &mut Vec<u8>, reply: &Option<String>) {
    match reply {
        Some(text) => {
            out.extend_from_slice(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ");
            out.extend_from_slice(text.len().to_string().as_bytes());
            out.extend_from_slice(b"\r\n\r\n");
            out.extend_from_slice(text.as_bytes());
        }
        None => out.extend_from_slice(b"HTTP/1.1 204 No Content\r\n\r\n"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: usize = 1_000;

    fn is_rpc(text: &str) -> Option<(usize, usize)> {
        match first(text.as_bytes(), LIMIT) {
            First::Rpc { head, body, .. } => Some((head, body)),
            _ => None,
        }
    }

    #[test]
    fn a_plain_request_is_taken_once_it_is_whole() {
        let text = "POST /rpc HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTraceparent: x\r\n\r\nbodyPOST";
        let whole = text.len() - 4;
        for end in 0..whole {
            assert!(matches!(first(&text.as_bytes()[..end], LIMIT), First::Incomplete(_)), "{end}");
        }
        assert!(matches!(first(&text.as_bytes()[..whole - 3], LIMIT), First::Incomplete(3)));
        assert_eq!(is_rpc(text), Some((whole - 4, 4)));
        assert!(matches!(first(text.as_bytes(), LIMIT), First::Rpc { traceparent: Some("x"), .. }));
    }

    #[test]
    fn what_is_not_plain_goes_to_the_router() {
        let other = |text: &str| matches!(first(text.as_bytes(), LIMIT), First::Other);
        for text in [
            "GET /rpc HTTP/1.1\r\n\r\n",
            "POST /rpc HTTP/1.0\r\n\r\n",
            "POST /rpc?x HTTP/1.1\r\n\r\n",
            "POST /rpc HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST /rpc HTTP/1.1\r\nbad header\r\n\r\n",
            "\0",
        ] {
            assert!(other(text), "{text:?}");
        }
        for header in [
            "Transfer-Encoding: chunked",
            "Expect: 100-continue",
            "Connection: close",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Origin: http://a",
            "Content-Length: 4",
        ] {
            let text = format!("POST /rpc HTTP/1.1\r\nContent-Length: 4\r\n{header}\r\n\r\nbody");
            assert!(other(&text), "{header}");
        }
        for length in ["+4", "-1", "4, 4", "x", "", "1001", "99999999999999999999"] {
            let text = format!("POST /rpc HTTP/1.1\r\nContent-Length: {length}\r\n\r\nbody");
            assert!(other(&text), "{length}");
        }
        let endless = format!("POST /rpc HTTP/1.1\r\nX: {}", "x".repeat(MAX_HEAD_BYTES));
        assert!(other(&endless));
    }

    proptest! {
        #[test]
        fn arbitrary_input_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = first(&bytes, LIMIT);
            let mut head = REQUEST_LINE.to_vec();
            head.extend(bytes);
            let _ = first(&head, LIMIT);
        }
    }
}
