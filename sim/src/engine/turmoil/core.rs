//! What a run's handles share, and the life of processes and tasks.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use relay_node::env::BoxFuture;

use super::hosts::Hosts;
use super::paths::Paths;
use super::task::{self, Polled, Runner, Task};
use super::timers::Timers;
use crate::engine::event::disk::{DiskError, Disks, Operation};
use crate::engine::event::{HostId, Options, ProcessKind, TaskPanic};
use crate::engine::observe::Observations;
use crate::engine::stamp;
use crate::engine::watchdog::Watched;
use crate::trace::{Kind, NONE, Trace};

/// The first process of every run. Its tasks run between ticks, on no host.
pub(super) const DIRECTOR: u32 = 0;

/// Polls in one tick; more are an endless loop.
pub(super) const POLLS_PER_TICK_MAX: u64 = 1_000_000;

pub(super) struct Core {
    state: Mutex<State>,
    /// Virtual time, readable without the lock.
    now: AtomicU64,
    /// Polls so far, and those of this tick.
    polls: AtomicU64,
    polls_of_tick: AtomicU64,
    /// The task that is being polled.
    current: Mutex<Option<(u32, &'static str)>>,
    panics: Mutex<Vec<TaskPanic>>,
    pub(super) seed: u64,
    pub(super) unix_start: Duration,
}

pub(super) struct State {
    pub(super) trace: Trace,
    pub(super) hosts: Hosts,
    pub(super) paths: Paths,
    pub(super) processes: Vec<Process>,
    next_task: u32,
    next_held: u64,
    /// Tasks of the director that nobody polls yet.
    pub(super) to_direct: Vec<Arc<Task>>,
    pub(super) timers: Timers,
    /// Ends of streams whose peer was reset: host, own address, the peer's.
    resets: BTreeSet<(HostId, SocketAddr, SocketAddr)>,
    pub(super) observations: Observations,
}

pub(super) struct Process {
    pub(super) host: HostId,
    name: &'static str,
    pub(super) kind: ProcessKind,
    life: Life,
    /// The task whose end is the process's.
    main: u32,
    tasks: BTreeMap<u32, Arc<Task>>,
    /// Its streams, listeners and sockets.
    held: BTreeMap<u64, Arc<dyn Held>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Running,
    /// Its main future returned: no new tasks, while the destructors of the old ones still have a network.
    Ending,
    Dead,
}

/// How a process parts from what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Farewell {
    /// In order: what was written is still sent.
    Close,
    /// With a reset.
    Reset,
}

/// Something of the network that a process holds.
pub(super) trait Held: Send + Sync {
    /// The process lets go of it.
    fn let_go(&self, farewell: Farewell);
}

impl Watched for Core {
    fn current_poll(&self) -> Option<u64> {
        let current = *self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.map(|_| self.polls.load(Ordering::Relaxed))
    }

    fn describe_poll(&self) -> String {
        let current = *self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((host, name)) = current else { return "a task".to_owned() };
        let host = match self.state.try_lock() {
            Ok(state) => state.hosts.name(host).to_owned(),
            Err(_) => format!("number {host}"),
        };
        format!("task {name} on host {host}")
    }
}

impl Disks for Core {
    fn operate(&self, process: u32, name: &str, operation: Operation<'_>) -> Result<u64, DiskError> {
        let mut state = self.lock();
        if !state.alive(process) {
            return Err(DiskError::Dead);
        }
        let State { processes, hosts, .. } = &mut *state;
        let alive = |other: u32| processes.get(other as usize).is_some_and(|other| other.life != Life::Dead);
        let host = processes[process as usize].host;
        hosts.get_mut(host).disk.perform(process, name, operation, alive)
    }

    fn unix(&self) -> Duration {
        Core::unix(self)
    }

    fn seed(&self) -> u64 {
        self.seed
    }
}

