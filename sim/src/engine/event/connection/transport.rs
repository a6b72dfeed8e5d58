//! What travels between the two ends: segments, credits, resets, and what is held back where a path is blocked.

use std::io::ErrorKind;
use std::time::Duration;

use super::{End, Fin, Flow, GIVE_UP_NANOS, Holder, Stall, WAKE_WRITER_BYTES, WINDOW_BYTES, sides, wake};
use crate::engine::event::link::next_retransmission;
use crate::engine::event::observe::Observation;
use crate::engine::event::pool::Key;
use crate::engine::event::state::State;
use crate::engine::event::timeline::{Event, Flags, Side};
use crate::trace::Kind;

impl State {
    /// Hands a segment to the network.
    pub(in crate::engine::event) fn transmit(&mut self, side: Side, bytes: u32, flags: Flags) {
        let now = self.timeline.now;
        let Some(connection) = self.connections.pool.get_mut(side.connection()) else { return };
        let pipe = &mut connection.ends[side.end()].pipe;
        let blocked = self.topology.blocked(&mut pipe.path);
        if let Some(stall) = &pipe.stall
            && !blocked
            && !stall.has_data()
        {
            self.resend(side);
        }
        let Some(connection) = self.connections.pool.get_mut(side.connection()) else { return };
        let pipe = &mut connection.ends[side.end()].pipe;
        if blocked || pipe.stall.is_some() {
            return self.hold(side, now, |stall| stall.add(bytes, flags));
        }
        let room = self.topology.room(&pipe.path, now, bytes);
        if room < bytes {
            return self.squeeze(side, room, bytes, flags);
        }
        let arrival = self.topology.reliable_arrival(&mut pipe.path, now, u64::from(bytes));
        if arrival > now + GIVE_UP_NANOS {
            return self.hold(side, now, |stall| stall.add(bytes, flags));
        }
        pipe.last_arrival = pipe.last_arrival.max(arrival);
        let at = pipe.last_arrival;
        self.timeline.at(at, Event::Segment { from: side, bytes, flags, sent: now });
    }

    /// Sends the part of a segment for which there is `room` in front of the line. The rest finds the queue full and is
    /// lost: it is sent again as soon as the sender can have noticed.
    fn squeeze(&mut self, side: Side, room: u32, bytes: u32, flags: Flags) {
        let now = self.timeline.now;
        if room > 0 {
            self.transmit(side, room, Flags::default());
        }
        let Some(end) = self.end(side) else { return };
        let path = end.pipe.path;
        // What is given up for another reason waits for that: nothing overtakes it.
        let is_first = end.pipe.stall.is_none();
        self.hold(side, now, |stall| {
            stall.add(bytes - room, flags);
            stall.is_queue |= is_first;
        });
        let again = now.saturating_add(self.topology.recovery(&path, now));
        self.timeline.at(again, Event::Retransmit { from: side, since: now });
    }

    /// A segment arrives, unless its path has been blocked meanwhile.
    pub(in crate::engine::event) fn deliver(&mut self, from: Side, bytes: u32, flags: Flags, sent: u64) {
        let now = self.timeline.now;
        let Some(connection) = self.connections.pool.get_mut(from.connection()) else { return };
        let (sender, _) = sides(connection, from);
        let is_held = sender.pipe.stall.as_ref().is_some_and(|stall| !stall.is_queue);
        if is_held || self.topology.blocked(&mut sender.pipe.path) {
            return self.hold(from, sent, |stall| {
                stall.add(bytes, flags);
                stall.is_queue = false;
            });
        }
        if flags.open {
            self.hand_to_listener(from);
        }
        let Some(connection) = self.connections.pool.get_mut(from.connection()) else { return };
        let (sender, receiver) = sides(connection, from);
        self.trace.emit(now, Kind::SegmentDelivered, receiver.host.0, from.id(), u64::from(bytes));
        if flags.fin {
            sender.pipe.fin = Fin::Arrived;
        }
        if receiver.is_live() {
            sender.pipe.arrived += bytes;
            wake(&mut sender.pipe.reader);
            if bytes > 0 && self.topology.blocked(&mut receiver.pipe.path) {
                self.hold(from.other(), now, |stall| stall.acks = true);
            }
        } else if bytes > 0 || flags.probe || receiver.holder != Holder::Kernel {
            self.send_reset(from);
            self.free_if_over(from.connection());
        }
    }

