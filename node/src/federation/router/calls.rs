//! Calls: where each goes next, and how its answer comes back.

use std::time::Duration;

use serde_json::value::RawValue;

use super::{Action, Answer, Delivery, MAX_CALL_SECONDS, Moment, Router, Ticket};
use crate::federation::error::SenderLimit;
use crate::federation::health::{Blame, Chosen};
use crate::federation::pending::{Answerer, Asker, PendingCall};
use crate::federation::registry::Place;
use crate::federation::{CallError, Failure, LinkId, LinkRole, hops};
use crate::wire::{
    Body, Cancel, Frame, Header, HopTime, MAX_HOPS, NodeAddress, NodeId, NodeKind, Request, Response, payload,
};

/// The share of a call's time that each hop keeps for the way back, and the most that it keeps.
const HOP_SHARE: u32 = 20;
const HOP_TIME_MAX: Duration = Duration::from_millis(250);

/// A Main that has said nothing for so long, with a call waiting, has failed; any answer comes sooner.
const SILENCE_MIN: Duration = Duration::from_millis(500);

/// Where a call goes from here.
enum Next {
    /// To a service of this node.
    Here,
    /// Over this link; a Main knows by which way.
    Over(LinkId, Option<Way>),
}

/// The way from a Main to an instance.
struct Way {
    /// The node that is to serve the call.
    instance: NodeId,
    /// The Main that it is behind, where that is another one.
    peer: Option<NodeId>,
    /// Its breaker is to be passed by.
    readmitted: bool,
}

impl Router {
    /// A request came over `link` from `node`.
    pub(super) fn handle_request(
        &mut self,
        (link, role, node): (LinkId, LinkRole, &NodeId),
        mut header: Header,
        mut request: Request,
        at: Moment,
        actions: &mut Vec<Action>,
    ) {
        let asker = Asker::Link(link);
        let is_older = self.links.get(link).is_some_and(|info| !info.modern);
        if header.path.is_empty() && is_older && role == LinkRole::Home {
            // The older wire leaves it to the first hub to begin the path.
            header.path.push(node.clone());
        }
        let timeout = request.timeout.unwrap_or(self.config.call_timeout);
        let timeout = timeout.min(Duration::from_secs(MAX_CALL_SECONDS));
        let refusal = if self.intake.draining {
            Some(Failure::ShuttingDown { node: self.config.me.clone() })
        } else if header.source.id != *node
            && (role == LinkRole::Home || (role == LinkRole::Peer && header.source.kind == NodeKind::Main))
        {
            // Answers find their caller by this id, so nobody may use another's. A peer speaks for itself and its
            // Homes, the Main above for everybody.
            Some(Failure::Malformed(format!(
                "source_node is {}, but this link is {node}'s",
                header.source.id
            )))
        } else if header.path.last() != Some(node) {
            Some(Failure::Malformed(format!("routing_path does not end with {node}, which sent this")))
        } else {
            let arrived = hops::check_arrival(&header, &self.config.me);
            arrived.and_then(|()| self.intake.take(asker, Some(role), &self.pending, at.now)).err()
        };
        match refusal {
            Some(failure) => {
                let call = self.pending_call(asker, &header, timeout, at);
                self.fail(call, failure, at, actions);
            }
            None => {
                request.timeout = Some(timeout);
                // What a caller is, and which Main it is behind, is seen here, whatever it says.
                match role {
                    LinkRole::Home => {
                        header.source.kind = NodeKind::Home;
                        header.source.main_relay = Some(self.config.me.clone());
                    }
                    LinkRole::Peer if header.source.kind == NodeKind::Home => {
                        header.source.main_relay = Some(node.clone());
                    }
                    LinkRole::Peer => header.source.main_relay = None,
                    LinkRole::Uplink => {}
                }
                self.route(asker, Some(role), header, request, at, actions);
            }
        }
    }

