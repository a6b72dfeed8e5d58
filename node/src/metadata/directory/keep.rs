//! Forgets what has expired, and writes down what must survive a restart: known peers, looked-up metadata, contacts of
//! the DHT, and this node's ids in it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::{PeerDirectory, State};
use crate::dht::{Contact, Dht, Family, Id};
use crate::env::Env;

/// Where the ids in the DHT lie on the node's disk: that of IPv4, then that of IPv6, a line each.
const DHT_ID_FILE: &str = "dht_node_id";

/// The first round comes so soon, in seconds: who is killed in its first minute finds back as well.
const FIRST_ROUND_SECONDS: u64 = 5;

/// Contacts are written in one of so many rounds, and until there are some in each: after a restart most of them are there
/// still.
const CONTACT_ROUNDS: u32 = 10;

/// Contacts that are written. A full table holds some hundred.
const CONTACTS_KEPT_MAX: usize = 256;

/// This node's ids in the DHT of each family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DhtIds {
    pub(super) v4: Id,
    pub(super) v6: Id,
}

pub(super) async fn run(directory: Arc<PeerDirectory>) {
    let (mut round, mut ids, mut contacts) = (0_u32, None, Vec::new());
    let mut wait = directory.timing.cache_cleanup.min(Duration::from_secs(FIRST_ROUND_SECONDS));
    loop {
        directory.env.sleep(wait).await;
        wait = directory.timing.cache_cleanup;
        let expired = {
            let now = directory.now();
            directory.lock().cache.expire(now)
        };
        if expired > 0 {
            tracing::debug!(expired, "cleanup of expired entries");
        }
        directory.forget_unknown();
        directory.still_linked();
        directory.keep_peers().await;
        // Soon after the start, and then every now and then.
        if round.is_multiple_of(CONTACT_ROUNDS) || contacts.is_empty() {
            contacts = directory.keep_contacts(contacts).await;
            ids = directory.keep_ids(ids).await;
        }
        round = round.wrapping_add(1);
    }
}

impl PeerDirectory {
    /// Writes down everything that a restart is to find, before this node ends.
    pub async fn close(&self) {
        self.keep_peers().await;
        self.keep_contacts(Vec::new()).await;
        self.keep_ids(None).await;
    }

    /// Peers at the other end of links are seen for as long as those are up.
    fn still_linked(&self) {
        let unix = self.env.clock.unix();
        let State { known, links, .. } = &mut *self.lock();
        for peer in links.values().filter_map(|linked| linked.peer) {
            known.seen(&peer, unix);
        }
    }

    async fn keep_peers(&self) {
        let (now, unix) = (self.now(), self.env.clock.unix());
        let (peers, cached) = {
            let mut state = self.lock();
            (state.known.take_changes(), state.cache.take_changes(now, unix))
        };
        let (changed, looked_up) = (peers.upserts.len(), cached.upserts.len());
        if !peers.is_empty()
            && let Err(error) = self.store.keep_known_peers(peers.clone()).await
        {
            tracing::error!("known peers are not kept for a restart yet: {error}");
            self.lock().known.put_back(peers);
        }
        if !cached.is_empty()
            && let Err(error) = self.store.keep_cached_metadata(cached.clone(), unix).await
        {
            tracing::error!("looked-up metadata is not kept for a restart yet: {error}");
            self.lock().cache.put_back(cached);
        }
        if changed + looked_up > 0 {
            tracing::debug!(peers = changed, cached = looked_up, "kept for a restart");
        }
    }

    /// Writes the contacts where they are not those that were written before. Gives what is on disk.
    async fn keep_contacts(&self, before: Vec<Contact>) -> Vec<Contact> {
        let mut contacts = self.driver.look(Dht::contacts);
        contacts.truncate(CONTACTS_KEPT_MAX);
        if contacts.is_empty() || contacts == before {
            return before;
        }
        match self.store.keep_dht_contacts(contacts.clone()).await {
            Ok(()) => {
                tracing::debug!(contacts = contacts.len(), "contacts of the DHT are kept for a restart");
                contacts
            }
            Err(error) => {
                tracing::error!("contacts of the DHT are not kept for a restart: {error}");
                before
            }
        }
    }

    /// Writes the ids where they are not those that were written before: one that follows its node's address has changed.
    async fn keep_ids(&self, before: Option<DhtIds>) -> Option<DhtIds> {
        let (v4, v6) = self.driver.look(|dht| (dht.id(Family::V4), dht.id(Family::V6)));
        let (Some(v4), v6) = (v4.or(v6), v6.or(v4)) else { return before };
        let ids = DhtIds { v4, v6: v6.unwrap_or(v4) };
        if before == Some(ids) {
            return before;
        }
        match write_ids(&self.env, ids).await {
            Ok(()) => Some(ids),
            Err(error) => {
                tracing::error!("this node's id in the DHT is not kept for a restart: {error}");
                before
            }
        }
    }
}

/// The ids on this disk; drawn where there are none, or where what lies there is none: they protect nothing.
pub(super) async fn dht_ids(env: &Env) -> io::Result<DhtIds> {
    let storage = env.storage.clone();
    let stored = env.blocking("dht-ids", move || storage.read(DHT_ID_FILE)).await??;
    let text = stored.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let mut lines = text.lines().map(str::parse::<Id>);
    if let (Some(Ok(v4)), Some(Ok(v6))) = (lines.next(), lines.next()) {
        return Ok(DhtIds { v4, v6 });
    }
    let mut rng = env.rng("dht-ids");
    let ids = DhtIds { v4: Id::random(&mut rng), v6: Id::random(&mut rng) };
    write_ids(env, ids).await?;
    Ok(ids)
}

async fn write_ids(env: &Env, DhtIds { v4, v6 }: DhtIds) -> io::Result<()> {
    let storage = env.storage.clone();
    let text = format!("{v4}\n{v6}\n");
    env.blocking("dht-ids", move || storage.write(DHT_ID_FILE, text.as_bytes())).await?
}
