//! What stands for TLS on the simulated network: the payload stays plaintext, so that a trace can be read; the
//! handshake takes TLS 1.3's round trip, and certificates fail as real ones do.
//!
//! ```text
//! client → 0x16, length, the name that it dialled
//! server → 0x16, length, its certificate
//! client → 0x14: all is well, or 0x15 and why not
//! ```

use std::io::{self, ErrorKind};
use std::time::Duration;

use relay_node::env::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// TLS's own content types: a handshake, a client that is done, an alert.
const HANDSHAKE: u8 = 0x16;
const FINISHED: u8 = 0x14;
const ALERT: u8 = 0x15;

/// What a host shows to those who connect over TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The names and addresses that it is for.
    pub names: Vec<String>,
    /// Virtual time, from the start of the run, from which on it is not valid any more; `None`: it stays valid.
    pub expires: Option<Duration>,
    /// Whether the other hosts know its issuer.
    pub trusted: bool,
}

/// Why a client does not take a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    UnknownIssuer,
    Expired,
    WrongName,
}

impl Refusal {
    const ALL: [Refusal; 3] = [Refusal::UnknownIssuer, Refusal::Expired, Refusal::WrongName];

    fn words(self, name: &str, certificate: &Certificate) -> String {
        match self {
            Refusal::UnknownIssuer => {
                "its certificate is of an issuer that is not trusted here; -tls-ca FILE adds one".to_owned()
            }
            Refusal::Expired => "its certificate has expired".to_owned(),
            Refusal::WrongName => {
                format!("its certificate is not for {name}, but for {}", certificate.names.join(", "))
            }
        }
    }
}

impl Certificate {
    fn check(&self, name: &str, now: Duration) -> Option<Refusal> {
        if !self.trusted {
            Some(Refusal::UnknownIssuer)
        } else if self.expires.is_some_and(|end| end <= now) {
            Some(Refusal::Expired)
        } else if !self.names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            Some(Refusal::WrongName)
        } else {
            None
        }
    }

    fn encode(&self) -> String {
        let expires = self.expires.map_or("-".to_owned(), |end| end.as_nanos().to_string());
        format!("{}\n{expires}\n{}", self.trusted, self.names.join("\n"))
    }

    fn decode(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let trusted = lines.next()?.parse().ok()?;
        let expires = match lines.next()? {
            "-" => None,
            nanos => Some(Duration::from_nanos(nanos.parse().ok()?)),
        };
        Some(Certificate { names: lines.map(str::to_owned).collect(), expires, trusted })
    }
}

/// The client's side. `now` is virtual time; one that does not `check` takes every certificate.
pub(super) async fn client(
    mut stream: Stream,
    server_name: &str,
    now: Duration,
    check: bool,
) -> io::Result<Stream> {
    let name = server_name.trim_start_matches('[').trim_end_matches(']');
    if name.is_empty() || name.contains(char::is_whitespace) {
        let words = format!("`{server_name}` is neither a host name nor an address");
        return Err(io::Error::new(ErrorKind::InvalidInput, words));
    }
    stream.write_all(&record(name)).await?;
    let no_tls = || invalid("what answers speaks no TLS; is it a plain ws:// or http:// port?");
    if cut_short(stream.read_u8().await)? != HANDSHAKE {
        return Err(no_tls());
    }
    let shown = read_text(&mut stream).await?;
    let certificate = Certificate::decode(&shown).ok_or_else(no_tls)?;
    if let Some(refusal) = certificate.check(name, now).filter(|_| check) {
        // The other side may be gone already; then there is nobody to tell.
        let _ = stream.write_all(&[ALERT, refusal as u8]).await;
        let _ = stream.shutdown().await;
        return Err(invalid(refusal.words(name, &certificate)));
    }
    stream.write_all(&[FINISHED]).await?;
    Ok(stream)
}

/// The server's side.
pub(super) async fn server(mut stream: Stream, certificate: Option<Certificate>) -> io::Result<Stream> {
    let Some(certificate) = certificate else {
        let words = "this host has no certificate; give it one with -tls-cert and -tls-key";
        return Err(io::Error::new(ErrorKind::Unsupported, words));
    };
    if cut_short(stream.read_u8().await)? != HANDSHAKE {
        return Err(invalid("the client speaks no TLS"));
    }
    read_text(&mut stream).await?;
    stream.write_all(&record(&certificate.encode())).await?;
    match cut_short(stream.read_u8().await)? {
        FINISHED => Ok(stream),
        _ => {
            let reason = cut_short(stream.read_u8().await)?;
            let reason = Refusal::ALL.get(usize::from(reason));
            Err(invalid(match reason {
                Some(reason) => format!("the client does not take this host's certificate: {reason:?}"),
                None => "the client broke the handshake off".to_owned(),
            }))
        }
    }
}

fn record(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).expect("names of hosts are short");
    [&[HANDSHAKE][..], &length.to_be_bytes(), text.as_bytes()].concat()
}

async fn read_text(stream: &mut Stream) -> io::Result<String> {
    let length = cut_short(stream.read_u16().await)?;
    let mut bytes = vec![0; usize::from(length)];
    cut_short(stream.read_exact(&mut bytes).await)?;
    String::from_utf8(bytes).map_err(|_| invalid("what came is no TLS handshake"))
}

fn cut_short<T>(read: io::Result<T>) -> io::Result<T> {
    read.map_err(|error| match error.kind() {
        ErrorKind::UnexpectedEof => {
            io::Error::new(error.kind(), "the connection was closed in the middle of the TLS handshake")
        }
        _ => error,
    })
}

fn invalid(words: impl Into<String>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, words.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_travels_as_it_is() {
        let names = || vec!["main-a".to_owned(), "11.0.0.1".to_owned()];
        for certificate in [
            Certificate { names: names(), expires: None, trusted: true },
            Certificate { names: names(), expires: Some(Duration::from_secs(7)), trusted: false },
        ] {
            assert_eq!(Certificate::decode(&certificate.encode()).unwrap(), certificate);
        }
        assert_eq!(Certificate::decode("HTTP/1.1 400 Bad Request"), None);
    }

    #[test]
    fn it_is_valid_until_before_its_end_and_for_its_names() {
        let names = vec!["main-a".to_owned()];
        let certificate = Certificate { names, expires: Some(Duration::from_secs(7)), trusted: true };
        let at = |seconds| certificate.check("MAIN-A", Duration::from_secs(seconds));
        assert_eq!((at(6), at(7)), (None, Some(Refusal::Expired)));
        assert_eq!(certificate.check("main-b", Duration::ZERO), Some(Refusal::WrongName));
    }
}
