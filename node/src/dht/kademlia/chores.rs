//! What a node does by itself, when it is time.

use rand::seq::IteratorRandom;

use crate::dht::contact::{Contact, Family, is_reachable};
use crate::dht::event::Event;
use crate::dht::krpc::{Method, Want};
use crate::dht::operation::{Operation, Task};
use crate::dht::transactions::{Opening, Purpose};
use crate::dht::upkeep::Chore;
use crate::env::Instant;

use super::Dht;

/// Questions whether someone is there that wait at the same time. Who is heard of beyond that is passed over.
const CHECKS_MAX: usize = 16;

impl Dht {
    pub(super) fn do_chores(&mut self, now: Instant) {
        for family in Family::ALL {
            while let Some(overlay) = self.overlays.get_mut(family)
                && let Some(chore) = overlay.upkeep.due(now, &mut self.rng)
            {
                let me = overlay.table.me();
                match chore {
                    Chore::Join => drop(self.begin(Task::Join { family }, me, now)),
                    Chore::Fill { bits } => {
                        let target = me.sharing(bits, &mut self.rng);
                        self.begin(Task::Fill { family }, target, now);
                    }
                    Chore::Check => {
                        if let Some(contact) = overlay.table.due(now) {
                            self.check(contact, now);
                        }
                    }
                    Chore::Bootstrap => self.ask_a_way_in(family, now),
                }
            }
        }
    }

    /// An operation has ended: where it was one of ours, the next may begin.
    pub(super) fn ended(&mut self, operation: &Operation, now: Instant) {
        match &operation.task {
            Task::Join { family } => {
                let Some(overlay) = self.overlays.get_mut(*family) else { return };
                let contacts = overlay.table.len();
                overlay.upkeep.joined(contacts, overlay.table.fill(), now, &mut self.rng);
                self.output.tell(Event::Joined { family: *family, contacts });
            }
            Task::Fill { family } => {
                if let Some(overlay) = self.overlays.get_mut(*family) {
                    overlay.upkeep.filled();
                }
            }
            Task::Find | Task::Get(_) | Task::Put(_) | Task::Peers(_) => {}
        }
    }

    /// Asks a contact whether it is still there; where its bucket has room, for others like it, too.
    pub(super) fn check(&mut self, contact: Contact, now: Instant) {
        let family = Family::of(contact.address);
        let Some(overlay) = self.overlays.get_mut(family) else { return };
        overlay.table.checking(&contact, now);
        let (me, is_full) = (overlay.table.me(), overlay.table.is_full(&contact.id));
        let method = if is_full || contact.id == me {
            Method::Ping
        } else {
            let target = me.sharing(me.shared_bits(&contact.id), &mut self.rng);
            Method::FindNode { target, want: Want::UNSAID }
        };
        let opening =
            Opening { to: contact.address, id: Some(contact.id), purpose: Purpose::Check, repeatable: true };
        self.ask(family, opening, method, now);
    }

    /// Someone was heard of. Where there is a place for it, it is asked whether it is there.
    pub(super) fn consider(&mut self, contact: Contact, now: Instant) {
        let family = Family::of(contact.address);
        let Some(overlay) = self.overlays.get_mut(family) else { return };
        let is_wanted = overlay.table.wants(&contact) && is_reachable(contact.address);
        if !is_wanted || !self.has_room_for_check() || !self.is_fit(&contact) {
            return;
        }
        if self.transactions.is_asking(contact.address) {
            return;
        }
        let opening =
            Opening { to: contact.address, id: Some(contact.id), purpose: Purpose::Check, repeatable: false };
        self.ask(family, opening, Method::Ping, now);
    }

    pub(super) fn has_room_for_check(&self) -> bool {
        self.transactions.checks() < CHECKS_MAX
    }

    /// One of the configured ways in may lead to nodes that nobody here knows.
    fn ask_a_way_in(&mut self, family: Family, now: Instant) {
        let Some(overlay) = self.overlays.get_mut(family) else { return };
        let me = overlay.table.me();
        let ways = self.config.bootstrap.iter().filter(|address| Family::of(**address) == family);
        let Some(to) = ways.choose(&mut self.rng).copied() else { return };
        let want = if self.overlays.are_two() { Want::BOTH } else { Want::UNSAID };
        let opening = Opening { to, id: None, purpose: Purpose::Check, repeatable: true };
        self.ask(family, opening, Method::FindNode { target: me, want }, now);
    }
}
