//! The hosts of a scenario in a run: built, started, crashed, restarted. The only place that calls
//! [`relay_node::run`].

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use relay_chaos::{Fault, LinkQuality};
use relay_node::config::{Config, HomeRole, Limits, MainRole, NodeIdSource, PeerLists, Role, Timing, Tokens};
use relay_node::env::{Env, SrvRecord};
use relay_node::federation::{Secret, TrustPolicy};
use relay_node::link::RelayUrl;
use relay_node::service::{ServiceKind as NodeService, ServiceSpec};
use tokio::sync::oneshot;

use crate::engine::{Certificate, Cpu, HostId, HostSpec, Link, Nat, ProcessId, ProcessKind, Sim};
use crate::scenario::{self, DnsChange, HostIndex, HostSet, Scenario, ServiceKind};
use crate::workload::api::Api;

/// The port that Mains listen on.
const MAIN_PORT: u16 = 8080;

/// The loopback port of a Home's API.
const HOME_PORT: u16 = 9000;

/// The loopback ports of simulated upstreams: this one for the scenario's first service, then counting up.
const FIRST_UPSTREAM_PORT: u16 = 10_000;

/// What the Mains of a scenario know of each other.
const PEER_SECRET: &str = "the Mains of one scenario";

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
}

struct HostState {
    host: HostId,
    process: Option<ProcessId>,
    /// Asks the node to end in good order.
    stop: Option<oneshot::Sender<()>>,
}

impl World {
    /// All hosts of the scenario, with their links; nothing is started.
    pub fn build(sim: impl Into<Sim>, scenario: Arc<Scenario>) -> World {
        let sim = sim.into();
        let hosts = scenario.topology.hosts.iter().map(|(index, host)| {
            let (address, nat) = if host.is_main() {
                (public_address(index), None)
            } else {
                (private_address(index), Some(Nat { public: public_address(index) }))
            };
            let cpu = Cpu { per_message: host.machine.per_message, cores: host.machine.cores };
            let host = sim.add_host(HostSpec { name: host.name.clone(), address, nat });
            sim.set_cpu(host, cpu);
            HostState { host, process: None, stop: None }
        });
        let state = Arc::new(Mutex::new(hosts.collect()));
        let world = World { sim, scenario, state };
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
        let speaks_tls = self.scenario.topology.hosts.get(index).tls;
        Api::with(env, self.api_port(index), speaks_tls)
    }

    /// Gives those of these hosts that speak TLS a certificate that is valid until `expires`, or for good.
    pub fn certify(&self, hosts: impl IntoIterator<Item = HostIndex>, expires: Option<Duration>) {
        for index in hosts {
            let host = self.scenario.topology.hosts.get(index);
            if host.tls {
                let names = vec![host.name.clone(), public_address(index).to_string()];
                let certificate = Certificate { names, expires, trusted: true };
                self.sim.set_certificate(self.host(index), Some(certificate));
            }
        }
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
                let (host, process) = {
                    let state = &self.lock()[index.as_usize()];
                    (state.host, state.process?)
                };
                let id = self.sim.env(host, process).storage.read(NODE_ID_FILE).ok()??;
                String::from_utf8(id).ok()
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
        let mut config = self.config(host);
        change(&mut config);
        let (stop, stopped) = oneshot::channel();
        let name = host.name.clone();
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
                    panic!("{name} cannot run: {error}");
                }
            })
        });
        state.process = Some(process);
        state.stop = Some(stop);
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
        let host = {
            let state = &mut self.lock()[index.as_usize()];
            state.process = None;
            state.host
        };
        self.sim.power_cut(host);
    }

    /// Asks the host's relay to end in good order.
    pub fn stop(&self, index: HostIndex) {
        if let Some(stop) = self.lock()[index.as_usize()].stop.take() {
            // Where the relay has ended by itself there is nothing to ask.
            let _ = stop.send(());
        }
    }

    fn config(&self, host: &scenario::Host) -> Config {
        let url = |main: &HostIndex| main_url(self.scenario.topology.hosts.get(*main));
        let role = match &host.role {
            scenario::Role::Main { peers, peers_srv } => Role::Main(MainRole {
                listen: SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), MAIN_PORT),
                tls: host.tls,
                // As an operator has to: a certificate is for a name.
                address: host.tls.then(|| main_url(host)),
                peers: peers.iter().map(url).collect(),
                listed: PeerLists {
                    file: None,
                    srv: peers_srv.as_ref().map(|name| name.parse().expect("checked when it was read")),
                },
                balance: BTreeMap::new(),
            }),
            scenario::Role::Home { main, fallback } => Role::Home(HomeRole {
                mains: std::iter::once(main).chain(fallback).map(url).collect(),
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

/// The limits of every relay: the scenario's, and the node's own where it says nothing.
fn limits(wanted: &scenario::NodeSettings) -> Limits {
    let mut limits = Limits::default();
    if let Some(per_second) = wanted.home_calls_per_second {
        limits.home_calls_per_second = NonZeroU32::new(per_second);
    }
    limits
}

/// Where a Main is dialled.
fn main_url(main: &scenario::Host) -> RelayUrl {
    let scheme = if main.tls { "wss" } else { "ws" };
    let url = format!("{scheme}://{}:{MAIN_PORT}", main.name);
    url.parse().expect("host names of scenarios are fine in a URL")
}

/// The settings of every relay: the scenario's, and the node's own where it says nothing.
pub fn timing(wanted: &scenario::NodeSettings) -> Timing {
    let mut timing = Timing::default();
    let set = |field: &mut Duration, value: Option<Duration>| *field = value.unwrap_or(*field);
    set(&mut timing.heartbeat, wanted.heartbeat);
    set(&mut timing.unhealthy_after, wanted.unhealthy_after);
    set(&mut timing.backoff.initial, wanted.backoff_initial);
    set(&mut timing.backoff.cap, wanted.backoff_cap);
    set(&mut timing.registry_ttl, wanted.registry_ttl);
    set(&mut timing.call_timeout, wanted.call_timeout);
    set(&mut timing.drain, wanted.drain);
    timing
}

fn link(quality: LinkQuality) -> Link {
    Link {
        latency: quality.latency,
        jitter: quality.jitter,
        loss: quality.loss.as_f64(),
        bandwidth: Some(quality.bandwidth.bits_per_second().div_ceil(8)),
    }
}

/// The host of the scenario that the engine knows as `host`: both count in the same order.
pub fn index_of(host: HostId) -> HostIndex {
    HostIndex(u32::try_from(host.index()).expect("the engine counts hosts in 32 bits"))
}

fn public_address(index: HostIndex) -> IpAddr {
    // 11.0.0.0/8 has room for every host that a scenario may have.
    Ipv4Addr::from(u32::from(Ipv4Addr::new(11, 0, 0, 1)) + index.0).into()
}

fn private_address(index: HostIndex) -> IpAddr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 0, 0, 1)) + index.0).into()
}
