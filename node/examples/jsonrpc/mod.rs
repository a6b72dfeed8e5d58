//! As much of JSON-RPC 2.0 over HTTP as a small service needs: a server for its own methods, and a client for the
//! `/rpc` of the Home Relay beside it. A service knows no more of the federation than that one URL.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a program of its own beside the relay, on plain tokio"
)]

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::net::Ipv4Addr;
use std::str::FromStr;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

/// The largest request or answer taken, in bytes.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// How long a call to another service may take, in seconds.
const CALL_SECONDS: u64 = 5;

/// A JSON-RPC error object.
#[derive(Debug)]
pub(crate) struct RpcError {
    pub(crate) code: i64,
    pub(crate) message: String,
}

impl RpcError {
    pub(crate) fn new(code: i64, message: impl Into<String>) -> Self {
        RpcError { code, message: message.into() }
    }
}

/// Answers `POST /rpc` on this loopback port for ever. `answer` gets the method and the params.
pub(crate) async fn serve<A, F>(name: &'static str, port: u16, home: &Home, answer: A) -> std::io::Result<()>
where
    A: Fn(String, Value) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Value, RpcError>> + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    println!("{name} answers at http://{}/rpc and calls others through {}", listener.local_addr()?, home.0);
    loop {
        let (stream, _) = listener.accept().await?;
        let answer = answer.clone();
        let service = service_fn(move |request| {
            let answer = answer.clone();
            async move { Ok::<_, Infallible>(handle(request, answer).await) }
        });
        tokio::spawn(async move {
            let connection = hyper::server::conn::http1::Builder::new();
            if let Err(error) = connection.serve_connection(TokioIo::new(stream), service).await {
                eprintln!("{name}: connection: {error}");
            }
        });
    }
}

async fn handle<A, F>(request: Request<Incoming>, answer: A) -> Response<Full<Bytes>>
where
    A: Fn(String, Value) -> F,
    F: Future<Output = Result<Value, RpcError>>,
{
    if request.method() != Method::POST || request.uri().path() != "/rpc" {
        let mut response = Response::new(Full::from("there is only POST /rpc here\n"));
        *response.status_mut() = StatusCode::NOT_FOUND;
        return response;
    }
    let (id, outcome) = match Limited::new(request.into_body(), MAX_BODY_BYTES).collect().await {
        Err(error) => (Value::Null, Err(RpcError::new(-32600, error.to_string()))),
        Ok(body) => match serde_json::from_slice::<Value>(&body.to_bytes()) {
            Err(error) => (Value::Null, Err(RpcError::new(-32700, format!("parse error: {error}")))),
            Ok(mut call) => {
                let (id, params) = (call["id"].take(), call["params"].take());
                match call["method"].as_str() {
                    Some(method) => (id, answer(method.to_owned(), params).await),
                    None => (id, Err(RpcError::new(-32600, "`method` is missing"))),
                }
            }
        },
    };
    let reply = match outcome {
        Ok(result) => json!({ "jsonrpc": "2.0", "result": result, "id": id }),
        Err(RpcError { code, message }) => {
            json!({ "jsonrpc": "2.0", "error": { "code": code, "message": message }, "id": id })
        }
    };
    let mut response = Response::new(Full::from(reply.to_string()));
    response.headers_mut().insert(CONTENT_TYPE, "application/json".parse().expect("a valid header value"));
    response
}

/// The Home Relay beside this service: the way to all others.
#[derive(Clone, Debug)]
pub(crate) struct Home(Uri);

impl FromStr for Home {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let uri: Uri = text.parse().map_err(|error| format!("{error}; write http://HOST:PORT/rpc"))?;
        match (uri.scheme_str(), uri.authority()) {
            (Some("http"), Some(_)) => Ok(Home(uri)),
            _ => Err("write http://HOST:PORT/rpc".into()),
        }
    }
}

impl Home {
    /// Calls any instance of `service` in the federation.
    pub(crate) async fn remote_call(
        &self,
        service: &str,
        method: &str,
        args: Value,
    ) -> Result<Value, RpcError> {
        let params =
            json!({ "service_name": service, "method": method, "args": args, "timeout": CALL_SECONDS });
        let call = json!({ "jsonrpc": "2.0", "method": "remote_call", "params": params, "id": 1 });
        let mut reply = self.post(call.to_string()).await.map_err(|error| {
            RpcError::new(-32603, format!("the Home Relay at {} does not answer: {error}", self.0))
        })?;
        let error = reply["error"].take();
        if error.is_null() {
            return Ok(reply["result"].take());
        }
        let code = error["code"].as_i64().unwrap_or(-32603);
        Err(RpcError::new(code, error["message"].as_str().unwrap_or("no message")))
    }

    async fn post(&self, body: String) -> Result<Value, Box<dyn Error + Send + Sync>> {
        let host = self.0.host().ok_or("the URL has no host")?;
        let stream = TcpStream::connect((host, self.0.port_u16().unwrap_or(80))).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let request = Request::post(self.0.path())
            .header(HOST, host)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::<Bytes>::from(body))?;
        let response = sender.send_request(request).await?;
        let body = Limited::new(response.into_body(), MAX_BODY_BYTES).collect().await?.to_bytes();
        Ok(serde_json::from_slice(&body)?)
    }
}
