//! Joins the pure router to sessions, local callers and services.
//!
//! One mutex holds the router and everything that its actions touch; it is never held across an await, so that what
//! the router decides and what is done about it cannot drift apart.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::{Notify, oneshot, watch};

use super::mesh;
use super::outbox::Outbox;
use super::peers::{PeerBook, PeerStatus};
use crate::config::{Limits, Timing};
use crate::env::{Env, Instant};
use crate::federation::{
    Action, Admission, Answer, Call, CallId, Failure, LinkId, LinkInfo, Moment, Router, RouterConfig, Ticket,
};
use crate::service::{Services, Started};
use crate::wire::{self, Body, Frame, Header, NodeId, NodeKind, Registration};

/// How long a replaced link stays open for the calls that are under way on it, in seconds.
const RETIRE_SECONDS: u64 = 2;

/// The running node's centre.
pub struct Switchboard {
    /// The world around it.
    pub env: Env,
    /// How long things may take.
    pub timing: Timing,
    /// How large things may be.
    pub limits: Limits,
    me: NodeId,
    kind: NodeKind,
    services: Services,
    state: Mutex<State>,
    /// Wakes the timer task when something is due earlier than it thinks.
    timer: Notify,
    /// Counts links that came up or went down.
    links_changed: watch::Sender<u64>,
}

