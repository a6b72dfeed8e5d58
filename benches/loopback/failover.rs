//! How long a hub's death is felt: the caller's hub is killed, and calls are made all the time until one gets through
//! by the other hub.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::args::Options;
use crate::drive;
use crate::field::{AnyWire, Contender};

/// A call is tried this often, each on a connection of its own.
const EVERY: Duration = Duration::from_millis(5);

/// The longest that a call may take to count.
const PATIENCE: Duration = Duration::from_secs(10);

/// Servers by their place in a chain.
const CALLERS_HUB: usize = 1;

/// Kills hubs, and prints what came of it.
pub(crate) fn run(options: &Options, contenders: &[Contender]) -> Result<(), String> {
    if !options.wants("failover") {
        return Ok(());
    }
    println!(
        "| kill of the caller's hub | first success after ms: best, median, worst of {} |",
        options.rounds
    );
    println!("| --- | ---: |");
    for contender in contenders {
        let mut took = Vec::new();
        for _ in 0..options.rounds {
            let after = measure(contender).map_err(|error| format!("{}: {error}", contender.name))?;
            took.push(after.as_secs_f64() * 1e3);
        }
        took.sort_by(f64::total_cmp);
        let (best, worst) = (took[0], took[took.len() - 1]);
        println!("| {} | {best:.0}, {:.0}, {worst:.0} |", contender.name, took[took.len() / 2]);
    }
    println!();
    Ok(())
}

/// From the kill to the end of the first successful call that was made after it.
fn measure(contender: &Contender) -> Result<Duration, String> {
    let mut chain = contender.start()?;
    // Time for whatever else they want to tell each other.
    std::thread::sleep(Duration::from_secs(1));
    chain.servers[CALLERS_HUB].kill();
    let killed = Instant::now();
    let (tell, told) = mpsc::channel();
    while killed.elapsed() < PATIENCE {
        let (door, wire, tell) = (chain.door, chain.wire(128, 1), tell.clone());
        std::thread::spawn(move || attempt(door, wire, &tell));
        match told.recv_timeout(EVERY) {
            Ok(succeeded) => return Ok(succeeded - killed),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    Err(format!("no call succeeded within {PATIENCE:?} of the kill"))
}

fn attempt(door: SocketAddr, wire: AnyWire, tell: &mpsc::Sender<Instant>) {
    if drive::one_call(door, wire).is_ok() {
        // Another attempt may have been first; then nobody listens.
        let _ = tell.send(Instant::now());
    }
}
