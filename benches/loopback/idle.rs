//! What an idle Home costs its Main in memory: thousands of them, each with one service, that do nothing but beat. For
//! NATS: as many client connections with one subscription each.

use std::net::SocketAddr;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use relay_node::wire::{Body, End, Frame, Handshake, Hex, NodeId, NodeKind, Party, decode, public};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::args::Options;
use crate::field::{Contender, Kind};
use crate::nats::HELLO;
use crate::process::{Server, free_ports, local};
use crate::relay::find;

/// Connections that are being made at once.
const AT_ONCE: usize = 64;

/// Time in which every Home and the Main have sent heartbeats, in seconds: they come every 30 s.
const IDLE_SECONDS: u64 = 35;

/// The longest that one introduction may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Measures the contenders one after the other, and prints what came out.
pub(crate) fn run(options: &Options, contenders: &[Contender]) -> Result<(), String> {
    if !options.wants("idle") {
        return Ok(());
    }
    println!("| {} idle connections | KiB each |", options.homes);
    println!("| --- | ---: |");
    for contender in contenders {
        let kib =
            measure(contender, options.homes).map_err(|error| format!("{}: {error}", contender.name))?;
        println!("| {} | {kib:.1} |", contender.name);
    }
    println!();
    Ok(())
}

fn measure(contender: &Contender, homes: usize) -> Result<f64, String> {
    let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
    let [port] = free_ports()?;
    let text = port.to_string();
    let args: &[&str] = match contender.kind {
        Kind::Relay => {
            &["-server", "-node-id", "hub", "-host", "127.0.0.1", "-log-level", "warn", "-port", &text]
        }
        Kind::Nats => &["--addr", "127.0.0.1", "--port", &text],
    };
    let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let server = Server::start(&contender.program, &args, dir.path(), "hub")?;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    let measured = runtime.block_on(fill(&server, contender.kind, local(port), homes));
    measured.map_err(|error| format!("{error}\n{}", server.last_words()))
}

async fn fill(server: &Server, kind: Kind, at: SocketAddr, homes: usize) -> Result<f64, String> {
    // One first, so that what the server needs once is not counted.
    let (up, mut ups) = mpsc::channel(AT_ONCE);
    for _ in 0..200 {
        if TcpStream::connect(at).await.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let mut before = 0;
    for number in 0..=homes {
        if number >= AT_ONCE || number == 1 {
            ups.recv().await.ok_or("all connections ended")??;
        }
        if number == 1 {
            tokio::time::sleep(Duration::from_millis(500)).await;
            before = server.memory_kib()?;
        }
        tokio::spawn(stay(kind, at, number, up.clone()));
    }
    for _ in 0..AT_ONCE - 1 {
        ups.recv().await.ok_or("all connections ended")??;
    }
    tokio::time::sleep(Duration::from_secs(IDLE_SECONDS)).await;
    let after = server.memory_kib()?;
    match ups.try_recv() {
        Ok(Err(error)) => Err(error),
        _ => Ok((after.saturating_sub(before)) as f64 / homes as f64),
    }
}

/// One idle connection, for as long as the runtime lives. Says when it is up, and says so where it ends.
async fn stay(kind: Kind, at: SocketAddr, number: usize, up: mpsc::Sender<Result<(), String>>) {
    let connected = tokio::time::timeout(PATIENCE, async {
        let text = |error: std::io::Error| error.to_string();
        let mut stream = TcpStream::connect(at).await.map_err(text)?;
        match kind {
            Kind::Relay => introduce(&mut stream, &format!("home-{number}")).await?,
            Kind::Nats => {
                stream.write_all(HELLO).await.map_err(text)?;
                let subscribe = format!("SUB service-{number} 1\r\nPING\r\n");
                stream.write_all(subscribe.as_bytes()).await.map_err(text)?;
                read_until(&mut stream, b"PONG").await?;
            }
        }
        Ok::<_, String>(stream)
    });
    let mut stream = match connected.await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return drop(up.send(Err(format!("connection {number}: {error}"))).await),
        Err(_) => {
            return drop(up.send(Err(format!("connection {number} is not up after {PATIENCE:?}"))).await);
        }
    };
    if up.send(Ok(())).await.is_err() {
        return;
    }
    let beat = Duration::from_secs(25);
    let mut chunk = [0; 2048];
    let ended = loop {
        match tokio::time::timeout(beat, stream.read(&mut chunk)).await {
            Ok(Ok(1..)) => {}
            Ok(Ok(0)) => break "the server closed it".to_owned(),
            Ok(Err(error)) => break error.to_string(),
            Err(_) if kind == Kind::Relay => {
                let beat = message("heartbeat", &format!("home-{number}"), json!({}));
                if let Err(error) = stream.write_all(&beat).await {
                    break error.to_string();
                }
            }
            Err(_) => {}
        }
    };
    let _ = up.send(Err(format!("connection {number} ended: {ended}"))).await;
}

