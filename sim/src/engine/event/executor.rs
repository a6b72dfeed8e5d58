//! Tasks: the ready list from which a seeded generator picks, and the one poll at a time that it leads to.
//!
//! Each instant has draws of its own, and in it each host: what is ready on one host, or was ready before, does not move
//! what another one does. Hosts take turns in an order that the instant draws; on a host any task may be next.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use async_task::Runnable;
use relay_node::env::BoxFuture;

use super::panics::message;
use super::random::Dice;

/// Whose task it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meta {
    pub(super) host: u32,
    pub(super) process: u32,
    /// Its place among the process's tasks.
    pub(super) slot: u32,
    /// Its number in the run.
    pub(super) id: u32,
    pub(super) name: &'static str,
}

/// The tasks that can go on.
pub(super) struct Ready {
    inner: Mutex<Inner>,
}

struct Inner {
    list: Vec<Runnable<Meta>>,
    /// By host: those that could go on and wait for a core.
    lines: BTreeMap<u32, VecDeque<Runnable<Meta>>>,
    /// By host: those that could go on and are held, in the order in which they came.
    held: BTreeMap<u32, Vec<Runnable<Meta>>>,
    /// By number: those that wait for a disk.
    put_off: BTreeMap<u32, Vec<Runnable<Meta>>>,
    next_put_off: u32,
    /// How long the list was when the poll that is going on began.
    mark: usize,
    draws: Draws,
    current: Option<Meta>,
    polls: u64,
}

/// What is drawn in one instant.
struct Draws {
    /// All instants' root.
    seed: Dice,
    /// This instant's root.
    instant: Dice,
    /// The host that had its turn last, and its draws.
    turn: Option<(u32, Dice)>,
}

/// With more tasks than this at once, such as thousands of hosts that start, any of them is picked: to look for the host
/// whose turn it is would take too long.
const TURNS_TASKS_MAX: usize = 64;

impl Ready {
    pub(super) fn new(seed: u64) -> Self {
        let seed = Dice::new(seed, "scheduler");
        let draws = Draws { seed, instant: seed, turn: None };
        Self {
            inner: Mutex::new(Inner {
                list: Vec::new(),
                lines: BTreeMap::new(),
                held: BTreeMap::new(),
                put_off: BTreeMap::new(),
                next_put_off: 0,
                mark: 0,
                draws,
                current: None,
                polls: 0,
            }),
        }
    }

    /// Another instant has come: its draws have nothing to do with those of the one before.
    pub(super) fn at(&self, now: u64) {
        let mut inner = self.lock();
        let instant = inner.draws.seed.split(&[now]);
        inner.draws.instant = instant;
        inner.draws.turn = None;
    }

    /// Picks by another seed from now on.
    pub(super) fn reseed(&self, seed: u64) {
        self.lock().draws.seed = Dice::new(seed, "scheduler");
    }

    pub(super) fn push(&self, runnable: Runnable<Meta>) {
        self.lock().list.push(runnable);
    }

    /// Any one of the tasks that can go on; it counts as being polled until [`rest`](Self::rest).
    pub(super) fn pick(&self) -> Option<Runnable<Meta>> {
        let mut inner = self.lock();
        let runnable = match inner.list.len() {
            0 => {
                inner.current = None;
                return None;
            }
            1 => inner.list.pop()?,
            many => {
                let index = match many {
                    few if few <= TURNS_TASKS_MAX => inner.next_in_turn(),
                    many => inner.draws.instant.below(many as u64) as usize,
                };
                inner.list.swap_remove(index)
            }
        };
        inner.current = Some(*runnable.metadata());
        inner.polls += 1;
        inner.mark = inner.list.len();
        Some(runnable)
    }

    /// Puts a task that was picked at the end of its host's line: no core is free for it.
    pub(super) fn stand_in_line(&self, runnable: Runnable<Meta>) {
        self.lock().lines.entry(runnable.metadata().host).or_default().push_back(runnable);
    }

    /// The first in a host's line that has a core to go to; it counts as being polled. Those that are passed by are
    /// at work themselves, so that there are no more of them than cores.
    pub(super) fn next_in_line(&self, host: u32, admits: impl Fn(u32) -> bool) -> Option<Runnable<Meta>> {
        let mut inner = self.lock();
        let line = inner.lines.get_mut(&host)?;
        let at = line.iter().position(|runnable| admits(runnable.metadata().id))?;
        let runnable = line.remove(at)?;
        inner.current = Some(*runnable.metadata());
        inner.polls += 1;
        inner.mark = inner.list.len();
        Some(runnable)
    }

