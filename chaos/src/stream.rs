//! Streams of random numbers, apart from each other by name.

use std::time::Duration;

/// The odd constant of SplitMix64: the golden ratio in 64 bits.
const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// A stream of random numbers (SplitMix64): the same seed and names give the same numbers on every machine, and
/// streams with other names have nothing to do with it. Whoever draws from a stream of its own moves nobody else's
/// numbers.
///
/// For plans only: its numbers can be foretold.
#[derive(Clone, Debug)]
pub struct Stream {
    /// What its children come from; drawing does not change it.
    origin: u64,
    state: u64,
}

impl Stream {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Stream {
        let origin = mix(seed ^ GAMMA);
        Stream { origin, state: origin }
    }

    /// The stream of this name below this one. What was drawn here before does not matter to it.
    pub fn child(&self, name: &str) -> Stream {
        let mut origin = mix(self.origin ^ (name.len() as u64).wrapping_mul(GAMMA));
        for chunk in name.as_bytes().chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            origin = mix(origin.wrapping_add(GAMMA) ^ u64::from_le_bytes(word));
        }
        Stream { origin, state: origin }
    }

    /// The stream of this number below this one.
    pub fn numbered(&self, number: usize) -> Stream {
        let origin = mix(mix(self.origin ^ GAMMA.rotate_left(17)).wrapping_add(number as u64));
        Stream { origin, state: origin }
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GAMMA);
        mix(self.state)
    }

    /// A number below `bound`; zero for a bound of zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.number()) * u128::from(bound)) >> 64) as u64
    }

    /// A number from `first` to `last`, both included.
    pub fn between(&mut self, first: u64, last: u64) -> u64 {
        first + self.below((last.saturating_sub(first)).saturating_add(1))
    }

    /// True in `percent` of a hundred cases.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of these.
    ///
    /// # Panics
    /// Where there are none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len() as u64) as usize]
    }

    /// Some of these, at least one and, where there are two or more, not all; in their order.
    pub fn some<T: Clone>(&mut self, items: &[T]) -> Vec<T> {
        let most = (items.len() as u64).saturating_sub(1).max(1);
        let wanted = self.between(1, most);
        let mut left = items.len() as u64;
        let mut needed = wanted.min(left);
        let mut taken = Vec::new();
        for item in items {
            // Selection sampling (Knuth, algorithm S): each subset of that size is as likely.
            if self.below(left) < needed {
                taken.push(item.clone());
                needed -= 1;
            }
            left -= 1;
        }
        taken
    }

    /// A time of whole milliseconds from `first` to `last`, both included.
    pub fn time(&mut self, first: Duration, last: Duration) -> Duration {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(self.between(millis(first), millis(last)))
    }
}

/// The finaliser of SplitMix64: every bit of the input moves every bit of the output.
const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_names_give_the_same_numbers_whatever_was_drawn_beside_them() {
        let mut root = Stream::new(7);
        let before = root.child("crash").number();
        root.number();
        assert_eq!(root.child("crash").number(), before);
        assert_ne!(root.child("crash ").number(), before);
        assert_ne!(Stream::new(8).child("crash").number(), before);
        assert_ne!(root.numbered(0).number(), root.numbered(1).number());
        assert_ne!(root.child("a").child("bc").number(), root.child("ab").child("c").number());
    }

    #[test]
    fn numbers_are_spread_over_their_range() {
        let mut stream = Stream::new(1);
        let mut seen = [0_u32; 10];
        (0..10_000).for_each(|_| seen[stream.below(10) as usize] += 1);
        assert!(seen.iter().all(|count| (850..1150).contains(count)), "{seen:?}");
        assert_eq!((stream.below(0), stream.between(4, 4)), (0, 4));
        let hits = (0..10_000).filter(|_| stream.chance(25)).count();
        assert!((2300..2700).contains(&hits), "{hits}");
    }

    #[test]
    fn some_is_never_none_and_never_all_of_several() {
        let mut stream = Stream::new(3);
        for _ in 0..500 {
            let some = stream.some(&[1, 2, 3]);
            assert!((1..=2).contains(&some.len()) && some.is_sorted(), "{some:?}");
        }
        assert_eq!(stream.some(&[1]), [1]);
    }
}
