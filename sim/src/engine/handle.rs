//! One handle for both engines: what the world, the director and the harness move a run by. Relays never see it: they
//! have their [`Env`], and no engine is slower for this.

use std::fmt;
use std::future::Future;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use relay_node::env::{BoxFuture, Env, Rng, SrvRecord};
use serde::{Deserialize, Serialize};

use super::event::{
    self, Certificate, Cpu, CutId, HostId, HostSet, HostSpec, Link, LinkModel, Observation, Options,
    ProcessId, ProcessKind, RunEnd,
};
use super::{random, turmoil};

/// Which engine a run is on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// The discrete-event engine.
    #[default]
    Event,
    /// The reference engine, on turmoil.
    Turmoil,
}

impl Engine {
    /// All of them.
    pub const ALL: [Engine; 2] = [Engine::Event, Engine::Turmoil];

    /// Its name on the command line, in capsules and in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Engine::Event => "event",
            Engine::Turmoil => "turmoil",
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Engine {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Engine::ALL.into_iter().find(|engine| engine.as_str() == text);
        found.ok_or_else(|| format!("there is no engine `{text}`; there are event and turmoil"))
    }
}

/// Runs `director` to its end on an engine, in a world of its own. See [`event::run`].
pub fn run<T: Send + 'static>(
    engine: Engine,
    options: Options,
    director: impl FnOnce(Sim) -> BoxFuture<'static, T> + Send + 'static,
) -> RunEnd<T> {
    match engine {
        Engine::Event => event::run(options, |sim| director(Sim::Event(sim))),
        Engine::Turmoil => turmoil::run(options, |sim| director(Sim::Turmoil(sim))),
    }
}

/// A run's handle: hosts, processes, and the faults that both engines know. Cheap to clone. What each method does is
/// said at [`event::Sim`]; where turmoil differs, at [`turmoil::Sim`].
#[derive(Clone)]
pub enum Sim {
    /// Of a run on the discrete-event engine.
    Event(event::Sim),
    /// Of a run on the reference engine.
    Turmoil(turmoil::Sim),
}

impl From<event::Sim> for Sim {
    fn from(sim: event::Sim) -> Self {
        Sim::Event(sim)
    }
}

impl From<turmoil::Sim> for Sim {
    fn from(sim: turmoil::Sim) -> Self {
        Sim::Turmoil(sim)
    }
}

/// Asks whichever engine it is.
macro_rules! ask {
    ($sim:expr, $inner:ident => $answer:expr) => {
        match $sim {
            Sim::Event($inner) => $answer,
            Sim::Turmoil($inner) => $answer,
        }
    };
}

impl Sim {
    /// The engine that the run is on.
    pub fn engine(&self) -> Engine {
        match self {
            Sim::Event(_) => Engine::Event,
            Sim::Turmoil(_) => Engine::Turmoil,
        }
    }

    /// The event engine's own handle, for what only it can do.
    ///
    /// # Panics
    /// On another engine: scenarios that need the event engine are refused before they run on another one, see
    /// [`needs_event_engine`](crate::capability::needs_event_engine).
    pub fn event(&self) -> &event::Sim {
        match self {
            Sim::Event(sim) => sim,
            Sim::Turmoil(_) => panic!("this needs the event engine, and the run is on turmoil"),
        }
    }

    /// Virtual time since the start of the run.
    pub fn now(&self) -> Duration {
        ask!(self, sim => sim.now())
    }

