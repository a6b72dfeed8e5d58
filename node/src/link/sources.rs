//! Where a Main's peers are listed outside of its command line: a file, and DNS. Both are looked at again and again.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use super::peers::PeerSource;
use super::{RelayUrl, Switchboard, UrlError, mesh};
use crate::env::SrvRecord;
use crate::federation::{Backoff, BackoffPolicy};

/// How often the file is read, in seconds.
const FILE_SECONDS: u64 = 30;

/// How often the name is resolved, in seconds.
const SRV_SECONDS: u64 = 60;

/// The longest that one resolution may take, in seconds.
const SRV_TIMEOUT_SECONDS: u64 = 10;

/// After a failure the name is resolved again this soon, in seconds, then less and less often up to [`SRV_SECONDS`].
const SRV_RETRY_SECONDS: u64 = 1;

/// Targets of one name that are dialled: those of the best priority first, then of the greatest weight.
const MAX_SRV_TARGETS: usize = 256;

/// The service of relays that speak TLS (`_relay` is that of those that do not), as a first label.
const TLS_SERVICE: &str = "_relays";

/// A name whose SRV records are Mains: `_relay._tcp.example.com`, or `_relays._tcp.example.com` for `wss://`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SrvName(String);

/// Why a text is no name of SRV records.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a name of SRV records; write _relay._tcp.DOMAIN or, where they speak TLS, _relays._tcp.DOMAIN"
)]
pub struct BadSrvName(String);

impl SrvName {
    /// As it is resolved, without a dot at the end.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The URL that a record stands for.
    fn url(&self, record: &SrvRecord) -> Result<RelayUrl, UrlError> {
        let scheme = match self.0.split('.').next() {
            Some(service) if service.eq_ignore_ascii_case(TLS_SERVICE) => "wss",
            _ => "ws",
        };
        format!("{scheme}://{}:{}", record.target, record.port).parse()
    }
}

impl FromStr for SrvName {
    type Err = BadSrvName;

    fn from_str(text: &str) -> Result<Self, BadSrvName> {
        let name = text.strip_suffix('.').unwrap_or(text);
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let labels: Vec<&str> = name.split('.').collect();
        let sound = labels.iter().all(|label| (1..=63).contains(&label.len()) && label.chars().all(allowed));
        let is_srv = labels.len() >= 3 && labels[..2].iter().all(|label| label.starts_with('_'));
        if name.len() > 253 || !sound || !is_srv {
            return Err(BadSrvName(text.to_owned()));
        }
        Ok(SrvName(name.to_owned()))
    }
}

impl fmt::Display for SrvName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A line of a list of peers that is no URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {error}")]
pub struct BadLine {
    line: usize,
    error: UrlError,
}

/// The URLs in a list of peers: one a line; what follows a `#` is for people.
///
/// # Errors
/// The first line that is no URL.
pub fn parse_list(text: &str) -> Result<BTreeSet<RelayUrl>, BadLine> {
    let lines = text.lines().enumerate().map(|(number, line)| {
        let url = line.split('#').next().unwrap_or_default().trim();
        (number + 1, url)
    });
    lines
        .filter(|(_, url)| !url.is_empty())
        .map(|(line, url)| url.parse().map_err(|error| BadLine { line, error }))
        .collect()
}

/// Dials the Mains in a file, as it is from time to time. While it cannot be used, what it said last counts.
pub async fn follow_file(board: Arc<Switchboard>, file: String) {
    let mut known = BTreeSet::new();
    let mut trouble = None;
    while !board.is_draining() {
        let (storage, path) = (board.env.storage.clone(), file.clone());
        let text = board.env.blocking("peers-file", move || storage.read_file(&path)).await;
        let listed = text
            .and_then(|read| read)
            .map_err(|error| error.to_string())
            .and_then(|text| parse_list(&text).map_err(|error| error.to_string()));
        match listed {
            Ok(listed) => {
                trouble = None;
                apply(&board, PeerSource::File, &mut known, listed);
            }
            // Said once, not every time that it is read.
            Err(reason) if trouble.as_ref() == Some(&reason) => {}
            Err(reason) => {
                tracing::error!(%file, "the list of peers cannot be used, what it said before still counts: {reason}");
                trouble = Some(reason);
            }
        }
        board.env.sleep(Duration::from_secs(FILE_SECONDS)).await;
    }
}

