//! The seams on a real machine: tokio, the operating system's clocks, sockets, files and randomness.

#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "this is where the world is let in")]

mod dns;
mod tls;
mod watched;

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use rand::TryRng;

use self::dns::Dns;
use self::tls::Tls;
use super::{
    BoxFuture, Clock, DatagramSocket, Entropy, Env, Instant, Listener, Network, Spawner, SrvRecord, Storage,
    Stream, UnixTime, open_database,
};

/// What an operator says of the machine that a node runs on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// Where the node's data lies; made when the first value is written.
    pub data_dir: PathBuf,
    /// What it shows to those who connect over TLS; without it nobody can.
    pub certificate: Option<CertificateFiles>,
    /// Authorities to trust besides the system's: a PEM file.
    pub extra_roots: Option<PathBuf>,
    /// The name server to ask; the system's where there is none.
    pub name_server: Option<SocketAddr>,
}

/// A certificate and its key. The files may be replaced while the node runs: whoever connects from then on sees the new
/// one, at most a second later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate, then those of the authorities between it and a root, in PEM form.
    pub chain: PathBuf,
    /// Its private key, in PEM form.
    pub key: PathBuf,
}

/// A file of the operator's that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{flag} {file}: {reason}")]
pub struct FileError {
    flag: &'static str,
    file: String,
    reason: String,
}

impl FileError {
    fn new(flag: &'static str, file: &Path, reason: &dyn fmt::Display) -> Self {
        FileError { flag, file: file.display().to_string(), reason: reason.to_string() }
    }
}

impl Env {
    /// The real world, with this host's data in `data_dir` (made when the first value is written).
    ///
    /// Needs a running tokio runtime.
    pub fn production(data_dir: impl Into<PathBuf>) -> Env {
        let machine = Machine { data_dir: data_dir.into(), ..Machine::default() };
        Env::on_machine(machine).expect("without files there is nothing to be wrong with them")
    }

    /// The real world, as the operator describes this machine.
    ///
    /// Needs a running tokio runtime.
    ///
    /// # Errors
    /// Names the file that cannot be used, and its flag.
    pub fn on_machine(machine: Machine) -> Result<Env, FileError> {
        let Machine { data_dir, certificate, extra_roots, name_server } = machine;
        let tls = Tls::new(certificate.as_ref(), extra_roots)?;
        Ok(Env {
            clock: Arc::new(SystemClock { origin: std::time::Instant::now() }),
            network: Arc::new(TcpNetwork { tls, dns: Dns::new(name_server) }),
            spawner: Arc::new(TokioSpawner),
            entropy: Arc::new(OsEntropy),
            storage: Arc::new(Directory { path: data_dir, lock: Mutex::default() }),
        })
    }
}

struct SystemClock {
    origin: std::time::Instant,
}

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::from_nanos(u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    fn unix(&self) -> UnixTime {
        UnixTime(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO))
    }

    fn sleep_until(&self, at: Instant) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep_until((self.origin + Duration::from_nanos(at.as_nanos())).into()))
    }
}

struct TokioSpawner;

impl Spawner for TokioSpawner {
    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>) {
        // One task, not two: there are thousands of them.
        tokio::spawn(async move {
            if AssertUnwindSafe(task).catch_unwind().await.is_err() {
                tracing::error!(task = name, "a task panicked; this is a bug in relay, please report it");
            }
        });
    }

    fn spawn_blocking(&self, _name: &'static str, work: Box<dyn FnOnce() + Send>) {
        tokio::task::spawn_blocking(work);
    }
}

struct OsEntropy;

impl Entropy for OsEntropy {
    fn seed(&self, _name: &'static str) -> [u8; 32] {
        let mut seed = [0; 32];
        rand::rngs::SysRng.try_fill_bytes(&mut seed).expect("the operating system gives random bytes");
        seed
    }
}

struct TcpNetwork {
    tls: Tls,
    dns: Dns,
}

