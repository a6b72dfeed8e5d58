//! Child processes, and waiting for what they do.

use std::fs::{self, File};
use std::iter;
use std::net::{TcpListener, UdpSocket};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rand::RngExt;
use relay_node::env::Rng;
use serde_json::Value;
use tempfile::TempDir;

use crate::http;

/// The longest that anything may take. Only a failing test takes it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

const POLL: Duration = Duration::from_millis(20);

/// Waits until `probe` gives something.
pub(crate) async fn eventually<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain: {what}");
        tokio::time::sleep(POLL).await;
    }
}

/// Ports that the system gives neither to outgoing connections nor for port 0: one that is free stays so until it is
/// asked for by number.
const QUIET_PORTS: Range<u16> = 10_000..32_000;

/// A loopback port that nobody uses, for a node that must come back on it or be known before it listens.
pub(crate) fn free_port() -> u16 {
    quiet_port(|port| TcpListener::bind(("127.0.0.1", port)).is_ok())
}

/// The same, for datagrams.
pub(crate) fn free_udp_port() -> u16 {
    quiet_port(|port| UdpSocket::bind(("127.0.0.1", port)).is_ok())
}

fn quiet_port(is_free: impl Fn(u16) -> bool) -> u16 {
    let mut rng = rand::make_rng::<Rng>();
    let mut drawn = iter::repeat_with(|| rng.random_range(QUIET_PORTS)).take(1_000);
    drawn.find(|port| is_free(*port)).expect("one of a thousand is free")
}

/// A running program that ends with the test.
pub(crate) struct Process {
    child: Child,
    output: PathBuf,
}

impl Process {
    /// Starts a program that writes what it says into the file `output`.
    pub(crate) fn start(program: &Path, args: &[String], output: PathBuf) -> Self {
        let log = File::create(&output).expect("the test's directory takes files");
        let child = Command::new(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file handle can be cloned"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", program.display()));
        Process { child, output }
    }

    /// What it has written so far.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.output).unwrap_or_default()
    }

    /// Waits until it has written `words`; gives the rest of that line.
    pub(crate) async fn says(&mut self, words: &str) -> String {
        let begun = Instant::now();
        loop {
            let said = self.said();
            // A line counts once it is whole.
            let whole = &said[..said.rfind('\n').map_or(0, |end| end + 1)];
            if let Some((_, rest)) = whole.split_once(words) {
                return rest.lines().next().unwrap_or_default().to_owned();
            }
            let ended = self.child.try_wait().expect("our own child");
            assert!(ended.is_none(), "it ended with {ended:?} before it said {words:?}:\n{said}");
            assert!(begun.elapsed() < PATIENCE, "it never said {words:?}:\n{said}");
            tokio::time::sleep(POLL).await;
        }
    }

    /// Kills it as a crash would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("our own child");
        self.child.wait().expect("our own child");
    }

    /// Asks it to end, as an operator or a service manager does.
    pub(crate) fn terminate(&self) {
        let sent = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(sent.expect("there is a kill command").success());
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("our own child") {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end:\n{}", self.said());
            tokio::time::sleep(POLL).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- {}\n{}", self.output.display(), self.said());
        }
    }
}

/// A relay that is listening.
pub(crate) struct Relay {
    pub(crate) process: Process,
    /// Where it listens, `127.0.0.1:PORT`.
    pub(crate) at: String,
    /// Whether it speaks TLS there.
    pub(crate) tls: bool,
}

impl Relay {
    /// Its URL for other relays.
    pub(crate) fn url(&self) -> String {
        format!("{}://{}", if self.tls { "wss" } else { "ws" }, self.at)
    }

    pub(crate) fn port(&self) -> String {
        self.at.rsplit_once(':').expect("an address with a port").1.to_owned()
    }
}

/// The files of one test, and the relays that it starts.
pub(crate) struct World {
    dir: TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        World { dir: tempfile::tempdir().expect("there is room for temporary files") }
    }

    /// The path of a file of this test.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file of this test and gives its path as text.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).expect("the test's directory takes files");
        self.text(name)
    }

    /// The path of a file of this test as text.
    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().expect("a path in UTF-8").to_owned()
    }

    /// Runs `relay` with these arguments, whatever becomes of it.
    pub(crate) fn relay(&self, name: &str, args: &[&str]) -> Process {
        let program = Path::new(env!("CARGO_BIN_EXE_relay"));
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        // A restarted node gets a file of its own.
        let output = (0..).map(|n| self.path(&format!("{name}.{n}.log"))).find(|path| !path.exists());
        Process::start(program, &args, output.expect("numbers do not run out"))
    }

    /// Starts a Main on a free port and waits until it listens. `more` may hold another `-port`.
    pub(crate) async fn main(&self, name: &str, more: &[&str]) -> Relay {
        let dir = self.text(name);
        let mut args = vec!["-server", "-host", "127.0.0.1", "-node-id", name, "-data-dir", &dir];
        if !more.contains(&"-port") {
            args.extend(["-port", "0"]);
        }
        args.extend(more);
        self.listening(self.relay(name, &args)).await
    }

    /// Starts a Home that offers the services of this text, and waits until it listens, not until it is connected.
    pub(crate) async fn home(&self, name: &str, main: &str, services: &str, more: &[&str]) -> Relay {
        let dir = self.text(name);
        let file = self.file(&format!("{name}.toml"), services);
        let mut args = vec![file.as_str(), "-connect", main, "-node-id", name, "-data-dir", &dir];
        args.extend(more);
        self.listening(self.relay(name, &args)).await
    }

    /// Waits until a relay listens.
    pub(crate) async fn listening(&self, mut process: Process) -> Relay {
        let at = process.says("listening on http").await;
        let (scheme, at) = at.split_once("://").expect("a URL");
        let digits = at.chars().take_while(|c| c.is_ascii_digit() || matches!(c, '.' | ':'));
        Relay { tls: scheme == "s", at: digits.collect(), process }
    }
}

/// A service file with one service of fixed answers.
pub(crate) fn fixed(service: &str, answers: &str) -> String {
    format!("[[service]]\nname = \"{service}\"\nkind = \"static\"\n[service.answers]\n{answers}\n")
}

/// Waits until a Main lists these services and no others, as `name@node scope`, and can reach all of them.
pub(crate) async fn lists(main: &Relay, expected: &[&str]) {
    let what = format!("{} lists {expected:?}", main.at);
    eventually(&what, async || {
        let registry = http::get(&main.at, "/federation/registry").await;
        let lines = registry["services"].as_array()?;
        let mut found: Vec<String> =
            lines.iter().filter(|line| line["reachable"] == true).map(line).collect();
        found.sort();
        (found == expected).then_some(())
    })
    .await;
}

fn line(line: &Value) -> String {
    let text = |field: &str| line[field].as_str().unwrap_or_default().to_owned();
    format!("{}@{} {}", text("name"), text("node_id"), text("scope"))
}