    /// A response came over `link`. One that nobody waits for, or that comes from where its call did not go, ends
    /// here.
    pub(super) fn handle_response(
        &mut self,
        link: LinkId,
        mut header: Header,
        mut response: Response,
        at: Moment,
        actions: &mut Vec<Action>,
    ) {
        let (Some(caller), Some(message_id)) = (&header.destination, header.correlation_id.clone()) else {
            return;
        };
        let Some(mut call) = self.pending.answered_over(link, &caller.id, message_id) else {
            tracing::debug!(source = %header.source, "an answer to no call that is under way");
            return;
        };
        if header.path.len() > MAX_HOPS {
            // Carried on, it would grow over what the next node takes, and that node would blame this one.
            let passed = header.path.len();
            let failure = format!("the answer's routing_path has {passed} nodes, at most {MAX_HOPS} can be");
            return self.fail(call, Failure::Malformed(failure), at, actions);
        }
        let error = response.error();
        log_end(&call, error.as_ref(), at);
        let blame = match &error {
            // Whoever says so, it came back: the way there works.
            Some(error) if error.counts() => Blame::Instance,
            _ => Blame::Nobody,
        };
        self.settle(&mut call, blame, at);
        self.tally.round_trip = Some(at.now - call.since);
        let too_fast = error.is_some_and(|error| self.calls_too_fast(link, &error));
        self.intake.answered(link, call.since, (response.waited, too_fast), &self.pending, at.now);
        response.waited = Some(at.now - call.since);
        let waited = HopTime { node: self.config.me.clone(), micros: micros(at.now - call.since) };
        if let Some(trace) = &mut header.trace {
            trace.truncate(MAX_HOPS);
            trace.push(waited);
        }
        match call.asker {
            Asker::Here(id) => {
                let outcome = response.outcome().unwrap_or_else(|error| {
                    Err(Failure::Malformed(error.to_string()).at(&self.config.me, &call.path))
                });
                let path = call.path.into_iter().chain(header.path.into_iter().rev()).collect();
                let timing = header.trace.into_iter().flatten().rev().collect();
                actions.push(Action::Answer(id, Answer { outcome, path, timing }));
            }
            Asker::Link(back) => {
                header.path.push(self.config.me.clone());
                header.ttl = header.ttl.saturating_sub(1);
                actions.push(Action::Send(back, Frame { header, body: Body::Response(response) }));
            }
        }
    }

    /// Finds the next node for a call and sends it there, or delivers it here, or refuses it.
    pub(super) fn route(
        &mut self,
        asker: Asker,
        came_over: Option<LinkRole>,
        mut header: Header,
        mut request: Request,
        at: Moment,
        actions: &mut Vec<Action>,
    ) {
        tracing::debug!(
            call = %header.message_id,
            source = %header.source,
            service = %request.service,
            method = %request.method,
            "a call"
        );
        let timeout = request.timeout.unwrap_or(self.config.call_timeout);
        let next = match self.config.kind {
            NodeKind::Home => self.next_from_home(came_over, header.destination.as_ref(), &request.service),
            NodeKind::Main => {
                self.next_from_main(came_over, header.destination.as_ref(), &request.service, at)
            }
        };
        let mut charge = None;
        let departed = next.and_then(|next| {
            if let Next::Over(link, way) = &next {
                if request.dry_run && !self.links.get(*link).is_some_and(|info| info.modern) {
                    return Err(Failure::NoRoute("an older relay is next, which would really call".into()));
                }
                hops::depart(&mut header, &self.config.me)?;
                let next = self.links.get(*link).map_or(&self.config.me, |info| &info.node);
                self.intake.send(*link, next, header.priority.unwrap_or(0), &self.pending, at.now)?;
                if let Some(Way { instance, peer, readmitted }) = way {
                    let peer = peer.as_ref();
                    let departs = self.health.depart(&request.service, instance, peer, *readmitted, at.now);
                    charge = Some(departs.map_err(|open| Failure::CircuitOpen {
                        node: open.node,
                        retry_after: open.retry_after,
                    })?);
                    let kind = NodeKind::Home;
                    header.destination.get_or_insert_with(|| NodeAddress {
                        kind,
                        id: instance.clone(),
                        main_relay: None,
                    });
                }
                // Less than what is left here: whoever is nearest to a failure can then say so in time.
                request.timeout = Some(timeout - (timeout / HOP_SHARE).min(HOP_TIME_MAX));
            }
            Ok(next)
        });
        let mut call = self.pending_call(asker, &header, timeout, at);
        call.charge = charge;
        let action = match departed {
            Err(failure) => return self.fail(call, failure, at, actions),
            Ok(Next::Here) if request.dry_run => return self.answer(call, Ok(payload(&())), at, actions),
            Ok(Next::Here) => {
                let ticket = Ticket(self.count());
                call.answerer = Answerer::Service(ticket);
                let caller = matches!(asker, Asker::Link(_)).then_some(header.source);
                Action::Deliver(Delivery {
                    ticket,
                    caller,
                    request,
                    timeout,
                    traceparent: header.traceparent,
                })
            }
            Ok(Next::Over(link, _)) => {
                call.answerer = Answerer::Link(link);
                Action::Send(link, Frame { header, body: Body::Request(request) })
            }
        };
        match self.pending.insert(call) {
            Ok(()) => actions.push(action),
            Err(call) => {
                let failure = Failure::Malformed(format!("the message_id {} is in use", call.message_id));
                self.fail(*call, failure, at, actions);
            }
        }
    }

