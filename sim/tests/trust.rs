//! Who may come in where nobody is on anybody's loopback.

#[expect(dead_code, reason = "others call services")]
mod stage;

use std::time::Duration;

use relay_node::federation::{Secret, TrustPolicy};
use relay_sim::engine::event::Sim;
use relay_sim::scenario::HostIndex;
use relay_sim::world::World;
use serde_json::Value;

use stage::{ask, in_world};

const TWO_MAINS: &str = r#"
duration = "10m"
[[service]]
name = "echo"
kind = "echo"
[[main]]
name = "main-a"
peers = []
[[main]]
name = "main-b"
peers = ["main-a"]
[[home]]
name = "home"
main = "main-a"
services = ["echo"]
"#;

const A: HostIndex = HostIndex(0);
const B: HostIndex = HostIndex(1);
const HOME: HostIndex = HostIndex(2);

/// Starts a Main that knows this secret of its peers.
fn start(world: &World, main: HostIndex, secret: Option<&str>) {
    let peer_secret = secret.map(|text| Secret::new(text).expect("long enough"));
    world.start_as(main, |config| config.trust = TrustPolicy { peer_secret, ..TrustPolicy::default() });
}

/// Mains that this one is connected to.
async fn peers(world: &World, main: HostIndex) -> u64 {
    ask(world, main, "/federation/health", None).await["connected_peers"].as_u64().expect("a number")
}

/// Why the last attempt to connect to a peer failed.
async fn last_error(world: &World, main: HostIndex) -> String {
    let peers: Value = ask(world, main, "/federation/peers", None).await;
    peers["peers"][0]["last_error"].as_str().expect("there is one").to_owned()
}

async fn write(sim: &Sim, world: &World, host: HostIndex, file: &'static str, text: String) {
    let (sender, done) = tokio::sync::oneshot::channel();
    sim.start(world.host(host), "operator", relay_sim::engine::event::ProcessKind::Harness, move |env| {
        Box::pin(async move {
            env.storage.write(file, text.as_bytes()).unwrap();
            let _ = sender.send(());
        })
    });
    done.await.unwrap();
}

#[test]
fn an_unknown_main_stays_out_until_both_operators_have_a_line_of_the_other() {
    in_world(TWO_MAINS, async |sim, world| {
        start(&world, A, None);
        start(&world, B, None);
        sim.sleep(Duration::from_secs(5)).await;
        assert_eq!((peers(&world, A).await, peers(&world, B).await), (0, 0));
        let words = last_error(&world, B).await;
        assert!(words.contains("main-a does not know the Main main-b"), "{words}");
        let line = words.rsplit_once(": ").unwrap().1.to_owned();
        assert!(line.starts_with("main-b "), "{line}");

        // Now the other one does not know the first.
        write(&sim, &world, A, "trusted_keys", line).await;
        sim.sleep(Duration::from_secs(20)).await;
        let words = last_error(&world, B).await;
        assert!(words.contains("main-b does not know the Main main-a"), "{words}");
        assert_eq!((peers(&world, A).await, peers(&world, B).await), (0, 0), "trust is mutual or not at all");
        write(&sim, &world, B, "trusted_keys", words.rsplit_once(": ").unwrap().1.to_owned()).await;
        sim.sleep(Duration::from_secs(20)).await;
        assert_eq!((peers(&world, A).await, peers(&world, B).await), (1, 1));
    });
}

#[test]
fn mains_that_share_a_secret_know_each_other_and_others_do_not() {
    in_world(TWO_MAINS, async |sim, world| {
        start(&world, A, Some("known to both of them"));
        start(&world, B, Some("known to one of them only"));
        sim.sleep(Duration::from_secs(5)).await;
        assert_eq!((peers(&world, A).await, peers(&world, B).await), (0, 0));
        world.kill(B);
        start(&world, B, Some("known to both of them"));
        sim.sleep(Duration::from_secs(5)).await;
        assert_eq!((peers(&world, A).await, peers(&world, B).await), (1, 1));

        // Whoever loses its disk is another one, whatever it knows.
        world.power_cut(B);
        sim.wipe(world.host(B));
        sim.power_on(world.host(B));
        start(&world, B, Some("known to both of them"));
        sim.sleep(Duration::from_secs(100)).await;
        assert_eq!((peers(&world, A).await, peers(&world, B).await), (0, 0));
        let words = last_error(&world, B).await;
        assert!(words.contains("another key than the one that main-a knows it by"), "{words}");
    });
}

#[test]
fn a_pinned_home_is_known_after_its_mains_power_was_cut_at_once() {
    in_world(TWO_MAINS, async |sim, world| {
        start(&world, A, None);
        world.start(HOME);
        // As soon as it hangs there.
        while ask(&world, A, "/federation/health", None).await["connected_homes"] == 0 {
            sim.sleep(Duration::from_millis(1)).await;
        }
        world.power_cut(A);
        sim.power_on(world.host(A));
        start(&world, A, None);
        sim.sleep(Duration::from_secs(100)).await;
        let homes = async || ask(&world, A, "/federation/health", None).await["connected_homes"].clone();
        assert_eq!(homes().await, 1);
        world.kill(HOME);
        sim.wipe(world.host(HOME));
        world.start(HOME);
        sim.sleep(Duration::from_secs(100)).await;
        assert_eq!(homes().await, 0, "another one under its name");
    });
}
