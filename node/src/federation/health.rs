//! Who gets a call, and who is to blame when it fails: the balancer and the breakers over the registry's instances.
//!
//! There is a breaker for each instance of a service and one for the link to each peer Main. A failure is charged to
//! the hop that failed: the instance where it, or its own Main, says so; the peer where nothing came back over its
//! link. What is known of an instance or a peer is forgotten when it comes back: it says nothing of the new one.

use std::time::Duration;

use super::balancer::{
    Balancer, CallOutcome, Candidates, Choice, Flight, MAX_INSTANCES, MAX_TURNS, WhenAllOut,
};
use super::breaker::{Breakers, Changes, MAX_BREAKERS, Permit, State, Verdict};
use super::level::Level;
use super::registry::{Offerers, Place};
use crate::env::{Instant, Rng};
use crate::wire::{NodeId, SmolStr};

/// Balancer and breakers of one node.
pub(super) struct Health {
    balancer: Balancer,
    instances: Breakers<(NodeId, SmolStr)>,
    peers: Breakers<NodeId>,
    rng: Rng,
}

/// What a call on its way weighs, and on whom. To be given back with [`Health::ended`].
#[derive(Debug)]
pub(super) struct Charge {
    service: SmolStr,
    instance: NodeId,
    flight: Flight,
    permit: Option<Permit>,
    peer: Option<(NodeId, Permit)>,
}

/// Who is to blame for how a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blame {
    /// It was answered.
    Nobody,
    /// The instance, by its own word or its Main's.
    Instance,
    /// The next hop: nothing came back over its link.
    NextHop,
    /// Nobody knows: the caller gave up, or the call was not sent.
    Unknown,
}

/// Why an instance cannot be called now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CircuitOpen {
    /// The instance, or the peer Main.
    pub(super) node: NodeId,
    /// When a call may go through again.
    pub(super) retry_after: Duration,
}

/// What became of a choice among instances.
pub(super) enum Chosen {
    /// This one; where its breaker is to be passed by, since too many are out, it says so.
    Place(Place, bool),
    /// Instances are there and reachable, and the breakers of all are open.
    AllOpen,
    /// None is there that could be reached.
    NoneReachable,
}

impl Health {
    pub(super) fn new(rng: Rng) -> Self {
        Health { balancer: Balancer::new(), instances: Breakers::new(), peers: Breakers::new(), rng }
    }

    /// Chooses an instance: this node's own first, then its Homes', then those behind the Mains that are
    /// `reachable`. Instances whose breakers are open are left out.
    pub(super) fn choose(
        &mut self,
        service: &str,
        offerers: &Offerers<'_>,
        reachable: impl Fn(&NodeId) -> bool,
        now: Instant,
    ) -> Chosen {
        if offerers.here {
            return Chosen::Place(Place::Here, false);
        }
        let Health { balancer, instances, peers, rng } = self;
        let admits = |node: &NodeId| instances.admits(&(node.clone(), service.into()), now);
        let homes = Candidates {
            count: offerers.homes.len(),
            node: |at: usize| &offerers.homes[at],
            allowed: &admits,
            when_all_out: WhenAllOut::Refuse,
        };
        if let Some(Choice { index, readmitted }) =
            balancer.choose(service, offerers.policy, &homes, now, rng)
        {
            return Chosen::Place(Place::Home(offerers.homes[index].clone()), readmitted);
        }
        // Few Mains have many instances: an index is found by walking the Mains.
        let ways: Vec<_> = offerers.behind.iter().filter(|(main, _)| reachable(main)).collect();
        let open: Vec<_> = ways.iter().copied().filter(|(main, _)| peers.admits(main, now)).collect();
        let find = |mut at: usize| {
            for (main, nodes) in &open {
                match nodes.get_index(at) {
                    Some(node) => return (*main, node),
                    None => at -= nodes.len(),
                }
            }
            unreachable!("indices are below the count of all")
        };
        let behind = Candidates {
            count: open.iter().map(|(_, nodes)| nodes.len()).sum(),
            node: |at: usize| find(at).1,
            allowed: &admits,
            when_all_out: WhenAllOut::Refuse,
        };
        match balancer.choose(service, offerers.policy, &behind, now, rng) {
            Some(Choice { index, readmitted }) => {
                let (main, node) = find(index);
                Chosen::Place(Place::Behind { main: main.clone(), node: node.clone() }, readmitted)
            }
            None if ways.is_empty() && offerers.homes.is_empty() => Chosen::NoneReachable,
            None => Chosen::AllOpen,
        }
    }

