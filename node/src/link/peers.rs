//! What a Main knows of the Mains that it dials, and of those that have dialled it: for its operator.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use indexmap::IndexSet;
use tokio_util::sync::CancellationToken;

use super::RelayUrl;
use super::pulse::Vitals;
use crate::env::Instant;
use crate::federation::Level;
use crate::store::MAX_REMOVED_PEERS;
use crate::wire::NodeId;

/// Mains that one node may dial. More cannot be added.
pub(super) const MAX_DIALLED_PEERS: usize = 1_024;

/// Mains that had dialled this one and are gone, as far as they are remembered. The one that went first is forgotten for
/// one more.
const MAX_GONE_PEERS: usize = 256;

/// A Main that went so long ago is not missed any more: what it had announced has expired as well.
const MISSED_SECONDS: u64 = 600;

/// How this Main came to dial another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PeerSource {
    /// `-peers`.
    Flag,
    /// `-peers-file`.
    File,
    /// `-peers-srv`.
    Dns,
    /// A client added it.
    Api,
    /// Another Main told of it.
    Learned,
}

impl PeerSource {
    /// In a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            PeerSource::Flag => "flag",
            PeerSource::File => "file",
            PeerSource::Dns => "dns",
            PeerSource::Api => "api",
            PeerSource::Learned => "learned",
        }
    }
}

/// How it stands with a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerState {
    /// There is a link.
    Connected,
    /// It is being dialled.
    Connecting,
    /// It is dialled again then.
    Waiting {
        /// When.
        until: Instant,
    },
    /// It is not dialled any more, or only looked at now and then: the last error says why.
    LeftOut,
    /// It had dialled this Main, and is gone.
    Gone,
}

impl PeerState {
    /// In a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            PeerState::Connected => "connected",
            PeerState::Connecting => "connecting",
            PeerState::Waiting { .. } => "waiting",
            PeerState::LeftOut => "left-out",
            PeerState::Gone => "gone",
        }
    }
}

/// A Main that this one is connected to, tries to be, or was.
#[derive(Clone, Debug)]
pub struct PeerStatus {
    /// Its id, once it is known.
    pub node: Option<NodeId>,
    /// Where it is dialled, where it can be.
    pub address: Option<String>,
    /// How it stands with it.
    pub state: PeerState,
    /// Since when there is a link, or none.
    pub since: Instant,
    /// How this Main came to dial it, each once. Empty where it does not, or not any more.
    pub sources: Vec<PeerSource>,
    /// It is known because it dialled this Main, and for nothing else.
    pub inbound: bool,
    /// Attempts to connect that have failed since the last one that succeeded.
    pub failures: u32,
    /// Why the last of them failed.
    pub last_error: Option<String>,
    /// How the link is, where there is one.
    pub vitals: Option<Vitals>,
}

impl PeerStatus {
    /// Whether there is a link.
    pub fn is_up(&self) -> bool {
        self.state == PeerState::Connected
    }

    /// Whether there should be a link and is none.
    pub fn is_missed(&self, now: Instant) -> bool {
        match self.state {
            PeerState::Connected | PeerState::LeftOut => false,
            PeerState::Connecting | PeerState::Waiting { .. } => true,
            PeerState::Gone => now - self.since < Duration::from_secs(MISSED_SECONDS),
        }
    }
}

/// The current link to a Main.
pub(super) struct UpLink {
    pub(super) address: Option<String>,
    pub(super) since: Instant,
    pub(super) vitals: Vitals,
}

/// The dialled Mains by URL, those that are kept out, and those that are gone.
#[derive(Default)]
pub(super) struct PeerBook {
    dialled: BTreeMap<RelayUrl, Entry>,
    /// The latest last, as in the store.
    removed: IndexSet<NodeId>,
    gone: BTreeMap<NodeId, Gone>,
    keepers: u64,
}

struct Entry {
    node: Option<NodeId>,
    sources: BTreeSet<PeerSource>,
    progress: PeerState,
    /// Since when there is no link, where there is none.
    since: Instant,
    failures: u32,
    error: Option<String>,
    keeper: Keeper,
}

