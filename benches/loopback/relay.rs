//! Relays: four processes, and what a client says to them over HTTP.

use std::collections::VecDeque;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::drive::{Taken, Wire};
use crate::field::{Chain, Kind};
use crate::process::{Server, free_ports, get, listening, local};

const ECHO: &str = "[[service]]\nname = \"echo\"\nkind = \"echo\"\n";

/// Builds the relay of this workspace as its users get it.
pub(crate) fn build() -> Result<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let build = ["build", "--release", "--quiet", "--package", "relay-node", "--bin", "relay"];
    let built = Command::new(env!("CARGO")).args(build).current_dir(&root).status();
    match built {
        Ok(status) if status.success() => {}
        other => return Err(format!("the relay was not built: {other:?}")),
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), PathBuf::from);
    let program = target.join("release/relay");
    program
        .canonicalize()
        .map_err(|error| format!("{}: {error}; name one with -relay NAME=PATH", program.display()))
}

/// Alice and Bob, each at a Main of their own; Bob offers `echo`. Alice has Bob's Main as a fallback.
pub(crate) fn start(program: &Path) -> Result<Chain, String> {
    let dir = tempfile::tempdir().map_err(|error| format!("no temporary directory: {error}"))?;
    let [alice, a, b, bob] = free_ports()?;
    let services = dir.path().join("echo.toml");
    fs::write(&services, ECHO).map_err(|error| format!("{}: {error}", services.display()))?;
    let url = |port: u16| format!("ws://127.0.0.1:{port}");
    let start = |name: &str, port: u16, more: &[&str]| {
        let port = port.to_string();
        let common =
            ["-node-id", name, "-port", &port, "-host", "127.0.0.1", "-log-level", "warn", "-data-dir", name];
        let args: Vec<String> = common.iter().chain(more).map(|arg| (*arg).to_owned()).collect();
        Server::start(program, &args, dir.path(), name)
    };
    // One Home makes all calls: more than an operator would let one make.
    let unlimited = ["-server", "-home-calls-per-second", "0"];
    let main_b = start("relay-b", b, &unlimited)?;
    let main_a = start("relay-a", a, &[&unlimited[..], &["-peers", &url(b)]].concat())?;
    listening(local(a))?;
    listening(local(b))?;
    let home_b = start("bob", bob, &["echo.toml", "-connect", &url(b)])?;
    let home_a = start("alice", alice, &["-connect", &url(a), "-fallback", &url(b)])?;
    let servers = vec![home_a, main_a, main_b, home_b];
    let (door, hub_monitor) = (local(alice), local(a));
    Ok(Chain { servers, kind: Kind::Relay, door, hub_monitor, _responder: None, _dir: dir })
}

/// Whether the caller's Main carries both links of the chain.
pub(crate) fn is_whole(hub: SocketAddr) -> Result<bool, String> {
    Ok(get(hub, "/federation/health")?.contains(r#""connected_homes":1,"connected_peers":1"#))
}

/// `POST /rpc` with `remote_call`, on a connection that is kept.
pub(crate) struct RelayWire {
    request: Vec<u8>,
    /// HTTP answers in the order of the requests.
    waiting: VecDeque<usize>,
    batch: usize,
}

impl RelayWire {
    pub(crate) fn new(payload: usize, batch: usize) -> Self {
        // The quotes are part of the payload.
        let args = "x".repeat(payload.saturating_sub(2));
        let call = format!(
            r#"{{"jsonrpc":"2.0","method":"remote_call","params":{{"service_name":"echo","method":"say","args":"{args}"}},"id":1}}"#
        );
        let body = if batch == 1 { call } else { format!("[{}]", vec![call; batch].join(",")) };
        let head = format!(
            "POST /rpc HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        RelayWire { request: (head + &body).into_bytes(), waiting: VecDeque::new(), batch }
    }
}

impl Wire for RelayWire {
    fn hello(&mut self, _out: &mut Vec<u8>) {}

    fn ask(&mut self, slot: usize, out: &mut Vec<u8>) {
        self.waiting.push_back(slot);
        out.extend_from_slice(&self.request);
    }

    fn take(&mut self, input: &[u8], _out: &mut Vec<u8>) -> Result<Taken, String> {
        let Some(head_end) = find(input, b"\r\n\r\n") else { return Ok(Taken::Incomplete) };
        let head = std::str::from_utf8(&input[..head_end]).map_err(|_| "the head is no text".to_owned())?;
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
        });
        let length = length.ok_or_else(|| format!("no length in: {head}"))?;
        let end = head_end + 4 + length;
        let Some(body) = input.get(head_end + 4..end) else { return Ok(Taken::Incomplete) };
        // One failed call among many would flatter the figures.
        let results = body.windows(9).filter(|window| window == b"\"result\":").take(self.batch + 1).count();
        if self.batch == 1 && !body.starts_with(b"{\"jsonrpc\":\"2.0\",\"result\":")
            || self.batch > 1 && results != self.batch
        {
            return Err(format!("{head}\n{}", String::from_utf8_lossy(body)));
        }
        let slot = self.waiting.pop_front().ok_or("an answer that nobody asked for")?;
        Ok(Taken::Answer { bytes: end, slot, calls: self.batch as u64 })
    }
}

/// Where `needle` begins.
pub(crate) fn find(input: &[u8], needle: &[u8]) -> Option<usize> {
    input.windows(needle.len()).position(|window| window == needle)
}
