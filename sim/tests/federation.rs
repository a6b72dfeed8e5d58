//! The node under the engine: what only a whole world shows.

#[path = "federation/state.rs"]
mod state;

use std::sync::Arc;
use std::time::Duration;

use relay_sim::engine::event::{self, Options, Sim};
use relay_sim::execute::{Settings, Verdict, execute};
use relay_sim::scenario::{HostIndex, Scenario};
use relay_sim::trace::first_divergence;
use relay_sim::workload::api::Api;
use relay_sim::world::World;

const THREE_MAINS: &str = include_str!("../../scenarios/federation/three-mains-six-homes.toml");
const WIPE: &str = include_str!("../../scenarios/federation/power-cut-and-wipe.toml");

const MAIN: HostIndex = HostIndex(0);
const HOME: HostIndex = HostIndex(1);

/// One Main and one Home that makes its own id.
const SMALL: &str = r#"
duration = "10m"
[[service]]
name = "echo"
kind = "echo"
[[main]]
name = "main"
[[home]]
name = "home"
main = "main"
services = ["echo"]
node_id = "generated"
"#;

fn scenario(text: &str) -> Arc<Scenario> {
    Arc::new(Scenario::load("test.toml", text).unwrap())
}

/// Lets `play` move a world made from this text, and returns what it gave.
fn in_world<T, F>(text: &str, play: impl FnOnce(Sim, World) -> F + Send + 'static) -> T
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let scenario = scenario(text);
    let end = event::run(Options::default(), move |sim| {
        let world = World::build(sim.clone(), scenario);
        Box::pin(play(sim, world))
    });
    assert!(end.panics.is_empty(), "{:?}", end.panics);
    end.outcome.unwrap()
}

fn run(text: &str, seed: u64) -> relay_sim::execute::Execution {
    execute(&scenario(text), &Settings { seed: Some(seed), ..Settings::default() })
}

