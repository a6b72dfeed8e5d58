//! From flags to a [`Config`], with every contradiction named.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;

use tracing_subscriber::filter::Targets;

use super::access::access;
use super::dht::dht;
use super::{Args, Config, HomeRole, Limits, MainRole, NodeIdSource, PeerLists, Role, Timing};
use crate::env::Rng;
use crate::env::production::{CertificateFiles, Machine};
use crate::federation::{Policy, UnknownPolicy};
use crate::link::{BadSrvName, RelayUrl, UrlError, parse_list};
use crate::service::{self, ServiceFileError, ServiceSpec};
use crate::store::Identity;
use crate::wire::{AddressError, NodeId, NodeKind, check_service_name};

/// The port that a Main listens on where no other is given.
const DEFAULT_PORT: u16 = 8080;

/// The port of name servers.
const DNS_PORT: u16 = 53;

/// Below it no useful message fits, in bytes.
const MIN_MESSAGE_BYTES: usize = 1024;

/// Threads that may carry messages. More than cores help nobody.
const MAX_THREADS: usize = 256;

/// Where the data directories of nodes lie that are not given one.
const DEFAULT_DATA_ROOT: &str = "relay-data";

/// Everything that the command line says: the node, and what only the process is concerned with.
#[derive(Debug)]
pub struct Launch {
    /// The node.
    pub config: Config,
    /// Where its data lies, and the files of its TLS.
    pub machine: Machine,
    /// Threads that carry messages; `None` leaves it to the node's kind. 1 to 256.
    pub threads: Option<usize>,
    /// How logs look.
    pub log_format: LogFormat,
    /// Which logs are written: a `tracing-subscriber` filter.
    pub log_level: String,
}

/// How logs look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// A line for people.
    Human,
    /// A JSON object per line.
    Json,
}

