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
mod examples;
mod federation;
mod http;
mod links;
mod older;
mod plan;
mod rpc;
mod shutdown;
mod state;
mod tls;
mod trust;
mod upstream;
mod websocket;
mod world;
