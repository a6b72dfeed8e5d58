//! What a relay acknowledged as kept is there after a restart.
//!
//! Source: DESIGN §6: what was acknowledged is on disk. An operator adds and removes peers while relays are killed and
//! cut off from power, and reads afterwards what each still knows; a change whose answer got lost may have happened or
//! not. A relay also keeps its id and its key. A wiped disk keeps nothing, and one that lies or rots may keep anything.

use std::collections::{BTreeMap, BTreeSet};

use super::weather::Weather;
use super::{Findings, Invariant, Observed};
use crate::scenario::HostIndex;

/// See the module.
pub(super) struct RestartDurability {
    weather: Weather,
    /// By host: what it must know.
    kept: BTreeMap<HostIndex, Kept>,
}

/// A change of a relay's peers that its operator asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerChange {
    /// The peer's URL.
    pub url: String,
    /// Added, or removed.
    pub added: bool,
    /// Whether the relay said that it is done.
    pub acknowledged: bool,
}

/// What a relay knows, as it told its operator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recalled {
    /// Its node id.
    pub node: String,
    /// Its public key, in hex.
    pub key: String,
    /// The peers that were added while it ran, by URL.
    pub peers: BTreeSet<String>,
}

#[derive(Default)]
struct Kept {
    identity: Option<(String, String)>,
    peers: BTreeSet<String>,
    /// Nobody knows whether these were added or removed: the relay may even get to it later.
    unclear: BTreeSet<String>,
}

impl RestartDurability {
    pub(super) fn new(weather: Weather) -> Self {
        RestartDurability { weather, kept: BTreeMap::new() }
    }
}

impl Invariant for RestartDurability {
    fn name(&self) -> &'static str {
        "restart-durability"
    }

    fn statement(&self) -> String {
        "what a relay acknowledged as kept is there after any restart".into()
    }

    fn observe(&mut self, observed: &Observed<'_>, findings: &mut Findings) {
        match *observed {
            Observed::NodeGone { at, host, .. } if self.weather.emptied(host, at) => {
                self.kept.remove(&host);
            }
            Observed::Changed { host, change, .. } => {
                let kept = self.kept.entry(host).or_default();
                let url = change.url.clone();
                kept.unclear.remove(&url);
                match (change.acknowledged, change.added) {
                    (false, _) => drop(kept.unclear.insert(url)),
                    (true, true) => drop(kept.peers.insert(url)),
                    (true, false) => drop(kept.peers.remove(&url)),
                }
            }
            // Whoever trusts a disk that lies is not to blame.
            Observed::Recalled { at, host, .. } if self.weather.is_deceived(host, at) => {}
            Observed::Recalled { at, host, recalled } => {
                let kept = self.kept.entry(host).or_default();
                let identity = (recalled.node.clone(), recalled.key.clone());
                let known = kept.identity.get_or_insert_with(|| identity.clone());
                findings.check(at, *known == identity, || {
                    format!("host {} was {known:?} and is {identity:?}", host.0)
                });
                // It lists a peer under what it found at its URL.
                if self.weather.is_misled(host, at) {
                    return;
                }
                let wrong: Vec<&String> = kept
                    .peers
                    .symmetric_difference(&recalled.peers)
                    .filter(|url| !kept.unclear.contains(*url))
                    .collect();
                findings.check(at, wrong.is_empty(), || {
                    let (must, does) = (&kept.peers, &recalled.peers);
                    format!("host {} must know the added peers {must:?} and knows {does:?}", host.0)
                });
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::testing::{judge, seconds};
    use super::*;
    use crate::scenario::Scenario;

    const WIPED: &str = r#"
[[main]]
name = "main"
[[fault]]
at = "100s"
kind = "crash"
host = "main"
how = "power-cut"
disk = "wipe"
down = "10s"
"#;
    const HOST: HostIndex = HostIndex(0);

    fn violated(history: &[Observed<'_>]) -> u64 {
        let weather = Weather::new(&Scenario::load("test.toml", WIPED).unwrap());
        judge(RestartDurability::new(weather), history).violated
    }

    fn change(url: &str, added: bool, acknowledged: bool) -> PeerChange {
        PeerChange { url: url.into(), added, acknowledged }
    }

    fn knows(key: &str, peers: &[&str]) -> Recalled {
        let peers = peers.iter().map(|&url| url.to_owned()).collect();
        Recalled { node: "main".into(), key: key.into(), peers }
    }

    fn changed(change: &PeerChange) -> Observed<'_> {
        Observed::Changed { at: Duration::ZERO, host: HOST, change }
    }

    fn recalled(recalled: &Recalled) -> Observed<'_> {
        Observed::Recalled { at: seconds(200), host: HOST, recalled }
    }

    #[test]
    fn what_was_acknowledged_stays_and_what_was_not_may() {
        let (added, removed) = (change("ws://a", true, true), change("ws://a", false, true));
        let unclear = change("ws://a", true, false);
        let (with, without) = (knows("k", &["ws://a"]), knows("k", &[]));
        assert_eq!(violated(&[changed(&added), recalled(&with)]), 0);
        assert_eq!(violated(&[changed(&added), recalled(&without)]), 1, "it was lost");
        assert_eq!(violated(&[recalled(&without), recalled(&with)]), 1, "nobody added it");
        assert_eq!(violated(&[changed(&added), changed(&removed), recalled(&without)]), 0);
        assert_eq!(violated(&[changed(&added), changed(&removed), recalled(&with)]), 1, "it came back");
        assert_eq!(violated(&[changed(&unclear), recalled(&with)]), 0);
        assert_eq!(violated(&[changed(&unclear), recalled(&without)]), 0);
        assert_eq!(violated(&[changed(&unclear), recalled(&without), recalled(&with)]), 0, "done late");
    }

    #[test]
    fn a_relay_keeps_its_key_unless_its_disk_was_wiped() {
        let (one, other) = (knows("k", &["ws://a"]), knows("other", &[]));
        let added = change("ws://a", true, true);
        let gone = |at| Observed::NodeGone { at: seconds(at), host: HOST, node: None };
        let history = |at| [changed(&added), recalled(&one), gone(at), recalled(&other)];
        assert_eq!(violated(&history(50)), 2, "its key and its peer are lost");
        assert_eq!(violated(&history(100)), 0);
    }
}
