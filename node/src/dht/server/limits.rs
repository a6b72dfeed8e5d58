//! How many queries are answered: of one address, and in all.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;

use crate::env::Instant;
use crate::federation::Gcra;

/// Addresses whose use is remembered. The one that was quiet for longest is forgotten for a new one.
pub const LIMITED_ADDRESSES_MAX: usize = 1_024;

/// A rate and how much of it may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryRate {
    /// Queries per second in the long run.
    pub per_second: NonZeroU32,
    /// Queries at once.
    pub burst: NonZeroU32,
}

/// How much a node answers. What is over it is dropped without a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryLimits {
    /// Queries from one IPv4 address or one IPv6 network of 64 bits. Loopback is free.
    pub each: QueryRate,
    /// Queries in all, so that forged senders do not make a loudspeaker of us.
    pub total: QueryRate,
}

impl QueryRate {
    const fn of(per_second: u32, burst: u32) -> Self {
        match (NonZeroU32::new(per_second), NonZeroU32::new(burst)) {
            (Some(per_second), Some(burst)) => QueryRate { per_second, burst },
            _ => panic!("a rate of nothing"),
        }
    }

    fn gcra(self) -> Gcra {
        Gcra::new(self.per_second, self.burst)
    }
}

impl Default for QueryLimits {
    fn default() -> Self {
        QueryLimits { each: QueryRate::of(50, 200), total: QueryRate::of(2_000, 4_000) }
    }
}

/// What of the limits is used.
#[derive(Debug)]
pub(super) struct Limiter {
    limits: QueryLimits,
    total: Gcra,
    each: BTreeMap<IpAddr, (Gcra, Instant)>,
    /// The same addresses by when they last asked.
    quiet: BTreeSet<(Instant, IpAddr)>,
}

impl Limiter {
    pub(super) fn new(limits: QueryLimits) -> Self {
        Limiter { limits, total: limits.total.gcra(), each: BTreeMap::new(), quiet: BTreeSet::new() }
    }

    /// Whether one more query from `ip` is answered.
    pub(super) fn admits(&mut self, ip: IpAddr, now: Instant) -> bool {
        (ip.is_loopback() || self.admits_address(network(ip), now)) && self.total.check(now).is_ok()
    }

    fn admits_address(&mut self, ip: IpAddr, now: Instant) -> bool {
        if !self.each.contains_key(&ip)
            && self.each.len() >= LIMITED_ADDRESSES_MAX
            && let Some((_, quiet)) = self.quiet.pop_first()
        {
            self.each.remove(&quiet);
        }
        let (gcra, last) = self.each.entry(ip).or_insert_with(|| (self.limits.each.gcra(), now));
        let admitted = gcra.check(now).is_ok();
        self.quiet.remove(&(*last, ip));
        *last = now;
        self.quiet.insert((now, ip));
        admitted
    }
}

/// What one holder has many addresses of counts as one.
pub(in crate::dht) fn network(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    fn limiter(each: (u32, u32), total: (u32, u32)) -> Limiter {
        Limiter::new(QueryLimits {
            each: QueryRate::of(each.0, each.1),
            total: QueryRate::of(total.0, total.1),
        })
    }

    fn admitted(limiter: &mut Limiter, ip: &str, now: Instant) -> usize {
        (0..100).filter(|_| limiter.admits(ip.parse().unwrap(), now)).count()
    }

    #[test]
    fn one_address_does_not_use_up_anothers_share() {
        let mut limiter = limiter((1, 10), (1_000, 1_000));
        assert_eq!(admitted(&mut limiter, "198.51.100.7", at(0)), 10);
        assert_eq!(admitted(&mut limiter, "198.51.100.8", at(0)), 10);
        assert_eq!(admitted(&mut limiter, "198.51.100.7", at(2_000)), 2);
        assert_eq!(admitted(&mut limiter, "2001:db8::1", at(2_000)), 10);
        assert_eq!(admitted(&mut limiter, "2001:db8::2", at(2_000)), 0);
        assert_eq!(admitted(&mut limiter, "2001:db8:0:1::2", at(2_000)), 10);
        assert_eq!(admitted(&mut limiter, "127.0.0.1", at(2_000)), 100);
    }

    #[test]
    fn all_together_have_a_limit_too() {
        let mut limiter = limiter((100, 100), (1, 150));
        assert_eq!(admitted(&mut limiter, "198.51.100.7", at(0)), 100);
        assert_eq!(admitted(&mut limiter, "198.51.100.8", at(0)), 50);
        assert_eq!(admitted(&mut limiter, "127.0.0.1", at(0)), 0);
    }

    #[test]
    fn any_number_of_addresses_takes_no_more_memory() {
        let mut limiter = limiter((1, 1), (u32::MAX, u32::MAX));
        let ip = |n: u32| IpAddr::from(n.to_be_bytes());
        for n in 0..10_000 {
            assert!(limiter.admits(ip(n), at(u64::from(n))));
        }
        assert_eq!((limiter.each.len(), limiter.quiet.len()), (LIMITED_ADDRESSES_MAX, LIMITED_ADDRESSES_MAX));
        assert!(!limiter.admits(ip(9_999), at(10_000)), "the latest is remembered");
        assert!(limiter.admits(ip(0), at(10_000)), "the first is forgotten");
    }
}