    /// A call is about to go to `instance`, over the link to `peer` where it is behind another Main.
    ///
    /// # Errors
    /// When a breaker on its way is open.
    pub(super) fn depart(
        &mut self,
        service: &str,
        instance: &NodeId,
        peer: Option<&NodeId>,
        readmitted: bool,
        now: Instant,
    ) -> Result<Charge, CircuitOpen> {
        let refused =
            |node: &NodeId, until: Instant| CircuitOpen { node: node.clone(), retry_after: until - now };
        // The peer first: a permit that is taken and not used would keep others from probing.
        let peer = match peer {
            Some(main) => {
                let permit = self.peers.allow(main.clone(), now).map_err(|it| refused(main, it.until))?;
                Some((main.clone(), permit))
            }
            None => None,
        };
        let permit = match readmitted {
            true => None,
            false => match self.instances.allow((instance.clone(), service.into()), now) {
                Ok(permit) => Some(permit),
                Err(it) => {
                    if let Some((main, permit)) = peer {
                        self.peers.record(&main, permit, Verdict::Unknown, now);
                    }
                    return Err(refused(instance, it.until));
                }
            },
        };
        let flight = self.balancer.started(service, instance, now);
        Ok(Charge { service: service.into(), instance: instance.clone(), flight, permit, peer })
    }

    /// A call has ended.
    pub(super) fn ended(&mut self, charge: Charge, blame: Blame, now: Instant) {
        let Charge { service, instance, flight, permit, peer } = charge;
        let behind_peer = peer.is_some();
        let (of_instance, of_peer) = match blame {
            Blame::Nobody => (Verdict::Success, Verdict::Success),
            Blame::Instance => (Verdict::Failure, Verdict::Success),
            Blame::NextHop if behind_peer => (Verdict::Unknown, Verdict::Failure),
            Blame::NextHop => (Verdict::Failure, Verdict::Unknown),
            Blame::Unknown => (Verdict::Unknown, Verdict::Unknown),
        };
        let outcome = match of_instance {
            Verdict::Success => CallOutcome::Success,
            Verdict::Failure => CallOutcome::Failure,
            Verdict::Unknown => CallOutcome::Cancelled,
        };
        self.balancer.finished(&service, &instance, flight, outcome, now);
        if let Some((main, permit)) = peer {
            self.peers.record(&main, permit, of_peer, now);
        }
        if let Some(permit) = permit {
            self.instances.record(&(instance, service), permit, of_instance, now);
        }
    }

    /// An instance is there, for the first time or anew.
    pub(super) fn is_back(&mut self, node: &NodeId, service: &str) {
        self.instances.forget(&(node.clone(), service.into()));
        self.balancer.forget(node);
    }

    /// The link to a peer is new. Calls that an older one has swallowed may still time out: they say nothing of this one.
    pub(super) fn peer_is_back(&mut self, main: &NodeId) {
        self.peers.forget(main);
    }

    /// A sign of life came over the link to a peer.
    pub(super) fn peer_lives(&mut self, main: &NodeId, now: Instant) {
        if self.peers.state(main, now) != State::Closed {
            self.peers.forget(main);
        }
    }

    /// Breakers that are not closed: the node, the service where it is about an instance, and the state.
    pub(super) fn tripped(&self, now: Instant) -> impl Iterator<Item = (&NodeId, Option<&str>, State)> {
        let instances =
            self.instances.tripped(now).map(|((node, service), state)| (node, Some(service.as_str()), state));
        instances.chain(self.peers.tripped(now).map(|(main, state)| (main, None, state)))
    }

    /// How often breakers changed.
    pub(super) fn breaker_changes(&self) -> Changes {
        self.instances.changes().plus(self.peers.changes())
    }

    /// How full the tables are.
    pub(super) fn levels(&self) -> [Level; 4] {
        [
            Level::new("instance-breakers", self.instances.len(), MAX_BREAKERS),
            Level::new("peer-breakers", self.peers.len(), MAX_BREAKERS),
            Level::new("balanced-instances", self.balancer.instances(), MAX_INSTANCES),
            Level::new("round-robin-turns", self.balancer.turns(), MAX_TURNS),
        ]
    }
}
