//! A federation in a test's hand: routers, the messages between them in one queue, time as a value.
//!
//! Every message goes through the wire's text form. Services answer with the name of the node that serves; a service
//! called `slow` answers when the test says so.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use rand_chacha::rand_core::SeedableRng;

use crate::env::{Instant, Rng};
use crate::federation::{
    Action, Admission, Answer, Call, CallError, CallId, Delivery, Failure, LinkId, LinkInfo, LinkRole,
    Moment, Policy, Router, RouterConfig, Scope,
};
use crate::wire::{
    self, Body, Discovery, Frame, Header, NodeKind, PeerAddress, Registration, ServiceOffer, payload,
};

pub(super) type Name = &'static str;

/// Time that entries of other Mains live in these federations.
pub(super) const TTL: Duration = Duration::from_secs(600);

/// How long a call waits in these federations unless it says so itself.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(super) struct World {
    pub(super) now: Instant,
    nodes: BTreeMap<Name, Router>,
    /// Where each end of a link leads.
    ends: BTreeMap<(Name, LinkId), (Name, LinkId)>,
    /// Messages on their way: receiver, its link, text.
    queue: VecDeque<(Name, LinkId, String)>,
    answers: BTreeMap<(Name, CallId), Vec<(Instant, Answer)>>,
    /// Calls that a `slow` service has not answered.
    pub(super) held: VecDeque<(Name, Delivery)>,
    /// Every message that was sent: sender, receiver, message.
    pub(super) sent: Vec<(Name, Name, Frame)>,
    /// Who was told to dial whom.
    pub(super) met: Vec<(Name, PeerAddress)>,
    /// Directions in which messages vanish.
    muted: BTreeSet<(Name, Name)>,
    /// What every Main that is made from now on says of how calls are spread.
    pub(super) balance: BTreeMap<String, Policy>,
}

/// A service, which may have a wish, as in `shop=round-robin`.
fn offer(text: &str) -> ServiceOffer {
    let (name, wish) = text.split_once('=').unzip();
    let balance = wish.map(|policy| policy.parse().unwrap());
    ServiceOffer { name: name.unwrap_or(text).into(), methods: vec![], balance }
}

impl World {
    pub(super) fn main(&mut self, name: Name, services: &[&str]) {
        self.node(name, NodeKind::Main, services);
    }

    pub(super) fn home(&mut self, name: Name, services: &[&str]) {
        self.node(name, NodeKind::Home, services);
    }

    fn node(&mut self, name: Name, kind: NodeKind, services: &[&str]) {
        let config = RouterConfig {
            me: name.parse().unwrap(),
            kind,
            introduction: Registration {
                boot: Some(format!("boot-of-{kind}-{name}")),
                public_key: Some("00".repeat(32)),
                address: (kind == NodeKind::Main).then(|| format!("ws://{name}:8080")),
                services: services.iter().map(|text| offer(text)).collect(),
                ..Registration::default()
            },
            balance: self.balance.clone(),
            registry_ttl: TTL,
            call_timeout: CALL_TIMEOUT,
            home_calls_per_second: None,
        };
        let mut node = Router::new(config, Rng::seed_from_u64(7));
        // The links of one that went by this name are not mistaken for its own.
        node.counter = self.nodes.get(name).map_or(0, |before| before.counter);
        self.nodes.insert(name, node);
    }

    /// A Home with these services that hangs on `main`.
    pub(super) fn home_at(&mut self, name: Name, main: Name, services: &[&str]) {
        self.home(name, services);
        self.connect(name, main);
        self.settle();
    }

    /// `from` dials `to`; the messages that follow wait in the queue.
    pub(super) fn connect(&mut self, from: Name, to: Name) {
        self.link(from, to, true);
    }

    /// The same between two that speak the older wire.
    pub(super) fn connect_older(&mut self, from: Name, to: Name) {
        self.link(from, to, false);
    }

    fn link(&mut self, from: Name, to: Name, modern: bool) {
        let at = self.moment();
        let kinds = [from, to].map(|name| self.nodes[name].config.kind);
        let ids = [from, to].map(|name| self.router(name).new_link());
        let introductions = [from, to].map(|name| match self.router(name).introduction(None, at).body {
            Body::Registration(registration) => registration,
            other => panic!("{other:?} introduces nobody"),
        });
        self.ends.insert((from, ids[0]), (to, ids[1]));
        self.ends.insert((to, ids[1]), (from, ids[0]));
        // The side that was dialled comes up first, as in a real session.
        for (me, other) in [(1, 0), (0, 1)] {
            let role = match (kinds[me], kinds[other]) {
                (NodeKind::Home, _) => LinkRole::Uplink,
                (NodeKind::Main, NodeKind::Home) => LinkRole::Home,
                (NodeKind::Main, NodeKind::Main) => LinkRole::Peer,
            };
            let introduction = introductions[other].clone();
            let info = LinkInfo {
                node: [from, to][other].parse().unwrap(),
                role,
                boot: introduction.boot.clone(),
                key: introduction.public_key.as_deref().and_then(|key| key.parse().ok()),
                dialled: me == 0,
                modern,
                older_mesh: false,
                address: introduction.address.clone(),
                since: self.now,
            };
            let (admission, actions) = self.router([from, to][me]).link_up(ids[me], info, introduction, at);
            if admission == Admission::Duplicate {
                return self.cut_at([from, to][me], ids[me]);
            }
            self.carry_out([from, to][me], actions);
        }
    }

