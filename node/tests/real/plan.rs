//! The test cases of the migration plan that the outside can see and no other file has. `node/README.md` has the table.

use std::collections::BTreeSet;

use relay_node::wire::NodeId;
use serde_json::{Value, json};

use crate::http::{SlowUpstream, get, remote_call, text};
use crate::world::{Relay, World, eventually, fixed, free_port, lists};

/// The command lines of the plan, and the first line that each logs.
#[tokio::test]
async fn the_commands_of_the_plan_start_what_they_say() {
    let world = World::new();
    let blog = world.file("blog.toml", &fixed("blog_service", "get_posts = []"));
    let main = ["-server", "-host", "127.0.0.1", "-port", "0"];
    let home = [blog.as_str(), "-connect", "ws://127.0.0.1:9"];
    let mut made_up = BTreeSet::new();
    for (at, (args, more, words)) in [
        (&main[..], &["-node-type", "main"][..], "Starting as Main Relay with auto-generated node ID "),
        (&main, &[], "Starting as Main Relay with auto-generated node ID "),
        (&main, &["-node-id", "custom.relay.com"], "Starting as Main Relay with node ID "),
        (&home, &["-node-type", "home"], "Starting as Home Relay with auto-generated node ID "),
        (&home, &[], "Starting as Home Relay with auto-generated node ID "),
        (&home, &["-node-id", "alice.home"], "Starting as Home Relay with node ID "),
    ]
    .into_iter()
    .enumerate()
    {
        let dir = world.text(&format!("data-{at}"));
        let args = [args, more, &["-data-dir", &dir]].concat();
        let relay = world.listening(world.relay("relay", &args)).await;
        let said = relay.process.said();
        let first = said.lines().next().expect("it says what it is first");
        let (_, id) =
            first.split_once(words).unwrap_or_else(|| panic!("{args:?} should say {words}: {first}"));
        let id: NodeId = id.parse().expect("a valid id");
        assert_eq!(get(&relay.at, "/health").await["node_id"], json!(id));
        match more {
            ["-node-id", given] => assert_eq!(id.as_str(), *given),
            _ => assert!(made_up.insert(id), "no two nodes make up the same id: {made_up:?}"),
        }
    }
}

/// Ten calls by name, as the plan makes them; gives who answered.
async fn ten_calls(at: &str, service: &str) -> Vec<String> {
    let mut answered = Vec::new();
    for _ in 0..10 {
        let reply = remote_call(at, json!({ "service_name": service, "method": "get_posts" })).await;
        answered.push(reply["result"].as_str().unwrap_or_else(|| panic!("{reply}")).to_owned());
    }
    answered
}

#[tokio::test]
async fn calls_are_spread_over_two_instances_and_go_to_the_one_that_is_left() {
    let world = World::new();
    let main = world.main("relay-a.com", &[]).await;
    let blog = |who: &str, balance: &str| {
        fixed("blog_service", &format!("get_posts = \"{who}\""))
            .replace("[service.answers]", &format!("{balance}\n[service.answers]"))
    };
    let mut first = world.home("alice1.home", &main.url(), &blog("alice1", ""), &[]).await;
    let _second = world.home("alice2.home", &main.url(), &blog("alice2", ""), &[]).await;
    lists(&main, &["blog_service@alice1.home local", "blog_service@alice2.home local"]).await;
    let answered = ten_calls(&main.at, "blog_service").await;
    for who in ["alice1", "alice2"] {
        assert!(answered.iter().any(|by| by == who), "both get calls: {answered:?}");
    }

    first.process.kill();
    lists(&main, &["blog_service@alice2.home local"]).await;
    assert_eq!(ten_calls(&main.at, "blog_service").await, ["alice2"; 10]);

    // In turn, where that is asked for.
    let _first = world.home("bob1.home", &main.url(), &named(&blog("bob1", ROUND_ROBIN)), &[]).await;
    let _second = world.home("bob2.home", &main.url(), &named(&blog("bob2", ROUND_ROBIN)), &[]).await;
    lists(&main, &["blog_service@alice2.home local", "news@bob1.home local", "news@bob2.home local"]).await;
    let answered = ten_calls(&main.at, "news").await;
    assert_eq!(answered.iter().filter(|by| *by == "bob1").count(), 5, "evenly: {answered:?}");
}

