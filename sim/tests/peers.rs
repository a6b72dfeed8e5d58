//! Where a Main's peers come from, and what it says of them.

#[expect(dead_code, reason = "only its world and its operator are needed here")]
mod stage;

use std::collections::BTreeMap;
use std::time::Duration;

use relay_chaos::NameAnswer;
use relay_node::config::{Config, Limits, MainRole, NodeIdSource, PeerLists, Role, Timing, Tokens};
use relay_node::env::SrvRecord;
use relay_node::federation::{Secret, TrustPolicy};
use relay_sim::engine::event::{HostId, HostSet, ProcessKind, Sim};
use relay_sim::scenario::HostIndex;
use relay_sim::world::World;
use serde_json::{Value, json};
use stage::{ask, in_world};

const A: HostIndex = HostIndex(0);
const B: HostIndex = HostIndex(1);
const C: HostIndex = HostIndex(2);

/// `main-a` knows a name; the others know nobody.
const BY_NAME: &str = r#"
duration = "1h"
[network]
latency = "20ms"
jitter = "0s"
[[dns]]
name = "_relay._tcp.fed"
targets = ["main-a", "main-b"]
[[main]]
name = "main-a"
peers_srv = "_relay._tcp.fed"
[[main]]
name = "main-b"
peers = []
[[main]]
name = "main-c"
peers = []
"#;

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What `main-a` says of its peers, by node id or else by address.
async fn peers(world: &World, host: HostIndex) -> BTreeMap<String, Value> {
    let told = ask(world, host, "/federation/peers", None).await;
    assert_eq!(told["health_check"], json!({ "heartbeat_seconds": 30.0, "down_after_seconds": 60.0 }));
    let peers = told["peers"].as_array().unwrap().iter().map(|peer| {
        let name = peer["node_id"].as_str().or(peer["address"].as_str()).unwrap();
        (name.to_owned(), peer.clone())
    });
    peers.collect()
}

fn srv(targets: &[&str]) -> Vec<SrvRecord> {
    let record =
        |target: &&str| SrvRecord { priority: 0, weight: 0, port: 8080, target: (*target).to_owned() };
    targets.iter().map(record).collect()
}

#[test]
fn names_are_looked_up_again_and_a_link_outlives_its_name() {
    in_world(BY_NAME, async |sim, world| {
        [A, B].iter().for_each(|main| world.start(*main));
        sim.sleep(secs(5)).await;
        let seen = peers(&world, A).await;
        let b = &seen["main-b"];
        assert_eq!((&b["state"], &b["sources"]), (&json!("connected"), &json!(["dns"])), "{b}");
        let me = &seen["ws://main-a:8080"];
        assert_eq!(me["state"], "left-out", "a name may stand for all Mains: {me}");
        assert_eq!(ask(&world, A, "/federation/health", None).await["status"], "healthy");

        // main-d is new and not there; main-b is gone from the name, and its link stays.
        sim.set_srv("_relay._tcp.fed", srv(&["main-c"]));
        sim.sleep(secs(70)).await;
        let seen = peers(&world, A).await;
        assert_eq!(seen["main-b"]["state"], "connected");
        assert_eq!(seen["main-b"]["sources"], json!([]), "nobody has it dialled any more");
        let c = &seen["ws://main-c:8080"];
        assert_eq!((&c["status"], &c["sources"]), (&json!("down"), &json!(["dns"])), "{c}");
        assert!(c["failures"].as_u64().unwrap() > 2 && c["last_error"].is_string(), "{c}");
        assert!(!seen.contains_key("ws://main-a:8080"));

        // Its link ends: it is not dialled again, though it is back at once.
        world.kill(B);
        world.start(B);
        sim.sleep(secs(120)).await;
        let seen = peers(&world, A).await;
        assert_eq!((&seen["main-b"]["state"], &seen["main-b"]["status"]), (&json!("gone"), &json!("down")));

        // A name that stands for nothing is taken for a mistake.
        sim.set_srv("_relay._tcp.fed", srv(&["main-b"]));
        sim.sleep(secs(70)).await;
        assert_eq!(peers(&world, A).await["main-b"]["state"], "connected");
        sim.set_srv("_relay._tcp.fed", srv(&[]));
        sim.sleep(secs(70)).await;
        world.kill(B);
        sim.sleep(secs(5)).await;
        world.start(B);
        sim.sleep(secs(40)).await;
        assert_eq!(peers(&world, A).await["main-b"]["state"], "connected");
    });
}

