//! The first bytes on a port that speaks TLS: a handshake, or somebody who took it for a plain one.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::rewound::Rewound;
use crate::env::Stream;
use crate::link::Switchboard;

/// The first byte of every TLS connection: a record of type handshake (RFC 8446, 5.1).
const TLS_HANDSHAKE: u8 = 0x16;

/// Told to whoever speaks plain text. `Connection: close`, since nothing else comes.
const WRONG_SCHEME: &str = "this port speaks TLS: use https:// or wss://\n";

/// What is read of a plain request before the connection is closed, in bytes: closing it over unread data would reset
/// it, and the answer with it.
const DISCARD_BYTES_MAX: u64 = 64 * 1024;

/// The encrypted stream of whoever connected; `None` where there will be none, which is logged.
pub(super) async fn secured(board: &Arc<Switchboard>, stream: Stream, from: SocketAddr) -> Option<Stream> {
    let limit = board.timing.handshake;
    match board.env.deadline(limit, handshake(board, stream)).await {
        Some(Ok(secured)) => secured,
        Some(Err(error)) => {
            tracing::warn!(%from, "no TLS: {error}");
            None
        }
        None => {
            tracing::warn!(%from, "no TLS within {limit:?}");
            None
        }
    }
}

async fn handshake(board: &Arc<Switchboard>, mut stream: Stream) -> io::Result<Option<Stream>> {
    let mut first = [0; 1];
    if stream.read(&mut first).await? == 0 {
        // Somebody looked whether the port is open.
        return Ok(None);
    }
    if first != [TLS_HANDSHAKE] {
        refuse(stream).await?;
        let words = "a client spoke plain text; this port is for https:// and wss://";
        return Err(io::Error::new(io::ErrorKind::InvalidData, words));
    }
    let whole = Box::new(Rewound { read: Bytes::copy_from_slice(&first), stream });
    board.env.network.secure_server(whole).await.map(Some)
}

async fn refuse(mut stream: Stream) -> io::Result<()> {
    let length = WRONG_SCHEME.len();
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\n\r\n{WRONG_SCHEME}"
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    tokio::io::copy(&mut stream.take(DISCARD_BYTES_MAX), &mut tokio::io::sink()).await?;
    Ok(())
}
