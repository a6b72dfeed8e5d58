//! A link's outgoing queue, in two lanes: control first, so that a full data queue never looks like a dead peer; then
//! data, the higher priority first and in order of arrival within one.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard};

use tokio::sync::Notify;

use super::pulse::Pulse;
use crate::env::Instant;
use crate::federation::Level;
use crate::wire::{Body, Frame, NodeId};

/// Requests that may wait for a link. Beyond it the one of the lowest priority that came last is shed.
const MAX_WAITING_REQUESTS: usize = 4_096;

/// Payload that may wait, in bytes. Requests beyond it are refused as overload; a link on which twice as much waits,
/// all of it responses, belongs to a node that asks and does not read, and is closed.
const MAX_WAITING_BYTES: usize = 8 * 1024 * 1024;

/// What a message takes besides its payload, in bytes, about.
const FRAME_BYTES: usize = 512;

/// Control messages that may wait. They are few by design; a link that lets so many wait is dead and is closed.
const MAX_WAITING_CONTROL: usize = 1_024;

/// Messages for one link that its session has not sent yet.
#[derive(Default)]
pub(super) struct Outbox {
    /// How the link is.
    pub(super) pulse: Pulse,
    lanes: Mutex<Lanes>,
    changed: Notify,
    beyond_help: Notify,
}

#[derive(Default)]
struct Lanes {
    control: VecDeque<Box<Frame>>,
    /// By descending priority, then by arrival.
    data: BTreeMap<(Reverse<i64>, u64), Waiting>,
    arrivals: u64,
    requests: usize,
    bytes: usize,
    /// No more is taken; the session sends what is here and ends.
    closing: Option<&'static str>,
    /// Too much waits: the link is beyond help.
    stuck: bool,
}

struct Waiting {
    frame: Box<Frame>,
    since: Instant,
}

/// What the session is to do next.
pub(super) enum Next {
    /// Send this.
    Send(Box<Frame>),
    /// This request waited until its time was up: its call is over.
    Late(Box<Frame>),
    /// All sent, and the link is to be closed for this reason.
    Close(&'static str),
    /// Nothing to do; [`Outbox::wait`] tells when there is.
    Idle,
}

impl Outbox {
    /// Queues a message. Gives back the request for which there is no room: this one, or one of lower priority that
    /// made way for it. Responses always have room, their number being bounded by that of the requests under way.
    pub(super) fn push(&self, frame: Frame, now: Instant) -> Result<(), Box<Frame>> {
        let frame = Box::new(frame);
        let mut lanes = self.lock();
        let shed = match frame.body {
            Body::Request(_) | Body::Response(_) => lanes.push_data(frame, now),
            _ if lanes.control.len() >= MAX_WAITING_CONTROL => {
                lanes.stuck = true;
                None
            }
            _ => {
                lanes.control.push_back(frame);
                None
            }
        };
        lanes.stuck |= lanes.bytes > 2 * MAX_WAITING_BYTES;
        if lanes.stuck {
            self.beyond_help.notify_one();
        }
        drop(lanes);
        self.changed.notify_one();
        shed.map_or(Ok(()), Err)
    }

    /// Takes a request out that is still waiting. Looks at every message, which is fine: few calls are cancelled.
    pub(super) fn withdraw(&self, source: &NodeId, message_id: &str) -> bool {
        let mut lanes = self.lock();
        let found = lanes.data.iter().find(|(_, waiting)| {
            let header = &waiting.frame.header;
            matches!(waiting.frame.body, Body::Request(_))
                && header.message_id == message_id
                && header.source.id == *source
        });
        let Some(key) = found.map(|(key, _)| *key) else { return false };
        lanes.remove(key);
        true
    }

    /// Has the session end once everything queued is sent.
    pub(super) fn close(&self, reason: &'static str) {
        self.lock().closing.get_or_insert(reason);
        self.changed.notify_one();
    }