#[test]
fn the_health_of_a_peer_can_be_seen() {
    in_world(BY_NAME, async |sim, world| {
        [A, B].iter().for_each(|main| world.start(*main));
        sim.sleep(secs(100)).await;
        let b = peers(&world, A).await["main-b"].clone();
        // The round trip: 20 ms there and 20 ms back.
        let round_trip = b["round_trip_ms"].as_f64().unwrap();
        assert!((40.0..45.0).contains(&round_trip), "{b}");
        let heard = b["last_heard_seconds"].as_u64().unwrap();
        assert!(heard <= 10, "the third heartbeat came 10 s ago: {b}");
        assert!(b["connected_seconds"].as_u64().unwrap() >= 98, "{b}");
        let a = peers(&world, B).await["main-a"].clone();
        assert_eq!((&a["sources"], &a["failures"]), (&json!(["inbound"]), &json!(0)));
        assert!(a["round_trip_ms"].is_number() && a["last_heard_seconds"].is_number(), "{a}");

        world.kill(A);
        sim.sleep(secs(30)).await;
        let a = peers(&world, B).await["main-a"].clone();
        assert_eq!((&a["state"], &a["status"]), (&json!("gone"), &json!("down")), "{a}");
        assert_eq!(a["since_seconds"], 29, "{a}");
        assert_eq!(ask(&world, B, "/federation/health", None).await["status"], "degraded");
        sim.sleep(secs(600)).await;
        assert_eq!(peers(&world, B).await["main-a"]["state"], "gone");
        assert_eq!(
            ask(&world, B, "/federation/health", None).await["status"],
            "healthy",
            "it may be gone for good"
        );

        world.start(A);
        world.kill(B);
        sim.sleep(secs(20)).await;
        let b = peers(&world, A).await["ws://main-b:8080"].clone();
        let waits =
            b["state"] == "waiting" && b["retry_in_seconds"].as_f64().is_some_and(|wait| wait <= 15.0);
        assert!(waits || b["state"] == "connecting", "{b}");
    });
}

#[test]
fn a_main_that_closes_still_knows_the_peers_that_it_was_given() {
    let text = BY_NAME.replace("peers_srv = \"_relay._tcp.fed\"", "peers = [\"main-b\", \"main-c\"]");
    in_world(&text, async |sim, world| {
        // The other peer is not there: it is dialled again and again.
        [A, C].iter().for_each(|main| world.start(*main));
        sim.sleep(secs(2)).await;
        world.stop(A);
        // For as long as it answers at all.
        for _ in 0..9 {
            sim.sleep(Duration::from_millis(50)).await;
            let known = peers(&world, A).await;
            assert!(known.contains_key("ws://main-b:8080"), "at {:?}: {known:?}", sim.now());
        }
    });
}

/// Starts a Main whose peers are in a file.
fn by_file(sim: &Sim, world: &World, host: HostId) {
    let config = Config {
        role: Role::Main(MainRole {
            listen: "0.0.0.0:8080".parse().unwrap(),
            tls: false,
            address: None,
            peers: Vec::new(),
            listed: PeerLists { file: Some("peers.txt".into()), srv: None },
            balance: BTreeMap::new(),
        }),
        node_id: NodeIdSource::Given("by-file".parse().unwrap()),
        services: Vec::new(),
        timing: Timing::default(),
        limits: Limits::default(),
        trust: TrustPolicy { peer_secret: Secret::new(world.peer_secret()), ..TrustPolicy::default() },
        tokens: Tokens::default(),
        dht: None,
    };
    sim.start(host, "relay", ProcessKind::Node, |env| {
        Box::pin(async move {
            relay_node::run(config, env, std::future::pending()).await.expect("it can run");
        })
    });
}

