//! What other Mains announced, over a restart: kept on disk while the node runs, taken up when it starts. So it knows the
//! federation before its peers are back; their full lists then replace what it remembered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::Switchboard;
use crate::env::Instant;
use crate::federation::{Registry, Remembered};
use crate::store::{MainSnapshot, StoreError};
use crate::wire::NodeId;

/// How often it is looked whether there is something to keep, in seconds.
const LOOK_SECONDS: u64 = 30;

/// Each so many looks it is noted who is here: twice an hour, for a time that is kept to the day.
const LOOKS_PER_ROLL_CALL: u64 = 60;

/// How far the times on disk may lag behind, as a share of the time to live: Mains confirm their entries every few
/// seconds, and a write each time would keep the disk busy for nothing.
const LAG_SHARE: u32 = 4;

/// Takes up what is remembered and has not expired. To be called before anything else runs.
///
/// # Errors
/// Where it cannot be read.
pub async fn restore(board: &Arc<Switchboard>) -> Result<(), StoreError> {
    let (now, unix) = (board.env.clock.now(), board.env.clock.unix());
    let snapshot = board.known.store.snapshot(unix).await?;
    let remembered: Vec<Remembered> = snapshot
        .into_iter()
        .map(|MainSnapshot { main, expires_at, services }| Remembered {
            main,
            // A wall clock that was ahead, or is behind now, must not let them live for longer than any live.
            expires: now + expires_at.0.saturating_sub(unix.0).min(board.timing.registry_ttl),
            services,
        })
        .collect();
    if !remembered.is_empty() {
        let services: usize = remembered.iter().map(|main| main.services.len()).sum();
        tracing::info!("remembered {services} services behind {} other Mains", remembered.len());
    }
    board.restore(remembered);
    Ok(())
}

/// Keeps what changes, for ever.
pub async fn run(board: Arc<Switchboard>) {
    let mut kept = Kept::now(&board);
    for look in 1_u64.. {
        board.env.sleep(Duration::from_secs(LOOK_SECONDS)).await;
        if look % LOOKS_PER_ROLL_CALL == 0 {
            call_the_roll(&board).await;
        }
        let found = Kept::now(&board);
        let done = if found.edits != kept.edits {
            keep(&board).await
        } else if found.lags_behind(&kept, board.timing.registry_ttl / LAG_SHARE) {
            confirm(&board, &found.expiries).await
        } else {
            continue;
        };
        match done {
            Ok(()) => kept = found,
            Err(error) => tracing::error!("what other Mains announced is not kept for a restart: {error}"),
        }
    }
}

/// Keeps all of it as it is now.
///
/// # Errors
/// Where it cannot be written.
pub async fn keep(board: &Arc<Switchboard>) -> Result<(), StoreError> {
    let from = Arc::clone(board);
    board.known.store.replace_snapshot(move || snapshot(&from)).await
}

/// Notes who is here: who stays is not to be taken for one that came once and never again.
async fn call_the_roll(board: &Switchboard) {
    let here: Vec<NodeId> = board.look(|router| router.neighbours().map(|info| info.node.clone()).collect());
    board.known.keyring.see(&board.env, here.into_iter()).await;
}

async fn confirm(board: &Switchboard, expiries: &BTreeMap<NodeId, Instant>) -> Result<(), StoreError> {
    let (now, unix) = (board.env.clock.now(), board.env.clock.unix());
    let expiries = expiries.iter().map(|(main, expires)| (main.clone(), unix + (*expires - now)));
    board.known.store.confirm_snapshot(expiries.collect()).await
}

fn snapshot(board: &Switchboard) -> Vec<MainSnapshot> {
    let (now, unix) = (board.env.clock.now(), board.env.clock.unix());
    let remembered = board.look(|router| router.registry().remembered());
    let snapshots = remembered.into_iter().map(|Remembered { main, expires, services }| MainSnapshot {
        main,
        expires_at: unix + (expires - now),
        services,
    });
    snapshots.collect()
}

/// What is on disk.
struct Kept {
    edits: u64,
    expiries: BTreeMap<NodeId, Instant>,
}

impl Kept {
    fn now(board: &Switchboard) -> Self {
        board.look(|router| Kept::of(router.registry()))
    }

    fn of(registry: &Registry) -> Self {
        Kept { edits: registry.edits(), expiries: registry.expiries() }
    }

    fn lags_behind(&self, older: &Kept, lag: Duration) -> bool {
        self.expiries.iter().any(|(main, expires)| match older.expiries.get(main) {
            Some(kept) => *expires - *kept >= lag,
            None => true,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(mains: &[(&str, u64)]) -> Kept {
        let expiries = mains
            .iter()
            .map(|(main, seconds)| (main.parse().unwrap(), Instant::from_nanos(seconds * 1_000_000_000)));
        Kept { edits: 0, expiries: expiries.collect() }
    }

    #[test]
    fn times_are_written_when_they_lag_far_behind() {
        let lag = Duration::from_secs(150);
        let older = kept(&[("a", 600), ("b", 700)]);
        assert!(!kept(&[("a", 749), ("b", 700)]).lags_behind(&older, lag));
        assert!(kept(&[("a", 600), ("b", 850)]).lags_behind(&older, lag));
        assert!(kept(&[("a", 600), ("c", 1)]).lags_behind(&older, lag), "a Main without services is new");
        assert!(!kept(&[("a", 600)]).lags_behind(&older, lag), "one that expired was an edit, or had none");
    }
}
