//! Nobody is given a version of a peer's metadata that was replaced long ago, or something that the peer never said.
//!
//! The bound: a node may have cached the older version just before the newer one was kept, and gives it out for the cache's
//! time to live; see [`SLACK`] for the rest. Who cannot reach those that keep the newer one may be given the older one: while
//! packets do not arrive nothing is checked but that the peer said it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::weather::Weather;
use super::{Findings, Invariant, Observed};
use crate::metadata::{Given, History, SLACK, Worth};
use crate::record::EndedLookup;
use crate::scenario::{HostIndex, Scenario};

/// See the module.
pub(super) struct NoStaleRead {
    bound: Duration,
    weather: Weather,
    history: History,
    /// Whose a peer id is.
    hosts: BTreeMap<String, HostIndex>,
}

impl NoStaleRead {
    pub(super) fn new(scenario: &Scenario, weather: Weather) -> Self {
        let bound = scenario.topology.dht.settings.cache_ttl() + SLACK;
        NoStaleRead { bound, weather, history: History::default(), hosts: BTreeMap::new() }
    }

    fn check(&self, lookup: &EndedLookup, given: &Given, findings: &mut Findings) {
        let peer = &lookup.peer;
        let publisher = self.hosts.get(peer);
        let is_deceived = |host: &HostIndex| self.weather.is_deceived(*host, lookup.ended);
        if publisher.is_some_and(is_deceived) {
            // Its disk may have made it use a sequence twice.
            return;
        }
        let worth = self.history.judge(peer, &given.version, lookup.sent, self.bound);
        let is_excused = match &worth {
            Worth::Stale { since, .. } => {
                let whole = self.weather.network_is_whole(since.saturating_sub(self.bound), lookup.ended);
                !whole || self.weather.counts_otherwise(lookup.from, *since, lookup.ended)
            }
            // It may have been published and replaced between two looks at the publisher.
            Worth::Unheard => true,
            Worth::Right | Worth::Older | Worth::Wrong => false,
        };
        if is_excused {
            return;
        }
        let is_fine = matches!(worth, Worth::Right | Worth::Older);
        findings.check(lookup.ended, is_fine, || {
            let (from, sequence) = (lookup.from.0, given.version.sequence);
            let of = if given.cached { "from its cache" } else { "from the DHT" };
            match worth {
                Worth::Stale { newer, since } => format!(
                    "host {from} is given version {sequence} of {peer} {of}, though {newer} has been kept since {since:?}"
                ),
                _ => format!("host {from} is given something {of} that {peer} never said: {}", given.version.content),
            }
        });
    }
}

impl Invariant for NoStaleRead {
    fn name(&self) -> &'static str {
        "no-stale-read"
    }

    fn statement(&self) -> String {
        let bound = self.bound.as_secs();
        format!(
            "nobody is given metadata that was replaced more than {bound} s before, or that its peer never published"
        )
    }

    fn observe(&mut self, observed: &Observed<'_>, findings: &mut Findings) {
        match *observed {
            Observed::Published { at, host, published } => {
                self.history.tell(at, published);
                if self.hosts.get(&published.peer) != Some(&host) {
                    self.hosts.insert(published.peer.clone(), host);
                }
            }
            Observed::LookedUp(lookup) => {
                // The older way promises nothing.
                if let Some(given) = lookup.answer.given().filter(|given| given.is_of_dht) {
                    self.check(lookup, given, findings);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{judge, seconds};
    use super::*;
    use crate::metadata::{Published, Version};
    use crate::record::Answer;

    const HOSTS: &str = "duration = \"30m\"\n[dht]\non = true\ncache_ttl = \"5m\"\n[[main]]\nname = \"main\"\n\
                         [[home]]\nname = \"home\"\nmain = \"main\"\n";

    fn version(sequence: i64, relay: &str) -> Version {
        Version { sequence, content: serde_json::json!({ "relay_address": relay }) }
    }

    /// The home had a relay from 10 s on and another one from 100 s on; then somebody is given this.
    fn found(faults: &str, asked: u64, version_given: Version) -> (u64, u64) {
        let scenario = Scenario::load("test.toml", &format!("{HOSTS}{faults}")).unwrap();
        let told = |sequence, relay| Published {
            peer: "id".into(),
            version: version(sequence, relay),
            kept: Some(sequence),
        };
        let (first, second) = (told(1, "main-a"), told(2, "main-b"));
        let lookup = EndedLookup {
            lookup: 0,
            from: HostIndex(0),
            to: HostIndex(1),
            peer: "id".into(),
            sent: seconds(asked),
            ended: seconds(asked + 1),
            answer: Answer::Given(Given { version: version_given, cached: true, is_of_dht: true }),
            reached: None,
        };
        let host = HostIndex(1);
        let history = [
            Observed::Published { at: seconds(10), host, published: &first },
            Observed::Published { at: seconds(100), host, published: &second },
            Observed::LookedUp(&lookup),
        ];
        let invariant = NoStaleRead::new(&scenario, Weather::new(&scenario));
        let findings = judge(invariant, &history);
        (findings.checked, findings.violated)
    }

    #[test]
    fn an_older_version_may_be_given_up_to_the_bound() {
        assert_eq!(found("", 430, version(1, "main-a")), (1, 0));
        assert_eq!(found("", 431, version(1, "main-a")), (1, 1));
        assert_eq!(found("", 431, version(2, "main-b")), (1, 0));
    }

    #[test]
    fn what_the_peer_never_said_is_given_to_nobody() {
        assert_eq!(found("", 120, version(2, "a stranger")), (1, 1));
        assert_eq!(found("", 120, version(3, "not heard of yet")), (0, 0));
    }

    #[test]
    fn who_is_cut_off_may_be_given_what_is_old_and_nothing_that_is_wrong() {
        let cut = "[[fault]]\nat = \"200s\"\nkind = \"partition\"\nhosts = \"main\"\nlasts = \"60s\"\n";
        assert_eq!(found(cut, 500, version(1, "main-a")), (0, 0));
        assert_eq!(found(cut, 250, version(1, "a stranger")), (1, 1));
    }

    #[test]
    fn a_disk_that_lied_to_the_publisher_excuses_it() {
        let lies = "[[fault]]\nat = \"50s\"\nkind = \"disk\"\nhost = \"home\"\ntrouble = \"lost-sync\"\nlasts = \"10s\"\n";
        assert_eq!(found(lies, 120, version(2, "something else")), (0, 0));
    }
}