impl Network for TcpNetwork {
    fn listen(&self, at: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let socket = tokio::net::TcpListener::bind(at).await?;
            let local = socket.local_addr()?;
            Ok(Box::new(TcpAcceptor { socket, local }) as Box<dyn Listener>)
        })
    }

    fn dial(&self, to: SocketAddr) -> BoxFuture<'_, io::Result<Stream>> {
        Box::pin(async move {
            let stream = tokio::net::TcpStream::connect(to).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Stream)
        })
    }

    fn bind_datagram(&self, at: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn DatagramSocket>>> {
        Box::pin(async move {
            let socket = udp(at)?;
            let local = socket.local_addr()?;
            Ok(Box::new(UdpPort { socket, local }) as Box<dyn DatagramSocket>)
        })
    }

    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move {
            let bare = host.trim_start_matches('[').trim_end_matches(']');
            let unknown =
                |reason: String| io::Error::new(io::ErrorKind::NotFound, format!("{host}: {reason}"));
            if self.dns.is_given() {
                return match bare.parse() {
                    Ok(address) => Ok(vec![SocketAddr::new(address, port)]),
                    Err(_) => self.dns.addresses(bare, port).await,
                };
            }
            // The system's resolver has no kinds of error, only words.
            let found =
                tokio::net::lookup_host((bare, port)).await.map_err(|error| unknown(error.to_string()))?;
            let found: Vec<_> = found.collect();
            if found.is_empty() { Err(unknown("no address".into())) } else { Ok(found) }
        })
    }

    fn resolve_srv<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<SrvRecord>>> {
        Box::pin(self.dns.srv(name))
    }

    fn secure_client<'a>(
        &'a self,
        stream: Stream,
        server_name: &'a str,
    ) -> BoxFuture<'a, io::Result<Stream>> {
        Box::pin(self.tls.client(stream, server_name))
    }

    fn secure_server(&self, stream: Stream) -> BoxFuture<'_, io::Result<Stream>> {
        Box::pin(self.tls.server(stream))
    }
}

/// A UDP socket of its address's family alone: IPv4 is to have the same port beside IPv6.
fn udp(at: SocketAddr) -> io::Result<tokio::net::UdpSocket> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(at), Type::DGRAM, Some(Protocol::UDP))?;
    if at.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&at.into())?;
    tokio::net::UdpSocket::from_std(socket.into())
}

struct TcpAcceptor {
    socket: tokio::net::TcpListener,
    local: SocketAddr,
}

impl Listener for TcpAcceptor {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(Stream, SocketAddr)>> {
        Box::pin(async move {
            let (stream, from) = self.socket.accept().await?;
            stream.set_nodelay(true)?;
            Ok((Box::new(stream) as Stream, from))
        })
    }

    fn local_addr(&self) -> SocketAddr {
        self.local
    }
}

struct UdpPort {
    socket: tokio::net::UdpSocket,
    local: SocketAddr,
}

impl DatagramSocket for UdpPort {
    fn send_to<'a>(&'a self, bytes: &'a [u8], to: SocketAddr) -> BoxFuture<'a, io::Result<()>> {
        Box::pin(async move { self.socket.send_to(bytes, to).await.map(|_| ()) })
    }

    fn recv_from<'a>(&'a self, buffer: &'a mut [u8]) -> BoxFuture<'a, io::Result<(usize, SocketAddr)>> {
        Box::pin(self.socket.recv_from(buffer))
    }

    fn local_addr(&self) -> SocketAddr {
        self.local
    }
}

/// One file per value in a directory that one process at a time may use.
struct Directory {
    path: PathBuf,
    /// Held open while this process lives: the kernel drops the lock with it.
    lock: Mutex<Option<fs::File>>,
}

impl Directory {
    fn claim(&self) -> io::Result<()> {
        let mut lock = self.lock.lock().expect("nothing panics with the lock");
        if lock.is_some() {
            return Ok(());
        }
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.path)?;
        let file = owner_only().create(true).truncate(false).open(self.path.join("lock"))?;
        if let Err(fs::TryLockError::WouldBlock) = file.try_lock() {
            let message = "in use by another relay; give this one its own with -data-dir";
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, message));
        }
        *lock = Some(file);
        Ok(())
    }

    fn file(&self, name: &str) -> PathBuf {
        debug_assert!(!name.contains(['/', '\\']) && !name.starts_with('.'), "{name} is one plain file name");
        self.path.join(name)
    }
}