struct State {
    router: Router,
    outboxes: BTreeMap<LinkId, Arc<Outbox>>,
    waiting: HashMap<CallId, oneshot::Sender<Answer>>,
    /// When the timer task will wake.
    armed: Option<Instant>,
    draining: bool,
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
    ) -> Arc<Self> {
        Arc::new(Switchboard {
            env,
            timing,
            limits,
            me: router.me.clone(),
            kind: router.kind,
            services,
            state: Mutex::new(State {
                router: Router::new(router),
                outboxes: BTreeMap::new(),
                waiting: HashMap::new(),
                armed: None,
                draining: false,
                peers: PeerBook::default(),
            }),
            timer: Notify::new(),
            links_changed: watch::Sender::new(0),
        })
    }

    /// This node's id.
    pub fn me(&self) -> &NodeId {
        &self.me
    }

    /// Main or Home.
    pub fn kind(&self) -> NodeKind {
        self.kind
    }

    /// Reads the router's state.
    pub fn look<T>(&self, read: impl FnOnce(&Router) -> T) -> T {
        read(&self.lock().router)
    }

    /// Makes a call and waits for its one answer.
    pub async fn call(self: &Arc<Self>, call: Call) -> Answer {
        let answered = {
            let mut state = self.lock();
            let (id, actions) = state.router.call(call, self.moment());
            let (done, answered) = oneshot::channel();
            state.waiting.insert(id, done);
            self.carry_out(&mut state, actions);
            answered
        };
        answered.await.unwrap_or_else(|_| {
            let failure = Failure::Internal("the call was dropped without an answer".into());
            Answer { outcome: Err(failure.at(&self.me, &[])), path: vec![self.me.clone()] }
        })
    }

    /// New calls are refused from now on; those under way go on.
    pub fn drain(&self) {
        let mut state = self.lock();
        state.draining = true;
        state.router.drain();
    }

    /// Ends the calls that are still under way; their callers are told.
    pub fn abandon(self: &Arc<Self>) {
        let mut state = self.lock();
        let actions = state.router.abandon(self.moment());
        self.carry_out(&mut state, actions);
    }

    /// Whether [`Switchboard::drain`] was called.
    pub fn is_draining(&self) -> bool {
        self.lock().draining
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
        let up = state.router.peers().map(|info| (info.node.clone(), (info.address.clone(), info.since)));
        state.peers.list(&up.collect())
    }

    /// Notes how dialling a peer goes.
    pub(super) fn note_peer<T>(&self, note: impl FnOnce(&mut PeerBook) -> T) -> T {
        note(&mut self.lock().peers)
    }

    /// Tells when links come up or go down.
    pub fn watch_links(&self) -> watch::Receiver<u64> {
        self.links_changed.subscribe()
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
            let earlier = self.timer.notified();
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

    /// This node's introduction on a link that is not up yet, as an answer to the other side's where it is one.
    pub(super) fn introduction(&self, answering: Option<String>) -> Frame {
        self.lock().router.introduction(answering, self.moment())
    }

    /// Brings a link up whose two ends have introduced themselves; `None` where an older link to the same node stays.
    /// `answering` is the id of the other side's introduction where this side accepted the connection: ours then
    /// answers it, ahead of all else.
    pub(super) fn attach(
        self: &Arc<Self>,
        info: LinkInfo,
        registration: Registration,
        answering: Option<String>,
    ) -> Option<(LinkId, Arc<Outbox>)> {
        let at = self.moment();
        let outbox = Arc::new(Outbox::default());
        let mut state = self.lock();
        let link = state.router.new_link();
        let (admission, actions) = state.router.link_up(link, info, registration, at);
        if admission == Admission::Duplicate {
            return None;
        }
        if let Some(message_id) = answering {
            let reply = state.router.introduction(Some(message_id), at);
            outbox.push(reply).expect("an introduction is no request");
        }
        state.outboxes.insert(link, Arc::clone(&outbox));
        self.carry_out(&mut state, actions);
        drop(state);
        self.links_changed.send_modify(|count| *count += 1);
        Some((link, outbox))
    }

    /// A link has ended.
    pub(super) fn detach(self: &Arc<Self>, link: LinkId) {
        let mut state = self.lock();
        state.outboxes.remove(&link);
        let actions = state.router.link_down(link, self.moment());
        self.carry_out(&mut state, actions);
        drop(state);
        self.links_changed.send_modify(|count| *count += 1);
    }

    /// A message came in.
    pub(super) fn receive(self: &Arc<Self>, link: LinkId, frame: Frame) {
        let mut state = self.lock();
        let actions = state.router.handle(link, frame, self.moment());
        self.carry_out(&mut state, actions);
    }

    /// Queues a sign of life.
    pub(super) fn heartbeat(self: &Arc<Self>, link: LinkId) {
        let mut state = self.lock();
        let frame = state.router.heartbeat(link, self.moment());
        self.carry_out(&mut state, vec![Action::Send(link, frame)]);
    }

    /// Tells the other side what was wrong with its message.
    pub(super) fn complain(self: &Arc<Self>, link: LinkId, answering: Option<String>, failure: &Failure) {
        let mut state = self.lock();
        let from = state.router.neighbour(link).map_or("a link that is gone", NodeId::as_str);
        tracing::warn!(from, "{failure}");
        let frame = state.router.complaint(answering, failure, self.moment());
        self.carry_out(&mut state, vec![Action::Send(link, frame)]);
    }

    /// A message for the other side of a link that is not up yet.
    pub(super) fn complaint(&self, answering: Option<String>, failure: &Failure) -> Frame {
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

    fn finished(self: &Arc<Self>, ticket: Ticket, outcome: crate::service::Outcome) {
        let mut state = self.lock();
        let actions = state.router.finished(ticket, outcome, self.moment());
        self.carry_out(&mut state, actions);
    }

    /// Does what the router asks for, and what follows from it.
    fn carry_out(self: &Arc<Self>, state: &mut State, actions: Vec<Action>) {
        let mut actions = VecDeque::from(actions);
        while let Some(action) = actions.pop_front() {
            match action {
                Action::Send(link, frame) => {
                    // A link without an outbox has just ended; its calls have been failed by that.
                    if let Some(outbox) = state.outboxes.get(&link)
                        && let Err(frame) = outbox.push(frame)
                    {
                        let failure = Failure::Overloaded("too many calls wait for this link".into());
                        actions.extend(state.router.not_sent(link, &frame.header, failure, self.moment()));
                    }
                }
                Action::Answer(call, answer) => {
                    if let Some(waiting) = state.waiting.remove(&call) {
                        // Nobody listens where the client has hung up.
                        let _ = waiting.send(answer);
                    }
                }
                Action::Deliver(delivery) => match self.services.start(&self.env, &delivery) {
                    Started::Done(outcome) => {
                        actions.extend(state.router.finished(delivery.ticket, outcome, self.moment()));
                    }
                    Started::Running(work) => {
                        let (board, ticket) = (Arc::clone(self), delivery.ticket);
                        self.env.spawn("service-call", async move { board.finished(ticket, work.await) });
                    }
                },
                Action::Retire(link) => {
                    if let Some(outbox) = state.outboxes.get(&link).cloned() {
                        let env = self.env.clone();
                        self.env.spawn("link-retire", async move {
                            env.sleep(Duration::from_secs(RETIRE_SECONDS)).await;
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
            self.timer.notify_one();
        }
    }

    fn moment(&self) -> Moment {
        Moment { now: self.env.clock.now(), unix: self.env.clock.unix() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("the router does not panic")
    }
}