#[test]
fn the_first_scenario_holds_and_repeats_itself_even_beside_others() {
    let alone = run(THREE_MAINS, 1);
    assert_eq!(alone.verdict(), Verdict::Passed, "{:?}", alone.gates);
    let hashes: Vec<u64> = std::thread::scope(|scope| {
        let runs: Vec<_> =
            [1, 2, 1].map(|seed| scope.spawn(move || run(THREE_MAINS, seed).trace.hash())).into();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    assert_eq!((hashes[0], hashes[2]), (alone.trace.hash(), alone.trace.hash()));
    assert_ne!(hashes[1], alone.trace.hash());
}

#[test]
fn recording_changes_nothing_and_finds_where_two_seeds_part() {
    // Up to the first fault, and without gates: what is asked for needs ten minutes.
    let short = THREE_MAINS.replace("10m", "20s");
    let short = short.split("[[fault]]").next().unwrap().to_owned();
    let record = |seed| {
        let settings = Settings { seed: Some(seed), record_trace: true.into(), ..Settings::default() };
        execute(&scenario(&short), &settings)
    };
    let (first, again, other) = (record(1), record(1), record(2));
    assert!(first_divergence(&first.trace, &again.trace).is_none());
    let words = first_divergence(&first.trace, &other.trace).unwrap().to_string();
    assert!(words.contains("main-") || words.contains("home-"), "hosts are named: {words}");
}

#[test]
fn a_world_of_faults_holds_for_several_seeds() {
    for seed in 1..=5 {
        let run = run(WIPE, seed);
        assert_eq!(run.verdict(), Verdict::Passed, "seed {seed}: {:?}", run.gates);
    }
}

#[test]
fn a_node_keeps_its_id_over_a_restart_and_is_another_without_its_disk() {
    let ids = in_world(SMALL, async |sim, world| {
        let settle = Duration::from_secs(5);
        world.start(MAIN);
        world.start(HOME);
        sim.sleep(settle).await;
        let first = world.node_id(HOME).unwrap();
        world.kill(HOME);
        world.start(HOME);
        sim.sleep(settle).await;
        let again = world.node_id(HOME).unwrap();
        world.power_cut(HOME);
        sim.power_on(world.host(HOME));
        world.start(HOME);
        sim.sleep(settle).await;
        let after_power_cut = world.node_id(HOME).unwrap();
        world.kill(HOME);
        sim.wipe(world.host(HOME));
        world.start(HOME);
        sim.sleep(settle).await;
        let wiped = world.node_id(HOME).unwrap();
        (first, again, after_power_cut, wiped)
    });
    let (first, again, after_power_cut, wiped) = ids;
    assert!(first.starts_with("home-"));
    assert_eq!((&first, &first), (&again, &after_power_cut));
    assert_ne!(first, wiped);
}

#[test]
fn nobody_but_its_own_host_can_dial_a_home() {
    let (outside, inside) = in_world(SMALL, async |sim, world| {
        world.start(MAIN);
        world.start(HOME);
        sim.sleep(Duration::from_secs(2)).await;
        let (sender, answers) = tokio::sync::oneshot::channel();
        let (task_world, task_sim) = (world.clone(), sim.clone());
        // A test on the Main's host, where a neighbour of the Home would be.
        let kind = event::ProcessKind::Harness;
        sim.start(world.host(MAIN), "intruder", kind, |env| {
            Box::pin(async move {
                let port = task_world.api_port(HOME);
                let home = env.network.resolve("home", port).await.unwrap()[0];
                let began = task_sim.now();
                let dialled = env.deadline(Duration::from_secs(300), env.network.dial(home)).await;
                let _ = sender.send((dialled.map(|it| it.map(drop)), task_sim.now() - began));
            })
        });
        let outside = answers.await.unwrap();
        let (sender, answers) = tokio::sync::oneshot::channel();
        let port = world.api_port(HOME);
        sim.start(world.host(HOME), "owner", kind, move |env| {
            Box::pin(async move {
                let _ = sender.send(Api::new(env, port).get("/health").await.is_ok());
            })
        });
        (outside, answers.await.unwrap())
    });
    let (dialled, waited) = outside;
    let error = dialled.expect("the network gives up by itself").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut, "nobody answers, not even with a refusal");
    assert!(waited > Duration::from_secs(60));
    assert!(inside, "its own host can");
}

#[test]
fn a_stopped_relay_says_goodbye_and_its_services_are_gone_at_once() {
    let listed = in_world(SMALL, async |sim, world| {
        world.start(MAIN);
        world.start(HOME);
        sim.sleep(Duration::from_secs(5)).await;
        world.stop(HOME);
        sim.sleep(Duration::from_secs(2)).await;
        assert!(!world.is_up(HOME), "it has ended by itself");
        let (sender, answers) = tokio::sync::oneshot::channel();
        let port = world.api_port(MAIN);
        sim.start(world.host(MAIN), "operator", event::ProcessKind::Harness, move |env| {
            Box::pin(async move {
                let _ = sender.send(Api::new(env, port).get("/federation/registry").await.unwrap());
            })
        });
        answers.await.unwrap()
    });
    let listed = String::from_utf8(listed.to_vec()).unwrap();
    assert!(listed.contains("\"services\":[]"), "{listed}");
}

#[test]
fn gates_can_fail() {
    let strict = THREE_MAINS
        .replace("p99 = \"250ms\"", "p99 = \"1ms\"")
        .replace("convergence = \"20s\"", "convergence = \"2s\"");
    let run = run(&strict, 1);
    assert_eq!(run.verdict(), Verdict::GateFailed);
    let failed: Vec<_> = run.gates.iter().filter(|gate| !gate.holds).map(|gate| &*gate.name).collect();
    assert_eq!(failed, ["convergence", "p99"]);
}

#[test]
fn the_fallback_scenario_fails_where_there_is_none() {
    let text = include_str!("../../scenarios/federation/fallback-and-return.toml");
    assert_eq!(run(text, 1).verdict(), Verdict::Passed);
    let without = text.replace("fallback = \"main-b\"\n", "");
    assert_ne!(without, text);
    let failed: Vec<_> =
        run(&without, 1).gates.into_iter().filter(|gate| !gate.holds).map(|gate| gate.name).collect();
    assert_eq!(failed, ["availability"]);
}

/// Two Mains, and a Home that prefers the first.
const FALLBACK: &str = r#"
duration = "10m"
[[service]]
name = "echo"
kind = "echo"
[[main]]
name = "main-a"
[[main]]
name = "main-b"
[[home]]
name = "home"
main = "main-a"
fallback = "main-b"
services = ["echo"]
"#;

/// The services that hang on this Main itself.
async fn hanging_on(sim: &Sim, world: &World, main: HostIndex) -> usize {
    let (sender, answer) = tokio::sync::oneshot::channel();
    let port = world.api_port(main);
    sim.start(world.host(main), "operator", event::ProcessKind::Harness, move |env| {
        Box::pin(async move {
            let body = Api::new(env, port).get("/registry").await.unwrap();
            let registry: serde_json::Value = serde_json::from_slice(&body).unwrap();
            let _ = sender.send(registry["services"].as_array().unwrap().len());
        })
    });
    answer.await.unwrap()
}

#[test]
fn a_home_moves_to_its_fallback_at_once_and_back_when_the_preferred_main_is_well() {
    in_world(FALLBACK, async |sim, world| {
        let (first, second, home) = (HostIndex(0), HostIndex(1), HostIndex(2));
        for host in [first, second, home] {
            world.start(host);
        }
        sim.sleep(Duration::from_secs(5)).await;
        assert_eq!(hanging_on(&sim, &world, first).await, 1);
        world.stop(first);
        sim.sleep(Duration::from_secs(2)).await;
        assert_eq!(hanging_on(&sim, &world, second).await, 1, "without waiting: another Main is there");
        sim.sleep(Duration::from_secs(60)).await;
        world.start(first);
        sim.sleep(Duration::from_secs(45)).await;
        assert_eq!(hanging_on(&sim, &world, first).await, 1, "it looks for it every 15 to 30 s");
        assert_eq!(hanging_on(&sim, &world, second).await, 0, "one Main at a time");
    });
}

#[test]
fn homes_of_a_closing_main_come_back_when_it_said() {
    // 300 Homes and no fallback: 100 a second, from one second on.
    let text = SMALL.replace("name = \"home\"", "name = \"home\"\ncount = 300");
    in_world(&text, async |sim, world| {
        for host in 0..=300 {
            world.start(HostIndex(host));
        }
        sim.sleep(Duration::from_secs(30)).await;
        assert_eq!(hanging_on(&sim, &world, MAIN).await, 300);
        world.stop(MAIN);
        sim.sleep(Duration::from_millis(1_500)).await;
        world.start(MAIN);
        let mut came = vec![0];
        for _ in 0..5 {
            sim.sleep(Duration::from_secs(1)).await;
            came.push(hanging_on(&sim, &world, MAIN).await);
        }
        let most = came.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
        assert!(most <= 110, "not all at once: {came:?}");
        assert_eq!(came.last(), Some(&300), "and all of them: {came:?}");
    });
}

#[test]
fn only_who_shows_its_token_may_change_a_mains_peers() {
    let answers = in_world(FALLBACK, async |sim, world| {
        let (first, second) = (HostIndex(0), HostIndex(1));
        world.start(first);
        sim.sleep(Duration::from_secs(1)).await;
        let stolen = |env: &relay_node::env::Env| {
            let token = env.storage.read("admin_token").unwrap().expect("made at the first start");
            String::from_utf8(token).unwrap()
        };
        let ask = |from: HostIndex, whom: &'static str, token: Option<String>| {
            let (sender, answer) = tokio::sync::oneshot::channel();
            sim.start(world.host(from), "operator", event::ProcessKind::Harness, move |env| {
                Box::pin(async move {
                    let body = r#"{"node_id":"main-b","address":"main-b:8080"}"#;
                    let request = hyper::Request::post("/registry/peers/add").header("host", "main-a");
                    let shown = token.unwrap_or_else(|| stolen(&env));
                    let request = request.header("authorization", format!("Bearer {shown}"));
                    let request = request.body(body.as_bytes().into()).unwrap();
                    let client = relay_node::http::Client::new(whom, 8080, 65_536, Duration::from_secs(1));
                    let _ = sender.send(client.send(&env, request).await.unwrap().0.as_u16());
                })
            });
            answer
        };
        let guessed = Some("a token that was guessed".to_owned());
        let outside = ask(second, "main-a", guessed.clone()).await.unwrap();
        let inside = ask(first, "127.0.0.1", guessed).await.unwrap();
        (outside, inside, ask(first, "127.0.0.1", None).await.unwrap())
    });
    assert_eq!(answers, (401, 401, 200));
}