    /// What is to be done at `now`. The time that a request has waited is taken off its timeout.
    pub(super) fn next(&self, now: Instant) -> Next {
        let mut lanes = self.lock();
        if let Some(frame) = lanes.control.pop_front() {
            return Next::Send(frame);
        }
        let first = lanes.data.first_key_value().map(|(key, _)| *key);
        let Some(Waiting { mut frame, since }) = first.and_then(|key| lanes.remove(key)) else {
            return lanes.closing.map_or(Next::Idle, Next::Close);
        };
        if let Body::Request(request) = &mut frame.body
            && let Some(timeout) = request.timeout
        {
            let left = timeout.saturating_sub(now - since);
            if left.is_zero() {
                return Next::Late(frame);
            }
            request.timeout = Some(left);
        }
        Next::Send(frame)
    }

    /// Messages that wait: control, data.
    pub(super) fn depths(&self) -> (usize, usize) {
        let lanes = self.lock();
        (lanes.control.len(), lanes.data.len())
    }

    /// How full the lanes are. Responses and bytes may go beyond what requests may fill, up to twice as many bytes.
    pub(super) fn levels(&self) -> [Level; 3] {
        let lanes = self.lock();
        [
            Level::new("link-control", lanes.control.len(), MAX_WAITING_CONTROL),
            Level::new("link-requests", lanes.requests, MAX_WAITING_REQUESTS),
            Level::new("link-bytes", lanes.bytes, 2 * MAX_WAITING_BYTES),
        ]
    }

    /// Completes when so much waits that the link must be closed, whatever its writer is doing.
    pub(super) async fn beyond_help(&self) {
        self.beyond_help.notified().await;
    }

    pub(super) async fn wait(&self) {
        self.changed.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().expect("no panic while the lanes are locked")
    }
}

impl Lanes {
    fn push_data(&mut self, frame: Box<Frame>, now: Instant) -> Option<Box<Frame>> {
        let priority = Reverse(frame.header.priority.unwrap_or(0));
        let is_request = matches!(frame.body, Body::Request(_));
        let mut shed = None;
        let bytes = size(&frame);
        if is_request && (self.requests >= MAX_WAITING_REQUESTS || self.bytes + bytes > MAX_WAITING_BYTES) {
            let is_waiting = |waiting: &Waiting| matches!(waiting.frame.body, Body::Request(_));
            let lowest = self.data.iter().rev().find(|(_, waiting)| is_waiting(waiting)).map(|(key, _)| *key);
            // The greatest key has the lowest priority and came last.
            match lowest.filter(|(lowest, _)| *lowest > priority).and_then(|key| self.remove(key)) {
                Some(waiting) => shed = Some(waiting.frame),
                None => return Some(frame),
            }
        }
        self.requests += usize::from(is_request);
        self.bytes += bytes;
        self.arrivals += 1;
        self.data.insert((priority, self.arrivals), Waiting { frame, since: now });
        shed
    }

