//! Relays that take part in the DHT: what they publish, whom they know, and what a restart leaves of it.

#[expect(dead_code, reason = "nobody here calls services")]
mod stage;

use std::time::Duration;

use relay_node::config::{BindAddresses, DhtSettings};
use relay_sim::engine::event::Sim;
use relay_sim::scenario::HostIndex;
use relay_sim::world::World;
use serde_json::{Value, json};

use stage::{ask, in_world};

const MAIN_A: HostIndex = HostIndex(0);
const MAIN_B: HostIndex = HostIndex(1);
const ALICE: HostIndex = HostIndex(2);
const BOB: HostIndex = HostIndex(3);
const ALL: [HostIndex; 4] = [MAIN_A, MAIN_B, ALICE, BOB];

const TWO_AND_TWO: &str = r#"
duration = "1h"
[[main]]
name = "main-a"
[[main]]
name = "main-b"
peers = ["main-a"]
[[home]]
name = "alice"
main = "main-a"
fallback = ["main-b"]
[[home]]
name = "bob"
main = "main-b"
"#;

fn start(world: &World, host: HostIndex) {
    let v4 = Some(std::net::Ipv4Addr::UNSPECIFIED);
    let addresses = BindAddresses::Given { v4, v6: None };
    world.start_as(host, |config| config.dht = Some(DhtSettings { addresses, ..DhtSettings::default() }));
}

async fn all_up(sim: &Sim, world: &World) {
    ALL.into_iter().for_each(|host| start(world, host));
    sim.sleep(Duration::from_secs(60)).await;
}

async fn status(world: &World, host: HostIndex) -> Value {
    ask(world, host, "/dht/status", None).await
}

async fn peer_id(world: &World, host: HostIndex) -> String {
    status(world, host).await["peer_id"].as_str().expect("the DHT is on").to_owned()
}

/// What `from` finds out about `of`.
async fn look_up(world: &World, from: HostIndex, of: HostIndex) -> Value {
    let peer = peer_id(world, of).await;
    ask(world, from, &format!("/dht/peers/{peer}"), None).await
}

#[test]
fn everybody_knows_everybody_and_finds_what_each_says_of_itself() {
    in_world(TWO_AND_TWO, async |sim, world| {
        all_up(&sim, &world).await;
        for from in ALL {
            let known = ask(&world, from, "/dht/peers", None).await;
            assert_eq!((&known["total"], &known["next"]), (&json!(3), &Value::Null), "{known}");
            for of in ALL {
                let found = look_up(&world, from, of).await;
                let own = &status(&world, of).await["metadata"];
                assert_eq!(&found["metadata"], own, "{from:?} of {of:?}");
                assert_eq!(found["connectable"], true, "{found}");
            }
        }
        let (main, home) = (look_up(&world, BOB, MAIN_A).await, look_up(&world, MAIN_B, ALICE).await);
        assert_eq!(main["metadata"]["public_ip"], "11.0.0.1", "as its Homes see it");
        assert_eq!((&main["metadata"]["public_port"], &main["cached"]), (&json!(8080), &json!(true)));
        assert_eq!(home["metadata"]["connected_relay"], peer_id(&world, MAIN_A).await);
        assert_eq!(home["metadata"]["relay_address"], "ws://main-a:8080");
        let unknown = ask(&world, BOB, &format!("/dht/peers/{}", "ab".repeat(20)), None).await;
        assert!(unknown["error"].as_str().unwrap().contains("has published nothing"), "{unknown}");
        let page = ask(&world, BOB, "/dht/peers?limit=2", None).await;
        let next = page["next"].as_str().unwrap();
        let rest = ask(&world, BOB, &format!("/dht/peers?after={next}"), None).await;
        assert_eq!(
            (page["peers"].as_array().unwrap().len(), rest["peers"].as_array().unwrap().len()),
            (2, 1)
        );
    });
}

#[test]
fn a_home_that_turns_to_another_main_says_so_at_once() {
    in_world(TWO_AND_TWO, async |sim, world| {
        all_up(&sim, &world).await;
        let before = look_up(&world, BOB, ALICE).await["metadata"]["sequence"].as_i64().unwrap();
        let main_b = peer_id(&world, MAIN_B).await;
        world.kill(MAIN_A);
        sim.sleep(Duration::from_secs(5)).await;
        let own = status(&world, ALICE).await;
        assert_eq!(own["metadata"]["connected_relay"], main_b, "{own}");
        assert_eq!(own["publication"]["state"], "kept", "{own}");
        // Looked up a moment ago, it is as it was for as long as the cache says.
        assert_eq!(look_up(&world, BOB, ALICE).await["metadata"]["sequence"], before);
        sim.sleep(Duration::from_secs(300)).await;
        let after = look_up(&world, BOB, ALICE).await;
        assert_eq!(after["metadata"]["connected_relay"], main_b, "{after}");
        assert!(after["metadata"]["sequence"].as_i64().unwrap() > before, "{after}");
    });
}

#[test]
fn a_restart_changes_no_version_and_forgets_nobody() {
    in_world(TWO_AND_TWO, async |sim, world| {
        all_up(&sim, &world).await;
        // Long enough that all is written down.
        sim.sleep(Duration::from_secs(660)).await;
        let before = status(&world, MAIN_A).await;
        world.power_cut(MAIN_A);
        ALL[1..].iter().for_each(|host| world.kill(*host));
        sim.power_on(world.host(MAIN_A));
        start(&world, MAIN_A);
        sim.sleep(Duration::from_secs(30)).await;
        let after = status(&world, MAIN_A).await;
        for same in ["peer_id", "dht_node_id", "known_peers"] {
            assert_eq!(after[same], before[same], "{same}");
        }
        // Alone, nobody tells it its address: it says what it said before.
        let content = |status: &Value| status["metadata"]["sequence"].clone();
        assert!(content(&after).as_i64() >= content(&before).as_i64(), "{after}");
    });
}

#[test]
fn without_the_dht_nothing_is_said_of_it() {
    in_world(TWO_AND_TWO, async |sim, world| {
        start(&world, MAIN_A);
        world.start(MAIN_B);
        sim.sleep(Duration::from_secs(30)).await;
        assert_eq!(status(&world, MAIN_B).await, json!({ "enabled": false }));
        let refusal = ask(&world, MAIN_B, "/dht/peers", None).await;
        assert!(refusal["error"].as_str().unwrap().contains("-dht off"), "{refusal}");
        assert_eq!(status(&world, MAIN_A).await["known_peers"], 0, "one without the DHT is no peer in it");
    });
}
