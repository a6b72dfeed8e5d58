//! The handle through which a director, or a process of the test, moves the world.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use relay_node::env::{BoxFuture, Env, SrvRecord};
use xxhash_rust::xxh3::xxh3_64;

use super::core::{Core, DIRECTOR};
use super::cpu::Cpu;
use super::env;
use super::host::{HostSpec, ProcessId, ProcessKind};
use super::link::{CutId, HostId, HostSet, Link, LinkModel, nanos};
use super::observe::Observation;
use super::stamp;
use super::state::Farewell;
use super::tls::Certificate;
use crate::trace::{Kind, NONE};

/// A run's handle: hosts, processes, faults. Cheap to clone.
///
/// Methods panic where they are given a [`HostId`] of another run.
#[derive(Clone)]
pub struct Sim {
    pub(super) core: Arc<Core>,
}

/// What a [`Kind::Fault`] in the trace says in its first detail.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Cut,
    Heal,
    PowerCut,
    PowerOn,
    Wipe,
    Link,
    Certificate,
    Dns,
}

impl Sim {
    /// Virtual time since the start of the run.
    pub fn now(&self) -> Duration {
        Duration::from_nanos(self.core.now.load(Ordering::Relaxed))
    }

    /// Waits until `at`, counted from the start of the run.
    pub fn sleep_until(&self, at: Duration) -> BoxFuture<'static, ()> {
        Box::pin(env::sleep_until(self.core.clone(), nanos(at)))
    }

    /// Waits for `duration`.
    pub fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.sleep_until(self.now() + duration)
    }

    /// Adds a host, powered on, with an empty disk.
    ///
    /// # Panics
    /// Where its name or its address is taken.
    pub fn add_host(&self, spec: HostSpec) -> HostId {
        let mut state = self.core.lock();
        stamp::add_host(&spec.name);
        state.trace.name_host(&spec.name);
        state.topology.add_host();
        state.hosts.add(spec)
    }

    /// What messages cost on `host` from now on; nothing unless this was said. To be said before it has connections.
    pub fn set_cpu(&self, host: HostId, cpu: Cpu) {
        self.core.lock().cpus.set(host, cpu);
    }

    /// The host that was added with this name.
    pub fn find_host(&self, name: &str) -> Option<HostId> {
        self.core.lock().hosts.named(name)
    }

    /// The name that `host` was added with.
    pub fn host_name(&self, host: HostId) -> String {
        self.core.lock().hosts.get(host).name.clone()
    }

    /// The world as `process` on `host` sees it.
    pub fn env(&self, host: HostId, process: ProcessId) -> Env {
        env::env(&self.core, host, process.0)
    }

    /// Starts a process. It ends when the future that `main` gives ends: then all its tasks are dropped, and what
    /// they left open is closed.
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

    /// Starts a task of the director's own: it ends with the run, and its panic is the director's.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.core.spawn(DIRECTOR, name, Box::pin(task));
    }

    /// Whether the process runs still: its main future has not returned, and nobody killed it.
    pub fn alive(&self, process: ProcessId) -> bool {
        self.core.lock().processes.alive(process.0)
    }

    /// Kills a process: its peers get resets, its listeners are gone, its host stays up.
    pub fn kill(&self, process: ProcessId) {
        self.core.kill(process.0, Farewell::Reset);
    }

    /// Takes the power from a host: nothing gets out or in, and nobody is told. Its node processes are gone, and so is
    /// what they had not synced to their disk; its harness processes stay, and see their connections to those reset.
    pub fn power_cut(&self, host: HostId) {
        self.fault(Fault::PowerCut, host);
        let nodes = {
            let mut state = self.core.lock();
            state.topology.set_dark(host, true);
            state.nodes_of(host)
        };
        for node in nodes {
            self.core.kill(node, Farewell::Silence);
        }
        let mut state = self.core.lock();
        state.forget_kernel(host);
        state.hosts.get_mut(host).disk.power_cut();
    }

    /// Gives a host its power back. No process is started; what comes for connections of old is answered with
    /// resets.
    pub fn power_on(&self, host: HostId) {
        self.fault(Fault::PowerOn, host);
        let mut state = self.core.lock();
        state.topology.set_dark(host, false);
        state.look_at_stalled();
    }

    /// Gives a host a certificate in place of the one that it has: from the next handshake on.
    pub fn set_certificate(&self, host: HostId, certificate: Option<Certificate>) {
        self.fault(Fault::Certificate, host);
        self.core.lock().hosts.get_mut(host).certificate = certificate;
    }

    /// Gives a name these SRV records in place of those that it has; none: it has none.
    pub fn set_srv(&self, name: &str, records: Vec<SrvRecord>) {
        self.trace_fault(Fault::Dns, None, xxh3_64(format!("{name} {records:?}").as_bytes()));
        self.core.lock().hosts.set_srv(name, records);
    }

    /// Whether the host has power.
    pub fn is_powered(&self, host: HostId) -> bool {
        !self.core.lock().topology.is_dark(host)
    }

    /// Empties a host's disk.
    pub fn wipe(&self, host: HostId) {
        self.fault(Fault::Wipe, host);
        self.core.lock().hosts.get_mut(host).disk.wipe();
    }

    /// The names on a host's disk, sorted.
    pub fn disk_names(&self, host: HostId) -> Vec<String> {
        self.core.lock().hosts.get(host).disk.names().map(str::to_owned).collect()
    }

    /// Says what lies between any two hosts from now on, in place of what was said before.
    pub fn set_links(&self, model: LinkModel) {
        self.trace_fault(Fault::Link, None, 0);
        let mut state = self.core.lock();
        state.topology.set_model(model);
        state.look_at_stalled();
    }

    /// Gives all paths the same link.
    pub fn set_uniform_links(&self, link: Link) {
        self.set_links(Arc::new(move |_, _| link));
    }

    /// Lets nothing through from `from` to `to`: one direction; a partition is two cuts.
    pub fn cut(&self, from: HostSet, to: HostSet) -> CutId {
        self.trace_fault(Fault::Cut, None, 0);
        self.core.lock().topology.cut(from, to)
    }

    /// Takes a cut back. What it held is sent at TCP's next retransmission.
    pub fn heal(&self, cut: CutId) {
        self.trace_fault(Fault::Heal, None, 0);
        let mut state = self.core.lock();
        state.topology.heal(cut);
        state.look_at_stalled();
    }

    /// What happened on the network since the last call, in order.
    pub fn take_observations(&self) -> Vec<Observation> {
        self.core.lock().observations.take()
    }

    /// Puts a remark into the trace, and into its hash.
    pub fn note(&self, host: Option<HostId>, text: &str) {
        let mut state = self.core.lock();
        let now = state.timeline.now;
        state.trace.note(now, host.map_or(NONE, |host| host.0), text);
    }

    /// How many events the trace has so far.
    pub fn events(&self) -> u64 {
        self.core.lock().trace.count()
    }

    fn fault(&self, fault: Fault, host: HostId) {
        self.trace_fault(fault, Some(host), 0);
    }

    fn trace_fault(&self, fault: Fault, host: Option<HostId>, detail: u64) {
        let mut state = self.core.lock();
        let now = state.timeline.now;
        state.trace.name_fault(fault as u64, || format!("{fault:?}"));
        state.trace.emit(now, Kind::Fault, host.map_or(NONE, |host| host.0), fault as u64, detail);
    }
}
