//! The network seam: byte streams, datagrams, names.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncWrite};

use super::BoxFuture;

/// A host's network.
///
/// TLS belongs to it: a dialled or an accepted stream is raw, and whoever holds it has it encrypted, on its own task
/// and under its own deadline.
pub trait Network: Send + Sync {
    /// Accepts byte streams at `at`. Port 0 takes a free one; [`Listener::local_addr`] tells which.
    ///
    /// # Errors
    /// `AddrInUse` where another listener holds the port; others as the system says.
    fn listen(&self, at: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn Listener>>>;

    /// Opens a byte stream to `to`.
    ///
    /// Waits as long as the network does (minutes, where nobody answers): bound it with
    /// [`Env::deadline`](super::Env::deadline).
    ///
    /// # Errors
    /// `ConnectionRefused` where the host answers that nothing listens; `TimedOut` where nobody answers.
    fn dial(&self, to: SocketAddr) -> BoxFuture<'_, io::Result<Stream>>;

    /// Opens a datagram socket at `at`. Port 0 takes a free one.
    ///
    /// # Errors
    /// `AddrInUse` where another socket holds the port.
    fn bind_datagram(&self, at: SocketAddr) -> BoxFuture<'_, io::Result<Box<dyn DatagramSocket>>>;

    /// The addresses of `host` (a name or an address in text), each with `port`, in the order to try them. Never
    /// empty.
    ///
    /// # Errors
    /// `NotFound` where the name has no address.
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>>;

    /// The SRV records of `name`, in any order. Never empty.
    ///
    /// Waits as long as name servers do: bound it with [`Env::deadline`](super::Env::deadline).
    ///
    /// # Errors
    /// `NotFound` where the name has no such records; `TimedOut` where no name server answers.
    fn resolve_srv<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<SrvRecord>>>;

    /// Encrypts a stream that this host has dialled: TLS as the client. `server_name` is the name or the address (IPv6
    /// with or without brackets) that the certificate must be for.
    ///
    /// Waits as long as the other side does: bound it with [`Env::deadline`](super::Env::deadline).
    ///
    /// # Errors
    /// `InvalidData`, in words that say what is wrong and what to do: the certificate is for another name, has expired,
    /// or its issuer is not trusted, or what answers speaks no TLS. `InvalidInput` where `server_name` cannot be one.
    /// Those of the stream.
    fn secure_client<'a>(&'a self, stream: Stream, server_name: &'a str)
    -> BoxFuture<'a, io::Result<Stream>>;

    /// Encrypts a stream that this host has accepted: TLS as the server, with this host's certificate as it is now.
    ///
    /// # Errors
    /// `InvalidData`, in words: the client does not take the certificate, or speaks no TLS. `Unsupported` where this
    /// host has no certificate. Those of the stream.
    fn secure_server(&self, stream: Stream) -> BoxFuture<'_, io::Result<Stream>>;
}

/// One server of a service (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SrvRecord {
    /// Servers of a lower number are to be used first.
    pub priority: u16,
    /// Of servers with the same priority, the share of this one.
    pub weight: u16,
    /// Where it listens.
    pub port: u16,
    /// Its host name, without a dot at the end.
    pub target: String,
}

/// Accepts byte streams. Dropping it closes the port; streams already accepted live on.
pub trait Listener: Send {
    /// The next stream, and the address that it came from. Safe to drop half-way: no stream is lost.
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(Stream, SocketAddr)>>;

    /// Where this listens, with the port it was given.
    fn local_addr(&self) -> SocketAddr;
}

/// A byte stream in both directions, closed when dropped. `shutdown` ends the sending direction only.
pub trait ByteStream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> ByteStream for T {}

/// An open [`ByteStream`].
pub type Stream = Box<dyn ByteStream>;

/// An unconnected datagram socket. Dropping it closes the port.
pub trait DatagramSocket: Send + Sync {
    /// Sends one datagram. That it was sent does not say that it arrives.
    fn send_to<'a>(&'a self, bytes: &'a [u8], to: SocketAddr) -> BoxFuture<'a, io::Result<()>>;

    /// Receives one datagram into `buffer`: its length and its sender. What does not fit is cut off.
    fn recv_from<'a>(&'a self, buffer: &'a mut [u8]) -> BoxFuture<'a, io::Result<(usize, SocketAddr)>>;

    /// Where this socket is bound, with the port it was given.
    fn local_addr(&self) -> SocketAddr;
}

/// Resolves `host` and dials its addresses in turn until one answers; says which.
///
/// # Errors
/// Those of [`Network::resolve`], or of the last dial.
pub async fn dial_host(network: &dyn Network, host: &str, port: u16) -> io::Result<(Stream, SocketAddr)> {
    let mut last = None;
    for address in network.resolve(host, port).await? {
        match network.dial(address).await {
            Ok(stream) => return Ok((stream, address)),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address"))))
}
