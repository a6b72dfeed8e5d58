//! The seams of [`relay_node::env`], as one process on one simulated host sees them.

use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use relay_node::env::{
    BoxFuture, Clock, DatagramSocket, Entropy, Env, Instant, Listener, Network, Rng, Spawner, SrvRecord,
    Storage, Stream, UnixTime,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::core::Core;
use super::disk::{self, Operation};
use super::host::ProcessKind;
use super::link::HostId;
use super::names::{Answer, SILENCE_NANOS};
use super::pool::Key;
use super::random::derive;
use super::timeline::Side;
use super::tls;
use crate::trace::NONE;

/// One process's place in the world.
struct Seat {
    core: Arc<Core>,
    host: HostId,
    process: u32,
    /// Whose clocks it sees: the test's own programs see true ones.
    clock: HostId,
}

pub(super) fn env(core: &Arc<Core>, host: HostId, process: u32) -> Env {
    let clock = match core.lock().processes.kind(process) {
        ProcessKind::Node => host,
        ProcessKind::Harness => HostId(NONE),
    };
    let seat = Arc::new(Seat { core: core.clone(), host, process, clock });
    Env {
        clock: seat.clone(),
        network: seat.clone(),
        spawner: seat.clone(),
        entropy: seat.clone(),
        storage: seat,
    }
}

impl Seat {
    /// Waits for what a name server says of `name`, if it does.
    async fn hear<T>(&self, name: &str, answer: Answer<T>) -> io::Result<T> {
        match answer {
            Answer::Found(found) => Ok(found),
            Answer::Failed(error) => Err(error),
            Answer::Silent => {
                let until = self.now().as_nanos().saturating_add(SILENCE_NANOS);
                sleep_until(self.core.clone(), self.clock, until).await;
                let message = format!("{name}: the name server does not answer");
                Err(io::Error::new(io::ErrorKind::TimedOut, message))
            }
        }
    }
}

impl Clock for Seat {
    fn now(&self) -> Instant {
        Instant::from_nanos(self.core.clocks.monotonic(self.clock, self.core.now.load(Ordering::Relaxed)))
    }

    fn unix(&self) -> UnixTime {
        UnixTime(self.core.unix(self.clock))
    }

    fn sleep_until(&self, at: Instant) -> BoxFuture<'static, ()> {
        Box::pin(sleep_until(self.core.clone(), self.clock, at.as_nanos()))
    }
}

/// Waits until the monotonic clock of `host` has reached `at`. The timer exists from the first poll to the end or the drop.
pub(super) fn sleep_until(
    core: Arc<Core>,
    host: HostId,
    at: u64,
) -> impl Future<Output = ()> + Send + 'static {
    Sleep { core, host, at, timer: None }
}

struct Sleep {
    core: Arc<Core>,
    host: HostId,
    /// What the host's clock is to read.
    at: u64,
    timer: Option<Key>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Sleep { core, host, at, timer } = self.get_mut();
        let at = core.clocks.reached(*host, *at);
        core.lock().timeline.poll_sleep(timer, (host.0, at), context)
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if self.timer.is_some() {
            self.core.lock().timeline.cancel(self.timer);
        }
    }
}

impl Spawner for Seat {
    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>) {
        self.core.spawn(self.process, name, task);
    }

    fn spawn_blocking(&self, name: &'static str, work: Box<dyn FnOnce() + Send>) {
        let (core, host) = (self.core.clone(), self.host);
        self.core.spawn(
            self.process,
            name,
            Box::pin(async move {
                // Blocking work is work on the disk: it waits while that is busy.
                let busy = || core.lock().disk_busy_until(host);
                while let Some(until) = busy() {
                    sleep_until(core.clone(), HostId(NONE), until).await;
                }
                work();
            }),
        );
    }
}

impl Entropy for Seat {
    fn seed(&self, name: &'static str) -> [u8; 32] {
        let mut state = self.core.lock();
        let host = state.hosts.get_mut(self.host);
        let drawn = host.seeds.entry(name).or_insert(0);
        *drawn += 1;
        let drawn = *drawn;
        derive(self.core.seed(), &[b"seed", host.name.as_bytes(), name.as_bytes(), &drawn.to_le_bytes()])
    }

    fn rng(&self, name: &'static str) -> Rng {
        self.core.generator(self.seed(name), 0)
    }
}

