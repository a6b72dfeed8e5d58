//! A scenario, checked and resolved: what the world is built from.

use std::collections::BTreeMap;
use std::time::Duration;

use relay_node::federation::Policy;

use relay_chaos::{ByteSize, Fault, Rate, Share};

use super::asked::Asked;
use super::dht::DhtPlan;
use super::hosts::{HostIndex, HostSet, Hosts};
use super::network::Network;
use super::parts::{Parameter, Phase};
use super::profile::Profile;
use super::upgrade::Upgrade;

/// What runs, under which load and faults, and what must hold.
///
/// Every name in it is resolved and every value is in range. Times count from the start of the run.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// Its name: lower-case letters, digits, `-` and `_`.
    pub name: String,
    /// What it is for, in a sentence; may be empty.
    pub description: String,
    /// How long it runs, with which seed, how closely watched.
    pub run: RunPlan,
    /// How links behave when nothing is wrong.
    pub network: Network,
    /// Settings of every relay.
    pub node: NodeSettings,
    /// The relays and the services that they offer.
    pub topology: Topology,
    /// Who calls whom.
    pub loads: Vec<Load>,
    /// What goes wrong, by the time at which it begins.
    pub faults: Vec<Fault<HostSet>>,
    /// What must hold.
    pub gates: Gates,
    /// What it was read from.
    pub source: Source,
}

/// The text that a scenario was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its file, as the reader knows it.
    pub name: String,
    /// The whole text.
    pub text: String,
    /// The parameters that it names, with the values that they had.
    pub parameters: Vec<Parameter>,
}

impl Source {
    /// The parameters that were set from outside, and their values.
    pub fn set(&self) -> impl Iterator<Item = (String, String)> + '_ {
        self.parameters.iter().filter(|it| it.is_set).map(|it| (it.name.clone(), it.value.clone()))
    }
}

/// How long a scenario runs, with which seed, how closely watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunPlan {
    /// Virtual time from the start to the end.
    pub duration: Duration,
    /// The seed where the command line gives none; below 2^63.
    pub seed: u64,
    /// How often the Mains' views are read.
    pub probe_interval: Duration,
    /// How often each relay's metrics are read.
    pub report_interval: Duration,
    /// How often each node is asked how it stands in the DHT, while there is something to be waited for.
    pub dht_interval: Duration,
    /// How often each Main's operator changes something; there is none where it is `None`.
    pub operator_every: Option<Duration>,
    /// Its parts that have a name, one after the other from the start on.
    pub phases: Vec<Phase>,
}

/// Settings of every relay; what is `None` is the node's own default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeSettings {
    /// Time between two heartbeats on a link.
    pub heartbeat: Option<Duration>,
    /// A link from which nothing came for so long is given up.
    pub unhealthy_after: Option<Duration>,
    /// The first wait before dialling again.
    pub backoff_initial: Option<Duration>,
    /// The longest wait before dialling again.
    pub backoff_cap: Option<Duration>,
    /// How long a federated entry is kept without news of it.
    pub registry_ttl: Option<Duration>,
    /// The time for a call that names none.
    pub call_timeout: Option<Duration>,
    /// How long a stopping relay waits for the calls in flight.
    pub drain: Option<Duration>,
    /// Calls that one Home may make per second.
    pub home_calls_per_second: Option<u32>,
}

/// The relays and the services that they offer.
#[derive(Clone, Debug, PartialEq)]
pub struct Topology {
    /// The relays: the Mains, then the Homes, each in the order of the file.
    pub hosts: Hosts,
    /// The services, in the order of the file.
    pub services: Vec<Service>,
    /// What names stand for, by the time from which on they do.
    pub dns: Vec<DnsChange>,
    /// The configurations that change while the federation runs, in the order of the file. Their stops are among the faults.
    pub upgrades: Vec<Upgrade>,
    /// The DHT that they are nodes of.
    pub dht: DhtPlan,
}