/// Everything between the connection and a link that is up: WebSocket handshake and introductions.
async fn introduce(stream: &mut TcpStream, id: &str) -> Result<(), String> {
    let request = format!(
        "GET /ws/federation HTTP/1.1\r\nHost: hub\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: relay.1\r\nX-Relay-Node-ID: {id}\r\nX-Relay-Node-Type: home\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.map_err(|error| error.to_string())?;
    // Whatever comes behind the head belongs to the challenge.
    let mut input = read_until(stream, b"\r\n\r\n").await?;
    let head = find(&input, b"\r\n\r\n").map_or(0, |end| end + 4);
    input.drain(..head);
    let (header, challenge) = match read_frame(stream, input).await? {
        Frame { header, body: Body::Challenge(challenge) } => (header, challenge),
        other => return Err(format!("{other:?} instead of a challenge")),
    };
    let me: NodeId = id.parse().map_err(|error| format!("{id}: {error}"))?;
    let key = key_of(id);
    let ours = Party { node: &me, kind: NodeKind::Home, key: public(&key), nonce: Hex([7; 32]) };
    let theirs = Party {
        node: &header.source.id,
        kind: header.source.kind,
        key: challenge.public_key,
        nonce: challenge.nonce,
    };
    let proof = Handshake { dialler: ours, acceptor: theirs }.prove(End::Dialler, &key, None);
    let services =
        json!({ "services": [{ "name": format!("service-of-{id}"), "methods": ["get", "list"] }] });
    for said in [message("proof", id, json!(proof)), message("registration", id, services)] {
        stream.write_all(&said).await.map_err(|error| error.to_string())?;
    }
    read_until(stream, b"\"registration\"").await.map(drop)
}

/// A key for each Home, as each has its own.
fn key_of(id: &str) -> SigningKey {
    let mut seed = [0; 32];
    seed[..id.len()].copy_from_slice(id.as_bytes());
    SigningKey::from_bytes(&seed)
}

/// A message as a masked text frame. The mask is zero, so that the text is as it is.
fn message(kind: &str, id: &str, data: serde_json::Value) -> Vec<u8> {
    let text = json!({
        "type": kind,
        "message_id": format!("{id}-{kind}"),
        "timestamp": "2026-01-02T03:04:05.678Z",
        "source_node": { "type": "home", "id": id },
        "routing_path": [],
        "data": data,
    });
    let text = text.to_string().into_bytes();
    let length = u16::try_from(text.len()).expect("our own messages are short").to_be_bytes();
    let mut frame = vec![0x81, 0x80 | 126, length[0], length[1], 0, 0, 0, 0];
    frame.extend(text);
    frame
}

/// The first message; what has been read of it so far is in `input`.
async fn read_frame(stream: &mut TcpStream, mut input: Vec<u8>) -> Result<Frame, String> {
    loop {
        // A server's frames are not masked, and this one has from 126 to 65,535 bytes.
        if let [0x81, 126, high, low, text @ ..] = &input[..]
            && let Some(text) = text.get(..usize::from(u16::from_be_bytes([*high, *low])))
        {
            let text = std::str::from_utf8(text).map_err(|error| error.to_string())?;
            return decode(text).map_err(|error| error.to_string());
        }
        if stream.read_buf(&mut input).await.map_err(|error| error.to_string())? == 0 {
            return Err(format!("closed after {}", String::from_utf8_lossy(&input)));
        }
    }
}

/// Reads until this has come; gives all that was read.
async fn read_until(stream: &mut TcpStream, what: &[u8]) -> Result<Vec<u8>, String> {
    let mut input = Vec::new();
    loop {
        if stream.read_buf(&mut input).await.map_err(|error| error.to_string())? == 0 {
            return Err(format!("closed after {}", String::from_utf8_lossy(&input)));
        }
        if find(&input, what).is_some() {
            return Ok(input);
        }
    }
}