#[test]
fn a_file_of_peers_is_read_anew_and_a_mistake_in_it_changes_nothing() {
    in_world(BY_NAME, async |sim, world| {
        world.start(B);
        let host = world.host(A);
        let write = |text: &str| {
            let process =
                sim.start(host, "editor", ProcessKind::Harness, |_| Box::pin(std::future::pending()));
            sim.env(host, process).storage.write("peers.txt", text.as_bytes()).unwrap();
        };
        write("# nobody yet\n");
        by_file(&sim, &world, host);
        sim.sleep(secs(5)).await;
        assert!(peers(&world, A).await.is_empty());
        write("ws://main-b:8080  # the first\n");
        sim.sleep(secs(35)).await;
        let b = peers(&world, A).await["main-b"].clone();
        assert_eq!((&b["state"], &b["sources"]), (&json!("connected"), &json!(["file"])));
        write("ws://main-c:8080\nhttp://main-b\n");
        sim.sleep(secs(35)).await;
        let seen = peers(&world, A).await;
        assert_eq!((seen.len(), &seen["main-b"]["sources"]), (1, &json!(["file"])));
        write("ws://main-c:8080\n");
        sim.sleep(secs(35)).await;
        let seen = peers(&world, A).await;
        assert_eq!(seen["main-b"]["state"], "connected", "a link stays");
        assert_eq!(seen["ws://main-c:8080"]["sources"], json!(["file"]));
    });
}

/// `main-b` dials `main-a`, and there is nobody else.
const TWO: &str = r#"
duration = "1h"
[[main]]
name = "main-a"
[[main]]
name = "main-b"
"#;

#[test]
fn a_peer_whose_name_once_led_here_is_found_when_it_leads_there() {
    in_world(TWO, async |sim, world| {
        // With two hosts, a wrong answer can only be one's own address.
        sim.set_names(world.host(B), Some(NameAnswer::Wrong));
        [A, B].iter().for_each(|main| world.start(*main));
        sim.sleep(secs(150)).await;
        let a = peers(&world, B).await["ws://main-a:8080"].clone();
        assert_eq!((&a["state"], &a["failures"]), (&json!("left-out"), &json!(0)), "{a}");
        assert_eq!(ask(&world, B, "/federation/health", None).await["status"], "healthy");
        sim.set_names(world.host(B), None);
        sim.sleep(secs(65)).await;
        assert_eq!(peers(&world, B).await["main-a"]["state"], "connected");
    });
}

/// `main-c` dials the others by their names. Nobody else knows of anybody.
const BY_NAME_ONLY: &str = r#"
duration = "1h"
[[main]]
name = "main-a"
peers = []
[[main]]
name = "main-b"
peers = []
[[main]]
name = "main-c"
"#;

#[test]
fn a_peer_whose_name_once_led_to_another_peer_is_found_when_it_leads_there() {
    in_world(BY_NAME_ONLY, async |sim, world| {
        const C: HostIndex = HostIndex(2);
        // The other two never meet, so that nobody can tell either of main-c.
        let only = |main| HostSet::of([world.host(main)]);
        sim.cut(only(A), only(B));
        sim.cut(only(B), only(A));
        [A, B, C].iter().for_each(|main| world.start(*main));
        sim.sleep(secs(10)).await;
        // From now on its name leads main-c to main-b, or to itself.
        sim.set_names(world.host(C), Some(NameAnswer::Wrong));
        world.kill(A);
        world.start(A);
        sim.sleep(secs(600)).await;
        sim.set_names(world.host(C), None);
        sim.sleep(secs(65)).await;
        let seen = peers(&world, C).await;
        assert_eq!(seen["main-a"]["state"], "connected", "{seen:?}");
        assert_eq!(seen["main-b"]["state"], "connected", "{seen:?}");
    });
}

