//! The DHT of a scenario: how nodes are set, who looks whom up, who disturbs it, and what was there before it.

use std::time::Duration;

use super::hosts::{HostIndex, HostSet};
use super::parts::Window;

/// Everything that a scenario says of the DHT, apart from who takes part: that is a host's own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DhtPlan {
    /// Settings of every node that takes part.
    pub settings: MetadataSettings,
    /// Ways in that every node is given, beside those that it learns over its relay links.
    pub bootstrap: Vec<HostIndex>,
    /// Who looks whom up, in the order of the file.
    pub lookups: Vec<Lookups>,
    /// Nodes of the DHT that are no relays, and mean no good.
    pub strangers: Vec<Strangers>,
    /// The older way to spread metadata, where hosts begin with it.
    pub broadcast: Option<Broadcast>,
}

/// How a node publishes and caches metadata; what is `None` is the node's own default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MetadataSettings {
    /// Time between two publications of the same content.
    pub republish: Option<Duration>,
    /// How long what was looked up is given out again.
    pub cache_ttl: Option<Duration>,
    /// How often what is too old is dropped from the cache.
    pub cache_cleanup: Option<Duration>,
    /// How often new peers are looked for.
    pub discovery: Option<Duration>,
}

impl MetadataSettings {
    /// How long an answer may be given out again: what these settings say, or the node's own default.
    pub fn cache_ttl(&self) -> Duration {
        self.cache_ttl.unwrap_or(DEFAULT_CACHE_TTL)
    }
}

/// The node's own cache TTL.
const DEFAULT_CACHE_TTL: Duration = Duration::from_secs(300);

/// Pairs of hosts of which one looks up the metadata of the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lookups {
    /// Its name in reports.
    pub name: String,
    /// Who asks.
    pub from: HostSet,
    /// About whom.
    pub to: HostSet,
    /// So many pairs, drawn from the seed; nobody asks about itself.
    pub pairs: u32,
    /// Each pair once in this time, evenly spread; once in all where it is `None`.
    pub every: Option<Duration>,
    /// When.
    pub over: Window,
    /// Whether a connection is opened to the address that was found, as somebody would who wants to reach the peer.
    pub connects: bool,
}

/// Hosts that take part in the DHT and are no relays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strangers {
    /// What their names begin with.
    pub name: String,
    /// How many.
    pub count: u32,
    /// What they do.
    pub kind: StrangerKind,
    /// The Mains that they make themselves known to.
    pub bootstrap: Vec<HostIndex>,
    /// Those whose metadata they try to hide: kind `sybil`.
    pub near: Vec<HostIndex>,
    /// From when on.
    pub start: Duration,
}

/// What a stranger does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StrangerKind {
    /// Answers with damaged and random bytes, under wrong ids, with lists that are too long.
    Garbage,
    /// Has an id close to a target, takes what is put and gives out nothing, or what it was given first.
    Sybil,
}

/// The older way: all metadata to all peers on each change, and again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broadcast {
    /// Who begins with it. It ends on a host when an upgrade switches the host's DHT on and its `beside` is over.
    pub hosts: HostSet,
    /// Time between two broadcasts without a change.
    pub every: Duration,
    /// How long it runs beside the DHT on a host that was upgraded.
    pub beside: Duration,
}
