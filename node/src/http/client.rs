//! A small HTTP client over the network seam, with the connections to one server kept for reuse.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;

use crate::env::{Env, Instant, dial_host};

/// Idle connections kept for one server.
const MAX_IDLE_CONNECTIONS: usize = 8;

/// How long each request gets a connection of its own, after the server has closed one that was in use again without
/// saying so before, in seconds.
const DISTRUST_SECONDS: u64 = 60;

/// Buffer of one connection, in bytes: grows up to it only where messages need it.
const CONNECTION_BUFFER_BYTES: usize = 64 * 1024;

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A connection, and no TLS over it.
    #[error("no TLS: {0}")]
    NotSecured(std::io::Error),
    /// No connection.
    #[error("cannot connect: {0}")]
    Unreachable(std::io::Error),
    /// The connection broke, or what came is no HTTP.
    #[error("{0}")]
    Broken(hyper::Error),
    /// The response did not arrive whole, or has more bytes than allowed.
    #[error("the answer is incomplete or too large: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
}

/// Where a server is, and whether it speaks TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// A name or an address (IPv6 in brackets).
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether it speaks TLS: `https://`.
    pub tls: bool,
}

/// One server, and the connections to it that are free.
pub struct Client {
    server: Server,
    /// Responses with larger bodies are errors.
    max_answer_bytes: usize,
    /// How long a connection is kept that nobody uses: shorter than the server's own patience, so that a request does
    /// not meet a connection that is just being closed.
    max_idle: Duration,
    idle: Mutex<Idle>,
}

type Connection = SendRequest<Full<Bytes>>;

#[derive(Default)]
struct Idle {
    /// Each with the time at which it became free, the latest last.
    connections: Vec<(Connection, Instant)>,
    /// Until then no connection is used twice.
    distrust_until: Instant,
}

impl Client {
    /// A client of a server that speaks plain `http://`, without connections yet.
    pub fn new(host: impl Into<String>, port: u16, max_answer_bytes: usize, max_idle: Duration) -> Self {
        Client::of(Server { host: host.into(), port, tls: false }, max_answer_bytes, max_idle)
    }

    /// A client without connections yet.
    pub fn of(server: Server, max_answer_bytes: usize, max_idle: Duration) -> Self {
        Client { server, max_answer_bytes, max_idle, idle: Mutex::default() }
    }

    /// Sends a request and reads the whole response. Takes as long as the server does. `Host` must be set.
    ///
    /// What a free connection did not even take goes over a new one; what it took and did not answer may have run,
    /// and is not sent again.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn send(
        &self,
        env: &Env,
        request: Request<Full<Bytes>>,
    ) -> Result<(StatusCode, Bytes), ClientError> {
        let (connection, response) = self.exchange(env, request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), self.max_answer_bytes).collect().await;
        let body = body.map_err(ClientError::Body)?.to_bytes();
        let now = env.clock.now();
        let mut idle = self.idle();
        if idle.connections.len() < MAX_IDLE_CONNECTIONS && idle.distrust_until <= now {
            idle.connections.push((connection, now));
        }
        Ok((status, body))
    }

    async fn exchange(
        &self,
        env: &Env,
        mut request: Request<Full<Bytes>>,
    ) -> Result<(Connection, Response<Incoming>), ClientError> {
        while let Some(mut free) = self.free_connection(env).await {
            match free.try_send_request(request).await {
                Ok(response) => return Ok((free, response)),
                Err(mut error) => {
                    self.distrust(env);
                    match error.take_message() {
                        Some(not_taken) => request = not_taken,
                        None => return Err(ClientError::Broken(error.into_error())),
                    }
                }
            }
        }
        let mut fresh = self.connect(env).await?;
        let response = fresh.send_request(request).await.map_err(ClientError::Broken)?;
        Ok((fresh, response))
    }

    async fn free_connection(&self, env: &Env) -> Option<Connection> {
        loop {
            let (mut connection, since) = self.idle().connections.pop()?;
            let is_fresh = env.clock.now() - since < self.max_idle;
            // One that the server has closed meanwhile says so here.
            if is_fresh && connection.ready().await.is_ok() {
                return Some(connection);
            }
        }
    }

    /// This server closes connections without a word: none is used twice for a while.
    fn distrust(&self, env: &Env) {
        tracing::debug!(host = %self.server.host, port = self.server.port, "it closes connections without saying so");
        let mut idle = self.idle();
        idle.distrust_until = env.clock.now() + Duration::from_secs(DISTRUST_SECONDS);
        idle.connections.clear();
    }

    async fn connect(&self, env: &Env) -> Result<Connection, ClientError> {
        let Server { host, port, tls } = &self.server;
        let (mut stream, _) =
            dial_host(&*env.network, host, *port).await.map_err(ClientError::Unreachable)?;
        if *tls {
            stream = env.network.secure_client(stream, host).await.map_err(ClientError::NotSecured)?;
        }
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(CONNECTION_BUFFER_BYTES)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(ClientError::Broken)?;
        env.spawn("http-client", async move {
            if let Err(error) = connection.await {
                tracing::debug!("HTTP client connection: {error}");
            }
        });
        Ok(sender)
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().expect("nothing panics with the list")
    }
}
