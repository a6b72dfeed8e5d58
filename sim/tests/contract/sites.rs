//! Where the cases run: two hosts, in the real world or in a simulated one.

#![expect(clippy::disallowed_methods, reason = "the real world reads its certificates from files")]

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use relay_node::env::production::{CertificateFiles, Machine};
use relay_node::env::{BoxFuture, Env, SrvRecord, Stream};
use relay_sim::engine::event::{Sim, run};
use relay_sim::engine::{
    self, Certificate, CutId, Engine, Halt, HostId, HostSpec, Link, Nat, Options, ProcessId, ProcessKind,
    RunEnd,
};

use super::faults::Pair;
use super::name_server;

/// Two hosts that reach each other.
pub(crate) struct Site {
    pub(crate) left: Env,
    pub(crate) right: Env,
    /// An address of the right host that the left one can dial.
    pub(crate) right_address: IpAddr,
    /// Hosts that the left one is not to trust.
    pub(crate) impostors: Impostors,
}

/// What the right host's certificate is for.
pub(crate) const RIGHT_NAMES: [&str; 2] = ["right.test", "192.0.2.7"];

/// From one simulated host to another.
pub(crate) const LATENCY: Duration = Duration::from_millis(10);

/// What lies between simulated hosts.
pub(crate) fn links() -> Link {
    Link { latency: LATENCY, ..Link::default() }
}

/// Hosts with the right host's names, and something wrong with their certificates.
pub(crate) struct Impostors {
    /// The left host does not know its issuer.
    pub(crate) unknown: Env,
    /// Its certificate has expired.
    pub(crate) expired: Env,
}

impl Site {
    /// A free port of the right host.
    pub(crate) fn right_any_port(&self) -> SocketAddr {
        SocketAddr::new(self.right_address, 0)
    }
}

pub(crate) fn on_production<F>(case: impl FnOnce(Site) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let disks = tempfile::tempdir().unwrap();
    let (ours, theirs) = (authority("ours"), authority("theirs"));
    let disk = |name: &str| disks.path().join(name);
    std::fs::write(disk("ours.pem"), ours.pem()).unwrap();
    let certified = |name: &str, issuer: &Authority, end_year| {
        let mut params = CertificateParams::new(RIGHT_NAMES.map(str::to_owned)).unwrap();
        params.not_after = rcgen::date_time_ymd(end_year, 1, 1);
        let key = KeyPair::generate().unwrap();
        let files =
            CertificateFiles { chain: disk(&format!("{name}.pem")), key: disk(&format!("{name}.key")) };
        std::fs::write(&files.chain, params.signed_by(&key, issuer).unwrap().pem()).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
        let machine = Machine { data_dir: disk(name), certificate: Some(files), ..Machine::default() };
        Env::on_machine(machine).unwrap()
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let site = Site {
            left: Env::on_machine(Machine {
                data_dir: disk("left"),
                extra_roots: Some(disk("ours.pem")),
                name_server: Some(name_server::start().await),
                ..Machine::default()
            })
            .unwrap(),
            right: certified("right", &ours, 4096),
            right_address: "127.0.0.1".parse().unwrap(),
            impostors: Impostors {
                unknown: certified("unknown", &theirs, 4096),
                expired: certified("expired", &ours, 2020),
            },
        };
        case(site).await;
    });
}

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

pub(crate) fn on_event_engine<F>(case: impl FnOnce(Site) -> F + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    succeed(on_engine(Engine::Event, |sim| case(site(sim))));
}

/// Runs a case on turmoil. One that is said not to pass there, with the reason, must fail.
pub(crate) fn on_turmoil<F>(case: impl FnOnce(Site) -> F + Send + 'static, cannot: Option<&str>)
where
    F: Future<Output = ()> + Send + 'static,
{
    fails_where_it_cannot(on_engine(Engine::Turmoil, |sim| case(site(sim))), cannot);
}

pub(crate) fn fault_on_event_engine<F>(case: impl FnOnce(Pair) -> F + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    let end = on_engine(Engine::Event, |sim| case(Pair::new(sim)));
    assert!(end.panics.len() == usize::from(end.outcome.is_err()), "{:?}", end.panics);
    succeed(end);
}

/// As [`on_turmoil`].
pub(crate) fn fault_on_turmoil<F>(case: impl FnOnce(Pair) -> F + Send + 'static, cannot: Option<&str>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let end = on_engine(Engine::Turmoil, |sim| case(Pair::new(sim)));
    assert!(end.outcome.is_err() || end.panics.is_empty(), "{:?}", end.panics);
    fails_where_it_cannot(end, cannot);
}

fn fails_where_it_cannot(end: RunEnd<()>, cannot: Option<&str>) {
    match cannot {
        Some(reason) => {
            let passes = end.outcome.is_ok();
            assert!(!passes, "this passes on turmoil: it is not true any more that {reason}");
        }
        None => succeed(end),
    }
}

/// The longest that a case may take on an engine: one that waits for ever fails then. Turmoil is slow.
const fn patience(engine: Engine) -> Duration {
    match engine {
        Engine::Event => Duration::from_secs(3_600),
        Engine::Turmoil => Duration::from_secs(300),
    }
}

fn on_engine<F>(engine: Engine, case: impl FnOnce(&engine::Sim) -> F + Send + 'static) -> RunEnd<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    engine::run(engine, Options::default(), |sim| {
        Box::pin(async move {
            sim.set_uniform_links(links());
            let case = case(&sim);
            let too_long = sim.sleep(patience(sim.engine()));
            tokio::select! {
                biased;
                () = case => {}
                () = too_long => panic!("the case does not end"),
            }
        })
    })
}