    /// Waits until `at`, counted from the start of the run.
    pub fn sleep_until(&self, at: Duration) -> BoxFuture<'static, ()> {
        ask!(self, sim => sim.sleep_until(at))
    }

    /// Waits for `duration`.
    pub fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.sleep_until(self.now() + duration)
    }

    /// The numbered stream of a generator of this seed, for the harness: on the event engine it follows
    /// [`Options::reseed`].
    pub fn generator(&self, seed: [u8; 32], stream: u64) -> Rng {
        match self {
            Sim::Event(sim) => sim.generator(seed, stream),
            Sim::Turmoil(_) => Rng::of(random::stream(seed, stream)),
        }
    }

    /// Adds a host, powered on, with an empty disk.
    ///
    /// # Panics
    /// Where its name or its address is taken.
    pub fn add_host(&self, spec: HostSpec) -> HostId {
        ask!(self, sim => sim.add_host(spec))
    }

    /// What messages cost on `host` from now on.
    ///
    /// # Panics
    /// On turmoil, where that is anything: it has no CPUs.
    pub fn set_cpu(&self, host: HostId, cpu: Cpu) {
        match self {
            Sim::Turmoil(_) if cpu.per_message.is_zero() => {}
            _ => self.event().set_cpu(host, cpu),
        }
    }

    /// The name that `host` was added with.
    pub fn host_name(&self, host: HostId) -> String {
        ask!(self, sim => sim.host_name(host))
    }

    /// The world as `process` on `host` sees it.
    pub fn env(&self, host: HostId, process: ProcessId) -> Env {
        ask!(self, sim => sim.env(host, process))
    }

    /// Starts a process. It ends when the future that `main` gives ends.
    pub fn start(
        &self,
        host: HostId,
        name: &'static str,
        kind: ProcessKind,
        main: impl FnOnce(Env) -> BoxFuture<'static, ()>,
    ) -> ProcessId {
        ask!(self, sim => sim.start(host, name, kind, main))
    }

    /// Starts a task of the director's own.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        ask!(self, sim => sim.spawn(name, task));
    }

    /// Whether the process runs still.
    pub fn alive(&self, process: ProcessId) -> bool {
        ask!(self, sim => sim.alive(process))
    }

    /// Kills a process: its peers get resets, its host stays up.
    pub fn kill(&self, process: ProcessId) {
        ask!(self, sim => sim.kill(process));
    }

    /// Takes the power from a host: nobody is told.
    pub fn power_cut(&self, host: HostId) {
        ask!(self, sim => sim.power_cut(host));
    }

    /// Gives a host its power back. No process is started.
    pub fn power_on(&self, host: HostId) {
        ask!(self, sim => sim.power_on(host));
    }

    /// Gives a host a certificate in place of the one that it has.
    pub fn set_certificate(&self, host: HostId, certificate: Option<Certificate>) {
        ask!(self, sim => sim.set_certificate(host, certificate));
    }

    /// Gives a name these SRV records in place of those that it has.
    pub fn set_srv(&self, name: &str, records: Vec<SrvRecord>) {
        ask!(self, sim => sim.set_srv(name, records));
    }

    /// Whether the host has power.
    pub fn is_powered(&self, host: HostId) -> bool {
        ask!(self, sim => sim.is_powered(host))
    }

    /// Empties a host's disk.
    pub fn wipe(&self, host: HostId) {
        ask!(self, sim => sim.wipe(host));
    }

    /// The names on a host's disk, sorted.
    pub fn disk_names(&self, host: HostId) -> Vec<String> {
        ask!(self, sim => sim.disk_names(host))
    }

    /// A small value on a host's disk, as somebody sees it who looks at the disk from outside.
    pub fn stored(&self, host: HostId, name: &str) -> Option<Vec<u8>> {
        ask!(self, sim => sim.stored(host, name))
    }

    /// Says what lies between any two hosts from now on.
    pub fn set_links(&self, model: LinkModel) {
        ask!(self, sim => sim.set_links(model));
    }

    /// Gives all paths the same link.
    pub fn set_uniform_links(&self, link: Link) {
        self.set_links(Arc::new(move |_, _| link));
    }

    /// Lets nothing through from `from` to `to`: one direction; a partition is two cuts.
    pub fn cut(&self, from: HostSet, to: HostSet) -> CutId {
        ask!(self, sim => sim.cut(from, to))
    }

    /// Takes a cut back.
    pub fn heal(&self, cut: CutId) {
        ask!(self, sim => sim.heal(cut));
    }

    /// What happened on the network since the last call, in order.
    pub fn take_observations(&self) -> Vec<Observation> {
        ask!(self, sim => sim.take_observations())
    }

    /// Puts a remark into the trace, and into its hash.
    pub fn note(&self, host: Option<HostId>, text: &str) {
        ask!(self, sim => sim.note(host, text));
    }

    /// How many events the trace has so far.
    pub fn events(&self) -> u64 {
        ask!(self, sim => sim.events())
    }
}
