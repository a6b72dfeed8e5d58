//! `relay dht …` against running relays: what is put is found, and what goes wrong is said.

use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::http;
use crate::krpc::dht_at;
use crate::world::{Relay, World, eventually, fixed, free_udp_port};

/// What `relay dht` said, and how it ended.
pub(crate) struct Told {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Told {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {} {}", self.out, self.err))
    }
}

/// Runs `relay dht` to its end.
pub(crate) fn dht(args: &[&str]) -> Told {
    let Output { status, stdout, stderr } =
        Command::new(env!("CARGO_BIN_EXE_relay")).arg("dht").args(args).output().expect("it can be started");
    let text = |bytes| String::from_utf8(bytes).expect("it writes text");
    Told { code: status.code().expect("no signal"), out: text(stdout), err: text(stderr) }
}

/// Three Mains that know each other in the DHT.
pub(crate) async fn three_mains(world: &World) -> [Relay; 3] {
    let first = world.main("relay-a", &[]).await;
    let way = dht_at(&first).await.to_string();
    let second = world.main("relay-b", &["-dht-bootstrap", &way]).await;
    let third = world.main("relay-c", &["-dht-bootstrap", &way]).await;
    for main in [&first, &second, &third] {
        eventually("each knows both others", async || {
            (http::get(&main.at, "/dht/status").await["contacts"] == 2).then_some(())
        })
        .await;
    }
    [first, second, third]
}

#[tokio::test]
async fn what_is_put_at_one_relay_is_got_at_another() {
    let world = World::new();
    let [a, b, c] = three_mains(&world).await;
    let (a, b, c) =
        (dht_at(&a).await.to_string(), dht_at(&b).await.to_string(), dht_at(&c).await.to_string());
    let put = dht(&["put", "Hello World!", "-bootstrap", &a]);
    let target = "e5f96f6f38320f0f33959cb4d3d656452117aadb";
    assert_eq!((put.code, put.err.as_str()), (0, ""));
    assert!(put.out.contains(&format!("target      {target}\n")), "{}", put.out);
    assert!(put.out.contains("taken by    3 nodes\n"), "{}", put.out);
    let got = dht(&["get", target, "-bootstrap", &c]);
    assert_eq!(got.code, 0, "{}", got.err);
    assert!(got.out.contains("kept by") && got.out.ends_with("\nHello World!\n"), "{}", got.out);

    let key = world.text("relay-a/ed25519_private.key");
    let public = std::fs::read_to_string(world.path("relay-a/ed25519_public.key")).unwrap();
    let signed = ["-key", key.as_str(), "-salt", "news", "-bootstrap", &b, "-json"];
    for seq in 1..=3 {
        let put = dht(&[&["put", "fresh"][..], &signed].concat());
        let told = put.json();
        assert_eq!((put.code, &told["seq"], told["taken"].as_array().unwrap().len()), (0, &json!(seq), 3));
    }
    let got = dht(&["get", public.trim(), "-salt", "news", "-json", "-bootstrap", &a]).json();
    let item = &got["item"];
    assert_eq!((&item["seq"], &item["text"]), (&json!(3), &json!("fresh")));
    assert_eq!((&item["public_key"], &item["salt"]), (&json!(public.trim()), &json!(hex::encode("news"))));
    assert_eq!((&got["holders"], &got["asked"]), (&json!(3), &json!(3)));

    // Refusals, from all three.
    for (more, code, words) in [
        (&["-seq", "3"][..], 302, "of another value"),
        (&["-seq", "4", "-cas", "1"], 301, "the stored seq is 3"),
        (&["-cas", "2"], 301, "the stored seq is 3"),
    ] {
        let put = dht(&[&["put", "stale"][..], more, &signed].concat());
        let refused = put.json()["refused"].clone();
        assert_eq!((put.code, refused.as_array().unwrap().len()), (1, 3), "{}", put.out);
        assert_eq!(refused[0]["code"], code);
        assert!(refused[0]["message"].as_str().unwrap().contains(words), "{refused}");
    }
    let old = dht(&["put", "stale", "-seq", "2", "-key", &key, "-salt", "news", "-bootstrap", &b]);
    assert_eq!(old.code, 1);
    assert!(old.out.contains("version 3 is kept already"), "{}", old.out);
    let right = dht(&["put", "next", "-cas", "3", "-key", &key, "-salt", "news", "-bootstrap", &c]);
    assert!(right.code == 0 && right.out.contains("seq         4\n"), "{}{}", right.out, right.err);
}

