//! The DHT, as the flags say it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::time::Duration;

use super::Args;
use super::launch::{LaunchError, value};

/// The UDP port of the DHT where no other is given.
pub const DHT_PORT: u16 = 30_609;

/// How a node takes part in the DHT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DhtSettings {
    /// Where its sockets are bound: at most one address of each family.
    pub addresses: BindAddresses,
    /// `None` takes [`DHT_PORT`], or a free one where that is taken. A given one that is taken is an error.
    pub port: Option<u16>,
    /// Ways in, besides the relays that this one is linked with.
    pub bootstrap: Vec<BootstrapAddress>,
    /// When things are done.
    pub timing: MetadataTiming,
}

/// Where the DHT's sockets are bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindAddresses {
    /// On all addresses of this machine, by IPv6 as well where it has that.
    All,
    /// On these, or the node does not start.
    Given {
        /// Of IPv4.
        v4: Option<Ipv4Addr>,
        /// Of IPv6.
        v6: Option<Ipv6Addr>,
    },
}

/// When metadata is published, looked up and forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetadataTiming {
    /// The same version is put again after this.
    pub republish: Duration,
    /// How long looked-up metadata is taken for true.
    pub cache_ttl: Duration,
    /// How often what has expired is dropped, and what is new is written down.
    pub cache_cleanup: Duration,
    /// How often peers are looked for.
    pub discovery: Duration,
}

impl Default for MetadataTiming {
    fn default() -> Self {
        MetadataTiming {
            republish: Duration::from_secs(3_600),
            cache_ttl: Duration::from_secs(300),
            cache_cleanup: Duration::from_secs(60),
            discovery: Duration::from_secs(30),
        }
    }
}

impl Default for DhtSettings {
    fn default() -> Self {
        DhtSettings {
            addresses: BindAddresses::All,
            port: None,
            bootstrap: Vec::new(),
            timing: MetadataTiming::default(),
        }
    }
}

/// A node of the DHT to begin with: a name or an address, and a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BootstrapAddress {
    /// A name, or an address in text; IPv6 without brackets.
    pub host: String,
    /// Its UDP port.
    pub port: u16,
}

/// Why a text is no [`BootstrapAddress`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no node of the DHT; write HOST:PORT, as in relay-a.com:{DHT_PORT}")]
pub struct BadBootstrapAddress(String);

impl FromStr for BootstrapAddress {
    type Err = BadBootstrapAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || BadBootstrapAddress(text.to_owned());
        let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((six, rest)) => {
                six.parse::<Ipv6Addr>().map_err(|_| bad())?;
                (six, rest.strip_prefix(':').ok_or_else(bad)?)
            }
            None => text.split_once(':').ok_or_else(bad)?,
        };
        let port: u16 = port.parse().map_err(|_| bad())?;
        let is_name = |c: char| c.is_ascii_alphanumeric() || ".-_:".contains(c);
        if port == 0 || host.is_empty() || !host.chars().all(is_name) {
            return Err(bad());
        }
        Ok(BootstrapAddress { host: host.to_owned(), port })
    }
}

impl fmt::Display for BootstrapAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BootstrapAddress { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// What the flags say of the DHT; `None` where it is off. `host` is what the node is to listen on, where that is said.
pub(super) fn dht(args: &Args, host: Option<IpAddr>) -> Result<Option<DhtSettings>, LaunchError> {
    let is_on = match args.dht.as_deref() {
        None | Some("on") => true,
        Some("off") => false,
        Some(other) => return Err(value("-dht", format!("`{other}` is neither on nor off"))),
    };
    let given = [
        ("-dht-port", args.dht_port.is_some()),
        ("-dht-host", !args.dht_host.is_empty()),
        ("-dht-bootstrap", !args.dht_bootstrap.is_empty()),
    ];
    if let Some((flag, _)) = given.iter().find(|(_, given)| *given && !is_on) {
        return Err(LaunchError::Contradiction(flag, "-dht off", "there is no DHT then"));
    }
    if !is_on {
        return Ok(None);
    }
    if args.dht_port == Some(0) {
        return Err(value(
            "-dht-port",
            "0 is no port; leave the flag out for a free one where 30609 is taken",
        ));
    }
    let addresses = match (args.dht_host.as_slice(), host) {
        // Who keeps the node to one address means all of it.
        ([], Some(host)) if !host.is_unspecified() => bound(&[host])?,
        ([], _) => BindAddresses::All,
        (texts, _) => bound(&texts.iter().map(|text| address(text)).collect::<Result<Vec<_>, _>>()?)?,
    };
    let bootstrap = args
        .dht_bootstrap
        .iter()
        .map(|text| text.parse().map_err(|error: BadBootstrapAddress| value("-dht-bootstrap", error)));
    Ok(Some(DhtSettings {
        addresses,
        port: args.dht_port,
        bootstrap: bootstrap.collect::<Result<_, _>>()?,
        timing: MetadataTiming::default(),
    }))
}

fn address(text: &str) -> Result<IpAddr, LaunchError> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    bare.parse()
        .map_err(|_| value("-dht-host", format!("`{text}` is no IP address; 0.0.0.0 takes all of IPv4")))
}

