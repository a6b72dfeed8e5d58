//! The links that a node has, and which one counts when there are two to the same node.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::env::Instant;
use crate::wire::{NodeId, PeerAddress, PublicKey};

/// Two links between the same pair of nodes that came up within this time are taken for a simultaneous dial, in
/// seconds.
const SIMULTANEOUS_SECONDS: u64 = 10;

/// One connection, numbered by this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// What the node at the other end is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkRole {
    /// A Home that hangs on this Main.
    Home,
    /// Another Main.
    Peer,
    /// The Main that this Home hangs on.
    Uplink,
}

/// What is known of a link once both sides have introduced themselves.
#[derive(Clone, Debug)]
pub struct LinkInfo {
    /// The node at the other end.
    pub node: NodeId,
    /// What it is to us.
    pub role: LinkRole,
    /// That node's incarnation, where it names one.
    pub boot: Option<String>,
    /// The key that it has proven; an older relay has none.
    pub key: Option<PublicKey>,
    /// This side dialled.
    pub dialled: bool,
    /// Both sides speak [`SUBPROTOCOL`](crate::wire::SUBPROTOCOL).
    pub modern: bool,
    /// The other end is a peer of the mesh before the hubs, behind the adapter. For display: to the router it is what
    /// its role says.
    pub older_mesh: bool,
    /// Where a peer Main can be dialled, where it is known.
    pub address: Option<String>,
    /// When it came up.
    pub since: Instant,
}

/// What becomes of a new link.
#[derive(Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is the only one to that node.
    First,
    /// It takes the place of this older one.
    Replaces(LinkId),
    /// An older one stays; the new one is to be closed.
    Duplicate,
}

/// All links of a node, and the current one to each neighbour.
#[derive(Default)]
pub(super) struct Links {
    all: BTreeMap<LinkId, LinkInfo>,
    current: BTreeMap<NodeId, LinkId>,
    /// Those of the current ones that lead to other Mains: few among a thousand Homes.
    peers: BTreeSet<LinkId>,
    /// The current one to the Main above.
    uplink: Option<LinkId>,
    /// When a message last came over those that lead to other Mains.
    heard: BTreeMap<LinkId, Instant>,
}

impl Links {
    pub(super) fn get(&self, link: LinkId) -> Option<&LinkInfo> {
        self.all.get(&link)
    }

    /// All links, those included that another has replaced and that are not closed yet.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// The current link to a neighbour.
    pub(super) fn to(&self, node: &NodeId) -> Option<LinkId> {
        self.current.get(node).copied()
    }

    pub(super) fn is_current(&self, link: LinkId) -> bool {
        self.all.get(&link).is_some_and(|info| self.to(&info.node) == Some(link))
    }

    /// The current link to the Main above, on a Home.
    pub(super) fn uplink(&self) -> Option<(LinkId, &LinkInfo)> {
        self.uplink.and_then(|link| Some((link, self.all.get(&link)?)))
    }

    /// The current link to each neighbour.
    pub(super) fn current(&self) -> impl Iterator<Item = (LinkId, &LinkInfo)> {
        self.current.values().filter_map(|link| Some((*link, self.all.get(link)?)))
    }

    /// The current links to other Mains.
    pub(super) fn peers(&self) -> impl Iterator<Item = (LinkId, &LinkInfo)> {
        self.peers.iter().filter_map(|link| Some((*link, self.all.get(link)?)))
    }

    /// A message came over a link.
    pub(super) fn hear(&mut self, link: LinkId, now: Instant) {
        if self.peers.contains(&link) {
            self.heard.insert(link, now);
        }
    }

    /// Whether a message came over a link to another Main after `since`.
    pub(super) fn peer_spoke_after(&self, link: LinkId, since: Instant) -> bool {
        self.heard.get(&link).is_some_and(|heard| *heard > since)
    }

    /// The peers that others may dial.
    pub(super) fn peer_addresses(&self) -> Vec<PeerAddress> {
        self.peers()
            .filter_map(|(_, info)| {
                Some(PeerAddress { id: info.node.clone(), address: info.address.clone()? })
            })
            .collect()
    }

