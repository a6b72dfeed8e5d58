//! Which clients may use which route, and how many connections they may have.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use axum::Json;
use axum::body::Body;
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::IntoResponse;
use hyper::Response;
use serde_json::json;
use tokio::io::{AsyncRead, ReadBuf};

use crate::env::{Stream, write_through};
use crate::federation::Secret;
use crate::store::ADMIN_TOKEN_FILE;
use crate::wire::NodeId;

/// The keys that nodes are known by.
pub(super) const PINS: &str = "/federation/pins";

/// One of them.
pub(super) const ONE_PIN: &str = "/federation/pins/{node_id}";

/// Routes that change this relay, or tell what is its operator's alone. What stands in braces may be anything.
const ADMIN_ROUTES: [&str; 5] =
    ["/federation/peers/add", PINS, ONE_PIN, OLDER_ADMIN_ROUTES[0], OLDER_ADMIN_ROUTES[1]];

/// Those of them that clients of the older mesh use, which know no tokens.
const OLDER_ADMIN_ROUTES: [&str; 2] = ["/registry/peers/add", "/registry/peers/remove"];

/// What clients must show.
pub struct Guard {
    /// This node, for its words.
    pub me: NodeId,
    /// For `/rpc`; everybody may call where there is none.
    pub rpc: Option<Secret>,
    /// For the routes that change this relay.
    pub admin: Option<Secret>,
    /// Clients on this relay's own machine may use the routes of the older mesh without a token.
    pub allow_legacy: bool,
}

/// Whether a request for this path is one for an operator.
fn is_for_operators(path: &str) -> bool {
    ADMIN_ROUTES.iter().any(|route| match route.split_once('{') {
        Some((before, _)) => path.starts_with(before),
        None => path == *route,
    })
}

/// The token in an `Authorization` header.
fn shown(authorization: Option<&[u8]>) -> Option<&[u8]> {
    authorization?.strip_prefix(b"Bearer ").map(<[u8]>::trim_ascii)
}

/// Whether an `Authorization` header shows this token.
fn shows(authorization: Option<&[u8]>, token: &Secret) -> bool {
    shown(authorization).is_some_and(|shown| token.is(shown))
}

impl Guard {
    /// Whether a client that sends this `Authorization` header may call.
    pub(super) fn may_call(&self, authorization: Option<&[u8]>) -> bool {
        self.rpc.as_ref().is_none_or(|token| shows(authorization, token))
    }

    /// The answer to a request that may not be served.
    pub(super) fn refusal(
        &self,
        path: &str,
        headers: &HeaderMap,
        from: SocketAddr,
    ) -> Option<Response<Body>> {
        let is_here = from.ip().to_canonical().is_loopback();
        let older = self.allow_legacy && is_here && OLDER_ADMIN_ROUTES.contains(&path);
        let token = match path {
            "/rpc" => self.rpc.as_ref()?,
            _ if older || !is_for_operators(path) => return None,
            _ => self.admin.as_ref()?,
        };
        let authorization = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
        if shows(authorization, token) {
            return None;
        }
        let wrong = if shown(authorization).is_some() { "another token" } else { "a token" };
        let whose = match path {
            "/rpc" => "the one that was given with -rpc-token-file".to_owned(),
            _ => format!("the one in {ADMIN_TOKEN_FILE} in the data directory of {}", self.me),
        };
        let message =
            format!("unauthorized: {path} needs {wrong}, as in `Authorization: Bearer TOKEN`: {whose}");
        let body = match path {
            "/rpc" => json!({
                "jsonrpc": "2.0",
                "error": {
                    "code": -32008,
                    "message": message,
                    "data": { "node": self.me, "path": [], "retryable": false },
                },
                "id": null,
            }),
            _ => json!({ "error": message }),
        };
        let challenge = [(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"relay\""))];
        Some((StatusCode::UNAUTHORIZED, challenge, Json(body)).into_response())
    }
}

/// The answer to a request that a web page of another site makes in its visitor's name: such a page reaches what listens
/// on its visitor's own machine. Programs other than browsers send no `Origin`.
pub(super) fn foreign_origin(headers: &HeaderMap) -> Option<Response<Body>> {
    let origin = headers.get(ORIGIN)?.as_bytes();
    let own = headers.get(HOST).is_some_and(|host| {
        let site = origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
        site.is_some_and(|site| site == host.as_bytes())
    });
    let error = "this relay takes no requests that web pages of other sites make";
    (!own).then(|| (StatusCode::FORBIDDEN, Json(json!({ "error": error }))).into_response())
}

/// Counts the connections of each address, links included.
pub(super) struct Doorman {
    limit: usize,
    open: Mutex<BTreeMap<IpAddr, usize>>,
}

