//! Generators of random numbers, as values that pure code is given.

use std::convert::Infallible;
use std::fmt;

use rand::Rng as Source;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{SeedableRng, TryCryptoRng, TryRng};

/// A generator of random numbers, as unpredictable as those of the operating system. Made of a seed it is ChaCha12; an
/// [`Entropy`](super::Entropy) may give another one.
pub struct Rng(Box<dyn Source + Send>);

impl Rng {
    /// Numbers from this source, which has to be as unpredictable as ChaCha12 wherever secrets are drawn.
    pub fn of(source: impl Source + Send + 'static) -> Self {
        Rng(Box::new(source))
    }
}

impl SeedableRng for Rng {
    type Seed = <ChaCha12Rng as SeedableRng>::Seed;

    fn from_seed(seed: Self::Seed) -> Self {
        Rng::of(ChaCha12Rng::from_seed(seed))
    }

    fn seed_from_u64(seed: u64) -> Self {
        Rng::of(ChaCha12Rng::seed_from_u64(seed))
    }
}

impl TryRng for Rng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.0.next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.next_u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill_bytes(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Rng {}

/// Without its state: what it is going to give is nobody's business.
impl fmt::Debug for Rng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rng")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_of_a_seed_it_is_chacha12() {
        let (mut one, mut other) = (Rng::seed_from_u64(7), ChaCha12Rng::seed_from_u64(7));
        let (mut bytes, mut same) = ([0; 5], [0; 5]);
        for _ in 0..100 {
            assert_eq!((one.next_u32(), one.next_u64()), (other.next_u32(), other.next_u64()));
            one.fill_bytes(&mut bytes);
            other.fill_bytes(&mut same);
            assert_eq!(bytes, same);
        }
        assert_eq!(Rng::from_seed([3; 32]).next_u64(), ChaCha12Rng::from_seed([3; 32]).next_u64());
        assert_eq!(format!("{one:?}"), "Rng");
    }
}
