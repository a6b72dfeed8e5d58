//! What a Main knows of the Mains that it dials: for its operator.

use std::collections::BTreeMap;

use super::RelayUrl;
use crate::env::Instant;
use crate::wire::NodeId;

/// A Main that this one is connected to, or tries to be.
#[derive(Clone, Debug)]
pub struct PeerStatus {
    /// Its id, once it is known.
    pub node: Option<NodeId>,
    /// Where it is dialled, where it can be.
    pub address: Option<String>,
    /// When the current link came up; `None` while there is none.
    pub up_since: Option<Instant>,
    /// Why the last attempt to connect failed; cleared by one that succeeds.
    pub last_error: Option<String>,
}

/// The dialled Mains by URL.
#[derive(Default)]
pub(super) struct PeerBook(BTreeMap<RelayUrl, (Option<NodeId>, Option<String>)>);

impl PeerBook {
    /// A Main is going to be dialled.
    pub(super) fn dialling(&mut self, url: &RelayUrl, node: Option<NodeId>) {
        self.0.entry(url.clone()).or_default().0 = node;
    }

    /// The last attempt succeeded, or there was a link already.
    pub(super) fn connected(&mut self, url: &RelayUrl, node: NodeId) {
        self.0.insert(url.clone(), (Some(node), None));
    }

    /// The last attempt failed.
    pub(super) fn failed(&mut self, url: &RelayUrl, error: String) {
        self.0.entry(url.clone()).or_default().1 = Some(error);
    }

    /// Every peer once: those that are dialled, then those that only dialled us. `up` are the current links.
    pub(super) fn list(&self, up: &BTreeMap<NodeId, (Option<String>, Instant)>) -> Vec<PeerStatus> {
        let mut listed: Vec<PeerStatus> = Vec::new();
        for (url, (node, error)) in &self.0 {
            let up_since = node.as_ref().and_then(|node| up.get(node)).map(|(_, since)| *since);
            if node.is_some() && listed.iter().any(|other| other.node == *node) {
                continue;
            }
            listed.push(PeerStatus {
                node: node.clone(),
                address: Some(url.to_string()),
                up_since,
                last_error: error.clone().filter(|_| up_since.is_none()),
            });
        }
        for (node, (address, since)) in up {
            if !listed.iter().any(|other| other.node.as_ref() == Some(node)) {
                listed.push(PeerStatus {
                    node: Some(node.clone()),
                    address: address.clone(),
                    up_since: Some(*since),
                    last_error: None,
                });
            }
        }
        listed
    }
}