    /// Whether this is the word of the Main above that this Home calls more than it may. Only Homes have that limit:
    /// from elsewhere it is a service's invention, and the link that it would shut is everybody's.
    fn calls_too_fast(&self, link: LinkId, error: &CallError) -> bool {
        let by_neighbour = self.links.get(link).is_some_and(|info| {
            info.role == LinkRole::Uplink && error.data.node.as_ref() == Some(&info.node)
        });
        by_neighbour && error.data.limit == Some(SenderLimit::HomeCallsPerSecond)
    }

    fn next_from_home(
        &self,
        came_over: Option<LinkRole>,
        destination: Option<&NodeAddress>,
        service: &str,
    ) -> Result<Next, Failure> {
        let me = &self.config.me;
        let for_me = destination.is_none_or(|address| address.id == *me);
        let offered = self.registry.offers(me, service) == Some(true);
        match (for_me, offered, came_over) {
            (true, true, _) => Ok(Next::Here),
            (_, _, None) if destination.is_none_or(|address| address.id != *me) => {
                match self.links.uplink() {
                    Some((link, _)) => Ok(Next::Over(link, None)),
                    None => Err(Failure::NoRoute(format!("{me} is not connected to a Main"))),
                }
            }
            (false, _, _) => Err(no_such_node(destination, service)),
            (true, false, _) => Err(Failure::NotOffered { node: me.clone(), service: service.to_owned() }),
        }
    }

    fn next_from_main(
        &mut self,
        came_over: Option<LinkRole>,
        destination: Option<&NodeAddress>,
        service: &str,
        at: Moment,
    ) -> Result<Next, Failure> {
        // What came from another Main is for here: it has made two hops, and the third must end at a Home.
        let may_forward = came_over != Some(LinkRole::Peer);
        let links = &self.links;
        let reachable = |main: &NodeId| may_forward && links.to(main).is_some();
        let Some(destination) = destination else {
            let Some(offerers) = self.registry.offerers(service) else {
                return Err(Failure::NoSuchService { service: service.to_owned() });
            };
            let (place, readmitted) = match self.health.choose(service, &offerers, reachable, at.now) {
                Chosen::Place(place, readmitted) => (place, readmitted),
                Chosen::AllOpen => return Err(Failure::AllCircuitsOpen { service: service.to_owned() }),
                Chosen::NoneReachable if !may_forward => {
                    return Err(Failure::NoSuchService { service: service.to_owned() });
                }
                Chosen::NoneReachable => {
                    let names: Vec<_> = offerers.behind.keys().map(NodeId::as_str).collect();
                    let names = names.join(", ");
                    return Err(Failure::NoRoute(format!("`{service}` is behind {names}, which is down")));
                }
            };
            let way = |instance, peer| Some(Way { instance, peer, readmitted });
            return match place {
                Place::Here => Ok(Next::Here),
                Place::Home(home) => match self.links.to(&home) {
                    Some(link) => Ok(Next::Over(link, way(home, None))),
                    None => Err(Failure::NoRoute(format!("{home} is not connected"))),
                },
                Place::Behind { main, node } => match self.links.to(&main) {
                    Some(link) => Ok(Next::Over(link, way(node, Some(main)))),
                    None => Err(Failure::NoRoute(format!("no link to {main}"))),
                },
            };
        };
        let instance = destination.id.clone();
        match self.registry.offers(&destination.id, service) {
            Some(true) if destination.id == self.config.me => return Ok(Next::Here),
            Some(true) => {
                return match self.links.to(&destination.id) {
                    Some(link) => Ok(Next::Over(link, Some(Way { instance, peer: None, readmitted: false }))),
                    None => Err(Failure::NoRoute(format!("{} is not connected", destination.id))),
                };
            }
            Some(false) => {
                return Err(Failure::NotOffered {
                    node: destination.id.clone(),
                    service: service.to_owned(),
                });
            }
            None if !may_forward => return Err(no_such_node(Some(destination), service)),
            None => {}
        }
        // The registry knows better than the address where a Home is now; the address helps with what is not listed.
        let listed = self.registry.main_of(&destination.id, reachable);
        let named = destination.main_relay.clone().filter(|main| self.known_mains.contains(main));
        let linked = listed.iter().chain(&named).find_map(|main| Some((main, self.links.to(main)?)));
        if let Some((main, link)) = linked {
            let way = Way { instance, peer: Some(main.clone()), readmitted: false };
            return Ok(Next::Over(link, Some(way)));
        }
        match listed.or(named) {
            Some(main) => Err(Failure::NoRoute(format!("no link to {main}"))),
            None => Err(no_such_node(Some(destination), service)),
        }
    }

