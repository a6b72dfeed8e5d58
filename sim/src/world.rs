//! The hosts of a scenario in a run: built, started, crashed, restarted. The only place that calls
//! [`relay_node::run`].

mod dht;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use relay_chaos::{ByteSize, DiskFailure, Fault, FaultKind, LinkQuality};
use relay_node::config::{Config, HomeRole, Limits, MainRole, NodeIdSource, PeerLists, Role, Timing, Tokens};
use relay_node::env::{Env, SrvRecord};
use relay_node::federation::{Secret, TrustPolicy};
use relay_node::link::RelayUrl;
use relay_node::service::{ServiceKind as NodeService, ServiceSpec};
use tokio::sync::{mpsc, oneshot};

use crate::engine::{Certificate, Cpu, HostId, HostSpec, Link, Nat, NatKind, ProcessId, ProcessKind, Sim};
use crate::scenario::{self, DnsChange, HostIndex, HostSet, Scenario, ServiceKind};
use crate::workload::api::Api;
use crate::workload::dht::broadcaster::Older;

pub use dht::DHT_PORT;

/// The port that Mains listen on.
pub(crate) const MAIN_PORT: u16 = 8080;

/// The loopback port of a Home's API.
const HOME_PORT: u16 = 9000;

/// The loopback ports of simulated upstreams: this one for the scenario's first service, then counting up.
const FIRST_UPSTREAM_PORT: u16 = 10_000;

/// What the Mains of a scenario know of each other.
const PEER_SECRET: &str = "the Mains of one scenario";

/// A disk that has failed, or could not be opened for want of descriptors, is excused for so long after that is over: a
/// relay that starts meanwhile may still have met it.
const DISK_SETTLES: Duration = Duration::from_secs(10);

/// Where a relay keeps its id on its disk.
const NODE_ID_FILE: &str = "node_id";

/// The world of one run.
#[derive(Clone)]
pub struct World {
    /// The engine.
    pub sim: Sim,
    /// What is run.
    pub scenario: Arc<Scenario>,
    state: Arc<Mutex<Vec<HostState>>>,
    strangers: Arc<[HostId]>,
    /// What the older way to spread metadata knows on each host.
    pub(crate) older: Older,
    /// Who wants to know of relays that end by themselves.
    exits: Arc<OnceLock<mpsc::UnboundedSender<HostIndex>>>,
}

struct HostState {
    host: HostId,
    process: Option<ProcessId>,
    /// Why its relay ended by itself, where the last one did.
    exit: Option<String>,
    /// Asks the node to end in good order.
    stop: Option<oneshot::Sender<()>>,
    /// The upgrades that it has, by their place, the latest last.
    upgrades: Vec<usize>,
}

impl World {
    /// All hosts of the scenario, with their links; nothing is started.
    pub fn build(sim: impl Into<Sim>, scenario: Arc<Scenario>) -> World {
        let sim = sim.into();
        let hosts = scenario.topology.hosts.iter().map(|(index, host)| {
            let (address, nat) = if host.is_main() {
                (public_address(index), None)
            } else {
                (private_address(index), Some(nat(public_address(index), host.nat)))
            };
            let machine = host.machine;
            let host = sim.add_host(HostSpec { name: host.name.clone(), address, nat });
            let slows = |fault: &Fault<HostSet>| matches!(&fault.what, FaultKind::Slow(it) if it.hosts.contains(index));
            if scenario.faults.iter().any(slows) {
                sim.event().count_messages(host);
            }
            equip(&sim, host, machine);
            HostState { host, process: None, exit: None, stop: None, upgrades: Vec::new() }
        });
        let state = Arc::new(Mutex::new(hosts.collect()));
        let strangers = dht::add_strangers(&sim, &scenario).into();
        let world = World { sim, scenario, state, strangers, older: Older::default(), exits: Arc::default() };
        world.certify(world.scenario.topology.hosts.iter().map(|(index, _)| index), None);
        for change in world.scenario.topology.dns.iter().filter(|change| change.at.is_zero()) {
            world.change_dns(change);
        }
        world.set_links(&[]);
        world
    }

