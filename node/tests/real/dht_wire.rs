//! The DHT of a running relay, as any program on the network meets it: every answer and every error, datagram by
//! datagram.

use rand::{Rng as _, RngExt};
use rand_chacha::rand_core::SeedableRng;
use relay_node::dht::{ANSWER_BYTES_MAX, ITEMS_PER_ADDRESS_MAX, Id};
use relay_node::env::Rng;

use crate::http;
use crate::krpc::{Answer, Arguments, Put, Stranger, dict, int, text};
use crate::world::{Relay, World, eventually};

const HELLO: &str = "Hello World!";
const KEY: &str = "77ff84905a91936367c01360803104f92432fcd904a43511876df5cdf3e7e548";

fn hex_bytes(text: &str) -> Vec<u8> {
    hex::decode(text).expect("hexadecimal digits")
}

/// A relay that keeps what it says of itself, and a stranger that speaks to it.
async fn met(world: &World) -> (Relay, Stranger) {
    let main = world.main("relay-a", &[]).await;
    eventually("its own metadata is kept", async || {
        let status = http::get(&main.at, "/dht/status").await;
        (status["publication"]["state"] == "kept").then_some(())
    })
    .await;
    let stranger = Stranger::of(&main).await;
    (main, stranger)
}

fn of_target(target: &[u8]) -> Arguments {
    Arguments::from([("target", text(target))])
}

fn without(mut arguments: Arguments, key: &str) -> Arguments {
    arguments.remove(key).expect("it was there");
    arguments
}

#[tokio::test]
async fn the_vectors_of_the_bep_are_kept_and_found() {
    let world = World::new();
    let (_main, mut stranger) = met(&world).await;
    for (salt, target, signature) in [
        (
            "",
            "4a533d47ec9c7d95b1ad75f576cffc641853b750",
            "305ac8aeb6c9c151fa120f120ea2cfb923564e11552d06a5d856091e5e853cff\
             1260d3f39e4999684aa92eb73ffd136e6f4f3ecbfda0ce53a1608ecd7ae21f01",
        ),
        (
            "foobar",
            "411eba73b6f087ca51a3795d9c8c938d365e32c1",
            "6834284b6b24c3204eb2fea824d82f88883a3d95e8b4a21b8c0ded553d17d17d\
             df9a8a7104b1258f30bed3787e6cb896fca78c58f8e03b5f18f14951a87d9a08",
        ),
    ] {
        let target = hex_bytes(target);
        let mut put = Arguments::from([
            ("k", text(hex_bytes(KEY))),
            ("seq", int(1)),
            ("sig", text(hex_bytes(signature))),
            ("token", text(stranger.token(&target).await)),
            ("v", text(HELLO)),
        ]);
        if !salt.is_empty() {
            put.insert("salt", text(salt));
        }
        let answer = stranger.ask("put", put).await;
        assert_eq!(answer.error(), None);
        let got = stranger.ask("get", of_target(&target)).await;
        assert_eq!(got.said("v"), Some(text(HELLO)));
        assert_eq!(got.bytes("k"), Some(hex_bytes(KEY)));
        assert_eq!(got.bytes("sig"), Some(hex_bytes(signature)));
        assert_eq!(got.said("seq"), Some(int(1)));
        assert!(got.bytes("token").is_some() && got.bytes("nodes").is_some());
        assert_eq!(got.said("salt"), None);
        assert!(!got.0.windows(6).any(|bytes| bytes == b"foobar"), "the salt is nobody else's: {got:?}");
    }
    let target = hex_bytes("e5f96f6f38320f0f33959cb4d3d656452117aadb");
    let token = stranger.token(&target).await;
    let answer = stranger.ask("put", Arguments::from([("token", text(token)), ("v", text(HELLO))])).await;
    assert_eq!(answer.error(), None);
    let got = stranger.ask("get", of_target(&target)).await;
    assert_eq!((got.said("v"), got.said("k"), got.said("seq")), (Some(text(HELLO)), None, None));
    assert!(got.bytes("token").is_some() && got.bytes("nodes").is_some());
}

