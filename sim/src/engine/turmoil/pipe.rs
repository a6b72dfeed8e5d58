//! Between a process and its end of one of turmoil's streams: two buffers, and what has become of the stream. The
//! process may be polled or dropped anywhere; turmoil's stream lives with its host, in a [`Pump`](super::pump).

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::core::{Core, Farewell, Held};
use crate::engine::event::HostId;
use crate::trace::Kind;

/// What is written and not yet with turmoil, and what is received and not yet read, each.
const BUFFER_BYTES: usize = 64 * 1024;

#[derive(Default)]
pub(super) struct Pipe(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    incoming: VecDeque<u8>,
    outgoing: VecDeque<u8>,
    /// Nothing more comes.
    ended: Option<End>,
    /// The process writes no more.
    shut: bool,
    let_go: Option<Farewell>,
    reader: Option<Waker>,
    writer: Option<Waker>,
    pump: Option<Waker>,
}

/// How a stream ended for this end of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The peer sends no more.
    Closed,
    /// The stream is gone in both directions.
    Reset,
}

/// What a pump is to do for the process.
pub(super) enum Wish {
    /// The stream is to be reset.
    Reset,
    /// The next bytes to send.
    Send(Vec<u8>),
    /// All is sent, and nothing will follow; with `true`, nobody will read either.
    Finish(bool),
    /// Nothing for now.
    Wait,
}

impl Pipe {
    /// What the pump, which `context` wakes, is to do; at most `most` bytes to send.
    pub(super) fn wish(&self, most: usize, context: &Context<'_>) -> Wish {
        let mut inner = self.lock();
        inner.pump = Some(context.waker().clone());
        let unread = !inner.incoming.is_empty();
        match inner.let_go {
            Some(Farewell::Reset) => return Wish::Reset,
            // As a kernel does: what was not read is lost, and the peer is to know.
            Some(Farewell::Close) if unread => return Wish::Reset,
            _ => {}
        }
        if !inner.outgoing.is_empty() {
            let count = inner.outgoing.len().min(most);
            return Wish::Send(inner.outgoing.iter().take(count).copied().collect());
        }
        match inner.let_go {
            Some(Farewell::Close) => Wish::Finish(true),
            _ if inner.shut => Wish::Finish(false),
            _ => Wish::Wait,
        }
    }

    /// So many bytes are with turmoil now.
    pub(super) fn sent(&self, count: usize) {
        let mut inner = self.lock();
        inner.outgoing.drain(..count);
        wake(&mut inner.writer);
    }

    /// How many more bytes may come in.
    pub(super) fn room(&self) -> usize {
        let inner = self.lock();
        // Nobody reads any more: whatever comes shows that something is unread.
        BUFFER_BYTES.saturating_sub(inner.incoming.len())
    }

    /// These came in.
    pub(super) fn received(&self, bytes: &[u8]) {
        let mut inner = self.lock();
        inner.incoming.extend(bytes);
        wake(&mut inner.reader);
    }

    /// Nothing more comes.
    pub(super) fn end(&self, end: End) {
        let mut inner = self.lock();
        inner.ended = Some(end);
        if end == End::Reset {
            inner.outgoing.clear();
        }
        wake(&mut inner.reader);
        wake(&mut inner.writer);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held for Pipe {
    fn let_go(&self, farewell: Farewell) {
        let mut inner = self.lock();
        inner.let_go.get_or_insert(farewell);
        wake(&mut inner.reader);
        wake(&mut inner.writer);
        wake(&mut inner.pump);
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

/// An end of a stream in the hands of a process.
pub(super) struct Wire {
    core: Arc<Core>,
    pipe: Arc<Pipe>,
    host: HostId,
    process: u32,
    number: u64,
}

impl Wire {
    /// Gives a pipe to a process.
    pub(super) fn new(core: &Arc<Core>, host: HostId, process: u32, pipe: &Arc<Pipe>) -> Self {
        let number = core.hold(process, pipe.clone());
        Self { core: core.clone(), pipe: pipe.clone(), host, process, number }
    }

    /// Resets the stream.
    pub(super) fn reset(self) {
        self.pipe.let_go(Farewell::Reset);
    }

    fn note(&self, kind: Kind, bytes: &[u8]) {
        self.core.lock().trace.emit_bytes(self.core.now(), kind, self.host.0, self.number, bytes);
    }
}

fn ended() -> io::Error {
    io::Error::new(ErrorKind::NotConnected, "the process has ended")
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut inner = self.pipe.lock();
        if inner.let_go.is_some() {
            return Poll::Ready(Err(ended()));
        }
        if inner.incoming.is_empty() {
            return match inner.ended {
                Some(End::Closed) => Poll::Ready(Ok(())),
                Some(End::Reset) => Poll::Ready(Err(ErrorKind::ConnectionReset.into())),
                None => {
                    inner.reader = Some(context.waker().clone());
                    Poll::Pending
                }
            };
        }
        let before = buffer.filled().len();
        let (front, back) = inner.incoming.as_slices();
        for part in [front, back] {
            let count = part.len().min(buffer.remaining());
            buffer.put_slice(&part[..count]);
        }
        let count = buffer.filled().len() - before;
        inner.incoming.drain(..count);
        wake(&mut inner.pump);
        drop(inner);
        self.note(Kind::SegmentDelivered, &buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut inner = self.pipe.lock();
        if inner.let_go.is_some() {
            return Poll::Ready(Err(ended()));
        }
        if inner.shut || inner.ended == Some(End::Reset) {
            return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
        }
        let room = BUFFER_BYTES.saturating_sub(inner.outgoing.len());
        if slices.iter().all(|slice| slice.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        if room == 0 {
            inner.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        let mut written = Vec::new();
        for slice in slices {
            let count = slice.len().min(room - written.len());
            written.extend_from_slice(&slice[..count]);
        }
        inner.outgoing.extend(&written);
        wake(&mut inner.pump);
        drop(inner);
        self.note(Kind::SegmentSent, &written);
        Poll::Ready(Ok(written.len()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.pipe.lock();
        inner.shut = true;
        wake(&mut inner.pump);
        Poll::Ready(Ok(()))
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.core.release(self.process, self.number);
        self.pipe.let_go(Farewell::Close);
    }
}
