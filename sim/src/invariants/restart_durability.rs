//! What a relay acknowledged as kept is there after a restart.
//!
//! Source: DESIGN §6: what was acknowledged is on disk. An operator adds and removes peers while relays are killed and
//! cut off from power, and reads afterwards what each still knows; a change whose answer got lost may have happened or
//! not. Who was removed is kept out. A Main that has let a node in knows its key from then on, and no other one for it:
//! it lists whom it has let in as its own. A relay also keeps its id and its key. A wiped disk keeps nothing, and one that
//! lies or rots may keep anything.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::weather::Weather;
use super::{Findings, Invariant, Listed, Observed};
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
    /// Whether one of these is listed under the id of another node than its URL names: it may stand for several.
    pub stands_for_others: bool,
    /// The nodes that were removed while it ran and are kept out.
    pub removed: BTreeSet<String>,
    /// The keys that it knows others by, in hex, by node id.
    pub pins: BTreeMap<String, String>,
}

#[derive(Default)]
struct Kept {
    identity: Option<(String, String)>,
    peers: BTreeSet<String>,
    removed: BTreeSet<String>,
    /// Every URL that was ever added or removed.
    changed: BTreeSet<String>,
    /// Nobody knows whether these were added or removed: the relay may even get to it later.
    unclear: BTreeSet<String>,
    /// Nodes that it has let in, and the keys that they were known by; `None` where that was not read yet.
    pins: BTreeMap<String, Option<String>>,
}

impl RestartDurability {
    pub(super) fn new(weather: Weather) -> Self {
        RestartDurability { weather, kept: BTreeMap::new() }
    }
}

impl Kept {
    fn change(&mut self, change: &PeerChange) {
        let (url, node) = (change.url.clone(), node_at(&change.url).to_owned());
        self.changed.insert(url.clone());
        self.unclear.remove(&url);
        match (change.acknowledged, change.added) {
            (false, _) => {
                self.unclear.insert(url);
            }
            (true, true) => {
                self.peers.insert(url);
                self.removed.remove(&node);
            }
            (true, false) => {
                self.peers.remove(&url);
                self.removed.insert(node);
            }
        }
    }

    /// A Main lists these: those that hang on it were let in.
    fn listed(&mut self, listed: &[Listed]) {
        for line in listed.iter().filter(|line| line.is_local) {
            if !self.pins.contains_key(&line.node) {
                self.pins.insert(line.node.clone(), None);
            }
        }
    }

    /// The added peers that are missing or too many. Where names have lied, one may be listed under whom it found at its
    /// URL: for as long as the relay has a link there, which no plan can tell, its line may be that one's, or stand for
    /// others. So what is too many is judged where an operator ever changed it, and what is missing where no line may
    /// stand for it.
    fn wrong_peers<'a>(&'a self, recalled: &'a Recalled, is_misled: bool) -> Vec<&'a String> {
        let missing = self.peers.difference(&recalled.peers);
        let missing = missing.filter(|_| !(is_misled && recalled.stands_for_others));
        let too_many = recalled.peers.difference(&self.peers);
        let too_many = too_many.filter(|url| !is_misled || self.changed.contains(*url));
        missing.chain(too_many).filter(|url| !self.unclear.contains(*url)).collect()
    }

    fn wrongly_removed<'a>(&'a self, recalled: &'a Recalled) -> Vec<&'a String> {
        let is_unclear = |node: &String| self.unclear.iter().any(|url| node_at(url) == node);
        self.removed.symmetric_difference(&recalled.removed).filter(|node| !is_unclear(node)).collect()
    }

    /// Takes in the keys that are known now. Gives the nodes whose keys are gone, or are others.
    fn wrong_pins(&mut self, recalled: &Recalled) -> Vec<String> {
        let mut wrong = Vec::new();
        for (node, known) in self.pins.iter().filter(|(node, _)| **node != recalled.node) {
            let is_sound = match (recalled.pins.get(node), known) {
                (Some(now), Some(known)) => now == known,
                (Some(_), None) => true,
                (None, _) => false,
            };
            if !is_sound {
                wrong.push(node.clone());
            }
        }
        self.pins.extend(recalled.pins.iter().map(|(node, key)| (node.clone(), Some(key.clone()))));
        wrong
    }

    fn check(
        &mut self,
        at: Duration,
        host: HostIndex,
        recalled: &Recalled,
        is_misled: bool,
        findings: &mut Findings,
    ) {
        let identity = (recalled.node.clone(), recalled.key.clone());
        let known = self.identity.get_or_insert_with(|| identity.clone());
        findings
            .check(at, *known == identity, || format!("host {} was {known:?} and is {identity:?}", host.0));
        let wrong = self.wrong_peers(recalled, is_misled);
        findings.check(at, wrong.is_empty(), || {
            let (must, does) = (&self.peers, &recalled.peers);
            format!("host {} must know the added peers {must:?} and knows {does:?}", host.0)
        });
        let wrong = self.wrongly_removed(recalled);
        findings.check(at, wrong.is_empty(), || {
            let (must, does) = (&self.removed, &recalled.removed);
            format!("host {} must keep out {must:?} and keeps out {does:?}", host.0)
        });
        let wrong = self.wrong_pins(recalled);
        findings.check(at, wrong.is_empty(), || {
            format!("host {} has let {wrong:?} in and does not know their keys any more", host.0)
        });
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
            Observed::Changed { host, change, .. } => self.kept.entry(host).or_default().change(change),
            Observed::Viewed { main, listed, .. } => self.kept.entry(main).or_default().listed(listed),
            // Whoever trusts a disk that lies is not to blame.
            Observed::Recalled { at, host, .. } if self.weather.is_deceived(host, at) => {}
            Observed::Recalled { at, host, recalled } => {
                let is_misled = self.weather.is_misled(host, at);
                self.kept.entry(host).or_default().check(at, host, recalled, is_misled, findings);
            }
            _ => {}
        }
    }
}

