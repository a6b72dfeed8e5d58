//! What a node does with each message and each call: the routing of the hub-and-spoke federation.
//!
//! Getters tell the state; `link_up`, `link_down`, `handle`, `call`, `finished` and `handle_timeout` take inputs and
//! return the [`Action`]s that the shell carries out, in that order; `next_timeout` says when `handle_timeout` is due.
//!
//! A Home hands every call that is not for itself to its Main. A Main delivers to its own Homes and forwards to the
//! Main behind which the target is; what came from another Main it only delivers. No call makes more than
//! [`MAX_HOPS`](crate::wire::MAX_HOPS) hops.

mod announce;
mod calls;
#[cfg(test)]
mod tests;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;
use smol_str::format_smolstr;

use self::announce::Announcements;
use super::health::{Blame, Health};
use super::intake::Intake;
use super::links::Links;
use super::pending::{Answerer, Asker, Pending};
use super::{Admission, CallError, Failure, LinkId, LinkInfo, LinkRole, Policy, Registry, Remembered};
use crate::env::{Instant, Rng, UnixTime};
use crate::wire::{
    Body, DEFAULT_TTL, ErrorReport, Frame, Goodbye, Header, Heartbeat, HopTime, NodeAddress, NodeId,
    NodeKind, PeerAddress, Registration, Request, Response, ServiceOffer, SmolStr, Target, payload,
};

/// The longest that a call may wait, in seconds; a longer wish is cut down to it.
const MAX_CALL_SECONDS: u64 = 3_600;

/// When a neighbour of a closing node may come back at the earliest, in milliseconds: the time of a quick restart.
const RETURN_AFTER_MILLIS: u64 = 1_000;

/// Homes of a closing Main that come back in one second.
const RETURNS_PER_SECOND: u64 = 100;

/// A call that a client of this node made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

/// A call that a service of this node is to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What a router must know of its node.
#[derive(Clone, Debug)]
pub struct RouterConfig {
    /// This node.
    pub me: NodeId,
    /// Main or Home.
    pub kind: NodeKind,
    /// What it tells of itself, but for its peers. Its `boot` begins the id of each of its messages.
    pub introduction: Registration,
    /// How calls of these services are spread, whatever their Homes wish.
    pub balance: BTreeMap<String, Policy>,
    /// How long other Mains' entries live without being confirmed.
    pub registry_ttl: Duration,
    /// How long a call waits whose caller says nothing.
    pub call_timeout: Duration,
    /// Calls that one Home may make in the long run; no limit where it is `None`.
    pub home_calls_per_second: Option<NonZeroU32>,
}

/// Both clocks at one moment, as values.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moment {
    /// Monotonic: for order and deadlines.
    pub now: Instant,
    /// Wall clock: for timestamps.
    pub unix: UnixTime,
}

/// A call of a client at this node.
#[derive(Clone, Debug)]
pub struct Call {
    /// The node that is to serve it; any that offers the service where there is none.
    pub target: Option<Target>,
    /// The service.
    pub service: String,
    /// Its method.
    pub method: String,
    /// The arguments, as JSON.
    pub params: Option<Box<RawValue>>,
    /// How long the caller waits; the node's default where it says nothing.
    pub timeout: Option<Duration>,
    /// A higher one leaves queues first; 0 where there is none.
    pub priority: Option<i64>,
    /// Whether the time of each hop is wanted.
    pub trace: bool,
    /// Whether only the way is wanted, and nothing is to be called.
    pub dry_run: bool,
    /// The caller's W3C trace context.
    pub traceparent: Option<String>,
}

/// The JSON-RPC call inside a request, as this node writes it for its own clients.
#[derive(Serialize)]
struct CarriedCall<'a> {
    jsonrpc: &'static str,
    method: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    params: Option<&'a RawValue>,
    id: &'a str,
}

/// How a call ended.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The service's result, or why there is none.
    pub outcome: Result<Box<RawValue>, CallError>,
    /// The nodes that the call passed, this one first and the one that served it last.
    pub path: Vec<NodeId>,
    /// Where that was wanted: how long each of them waited for its answer, in the order of the path.
    pub timing: Vec<HopTime>,
}

