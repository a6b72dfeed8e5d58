//! TLS by rustls: certificates from files, and its errors in words.

#![expect(clippy::disallowed_methods, reason = "this is where the world is let in")]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, Error, InvalidMessage, RootCertStore, ServerConfig,
};
use tokio::sync::OnceCell;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::super::Stream;
use super::watched::Watched;
use super::{CertificateFiles, FileError};

/// What is spoken inside: HTTP/1.1, and WebSocket over it.
const PROTOCOL: &[u8] = b"http/1.1";

/// This host's certificate, and whom it trusts.
pub(super) struct Tls {
    server: Option<Arc<Watched<ServerConfig>>>,
    /// Read when the first stream is secured: most nodes that dial nobody over TLS need none of the system's roots.
    client: OnceCell<Arc<Watched<ClientConfig>>>,
    extra_roots: Option<PathBuf>,
}

impl Tls {
    /// Reads the files, to find what is wrong with them at the start.
    pub(super) fn new(
        certificate: Option<&CertificateFiles>,
        extra_roots: Option<PathBuf>,
    ) -> Result<Self, FileError> {
        if let Some(file) = &extra_roots {
            extra(file)?;
        }
        let server = certificate.map(|files| {
            let watched = vec![files.chain.clone(), files.key.clone()];
            let files = files.clone();
            Watched::new(watched, move || server_config(&files)).map(Arc::new)
        });
        Ok(Tls { server: server.transpose()?, client: OnceCell::new(), extra_roots })
    }

    pub(super) async fn client(&self, stream: Stream, server_name: &str) -> io::Result<Stream> {
        let bare = server_name.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(bare.to_owned()).map_err(|_| {
            let words = format!("`{server_name}` is neither a host name nor an address");
            io::Error::new(io::ErrorKind::InvalidInput, words)
        })?;
        let config = self.client.get_or_try_init(|| client_configs(self.extra_roots.clone())).await?;
        let connector = TlsConnector::from(config.current().await);
        let secured =
            connector.connect(name, stream).await.map_err(|error| in_words(&error, Side::Client(bare)))?;
        Ok(Box::new(secured))
    }

    pub(super) async fn server(&self, stream: Stream) -> io::Result<Stream> {
        let Some(server) = &self.server else {
            let words = "this host has no certificate; give it one with -tls-cert and -tls-key";
            return Err(io::Error::new(io::ErrorKind::Unsupported, words));
        };
        let acceptor = TlsAcceptor::from(server.current().await);
        let secured = acceptor.accept(stream).await.map_err(|error| in_words(&error, Side::Server))?;
        Ok(Box::new(secured))
    }
}

fn server_config(files: &CertificateFiles) -> Result<ServerConfig, FileError> {
    let chain = certificates("-tls-cert", &files.chain)?;
    let wrong_key = |error: &dyn std::fmt::Display| FileError::new("-tls-key", &files.key, error);
    let key = fs::read(&files.key).map_err(|error| wrong_key(&error))?;
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(|error| match error {
        rustls::pki_types::pem::Error::NoItemsFound => {
            wrong_key(&"there is no private key in it, in PEM form")
        }
        other => wrong_key(&other),
    })?;
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring speaks TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_single_cert(chain, key);
    let mut config = config.map_err(|error| match error {
        Error::InconsistentKeys(_) => {
            let words = format!("this is not the key of the certificate in {}", files.chain.display());
            wrong_key(&words)
        }
        Error::InvalidCertificate(_) => FileError::new("-tls-cert", &files.chain, &error),
        other => wrong_key(&other),
    })?;
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    Ok(config)
}

/// The client's side, with the system's roots, which are read once.
async fn client_configs(extra_roots: Option<PathBuf>) -> io::Result<Arc<Watched<ClientConfig>>> {
    let read = move || {
        let system = system_roots();
        let watched = extra_roots.iter().cloned().collect();
        Watched::new(watched, move || client_config(system.clone(), extra_roots.as_deref())).map(Arc::new)
    };
    let configs = tokio::task::spawn_blocking(read).await.map_err(io::Error::other)?;
    configs.map_err(|error| io::Error::new(io::ErrorKind::NotFound, error.to_string()))
}