    /// Every link between two nodes breaks; what is on its way over them is lost.
    pub(super) fn cut(&mut self, one: Name, other: Name) {
        while let Some(link) = self.link_to(one, other) {
            self.cut_at(one, link);
        }
    }

    fn cut_at(&mut self, one: Name, link: LinkId) {
        let Some((other, far)) = self.ends.remove(&(one, link)) else { return };
        self.ends.remove(&(other, far));
        let at = self.moment();
        for (name, link) in [(one, link), (other, far)] {
            let actions = self.router(name).link_down(link, at);
            self.carry_out(name, actions);
        }
    }

    /// The end at `one` of its latest link to `other`.
    pub(super) fn link_to(&self, one: Name, other: Name) -> Option<LinkId> {
        self.ends.iter().rev().find(|(near, far)| near.0 == one && far.0 == other).map(|(near, _)| near.1)
    }

    /// From now on, messages from `from` to `to` are lost while the link seems to live; or not any more.
    pub(super) fn mute(&mut self, from: Name, to: Name, muted: bool) {
        if muted {
            self.muted.insert((from, to))
        } else {
            self.muted.remove(&(from, to))
        };
    }

    /// `to` gets this message over its link to `from`, whoever made it.
    pub(super) fn inject(&mut self, from: Name, to: Name, frame: Frame) {
        let link = self.link_to(to, from).expect("the two are connected");
        self.queue.push_back((to, link, wire::encode(frame)));
        self.settle();
    }

    /// Puts this message on its way to `to` over its link to `from`, if there is one.
    pub(super) fn forge(&mut self, from: Name, to: Name, frame: Frame) {
        if let Some(link) = self.link_to(to, from) {
            self.queue.push_back((to, link, wire::encode(frame)));
        }
    }

    /// A call of a client at `from`, to `target` or to any instance.
    pub(super) fn start(
        &mut self,
        from: Name,
        target: Option<&str>,
        service: &str,
        timeout: Option<Duration>,
    ) -> CallId {
        let call = Call {
            target: target.map(|text| text.parse().unwrap()),
            service: service.into(),
            method: "get".into(),
            params: None,
            timeout,
            priority: None,
            trace: false,
            dry_run: false,
            traceparent: None,
        };
        self.start_call(from, call)
    }

    /// A call of a client at `from`, as it likes.
    pub(super) fn start_call(&mut self, from: Name, call: Call) -> CallId {
        let at = self.moment();
        let (id, actions) = self.router(from).call(call, at);
        self.carry_out(from, actions);
        id
    }

    /// The client of a call goes away.
    pub(super) fn hang_up(&mut self, from: Name, id: CallId) {
        let at = self.moment();
        let actions = self.router(from).cancel(id, at);
        self.carry_out(from, actions);
    }

    /// A node says goodbye to all of its neighbours.
    pub(super) fn farewells(&mut self, name: Name) {
        let at = self.moment();
        let actions = self.router(name).farewells("closing", at);
        self.carry_out(name, actions);
    }

    /// Makes a call and carries messages until none is left: how it ended, without time passing.
    pub(super) fn call(&mut self, from: Name, target: Option<&str>, service: &str) -> Answer {
        let id = self.start(from, target, service, None);
        self.settle();
        self.answer(from, id).expect("the call ends without any time passing")
    }

    /// The error that a call at `from` ends with at once.
    pub(super) fn refusal(&mut self, from: Name, target: Option<&str>, service: &str) -> CallError {
        self.call(from, target, service).outcome.expect_err("the call is refused")
    }

    /// The node that served a call made at `from`, and the path.
    pub(super) fn served(
        &mut self,
        from: Name,
        target: Option<&str>,
        service: &str,
    ) -> (String, Vec<String>) {
        let Answer { outcome, path, .. } = self.call(from, target, service);
        let by: String = serde_json::from_str(outcome.expect("the call succeeds").get()).unwrap();
        (by, path.iter().map(ToString::to_string).collect())
    }

    /// How a call ended, if it has; panics where it ended twice.
    pub(super) fn answer(&self, from: Name, id: CallId) -> Option<Answer> {
        self.ended(from, id).map(|(_, answer)| answer)
    }

    /// When and how a call ended, if it has; panics where it ended twice.
    pub(super) fn ended(&self, from: Name, id: CallId) -> Option<(Instant, Answer)> {
        let answers = self.answers.get(&(from, id))?;
        assert_eq!(answers.len(), 1, "a call has one answer: {answers:?}");
        answers.first().cloned()
    }