    /// Decides on a link that has just come up, and keeps it unless it is a duplicate.
    ///
    /// A newer link replaces an older one: the older is most likely dead at the other end. Only where both sides
    /// dialled each other at about the same time, both ends must drop the same one: the one that the node with the
    /// greater id dialled. Where one Main dialled another twice in that time (a URL that it was given, and one that it
    /// heard of), the first stays.
    pub(super) fn admit(&mut self, link: LinkId, info: LinkInfo, me: &NodeId) -> Admission {
        let admission = match self.to(&info.node).and_then(|old| Some((old, self.all.get(&old)?))) {
            None => Admission::First,
            Some((old_link, old)) => {
                let same_incarnation = old.boot.is_some() && old.boot == info.boot;
                let simultaneous = info.since - old.since < Duration::from_secs(SIMULTANEOUS_SECONDS);
                let crossed = old.dialled != info.dialled;
                let old_dialler = if old.dialled { me } else { &old.node };
                let new_dialler = if info.dialled { me } else { &info.node };
                let old_wins = !crossed || old_dialler < new_dialler;
                if info.role == LinkRole::Peer && same_incarnation && simultaneous && old_wins {
                    return Admission::Duplicate;
                }
                Admission::Replaces(old_link)
            }
        };
        self.leave(self.to(&info.node));
        self.current.insert(info.node.clone(), link);
        match info.role {
            LinkRole::Peer => {
                self.peers.insert(link);
            }
            LinkRole::Uplink => self.uplink = Some(link),
            LinkRole::Home => {}
        }
        self.all.insert(link, info);
        admission
    }

    /// Forgets a link. Says what it was and whether it was the current one.
    pub(super) fn remove(&mut self, link: LinkId) -> Option<(LinkInfo, bool)> {
        let was_current = self.is_current(link);
        let info = self.all.remove(&link)?;
        self.heard.remove(&link);
        if was_current {
            self.current.remove(&info.node);
            self.leave(Some(link));
        }
        Some((info, was_current))
    }

    /// A link no longer counts.
    fn leave(&mut self, link: Option<LinkId>) {
        if let Some(link) = link {
            self.peers.remove(&link);
            self.uplink = self.uplink.filter(|uplink| *uplink != link);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(node: &str, boot: &str, dialled: bool, since_seconds: u64) -> LinkInfo {
        LinkInfo {
            node: node.parse().unwrap(),
            role: LinkRole::Peer,
            boot: Some(boot.into()),
            key: None,
            dialled,
            modern: true,
            older_mesh: false,
            address: None,
            since: Instant::from_nanos(since_seconds * 1_000_000_000),
        }
    }

    #[test]
    fn both_ends_of_a_simultaneous_dial_keep_the_same_link() {
        let (a, b): (NodeId, NodeId) = ("a".parse().unwrap(), "b".parse().unwrap());
        // Link 1 was dialled by a, link 2 by b. Each end may see them come up in either order.
        for a_sees_first in [1, 2] {
            for b_sees_first in [1, 2] {
                let mut kept = Vec::new();
                for (me, other, first) in [(&a, "b", a_sees_first), (&b, "a", b_sees_first)] {
                    let mut links = Links::default();
                    for number in [first, 3 - first] {
                        let dialled = (number == 1) == (me == &a);
                        links.admit(LinkId(number), info(other, "boot", dialled, number), me);
                    }
                    kept.push(links.to(&other.parse().unwrap()).unwrap());
                }
                assert_eq!(kept, [LinkId(1), LinkId(1)], "a saw {a_sees_first} first, b saw {b_sees_first}");
            }
        }
    }

    #[test]
    fn a_later_link_or_another_incarnation_replaces() {
        let me: NodeId = "a".parse().unwrap();
        let mut links = Links::default();
        assert_eq!(links.admit(LinkId(1), info("b", "x", true, 0), &me), Admission::First);
        assert_eq!(links.admit(LinkId(2), info("b", "x", false, 11), &me), Admission::Replaces(LinkId(1)));
        assert_eq!(links.admit(LinkId(3), info("b", "y", false, 12), &me), Admission::Replaces(LinkId(2)));
        assert!(links.is_current(LinkId(3)));
        let (_, was_current) = links.remove(LinkId(1)).unwrap();
        assert!(!was_current);
        assert_eq!(links.to(&"b".parse().unwrap()), Some(LinkId(3)));
        assert_eq!(links.peers().map(|(link, _)| link).collect::<Vec<_>>(), [LinkId(3)]);
        links.remove(LinkId(3));
        assert_eq!((links.peers().count(), links.current().count()), (0, 0));
    }
}