/// A call for a service of this node.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// To be given back with the result.
    pub ticket: Ticket,
    /// Who calls, as its Main says; `None` for a client of this node.
    pub caller: Option<NodeAddress>,
    /// What to call.
    pub request: Request,
    /// How long the caller still waits.
    pub timeout: Duration,
    /// The caller's W3C trace context.
    pub traceparent: Option<String>,
}

/// What the shell is to do.
#[derive(Clone, Debug)]
pub enum Action {
    /// Put this into a link's queue.
    Send(LinkId, Frame),
    /// Call a service of this node; report with [`Router::finished`].
    Deliver(Delivery),
    /// Nobody waits for the answer to a request that went over this link: take it out of the queue where it is still
    /// there, else send this message.
    Cancel(LinkId, Frame),
    /// Nobody waits for what this service call gives: end it.
    Abort(Ticket),
    /// Tell a client of this node how its call ended.
    Answer(CallId, Answer),
    /// Another link to the same node counts now: close this one once its calls have had time to end.
    Retire(LinkId),
    /// A Main that we heard of: dial it unless that is under way.
    MeetPeer(PeerAddress),
}

/// The state of one node's federation.
pub struct Router {
    config: RouterConfig,
    links: Links,
    pending: Pending,
    registry: Registry,
    health: Health,
    /// Mains that were connected or heard of since the start.
    known_mains: BTreeSet<NodeId>,
    /// Numbers links, calls, tickets and messages.
    counter: u64,
    announcements: Announcements,
    intake: Intake,
    tally: Tally,
}

/// What is told of calls that are over.
#[derive(Default)]
struct Tally {
    /// Those that failed here, by code.
    failed: BTreeMap<i64, u64>,
    /// How long the last answer took that came over a link, until it is asked for.
    round_trip: Option<Duration>,
}

impl Router {
    /// A node without links.
    ///
    /// `rng` is the randomness that calls are spread with.
    pub fn new(config: RouterConfig, rng: Rng) -> Self {
        let own = config.introduction.services.clone();
        let registry = Registry::new(config.me.clone(), config.kind, own, config.registry_ttl)
            .with_balance(config.balance.clone());
        let intake = Intake::new(config.kind, config.home_calls_per_second);
        Router {
            config,
            links: Links::default(),
            pending: Pending::default(),
            registry,
            health: Health::new(rng),
            known_mains: BTreeSet::new(),
            counter: 0,
            announcements: Announcements::default(),
            intake,
            tally: Tally::default(),
        }
    }

    /// Takes up what other Mains announced before this node was restarted.
    pub fn restore(&mut self, remembered: Vec<Remembered>, now: Instant) {
        for main in remembered {
            self.registry.restore(main, now);
        }
    }

    /// From now on new calls are refused; those under way go on.
    pub fn drain(&mut self) {
        self.intake.draining = true;
    }

    /// Ends all calls under way: this node goes, and whoever waits is to hear it.
    pub fn abandon(&mut self, at: Moment) -> Vec<Action> {
        let mut actions = Vec::new();
        for call in self.pending.all() {
            let failure = Failure::Abandoned { node: self.config.me.clone() };
            self.fail(call, failure, at, &mut actions);
        }
        actions
    }

    /// This node's introduction, as an answer to another's where it is one.
    pub fn introduction(&mut self, answering: Option<SmolStr>, at: Moment) -> Frame {
        let peers = self.links.peer_addresses();
        let registration = Registration { peers, ..self.config.introduction.clone() };
        let mut frame = self.message(Body::Registration(registration), at);
        frame.header.correlation_id = answering;
        frame
    }

    /// A sign of life for this link.
    pub fn heartbeat(&mut self, link: LinkId, at: Moment) -> Frame {
        let is_peer = self.links.get(link).is_some_and(|info| info.role == LinkRole::Peer && info.modern);
        let registry_version = is_peer.then(|| self.registry.version());
        self.message(Body::Heartbeat(Heartbeat { registry_version }), at)
    }

    /// Tells the other side of a link that what it sent cannot be handled.
    pub fn complaint(&mut self, answering: Option<SmolStr>, failure: &Failure, at: Moment) -> Frame {
        let report = ErrorReport { code: failure.code(), message: failure.to_string() };
        let mut frame = self.message(Body::Error(report), at);
        frame.header.correlation_id = answering;
        frame
    }

