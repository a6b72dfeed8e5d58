//! Joins the pure router to sessions, local callers and services.
//!
//! One mutex holds the router and everything that its actions touch; it is never held across an await, so that what
//! the router decides and what is done about it cannot drift apart.

mod levels;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::future::{AbortHandle, abortable};
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, oneshot};

use super::keyring::Keyring;
use super::mesh;
use super::outbox::Outbox;
use super::peers::{PeerBook, PeerStatus, UpLink};
use crate::config::{Limits, Timing};
use crate::env::{Env, Instant};
use crate::federation::{
    Action, Admission, Answer, BreakerState, Call, CallId, Failure, Gcra, LinkId, LinkInfo, LinkRole, Moment,
    Remembered, Router, RouterConfig, Ticket, call_limit,
};
use crate::metadata::{LinkedRelay, PeerDirectory};
use crate::metrics::Metrics;
use crate::service::{Services, Started};
use crate::store::Store;
use crate::wire::{self, Body, Frame, Header, NodeId, NodeKind, Registration, SmolStr};

/// The longest that a replaced link stays open for the calls that are under way on it, in seconds.
const RETIRE_SECONDS_MAX: u64 = 10;

/// Messages of all kinds that a Home may send for each call that it may make. Reading pauses beyond it.
const MESSAGES_PER_CALL: NonZeroU32 = NonZeroU32::new(4).expect("four is not zero");

/// When to try again what a link had no room for, in milliseconds: the time that its queue needs to move on.
const LINK_RETRY_MILLIS: u64 = 1_000;

/// Breakers that are told one by one; metrics count all of them.
const MAX_BREAKERS_TOLD: usize = 256;

/// The running node's centre.
pub struct Switchboard {
    /// The world around it.
    pub env: Env,
    /// How long things may take.
    pub timing: Timing,
    /// How large things may be.
    pub limits: Limits,
    /// What is counted.
    pub metrics: Metrics,
    /// What it knows of others beyond its links. The directory's lock may be taken under the one here, never the other way
    /// round.
    pub(crate) known: Acquaintance,
    who: Who,
    services: Services,
    state: Mutex<State>,
    signals: Signals,
}

/// What a node knows of others beyond its links.
pub struct Acquaintance {
    /// Whom it lets in.
    pub keyring: Keyring,
    /// What survives a restart.
    pub store: Store,
    /// Whom it knows in the DHT, where it takes part.
    pub directory: Option<Arc<PeerDirectory>>,
}

/// Which node it is.
struct Who {
    id: NodeId,
    kind: NodeKind,
}

#[derive(Default)]
struct Signals {
    /// Wakes the timer task when something is due earlier than it thinks.
    timer: Notify,
    /// Tells that a link came up or went down. Not a `watch`: that wakes in an order drawn from a generator which no
    /// engine can seed.
    links_changed: Notify,
}

struct State {
    router: Router,
    outboxes: BTreeMap<LinkId, Arc<Outbox>>,
    /// Own clients that wait, and since when.
    waiting: HashMap<CallId, (oneshot::Sender<Answer>, Instant)>,
    /// Service calls that take time.
    running: HashMap<Ticket, AbortHandle>,
    /// When the timer task will wake.
    armed: Option<Instant>,
    peers: PeerBook,
}

impl Switchboard {
    /// A node without links yet.
    pub fn new(
        env: Env,
        timing: Timing,
        limits: Limits,
        services: Services,
        router: RouterConfig,
        known: Acquaintance,
    ) -> Arc<Self> {
        let rng = env.rng("balancer");
        Arc::new(Switchboard {
            env,
            timing,
            limits,
            metrics: Metrics::default(),
            known,
            who: Who { id: router.me.clone(), kind: router.kind },
            services,
            state: Mutex::new(State {
                router: Router::new(router, rng),
                outboxes: BTreeMap::new(),
                waiting: HashMap::new(),
                running: HashMap::new(),
                armed: None,
                peers: PeerBook::default(),
            }),
            signals: Signals::default(),
        })
    }

    /// This node's id.
    pub fn me(&self) -> &NodeId {
        &self.who.id
    }

    /// Main or Home.
    pub fn kind(&self) -> NodeKind {
        self.who.kind
    }

