//! SIGTERM: no new calls, those under way end, then the node does.

use serde_json::json;

use crate::http::{SlowUpstream, get, post_rpc, remote_call};
use crate::world::{World, lists};

/// The call that is under way meanwhile.
fn slow() -> serde_json::Value {
    json!({ "service_name": "slow_service", "method": "get" })
}

#[tokio::test]
async fn a_home_ends_its_calls_before_itself() {
    let world = World::new();
    let upstream = SlowUpstream::start().await;
    let main = world.main("relay-a", &[]).await;
    let mut bob = world.home("bob.home", &main.url(), &upstream.service(), &[]).await;
    lists(&main, &["slow_service@bob.home local"]).await;
    let at = main.at.clone();
    let under_way = tokio::spawn(async move { remote_call(&at, slow()).await });
    upstream.called().await;

    bob.process.terminate();
    bob.process.says("shutting down: no new calls are taken").await;
    assert_eq!(get(&bob.at, "/health").await["status"], "draining");
    for at in [&main.at, &bob.at] {
        let error = remote_call(at, slow()).await["error"].take();
        assert_eq!(error["code"], -32011, "{error}");
        assert_eq!(error["message"], "bob.home is shutting down");
        assert_eq!((&error["data"]["node"], &error["data"]["retryable"]), (&json!("bob.home"), &json!(true)));
    }
    upstream.answer();
    let reply = under_way.await.unwrap();
    assert_eq!(reply["result"], "at last", "{reply}");
    assert_eq!(bob.process.ended().await.code(), Some(0));
    lists(&main, &[]).await;
    let error = remote_call(&main.at, slow()).await["error"].take();
    assert_eq!(error["code"], -32001, "{error}");
}

#[tokio::test]
async fn a_main_carries_the_calls_under_way_to_their_end() {
    let world = World::new();
    let upstream = SlowUpstream::start().await;
    let mut main = world.main("relay-a", &[]).await;
    let alice =
        world.home("alice.home", &main.url(), "[[service]]\nname = \"echo\"\nkind = \"echo\"", &[]).await;
    let _bob = world.home("bob.home", &main.url(), &upstream.service(), &[]).await;
    lists(&main, &["echo@alice.home local", "slow_service@bob.home local"]).await;
    let (at, at_main) = (alice.at.clone(), main.at.clone());
    let from_home = tokio::spawn(async move { remote_call(&at, slow()).await });
    let from_main = tokio::spawn(async move { remote_call(&at_main, slow()).await });
    upstream.called().await;
    upstream.called().await;

    main.process.terminate();
    main.process.says("shutting down: no new calls are taken").await;
    let error = remote_call(&alice.at, slow()).await["error"].take();
    assert_eq!((&error["code"], &error["data"]["node"]), (&json!(-32011), &json!("relay-a")), "{error}");
    let (status, page) = post_rpc(&main.at, "{").await;
    assert_eq!(status, 200, "its API still answers: {page}");
    upstream.answer();
    upstream.answer();
    for under_way in [from_home, from_main] {
        let reply = under_way.await.unwrap();
        assert_eq!(reply["result"], "at last", "{reply}");
    }
    assert_eq!(main.process.ended().await.code(), Some(0));
    assert!(main.process.said().trim_end().ends_with("stopped"));
}
