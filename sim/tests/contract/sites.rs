//! Where the cases run: two hosts, in the real world or in a simulated one.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use relay_node::env::{Env, Stream};
use relay_sim::engine::event::{
    CutId, Halt, HostId, HostSpec, Link, Nat, Options, ProcessId, ProcessKind, RunEnd, Sim, run,
};

/// Two hosts that reach each other.
pub(crate) struct Site {
    pub(crate) left: Env,
    pub(crate) right: Env,
    /// An address of the right host that the left one can dial.
    pub(crate) right_address: IpAddr,
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
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let site = Site {
            left: Env::production(disks.path().join("left")),
            right: Env::production(disks.path().join("right")),
            right_address: "127.0.0.1".parse().unwrap(),
        };
        case(site).await;
    });
}

pub(crate) fn on_event_engine<F>(case: impl FnOnce(Site) -> F + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    let end = simulate(Options::default(), |world| async move {
        let site =
            Site { left: world.left_env(), right: world.right_env(), right_address: world.right_address() };
        case(site).await;
    });
    succeed(end);
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
    let nat = Some(Nat { public: public.parse().unwrap() });
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
            sim.set_uniform_links(Link { latency: Duration::from_millis(10), ..Link::default() });
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