impl Topology {
    /// Whether a host offers a service at any time, from the start or by an upgrade.
    pub fn offers(&self, host: HostIndex, service: usize) -> bool {
        let later = |upgrade: &Upgrade| {
            upgrade.change.services.as_ref().is_some_and(|services| services.contains(&service))
                && upgrade.batches.iter().any(|batch| batch.hosts.contains(host))
        };
        self.hosts.get(host).services.contains(&service) || self.upgrades.iter().any(later)
    }
}

/// A name stands for these Mains from a certain time on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsChange {
    /// From when on.
    pub at: Duration,
    /// The name of SRV records.
    pub name: String,
    /// The Mains that it stands for.
    pub targets: Vec<HostIndex>,
}

/// A service, offered by every host that lists it.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// The name that it is called by.
    pub name: String,
    /// The methods that it declares; empty: it declares none and takes any (a `static` one: those it has answers for).
    pub methods: Vec<String>,
    /// What answers.
    pub kind: ServiceKind,
    /// How calls by its name are spread; the Mains' default where it is `None`.
    pub balance: Option<Policy>,
}

/// What answers the calls of a [`Service`].
#[derive(Clone, Debug, PartialEq)]
pub enum ServiceKind {
    /// The arguments come back.
    Echo,
    /// A fixed answer for each method.
    Static(BTreeMap<String, serde_json::Value>),
    /// A simulated JSON-RPC server beside the node, asked over HTTP.
    Http(Upstream),
}

/// How the simulated server behind a service of kind `http` behaves. It echoes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// The least time that it takes to answer.
    pub latency: Duration,
    /// Up to this much more, drawn evenly per call.
    pub jitter: Duration,
    /// The share of calls that it answers with an error.
    pub failure_rate: Share,
}

/// Calls made by some hosts.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// Its name in reports.
    pub name: String,
    /// Who calls.
    pub from: HostSet,
    /// Who is called.
    pub target: Target,
    /// What is called.
    pub call: CallPlan,
    /// When calls are made.
    pub arrival: Arrival,
    /// When the first calls are made.
    pub start: Duration,
    /// No call is made from then on.
    pub stop: Duration,
    /// What must hold of its calls.
    pub gates: LoadGates,
}

/// Who is called by a [`Load`].
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// One of these, by node id, drawn evenly for each call, never the caller itself. All of them offer the service.
    Node(HostSet),
    /// Whoever the federation picks for the service's name.
    Service,
}

/// What one call of a [`Load`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallPlan {
    /// The service's name.
    pub service: String,
    /// The method's name.
    pub method: String,
    /// The size of the arguments.
    pub payload: ByteSize,
    /// The time that the caller gives it.
    pub timeout: Duration,
    /// Its priority: a higher one leaves queues first, the lowest is shed first.
    pub priority: i64,
}

/// When the calls of a [`Load`] are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Each host calls at this rate, whether or not earlier calls were answered.
    Open {
        /// Calls of each host.
        rate: Rate,
        /// How they are spread.
        pacing: Pacing,
    },
    /// Each host calls at rates that change with time, whether or not earlier calls were answered.
    Profile(Profile),
    /// Each host has so many callers; each of them waits for its answer, thinks, and calls again.
    Closed {
        /// Callers on each host.
        callers: u32,
        /// Time from an answer to the next call.
        think: Duration,
        /// All callers of a host together make no more than this; `None`: as many as there is time for.
        calls: Option<u64>,
    },
}

/// How the calls of an open load are spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pacing {
    /// Evenly; each host begins at its own random point of the first interval.
    #[default]
    Even,
    /// At random, as many independent users would.
    Poisson,
}

