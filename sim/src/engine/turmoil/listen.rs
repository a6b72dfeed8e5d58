//! Listeners: turmoil connects a dial only when the other side accepts it, so each accepts at once, on its host, and
//! keeps what it has until the process asks.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use turmoil::net::{TcpListener, TcpStream};

use super::core::{Core, Farewell, Held};
use super::hosts::Transport;
use super::pipe::{Pipe, Wire};
use super::pump::Pump;
use super::timers::Sleep;
use crate::engine::event::{HostId, Observation};
use crate::trace::Kind;

/// Connections that wait to be accepted; those beyond it are reset.
const BACKLOG_CONNECTIONS: usize = 128;

/// Ticks that a port may still be held by a listener of ours that has just ended.
const BIND_TICKS_MAX: u32 = 100;

/// A listener, shared by its process and its host.
pub(super) struct Port {
    core: Arc<Core>,
    host: HostId,
    process: u32,
    pub(super) local: SocketAddr,
    state: Mutex<Backlog>,
    closed: Notify,
}

#[derive(Default)]
struct Backlog {
    queue: VecDeque<(Wire, SocketAddr)>,
    closed: bool,
    waker: Option<Waker>,
}

impl Port {
    /// Begins to listen; `ready` is told whether turmoil does.
    pub(super) fn open(
        core: &Arc<Core>,
        host: HostId,
        process: u32,
        at: SocketAddr,
        ready: oneshot::Sender<io::Result<()>>,
    ) -> io::Result<Arc<Self>> {
        let mut state = core.lock();
        state.check(process)?;
        let local = state.hosts.bind(host, Transport::Stream, at)?;
        let bound = state.hosts.get(host).bound(local);
        drop(state);
        let (core_of_port, backlog, closed) = (core.clone(), Mutex::default(), Notify::new());
        let port = Arc::new(Port { core: core_of_port, host, process, local, state: backlog, closed });
        let serving = serve(port.clone(), bound, ready);
        core.lock().hosts.get_mut(host).launch(Box::pin(serving));
        Ok(port)
    }

    /// The next stream, and where it came from.
    pub(super) fn poll_accept(&self, context: &Context<'_>) -> Poll<io::Result<(Wire, SocketAddr)>> {
        let mut backlog = self.lock();
        if backlog.closed {
            return Poll::Ready(Err(ErrorKind::NotConnected.into()));
        }
        match backlog.queue.pop_front() {
            Some(accepted) => Poll::Ready(Ok(accepted)),
            None => {
                backlog.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Takes a connection into the backlog.
    fn arrived(&self, stream: TcpStream, from: SocketAddr) {
        let core = &self.core;
        let pipe = Arc::new(Pipe::default());
        let pump = Pump::new(core, self.host, stream, &pipe);
        let wire = Wire::new(core, self.host, self.process, &pipe);
        let at = Duration::from_nanos(core.now());
        let seen = {
            let mut state = core.lock();
            let dialler = state.hosts.peer(self.host, from.ip()).unwrap_or(self.host);
            let (host, port) = (self.host, self.local.port());
            let accepted = Observation::Accepted { at, host, from_host: dialler, port };
            state.observations.push(accepted);
            state.trace.emit(core.now(), Kind::Accept, host.0, port.into(), dialler.0.into());
            state.hosts.get_mut(host).launch(Box::pin(pump));
            state.hosts.seen(from)
        };
        let mut backlog = self.lock();
        if backlog.queue.len() >= BACKLOG_CONNECTIONS {
            drop(backlog);
            return wire.reset();
        }
        backlog.queue.push_back((wire, seen));
        if let Some(waker) = backlog.waker.take() {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Backlog> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held for Port {
    fn let_go(&self, _farewell: Farewell) {
        let queue = {
            let mut backlog = self.lock();
            if std::mem::replace(&mut backlog.closed, true) {
                return;
            }
            std::mem::take(&mut backlog.queue)
        };
        // As a kernel does with what nobody has accepted.
        queue.into_iter().for_each(|(wire, _)| wire.reset());
        self.core.lock().hosts.unbind(self.host, Transport::Stream, self.local.port());
        self.closed.notify_one();
    }
}

async fn serve(port: Arc<Port>, bound: SocketAddr, ready: oneshot::Sender<io::Result<()>>) {
    let listener = match bind(&port.core, || TcpListener::bind(bound)).await {
        Ok(listener) => listener,
        Err(error) => {
            // The process may have lost its interest.
            let _ = ready.send(Err(error));
            return;
        }
    };
    let _ = ready.send(Ok(()));
    loop {
        tokio::select! {
            biased;
            () = port.closed.notified() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, from)) => port.arrived(stream, from),
                Err(error) => return tracing::warn!(%error, "turmoil accepts no more"),
            },
        }
    }
}

/// Binds; waits where the port's last owner has just let go of it.
pub(super) async fn bind<T, F: Future<Output = io::Result<T>>>(
    core: &Arc<Core>,
    attempt: impl Fn() -> F,
) -> io::Result<T> {
    for _ in 0..BIND_TICKS_MAX {
        match attempt().await {
            Err(error) if error.kind() == ErrorKind::AddrInUse => {
                Sleep::until(core, core.now() + 1).await;
            }
            other => return other,
        }
    }
    attempt().await
}