struct Gone {
    address: Option<String>,
    since: Instant,
}

/// Whoever keeps the link to one URL up.
#[derive(Clone)]
pub(super) struct Keeper {
    /// Says no more. Where there is a link then, it stays until it ends by itself.
    pub(super) stop: CancellationToken,
    number: u64,
}

/// What becomes of the wish to dial a Main.
pub(super) enum Wanted {
    /// Nobody dials it yet: this one is to, and may know who is there.
    New(Keeper, Option<NodeId>),
    /// It is dialled already.
    Known,
    /// It was removed.
    KeptOut,
    /// [`MAX_DIALLED_PEERS`] are dialled.
    Full,
}

impl PeerBook {
    /// A Main is to be dialled, as `source` has it.
    pub(super) fn want(
        &mut self,
        url: &RelayUrl,
        node: Option<NodeId>,
        source: PeerSource,
        now: Instant,
    ) -> Wanted {
        if node.as_ref().is_some_and(|node| self.removed.contains(node)) {
            return Wanted::KeptOut;
        }
        if let Some(entry) = self.dialled.get_mut(url) {
            entry.node = entry.node.take().or(node);
            entry.sources.insert(source);
            if !entry.keeper.stop.is_cancelled() && entry.progress != PeerState::LeftOut {
                return Wanted::Known;
            }
        } else if self.dialled.len() >= MAX_DIALLED_PEERS {
            return Wanted::Full;
        } else {
            let entry = Entry {
                node,
                sources: BTreeSet::from([source]),
                progress: PeerState::Connecting,
                since: now,
                failures: 0,
                error: None,
                keeper: Keeper { stop: CancellationToken::new(), number: 0 },
            };
            self.dialled.insert(url.clone(), entry);
        }
        self.keepers += 1;
        let keeper = Keeper { stop: CancellationToken::new(), number: self.keepers };
        let entry = self.dialled.get_mut(url).expect("it was there or has just been made");
        // One that had left it out may still look at it now and then.
        entry.keeper.stop.cancel();
        entry.keeper = keeper.clone();
        entry.progress = PeerState::Connecting;
        Wanted::New(keeper, entry.node.clone())
    }

    /// `source` does not have this Main any more. Where nobody has, it is not dialled again; a link to it stays.
    pub(super) fn unwant(&mut self, url: &RelayUrl, source: PeerSource) {
        let Some(entry) = self.dialled.get_mut(url) else { return };
        entry.sources.remove(&source);
        if entry.sources.is_empty() {
            entry.keeper.stop.cancel();
            if entry.progress == PeerState::LeftOut {
                self.dialled.remove(url);
            }
        }
    }

    /// The keeper stopped as it was told to.
    pub(super) fn stopped(&mut self, url: &RelayUrl, keeper: &Keeper) {
        if self.kept(url, keeper).is_some() {
            self.dialled.remove(url);
        }
    }

    /// The URL is being dialled.
    pub(super) fn dialling(&mut self, url: &RelayUrl, keeper: &Keeper) {
        if let Some(entry) = self.kept(url, keeper) {
            entry.progress = PeerState::Connecting;
        }
    }

    /// The last attempt succeeded, or there was a link already.
    pub(super) fn connected(&mut self, url: &RelayUrl, keeper: &Keeper, node: NodeId) {
        if let Some(entry) = self.kept(url, keeper) {
            (entry.node, entry.error, entry.failures) = (Some(node), None, 0);
        }
    }

    /// The last attempt failed.
    pub(super) fn failed(&mut self, url: &RelayUrl, keeper: &Keeper, error: String) {
        if let Some(entry) = self.kept(url, keeper) {
            entry.error = Some(error);
            entry.failures = entry.failures.saturating_add(1);
        }
    }

    /// It is dialled again at this time.
    pub(super) fn waits(&mut self, url: &RelayUrl, keeper: &Keeper, until: Instant) {
        if let Some(entry) = self.kept(url, keeper) {
            entry.progress = PeerState::Waiting { until };
        }
    }