    /// The side learns that the other has read.
    pub(in crate::engine::event) fn credit(&mut self, to: Side, bytes: u32) {
        let now = self.timeline.now;
        let Some(connection) = self.connections.pool.get_mut(to.connection()) else { return };
        let (writer, reader) = sides(connection, to);
        if self.topology.blocked(&mut reader.pipe.path) {
            return self.hold(to.other(), now, |stall| stall.credit += bytes);
        }
        let pipe = &mut writer.pipe;
        pipe.outstanding -= bytes.min(pipe.outstanding);
        if WINDOW_BYTES - pipe.outstanding >= WAKE_WRITER_BYTES {
            wake(&mut pipe.writer);
        }
    }

    /// A reset arrives at the side, unless its path has been blocked meanwhile: then it is lost.
    pub(in crate::engine::event) fn reset(&mut self, to: Side) {
        let Some(connection) = self.connections.pool.get_mut(to.connection()) else { return };
        let (here, there) = sides(connection, to);
        if self.topology.blocked(&mut there.pipe.path) {
            return;
        }
        if here.holder == Holder::Process {
            self.fail(to, ErrorKind::ConnectionReset);
        } else {
            here.holder = Holder::Gone;
            self.forget_stall(to);
        }
        self.free_if_over(to.connection());
    }

    /// Nothing that was sent at `since` got through for too long.
    pub(in crate::engine::event) fn give_up(&mut self, from: Side, since: u64) {
        let Some(end) = self.end(from) else { return };
        let Some(stall) = end.pipe.stall.as_ref().filter(|stall| stall.since == since) else { return };
        let (data, acks) = (stall.has_data(), stall.acks);
        if data {
            self.fail(from, ErrorKind::TimedOut);
        }
        if acks {
            self.fail(from.other(), ErrorKind::TimedOut);
        }
    }

    /// A try at sending again what is held since `since`.
    pub(in crate::engine::event) fn retransmit(&mut self, from: Side, since: u64) {
        let Some(connection) = self.connections.pool.get_mut(from.connection()) else { return };
        let pipe = &mut connection.ends[from.end()].pipe;
        if pipe.stall.as_ref().is_none_or(|stall| stall.since != since) {
            return;
        }
        if self.topology.blocked(&mut pipe.path) {
            self.send_unknown(from);
        } else {
            self.resend(from);
        }
    }

    /// Something healed: each direction that is held and free again is tried at TCP's next retransmission.
    pub(in crate::engine::event) fn look_at_stalled(&mut self) {
        let now = self.timeline.now;
        for side in &self.connections.stalled {
            let Some(connection) = self.connections.pool.get_mut(side.connection()) else { continue };
            let End { pipe, flow, .. } = &mut connection.ends[side.end()];
            let Some(stall) = &pipe.stall else { continue };
            if !self.topology.blocked(&mut pipe.path) || *flow == Flow::Unknown {
                let at = next_retransmission(stall.since, now);
                self.timeline.at(at, Event::Retransmit { from: *side, since: stall.since });
            }
        }
    }

    /// Sends what is held, and ends the stall.
    fn resend(&mut self, side: Side) {
        let Some(end) = self.end(side) else { return };
        let Some(stall) = end.pipe.stall.take() else { return };
        self.connections.stalled.remove(&side);
        if stall.has_data() {
            self.transmit(side, stall.bytes, stall.flags);
        }
        if stall.credit > 0 {
            self.send_credit(side, stall.credit);
        }
    }

