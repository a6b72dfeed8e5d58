//! No ambient time, tasks, sockets, files, threads or randomness in the node and the simulator: whole modules, where
//! clippy can only name functions and types.

use super::source::paths;
use super::tree::{Finding, Tree};

/// What runs inside a simulation.
const WHERE: [&str; 2] = ["node/src/", "sim/src/"];

/// What stands at the edge: the real world's implementation, the engines, and the command-line fronts.
const EXEMPT: [&str; 5] =
    ["node/src/env/production", "node/src/main.rs", "sim/src/engine/", "sim/src/cli/", "sim/src/main.rs"];

/// Path, and what to use in its place.
const BANNED: [(&str, &str); 24] = [
    ("tokio::time", "await env.clock"),
    ("tokio::net", "use env.network"),
    ("tokio::task", "spawn on env.spawner"),
    ("tokio::spawn", "spawn on env.spawner"),
    ("tokio::runtime", "spawn on env.spawner"),
    ("tokio::fs", "use env.storage"),
    ("tokio::process", "a node starts no processes"),
    ("tokio::signal", "the caller of run() passes the shutdown"),
    ("std::fs", "use env.storage"),
    ("std::thread", "spawn on env.spawner"),
    ("std::process::Command", "a node starts no processes"),
    ("std::env", "read the environment in the command-line front"),
    ("std::net::TcpStream", "dial through env.network"),
    ("std::net::TcpListener", "listen through env.network"),
    ("std::net::UdpSocket", "bind through env.network"),
    ("std::net::ToSocketAddrs", "resolve through env.network"),
    ("rand::rng", "draw from env.entropy"),
    ("rand::random", "draw from env.entropy"),
    ("rand::make_rng", "draw from env.entropy"),
    ("rand::rngs::SysRng", "draw from env.entropy"),
    ("rand::rngs::ThreadRng", "draw from env.entropy"),
    ("getrandom", "draw from env.entropy"),
    ("fastrand", "draw from env.entropy"),
    ("rand::thread_rng", "draw from env.entropy"),
];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for source in tree.below(&WHERE) {
        if EXEMPT.iter().any(|exempt| source.path.starts_with(exempt)) {
            continue;
        }
        for (offset, path) in paths(&source.product) {
            if let Some((banned, instead)) = BANNED.iter().find(|(banned, _)| covers(banned, &path)) {
                found.push(Finding::at(
                    source,
                    offset,
                    format!("`{path}` reaches {banned}, which depends on the machine: {instead}"),
                ));
            }
        }
    }
    found
}

/// Whether `path` is `banned`, or lies in it, or is a glob that brings it along.
fn covers(banned: &str, path: &str) -> bool {
    let inside = |outer: &str, inner: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    // A lone word is a local name, not a crate.
    (path.contains("::") && inside(banned, path))
        || path.strip_suffix("::*").is_some_and(|module| inside(module, banned))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caught(path: &str, text: &str) -> usize {
        check(&Tree::of([(path, text)])).len()
    }

    #[test]
    fn every_spelling_is_caught() {
        for text in [
            "use tokio::time;",
            "use tokio::{net::TcpStream, sync};",
            "use tokio::*;",
            "use std::{fs as disk, io};",
            "use std::net::{SocketAddr, TcpStream};",
            "fn f() { ::tokio :: task::yield_now() }",
            "fn f() { std::env::var(x) }",
            "fn f() { rand::rng().random() }",
            "use getrandom::fill;",
        ] {
            assert_eq!(caught("node/src/a.rs", text), 1, "{text}");
            assert_eq!(caught("sim/src/a.rs", text), 1, "{text}");
        }
    }

    #[test]
    fn the_edges_tests_and_other_things_are_free() {
        let text = "use tokio::time::sleep;";
        for path in
            ["node/src/env/production.rs", "sim/src/engine/x.rs", "sim/src/cli/x.rs", "sim/src/a/tests.rs"]
        {
            assert_eq!(caught(path, text), 0, "{path}");
        }
        for text in [
            "use tokio::sync::mpsc;",
            "use std::net::SocketAddr;",
            "use crate::env::Env;",
            "// tokio::time",
            "let s = \"std::fs\";",
            "use rand::Rng as _; use rand::RngExt;",
            "fn fastrand() {}",
            "#[cfg(test)] mod tests { use std::fs; }",
        ] {
            assert_eq!(caught("node/src/a.rs", text), 0, "{text}");
        }
    }
}
