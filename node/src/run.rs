//! The assembly of a node.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rand::Rng as _;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, HomeRole, MainRole, PeerLists, Role};
use crate::env::Env;
use crate::federation::{Router, RouterConfig};
use crate::http::{self, Guard, NodeFacts};
use crate::link::{
    Acquaintance, Keyring, PeerSource, RelayUrl, Switchboard, mesh, remember, sources, uplink,
};
use crate::metadata::{DirectoryError, Me, Offer, PeerDirectory};
use crate::service::Services;
use crate::store::{Identity, IdentityError, Peers, Store, StoreError, admin_token};
use crate::wire::{NodeKind, Registration};

/// How often a closing node looks whether its calls have ended, in milliseconds.
const DRAIN_POLL_MILLIS: u64 = 20;

/// Time for a goodbye to reach the neighbours, and for what they had sent by then to come in, in milliseconds.
const GOODBYE_MILLIS: u64 = 500;

/// Time that links have to send what they still hold, in milliseconds.
const FAREWELL_MILLIS: u64 = 300;

/// Why a node could not start.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It does not know who it is.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// It cannot remember.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its port is not to be had.
    #[error("cannot listen on {0}: {1}; choose another with -port")]
    Listen(SocketAddr, io::Error),
    /// It cannot take part in the DHT.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

impl RunError {
    /// Whether what lies on the disk is not what this node wrote there: no other try helps, somebody has to look.
    pub const fn is_damage(&self) -> bool {
        matches!(
            self,
            RunError::Identity(IdentityError::Damaged { .. } | IdentityError::NoPair)
                | RunError::Store(StoreError::Damaged(_))
                | RunError::Directory(DirectoryError::Store(StoreError::Damaged(_)))
        )
    }
}

/// Runs a node until `shutdown` completes; then no new calls are taken, those under way end, and all links close.
///
/// # Errors
/// When the node cannot start. Once it runs, nothing that others do ends it.
pub async fn run(
    config: Config,
    env: Env,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), RunError> {
    let Config { role, node_id, services, timing, limits, trust, tokens, dht } = config;
    let kind = role.kind();
    let identity = Identity::load_or_create(&env, kind, node_id).await?;
    let name = match kind {
        NodeKind::Main => "Main",
        NodeKind::Home => "Home",
    };
    let made = if identity.generated { "auto-generated " } else { "" };
    tracing::info!("Starting as {name} Relay with {made}node ID {}", identity.id);

    // All that is on disk, before anybody can come.
    let store = Store::open(&env, kind).await?;
    let guard = Guard {
        me: identity.id.clone(),
        rpc: tokens.rpc,
        admin: match (tokens.admin, kind) {
            (None, NodeKind::Main) => Some(admin_token(&env).await.map_err(IdentityError::Storage)?),
            (given, _) => given,
        },
        allow_legacy: trust.allow_legacy,
    };
    let (Role::Main(MainRole { listen, .. }) | Role::Home(HomeRole { listen, .. })) = &role;
    let listener = env.network.listen(*listen).await.map_err(|error| RunError::Listen(*listen, error))?;
    let local = listener.local_addr();
    let tls = matches!(&role, Role::Main(main) if main.tls);
    if let Role::Main(main) = &role
        && main.tls
        && main.address.is_none()
    {
        tracing::warn!(
            "others hear of this Main by its IP address, which its certificate has to name; with \
             -advertise wss://NAME:PORT they hear its name"
        );
    }
    let services = Services::new(services);
    let offers = services.offers();
    let address = match &role {
        Role::Main(main) => main.address.as_ref().map(ToString::to_string),
        Role::Home(_) => None,
    };
    let router = RouterConfig {
        me: identity.id.clone(),
        kind,
        introduction: Registration {
            services: offers.clone(),
            public_key: Some(identity.public_key()),
            boot: Some(format!("{:016x}", env.rng("boot").next_u64())),
            address: address.clone(),
            listen_port: (kind == NodeKind::Main).then(|| local.port()),
            tls,
            peers: Vec::new(),
            identity: None,
        },
        balance: match &role {
            Role::Main(main) => main.balance.clone(),
            Role::Home(_) => BTreeMap::new(),
        },
        registry_ttl: timing.registry_ttl,
        call_timeout: timing.call_timeout,
        home_calls_per_second: limits.home_calls_per_second,
    };
    let facts = NodeFacts {
        public_key: identity.public_key(),
        address: address.unwrap_or_else(|| match kind {
            NodeKind::Main => RelayUrl::at(local, tls).to_string(),
            NodeKind::Home => format!("http://{local}"),
        }),
        tls,
        services: offers,
    };
    let directory = match &dht {
        Some(settings) => {
            let offer = Offer { listen: local, tls, advertised: advertised(&role) };
            let me = Me::new(identity.key.clone(), identity.id.clone(), kind, offer);
            Some(PeerDirectory::open(&env, store.clone(), settings, me).await?)
        }
        None => None,
    };
    let keyring = Keyring::load(identity.id, identity.key, trust, store.clone()).await?;
    let known = Acquaintance { keyring, store: store.clone(), directory };
    let board = Switchboard::new(env.clone(), timing, limits, services, router, known);
    let mut peers = Peers::default();
    if kind == NodeKind::Main {
        remember::restore(&board).await?;
        peers = store.peers().await?;
    }
    tracing::info!("listening on {}://{local}", if tls { "https" } else { "http" });
    let closing = CancellationToken::new();
    env.spawn("timer", Arc::clone(&board).run_timer());
    if let Some(directory) = board.directory() {
        directory.start(&board);
    }
    env.spawn("http", http::serve(Arc::clone(&board), listener, facts, guard, closing.clone()));
    match role {
        Role::Main(main) => meet_peers(&board, main, peers),
        Role::Home(home) => env.spawn("uplink", uplink::run(Arc::clone(&board), home.mains)),
    }

    shutdown.await;
    wind_down(&board, &closing).await;
    Ok(())
}