    /// The oldest held call is answered by its `slow` service.
    pub(super) fn finish_one(&mut self) {
        if let Some((name, delivery)) = self.held.pop_front() {
            let at = self.moment();
            let actions = self.router(name).finished(delivery.ticket, Ok(payload(&name)), at);
            self.carry_out(name, actions);
        }
    }

    /// The shell at `name` could not send this request over its link.
    pub(super) fn not_sent(&mut self, name: Name, link: LinkId, request: &Header, failure: Failure) {
        let at = self.moment();
        let actions = self.router(name).not_sent(link, request, failure, at);
        self.carry_out(name, actions);
    }

    /// A closing node gives up the calls that are under way.
    pub(super) fn abandon(&mut self, name: Name) {
        let at = self.moment();
        let actions = self.router(name).abandon(at);
        self.carry_out(name, actions);
    }

    /// `from` sends its sign of life to `to`.
    pub(super) fn heartbeat(&mut self, from: Name, to: Name) {
        let at = self.moment();
        if let Some(link) = self.link_to(from, to) {
            let frame = self.router(from).heartbeat(link, at);
            self.carry_out(from, vec![Action::Send(link, frame)]);
        }
    }

    /// Carries one message; `false` where there is none.
    pub(super) fn step(&mut self) -> bool {
        let Some((to, link, text)) = self.queue.pop_front() else { return false };
        let frame = wire::decode(&text).expect("routers send what routers understand");
        let at = self.moment();
        let actions = self.router(to).handle(link, frame, at);
        self.carry_out(to, actions);
        true
    }

    /// Carries messages until none is left.
    pub(super) fn settle(&mut self) {
        let mut left = 100_000;
        while self.step() {
            left -= 1;
            assert!(left > 0, "the routers never stop talking");
        }
    }

    /// A node does what is due by now, ahead of what is on its way to it.
    pub(super) fn time_out(&mut self, name: Name) {
        let at = self.moment();
        let actions = self.router(name).handle_timeout(at);
        self.carry_out(name, actions);
    }

    /// Lets time pass, doing what is due at the very instant that it is.
    pub(super) fn advance(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            let due = self.nodes.iter().filter_map(|(name, node)| Some((node.next_timeout()?, *name))).min();
            let Some((at, name)) = due.filter(|(at, _)| *at <= until) else { break };
            self.now = self.now.max(at);
            let at = self.moment();
            let actions = self.router(name).handle_timeout(at);
            self.carry_out(name, actions);
            self.settle();
        }
        self.now = until;
    }

    /// The nodes that `main` lists for a service of other Mains, in order.
    pub(super) fn federated(&self, main: Name, service: &str) -> Vec<String> {
        let listings = self.nodes[main].registry().all().into_iter();
        listings
            .filter(|line| matches!(line.scope, Scope::Federated { .. }) && line.service.name == service)
            .map(|line| line.node.to_string())
            .collect()
    }

    /// The announcements and wishes sent from one Main to another, oldest first.
    pub(super) fn discoveries(&self, from: Name, to: Name) -> Vec<Discovery> {
        let bodies = self.sent.iter().filter(|(f, t, _)| (*f, *t) == (from, to));
        bodies
            .filter_map(|(_, _, frame)| match &frame.body {
                Body::Discovery(news) => Some(news.clone()),
                _ => None,
            })
            .collect()
    }

    /// The errors that `from` answered to requests of `to`, oldest first.
    pub(super) fn errors(&self, from: Name, to: Name) -> Vec<CallError> {
        let bodies = self.sent.iter().filter(|(f, t, _)| (*f, *t) == (from, to));
        bodies
            .filter_map(|(_, _, frame)| match &frame.body {
                Body::Response(response) => response.outcome().unwrap().err(),
                _ => None,
            })
            .collect()
    }

    pub(super) fn router(&mut self, name: Name) -> &mut Router {
        self.nodes.get_mut(name).expect("a node of that name")
    }

    fn moment(&self) -> Moment {
        Moment { now: self.now, ..Moment::default() }
    }

    fn carry_out(&mut self, name: Name, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Abort(ticket) => {
                    self.held.retain(|(node, delivery)| *node != name || delivery.ticket != ticket);
                }
                Action::Send(link, frame) | Action::Cancel(link, frame) => {
                    // A link that has just gone takes nothing.
                    if let Some((to, far)) = self.ends.get(&(name, link)).copied() {
                        self.sent.push((name, to, frame.clone()));
                        if !self.muted.contains(&(name, to)) {
                            self.queue.push_back((to, far, wire::encode(frame)));
                        }
                    }
                }
                Action::Deliver(delivery) if delivery.request.service == "slow" => {
                    self.held.push_back((name, delivery));
                }
                Action::Deliver(delivery) => {
                    let at = self.moment();
                    let actions = self.router(name).finished(delivery.ticket, Ok(payload(&name)), at);
                    self.carry_out(name, actions);
                }
                Action::Answer(id, answer) => {
                    self.answers.entry((name, id)).or_default().push((self.now, answer));
                }
                Action::Retire(link) => self.cut_at(name, link),
                Action::MeetPeer(peer) => self.met.push((name, peer)),
            }
        }
    }
}
