//! The servers: child processes that end with their owner, and what the kernel counts of them.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The kernel's unit of CPU time in `/proc/PID/stat` is a hundredth of a second on every Linux that there is.
const TICKS_PER_SECOND: f64 = 100.0;

/// Ports that the system does not give to outgoing connections: a client that dials one before anybody listens could
/// otherwise find itself at the other end.
const QUIET_PORTS: Range<u16> = 10_000..32_000;

/// A running server; killed when dropped.
pub(crate) struct Server {
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts `program`; what it says goes into a file in `dir`.
    pub(crate) fn start(program: &Path, args: &[String], dir: &Path, name: &str) -> Result<Server, String> {
        let log = dir.join(format!("{name}.log"));
        let file = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        let both = file.try_clone().map_err(|error| format!("{}: {error}", log.display()))?;
        let child = Command::new(program)
            .args(args)
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(both)
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", program.display()))?;
        Ok(Server { child, log })
    }

    /// Seconds of CPU that it has used, in all its threads.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        // The second field is the program's name in parentheses, which may hold anything.
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let ticks = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok());
        ticks.sum::<f64>() / TICKS_PER_SECOND
    }

    /// Its proportional set size, in KiB.
    pub(crate) fn memory_kib(&self) -> Result<u64, String> {
        let path = format!("/proc/{}/smaps_rollup", self.child.id());
        let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
        let number =
            line.and_then(|rest| rest.split_whitespace().next()).and_then(|number| number.parse().ok());
        number.ok_or(format!("{path} has no Pss"))
    }

    /// Kills it as a crash would.
    pub(crate) fn kill(&mut self) {
        // It may have ended already; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The last lines of what it said, for an error message.
    pub(crate) fn last_words(&self) -> String {
        let said = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = said.lines().collect();
        lines[lines.len().saturating_sub(5)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// So many loopback ports that nobody uses now.
pub(crate) fn free_ports<const N: usize>() -> Result<[u16; N], String> {
    let mut found = Vec::new();
    for _ in 0..100 * N {
        let port = rand::random_range(QUIET_PORTS);
        if !found.contains(&port) && TcpListener::bind(local(port)).is_ok() {
            found.push(port);
        }
        if let Ok(ports) = found.clone().try_into() {
            return Ok(ports);
        }
    }
    Err(format!("no {N} free ports among {QUIET_PORTS:?}"))
}

/// Waits until a server listens there: whoever connects to it first is then not turned away to another.
pub(crate) fn listening(at: SocketAddr) -> Result<(), String> {
    for _ in 0..400 {
        if TcpStream::connect(at).is_ok() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    Err(format!("nothing listens on {at}"))
}

/// The answer to a `GET` on that port, head and body.
pub(crate) fn get(at: SocketAddr, path: &str) -> Result<String, String> {
    let exchange = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(at)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {at}\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    exchange().map_err(|error| format!("http://{at}{path}: {error}"))
}

/// That port on this machine.
pub(crate) fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
