//! The `relay` binary as its users meet it: real processes, sockets and signals on loopback.
//!
//! Ports are free ones, every node has a data directory of its own, and nothing is waited for longer than
//! [`world::PATIENCE`].

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests of real processes live in real time, on real sockets and files"
)]

mod command_line;
mod dht_command;
mod dht_node;
mod dht_wire;
mod documents;
mod examples;
mod federation;
mod http;
mod krpc;
mod libtorrent;
mod links;
mod name_server;
mod older;
mod openapi;
mod peers;
mod plan;
mod quickstart;
mod rpc;
#[path = "../../../reports/tests/schema/mod.rs"]
mod schema;
mod shutdown;
mod state;
mod tls;
mod troubleshooting;
mod trust;
mod upstream;
mod websocket;
mod world;