const ROUND_ROBIN: &str = "balance = \"round-robin\"";

fn named(services: &str) -> String {
    services.replace("blog_service", "news")
}

#[tokio::test]
async fn a_service_that_keeps_failing_is_left_alone() {
    let world = World::new();
    let main = world.main("relay-a", &[]).await;
    let shop = format!(
        "[[service]]\nname = \"shop_service\"\nkind = \"http\"\nupstream = \"http://127.0.0.1:{}/rpc\"\n",
        free_port()
    );
    let _bob = world.home("bob.home", &main.url(), &shop, &[]).await;
    lists(&main, &["shop_service@bob.home local"]).await;
    let call = json!({ "node_id": "bob.home", "server_name": "shop_service", "method": "get_products" });
    let mut errors = Vec::new();
    for _ in 0..10 {
        errors.push(remote_call(&main.at, call.clone()).await["error"].take());
    }
    let codes: Vec<_> = errors.iter().filter_map(|error| error["code"].as_i64()).collect();
    assert_eq!(codes, [[-32010; 5], [-32005; 5]].concat());
    let last = &errors[9];
    assert_eq!(
        (&last["data"]["node"], &last["data"]["retryable"]),
        (&json!("relay-a"), &json!(true)),
        "{last}"
    );
    let words = last["message"].as_str().unwrap();
    assert!(words.starts_with("circuit open: bob.home has failed too often; next try in "), "{words}");
    let metrics = text(&main.at, "/metrics").await;
    assert!(metrics.contains("relay_breakers{state=\"open\"} 1\n"), "{metrics}");
}

#[tokio::test]
async fn a_call_ends_when_its_caller_said() {
    let world = World::new();
    let slow = SlowUpstream::start().await;
    let main = world.main("relay-a", &[]).await;
    let _bob = world.home("bob.home", &main.url(), &slow.service(), &[]).await;
    lists(&main, &["slow_service@bob.home local"]).await;
    let call = json!({ "service_name": "slow_service", "method": "get", "timeout": 0.3 });
    let error = remote_call(&main.at, call).await["error"].take();
    assert_eq!((&error["code"], &error["data"]["retryable"]), (&json!(-32004), &json!(false)), "{error}");
    assert!(error["message"].as_str().unwrap().contains("the call may have run"), "{error}");
}

/// The peer at this address, as a Main tells of it.
async fn peer(main: &Relay, address: &str) -> Option<Value> {
    let peers = get(&main.at, "/federation/peers").await["peers"].take();
    peers.as_array()?.iter().find(|peer| peer["address"] == address).cloned()
}