impl Doorman {
    /// At most so many connections per address.
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Doorman { limit, open: Mutex::default() })
    }

    /// The same stream, counted until it is dropped; `None` where its address has too many already. This machine's own
    /// clients are not counted: a proxy in front of the relay is one address.
    pub(super) fn admit(self: &Arc<Self>, stream: Stream, from: SocketAddr) -> Option<Stream> {
        let address = from.ip().to_canonical();
        if address.is_loopback() {
            return Some(stream);
        }
        let block = block(address);
        {
            let mut open = self.lock();
            let count = open.entry(block).or_default();
            if *count >= self.limit {
                return None;
            }
            *count += 1;
        }
        Some(Box::new(Counted { stream, doorman: Arc::clone(self), block }))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<IpAddr, usize>> {
        self.open.lock().expect("nothing panics with the counts")
    }
}

/// What one customer of a provider has: an IPv4 address, or the upper half of an IPv6 address.
fn block(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
    }
}

/// A stream that is counted.
struct Counted {
    stream: Stream,
    doorman: Arc<Doorman>,
    block: IpAddr,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut open = self.doorman.lock();
        if let Some(count) = open.get_mut(&self.block) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.block);
            }
        }
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

write_through!(Counted);

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(rpc: bool, allow_legacy: bool) -> Guard {
        let secret = |text| Secret::new(text).unwrap();
        Guard {
            me: "relay-a".parse().unwrap(),
            rpc: rpc.then(|| secret("the token for calls")),
            admin: Some(secret("the token for admins")),
            allow_legacy,
        }
    }

    fn status(guard: &Guard, path: &str, from: &str, token: Option<&str>) -> u16 {
        let mut headers = HeaderMap::new();
        if let Some(token) = token {
            headers.insert(AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
        }
        let from = format!("{from}:1").parse().unwrap();
        guard.refusal(path, &headers, from).map_or(200, |response| response.status().as_u16())
    }

    #[test]
    fn routes_that_change_this_relay_need_the_admin_token_from_everywhere() {
        let guard = guard(false, false);
        let every = ADMIN_ROUTES.map(|route| route.replace("{node_id}", "alice.home"));
        for path in every.iter().map(String::as_str).chain(["/federation/pins/", "/federation/pins/a/b"]) {
            for from in ["127.0.0.1", "10.0.0.1", "[::1]"] {
                assert_eq!(status(&guard, path, from, None), 401, "{path} {from}");
                assert_eq!(status(&guard, path, from, Some("the token for calls")), 401);
                assert_eq!(status(&guard, path, from, Some("the token for admins")), 200);
            }
        }
        assert_eq!(status(&guard, "/rpc", "10.0.0.1", None), 200);
        assert_eq!(status(&guard, "/health", "10.0.0.1", None), 200);
    }

    #[test]
    fn calls_need_a_token_where_one_was_given() {
        let guard = guard(true, false);
        assert_eq!(status(&guard, "/rpc", "127.0.0.1", None), 401);
        assert_eq!(status(&guard, "/rpc", "127.0.0.1", Some("the token for calls")), 200);
        assert_eq!(status(&guard, "/rpc", "127.0.0.1", Some("the token for admins")), 401);
        assert_eq!(status(&guard, "/metrics", "127.0.0.1", None), 200);
    }

    #[test]
    fn web_pages_of_other_sites_are_turned_away() {
        let refused = |origin: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, "127.0.0.1:8080".parse().unwrap());
            if let Some(origin) = origin {
                headers.insert(ORIGIN, origin.parse().unwrap());
            }
            foreign_origin(&headers).is_some()
        };
        assert!(!refused(None) && !refused(Some("http://127.0.0.1:8080")));
        for origin in ["https://evil.example", "http://127.0.0.1:9090", "null", ""] {
            assert!(refused(Some(origin)), "{origin}");
        }
    }

    #[test]
    fn older_clients_on_this_machine_need_none_where_they_are_allowed() {
        let guard = guard(false, true);
        for path in OLDER_ADMIN_ROUTES {
            assert_eq!(status(&guard, path, "127.0.0.1", None), 200);
            assert_eq!(status(&guard, path, "[::ffff:127.0.0.1]", None), 200);
            assert_eq!(status(&guard, path, "10.0.0.1", None), 401);
        }
        assert_eq!(status(&guard, "/federation/peers/add", "127.0.0.1", None), 401);
    }

    #[test]
    fn an_address_has_so_many_connections_and_gets_them_back() {
        let doorman = Doorman::new(2);
        let dial = |from: &str| doorman.admit(Box::new(tokio::io::duplex(1).0), from.parse().unwrap());
        let first = dial("10.0.0.1:1").unwrap();
        let _second = dial("10.0.0.1:2").unwrap();
        assert!(dial("10.0.0.1:3").is_none());
        assert!(dial("10.0.0.2:1").is_some());
        drop(first);
        let _third = dial("10.0.0.1:4").unwrap();
        assert!(dial("10.0.0.1:5").is_none());
        // One household has a whole block of IPv6 addresses.
        let _one = dial("[2001:db8::1]:1").unwrap();
        let _two = dial("[2001:db8::2]:1").unwrap();
        assert!(dial("[2001:db8::3]:1").is_none() && dial("[2001:db8:0:1::1]:1").is_some());
        let own: Vec<_> = (1..10).map(|port| dial(&format!("127.0.0.1:{port}")).unwrap()).collect();
        drop((own, _second, _third, _one, _two));
        assert!(doorman.lock().is_empty());
    }
}
