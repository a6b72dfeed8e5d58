//! One iterative lookup through one family: always towards the nodes closest to a target, some of them asked at a time.

use std::net::SocketAddr;

use super::contact::{Contact, Family, is_reachable};
use super::id::{Distance, Id};
use super::table::{BUCKET_SIZE, CONTACTS_PER_ADDRESS_MAX};

/// Nodes that a walk remembers: those closest to the target.
pub const CANDIDATES_MAX: usize = 64;

/// Nodes that are asked in one walk, in all.
pub const QUERIES_PER_WALK_MAX: usize = 96;

/// Nodes that are taken from one answer: some peers name more than eight.
pub const NODES_PER_ANSWER_MAX: usize = 16;

/// Nodes that a walk ends with are [`BUCKET_SIZE`], or as many as are where half of that is to be expected: at most this
/// many.
pub const WIDTH_MAX: usize = 24;

/// Tokens of others that are kept; longer ones count as none.
const TOKEN_BYTES_MAX: usize = 64;

/// The walk itself, without the queries that carry it.
#[derive(Debug)]
pub(super) struct Walk {
    pub(super) family: Family,
    pub(super) target: Id,
    me: Id,
    parallel: usize,
    candidates: Vec<Candidate>,
    /// Addresses to begin with whose ids nobody knows.
    entries: Vec<SocketAddr>,
    entries_asked: usize,
    queries: usize,
    /// All nodes within it belong to the end.
    radius: Distance,
}

/// A node on the way.
#[derive(Clone, Debug)]
struct Candidate {
    contact: Contact,
    distance: Distance,
    progress: Progress,
    said: Said,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    New,
    Asked,
    Slow,
    Answered,
    Failed,
}

/// What a node said that matters after the walk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// Allows to write there.
    pub(super) token: Option<Vec<u8>>,
    /// The version that it has of the item.
    pub(super) seq: Option<i64>,
    /// It has an item.
    pub(super) has_item: bool,
}

/// Whom to ask next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// A node.
    Contact(Contact),
    /// Whoever is at this address.
    Entry(SocketAddr),
}

impl Said {
    /// What is remembered of a token.
    pub(super) fn token_of(token: Option<&[u8]>) -> Option<Vec<u8>> {
        token.filter(|token| token.len() <= TOKEN_BYTES_MAX).map(<[u8]>::to_vec)
    }
}

impl Walk {
    /// A walk of node `me` from `contacts` and `entries`, with at most `parallel` queries under way.
    pub(super) fn new(
        (me, family): (Id, Family),
        target: Id,
        parallel: usize,
        contacts: &[Contact],
        entries: Vec<SocketAddr>,
    ) -> Self {
        let mut walk = Walk {
            family,
            target,
            me,
            parallel,
            candidates: Vec::new(),
            entries,
            entries_asked: 0,
            queries: 0,
            radius: Distance::ZERO,
        };
        contacts.iter().for_each(|contact| walk.consider(*contact));
        walk
    }

    /// The same, that does not end before it has asked all nodes within `radius` of its target, up to [`WIDTH_MAX`]:
    /// whoever makes up eight ids around a target is not all that is asked there.
    pub(super) fn covering(mut self, radius: Distance) -> Self {
        self.radius = radius;
        self
    }

    /// Takes what an answer names.
    pub(super) fn heard(&mut self, contacts: impl Iterator<Item = Contact>) {
        contacts.take(NODES_PER_ANSWER_MAX).for_each(|contact| self.consider(contact));
    }

    /// Whom to ask now; it counts as asked then. `None` where all that may be asked are.
    pub(super) fn next(&mut self) -> Option<Ask> {
        let asked = self.candidates.iter().filter(|candidate| candidate.progress == Progress::Asked).count();
        if asked + self.entries_asked >= self.parallel || self.queries >= QUERIES_PER_WALK_MAX {
            return None;
        }
        let closest = self.closest_mut().find(|candidate| candidate.progress == Progress::New);
        let ask = if let Some(candidate) = closest {
            candidate.progress = Progress::Asked;
            Ask::Contact(candidate.contact)
        } else {
            let entry = self.entries.pop()?;
            self.entries_asked += 1;
            Ask::Entry(entry)
        };
        self.queries += 1;
        Some(ask)
    }