#[tokio::test]
async fn a_main_tells_how_its_peers_are() {
    let world = World::new();
    let (b_port, c_port) = (free_port().to_string(), free_port().to_string());
    let (b_url, c_url) = (format!("ws://127.0.0.1:{b_port}"), format!("ws://127.0.0.1:{c_port}"));
    let mut b = world.main("relay-b.com", &["-port", &b_port]).await;
    let mut a = world.main("relay-a.com", &["-peers", &format!("{b_url},{c_url}")]).await;
    let connected = a.process.says("connected to the peer").await;
    assert!(connected.contains("relay-b.com") && connected.contains(&b_url), "{connected}");
    let failed = a.process.says("cannot connect to the peer").await;
    assert!(failed.contains(&c_url) && failed.contains("Connection refused"), "{failed}");
    let b_is = peer(&a, &b_url).await.unwrap();
    assert_eq!((&b_is["node_id"], &b_is["status"]), (&json!("relay-b.com"), &json!("connected")), "{b_is}");
    let c_is = peer(&a, &c_url).await.unwrap();
    assert_eq!((&c_is["node_id"], &c_is["status"]), (&json!(null), &json!("down")), "{c_is}");
    assert!(c_is["last_error"].as_str().unwrap().contains("Connection refused"), "{c_is}");
    let health = get(&a.at, "/federation/health").await;
    assert_eq!((&health["status"], &health["connected_peers"]), (&json!("degraded"), &json!(1)), "{health}");

    let _c = world.main("relay-c.com", &["-port", &c_port]).await;
    eventually("all peers are well", async || {
        let health = get(&a.at, "/federation/health").await;
        let up = health["peers"].as_array()?.iter().filter(|peer| peer["state"] == "connected").count();
        (health["status"] == "healthy" && health["connected_peers"] == 2 && up == 2).then_some(())
    })
    .await;
    assert!(text(&a.at, "/metrics").await.contains("relay_links{kind=\"main\"} 2\n"));

    b.process.kill();
    eventually("relay-b is seen to be down", async || {
        let health = get(&a.at, "/federation/health").await;
        let down = health["peers"].as_array()?.iter().find(|peer| peer["state"] == "down")?;
        (health["status"] == "degraded" && down["node_id"] == "relay-b.com").then_some(())
    })
    .await;
    eventually("it is dialled again, and that is counted", async || {
        let metrics = text(&a.at, "/metrics").await;
        (metrics.contains("relay_reconnects_total 1\n") && metrics.contains("relay_links{kind=\"main\"} 1\n"))
            .then_some(())
    })
    .await;
    let _b = world.main("relay-b.com", &["-port", &b_port]).await;
    eventually("it is back", async || {
        (get(&a.at, "/federation/health").await["status"] == "healthy").then_some(())
    })
    .await;
}

#[tokio::test]
async fn calls_by_name_go_on_through_another_main_when_one_is_killed() {
    let world = World::new();
    let a = world.main("relay-a.com", &[]).await;
    let mut b = world.main("relay-b.com", &["-peers", &a.url()]).await;
    let c = world.main("relay-c.com", &["-peers", &a.url()]).await;
    let news = |who: &str| fixed("news_service", &format!("get_posts = \"{who}\""));
    let alice = world.home("alice.home", &a.url(), &fixed("blog_service", "get_posts = []"), &[]).await;
    let _bob = world.home("bob.home", &b.url(), &news("bob"), &[]).await;
    let _carol = world.home("carol.home", &c.url(), &news("carol"), &[]).await;
    let everything = [
        "blog_service@alice.home local",
        "news_service@bob.home federated",
        "news_service@carol.home federated",
    ];
    lists(&a, &everything).await;
    let answered = ten_calls(&alice.at, "news_service").await;
    assert!(answered.contains(&"bob".into()) && answered.contains(&"carol".into()), "{answered:?}");

    b.process.kill();
    // Those of a Main that is down are listed until their time is up, and not reachable.
    lists(&a, &[everything[0], everything[2]]).await;
    assert_eq!(ten_calls(&alice.at, "news_service").await, ["carol"; 10]);
}

