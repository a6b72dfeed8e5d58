//! Ways into the DHT: what the operator gave, the relays that this node is linked with, contacts from before a restart,
//! and those that announce themselves under our topic.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rand::seq::SliceRandom;

use super::PeerDirectory;
use crate::config::BootstrapAddress;
use crate::dht::{Contact, look_up};
use crate::env::Rng;

/// Names that the operator gave are looked up again after this, in seconds.
const RESOLVE_SECONDS: u64 = 300;

/// Ways in that are kept at the same time.
pub(super) const WAYS_MAX: usize = 64;

/// Of those, addresses that one name stands for.
const ADDRESSES_PER_NAME_MAX: usize = 8;

/// Of those, announced ones with the same IP address.
const ANNOUNCED_PER_ADDRESS_MAX: usize = 2;

/// Contacts from before a restart are asked in batches, this many seconds apart.
const MEET_SPACING_SECONDS: u64 = 3;

/// Where the DHT could be entered.
pub(super) struct Ways {
    given: Vec<BootstrapAddress>,
    /// What each of the given ones stands for, as it was last found out.
    resolved: Vec<Vec<SocketAddr>>,
    /// Contacts from before a restart that were not asked yet.
    remembered: Vec<Contact>,
    /// Those that announced themselves under our topic.
    announced: BTreeSet<SocketAddr>,
}

impl Ways {
    pub(super) fn new(given: Vec<BootstrapAddress>, remembered: Vec<Contact>) -> Self {
        Ways { resolved: vec![Vec::new(); given.len()], given, remembered, announced: BTreeSet::new() }
    }

    /// How many are known, besides links.
    pub(super) fn len(&self) -> usize {
        self.resolved.iter().map(Vec::len).sum::<usize>() + self.announced.len()
    }
}

pub(super) async fn run(directory: Arc<PeerDirectory>) {
    let env = &directory.env;
    let remembering = Arc::clone(&directory);
    env.spawn("dht-remember", async move { remembering.meet_remembered().await });
    if !directory.lock().ways.given.is_empty() {
        env.spawn("dht-names", look_up_given(Arc::clone(&directory)));
    }
    let mut rng = env.rng("dht-ways");
    loop {
        directory.driver.set_ways_in(directory.ways(&mut rng)).await;
        directory.signals.ways.notified().await;
    }
}

/// Looks up what the operator's names stand for, again and again. It has a task of its own: a name server that does not
/// answer holds up no other way in.
async fn look_up_given(directory: Arc<PeerDirectory>) {
    loop {
        directory.look_up_given_once().await;
        directory.env.sleep(Duration::from_secs(RESOLVE_SECONDS)).await;
    }
}

impl PeerDirectory {
    /// Those whom the topic's announcements name. Where nobody is named, those that were stay.
    pub(super) fn found_announced(&self, peers: Vec<SocketAddr>) {
        if peers.is_empty() {
            return;
        }
        self.lock().ways.announced = peers.into_iter().collect();
        self.signals.ways.notify_one();
    }

    /// All of them, at most so many. Of those that were announced any, and few of one address: others may have announced
    /// whom they like.
    fn ways(&self, rng: &mut Rng) -> Vec<SocketAddr> {
        let state = self.lock();
        let linked = state.links.values().filter_map(|linked| linked.dht);
        let mut announced: Vec<SocketAddr> = state.ways.announced.iter().copied().collect();
        announced.shuffle(rng);
        let mut per_address: BTreeMap<IpAddr, usize> = BTreeMap::new();
        announced.retain(|way| {
            let count = per_address.entry(way.ip()).or_default();
            *count += 1;
            *count <= ANNOUNCED_PER_ADDRESS_MAX || way.ip().is_loopback()
        });
        // Those under which others see this node are its own, too: asked, it would not answer itself.
        let local = || self.driver.local_addresses();
        let outside = state.place.ip().into_iter().chain(self.driver.seen_as());
        let of_family = |ip: IpAddr| local().filter(move |at| at.is_ipv4() == ip.is_ipv4());
        let outside = outside.flat_map(|ip| of_family(ip).map(move |at| SocketAddr::new(ip, at.port())));
        let own: Vec<SocketAddr> = local().chain(outside).collect();
        let mut seen = BTreeSet::new();
        let all = state.ways.resolved.iter().flatten().copied().chain(linked).chain(announced);
        all.filter(|way| !own.contains(way) && seen.insert(*way)).take(WAYS_MAX).collect()
    }

    async fn look_up_given_once(&self) {
        let given = self.lock().ways.given.clone();
        for (at, way) in given.iter().enumerate() {
            match look_up(&self.env, way).await {
                Ok(mut addresses) => {
                    addresses.truncate(ADDRESSES_PER_NAME_MAX);
                    self.lock().ways.resolved[at] = addresses;
                    self.signals.ways.notify_one();
                }
                Err(error) => tracing::warn!("-dht-bootstrap {way}: {error}"),
            }
        }
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
