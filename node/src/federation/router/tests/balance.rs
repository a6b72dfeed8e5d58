//! Whose word counts on how calls are spread.

use std::collections::BTreeMap;

use super::ANNOUNCED;
use super::world::World;
use crate::federation::Policy;

/// How `node` spreads calls for the shop.
fn policy(world: &mut World, node: &'static str) -> Policy {
    world.router(node).registry().offerers("shop").expect("somebody has a shop").policy
}

/// Two Mains; bob hangs on the second, which says this of how calls are spread, with this shop.
fn world(balance: &[(&str, Policy)], shop: &str) -> World {
    let mut world = World::default();
    world.main("relay-a", &[]);
    world.balance = balance.iter().map(|(name, policy)| ((*name).to_owned(), *policy)).collect();
    world.main("relay-b", &[]);
    world.balance = BTreeMap::new();
    world.connect("relay-a", "relay-b");
    world.home_at("bob", "relay-b", &[shop]);
    world.advance(ANNOUNCED);
    world
}

#[test]
fn the_homes_wish_counts_at_its_main_and_at_those_that_hear_of_it() {
    let mut world = world(&[], "shop=round-robin");
    assert_eq!(policy(&mut world, "relay-b"), Policy::RoundRobin);
    assert_eq!(policy(&mut world, "relay-a"), Policy::RoundRobin);
}

#[test]
fn a_mains_own_word_wins_over_the_homes_wish_and_is_what_others_hear() {
    let mut world = world(&[("shop", Policy::Random), ("blog", Policy::RoundRobin)], "shop=round-robin");
    assert_eq!(policy(&mut world, "relay-b"), Policy::Random);
    assert_eq!(policy(&mut world, "relay-a"), Policy::Random);
}

#[test]
fn where_nobody_says_anything_two_are_drawn_and_the_better_one_gets_the_call() {
    let mut world = world(&[], "shop");
    assert_eq!(policy(&mut world, "relay-b"), Policy::PowerOfTwo);
    assert_eq!(policy(&mut world, "relay-a"), Policy::PowerOfTwo);
}
