//! The first bytes on a port that speaks TLS: a handshake, or somebody who took it for a plain one.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

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
    let whole = Box::new(Whole { first: Some(TLS_HANDSHAKE), rest: stream });
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

/// A stream of which the first byte was read already.
struct Whole {
    first: Option<u8>,
    rest: Stream,
}

impl AsyncRead for Whole {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() > 0
            && let Some(first) = self.first.take()
        {
            buffer.put_slice(&[first]);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.rest).poll_read(context, buffer)
    }
}

impl AsyncWrite for Whole {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.rest).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.rest).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.rest.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.rest).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.rest).poll_shutdown(context)
    }
}
