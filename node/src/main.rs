//! The `relay` binary: arguments → configuration → the real world → run.

#![expect(clippy::disallowed_methods, reason = "the command-line front reads the files that it is given")]

use std::io::{ErrorKind, IsTerminal, Write};
use std::process::ExitCode;

use relay_node::command::{DhtCommand, EXIT_USAGE};
use relay_node::config::{Launch, LogFormat, Parsed, parse_args};
use relay_node::env::{Env, Rng};
use relay_node::wire::NodeKind;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// A relay allocates and frees a few small texts for every message: a tenth of its time with the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Data that cannot be used, as in sysexits.h: there is no use in trying again.
const EXIT_DATA: u8 = 65;

fn main() -> ExitCode {
    let args = match parse_args(std::env::args().skip(1)) {
        Parsed::Run(args) => *args,
        Parsed::Dht(command) => return ask(&command),
        Parsed::Print(text) => return print(&text),
        Parsed::Refuse(text) => {
            eprint!("{text}");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let launch =
        match Launch::from_args(args, |file| std::fs::read_to_string(file), &mut rand::make_rng::<Rng>()) {
            Ok(launch) => launch,
            Err(error) => {
                eprintln!("relay: {error}\nTry: relay -help");
                return ExitCode::from(EXIT_USAGE);
            }
        };
    log_to_stderr(&launch);
    let runtime = runtime(&launch).expect("the system gives threads and an event queue");
    let _inside = runtime.enter();
    let env = match Env::on_machine(launch.machine) {
        Ok(env) => env,
        Err(error) => {
            eprintln!("relay: {error}");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let ended = runtime.block_on(relay_node::run(launch.config, env, terminated()));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("relay: {error}");
            if error.is_damage() { ExitCode::from(EXIT_DATA) } else { ExitCode::FAILURE }
        }
    }
}

/// `relay dht …`, which is no relay and has no data directory.
fn ask(command: &DhtCommand) -> ExitCode {
    let runtime =
        Builder::new_current_thread().enable_all().build().expect("the system gives an event queue");
    let said = runtime.block_on(async { command.run(&Env::production("")).await });
    eprint!("{}", said.err);
    match print(&said.out) {
        ExitCode::SUCCESS => ExitCode::from(said.exit),
        failure => failure,
    }
}

/// The tasks' threads. One thread hands work over without waking another, and so gathers more of it for each write: it
/// is the faster choice as long as it is not all busy. A Main leaves half of the cores to the system's own network work.
fn runtime(launch: &Launch) -> std::io::Result<Runtime> {
    let threads = launch.threads.unwrap_or_else(|| match launch.config.role.kind() {
        NodeKind::Home => 1,
        NodeKind::Main => std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2)),
    });
    match threads {
        1 => Builder::new_current_thread().enable_all().build(),
        _ => Builder::new_multi_thread().worker_threads(threads).enable_all().build(),
    }
}

/// `print!` would panic where nobody reads, as in `relay -help | head -1`.
fn print(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            eprintln!("relay: cannot print: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

fn log_to_stderr(launch: &Launch) {
    let filter: Targets = launch.log_level.parse().expect("checked when the flags were read");
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let registry = tracing_subscriber::registry().with(filter);
    match launch.log_format {
        LogFormat::Human => registry.with(lines).init(),
        LogFormat::Json => registry.with(lines.json()).init(),
    }
}

/// Completes on SIGTERM or SIGINT. Listens from the call on, not from the first poll: one that comes while the node
/// starts counts, too.
fn terminated() -> impl Future<Output = ()> + Send {
    let mut terminate = signal(SignalKind::terminate()).expect("the system takes signal handlers");
    let mut interrupt = signal(SignalKind::interrupt()).expect("the system takes signal handlers");
    async move {
        tokio::select! {
            biased;
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}
