//! Who may call a service: the `allow` list of a service file.

use std::fmt;
use std::str::FromStr;

use crate::wire::NodeAddress;

/// One entry of the list: `alice.home`, `alice.home@relay-a.com`, `*.home` or `*@relay-a.com`. A `*` stands for any
/// characters of its half. Without an `@` the Main does not matter, and every Main of the federation is trusted to say
/// who calls; with it, only that Main is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    node: String,
    main: Option<String>,
}

/// A text that names no callers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "allow has `{0}`; write a node id, or one with its Main, as in `alice.home@relay-a.com`; `*` stands for any characters"
)]
pub struct CallerError(String);

impl Caller {
    /// Whether calls of this node are meant. A Main that calls for a client of its own is behind itself.
    pub fn is(&self, caller: &NodeAddress) -> bool {
        let main = caller.main_relay.as_ref().unwrap_or(&caller.id);
        matches(&self.node, caller.id.as_str())
            && self.main.as_ref().is_none_or(|pattern| matches(pattern, main.as_str()))
    }
}

impl FromStr for Caller {
    type Err = CallerError;

    fn from_str(text: &str) -> Result<Self, CallerError> {
        let (node, main) = match text.split_once('@') {
            Some((node, main)) => (node, Some(main)),
            None => (text, None),
        };
        let is_pattern = |part: &str| {
            let of_ids = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '*');
            !part.is_empty() && part.chars().all(of_ids)
        };
        if !is_pattern(node) || !main.is_none_or(is_pattern) {
            return Err(CallerError(text.to_owned()));
        }
        Ok(Caller { node: node.to_owned(), main: main.map(str::to_owned) })
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.main {
            Some(main) => write!(f, "{}@{main}", self.node),
            None => f.write_str(&self.node),
        }
    }
}

/// Whether `text` is `pattern`, in which each `*` stands for any characters.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::NodeKind;

    fn address(id: &str, main: Option<&str>) -> NodeAddress {
        NodeAddress {
            kind: if main.is_some() { NodeKind::Home } else { NodeKind::Main },
            id: id.parse().unwrap(),
            main_relay: main.map(|main| main.parse().unwrap()),
        }
    }

    #[test]
    fn entries_name_nodes_with_or_without_their_main() {
        let alice = address("alice.home", Some("relay-a.com"));
        for (entry, meant) in [
            ("alice.home", true),
            ("alice.home@relay-a.com", true),
            ("alice.home@relay-b.com", false),
            ("*@relay-a.com", true),
            ("*@relay-b.com", false),
            ("*.home", true),
            ("al*e.h*me", true),
            ("*", true),
            ("alice", false),
            ("lice.home", false),
            ("*.homes", false),
        ] {
            let caller: Caller = entry.parse().unwrap();
            assert_eq!(caller.is(&alice), meant, "{entry}");
            assert_eq!(caller.to_string(), entry);
        }
        assert!("*@relay-a.com".parse::<Caller>().unwrap().is(&address("relay-a.com", None)));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "@relay-a.com", "alice@", "a b", "a@b@c", "alice.home, bob.home"] {
            assert!(text.parse::<Caller>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_star_stands_for_anything(parts in prop::collection::vec("[a-c]{0,3}", 1..4), fill in "[a-c]{0,3}") {
            prop_assert!(matches(&parts.join("*"), &parts.join(&fill)));
        }

        #[test]
        fn without_a_star_only_the_same_matches(one in "[a-c]{0,3}", other in "[a-c]{0,3}") {
            prop_assert_eq!(matches(&one, &other), one == other);
        }
    }
}
