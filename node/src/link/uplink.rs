//! A Home's one outbound connection: kept up, for as long as the Home runs.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::dial::{self, Connected, DialError};
use super::session::End;
use super::{RelayUrl, Switchboard};
use crate::env::Rng;
use crate::federation::Backoff;
use crate::wire::NodeId;

/// How often a Home that hangs on a fallback looks whether a Main that it prefers is back, in seconds. Half of it is
/// drawn, so that the Homes of a hub that comes back do not all find it in the same moment.
const RETURN_SECONDS: f64 = 30.0;

/// The span over which the Homes of a hub that is gone turn to another one, in milliseconds.
const FAILOVER_SPREAD_MILLIS: u64 = 100;

/// A Main that is gone.
struct Lost {
    /// Its place in the order of preference.
    place: usize,
    /// When to come back, where it said so; else zero.
    return_after: Duration,
}

impl Lost {
    fn told(&self) -> bool {
        !self.return_after.is_zero()
    }
}

/// The link to the Main that counts.
struct Current {
    main: NodeId,
    /// Its place in the order of preference.
    place: usize,
    ended: oneshot::Receiver<End>,
}

/// Dials the Mains in their order until one takes us, stays until the link ends, and begins anew with the one after it.
/// On a fallback it looks for the preferred Mains every now and then, and moves back without a gap.
pub async fn run(board: Arc<Switchboard>, mains: Vec<RelayUrl>) {
    let mut backoff = Backoff::new(board.timing.backoff);
    let mut rng = board.env.rng("uplink-backoff");
    let mut first = 0;
    loop {
        let mut left = None;
        if let Some(current) = connect(&board, &mains, first).await {
            backoff.reset();
            let since = board.env.clock.now();
            let lost = stay(&board, &mains, current, &mut rng).await;
            left = Some((lost, board.env.clock.now() - since));
        }
        if board.is_draining() {
            return;
        }
        // The Main that was lost has its turn again after all others: where it is down without a word, dialling it
        // would take as long as a dial may.
        first = left.as_ref().map_or(0, |(lost, _)| (lost.place + 1) % mains.len());
        let wait = match left {
            // Another one may take us at once. A link that did not last is no reason for a tight loop between two.
            Some((lost, lasted))
                if mains.len() > 1 && (lost.told() || lasted >= board.timing.backoff.initial) =>
            {
                spread(&mut rng)
            }
            // A hub that closed in good order has said when to come back, and has spread its Homes out.
            Some((lost, _)) if lost.told() => lost.return_after,
            _ => backoff.next_wait(&mut rng),
        };
        tracing::debug!("next try in {} ms", wait.as_millis());
        board.env.sleep(wait).await;
    }
}

/// The first of these Mains that takes us; `first` is dialled first.
async fn connect(board: &Arc<Switchboard>, mains: &[RelayUrl], first: usize) -> Option<Current> {
    let places = mains.iter().enumerate();
    for (place, url) in places.clone().skip(first).chain(places.take(first)) {
        if board.is_draining() {
            return None;
        }
        match dial::dial(board, url).await {
            Ok(connected) => return Some(carry(board, url, connected, place)),
            Err(error) => tracing::warn!(%url, "cannot connect to the Main: {error}"),
        }
    }
    None
}

/// Carries a link on a task of its own: when another takes its place, both live for a moment.
fn carry(board: &Arc<Switchboard>, url: &RelayUrl, connected: Connected, place: usize) -> Current {
    let main = connected.node.clone();
    tracing::info!(%main, %url, "connected to the Main");
    let (tell, ended) = oneshot::channel();
    let task_board = Arc::clone(board);
    board.env.spawn("uplink-session", async move {
        // Nobody listens where another link has taken this one's place.
        let _ = tell.send(connected.run(&task_board).await);
    });
    Current { main, place, ended }
}

/// Stays with a Main until the link ends.
async fn stay(board: &Arc<Switchboard>, mains: &[RelayUrl], mut current: Current, rng: &mut Rng) -> Lost {
    loop {
        let look = async {
            if current.place == 0 {
                std::future::pending::<()>().await;
            }
            board.env.sleep(half_drawn(rng)).await;
        };
        tokio::select! {
            biased;
            end = &mut current.ended => return lost(board, &current, end),
            () = look => {}
        }
        for (place, url) in mains[..current.place].iter().enumerate() {
            // A Main that is down without a word takes all of a dial's time; the link that there is may end in it.
            let dialled = tokio::select! {
                biased;
                end = &mut current.ended => return lost(board, &current, end),
                dialled = dial::dial(board, url) => dialled,
            };
            match dialled {
                Ok(connected) => {
                    current = carry(board, url, connected, place);
                    break;
                }
                // The same Main by another URL: there is nothing to move to.
                Err(DialError::Duplicate(..)) => break,
                Err(error) => tracing::debug!(%url, "the preferred Main is not back yet: {error}"),
            }
        }
    }
}

fn lost(board: &Switchboard, current: &Current, end: Result<End, oneshot::error::RecvError>) -> Lost {
    let end = end.unwrap_or(End::Closed("the session was dropped"));
    tracing::warn!(main = %current.main, "lost the Main: {end}");
    board.metrics.reconnecting();
    let return_after = match end {
        End::Goodbye(goodbye) => goodbye.return_after(),
        _ => Duration::ZERO,
    };
    Lost { place: current.place, return_after }
}

/// A moment drawn for the Homes of a hub that is gone: they all notice at once.
fn spread(rng: &mut Rng) -> Duration {
    use rand::RngExt;
    Duration::from_millis(rng.random_range(0..=FAILOVER_SPREAD_MILLIS))
}

fn half_drawn(rng: &mut Rng) -> Duration {
    use rand::RngExt;
    Duration::from_secs_f64(RETURN_SECONDS * rng.random_range(0.5..=1.0))
}