/// What a Main waits at most before it looks at a name again, with a little on top for the dial.
const LOOKED_AGAIN_SECONDS: u64 = 65;

/// `main-b` dials `main-a` and is led to `main-c` while its names lie, for ten minutes. Then they are right.
fn found_behind_a_wrong_main(text: &str) {
    in_world(text, async |sim, world| {
        sim.set_names(world.host(B), Some(NameAnswer::Wrong));
        [A, B, C].iter().for_each(|main| world.start(*main));
        sim.sleep(secs(600)).await;
        let seen = peers(&world, B).await;
        assert_eq!(seen["main-c"]["state"], "connected");
        assert!(!seen.contains_key("main-a"), "nobody knows of it: {seen:?}");
        sim.set_names(world.host(B), None);
        sim.sleep(secs(LOOKED_AGAIN_SECONDS)).await;
        let seen = peers(&world, B).await;
        assert_eq!(seen["main-a"]["state"], "connected");
        let since = seen["main-c"]["connected_seconds"].as_u64().unwrap();
        assert!(since > LOOKED_AGAIN_SECONDS, "the link to the wrong one was left alone: {since} s");

        // From now on the name is dialled for this link only.
        sim.sleep(secs(600)).await;
        let seen = peers(&world, B).await;
        let since = ["main-a", "main-c"].map(|main| seen[main]["connected_seconds"].as_u64().unwrap());
        assert!(since.iter().all(|since| *since > 600), "{since:?}");
        world.kill(A);
        world.start(A);
        sim.sleep(secs(30)).await;
        assert_eq!(peers(&world, B).await["main-a"]["state"], "connected");
    });
}

#[test]
fn a_peer_whose_name_led_to_another_one_is_found_when_it_leads_there() {
    found_behind_a_wrong_main(
        r#"
duration = "1h"
[[main]]
name = "main-a"
peers = []
[[main]]
name = "main-b"
peers = ["main-a"]
[[main]]
name = "main-c"
peers = []
"#,
    );
}

#[test]
fn a_peer_whose_name_led_to_one_with_a_link_is_found_when_it_leads_there() {
    found_behind_a_wrong_main(
        r#"
duration = "1h"
[[main]]
name = "main-a"
peers = []
[[main]]
name = "main-b"
peers = ["main-a"]
[[main]]
name = "main-c"
peers = ["main-b"]
"#,
    );
}

#[test]
fn names_that_lie_disturb_no_link() {
    let text = r#"
duration = "1h"
[[main]]
name = "main-a"
[[main]]
name = "main-b"
[[main]]
name = "main-c"
"#;
    in_world(text, async |sim, world| {
        let mains = [A, B, C];
        mains.iter().for_each(|main| world.start(*main));
        sim.sleep(secs(20)).await;
        mains.iter().for_each(|main| sim.set_names(world.host(*main), Some(NameAnswer::Wrong)));
        // Every name is looked up some ten times, and leads to this node or to another one with a link.
        sim.sleep(secs(600)).await;
        for main in mains {
            for peer in peers(&world, main).await.values() {
                assert!(peer["connected_seconds"].as_u64().is_some_and(|since| since > 600), "{peer}");
            }
        }
        // What the names were taken for is put right as well.
        sim.set_names(world.host(C), None);
        sim.sleep(secs(LOOKED_AGAIN_SECONDS)).await;
        world.kill(A);
        world.start(A);
        sim.sleep(secs(30)).await;
        assert_eq!(peers(&world, C).await["main-a"]["state"], "connected");
    });
}
