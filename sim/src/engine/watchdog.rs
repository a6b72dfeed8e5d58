//! A poll that never ends is invisible to virtual time: a thread with a real clock looks for it.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

/// Wall-clock time between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A poll that is seen unchanged this often, one [`LOOK_EVERY`] apart, is stuck.
const STUCK_LOOKS: u32 = 10;
/// The process exit code that says so: as for an invariant that is violated.
const STUCK_EXIT_CODE: i32 = 2;

/// What is watched: an engine that polls.
pub(super) trait Watched: Send + Sync + 'static {
    /// The number of the poll that is going on; `None` where none is.
    fn current_poll(&self) -> Option<u64>;

    /// Who is polled, for a message. Must not wait for a lock that a stuck poll may hold.
    fn describe_poll(&self) -> String;
}

/// Watches a run until it is dropped.
pub(super) struct Watchdog {
    _stop: Sender<()>,
}

impl Watchdog {
    /// Starts to watch. Where the system gives no thread, the run goes on unwatched.
    pub(super) fn start<W: Watched>(world: &Arc<W>) -> Self {
        let (stop, stopped) = channel();
        let world = Arc::downgrade(world);
        let thread =
            thread::Builder::new().name("watchdog".to_owned()).spawn(move || watch(&world, &stopped));
        if let Err(error) = thread {
            tracing::warn!(%error, "no thread for the watchdog; a stuck poll will not be noticed");
        }
        Self { _stop: stop }
    }
}

fn watch<W: Watched>(world: &Weak<W>, stopped: &Receiver<()>) {
    let mut patience = Patience::default();
    while stopped.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
        let Some(world) = world.upgrade() else { return };
        if patience.is_over(world.current_poll()) {
            let seconds = LOOK_EVERY.as_secs() * u64::from(STUCK_LOOKS);
            let who = world.describe_poll();
            eprintln!("{who} has been running for {seconds} s of real time without end");
            std::process::exit(STUCK_EXIT_CODE);
        }
    }
}

/// How often the same poll was seen in a row.
#[derive(Default)]
struct Patience {
    last: Option<u64>,
    looks: u32,
}

impl Patience {
    /// Looks once more; `poll` is the number of the poll that is going on.
    fn is_over(&mut self, poll: Option<u64>) -> bool {
        if poll.is_some() && poll == self.last {
            self.looks += 1;
        } else {
            self.last = poll;
            self.looks = 0;
        }
        self.looks >= STUCK_LOOKS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_and_the_same_poll_ends_its_patience() {
        let mut patience = Patience::default();
        assert!((0..100).all(|poll| !patience.is_over(Some(poll))), "progress");
        assert!((0..100).all(|_| !patience.is_over(None)), "nothing runs");
        assert!((0..STUCK_LOOKS).all(|_| !patience.is_over(Some(7))));
        assert!(patience.is_over(Some(7)));
    }
}
