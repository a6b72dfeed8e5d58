//! NATS: four servers, an echo service, and what a client says to them.
//!
//! The client protocol is lines of text (<https://docs.nats.io/reference/reference-protocols/nats-protocol>).

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use crate::drive::{Taken, Wire};
use crate::field::{Chain, Kind};
use crate::process::{Server, free_ports, get, listening, local};
use crate::relay::find;

pub(crate) const HELLO: &[u8] =
    b"CONNECT {\"verbose\":false,\"pedantic\":false,\"lang\":\"bench\",\"version\":\"0\"}\r\n";

/// Leaf, hub, hub, leaf, joined by leaf links over WebSocket without TLS. The caller's leaf has the other hub as a second
/// address.
pub(crate) fn start(program: &Path) -> Result<Chain, String> {
    let dir = tempfile::tempdir().map_err(|error| format!("no temporary directory: {error}"))?;
    let [leaf_a, leaf_b, hub_a, ws_a, node_a, monitor_a, hub_b, ws_b, node_b] = free_ports()?;
    let hub = |websocket: u16, leaf: u16| {
        format!(
            "websocket {{ host: \"127.0.0.1\", port: {websocket}, no_tls: true }}\n\
             leafnodes {{ host: \"127.0.0.1\", port: {leaf}, "
        )
    };
    let remote = |urls: &[u16]| {
        let urls: Vec<String> = urls.iter().map(|port| format!("\"ws://127.0.0.1:{port}\"")).collect();
        format!("remotes: [ {{ urls: [{}], no_randomize: true }} ]", urls.join(", "))
    };
    let start = |name: &str, port: u16, config: String| {
        let file = dir.path().join(format!("{name}.conf"));
        let config = format!("server_name: {name}\nhost: \"127.0.0.1\"\nport: {port}\n{config}\n");
        fs::write(&file, config).map_err(|error| format!("{}: {error}", file.display()))?;
        Server::start(program, &["-c".into(), file.display().to_string()], dir.path(), name)
    };
    let second = start("hub-b", hub_b, hub(ws_b, node_b) + "}")?;
    listening(local(ws_b))?;
    let joined = format!("{}{} }}\nhttp: \"127.0.0.1:{monitor_a}\"", hub(ws_a, node_a), remote(&[ws_b]));
    let first = start("hub-a", hub_a, joined)?;
    listening(local(ws_a))?;
    let last = start("leaf-b", leaf_b, format!("leafnodes {{ {} }}", remote(&[ws_b])))?;
    let door = start("leaf-a", leaf_a, format!("leafnodes {{ {} }}", remote(&[ws_a, ws_b])))?;
    let servers = vec![door, first, second, last];
    listening(local(leaf_b))?;
    let responder = Some(Responder::start(local(leaf_b))?);
    listening(local(monitor_a))?;
    let (door, hub_monitor) = (local(leaf_a), local(monitor_a));
    Ok(Chain { servers, kind: Kind::Nats, door, hub_monitor, _responder: responder, _dir: dir })
}

/// Whether the caller's hub carries both links of the chain.
pub(crate) fn is_whole(hub: SocketAddr) -> Result<bool, String> {
    Ok(get(hub, "/leafz")?.contains("\"leafnodes\": 2"))
}

/// Request and reply over one connection, as NATS's own clients do it: one inbox, a token per request.
pub(crate) struct NatsWire {
    payload: Vec<u8>,
    inbox: String,
}

impl NatsWire {
    pub(crate) fn new(payload: usize) -> Self {
        static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        // 22 characters, as in NATS's own clients.
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        NatsWire { payload: vec![b'x'; payload], inbox: format!("_INBOX.{number:022}") }
    }
}

impl Wire for NatsWire {
    fn hello(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(HELLO);
        out.extend_from_slice(format!("SUB {}.* 1\r\nPING\r\n", self.inbox).as_bytes());
    }

    fn ask(&mut self, slot: usize, out: &mut Vec<u8>) {
        let head = format!("PUB echo {}.{slot} {}\r\n", self.inbox, self.payload.len());
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(&self.payload);
        out.extend_from_slice(b"\r\n");
    }

