//! Independent streams of randomness from one run seed.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A stream of the engine's own, apart from all others by its label.
pub(super) struct Dice(ChaCha8Rng);

impl Dice {
    pub(super) fn new(seed: u64, label: &str) -> Self {
        Self(ChaCha8Rng::from_seed(derive(seed, &[label.as_bytes()])))
    }

    /// Uniform in `0..bound`, zero for a bound of zero. The bias is below 2^-32 for bounds that occur here.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.0.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// True with probability `p`.
    pub(super) fn chance(&mut self, p: f64) -> bool {
        p > 0.0 && ((self.0.next_u64() >> 11) as f64) < p * (1_u64 << 53) as f64
    }

    pub(super) fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }
}

/// 256 bits that depend on the seed and on every part, with the borders between parts.
pub(super) fn derive(seed: u64, parts: &[&[u8]]) -> [u8; 32] {
    let mut text = Vec::new();
    for part in parts {
        text.extend_from_slice(&(part.len() as u64).to_le_bytes());
        text.extend_from_slice(part);
    }
    let mut out = [0; 32];
    for (lane, chunk) in out.chunks_exact_mut(8).enumerate() {
        text.push(lane as u8);
        chunk.copy_from_slice(&xxh3_64_with_seed(&text, seed).to_le_bytes());
        text.pop();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(derive(1, &[b"ab", b"c"]), derive(1, &[b"a", b"bc"]));
        assert_ne!(derive(1, &[b"a"]), derive(2, &[b"a"]));
        assert_eq!(derive(1, &[b"a"]), derive(1, &[b"a"]));
    }

    #[test]
    fn chances_are_what_they_say() {
        let mut dice = Dice::new(3, "test");
        let hits = (0..10_000).filter(|_| dice.chance(0.25)).count();
        assert!((2300..2700).contains(&hits), "{hits}");
        assert!(!dice.chance(0.0));
        assert!(dice.chance(1.0));
    }

    #[test]
    fn draws_stay_below_their_bound() {
        let mut dice = Dice::new(3, "test");
        assert!((0..1000).all(|_| dice.below(7) < 7));
        assert_eq!(dice.below(0), 0);
    }
}