fn bound(addresses: &[IpAddr]) -> Result<BindAddresses, LaunchError> {
    let (mut four, mut six) = (None, None);
    for address in addresses {
        let twice = match address {
            IpAddr::V4(address) => four.replace(*address).is_some(),
            IpAddr::V6(address) => six.replace(*address).is_some(),
        };
        if twice {
            return Err(value("-dht-host", "give at most one address of IPv4 and one of IPv6"));
        }
    }
    Ok(BindAddresses::Given { v4: four, v6: six })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_in_are_names_or_addresses_with_a_port() {
        for text in ["relay-a.com:30609", "127.0.0.1:1", "[::1]:30609"] {
            assert_eq!(text.parse::<BootstrapAddress>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "relay-a.com",
            ":1",
            "relay-a.com:0",
            "relay-a.com:70000",
            "::1:9",
            "[a]:1",
            "a b:1",
            "[::1]",
        ] {
            let refusal = text.parse::<BootstrapAddress>().unwrap_err().to_string();
            assert!(refusal.contains("HOST:PORT"), "{text}: {refusal}");
        }
    }

    fn settings(
        change: impl FnOnce(&mut Args),
        host: Option<&str>,
    ) -> Result<Option<DhtSettings>, LaunchError> {
        let mut args = Args::default();
        change(&mut args);
        dht(&args, host.map(|host| host.parse().unwrap()))
    }

    #[test]
    fn it_is_on_unless_switched_off() {
        assert_eq!(settings(|_| {}, None).unwrap(), Some(DhtSettings::default()));
        assert_eq!(settings(|args| args.dht = Some("off".into()), None).unwrap(), None);
        let refusal = settings(|args| args.dht = Some("no".into()), None).unwrap_err().to_string();
        assert!(refusal.contains("-dht: `no` is neither on nor off"), "{refusal}");
        let both = |args: &mut Args| (args.dht, args.dht_port) = (Some("off".into()), Some(1));
        let refusal = settings(both, None).unwrap_err().to_string();
        assert!(refusal.contains("-dht-port and -dht off contradict each other"), "{refusal}");
    }

    #[test]
    fn it_listens_where_the_node_does_unless_told_otherwise() {
        let four = |text: &str| BindAddresses::Given { v4: Some(text.parse().unwrap()), v6: None };
        let at = |change: fn(&mut Args), host| settings(change, host).unwrap().unwrap().addresses;
        assert_eq!(at(|_| {}, Some("127.0.0.1")), four("127.0.0.1"));
        assert_eq!(at(|_| {}, Some("0.0.0.0")), BindAddresses::All);
        assert_eq!(at(|args| args.dht_host = vec!["10.0.0.1".into()], Some("127.0.0.1")), four("10.0.0.1"));
        let two = |args: &mut Args| args.dht_host = vec!["0.0.0.0".into(), "[::1]".into()];
        let both = BindAddresses::Given { v4: Some(Ipv4Addr::UNSPECIFIED), v6: Some(Ipv6Addr::LOCALHOST) };
        assert_eq!(at(two, None), both);
        let twice = |args: &mut Args| args.dht_host = vec!["10.0.0.1".into(), "10.0.0.2".into()];
        assert!(settings(twice, None).unwrap_err().to_string().contains("at most one address"));
    }
}