    /// Makes links behave as the scenario says, changed by these faults.
    pub fn set_links(&self, active: &[Fault<HostSet>]) {
        let scenario = Arc::clone(&self.scenario);
        let changes: Vec<Fault<HostSet>> = active.to_vec();
        self.sim.set_links(Arc::new(move |from, to| {
            let (from, to) = (index_of(from), index_of(to));
            let quality = scenario.network.quality(from, to);
            let change = |quality: LinkQuality, fault: &Fault<HostSet>| match fault
                .degrades(|set| set.contains(from), |set| set.contains(to))
            {
                Some(change) => change.apply(quality),
                None => quality,
            };
            link(changes.iter().fold(quality, change))
        }));
    }

    /// The host's place in the engine.
    pub fn host(&self, index: HostIndex) -> HostId {
        self.lock()[index.as_usize()].host
    }

    /// Where the API of a host's relay is, on its loopback.
    pub fn api_port(&self, index: HostIndex) -> u16 {
        if self.scenario.topology.hosts.get(index).is_main() { MAIN_PORT } else { HOME_PORT }
    }

    /// A client of a host's relay, on its loopback.
    pub fn api(&self, env: Env, index: HostIndex) -> Api {
        let (topology, port) = (&self.scenario.topology, self.api_port(index));
        let changes = topology.upgrades.iter().any(|it| it.cut_over(topology).any(|host| host == index));
        if changes {
            let world = self.clone();
            return Api::following(env, port, move || world.speaks_tls(index));
        }
        Api::with(env, port, topology.hosts.get(index).tls)
    }

    /// Whether a Main speaks TLS now, or will at its next start.
    pub fn speaks_tls(&self, index: HostIndex) -> bool {
        self.scenario.topology.tls_after(index, &self.lock()[index.as_usize()].upgrades)
    }

    /// What a host is and whom it dials now, or will at its next start.
    pub fn role(&self, index: HostIndex) -> scenario::Role {
        self.scenario.topology.role_after(index, &self.lock()[index.as_usize()].upgrades)
    }

    /// Gives those of these hosts that speak TLS at some time a certificate that is valid until `expires`, or for good.
    pub fn certify(&self, hosts: impl IntoIterator<Item = HostIndex>, expires: Option<Duration>) {
        for index in hosts {
            let host = self.scenario.topology.hosts.get(index);
            if self.scenario.topology.has_certificate(index) {
                let names = vec![host.name.clone(), public_address(index).to_string()];
                let certificate = Certificate { names, expires, trusted: true };
                self.sim.set_certificate(self.host(index), Some(certificate));
            }
        }
    }

    /// Gives the translator in front of a Home an address that nobody has had; `moves` counts all such moves.
    pub fn move_nat(&self, index: HostIndex, moves: u32) {
        self.sim.event().move_nat(self.host(index), moved_address(moves));
    }