/// What must hold at the end; what is `None` is not asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gates {
    /// Every Main's view of all services equals the truth at most so long after the last start, heal or restart.
    pub convergence: Option<Duration>,
    /// At least this share succeeds of the calls whose path was whole from send to answer.
    pub success: Option<Share>,
    /// At least this share succeeds of all calls, whatever happened to their path.
    pub availability: Option<Share>,
    /// How long successful calls may take.
    pub latency: LatencyGates,
    /// No call takes more hops between relays.
    pub max_hops: Option<u32>,
    /// At least so many calls were made, or the run proved nothing.
    pub min_calls: Option<u64>,
    /// How often hosts came back that had lost a connection.
    pub reconnects: ReconnectGates,
    /// How much things may grow while nothing more is asked of them.
    pub growth: GrowthGates,
    /// What must hold of the DHT.
    pub dht: DhtGates,
    /// What is asked for by name.
    pub asked: Asked,
}

/// What must hold of the DHT; what is `None` is not asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DhtGates {
    /// Every peer that others can connect to knows all others at most so long after the last start, heal or restart.
    pub discovery: Option<Duration>,
    /// At least this share of the lookups gives what is true.
    pub resolution: Option<Share>,
    /// At most so many lookups give what was replaced too long ago.
    pub stale: Option<u64>,
    /// Metadata takes at least this share less of the network after the last upgrade than before the first.
    pub bytes_saved: Option<Share>,
    /// And this share less of the disks.
    pub disk_saved: Option<Share>,
    /// During and after the upgrades at least as many connections to peers succeed as before, as a share.
    pub reach_kept: bool,
}

/// By how much the mean of the last quarter of the run may be above that of the second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GrowthGates {
    /// Live bytes.
    pub memory: Option<Share>,
    /// Each table and queue that relays report, all relays together.
    pub tables: Option<Share>,
}

/// How often hosts may come back to one that they had a connection to before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReconnectGates {
    /// In all.
    pub total: Option<u64>,
    /// To one host within one second.
    pub per_second: Option<u64>,
}

/// What must hold of the calls of one load; what is `None` is not asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadGates {
    /// At least so many succeed, and before the load stops, from its start on.
    pub goodput: Option<Rate>,
    /// At most so many do: a limit is kept.
    pub goodput_max: Option<Rate>,
    /// At least this share succeeds of those whose path was whole from send to answer.
    pub success: Option<Share>,
    /// At least this share succeeds of all.
    pub availability: Option<Share>,
    /// How long those that succeed may take.
    pub latency: LatencyGates,
    /// The longest time that one may take to fail.
    pub fails_within: Option<Duration>,
    /// The codes that those that fail may end with.
    pub fails_with: Option<Vec<i64>>,
}

/// How long successful calls may take, measured from the time at which they were due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LatencyGates {
    /// The median.
    pub p50: Option<Duration>,
    /// Nine of ten.
    pub p90: Option<Duration>,
    /// 99 of a hundred.
    pub p99: Option<Duration>,
    /// 999 of a thousand.
    pub p999: Option<Duration>,
    /// All of them.
    pub max: Option<Duration>,
}

impl Scenario {
    /// Whether any host is a node of the DHT at any time.
    pub fn uses_dht(&self) -> bool {
        let topology = &self.topology;
        topology.hosts.iter().any(|(_, host)| host.dht)
            || topology.upgrades.iter().any(|upgrade| upgrade.change.dht == Some(true))
    }

    /// The settings of relays at any time: those of the start, and those that upgrades give some of them.
    pub fn settings(&self) -> impl Iterator<Item = NodeSettings> + '_ {
        let later = self.topology.upgrades.iter().map(|upgrade| upgrade.change.node.or(self.node));
        std::iter::once(self.node).chain(later)
    }

    /// The hosts that offer the service called `name`, at any time.
    pub fn offering<'a>(&'a self, name: &'a str) -> impl Iterator<Item = HostIndex> + 'a {
        let service = self.topology.services.iter().position(|service| service.name == name);
        self.topology
            .hosts
            .iter()
            .filter(move |(index, _)| service.is_some_and(|it| self.topology.offers(*index, it)))
            .map(|(index, _)| index)
    }
}