#[tokio::test]
async fn what_is_wrong_is_said_in_the_order_in_which_it_is_checked() {
    let world = World::new();
    let (main, mut stranger) = met(&world).await;
    assert_eq!(stranger.put(&Put::of(1, 5, HELLO)).await.error(), None);
    let kept = http::get(&main.at, "/dht/status").await["items_kept"].clone();
    // Everything is wrong with it; step by step less is.
    let mut put = Put {
        salt: vec![b's'; 65],
        seq: -1,
        cas: Some(4),
        value: text("x".repeat(997)),
        token: b"no token".to_vec(),
        signature: Some([1; 64]),
        ..Put::of(1, 0, "")
    };
    let mut refused = async |put: &Put, code: i64, words: &str| {
        let (said, why) = stranger.ask("put", put.arguments()).await.error().expect("an error");
        assert!(said == code && why.contains(words), "{code} {words}: {said} {why}");
    };
    refused(&put, 205, "longer than 1000 bytes").await;
    put.value = text("x".repeat(996));
    refused(&put, 207, "longer than 64 bytes").await;
    put.salt.clear();
    refused(&put, 203, "token").await;
    put.token = stranger.token(&put.target()).await;
    let mut refused = async |put: &Put, code: i64, words: &str| {
        let (said, why) = stranger.ask("put", put.arguments()).await.error().expect("an error");
        assert!(said == code && why.contains(words), "{code} {words}: {said} {why}");
    };
    refused(&put, 203, "negative").await;
    put.seq = 4;
    refused(&put, 206, "signature").await;
    put.signature = None;
    refused(&put, 301, "the stored seq is 5").await;
    put.cas = None;
    refused(&put, 302, "the stored seq is 5").await;
    put.seq = 5;
    refused(&put, 302, "of another value").await;
    put.seq = 6;
    assert_eq!(stranger.ask("put", put.arguments()).await.error(), None);
    assert_eq!(http::get(&main.at, "/dht/status").await["items_kept"], kept, "nothing else was kept");
}

#[tokio::test]
async fn half_a_query_is_refused_with_203_and_an_unknown_one_with_204() {
    let world = World::new();
    let (_main, mut stranger) = met(&world).await;
    let put = Put::of(1, 1, HELLO);
    let put = Put { token: stranger.token(&put.target()).await, ..put }.arguments();
    let with = |key, value: Vec<u8>| {
        let mut changed = put.clone();
        changed.insert(key, value);
        changed
    };
    for (method, arguments, words) in [
        ("get", Arguments::new(), "target is not there"),
        ("get", of_target(&[1; 19]), "not 20 bytes long"),
        ("get", Arguments::from([("target", text([1; 20])), ("seq", text("1"))]), "seq is no number"),
        ("find_node", Arguments::new(), "target is not there"),
        ("get_peers", Arguments::new(), "info_hash is not there"),
        ("ping", Arguments::from([("id", text("short"))]), "id is not there or not 20 bytes"),
        ("put", without(put.clone(), "v"), "v is not there"),
        ("put", without(put.clone(), "token"), "token is not there"),
        ("put", without(put.clone(), "seq"), "has a seq"),
        ("put", without(put.clone(), "sig"), "sig is not there"),
        ("put", with("k", text([1; 31])), "k is not 32 bytes long"),
        ("put", with("sig", text([1; 63])), "sig is not there or not 64 bytes"),
        ("put", with("salt", int(1)), "salt is no byte string"),
        ("put", with("cas", text("1")), "cas is no number"),
        ("put", with("seq", b"i9223372036854775808e".to_vec()), "seq is no number of 64 bits"),
        ("put", with("v", b"i01e".to_vec()), "not canonically bencoded"),
        ("announce_peer", Arguments::from([("info_hash", text([1; 20])), ("port", int(0))]), "port"),
        (
            "announce_peer",
            Arguments::from([("info_hash", text([1; 20])), ("port", int(9)), ("token", text("guessed!"))]),
            "token is not valid",
        ),
    ] {
        let answer = stranger.ask(method, arguments).await;
        let (code, said) = answer.error().unwrap_or_else(|| panic!("{method} {words}: {answer:?}"));
        assert!(code == 203 && said.contains(words), "{method}: {words}: {code} {said}");
    }
    assert_eq!(stranger.ask("vote", Arguments::new()).await.code(), 204);
    // Bad bencoding has no transaction that could be named. The last two letters are lost on the way.
    let (whole, _) = stranger.query("get", of_target(&[1; 20]));
    stranger.send(&whole[..whole.len() - 2]).await;
    let answer = Answer(stranger.receive().await);
    assert_eq!((answer.code(), answer.beside("t")), (203, Some(Vec::new())));
    assert_eq!(stranger.ask("put", put.clone()).await.error(), None, "whole, it is taken");
}

