//! The documents say what the program does: flags, metrics, error codes, messages, files, and every command of the
//! quickstart.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use ed25519_dalek::SigningKey;
use relay_node::wire::{self, End, Handshake, Hex, NodeId, NodeKind, Party, public};
use serde_json::{Value, json};

use crate::http::{remote_call, text};
use crate::websocket::{HOMES, Raw};
use crate::world::{World, lists};

const OPERATIONS: &str = include_str!("../../docs/operations.md");
const README: &str = include_str!("../../README.md");
const PROTOCOL: &str = include_str!("../../docs/protocol.md");

/// The rows of the table below the first line that begins with `header`, cell by cell.
fn table<'a>(document: &'a str, header: &str) -> Vec<Vec<&'a str>> {
    let mut lines = document.lines().skip_while(|line| !line.starts_with(header));
    assert!(lines.next().is_some(), "there is no table {header}");
    let rows = lines.skip(1).take_while(|line| line.starts_with('|'));
    let rows: Vec<Vec<&str>> =
        rows.map(|row| row.trim().trim_matches('|').split(" | ").map(str::trim).collect()).collect();
    assert!(!rows.is_empty(), "{header} has no rows");
    rows
}

/// What stands between backticks.
fn codes(cell: &str) -> BTreeSet<String> {
    // In a table a bar is written with a backslash.
    cell.split('`').skip(1).step_by(2).map(|code| code.replace("\\|", "|")).collect()
}

fn all_codes<'a>(cells: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    cells.into_iter().flat_map(codes).collect()
}

#[test]
fn every_flag_is_in_the_table_with_its_value() {
    let help = Command::new(env!("CARGO_BIN_EXE_relay")).arg("-help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let told = help.lines().map(str::trim).filter(|line| line.starts_with('-'));
    let mut told: BTreeSet<String> = told.map(|flag| flag.replace(['<', '>'], "")).collect();
    told.extend(["SERVICE_FILE", "-help", "-version"].map(String::from));
    let listed = table(OPERATIONS, "| flag | for |");
    assert_eq!(all_codes(listed.iter().map(|row| row[0])), told);
}

#[tokio::test]
async fn every_metric_is_in_the_table_with_its_type_and_labels() {
    let world = World::new();
    let echo = world.file("echo.toml", "[[service]]\nname = \"echo\"\nkind = \"echo\"\n");
    let main = world.main("relay-a", &[&echo]).await;
    // A metric with labels is told once there is something to tell.
    assert!(Raw::dial(&main.at, HOMES, "older.home", None).await.is_err(), "refused");
    for service in ["echo", "nothing"] {
        remote_call(&main.at, json!({ "service_name": service, "method": "say" })).await;
    }
    let scrape = text(&main.at, "/metrics").await;
    let mut told: BTreeMap<String, (String, BTreeSet<String>)> = BTreeMap::new();
    for line in scrape.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            let suffix = if kind == "counter" { "_total" } else { "" };
            told.insert(format!("{name}{suffix}"), (kind.to_owned(), BTreeSet::new()));
        } else if let Some((name, labels)) = line.split_once('{') {
            let labels =
                labels.split_once('}').unwrap().0.split(',').map(|label| label.split_once('=').unwrap().0);
            // A histogram's own label of its buckets is no news.
            if let Some((_, known)) = told.get_mut(name) {
                known.extend(labels.map(str::to_owned));
            }
        }
    }
    let rows = table(OPERATIONS, "| name | type | labels |");
    let listed: BTreeMap<String, (String, BTreeSet<String>)> = rows
        .iter()
        .map(|row| {
            let labels = row[2].split(':').next().map(codes).unwrap_or_default();
            (row[0].trim_matches('`').to_owned(), (row[1].to_owned(), labels))
        })
        .collect();
    assert_eq!(listed, told);
}