    fn remove(&mut self, key: (Reverse<i64>, u64)) -> Option<Waiting> {
        let waiting = self.data.remove(&key)?;
        self.bytes -= size(&waiting.frame);
        self.requests -= usize::from(matches!(waiting.frame.body, Body::Request(_)));
        Some(waiting)
    }
}

/// What a message takes while it waits, in bytes, about.
fn size(frame: &Frame) -> usize {
    let payload = match &frame.body {
        Body::Request(request) => request.call.as_ref().map_or(0, |call| call.get().len()),
        Body::Response(response) => response.data.get().len(),
        _ => 0,
    };
    FRAME_BYTES + payload
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::wire::{Header, Heartbeat, NodeAddress, NodeKind, Request, Response, payload};

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    fn frame(message_id: &str, priority: Option<i64>, body: Body) -> Frame {
        let header = Header {
            message_id: message_id.into(),
            correlation_id: None,
            timestamp: String::new(),
            source: NodeAddress { kind: NodeKind::Home, id: "alice".parse().unwrap(), main_relay: None },
            destination: None,
            path: Vec::new(),
            ttl: 10,
            priority,
            trace: None,
            traceparent: None,
        };
        Frame { header, body }
    }

    fn request(message_id: &str, priority: Option<i64>, timeout: Option<Duration>) -> Frame {
        let body = Request { service: "s".into(), method: "m".into(), call: None, timeout, dry_run: false };
        frame(message_id, priority, Body::Request(body))
    }

    fn sent(outbox: &Outbox, now: Instant) -> Option<Frame> {
        match outbox.next(now) {
            Next::Send(frame) => Some(*frame),
            _ => None,
        }
    }

    #[test]
    fn control_goes_first_then_priority_then_arrival() {
        let outbox = Outbox::default();
        for (id, priority) in [("a", None), ("b", Some(5)), ("c", Some(-1)), ("d", Some(5))] {
            outbox.push(request(id, priority, None), at(0)).unwrap();
        }
        outbox.push(frame("e", Some(1), Body::Response(Response::new(Ok(payload(&1))))), at(0)).unwrap();
        outbox.push(frame("beat", None, Body::Heartbeat(Heartbeat::default())), at(0)).unwrap();
        outbox.close("done");
        let order: Vec<_> =
            std::iter::from_fn(|| sent(&outbox, at(0))).map(|frame| frame.header.message_id).collect();
        assert_eq!(order, ["beat", "b", "d", "e", "a", "c"]);
        assert!(matches!(outbox.next(at(0)), Next::Close("done")));
    }

    #[test]
    fn a_full_queue_sheds_the_lowest_priority_and_never_a_response() {
        let outbox = Outbox::default();
        for number in 0..MAX_WAITING_REQUESTS {
            outbox.push(request(&number.to_string(), Some(0), None), at(0)).unwrap();
        }
        assert_eq!(outbox.push(request("same", None, None), at(0)).unwrap_err().header.message_id, "same");
        let shed = outbox.push(request("higher", Some(1), None), at(0)).unwrap_err();
        assert_eq!(shed.header.message_id, (MAX_WAITING_REQUESTS - 1).to_string(), "the last of the lowest");
        let answer = frame("answer", Some(-9), Body::Response(Response::new(Ok(payload(&1)))));
        outbox.push(answer, at(0)).unwrap();
        assert_eq!(outbox.push(request("low", Some(-1), None), at(0)).unwrap_err().header.message_id, "low");
        assert_eq!(outbox.depths(), (0, MAX_WAITING_REQUESTS + 1));
    }

    #[test]
    fn waiting_uses_up_the_time_of_a_call() {
        let outbox = Outbox::default();
        let second = Some(Duration::from_secs(1));
        outbox.push(request("a", None, second), at(0)).unwrap();
        outbox.push(request("b", None, second), at(0)).unwrap();
        let Body::Request(first) = sent(&outbox, at(400)).unwrap().body else { panic!("a request") };
        assert_eq!(first.timeout, Some(Duration::from_millis(600)));
        assert!(matches!(outbox.next(at(1_000)), Next::Late(_)));
        assert_eq!(outbox.depths(), (0, 0));
    }

    #[test]
    fn a_cancelled_request_is_not_sent() {
        let outbox = Outbox::default();
        outbox.push(request("a", None, None), at(0)).unwrap();
        assert!(!outbox.withdraw(&"bob".parse().unwrap(), "a"));
        assert!(outbox.withdraw(&"alice".parse().unwrap(), "a"));
        assert!(!outbox.withdraw(&"alice".parse().unwrap(), "a"));
        assert!(matches!(outbox.next(at(0)), Next::Idle));
    }

    #[test]
    fn bytes_are_bounded_and_a_link_that_is_not_read_is_beyond_help() {
        let outbox = Outbox::default();
        let large = payload(&"x".repeat(1024 * 1024));
        let with_payload = |id: &str| {
            let mut frame = request(id, None, None);
            if let Body::Request(request) = &mut frame.body {
                request.call = Some(large.clone());
            }
            frame
        };
        let taken = (0..20).filter(|n| outbox.push(with_payload(&n.to_string()), at(0)).is_ok()).count();
        assert_eq!(taken, 7, "7 of 1 MiB and their envelopes fit into 8 MiB");
        let answer = || frame("answer", None, Body::Response(Response::new(Ok(large.clone()))));
        (0..8).for_each(|_| outbox.push(answer(), at(0)).unwrap());
        let helpless =
            |outbox: &Outbox| futures_util::FutureExt::now_or_never(outbox.beyond_help()).is_some();
        assert!(!helpless(&outbox));
        (0..2).for_each(|_| outbox.push(answer(), at(0)).unwrap());
        assert!(helpless(&outbox));
        while sent(&outbox, at(0)).is_some() {}
        assert_eq!(outbox.lock().bytes, 0, "what is sent weighs nothing");
    }
}
