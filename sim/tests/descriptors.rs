//! A relay that has run out of file descriptors: it waits, and goes on when there are some.

#[expect(dead_code, reason = "only its world and its operator are needed here")]
mod stage;

use std::time::Duration;

use relay_sim::engine::event::HostSet;
use relay_sim::scenario::HostIndex;
use serde_json::json;
use stage::{ask, in_world};

const MAIN: HostIndex = HostIndex(0);
const HOME: HostIndex = HostIndex(1);

const WORLD: &str = r#"
duration = "1h"
[[service]]
name = "echo"
kind = "echo"
[[main]]
name = "main-a"
[[home]]
name = "home-a"
main = "main-a"
services = ["echo"]
"#;

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn who_cannot_be_accepted_waits_and_the_relay_does_not_spin() {
    in_world(WORLD, async |sim, world| {
        // Its listener, its database and the log of that, and nothing else.
        sim.set_descriptor_limit(world.host(MAIN), Some(3));
        world.start(MAIN);
        sim.sleep(secs(1)).await;
        world.start(HOME);
        sim.sleep(secs(1)).await;
        let before = sim.events();
        sim.sleep(secs(10)).await;
        // Ten looks a second, and a Home that dials again with growing waits.
        let events = sim.events() - before;
        assert!((100..2_000).contains(&events), "{events} events in 10 s");
        assert!(world.is_up(MAIN) && world.is_up(HOME));

        sim.set_descriptor_limit(world.host(MAIN), None);
        sim.sleep(secs(25)).await;
        let listed = ask(&world, MAIN, "/registry", None).await;
        assert!(listed.to_string().contains("echo"), "its Home is back: {listed}");
    });
}

#[test]
fn a_relay_without_descriptors_ends_when_it_is_asked_to() {
    in_world(WORLD, async |sim, world| {
        world.start(MAIN);
        sim.sleep(secs(1)).await;
        sim.set_descriptor_limit(world.host(MAIN), Some(1));
        world.start(HOME);
        sim.sleep(secs(5)).await;
        world.stop(MAIN);
        sim.sleep(secs(15)).await;
        assert!(!world.is_up(MAIN));
    });
}

#[test]
fn a_home_with_descriptors_for_its_link_and_no_more_has_its_link() {
    in_world(WORLD, async |sim, world| {
        world.start(MAIN);
        world.start(HOME);
        sim.sleep(secs(5)).await;
        // It has a key of its Main, and needs no database to know it again; its list of keys it cannot read, and goes by
        // what that said before.
        sim.set_descriptor_limit(world.host(HOME), Some(2));
        sim.reset_streams(&HostSet::of([world.host(HOME)]), &HostSet::of([world.host(MAIN)]), 1.0);
        // Its listener and its link: there is none left for the client that asks.
        sim.sleep(secs(20)).await;
        sim.set_descriptor_limit(world.host(HOME), Some(3));
        let health = ask(&world, HOME, "/health", None).await;
        assert_eq!(health["links"], json!(1), "{health}");
    });
}

#[test]
fn a_home_that_cannot_keep_its_mains_key_is_not_linked_until_it_can() {
    in_world(WORLD, async |sim, world| {
        world.start(MAIN);
        // Its listener and its link, and one more: a database needs two.
        sim.set_descriptor_limit(world.host(HOME), Some(3));
        world.start(HOME);
        sim.sleep(secs(20)).await;
        assert!(world.is_up(HOME));
        let health = ask(&world, HOME, "/health", None).await;
        assert_eq!(health["links"], json!(0), "{health}");
        sim.set_descriptor_limit(world.host(HOME), None);
        sim.sleep(secs(25)).await;
        let health = ask(&world, HOME, "/health", None).await;
        assert_eq!(health["links"], json!(1), "{health}");
    });
}

#[test]
fn a_relay_that_cannot_open_its_files_says_so_and_ends() {
    let text = format!(
        "{WORLD}[[fault]]\nat = \"0s\"\nkind = \"descriptors\"\nhost = \"main-a\"\nlimit = 1\nlasts = \"1m\"\n"
    );
    for (limit, words) in [(0, "Too many open files"), (1, "unable to open database file")] {
        let said = in_world(&text, async move |sim, world| {
            sim.set_descriptor_limit(world.host(MAIN), Some(limit));
            world.start(MAIN);
            sim.sleep(secs(1)).await;
            assert!(!world.is_up(MAIN));
            world.process(MAIN).unwrap().1.unwrap()
        });
        assert!(said.contains("data directory") && said.contains(words), "{said}");
    }
}
