//! Who may come in: keys that the operator lists, keys that were seen before, and what decides on unknown ones.
//!
//! Whoever is judged here has proven its key already ([`Handshake`](crate::wire::Handshake)). The operator's list wins
//! over what was seen before; both together decide on every node that is known. An unknown Home is pinned at first
//! sight, unless only listed ones are taken; an unknown peer is pinned where it knows the peers'
//! secret or, where there is none, is on this machine. A Home pins the Mains that it is told to hang on.

use std::collections::BTreeMap;
use std::fmt;

use crate::wire::{AddressError, HexError, NodeId, NodeKind, PublicKey};

use super::LinkRole;

/// Keys that the list may hold.
const MAX_LISTED_KEYS: usize = 100_000;

/// How a node chooses whom it lets in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustPolicy {
    /// Only Homes on the list are taken; else an unknown one is pinned at first sight.
    pub listed_homes_only: bool,
    /// Relays that prove no key are taken, under ids that nobody has a key for.
    pub allow_legacy: bool,
    /// What peers show to know, where they share a secret.
    pub peer_secret: Option<Secret>,
}

/// Bytes that are shown to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Fewer bytes than this can be guessed.
    pub const MIN_BYTES: usize = 16;

    /// A secret from a text, without the white space around it; `None` where it is too short.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (text.len() >= Self::MIN_BYTES).then(|| Secret(text.as_bytes().to_vec()))
    }

    /// The bytes.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Whether a text is this secret, in a time that does not depend on where they differ.
    pub fn is(&self, text: &[u8]) -> bool {
        subtle::ConstantTimeEq::ct_eq(self.0.as_slice(), text).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The keys that an operator has written down: for each node those that it may show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedKeys(BTreeMap<NodeId, Vec<PublicKey>>);

/// Why a list of keys cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// A line that is no entry.
    #[error("line {line}: `{text}` is not NODE_ID and KEY, separated by a space")]
    Shape {
        /// Its number, from 1.
        line: usize,
        /// What it says.
        text: String,
    },
    /// The first word is no node id.
    #[error("line {0}: {1}")]
    Node(usize, AddressError),
    /// The second word is no key.
    #[error("line {0}: the key: {1}")]
    Key(usize, HexError),
    /// Too much.
    #[error("more than {MAX_LISTED_KEYS} keys")]
    TooMany,
}

impl TrustedKeys {
    /// Reads a list: one `NODE_ID KEY` a line; empty lines and what follows a `#` say nothing.
    ///
    /// # Errors
    /// Names the line. A list with an error is not used in part: a key that was mistyped would open the door that it is
    /// to close.
    pub fn parse(text: &str) -> Result<Self, ListError> {
        let mut keys: BTreeMap<NodeId, Vec<PublicKey>> = BTreeMap::new();
        let mut count = 0;
        for (number, whole) in (1..).zip(text.lines()) {
            let entry = whole.split('#').next().unwrap_or_default();
            let words: Vec<&str> = entry.split_whitespace().collect();
            let (node, key) = match words[..] {
                [] => continue,
                [node, key] => (node, key),
                _ => return Err(ListError::Shape { line: number, text: whole.trim().to_owned() }),
            };
            count += 1;
            if count > MAX_LISTED_KEYS {
                return Err(ListError::TooMany);
            }
            let node = node.parse().map_err(|error| ListError::Node(number, error))?;
            let key = key.parse().map_err(|error| ListError::Key(number, error))?;
            keys.entry(node).or_default().push(key);
        }
        Ok(TrustedKeys(keys))
    }

    /// The line that lets a node in.
    pub fn line(node: &NodeId, key: &PublicKey) -> String {
        format!("{node} {key}")
    }

    /// Whether any key is written down for a node.
    pub fn names(&self, node: &NodeId) -> bool {
        self.0.contains_key(node)
    }

    /// The keys that a node may show, where it is listed.
    pub fn of(&self, node: &NodeId) -> Option<&[PublicKey]> {
        self.0.get(node).map(Vec::as_slice)
    }
}

