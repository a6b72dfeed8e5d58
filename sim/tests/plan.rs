//! What the migration plan says of time and failure, with the node's own settings. `node/README.md` has the table.

mod stage;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use relay_node::config::Timing;
use relay_sim::engine::event::{ProcessKind, Sim};
use relay_sim::scenario::HostIndex;
use relay_sim::world::World;
use serde_json::{Value, json};
use stage::{ask, in_world, remote_call};

const A: HostIndex = HostIndex(0);
const B: HostIndex = HostIndex(1);
const C: HostIndex = HostIndex(2);

/// Three Mains; `news` is offered by a Home behind each of the last two.
const THREE: &str = r#"
duration = "30m"
[[service]]
name = "news"
kind = "echo"
[[main]]
name = "main-a"
[[main]]
name = "main-b"
[[main]]
name = "main-c"
[[home]]
name = "alice"
main = "main-a"
[[home]]
name = "bob"
main = "main-b"
services = ["news"]
[[home]]
name = "carol"
main = "main-c"
services = ["news"]
"#;
const ALICE: HostIndex = HostIndex(3);
const BOB: HostIndex = HostIndex(4);
const CAROL: HostIndex = HostIndex(5);

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

async fn start(sim: &Sim, world: &World, hosts: &[HostIndex]) {
    hosts.iter().for_each(|host| world.start(*host));
    sim.sleep(secs(10)).await;
}

/// How main-c, which dials both others, sees one of them.
async fn status(world: &World, main: &str) -> String {
    let peers = ask(world, C, "/federation/peers", None).await["peers"].take();
    let peer = peers.as_array().unwrap().iter().find(|peer| peer["node_id"] == main);
    peer.unwrap_or_else(|| panic!("{main} in {peers}"))["status"].as_str().unwrap().to_owned()
}

/// The nodes that main-a lists as offering `news`.
async fn offering(world: &World) -> Vec<String> {
    let listed = ask(world, A, "/federation/registry", None).await["services"].take();
    let nodes = listed.as_array().unwrap().iter().map(|line| line["node_id"].as_str().unwrap().to_owned());
    nodes.collect()
}

#[test]
fn the_times_of_the_plan_are_the_defaults() {
    let timing = Timing::default();
    assert_eq!(timing.heartbeat, secs(30), "health checks between Mains");
    assert_eq!(timing.registry_ttl, secs(600), "federated services");
    assert_eq!(timing.call_timeout, secs(60), "a call");
}

#[test]
fn a_peer_that_is_silent_for_two_health_checks_is_down_and_comes_back() {
    in_world(THREE, async |sim, world| {
        start(&sim, &world, &[A, B, C]).await;
        // Heartbeats alone keep a link: nothing else is said for ten minutes.
        sim.sleep(secs(600)).await;
        assert_eq!(status(&world, "main-b").await, "connected");
        world.power_cut(B);
        sim.sleep(secs(28)).await;
        assert_eq!(status(&world, "main-b").await, "connected", "what was said last is less than 60 s old");
        sim.sleep(secs(33)).await;
        assert_eq!(status(&world, "main-b").await, "down");
        assert_eq!(status(&world, "main-a").await, "connected");
        let health = ask(&world, C, "/federation/health", None).await;
        assert_eq!(
            (&health["status"], &health["connected_peers"]),
            (&json!("degraded"), &json!(1)),
            "{health}"
        );
        sim.sleep(secs(300)).await;
        sim.power_on(world.host(B));
        world.start(B);
        sim.sleep(secs(20)).await;
        assert_eq!(status(&world, "main-b").await, "connected", "the longest wait is 15 s");
    });
}

#[test]
fn services_behind_a_main_that_is_gone_expire_after_ten_minutes() {
    in_world(THREE, async |sim, world| {
        start(&sim, &world, &[A, B, C, BOB, CAROL]).await;
        assert_eq!(offering(&world).await, ["bob", "carol"]);
        world.power_cut(B);
        // What was confirmed last is at most 30 s older than the cut.
        sim.sleep(secs(565)).await;
        assert_eq!(offering(&world).await, ["bob", "carol"]);
        sim.sleep(secs(40)).await;
        assert_eq!(offering(&world).await, ["carol"], "carol's Main confirms it with each heartbeat");
    });
}

#[test]
fn calls_by_name_fail_over_to_an_instance_behind_a_healthy_peer() {
    in_world(THREE, async |sim, world| {
        start(&sim, &world, &[A, B, C, ALICE, BOB, CAROL]).await;
        let call = json!({ "service_name": "news", "method": "get", "timeout": 2, "trace": true });
        let by = async || {
            let reply = remote_call(&world, ALICE, call.clone()).await;
            reply["trace"]["path"][2].as_str().map(str::to_owned).filter(|_| reply["error"].is_null())
        };
        let mut before = [by().await.unwrap(), by().await.unwrap()];
        before.sort();
        assert_eq!(before, ["main-b", "main-c"], "both serve");
        // Nobody is told: until the link is given up, calls that go that way are waited for.
        world.power_cut(B);
        let mut lost = 0;
        for _ in 0..40 {
            match by().await {
                Some(main) => assert_eq!(main, "main-c"),
                None => lost += 1,
            }
        }
        assert!(lost <= 5, "the breaker of a silent peer opens after five failures: {lost}");
        sim.sleep(secs(65)).await;
        for _ in 0..10 {
            assert_eq!(by().await.as_deref(), Some("main-c"), "and the link is down");
        }
        sim.power_on(world.host(B));
        world.start(B);
        sim.sleep(secs(60)).await;
        let after: Vec<_> = [by().await, by().await, by().await, by().await].into_iter().flatten().collect();
        assert!(after.contains(&"main-b".to_owned()), "it serves again: {after:?}");
    });
}

