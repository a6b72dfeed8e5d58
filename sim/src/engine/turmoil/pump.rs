//! The host's side of a stream: carries bytes between a [`Pipe`] and one of turmoil's streams.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use turmoil::net::TcpStream;

use super::core::Core;
use super::pipe::{End, Pipe, Wish};
use super::timers::Sleep;
use crate::engine::event::{HostId, Observation, nanos};

/// Bytes that are handed to turmoil as one segment, at most; it counts segments in flight, not bytes.
const SEGMENT_BYTES_MAX: usize = 8 * 1024;

/// Ends when the stream does; then turmoil's stream is dropped, which closes it.
pub(super) struct Pump {
    core: Arc<Core>,
    pipe: Arc<Pipe>,
    stream: TcpStream,
    host: HostId,
    peer_host: HostId,
    local: SocketAddr,
    peer: SocketAddr,
    /// Our end of the stream says no more.
    finished: bool,
    /// Nothing more comes.
    ended: bool,
    sending: Sending,
}

/// What stands between the next segment and the network.
enum Sending {
    /// It was not asked yet whether it gets lost.
    Unasked,
    /// It was lost, and is sent again then.
    Lost(Sleep),
    /// It gets through.
    Clear,
}

impl Pump {
    /// For a new stream of a host.
    pub(super) fn new(core: &Arc<Core>, host: HostId, stream: TcpStream, pipe: &Arc<Pipe>) -> Self {
        let local = stream.local_addr().expect("turmoil's streams know their address");
        let peer = stream.peer_addr().expect("turmoil's streams know their peer's address");
        let mut state = core.lock();
        // Of an older stream between the same ports.
        state.was_reset(host, local, peer);
        let peer_host = state.hosts.peer(host, peer.ip()).unwrap_or(host);
        drop(state);
        let (core, pipe) = (core.clone(), pipe.clone());
        let (finished, ended, sending) = (false, false, Sending::Unasked);
        Self { core, pipe, stream, host, peer_host, local, peer, finished, ended, sending }
    }

    /// Sends what can be sent. Whether something was done; `None` where the stream is over.
    fn send(&mut self, context: &mut Context<'_>) -> Option<bool> {
        if let Sending::Lost(sleep) = &mut self.sending {
            if Pin::new(sleep).poll(context).is_pending() {
                // The process may let go meanwhile.
                if let Wish::Reset = self.pipe.wish(0, context) {
                    self.reset();
                    return None;
                }
                return Some(false);
            }
            self.sending = Sending::Clear;
        }
        match self.pipe.wish(SEGMENT_BYTES_MAX, context) {
            Wish::Reset => {
                self.reset();
                None
            }
            Wish::Send(bytes) => {
                if let Sending::Unasked = self.sending {
                    let lost = self.core.lock().paths.lost_for(self.host, self.peer_host);
                    if let Some(later) = lost {
                        let at = self.core.now().saturating_add(nanos(later));
                        self.sending = Sending::Lost(Sleep::until(&self.core, at));
                        return Some(true);
                    }
                    self.sending = Sending::Clear;
                }
                match Pin::new(&mut self.stream).poll_write(context, &bytes) {
                    Poll::Pending => Some(false),
                    Poll::Ready(Ok(count)) => {
                        self.sending = Sending::Unasked;
                        self.pipe.sent(count);
                        Some(true)
                    }
                    Poll::Ready(Err(_)) => {
                        self.was_reset();
                        None
                    }
                }
            }
            Wish::Finish(unread) => {
                if !self.finished {
                    self.finished = true;
                    // Where the peer has reset the stream, nobody is left to be told.
                    let _ = Pin::new(&mut self.stream).poll_shutdown(context);
                }
                if unread { None } else { Some(false) }
            }
            Wish::Wait => Some(false),
        }
    }

    /// Receives what can be received. As [`send`](Self::send).
    fn receive(&mut self, context: &mut Context<'_>) -> Option<bool> {
        let room = self.pipe.room().min(SEGMENT_BYTES_MAX);
        if self.ended || room == 0 {
            return Some(false);
        }
        let mut bytes = [0; SEGMENT_BYTES_MAX];
        let mut buffer = ReadBuf::new(&mut bytes[..room]);
        match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
            Poll::Pending => Some(false),
            Poll::Ready(Ok(())) if buffer.filled().is_empty() => {
                self.ended = true;
                if self.core.lock().was_reset(self.host, self.local, self.peer) {
                    self.was_reset();
                    return None;
                }
                self.pipe.end(End::Closed);
                Some(true)
            }
            Poll::Ready(Ok(())) => {
                self.pipe.received(buffer.filled());
                Some(true)
            }
            Poll::Ready(Err(_)) => {
                self.was_reset();
                None
            }
        }
    }

    /// Our end is gone.
    fn reset(&mut self) {
        self.core.lock().reset_peer(self.host, self.local, self.peer);
    }

    /// The peer's end is gone.
    fn was_reset(&mut self) {
        self.pipe.end(End::Reset);
        let at = Duration::from_nanos(self.core.now());
        let (host, peer) = (self.host, self.peer_host);
        self.core.lock().observations.push(Observation::Reset { at, host, peer });
    }
}

impl Future for Pump {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let pump = self.get_mut();
        loop {
            let Some(sent) = pump.send(context) else { return Poll::Ready(()) };
            let Some(received) = pump.receive(context) else { return Poll::Ready(()) };
            if !sent && !received {
                return Poll::Pending;
            }
        }
    }
}
