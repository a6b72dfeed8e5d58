//! Shares, small simulated services, ceilings and bounds, and random histories.

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

use proptest::prelude::*;
use rand_chacha::rand_core::SeedableRng;

use super::*;
use crate::env::Rng;

const SERVICE: &str = "shop";

fn nodes(count: usize) -> Vec<NodeId> {
    (0..count).map(|number| format!("n{number}.home").parse().unwrap()).collect()
}

fn at(millis: u64) -> Instant {
    Instant::default() + Duration::from_millis(millis)
}

/// Chooses among all of `nodes`, of which those at `out` are not allowed.
fn choose(
    balancer: &mut Balancer,
    policy: Policy,
    nodes: &[NodeId],
    out: &[usize],
    now: Instant,
    rng: &mut Rng,
) -> Option<Choice> {
    let among = Candidates {
        count: nodes.len(),
        node: |index| &nodes[index],
        allowed: |node: &NodeId| !out.iter().any(|index| nodes[*index] == *node),
        when_all_out: WhenAllOut::Refuse,
    };
    balancer.choose(SERVICE, policy, &among, now, rng)
}

/// Calls one after the other, each of which takes what `latency` says (milliseconds) of its instance; how many each
/// instance got.
fn sequential(policy: Policy, calls: usize, latency: &[u64], out: &[usize]) -> Vec<usize> {
    let nodes = nodes(latency.len());
    let (mut balancer, mut rng) = (Balancer::new(), Rng::seed_from_u64(7));
    let (mut shares, mut now) = (vec![0; nodes.len()], at(0));
    for _ in 0..calls {
        let choice = choose(&mut balancer, policy, &nodes, out, now, &mut rng).unwrap();
        let flight = balancer.started(SERVICE, &nodes[choice.index], now);
        now = now + Duration::from_millis(latency[choice.index]);
        balancer.finished(SERVICE, &nodes[choice.index], flight, CallOutcome::Success, now);
        shares[choice.index] += 1;
    }
    shares
}

/// A service under open load: a call each `gap` milliseconds for a minute. Returns the calls per instance and the
/// latencies in order, in milliseconds.
fn open_load(policy: Policy, gap: u64, latency: &[u64], seed: u64) -> (Vec<usize>, Vec<u64>) {
    let nodes = nodes(latency.len());
    let (mut balancer, mut rng) = (Balancer::new(), Rng::seed_from_u64(seed));
    let mut under_way = BinaryHeap::new();
    let (mut flights, mut shares) = (Vec::new(), vec![0; nodes.len()]);
    for now in (0..60_000).step_by(gap as usize) {
        while let Some(Reverse((end, flight, index))) = under_way.pop() {
            if end > now {
                under_way.push(Reverse((end, flight, index)));
                break;
            }
            let node: &NodeId = &nodes[index];
            balancer.finished(SERVICE, node, flights[flight], CallOutcome::Success, at(end));
        }
        let index = choose(&mut balancer, policy, &nodes, &[], at(now), &mut rng).unwrap().index;
        under_way.push(Reverse((now + latency[index], flights.len(), index)));
        flights.push(balancer.started(SERVICE, &nodes[index], at(now)));
        shares[index] += 1;
    }
    let mut latencies: Vec<u64> =
        shares.iter().zip(latency).flat_map(|(share, latency)| vec![*latency; *share]).collect();
    latencies.sort_unstable();
    (shares, latencies)
}

fn p99(latencies: &[u64]) -> u64 {
    latencies[latencies.len() * 99 / 100]
}

#[test]
fn ten_calls_over_two_equals_are_five_each() {
    for policy in [Policy::PowerOfTwo, Policy::RoundRobin, Policy::LeastConnections] {
        assert_eq!(sequential(policy, 10, &[10, 10], &[]), [5, 5], "{policy}");
        // Not quite equal is a tie all the same.
        assert_eq!(sequential(policy, 10, &[10, 17], &[]), [5, 5], "{policy}");
    }
}

#[test]
fn more_equals_get_about_equal_shares() {
    assert_eq!(sequential(Policy::RoundRobin, 40, &[10; 4], &[]), [10; 4]);
    assert_eq!(sequential(Policy::LeastConnections, 40, &[10; 4], &[]), [10; 4]);
    for policy in [Policy::PowerOfTwo, Policy::Random] {
        let shares = sequential(policy, 4_000, &[10; 4], &[]);
        assert!(shares.iter().all(|share| (850..=1_150).contains(share)), "{policy}: {shares:?}");
    }
}

