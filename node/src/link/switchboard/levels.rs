//! What is looked up when somebody asks for metrics.

use super::Switchboard;
use crate::federation::{BreakerState, Level, LinkRole};
use crate::metrics::Levels;

impl Switchboard {
    /// What is to be looked up for the metrics.
    pub fn levels(&self) -> Levels {
        let state = self.lock();
        let mut levels = Levels {
            services: state.router.registry().counts(),
            in_flight: state.router.in_flight(),
            failed_here: state.router.failures().collect(),
            breaker_changes: state.router.breaker_changes(),
            tables: state.router.levels().chain(state.peers.levels()).collect(),
            ..Levels::default()
        };
        for (_, _, breaker) in state.router.tripped(self.env.clock.now()) {
            match breaker {
                BreakerState::Open { .. } => levels.breakers.0 += 1,
                BreakerState::Closed | BreakerState::HalfOpen => levels.breakers.1 += 1,
            }
        }
        for info in state.router.neighbours() {
            match info.role {
                LinkRole::Home => levels.links.homes += 1,
                LinkRole::Peer => levels.links.peers += 1,
                LinkRole::Uplink => levels.links.uplinks += 1,
            }
        }
        for outbox in state.outboxes.values() {
            let (control, data) = outbox.depths();
            levels.queued = (levels.queued.0 + control, levels.queued.1 + data);
        }
        levels.tables.extend(fullest(state.outboxes.values().map(|outbox| outbox.levels())));
        if let Some(directory) = &self.known.directory {
            levels.tables.extend(directory.levels());
            levels.directory = Some(directory.counts());
        }
        levels
    }
}

/// Of each table that every link has, the one with the most in it.
fn fullest(links: impl Iterator<Item = [Level; 3]>) -> impl Iterator<Item = Level> {
    let fuller = |one: Level, other: Level| if other.entries > one.entries { other } else { one };
    links.reduce(|one, other| std::array::from_fn(|at| fuller(one[at], other[at]))).into_iter().flatten()
}