    /// A node has answered. It was asked by its id, or by its address alone.
    pub(super) fn answered(&mut self, contact: Contact, by_id: bool, said: Said) {
        if !by_id {
            self.entries_asked = self.entries_asked.saturating_sub(1);
            self.consider(contact);
        }
        if let Some(candidate) = self.candidate(&contact) {
            candidate.progress = Progress::Answered;
            candidate.said = said;
        }
    }

    /// A node lets us wait: its place is free for another.
    pub(super) fn slow(&mut self, contact: Option<Contact>) {
        let Some(contact) = contact else { return };
        if let Some(candidate) = self.candidate(&contact)
            && candidate.progress == Progress::Asked
        {
            candidate.progress = Progress::Slow;
        }
    }

    /// A node does not answer, or not what it should.
    pub(super) fn failed(&mut self, contact: Option<Contact>) {
        let Some(contact) = contact else {
            self.entries_asked = self.entries_asked.saturating_sub(1);
            return;
        };
        if let Some(candidate) = self.candidate(&contact) {
            candidate.progress = Progress::Failed;
        }
    }

    /// Whether the closest nodes have all answered, or nobody is left to be asked.
    pub(super) fn is_done(&self) -> bool {
        let exhausted = self.queries >= QUERIES_PER_WALK_MAX;
        let mut close = 0;
        for candidate in self.closest() {
            match candidate.progress {
                Progress::New if exhausted => {}
                Progress::New | Progress::Asked | Progress::Slow => return false,
                Progress::Answered => close += 1,
                Progress::Failed => {}
            }
        }
        // Where there are too few nodes, the other ways in are tried as well.
        close >= self.width() || exhausted || (self.entries.is_empty() && self.entries_asked == 0)
    }

    /// The closest nodes that answered, with what they said.
    pub(super) fn result(&self) -> impl Iterator<Item = (Contact, &Said)> {
        self.closest()
            .filter(|candidate| candidate.progress == Progress::Answered)
            .map(|candidate| (candidate.contact, &candidate.said))
    }

    /// Whether we are one of the closest ourselves.
    pub(super) fn is_close(&self) -> bool {
        let mine = self.target.distance(&self.me);
        let closer = self.result().filter(|(contact, _)| self.target.distance(&contact.id) < mine);
        closer.count() < self.width()
    }

    /// Of how many nodes the end is made.
    fn width(&self) -> usize {
        let is_within = |candidate: &&Candidate| {
            candidate.progress != Progress::Failed && candidate.distance < self.radius
        };
        self.candidates.iter().filter(is_within).count().clamp(BUCKET_SIZE, WIDTH_MAX)
    }

    /// The closest that have not failed.
    fn closest(&self) -> impl Iterator<Item = &Candidate> {
        let width = self.width();
        self.candidates.iter().filter(|candidate| candidate.progress != Progress::Failed).take(width)
    }

    fn closest_mut(&mut self) -> impl Iterator<Item = &mut Candidate> {
        let width = self.width();
        self.candidates.iter_mut().filter(|candidate| candidate.progress != Progress::Failed).take(width)
    }

    fn candidate(&mut self, contact: &Contact) -> Option<&mut Candidate> {
        self.candidates.iter_mut().find(|candidate| candidate.contact == *contact)
    }

    fn consider(&mut self, contact: Contact) {
        let right_kind = Family::of(contact.address) == self.family && is_reachable(contact.address);
        if contact.id == self.me || !right_kind {
            return;
        }
        let distance = self.target.distance(&contact.id);
        let at = match self.candidates.binary_search_by(|candidate| candidate.distance.cmp(&distance)) {
            // Whoever names an id first may have lied about its address; once that has failed, another may be right.
            Ok(at) if self.candidates[at].progress == Progress::Failed => {
                if self.candidates[at].contact == contact {
                    return;
                }
                self.candidates.remove(at);
                at
            }
            Ok(_) => return,
            Err(at) => at,
        };
        if at >= CANDIDATES_MAX || !self.has_room_for_address(contact) {
            return;
        }
        let candidate = Candidate { contact, distance, progress: Progress::New, said: Said::default() };
        self.candidates.insert(at, candidate);
        self.candidates.truncate(CANDIDATES_MAX);
    }

