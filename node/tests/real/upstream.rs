//! What becomes of a call when the HTTP service behind a node misbehaves.

use std::future::Future;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::http::{SlowUpstream, remote_call};
use crate::world::{Relay, World, free_port};

/// An upstream that does this with every connection; gives its URL.
async fn upstream<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> String
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/rpc", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    url
}

/// Reads one whole request; `false` where the other side closed first.
async fn request(stream: &mut TcpStream) -> bool {
    let mut text = String::new();
    loop {
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return false,
            Ok(read) => text.push_str(&String::from_utf8_lossy(&buffer[..read])),
        }
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return true;
            }
        }
    }
}

async fn respond(stream: &mut TcpStream, status: &str, body: &str) {
    let text = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    stream.write_all(text.as_bytes()).await.unwrap();
}

/// A Main that offers what is at `url` as `service`.
async fn offering(world: &World, url: &str, more: &str) -> Relay {
    let text = format!("[[service]]\nname = \"service\"\nkind = \"http\"\nupstream = \"{url}\"\n{more}\n");
    let file = world.file("service.toml", &text);
    world.main("relay-a", &[&file]).await
}

async fn call(main: &Relay) -> Value {
    remote_call(&main.at, json!({ "service_name": "service", "method": "get" })).await
}

#[tokio::test]
async fn a_broken_upstream_is_the_services_failure_in_words() {
    for (status, body, words) in [
        ("500 Internal Server Error", "oops", "it answered with HTTP 500 Internal Server Error"),
        ("200 OK", "<html>", "its answer is no JSON-RPC response: expected value at line 1 column 1"),
        ("200 OK", r#"{"error":{"code":7,"message":"sold out"}}"#, "service failed: sold out"),
    ] {
        let world = World::new();
        let url = upstream(move |mut stream| async move {
            while request(&mut stream).await {
                respond(&mut stream, status, body).await;
            }
        })
        .await;
        let error = call(&offering(&world, &url, "").await).await["error"].take();
        assert_eq!((&error["code"], &error["data"]["node"]), (&json!(-32010), &json!("relay-a")), "{error}");
        assert!(error["message"].as_str().unwrap().contains(words), "{error}");
    }
    let world = World::new();
    let url = format!("http://127.0.0.1:{}/rpc", free_port());
    let error = call(&offering(&world, &url, "").await).await["error"].take();
    assert_eq!(error["code"], -32010, "{error}");
    let words = error["message"].as_str().unwrap();
    assert!(words.contains(&url) && words.contains("Connection refused"), "{words}");
}

#[tokio::test]
async fn an_upstream_that_hangs_is_cut_off_at_the_services_timeout() {
    let world = World::new();
    let slow = SlowUpstream::start().await;
    let main = offering(&world, &slow.url, "timeout = \"50ms\"").await;
    let error = call(&main).await["error"].take();
    assert_eq!(error["code"], -32010, "{error}");
    assert_eq!(error["message"], "service failed: service did not answer within 50ms");
}

#[tokio::test]
async fn connections_are_kept_and_one_that_is_closed_without_a_word_is_a_lesson() {
    let world = World::new();
    // It takes a second request on a connection and closes instead of answering: that call may have run.
    let url = upstream(|mut stream| async move {
        if request(&mut stream).await {
            respond(&mut stream, "200 OK", r#"{"result":"fine"}"#).await;
            request(&mut stream).await;
        }
    })
    .await;
    let main = offering(&world, &url, "").await;
    let mut failures = Vec::new();
    for _ in 0..20 {
        let reply = call(&main).await;
        match reply["error"]["message"].as_str() {
            None => assert_eq!(reply["result"], "fine"),
            Some(words) => failures.push(words.to_owned()),
        }
    }
    assert!(failures.len() <= 1, "after the first each call has its own connection: {failures:?}");
    assert!(failures.iter().all(|words| words.contains("connection")), "{failures:?}");
}
