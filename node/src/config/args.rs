//! The command line: single-dash long flags, as the federation's operators know them; double dashes work too.

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser};
use serde::Deserialize;

use crate::command::{self, DhtCommand};

/// The flags. The keys of a `-config` file are the same words.
#[derive(Parser, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[command(
    name = "relay",
    version,
    about = "A federation relay: a public hub (Main) or a node behind NAT (Home).",
    after_help = "Examples:\n  relay -server -node-id relay-a.com\n  relay blog.toml -node-id alice.home -connect ws://relay-a.com:8080",
    override_usage = "relay [SERVICE_FILE] -server [FLAGS]\n       relay [SERVICE_FILE] -connect URL [FLAGS]\n       relay dht get|put|find|peers … (relay dht -help tells more)",
    disable_help_flag = true,
    disable_version_flag = true
)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Args {
    /// The services that this node offers: a TOML file with one [[service]] for each
    #[arg(value_name = "SERVICE_FILE")]
    pub service_file: Option<String>,
    /// Run as a Main Relay
    #[arg(long)]
    pub server: bool,
    /// main or home; usually told from -server and -connect
    #[arg(long, value_name = "TYPE")]
    pub node_type: Option<String>,
    /// This node's id; made up and kept in the data directory where it is not given
    #[arg(long, value_name = "ID")]
    pub node_id: Option<String>,
    /// Where to listen: a Main on 8080, a Home's local API on a free port unless given
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
    /// The address to listen on: a Main on all, a Home on 127.0.0.1 unless given
    #[arg(long, value_name = "ADDRESS")]
    pub host: Option<String>,
    /// The URL under which other Mains reach this Main, where they cannot tell it by themselves
    #[arg(long, value_name = "URL")]
    pub advertise: Option<String>,
    /// Serve https:// and wss:// with the certificate in this PEM file; read anew when it changes
    #[arg(long, value_name = "FILE")]
    pub tls_cert: Option<String>,
    /// The private key of -tls-cert, a PEM file
    #[arg(long, value_name = "FILE")]
    pub tls_key: Option<String>,
    /// Certificate authorities to trust besides the system's when dialling wss:// or https://, a PEM file
    #[arg(long, value_name = "FILE")]
    pub tls_ca: Option<String>,
    /// Other Mains to connect to, separated by commas
    #[arg(long, value_name = "URL,…", value_delimiter = ',')]
    pub peers: Vec<String>,
    /// How a Main spreads calls over a service's instances, whatever its Homes wish: power-of-two, round-robin,
    /// least-connections or random
    #[arg(long, value_name = "SERVICE=POLICY,…", value_delimiter = ',')]
    pub balance: Vec<String>,
    /// A file with other Mains to connect to: one URL a line, # begins a remark; read anew when it changes
    #[arg(long, value_name = "FILE")]
    pub peers_file: Option<String>,
    /// A DNS name whose SRV records are other Mains to connect to: _relay._tcp.DOMAIN, or _relays._tcp.DOMAIN for wss://
    #[arg(long, value_name = "NAME")]
    pub peers_srv: Option<String>,
    /// The name server to ask in place of the system's (its port is 53 unless given)
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub dns: Option<String>,
    /// Run as a Home Relay that hangs on this Main
    #[arg(long, value_name = "URL")]
    pub connect: Option<String>,
    /// Mains to try when the first cannot be reached, in this order, separated by commas
    #[arg(long, value_name = "URL,…", value_delimiter = ',')]
    pub fallback: Vec<String>,
    /// on or off: whether this node publishes its metadata in the DHT and finds others there (on unless given)
    #[arg(long, value_name = "on|off")]
    pub dht: Option<String>,
    /// The UDP port of the DHT; 30609 unless given, or a free one where that is taken
    #[arg(long, value_name = "PORT")]
    pub dht_port: Option<u16>,
    /// The addresses that the DHT listens on, at most one of IPv4 and one of IPv6: that of -host where a Main is given
    /// one, else all
    #[arg(long, value_name = "ADDRESS,…", value_delimiter = ',')]
    pub dht_host: Vec<String>,
    /// Nodes of the DHT to begin with, besides the relays that this one is linked with, separated by commas
    #[arg(long, value_name = "HOST:PORT,…", value_delimiter = ',')]
    pub dht_bootstrap: Vec<String>,
    /// Where the node keeps its id and key; relay-data/NODE-ID unless given
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<String>,
    /// Read settings from a TOML file whose keys are these flags; flags win
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<String>,
    /// A Main takes only Homes that its data directory has a key of, in trusted_keys; else it takes an unknown one and
    /// knows it by its key from then on
    #[arg(long)]
    pub listed_homes_only: bool,
    /// A file with the secret that this Main's peers share: unknown ones that know it are taken
    #[arg(long, value_name = "FILE")]
    pub peer_secret_file: Option<String>,
    /// Take older relays, which cannot prove who they are
    #[arg(long)]
    pub allow_legacy: bool,
    /// A file with the token that clients of /rpc must show; everybody may call unless given
    #[arg(long, value_name = "FILE")]
    pub rpc_token_file: Option<String>,
    /// A file with the token for routes that change this relay; made in the data directory unless given
    #[arg(long, value_name = "FILE")]
    pub admin_token_file: Option<String>,
    /// Connections that one address may have (256 unless given); this machine's own are not counted
    #[arg(long, value_name = "N")]
    pub max_connections_per_address: Option<usize>,
    /// Calls that one Home may make per second in the long run, twice as many at once (5000 unless given; 0: no limit)
    #[arg(long, value_name = "N")]
    pub home_calls_per_second: Option<u32>,
    /// The largest message taken, in bytes (1048576 unless given)
    #[arg(long, value_name = "BYTES")]
    pub max_message_bytes: Option<usize>,
    /// Threads that carry messages (1 for a Home, half of the processor's cores for a Main unless given)
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// human or json (human unless given)
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// error, warn, info, debug or trace, or a filter such as relay_node::link=debug (info unless given)
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
}

