//! One run, from an empty world to its verdict.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use relay_node::env::BoxFuture;
use thiserror::Error;

use super::core::{Core, DIRECTOR, TaskPanic};
use super::executor::Meta;
use super::host::{Life, ProcessKind};
use super::libc_hooks;
use super::link::{HostId, nanos};
use super::panics;
use super::sim::Sim;
use super::state::Farewell;
use super::watchdog::Watchdog;
use crate::trace::{Keep, NONE, Sink, Trace};

/// Polls at one virtual instant; more are an endless loop.
const POLLS_PER_INSTANT_MAX: u64 = 1_000_000;
/// From here on it is counted who is polled.
const POLLS_PER_INSTANT_COUNTED: u64 = POLLS_PER_INSTANT_MAX / 2;
/// Tasks named when a run halts.
const NAMED_TASKS_MAX: usize = 20;
/// Virtual memory only: deep futures of unoptimised builds need more than a thread's usual 2 MiB.
const STACK_BYTES: usize = 16 * 1024 * 1024;
/// 2026-01-01T00:00:00Z.
const UNIX_START: Duration = Duration::from_secs(1_767_225_600);

/// How to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// The events that are kept, for [`first_divergence`](crate::trace::first_divergence).
    pub record: Keep,
    /// Where all events go as they happen; the first run with it takes it.
    pub sink: Option<Sink>,
    /// The wall-clock time at which the run starts, since 1970.
    pub unix_start: Duration,
    /// Where logs of the run go; `None` leaves it to the global subscriber. Stamp them with
    /// [`Stamp`](super::Stamp).
    pub log: Option<tracing::Dispatch>,
    /// From this virtual time on, everything that is drawn comes from this other seed as well: who is polled next, what the
    /// network and disks do, seeds that processes ask for, what libraries take from the system, and what the generators
    /// give that relays, loads and upstreams have already. Two things go on as they are: what was drawn before and waits
    /// for its time, and the masks of WebSocket frames, which a library draws in advance and which decide nothing.
    pub reseed: Option<(Duration, u64)>,
}

impl Default for Options {
    fn default() -> Self {
        Self { seed: 0, record: Keep::Nothing, sink: None, unix_start: UNIX_START, log: None, reseed: None }
    }
}

impl Options {
    /// An empty trace, as wanted.
    pub(in crate::engine) fn trace(&self) -> Trace {
        Trace::streaming(self.record.clone(), self.sink.as_ref())
    }
}

/// What a run came to.
#[derive(Debug)]
pub struct RunEnd<T> {
    /// What the director returned, or why it could not.
    pub outcome: Result<T, Halt>,
    /// What happened.
    pub trace: Trace,
    /// Tasks that panicked, in order; each killed its process.
    pub panics: Vec<TaskPanic>,
    /// How much virtual time passed.
    pub virtual_time: Duration,
}

/// Why a run ended before its director did.
#[derive(Debug, Error)]
pub enum Halt {
    /// Nothing can ever happen again.
    #[error("deadlock at {at:?}: every task waits and no event is left. {}", list(waiting))]
    Deadlock {
        /// Virtual time since the start of the run.
        at: Duration,
        /// The processes that wait.
        waiting: Vec<Waiting>,
    },
    /// Tasks keep each other busy and time stands still.
    #[error(
        "endless loop: {POLLS_PER_INSTANT_MAX} polls at {at:?} without time passing. Polled most: {}",
        list(busiest)
    )]
    ReadyLoop {
        /// Virtual time since the start of the run.
        at: Duration,
        /// The tasks polled most, most first.
        busiest: Vec<TaskPolls>,
    },
    /// The director panicked; the panic is among [`RunEnd::panics`] as well.
    #[error("the director panicked: {0}")]
    DirectorPanicked(String),
    /// The engine cannot go on, and says why.
    #[error("{0}")]
    Stopped(String),
}

/// A process in a deadlock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its host.
    pub host: String,
    /// Its name.
    pub process: &'static str,
    /// Its tasks.
    pub tasks: Vec<&'static str>,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.tasks.len().min(NAMED_TASKS_MAX);
        write!(f, "{} on {} waits in {}", self.process, self.host, self.tasks[..shown].join(", "))?;
        if shown < self.tasks.len() {
            write!(f, " and {} more", self.tasks.len() - shown)?;
        }
        Ok(())
    }
}

/// A task in an endless loop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskPolls {
    /// Its host.
    pub host: String,
    /// Its name.
    pub task: &'static str,
    /// How often it was polled.
    pub polls: u64,
}

impl fmt::Display for TaskPolls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {} ({} times)", self.task, self.host, self.polls)
    }
}

fn list<T: fmt::Display>(items: &[T]) -> String {
    let shown: Vec<String> = items.iter().take(NAMED_TASKS_MAX).map(ToString::to_string).collect();
    let more = items.len() - shown.len();
    if more > 0 { format!("{}; and {more} more", shown.join("; ")) } else { shown.join("; ") }
}

/// Runs `director` to its end in a world of its own: a fresh thread with virtual clocks and seeded randomness.
/// Whatever lives when it returns is dropped. Runs in different threads do not touch each other.
///
/// # Panics
/// Where the system gives no thread, or the engine itself is wrong.
pub fn run<T: Send + 'static>(
    options: Options,
    director: impl FnOnce(Sim) -> BoxFuture<'static, T> + Send + 'static,
) -> RunEnd<T> {
    on_fresh_thread(options, |options| run_here(options, director))
}