/// Dials the Mains that a name stands for, as it is from time to time. While it cannot be resolved, and also where it
/// stands for nothing any more, which is a mistake more often than a wish, what it said last counts.
pub async fn follow_srv(board: Arc<Switchboard>, name: SrvName) {
    let again = Duration::from_secs(SRV_SECONDS);
    let mut backoff =
        Backoff::new(BackoffPolicy { initial: Duration::from_secs(SRV_RETRY_SECONDS), cap: again });
    let mut rng = board.env.rng("srv-backoff");
    let mut known = BTreeSet::new();
    while !board.is_draining() {
        let limit = Duration::from_secs(SRV_TIMEOUT_SECONDS);
        let resolved = board.env.deadline(limit, board.env.network.resolve_srv(name.as_str())).await;
        let too_slow = || Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {limit:?}")));
        let wait = match resolved.unwrap_or_else(too_slow) {
            Ok(records) => {
                backoff.reset();
                apply(&board, PeerSource::Dns, &mut known, targets(&name, records));
                again
            }
            Err(error) => {
                tracing::warn!(%name, "the peers in DNS cannot be looked up, those known so far still count: {error}");
                backoff.next_wait(&mut rng)
            }
        };
        board.env.sleep(wait).await;
    }
}

fn targets(name: &SrvName, mut records: Vec<SrvRecord>) -> BTreeSet<RelayUrl> {
    // A low number is a high priority, a great weight a large share (RFC 2782).
    records.sort_by(|one, other| {
        let order = |record: &SrvRecord| (record.priority, std::cmp::Reverse(record.weight));
        order(one).cmp(&order(other)).then_with(|| one.target.cmp(&other.target))
    });
    if records.len() > MAX_SRV_TARGETS {
        tracing::warn!(%name, records = records.len(), "only {MAX_SRV_TARGETS} of them are dialled");
        records.truncate(MAX_SRV_TARGETS);
    }
    let url = |record: &SrvRecord| {
        let url = name.url(record);
        url.inspect_err(|error| tracing::warn!(%name, "a target cannot be dialled: {error}")).ok()
    };
    records.iter().filter_map(url).collect()
}

/// Dials what is new in a list, and lets go of what is no longer there.
fn apply(
    board: &Arc<Switchboard>,
    source: PeerSource,
    known: &mut BTreeSet<RelayUrl>,
    listed: BTreeSet<RelayUrl>,
) {
    for url in listed.difference(known) {
        tracing::info!(%url, source = source.as_str(), "a peer to dial");
        mesh::configured(board, url, source);
    }
    for url in known.difference(&listed) {
        tracing::info!(%url, source = source.as_str(), "a peer that is not dialled again");
        mesh::withdrawn(board, url, source);
    }
    *known = listed;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(priority: u16, weight: u16, port: u16, target: &str) -> SrvRecord {
        SrvRecord { priority, weight, port, target: target.into() }
    }

    #[test]
    fn a_list_has_a_url_a_line_and_remarks() {
        let text = "# the old ones\nws://a:1\n\n  wss://b  # by TLS\r\nws://a:1\n";
        let urls: Vec<_> = parse_list(text).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(urls, ["ws://a:1", "wss://b:443"]);
        assert!(parse_list("").unwrap().is_empty());
        let words = parse_list("ws://a:1\n\nhttp://b # no").unwrap_err().to_string();
        assert!(words.starts_with("line 3: `http://b` has the scheme `http`"), "{words}");
    }

    #[test]
    fn srv_names_say_the_scheme() {
        let url = |name: &str| name.parse::<SrvName>().unwrap().url(&record(0, 0, 8080, "main-a")).unwrap();
        assert_eq!(url("_relay._tcp.example.com").to_string(), "ws://main-a:8080");
        assert_eq!(url("_Relays._tcp.example.com.").to_string(), "wss://main-a:8080");
        for text in [
            "",
            "example.com",
            "_relay._tcp",
            "_relay.tcp.example.com",
            "_relay._tcp..com",
            "_relay._tcp.a b",
        ] {
            let words = text.parse::<SrvName>().unwrap_err().to_string();
            assert!(words.contains("write _relay._tcp.DOMAIN"), "{words}");
        }
    }

    #[test]
    fn of_too_many_targets_the_best_are_taken() {
        let name: SrvName = "_relay._tcp.fed".parse().unwrap();
        let mut records: Vec<_> = (0..300).map(|n| record(10, n, 1000 + n, "many")).collect();
        records.push(record(1, 0, 1, "first"));
        records.push(record(1, 0, 2, "not a name"));
        let urls = targets(&name, records);
        assert_eq!(urls.len(), MAX_SRV_TARGETS - 1);
        let has = |url: &str| urls.contains(&url.parse().unwrap());
        assert!(has("ws://first:1") && has("ws://many:1299") && !has("ws://many:1000"));
    }
}