    /// Takes those of this process that were woken by the poll that is going on off the list, until
    /// [`put_back`](Self::put_back) with the number that this gives. `None` where there are none.
    pub(super) fn put_off(&self, process: u32) -> Option<u32> {
        let mut inner = self.lock();
        let mark = inner.mark.min(inner.list.len());
        let of_process = |runnable: &mut Runnable<Meta>| runnable.metadata().process == process;
        let woken: Vec<_> = inner.list.extract_if(mark.., of_process).collect();
        if woken.is_empty() {
            return None;
        }
        let key = inner.next_put_off;
        inner.next_put_off += 1;
        inner.put_off.insert(key, woken);
        Some(key)
    }

    /// Those that were put off can go on.
    pub(super) fn put_back(&self, key: u32) {
        let mut inner = self.lock();
        let woken = inner.put_off.remove(&key).unwrap_or_default();
        inner.list.extend(woken);
    }

    /// Keeps a task that was picked, until its host is [let go](Self::let_go).
    pub(super) fn hold(&self, runnable: Runnable<Meta>) {
        self.lock().held.entry(runnable.metadata().host).or_default().push(runnable);
    }

    /// Those that were held on this host can go on.
    pub(super) fn let_go(&self, host: u32) {
        let mut inner = self.lock();
        let held = inner.held.remove(&host).unwrap_or_default();
        inner.list.extend(held);
    }

    /// Takes what is ready of a dead process.
    pub(super) fn take(&self, process: u32) -> Vec<Runnable<Meta>> {
        let mut inner = self.lock();
        let of_process = |runnable: &Runnable<Meta>| runnable.metadata().process == process;
        let mut taken: Vec<_> = inner.list.extract_if(.., |runnable| of_process(runnable)).collect();
        for line in inner.lines.values_mut().filter(|line| line.iter().any(of_process)) {
            let (gone, left) = std::mem::take(line).into_iter().partition(of_process);
            *line = left;
            taken.extend::<VecDeque<_>>(gone);
        }
        let Inner { held, put_off, .. } = &mut *inner;
        for held in held.values_mut().chain(put_off.values_mut()) {
            taken.extend(held.extract_if(.., |runnable| of_process(runnable)));
        }
        taken
    }

    /// The poll that is going on, and its number.
    pub(super) fn current(&self) -> Option<(Meta, u64)> {
        let inner = self.lock();
        inner.current.map(|meta| (meta, inner.polls))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// The place of the next task: any one of the host whose turn it is.
    fn next_in_turn(&mut self) -> usize {
        let Inner { list, draws, .. } = self;
        let host = |runnable: &Runnable<Meta>| runnable.metadata().host;
        let instant = draws.instant;
        let order = |host: u32| instant.split(&[u64::from(host)]).next();
        let first = list.iter().map(host).reduce(|one, other| match one == other {
            true => one,
            false => std::cmp::min_by_key(one, other, |host| (order(*host), *host)),
        });
        let Some(turn) = first else { return 0 };
        let (_, dice) = match &mut draws.turn {
            Some(going_on) if going_on.0 == turn => going_on,
            other => other.insert((turn, instant.split(&[u64::from(turn), 1]))),
        };
        let of_host = list.iter().filter(|runnable| host(runnable) == turn).count();
        let nth = dice.below(of_host as u64) as usize;
        let found = list.iter().enumerate().filter(|(_, runnable)| host(runnable) == turn).nth(nth);
        found.map_or(0, |(at, _)| at)
    }
}

/// How a poll ended.
pub(super) enum Polled {
    Pending,
    Finished,
    Panicked(String),
}

thread_local! {
    static FINISHED: Cell<bool> = const { Cell::new(false) };
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Polls (or, where it was cancelled, drops) a task.
pub(super) fn run(runnable: Runnable<Meta>) -> Polled {
    FINISHED.set(false);
    runnable.run();
    match take_panic() {
        Some(text) => Polled::Panicked(text),
        None if FINISHED.get() => Polled::Finished,
        None => Polled::Pending,
    }
}

/// What the task that was polled or dropped last said when it panicked, if it did.
pub(super) fn take_panic() -> Option<String> {
    PANIC.take()
}

/// A task's future, with its end and its panics made known to [`run`]: those of its destructor, too, which would
/// abort the process otherwise.
pub(super) struct Guarded(Option<BoxFuture<'static, ()>>);

impl Guarded {
    pub(super) fn new(future: BoxFuture<'static, ()>) -> Self {
        Self(Some(future))
    }
}

impl Future for Guarded {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some(future) = &mut self.0 else { return Poll::Ready(()) };
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(())) => {
                FINISHED.set(true);
                Poll::Ready(())
            }
            Err(panic) => {
                PANIC.set(Some(message(&*panic)));
                // What is left of the future is dropped with its process, after its network was cut.
                Poll::Pending
            }
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let future = self.0.take();
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(future))) {
            PANIC.set(Some(message(&*panic)));
        }
    }
}
