//! What a Main remembers when its power goes at the worst moment.

use std::time::Duration;

use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, HOST};
use relay_node::http::Client;
use relay_sim::engine::event::{ProcessKind, Sim};
use relay_sim::scenario::HostIndex;
use relay_sim::world::World;
use serde_json::{Value, json};

use super::in_world;

const FIRST: HostIndex = HostIndex(0);
const SECOND: HostIndex = HostIndex(1);
const HOME: HostIndex = HostIndex(2);

/// Two Mains that nobody has told of each other, and a Home at the second.
const APART: &str = r#"
duration = "20m"
[[service]]
name = "echo"
kind = "echo"
[[main]]
name = "main-a"
peers = []
[[main]]
name = "main-b"
peers = []
[[home]]
name = "home"
main = "main-b"
services = ["echo"]
"#;

/// What the first Main answers its operator.
async fn ask(sim: &Sim, world: &World, method: &'static str, route: &'static str, body: Value) -> Value {
    let (sender, answer) = tokio::sync::oneshot::channel();
    let port = world.api_port(FIRST);
    sim.start(world.host(FIRST), "operator", ProcessKind::Harness, move |env| {
        Box::pin(async move {
            let token = env.storage.read("admin_token").unwrap().expect("made at the first start");
            let token = format!("Bearer {}", String::from_utf8(token).unwrap().trim());
            let request = Request::builder().method(method).uri(route);
            let request = request.header(HOST, "127.0.0.1").header(AUTHORIZATION, token);
            let request = request.body(Bytes::from(body.to_string()).into()).unwrap();
            let client = Client::new("127.0.0.1", port, 65_536, Duration::from_secs(1));
            let (status, body) = client.send(&env, request).await.unwrap();
            assert_eq!(status, 200, "{body:?}");
            let _ = sender.send(serde_json::from_slice(&body).unwrap());
        })
    });
    answer.await.unwrap()
}

async fn add(sim: &Sim, world: &World) {
    let peer = json!({ "node_id": "main-b", "address": "main-b:8080" });
    ask(sim, world, "POST", "/registry/peers/add", peer).await;
}

async fn remove(sim: &Sim, world: &World) {
    ask(sim, world, "DELETE", "/registry/peers/remove", json!({ "node_id": "main-b" })).await;
}

/// The peers that the first Main has or wants, and whether it is connected to them.
async fn peers(sim: &Sim, world: &World) -> Vec<(String, bool)> {
    let peers = ask(sim, world, "GET", "/registry/peers", Value::Null).await;
    let peers = peers.as_object().unwrap().iter();
    peers.map(|(id, peer)| (id.clone(), peer["is_healthy"] == true)).collect()
}

/// The services of others that the first Main lists, and whether it can reach them.
async fn federated(sim: &Sim, world: &World) -> Vec<(String, bool)> {
    let registry = ask(sim, world, "GET", "/federation/registry", Value::Null).await;
    let lines = registry["services"].as_array().unwrap().iter();
    let lines = lines.filter(|line| line["scope"] == "federated");
    lines.map(|line| (line["name"].as_str().unwrap().to_owned(), line["reachable"] == true)).collect()
}

fn power_cycle(sim: &Sim, world: &World) {
    world.power_cut(FIRST);
    sim.power_on(world.host(FIRST));
    world.start(FIRST);
}

fn kill(world: &World) {
    world.kill(FIRST);
    world.start(FIRST);
}

#[test]
fn what_was_acknowledged_is_known_after_a_crash_at_that_moment() {
    for by_power_cut in [false, true] {
        in_world(APART, async move |sim, world| {
            let crash = || if by_power_cut { power_cycle(&sim, &world) } else { kill(&world) };
            let settle = Duration::from_secs(30);
            world.start(FIRST);
            world.start(SECOND);
            sim.sleep(settle).await;
            assert!(peers(&sim, &world).await.is_empty());
            add(&sim, &world).await;
            crash();
            sim.sleep(settle).await;
            assert_eq!(peers(&sim, &world).await, [("main-b".to_owned(), true)]);
            remove(&sim, &world).await;
            crash();
            sim.sleep(settle).await;
            assert!(peers(&sim, &world).await.is_empty());
            add(&sim, &world).await;
            crash();
            sim.sleep(settle).await;
            assert_eq!(peers(&sim, &world).await, [("main-b".to_owned(), true)]);
        });
    }
}

#[test]
fn a_main_lists_what_others_announced_before_it_hears_from_them_again() {
    in_world(APART, async |sim, world| {
        for host in [FIRST, SECOND, HOME] {
            world.start(host);
        }
        sim.sleep(Duration::from_secs(5)).await;
        add(&sim, &world).await;
        // Longer than it takes until changes are kept, and until the times on disk lag behind.
        sim.sleep(Duration::from_secs(300)).await;
        let known = |reachable: bool| [("echo".to_owned(), reachable)];
        assert_eq!(federated(&sim, &world).await, known(true));
        world.kill(SECOND);
        world.kill(HOME);
        power_cycle(&sim, &world);
        sim.sleep(Duration::from_secs(1)).await;
        assert_eq!(federated(&sim, &world).await, known(false), "from its disk: nobody else is there");
        sim.sleep(Duration::from_secs(420)).await;
        assert_eq!(
            federated(&sim, &world).await,
            known(false),
            "confirmed to the end, give or take a quarter"
        );
        sim.sleep(Duration::from_secs(180)).await;
        assert!(federated(&sim, &world).await.is_empty(), "ten minutes after the last confirmation");
        world.start(SECOND);
        world.start(HOME);
        sim.sleep(Duration::from_secs(60)).await;
        assert_eq!(federated(&sim, &world).await, known(true));
    });
}

#[test]
fn a_clock_that_was_set_back_keeps_nothing_alive_for_longer() {
    in_world(APART, async |sim, world| {
        for host in [FIRST, SECOND, HOME] {
            world.start(host);
        }
        sim.sleep(Duration::from_secs(5)).await;
        add(&sim, &world).await;
        sim.sleep(Duration::from_secs(300)).await;
        world.kill(SECOND);
        world.kill(HOME);
        let day = 86_400 * 1_000_000_000;
        sim.jump_clock(world.host(FIRST), -day);
        kill(&world);
        sim.sleep(Duration::from_secs(1)).await;
        assert_eq!(federated(&sim, &world).await, [("echo".to_owned(), false)], "from its disk");
        sim.sleep(Duration::from_secs(601)).await;
        assert!(
            federated(&sim, &world).await.is_empty(),
            "no longer than anything lives that is not confirmed"
        );
    });
}