    /// The secret by which Mains know each other.
    pub fn peer_secret(&self) -> &'static str {
        PEER_SECRET
    }

    /// Has names stand for what the scenario says.
    pub fn change_dns(&self, change: &DnsChange) {
        let records = change.targets.iter().map(|main| SrvRecord {
            priority: 0,
            weight: 0,
            port: MAIN_PORT,
            target: self.scenario.topology.hosts.get(*main).name.clone(),
        });
        self.sim.set_srv(&change.name, records.collect());
    }

    /// Where the simulated upstream of a service is, on the loopback of each host that offers it.
    pub fn upstream_port(service: usize) -> u16 {
        FIRST_UPSTREAM_PORT
            + u16::try_from(service).expect("a scenario has fewer services than there are ports")
    }

    /// Whether the host's relay runs.
    pub fn is_up(&self, index: HostIndex) -> bool {
        self.lock()[index.as_usize()].process.is_some_and(|process| self.sim.alive(process))
    }

    /// The node id of a host's relay; `None` where it makes its own and has not yet.
    pub fn node_id(&self, index: HostIndex) -> Option<String> {
        let host = self.scenario.topology.hosts.get(index);
        match host.node_id {
            scenario::NodeId::HostName => Some(host.name.clone()),
            scenario::NodeId::Generated => {
                let host = {
                    let state = &self.lock()[index.as_usize()];
                    state.process?;
                    state.host
                };
                String::from_utf8(self.sim.stored(host, NODE_ID_FILE)?).ok()
            }
        }
    }

    /// Starts the host's relay.
    pub fn start(&self, index: HostIndex) {
        self.start_as(index, |_| {});
    }

    /// Starts the host's relay with settings of its own.
    pub fn start_as(&self, index: HostIndex, change: impl FnOnce(&mut Config)) {
        let host = self.scenario.topology.hosts.get(index);
        let name = host.name.clone();
        let upgrades = self.lock()[index.as_usize()].upgrades.clone();
        let mut config = self.config(index, &upgrades);
        upgrades.into_iter().for_each(|upgrade| self.change(&mut config, upgrade));
        change(&mut config);
        let (stop, stopped) = oneshot::channel();
        let world = self.clone();
        let mut state = self.lock();
        let state = &mut state[index.as_usize()];
        let process = self.sim.start(state.host, "relay", ProcessKind::Node, |env| {
            Box::pin(async move {
                let shutdown = async move {
                    if stopped.await.is_err() {
                        // The world is gone, and the run with it.
                        std::future::pending::<()>().await;
                    }
                };
                if let Err(error) = relay_node::run(config, env, shutdown).await {
                    // One whose disk is in order has to run.
                    assert!(world.may_refuse_to_run(index), "{name} cannot run: {error}");
                    world.ended(index, error.to_string());
                }
            })
        });
        state.process = Some(process);
        state.exit = None;
        state.stop = Some(stop);
    }

    /// Gives the host's relay the configuration of an upgrade, from its next start on.
    pub fn upgrade(&self, index: HostIndex, upgrade: usize) {
        self.lock()[index.as_usize()].upgrades.push(upgrade);
    }

    /// Takes it back, from the next start on.
    pub fn downgrade(&self, index: HostIndex, upgrade: usize) {
        self.lock()[index.as_usize()].upgrades.retain(|it| *it != upgrade);
    }

    /// The services that a host offers now, or will at its next start, as indices into the topology's services.
    pub fn services(&self, index: HostIndex) -> &[usize] {
        let topology = &self.scenario.topology;
        let state = self.lock();
        let mut upgrades = state[index.as_usize()].upgrades.iter().rev();
        let changed = upgrades.find_map(|upgrade| topology.upgrades[*upgrade].change.services.as_deref());
        changed.unwrap_or(&topology.hosts.get(index).services)
    }

    /// Kills the host's relay.
    pub fn kill(&self, index: HostIndex) {
        let process = self.lock()[index.as_usize()].process.take();
        if let Some(process) = process {
            self.sim.kill(process);
        }
    }

    /// Takes the power from a host.
    pub fn power_cut(&self, index: HostIndex) {
        self.forget_process(index);
        self.sim.power_cut(self.host(index));
    }

    /// The host's relay is gone already.
    pub fn forget_process(&self, index: HostIndex) {
        self.lock()[index.as_usize()].process = None;
    }

    /// The process of the host's relay, and, where it ended by itself without having been asked to, why.
    pub fn process(&self, index: HostIndex) -> Option<(ProcessId, Option<String>)> {
        let state = &self.lock()[index.as_usize()];
        let process = state.process?;
        let exit = state.exit.as_ref().filter(|_| state.stop.is_some());
        Some((process, exit.cloned()))
    }

    /// Tells of the hosts whose relays end by themselves, from now on. To be asked for once.
    pub fn exits(&self) -> mpsc::UnboundedReceiver<HostIndex> {
        let (sender, exits) = mpsc::unbounded_channel();
        let is_first = self.exits.set(sender).is_ok();
        assert!(is_first, "somebody else asked for the exits of this world");
        exits
    }

    /// Whether the disk of a host is in trouble or its files cannot be opened, or what lies there may be unusable for good.
    fn may_refuse_to_run(&self, index: HostIndex) -> bool {
        excuses_its_end(&self.scenario.faults, index, self.sim.now())
    }

    fn ended(&self, index: HostIndex, why: String) {
        self.lock()[index.as_usize()].exit = Some(why);
        if let Some(exits) = self.exits.get() {
            // The director's end is the run's.
            let _ = exits.send(index);
        }
    }

    /// Asks the host's relay to end in good order.
    pub fn stop(&self, index: HostIndex) {
        if let Some(stop) = self.lock()[index.as_usize()].stop.take() {
            // Where the relay has ended by itself there is nothing to ask.
            let _ = stop.send(());
        }
    }

    /// The configuration of a host that has had these upgrades, as far as it says who it is and whom it dials.
    fn config(&self, index: HostIndex, upgrades: &[usize]) -> Config {
        let topology = &self.scenario.topology;
        let host = topology.hosts.get(index);
        let url =
            |main: &HostIndex| main_url(topology.hosts.get(*main), topology.dials_tls_after(*main, upgrades));
        let tls = topology.tls_after(index, upgrades);
        let role = match topology.role_after(index, upgrades) {
            scenario::Role::Main { peers, peers_srv } => Role::Main(MainRole {
                listen: SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), MAIN_PORT),
                tls,
                // As an operator has to: a certificate is for a name.
                address: tls.then(|| main_url(host, true)),
                peers: peers.iter().map(url).collect(),
                listed: PeerLists {
                    file: None,
                    srv: peers_srv.as_ref().map(|name| name.parse().expect("checked when it was read")),
                },
                balance: BTreeMap::new(),
            }),
            scenario::Role::Home { main, fallback } => Role::Home(HomeRole {
                mains: std::iter::once(&main).chain(&fallback).map(url).collect(),
                listen: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), HOME_PORT),
            }),
        };
        let node_id = match host.node_id {
            scenario::NodeId::HostName => {
                NodeIdSource::Given(host.name.parse().expect("host names of scenarios are valid node ids"))
            }
            scenario::NodeId::Generated => NodeIdSource::DataDir,
        };
        let services = host.services.iter().map(|service| self.service(*service)).collect();
        // The Mains of a scenario belong to one operator. None of them is on another's loopback.
        let trust = TrustPolicy { peer_secret: Secret::new(PEER_SECRET), ..TrustPolicy::default() };
        Config {
            role,
            node_id,
            services,
            timing: timing(&self.scenario.node),
            limits: limits(&self.scenario.node),
            trust,
            tokens: Tokens::default(),
            dht: host.dht.then(|| self.dht_settings()),
        }
    }

    /// What an upgrade makes of a configuration.
    fn change(&self, config: &mut Config, upgrade: usize) {
        let change = &self.scenario.topology.upgrades[upgrade].change;
        set_timing(&mut config.timing, &change.node);
        if let Some(per_second) = change.node.home_calls_per_second {
            config.limits.home_calls_per_second = NonZeroU32::new(per_second);
        }
        if let Some(is_on) = change.dht {
            config.dht = is_on.then(|| self.dht_settings());
        }
        if let Some(services) = &change.services {
            config.services = services.iter().map(|service| self.service(*service)).collect();
        }
        if let Some(balance) = change.balance {
            config.services.iter_mut().for_each(|service| service.balance = Some(balance));
            if let Role::Main(main) = &mut config.role {
                let names = self.scenario.topology.services.iter().map(|service| service.name.clone());
                main.balance = names.map(|name| (name, balance)).collect();
            }
        }
    }

    fn service(&self, service: usize) -> ServiceSpec {
        let described = &self.scenario.topology.services[service];
        let kind = match &described.kind {
            ServiceKind::Echo => NodeService::Echo,
            ServiceKind::Static(answers) => NodeService::Static(answers.clone()),
            ServiceKind::Http(_) => {
                let url = format!("http://127.0.0.1:{}/rpc", World::upstream_port(service));
                NodeService::Http(url.parse().expect("a URL made of a port"))
            }
        };
        ServiceSpec {
            name: described.name.clone(),
            kind,
            methods: described.methods.clone(),
            timeout: None,
            balance: described.balance,
            allow: None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<HostState>> {
        self.state.lock().expect("nothing panics with the hosts")
    }
}

/// Gives a host the machine that the scenario says, as far as that is not what every host has.
fn equip(sim: &Sim, host: HostId, machine: scenario::Machine) {
    sim.set_cpu(host, Cpu { per_message: machine.per_message, cores: machine.cores });
    if !machine.per_sync.is_zero() {
        sim.event().set_sync_time(host, machine.per_sync);
    }
    if let Some(drift) = machine.clock.drift {
        sim.event().set_drift(host, drift.ppm());
    }
    if let Some(offset) = machine.clock.offset {
        sim.event().jump_clock(host, offset.nanos());
    }
}

/// The limits of every relay: the scenario's, and the node's own where it says nothing.
fn limits(wanted: &scenario::NodeSettings) -> Limits {
    let mut limits = Limits::default();
    if let Some(per_second) = wanted.home_calls_per_second {
        limits.home_calls_per_second = NonZeroU32::new(per_second);
    }
    limits
}

/// Where a Main is dialled.
fn main_url(main: &scenario::Host, tls: bool) -> RelayUrl {
    let scheme = if tls { "wss" } else { "ws" };
    let url = format!("{scheme}://{}:{MAIN_PORT}", main.name);
    url.parse().expect("host names of scenarios are fine in a URL")
}

/// The settings of every relay: the scenario's, and the node's own where it says nothing.
pub fn timing(wanted: &scenario::NodeSettings) -> Timing {
    let mut timing = Timing::default();
    set_timing(&mut timing, wanted);
    timing
}

/// The longest that any relay is set to at any time, value by value: what holds with it holds for all of them.
pub fn longest_timing(scenario: &Scenario) -> Timing {
    let mut longest = timing(&scenario.node);
    for settings in scenario.settings() {
        let other = timing(&settings);
        longest.heartbeat = longest.heartbeat.max(other.heartbeat);
        longest.unhealthy_after = longest.unhealthy_after.max(other.unhealthy_after);
        longest.backoff.initial = longest.backoff.initial.max(other.backoff.initial);
        longest.backoff.cap = longest.backoff.cap.max(other.backoff.cap);
        longest.registry_ttl = longest.registry_ttl.max(other.registry_ttl);
        longest.call_timeout = longest.call_timeout.max(other.call_timeout);
        longest.drain = longest.drain.max(other.drain);
    }
    longest
}

fn set_timing(timing: &mut Timing, wanted: &scenario::NodeSettings) {
    let set = |field: &mut Duration, value: Option<Duration>| *field = value.unwrap_or(*field);
    set(&mut timing.heartbeat, wanted.heartbeat);
    set(&mut timing.unhealthy_after, wanted.unhealthy_after);
    set(&mut timing.backoff.initial, wanted.backoff_initial);
    set(&mut timing.backoff.cap, wanted.backoff_cap);
    set(&mut timing.registry_ttl, wanted.registry_ttl);
    set(&mut timing.call_timeout, wanted.call_timeout);
    set(&mut timing.drain, wanted.drain);
}

fn link(quality: LinkQuality) -> Link {
    Link {
        latency: quality.latency,
        jitter: quality.jitter,
        loss: quality.loss.as_f64(),
        bandwidth: Some(quality.bandwidth.bits_per_second().div_ceil(8)),
        shape: quality.shape,
        queue: quality.queue.map(ByteSize::bytes),
        duplicate: quality.duplicate.as_f64(),
        reorder: quality.reorder.as_f64(),
        corrupt: quality.corrupt.as_f64(),
    }
}

/// The host of the scenario that the engine knows as `host`: both count in the same order.
pub fn index_of(host: HostId) -> HostIndex {
    HostIndex(u32::try_from(host.index()).expect("the engine counts hosts in 32 bits"))
}

fn nat(public: IpAddr, described: scenario::Nat) -> Nat {
    let kind = match described.kind {
        scenario::NatKind::FullCone => NatKind::FullCone,
        scenario::NatKind::AddressRestricted => NatKind::AddressRestricted,
        scenario::NatKind::PortRestricted => NatKind::PortRestricted,
        scenario::NatKind::Symmetric => NatKind::Symmetric,
    };
    Nat { public, kind, mapping: described.mapping, hairpin: described.hairpin }
}

/// The public address of a translator after it was moved.
fn moved_address(moves: u32) -> IpAddr {
    // Beside 11.0.0.0/8, and as large.
    Ipv4Addr::from(u32::from(Ipv4Addr::new(12, 0, 0, 1)) + moves).into()
}

pub(crate) fn public_address(index: HostIndex) -> IpAddr {
    // 11.0.0.0/8 has room for every host that a scenario may have.
    Ipv4Addr::from(u32::from(Ipv4Addr::new(11, 0, 0, 1)) + index.0).into()
}

fn private_address(index: HostIndex) -> IpAddr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 0, 0, 1)) + index.0).into()
}

