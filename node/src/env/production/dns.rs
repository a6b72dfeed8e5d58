//! Names by hickory: SRV records, and with a name server of the operator's also addresses.

use std::io;
use std::net::SocketAddr;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
use hickory_resolver::{ResolverBuilder, TokioResolver};
use tokio::sync::OnceCell;

use super::super::SrvRecord;

/// Asks the system's name servers, or one that the operator names.
pub(super) struct Dns {
    server: Option<SocketAddr>,
    /// Made when first needed: most nodes look up no SRV record.
    resolver: OnceCell<TokioResolver>,
}

impl Dns {
    pub(super) fn new(server: Option<SocketAddr>) -> Self {
        Dns { server, resolver: OnceCell::new() }
    }

    /// Whether addresses come from here, too, and not from the system.
    pub(super) fn is_given(&self) -> bool {
        self.server.is_some()
    }

    /// The addresses of a name.
    pub(super) async fn addresses(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let found = self.resolver().await?.lookup_ip(absolute(host)).await;
        let found = found.map_err(|error| in_words(host, &error))?;
        Ok(found.iter().map(|address| SocketAddr::new(address, port)).collect())
    }

    /// The SRV records of a name; never empty.
    pub(super) async fn srv(&self, name: &str) -> io::Result<Vec<SrvRecord>> {
        let found = self.resolver().await?.lookup(absolute(name), RecordType::SRV).await;
        let found = found.map_err(|error| in_words(name, &error))?;
        let records = found.answers().iter().filter_map(|record| match &record.data {
            // A lone dot says that the service is not offered (RFC 2782).
            RData::SRV(srv) if !srv.target.is_root() => Some(SrvRecord {
                priority: srv.priority,
                weight: srv.weight,
                port: srv.port,
                target: srv.target.to_ascii().trim_end_matches('.').to_owned(),
            }),
            _ => None,
        });
        let records: Vec<SrvRecord> = records.collect();
        if records.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("{name} has no SRV records")));
        }
        Ok(records)
    }

    async fn resolver(&self) -> io::Result<&TokioResolver> {
        let make = async {
            let builder = match self.server {
                None => TokioResolver::builder_tokio(),
                Some(server) => {
                    let connection = |mut connection: ConnectionConfig| {
                        connection.port = server.port();
                        connection
                    };
                    let ways = vec![connection(ConnectionConfig::udp()), connection(ConnectionConfig::tcp())];
                    let server = NameServerConfig::new(server.ip(), true, ways);
                    let config = ResolverConfig::from_name_servers(vec![server]);
                    Ok(TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()))
                }
            };
            builder
                .and_then(ResolverBuilder::build)
                .map_err(|error| io::Error::other(format!("this system's name servers: {error}")))
        };
        self.resolver.get_or_try_init(|| make).await
    }
}

/// Not to be tried below the system's search domains.
fn absolute(name: &str) -> String {
    format!("{}.", name.trim_end_matches('.'))
}

fn in_words(name: &str, error: &NetError) -> io::Error {
    let kind = match error {
        _ if error.is_nx_domain() || error.is_no_records_found() => io::ErrorKind::NotFound,
        NetError::Timeout => io::ErrorKind::TimedOut,
        _ => io::ErrorKind::Other,
    };
    match kind {
        io::ErrorKind::NotFound => io::Error::new(kind, format!("{name} has no such records")),
        _ => io::Error::new(kind, format!("{name}: {error}")),
    }
}