    /// It is not dialled any more: there is no use in it.
    pub(super) fn left_out(&mut self, url: &RelayUrl, keeper: &Keeper, error: String) {
        if let Some(entry) = self.kept(url, keeper) {
            (entry.error, entry.progress) = (Some(error), PeerState::LeftOut);
            if entry.sources.is_empty() {
                self.dialled.remove(url);
            }
        }
    }

    /// There is a link to a Main, whoever dialled.
    pub(super) fn came_up(&mut self, node: &NodeId) {
        self.gone.remove(node);
    }

    /// There is no link to a Main any more.
    pub(super) fn went_down(&mut self, node: &NodeId, address: Option<String>, now: Instant) {
        let mut dialled = false;
        for entry in self.dialled.values_mut().filter(|entry| entry.node.as_ref() == Some(node)) {
            entry.since = now;
            dialled |= !entry.sources.is_empty();
        }
        if dialled || self.removed.contains(node) {
            return;
        }
        self.gone.insert(node.clone(), Gone { address, since: now });
        if self.gone.len() > MAX_GONE_PEERS {
            let first = self.gone.iter().min_by_key(|(_, gone)| gone.since).map(|(node, _)| node.clone());
            first.and_then(|first| self.gone.remove(&first));
        }
    }

    /// Where this Main is dialled.
    pub(super) fn urls_of(&self, node: &NodeId) -> Vec<RelayUrl> {
        let dialled = self.dialled.iter().filter(|(_, entry)| entry.node.as_ref() == Some(node));
        dialled.map(|(url, _)| url.clone()).collect()
    }

    /// Whether a Main was removed and is to be kept out.
    pub(super) fn is_removed(&self, node: &NodeId) -> bool {
        self.removed.contains(node)
    }

    /// The Mains that were removed, the latest last.
    pub(super) fn removed(&self) -> impl Iterator<Item = &NodeId> {
        self.removed.iter()
    }

    /// A Main that was removed is welcome again.
    pub(super) fn welcome(&mut self, node: &NodeId) {
        self.removed.shift_remove(node);
    }

    /// Nobody dials this Main any more, and it is kept out.
    pub(super) fn remove(&mut self, node: &NodeId) {
        self.dialled.retain(|_, entry| {
            let goes = entry.node.as_ref() == Some(node);
            if goes {
                entry.keeper.stop.cancel();
            }
            !goes
        });
        self.gone.remove(node);
        self.keep_out(node.clone());
    }

    /// This Main was removed, now or before a restart.
    pub(super) fn keep_out(&mut self, node: NodeId) {
        self.removed.shift_remove(&node);
        if self.removed.len() >= MAX_REMOVED_PEERS {
            self.removed.shift_remove_index(0);
        }
        self.removed.insert(node);
    }

    /// Whether this Main may be dialled, or is already.
    pub(super) fn has_room_for(&self, url: &RelayUrl) -> bool {
        self.dialled.contains_key(url) || self.dialled.len() < MAX_DIALLED_PEERS
    }

    /// How full the book is.
    pub(super) fn levels(&self) -> [Level; 3] {
        [
            Level::new("dialled-peers", self.dialled.len(), MAX_DIALLED_PEERS),
            Level::new("gone-peers", self.gone.len(), MAX_GONE_PEERS),
            Level::new("removed-peers", self.removed.len(), MAX_REMOVED_PEERS),
        ]
    }

