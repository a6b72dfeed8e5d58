//! Under which address others see us (BEP 42).

use std::collections::VecDeque;
use std::net::IpAddr;

use super::bep42::is_local;
use super::server::network;

/// The latest votes are counted, one of each voter.
const VOTES_MAX: usize = 16;

/// Fewer votes say nothing.
const VOTES_MIN: usize = 5;

/// What others said.
#[derive(Debug, Default)]
pub(super) struct Votes {
    /// Voter and what it saw, the oldest first.
    votes: VecDeque<(IpAddr, IpAddr)>,
    agreed: Option<IpAddr>,
}

impl Votes {
    /// Notes how `voter` sees us. Says when most agree on an address that they did not agree on before.
    pub(super) fn vote(&mut self, voter: IpAddr, seen: IpAddr) -> Option<IpAddr> {
        let (seen, voter) = (seen.to_canonical(), network(voter));
        if is_local(seen) || seen.is_ipv4() != voter.is_ipv4() {
            return None;
        }
        self.votes.retain(|(other, _)| *other != voter);
        if self.votes.len() >= VOTES_MAX {
            self.votes.pop_front();
        }
        self.votes.push_back((voter, seen));
        let same = self.votes.iter().filter(|(_, other)| *other == seen).count();
        let most = self.votes.len() >= VOTES_MIN && 2 * same > self.votes.len();
        if !most || self.agreed == Some(seen) {
            return None;
        }
        self.agreed = Some(seen);
        self.agreed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(number: u8) -> IpAddr {
        IpAddr::from([198, 51, 100, number])
    }

    #[test]
    fn most_of_many_decide_once() {
        let mut votes = Votes::default();
        let said: Vec<_> = (0..8).map(|voter| votes.vote(ip(voter), ip(99))).collect();
        assert_eq!(said, [None, None, None, None, Some(ip(99)), None, None, None]);
        let moved: Vec<_> = (0..20).filter_map(|voter| votes.vote(ip(voter), ip(77))).collect();
        assert_eq!(moved, [ip(77)]);
    }

    #[test]
    fn one_voter_has_one_vote_and_private_addresses_none() {
        let mut votes = Votes::default();
        assert!((0..100).all(|_| votes.vote(ip(1), ip(99)).is_none()));
        assert!((0..100).all(|voter| votes.vote(ip(voter), "10.0.0.1".parse().unwrap()).is_none()));
        assert!((0..100).all(|voter| votes.vote(ip(voter), "2001:db8::1".parse().unwrap()).is_none()));
        assert_eq!(votes.votes.len(), 1);
    }

    #[test]
    fn a_minority_decides_nothing() {
        let mut votes = Votes::default();
        for voter in 0..100 {
            let seen = if voter % 3 == 0 { 66 } else { 99 };
            assert_ne!(votes.vote(ip(voter), ip(seen)), Some(ip(66)));
        }
        assert_eq!((votes.agreed, votes.votes.len()), (Some(ip(99)), VOTES_MAX));
    }
}