#[test]
fn those_that_are_left_out_leave_their_share_to_all_others() {
    assert_eq!(sequential(Policy::RoundRobin, 30, &[10; 4], &[2]), [10, 10, 0, 10]);
    assert_eq!(sequential(Policy::LeastConnections, 30, &[10; 4], &[2]), [10, 10, 0, 10]);
    for policy in [Policy::PowerOfTwo, Policy::Random] {
        let shares = sequential(policy, 3_000, &[10; 4], &[2]);
        assert_eq!(shares[2], 0, "{policy}");
        assert!(
            shares.iter().filter(|share| (850..=1_150).contains(*share)).count() == 3,
            "{policy}: {shares:?}"
        );
    }
}

#[test]
fn one_slow_instance_of_four_hardly_shows() {
    for seed in 0..10 {
        let (shares, latencies) = open_load(Policy::PowerOfTwo, 4, &[10, 10, 10, 100], seed);
        assert!(shares[3] > 0, "it is tried now and then");
        assert!(shares[3] * 20 < shares[0], "{shares:?}");
        let (even, all) = open_load(Policy::RoundRobin, 4, &[10, 10, 10, 100], seed);
        assert_eq!(even, [3_750; 4]);
        assert!(p99(&latencies) * 2 <= p99(&all), "p99 {} and {} ms", p99(&latencies), p99(&all));
    }
}

#[test]
fn least_connections_goes_where_the_fewest_calls_are() {
    let nodes = nodes(3);
    let (mut balancer, mut rng) = (Balancer::new(), Rng::seed_from_u64(1));
    for (node, calls) in nodes.iter().zip([2, 1, 3]) {
        for _ in 0..calls {
            let _ = balancer.started(SERVICE, node, at(0));
        }
    }
    let mut next = || {
        let index =
            choose(&mut balancer, Policy::LeastConnections, &nodes, &[], at(1), &mut rng).unwrap().index;
        let _ = balancer.started(SERVICE, &nodes[index], at(1));
        index
    };
    assert_eq!([next(), next(), next()], [1, 0, 1], "then all have three");
}

#[test]
fn a_failing_instance_is_avoided_and_comes_back() {
    let nodes = nodes(2);
    let (mut balancer, mut rng) = (Balancer::new(), Rng::seed_from_u64(3));
    let mut shares = |balancer: &mut Balancer, from: u64, fails: bool| {
        let mut shares = [0, 0];
        for call in 0..20 {
            let now = at(from + call * 20);
            let index = choose(balancer, Policy::PowerOfTwo, &nodes, &[], now, &mut rng).unwrap().index;
            let flight = balancer.started(SERVICE, &nodes[index], now);
            let (outcome, took) = match index {
                // It fails at once: the fastest by far.
                0 if fails => (CallOutcome::Failure, 0),
                _ => (CallOutcome::Success, 10),
            };
            balancer.finished(SERVICE, &nodes[index], flight, outcome, now + Duration::from_millis(took));
            shares[index] += 1;
        }
        shares
    };
    assert_eq!(shares(&mut balancer, 0, false), [10, 10]);
    assert_eq!(shares(&mut balancer, 1_000, true), [1, 19], "one failure is enough");
    assert_eq!(shares(&mut balancer, 20_000, false), [0, 20], "not forgotten yet");
    let later = shares(&mut balancer, 40_000, false);
    assert!(later[0] >= 8, "it did well when tried again: {later:?}");
}

#[test]
fn one_that_fails_from_its_first_call_on_is_no_bargain() {
    let nodes = nodes(2);
    let (mut balancer, mut rng) = (Balancer::new(), Rng::seed_from_u64(3));
    let mut shares = [0, 0];
    for call in 0..20 {
        let now = at(call * 1_000);
        let index = choose(&mut balancer, Policy::PowerOfTwo, &nodes, &[], now, &mut rng).unwrap().index;
        let flight = balancer.started(SERVICE, &nodes[index], now);
        let (outcome, took) = [(CallOutcome::Failure, 0), (CallOutcome::Success, 400)][index];
        balancer.finished(SERVICE, &nodes[index], flight, outcome, now + Duration::from_millis(took));
        shares[index] += 1;
    }
    assert_eq!(shares, [1, 19]);
}

#[test]
fn a_newcomer_is_neither_flooded_nor_starved() {
    let nodes = nodes(2);
    let (mut balancer, mut rng) = (Balancer::new(), Rng::seed_from_u64(3));
    let flight = balancer.started(SERVICE, &nodes[0], at(0));
    balancer.finished(SERVICE, &nodes[0], flight, CallOutcome::Success, at(10));
    let mut burst = |balancer: &mut Balancer, calls: usize| {
        let mut flights = [const { Vec::new() }; 2];
        for _ in 0..calls {
            let index = choose(balancer, Policy::PowerOfTwo, &nodes, &[], at(20), &mut rng).unwrap().index;
            flights[index].push(balancer.started(SERVICE, &nodes[index], at(20)));
        }
        flights
    };
    let [known, newcomer] = burst(&mut balancer, 40);
    assert_eq!((known.len(), newcomer.len()), (39, 1));
    balancer.finished(SERVICE, &nodes[1], newcomer[0], CallOutcome::Success, at(30));
    for flight in known {
        balancer.finished(SERVICE, &nodes[0], flight, CallOutcome::Success, at(30));
    }
    let [known, newcomer] = burst(&mut balancer, 40);
    assert!((14..=26).contains(&newcomer.len()), "{} and {}", known.len(), newcomer.len());
}