#[tokio::test]
async fn a_token_is_for_one_target() {
    let world = World::new();
    let (_main, mut stranger) = met(&world).await;
    let token = stranger.token(&Put::of(2, 1, HELLO).target()).await;
    let other = Put { token: token.clone(), ..Put::of(1, 1, HELLO) };
    assert_eq!(stranger.ask("put", other.arguments()).await.code(), 203);
    let own = Put { token, ..Put::of(2, 1, HELLO) };
    assert_eq!(stranger.ask("put", own.arguments()).await.error(), None);
}

#[tokio::test]
async fn cas_is_compared_with_what_is_kept_and_ignored_where_nothing_is() {
    let world = World::new();
    let (_main, mut stranger) = met(&world).await;
    for (cas, seq, code) in [
        (Some(7), 1, 0),
        (Some(7), 2, 301),
        (Some(1), 2, 0),
        (Some(1), 3, 301),
        (None, 3, 0),
        (Some(3), 2, 302),
        (Some(3), 3, 0),
    ] {
        let put = Put { cas, ..Put::of(3, seq, &format!("version {seq}")) };
        let answer = stranger.put(&put).await;
        assert_eq!(answer.code(), code, "cas {cas:?} seq {seq}: {answer:?}");
    }
}

#[tokio::test]
async fn the_same_again_is_taken_again_and_a_get_may_say_what_it_has() {
    let world = World::new();
    let (main, mut stranger) = met(&world).await;
    let put = Put { salt: b"news".to_vec(), ..Put::of(4, i64::MAX, HELLO) };
    assert_eq!(stranger.put(&put).await.error(), None);
    let kept = http::get(&main.at, "/dht/status").await["items_kept"].clone();
    for _ in 0..3 {
        assert_eq!(stranger.put(&put).await.error(), None, "it lives on");
    }
    assert_eq!(http::get(&main.at, "/dht/status").await["items_kept"], kept);
    for (has, comes) in [(i64::MAX - 1, true), (i64::MAX, false), (-1, true)] {
        let mut get = of_target(&put.target());
        get.insert("seq", int(has));
        let got = stranger.ask("get", get).await;
        assert_eq!(got.said("v").is_some(), comes, "{has}: {got:?}");
        assert_eq!((got.said("k").is_some(), got.said("sig").is_some()), (comes, comes));
        assert_eq!(got.said("seq"), Some(int(i64::MAX)));
        assert!(got.bytes("token").is_some() && got.bytes("nodes").is_some());
        assert!(!got.0.windows(4).any(|bytes| bytes == b"news"), "the salt is nobody else's: {got:?}");
    }
}

