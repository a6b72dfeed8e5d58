//! Looks for peers every half minute: announces this node under the topic of the mesh, follows others' announcements into
//! the DHT, and looks up what newly known peers say of themselves, to know which can be connected to.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;

use super::{PeerDirectory, State};
use crate::dht::Id;
use crate::env::Instant;
use crate::metadata::TOPIC;
use crate::wire::NodeKind;

/// Announced again after this, in seconds: keepers forget announcements after three times as long.
const ANNOUNCE_SECONDS: u64 = 15 * 60;

/// With fewer contacts than this the topic is looked up in each round: its announcers are ways in.
const CONTACTS_ENOUGH: usize = 8;

/// Known peers that are looked up in one round, relays first. All else is looked up when somebody asks.
const LOOKUPS_PER_ROUND: usize = 4;

/// In a mesh of more peers than this only the relays among them are: everybody can be reached through those.
const SMALL_MESH_PEERS: usize = 64;

pub(super) async fn run(directory: Arc<PeerDirectory>) {
    let env = &directory.env;
    let mut rng = env.rng("metadata-discover");
    let mut announce_at = directory.now();
    loop {
        // Not all nodes that started together at the same moment.
        let wait = directory.timing.discovery.mul_f64(rng.random_range(0.8..1.0));
        env.sleep(wait).await;
        announce_at = directory.round(announce_at).await;
    }
}

impl PeerDirectory {
    /// One round; says when to announce next.
    async fn round(&self, announce_at: Instant) -> Instant {
        let topic = Id::hash(&[TOPIC.as_bytes()]);
        let is_due = announce_at <= self.now();
        let contacts = self.driver.look(crate::dht::Dht::contact_count);
        let mut next = announce_at;
        if contacts > 0 && is_due {
            next = self.now() + Duration::from_secs(ANNOUNCE_SECONDS);
            // Nobody could ask a Home.
            if self.me.kind == NodeKind::Main
                && let Ok((report, _)) = self.driver.announce(topic).await
            {
                tracing::debug!(taken = report.taken.len(), "announced under {TOPIC}");
            }
        }
        if (is_due || contacts < CONTACTS_ENOUGH)
            && let Ok((peers, _)) = self.driver.get_peers(topic).await
        {
            tracing::debug!(peers = peers.len(), "announced themselves under {TOPIC}");
            self.found_announced(peers);
        }
        for peer in self.never_looked_up() {
            match self.resolve(peer).await {
                Ok(found) if found.metadata.is_connectable() => {
                    tracing::debug!(%peer, "discovered peer");
                }
                Ok(_) => {
                    tracing::debug!(%peer, "filtered out: it cannot be connected to, being private without a relay");
                }
                Err(error) => {
                    tracing::debug!("failed to query metadata: {error}");
                    // Its turn comes again after all others.
                    self.lock().pass_over(peer);
                }
            }
        }
        next
    }

    fn never_looked_up(&self) -> Vec<Id> {
        let state = self.lock();
        let mut next = Vec::with_capacity(LOOKUPS_PER_ROUND);
        let kinds: &[bool] = if state.known.len() <= SMALL_MESH_PEERS { &[true, false] } else { &[true] };
        for relays in kinds {
            let waiting = state
                .known
                .iter()
                .filter(|peer| peer.is_relay == *relays && !state.connectable.contains_key(&peer.peer_id));
            next.extend(waiting.take(LOOKUPS_PER_ROUND - next.len()).map(|peer| peer.peer_id));
        }
        next
    }
}

impl State {
    /// Nothing is published yet by that peer: as far as we know it cannot be connected to.
    fn pass_over(&mut self, peer: Id) {
        if self.known.get(&peer).is_some() {
            self.connectable.insert(peer, false);
        }
    }
}