    /// Every peer once: those that are dialled, those that only dialled us, those that did and are gone. `up` are the
    /// current links.
    pub(super) fn list(&self, mut up: BTreeMap<NodeId, UpLink>) -> Vec<PeerStatus> {
        let mut listed: Vec<PeerStatus> = Vec::new();
        for (url, entry) in &self.dialled {
            let known = entry.node.as_ref();
            if let Some(twin) = known.and_then(|_| listed.iter_mut().find(|other| other.node == entry.node)) {
                twin.sources.extend(&entry.sources);
                twin.sources.sort_unstable();
                twin.sources.dedup();
                continue;
            }
            let link = known.and_then(|node| up.remove(node));
            listed.push(PeerStatus {
                node: entry.node.clone(),
                address: Some(url.to_string()),
                state: if link.is_some() { PeerState::Connected } else { entry.progress },
                since: link.as_ref().map_or(entry.since, |link| link.since),
                sources: entry.sources.iter().copied().collect(),
                inbound: false,
                failures: if link.is_some() { 0 } else { entry.failures },
                last_error: entry.error.clone().filter(|_| link.is_none()),
                vitals: link.map(|link| link.vitals),
            });
        }
        let inbound = |node: NodeId, address, state, since, vitals| PeerStatus {
            node: Some(node),
            address,
            state,
            since,
            sources: Vec::new(),
            inbound: true,
            failures: 0,
            last_error: None,
            vitals,
        };
        listed.extend(up.into_iter().map(|(node, link)| {
            inbound(node, link.address, PeerState::Connected, link.since, Some(link.vitals))
        }));
        let gone = self.gone.iter().map(|(node, gone)| {
            inbound(node.clone(), gone.address.clone(), PeerState::Gone, gone.since, None)
        });
        listed.extend(gone);
        listed
    }

