//! The DHT node on the network seam: datagrams in and out, time, and commands that can be awaited.
//!
//! All thinking is done by the pure [`Dht`], behind one mutex that is never held across an await. What it wants sent is
//! sent by whoever made it want that: the task that received a datagram, the timer's, or the caller of a command.

mod command;
mod socket;

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use ed25519_dalek::SigningKey;
use tokio::sync::{Notify, oneshot};

use super::contact::{Contact, Family};
use super::event::{Event, OperationId, Transmit};
use super::item::ItemError;
use super::kademlia::{Config, Dht};
use super::krpc::DATAGRAM_BYTES_MAX;
use super::publication::{Publication, PublicationTiming, Published};
use crate::env::{Env, Instant, Rng};

pub use command::Ended;
pub(crate) use socket::look_up;
pub use socket::{BindError, Sockets};

/// After an error of the socket it is read again after this, in milliseconds.
const RECEIVE_RETRY_MILLIS: u64 = 100;

/// News that nobody has asked for yet; of more the oldest are forgotten.
const NEWS_MAX: usize = 16;

/// A node of the DHT that runs.
pub struct Driver {
    env: Env,
    sockets: Sockets,
    core: Mutex<Core>,
    /// Wakes the timer task when something is due earlier than it thinks.
    timer: Notify,
    /// Something became of our own value, or of our address.
    news: Notify,
}

/// What a node's owner has not asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// A put of our own value has ended.
    Published(Box<Published>),
    /// Most others see this node under another address than before.
    SeenAs(IpAddr),
}

struct Core {
    dht: Dht,
    rng: Rng,
    publication: Option<Publication>,
    news: VecDeque<News>,
    seen_as: Option<IpAddr>,
    waiting: BTreeMap<OperationId, oneshot::Sender<Event>>,
    /// When the timer task will wake.
    armed: Option<Instant>,
}

impl Driver {
    /// A node on these sockets. It does nothing before [`Driver::start`].
    pub fn new(env: Env, sockets: Sockets, config: Config) -> Arc<Self> {
        let core = Core {
            dht: Dht::new(config, env.rng("dht"), env.clock.now()),
            rng: env.rng("dht-publication"),
            publication: None,
            news: VecDeque::new(),
            seen_as: None,
            waiting: BTreeMap::new(),
            armed: None,
        };
        let (timer, news) = (Notify::new(), Notify::new());
        Arc::new(Driver { env, sockets, core: Mutex::new(core), timer, news })
    }

    /// Begins to receive, and to do what is due.
    pub fn start(self: &Arc<Self>) {
        for family in Family::ALL {
            if self.sockets.get(family).is_some() {
                self.env.spawn("dht-receive", Arc::clone(self).receive(family));
            }
        }
        self.env.spawn("dht-timer", Arc::clone(self).run_timer());
    }