/// Two hosts on an engine, and what stands around them.
fn site(sim: &engine::Sim) -> Site {
    let names = RIGHT_NAMES.map(str::to_owned).to_vec();
    let sound = Certificate { names, expires: None, trusted: true };
    let add = |name: &str, address: &str, certificate: Option<Certificate>| {
        let host = sim.add_host(public(name, address));
        sim.set_certificate(host, certificate);
        let idle = |_env| -> BoxFuture<'static, ()> { Box::pin(std::future::pending()) };
        sim.env(host, sim.start(host, "idle", ProcessKind::Node, idle))
    };
    let unknown = Certificate { trusted: false, ..sound.clone() };
    let expired = Certificate { expires: Some(Duration::ZERO), ..sound.clone() };
    let site = Site {
        left: add("left", "10.0.0.1", None),
        right: add("right", "10.0.0.2", Some(sound)),
        right_address: "10.0.0.2".parse().unwrap(),
        impostors: Impostors {
            unknown: add("unknown", "10.0.0.3", Some(unknown)),
            expired: add("expired", "10.0.0.4", Some(expired)),
        },
    };
    let record =
        |priority, weight, port, target: &str| SrvRecord { priority, weight, port, target: target.into() };
    let records = vec![record(20, 0, 8081, "main-b.test"), record(10, 5, 8080, "main-a.test")];
    sim.set_srv("_relay._tcp.fed.test", records);
    sim.set_srv("_relay._tcp.empty.test", Vec::new());
    site
}

/// Two simulated hosts, each with an idle process.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) sim: Sim,
    pub(crate) left: HostId,
    pub(crate) right: HostId,
    pub(crate) left_process: ProcessId,
    pub(crate) right_process: ProcessId,
}

impl World {
    pub(crate) fn left_env(&self) -> Env {
        self.sim.env(self.left, self.left_process)
    }

    pub(crate) fn right_env(&self) -> Env {
        self.sim.env(self.right, self.right_process)
    }

    pub(crate) fn right_address(&self) -> IpAddr {
        "10.0.0.2".parse().unwrap()
    }

    pub(crate) fn right_at(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.right_address(), port)
    }

    /// Opens a listener on the right host and a stream to it from the left one: the left end, the right end.
    pub(crate) async fn connect(&self, port: u16) -> (Stream, Stream) {
        let mut listener = self.right_env().network.listen(self.right_at(port)).await.unwrap();
        let left = self.left_env().network.dial(self.right_at(port)).await.unwrap();
        let (right, _) = listener.accept().await.unwrap();
        (left, right)
    }

    /// Cuts both ways; the halves of the partition.
    pub(crate) fn part(&self) -> [CutId; 2] {
        let cut = |from: HostId, to: HostId| self.sim.cut(from.into(), to.into());
        [cut(self.left, self.right), cut(self.right, self.left)]
    }

    pub(crate) fn heal(&self, cuts: [CutId; 2]) {
        cuts.into_iter().for_each(|cut| self.sim.heal(cut));
    }

    /// Another idle process on the right host.
    pub(crate) fn restart_right(&mut self) {
        self.right_process = idle(&self.sim, self.right);
    }
}

/// A host on the open network.
pub(crate) fn public(name: &str, address: &str) -> HostSpec {
    HostSpec { name: name.to_owned(), address: address.parse().unwrap(), nat: None }
}

/// A host behind a translator.
pub(crate) fn behind_nat(name: &str, address: &str, public: &str) -> HostSpec {
    let nat = Some(Nat::new(public.parse().unwrap()));
    HostSpec { name: name.to_owned(), address: address.parse().unwrap(), nat }
}

/// Starts a process that does nothing but live.
pub(crate) fn idle(sim: &Sim, host: HostId) -> ProcessId {
    sim.start(host, "idle", ProcessKind::Node, |_env| Box::pin(std::future::pending()))
}

/// Runs `director` in a world of two public hosts, 10 ms apart.
pub(crate) fn simulate<T, F>(
    options: Options,
    director: impl FnOnce(World) -> F + Send + 'static,
) -> RunEnd<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    run(options, |sim| {
        Box::pin(async move {
            sim.set_uniform_links(links());
            let left = sim.add_host(public("left", "10.0.0.1"));
            let right = sim.add_host(public("right", "10.0.0.2"));
            let (left_process, right_process) = (idle(&sim, left), idle(&sim, right));
            director(World { sim, left, right, left_process, right_process }).await
        })
    })
}

/// As [`simulate`] with seed 0, and nothing may go wrong.
pub(crate) fn simulated<F>(director: impl FnOnce(World) -> F + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    let end = simulate(Options::default(), director);
    let panics = end.panics.clone();
    succeed(end);
    assert!(panics.is_empty(), "{panics:?}");
}

pub(crate) fn succeed<T>(end: RunEnd<T>) -> T {
    match end.outcome {
        Ok(value) => value,
        Err(Halt::DirectorPanicked(message)) => panic!("{message}"),
        Err(halt) => panic!("{halt}"),
    }
}