#[test]
fn no_more_than_half_are_left_out_and_the_best_come_back() {
    let nodes = nodes(10);
    let (mut balancer, mut rng) = (Balancer::new(), Rng::seed_from_u64(3));
    for (index, node) in nodes.iter().enumerate() {
        let flight = balancer.started(SERVICE, node, at(0));
        let outcome = if (2..6).contains(&index) { CallOutcome::Success } else { CallOutcome::Failure };
        balancer.finished(SERVICE, node, flight, outcome, at(10));
    }
    let out: Vec<usize> = (1..10).collect();
    let mut chosen = vec![0; 10];
    for _ in 0..50 {
        let choice = choose(&mut balancer, Policy::RoundRobin, &nodes, &out, at(20), &mut rng).unwrap();
        assert_eq!(choice.readmitted, choice.index != 0);
        chosen[choice.index] += 1;
    }
    assert_eq!(chosen, [10, 0, 10, 10, 10, 10, 0, 0, 0, 0], "one is well, and four are let back in");
    for _ in 0..50 {
        let choice = choose(&mut balancer, Policy::RoundRobin, &nodes, &out[4..], at(20), &mut rng).unwrap();
        assert!(!choice.readmitted && choice.index < 5, "half may be out");
    }
}

#[test]
fn where_all_are_out_the_caller_decides() {
    let nodes = nodes(3);
    let (mut balancer, mut rng) = (Balancer::new(), Rng::seed_from_u64(3));
    for (node, took) in nodes.iter().zip([3_000, 2_000, 4_000]) {
        let flight = balancer.started(SERVICE, node, at(0));
        balancer.finished(SERVICE, node, flight, CallOutcome::Success, at(took));
    }
    for policy in Policy::ALL {
        let mut ask = |when_all_out| {
            let among = Candidates {
                count: 3,
                node: |index| &nodes[index],
                allowed: |_: &NodeId| false,
                when_all_out,
            };
            balancer.choose(SERVICE, policy, &among, at(4_000), &mut rng)
        };
        assert_eq!(ask(WhenAllOut::Refuse), None);
        assert_eq!(ask(WhenAllOut::ChooseBest), Some(Choice { index: 1, readmitted: true }), "{policy}");
        assert_eq!(choose(&mut balancer, policy, &[], &[], at(0), &mut rng), None);
    }
}

#[test]
fn work_per_call_does_not_grow_with_the_candidates() {
    let nodes = nodes(10_000);
    let (mut balancer, mut rng) = (Balancer::new(), Rng::seed_from_u64(3));
    for policy in Policy::ALL {
        for (share_allowed, most) in
            [(1_000, if policy == Policy::LeastConnections { 128 } else { 2 }), (500, 130)]
        {
            for _ in 0..200 {
                let asked = Cell::new(0);
                let allowed = |node: &NodeId| {
                    asked.set(asked.get() + 1);
                    node.as_str().bytes().fold(7u32, |sum, byte| sum * 31 % 1_009 + u32::from(byte)) % 1_000
                        < share_allowed
                };
                let among = Candidates {
                    count: nodes.len(),
                    node: |index| &nodes[index],
                    allowed,
                    when_all_out: WhenAllOut::Refuse,
                };
                assert!(balancer.choose(SERVICE, policy, &among, at(0), &mut rng).is_some());
                assert!(asked.get() <= most, "{policy}: {} asked", asked.get());
            }
        }
        let asked = Cell::new(0);
        let allowed = |_: &NodeId| {
            asked.set(asked.get() + 1);
            false
        };
        let among = Candidates {
            count: nodes.len(),
            node: |index| &nodes[index],
            allowed,
            when_all_out: WhenAllOut::ChooseBest,
        };
        assert!(balancer.choose(SERVICE, policy, &among, at(0), &mut rng).is_some());
        assert!(asked.get() <= SEARCH_MOST + 2, "{policy}: {} asked", asked.get());
    }
}