    /// Keeps back what `side` sent at `sent`.
    fn hold(&mut self, side: Side, sent: u64, add: impl FnOnce(&mut Stall)) {
        let Some(connection) = self.connections.pool.get_mut(side.connection()) else { return };
        let end = &mut connection.ends[side.end()];
        if end.holder == Holder::Gone {
            return;
        }
        let host = end.host.0;
        let stall = end.pipe.stall.get_or_insert_with(|| {
            self.connections.stalled.insert(side);
            self.timeline.at(sent.saturating_add(GIVE_UP_NANOS), Event::GiveUp { from: side, since: sent });
            let flags = Flags::default();
            Box::new(Stall { since: sent, bytes: 0, flags, credit: 0, acks: false, is_queue: false })
        });
        add(stall);
        self.trace.emit(self.timeline.now, Kind::SegmentHeld, host, side.id(), u64::from(stall.bytes));
        if end.flow == Flow::Unknown {
            self.send_unknown(side);
        }
    }

    /// Tells the writer at the other end of `reader` that `bytes` were read.
    pub(super) fn send_credit(&mut self, reader: Side, bytes: u32) {
        let now = self.timeline.now;
        let Some(connection) = self.connections.pool.get_mut(reader.connection()) else { return };
        let path = &mut connection.ends[reader.end()].pipe.path;
        if self.topology.blocked(path) {
            return self.hold(reader, now, |stall| stall.credit += bytes);
        }
        let at = self.topology.arrival(path, now, 0);
        self.timeline.at(at, Event::Credit { to: reader.other(), bytes });
    }

    /// Sends a reset to `to`, behind what was sent there before. False where the path is blocked: it is lost.
    pub(super) fn send_reset(&mut self, to: Side) -> bool {
        let now = self.timeline.now;
        let Some(connection) = self.connections.pool.get_mut(to.connection()) else { return false };
        let pipe = &mut connection.ends[to.other().end()].pipe;
        if self.topology.blocked(&mut pipe.path) {
            return false;
        }
        let arrival = self.topology.reliable_arrival(&mut pipe.path, now, 0);
        pipe.last_arrival = pipe.last_arrival.max(arrival);
        self.timeline.at(pipe.last_arrival, Event::Reset { to });
        true
    }

    /// The side finds its connection broken.
    pub(super) fn fail(&mut self, side: Side, kind: ErrorKind) {
        self.forget_stall(side);
        let now = self.timeline.now;
        let Some(connection) = self.connections.pool.get_mut(side.connection()) else { return };
        let (here, there) = sides(connection, side);
        if here.failure.is_some() {
            return;
        }
        here.failure = Some(kind);
        wake(&mut here.pipe.writer);
        wake(&mut there.pipe.reader);
        let (host, peer) = (here.host, there.host);
        self.trace.emit(now, Kind::Reset, host.0, side.id(), 0);
        if here.holder == Holder::Process {
            self.observations.push(Observation::Reset { at: Duration::from_nanos(now), host, peer });
        } else {
            here.holder = Holder::Gone;
            self.free_if_over(side.connection());
        }
    }

    pub(super) fn forget_stall(&mut self, side: Side) {
        self.connections.stalled.remove(&side);
        if let Some(end) = self.end(side) {
            end.pipe.drop_stall();
        }
    }

    pub(super) fn free_if_over(&mut self, key: Key) {
        let over = self
            .connections
            .pool
            .get(key)
            .is_some_and(|connection| connection.ends.iter().all(|end| end.holder != Holder::Process));
        if over {
            self.connections.pool.remove(key);
            self.connections.stalled.remove(&Side::new(key, 0));
            self.connections.stalled.remove(&Side::new(key, 1));
        }
    }

    pub(super) fn end(&mut self, side: Side) -> Option<&mut End> {
        Some(&mut self.connections.pool.get_mut(side.connection())?.ends[side.end()])
    }
}