    /// The record of a call as it stands: nobody is to answer it yet.
    pub(super) fn pending_call(
        &self,
        asker: Asker,
        header: &Header,
        timeout: Duration,
        at: Moment,
    ) -> PendingCall {
        let mut path = header.path.clone();
        if path.last() != Some(&self.config.me) {
            path.push(self.config.me.clone());
        }
        PendingCall {
            asker,
            answerer: Answerer::Service(Ticket(0)),
            source: header.source.clone(),
            message_id: header.message_id.clone(),
            path,
            timeout,
            since: at.now,
            traced: header.trace.is_some(),
            priority: header.priority,
            charge: None,
        }
    }

    /// A call has ended as far as balancer and breakers are concerned.
    pub(super) fn settle(&mut self, call: &mut PendingCall, blame: Blame, at: Moment) {
        if let Some(charge) = call.charge.take() {
            self.health.ended(charge, blame, at.now);
        }
    }

    /// Ends a call that failed here.
    pub(super) fn fail(
        &mut self,
        mut call: PendingCall,
        failure: Failure,
        at: Moment,
        actions: &mut Vec<Action>,
    ) {
        let blame = match failure {
            Failure::TimedOut(_) if !self.is_silent(&call) => Blame::Unknown,
            Failure::ConnectionLost { .. } | Failure::TimedOut(_) => Blame::NextHop,
            _ => Blame::Unknown,
        };
        self.settle(&mut call, blame, at);
        *self.tally.failed.entry(failure.code()).or_insert(0) += 1;
        let error = failure.at(&self.config.me, &call.path);
        self.answer(call, Err(error), at, actions);
    }

    /// Whether the next hop of a call whose time is up is to blame. Callers choose how long they wait, and the breaker of
    /// a Main is everybody's: one that has spoken since is there, and of a short time nothing follows.
    fn is_silent(&self, call: &PendingCall) -> bool {
        let Answerer::Link(link) = call.answerer else { return true };
        match self.links.get(link) {
            Some(info) if info.role == LinkRole::Peer => {
                call.timeout >= SILENCE_MIN && !self.links.peer_spoke_after(link, call.since)
            }
            _ => true,
        }
    }

    /// Ends a call at this node: its service answered, or it failed here.
    pub(super) fn answer(
        &mut self,
        call: PendingCall,
        outcome: Result<Box<RawValue>, CallError>,
        at: Moment,
        actions: &mut Vec<Action>,
    ) {
        log_end(&call, outcome.as_ref().err(), at);
        let took = micros(at.now - call.since);
        let own_time = call.traced.then(|| HopTime { node: self.config.me.clone(), micros: took });
        match call.asker {
            Asker::Here(id) => {
                let answer = Answer { outcome, path: call.path, timing: own_time.into_iter().collect() };
                actions.push(Action::Answer(id, answer));
            }
            Asker::Link(back) => {
                let response = Response { waited: Some(at.now - call.since), ..Response::new(outcome) };
                let mut frame = self.message(Body::Response(response), at);
                frame.header.destination = Some(call.source);
                frame.header.correlation_id = Some(call.message_id);
                frame.header.path.push(self.config.me.clone());
                frame.header.priority = call.priority;
                frame.header.trace = own_time.map(|time| vec![time]);
                actions.push(Action::Send(back, frame));
            }
        }
    }

    /// Nobody waits for this call any more: whoever works on it may stop.
    pub(super) fn stop_work(&mut self, call: &PendingCall, at: Moment, actions: &mut Vec<Action>) {
        match call.answerer {
            Answerer::Service(ticket) => actions.push(Action::Abort(ticket)),
            Answerer::Link(link) if self.links.get(link).is_some_and(|info| info.modern) => {
                let mut frame = self.message(Body::Cancel(Cancel), at);
                frame.header.source = call.source.clone();
                frame.header.correlation_id = Some(call.message_id.clone());
                actions.push(Action::Cancel(link, frame));
            }
            // The older wire has no word for it.
            Answerer::Link(_) => {}
        }
    }
}

/// With the same id and source at every node that the call passes.
fn log_end(call: &PendingCall, error: Option<&CallError>, at: Moment) {
    let (id, source) = (call.message_id.as_str(), &call.source);
    let ms = (at.now - call.since).as_secs_f64() * 1e3;
    match error {
        None => tracing::debug!(call = %id, %source, ms, "a call was answered"),
        Some(CallError { code, message, data }) => {
            let by = data.node.as_ref().map_or("", NodeId::as_str);
            tracing::debug!(call = %id, %source, ms, code, %by, "a call failed: {message}");
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn no_such_node(destination: Option<&NodeAddress>, service: &str) -> Failure {
    match destination {
        Some(address) => Failure::NoSuchNode { node: address.id.clone() },
        None => Failure::NoSuchService { service: service.to_owned() },
    }
}
