//! Independent streams of randomness from one run seed.
//!
//! Who draws and for what decides what is drawn, never how much others have drawn before: taking a fault out of a run
//! leaves everything else as it was, as far as it does not hang on what the fault did.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rand_chacha::rand_core::{Rng, SeedableRng, TryRng};
use rand_chacha::{ChaCha8Rng, ChaCha12Rng};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A stream of the engine's own, apart from all others by its name: SplitMix64, in eight bytes, so that each path may
/// carry one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dice(u64);

/// The odd number nearest to 2^64 divided by the golden ratio.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl Dice {
    /// The stream of this label.
    pub(super) fn new(seed: u64, label: &str) -> Self {
        Self(xxh3_64_with_seed(label.as_bytes(), seed))
    }

    /// Another stream, apart from all that have other numbers. This one goes on as if nothing had been.
    pub(super) fn split(self, numbers: &[u64]) -> Self {
        let mixed =
            numbers.iter().fold(self.0, |state, number| mix(state ^ mix(number.wrapping_add(GOLDEN))));
        Self(mixed)
    }

    /// The next number of the stream.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// Uniform in `0..bound`, zero for a bound of zero. The bias is below 2^-32 for bounds that occur here.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// True with probability `p`.
    pub(super) fn chance(&mut self, p: f64) -> bool {
        p > 0.0 && ((self.next() >> 11) as f64) < p * (1_u64 << 53) as f64
    }
}

/// The output function of SplitMix64: every bit of the input moves half of those of the output.
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// Random bytes for whoever asks the operating system: as unpredictable as those that it gives.
pub(super) struct Bytes(ChaCha8Rng);

impl Bytes {
    pub(super) fn new(seed: u64, label: &str) -> Self {
        Self(ChaCha8Rng::from_seed(derive(seed, &[label.as_bytes()])))
    }

    pub(super) fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }
}

/// The seed of a run: chance may take another turn on the way, once or several times.
#[derive(Debug)]
pub(super) struct Seed {
    now: AtomicU64,
    turns: AtomicU64,
}

impl Seed {
    pub(super) fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self { now: AtomicU64::new(seed), turns: AtomicU64::new(0) })
    }

    pub(super) fn get(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    /// From now on it is another one.
    pub(super) fn turn(&self, other: u64) {
        self.now.store(other, Ordering::Relaxed);
        self.turns.fetch_add(1, Ordering::Relaxed);
    }
}

/// A generator in somebody's hands: ChaCha12 of its own seed, and from a turn of the run's seed on, of both.
pub(super) struct Generator {
    run: Arc<Seed>,
    seed: [u8; 32],
    turns: u64,
    source: ChaCha12Rng,
}

impl Generator {
    /// The stream of this number; 0 is what a generator of that seed gives by itself.
    pub(super) fn new(run: &Arc<Seed>, seed: [u8; 32], number: u64) -> Self {
        let turns = run.turns.load(Ordering::Relaxed);
        Self { run: Arc::clone(run), seed, turns, source: stream(seed, number) }
    }

    fn source(&mut self) -> &mut ChaCha12Rng {
        let turns = self.run.turns.load(Ordering::Relaxed);
        if turns != self.turns {
            let seed = derive(self.run.get(), &[b"turn", &self.seed]);
            self.source = stream(seed, self.source.get_stream());
            self.turns = turns;
        }
        &mut self.source
    }
}

/// The numbered stream of a generator of this seed.
pub(super) fn stream(seed: [u8; 32], number: u64) -> ChaCha12Rng {
    let mut source = ChaCha12Rng::from_seed(seed);
    source.set_stream(number);
    source
}

impl TryRng for Generator {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.source().next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.source().next_u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.source().fill_bytes(bytes);
        Ok(())
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

    /// Paths and disks each have a stream of their own and draw from it seldom: what they draw must be fair across
    /// streams, not only along one.
    #[test]
    fn chances_are_what_they_say_across_split_streams() {
        let base = Dice::new(3, "network");
        for draws_before in 0..4 {
            let is_hit = |numbers: &[u64]| {
                let mut dice = base.split(numbers);
                for _ in 0..draws_before {
                    dice.chance(0.3);
                }
                dice.chance(0.3)
            };
            let in_a_row = (0..10_000).filter(|number| is_hit(&[*number])).count();
            let pairs = (0..10_000).filter(|number| is_hit(&[number / 100, number % 100])).count();
            assert!((2_800..=3_200).contains(&in_a_row), "{in_a_row} at draw {draws_before}");
            assert!((2_800..=3_200).contains(&pairs), "{pairs} at draw {draws_before}");
        }
    }

    #[test]
    fn streams_are_apart_and_do_not_move_each_other() {
        let network = Dice::new(3, "network");
        let first = |mut dice: Dice| [dice.next(), dice.next()];
        let streams = [
            network,
            Dice::new(4, "network"),
            Dice::new(3, "scheduler"),
            network.split(&[1, 2]),
            network.split(&[2, 1]),
            network.split(&[1]),
            network.split(&[1, 2, 0]),
        ];
        let drawn: std::collections::BTreeSet<_> = streams.map(first).into_iter().collect();
        assert_eq!(drawn.len(), streams.len());
        let mut used = network;
        used.next();
        assert_eq!(first(network.split(&[7])), first(network.split(&[7])));
        assert_ne!(first(used), first(network));
    }

    #[test]
    fn draws_stay_below_their_bound() {
        let mut dice = Dice::new(3, "test");
        assert!((0..1000).all(|_| dice.below(7) < 7));
        assert_eq!(dice.below(0), 0);
    }

    #[test]
    fn a_generator_is_as_its_seed_says_and_from_a_turn_on_another_one() {
        let seed = Seed::new(1);
        let mut one = Generator::new(&seed, [3; 32], 5);
        let mut same = ChaCha12Rng::from_seed([3; 32]);
        same.set_stream(5);
        assert!((0..100).all(|_| one.next_u64() == same.next_u64()));
        let others = |other: u64| {
            let seed = Seed::new(1);
            let mut all =
                [(3, 5), (3, 6), (4, 5)].map(|(byte, stream)| Generator::new(&seed, [byte; 32], stream));
            for one in &mut all {
                one.next_u64();
            }
            seed.turn(other);
            all.map(|mut one| one.next_u64())
        };
        seed.turn(2);
        assert_ne!(one.next_u64(), same.next_u64());
        assert_eq!(others(2), others(2));
        let drawn: std::collections::BTreeSet<_> = others(2).into_iter().chain(others(3)).collect();
        assert_eq!(drawn.len(), 6, "streams are apart after it as well");
    }
}
