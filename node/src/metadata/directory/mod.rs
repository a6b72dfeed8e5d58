//! What a running node knows of its peers, and what it tells them of itself: the shell around the pure parts of
//! [`metadata`](super), the DHT and the database.
//!
//! [`PeerDirectory`] holds all of it behind one mutex that is never held across an await. Links tell it of relays
//! (`links`), tasks of its own publish what this node says of itself (`publish`), share whom it knows (`share`), look for
//! others (`discover`) and write down what must survive a restart (`keep`). `resolve` looks a peer's metadata up, `place`
//! knows under which address this node is seen, `status` tells operators how things are.

mod discover;
mod keep;
mod links;
mod place;
mod publish;
mod resolve;
mod share;
mod status;
mod ways;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use ed25519_dalek::SigningKey;
use tokio::sync::Notify;

use super::{KnownPeers, MetadataCache, OwnMetadata};
use crate::config::{DhtSettings, MetadataTiming};
use crate::dht::{self, BindError, Driver, Family, Id, QueryLimits, Sockets, mutable_target};
use crate::env::{Env, Instant};
use crate::federation::LinkId;
use crate::link::Switchboard;
use crate::store::{Store, StoreError};
use crate::wire::{NodeId, NodeKind};

use discover::LookedUp;
use links::Linked;
use place::Place;
use publish::Outcome;
use resolve::UnderWay;
use ways::Ways;

pub use links::LinkedRelay;
pub use resolve::{ResolveError, Resolved};
pub use status::Counts;

/// What is known of peers, and told to them.
pub struct PeerDirectory {
    env: Env,
    driver: Arc<Driver>,
    store: Store,
    me: Me,
    timing: MetadataTiming,
    state: Mutex<State>,
    signals: Signals,
}

/// Which node this is.
pub struct Me {
    /// The SHA-1 of its public key.
    peer_id: Id,
    key: SigningKey,
    node_id: NodeId,
    kind: NodeKind,
    /// What is told to everybody, and never changes.
    offer: Offer,
}

/// What a node says of itself that does not depend on where it is.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Where others connect to it: a Main's port.
    pub listen: SocketAddr,
    /// Whether that port speaks TLS.
    pub tls: bool,
    /// The address that its operator advertises, where that is an address.
    pub advertised: Option<SocketAddr>,
}

#[derive(Default)]
struct Signals {
    /// What this node says of itself may have changed.
    own: Notify,
    /// There may be peers that links have not been told of.
    share: Notify,
    /// Other ways into the DHT are known.
    ways: Notify,
}

struct State {
    own: OwnMetadata,
    place: Place,
    outcome: Outcome,
    known: KnownPeers,
    /// Of known peers whose metadata was looked up: what was found.
    looked_up: BTreeMap<Id, LookedUp>,
    cache: MetadataCache,
    under_way: UnderWay,
    links: BTreeMap<LinkId, Linked>,
    ways: Ways,
}

/// Why a node cannot take part in the DHT.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// No socket.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// It cannot remember.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The disk does not work.
    #[error("cannot use the data directory: {0}")]
    Disk(#[from] std::io::Error),
}

impl Me {
    /// The node with this key.
    pub fn new(key: SigningKey, node_id: NodeId, kind: NodeKind, offer: Offer) -> Self {
        let peer_id = mutable_target(key.verifying_key().as_bytes(), b"");
        Me { peer_id, key, node_id, kind, offer }
    }
}

impl PeerDirectory {
    /// Takes up what is on disk, and binds the sockets. Nothing is sent before [`PeerDirectory::start`].
    ///
    /// # Errors
    /// As [`DirectoryError`] says.
    pub async fn open(
        env: &Env,
        store: Store,
        settings: &DhtSettings,
        me: Me,
    ) -> Result<Arc<Self>, DirectoryError> {
        let (now, unix) = (env.clock.now(), env.clock.unix());
        let own = OwnMetadata::resume(store.own_metadata().await?);
        let before = own.current().and_then(|metadata| metadata.content.public.ip);
        let known = KnownPeers::restore(me.peer_id, store.known_peers().await?, unix);
        let mut cache = MetadataCache::new(settings.timing.cache_ttl);
        cache.restore(store.cached_metadata(unix).await?, now, unix);
        let contacts = store.dht_contacts().await?;
        let sockets = Sockets::bind(&*env.network, settings.addresses, settings.port).await?;
        let ids = keep::dht_ids(env).await?;
        let config = dht::Config {
            v4: sockets.speaks(Family::V4).then_some(ids.v4),
            v6: sockets.speaks(Family::V6).then_some(ids.v6),
            // Nobody reaches a Home from outside (BEP 43), and its address is not its own (BEP 42).
            read_only: me.kind == NodeKind::Home,
            follow_address: me.kind == NodeKind::Main,
            require_fitting_ids: false,
            bootstrap: Vec::new(),
            parallel: dht::PARALLEL_QUERIES,
            limits: QueryLimits::default(),
        };
        let driver = Driver::new(env.clone(), sockets, config);
        let state = State {
            own,
            place: Place::new(me.kind, &me.offer, before),
            outcome: Outcome::default(),
            known,
            looked_up: BTreeMap::new(),
            cache,
            under_way: UnderWay::default(),
            links: BTreeMap::new(),
            ways: Ways::new(settings.bootstrap.clone(), contacts),
        };
        let (env, timing) = (env.clone(), settings.timing);
        let (state, signals) = (Mutex::new(state), Signals::default());
        Ok(Arc::new(PeerDirectory { env, driver, store, me, timing, state, signals }))
    }

    /// Begins: the DHT joins, and the tasks run for as long as the node does.
    pub fn start(self: &Arc<Self>, board: &Arc<Switchboard>) {
        for at in self.driver.local_addresses() {
            tracing::info!(peer_id = %self.me.peer_id, "the DHT listens on UDP {at}");
        }
        self.driver.start();
        let env = &self.env;
        env.spawn("dht-ways", ways::run(Arc::clone(self)));
        env.spawn("metadata-publish", publish::run(Arc::clone(self)));
        env.spawn("metadata-share", share::run(Arc::clone(self), Arc::clone(board)));
        env.spawn("metadata-discover", discover::run(Arc::clone(self)));
        env.spawn("metadata-keep", keep::run(Arc::clone(self)));
    }

    /// The SHA-1 of this node's public key.
    pub fn peer_id(&self) -> Id {
        self.me.peer_id
    }

    fn now(&self) -> Instant {
        self.env.clock.now()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("the directory does not panic")
    }
}
