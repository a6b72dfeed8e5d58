//! Where a relay is dialled: `ws://host:port` or, over TLS, `wss://host:port`, with or without a path.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use hyper::Uri;

/// The port of a `ws://` URL that names none.
const PLAIN_PORT: u16 = 80;

/// The port of a `wss://` URL that names none.
const TLS_PORT: u16 = 443;

/// Why a text is no relay URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Not a URL at all.
    #[error("`{text}` is not a URL: {reason}; write ws://HOST:PORT or wss://HOST:PORT")]
    Malformed {
        /// What was given.
        text: String,
        /// What the parser said.
        reason: String,
    },
    /// Another scheme than `ws` and `wss`.
    #[error("`{text}` has the scheme `{scheme}`; write ws://HOST:PORT or, for TLS, wss://HOST:PORT")]
    Scheme {
        /// What was given.
        text: String,
        /// Its scheme.
        scheme: String,
    },
}

/// A relay's URL.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RelayUrl {
    secure: bool,
    host: String,
    port: u16,
    /// Empty where the URL has none: the dialler then takes the right one.
    path: String,
}

impl RelayUrl {
    /// Where a relay listens at this address.
    pub fn at(address: SocketAddr, secure: bool) -> Self {
        let host = match address.ip() {
            IpAddr::V4(four) => four.to_string(),
            IpAddr::V6(six) => format!("[{six}]"),
        };
        RelayUrl { secure, host, port: address.port(), path: String::new() }
    }

    /// Whether it is `wss://`: dialled over TLS.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// The same without a path.
    pub fn root(&self) -> Self {
        RelayUrl { path: String::new(), ..self.clone() }
    }

    /// The host: a name or an address (IPv6 in brackets).
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The path, or `default` where the URL names none.
    pub fn path_or<'a>(&'a self, default: &'a str) -> &'a str {
        if self.path.is_empty() { default } else { &self.path }
    }

    /// `host:port`, as in a `Host` header.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl FromStr for RelayUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let malformed = |reason: String| UrlError::Malformed { text: text.to_owned(), reason };
        let uri: Uri =
            text.parse().map_err(|error: hyper::http::uri::InvalidUri| malformed(error.to_string()))?;
        let secure = match uri.scheme_str() {
            Some("ws") => false,
            Some("wss") => true,
            Some(scheme) => {
                return Err(UrlError::Scheme { text: text.to_owned(), scheme: scheme.to_owned() });
            }
            None => return Err(malformed("there is no scheme".into())),
        };
        let host =
            uri.host().filter(|host| !host.is_empty()).ok_or_else(|| malformed("there is no host".into()))?;
        let port = match (uri.port_u16(), uri.authority().and_then(|it| it.as_str().rsplit_once(':'))) {
            (Some(port), _) => port,
            // Behind the last colon of an IPv6 address its bracket closes.
            (None, Some((_, port))) if !port.ends_with(']') => {
                return Err(malformed(format!("the port `{port}` is not 1 to 65535")));
            }
            (None, _) if secure => TLS_PORT,
            (None, _) => PLAIN_PORT,
        };
        let path = uri.path_and_query().map_or("", |path| path.as_str()).trim_end_matches('/');
        Ok(RelayUrl { secure, host: host.to_owned(), port, path: path.to_owned() })
    }
}

impl fmt::Display for RelayUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "wss" } else { "ws" };
        write!(f, "{scheme}://{}:{}{}", self.host, self.port, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_without_a_path_takes_the_right_one() {
        let url: RelayUrl = "ws://relay-a.com:8080".parse().unwrap();
        assert_eq!((url.host(), url.port(), url.path_or("/ws/peers")), ("relay-a.com", 8080, "/ws/peers"));
        let url: RelayUrl = "ws://[::1]:9/ws/federation?x=1".parse().unwrap();
        assert_eq!((url.host(), url.path_or("/ws/peers")), ("[::1]", "/ws/federation?x=1"));
        assert_eq!("ws://relay-a.com".parse::<RelayUrl>().unwrap().to_string(), "ws://relay-a.com:80");
    }

    #[test]
    fn tls_has_a_scheme_and_a_port_of_its_own() {
        let url: RelayUrl = "wss://relay-a.com".parse().unwrap();
        assert!(url.is_secure() && url.port() == 443);
        assert_eq!(url.to_string(), "wss://relay-a.com:443");
        let url: RelayUrl = "wss://relay-a.com:8443/ws/peers".parse().unwrap();
        assert_eq!(url.to_string(), "wss://relay-a.com:8443/ws/peers");
        assert_eq!(url.root().to_string(), "wss://relay-a.com:8443");
        assert!(!"ws://relay-a.com:443".parse::<RelayUrl>().unwrap().is_secure());
        for (address, secure) in [("[2001:db8::1]:443", true), ("192.0.2.7:8080", false)] {
            let url = RelayUrl::at(address.parse().unwrap(), secure);
            assert_eq!(url.to_string().parse::<RelayUrl>().unwrap(), url);
            assert!(url.to_string().ends_with(address));
        }
    }

    #[test]
    fn other_schemes_and_scraps_are_refused_in_words() {
        let refusal = |text: &str| text.parse::<RelayUrl>().unwrap_err().to_string();
        assert!(refusal("http://relay-a.com").contains("has the scheme `http`; write ws://HOST:PORT or"));
        assert!(refusal("relay-a.com").contains("write ws://HOST:PORT"));
        assert!(refusal("").contains("write ws://HOST:PORT"));
        assert!(refusal("ws:// a").contains("write ws://HOST:PORT"));
        assert!(refusal("ws://relay-a.com:99999").contains("the port `99999` is not 1 to 65535"));
        assert_eq!("ws://[::1]".parse::<RelayUrl>().unwrap().port(), 80);
    }
}