    /// Takes up what other Mains announced before a restart. To be called before anything else runs.
    pub(super) fn restore(&self, remembered: Vec<Remembered>) {
        self.lock().router.restore(remembered, self.env.clock.now());
    }

    /// Reads the router's state.
    pub fn look<T>(&self, read: impl FnOnce(&Router) -> T) -> T {
        read(&self.lock().router)
    }

    /// Makes a call and waits for its one answer. Dropped before that, it cancels the call, wherever it is by then.
    pub async fn call(self: &Arc<Self>, call: Call) -> Answer {
        let (caller, answered) = {
            let mut state = self.lock();
            let (id, actions) = state.router.call(call, self.moment());
            let (done, answered) = oneshot::channel();
            state.waiting.insert(id, (done, self.env.clock.now()));
            self.carry_out(&mut state, actions);
            (Caller { board: self, call: Some(id) }, answered)
        };
        let answer = answered.await;
        caller.has_its_answer();
        answer.unwrap_or_else(|_| {
            let failure = Failure::Internal("the call was dropped without an answer".into());
            let outcome = Err(failure.at(self.me(), &[]));
            Answer { outcome, path: vec![self.me().clone()], timing: Vec::new() }
        })
    }

    /// New calls are refused from now on; those under way go on.
    pub fn drain(&self) {
        self.lock().router.drain();
    }

    /// Ends the calls that are still under way; their callers are told.
    pub fn abandon(self: &Arc<Self>) {
        let mut state = self.lock();
        let actions = state.router.abandon(self.moment());
        self.carry_out(&mut state, actions);
    }

    /// Whether [`Switchboard::drain`] was called.
    pub fn is_draining(&self) -> bool {
        self.lock().router.is_draining()
    }

    /// Tells every neighbour that this node closes, and when to come back.
    pub fn say_goodbye(self: &Arc<Self>, reason: &str) {
        let mut state = self.lock();
        let farewells = state.router.farewells(reason, self.moment());
        self.carry_out(&mut state, farewells);
    }

    /// Has every link end once its queue is sent.
    pub fn close_links(&self, reason: &'static str) {
        for outbox in self.lock().outboxes.values() {
            outbox.close(reason);
        }
    }

    /// Has every link to a node end once its queue is sent.
    pub(super) fn close_links_to(&self, node: &NodeId, reason: &'static str) {
        let state = self.lock();
        for (link, outbox) in &state.outboxes {
            if state.router.neighbour(*link) == Some(node) {
                outbox.close(reason);
            }
        }
    }

    /// The Mains that this one is connected to or dials.
    pub fn peers(&self) -> Vec<PeerStatus> {
        let state = self.lock();
        let up = state.router.peer_links().filter_map(|(link, info)| {
            let vitals = state.outboxes.get(&link)?.pulse.vitals(info.since);
            Some((info.node.clone(), UpLink { address: info.address.clone(), since: info.since, vitals }))
        });
        state.peers.list(up.collect())
    }

    /// The Mains that were removed and are kept out, the latest last.
    pub fn removed_peers(&self) -> Vec<NodeId> {
        self.lock().peers.removed().cloned().collect()
    }

    /// Notes how dialling a peer goes.
    pub(super) fn note_peer<T>(&self, note: impl FnOnce(&mut PeerBook) -> T) -> T {
        note(&mut self.lock().peers)
    }

    /// Breakers that are not closed, at most [`MAX_BREAKERS_TOLD`]: the node, the service where it is about an instance,
    /// the state.
    pub fn tripped(&self) -> Vec<(NodeId, Option<String>, BreakerState)> {
        let now = self.env.clock.now();
        self.look(|router| {
            let tripped = router.tripped(now).take(MAX_BREAKERS_TOLD);
            tripped.map(|(node, service, state)| (node.clone(), service.map(str::to_owned), state)).collect()
        })
    }