/// The times at which a relay dials `host`, where somebody takes each connection and drops it.
async fn dialled(sim: &Sim, world: &World, host: HostIndex, relay: HostIndex) -> Vec<Duration> {
    let times = Arc::new(Mutex::new(Vec::new()));
    let (noted, clock) = (Arc::clone(&times), sim.clone());
    sim.start(world.host(host), "nobody", ProcessKind::Harness, move |env| {
        Box::pin(async move {
            let mut listener =
                env.network.listen(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 8080)).await.unwrap();
            while listener.accept().await.is_ok() {
                noted.lock().unwrap().push(clock.now());
            }
        })
    });
    world.start(relay);
    sim.sleep(secs(120)).await;
    times.lock().unwrap().clone()
}

#[test]
fn a_home_and_a_main_dial_less_and_less_often() {
    for (host, relay) in [(A, ALICE), (A, B)] {
        let times = in_world(THREE, async move |sim, world| dialled(&sim, &world, host, relay).await);
        let waits: Vec<f64> = times.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
        let ceilings = [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0];
        assert!(waits.len() > ceilings.len(), "{waits:?}");
        for (wait, ceiling) in waits.iter().zip(ceilings) {
            // On top comes the dial itself: some round trips of 20 ms.
            assert!(
                (ceiling / 2.0..ceiling + 0.2).contains(wait),
                "{wait} s where at most {ceiling}: {waits:?}"
            );
        }
    }
}

/// A Home with an upstream, and another one that calls.
const UPSTREAM: &str = r#"
duration = "10m"
[[service]]
name = "shop"
kind = "http"
[[main]]
name = "main"
[[home]]
name = "bob"
main = "main"
services = ["shop"]
[[home]]
name = "alice"
main = "main"
"#;

/// An upstream on bob's machine, which answers or says nothing at all.
fn upstream(sim: &Sim, world: &World, answers: bool) {
    sim.start(world.host(HostIndex(1)), "upstream", ProcessKind::Harness, move |env| {
        Box::pin(async move {
            let at = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), World::upstream_port(0));
            let mut listener = env.network.listen(at).await.unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let service = hyper::service::service_fn(move |_| async move {
                    if !answers {
                        std::future::pending::<()>().await;
                    }
                    let body = r#"{"jsonrpc":"2.0","id":1,"result":"fine"}"#;
                    Ok::<_, std::convert::Infallible>(hyper::Response::new(body.to_owned()))
                });
                env.spawn("connection", async move {
                    let connection = hyper::server::conn::http1::Builder::new()
                        .auto_date_header(false)
                        .serve_connection(hyper_util::rt::TokioIo::new(stream), service);
                    // It ends with the caller.
                    let _ = connection.await;
                });
            }
        })
    });
}

async fn shop(world: &World) -> Value {
    let params = json!({ "node_id": "bob", "server_name": "shop", "method": "get" });
    remote_call(world, HostIndex(2), params).await
}

#[test]
fn a_call_that_names_no_timeout_ends_after_sixty_seconds() {
    in_world(UPSTREAM, async |sim, world| {
        upstream(&sim, &world, false);
        start(&sim, &world, &[HostIndex(0), HostIndex(1), HostIndex(2)]).await;
        let begun = sim.now();
        let error = shop(&world).await["error"].take();
        let took = sim.now() - begun;
        assert_eq!(error["code"], -32004, "{error}");
        assert!((secs(59)..=secs(60)).contains(&took), "{took:?}");
    });
}

#[test]
fn a_breaker_blocks_a_failed_service_for_thirty_seconds_and_lets_it_back_in() {
    in_world(UPSTREAM, async |sim, world| {
        start(&sim, &world, &[HostIndex(0), HostIndex(1), HostIndex(2)]).await;
        let code = async || shop(&world).await["error"]["code"].as_i64();
        for _ in 0..5 {
            assert_eq!(code().await, Some(-32010), "nothing listens where the upstream should be");
        }
        let refused = shop(&world).await["error"].take();
        assert_eq!(
            (&refused["code"], &refused["data"]["node"]),
            (&json!(-32005), &json!("main")),
            "{refused}"
        );
        sim.sleep(secs(29)).await;
        assert_eq!(code().await, Some(-32005));
        sim.sleep(secs(2)).await;
        assert_eq!(code().await, Some(-32010), "one call may try");
        assert_eq!(code().await, Some(-32005), "and was no good");
        upstream(&sim, &world, true);
        sim.sleep(secs(31)).await;
        for _ in 0..10 {
            assert_eq!(shop(&world).await["result"], "fine");
        }
    });
}
