//! Sessions between relays: WebSocket connections that carry [`wire`](crate::wire) frames.
//!
//! [`accept`] and [`dial`] bring a connection up and exchange introductions; [`session`] carries it until it ends, in
//! the wire form that its codec has; [`older`] does all that for peers of the mesh before the hubs;
//! [`switchboard`] joins sessions, local callers and services to the pure router; [`uplink`] and [`mesh`] keep a
//! Home's and a Main's outbound connections alive; [`remember`] keeps what other Mains announced over a restart.

pub mod accept;
mod ahead;
mod codec;
pub mod dial;
mod handshake;
mod keyring;
pub mod mesh;
pub mod older;
mod outbox;
mod peers;
mod pulse;
pub mod remember;
pub mod session;
pub mod sources;
pub mod switchboard;
pub mod uplink;
mod url;
mod websocket;

pub use keyring::Keyring;
pub use peers::{PeerSource, PeerState, PeerStatus};
pub use pulse::Vitals;
pub use sources::{BadLine, BadSrvName, SrvName, parse_list};
pub use switchboard::{Acquaintance, Switchboard};
pub use url::{RelayUrl, UrlError};