/// What a command line asks for.
#[derive(Debug)]
pub enum Parsed {
    /// Run a node.
    Run(Box<Args>),
    /// Ask the DHT.
    Dht(Box<DhtCommand>),
    /// Print this and end well.
    Print(String),
    /// Print this and end with exit code 64.
    Refuse(String),
}

/// Reads a command line, without the program's name.
pub fn parse_args(args: impl IntoIterator<Item = String>) -> Parsed {
    let mut args = args.into_iter().peekable();
    if args.next_if(|first| first == "dht").is_some() {
        return command::parse(args);
    }
    let long: Vec<String> = args.map(double_dash).collect();
    match long.iter().map(String::as_str).find(|arg| matches!(*arg, "--help" | "--version")) {
        Some("--help") => return Parsed::Print(help()),
        Some(_) => return Parsed::Print(concat!("relay ", env!("CARGO_PKG_VERSION"), "\n").to_owned()),
        None => {}
    }
    let matches = Args::command().try_get_matches_from(std::iter::once("relay".to_owned()).chain(long));
    match matches.and_then(|matches| Args::from_arg_matches(&matches)) {
        Ok(args) => Parsed::Run(Box::new(args)),
        Err(error) if error.kind() == ErrorKind::DisplayHelp => Parsed::Print(help()),
        Err(error) => Parsed::Refuse(single_dash(&error.render().to_string())),
    }
}

/// The help text, with the flags as operators write them.
fn help() -> String {
    single_dash(&Args::command().render_long_help().to_string())
}

/// `-flag` and `-flag=value` as clap knows them.
pub(crate) fn double_dash(arg: String) -> String {
    match arg.strip_prefix('-') {
        Some("h" | "help") => "--help".into(),
        Some("V" | "v" | "version") => "--version".into(),
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_alphabetic()) => format!("--{rest}"),
        _ => arg,
    }
}

/// What clap says, with flags as operators write them.
pub(crate) fn single_dash(text: &str) -> String {
    text.replace(" --", " -").replace("'--", "'-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Parsed {
        parse_args(line.split_whitespace().map(str::to_owned))
    }

    fn args(line: &str) -> Args {
        match parse(line) {
            Parsed::Run(args) => *args,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn one_dash_two_dashes_and_an_equals_sign_mean_the_same() {
        let one = args("blog.toml -connect ws://a:1 -node-id alice.home -fallback ws://b:1,ws://c:1 -port 9");
        let two =
            args("--connect=ws://a:1 --node-id=alice.home --fallback ws://b:1,ws://c:1 --port=9 blog.toml");
        let mixed =
            args("-connect=ws://a:1 blog.toml -node-id=alice.home --fallback=ws://b:1,ws://c:1 -port=9");
        assert_eq!(one, two);
        assert_eq!(one, mixed);
        assert_eq!(one.fallback, ["ws://b:1", "ws://c:1"]);
        assert_eq!(one.service_file.as_deref(), Some("blog.toml"));
    }

    #[test]
    fn unknown_flags_are_refused_with_the_nearest_known_one() {
        let Parsed::Refuse(words) = parse("-server -prot 8080") else { panic!("must be refused") };
        assert!(words.contains("-prot") && words.contains("-port"), "{words}");
        let Parsed::Refuse(words) = parse("-server -port many") else { panic!("must be refused") };
        assert!(words.contains("many") && words.contains("-port"), "{words}");
    }

    #[test]
    fn help_names_every_flag_the_way_it_is_written() {
        let Parsed::Print(words) = parse("-help") else { panic!("must print") };
        for flag in ["-server", "-connect <URL>", "-node-id <ID>", "-fallback", "-data-dir", "-log-format"] {
            assert!(words.contains(flag), "{flag} in {words}");
        }
        assert!(!words.contains("--"), "{words}");
        let Parsed::Print(words) = parse("-version") else { panic!("must print") };
        assert!(words.starts_with("relay "));
    }
}
