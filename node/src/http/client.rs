//! A small HTTP client over the network seam, with the connections to one server kept for reuse.

use std::sync::Mutex;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;

use crate::env::{Env, dial_host};

/// Idle connections kept for one server.
const MAX_IDLE_CONNECTIONS: usize = 8;

/// Buffer of one connection, in bytes: grows up to it only where messages need it.
const CONNECTION_BUFFER_BYTES: usize = 64 * 1024;

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
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

/// One server, and the connections to it that are free.
pub struct Client {
    host: String,
    port: u16,
    max_answer_bytes: usize,
    idle: Mutex<Vec<SendRequest<Full<Bytes>>>>,
}

impl Client {
    /// A client without connections yet. Responses with larger bodies than `max_answer_bytes` are errors.
    pub fn new(host: impl Into<String>, port: u16, max_answer_bytes: usize) -> Self {
        Client { host: host.into(), port, max_answer_bytes, idle: Mutex::new(Vec::new()) }
    }

    /// Sends a request and reads the whole response. Takes as long as the server does. `Host` must be set.
    ///
    /// A request that meets a kept connection which the server has just closed goes over a new one, unless some of it
    /// was sent already: nothing is sent twice.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn send(
        &self,
        env: &Env,
        mut request: Request<Full<Bytes>>,
    ) -> Result<(StatusCode, Bytes), ClientError> {
        let (response, connection) = loop {
            let (mut connection, kept) = match self.take_idle().await {
                Some(connection) => (connection, true),
                None => (self.connect(env).await?, false),
            };
            match connection.try_send_request(request).await {
                Ok(response) => break (response, connection),
                Err(mut error) => match error.take_message() {
                    Some(unsent) if kept => request = unsent,
                    _ => return Err(ClientError::Broken(error.into_error())),
                },
            }
        };
        let status = response.status();
        let body = Limited::new(response.into_body(), self.max_answer_bytes).collect().await;
        let body = body.map_err(ClientError::Body)?.to_bytes();
        let mut idle = self.idle.lock().expect("nothing panics with the list");
        if idle.len() < MAX_IDLE_CONNECTIONS {
            idle.push(connection);
        }
        Ok((status, body))
    }

    async fn take_idle(&self) -> Option<SendRequest<Full<Bytes>>> {
        loop {
            let mut connection = self.idle.lock().expect("nothing panics with the list").pop()?;
            // One that the server has closed meanwhile says so here.
            if connection.ready().await.is_ok() {
                return Some(connection);
            }
        }
    }

    async fn connect(&self, env: &Env) -> Result<SendRequest<Full<Bytes>>, ClientError> {
        let stream =
            dial_host(&*env.network, &self.host, self.port).await.map_err(ClientError::Unreachable)?;
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
}