/// Whether these faults may keep the relay of a host from starting. What a disk forgot, tore or lets rot stays that way;
/// one that was full or failed is in order once that is over, and where there are descriptors again files can be opened.
fn excuses_its_end(faults: &[Fault<HostSet>], host: HostIndex, now: Duration) -> bool {
    faults.iter().any(|fault| {
        let stays = match &fault.what {
            FaultKind::Disk(it) => match it.what.trouble {
                DiskFailure::LostSync | DiskFailure::TornWrite | DiskFailure::BitRot => true,
                DiskFailure::Full | DiskFailure::IoError => false,
            },
            FaultKind::Descriptors(_) => false,
            _ => return false,
        };
        let active = fault.active();
        let is_over = !stays && active.end.is_some_and(|end| end + DISK_SETTLES < now);
        fault.what.hosts().contains(host) && active.start <= now && !is_over
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_works_again_is_no_excuse_and_one_that_rotted_is() {
        let excused = |trouble: &str, host, now| {
            let what = match trouble {
                "descriptors" => "kind = \"descriptors\"\nlimit = 1".to_owned(),
                _ => format!("kind = \"disk\"\ntrouble = \"{trouble}\""),
            };
            let text = format!(
                "[[main]]\nname = \"a\"\n[[main]]\nname = \"b\"\n[[fault]]\nat = \"10s\"\nhost = \"a\"\n\
                 lasts = \"10s\"\n{what}\n"
            );
            let scenario = Scenario::load("test.toml", &text).unwrap();
            excuses_its_end(&scenario.faults, HostIndex(host), Duration::from_secs(now))
        };
        for trouble in ["lost-sync", "torn-write", "full", "io-error", "bit-rot", "descriptors"] {
            assert!(
                !excused(trouble, 0, 9) && excused(trouble, 0, 10) && excused(trouble, 0, 30),
                "{trouble}"
            );
            assert!(!excused(trouble, 1, 15), "{trouble}: another's disk");
            let stays = !["full", "io-error", "descriptors"].contains(&trouble);
            assert_eq!(excused(trouble, 0, 31), stays, "{trouble}");
        }
    }
}
