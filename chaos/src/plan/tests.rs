use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn shape(mains: usize, homes: usize, minutes: u64) -> Shape {
    let host = |is_main: bool, number: usize| HostShape {
        name: format!("{}-{number}", if is_main { "main" } else { "home" }),
        is_main,
        has_certificate: is_main,
        may_lose_disk: !is_main && number % 2 == 1,
        start: Duration::from_secs(if number == 2 { 100 } else { 0 }),
    };
    let mains = (1..=mains).map(|number| host(true, number));
    let homes = (1..=homes).map(|number| host(false, number));
    Shape { hosts: mains.chain(homes).collect(), duration: Duration::from_secs(minutes * 60) }
}

fn appetite(rate: &str) -> Appetite {
    Appetite { failure_rate: rate.parse().unwrap(), families: Family::all().collect() }
}

fn plan(seed: u64, rate: &str) -> Plan {
    draw(seed, &shape(3, 6, 10), &appetite(rate)).unwrap()
}

#[test]
fn a_seed_always_draws_the_same_plan_and_another_one_another() {
    assert_eq!(plan(7, "10%"), plan(7, "10%"));
    assert_ne!(plan(7, "10%").faults, plan(8, "10%").faults);
}

#[test]
fn swarms_differ_in_their_families_and_none_is_empty() {
    let swarms: BTreeSet<Vec<&str>> = (0..100)
        .map(|seed| plan(seed, "10%").families.iter().map(|(family, _)| family.name()).collect())
        .collect();
    assert!(swarms.len() > 50, "{}", swarms.len());
    assert!(swarms.iter().all(|swarm| !swarm.is_empty()));
    for family in Family::all() {
        let on = swarms.iter().filter(|swarm| swarm.contains(&family.name())).count();
        assert!((swarms.len() / 4..swarms.len() * 3 / 4).contains(&on), "{family} is on {on} times");
    }
}

#[test]
fn the_share_of_host_time_under_faults_is_the_one_asked_for() {
    for (rate, wanted) in [("2%", 0.02), ("10%", 0.1), ("30%", 0.3), ("50%", 0.5)] {
        // Those that can happen to anyone; where only others are on, some slots stay empty.
        let families = ["partition", "link", "kill", "stop"].map(|name| name.parse().unwrap());
        let some = Appetite { families: families.to_vec(), ..appetite(rate) };
        let plans = (0..200).map(|seed| draw(seed, &shape(3, 6, 60), &some).unwrap());
        let shares: Vec<f64> = plans.map(|plan| plan.under_fault.as_f64()).collect();
        let mean = shares.iter().sum::<f64>() / shares.len() as f64;
        // The more there is of it, the more what several share pushes single slots aside.
        assert!((wanted * 0.75..wanted * 1.1).contains(&mean), "{rate}: {mean}");
    }
    assert!(plan(1, "0%").faults.is_empty());
}

#[test]
fn what_cannot_be_is_refused_in_words() {
    let words = |shape: &Shape, appetite: &Appetite| draw(1, shape, appetite).unwrap_err().to_string();
    assert!(words(&shape(3, 6, 4), &appetite("10%")).contains("at least 300 s"));
    assert!(words(&shape(3, 6, 10), &appetite("51%")).contains("at most 50%"));
    let mut plain = shape(1, 1, 10);
    plain.hosts.iter_mut().for_each(|host| host.has_certificate = false);
    let only = Appetite { families: vec!["expiry".parse().unwrap()], ..appetite("10%") };
    assert!(words(&plain, &only).contains("no family"));
    let unknown = "earthquake".parse::<Family>().unwrap_err();
    assert!(unknown.contains("earthquake") && unknown.contains("power-cut"), "{unknown}");
}

proptest! {
    #[test]
    fn everything_happens_in_the_safety_phase_and_has_an_end(
        seed: u64, mains in 1_usize..4, homes in 0_usize..7, minutes in 5_u64..60, percent in 1_u64..=50,
    ) {
        let appetite = appetite(&format!("{percent}%"));
        let plan = draw(seed, &shape(mains, homes, minutes), &appetite).unwrap();
        let Phases { safety, heal, end } = plan.phases;
        prop_assert!(safety < heal && heal + Duration::from_secs(LIVENESS_SECONDS_MIN) <= end);
        for fault in &plan.faults {
            let active = fault.active();
            prop_assert!(active.start >= safety, "{fault:?}");
            prop_assert!(active.end.is_some_and(|end| end <= heal), "{fault:?}");
        }
    }

    #[test]
    fn no_host_goes_down_while_it_is_down_or_before_its_start(seed: u64, percent in 1_u64..=50) {
        let shape = shape(3, 6, 20);
        let plan = draw(seed, &shape, &appetite(&format!("{percent}%"))).unwrap();
        for host in &shape.hosts {
            let takes_down = |fault: &&Fault| fault.takes_down(|set| set.patterns().contains(&host.name));
            let down: Vec<_> = plan.faults.iter().filter(takes_down).map(Fault::active).collect();
            prop_assert!(down.iter().all(|active| active.start > host.start));
            prop_assert!(down.windows(2).all(|pair| pair[0].end.unwrap() < pair[1].start), "{down:?}");
        }
    }

    #[test]
    fn switching_a_family_off_leaves_the_others_where_they_are(seed: u64, off in 0_usize..17) {
        let shape = shape(3, 6, 20);
        let with = draw(seed, &shape, &appetite("20%")).unwrap();
        let gone = Family::all().nth(off).unwrap();
        prop_assume!(with.families.iter().any(|(family, _)| *family != gone));
        let fewer = Appetite {
            families: Family::all().filter(|family| *family != gone).collect(), ..appetite("20%")
        };
        let without = draw(seed, &shape, &fewer).unwrap();
        let kept: Vec<_> = with.families.iter().copied().filter(|(family, _)| *family != gone).collect();
        prop_assert_eq!(&without.families, &kept);
        // Alone, a family's faults are more: it gets all slots. Those that it had it has still.
        for (family, _) in kept {
            let one = Appetite { families: vec![family], ..appetite("20%") };
            let alone = draw(seed, &shape, &one).unwrap();
            let of_family = |plan: &Plan| -> Vec<Fault> {
                plan.faults.iter().filter(|fault| alone.faults.contains(fault)).cloned().collect()
            };
            for fault in of_family(&with) {
                prop_assert!(without.faults.contains(&fault), "{fault:?}");
            }
        }
    }
}