/// A node that has proven its key and wants to come in.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// The id that it goes by.
    pub node: &'a NodeId,
    /// What it is going to be to us.
    pub role: LinkRole,
    /// The key that it has proven.
    pub key: PublicKey,
    /// Its end of the connection is on this machine.
    pub on_loopback: bool,
    /// It has shown that it knows the peers' secret.
    pub knows_secret: bool,
}

/// The key that a node was known by before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pinned {
    /// The key.
    pub key: PublicKey,
    /// What the node was when it was pinned. Anybody may become a Home, so that a Home's pin makes no peer.
    pub kind: NodeKind,
}

/// How a node may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// It is known by this key.
    Known,
    /// It is new: from now on it is known by this key.
    Pin,
}

/// Why a node may not come in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Another key than the one it is known by.
    #[error(
        "unauthorized: {node} shows another key than the one that {by} knows it by. If it was set up anew, add this \
         line to trusted_keys in the data directory of {by}: {line}",
        line = TrustedKeys::line(node, key)
    )]
    OtherKey {
        /// Who refuses.
        by: NodeId,
        /// Who is refused.
        node: NodeId,
        /// The key that it has shown.
        key: PublicKey,
    },
    /// Only listed Homes are taken.
    #[error(
        "unauthorized: {by} takes only Homes that it has a key of. To let {node} in, add this line to trusted_keys in \
         the data directory of {by}: {line}",
        line = TrustedKeys::line(node, key)
    )]
    UnlistedHome {
        /// Who refuses.
        by: NodeId,
        /// Who is refused.
        node: NodeId,
        /// The key that it has shown.
        key: PublicKey,
    },
    /// A Main that nothing is known of.
    #[error(
        "unauthorized: {by} does not know the Main {node}. To let it in, give both the same -peer-secret-file, or add \
         this line to trusted_keys in the data directory of {by}: {line}",
        line = TrustedKeys::line(node, key)
    )]
    UnknownPeer {
        /// Who refuses.
        by: NodeId,
        /// Who is refused.
        node: NodeId,
        /// The key that it has shown.
        key: PublicKey,
    },
    /// Its signature does not show that it has the key.
    #[error("unauthorized: the proof of {node} does not hold: it does not have the key that it shows")]
    NoProof {
        /// Who is refused.
        node: NodeId,
    },
    /// It cannot prove anything.
    #[error(
        "unauthorized: {by} takes only relays that prove a key (WebSocket subprotocol relay.1); -allow-legacy lets \
         older ones in"
    )]
    Legacy {
        /// Who refuses.
        by: NodeId,
    },
    /// It cannot prove anything, and the id is somebody's who can.
    #[error(
        "unauthorized: {by} knows {node} by a key, so it must prove it; an older relay needs an id of its own"
    )]
    KnownByKey {
        /// Who refuses.
        by: NodeId,
        /// The id.
        node: NodeId,
    },
}

/// Whether a node that has proven its key may come in. `pinned` is what it was known by before.
///
/// # Errors
/// [`Refusal`] says why not, and what to do.
pub fn judge(
    policy: &TrustPolicy,
    listed: &TrustedKeys,
    pinned: Option<Pinned>,
    claim: &Claim<'_>,
    me: &NodeId,
) -> Result<Entry, Refusal> {
    let (by, node, key) = (me.clone(), claim.node.clone(), claim.key);
    if let Some(keys) = listed.of(claim.node) {
        let known = keys.contains(&key);
        return if known { Ok(Entry::Known) } else { Err(Refusal::OtherKey { by, node, key }) };
    }
    if pinned.is_some_and(|pinned| pinned.key != key) {
        return Err(Refusal::OtherKey { by, node, key });
    }
    let entry = if pinned.is_some() { Entry::Known } else { Entry::Pin };
    let was_main = pinned.is_some_and(|pinned| pinned.kind == NodeKind::Main);
    match claim.role {
        LinkRole::Uplink => Ok(entry),
        LinkRole::Home if policy.listed_homes_only => Err(Refusal::UnlistedHome { by, node, key }),
        LinkRole::Home => Ok(entry),
        // A secret that has been changed shuts out whoever knew only the former one.
        LinkRole::Peer if claim.knows_secret => Ok(entry),
        // With a secret all have to know it: behind a proxy on this machine everybody is on loopback.
        LinkRole::Peer if policy.peer_secret.is_none() && claim.on_loopback => Ok(entry),
        LinkRole::Peer if policy.peer_secret.is_none() && was_main => Ok(entry),
        LinkRole::Peer => Err(Refusal::UnknownPeer { by, node, key }),
    }
}