#[test]
fn every_error_code_is_in_the_table_and_in_the_api() {
    let product = |text: &'static str| text.split("#[cfg(test)]").next().unwrap();
    let failures = product(include_str!("../../src/federation/error.rs"));
    let rpc = product(include_str!("../../src/http/rpc.rs"));
    let numbers = |text: &str| -> BTreeSet<i64> {
        text.match_indices("-32").filter_map(|(at, _)| text.get(at..at + 6)?.parse().ok()).collect()
    };
    let known: BTreeSet<i64> = &numbers(failures) | &numbers(rpc);
    let rows = table(PROTOCOL, "| code | meaning |");
    let listed: BTreeSet<i64> = rows.iter().map(|row| row[0].parse().expect("a code")).collect();
    assert_eq!(listed, known);
    let api: Value = serde_json::from_str(include_str!("../../openapi.json")).unwrap();
    let described = &api["components"]["schemas"]["CallError"]["properties"]["code"]["enum"];
    let described: BTreeSet<i64> = described.as_array().unwrap().iter().filter_map(Value::as_i64).collect();
    assert_eq!(described, known);
}

#[test]
fn every_route_is_in_the_readme() {
    let api: Value = serde_json::from_str(include_str!("../../openapi.json")).unwrap();
    let mut described = BTreeSet::new();
    for (path, item) in api["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let on = if operation["x-relay-on"] == json!(["main"]) { "Main" } else { "both" };
            described.insert((format!("{} {path}", method.to_uppercase()), on.to_owned()));
        }
    }
    let rows = table(README, "| route | on |");
    let listed: BTreeSet<(String, String)> =
        rows.iter().map(|row| (row[0].trim_matches('`').to_owned(), row[1].to_owned())).collect();
    assert_eq!(listed, described);
}

#[test]
fn every_message_family_is_in_the_table() {
    let gossip = r#"{"type":"gossip","message_id":"1","source_node":{"type":"home","id":"a"}}"#;
    let refusal = wire::decode(gossip).unwrap_err().to_string();
    let known = refusal.split_once("known are ").unwrap().1.replace(" and ", ", ");
    let known: BTreeSet<String> = known.split(", ").map(str::to_owned).collect();
    let rows = table(PROTOCOL, "| `type` | sent by |");
    assert_eq!(all_codes(rows.iter().map(|row| row[0])), known);
}

#[test]
fn the_test_vector_of_the_handshake_holds() {
    let (alice, main): (NodeId, NodeId) = ("alice.home".parse().unwrap(), "relay-a.com".parse().unwrap());
    let (home_key, main_key) = (SigningKey::from_bytes(&[1; 32]), SigningKey::from_bytes(&[2; 32]));
    let party =
        |node, kind, key: &SigningKey, nonce| Party { node, kind, key: public(key), nonce: Hex([nonce; 32]) };
    let handshake = Handshake {
        dialler: party(&alice, NodeKind::Home, &home_key, 3),
        acceptor: party(&main, NodeKind::Main, &main_key, 4),
    };
    let proof = handshake.prove(End::Dialler, &home_key, Some(b"sixteen letters!"));
    let expected = [
        hex::encode(handshake.signed(End::Dialler)),
        proof.signature.to_string(),
        handshake.prove(End::Acceptor, &main_key, None).signature.to_string(),
        proof.secret.unwrap().to_string(),
    ];
    let (_, vector) = PROTOCOL.split_once("A test vector").unwrap();
    let rows = table(vector, "| | |");
    let listed: Vec<&str> = rows[2..].iter().map(|row| row[1].trim_matches('`')).collect();
    assert_eq!(listed, expected);
}

#[tokio::test]
async fn every_file_of_a_data_directory_is_in_the_table() {
    let world = World::new();
    let main = world.main("relay-a", &[]).await;
    let _home = world.home("alice", &main.url(), "[[service]]\nname = \"echo\"\nkind = \"echo\"", &[]).await;
    lists(&main, &["echo@alice local"]).await;
    let there = |name: &str| -> BTreeSet<String> {
        let entries = std::fs::read_dir(world.path(name)).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    };
    let rows = table(OPERATIONS, "| file | what |");
    let mut listed = all_codes(rows.iter().map(|row| row[0]));
    assert!(there("alice").is_subset(&listed), "{:?}", there("alice"));
    assert!(listed.remove("trusted_keys"), "the operator's own");
    assert_eq!(there("relay-a"), listed);
}
