//! What peers of the DHT have published, by their own words, and what an answer about one of them is worth.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

/// Versions of one peer that are kept; of more, the oldest are forgotten.
const VERSIONS_PER_PEER_MAX: usize = 64;

/// How long after its cache may have been filled a node may still give an older version: a lookup that was under way
/// when the new one was kept, and the time between two looks at the publisher.
pub const SLACK: Duration = Duration::from_secs(30);

/// A version of a peer's metadata.
#[derive(Clone, Debug, PartialEq)]
pub struct Version {
    /// Its number: a later one is higher.
    pub sequence: i64,
    /// All of it, as JSON.
    pub content: Value,
}

/// What a peer said of its own metadata.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// The peer id.
    pub peer: String,
    /// What it has now.
    pub version: Version,
    /// The sequence up to which others keep it, by what the peer was told; `None` where nobody does yet.
    pub kept: Option<i64>,
}

/// What a lookup gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    /// What it says.
    pub version: Version,
    /// Whether it comes from the cache of the node that was asked.
    pub cached: bool,
    /// Whether it comes from the DHT at all, and not from what was there before it.
    pub is_of_dht: bool,
}

/// What an answer is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Worth {
    /// It is the newest version.
    Right,
    /// There is a newer one, not for so long that everybody must know of it.
    Older,
    /// A newer one has been kept for too long.
    Stale {
        /// The newer one.
        newer: i64,
        /// When that was known to be kept.
        since: Duration,
    },
    /// The peer had something else under this sequence.
    Wrong,
    /// The peer was not heard of it.
    Unheard,
}

/// What all peers have said.
#[derive(Default)]
pub struct History(BTreeMap<String, BTreeMap<i64, Told>>);

/// One version, and since when it was known to be kept.
struct Told {
    content: Value,
    kept: Option<Duration>,
}

impl History {
    /// A peer told of its metadata.
    pub fn tell(&mut self, at: Duration, published: &Published) {
        let versions = self.0.entry(published.peer.clone()).or_default();
        let Version { sequence, content } = &published.version;
        // What it said first of a version counts: a sequence stands for one content.
        versions.entry(*sequence).or_insert_with(|| Told { content: content.clone(), kept: None });
        for (sequence, told) in versions.iter_mut() {
            if published.kept.is_some_and(|kept| kept >= *sequence) && told.kept.is_none() {
                told.kept = Some(at);
            }
        }
        while versions.len() > VERSIONS_PER_PEER_MAX {
            versions.pop_first();
        }
    }

    /// Whether something of the peer has been kept since `before` or longer.
    pub fn is_kept(&self, peer: &str, before: Duration) -> bool {
        let versions = self.0.get(peer);
        versions.is_some_and(|all| all.values().any(|told| told.kept.is_some_and(|kept| kept <= before)))
    }

    /// What the peer said last.
    pub fn newest(&self, peer: &str) -> Option<&Value> {
        self.0.get(peer)?.last_key_value().map(|(_, told)| &told.content)
    }

    /// Whether the peer was heard of this version.
    pub fn has_heard(&self, peer: &str, sequence: i64) -> bool {
        self.0.get(peer).is_some_and(|all| all.contains_key(&sequence))
    }

    /// What an answer about `peer` is worth that was asked for at `asked`, where an older version may be given for `bound`
    /// after a newer one is kept.
    pub fn judge(&self, peer: &str, given: &Version, asked: Duration, bound: Duration) -> Worth {
        let Some(versions) = self.0.get(peer) else { return Worth::Unheard };
        let known = versions.get(&given.sequence);
        if known.is_some_and(|told| told.content != given.content) {
            return Worth::Wrong;
        }
        let newer = || versions.range(given.sequence.saturating_add(1)..);
        let too_long = newer().rev().find_map(|(newer, told)| {
            let since = told.kept.filter(|since| *since + bound < asked)?;
            Some(Worth::Stale { newer: *newer, since })
        });
        match (too_long, newer().next(), known) {
            (Some(stale), ..) => stale,
            (None, Some(_), _) => Worth::Older,
            (None, None, Some(_)) => Worth::Right,
            (None, None, None) => Worth::Unheard,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(sequence: i64, relay: &str) -> Version {
        Version { sequence, content: serde_json::json!({ "relay_address": relay, "sequence": sequence }) }
    }

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn history() -> History {
        let mut history = History::default();
        let mut tell = |at, sequence, relay, kept| {
            let published = Published { peer: "home".into(), version: version(sequence, relay), kept };
            history.tell(s(at), &published);
        };
        tell(10, 1, "main-a", None);
        tell(12, 1, "main-a", Some(1));
        tell(100, 2, "main-b", Some(1));
        tell(110, 2, "main-b", Some(2));
        history
    }

    #[test]
    fn an_older_version_may_be_given_until_everybody_must_know_of_the_newer() {
        let judge = |asked, version: Version| history().judge("home", &version, s(asked), s(330));
        assert_eq!(judge(200, version(2, "main-b")), Worth::Right);
        assert_eq!(judge(440, version(1, "main-a")), Worth::Older);
        assert_eq!(judge(441, version(1, "main-a")), Worth::Stale { newer: 2, since: s(110) });
        assert_eq!(judge(441, version(0, "nobody")), Worth::Stale { newer: 2, since: s(110) });
    }

    #[test]
    fn what_the_peer_never_said_is_wrong_or_unheard() {
        let judge = |version: Version| history().judge("home", &version, s(200), s(330));
        assert_eq!(judge(version(2, "main-a")), Worth::Wrong);
        assert_eq!(judge(version(3, "main-b")), Worth::Unheard);
        assert_eq!(history().judge("other", &version(1, "main-a"), s(200), s(330)), Worth::Unheard);
    }

    #[test]
    fn it_is_kept_from_when_the_peer_says_so() {
        let history = history();
        assert!(!history.is_kept("home", s(11)) && history.is_kept("home", s(12)));
        assert!(!history.is_kept("other", s(12)));
        assert!(history.has_heard("home", 2) && !history.has_heard("home", 3));
    }

    #[test]
    fn of_many_versions_the_oldest_are_forgotten() {
        let mut history = History::default();
        for sequence in 0..100 {
            let version = version(sequence, "main");
            history.tell(s(1), &Published { peer: "home".into(), version, kept: Some(sequence) });
        }
        assert!(!history.has_heard("home", 35) && history.has_heard("home", 36));
    }
}