    fn kept(&mut self, url: &RelayUrl, keeper: &Keeper) -> Option<&mut Entry> {
        self.dialled.get_mut(url).filter(|entry| entry.keeper.number == keeper.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> RelayUrl {
        text.parse().unwrap()
    }

    fn id(text: &str) -> NodeId {
        text.parse().unwrap()
    }

    fn at(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    fn up(node: &str, since: u64) -> BTreeMap<NodeId, UpLink> {
        let vitals = Vitals { heard: at(since), round_trip: None };
        BTreeMap::from([(id(node), UpLink { address: None, since: at(since), vitals })])
    }

    fn new(wanted: Wanted) -> Keeper {
        match wanted {
            Wanted::New(keeper, _) => keeper,
            _ => panic!("nobody dials it yet"),
        }
    }

    #[test]
    fn a_peer_goes_from_dialled_to_connected_and_back() {
        let (mut book, b) = (PeerBook::default(), url("ws://b:1"));
        let keeper = new(book.want(&b, None, PeerSource::Flag, at(1)));
        assert_eq!(book.list(BTreeMap::new())[0].state, PeerState::Connecting);
        book.failed(&b, &keeper, "refused".into());
        book.waits(&b, &keeper, at(5));
        let peer = book.list(BTreeMap::new()).remove(0);
        assert_eq!((peer.state, peer.failures), (PeerState::Waiting { until: at(5) }, 1));
        assert_eq!((peer.since, peer.last_error.as_deref()), (at(1), Some("refused")));
        book.dialling(&b, &keeper);
        book.connected(&b, &keeper, id("b"));
        let peer = book.list(up("b", 6)).remove(0);
        assert!(peer.is_up() && peer.vitals.is_some() && !peer.is_missed(at(7)));
        assert_eq!((peer.failures, peer.since, peer.last_error), (0, at(6), None));
        book.went_down(&id("b"), None, at(9));
        let peers = book.list(BTreeMap::new());
        assert_eq!((peers.len(), peers[0].since), (1, at(9)), "it is dialled: it is not gone");
        assert!(peers[0].is_missed(at(9)));
    }

    #[test]
    fn several_sources_hold_a_peer_until_the_last_lets_go() {
        let (mut book, b) = (PeerBook::default(), url("ws://b:1"));
        let keeper = new(book.want(&b, None, PeerSource::File, at(1)));
        assert!(matches!(book.want(&b, Some(id("b")), PeerSource::Dns, at(2)), Wanted::Known));
        assert_eq!(book.list(BTreeMap::new())[0].sources, [PeerSource::File, PeerSource::Dns]);
        book.unwant(&b, PeerSource::File);
        assert!(!keeper.stop.is_cancelled());
        book.unwant(&b, PeerSource::Dns);
        assert!(keeper.stop.is_cancelled());
        // Its link is up still; it is listed until the keeper is through.
        let peer = book.list(up("b", 3)).remove(0);
        assert!(peer.sources.is_empty() && !peer.inbound);
        let again = new(book.want(&b, None, PeerSource::Dns, at(4)));
        book.stopped(&b, &keeper);
        assert!(!book.urls_of(&id("b")).is_empty(), "the new keeper's entry is not the old one's to take");
        book.stopped(&b, &again);
        assert!(book.urls_of(&id("b")).is_empty());
    }

    #[test]
    fn what_is_left_out_is_not_missed_and_tried_anew_when_it_is_wanted_anew() {
        let (mut book, b) = (PeerBook::default(), url("ws://me:1"));
        let keeper = new(book.want(&b, None, PeerSource::Dns, at(1)));
        book.left_out(&b, &keeper, "myself".into());
        let peer = book.list(BTreeMap::new()).remove(0);
        assert_eq!((peer.state, peer.is_missed(at(2))), (PeerState::LeftOut, false));
        assert!(!keeper.stop.is_cancelled(), "it looks at it now and then");
        new(book.want(&b, None, PeerSource::Api, at(3)));
        assert!(keeper.stop.is_cancelled(), "another does so from now on");
        let keeper = new(book.want(&url("ws://c:1"), None, PeerSource::Dns, at(3)));
        book.left_out(&url("ws://c:1"), &keeper, "myself".into());
        book.unwant(&url("ws://c:1"), PeerSource::Dns);
        assert_eq!(book.list(BTreeMap::new()).len(), 1);
    }

    #[test]
    fn who_only_dialled_us_is_remembered_when_it_goes() {
        let mut book = PeerBook::default();
        assert!(book.list(up("b", 1))[0].inbound);
        book.went_down(&id("b"), Some("ws://b:1".into()), at(2));
        let peer = book.list(BTreeMap::new()).remove(0);
        assert_eq!(
            (peer.state, peer.since, peer.address.as_deref()),
            (PeerState::Gone, at(2), Some("ws://b:1"))
        );
        assert!(peer.is_missed(at(2 + MISSED_SECONDS - 1)) && !peer.is_missed(at(2 + MISSED_SECONDS)));
        book.came_up(&id("b"));
        assert!(book.list(BTreeMap::new()).is_empty());
        for number in 0..=MAX_GONE_PEERS as u64 {
            book.went_down(&id(&format!("n{number}")), None, at(number));
        }
        let peers = book.list(BTreeMap::new());
        assert_eq!(peers.len(), MAX_GONE_PEERS);
        assert!(peers.iter().all(|peer| peer.node != Some(id("n0"))), "the first that went is forgotten");
    }

    #[test]
    fn a_removed_peer_is_kept_out_and_not_gone() {
        let (mut book, b) = (PeerBook::default(), url("ws://b:1"));
        let keeper = new(book.want(&b, Some(id("b")), PeerSource::Learned, at(1)));
        book.remove(&id("b"));
        book.went_down(&id("b"), None, at(2));
        assert!(keeper.stop.is_cancelled() && book.list(BTreeMap::new()).is_empty());
        assert!(matches!(book.want(&b, Some(id("b")), PeerSource::Learned, at(3)), Wanted::KeptOut));
        book.welcome(&id("b"));
        new(book.want(&b, Some(id("b")), PeerSource::Api, at(4)));
    }

    #[test]
    fn there_is_an_end_to_the_list() {
        let mut book = PeerBook::default();
        for port in 1..=MAX_DIALLED_PEERS {
            new(book.want(&url(&format!("ws://b:{port}")), None, PeerSource::File, at(1)));
        }
        let one_more = url("ws://c:1");
        assert!(matches!(book.want(&one_more, None, PeerSource::File, at(1)), Wanted::Full));
        assert!(matches!(book.want(&url("ws://b:1"), None, PeerSource::Dns, at(1)), Wanted::Known));
    }
}
