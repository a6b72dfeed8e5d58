//! The handle through which a director, or a process of the test, moves the world. What it changes of hosts and links
//! reaches turmoil between two ticks.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use relay_node::env::{BoxFuture, Env, SrvRecord};
use xxhash_rust::xxh3::xxh3_64;

use super::core::{Core, DIRECTOR, Farewell};
use super::env;
use super::timers::Sleep;
use crate::engine::event::{
    Certificate, CutId, HostId, HostSet, HostSpec, LinkModel, Observation, ProcessId, ProcessKind, nanos,
};
use crate::engine::stamp;
use crate::trace::{Kind, NONE};

/// A run's handle: hosts, processes, faults. Cheap to clone. Each method does what the event engine's
/// [`Sim`](crate::engine::event::Sim) says of the one with the same name, or says where it does not.
///
/// Methods panic where they are given a [`HostId`] of another run.
#[derive(Clone)]
pub struct Sim {
    pub(super) core: Arc<Core>,
}

impl Sim {
    /// Virtual time since the start of the run, in whole ticks.
    pub fn now(&self) -> Duration {
        Duration::from_nanos(self.core.now())
    }

    /// Waits until `at`, to the tick that follows it.
    pub fn sleep_until(&self, at: Duration) -> BoxFuture<'static, ()> {
        Box::pin(Sleep::until(&self.core, nanos(at)))
    }

    /// Adds a host, powered on, with an empty disk.
    ///
    /// # Panics
    /// Where its name or its address is taken.
    pub fn add_host(&self, spec: HostSpec) -> HostId {
        let mut state = self.core.lock();
        stamp::add_host(&spec.name);
        state.trace.name_host(&spec.name);
        state.paths.hosts_added();
        state.hosts.add(spec)
    }

    /// The name that `host` was added with.
    pub fn host_name(&self, host: HostId) -> String {
        self.core.lock().hosts.get(host).spec.name.clone()
    }

    /// The world as `process` on `host` sees it.
    pub fn env(&self, host: HostId, process: ProcessId) -> Env {
        env::env(&self.core, host, process.0)
    }

    /// Starts a process.
    pub fn start(
        &self,
        host: HostId,
        name: &'static str,
        kind: ProcessKind,
        main: impl FnOnce(Env) -> BoxFuture<'static, ()>,
    ) -> ProcessId {
        let process = self.core.add_process(host, name, kind);
        let future = main(env::env(&self.core, host, process));
        self.core.spawn(process, name, future);
        ProcessId(process)
    }

    /// Starts a task of the director's own.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.core.spawn(DIRECTOR, name, Box::pin(task));
    }

    /// Whether the process runs still.
    pub fn alive(&self, process: ProcessId) -> bool {
        self.core.lock().alive(process.0)
    }

    /// Kills a process.
    pub fn kill(&self, process: ProcessId) {
        self.core.kill(process.0, Farewell::Reset);
    }

    /// Takes the power from a host. Turmoil closes the sockets of what ends: its links are held first, so that nobody
    /// hears of it before the power is back.
    pub fn power_cut(&self, host: HostId) {
        let nodes = {
            let mut state = self.core.lock();
            state.trace.emit(self.core.now(), Kind::Fault, host.0, 0, 0);
            state.paths.set_dark(host, true);
            state.nodes_of(host)
        };
        nodes.into_iter().for_each(|node| self.core.kill(node, Farewell::Reset));
        self.core.lock().hosts.get_mut(host).disk.power_cut();
    }

    /// Gives a host its power back.
    pub fn power_on(&self, host: HostId) {
        let mut state = self.core.lock();
        state.trace.emit(self.core.now(), Kind::Fault, host.0, 1, 0);
        state.paths.set_dark(host, false);
    }

    /// Gives a host a certificate in place of the one that it has.
    pub fn set_certificate(&self, host: HostId, certificate: Option<Certificate>) {
        self.core.lock().hosts.get_mut(host).certificate = certificate;
    }

    /// Gives a name these SRV records in place of those that it has.
    pub fn set_srv(&self, name: &str, records: Vec<SrvRecord>) {
        let mut state = self.core.lock();
        let hash = xxh3_64(format!("{name} {records:?}").as_bytes());
        state.trace.emit(self.core.now(), Kind::Fault, NONE, 2, hash);
        state.hosts.set_srv(name, records);
    }

    /// Whether the host has power.
    pub fn is_powered(&self, host: HostId) -> bool {
        !self.core.lock().paths.is_dark(host)
    }

    /// Empties a host's disk.
    pub fn wipe(&self, host: HostId) {
        self.core.lock().hosts.get_mut(host).disk.wipe();
    }

    /// The names on a host's disk, sorted.
    pub fn disk_names(&self, host: HostId) -> Vec<String> {
        self.core.lock().hosts.get(host).disk.names().map(str::to_owned).collect()
    }

    /// A small value on a host's disk, as somebody sees it who looks at the disk from outside.
    pub fn stored(&self, host: HostId, name: &str) -> Option<Vec<u8>> {
        self.core.lock().hosts.get(host).disk.value(name).map(<[u8]>::to_vec)
    }

    /// Says what lies between any two hosts from now on. Of both directions turmoil takes the longer latency and
    /// jitter; it knows no bandwidth.
    pub fn set_links(&self, model: LinkModel) {
        self.core.lock().paths.set_model(model);
    }

    /// Lets nothing through from `from` to `to`. The other direction is to be cut before time goes on: the run stops
    /// otherwise.
    pub fn cut(&self, from: HostSet, to: HostSet) -> CutId {
        self.core.lock().paths.cut(from, to)
    }

    /// Takes a cut back. What it held arrives at once.
    pub fn heal(&self, cut: CutId) {
        self.core.lock().paths.heal(cut);
    }

    /// What happened on the network since the last call, in order.
    pub fn take_observations(&self) -> Vec<Observation> {
        self.core.lock().observations.take()
    }

    /// Puts a remark into the trace, and into its hash.
    pub fn note(&self, host: Option<HostId>, text: &str) {
        let mut state = self.core.lock();
        state.trace.note(self.core.now(), host.map_or(NONE, |host| host.0), text);
    }

    /// How many events the trace has so far.
    pub fn events(&self) -> u64 {
        self.core.lock().trace.count()
    }
}