    /// Where it listens.
    pub fn local_addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.sockets.local_addresses()
    }

    /// Reads the state of the node.
    pub fn look<T>(&self, read: impl FnOnce(&Dht) -> T) -> T {
        read(&self.lock().dht)
    }

    /// Under which address most others see this node.
    pub fn seen_as(&self) -> Option<IpAddr> {
        self.lock().seen_as
    }

    /// Asks nodes that were known before whether they are still there; says how many were asked. See [`Dht::meet`].
    pub async fn meet(&self, contacts: &[Contact]) -> usize {
        let (asked, transmits) = self.with(|core, now| core.dht.meet(contacts, now));
        self.send(transmits).await;
        asked
    }

    /// Ways in, in place of those that there were.
    pub async fn set_ways_in(&self, ways: Vec<SocketAddr>) {
        let ((), transmits) = self.with(|core, now| core.dht.set_bootstrap(ways, now));
        self.send(transmits).await;
    }

    /// Publishes `value` (bencoded) as version `seq` from now on, in place of what was published before.
    ///
    /// # Errors
    /// When it is no item, or `seq` is not above that of what was published.
    pub async fn publish(
        &self,
        key: &SigningKey,
        (value, seq): (Vec<u8>, i64),
        timing: PublicationTiming,
    ) -> Result<(), ItemError> {
        let (done, transmits) = self.with(|core, now| match &mut core.publication {
            Some(publication) => publication.supersede(value, seq, now),
            None => {
                let fresh = Publication::new(key.clone(), b"", (value, seq), timing, now)?;
                core.publication = Some(fresh);
                Ok(())
            }
        });
        self.send(transmits).await;
        done
    }

    /// The seq that our value was rebased to, or was adopted with, is written down: it may be put.
    pub async fn confirm(&self, seq: i64) {
        let ((), transmits) = self.with(|core, _| {
            if let Some(publication) = &mut core.publication {
                publication.confirm(seq);
            }
        });
        self.send(transmits).await;
    }

    /// The next news. Dropped half-way, nothing is lost.
    pub async fn news(&self) -> News {
        loop {
            let more = self.news.notified();
            if let Some(news) = self.lock().news.pop_front() {
                return news;
            }
            more.await;
        }
    }

    async fn receive(self: Arc<Self>, family: Family) {
        let socket = self.sockets.get(family).expect("started for sockets that there are");
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX + 1];
        loop {
            match socket.recv_from(&mut buffer).await {
                Ok((length, from)) => {
                    let datagram = &buffer[..length];
                    let ((), transmits) = self.with(|core, now| core.dht.handle(datagram, from, now));
                    self.send(transmits).await;
                }
                Err(error) => {
                    tracing::debug!("the DHT's socket: {error}");
                    self.env.sleep(Duration::from_millis(RECEIVE_RETRY_MILLIS)).await;
                }
            }
        }
    }

    async fn run_timer(self: Arc<Self>) {
        loop {
            let earlier = self.timer.notified();
            let (due, transmits) = {
                let mut core = self.lock();
                let transmits = self.turn(&mut core);
                core.armed = core.next_timeout();
                (core.armed, transmits)
            };
            self.send(transmits).await;
            match due {
                Some(at) => tokio::select! {
                    biased;
                    () = earlier => {}
                    () = self.env.clock.sleep_until(at) => {}
                },
                None => earlier.await,
            }
        }
    }

    /// Has the core do something, and what follows from it; says what is to be sent.
    fn with<T>(&self, change: impl FnOnce(&mut Core, Instant) -> T) -> (T, Vec<Transmit>) {
        let mut core = self.lock();
        let value = change(&mut core, self.env.clock.now());
        let transmits = self.turn(&mut core);
        let next = core.next_timeout();
        if next.is_some_and(|next| core.armed.is_none_or(|armed| next < armed)) {
            core.armed = next;
            self.timer.notify_one();
        }
        (value, transmits)
    }

    /// Does what is due, and tells those who wait of what has happened.
    fn turn(&self, core: &mut Core) -> Vec<Transmit> {
        let now = self.env.clock.now();
        if core.dht.next_timeout().is_some_and(|due| due <= now) {
            core.dht.handle_timeout(now);
        }
        loop {
            core.publish_due(now);
            let Some(event) = core.dht.poll_event() else { break };
            if core.on_event(event, now) {
                self.news.notify_waiters();
            }
        }
        std::iter::from_fn(|| core.dht.poll_transmit()).collect()
    }

    async fn send(&self, transmits: Vec<Transmit>) {
        for Transmit { to, datagram } in transmits {
            let Some(socket) = self.sockets.get(Family::of(to)) else { continue };
            // The protocol lives with lost datagrams; what the system does not take is lost.
            if let Err(error) = socket.send_to(&datagram, to).await {
                tracing::trace!(%to, "a datagram of the DHT was not sent: {error}");
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().expect("the DHT does not panic")
    }
}

impl Core {
    fn next_timeout(&self) -> Option<Instant> {
        let publication = self.publication.as_ref().and_then(Publication::next_timeout);
        self.dht.next_timeout().into_iter().chain(publication).min()
    }

    fn publish_due(&mut self, now: Instant) {
        if let Some(publication) = &mut self.publication
            && publication.next_timeout().is_some_and(|due| due <= now)
        {
            publication.handle_timeout(&mut self.dht, now, &mut self.rng);
        }
    }

    /// Passes an event on to whoever waits for it. Says whether there is news of our own.
    fn on_event(&mut self, event: Event, now: Instant) -> bool {
        if let Some(publication) = &mut self.publication
            && let Some(outcome) = publication.handle_event(&event, now, &mut self.rng)
        {
            self.tell(News::Published(Box::new(outcome)));
            return true;
        }
        let operation = match &event {
            Event::Found { operation, .. }
            | Event::Got { operation, .. }
            | Event::Stored { operation, .. }
            | Event::Peers { operation, .. } => *operation,
            Event::Joined { family, contacts } => {
                tracing::debug!(?family, contacts, "the DHT knows its neighbours");
                return false;
            }
            Event::SeenAs { ip } => {
                tracing::info!(%ip, "others see this node under this address");
                self.seen_as = Some(*ip);
                self.tell(News::SeenAs(*ip));
                return true;
            }
        };
        if let Some(waiting) = self.waiting.remove(&operation) {
            // Nobody listens where the command was dropped.
            let _ = waiting.send(event);
        }
        false
    }

    fn tell(&mut self, news: News) {
        if self.news.len() >= NEWS_MAX {
            self.news.pop_front();
        }
        self.news.push_back(news);
    }
}
