//! Who waits for which time. Looked at once per tick, by the loop.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::core::Core;

/// A time in virtual nanoseconds, and the order of asking.
pub(super) type TimerKey = (u64, u64);

#[derive(Default)]
pub(super) struct Timers {
    waiting: BTreeMap<TimerKey, Waker>,
    asked: u64,
}

impl Timers {
    /// Takes those whose time has come, in order.
    pub(super) fn due(&mut self, now: u64) -> Vec<Waker> {
        let later = self.waiting.split_off(&(now.saturating_add(1), 0));
        std::mem::replace(&mut self.waiting, later).into_values().collect()
    }

    fn wait(&mut self, key: &mut Option<TimerKey>, at: u64, waker: &Waker) {
        let key = *key.get_or_insert_with(|| {
            self.asked += 1;
            (at, self.asked)
        });
        self.waiting.insert(key, waker.clone());
    }

    fn forget(&mut self, key: TimerKey) {
        self.waiting.remove(&key);
    }
}

/// Waits for a virtual time, to the tick that follows it.
pub(super) struct Sleep {
    core: Arc<Core>,
    at: u64,
    key: Option<TimerKey>,
}

impl Sleep {
    /// Ends once the clock shows `at` nanoseconds.
    pub(super) fn until(core: &Arc<Core>, at: u64) -> Self {
        Self { core: core.clone(), at, key: None }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Sleep { core, at, key } = self.get_mut();
        if core.now() >= *at {
            return Poll::Ready(());
        }
        core.lock().timers.wait(key, *at, context.waker());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.core.lock().timers.forget(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_are_due_leave_in_order_and_the_others_stay() {
        let mut timers = Timers::default();
        let (mut late, mut early, mut again) = (None, None, None);
        timers.wait(&mut late, 30, Waker::noop());
        timers.wait(&mut early, 10, Waker::noop());
        timers.wait(&mut again, 10, Waker::noop());
        timers.wait(&mut again, 10, Waker::noop());
        assert_eq!(timers.due(9).len(), 0);
        assert_eq!(timers.due(10).len(), 2);
        timers.forget(late.unwrap());
        assert_eq!(timers.due(u64::MAX).len(), 0);
    }
}
