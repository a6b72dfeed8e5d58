//! Who is measured: relays of one or more versions, and NATS.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::args::Options;
use crate::drive;
use crate::nats::{self, NatsWire};
use crate::process::Server;
use crate::relay::{self, RelayWire};

/// The longest that four servers may take to find each other.
const START_SECONDS: u64 = 20;

/// One program under measurement.
#[derive(Clone, Debug)]
pub(crate) struct Contender {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) program: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Relay,
    Nats,
}

/// Four servers in a row, with an echo service behind the last and callers before the first.
pub(crate) struct Chain {
    /// In the order of a call; the first two are the ones that failover kills and asks.
    pub(crate) servers: Vec<Server>,
    pub(crate) kind: Kind,
    /// Where callers connect.
    pub(crate) door: SocketAddr,
    /// Where the caller's hub tells of its links.
    pub(crate) hub_monitor: SocketAddr,
    /// Ends NATS's echo service when dropped.
    pub(crate) _responder: Option<nats::Responder>,
    pub(crate) _dir: tempfile::TempDir,
}

/// Speaks to either kind.
pub(crate) enum AnyWire {
    Relay(RelayWire),
    Nats(NatsWire),
}

/// The contenders, NATS last.
pub(crate) fn contenders(options: &Options) -> Result<Vec<Contender>, String> {
    let mut all = Vec::new();
    for (name, program) in &options.relays {
        let program = program.canonicalize().map_err(|error| format!("{}: {error}", program.display()))?;
        all.push(Contender { name: name.clone(), kind: Kind::Relay, program });
    }
    if all.is_empty() {
        all.push(Contender { name: "relay".into(), kind: Kind::Relay, program: relay::build()? });
    }
    if options.nats {
        match Command::new("nats-server").arg("--version").output() {
            Ok(output) => {
                let version = String::from_utf8_lossy(&output.stdout);
                println!("{}", version.trim());
                all.push(Contender { name: "NATS".into(), kind: Kind::Nats, program: "nats-server".into() });
            }
            Err(error) => eprintln!(
                "nats-server cannot be run ({error}): NATS is left out. On Debian: apt-get install nats-server"
            ),
        }
    }
    Ok(all)
}

impl Contender {
    /// Starts the four servers, and waits until a call goes through.
    pub(crate) fn start(&self) -> Result<Chain, String> {
        let mut chain = match self.kind {
            Kind::Relay => relay::start(&self.program)?,
            Kind::Nats => nats::start(&self.program)?,
        };
        let begun = Instant::now();
        while let Err(error) = chain.is_up() {
            if begun.elapsed() > Duration::from_secs(START_SECONDS) {
                let words: Vec<String> = chain.servers.iter().map(Server::last_words).collect();
                chain.servers.clear();
                return Err(format!("{}: {error}\n{}", self.name, words.join("\n")));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(chain)
    }
}

impl Chain {
    /// A call gets through, and the chain is whole: a caller that went to the other hub would have an easy life.
    fn is_up(&self) -> Result<(), String> {
        drive::one_call(self.door, self.wire(128, 1))
            .map_err(|error| format!("no call gets through: {error}"))?;
        let is_whole = match self.kind {
            Kind::Relay => relay::is_whole(self.hub_monitor)?,
            Kind::Nats => nats::is_whole(self.hub_monitor)?,
        };
        if is_whole { Ok(()) } else { Err("the caller hangs on another hub than its own".into()) }
    }

    /// What a caller says who sends `payload` bytes, `batch` calls at a time.
    pub(crate) fn wire(&self, payload: usize, batch: usize) -> AnyWire {
        match self.kind {
            Kind::Relay => AnyWire::Relay(RelayWire::new(payload, batch)),
            Kind::Nats => AnyWire::Nats(NatsWire::new(payload)),
        }
    }

    /// Seconds of CPU that the servers have used.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        self.servers.iter().map(Server::cpu_seconds).sum()
    }
}

impl drive::Wire for AnyWire {
    fn hello(&mut self, out: &mut Vec<u8>) {
        match self {
            AnyWire::Relay(wire) => wire.hello(out),
            AnyWire::Nats(wire) => wire.hello(out),
        }
    }

    fn ask(&mut self, slot: usize, out: &mut Vec<u8>) {
        match self {
            AnyWire::Relay(wire) => wire.ask(slot, out),
            AnyWire::Nats(wire) => wire.ask(slot, out),
        }
    }

    fn take(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<drive::Taken, String> {
        match self {
            AnyWire::Relay(wire) => wire.take(input, out),
            AnyWire::Nats(wire) => wire.take(input, out),
        }
    }
}
