//! The items that this node keeps for others.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use crate::dht::id::{Distance, Id};
use crate::dht::item::Item;
use crate::env::Instant;

use super::limits::network;

/// Items that a node keeps: with 1,300 bytes each at most, some 5 MiB. A further one takes the place of that farthest
/// from our own id, or is refused where it is farther still.
pub const ITEMS_MAX: usize = 4_096;

/// Items that came from one IPv4 address or one IPv6 network of 64 bits. Further ones are refused.
pub const ITEMS_PER_ADDRESS_MAX: usize = ITEMS_MAX / 4;

/// An item that nobody puts again is dropped after this.
pub const ITEM_LIFETIME: Duration = Duration::from_secs(2 * 3_600);

/// Why an item is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotKept {
    /// The store is full of items that are closer to us.
    #[error("the store is full")]
    Full,
    /// The address has its share already.
    #[error("too many items came from this address")]
    TooManyOfAddress,
}

/// Items by how far from us they belong.
#[derive(Debug)]
pub(super) struct Items {
    me: Id,
    kept: BTreeMap<Distance, Kept>,
    expiry: BTreeSet<(Instant, Distance)>,
    of_address: BTreeMap<IpAddr, usize>,
}

#[derive(Debug)]
struct Kept {
    item: Item,
    expires: Instant,
    /// Who put it first.
    from: IpAddr,
}

impl Items {
    /// None yet, for a node with this id.
    pub(super) fn new(me: Id) -> Self {
        Items { me, kept: BTreeMap::new(), expiry: BTreeSet::new(), of_address: BTreeMap::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    /// What is kept under `target`.
    pub(super) fn get(&self, target: &Id) -> Option<&Item> {
        self.kept.get(&self.me.distance(target)).map(|kept| &kept.item)
    }

    /// Keeps an item, in place of what was under its target, or for longer. That it may replace it was checked.
    pub(super) fn put(&mut self, item: Item, from: IpAddr, now: Instant) -> Result<(), NotKept> {
        let at = self.me.distance(&item.target());
        let expires = now + ITEM_LIFETIME;
        if let Some(kept) = self.kept.get_mut(&at) {
            self.expiry.remove(&(kept.expires, at));
            (kept.item, kept.expires) = (item, expires);
        } else {
            let from = network(from);
            if self.of_address.get(&from).is_some_and(|items| *items >= ITEMS_PER_ADDRESS_MAX) {
                return Err(NotKept::TooManyOfAddress);
            }
            self.make_room(at)?;
            *self.of_address.entry(from).or_default() += 1;
            self.kept.insert(at, Kept { item, expires, from });
        }
        self.expiry.insert((expires, at));
        Ok(())
    }

    fn make_room(&mut self, at: Distance) -> Result<(), NotKept> {
        if self.kept.len() < ITEMS_MAX {
            return Ok(());
        }
        match self.kept.last_key_value() {
            Some((farthest, _)) if *farthest > at => self.remove(*farthest),
            _ => return Err(NotKept::Full),
        }
        Ok(())
    }

    /// Drops what has expired.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some((expires, at)) = self.expiry.first().copied()
            && expires <= now
        {
            self.remove(at);
        }
    }

    /// When the next item expires.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.expiry.first().map(|(expires, _)| *expires)
    }

    fn remove(&mut self, at: Distance) {
        let Some(kept) = self.kept.remove(&at) else { return };
        self.expiry.remove(&(kept.expires, at));
        if let Some(items) = self.of_address.get_mut(&kept.from) {
            *items -= 1;
            if *items == 0 {
                self.of_address.remove(&kept.from);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: Id = Id::from_bytes([0; 20]);

    fn at(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    fn item(number: usize) -> Item {
        Item::immutable(format!("i{number}e").into_bytes()).unwrap()
    }

    fn ip(number: usize) -> IpAddr {
        IpAddr::from([198, 51, (number >> 8) as u8, number as u8])
    }

    #[test]
    fn items_live_for_two_hours_after_the_last_put() {
        let mut items = Items::new(ME);
        items.put(item(1), ip(1), at(0)).unwrap();
        items.put(item(2), ip(1), at(0)).unwrap();
        items.put(item(1), ip(2), at(3_600)).unwrap();
        items.expire(at(7_199));
        assert_eq!((items.len(), items.next_expiry()), (2, Some(at(7_200))));
        items.expire(at(7_200));
        assert_eq!((items.get(&item(2).target()), items.len()), (None, 1));
        assert_eq!(items.get(&item(1).target()), Some(&item(1)));
        items.expire(at(3_600 + 7_200));
        assert_eq!((items.len(), items.next_expiry(), items.of_address.len()), (0, None, 0));
    }

    #[test]
    fn a_full_store_keeps_what_is_closest() {
        let mut items = Items::new(ME);
        let mut refused = 0;
        let count = ITEMS_MAX + 2_000;
        for number in 0..count {
            match items.put(item(number), ip(number % 20), at(0)) {
                Ok(()) => {}
                Err(NotKept::Full) => refused += 1,
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!((items.len(), items.expiry.len()), (ITEMS_MAX, ITEMS_MAX));
        assert_eq!(items.of_address.values().sum::<usize>(), ITEMS_MAX);
        assert!(refused > 0);
        let mut all: Vec<Distance> = (0..count).map(|number| ME.distance(&item(number).target())).collect();
        all.sort_unstable();
        assert!(items.kept.keys().eq(&all[..ITEMS_MAX]));
    }

    #[test]
    fn one_address_fills_a_part_of_the_store_only() {
        let mut items = Items::new(ME);
        for number in 0..ITEMS_PER_ADDRESS_MAX {
            assert_eq!(items.put(item(number), ip(1), at(0)), Ok(()));
        }
        assert_eq!(items.put(item(ITEMS_MAX), ip(1), at(0)), Err(NotKept::TooManyOfAddress));
        assert_eq!(items.put(item(0), ip(1), at(1)), Ok(()), "what is there is refreshed");
        assert_eq!(items.put(item(ITEMS_MAX), ip(2), at(0)), Ok(()));
    }
}