#[tokio::test]
async fn peers_are_announced_and_found_and_each_is_told_its_address() {
    let world = World::new();
    let (_main, mut stranger) = met(&world).await;
    let topic = Id::hash(&[b"a topic"]);
    let of_topic = || Arguments::from([("info_hash", text(topic.as_bytes()))]);
    let asked = stranger.ask("get_peers", of_topic()).await;
    assert!(asked.said("values").is_none() && asked.bytes("nodes").is_some());
    let address = |port: u16| text([&[127, 0, 0, 1][..], &port.to_be_bytes()].concat());
    // BEP 42: who asks is told as whom it is seen.
    assert_eq!(asked.beside("ip").map(text), Some(address(stranger.at().port())));
    let mut announce = of_topic();
    announce.insert("token", text(asked.bytes("token").unwrap()));
    announce.insert("port", int(4_711));
    assert_eq!(stranger.ask("announce_peer", announce.clone()).await.error(), None);
    let found = stranger.ask("get_peers", of_topic()).await;
    assert_eq!(found.said("values"), Some([&b"l"[..], &address(4_711), b"e"].concat()));
    announce.insert("implied_port", int(1));
    assert_eq!(stranger.ask("announce_peer", announce).await.error(), None);
    let found = stranger.ask("get_peers", of_topic()).await.said("values").unwrap();
    let own = address(stranger.at().port());
    assert!(found.windows(own.len()).any(|bytes| bytes == own), "the port that it came from: {found:?}");
}

#[tokio::test]
async fn who_says_that_it_cannot_be_asked_is_not_asked() {
    let world = World::new();
    let (main, mut stranger) = met(&world).await;
    for _ in 0..3 {
        stranger.ask("ping", Arguments::new()).await;
    }
    let nodes = stranger.ask("find_node", of_target(&stranger.id.clone())).await.bytes("nodes");
    assert!(stranger.queries.is_empty() && stranger.unasked().is_empty(), "BEP 43");
    assert_eq!(nodes, Some(Vec::new()), "and nobody is told of it");

    let mut other = Stranger::of(&main).await;
    other.read_only = false;
    other.id = [0xa5; 20];
    other.ask("ping", Arguments::new()).await;
    let question = match other.queries.pop() {
        Some(question) => Answer(question),
        None => Answer(other.receive().await),
    };
    assert_eq!(question.beside("q"), Some(b"ping".to_vec()));
    let answer = Arguments::from([
        ("r", dict(&Arguments::from([("id", text(other.id))]))),
        ("t", text(question.beside("t").unwrap())),
        ("y", text("r")),
    ]);
    other.send(&dict(&answer)).await;
    let nodes = stranger.ask("find_node", of_target(&other.id)).await.bytes("nodes").unwrap();
    assert_eq!(nodes[..20], other.id, "it is there, and told of");
    assert_eq!(nodes[20..], [&[127, 0, 0, 1][..], &other.at().port().to_be_bytes()].concat());
}

#[tokio::test]
async fn a_home_asks_and_is_not_asked() {
    let world = World::new();
    let main = world.main("relay-a", &[]).await;
    let echo = "[[service]]\nname = \"echo\"\nkind = \"echo\"\n";
    let home = world.home("alice.home", &main.url(), echo, &[]).await;
    eventually("the Home knows the Main's DHT", async || {
        let status = http::get(&home.at, "/dht/status").await;
        (status["contacts"].as_u64()? > 0).then_some(())
    })
    .await;
    let stranger = &mut Stranger::of(&home).await;
    let (ping, _) = stranger.query("ping", Arguments::new());
    let before = http::get(&home.at, "/dht/status").await["counters"]["queries"].as_u64().unwrap();
    for _ in 0..5 {
        stranger.send(&ping).await;
    }
    eventually("it has heard them", async || {
        let status = http::get(&home.at, "/dht/status").await;
        (status["counters"]["queries"].as_u64()? >= before + 5).then_some(())
    })
    .await;
    assert!(stranger.unasked().is_empty());
    let status = http::get(&main.at, "/dht/status").await;
    assert_eq!(status["contacts"], 0, "nobody keeps a Home for a node that can be asked");
}