#[test]
fn entries_are_bounded_and_idle_ones_dropped() {
    let nodes = nodes(MAX_INSTANCES + 1);
    let (mut balancer, mut rng) = (Balancer::new(), Rng::seed_from_u64(3));
    for node in &nodes {
        let _ = balancer.started(SERVICE, node, at(0));
    }
    assert_eq!(balancer.instances(), MAX_INSTANCES);
    let late = &nodes[MAX_INSTANCES..];
    assert_eq!(balancer.outstanding(SERVICE, &late[0]), 0);
    assert!(choose(&mut balancer, Policy::PowerOfTwo, late, &[], at(1), &mut rng).is_some());
    let flight = balancer.started(SERVICE, &late[0], at(1));
    balancer.finished(SERVICE, &late[0], flight, CallOutcome::Success, at(2));
    assert!(choose(&mut balancer, Policy::PowerOfTwo, late, &[], at(600_000), &mut rng).is_some());
    assert_eq!(balancer.instances(), 1, "only the one just chosen");
}

#[test]
fn calls_of_a_forgotten_instance_do_not_count_for_its_successor() {
    let nodes = nodes(1);
    let mut balancer = Balancer::new();
    let old = balancer.started(SERVICE, &nodes[0], at(0));
    balancer.forget(&nodes[0]);
    assert_eq!(balancer.instances(), 0);
    let _ = balancer.started(SERVICE, &nodes[0], at(1));
    balancer.finished(SERVICE, &nodes[0], old, CallOutcome::Failure, at(2));
    assert_eq!(balancer.outstanding(SERVICE, &nodes[0]), 1);
}

#[derive(Clone, Debug)]
enum Step {
    /// Choose with these allowed, and start the call.
    Call {
        policy: Policy,
        allowed: Vec<bool>,
        best: bool,
    },
    Finish(prop::sample::Index, CallOutcome),
    Forget(prop::sample::Index),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let policy = proptest::sample::select(&Policy::ALL[..]);
    let outcome =
        proptest::sample::select(&[CallOutcome::Success, CallOutcome::Failure, CallOutcome::Cancelled][..]);
    prop_oneof![
        6 => (policy, proptest::collection::vec(any::<bool>(), 0..12), any::<bool>())
            .prop_map(|(policy, allowed, best)| Step::Call { policy, allowed, best }),
        4 => (any::<prop::sample::Index>(), outcome).prop_map(|(flight, outcome)| Step::Finish(flight, outcome)),
        1 => any::<prop::sample::Index>().prop_map(Step::Forget),
        3 => prop_oneof![0u64..1_000, 0u64..1_000_000].prop_map(Step::Wait),
    ]
}

proptest! {
    #[test]
    fn any_history_keeps_the_rules(seed: u64, steps in proptest::collection::vec(step(), 1..150)) {
        let nodes = nodes(12);
        let (mut balancer, mut rng) = (Balancer::new(), Rng::seed_from_u64(seed));
        let mut now = 0;
        let mut flights: Vec<(usize, Flight)> = Vec::new();
        for step in steps {
            match step {
                Step::Call { policy, allowed, best } => {
                    let when_all_out = if best { WhenAllOut::ChooseBest } else { WhenAllOut::Refuse };
                    let among = Candidates {
                        count: allowed.len(),
                        node: |index| &nodes[index],
                        allowed: |node: &NodeId| allowed[nodes.iter().position(|other| other == node).unwrap()],
                        when_all_out,
                    };
                    let choice = balancer.choose(SERVICE, policy, &among, at(now), &mut rng);
                    let out = allowed.iter().filter(|allowed| !**allowed).count();
                    let all_out = out == allowed.len();
                    prop_assert_eq!(choice.is_some(), !all_out || (best && !allowed.is_empty()));
                    let Some(choice) = choice else { continue };
                    prop_assert_eq!(choice.readmitted, !allowed[choice.index]);
                    if choice.readmitted {
                        prop_assert!(all_out || out > allowed.len().div_ceil(2), "{} of {}", out, allowed.len());
                    }
                    flights.push((choice.index, balancer.started(SERVICE, &nodes[choice.index], at(now))));
                }
                Step::Finish(which, outcome) if !flights.is_empty() => {
                    let (index, flight) = flights.swap_remove(which.index(flights.len()));
                    let before = balancer.outstanding(SERVICE, &nodes[index]);
                    balancer.finished(SERVICE, &nodes[index], flight, outcome, at(now));
                    prop_assert!(before - balancer.outstanding(SERVICE, &nodes[index]) <= 1);
                    if balancer.loads.get(&nodes[index]).is_none() {
                        prop_assert_eq!(before, 0);
                    }
                }
                Step::Finish(..) => {}
                Step::Forget(which) => balancer.forget(&nodes[which.index(nodes.len())]),
                Step::Wait(millis) => now += millis,
            }
            for (index, node) in nodes.iter().enumerate() {
                let under_way = flights.iter().filter(|(other, _)| *other == index).count();
                prop_assert!(balancer.outstanding(SERVICE, node) as usize <= under_way);
                let cost = balancer.load(SERVICE, node).map_or(0.0, |load| load.cost(at(now)));
                prop_assert!(cost.is_finite() && cost >= 0.0);
            }
            prop_assert!(balancer.instances() <= nodes.len());
        }
    }
}