fn client_config(mut roots: RootCertStore, extra_roots: Option<&Path>) -> Result<ClientConfig, FileError> {
    if let Some(file) = extra_roots {
        roots.roots.extend(extra(file)?.roots);
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring speaks TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    Ok(config)
}

fn system_roots() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::debug!("of this system's certificates: {error}");
    }
    let mut roots = RootCertStore::empty();
    let (taken, _) = roots.add_parsable_certificates(found.certs);
    if taken == 0 {
        tracing::warn!("this system trusts no certificate authority: only those in -tls-ca count");
    }
    roots
}

/// The authorities in a file of the operator's.
fn extra(file: &Path) -> Result<RootCertStore, FileError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("-tls-ca", file)? {
        roots.add(certificate).map_err(|error| FileError::new("-tls-ca", file, &error))?;
    }
    Ok(roots)
}

fn certificates(flag: &'static str, file: &Path) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let text = fs::read(file).map_err(|error| FileError::new(flag, file, &error))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if found.is_empty() => {
            Err(FileError::new(flag, file, &"there is no certificate in it, in PEM form"))
        }
        found => found.map_err(|error| FileError::new(flag, file, &error)),
    }
}

/// Who failed.
#[derive(Clone, Copy)]
enum Side<'a> {
    /// The one that dialled this name.
    Client(&'a str),
    /// The one that was dialled.
    Server,
}

/// The error of a handshake, for whoever reads the log.
fn in_words(error: &io::Error, side: Side<'_>) -> io::Error {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    let words = match (tls, side) {
        (Some(Error::InvalidCertificate(why)), Side::Client(name)) => untrusted(why, name),
        (Some(Error::InvalidMessage(InvalidMessage::InvalidContentType)), Side::Client(_)) => {
            "what answers speaks no TLS; is it a plain ws:// or http:// port?".to_owned()
        }
        (Some(Error::InvalidMessage(InvalidMessage::InvalidContentType)), Side::Server) => {
            "the client speaks no TLS".to_owned()
        }
        (Some(Error::AlertReceived(alert)), Side::Server) => match alert {
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::UnsupportedCertificate => {
                format!("the client does not take this host's certificate: {alert:?}")
            }
            other => format!("the client broke the handshake off: {other:?}"),
        },
        (Some(other), _) => format!("TLS: {other}"),
        (None, _) if error.kind() == io::ErrorKind::UnexpectedEof => {
            let words = "the connection was closed in the middle of the TLS handshake";
            return io::Error::new(error.kind(), words);
        }
        (None, _) => return io::Error::new(error.kind(), error.to_string()),
    };
    io::Error::new(io::ErrorKind::InvalidData, words)
}

fn untrusted(why: &CertificateError, name: &str) -> String {
    match why {
        CertificateError::UnknownIssuer => {
            "its certificate is of an issuer that is not trusted here; -tls-ca FILE adds one".to_owned()
        }
        CertificateError::NotValidForNameContext { presented, .. } if !presented.is_empty() => {
            format!("its certificate is not for {name}, but for {}", presented.join(", "))
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("its certificate is not for {name}")
        }
        CertificateError::Expired => "its certificate has expired".to_owned(),
        CertificateError::ExpiredContext { time, not_after } => {
            let days = time.as_secs().saturating_sub(not_after.as_secs()) / 86_400;
            format!("its certificate has expired, {days} days ago by this host's clock")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet; is this host's clock right?".to_owned()
        }
        other if format!("{other:?}").contains("CaUsedAsEndEntity") => {
            "its certificate is that of an authority (CA:TRUE), which no server may show; have the authority sign \
             one for the server"
                .to_owned()
        }
        other => format!("its certificate cannot be used: {other}"),
    }
}
