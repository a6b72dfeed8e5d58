//! Which calls a node takes on: not while it drains, not beyond what it can hold, not more of one neighbour than its
//! share, and not more than the next link carries.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use super::level::Level;
use super::pending::{Asker, Pending};
use super::window::Window;
use super::{Failure, Gcra, LinkId, LinkRole};
use crate::env::Instant;
use crate::wire::{NodeId, NodeKind};

/// Calls that may be under way through one node.
const MAX_PENDING_CALLS: usize = 65_536;

/// Of these, calls of clients of this node's own API: half, so that they cannot keep the federation's out. A bound
/// for each address would punish those behind one proxy; connections are limited by address, and so are the requests
/// under way on one and the calls in a batch.
const MAX_PENDING_OWN_CALLS: usize = 32_768;

/// Of these, calls that came over one link to a Home.
const MAX_PENDING_CALLS_PER_HOME: usize = 8_192;

/// Of these, calls that came over any other link.
const MAX_PENDING_CALLS_PER_LINK: usize = 32_768;

/// When a caller may try again where a bound on calls under way was hit, in milliseconds: they end all the time.
const ROOM_SOON_MILLIS: u64 = 250;

/// What may pass at once is the rate of so many seconds.
const BURST_SECONDS: u32 = 2;

/// The limit of this many calls per second, with its burst.
pub fn call_limit(per_second: NonZeroU32) -> Gcra {
    Gcra::new(per_second, per_second.saturating_mul(NonZeroU32::MIN.saturating_add(BURST_SECONDS - 1)))
}

/// What one node takes on.
pub(super) struct Intake {
    kind: NodeKind,
    home_calls_per_second: Option<NonZeroU32>,
    pub(super) draining: bool,
    homes: BTreeMap<LinkId, Gcra>,
    windows: BTreeMap<LinkId, Window>,
}

impl Intake {
    pub(super) fn new(kind: NodeKind, home_calls_per_second: Option<NonZeroU32>) -> Self {
        let (homes, windows) = (BTreeMap::new(), BTreeMap::new());
        Intake { kind, home_calls_per_second, draining: false, homes, windows }
    }

    /// Whether a call of this asker is taken, and at the cost of its share.
    pub(super) fn take(
        &mut self,
        asker: Asker,
        came_over: Option<LinkRole>,
        pending: &Pending,
        now: Instant,
    ) -> Result<(), Failure> {
        let full = |reason: String| {
            Err(Failure::Overloaded { reason, retry_after: Duration::from_millis(ROOM_SOON_MILLIS) })
        };
        if pending.len() >= MAX_PENDING_CALLS {
            return full(format!("{MAX_PENDING_CALLS} calls are under way at this node"));
        }
        let Asker::Link(link) = asker else {
            return match pending.own() < MAX_PENDING_OWN_CALLS {
                true => Ok(()),
                false => full(format!("{MAX_PENDING_OWN_CALLS} calls of this node's clients are under way")),
            };
        };
        let most = match came_over {
            Some(LinkRole::Home) => MAX_PENDING_CALLS_PER_HOME,
            _ => MAX_PENDING_CALLS_PER_LINK,
        };
        if pending.asked_over(link) >= most {
            return full(format!("{most} calls of the node that sent this one are under way here"));
        }
        if came_over == Some(LinkRole::Home)
            && let Some(per_second) = self.home_calls_per_second
        {
            let limit = self.homes.entry(link).or_insert_with(|| call_limit(per_second));
            return limit
                .check(now)
                .map_err(|retry_after| Failure::TooFast { per_second: per_second.get(), retry_after });
        }
        Ok(())
    }

    /// Whether one more call may go over this link, to `next`.
    pub(super) fn send(
        &mut self,
        link: LinkId,
        next: &NodeId,
        priority: i64,
        pending: &Pending,
        now: Instant,
    ) -> Result<(), Failure> {
        let Some(window) = self.windows.get_mut(&link) else { return Ok(()) };
        window.admit(pending.waiting_on(link), priority, now).map_err(|retry_after| {
            let reason = format!("calls wait too long on the way to {next} and back; this one is not sent");
            Failure::Overloaded { reason, retry_after }
        })
    }

    /// A call that left over this link at `sent` was answered; the neighbour had it for `waited` of that time.
    /// `too_fast`: it refused it as more than this node may call.
    pub(super) fn answered(
        &mut self,
        link: LinkId,
        sent: Instant,
        (waited, too_fast): (Option<Duration>, bool),
        pending: &Pending,
        now: Instant,
    ) {
        // The answer was taken out of the table just now.
        let under_way = pending.waiting_on(link) + 1;
        let edge = self.kind == NodeKind::Home;
        let window = self.windows.entry(link).or_insert_with(|| Window::new(edge));
        if too_fast {
            window.told_too_much(sent, under_way, now);
        } else if let Some(waited) = waited {
            let way = (now - sent).saturating_sub(waited);
            window.answered(way, sent, under_way, now);
        }
    }

    /// How full the tables are. There is one limiter and one window for each of `links` at most.
    pub(super) fn levels(&self, pending: &Pending, links: usize) -> [Level; 4] {
        [
            Level::new("calls", pending.len(), MAX_PENDING_CALLS),
            Level::new("own-calls", pending.own(), MAX_PENDING_OWN_CALLS),
            Level::new("call-windows", self.windows.len(), links),
            Level::new("home-limits", self.homes.len(), links),
        ]
    }

    /// A link is gone.
    pub(super) fn forget(&mut self, link: LinkId) {
        self.homes.remove(&link);
        self.windows.remove(&link);
    }
}