    /// Whoever has one address is not to be all of the closest nodes. What has failed does not count, so that nobody
    /// keeps another out by naming its address under ids that are nobody's.
    fn has_room_for_address(&self, contact: Contact) -> bool {
        let ip = contact.address.ip();
        let same = |candidate: &&Candidate| {
            candidate.contact.address.ip() == ip && candidate.progress != Progress::Failed
        };
        ip.is_loopback() || self.candidates.iter().filter(same).count() < CONTACTS_PER_ADDRESS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: Id = Id::from_bytes([0xff; 20]);
    const TARGET: Id = Id::from_bytes([0; 20]);

    /// The larger the number, the farther.
    fn node(number: u8) -> Contact {
        let mut id = [0; 20];
        id[19] = number;
        Contact { id: Id::from_bytes(id), address: SocketAddr::from(([198, 51, 100, number], 1)) }
    }

    fn walk(contacts: &[Contact], entries: Vec<SocketAddr>) -> Walk {
        Walk::new((ME, Family::V4), TARGET, 3, contacts, entries)
    }

    fn asked(walk: &mut Walk) -> Vec<Ask> {
        std::iter::from_fn(|| walk.next()).collect()
    }

    fn answer(walk: &mut Walk, from: Contact, names: &[Contact]) {
        walk.heard(names.iter().copied());
        walk.answered(from, true, Said::default());
    }

    #[test]
    fn the_closest_are_asked_first_and_some_at_a_time() {
        let mut walk = walk(&[node(90), node(70), node(80), node(60)], vec![]);
        assert_eq!(asked(&mut walk), [60, 70, 80].map(|number| Ask::Contact(node(number))));
        answer(&mut walk, node(70), &[node(5), node(6)]);
        assert_eq!(asked(&mut walk), [Ask::Contact(node(5))]);
        walk.slow(Some(node(60)));
        assert_eq!(asked(&mut walk), [Ask::Contact(node(6))], "a slow one holds up nobody");
        assert!(!walk.is_done());
    }

    #[test]
    fn it_ends_when_the_closest_have_answered() {
        let far: Vec<Contact> = (50..60).map(node).collect();
        let near: Vec<Contact> = (1..=8).map(node).collect();
        let mut walk = walk(&far, vec![]);
        asked(&mut walk);
        answer(&mut walk, node(50), &near);
        let mut queries = 3;
        while !walk.is_done() {
            for ask in asked(&mut walk) {
                let Ask::Contact(contact) = ask else { panic!() };
                queries += 1;
                answer(&mut walk, contact, &near);
            }
            [51, 52].into_iter().for_each(|number| walk.slow(Some(node(number))));
        }
        assert_eq!(queries, 3 + 8, "those farther away are not asked any more");
        assert!(walk.result().map(|(contact, _)| contact).eq(near));
    }

    #[test]
    fn who_fails_makes_room_for_the_next() {
        let contacts: Vec<Contact> = (1..=9).map(node).collect();
        let mut walk = walk(&contacts, vec![]);
        walk.failed(Some(node(1)));
        while !walk.is_done() {
            for ask in asked(&mut walk) {
                let Ask::Contact(contact) = ask else { panic!() };
                answer(&mut walk, contact, &[]);
            }
        }
        assert!(walk.result().map(|(contact, _)| contact).eq((2..=9).map(node)));
    }

    #[test]
    fn entries_lead_in_where_nobody_is_known() {
        let entry = node(40).address;
        let mut walk = walk(&[], vec![entry, node(41).address]);
        assert_eq!(asked(&mut walk), [Ask::Entry(node(41).address), Ask::Entry(entry)]);
        walk.failed(None);
        assert!(!walk.is_done());
        walk.heard([node(3)].into_iter());
        walk.answered(node(40), false, Said::default());
        assert_eq!(asked(&mut walk), [Ask::Contact(node(3))]);
        answer(&mut walk, node(3), &[]);
        assert!(walk.is_done());
        assert!(walk.result().map(|(contact, _)| contact).eq([node(3), node(40)]));
    }

    #[test]
    fn a_crowd_around_the_target_is_not_all_that_is_asked() {
        let crowd: Vec<Contact> = (1..=40).map(node).collect();
        let honest: Vec<Contact> = (100..110).map(node).collect();
        let all: Vec<Contact> = crowd.iter().chain(&honest).copied().collect();
        // Five of the honest are within the radius.
        for (size, expected) in [(0, 8), (3, 8), (4, 9), (12, 17), (40, WIDTH_MAX)] {
            let mut walk = walk(&all[40 - size..], vec![]).covering(TARGET.distance(&honest[5].id));
            while !walk.is_done() {
                for ask in asked(&mut walk) {
                    let Ask::Contact(contact) = ask else { panic!() };
                    answer(&mut walk, contact, &[]);
                }
            }
            assert_eq!(walk.result().count(), expected, "{size} made up");
            assert_eq!(walk.result().any(|(contact, _)| contact == honest[4]), size < 20);
        }
    }

    #[test]
    fn nobody_leads_it_on_for_ever() {
        let start = Contact { id: Id::from_bytes([0x70; 20]), ..node(200) };
        let mut walk = walk(&[start], vec![]);
        let (mut queries, mut made) = (0, 0u32);
        while !walk.is_done() {
            for ask in asked(&mut walk) {
                let Ask::Contact(contact) = ask else { panic!() };
                queries += 1;
                // Each answer names nodes closer than all before.
                let closer: Vec<Contact> = (0..16)
                    .map(|_| {
                        made += 1;
                        let mut id = [0; 20];
                        id[8..12].copy_from_slice(&(u32::MAX - made).to_be_bytes());
                        Contact {
                            id: Id::from_bytes(id),
                            address: SocketAddr::from(((made + (9 << 24)).to_be_bytes(), 1)),
                        }
                    })
                    .collect();
                answer(&mut walk, contact, &closer);
            }
        }
        assert_eq!(queries, QUERIES_PER_WALK_MAX);
        assert!(walk.candidates.len() <= CANDIDATES_MAX);
    }

    #[test]
    fn one_address_has_two_places_and_keeps_nobody_out() {
        let address = node(1).address;
        let liar = |number: u8| Contact { address, ..node(number) };
        let mut walk = walk(&[liar(10), liar(11), liar(12)], vec![]);
        assert_eq!(asked(&mut walk).len(), 2);
        walk.failed(Some(liar(10)));
        walk.heard([node(1)].into_iter());
        assert_eq!(asked(&mut walk), [Ask::Contact(node(1))]);
    }

    #[test]
    fn an_id_under_two_addresses_is_tried_under_both() {
        let wrong = Contact { address: node(99).address, ..node(1) };
        let mut walk = walk(&[wrong], vec![]);
        asked(&mut walk);
        walk.heard([node(1)].into_iter());
        assert_eq!(asked(&mut walk), [], "one at a time");
        walk.failed(Some(wrong));
        walk.heard([wrong, node(1)].into_iter());
        assert_eq!(asked(&mut walk), [Ask::Contact(node(1))]);
    }

    #[test]
    fn what_leads_nowhere_is_passed_over() {
        let nowhere = ["0.0.0.0:1", "198.51.100.9:0", "[2001:db8::1]:1", "224.0.0.9:1"];
        let contacts = nowhere.map(|address| Contact { address: address.parse().unwrap(), ..node(1) });
        let mut walk = walk(&contacts, vec![]);
        walk.heard([Contact { id: ME, ..node(1) }].into_iter());
        assert_eq!(asked(&mut walk), []);
        assert!(walk.is_done());
    }
}