/// Why a command line or a file asks for no node that could be.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// Nothing says what to be.
    #[error("say what to run: -server for a Main Relay, or -connect URL for a Home Relay")]
    NoRole,
    /// Two flags that exclude each other.
    #[error("{0} and {1} contradict each other: {2}")]
    Contradiction(&'static str, &'static str, &'static str),
    /// A flag with a value that it cannot have.
    #[error("{flag}: {reason}")]
    Value {
        /// The flag.
        flag: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The configuration file cannot be used.
    #[error("-config {file}: {reason}")]
    ConfigFile {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// The service file cannot be used.
    #[error("{0}")]
    Services(#[from] ServiceFileError),
    /// A file cannot be read.
    #[error("cannot read {file}: {reason}")]
    Unreadable {
        /// The file.
        file: String,
        /// What the system said.
        reason: String,
    },
}

impl Launch {
    /// Makes sense of the flags. `read` reads a file's text; `rng` makes up an id where there is none and no data
    /// directory that might hold one.
    ///
    /// # Errors
    /// Names the flags and says what to do.
    pub fn from_args(
        args: Args,
        read: impl Fn(&str) -> std::io::Result<String>,
        rng: &mut Rng,
    ) -> Result<Self, LaunchError> {
        let read = |file: &str| {
            read(file)
                .map_err(|error| LaunchError::Unreadable { file: file.to_owned(), reason: error.to_string() })
        };
        let args = match &args.config {
            Some(file) => {
                let text = read(file)?;
                let below: Args = toml::from_str(&text).map_err(|error| LaunchError::ConfigFile {
                    file: file.clone(),
                    reason: error.to_string().trim_end().to_owned(),
                })?;
                merge(args, below)
            }
            None => args,
        };
        let kind = kind(&args)?;
        let services = match &args.service_file {
            Some(file) => service::parse_service_file(file, &read(file)?)?,
            None => Vec::new(),
        };
        let node_id = args.node_id.as_deref().map(str::parse).transpose();
        let node_id = node_id.map_err(|error: AddressError| value("-node-id", error))?;
        let named_after = |id: &NodeId| PathBuf::from(DEFAULT_DATA_ROOT).join(id.as_str());
        let (node_id, data_dir) = match (node_id, &args.data_dir) {
            (Some(id), Some(dir)) => (NodeIdSource::Given(id), PathBuf::from(dir)),
            (None, Some(dir)) => (NodeIdSource::DataDir, PathBuf::from(dir)),
            (Some(id), None) => {
                let dir = named_after(&id);
                (NodeIdSource::Given(id), dir)
            }
            (None, None) => {
                let id = Identity::generate_id(kind, rng);
                let dir = named_after(&id);
                (NodeIdSource::MadeUp(id), dir)
            }
        };
        let log_format = match args.log_format.as_deref() {
            None | Some("human") => LogFormat::Human,
            Some("json") => LogFormat::Json,
            Some(other) => return Err(value("-log-format", format!("`{other}` is neither human nor json"))),
        };
        let log_level = args.log_level.clone().unwrap_or_else(|| "info".into());
        log_filter(&log_level).map_err(|reason| value("-log-level", reason))?;
        if let Some(threads) = args.threads.filter(|threads| !(1..=MAX_THREADS).contains(threads)) {
            return Err(value("-threads", format!("{threads} is not from 1 to {MAX_THREADS}")));
        }
        let config = config(&args, kind, node_id, services, read)?;
        let machine = Machine {
            data_dir,
            certificate: certificate(&args, kind)?,
            extra_roots: args.tls_ca.as_ref().map(PathBuf::from),
            name_server: args.dns.as_deref().map(name_server).transpose()?,
        };
        Ok(Launch { config, machine, threads: args.threads, log_format, log_level })
    }
}

/// The filter that a text asks for: a level for all, or `target=level`, separated by commas.
///
/// # Errors
/// Where a part is neither: a level with a typo would otherwise name a target that nobody has, and silence everything.
pub fn log_filter(text: &str) -> Result<Targets, String> {
    let levels = ["off", "error", "warn", "info", "debug", "trace"];
    for part in text.split(',').filter(|part| !part.contains('=')) {
        if !levels.contains(&part.trim().to_lowercase().as_str()) {
            return Err(format!("`{part}` is no level; write {}, or TARGET=LEVEL", levels.join(", ")));
        }
    }
    text.parse().map_err(|error| format!("`{text}` is no filter: {error}"))
}

/// Flags win over the file, one by one; `-server` and `-connect` together decide the kind, so a flag that decides it
/// hides both in the file.
fn merge(flags: Args, file: Args) -> Args {
    let kind_given = flags.server || flags.connect.is_some() || flags.node_type.is_some();
    let (server, connect, node_type) = match kind_given {
        true => (flags.server, flags.connect, flags.node_type),
        false => (file.server, file.connect, file.node_type),
    };
    let list = |flags: Vec<String>, file: Vec<String>| if flags.is_empty() { file } else { flags };
    Args {
        server,
        connect,
        node_type,
        service_file: flags.service_file.or(file.service_file),
        node_id: flags.node_id.or(file.node_id),
        port: flags.port.or(file.port),
        host: flags.host.or(file.host),
        advertise: flags.advertise.or(file.advertise),
        tls_cert: flags.tls_cert.or(file.tls_cert),
        tls_key: flags.tls_key.or(file.tls_key),
        tls_ca: flags.tls_ca.or(file.tls_ca),
        peers: list(flags.peers, file.peers),
        peers_file: flags.peers_file.or(file.peers_file),
        peers_srv: flags.peers_srv.or(file.peers_srv),
        dns: flags.dns.or(file.dns),
        dht: flags.dht.or(file.dht),
        dht_port: flags.dht_port.or(file.dht_port),
        dht_host: list(flags.dht_host, file.dht_host),
        dht_bootstrap: list(flags.dht_bootstrap, file.dht_bootstrap),
        balance: list(flags.balance, file.balance),
        fallback: list(flags.fallback, file.fallback),
        data_dir: flags.data_dir.or(file.data_dir),
        config: flags.config,
        listed_homes_only: flags.listed_homes_only || file.listed_homes_only,
        peer_secret_file: flags.peer_secret_file.or(file.peer_secret_file),
        allow_legacy: flags.allow_legacy || file.allow_legacy,
        rpc_token_file: flags.rpc_token_file.or(file.rpc_token_file),
        admin_token_file: flags.admin_token_file.or(file.admin_token_file),
        home_calls_per_second: flags.home_calls_per_second.or(file.home_calls_per_second),
        max_connections_per_address: flags.max_connections_per_address.or(file.max_connections_per_address),
        max_message_bytes: flags.max_message_bytes.or(file.max_message_bytes),
        threads: flags.threads.or(file.threads),
        log_format: flags.log_format.or(file.log_format),
        log_level: flags.log_level.or(file.log_level),
    }
}

fn kind(args: &Args) -> Result<NodeKind, LaunchError> {
    use LaunchError::Contradiction;
    let named = match args.node_type.as_deref() {
        None => None,
        Some("main") => Some(NodeKind::Main),
        Some("home") => Some(NodeKind::Home),
        Some(other) => return Err(value("-node-type", format!("`{other}` is neither main nor home"))),
    };
    let kind = match (named, args.server, args.connect.is_some()) {
        (_, true, true) => {
            return Err(Contradiction(
                "-server",
                "-connect",
                "a Main accepts Homes, a Home connects to a Main",
            ));
        }
        (Some(NodeKind::Home), true, _) => {
            return Err(Contradiction("-server", "-node-type home", "-server runs a Main"));
        }
        (Some(NodeKind::Main), _, true) => {
            return Err(Contradiction(
                "-connect",
                "-node-type main",
                "-connect runs a Home; a Main takes -peers",
            ));
        }
        (Some(NodeKind::Home), false, false) => {
            return Err(value("-node-type home", "a Home needs -connect URL, the Main that it hangs on"));
        }
        (Some(kind), _, _) => kind,
        (None, true, false) => NodeKind::Main,
        (None, false, true) => NodeKind::Home,
        (None, false, false) => return Err(LaunchError::NoRole),
    };
    match kind {
        NodeKind::Main if !args.fallback.is_empty() => {
            Err(Contradiction("-fallback", "-server", "only a Home has Mains to fall back to"))
        }
        NodeKind::Home if !args.peers.is_empty() => {
            Err(Contradiction("-peers", "-connect", "only a Main has peers; a Home takes -fallback"))
        }
        NodeKind::Home if !args.balance.is_empty() => Err(Contradiction(
            "-balance",
            "-connect",
            "only a Main spreads calls; a Home's wish is `balance` in its service file",
        )),
        NodeKind::Home if args.peers_file.is_some() => {
            Err(Contradiction("-peers-file", "-connect", "only a Main has peers; a Home takes -fallback"))
        }
        NodeKind::Home if args.peers_srv.is_some() => {
            Err(Contradiction("-peers-srv", "-connect", "only a Main has peers; a Home takes -fallback"))
        }
        NodeKind::Home if args.home_calls_per_second.is_some() => {
            Err(Contradiction("-home-calls-per-second", "-connect", "only a Main has Homes"))
        }
        NodeKind::Home if args.advertise.is_some() => {
            Err(Contradiction("-advertise", "-connect", "nobody connects to a Home"))
        }
        kind => Ok(kind),
    }
}

/// The files of a Main's certificate.
fn certificate(args: &Args, kind: NodeKind) -> Result<Option<CertificateFiles>, LaunchError> {
    use LaunchError::Contradiction;
    match (args.tls_cert.as_deref(), args.tls_key.as_deref(), kind) {
        (None, None, _) => Ok(None),
        (Some(_), _, NodeKind::Home) => Err(Contradiction(
            "-tls-cert",
            "-connect",
            "nobody connects to a Home; one that dials takes -tls-ca",
        )),
        (None, Some(_), NodeKind::Home) => Err(Contradiction(
            "-tls-key",
            "-connect",
            "nobody connects to a Home; one that dials takes -tls-ca",
        )),
        (Some(_), None, _) => Err(value("-tls-cert", "it needs -tls-key FILE beside it, its private key")),
        (None, Some(_), _) => Err(value("-tls-key", "it needs -tls-cert FILE beside it, its certificate")),
        (Some(chain), Some(key), NodeKind::Main) => {
            Ok(Some(CertificateFiles { chain: chain.into(), key: key.into() }))
        }
    }
}

fn config(
    args: &Args,
    kind: NodeKind,
    node_id: NodeIdSource,
    services: Vec<ServiceSpec>,
    read: impl Fn(&str) -> Result<String, LaunchError>,
) -> Result<Config, LaunchError> {
    let host: Option<IpAddr> = match args.host.as_deref() {
        None => None,
        Some("localhost") => Some(Ipv4Addr::LOCALHOST.into()),
        Some(text) => match text.trim_start_matches('[').trim_end_matches(']').parse() {
            Ok(address) => Some(address),
            Err(_) => {
                return Err(value("-host", format!("`{text}` is no IP address; 0.0.0.0 listens on all")));
            }
        },
    };
    let role = match kind {
        NodeKind::Main => Role::Main(MainRole {
            listen: SocketAddr::new(
                host.unwrap_or(Ipv4Addr::UNSPECIFIED.into()),
                args.port.unwrap_or(DEFAULT_PORT),
            ),
            tls: args.tls_cert.is_some(),
            address: advertised(args)?,
            peers: args.peers.iter().map(|text| url("-peers", text)).collect::<Result<_, _>>()?,
            listed: peer_lists(args, &read)?,
            balance: args.balance.iter().map(|text| balance(text)).collect::<Result<_, _>>()?,
        }),
        NodeKind::Home => {
            let host = host.unwrap_or(Ipv4Addr::LOCALHOST.into());
            if !host.is_loopback() {
                let reason =
                    format!("a Home accepts nothing from the network, and {host} is not a loopback address");
                return Err(value("-host", reason));
            }
            let mains = args.connect.iter().map(|text| url("-connect", text));
            let mains = mains.chain(args.fallback.iter().map(|text| url("-fallback", text)));
            Role::Home(HomeRole {
                mains: mains.collect::<Result<_, _>>()?,
                listen: SocketAddr::new(host, args.port.unwrap_or(0)),
            })
        }
    };
    let max_message_bytes = args.max_message_bytes.unwrap_or(Limits::default().max_message_bytes);
    if max_message_bytes < MIN_MESSAGE_BYTES {
        let reason = format!("{max_message_bytes} bytes are too few, at least {MIN_MESSAGE_BYTES}");
        return Err(value("-max-message-bytes", reason));
    }
    let max_connections_per_address =
        args.max_connections_per_address.unwrap_or(Limits::default().max_connections_per_address);
    let home_calls_per_second =
        args.home_calls_per_second.map_or(Limits::default().home_calls_per_second, NonZeroU32::new);
    let limits = Limits { max_message_bytes, max_connections_per_address, home_calls_per_second };
    let (trust, tokens) = access(args, kind, read)?;
    // A Home's own API is on loopback; its datagrams go out.
    let dht = dht(args, host.filter(|_| kind == NodeKind::Main))?;
    Ok(Config { role, node_id, services, timing: Timing::default(), limits, trust, tokens, dht })
}

/// The lists of peers. The file is read here to say at once what is wrong with it.
fn peer_lists(
    args: &Args,
    read: impl Fn(&str) -> Result<String, LaunchError>,
) -> Result<PeerLists, LaunchError> {
    if let Some(file) = &args.peers_file {
        parse_list(&read(file)?).map_err(|error| value("-peers-file", format!("{file}, {error}")))?;
    }
    let srv = args.peers_srv.as_deref().map(str::parse).transpose();
    let srv = srv.map_err(|error: BadSrvName| value("-peers-srv", error))?;
    Ok(PeerLists { file: args.peers_file.clone(), srv })
}

fn name_server(text: &str) -> Result<SocketAddr, LaunchError> {
    let address: Result<IpAddr, _> = text.trim_start_matches('[').trim_end_matches(']').parse();
    match (text.parse(), address) {
        (Ok(server), _) => Ok(server),
        (_, Ok(address)) => Ok(SocketAddr::new(address, DNS_PORT)),
        _ => Err(value("-dns", format!("`{text}` is no address of a name server; write ADDRESS:PORT"))),
    }
}

fn advertised(args: &Args) -> Result<Option<RelayUrl>, LaunchError> {
    let Some(text) = args.advertise.as_deref() else { return Ok(None) };
    let url = url("-advertise", text)?;
    if args.tls_cert.is_some() && !url.is_secure() {
        let reason = "with a certificate this Main speaks wss://, and nobody could dial it at a ws:// URL";
        return Err(LaunchError::Contradiction("-advertise ws://", "-tls-cert", reason));
    }
    Ok(Some(url))
}

fn balance(text: &str) -> Result<(String, Policy), LaunchError> {
    let (service, policy) = text.split_once('=').ok_or_else(|| {
        value("-balance", format!("`{text}` is not SERVICE=POLICY, as in blog=round-robin"))
    })?;
    check_service_name(service).map_err(|error| value("-balance", error))?;
    let policy = policy.parse().map_err(|error: UnknownPolicy| value("-balance", error))?;
    Ok((service.to_owned(), policy))
}

fn url(flag: &'static str, text: &str) -> Result<RelayUrl, LaunchError> {
    text.parse().map_err(|error: UrlError| value(flag, error))
}

pub(super) fn value(flag: &'static str, reason: impl std::fmt::Display) -> LaunchError {
    LaunchError::Value { flag, reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::SeedableRng;

    use super::super::{Parsed, parse_args};
    use super::*;

    fn launch(line: &str) -> Result<Launch, LaunchError> {
        let Parsed::Run(args) = parse_args(line.split_whitespace().map(str::to_owned)) else {
            panic!("{line} is well formed");
        };
        let read = |file: &str| match file {
            "echo.toml" => Ok("[[service]]\nname = \"echo\"\nkind = \"echo\"".to_owned()),
            "main.toml" => Ok("server = true\nport = 9000\npeers = [\"ws://b:1\"]".to_owned()),
            "peers.txt" => Ok("ws://b:1\n".to_owned()),
            "typo.toml" => Ok("sever = true".to_owned()),
            _ => Err(std::io::Error::new(std::io::ErrorKind::NotFound, "no such file")),
        };
        Launch::from_args(*args, read, &mut Rng::seed_from_u64(1))
    }

    fn refusal(line: &str) -> String {
        launch(line).unwrap_err().to_string()
    }

    #[test]
    fn the_kind_is_told_from_the_flags() {
        assert_eq!(launch("-server").unwrap().config.role.kind(), NodeKind::Main);
        assert_eq!(launch("-node-type main").unwrap().config.role.kind(), NodeKind::Main);
        assert_eq!(launch("-connect ws://a:1").unwrap().config.role.kind(), NodeKind::Home);
        assert_eq!(launch("-connect ws://a:1 -node-type home").unwrap().config.role.kind(), NodeKind::Home);
    }

    #[test]
    fn contradictions_name_both_flags() {
        for (line, one, other) in [
            ("-server -connect ws://a:1", "-server", "-connect"),
            ("-server -node-type home", "-server", "-node-type home"),
            ("-connect ws://a:1 -node-type main", "-connect", "-node-type main"),
            ("-server -fallback ws://a:1", "-fallback", "-server"),
            ("-connect ws://a:1 -peers ws://b:1", "-peers", "-connect"),
            ("-connect ws://a:1 -advertise ws://b:1", "-advertise", "-connect"),
            ("-connect ws://a:1 -peers-file peers.txt", "-peers-file", "-connect"),
            ("-connect ws://a:1 -peers-srv _relay._tcp.fed", "-peers-srv", "-connect"),
            ("-connect wss://a -tls-cert c -tls-key k", "-tls-cert", "-connect"),
            ("-connect wss://a -tls-key k", "-tls-key", "-connect"),
            ("-server -tls-cert c -tls-key k -advertise ws://b:1", "-advertise ws://", "-tls-cert"),
            ("-connect ws://a:1 -balance blog=random", "-balance", "-connect"),
            ("-connect ws://a:1 -home-calls-per-second 5", "-home-calls-per-second", "-connect"),
        ] {
            let words = refusal(line);
            assert!(
                words.contains(one) && words.contains(other) && words.contains("contradict"),
                "{line}: {words}"
            );
        }
        assert!(refusal("").contains("-server") && refusal("").contains("-connect URL"));
        assert!(refusal("-node-type home").contains("-connect URL"));
        assert!(refusal("-connect ws://a:1 -host 0.0.0.0").contains("loopback"));
        assert!(refusal("-connect http://a:1").contains("ws://HOST:PORT"));
        assert!(refusal("-server -balance blog").contains("`blog` is not SERVICE=POLICY"));
        assert!(refusal("-server -balance blog=fair").contains("`fair` is not known; use power-of-two"));
        assert!(refusal("-server -node-id a@b").contains("-node-id"));
        assert!(refusal("-server -max-message-bytes 10").contains("at least 1024"));
        assert!(refusal("-server -log-level loud").contains("`loud` is no level"));
        assert!(launch("-server -log-level warn,relay_node::link=debug").is_ok());
        assert!(refusal("-server missing.toml").contains("cannot read missing.toml"));
    }

    #[test]
    fn lists_of_peers_are_checked_at_the_start() {
        let Role::Main(main) =
            launch("-server -peers-file peers.txt -peers-srv _relay._tcp.fed").unwrap().config.role
        else {
            panic!("a Main")
        };
        assert_eq!(main.listed.file.as_deref(), Some("peers.txt"));
        assert_eq!(main.listed.srv.unwrap().as_str(), "_relay._tcp.fed");
        let words = refusal("-server -peers-file main.toml");
        assert!(words.contains("-peers-file: main.toml, line 1: `server = true` is not a URL"), "{words}");
        assert!(refusal("-server -peers-file gone.txt").contains("cannot read gone.txt"));
        assert!(
            refusal("-server -peers-srv example.com").contains("-peers-srv: `example.com` is not a name")
        );
        let name_server = |text: &str| launch(&format!("-server -dns {text}")).unwrap().machine.name_server;
        assert_eq!(name_server("9.9.9.9"), Some("9.9.9.9:53".parse().unwrap()));
        assert_eq!(name_server("[::1]:5353"), Some("[::1]:5353".parse().unwrap()));
        assert!(refusal("-server -dns dns.example.com").contains("-dns: `dns.example.com` is no address"));
    }

    #[test]
    fn a_certificate_and_its_key_come_together() {
        assert!(refusal("-server -tls-cert c").contains("-tls-cert: it needs -tls-key"));
        assert!(refusal("-server -tls-key k").contains("-tls-key: it needs -tls-cert"));
        let plain = launch("-server").unwrap();
        let Role::Main(main) = plain.config.role else { panic!("a Main") };
        assert!(!main.tls && plain.machine.certificate.is_none());
        let secure = launch("-server -tls-cert c -tls-key k -tls-ca r -advertise wss://relay-a.com").unwrap();
        let Role::Main(main) = secure.config.role else { panic!("a Main") };
        assert!(main.tls && main.address.unwrap().is_secure());
        assert_eq!(secure.machine.certificate.unwrap().key, PathBuf::from("k"));
        assert_eq!(secure.machine.extra_roots, Some(PathBuf::from("r")));
        assert!(launch("-connect wss://relay-a.com -tls-ca r").is_ok());
    }

    #[test]
    fn calls_of_homes_are_limited_unless_the_limit_is_zero() {
        let limit =
            |line: &str| launch(line).unwrap().config.limits.home_calls_per_second.map(NonZeroU32::get);
        assert_eq!(limit("-server"), Some(5_000));
        assert_eq!(limit("-server -home-calls-per-second 20"), Some(20));
        assert_eq!(limit("-server -home-calls-per-second 0"), None);
    }

    #[test]
    fn a_file_gives_what_the_flags_leave_open() {
        let Role::Main(main) = launch("-config main.toml -port 9001").unwrap().config.role else {
            panic!("a Main");
        };
        assert_eq!((main.listen.port(), main.peers.len()), (9001, 1));
        assert!(refusal("-config typo.toml").contains("sever"));
        assert_eq!(launch("echo.toml -server").unwrap().config.services.len(), 1);
    }

    #[test]
    fn the_data_directory_is_named_after_the_node() {
        let named = launch("-server -node-id relay-a.com").unwrap();
        assert_eq!(named.machine.data_dir, PathBuf::from("relay-data/relay-a.com"));
        let made_up = launch("-connect ws://a:1").unwrap();
        let NodeIdSource::MadeUp(id) = made_up.config.node_id else { panic!("a made-up id") };
        assert!(id.as_str().starts_with("home-"));
        assert_eq!(made_up.machine.data_dir, PathBuf::from("relay-data").join(id.as_str()));
        let kept = launch("-server -data-dir /var/lib/relay").unwrap();
        assert_eq!(
            (kept.config.node_id, kept.machine.data_dir),
            (NodeIdSource::DataDir, PathBuf::from("/var/lib/relay"))
        );
    }
}