#[tokio::test]
async fn what_calls_cost_and_how_they_ended_is_counted() {
    let world = World::new();
    let main = world.main("relay-a.com", &[]).await;
    let bob = world.home("bob.home", &main.url(), &fixed("shop_service", "get_posts = \"pan\""), &[]).await;
    lists(&main, &["shop_service@bob.home local"]).await;
    ten_calls(&main.at, "shop_service").await;
    let nobody = json!({ "service_name": "nobody", "method": "get" });
    assert_eq!(remote_call(&main.at, nobody).await["error"]["code"], -32001);

    let metrics = text(&main.at, "/metrics").await;
    for line in [
        "relay_calls_total{code=\"0\"} 10",
        "relay_calls_total{code=\"-32001\"} 1",
        "relay_hop_errors_total{code=\"-32001\"} 1",
        "relay_call_latency_seconds_count 11",
        "relay_links{kind=\"home\"} 1",
        "relay_services{kind=\"local\"} 1",
    ] {
        assert!(metrics.lines().any(|told| told == line), "{line} in {metrics}");
    }
    let health = get(&main.at, "/federation/health").await;
    for (field, value) in
        [("connected_homes", 1), ("connected_peers", 0), ("total_services", 1), ("failed_services", 0)]
    {
        assert_eq!(health[field], value, "{field} in {health}");
    }
    assert_eq!(health["status"], "healthy");
    let latency = health["average_latency"].as_str().and_then(|text| text.strip_suffix("ms"));
    assert!(latency.is_some_and(|digits| digits.parse::<u64>().is_ok()), "{health}");
    let home = text(&bob.at, "/metrics").await;
    assert!(home.contains("relay_links{kind=\"uplink\"} 1\n"), "one connection, to its Main: {home}");
}

#[tokio::test]
async fn a_call_can_be_traced_in_its_answer_and_followed_in_the_logs() {
    let world = World::new();
    let logs = ["-log-format", "json", "-log-level", "relay_node::federation=debug,info"];
    let a = world.main("relay-a.com", &logs).await;
    let b = world.main("relay-b.com", &[&["-peers", &a.url()], &logs[..]].concat()).await;
    let alice = world.home("alice.home", &a.url(), &fixed("blog", "get = 1"), &logs).await;
    let bob = world.home("bob.home", &b.url(), &fixed("shop_service", "get_products = 2"), &logs).await;
    lists(&a, &["blog@alice.home local", "shop_service@bob.home federated"]).await;
    let call = json!({ "node_id": "bob.home@relay-b.com", "server_name": "shop_service", "method": "get_products", "trace": true });
    let trace = remote_call(&alice.at, call).await["trace"].take();
    let path = ["alice.home", "relay-a.com", "relay-b.com", "bob.home"];
    assert_eq!((&trace["path"], &trace["hops"]), (&json!(path), &json!(3)), "{trace}");
    let timing = trace["timing"].as_array().unwrap();
    let nodes: Vec<_> = timing.iter().map(|hop| hop["node"].as_str().unwrap()).collect();
    assert_eq!(nodes, path);
    let waited: Vec<_> = timing.iter().map(|hop| hop["ms"].as_f64().unwrap()).collect();
    assert!(waited.is_sorted_by(|outer, inner| outer >= inner), "who asks waits longer: {waited:?}");

    let lines = |relay: &Relay| -> Vec<Value> {
        let said = relay.process.said();
        said.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    };
    let of = |relay: &Relay, id: &Value| {
        lines(relay).into_iter().filter(|line| line["fields"]["call"] == *id).collect::<Vec<_>>()
    };
    let first = lines(&alice).into_iter().find(|line| line["fields"]["service"] == "shop_service");
    let id = first.expect("the call is logged")["fields"]["call"].take();
    assert!(id.is_string());
    for relay in [&alice, &a, &b, &bob] {
        let told = of(relay, &id);
        assert_eq!(told.len(), 2, "each node tells that it came and how it ended: {told:?}");
        assert_eq!(
            told[0]["fields"]["source"].as_str().map(|it| it.split('@').next().unwrap()),
            Some("alice.home")
        );
        assert!(told[1]["fields"]["ms"].is_number(), "{told:?}");
    }

    let lost = json!({ "node_id": "bob.home", "server_name": "fake_service", "method": "get" });
    assert_eq!(remote_call(&alice.at, lost).await["error"]["code"], -32001);
    let failed = lines(&a).into_iter().find(|line| line["fields"]["code"] == -32001);
    let failed = failed.expect("a failed call is logged where it failed");
    let words = failed["fields"]["message"].as_str().unwrap();
    assert!(words.contains("bob.home does not offer `fake_service`"), "{failed}");
}
