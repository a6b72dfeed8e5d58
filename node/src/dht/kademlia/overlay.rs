//! What a node knows of each of the two DHTs that it may be in (BEP 32).

use crate::dht::contact::{Contact, Family};
use crate::dht::id::Id;
use crate::dht::server::Neighbours;
use crate::dht::table::{BUCKET_SIZE, RoutingTable};
use crate::dht::upkeep::Upkeep;
use crate::dht::votes::Votes;
use crate::env::Instant;

/// One of them.
#[derive(Debug)]
pub(super) struct Overlay {
    pub(super) family: Family,
    pub(super) table: RoutingTable,
    pub(super) upkeep: Upkeep,
    pub(super) votes: Votes,
}

/// Those that are spoken.
#[derive(Debug)]
pub(super) struct Overlays {
    v4: Option<Overlay>,
    v6: Option<Overlay>,
}

impl Overlay {
    pub(super) fn new(me: Id, family: Family, now: Instant) -> Self {
        let (table, upkeep) = (RoutingTable::new(me), Upkeep::new(now));
        Overlay { family, table, upkeep, votes: Votes::default() }
    }

    pub(super) fn next_timeout(&self) -> Instant {
        self.upkeep.next_timeout(self.table.next_due())
    }
}

impl Overlays {
    pub(super) fn new(v4: Option<Overlay>, v6: Option<Overlay>) -> Self {
        Overlays { v4, v6 }
    }

    pub(super) fn get(&self, family: Family) -> Option<&Overlay> {
        match family {
            Family::V4 => self.v4.as_ref(),
            Family::V6 => self.v6.as_ref(),
        }
    }

    pub(super) fn get_mut(&mut self, family: Family) -> Option<&mut Overlay> {
        match family {
            Family::V4 => self.v4.as_mut(),
            Family::V6 => self.v6.as_mut(),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Overlay> {
        self.v4.iter().chain(&self.v6)
    }

    /// Whether both are spoken.
    pub(super) fn are_two(&self) -> bool {
        self.v4.is_some() && self.v6.is_some()
    }
}

impl Neighbours for Overlays {
    fn me(&self, family: Family) -> Id {
        // Nothing is answered in a family that is not spoken.
        self.get(family).map_or(Id::from_bytes([0; Id::BYTES]), |overlay| overlay.table.me())
    }

    fn closest(&self, family: Family, target: &Id) -> Vec<Contact> {
        self.get(family).map_or_else(Vec::new, |overlay| overlay.table.closest(target, BUCKET_SIZE))
    }
}