    /// Completes at the next change of links after this call.
    pub(super) fn links_change(&self) -> Notified<'_> {
        self.signals.links_changed.notified()
    }

    /// Does what the router has put off until a certain time, for ever.
    pub async fn run_timer(self: Arc<Self>) {
        loop {
            let due = {
                let mut state = self.lock();
                let actions = match state.router.next_timeout() {
                    Some(at) if at <= self.env.clock.now() => state.router.handle_timeout(self.moment()),
                    _ => Vec::new(),
                };
                // Not through `carry_out`'s own arming: this task looks at the time again by itself.
                self.carry_out(&mut state, actions);
                state.armed = state.router.next_timeout();
                state.armed
            };
            let earlier = self.signals.timer.notified();
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

    /// This node's introduction to whoever is at that address, on a link that is not up yet.
    pub(super) fn introduction(&self, to: SocketAddr) -> Frame {
        let mut frame = self.lock().router.introduction(None, self.moment());
        self.identify(&mut frame, to);
        frame
    }

    /// Says in an introduction who this node is in the DHT.
    fn identify(&self, introduction: &mut Frame, to: SocketAddr) {
        if let (Body::Registration(registration), Some(directory)) =
            (&mut introduction.body, &self.known.directory)
        {
            registration.identity = Some(directory.identity(to.ip()));
        }
    }

    /// Whom it knows in the DHT, where it takes part.
    pub fn directory(&self) -> Option<&Arc<PeerDirectory>> {
        self.known.directory.as_ref()
    }

    /// Queues a message for the other side of a link, where that is still up.
    pub(crate) fn tell(self: &Arc<Self>, link: LinkId, body: Body) {
        let mut state = self.lock();
        let frame = state.router.message(body, self.moment());
        self.carry_out(&mut state, vec![Action::Send(link, frame)]);
    }

    /// A message for the other side of a link that is not up yet.
    pub(super) fn message(&self, body: Body) -> Frame {
        self.lock().router.message(body, self.moment())
    }

    /// Brings a link up to `there` whose two ends have introduced themselves; `None` where an older link to the same node
    /// stays. `answering` is the id of the other side's introduction where this side accepted the connection: ours then
    /// answers it, ahead of all else.
    pub(super) fn attach(
        self: &Arc<Self>,
        info: LinkInfo,
        there: SocketAddr,
        mut registration: Registration,
        answering: Option<SmolStr>,
    ) -> Option<(LinkId, Arc<Outbox>)> {
        let at = self.moment();
        let outbox = Arc::new(Outbox::default());
        let mut state = self.lock();
        let link = state.router.new_link();
        let linked = LinkedRelay {
            role: info.role,
            key: info.key,
            address: info.address.clone(),
            ip: there.ip().to_canonical(),
            identity: registration.identity.take(),
        };
        let (admission, actions) = state.router.link_up(link, info, registration, at);
        if admission == Admission::Duplicate {
            return None;
        }
        if let Some(message_id) = answering {
            let mut reply = state.router.introduction(Some(message_id), at);
            self.identify(&mut reply, there);
            outbox.push(reply, at.now).expect("an introduction is no request");
        }
        if let Some(info) = state.router.link(link).filter(|info| info.role == LinkRole::Peer).cloned() {
            state.peers.came_up(&info.node);
        }
        state.outboxes.insert(link, Arc::clone(&outbox));
        // Before the link that it takes the place of retires: a Home always hangs on one of them.
        if let Some(directory) = &self.known.directory {
            directory.link_up(link, linked);
        }
        self.carry_out(&mut state, actions);
        drop(state);
        self.signals.links_changed.notify_waiters();
        Some((link, outbox))
    }

    /// A link has ended.
    pub(super) fn detach(self: &Arc<Self>, link: LinkId) {
        let mut state = self.lock();
        state.outboxes.remove(&link);
        let peer = state.router.link(link).filter(|info| info.role == LinkRole::Peer).cloned();
        let actions = state.router.link_down(link, self.moment());
        if let Some(info) = peer.filter(|info| !state.router.reaches(&info.node)) {
            state.peers.went_down(&info.node, info.address, self.env.clock.now());
        }
        self.carry_out(&mut state, actions);
        if let Some(directory) = &self.known.directory {
            directory.link_down(link);
        }
        drop(state);
        self.signals.links_changed.notify_waiters();
    }

    /// A message came in.
    pub(super) fn receive(self: &Arc<Self>, link: LinkId, frame: Frame) {
        if let (Body::KnownPeers(shared), Some(directory)) = (&frame.body, &self.known.directory) {
            return directory.heard(link, shared);
        }
        let mut state = self.lock();
        let at = self.moment();
        let actions = state.router.handle(link, frame, at);
        if let Some(took) = state.router.take_round_trip() {
            self.metrics.answered(took);
        }
        self.carry_out_at(&mut state, actions, at);
    }

    /// Whether there is another Main at the other end of a link.
    pub(super) fn leads_to_a_peer(&self, link: LinkId) -> bool {
        self.look(|router| router.link(link).is_some_and(|info| info.role == LinkRole::Peer))
    }

    /// The limit on what comes over this link, where it is a Home's: four messages for each call that it may make, its
    /// answers to others included.
    pub(super) fn message_limit(&self, link: LinkId) -> Option<Gcra> {
        let per_second = self.limits.home_calls_per_second?;
        let is_home = self.look(|router| router.role(link) == Some(LinkRole::Home));
        is_home.then(|| call_limit(per_second.saturating_mul(MESSAGES_PER_CALL)))
    }

    /// Queues a sign of life.
    pub(super) fn heartbeat(self: &Arc<Self>, link: LinkId) {
        let mut state = self.lock();
        let frame = state.router.heartbeat(link, self.moment());
        self.carry_out(&mut state, vec![Action::Send(link, frame)]);
    }

    /// Tells the other side what was wrong with its message.
    pub(super) fn complain(self: &Arc<Self>, link: LinkId, answering: Option<SmolStr>, failure: &Failure) {
        let mut state = self.lock();
        let from = state.router.neighbour(link).map_or("a link that is gone", NodeId::as_str);
        tracing::warn!(from, "{failure}");
        let frame = state.router.complaint(answering, failure, self.moment());
        self.carry_out(&mut state, vec![Action::Send(link, frame)]);
    }

    /// A message for the other side of a link that is not up yet.
    pub(super) fn complaint(&self, answering: Option<SmolStr>, failure: &Failure) -> Frame {
        self.lock().router.complaint(answering, failure, self.moment())
    }

    /// This message is over the size limit: the other side would close the link over it. Whoever waits for it is told
    /// at once; what is to be sent instead is returned.
    pub(super) fn too_large(self: &Arc<Self>, link: LinkId, text: &str) -> Option<Frame> {
        let failure = Failure::TooLarge { bytes: text.len(), limit: self.limits.max_message_bytes };
        let Frame { header, body } = wire::decode(text).ok()?;
        let mut state = self.lock();
        let to = state.router.neighbour(link).map_or("a link that is gone", NodeId::as_str);
        tracing::warn!(to, kind = body.kind(), "not sent: {failure}");
        match body {
            Body::Request(_) => {
                let actions = state.router.not_sent(link, &header, failure, self.moment());
                self.carry_out(&mut state, actions);
                None
            }
            Body::Response(_) => Some(state.router.instead_of(&header, failure, self.moment())),
            _ => None,
        }
    }

    /// A request cannot go over its link. Its call fails at once.
    pub(super) fn not_sent(self: &Arc<Self>, link: LinkId, request: &Header, failure: Failure) {
        let mut state = self.lock();
        let to = state.router.neighbour(link).map_or("a link that is gone", NodeId::as_str);
        tracing::warn!(to, "a request is not sent: {failure}");
        let actions = state.router.not_sent(link, request, failure, self.moment());
        self.carry_out(&mut state, actions);
    }

    /// A request waited for its link until its time was up.
    pub(super) fn late(self: &Arc<Self>, link: LinkId, request: &Header) {
        let mut state = self.lock();
        let failure = overloaded("the call's time was up before the link was free");
        let actions = state.router.not_sent(link, request, failure, self.moment());
        self.carry_out(&mut state, actions);
    }

    fn moved_away(self: &Arc<Self>, link: LinkId) {
        let mut state = self.lock();
        let actions = state.router.moved_away(link, self.moment());
        self.carry_out(&mut state, actions);
    }

    fn finished(self: &Arc<Self>, ticket: Ticket, outcome: crate::service::Outcome) {
        let mut state = self.lock();
        state.running.remove(&ticket);
        let actions = state.router.finished(ticket, outcome, self.moment());
        self.carry_out(&mut state, actions);
    }

    /// Does what the router asks for, and what follows from it.
    fn carry_out(self: &Arc<Self>, state: &mut State, actions: Vec<Action>) {
        self.carry_out_at(state, actions, self.moment());
    }

    /// The same for one who has just looked at the clock.
    fn carry_out_at(self: &Arc<Self>, state: &mut State, actions: Vec<Action>, at: Moment) {
        let mut actions = VecDeque::from(actions);
        while let Some(action) = actions.pop_front() {
            match action {
                Action::Send(link, frame) => {
                    // A link without an outbox has just ended; its calls have been failed by that.
                    if let Some(outbox) = state.outboxes.get(&link)
                        && let Err(frame) = outbox.push(frame, at.now)
                    {
                        let failure = overloaded("too many calls wait for this link");
                        actions.extend(state.router.not_sent(link, &frame.header, failure, at));
                    }
                }
                Action::Cancel(link, frame) => {
                    let request = frame.header.correlation_id.as_deref().unwrap_or_default();
                    if let Some(outbox) = state.outboxes.get(&link)
                        && !outbox.withdraw(&frame.header.source.id, request)
                    {
                        outbox.push(frame, at.now).expect("a cancellation is no request");
                    }
                }
                Action::Abort(ticket) => {
                    if let Some(running) = state.running.remove(&ticket) {
                        running.abort();
                    }
                }
                Action::Answer(call, answer) => {
                    if let Some((waiting, since)) = state.waiting.remove(&call) {
                        let code = answer.outcome.as_ref().err().map(|error| error.code);
                        self.metrics.call_ended(code, at.now - since);
                        // Nobody listens where the client has hung up.
                        let _ = waiting.send(answer);
                    }
                }
                Action::Deliver(delivery) => match self.services.start(&self.env, &delivery) {
                    Started::Done(outcome) => {
                        actions.extend(state.router.finished(delivery.ticket, outcome, at));
                    }
                    Started::Running(work) => {
                        let (board, ticket) = (Arc::clone(self), delivery.ticket);
                        let (work, abort) = abortable(work);
                        state.running.insert(ticket, abort);
                        self.env.spawn("service-call", async move {
                            if let Ok(outcome) = work.await {
                                board.finished(ticket, outcome);
                            }
                        });
                    }
                },
                Action::Retire(link) => {
                    if let Some(directory) = &self.known.directory {
                        directory.link_retires(link);
                    }
                    if let Some(outbox) = state.outboxes.get(&link).cloned() {
                        let board = Arc::clone(self);
                        self.env.spawn("link-retire", async move {
                            board.env.sleep(Duration::from_secs(1)).await;
                            board.moved_away(link);
                            for _ in 0..RETIRE_SECONDS_MAX {
                                board.env.sleep(Duration::from_secs(1)).await;
                                if !board.look(|router| router.is_busy(link)) {
                                    break;
                                }
                            }
                            outbox.close("another link took its place");
                        });
                    }
                }
                Action::MeetPeer(peer) => mesh::meet(self, peer),
            }
        }
        let next = state.router.next_timeout();
        if next.is_some_and(|next| state.armed.is_none_or(|armed| next < armed)) {
            state.armed = next;
            self.signals.timer.notify_one();
        }
    }

    fn moment(&self) -> Moment {
        Moment { now: self.env.clock.now(), unix: self.env.clock.unix() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("the router does not panic")
    }
}

/// A link is too slow for what is to go over it.
fn overloaded(reason: &str) -> Failure {
    Failure::Overloaded { reason: reason.into(), retry_after: Duration::from_millis(LINK_RETRY_MILLIS) }
}

/// A client that waits for its answer. Where it goes away before that, its call is cancelled.
struct Caller<'a> {
    board: &'a Arc<Switchboard>,
    call: Option<CallId>,
}

impl Caller<'_> {
    fn has_its_answer(mut self) {
        self.call = None;
    }
}

impl Drop for Caller<'_> {
    fn drop(&mut self) {
        if let Some(call) = self.call {
            let mut state = self.board.lock();
            state.waiting.remove(&call);
            let actions = state.router.cancel(call, self.board.moment());
            self.board.carry_out(&mut state, actions);
        }
    }
}
