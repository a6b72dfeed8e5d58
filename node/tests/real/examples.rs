//! The blog and the shop of `examples/` call each other across two Mains.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::http::remote_call;
use crate::world::{Process, World, free_port, lists};

/// An example's program, which `cargo test` builds beside the binary.
fn example(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_relay")).with_file_name("examples").join(name);
    assert!(path.exists(), "{} is missing: cargo build -p relay-node --examples", path.display());
    path
}

/// Starts an example beside the Home that will listen on `home_port`; gives the service file, as in `examples/`, with
/// the upstream where it is.
async fn beside(world: &World, name: &str, home_port: u16) -> (Process, String) {
    let home = format!("http://127.0.0.1:{home_port}/rpc");
    let args = ["--port", "0", "--home", &home].map(String::from);
    let mut program = Process::start(&example(name), &args, world.path(&format!("{name}.log")));
    let upstream = program.says(&format!("{name} answers at ")).await;
    let upstream = upstream.split_whitespace().next().unwrap().to_owned();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../examples/{name}.toml"));
    let text = std::fs::read_to_string(&file).unwrap();
    let placed: String = text
        .lines()
        .map(|line| {
            if line.starts_with("upstream") {
                format!("upstream = \"{upstream}\"\n")
            } else {
                format!("{line}\n")
            }
        })
        .collect();
    (program, placed)
}

#[tokio::test]
async fn the_blog_and_the_shop_call_each_other_across_the_federation() {
    let world = World::new();
    let a = world.main("relay-a.com", &[]).await;
    let b = world.main("relay-b.com", &["-peers", &a.url()]).await;
    let (alice_port, bob_port) = (free_port(), free_port());
    let (_blog, blog) = beside(&world, "blog", alice_port).await;
    let (_shop, shop) = beside(&world, "shop", bob_port).await;
    let alice = world.home("alice.home", &a.url(), &blog, &["-port", &alice_port.to_string()]).await;
    lists(&a, &["blog_service@alice.home local"]).await;
    let posts = json!({ "service_name": "blog_service", "method": "get_posts" });
    let alone = remote_call(&alice.at, posts.clone()).await;
    assert_eq!(alone["result"][0]["product"], Value::Null);
    let why = alone["result"][0]["product_error"].as_str().unwrap();
    assert_eq!(why, "service not found: no node offers `shop_service`");

    let bob = world.home("bob.home", &b.url(), &shop, &["-port", &bob_port.to_string()]).await;
    lists(&a, &["blog_service@alice.home local", "shop_service@bob.home federated"]).await;
    lists(&b, &["blog_service@alice.home federated", "shop_service@bob.home local"]).await;
    let reply = remote_call(&bob.at, posts).await;
    let shown: Vec<_> =
        reply["result"].as_array().unwrap().iter().map(|post| &post["product"]["name"]).collect();
    assert_eq!(shown, ["Iron pan", "Camping lamp", "Iron pan"], "{reply}");
    let products = json!({ "node_id": "bob.home@relay-b.com", "server_name": "shop_service", "method": "get_products", "trace": true });
    let reply = remote_call(&alice.at, products).await;
    let counted: Vec<_> =
        reply["result"].as_array().unwrap().iter().map(|product| &product["reviews"]).collect();
    assert_eq!(counted, [2, 1, 0], "{reply}");
    assert_eq!(reply["trace"]["hops"], 3);

    let wrong = json!({ "service_name": "shop_service", "method": "get_product", "args": { "id": "boat" } });
    let error = remote_call(&alice.at, wrong).await["error"].take();
    assert_eq!(error["code"], -32010, "{error}");
    assert_eq!(error["data"]["detail"]["code"], -32602, "the service's own error comes along: {error}");
    assert!(error["message"].as_str().unwrap().contains("there are pan, lamp, kettle"), "{error}");
}

#[tokio::test]
async fn every_service_file_of_the_examples_starts() {
    let world = World::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    for (file, services) in [("echo", &["echo@relay local"][..]), ("news", &["news_service@relay local"])] {
        let path = folder.join(format!("{file}.toml"));
        let dir = world.text(file);
        let args = [
            path.to_str().unwrap(),
            "-server",
            "-host",
            "127.0.0.1",
            "-port",
            "0",
            "-node-id",
            "relay",
            "-data-dir",
            &dir,
        ];
        let main = world.listening(world.relay(file, &args)).await;
        lists(&main, services).await;
    }
}
