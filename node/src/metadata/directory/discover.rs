//! Looks for peers every half minute: announces this node under the topic of the mesh, follows others' announcements into
//! the DHT, and looks up what newly known peers say of themselves, to know which can be connected to.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;

use super::resolve::ResolveError;
use super::{PeerDirectory, State};
use crate::dht::Id;
use crate::env::Instant;
use crate::metadata::{Source, TOPIC};
use crate::wire::NodeKind;

/// Announced again after this, in seconds: keepers forget announcements after three times as long.
const ANNOUNCE_SECONDS: u64 = 15 * 60;

/// With fewer contacts than this the topic is looked up in each round: its announcers are ways in.
const CONTACTS_ENOUGH: usize = 8;

/// Known peers that are looked up in one round, relays first. All else is looked up when somebody asks.
const LOOKUPS_PER_ROUND: usize = 4;

/// A peer that could be connected to is looked up again after this, in seconds; one that could not sooner, once the cache
/// has forgotten it.
const RELOOK_SECONDS: u64 = 3_600;

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
            // Nobody could ask a Home.
            let is_done = match self.me.kind {
                NodeKind::Home => true,
                NodeKind::Main => match self.driver.announce(topic).await {
                    Ok((report, _)) => {
                        tracing::debug!(taken = report.taken.len(), "announced under {TOPIC}");
                        !report.taken.is_empty()
                    }
                    Err(_busy) => false,
                },
            };
            if is_done {
                next = self.now() + Duration::from_secs(ANNOUNCE_SECONDS);
            }
        }
        if (is_due || contacts < CONTACTS_ENOUGH)
            && let Ok((peers, _)) = self.driver.get_peers(topic).await
        {
            tracing::debug!(peers = peers.len(), "announced themselves under {TOPIC}");
            self.found_announced(peers);
        }
        for peer in self.to_look_up() {
            match self.resolve(peer).await {
                Ok(found) if found.metadata.is_connectable() => tracing::debug!(%peer, "discovered peer"),
                Ok(_) => {
                    tracing::debug!(%peer, "filtered out: private and without a relay, it cannot be connected to");
                }
                Err(error @ (ResolveError::Alone | ResolveError::Busy)) => {
                    tracing::debug!("failed to query metadata: {error}");
                    break;
                }
                Err(error) => {
                    tracing::debug!("failed to query metadata: {error}");
                    self.lock().looked_up(peer, false, None, self.now());
                }
            }
        }
        next
    }

    /// Whom to look up in this round: those whom nobody has looked up, relays that we have met first; then those that
    /// were looked up longest ago.
    fn to_look_up(&self) -> Vec<Id> {
        let state = self.lock();
        let now = self.now();
        let is_small = state.known.len() <= SMALL_MESH_PEERS;
        let mut waiting: Vec<(Instant, u8, Id)> = state
            .known
            .iter()
            .filter(|peer| is_small || peer.is_relay)
            .filter_map(|peer| {
                let rank = match (peer.is_relay, peer.source) {
                    (true, Source::Link) => 0,
                    (true, Source::Shared) => 1,
                    (false, _) => 2,
                };
                let due = match state.looked_up.get(&peer.peer_id) {
                    None => Instant::default(),
                    Some(looked) => looked.at + self.rest(*looked),
                };
                (due <= now).then_some((due, rank, peer.peer_id))
            })
            .collect();
        waiting.sort_unstable();
        waiting.into_iter().take(LOOKUPS_PER_ROUND).map(|(.., peer)| peer).collect()
    }

    /// How long what was found is left alone.
    fn rest(&self, looked: LookedUp) -> Duration {
        if looked.connectable { Duration::from_secs(RELOOK_SECONDS) } else { self.timing.cache_ttl }
    }

    /// Forgets what was found out about peers that are not known any more.
    pub(super) fn forget_unknown(&self) {
        let State { known, looked_up, .. } = &mut *self.lock();
        looked_up.retain(|peer, _| known.get(peer).is_some());
    }
}

/// Before all versions.
const NO_VERSION: i64 = -1;

/// What a lookup of a known peer found.
#[derive(Clone, Copy, Debug)]
pub(super) struct LookedUp {
    /// Whether the peer could be connected to.
    pub(super) connectable: bool,
    at: Instant,
    /// The latest version that was ever found; none yet where it is negative.
    seq: i64,
}

impl State {
    /// Notes what was found out about a peer, where it is known. `seq` is the version that was found.
    pub(super) fn looked_up(&mut self, peer: Id, connectable: bool, seq: Option<i64>, at: Instant) {
        if self.known.get(&peer).is_some() {
            let seq = seq.unwrap_or(NO_VERSION).max(self.latest_seq(&peer).unwrap_or(NO_VERSION));
            self.looked_up.insert(peer, LookedUp { connectable, at, seq });
        }
    }

    /// The latest version of a peer that was ever found. Whoever offers an earlier one offers what is not so any more.
    pub(super) fn latest_seq(&self, peer: &Id) -> Option<i64> {
        self.looked_up.get(peer).map(|looked| looked.seq).filter(|seq| *seq > NO_VERSION)
    }
}
