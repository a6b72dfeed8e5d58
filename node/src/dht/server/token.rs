//! Write tokens: whoever writes shows that it receives what is sent to its address (BEP 5).

use std::net::IpAddr;
use std::time::Duration;

use rand::Rng as _;
use subtle::ConstantTimeEq;

use crate::dht::id::Id;
use crate::env::{Instant, Rng};

/// Length of a token.
pub const TOKEN_BYTES: usize = 8;

/// A secret gives out tokens for this long; they are taken for as long again.
pub const TOKEN_ROTATION: Duration = Duration::from_secs(300);

const SECRET_BYTES: usize = 16;

/// The two secrets whose tokens are taken.
#[derive(Debug)]
pub(super) struct Tokens {
    current: [u8; SECRET_BYTES],
    previous: [u8; SECRET_BYTES],
    since: Instant,
    rng: Rng,
}

impl Tokens {
    pub(super) fn new(mut rng: Rng, now: Instant) -> Self {
        let (current, previous) = (secret(&mut rng), secret(&mut rng));
        Tokens { current, previous, since: now, rng }
    }

    /// Allows whoever is at `to` to write under `target`.
    pub(super) fn issue(&mut self, to: IpAddr, target: &Id, now: Instant) -> [u8; TOKEN_BYTES] {
        self.rotate(now);
        token(&self.current, to, target)
    }

    /// Whether `token` was issued to this address, for this target, not too long ago.
    pub(super) fn is_valid(&mut self, token_: &[u8], from: IpAddr, target: &Id, now: Instant) -> bool {
        self.rotate(now);
        [self.current, self.previous]
            .iter()
            .any(|secret| bool::from(token(secret, from, target)[..].ct_eq(token_)))
    }

    /// No timer: a secret that is asked for too late is replaced then.
    fn rotate(&mut self, now: Instant) {
        let age = now - self.since;
        if age < TOKEN_ROTATION {
            return;
        }
        self.previous = if age < 2 * TOKEN_ROTATION { self.current } else { secret(&mut self.rng) };
        self.current = secret(&mut self.rng);
        self.since = now;
    }
}

fn secret(rng: &mut Rng) -> [u8; SECRET_BYTES] {
    let mut secret = [0; SECRET_BYTES];
    rng.fill_bytes(&mut secret);
    secret
}

fn token(secret: &[u8; SECRET_BYTES], ip: IpAddr, target: &Id) -> [u8; TOKEN_BYTES] {
    let octets = match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    };
    let hash = Id::hash(&[secret, &octets, target.as_bytes()]);
    std::array::from_fn(|at| hash.as_bytes()[at])
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn a_token_is_good_for_five_to_ten_minutes() {
        let mut tokens = Tokens::new(Rng::seed_from_u64(1), at(0));
        let (ip, target) = ("198.51.100.7".parse().unwrap(), Id::from_bytes([1; 20]));
        let early = tokens.issue(ip, &target, at(0));
        let late = tokens.issue(ip, &target, at(299));
        for (seconds, early_is_valid, late_is_valid) in [
            (299, true, true),
            (300, true, true),
            (599, true, true),
            (600, false, false),
            (5_000, false, false),
        ] {
            assert_eq!(tokens.is_valid(&early, ip, &target, at(seconds)), early_is_valid, "{seconds} s");
            assert_eq!(tokens.is_valid(&late, ip, &target, at(seconds)), late_is_valid, "{seconds} s");
        }
    }

    #[test]
    fn a_long_silence_makes_both_secrets_new() {
        let mut tokens = Tokens::new(Rng::seed_from_u64(1), at(0));
        let (ip, target) = ("::1".parse().unwrap(), Id::from_bytes([1; 20]));
        let token = tokens.issue(ip, &target, at(0));
        assert!(!tokens.is_valid(&token, ip, &target, at(600)));
    }

    #[test]
    fn a_token_is_of_one_address_and_one_target() {
        let mut tokens = Tokens::new(Rng::seed_from_u64(1), at(0));
        let ips: [IpAddr; 2] = ["198.51.100.7".parse().unwrap(), "198.51.100.8".parse().unwrap()];
        let targets = [Id::from_bytes([1; 20]), Id::from_bytes([2; 20])];
        let token = tokens.issue(ips[0], &targets[0], at(0));
        assert!(tokens.is_valid(&token, ips[0], &targets[0], at(1)));
        assert!(!tokens.is_valid(&token, ips[1], &targets[0], at(1)));
        assert!(!tokens.is_valid(&token, ips[0], &targets[1], at(1)));
        assert!(!tokens.is_valid(&token[..7], ips[0], &targets[0], at(1)));
        assert!(!tokens.is_valid(b"", ips[0], &targets[0], at(1)));
    }
}
