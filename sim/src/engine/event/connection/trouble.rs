//! What befalls established streams while their hosts run and packets get from one to the other: a middlebox that
//! forgets them or resets them, a translator that does not know them any more.

use std::io::ErrorKind;
use std::net::IpAddr;

use super::Flow;
use crate::engine::event::link::{HostId, HostSet, Path};
use crate::engine::event::pool::Key;
use crate::engine::event::state::State;
use crate::engine::event::timeline::{Event, Side};

/// Names a stall of streams, for ending it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StallId(u32);

impl State {
    /// Lets nothing through any more, either way, in a share of the streams between `from` and `to`.
    pub(in crate::engine::event) fn stall_streams(
        &mut self,
        from: &HostSet,
        to: &HostSet,
        share: f64,
    ) -> StallId {
        let mut sides = Vec::new();
        for key in self.drawn_between(from, to, share) {
            sides.extend([Side::new(key, 0), Side::new(key, 1)]);
        }
        for side in &sides {
            self.each_path(*side, Path::stick);
        }
        let id = StallId(self.connections.next_stall);
        self.connections.next_stall += 1;
        self.connections.stalls.insert(id, sides);
        id
    }

    /// Takes a stall back: what was held is sent at TCP's next retransmission.
    pub(in crate::engine::event) fn end_stall(&mut self, stall: StallId) {
        for side in self.connections.stalls.remove(&stall).unwrap_or_default() {
            self.each_path(side, Path::unstick);
        }
        self.look_at_stalled();
    }

    /// Breaks a share of the streams between `from` and `to`: both ends get a reset at once.
    pub(in crate::engine::event) fn reset_streams(&mut self, from: &HostSet, to: &HostSet, share: f64) {
        for key in self.drawn_between(from, to, share) {
            self.fail(Side::new(key, 0), ErrorKind::ConnectionReset);
            self.fail(Side::new(key, 1), ErrorKind::ConnectionReset);
        }
    }

    /// The translator with this address does not know any more the streams that went out through it.
    ///
    /// What comes for them from outside is not let in. What goes out gets a mapping with another port, as from any
    /// translator that does not keep ports: its receiver knows no such stream and answers with a reset.
    pub(in crate::engine::event) fn disown_streams(&mut self, public: IpAddr) {
        let hosts = &self.hosts;
        // Nobody behind a translator is dialled from outside it.
        let keys = self.connections.pool.keys_where(|connection| {
            let [inner, outer] = &connection.ends;
            inner.host != outer.host
                && inner.flow == Flow::Known
                && hosts.get(inner.host).nat.as_ref().is_some_and(|nat| nat.public == public)
        });
        for key in keys {
            self.each_path(Side::new(key, 0), Path::stick);
            self.each_path(Side::new(key, 1), Path::stick);
            if let Some(end) = self.end(Side::new(key, 0)) {
                end.flow = Flow::Unknown;
            }
        }
    }

    /// A translator that does not know the stream of `side` has something of it to send: it gets a reset for that.
    pub(super) fn send_unknown(&mut self, side: Side) {
        let now = self.timeline.now;
        let Some(end) = self.end(side).filter(|end| end.flow == Flow::Unknown) else { return };
        let (mut there, mut back) = (Path::new(end.host, end.peer), Path::new(end.peer, end.host));
        if self.topology.blocked(&mut there) || self.topology.blocked(&mut back) {
            return;
        }
        let heard = self.topology.reliable_arrival(&mut there, now, 0);
        let at = self.topology.reliable_arrival(&mut back, heard, 0);
        if let Some(end) = self.end(side) {
            end.flow = Flow::Asked;
        }
        self.timeline.at(at, Event::Unknown { to: side });
    }

    /// "I know no such stream" arrives, unless its path has been blocked meanwhile: the next try brings another.
    pub(in crate::engine::event) fn unknown(&mut self, to: Side) {
        let Some(end) = self.end(to) else { return };
        let (here, peer) = (end.host, end.peer);
        if self.topology.is_open(peer, here) {
            self.fail(to, ErrorKind::ConnectionReset);
        } else if let Some(end) = self.end(to) {
            end.flow = Flow::Unknown;
        }
    }

    fn each_path(&mut self, side: Side, change: impl FnOnce(&mut Path)) {
        if let Some(end) = self.end(side) {
            change(&mut end.pipe.path);
        }
    }

    /// The streams between the two sets of hosts that it happens to, one draw for each.
    fn drawn_between(&mut self, from: &HostSet, to: &HostSet, share: f64) -> Vec<Key> {
        let between = |one: HostId, other: HostId| from.contains(one) && to.contains(other);
        let mut keys = self.connections.pool.keys_where(|connection| {
            let [first, second] = connection.ends.each_ref().map(|end| end.host);
            first != second && (between(first, second) || between(second, first))
        });
        keys.retain(|_| self.topology.mischief().chance(share));
        keys
    }
}
