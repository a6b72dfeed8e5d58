//! The seams of [`relay_node::env`], as one process on one of turmoil's hosts sees them.

use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use relay_node::env::{
    BoxFuture, Clock, DatagramSocket, Entropy, Env, Instant, Listener, Network, Spawner, SrvRecord, Storage,
    Stream, UnixTime,
};
use tokio::sync::oneshot;
use turmoil::net::TcpStream;
use xxhash_rust::xxh3::xxh3_64;

use super::core::{Core, Farewell, Held};
use super::datagram::Socket;
use super::listen::Port;
use super::pipe::{Pipe, Wire};
use super::pump::Pump;
use super::timers::Sleep;
use crate::engine::event::{HostId, Observation, ProcessKind, disk};
use crate::engine::random::derive;
use crate::engine::tls;
use crate::trace::{Kind, NONE};

/// Nobody answers a dial for so long: then it is given up (Linux, `tcp_syn_retries`).
const DIAL_TIMEOUT_NANOS: u64 = 127_000_000_000;

/// One process's place in the world.
struct Seat {
    core: Arc<Core>,
    host: HostId,
    process: u32,
}

pub(super) fn env(core: &Arc<Core>, host: HostId, process: u32) -> Env {
    let seat = Arc::new(Seat { core: core.clone(), host, process });
    Env {
        clock: seat.clone(),
        network: seat.clone(),
        spawner: seat.clone(),
        entropy: seat.clone(),
        storage: seat,
    }
}

impl Clock for Seat {
    fn now(&self) -> Instant {
        Instant::from_nanos(self.core.now())
    }

    fn unix(&self) -> UnixTime {
        UnixTime(self.core.unix())
    }

    fn sleep_until(&self, at: Instant) -> BoxFuture<'static, ()> {
        Box::pin(Sleep::until(&self.core, at.as_nanos()))
    }
}

impl Spawner for Seat {
    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>) {
        self.core.spawn(self.process, name, task);
    }

    fn spawn_blocking(&self, name: &'static str, work: Box<dyn FnOnce() + Send>) {
        self.core.spawn(self.process, name, Box::pin(async move { work() }));
    }
}

impl Entropy for Seat {
    fn seed(&self, name: &'static str) -> [u8; 32] {
        let mut state = self.core.lock();
        let host = state.hosts.get_mut(self.host);
        let drawn = host.seeds.entry(name).or_insert(0);
        *drawn += 1;
        let drawn = drawn.to_le_bytes();
        derive(self.core.seed, &[b"seed", host.spec.name.as_bytes(), name.as_bytes(), &drawn])
    }
}

impl Storage for Seat {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let mut state = self.core.lock();
        state.check(self.process)?;
        let value = state.hosts.get(self.host).disk.value(name).map(<[u8]>::to_vec);
        let (now, name) = (self.core.now(), xxh3_64(name.as_bytes()));
        state.trace.emit_bytes(now, Kind::StorageRead, self.host.0, name, value.as_deref().unwrap_or(&[]));
        Ok(value)
    }

    fn write(&self, name: &str, value: &[u8]) -> io::Result<()> {
        let mut state = self.core.lock();
        state.check(self.process)?;
        let label = xxh3_64(name.as_bytes());
        state.trace.emit_bytes(self.core.now(), Kind::StorageWrite, self.host.0, label, value);
        state.hosts.get_mut(self.host).disk.put(name, value);
        Ok(())
    }

    /// On a simulated host an operator's file lies beside the values of the node.
    fn read_file(&self, path: &str) -> io::Result<String> {
        let found = self.read(path)?;
        let found =
            found.ok_or_else(|| io::Error::new(ErrorKind::NotFound, format!("{path}: no such file")))?;
        String::from_utf8(found).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
    }

    fn open_db(&self, name: &str) -> io::Result<rusqlite::Connection> {
        self.core.lock().check(self.process)?;
        disk::open(&self.core, self.process, name)
    }
}