impl Core {
    pub(super) fn new(options: &Options) -> Self {
        let Options { seed, unix_start, .. } = *options;
        let state = State {
            trace: options.trace(),
            hosts: Hosts::default(),
            paths: Paths::new(seed),
            processes: Vec::new(),
            next_task: 0,
            next_held: 0,
            to_direct: Vec::new(),
            timers: Timers::default(),
            resets: BTreeSet::new(),
            observations: Observations::default(),
        };
        Self {
            state: Mutex::new(state),
            now: AtomicU64::new(0),
            polls: AtomicU64::new(0),
            polls_of_tick: AtomicU64::new(0),
            current: Mutex::default(),
            panics: Mutex::default(),
            seed,
            unix_start,
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Virtual nanoseconds since the start of the run.
    pub(super) fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    /// Virtual wall-clock time, since 1970.
    pub(super) fn unix(&self) -> Duration {
        self.unix_start + Duration::from_nanos(self.now())
    }

    /// Moves the clock, and begins a tick.
    pub(super) fn set_now(&self, now: u64) {
        self.now.store(now, Ordering::Relaxed);
        self.polls_of_tick.store(0, Ordering::Relaxed);
    }

    /// Whether tasks keep each other busy and time stands still.
    pub(super) fn is_looping(&self) -> bool {
        self.polls_of_tick.load(Ordering::Relaxed) > POLLS_PER_TICK_MAX
    }

    pub(super) fn take_panics(&self) -> Vec<TaskPanic> {
        std::mem::take(&mut *self.panics.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Enters a process; its first task is to be spawned next and is its main one.
    pub(super) fn add_process(&self, host: HostId, name: &'static str, kind: ProcessKind) -> u32 {
        let mut state = self.lock();
        let id = state.processes.len() as u32;
        let main = state.next_task;
        let (tasks, held) = (BTreeMap::new(), BTreeMap::new());
        state.processes.push(Process { host, name, kind, life: Life::Running, main, tasks, held });
        state.trace.name_process(name);
        state.trace.emit(self.now(), Kind::ProcessStart, host.0, u64::from(id), 0);
        id
    }

    /// Starts a task of a living process; drops the future otherwise.
    pub(super) fn spawn(self: &Arc<Self>, process: u32, name: &'static str, future: BoxFuture<'static, ()>) {
        let mut guard = self.lock();
        let state = &mut *guard;
        let id = state.next_task;
        let owner = state.processes.get_mut(process as usize);
        let Some(owner) = owner.filter(|owner| owner.life == Life::Running) else {
            drop(guard);
            drop(future);
            return;
        };
        let host = owner.host;
        let task = Arc::new(Task::new(host, process, id, name, future));
        owner.tasks.insert(id, task.clone());
        state.next_task += 1;
        state.trace.name_task(process, name);
        state.trace.emit(self.now(), Kind::Spawn, host.0, u64::from(id), 0);
        if process == DIRECTOR {
            state.to_direct.push(task);
        } else {
            let runner = Runner { core: self.clone(), task };
            state.hosts.get_mut(host).launch(Box::pin(runner));
        }
    }

    /// Gives a task its turn.
    pub(super) fn poll(&self, task: &Task, context: &mut Context<'_>) -> Poll<()> {
        if self.polls_of_tick.fetch_add(1, Ordering::Relaxed) > POLLS_PER_TICK_MAX {
            // The run is about to end and says so.
            return Poll::Pending;
        }
        let Some(mut future) = task.take_up(context.waker()) else { return Poll::Ready(()) };
        {
            let mut state = self.lock();
            state.trace.enter(task.process, task.id);
            state.trace.emit(self.now(), Kind::Poll, task.host.0, 0, 0);
        }
        self.polls.fetch_add(1, Ordering::Relaxed);
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some((task.host.0, task.name));
        stamp::set_host(task.host.0);
        let polled = task::poll(&mut future, context);
        stamp::set_host(NONE);
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let pending = {
            let mut state = self.lock();
            state.trace.leave();
            matches!(polled, Polled::Pending) && state.processes[task.process as usize].life == Life::Running
        };
        if pending {
            task.lay_down(future);
            return Poll::Pending;
        }
        match polled {
            // Its process ended meanwhile.
            Polled::Pending => self.drop_task(task, future),
            Polled::Finished => {
                self.drop_task(task, future);
                self.finished(task);
            }
            Polled::Panicked(message) => {
                self.note_panic(task, message);
                self.kill(task.process, Farewell::Reset);
                self.drop_task(task, future);
            }
        }
        Poll::Ready(())
    }

    /// Ends a process: its network and disk first, then its tasks.
    pub(super) fn kill(&self, process: u32, farewell: Farewell) {
        let held = {
            let mut state = self.lock();
            if !state.alive(process) {
                return;
            }
            let owner = &mut state.processes[process as usize];
            owner.life = Life::Dead;
            let (host, held) = (owner.host, std::mem::take(&mut owner.held));
            let how = u64::from(farewell == Farewell::Reset);
            state.trace.emit(self.now(), Kind::ProcessEnd, host.0, u64::from(process), how);
            held
        };
        held.values().for_each(|held| held.let_go(farewell));
        self.drop_tasks(process);
    }

    fn finished(&self, task: &Task) {
        let over = {
            let mut state = self.lock();
            state.trace.emit(self.now(), Kind::TaskEnd, task.host.0, u64::from(task.id), 0);
            let process = &mut state.processes[task.process as usize];
            process.tasks.remove(&task.id);
            let over = process.main == task.id && process.life == Life::Running;
            if over {
                process.life = Life::Ending;
            }
            over
        };
        if over {
            self.drop_tasks(task.process);
            self.kill(task.process, Farewell::Close);
        }
    }

    fn drop_tasks(&self, process: u32) {
        let tasks = std::mem::take(&mut self.lock().processes[process as usize].tasks);
        for task in tasks.values() {
            if let Some(message) = task.take_away() {
                self.note_panic(task, message);
            }
        }
    }

    fn drop_task(&self, task: &Task, future: BoxFuture<'static, ()>) {
        if let Some(message) = task::drop_quietly(future) {
            self.note_panic(task, message);
        }
    }

    fn note_panic(&self, task: &Task, message: String) {
        let panic = {
            let mut state = self.lock();
            state.trace.emit(self.now(), Kind::Panic, task.host.0, u64::from(task.id), 0);
            TaskPanic {
                host: state.hosts.name(task.host.0).to_owned(),
                process: state.processes[task.process as usize].name,
                task: task.name,
                message,
                at: Duration::from_nanos(self.now()),
            }
        };
        tracing::error!(task = task.name, message = panic.message, "a task panicked");
        self.panics.lock().unwrap_or_else(PoisonError::into_inner).push(panic);
    }

    /// Notes that a process holds something, and gives the number under which it does; lets go of it at once where
    /// the process is dead.
    pub(super) fn hold(&self, process: u32, held: Arc<dyn Held>) -> u64 {
        let mut state = self.lock();
        let number = state.next_held;
        state.next_held += 1;
        if state.alive(process) {
            state.processes[process as usize].held.insert(number, held);
        } else {
            drop(state);
            held.let_go(Farewell::Reset);
        }
        number
    }

    /// The process holds it no more.
    pub(super) fn release(&self, process: u32, number: u64) {
        self.lock().processes[process as usize].held.remove(&number);
    }
}

impl State {
    pub(super) fn alive(&self, process: u32) -> bool {
        self.processes.get(process as usize).is_some_and(|process| process.life != Life::Dead)
    }

    /// # Errors
    /// Where the process is dead: it has no network and no disk any more.
    pub(super) fn check(&self, process: u32) -> io::Result<()> {
        if self.alive(process) {
            Ok(())
        } else {
            Err(io::Error::new(ErrorKind::NotConnected, "the process has ended"))
        }
    }

    /// The living processes of a host that go down with it.
    pub(super) fn nodes_of(&self, host: HostId) -> Vec<u32> {
        let nodes = self.processes.iter().enumerate().filter(|(_, process)| {
            process.host == host && process.life != Life::Dead && process.kind == ProcessKind::Node
        });
        nodes.map(|(id, _)| id as u32).collect()
    }

    /// The end of a stream at `peer` is to see a reset where turmoil shows it an end: turmoil resets only streams with
    /// something unread.
    pub(super) fn reset_peer(&mut self, host: HostId, local: SocketAddr, peer: SocketAddr) {
        if let Some(there) = self.hosts.peer(host, peer.ip()) {
            self.resets.insert((there, peer, local));
        }
    }

    /// Whether the end that has just come is a reset. Once per stream.
    pub(super) fn was_reset(&mut self, host: HostId, local: SocketAddr, peer: SocketAddr) -> bool {
        self.resets.remove(&(host, local, peer))
    }
}
