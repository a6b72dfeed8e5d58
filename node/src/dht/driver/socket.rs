//! The sockets of a DHT node, one for each family that it speaks, and the addresses of those that it begins with.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use crate::config::{BindAddresses, BootstrapAddress, DHT_PORT};
use crate::dht::contact::Family;
use crate::env::{DatagramSocket, Env, Network};

/// The longest that the name of a way in may take to be looked up, in seconds.
const RESOLVE_LIMIT_SECONDS: u64 = 10;

/// One socket for each family; at least one.
pub struct Sockets {
    v4: Option<Box<dyn DatagramSocket>>,
    v6: Option<Box<dyn DatagramSocket>>,
}

/// Why the DHT has no socket.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot listen on UDP {at} for the DHT: {error}; choose another port with -dht-port, or switch it off with -dht off"
)]
pub struct BindError {
    /// Where.
    pub at: SocketAddr,
    /// What the system said.
    pub error: io::Error,
}

impl Sockets {
    /// Binds them. `port` is tried alone; without one it is [`DHT_PORT`], or a free one where that is taken.
    ///
    /// # Errors
    /// Where one is asked for and cannot be had.
    pub async fn bind(
        network: &dyn Network,
        addresses: BindAddresses,
        port: Option<u16>,
    ) -> Result<Self, BindError> {
        let (v4, v6, needs_both) = match addresses {
            BindAddresses::All => (Some(Ipv4Addr::UNSPECIFIED), Some(Ipv6Addr::UNSPECIFIED), false),
            BindAddresses::Given { v4, v6 } => (v4, v6, true),
        };
        let mut sockets = Sockets { v4: None, v6: None };
        if let Some(v4) = v4 {
            sockets.v4 = Some(bind_one(network, SocketAddr::new(v4.into(), DHT_PORT), port).await?);
        }
        if let Some(v6) = v6 {
            match bind_one(network, SocketAddr::new(v6.into(), DHT_PORT), port).await {
                Ok(socket) => sockets.v6 = Some(socket),
                Err(error) if needs_both || sockets.v4.is_none() => return Err(error),
                // It is another program's: who gave it wants to know.
                Err(error) if error.error.kind() == ErrorKind::AddrInUse => return Err(error),
                // A machine without IPv6.
                Err(error) => tracing::debug!("the DHT speaks IPv4 only: {error}"),
            }
        }
        Ok(sockets)
    }

    /// The socket of a family.
    pub(super) fn get(&self, family: Family) -> Option<&dyn DatagramSocket> {
        match family {
            Family::V4 => self.v4.as_deref(),
            Family::V6 => self.v6.as_deref(),
        }
    }

    /// Whether a family is spoken.
    pub fn speaks(&self, family: Family) -> bool {
        self.get(family).is_some()
    }

    /// Where they listen.
    pub fn local_addresses(&self) -> impl Iterator<Item = SocketAddr> {
        Family::ALL.into_iter().filter_map(|family| Some(self.get(family)?.local_addr()))
    }
}

/// The addresses of a way in.
///
/// # Errors
/// As [`Network::resolve`]; `TimedOut` where that takes longer than anybody waits.
pub(crate) async fn look_up(env: &Env, way: &BootstrapAddress) -> io::Result<Vec<SocketAddr>> {
    let limit = Duration::from_secs(RESOLVE_LIMIT_SECONDS);
    let silence = || Err(io::Error::new(ErrorKind::TimedOut, "no name server answers"));
    env.deadline(limit, env.network.resolve(&way.host, way.port)).await.unwrap_or_else(silence)
}

async fn bind_one(
    network: &dyn Network,
    default: SocketAddr,
    port: Option<u16>,
) -> Result<Box<dyn DatagramSocket>, BindError> {
    let at = SocketAddr::new(default.ip(), port.unwrap_or(default.port()));
    match network.bind_datagram(at).await {
        Err(error) if error.kind() == ErrorKind::AddrInUse && port.is_none() => {
            let any = SocketAddr::new(at.ip(), 0);
            network.bind_datagram(any).await.map_err(|error| BindError { at: any, error })
        }
        bound => bound.map_err(|error| BindError { at, error }),
    }
}