impl Network for Seat {
    fn listen(&self, at: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let (ready, is_ready) = oneshot::channel();
            let port = Port::open(&self.core, self.host, self.process, at, ready)?;
            // It lets go of the port where this is dropped half-way.
            let kept = Kept::new(self, port.clone());
            is_ready.await.map_err(|_| gone())??;
            Ok(Box::new(OpenPort { port, _kept: kept }) as Box<dyn Listener>)
        })
    }

    fn dial(&self, to: SocketAddr) -> BoxFuture<'_, io::Result<Stream>> {
        Box::pin(async move {
            let (result, dialled) = oneshot::channel();
            let unanswered = self.begin_dial(to, result)?;
            let patience = Sleep::until(&self.core, self.core.now().saturating_add(DIAL_TIMEOUT_NANOS));
            tokio::select! {
                biased;
                result = dialled, if unanswered.is_none() => {
                    let wire = result.map_err(|_| gone())??;
                    Ok(Box::new(wire) as Stream)
                }
                () = patience => {
                    let (at, host) = (Duration::from_nanos(self.core.now()), self.host);
                    let mut state = self.core.lock();
                    state.trace.emit(self.core.now(), Kind::DialTimeout, host.0, to.port().into(), 0);
                    state.observations.push(Observation::DialTimedOut { at, host, to });
                    Err(ErrorKind::TimedOut.into())
                }
            }
        })
    }

    fn bind_datagram(&self, at: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn DatagramSocket>>> {
        Box::pin(async move {
            let (ready, is_ready) = oneshot::channel();
            let socket = Socket::open(&self.core, self.host, self.process, at, ready)?;
            let kept = Kept::new(self, socket.clone());
            is_ready.await.map_err(|_| gone())??;
            Ok(Box::new(OpenSocket { socket, _kept: kept }) as Box<dyn DatagramSocket>)
        })
    }

    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let found = match bare.parse::<IpAddr>() {
            Ok(address) => Some(address),
            Err(_) => self.core.lock().hosts.find(bare),
        };
        let result = match found {
            Some(address) => Ok(vec![SocketAddr::new(address, port)]),
            None => Err(io::Error::new(ErrorKind::NotFound, format!("{host} has no address"))),
        };
        Box::pin(async move { result })
    }

    fn resolve_srv<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<SrvRecord>>> {
        let found = self.core.lock().hosts.srv(name).to_vec();
        Box::pin(async move {
            if found.is_empty() {
                return Err(io::Error::new(ErrorKind::NotFound, format!("{name} has no such records")));
            }
            Ok(found)
        })
    }

    fn secure_client<'a>(
        &'a self,
        stream: Stream,
        server_name: &'a str,
    ) -> BoxFuture<'a, io::Result<Stream>> {
        let now = Duration::from_nanos(self.core.now());
        let check = self.core.lock().processes[self.process as usize].kind == ProcessKind::Node;
        Box::pin(tls::client(stream, server_name, now, check))
    }

    fn secure_server(&self, stream: Stream) -> BoxFuture<'_, io::Result<Stream>> {
        let certificate = self.core.lock().hosts.get(self.host).certificate.clone();
        Box::pin(tls::server(stream, certificate))
    }
}

/// Nobody can be reached at an address: a dial waits until it is given up. Keeps the dial's result open meanwhile.
type Unanswered = oneshot::Sender<io::Result<Wire>>;

impl Seat {
    /// Has the host dial, where anybody answers for the address.
    fn begin_dial(&self, to: SocketAddr, result: Unanswered) -> io::Result<Option<Unanswered>> {
        let mut state = self.core.lock();
        state.check(self.process)?;
        let target = state.hosts.target(self.host, to.ip());
        let aim = target.map_or(NONE, |target| target.0);
        state.trace.emit(self.core.now(), Kind::Dial, self.host.0, to.port().into(), aim.into());
        if target.is_none() {
            return Ok(Some(result));
        }
        let work = connect(self.core.clone(), self.host, self.process, to, result);
        state.hosts.get_mut(self.host).launch(Box::pin(work));
        Ok(None)
    }
}

/// Dials on a host, and carries the stream until it ends.
async fn connect(core: Arc<Core>, host: HostId, process: u32, to: SocketAddr, mut result: Unanswered) {
    let connected = tokio::select! {
        biased;
        // The process gave the dial up.
        () = result.closed() => return,
        connected = TcpStream::connect(to) => connected,
    };
    match connected {
        Ok(stream) => {
            let pipe = Arc::new(Pipe::default());
            let pump = Pump::new(&core, host, stream, &pipe);
            // A process that gave the dial up meanwhile drops the stream: that closes it.
            let _ = result.send(Ok(Wire::new(&core, host, process, &pipe)));
            pump.await;
        }
        Err(error) => {
            let at = Duration::from_nanos(core.now());
            let mut state = core.lock();
            state.trace.emit(core.now(), Kind::Refuse, host.0, to.port().into(), 0);
            state.observations.push(Observation::DialRefused { at, host, to });
            drop(state);
            let _ = result.send(Err(error));
        }
    }
}

fn gone() -> io::Error {
    io::Error::new(ErrorKind::NotConnected, "the host is gone")
}

/// What a process holds of the network until this is dropped.
struct Kept {
    core: Arc<Core>,
    process: u32,
    number: u64,
    held: Arc<dyn Held>,
}

impl Kept {
    fn new(seat: &Seat, held: Arc<dyn Held>) -> Self {
        let number = seat.core.hold(seat.process, held.clone());
        Self { core: seat.core.clone(), process: seat.process, number, held }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.core.release(self.process, self.number);
        self.held.let_go(Farewell::Close);
    }
}

struct OpenPort {
    port: Arc<Port>,
    _kept: Kept,
}

impl Listener for OpenPort {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(Stream, SocketAddr)>> {
        Box::pin(async move {
            let (wire, from) = poll_fn(|context| self.port.poll_accept(context)).await?;
            Ok((Box::new(wire) as Stream, from))
        })
    }

    fn local_addr(&self) -> SocketAddr {
        self.port.local
    }
}

struct OpenSocket {
    socket: Arc<Socket>,
    _kept: Kept,
}

impl DatagramSocket for OpenSocket {
    fn send_to<'a>(&'a self, bytes: &'a [u8], to: SocketAddr) -> BoxFuture<'a, io::Result<()>> {
        Box::pin(async move { self.socket.send(bytes, to) })
    }

    fn recv_from<'a>(&'a self, buffer: &'a mut [u8]) -> BoxFuture<'a, io::Result<(usize, SocketAddr)>> {
        Box::pin(poll_fn(move |context| self.socket.poll_receive(buffer, context)))
    }

    fn local_addr(&self) -> SocketAddr {
        self.socket.local
    }
}