    /// A message of this node's own to a neighbour.
    pub fn message(&mut self, body: Body, at: Moment) -> Frame {
        let message_id = self.message_id();
        Frame { header: self.header(message_id, at), body }
    }

    /// A number for a connection that has just been made.
    pub fn new_link(&mut self) -> LinkId {
        LinkId(self.count())
    }

    /// Both sides of a link have introduced themselves.
    pub fn link_up(
        &mut self,
        link: LinkId,
        info: LinkInfo,
        introduction: Registration,
        at: Moment,
    ) -> (Admission, Vec<Action>) {
        let (node, role, modern) = (info.node.clone(), info.role, info.modern);
        let former_uplink = self.links.uplink().map(|(link, _)| link);
        let admission = self.links.admit(link, info, &self.config.me);
        let mut actions = Vec::new();
        match admission {
            Admission::Duplicate => return (admission, actions),
            Admission::Replaces(old) => actions.push(Action::Retire(old)),
            Admission::First => {}
        }
        match role {
            LinkRole::Home => {
                self.home_offers(&node, introduction.services, at);
            }
            LinkRole::Peer => {
                self.health.peer_is_back(&node);
                // A Home that went by this Main's id has lost its link to it.
                self.registry.home_down(&node);
                self.know_main(node);
                self.greet_peer(link, modern, introduction.peers, at, &mut actions);
            }
            LinkRole::Uplink => {
                // One Main at a time: back at the preferred one, the other is left.
                let left =
                    former_uplink.filter(|former| self.links.get(*former).is_some_and(|it| it.node != node));
                actions.extend(left.map(Action::Retire));
            }
        }
        (admission, actions)
    }

    /// A link is gone. Calls that wait for it fail at once.
    pub fn link_down(&mut self, link: LinkId, at: Moment) -> Vec<Action> {
        let mut actions = Vec::new();
        let Some((info, was_current)) = self.links.remove(link) else {
            return actions;
        };
        self.intake.forget(link);
        if was_current && info.role == LinkRole::Home {
            self.registry.home_down(&info.node);
            self.announce_soon(at);
        }
        // Whoever asked over this link cannot be answered any more.
        for mut call in self.pending.asked_by(link) {
            self.settle(&mut call, Blame::Unknown, at);
            self.stop_work(&call, at, &mut actions);
        }
        for call in self.pending.waiting_for(link) {
            let failure = Failure::ConnectionLost { next: info.node.clone() };
            self.fail(call, failure, at, &mut actions);
        }
        actions
    }

    /// A message came in over a link.
    pub fn handle(&mut self, link: LinkId, frame: Frame, at: Moment) -> Vec<Action> {
        let mut actions = Vec::new();
        let Some(info) = self.links.get(link) else {
            return actions;
        };
        let (node, role) = (info.node.clone(), info.role);
        self.links.hear(link, at.now);
        let Frame { header, body } = frame;
        match body {
            Body::Request(request) => {
                self.handle_request((link, role, &node), header, request, at, &mut actions);
            }
            Body::Response(response) => self.handle_response(link, header, response, at, &mut actions),
            Body::Heartbeat(heartbeat) => {
                self.health.peer_lives(&node, at.now);
                if let Some(version) = heartbeat.registry_version
                    && role == LinkRole::Peer
                    && !self.registry.confirmed(&node, version, at.now)
                {
                    self.ask_full(link, at, &mut actions);
                }
            }
            Body::Discovery(news) if role == LinkRole::Peer => {
                self.handle_discovery(link, &node, news, at, &mut actions);
            }
            Body::Registration(registration) if role == LinkRole::Home => {
                // A Home may register again at any time, with other services.
                self.home_offers(&node, registration.services, at);
            }
            Body::Registration(_)
            | Body::Discovery(_)
            | Body::Challenge(_)
            | Body::Proof(_)
            | Body::KnownPeers(_) => {
                let failure = Failure::Malformed(format!("a {role:?} link does not take this message here"));
                actions.push(Action::Send(link, self.complaint(Some(header.message_id), &failure, at)));
            }
            Body::Cancel(_) => {
                let message_id = header.correlation_id.unwrap_or_default();
                if let Some(mut call) = self.pending.cancelled_over(link, &header.source.id, message_id) {
                    self.settle(&mut call, Blame::Unknown, at);
                    self.stop_work(&call, at, &mut actions);
                }
            }
            // No new calls for a Home that is closing; those under way still end over the link.
            Body::Goodbye(_) if role == LinkRole::Home => {
                self.registry.home_down(&node);
                self.announce_soon(at);
            }
            Body::Goodbye(_) => {}
            Body::Error(report) => {
                tracing::warn!(from = %node, code = report.code, "the other side complains: {}", report.message);
            }
        }
        actions
    }

