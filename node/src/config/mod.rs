//! What a node is to be: flags and a file become a [`Config`] that is valid by construction.

mod access;
mod args;
mod dht;
mod launch;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::federation::{BackoffPolicy, Policy, Secret, TrustPolicy};
use crate::link::{RelayUrl, SrvName};
use crate::service::ServiceSpec;
use crate::wire::{NodeId, NodeKind};

pub use args::{Args, Parsed, parse_args};
pub(crate) use args::{double_dash, single_dash};
pub use dht::{BadBootstrapAddress, BindAddresses, BootstrapAddress, DHT_PORT, DhtSettings, MetadataTiming};
pub use launch::{Launch, LaunchError, LogFormat, log_filter};

/// A node, ready to be run.
#[derive(Clone, Debug)]
pub struct Config {
    /// Main or Home, with what only that kind has.
    pub role: Role,
    /// Where its id comes from.
    pub node_id: NodeIdSource,
    /// The services that it offers.
    pub services: Vec<ServiceSpec>,
    /// How long things may take.
    pub timing: Timing,
    /// How large things may be.
    pub limits: Limits,
    /// Whom it lets in.
    pub trust: TrustPolicy,
    /// What its HTTP clients must show.
    pub tokens: Tokens,
    /// How it takes part in the DHT; not at all where it is `None`.
    pub dht: Option<DhtSettings>,
}

/// What HTTP clients must show in `Authorization: Bearer …`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// For `POST /rpc`; everybody may call where there is none.
    pub rpc: Option<Secret>,
    /// For the routes that change this relay; one is made and kept in the data directory where there is none.
    pub admin: Option<Secret>,
}

/// Where a node's id comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeIdSource {
    /// The operator gave it.
    Given(NodeId),
    /// It was made up at this start, and the data directory is named after it.
    MadeUp(NodeId),
    /// It lies in the data directory; one is made up and kept there at the first start.
    DataDir,
}

/// The two kinds of node.
#[derive(Clone, Debug)]
pub enum Role {
    /// A public hub.
    Main(MainRole),
    /// A node behind NAT.
    Home(HomeRole),
}

impl Role {
    /// Which of the two it is.
    pub const fn kind(&self) -> NodeKind {
        match self {
            Role::Main(_) => NodeKind::Main,
            Role::Home(_) => NodeKind::Home,
        }
    }
}

/// What only a Main has.
#[derive(Clone, Debug)]
pub struct MainRole {
    /// Where it listens for Homes, peers and HTTP clients.
    pub listen: SocketAddr,
    /// Whether it speaks TLS there, with the certificate of the machine.
    pub tls: bool,
    /// The URL that it tells its peers; they use the address that they see it from where there is none.
    pub address: Option<RelayUrl>,
    /// The Mains that it dials.
    pub peers: Vec<RelayUrl>,
    /// Where more of them are listed.
    pub listed: PeerLists,
    /// How calls of these services are spread, whatever their Homes wish.
    pub balance: BTreeMap<String, Policy>,
}

/// Where Mains to dial are listed, and looked up again and again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerLists {
    /// A file: one URL a line.
    pub file: Option<String>,
    /// A name in DNS.
    pub srv: Option<SrvName>,
}

/// What only a Home has.
#[derive(Clone, Debug)]
pub struct HomeRole {
    /// The Mains that it may hang on, the preferred one first. Never empty.
    pub mains: Vec<RelayUrl>,
    /// Where it answers HTTP clients: a loopback address.
    pub listen: SocketAddr,
}

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Time between two heartbeats on a link.
    pub heartbeat: Duration,
    /// A link from which nothing came for this long is closed.
    pub unhealthy_after: Duration,
    /// Waits between attempts to connect.
    pub backoff: BackoffPolicy,
    /// The longest that one attempt to connect may take, introductions included.
    pub dial: Duration,
    /// The longest that a dialler may take to introduce itself.
    pub handshake: Duration,
    /// How long services of other Mains live without being confirmed.
    pub registry_ttl: Duration,
    /// How long a call waits whose caller says nothing.
    pub call_timeout: Duration,
    /// How long calls under way may take to end at shutdown.
    pub drain: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Timing {
            heartbeat: Duration::from_secs(30),
            unhealthy_after: Duration::from_secs(60),
            backoff: BackoffPolicy { initial: Duration::from_millis(500), cap: Duration::from_secs(15) },
            dial: Duration::from_secs(5),
            handshake: Duration::from_secs(10),
            registry_ttl: Duration::from_secs(600),
            call_timeout: Duration::from_secs(60),
            drain: Duration::from_secs(10),
        }
    }
}

/// How large things may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest message on a link and the largest HTTP request, in bytes.
    pub max_message_bytes: usize,
    /// Connections that one address may have at a time. This machine's own are not counted.
    pub max_connections_per_address: usize,
    /// Calls that one Home may make at this Main in the long run, and twice as many at once; no limit where it is
    /// `None`.
    pub home_calls_per_second: Option<NonZeroU32>,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_message_bytes: 1024 * 1024,
            max_connections_per_address: 256,
            home_calls_per_second: NonZeroU32::new(5_000),
        }
    }
}