impl Storage for Seat {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let mut value = None;
        self.core.lock().operate(self.process, name, Operation::Load(&mut value))?;
        Ok(value)
    }

    fn write(&self, name: &str, value: &[u8]) -> io::Result<()> {
        self.core.lock().operate(self.process, name, Operation::Put(value))?;
        Ok(())
    }

    /// On a simulated host an operator's file lies beside the values of the node.
    fn read_file(&self, path: &str) -> io::Result<String> {
        let found = self.read(path)?;
        let found =
            found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("{path}: no such file")))?;
        String::from_utf8(found).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    fn open_db(&self, name: &str) -> io::Result<rusqlite::Connection> {
        self.core.lock().processes.check(self.process)?;
        disk::open(&self.core, self.process, name)
    }
}

impl Network for Seat {
    fn listen(&self, at: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let (key, local) = self.core.lock().listen(self.host, self.process, at)?;
            Ok(Box::new(Port { core: self.core.clone(), key, local }) as Box<dyn Listener>)
        })
    }

    fn dial(&self, to: SocketAddr) -> BoxFuture<'_, io::Result<Stream>> {
        Box::pin(async move {
            let key = self.core.lock().dial(self.host, self.process, to)?;
            let dialling = Dialling { core: self.core.clone(), key };
            let side = poll_fn(|context| self.core.lock().poll_dial(key, context)).await;
            drop(dialling);
            Ok(Box::new(Wire { core: self.core.clone(), side: side? }) as Stream)
        })
    }

    fn bind_datagram(&self, at: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn DatagramSocket>>> {
        Box::pin(async move {
            let (key, local) = self.core.lock().bind_datagram(self.host, self.process, at)?;
            Ok(Box::new(DatagramPort { core: self.core.clone(), key, local }) as Box<dyn DatagramSocket>)
        })
    }

    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        let answer = self.core.lock().look_up(self.process, self.host, host, port);
        Box::pin(async move { Ok(vec![self.hear(host, answer).await?]) })
    }

    fn resolve_srv<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<SrvRecord>>> {
        let answer = self.core.lock().look_up_srv(self.process, self.host, name);
        Box::pin(self.hear(name, answer))
    }

    fn secure_client<'a>(
        &'a self,
        stream: Stream,
        server_name: &'a str,
    ) -> BoxFuture<'a, io::Result<Stream>> {
        // What is valid until when is judged by this host's clock.
        let now = self.core.now.load(Ordering::Relaxed);
        let now = Duration::from_nanos(now.saturating_add_signed(self.core.clocks.ahead(self.clock, now)));
        let check = self.core.lock().processes.kind(self.process) == ProcessKind::Node;
        Box::pin(tls::client(stream, server_name, now, check))
    }

    fn secure_server(&self, stream: Stream) -> BoxFuture<'_, io::Result<Stream>> {
        let certificate = self.core.lock().hosts.get(self.host).certificate.clone();
        Box::pin(tls::server(stream, certificate))
    }
}

/// Takes the dial back where its future is dropped half-way.
struct Dialling {
    core: Arc<Core>,
    key: Key,
}

impl Drop for Dialling {
    fn drop(&mut self) {
        self.core.lock().abandon_dial(self.key);
    }
}

struct Port {
    core: Arc<Core>,
    key: Key,
    local: SocketAddr,
}

impl Listener for Port {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(Stream, SocketAddr)>> {
        Box::pin(async move {
            let (side, from) = poll_fn(|context| self.core.lock().poll_accept(self.key, context)).await?;
            Ok((Box::new(Wire { core: self.core.clone(), side }) as Stream, from))
        })
    }

    fn local_addr(&self) -> SocketAddr {
        self.local
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.core.lock().close_listener(self.key, true);
    }
}

/// One end of a connection in the hands of a process.
struct Wire {
    core: Arc<Core>,
    side: Side,
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.core.lock().read(self.side, buffer, context)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.core.lock().write(self.side, &[IoSlice::new(bytes)], context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.core.lock().write(self.side, slices, context)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.core.lock().finish(self.side))
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.core.lock().close(self.side);
    }
}

struct DatagramPort {
    core: Arc<Core>,
    key: Key,
    local: SocketAddr,
}

impl DatagramSocket for DatagramPort {
    fn send_to<'a>(&'a self, bytes: &'a [u8], to: SocketAddr) -> BoxFuture<'a, io::Result<()>> {
        Box::pin(async move { self.core.lock().send_datagram(self.key, bytes, to) })
    }

    fn recv_from<'a>(&'a self, buffer: &'a mut [u8]) -> BoxFuture<'a, io::Result<(usize, SocketAddr)>> {
        Box::pin(poll_fn(move |context| self.core.lock().poll_receive(self.key, buffer, context)))
    }

    fn local_addr(&self) -> SocketAddr {
        self.local
    }
}

impl Drop for DatagramPort {
    fn drop(&mut self) {
        self.core.lock().close_datagram(self.key);
    }
}