    fn take(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Taken, String> {
        match next(input)? {
            None => Ok(Taken::Incomplete),
            Some(Said::Other { bytes, is_ping }) => {
                if is_ping {
                    out.extend_from_slice(b"PONG\r\n");
                }
                Ok(Taken::Other { bytes })
            }
            Some(Said::Message { bytes, subject, .. }) => {
                let slot = subject.rsplit_once('.').and_then(|(_, slot)| slot.parse().ok());
                let slot = slot.ok_or_else(|| format!("an answer to {subject}"))?;
                Ok(Taken::Answer { bytes, slot, calls: 1 })
            }
        }
    }
}

/// What a server says.
enum Said<'a> {
    Message { bytes: usize, subject: &'a str, reply: Option<&'a str>, payload: &'a [u8] },
    Other { bytes: usize, is_ping: bool },
}

fn next(input: &[u8]) -> Result<Option<Said<'_>>, String> {
    let Some(line_end) = find(input, b"\r\n") else { return Ok(None) };
    let line = std::str::from_utf8(&input[..line_end]).map_err(|_| "a line is no text".to_owned())?;
    let body = line_end + 2;
    let mut words = line.split(' ');
    match words.next() {
        Some("MSG") => {
            let words: Vec<&str> = words.collect();
            let (subject, reply, length) = match words[..] {
                [subject, _, length] => (subject, None, length),
                [subject, _, reply, length] => (subject, Some(reply), length),
                _ => return Err(format!("cannot read {line}")),
            };
            let length: usize = length.parse().map_err(|_| format!("cannot read {line}"))?;
            let bytes = body + length + 2;
            if input.len() < bytes {
                return Ok(None);
            }
            Ok(Some(Said::Message { bytes, subject, reply, payload: &input[body..body + length] }))
        }
        Some("-ERR") => Err(line.to_owned()),
        Some(word) => Ok(Some(Said::Other { bytes: body, is_ping: word == "PING" })),
        None => Err("an empty line".into()),
    }
}

/// The echo service behind the last leaf, on a thread of its own. Ends when dropped.
pub(crate) struct Responder {
    connection: TcpStream,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Responder {
    fn start(leaf: SocketAddr) -> Result<Responder, String> {
        let text = |error: std::io::Error| error.to_string();
        let connection = TcpStream::connect(leaf).map_err(text)?;
        connection.set_nodelay(true).map_err(text)?;
        let stream = connection.try_clone().map_err(|error| error.to_string())?;
        let thread = std::thread::spawn(move || {
            if let Err(error) = respond(stream) {
                eprintln!("loopback: the echo service behind NATS: {error}");
            }
        });
        Ok(Responder { connection, thread: Some(thread) })
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        // Its thread reads the end of the stream and ends.
        let _ = self.connection.shutdown(std::net::Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn respond(mut stream: TcpStream) -> Result<(), String> {
    let mut out = HELLO.to_vec();
    out.extend_from_slice(b"SUB echo 1\r\n");
    let mut input: Vec<u8> = Vec::new();
    let mut chunk = vec![0; 256 * 1024];
    loop {
        if !out.is_empty() {
            stream.write_all(&out).map_err(|error| error.to_string())?;
            out.clear();
        }
        match stream.read(&mut chunk) {
            Ok(0) => return Ok(()),
            // The server is gone, as in the part about failover.
            Err(_) => return Ok(()),
            Ok(read) => input.extend_from_slice(&chunk[..read]),
        }
        let mut done = 0;
        while let Some(said) = next(&input[done..])? {
            match said {
                Said::Message { bytes, reply, payload, .. } => {
                    if let Some(reply) = reply {
                        out.extend_from_slice(format!("PUB {reply} {}\r\n", payload.len()).as_bytes());
                        out.extend_from_slice(payload);
                        out.extend_from_slice(b"\r\n");
                    }
                    done += bytes;
                }
                Said::Other { bytes, is_ping } => {
                    if is_ping {
                        out.extend_from_slice(b"PONG\r\n");
                    }
                    done += bytes;
                }
            }
        }
        input.drain(..done);
    }
}
