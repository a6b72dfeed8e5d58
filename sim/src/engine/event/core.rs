//! What a run's handles share, and the life of processes and tasks.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_task::{Builder, Runnable};
use relay_node::env::{BoxFuture, Rng};
use slab::Slab;

use super::clock::Clocks;
use super::cpu::Turn;
use super::executor::{self, Guarded, Meta, Polled, Ready};
use super::host::{Life, Process, ProcessKind};
use super::libc_hooks;
use super::link::HostId;
use super::random::{Generator, Seed};
use super::run::Options;
use super::stamp;
use super::state::{Farewell, State};
use super::timeline::Event;
use super::watchdog::Watched;
use crate::trace::Kind;

/// The first process of every run.
pub(super) const DIRECTOR: u32 = 0;

pub(super) struct Core {
    state: Mutex<State>,
    pub(super) ready: Arc<Ready>,
    /// Whether the state has something left to do after the poll that is going on.
    aftermath: Arc<AtomicBool>,
    /// The state's virtual time, readable without its lock.
    pub(super) now: AtomicU64,
    pub(super) clocks: Clocks,
    /// What seeds are derived from; changed by [`reseed`](Self::reseed).
    seed: Arc<Seed>,
    unix_start: Duration,
    panics: Mutex<Vec<TaskPanic>>,
}

/// A panic in a task: a bug, in the system under test or in the test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskPanic {
    /// The host that it happened on.
    pub host: String,
    /// The process that was killed by it.
    pub process: &'static str,
    /// The task.
    pub task: &'static str,
    /// What the panic said, with its place in the source.
    pub message: String,
    /// Virtual time since the start of the run.
    pub at: Duration,
}

impl Watched for Core {
    fn current_poll(&self) -> Option<u64> {
        self.ready.current().map(|(_, number)| number)
    }

    fn describe_poll(&self) -> String {
        let Some((meta, _)) = self.ready.current() else { return "a task".to_owned() };
        let host = match self.state.try_lock() {
            Ok(state) => state.hosts.name(meta.host).to_owned(),
            Err(_) => format!("number {}", meta.host),
        };
        format!("task {} on host {host}", meta.name)
    }
}

