//! Ways into the DHT: what the operator gave, the relays that this node is linked with, contacts from before a restart,
//! and those that announce themselves under our topic.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::PeerDirectory;
use crate::config::BootstrapAddress;
use crate::dht::Contact;

/// Names that the operator gave are looked up again after this, in seconds.
const RESOLVE_SECONDS: u64 = 300;

/// The longest that one of them may take to be looked up, in seconds.
const RESOLVE_LIMIT_SECONDS: u64 = 10;

/// Ways in that are kept at the same time.
pub(super) const WAYS_MAX: usize = 64;

/// Contacts from before a restart are asked in batches, this many seconds apart.
const MEET_SPACING_SECONDS: u64 = 3;

/// Where the DHT could be entered.
pub(super) struct Ways {
    given: Vec<BootstrapAddress>,
    /// What the given ones stand for, as last looked up.
    resolved: Vec<SocketAddr>,
    /// Contacts from before a restart that were not asked yet.
    remembered: Vec<Contact>,
    /// Those that announced themselves under our topic.
    announced: BTreeSet<SocketAddr>,
}

impl Ways {
    pub(super) fn new(given: Vec<BootstrapAddress>, remembered: Vec<Contact>) -> Self {
        Ways { given, resolved: Vec::new(), remembered, announced: BTreeSet::new() }
    }

    /// How many are known, besides links.
    pub(super) fn len(&self) -> usize {
        self.resolved.len() + self.announced.len()
    }
}

pub(super) async fn run(directory: Arc<PeerDirectory>) {
    let env = &directory.env;
    let remembering = Arc::clone(&directory);
    env.spawn("dht-remember", async move { remembering.meet_remembered().await });
    let mut look_again = directory.now();
    loop {
        if look_again <= directory.now() {
            directory.look_up_given().await;
            look_again = directory.now() + Duration::from_secs(RESOLVE_SECONDS);
        }
        directory.driver.set_ways_in(directory.ways()).await;
        tokio::select! {
            biased;
            () = directory.signals.ways.notified() => {}
            () = env.clock.sleep_until(look_again) => {}
        }
    }
}

impl PeerDirectory {
    /// Those whom the topic's announcements name.
    pub(super) fn found_announced(&self, peers: Vec<SocketAddr>) {
        let mut state = self.lock();
        state.ways.announced = peers.into_iter().take(WAYS_MAX).collect();
        drop(state);
        self.signals.ways.notify_one();
    }

    fn ways(&self) -> Vec<SocketAddr> {
        let state = self.lock();
        let linked = state.links.values().filter_map(|linked| linked.dht);
        let all =
            state.ways.resolved.iter().copied().chain(linked).chain(state.ways.announced.iter().copied());
        let own: Vec<SocketAddr> = self.driver.local_addresses().collect();
        let mut seen = BTreeSet::new();
        all.filter(|way| !own.contains(way) && seen.insert(*way)).take(WAYS_MAX).collect()
    }

    async fn look_up_given(&self) {
        let given = self.lock().ways.given.clone();
        let mut resolved = Vec::new();
        for BootstrapAddress { host, port } in &given {
            let limit = Duration::from_secs(RESOLVE_LIMIT_SECONDS);
            match self.env.deadline(limit, self.env.network.resolve(host, *port)).await {
                Some(Ok(addresses)) => {
                    resolved.extend(addresses.into_iter().take(WAYS_MAX - resolved.len()));
                }
                Some(Err(error)) => tracing::warn!("-dht-bootstrap {host}:{port}: {error}"),
                None => tracing::warn!("-dht-bootstrap {host}:{port}: no name server answers"),
            }
        }
        self.lock().ways.resolved = resolved;
    }

    async fn meet_remembered(&self) {
        loop {
            let contacts = self.lock().ways.remembered.clone();
            if contacts.is_empty() {
                return;
            }
            let asked = self.driver.meet(&contacts).await;
            self.lock().ways.remembered.drain(..asked);
            self.env.sleep(Duration::from_secs(MEET_SPACING_SECONDS)).await;
        }
    }
}