/// One run is one thread: what it makes virtual for its thread ends with it.
pub(in crate::engine) fn on_fresh_thread<T: Send + 'static>(
    options: Options,
    run: impl FnOnce(&Options) -> T + Send + 'static,
) -> T {
    let body = move || match options.log.clone() {
        Some(dispatch) => tracing::dispatcher::with_default(&dispatch, || run(&options)),
        None => run(&options),
    };
    let thread = thread::Builder::new().name("simulation".to_owned()).stack_size(STACK_BYTES).spawn(body);
    match thread.expect("the system gives a thread").join() {
        Ok(end) => end,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn run_here<T: Send + 'static>(
    options: &Options,
    director: impl FnOnce(Sim) -> BoxFuture<'static, T> + Send + 'static,
) -> RunEnd<T> {
    libc_hooks::enter(options.seed, nanos(options.unix_start));
    panics::keep_panics();
    let core = Arc::new(Core::new(options));
    let watchdog = Watchdog::start(&core);
    let result = Arc::new(Mutex::new(None));
    let slot = result.clone();
    let sim = Sim { core: core.clone() };
    let process = core.add_process(HostId(NONE), "director", ProcessKind::Harness);
    debug_assert_eq!(process, DIRECTOR);
    let main = async move {
        let value = director(sim).await;
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
    };
    core.spawn(DIRECTOR, "director", Box::pin(main));
    let halt = drive(&core, options.reseed);
    let (trace, virtual_time) = {
        let mut state = core.lock();
        (std::mem::take(&mut state.trace), Duration::from_nanos(state.timeline.now))
    };
    tear_down(&core);
    drop(watchdog);
    let panics = core.take_panics();
    let value = result.lock().unwrap_or_else(PoisonError::into_inner).take();
    let outcome = match (halt, value) {
        (Some(halt), _) => Err(halt),
        (None, Some(value)) => Ok(value),
        (None, None) => {
            let panic = panics.iter().find(|panic| panic.process == "director");
            Err(Halt::DirectorPanicked(panic.map_or_else(String::new, |panic| panic.message.clone())))
        }
    };
    RunEnd { outcome, trace, panics, virtual_time }
}

/// Polls what can go on, and moves time where nothing can, until the director is done.
fn drive(core: &Core, mut reseed: Option<(Duration, u64)>) -> Option<Halt> {
    let mut polls = 0;
    let mut counts = BTreeMap::new();
    loop {
        while let Some(runnable) = core.ready.pick() {
            polls += 1;
            let meta = *runnable.metadata();
            if polls > POLLS_PER_INSTANT_COUNTED {
                counts.entry(meta.id).or_insert((meta, 0)).1 += 1;
            }
            if polls > POLLS_PER_INSTANT_MAX {
                return Some(ready_loop(core, counts));
            }
            core.poll(runnable);
            if meta.process == DIRECTOR && !core.lock().processes.alive(DIRECTOR) {
                return None;
            }
        }
        let mut state = core.lock();
        let before = state.timeline.now;
        if !state.step() {
            drop(state);
            return Some(deadlock(core));
        }
        let now = state.timeline.now;
        let (freed, done) = (state.cpus.take_freed(), state.processes.aftermath.done.take());
        drop(state);
        if now != before {
            core.now.store(now, Ordering::Relaxed);
            core.ready.at(now);
            libc_hooks::set_now(now);
            if let Some((_, seed)) = reseed.take_if(|(at, _)| now >= nanos(*at)) {
                core.reseed(seed);
            }
            polls = 0;
            counts.clear();
        }
        if let Some(key) = done {
            core.ready.put_back(key);
        }
        if let Some(host) = freed {
            core.serve_line(host);
        }
    }
}

fn ready_loop(core: &Core, counts: BTreeMap<u32, (Meta, u64)>) -> Halt {
    let state = core.lock();
    let name = |(meta, polls): (Meta, u64)| TaskPolls {
        host: state.hosts.name(meta.host).to_owned(),
        task: meta.name,
        polls,
    };
    let mut busiest: Vec<_> = counts.into_values().map(name).collect();
    busiest.sort_by_key(|task| std::cmp::Reverse(task.polls));
    busiest.truncate(NAMED_TASKS_MAX);
    Halt::ReadyLoop { at: Duration::from_nanos(state.timeline.now), busiest }
}

fn deadlock(core: &Core) -> Halt {
    let state = core.lock();
    let alive = state.processes.list.iter().filter(|process| process.life != Life::Dead);
    let waiting = alive.map(|process| Waiting {
        host: state.hosts.name(process.host.0).to_owned(),
        process: process.name,
        tasks: process.tasks.iter().map(|(_, task)| task.metadata().name).collect(),
    });
    Halt::Deadlock { at: Duration::from_nanos(state.timeline.now), waiting: waiting.collect() }
}

/// Drops every task, and with them everything that refers back to the world.
fn tear_down(core: &Core) {
    let processes = {
        let mut state = core.lock();
        state.forget_network();
        state.processes.list.len() as u32
    };
    for process in 0..processes {
        core.kill(process, Farewell::Silence);
    }
}