impl Storage for Directory {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        self.claim().map_err(|error| with_path(&error, &self.path))?;
        match fs::read(self.file(name)) {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(with_path(&error, &self.file(name))),
        }
    }

    fn read_file(&self, path: &str) -> io::Result<String> {
        fs::read_to_string(path)
    }

    fn write(&self, name: &str, value: &[u8]) -> io::Result<()> {
        self.claim().map_err(|error| with_path(&error, &self.path))?;
        let target = self.file(name);
        let fresh = self.path.join(format!(".{name}.new"));
        let replace = || -> io::Result<()> {
            let mut file = owner_only().create(true).truncate(true).open(&fresh)?;
            file.write_all(value)?;
            file.sync_all()?;
            fs::rename(&fresh, &target)?;
            // The rename itself is on disk once the directory is.
            fs::File::open(&self.path)?.sync_all()
        };
        replace().map_err(|error| with_path(&error, &target))
    }

    fn open_db(&self, name: &str) -> io::Result<rusqlite::Connection> {
        self.claim().map_err(|error| with_path(&error, &self.path))?;
        let path = self.file(name);
        let open = || {
            // SQLite gives the files that it makes beside this one the mode of this one.
            match owner_only().create_new(true).open(&path) {
                Ok(_) => fs::File::open(&self.path)?.sync_all()?,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
            open_database(&path, None)
        };
        open().map_err(|error| with_path(&error, &path))
    }
}

fn owner_only() -> fs::OpenOptions {
    let mut options = fs::OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

fn with_path(error: &io::Error, path: &Path) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn directory(path: &Path) -> Directory {
        Directory { path: path.to_owned(), lock: Mutex::default() }
    }

    #[test]
    fn a_value_comes_back_and_only_its_owner_may_read_it() {
        let home = tempfile::tempdir().unwrap();
        let disk = directory(&home.path().join("node"));
        assert_eq!(disk.read("key").unwrap(), None);
        disk.write("key", b"one").unwrap();
        disk.write("key", b"two").unwrap();
        assert_eq!(disk.read("key").unwrap().unwrap(), b"two");
        let mode = fs::metadata(home.path().join("node/key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_database_is_its_owners_and_open_once() {
        let home = tempfile::tempdir().unwrap();
        let disk = directory(home.path());
        let open = disk.open_db("relay.db").unwrap();
        open.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1)").unwrap();
        for file in ["relay.db", "relay.db-wal"] {
            let mode = fs::metadata(home.path().join(file)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{file}");
        }
        assert!(!home.path().join("relay.db-shm").exists(), "memory shared with other processes");
        assert_eq!(disk.open_db("relay.db").unwrap_err().kind(), io::ErrorKind::ResourceBusy);
        let refusal = directory(home.path()).open_db("relay.db").unwrap_err();
        assert!(refusal.to_string().contains("-data-dir"), "{refusal}");
        drop(open);
        disk.open_db("relay.db").unwrap();
    }

    #[test]
    fn a_file_that_is_no_database_is_refused_and_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let disk = directory(home.path());
        disk.write("relay.db", &[7; 4096]).unwrap();
        let refusal = disk.open_db("relay.db").unwrap_err();
        assert_eq!(refusal.kind(), io::ErrorKind::InvalidData, "{refusal}");
        assert!(refusal.to_string().contains("relay.db"), "{refusal}");
        assert_eq!(disk.read("relay.db").unwrap().unwrap(), [7; 4096]);
    }

    #[test]
    fn two_processes_do_not_share_a_data_directory() {
        let home = tempfile::tempdir().unwrap();
        let first = directory(home.path());
        first.write("key", b"one").unwrap();
        let refusal = directory(home.path()).read("key").unwrap_err();
        assert!(refusal.to_string().contains("-data-dir"), "{refusal}");
        drop(first);
        assert_eq!(directory(home.path()).read("key").unwrap().unwrap(), b"one");
    }
}