    /// Where the message that was just handled answered a call: how long that took, from sending the call on.
    pub fn take_round_trip(&mut self) -> Option<Duration> {
        self.tally.round_trip.take()
    }

    /// A client of this node calls. The answer comes as [`Action::Answer`] with this id, exactly once.
    pub fn call(&mut self, call: Call, at: Moment) -> (CallId, Vec<Action>) {
        let id = CallId(self.count());
        let mut actions = Vec::new();
        let longest = Duration::from_secs(MAX_CALL_SECONDS);
        let timeout = call.timeout.unwrap_or(self.config.call_timeout).min(longest);
        let message_id = self.message_id();
        let json_rpc = CarriedCall {
            jsonrpc: "2.0",
            method: &call.method,
            params: call.params.as_deref(),
            id: &message_id,
        };
        let carried = payload(&json_rpc);
        let request = Request {
            service: call.service,
            method: call.method,
            call: Some(carried),
            timeout: Some(timeout),
            dry_run: call.dry_run,
        };
        let mut header = self.header(message_id, at);
        header.priority = call.priority;
        header.trace = call.trace.then(Vec::new);
        header.traceparent = call.traceparent;
        header.destination = call.target.map(|target| NodeAddress {
            kind: NodeKind::Home,
            id: target.id,
            main_relay: target.main_relay,
        });
        if self.intake.draining {
            let failure = Failure::ShuttingDown { node: self.config.me.clone() };
            let call = self.pending_call(Asker::Here(id), &header, timeout, at);
            self.fail(call, failure, at, &mut actions);
        } else if let Err(failure) = self.intake.take(Asker::Here(id), None, &self.pending, at.now) {
            let call = self.pending_call(Asker::Here(id), &header, timeout, at);
            self.fail(call, failure, at, &mut actions);
        } else {
            self.route(Asker::Here(id), None, header, request, at, &mut actions);
        }
        (id, actions)
    }

    /// The client that made this call has gone away.
    pub fn cancel(&mut self, call: CallId, at: Moment) -> Vec<Action> {
        let mut actions = Vec::new();
        if let Some(mut call) = self.pending.cancelled_here(call) {
            self.settle(&mut call, Blame::Unknown, at);
            self.stop_work(&call, at, &mut actions);
        }
        actions
    }

    /// Tells a Main that this Home has moved to another, if that is why the link is left: it is to send no more calls
    /// over it. Not before the other one has announced the Home, or nobody would know for a moment where it is.
    pub fn moved_away(&mut self, link: LinkId, at: Moment) -> Vec<Action> {
        let info = self.links.get(link).filter(|info| info.role == LinkRole::Uplink && info.modern);
        let current = self.links.uplink().filter(|(current, _)| *current != link);
        let (Some(_), Some((_, current))) = (info, current) else { return Vec::new() };
        let reason = format!("moved to {}", current.node);
        let goodbye = Body::Goodbye(Goodbye { reason, return_after_ms: 0 });
        vec![Action::Send(link, self.message(goodbye, at))]
    }

    /// Tells every neighbour that this node closes, and when to come back: a Main's Homes one after the other.
    pub fn farewells(&mut self, reason: &str, at: Moment) -> Vec<Action> {
        let modern = self.links.current().filter(|(_, info)| info.modern);
        let links: Vec<(LinkId, LinkRole)> = modern.map(|(link, info)| (link, info.role)).collect();
        let mut homes = 0;
        let goodbye = |(link, role)| {
            homes += u64::from(role == LinkRole::Home);
            let return_after_ms = RETURN_AFTER_MILLIS + homes * 1_000 / RETURNS_PER_SECOND;
            let body = Body::Goodbye(Goodbye { reason: reason.to_owned(), return_after_ms });
            Action::Send(link, self.message(body, at))
        };
        links.into_iter().map(goodbye).collect()
    }