#[tokio::test]
async fn nodes_and_peers_are_found() {
    let world = World::new();
    let mains = three_mains(&world).await;
    let way = dht_at(&mains[1]).await.to_string();
    let target = "00".repeat(20);
    let found = dht(&["find", &target, "-bootstrap", &way]);
    assert_eq!((found.code, found.out.lines().count()), (0, 3), "{}{}", found.out, found.err);
    let mut expected = Vec::new();
    for main in &mains {
        let status = http::get(&main.at, "/dht/status").await;
        let id = status["dht_node_id"]["v4"].as_str().unwrap().to_owned();
        expected.push(format!("{id} {}", dht_at(main).await));
    }
    // The closest first; to zero that is the smallest.
    expected.sort();
    assert_eq!(found.out.lines().collect::<Vec<_>>(), expected);
    let nobody = dht(&["peers", "nobody gathers here", "-bootstrap", &way]);
    assert_eq!(nobody.code, 1);
    assert!(nobody.err.contains("nobody has announced itself under"), "{}", nobody.err);
    let nothing = dht(&["get", &target, "-bootstrap", &way]);
    assert_eq!((nothing.code, nothing.out.as_str()), (1, ""));
    assert!(
        nothing.err.contains(&format!("nothing is kept under {target}; nodes asked: 3")),
        "{}",
        nothing.err
    );
    assert_eq!(dht(&["get", &target, "-json", "-bootstrap", &way]).json()["item"], Value::Null);
}

#[tokio::test]
async fn what_a_relay_says_of_itself_is_shown_as_json() {
    let world = World::new();
    let main = world.main("relay-a", &[]).await;
    let home = world.home("alice.home", &main.url(), &fixed("news", "get = 1"), &[]).await;
    let way = dht_at(&main).await.to_string();
    for relay in [&main, &home] {
        let status = http::get(&relay.at, "/dht/status").await;
        let (peer, key) = (status["peer_id"].as_str().unwrap(), status["public_key"].as_str().unwrap());
        let shown = eventually("it is published", async || {
            let got = dht(&["get", key, "-bootstrap", &way]);
            let (_, shown) = got.out.split_once("\n\n")?;
            (got.code == 0).then(|| serde_json::from_str::<Value>(shown).expect(shown))
        })
        .await;
        let by_target = dht(&["get", peer, "-json", "-bootstrap", &way]).json();
        assert_eq!(by_target["item"]["metadata"], shown);
        assert_eq!(shown["node_id"], http::get(&relay.at, "/health").await["node_id"]);
        assert_eq!(shown["is_relay"], relay.at == main.at);
    }
}

#[tokio::test]
async fn what_goes_wrong_is_said() {
    let world = World::new();
    let nobody = format!("127.0.0.1:{}", free_udp_port());
    let silence = dht(&["get", &"00".repeat(20), "-bootstrap", &nobody]);
    assert_eq!((silence.code, silence.out.as_str()), (1, ""));
    let words = format!("relay dht: no node of the DHT answers at {nobody}. Does a relay run there");
    assert!(silence.err.starts_with(&words) && silence.err.contains("-bootstrap"), "{}", silence.err);
    let silence = dht(&["get", &"00".repeat(20), "-json", "-bootstrap", &nobody]);
    assert!(
        silence.code == 1 && silence.json()["error"].as_str().unwrap().contains("no node"),
        "{}",
        silence.out
    );
    let damaged = world.file("key", "not a key");
    for (args, words) in [
        (&["put", "x", "-key", "/nonexistent/key"][..], "/nonexistent/key"),
        (&["put", "x", "-key", &damaged], "64 hexadecimal digits"),
        (&["get", "xyz"], "neither 40 hexadecimal digits"),
        (&["get", &"00".repeat(20), "-bootstrap", "nowhere"], "HOST:PORT"),
        (&[], "get, put, find or peers"),
        (&["gte", "x"], "gte"),
    ] {
        let told = dht(args);
        assert_eq!((told.code, told.out.as_str()), (64, ""), "{args:?}: {}", told.err);
        assert!(told.err.contains(words) && !told.err.contains("panicked"), "{args:?}: {}", told.err);
    }
    let help = dht(&["-help"]);
    assert!(help.code == 0 && help.out.contains("relay dht put VALUE"), "{}", help.out);
    let relay = Command::new(env!("CARGO_BIN_EXE_relay")).arg("-help").output().unwrap();
    assert!(String::from_utf8(relay.stdout).unwrap().contains("relay dht"), "its help leads here");
}
