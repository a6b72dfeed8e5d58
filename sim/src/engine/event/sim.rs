//! The handle through which a director, or a process of the test, moves the world.

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use relay_chaos::NameAnswer;
use relay_node::env::{BoxFuture, Env, Rng, SrvRecord};
use tokio::sync::oneshot;
use xxhash_rust::xxh3::xxh3_64;

use super::connection::StallId;
use super::core::{Core, DIRECTOR};
use super::cpu::Cpu;
use super::disk::DiskFaults;
use super::env;
use super::host::{HostSpec, ProcessId, ProcessKind};
use super::link::{CutId, HostId, HostSet, Link, LinkModel, nanos};
use super::observe::Observation;
use super::stamp;
use super::state::Farewell;
use super::timeline::Event;
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
    Stall,
    EndStall,
    ResetStreams,
    Nat,
    Descriptors,
    Names,
    Cpu,
    Pause,
    Resume,
    Drift,
    Jump,
    WallClock,
    Disk,
    PowerCutArmed,
}

impl Sim {
    /// Virtual time since the start of the run.
    pub fn now(&self) -> Duration {
        Duration::from_nanos(self.core.now.load(Ordering::Relaxed))
    }

    /// Waits until `at`, counted from the start of the run.
    pub fn sleep_until(&self, at: Duration) -> BoxFuture<'static, ()> {
        Box::pin(env::sleep_until(self.core.clone(), HostId(NONE), nanos(at)))
    }

    /// Waits for `duration`.
    pub fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.sleep_until(self.now() + duration)
    }

    /// The numbered stream of a generator of this seed; it follows [`Options::reseed`](super::Options::reseed).
    pub fn generator(&self, seed: [u8; 32], stream: u64) -> Rng {
        self.core.generator(seed, stream)
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

    /// What messages cost on `host` from now on; nothing unless this was said. On connections that are there already when
    /// it is said for the first time, each piece that is read counts as a message, unless
    /// [`count_messages`](Self::count_messages) came before.
    pub fn set_cpu(&self, host: HostId, cpu: Cpu) {
        let mut state = self.core.lock();
        let changes = state.cpus.charges(host);
        state.cpus.set(host, cpu);
        if changes {
            // Whoever waits for a core may have one now.
            let now = state.timeline.now;
            state.trace.emit(now, Kind::Fault, host.0, Fault::Cpu as u64, nanos(cpu.per_message));
            state.timeline.at(now, Event::CoreFree(host.0));
        }
    }

    /// Counts messages on `host` from now on, so that [`set_cpu`](Self::set_cpu) may come at any time.
    pub fn count_messages(&self, host: HostId) {
        self.core.lock().cpus.count(host, 1);
    }

    /// Polls no task of the nodes that run on `host` until [`resume`](Self::resume), as after SIGSTOP. The kernel lives
    /// on: it takes connections and bytes as long as there is room, and clocks go on. Nodes that start later and harness
    /// processes are not concerned.
    pub fn pause(&self, host: HostId) {
        self.fault(Fault::Pause, host);
        let mut state = self.core.lock();
        let nodes = state.nodes_of(host);
        state.processes.paused.extend(nodes);
    }

    /// Lets the nodes on `host` go on: all that came due meanwhile is due now.
    pub fn resume(&self, host: HostId) {
        self.fault(Fault::Resume, host);
        let mut state = self.core.lock();
        let nodes = state.nodes_of(host);
        state.processes.paused.retain(|process| !nodes.contains(process));
        drop(state);
        self.core.ready.let_go(host.0);
    }

    /// Has all clocks of `host` run fast from now on by so many parts per million, or slow where that is below zero; at
    /// most 50 % either way. Timers fire accordingly, those included that are set already.
    pub fn set_drift(&self, host: HostId, ppm: i32) {
        self.trace_fault(Fault::Drift, Some(host), i64::from(ppm).cast_unsigned());
        let mut state = self.core.lock();
        self.core.clocks.drift(host, state.timeline.now, ppm);
        state.timeline.wake_sleepers(host.0);
    }

    /// Moves the wall clock of `host` by so many nanoseconds. Its monotonic clock and its timers do not notice.
    pub fn jump_clock(&self, host: HostId, by: i64) {
        self.trace_fault(Fault::Jump, Some(host), by.cast_unsigned());
        self.core.clocks.jump(host, by);
    }

    /// Sets the wall clock of `host` so many nanoseconds ahead of the true one.
    pub fn set_wall_clock(&self, host: HostId, ahead: i64) {
        self.trace_fault(Fault::WallClock, Some(host), ahead.cast_unsigned());
        self.core.clocks.set(host, nanos(self.now()), ahead);
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
        let mut state = self.core.lock();
        state.lose_power(host);
        drop(state);
        self.core.bury();
    }

    /// Has the host lose its power at the so-manieth operation, from 1, that a node does to its disk from now on. The
    /// operation fails, a write may be torn, and all else is as with [`power_cut`](Self::power_cut). What this gives ends
    /// well when it happens, and with an error once it cannot any more: after [`keep_power`](Self::keep_power), or
    /// another power cut.
    pub fn power_cut_at_disk_operation(&self, host: HostId, operation: u32) -> oneshot::Receiver<()> {
        self.trace_fault(Fault::PowerCutArmed, Some(host), u64::from(operation));
        self.core.lock().hosts.get_mut(host).disk.cut_power_at(operation)
    }

    /// Takes back what [`power_cut_at_disk_operation`](Self::power_cut_at_disk_operation) said.
    pub fn keep_power(&self, host: HostId) {
        self.core.lock().hosts.get_mut(host).disk.keep_power();
    }

    /// Says what the host's disk does wrong from now on. What nodes do to it is concerned, and nobody else.
    pub fn set_disk_faults(&self, host: HostId, faults: DiskFaults) {
        self.trace_fault(Fault::Disk, Some(host), xxh3_64(format!("{faults:?}").as_bytes()));
        let mut state = self.core.lock();
        let host = state.hosts.get_mut(host);
        host.disk.set_faults(faults, self.core.seed(), &host.name);
    }

    /// Says how long the host's disk takes to sync something. Whoever waits for that in a node goes on afterwards; of
    /// several at once each waits for those before it.
    pub fn set_sync_time(&self, host: HostId, time: Duration) {
        self.core.lock().hosts.get_mut(host).disk.set_sync_time(nanos(time));
    }

    /// A small value on a host's disk, as somebody sees it who looks at the disk from outside.
    pub fn stored(&self, host: HostId, name: &str) -> Option<Vec<u8>> {
        self.core.lock().hosts.get(host).disk.value(name).map(<[u8]>::to_vec)
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

    /// Lets nothing through any more, either way, in a share (`0.0..=1.0`, drawn for each) of the streams that there are
    /// between hosts of `from` and hosts of `to`. New ones are well.
    pub fn stall_streams(&self, from: &HostSet, to: &HostSet, share: f64) -> StallId {
        self.trace_fault(Fault::Stall, None, 0);
        self.core.lock().stall_streams(from, to, share)
    }

    /// Takes a stall back. What it held is sent at TCP's next retransmission.
    pub fn end_stall(&self, stall: StallId) {
        self.trace_fault(Fault::EndStall, None, 0);
        self.core.lock().end_stall(stall);
    }

    /// Breaks a share (`0.0..=1.0`, drawn for each) of the streams that there are between hosts of `from` and hosts of
    /// `to`: both ends get a reset.
    pub fn reset_streams(&self, from: &HostSet, to: &HostSet, share: f64) {
        self.trace_fault(Fault::ResetStreams, None, 0);
        self.core.lock().reset_streams(from, to, share);
    }

    /// Has the translator in front of a host, where there is one, forget all mappings. Nobody is told: what comes for
    /// them is not let in, and what goes out over streams that it knew is answered with a reset.
    pub fn forget_nat(&self, host: HostId) {
        self.fault(Fault::Nat, host);
        let mut state = self.core.lock();
        if let Some(public) = state.public_address(host) {
            state.forget_mappings(public, None);
        }
    }

    /// As [`forget_nat`](Self::forget_nat), and the translator has the address `to` from now on, for all who are behind
    /// it.
    pub fn move_nat(&self, host: HostId, to: IpAddr) {
        self.trace_fault(Fault::Nat, Some(host), xxh3_64(to.to_string().as_bytes()));
        let mut state = self.core.lock();
        if let Some(public) = state.public_address(host) {
            state.forget_mappings(public, Some(to));
        }
    }

    /// How many sockets each node process of a host may hold from now on, those that are open included; one more fails
    /// with EMFILE. `None`: any number.
    pub fn set_descriptor_limit(&self, host: HostId, limit: Option<u32>) {
        self.trace_fault(Fault::Descriptors, Some(host), limit.map_or(u64::MAX, u64::from));
        self.core.lock().hosts.set_descriptors(host, limit);
    }

    /// What the node processes of a host get from now on when they ask for a name; `None`: what is right.
    pub fn set_names(&self, host: HostId, answer: Option<NameAnswer>) {
        self.trace_fault(Fault::Names, Some(host), answer.map_or(u64::MAX, |answer| answer as u64));
        self.core.lock().hosts.set_names(host, answer);
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