/// The id of the node at a URL: `added-7.invalid` is at `ws://added-7.invalid:8080`, and Mains go by their names as well.
pub fn node_at(url: &str) -> &str {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    authority.split_once(':').map_or(authority, |(host, _)| host)
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

    /// What a Main tells that keeps nobody out.
    fn knows(key: &str, peers: &[&str]) -> Recalled {
        let peers = peers.iter().map(|&url| url.to_owned()).collect();
        Recalled { node: "main".into(), key: key.into(), peers, ..Recalled::default() }
    }

    /// As [`knows`], of one that keeps `a` out.
    fn keeps_out(peers: &[&str]) -> Recalled {
        Recalled { removed: ["a".to_owned()].into(), ..knows("k", peers) }
    }

    fn pins(pins: &[(&str, &str)]) -> Recalled {
        let pins = pins.iter().map(|&(node, key)| (node.to_owned(), key.to_owned())).collect();
        Recalled { pins, ..knows("k", &[]) }
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
        let kept_out = keeps_out(&[]);
        assert_eq!(violated(&[changed(&added), changed(&removed), recalled(&kept_out)]), 0);
        assert_eq!(
            violated(&[changed(&added), changed(&removed), recalled(&without)]),
            1,
            "it may come in again"
        );
        assert_eq!(violated(&[changed(&added), changed(&removed), recalled(&with)]), 2, "it came back");
        let again = [changed(&removed), changed(&added)];
        assert_eq!(violated(&[&again[..], &[recalled(&with)]].concat()), 0);
        let both = keeps_out(&["ws://a"]);
        assert_eq!(violated(&[&again[..], &[recalled(&both)]].concat()), 1, "it is welcome again");
        assert_eq!(violated(&[changed(&unclear), recalled(&with)]), 0);
        assert_eq!(violated(&[changed(&unclear), recalled(&kept_out)]), 0);
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

    #[test]
    fn who_was_let_in_is_known_by_the_same_key_from_then_on() {
        let line = |node: &str, is_local| Listed {
            service: "echo".into(),
            node: node.into(),
            owner: "main".into(),
            is_local,
        };
        let lines = [line("home", true), line("main", true), line("far", false)];
        let viewed = Observed::Viewed { at: seconds(1), main: HOST, listed: &lines };
        let (with, without, other) = (pins(&[("home", "aa")]), pins(&[]), pins(&[("home", "bb")]));
        assert_eq!(violated(&[viewed, recalled(&with), recalled(&with)]), 0, "neither itself nor another's");
        assert_eq!(violated(&[viewed, recalled(&without)]), 1, "it was let in and is not known");
        assert_eq!(violated(&[recalled(&with), recalled(&without)]), 1, "it was known");
        assert_eq!(violated(&[recalled(&with), recalled(&other)]), 1, "another took its place");
        let gone = Observed::NodeGone { at: seconds(100), host: HOST, node: None };
        assert_eq!(violated(&[viewed, recalled(&with), gone, recalled(&without)]), 0, "its disk was wiped");
    }

    #[test]
    fn names_that_lied_excuse_what_they_may_have_done_and_no_more() {
        let text = "[[main]]\nname = \"main\"\n[[main]]\nname = \"other\"\n[[fault]]\nat = \"100s\"\nkind = \"dns\"\n\
                    host = \"main\"\nanswer = \"wrong\"\nlasts = \"10s\"\n";
        let violated = |history: &[Observed<'_>]| {
            let weather = Weather::new(&Scenario::load("test.toml", text).unwrap());
            judge(RestartDurability::new(weather), history).violated
        };
        let (added, removed) = (change("ws://a", true, true), change("ws://a", false, true));
        // Its line is under the other's URL, or stands behind the line of another that led there as well.
        let foreign = Recalled { stands_for_others: true, ..knows("k", &["ws://other:8080"]) };
        assert_eq!(violated(&[changed(&added), recalled(&foreign)]), 0);
        assert_eq!(violated(&[changed(&added), recalled(&knows("k", &[]))]), 1, "no line may stand for it");
        let back = Recalled { stands_for_others: true, ..keeps_out(&["ws://a", "ws://other:8080"]) };
        assert_eq!(violated(&[changed(&added), changed(&removed), recalled(&back)]), 1, "it came back");
        let before = Observed::Recalled { at: seconds(99), host: HOST, recalled: &foreign };
        assert_eq!(violated(&[changed(&added), before]), 1, "nothing had lied yet");
    }
}
