//! Mains and Homes find each other, and find each other again.

use serde_json::{Value, json};

use crate::http::{get, remote_call};
use crate::world::{Relay, World, eventually, fixed, free_port, lists};

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().map(|all| all.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
}

/// The test cases 2.1 to 2.3 of the migration plan, on two Mains and three Homes.
#[tokio::test]
async fn services_are_listed_and_called_over_two_and_three_hops() {
    let world = World::new();
    let a = world.main("relay-a.com", &[]).await;
    let b = world.main("relay-b.com", &["-peers", &a.url()]).await;
    let posts = fixed("blog_service", "get_posts = [\"one\"]");
    let alice = world.home("alice.home", &a.url(), &posts, &[]).await;
    let products = fixed("shop_service", "get_products = [\"pan\"]");
    let _bob = world.home("bob.home", &a.url(), &products, &[]).await;
    let news = fixed("news_service", "get_headlines = [\"fine weather\"]");
    let _charlie = world.home("charlie.home", &b.url(), &news, &[]).await;
    lists(
        &a,
        &[
            "blog_service@alice.home local",
            "news_service@charlie.home federated",
            "shop_service@bob.home local",
        ],
    )
    .await;
    lists(
        &b,
        &[
            "blog_service@alice.home federated",
            "news_service@charlie.home local",
            "shop_service@bob.home federated",
        ],
    )
    .await;

    let registry = get(&a.at, "/registry").await;
    assert_eq!(registry["node_id"], "relay-a.com");
    assert_eq!(registry["node_address"], json!(a.url()));
    assert_eq!(strings(&registry["servers"]), ["blog_service", "shop_service"], "only what hangs here");
    assert_eq!(strings(&registry["peers"]), ["relay-b.com"]);
    let peers = get(&a.at, "/federation/peers").await;
    assert_eq!(peers["peers"][0]["node_id"], "relay-b.com");
    assert_eq!(peers["peers"][0]["status"], "connected");
    let own = get(&alice.at, "/services").await;
    assert_eq!(own["services"][0], json!({ "name": "blog_service", "methods": ["get_posts"] }));

    let two = json!({ "node_id": "bob.home@relay-a.com", "server_name": "shop_service", "method": "get_products", "trace": true });
    let reply = remote_call(&alice.at, two.clone()).await;
    assert_eq!(reply["result"], json!(["pan"]));
    assert_eq!(reply["trace"]["hops"], 2);
    assert_eq!(strings(&reply["trace"]["path"]), ["alice.home", "relay-a.com", "bob.home"]);
    assert_eq!(remote_call(&a.at, two).await["result"], json!(["pan"]), "a Main's own clients may call, too");

    let three = json!({ "node_id": "charlie.home@relay-b.com", "server_name": "news_service", "method": "get_headlines", "trace": true });
    let reply = remote_call(&alice.at, three).await;
    assert_eq!(reply["result"], json!(["fine weather"]));
    assert_eq!(reply["trace"]["hops"], 3);
    let path = strings(&reply["trace"]["path"]).join(" → ");
    assert_eq!(path, "alice.home → relay-a.com → relay-b.com → charlie.home");
    let by_name = json!({ "service_name": "news_service", "method": "get_headlines" });
    assert_eq!(remote_call(&alice.at, by_name).await["result"], json!(["fine weather"]));

    let nobody = json!({ "node_id": "nonexistent.home", "server_name": "fake_service", "method": "test" });
    let error = remote_call(&a.at, nobody).await["error"].take();
    assert_eq!(error["code"], -32002);
    assert!(error["message"].as_str().unwrap().starts_with("service not found"), "{error}");
    assert_eq!(error["data"], json!({ "node": "relay-a.com", "path": ["relay-a.com"], "retryable": false }));
}

#[tokio::test]
async fn a_home_that_was_there_first_waits_for_its_main() {
    let world = World::new();
    let port = free_port().to_string();
    let services = fixed("news", "get = 1");
    let mut home = world.home("early.home", &format!("ws://127.0.0.1:{port}"), &services, &[]).await;
    home.process.says("cannot connect to the Main").await;
    let call = json!({ "service_name": "elsewhere", "method": "get" });
    let error = remote_call(&home.at, call).await["error"].take();
    assert_eq!(error["code"], -32003, "{error}");
    assert_eq!(error["message"], "no route: early.home is not connected to a Main");
    let main = world.main("late.main", &["-port", &port]).await;
    lists(&main, &["news@early.home local"]).await;
}

#[tokio::test]
async fn a_main_that_is_killed_comes_back_as_itself_and_so_do_its_homes() {
    let world = World::new();
    let port = free_port().to_string();
    let dir = world.text("main-data");
    let args = ["-server", "-host", "127.0.0.1", "-port", &port, "-data-dir", &dir];
    let mut main = world.listening(world.relay("main", &args)).await;
    assert!(main.process.said().contains("Starting as Main Relay with auto-generated node ID main-"));
    let alice = world.home("alice.home", &main.url(), &fixed("blog", "get = 1"), &[]).await;
    let _bob = world.home("bob.home", &main.url(), &fixed("shop", "get = 2"), &[]).await;
    lists(&main, &["blog@alice.home local", "shop@bob.home local"]).await;
    let before = get(&main.at, "/health").await;

    main.process.kill();
    let call = json!({ "service_name": "shop", "method": "get" });
    eventually("alice sees that its Main is gone", async || {
        let reply = remote_call(&alice.at, call.clone()).await;
        (reply["error"]["code"] == -32003).then_some(())
    })
    .await;
    let main = world.listening(world.relay("main", &args)).await;
    lists(&main, &["blog@alice.home local", "shop@bob.home local"]).await;
    let after = get(&main.at, "/health").await;
    assert_eq!((&after["node_id"], &after["public_key"]), (&before["node_id"], &before["public_key"]));
    assert_eq!(remote_call(&alice.at, call).await["result"], 2);
}

#[tokio::test]
async fn a_chain_of_mains_becomes_a_mesh() {
    let world = World::new();
    let a = world.main("relay-a", &[]).await;
    let b = world.main("relay-b", &["-peers", &a.url()]).await;
    let c = world.main("relay-c", &["-peers", &b.url()]).await;
    let alice = world.home("alice.home", &a.url(), &fixed("blog", "get = 1"), &[]).await;
    let _carol = world.home("carol.home", &c.url(), &fixed("shop", "get = 2"), &[]).await;
    lists(&a, &["blog@alice.home local", "shop@carol.home federated"]).await;
    let connected = async |main: &Relay| {
        let peers = get(&main.at, "/federation/peers").await;
        let peers = peers["peers"].as_array().cloned().unwrap_or_default();
        peers.iter().filter(|peer| peer["status"] == "connected").count()
    };
    for main in [&a, &b, &c] {
        eventually("each Main is connected to both others", async || {
            (connected(main).await == 2).then_some(())
        })
        .await;
    }
    let call = json!({ "node_id": "carol.home", "server_name": "shop", "method": "get", "trace": true });
    let reply = remote_call(&alice.at, call).await;
    assert_eq!((&reply["result"], &reply["trace"]["hops"]), (&json!(2), &json!(3)), "{reply}");
}
