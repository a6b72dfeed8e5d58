//! The seams: everything that a node needs of the world around it.
//!
//! One [`Env`] is one host's view: its clock, its network, its tasks, its randomness, its disk. Nothing else in
//! this crate reads a clock, opens a socket or a file, spawns a task or draws a random number by itself, so that the
//! same code runs in production ([`production`]) and under an engine that owns time and failure.
//!
//! Trait objects stand at these edges only: one allocation per dial, listen or sleep. No function takes the
//! environment as a generic parameter.

mod database;
mod network;
pub mod production;
mod rng;
mod through;
mod time;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

pub use database::{database_error, open_database};
pub use network::{ByteStream, DatagramSocket, Listener, Network, SrvRecord, Stream, dial_host};
use rand_chacha::rand_core::SeedableRng;
pub use rng::Rng;
pub(crate) use through::write_through;
pub use time::{Clock, Instant, UnixTime};

/// A boxed future that may move between threads: what the seams return.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One host's view of the world. Cheap to clone.
#[derive(Clone)]
pub struct Env {
    /// Monotonic and wall-clock time, and waiting.
    pub clock: Arc<dyn Clock>,
    /// Byte streams, datagrams and name resolution.
    pub network: Arc<dyn Network>,
    /// Every task that a node starts.
    pub spawner: Arc<dyn Spawner>,
    /// Named, independent sources of randomness.
    pub entropy: Arc<dyn Entropy>,
    /// What outlives a restart.
    pub storage: Arc<dyn Storage>,
}

/// Starts tasks, so that whoever owns the host can take all of them at once and knows whose panic it saw.
pub trait Spawner: Send + Sync {
    /// Runs `task` until it ends or its host goes down. `name` tells the task's job in traces and messages.
    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>);

    /// Runs blocking `work` (files, SQLite) where it holds up no other task. An engine may run it inline.
    fn spawn_blocking(&self, name: &'static str, work: Box<dyn FnOnce() + Send>);
}

/// Independent seeded streams by name: one more draw in one place moves nothing elsewhere.
pub trait Entropy: Send + Sync {
    /// A fresh 256-bit seed for the stream called `name`. Each call gives another seed; under an engine the n-th
    /// call for one name on one host always gives the same one. In production it comes from the operating system.
    fn seed(&self, name: &'static str) -> [u8; 32];

    /// A generator made of the next seed of the stream called `name`.
    fn rng(&self, name: &'static str) -> Rng {
        Rng::from_seed(self.seed(name))
    }
}

/// A host's disk: small named values, written atomically, and databases.
///
/// The calls block; use them through [`Env::blocking`].
pub trait Storage: Send + Sync {
    /// The value stored under `name`, or `None` where there is none.
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>>;

    /// The text of a file outside of the node's own data, which the operator named and may change at any time.
    ///
    /// # Errors
    /// `NotFound` where there is none; `InvalidData` where it is no text.
    fn read_file(&self, path: &str) -> io::Result<String>;

    /// Stores `value` under `name`, replacing what was there, atomically and readable by its owner only. When this
    /// returns, the value survives a power cut.
    fn write(&self, name: &str, value: &[u8]) -> io::Result<()>;

    /// Opens the SQLite database called `name`, made where there is none, readable by its owner only. It is the only
    /// connection to it as long as it lives. When a commit returns, it survives a kill and a power cut; what was not
    /// committed survives neither. Implementations go through [`open_database`].
    ///
    /// # Errors
    /// `InvalidData` where the file is damaged, `ResourceBusy` where it is open already, and what else a disk can say.
    fn open_db(&self, name: &str) -> io::Result<rusqlite::Connection>;
}

impl Env {
    /// Starts a task on this host.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.spawner.spawn(name, Box::pin(task));
    }

    /// Runs blocking work off the async path and returns what it gave.
    ///
    /// # Errors
    /// When the work panicked or its host went down before it ended.
    pub async fn blocking<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        let (done, result) = tokio::sync::oneshot::channel();
        self.spawner.spawn_blocking(
            name,
            Box::new(move || {
                // The receiver is gone only when nobody wants the result any more.
                let _ = done.send(work());
            }),
        );
        result.await.map_err(|_| io::Error::other(format!("the blocking task {name} did not finish")))
    }

    /// A random generator seeded from the stream called `name`.
    pub fn rng(&self, name: &'static str) -> Rng {
        self.entropy.rng(name)
    }

    /// Waits for `duration`.
    pub async fn sleep(&self, duration: Duration) {
        self.clock.sleep_until(self.clock.now() + duration).await;
    }

    /// The output of `work`, or `None` when `limit` passed first; `work` is dropped then.
    pub async fn deadline<F: Future>(&self, limit: Duration, work: F) -> Option<F::Output> {
        let timer = self.clock.sleep_until(self.clock.now() + limit);
        tokio::select! {
            biased;
            output = work => Some(output),
            () = timer => None,
        }
    }
}
