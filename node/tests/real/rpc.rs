//! `POST /rpc` and the routes around it, as a client sees them.

use hyper::Method;
use serde_json::{Value, json};

use crate::http::{get, post_rpc, send};
use crate::world::{Relay, World};

async fn main(world: &World, more: &[&str]) -> Relay {
    let file = world.file("echo.toml", "[[service]]\nname = \"echo\"\nkind = \"echo\"\n");
    let args: Vec<&str> = std::iter::once(file.as_str()).chain(more.iter().copied()).collect();
    world.main("relay-a", &args).await
}

async fn rpc(at: &str, body: &str) -> Value {
    let (status, reply) = post_rpc(at, body).await;
    assert_eq!(status, 200, "{reply}");
    serde_json::from_str(&reply).unwrap()
}

fn echo(id: &Value, args: &Value) -> Value {
    let params = json!({ "service_name": "echo", "method": "say", "args": args });
    json!({ "jsonrpc": "2.0", "method": "remote_call", "params": params, "id": id })
}

#[tokio::test]
async fn json_rpc_as_the_specification_has_it() {
    let world = World::new();
    let main = main(&world, &[]).await;
    let at = &main.at;
    for id in [json!(7), json!("seven"), json!(null)] {
        let reply = rpc(at, &echo(&id, &json!({ "a": [1.50, "ü"] })).to_string()).await;
        assert_eq!(reply, json!({ "jsonrpc": "2.0", "result": { "a": [1.50, "ü"] }, "id": id }));
    }
    let mut notification = echo(&json!(1), &json!(1));
    notification.as_object_mut().unwrap().remove("id");
    assert_eq!(post_rpc(at, &notification.to_string()).await, (204, String::new()));

    let batch = json!([echo(&json!(1), &json!("one")), notification, 7, echo(&json!(2), &json!("two"))]);
    let replies = rpc(at, &batch.to_string()).await;
    let replies = replies.as_array().unwrap();
    assert_eq!(replies.len(), 3, "a notification is not answered: {replies:?}");
    let by_id = |id: Value| replies.iter().find(|reply| reply["id"] == id).unwrap();
    assert_eq!(by_id(json!(1))["result"], "one");
    assert_eq!(by_id(json!(2))["result"], "two");
    assert_eq!(by_id(Value::Null)["error"]["code"], -32600);
    assert_eq!(post_rpc(at, &json!([notification]).to_string()).await, (204, String::new()));
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said() {
    let world = World::new();
    let main = main(&world, &[]).await;
    for (body, code, words) in [
        ("{\"jsonrpc\":", -32700, "parse error"),
        ("", -32700, "parse error"),
        ("[1,", -32700, "parse error"),
        ("[]", -32600, "a batch has 1 to 1000 calls, this one has 0"),
        ("{}", -32600, "missing field `method`"),
        (r#"{"method":"remote_call","id":1}"#, -32600, "`jsonrpc` must be \"2.0\""),
        (r#"{"jsonrpc":"2.0","method":"local_call","id":1}"#, -32601, "local_call; there is remote_call"),
        (r#"{"jsonrpc":"2.0","method":"remote_call","id":1}"#, -32602, "remote_call needs params"),
        (
            r#"{"jsonrpc":"2.0","method":"remote_call","id":1,"params":{"method":"m"}}"#,
            -32602,
            "node_id and server_name, or service_name",
        ),
        (
            r#"{"jsonrpc":"2.0","method":"remote_call","id":1,"params":{"service_name":"a b","method":"m"}}"#,
            -32602,
            "the service name `a b` has the character ' '",
        ),
        (
            r#"{"jsonrpc":"2.0","method":"remote_call","id":1,"params":{"service_name":"echo","method":"m","timeout":0}}"#,
            -32602,
            "timeout is 0, it must be over 0 and at most 1000000 seconds",
        ),
        (
            r#"{"jsonrpc":"2.0","method":"remote_call","id":1,"params":{"service_name":"echo","method":"m","timeout":1e7}}"#,
            -32602,
            "timeout is 10000000, it must be over 0 and at most 1000000 seconds",
        ),
    ] {
        let reply = rpc(&main.at, body).await;
        assert_eq!(
            (&reply["jsonrpc"], &reply["error"]["code"]),
            (&json!("2.0"), &json!(code)),
            "{body}: {reply}"
        );
        assert!(reply["error"]["message"].as_str().unwrap().contains(words), "{body}: {reply}");
    }
}

#[tokio::test]
async fn http_mistakes_are_answered_in_words() {
    let world = World::new();
    let main = main(&world, &["-max-message-bytes", "2048"]).await;
    let nothing = send(&main.at, Method::GET, "/nothing", String::new()).await.unwrap();
    assert_eq!(nothing.status(), 404);
    assert!(nothing.body().contains("there is no /nothing on a main relay"), "{}", nothing.body());
    let wrong = send(&main.at, Method::GET, "/rpc", String::new()).await.unwrap();
    assert_eq!((wrong.status().as_u16(), wrong.headers()["allow"].to_str().unwrap()), (405, "POST"));
    assert_eq!(wrong.body(), r#"{"error":"/rpc takes POST, not GET"}"#);
    let plain = send(&main.at, Method::GET, "/ws/federation", String::new()).await.unwrap();
    assert_eq!(plain.status(), 400);
    assert!(plain.body().starts_with("this is a WebSocket endpoint"), "{}", plain.body());
    let large = send(&main.at, Method::POST, "/rpc", "x".repeat(3_000)).await.unwrap();
    assert_eq!(large.status(), 413);
    assert!(large.body().contains("2048") && large.body().contains("-max-message-bytes"), "{}", large.body());
    assert_eq!(get(&main.at, "/health").await["status"], "ok");
}

#[tokio::test]
async fn a_home_has_no_way_in_from_other_relays() {
    let world = World::new();
    let main = main(&world, &[]).await;
    let home = world.home("alice.home", &main.url(), "[[service]]\nname = \"a\"\nkind = \"echo\"", &[]).await;
    for path in ["/ws/federation", "/ws/peers", "/registry", "/federation/peers"] {
        let answer = send(&home.at, Method::GET, path, String::new()).await.unwrap();
        assert_eq!(answer.status(), 404, "{path}");
        assert!(answer.body().contains("on a home relay"), "{}", answer.body());
    }
}
