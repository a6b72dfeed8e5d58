//! hyper's timer on the clock seam.

#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "hyper's interface speaks std's Instant"
)]

use std::future::Future;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};

use crate::env::{self, BoxFuture, Env};

/// Sleeps through [`Clock`](crate::env::Clock).
pub(super) struct SeamTimer {
    env: Env,
    /// The same moment on both clocks: std's instants cannot be made from a number.
    origin: (Instant, env::Instant),
}

impl SeamTimer {
    pub(super) fn new(env: Env) -> Self {
        let origin = (Instant::now(), env.clock.now());
        SeamTimer { env, origin }
    }
}

impl Timer for SeamTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        let sleep = self.env.clock.sleep_until(self.env.clock.now() + duration);
        Box::pin(SeamSleep(Mutex::new(sleep)))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        self.sleep(deadline.saturating_duration_since(self.now()))
    }

    fn now(&self) -> Instant {
        self.origin.0 + (self.env.clock.now() - self.origin.1)
    }
}

/// The mutex makes the future `Sync`, which hyper asks for; it is never locked.
struct SeamSleep(Mutex<BoxFuture<'static, ()>>);

impl Future for SeamSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.0.get_mut().expect("never locked, so never poisoned").as_mut().poll(context)
    }
}

impl Sleep for SeamSleep {}