/// The address that a Main is to be reached at, where its operator gave one that is no name.
fn advertised(role: &Role) -> Option<SocketAddr> {
    let Role::Main(MainRole { address: Some(url), .. }) = role else { return None };
    let ip: IpAddr = url.host().trim_start_matches('[').trim_end_matches(']').parse().ok()?;
    Some(SocketAddr::new(ip, url.port()))
}

/// Keeps links up to the Mains that this one is told of: by its operator before a restart, by flag, by file and by DNS.
fn meet_peers(board: &Arc<Switchboard>, main: MainRole, remembered: Peers) {
    mesh::remembered(board, remembered);
    main.peers.iter().for_each(|url| mesh::configured(board, url, PeerSource::Flag));
    let PeerLists { file, srv } = main.listed;
    if let Some(file) = file {
        board.env.spawn("peers-file", sources::follow_file(Arc::clone(board), file));
    }
    if let Some(name) = srv {
        board.env.spawn("peers-srv", sources::follow_srv(Arc::clone(board), name));
    }
    board.env.spawn("remember", remember::run(Arc::clone(board)));
}

/// Ends in good order: no new calls, those under way end, the neighbours know when to come back, all links close.
async fn wind_down(board: &Arc<Switchboard>, closing: &CancellationToken) {
    let (env, timing) = (&board.env, &board.timing);
    tracing::info!("shutting down: no new calls are taken");
    board.drain();
    // The neighbours hear of it first, and send no more. What they have sent by then is still refused in words.
    board.say_goodbye("shutting down");
    env.sleep(Duration::from_millis(GOODBYE_MILLIS)).await;
    let all_ended = async {
        while board.look(Router::in_flight) > 0 {
            env.sleep(Duration::from_millis(DRAIN_POLL_MILLIS)).await;
        }
    };
    if env.deadline(timing.drain, all_ended).await.is_none() {
        let left = board.look(Router::in_flight);
        tracing::warn!("{left} calls did not end within {:?} and are given up", timing.drain);
        board.abandon();
    }
    if board.kind() == NodeKind::Main
        && let Err(error) = remember::keep(board).await
    {
        tracing::error!("what other Mains announced is not kept for the next start: {error}");
    }
    if let Some(directory) = board.directory() {
        directory.close().await;
    }
    closing.cancel();
    board.close_links("shutting down");
    env.sleep(Duration::from_millis(FAREWELL_MILLIS)).await;
    tracing::info!("stopped");
}
