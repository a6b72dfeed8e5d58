//! A task of a process: a future that can be taken away at any time, wherever it is polled.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use relay_node::env::BoxFuture;

use super::core::Core;
use crate::engine::event::HostId;
use crate::engine::panics::message;

/// Whose task it is, and the task.
pub(super) struct Task {
    pub(super) host: HostId,
    pub(super) process: u32,
    pub(super) id: u32,
    pub(super) name: &'static str,
    body: Mutex<Body>,
}

struct Body {
    /// Missing while it is being polled, and for good once it has ended or was taken.
    future: Option<BoxFuture<'static, ()>>,
    /// Whoever polls it, to be told when it was taken.
    waker: Option<Waker>,
}

/// How a poll ended.
pub(super) enum Polled {
    Pending,
    Finished,
    Panicked(String),
}

impl Task {
    pub(super) fn new(
        host: HostId,
        process: u32,
        id: u32,
        name: &'static str,
        future: BoxFuture<'static, ()>,
    ) -> Self {
        Self { host, process, id, name, body: Mutex::new(Body { future: Some(future), waker: None }) }
    }

    /// The future, for a poll; `waker` is woken where the task is taken in between.
    pub(super) fn take_up(&self, waker: &Waker) -> Option<BoxFuture<'static, ()>> {
        let mut body = self.body.lock().unwrap_or_else(PoisonError::into_inner);
        let future = body.future.take();
        body.waker = future.is_some().then(|| waker.clone());
        future
    }

    /// The poll is over and the task is not.
    pub(super) fn lay_down(&self, future: BoxFuture<'static, ()>) {
        self.body.lock().unwrap_or_else(PoisonError::into_inner).future = Some(future);
    }

    /// Drops the task, unless it is being polled. What its destructor said when it panicked.
    pub(super) fn take_away(&self) -> Option<String> {
        let (future, waker) = {
            let mut body = self.body.lock().unwrap_or_else(PoisonError::into_inner);
            (body.future.take(), body.waker.take())
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        drop_quietly(future?)
    }
}

/// Polls once.
pub(super) fn poll(future: &mut BoxFuture<'static, ()>, context: &mut Context<'_>) -> Polled {
    match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(Poll::Pending) => Polled::Pending,
        Ok(Poll::Ready(())) => Polled::Finished,
        Err(panic) => Polled::Panicked(message(&*panic)),
    }
}

/// Drops a future; what its destructor said when it panicked.
pub(super) fn drop_quietly(future: BoxFuture<'static, ()>) -> Option<String> {
    catch_unwind(AssertUnwindSafe(|| drop(future))).err().map(|panic| message(&*panic))
}

/// What turmoil's runtime, or the loop, polls for a task.
pub(super) struct Runner {
    pub(super) core: Arc<Core>,
    pub(super) task: Arc<Task>,
}

impl Future for Runner {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.core.poll(&self.task, context)
    }
}
