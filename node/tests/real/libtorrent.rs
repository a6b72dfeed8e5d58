//! The DHT beside another implementation of it: libtorrent 2.0, which most of the internet's nodes run, in a process of
//! its own (`libtorrent_node.py`).

use std::io::{BufRead, BufReader, Lines, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use ed25519_dalek::SigningKey;
use relay_node::metadata::Metadata;
use serde_json::{Value, json};

use crate::dht_command::dht;
use crate::http::get;
use crate::krpc::{dht_at, text};
use crate::world::{World, eventually};

/// The interpreter that Debian's python3-libtorrent is for.
const PYTHON: &str = "/usr/bin/python3";

/// A node of libtorrent that ends with the test. It answers each order, or says that it cannot, within 15 s.
struct Libtorrent {
    process: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Libtorrent {
    /// `None` where it is not installed; where all checks run that is no excuse.
    fn start() -> Option<Self> {
        let there = Command::new(PYTHON).args(["-c", "import libtorrent"]).output();
        if !there.is_ok_and(|there| there.status.success()) {
            let missing = format!("{PYTHON} has no libtorrent: apt-get install python3-libtorrent");
            assert!(std::env::var_os("CI").is_none(), "{missing}");
            eprintln!("NOT TESTED beside libtorrent: {missing}");
            return None;
        }
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/real/libtorrent_node.py");
        let mut process = Command::new(PYTHON)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it was there a moment ago");
        let orders = process.stdin.take().expect("piped");
        let answers = BufReader::new(process.stdout.take().expect("piped")).lines();
        Some(Libtorrent { process, orders, answers })
    }

    fn does(&mut self, order: &Value) -> Value {
        writeln!(self.orders, "{order}").expect("it reads orders");
        let answer = self.answers.next().expect("it answers each order").expect("its output is text");
        let answer: Value = serde_json::from_str(&answer).expect("a JSON object");
        assert!(answer["error"].is_null(), "{order}: {answer}");
        answer
    }
}

impl Drop for Libtorrent {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to kill.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Somebody with a key: as libtorrent takes it, and as `relay dht` does.
struct Owner {
    seed: String,
    key: String,
    file: String,
}

impl Owner {
    fn new(world: &World, seed: u8) -> Self {
        let seed = [seed; 32];
        let key = SigningKey::from_bytes(&seed).verifying_key();
        let (seed, key) = (hex::encode(seed), hex::encode(key.as_bytes()));
        Owner { file: world.file(&format!("{}.key", &key[..8]), &seed), seed, key }
    }
}

#[tokio::test]
async fn items_travel_to_libtorrent_and_back() {
    let Some(mut other) = Libtorrent::start() else { return };
    let world = World::new();
    let a = world.main("relay-a", &[]).await;
    let at = dht_at(&a).await;
    let b = world.main("relay-b", &["-dht-bootstrap", &at.to_string()]).await;
    let joined = other.does(&json!({ "do": "join", "port": at.port() }));
    assert!(joined["nodes"].as_u64().unwrap() >= 1, "{joined}");
    // By the way that it came in, it is known to both, and both are known to it.
    for main in [&a, &b] {
        eventually("both know the other relay and libtorrent", async || {
            (get(&main.at, "/dht/status").await["contacts"] == 2).then_some(())
        })
        .await;
    }
    let (a_way, b_way) = (at.to_string(), dht_at(&b).await.to_string());

    for (seed, salt) in [(1, ""), (2, "news")] {
        let owner = Owner::new(&world, seed);
        let read = |way: &str| {
            let got = dht(&["get", &owner.key, "-salt", salt, "-json", "-bootstrap", way]);
            assert_eq!(got.code, 0, "{}{}", got.out, got.err);
            (got.json()["item"]["seq"].clone(), got.json()["item"]["text"].clone())
        };
        let write = |value: &str, way: &str| {
            let put = dht(&["put", value, "-key", &owner.file, "-salt", salt, "-json", "-bootstrap", way]);
            assert_eq!(put.code, 0, "{}{}", put.out, put.err);
            assert_eq!(put.json()["refused"], json!([]), "{}", put.out);
            put.json()["seq"].clone()
        };
        let mut put = |value: &str| {
            let done = other.does(&json!({
                "do": "put", "seed": owner.seed, "key": owner.key, "salt": salt, "value": value,
            }));
            assert!(done["taken"].as_u64().unwrap() >= 2, "{done}");
            done["seq"].clone()
        };
        // Theirs, read by ours; then ours, which take the next version, and theirs again.
        assert_eq!(put("theirs"), 1);
        assert_eq!(read(&b_way), (json!(1), json!("theirs")));
        assert_eq!(write("ours", &b_way), 2);
        let got = json!({ "do": "get", "key": owner.key, "salt": salt });
        assert_eq!(other.does(&got), json!({ "seq": 2, "value": hex::encode("ours") }));
        let again = other.does(&json!({
            "do": "put", "seed": owner.seed, "key": owner.key, "salt": salt, "value": "theirs again",
        }));
        assert_eq!(again["seq"], 3);
        assert_eq!(read(&a_way), (json!(3), json!("theirs again")));
    }

    let put = other.does(&json!({ "do": "put-immutable", "value": "Hello World!" }));
    let target = "e5f96f6f38320f0f33959cb4d3d656452117aadb";
    assert_eq!(put["target"], target);
    let got = dht(&["get", target, "-bootstrap", &b_way]);
    assert!(got.code == 0 && got.out.ends_with("\nHello World!\n"), "{}{}", got.out, got.err);
    let put = dht(&["put", "from here", "-json", "-bootstrap", &b_way]).json();
    let got = other.does(&json!({ "do": "get-immutable", "target": put["target"] }));
    assert_eq!(got["value"], hex::encode("from here"));

    // What it is asked to keep, it keeps: it takes our token, signature and version.
    let address = format!("127.0.0.1:{}", joined["port"]);
    let taken = put["taken"].as_array().unwrap().iter().any(|node| node["address"] == address.as_str());
    assert!(taken, "{address} in {put}");

    // What our relays say of themselves.
    for main in [&a, &b] {
        let status = get(&main.at, "/dht/status").await;
        let got = other.does(&json!({ "do": "get", "key": status["public_key"], "salt": "" }));
        assert_eq!(got["seq"], status["publication"]["seq"]);
        let value = hex::decode(got["value"].as_str().expect("it is there")).unwrap();
        let metadata = Metadata::decode(&text(value)).expect("a dictionary in a byte string");
        assert_eq!(metadata.to_json(), status["metadata"]);
    }
}