impl Core {
    pub(super) fn new(options: &Options) -> Self {
        let Options { seed, unix_start, .. } = *options;
        let state = State::new(seed, options.trace());
        Self {
            aftermath: state.processes.aftermath.any.clone(),
            state: Mutex::new(state),
            ready: Arc::new(Ready::new(seed)),
            now: AtomicU64::new(0),
            clocks: Clocks::default(),
            seed: Seed::new(seed),
            unix_start,
            panics: Mutex::default(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What seeds are derived from.
    pub(super) fn seed(&self) -> u64 {
        self.seed.get()
    }

    /// A generator that follows the run's seed.
    pub(super) fn generator(&self, seed: [u8; 32], stream: u64) -> Rng {
        Rng::of(Generator::new(&self.seed, seed, stream))
    }

    /// Draws everything that is left to chance from another seed from now on.
    pub(super) fn reseed(&self, seed: u64) {
        self.seed.turn(seed);
        self.ready.reseed(seed);
        let mut state = self.lock();
        state.topology.reseed(seed);
        state.hosts.reseed_disks(seed);
        libc_hooks::reseed(seed);
    }

    /// What the wall clock of a host shows, since 1970: nothing before that.
    pub(super) fn unix(&self, host: HostId) -> Duration {
        let now = self.now.load(Ordering::Relaxed);
        let truth = self.unix_start + Duration::from_nanos(now);
        let ahead = self.clocks.ahead(host, now);
        let by = Duration::from_nanos(ahead.unsigned_abs());
        if ahead < 0 { truth.saturating_sub(by) } else { truth + by }
    }

    /// Shows the task that is polled its host's clocks, where libraries read them past the seams.
    fn show_clocks(&self, host: HostId) {
        if self.clocks.are_true() {
            return;
        }
        let now = self.now.load(Ordering::Relaxed);
        let monotonic = self.clocks.monotonic(host, now).cast_signed().wrapping_sub(now.cast_signed());
        libc_hooks::show(monotonic, self.clocks.ahead(host, now));
    }

    pub(super) fn take_panics(&self) -> Vec<TaskPanic> {
        std::mem::take(&mut *self.panics.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Enters a process; its first task is to be spawned next and is its main one.
    pub(super) fn add_process(&self, host: HostId, name: &'static str, kind: ProcessKind) -> u32 {
        let mut state = self.lock();
        let id = state.processes.list.len() as u32;
        let main = state.processes.next_task;
        let tasks = Slab::new();
        state.processes.list.push(Process { host, name, kind, life: Life::Running, main, tasks, files: 0 });
        let now = state.timeline.now;
        state.trace.name_process(name);
        state.trace.emit(now, Kind::ProcessStart, host.0, u64::from(id), 0);
        id
    }

    /// Starts a task of a living process; drops the future otherwise.
    pub(super) fn spawn(&self, process: u32, name: &'static str, future: BoxFuture<'static, ()>) {
        let mut guard = self.lock();
        let State { processes, trace, timeline, .. } = &mut *guard;
        let id = processes.next_task;
        let owner = processes.list.get_mut(process as usize);
        let Some(owner) = owner.filter(|owner| owner.life == Life::Running) else {
            drop(guard);
            drop(future);
            return;
        };
        let slot = owner.tasks.vacant_key() as u32;
        let meta = Meta { host: owner.host.0, process, slot, id, name };
        let ready = self.ready.clone();
        let (runnable, task) = Builder::new()
            .metadata(meta)
            .spawn(|_| Guarded::new(future), move |runnable| ready.push(runnable));
        owner.tasks.insert(task);
        trace.name_task(process, name);
        trace.emit(timeline.now, Kind::Spawn, meta.host, u64::from(id), 0);
        processes.next_task += 1;
        drop(guard);
        runnable.schedule();
    }

    /// Gives a task its turn, or a place in line where its host's cores are all busy.
    pub(super) fn poll(&self, runnable: Runnable<Meta>) {
        let meta = *runnable.metadata();
        let turn = {
            let mut state = self.lock();
            let now = state.timeline.now;
            if state.is_held(meta.process) {
                drop(state);
                return self.ready.hold(runnable);
            }
            let turn = match state.is_charged(HostId(meta.host), meta.process) {
                true => state.cpus.begin(meta.host, meta.id, now),
                false => Turn::Free,
            };
            if turn == Turn::Wait {
                drop(state);
                return self.ready.stand_in_line(runnable);
            }
            state.trace.enter(meta.process, meta.id);
            state.trace.emit(now, Kind::Poll, meta.host, 0, 0);
            turn
        };
        stamp::set_host(meta.host);
        self.show_clocks(HostId(meta.host));
        match executor::run(runnable) {
            Polled::Pending => {}
            Polled::Finished => self.finished(meta),
            Polled::Panicked(message) => self.panicked(meta, message),
        }
        if turn == Turn::OnCore {
            let mut state = self.lock();
            let now = state.timeline.now;
            if let Some(until) = state.cpus.end(meta.host, now) {
                state.trace.emit(now, Kind::Busy, meta.host, until - now, 0);
                state.timeline.at(until, Event::CoreFree(meta.host));
            }
        }
        if self.aftermath.load(Ordering::Relaxed) {
            self.clear_up(meta.process);
        }
    }

    /// A task of `process` was polled, and did something to its disk that is not over with its poll.
    fn clear_up(&self, process: u32) {
        let mut state = self.lock();
        self.aftermath.store(false, Ordering::Relaxed);
        if let Some(until) = state.processes.aftermath.until.take()
            && let Some(key) = self.ready.put_off(process)
        {
            state.timeline.at(until, Event::DiskDone(key));
        }
        drop(state);
        self.bury();
    }

    /// Drops the tasks of processes that died with their hosts' power.
    pub(super) fn bury(&self) {
        let dead = std::mem::take(&mut self.lock().processes.aftermath.dead);
        dead.into_iter().for_each(|process| self.drop_tasks(process));
    }

    /// A core of this host is free: those in its line are polled in order, as long as there is a core for one.
    pub(super) fn serve_line(&self, host: u32) {
        loop {
            let next = {
                let state = self.lock();
                let now = state.timeline.now;
                self.ready.next_in_line(host, |task| state.cpus.admits(host, task, now))
            };
            match next {
                Some(runnable) => self.poll(runnable),
                None => return,
            }
        }
    }

    /// Ends a process: its network and disk first, then its tasks, so that no destructor says goodbye.
    pub(super) fn kill(&self, process: u32, farewell: Farewell) {
        let mut state = self.lock();
        if !state.processes.alive(process) {
            return;
        }
        let (now, host) = (state.timeline.now, state.processes.list[process as usize].host);
        state.trace.emit(now, Kind::ProcessEnd, host.0, u64::from(process), farewell as u64);
        state.cut_off(process, farewell);
        drop(state);
        self.drop_tasks(process);
    }

    /// The process's main future returned: its tasks are dropped while they still have a network, as `main` does
    /// with its variables, and what is left open is closed.
    fn exit(&self, process: u32) {
        self.lock().processes.list[process as usize].life = Life::Ending;
        self.drop_tasks(process);
        self.kill(process, Farewell::Close);
    }

    fn finished(&self, meta: Meta) {
        let mut state = self.lock();
        let now = state.timeline.now;
        state.trace.emit(now, Kind::TaskEnd, meta.host, u64::from(meta.id), 0);
        let Some(process) = state.processes.list.get_mut(meta.process as usize) else { return };
        let task = process.tasks.try_remove(meta.slot as usize);
        let over = process.main == meta.id && process.life == Life::Running;
        drop(state);
        drop(task);
        if over {
            self.exit(meta.process);
        }
    }

    fn panicked(&self, meta: Meta, message: String) {
        if !self.lock().processes.alive(meta.process) {
            // Its host lost power before the task said so: nobody ever saw it.
            return;
        }
        self.note_panic(meta, message);
        self.kill(meta.process, Farewell::Reset);
    }

    fn note_panic(&self, meta: Meta, message: String) {
        let mut state = self.lock();
        let now = state.timeline.now;
        state.trace.emit(now, Kind::Panic, meta.host, u64::from(meta.id), 0);
        let panic = TaskPanic {
            host: state.hosts.name(meta.host).to_owned(),
            process: state.processes.list.get(meta.process as usize).map_or("-", |process| process.name),
            task: meta.name,
            message,
            at: Duration::from_nanos(now),
        };
        drop(state);
        tracing::error!(task = meta.name, message = panic.message, "a task panicked");
        self.panics.lock().unwrap_or_else(PoisonError::into_inner).push(panic);
    }

    fn drop_tasks(&self, process: u32) {
        let tasks = std::mem::take(&mut self.lock().processes.list[process as usize].tasks);
        // Cancelling puts tasks on the ready list: dropping them there drops their futures.
        drop(tasks);
        loop {
            let doomed = self.ready.take(process);
            if doomed.is_empty() {
                break;
            }
            for runnable in doomed {
                let meta = *runnable.metadata();
                drop(runnable);
                if let Some(message) = executor::take_panic() {
                    self.note_panic(meta, message);
                }
            }
        }
    }
}
