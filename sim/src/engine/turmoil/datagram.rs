//! Datagram sockets of hosts on the open network.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::sync::{Notify, oneshot};
use turmoil::net::UdpSocket;

use super::core::{Core, Farewell, Held};
use super::hosts::Transport;
use super::listen::bind;
use crate::engine::event::HostId;
use crate::trace::Kind;

/// The largest payload of one datagram over IPv4.
const PAYLOAD_MAX_BYTES: usize = 65_507;
/// Received and not yet read, by socket; beyond this datagrams are dropped.
const QUEUE_DATAGRAMS: usize = 512;

/// A socket, shared by its process and its host.
pub(super) struct Socket {
    core: Arc<Core>,
    host: HostId,
    pub(super) local: SocketAddr,
    queues: Mutex<Queues>,
    /// There is something to send, or it is closed.
    stirred: Notify,
}

#[derive(Default)]
struct Queues {
    incoming: VecDeque<(SocketAddr, Box<[u8]>)>,
    outgoing: VecDeque<(SocketAddr, Box<[u8]>)>,
    closed: bool,
    /// Several tasks may receive on one socket.
    readers: Vec<Waker>,
}

impl Socket {
    /// Opens a socket; `ready` is told whether turmoil has it.
    pub(super) fn open(
        core: &Arc<Core>,
        host: HostId,
        process: u32,
        at: SocketAddr,
        ready: oneshot::Sender<io::Result<()>>,
    ) -> io::Result<Arc<Self>> {
        let mut state = core.lock();
        state.check(process)?;
        if state.hosts.get(host).spec.nat.is_some() {
            let words = "turmoil has no NAT for datagrams: use the event engine";
            return Err(io::Error::new(ErrorKind::Unsupported, words));
        }
        let local = state.hosts.bind(host, Transport::Datagram, at)?;
        let bound = state.hosts.get(host).bound(local);
        drop(state);
        let (core_of_socket, queues, stirred) = (core.clone(), Mutex::default(), Notify::new());
        let socket = Arc::new(Socket { core: core_of_socket, host, local, queues, stirred });
        let serving = serve(socket.clone(), bound, ready);
        core.lock().hosts.get_mut(host).launch(Box::pin(serving));
        Ok(socket)
    }

    /// Hands a datagram to the network, which tells nobody what becomes of it.
    pub(super) fn send(&self, bytes: &[u8], to: SocketAddr) -> io::Result<()> {
        if bytes.len() > PAYLOAD_MAX_BYTES {
            let message = format!("{} bytes do not fit into a datagram ({PAYLOAD_MAX_BYTES})", bytes.len());
            return Err(io::Error::new(ErrorKind::InvalidInput, message));
        }
        if self.lock().closed {
            return Err(ErrorKind::NotConnected.into());
        }
        let arrives = {
            let mut state = self.core.lock();
            let (now, port) = (self.core.now(), u64::from(to.port()));
            state.trace.emit_bytes(now, Kind::DatagramSent, self.host.0, port, bytes);
            let target = state.hosts.target(self.host, to.ip());
            target.is_some_and(|target| !state.paths.loses(self.host, target))
        };
        if arrives {
            self.lock().outgoing.push_back((to, bytes.into()));
            self.stirred.notify_one();
        }
        Ok(())
    }

    pub(super) fn poll_receive(
        &self,
        buffer: &mut [u8],
        context: &Context<'_>,
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        let mut queues = self.lock();
        if queues.closed {
            return Poll::Ready(Err(ErrorKind::NotConnected.into()));
        }
        let Some((from, bytes)) = queues.incoming.pop_front() else {
            if !queues.readers.iter().any(|waker| waker.will_wake(context.waker())) {
                queues.readers.push(context.waker().clone());
            }
            return Poll::Pending;
        };
        let count = bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&bytes[..count]);
        Poll::Ready(Ok((count, from)))
    }

    fn received(&self, from: SocketAddr, bytes: &[u8]) {
        let mut queues = self.lock();
        let fits = queues.incoming.len() < QUEUE_DATAGRAMS;
        if fits {
            queues.incoming.push_back((from, bytes.into()));
            queues.readers.drain(..).for_each(Waker::wake);
        }
        drop(queues);
        let kind = if fits { Kind::DatagramDelivered } else { Kind::DatagramDropped };
        let port = u64::from(self.local.port());
        self.core.lock().trace.emit_bytes(self.core.now(), kind, self.host.0, port, bytes);
    }

    fn next_to_send(&self) -> Option<(SocketAddr, Box<[u8]>)> {
        self.lock().outgoing.pop_front()
    }

    fn lock(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held for Socket {
    fn let_go(&self, _farewell: Farewell) {
        {
            let mut queues = self.lock();
            if std::mem::replace(&mut queues.closed, true) {
                return;
            }
            queues.readers.drain(..).for_each(Waker::wake);
        }
        self.core.lock().hosts.unbind(self.host, Transport::Datagram, self.local.port());
        self.stirred.notify_one();
    }
}

async fn serve(socket: Arc<Socket>, bound: SocketAddr, ready: oneshot::Sender<io::Result<()>>) {
    let inner = match bind(&socket.core, || UdpSocket::bind(bound)).await {
        Ok(inner) => inner,
        Err(error) => {
            // The process may have lost its interest.
            let _ = ready.send(Err(error));
            return;
        }
    };
    let _ = ready.send(Ok(()));
    let mut buffer = vec![0; PAYLOAD_MAX_BYTES];
    loop {
        while let Some((to, bytes)) = socket.next_to_send() {
            // Where nobody is, datagrams vanish.
            let _ = inner.send_to(&bytes, to).await;
        }
        if socket.lock().closed {
            return;
        }
        tokio::select! {
            biased;
            () = socket.stirred.notified() => {}
            received = inner.recv_from(&mut buffer) => match received {
                Ok((count, from)) => socket.received(from, &buffer[..count]),
                Err(error) => return tracing::warn!(%error, "turmoil receives no more"),
            },
        }
    }
}