/// Whether a relay that can prove nothing may come in under an id.
///
/// # Errors
/// [`Refusal`] says why not, and what to do.
pub fn judge_legacy(
    policy: &TrustPolicy,
    listed: &TrustedKeys,
    pinned: bool,
    node: &NodeId,
    me: &NodeId,
) -> Result<(), Refusal> {
    if !policy.allow_legacy {
        return Err(Refusal::Legacy { by: me.clone() });
    }
    if pinned || listed.names(node) {
        return Err(Refusal::KnownByKey { by: me.clone(), node: node.clone() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::Hex;

    const OLD: PublicKey = Hex([1; 32]);
    const NEW: PublicKey = Hex([2; 32]);
    const AS_HOME: Pinned = Pinned { key: OLD, kind: NodeKind::Home };
    const AS_MAIN: Pinned = Pinned { key: OLD, kind: NodeKind::Main };

    fn id(text: &str) -> NodeId {
        text.parse().unwrap()
    }

    fn list(text: &str) -> TrustedKeys {
        TrustedKeys::parse(text).unwrap()
    }

    struct Case {
        policy: TrustPolicy,
        listed: TrustedKeys,
        pinned: Option<Pinned>,
        role: LinkRole,
        on_loopback: bool,
        knows_secret: bool,
    }

    impl Case {
        fn new(role: LinkRole) -> Self {
            Case {
                policy: TrustPolicy::default(),
                listed: TrustedKeys::default(),
                pinned: None,
                role,
                on_loopback: false,
                knows_secret: false,
            }
        }

        fn judge(&self, key: PublicKey) -> Result<Entry, Refusal> {
            let node = id("node");
            let Case { role, on_loopback, knows_secret, .. } = *self;
            let claim = Claim { node: &node, role, key, on_loopback, knows_secret };
            judge(&self.policy, &self.listed, self.pinned, &claim, &id("me"))
        }
    }

    #[test]
    fn an_unknown_home_is_pinned_and_another_key_is_refused_from_then_on() {
        let mut case = Case::new(LinkRole::Home);
        assert_eq!(case.judge(OLD), Ok(Entry::Pin));
        case.pinned = Some(AS_HOME);
        assert_eq!(case.judge(OLD), Ok(Entry::Known));
        let refusal = case.judge(NEW).unwrap_err();
        assert!(matches!(refusal, Refusal::OtherKey { .. }));
        // The line that is printed lets it in.
        let words = refusal.to_string();
        let line = words.rsplit_once(": ").unwrap().1;
        assert_eq!(line, format!("node {NEW}"));
        case.listed = list(line);
        assert_eq!(case.judge(NEW), Ok(Entry::Known));
        assert!(case.judge(OLD).is_err(), "the list wins over what was seen before");
        case.listed = list(&format!("node {NEW}\nnode {OLD} # the old machine"));
        assert_eq!((case.judge(OLD), case.judge(NEW)), (Ok(Entry::Known), Ok(Entry::Known)));
    }

    #[test]
    fn a_main_may_take_only_listed_homes() {
        let mut case = Case::new(LinkRole::Home);
        case.policy.listed_homes_only = true;
        case.pinned = Some(AS_HOME);
        let words = case.judge(OLD).unwrap_err().to_string();
        assert!(words.contains("takes only Homes that it has a key of"), "{words}");
        case.listed = list(words.rsplit_once(": ").unwrap().1);
        assert_eq!(case.judge(OLD), Ok(Entry::Known));
    }

    #[test]
    fn an_unknown_peer_needs_loopback_the_secret_or_a_line() {
        let mut case = Case::new(LinkRole::Peer);
        let words = case.judge(OLD).unwrap_err().to_string();
        assert!(words.contains("-peer-secret-file") && words.ends_with(&format!("node {OLD}")), "{words}");
        case.on_loopback = true;
        assert_eq!(case.judge(OLD), Ok(Entry::Pin));
        case.policy.peer_secret = Secret::new("sixteen bytes or more");
        assert!(case.judge(OLD).is_err(), "a proxy on this machine has everybody on loopback");
        case.on_loopback = false;
        assert!(case.judge(OLD).is_err());
        case.knows_secret = true;
        assert_eq!(case.judge(OLD), Ok(Entry::Pin));
        case.pinned = Some(AS_MAIN);
        assert_eq!(case.judge(OLD), Ok(Entry::Known));
        assert!(case.judge(NEW).is_err(), "the secret does not make one peer another");
        // The secret has been changed, and this one did not hear of it.
        case.knows_secret = false;
        assert!(case.judge(OLD).is_err());
        case.listed = list(&format!("node {OLD}"));
        assert_eq!(case.judge(OLD), Ok(Entry::Known));
    }

    #[test]
    fn a_home_does_not_become_a_peer_by_its_pin() {
        let mut case = Case::new(LinkRole::Peer);
        case.pinned = Some(AS_MAIN);
        assert_eq!(case.judge(OLD), Ok(Entry::Known));
        case.pinned = Some(AS_HOME);
        assert!(matches!(case.judge(OLD), Err(Refusal::UnknownPeer { .. })));
        case.listed = list(&format!("node {OLD}"));
        assert_eq!(case.judge(OLD), Ok(Entry::Known));
    }

    #[test]
    fn a_home_pins_its_main() {
        let mut case = Case::new(LinkRole::Uplink);
        assert_eq!(case.judge(OLD), Ok(Entry::Pin));
        case.pinned = Some(AS_MAIN);
        assert!(case.judge(NEW).is_err());
    }

    #[test]
    fn older_relays_need_leave_and_an_id_without_a_key() {
        let (me, node) = (id("me"), id("node"));
        let mut policy = TrustPolicy::default();
        let none = TrustedKeys::default();
        let words = judge_legacy(&policy, &none, false, &node, &me).unwrap_err().to_string();
        assert!(words.contains("-allow-legacy"), "{words}");
        policy.allow_legacy = true;
        assert_eq!(judge_legacy(&policy, &none, false, &node, &me), Ok(()));
        assert!(judge_legacy(&policy, &none, true, &node, &me).is_err());
        assert!(judge_legacy(&policy, &list(&format!("node {OLD}")), false, &node, &me).is_err());
    }

    #[test]
    fn a_list_with_an_error_names_the_line_and_is_not_used() {
        let parsed = list(&format!("# keys\n\n a.home  {OLD} # alice\n"));
        assert!(parsed.names(&id("a.home")) && !parsed.names(&id("b.home")));
        let refusal = |text: &str| TrustedKeys::parse(text).unwrap_err().to_string();
        assert!(refusal("\na.home").contains("line 2: `a.home` is not NODE_ID and KEY"));
        assert!(refusal(&format!("a.home {OLD} b.home")).contains("line 1"));
        assert!(refusal("a.home 12").contains("line 1: the key: expected 64 hex digits"));
        assert!(refusal(&format!("a@b {OLD}")).contains("line 1: the node id"));
    }

    #[test]
    fn secrets_are_long_enough_and_not_printed() {
        assert_eq!(Secret::new("short"), None);
        let secret = Secret::new("  sixteen bytes or more\n").unwrap();
        assert!(secret.is(b"sixteen bytes or more") && !secret.is(b"sixteen bytes or less"));
        assert_eq!(format!("{secret:?}"), "Secret(…)");
    }

    proptest! {
        #[test]
        fn any_text_is_a_list_or_an_error(text in "(\\PC|\n){0,200}") {
            let _ = TrustedKeys::parse(&text);
        }
    }
}