    /// Whether calls are under way over this link.
    pub fn is_busy(&self, link: LinkId) -> bool {
        self.pending.uses(link)
    }

    /// A request could not be sent over its link. Its call ends here.
    pub fn not_sent(&mut self, link: LinkId, request: &Header, failure: Failure, at: Moment) -> Vec<Action> {
        let mut actions = Vec::new();
        let source = &request.source.id;
        if let Some(call) = self.pending.answered_over(link, source, request.message_id.clone()) {
            self.fail(call, failure, at, &mut actions);
        }
        actions
    }

    /// What goes back instead of a response that could not be sent. Of the response's header it takes over only what
    /// the caller is found by, so that it is short whatever stood there.
    pub fn instead_of(&mut self, response: &Header, failure: Failure, at: Moment) -> Frame {
        let path: Vec<NodeId> = response.path.iter().rev().cloned().collect();
        let error = failure.at(&self.config.me, &path);
        let mut frame = self.message(Body::Response(Response::new(Err(error))), at);
        frame.header.destination.clone_from(&response.destination);
        frame.header.correlation_id.clone_from(&response.correlation_id);
        frame.header.path.push(self.config.me.clone());
        frame
    }

    /// A service of this node is done with a call.
    pub fn finished(
        &mut self,
        ticket: Ticket,
        outcome: Result<Box<RawValue>, Failure>,
        at: Moment,
    ) -> Vec<Action> {
        let mut actions = Vec::new();
        if let Some(call) = self.pending.answered_here(ticket) {
            match outcome {
                Ok(result) => self.answer(call, Ok(result), at, &mut actions),
                Err(failure) => self.fail(call, failure, at, &mut actions),
            }
        }
        actions
    }

    /// When [`Router::handle_timeout`] is due; never where `None`.
    pub fn next_timeout(&self) -> Option<Instant> {
        let Announcements { due, refresh_older, .. } = self.announcements;
        [self.pending.next_deadline(), self.registry.next_expiry(), due, refresh_older]
            .into_iter()
            .flatten()
            .min()
    }

    /// Does all that is due by now.
    pub fn handle_timeout(&mut self, at: Moment) -> Vec<Action> {
        let mut actions = Vec::new();
        while let Some(call) = self.pending.expired(at.now) {
            let timeout = call.timeout;
            if matches!(call.asker, Asker::Here(_)) || matches!(call.answerer, Answerer::Service(_)) {
                self.stop_work(&call, at, &mut actions);
            }
            self.fail(call, Failure::TimedOut(timeout), at, &mut actions);
        }
        for main in self.registry.expire(at.now) {
            tracing::info!(%main, "its services were not confirmed in time and are no longer listed");
        }
        if self.announcements.due.is_some_and(|due| due <= at.now) {
            self.announcements.due = None;
            self.announce(at, &mut actions);
        }
        if self.announcements.refresh_older.is_some_and(|due| due <= at.now) {
            self.refresh_older(at, &mut actions);
        }
        actions
    }
}

impl Router {
    /// A Home's services are these.
    fn home_offers(&mut self, home: &NodeId, offers: Vec<ServiceOffer>, at: Moment) {
        for offer in &offers {
            self.health.is_back(home, &offer.name);
        }
        self.registry.home_up(home, offers);
        self.announce_soon(at);
    }

    fn count(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    fn message_id(&mut self) -> SmolStr {
        let number = self.count();
        let boot = self.config.introduction.boot.as_deref().unwrap_or_default();
        format_smolstr!("{boot}-{number}")
    }

    fn address(&self) -> NodeAddress {
        let main_relay = self.links.uplink().map(|(_, info)| info.node.clone());
        NodeAddress { kind: self.config.kind, id: self.config.me.clone(), main_relay }
    }

    fn header(&self, message_id: SmolStr, at: Moment) -> Header {
        Header {
            message_id,
            correlation_id: None,
            timestamp: at.unix.to_string(),
            source: self.address(),
            destination: None,
            path: Vec::new(),
            ttl: DEFAULT_TTL,
            priority: None,
            trace: None,
            traceparent: None,
        }
    }
}