#[tokio::test]
async fn any_bytes_do_no_harm_and_are_answered_with_no_more() {
    let world = World::new();
    let (main, mut stranger) = met(&world).await;
    let rng = &mut Rng::seed_from_u64(7);
    let put = Put::of(5, 1, HELLO);
    let token = stranger.token(&put.target()).await;
    let (valid, _) = stranger.query("put", Put { token, ..put }.arguments());
    for round in 0..400 {
        let datagram = match round % 4 {
            0 => {
                let mut bytes = vec![0; rng.random_range(0..2_500)];
                rng.fill_bytes(&mut bytes);
                bytes
            }
            1 => valid[..rng.random_range(0..valid.len())].to_vec(),
            2 => {
                let mut bytes = valid.clone();
                let at = rng.random_range(0..bytes.len());
                bytes[at] ^= 1 << rng.random_range(0..8);
                bytes
            }
            _ => [&b"d"[..], &vec![b'l'; rng.random_range(0..1_500)]].concat(),
        };
        stranger.send(&datagram).await;
        // In between it answers as if nothing had been.
        if round % 20 == 19 {
            stranger.ask("ping", Arguments::new()).await;
            let answers = stranger.unasked();
            assert!(answers.len() <= 20 && answers.iter().all(|answer| answer.len() <= ANSWER_BYTES_MAX));
        }
    }
    // Answers and errors that nobody asked for are not answered: two relays could not be set on each other.
    for kind in ["r", "e"] {
        let mut message = Arguments::from([("t", text("aa")), ("y", text(kind))]);
        message.insert("r", dict(&Arguments::from([("id", text([9; 20]))])));
        message.insert("e", b"li203e3:whoe".to_vec());
        stranger.send(&dict(&message)).await;
    }
    stranger.ask("ping", Arguments::new()).await;
    assert!(stranger.unasked().is_empty());
    // What is no message at all gets one answer at most, and no longer than itself.
    let mut answered = 0;
    for length in 0..120 {
        let garbage = vec![b'd'; length];
        stranger.send(&garbage).await;
        stranger.ask("ping", Arguments::new()).await;
        let answers = stranger.unasked();
        assert!(answers.len() <= 1 && answers.iter().all(|answer| answer.len() <= length), "{answers:?}");
        answered += answers.len();
    }
    assert!(answered > 0, "the longer ones are told what is wrong");
    let status = http::get(&main.at, "/dht/status").await;
    assert!(status["counters"]["garbage"].as_u64().unwrap() > 100, "{status}");
}

#[tokio::test]
async fn more_than_the_limit_is_dropped_without_a_word() {
    let world = World::new();
    let (main, mut stranger) = met(&world).await;
    let (ping, _) = stranger.query("ping", Arguments::new());
    eventually("the limit is reached", async || {
        for _ in 0..500 {
            stranger.send(&ping).await;
        }
        let status = http::get(&main.at, "/dht/status").await;
        (status["counters"]["limited"].as_u64()? > 0).then_some(())
    })
    .await;
    eventually("it answers again", async || {
        let mut other = Stranger::of(&main).await;
        let (ping, _) = other.query("ping", Arguments::new());
        other.send(&ping).await;
        tokio::time::timeout(std::time::Duration::from_millis(500), other.receive()).await.ok()
    })
    .await;
}

#[tokio::test]
async fn one_address_has_a_share_of_the_store() {
    let world = World::new();
    let (_main, mut stranger) = met(&world).await;
    let mut code = 0;
    for number in 0..=ITEMS_PER_ADDRESS_MAX {
        assert_eq!(code, 0, "after {number} items");
        let value = int(number as i64);
        let target = Id::hash(&[&value]);
        let token = stranger.token(target.as_bytes()).await;
        code = stranger.ask("put", Arguments::from([("token", text(token)), ("v", value)])).await.code();
    }
    assert_eq!(code, 202, "of one address, no more");
}
