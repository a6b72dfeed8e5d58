//! A link's outgoing queue, in two lanes: control first, so that a full data queue never looks like a dead peer.

use std::collections::VecDeque;
use std::sync::Mutex;

use tokio::sync::Notify;

use crate::wire::{Body, Frame};

/// Requests that may wait for a link. More are refused as overload.
const MAX_WAITING_REQUESTS: usize = 4_096;

/// Control messages that may wait. They are few by design; a link that lets so many wait is dead and is closed.
const MAX_WAITING_CONTROL: usize = 1_024;

/// Messages for one link that its session has not sent yet.
#[derive(Default)]
pub(super) struct Outbox {
    lanes: Mutex<Lanes>,
    changed: Notify,
}

#[derive(Default)]
struct Lanes {
    control: VecDeque<Frame>,
    data: VecDeque<Frame>,
    /// No more is taken; the session sends what is here and ends.
    closing: Option<&'static str>,
    /// Control messages had no room: the link is beyond help.
    stuck: bool,
}

/// What the session is to do next.
pub(super) enum Next {
    /// Send this.
    Send(Box<Frame>),
    /// All sent, and the link is to be closed for this reason.
    Close(&'static str),
    /// Nothing to do; [`Outbox::wait`] tells when there is.
    Idle,
}

impl Outbox {
    /// Queues a message. Gives a request back that has no room; responses always have, their number being bounded by
    /// that of the requests under way.
    pub(super) fn push(&self, frame: Frame) -> Result<(), Box<Frame>> {
        let mut lanes = self.lanes.lock().expect("no panic while the lanes are locked");
        match frame.body {
            Body::Request(_) if lanes.data.len() >= MAX_WAITING_REQUESTS => return Err(Box::new(frame)),
            Body::Request(_) | Body::Response(_) => lanes.data.push_back(frame),
            _ if lanes.control.len() >= MAX_WAITING_CONTROL => lanes.stuck = true,
            _ => lanes.control.push_back(frame),
        }
        drop(lanes);
        self.changed.notify_one();
        Ok(())
    }

    /// Has the session end once everything queued is sent.
    pub(super) fn close(&self, reason: &'static str) {
        self.lanes.lock().expect("no panic while the lanes are locked").closing.get_or_insert(reason);
        self.changed.notify_one();
    }

    pub(super) fn next(&self) -> Next {
        let mut lanes = self.lanes.lock().expect("no panic while the lanes are locked");
        if lanes.stuck {
            return Next::Close("the control queue is full");
        }
        let lanes = &mut *lanes;
        match lanes.control.pop_front().or_else(|| lanes.data.pop_front()) {
            Some(frame) => Next::Send(Box::new(frame)),
            None => lanes.closing.map_or(Next::Idle, Next::Close),
        }
    }

    pub(super) async fn wait(&self) {
        self.changed.notified().await;
    }
}
