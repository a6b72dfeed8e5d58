//! What a Main knows of the Mains that it dials: for its operator.

use std::collections::BTreeMap;

use indexmap::IndexSet;
use tokio_util::sync::CancellationToken;

use super::RelayUrl;
use crate::env::Instant;
use crate::store::MAX_REMOVED_PEERS;
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

/// The dialled Mains by URL, and those that are kept out.
#[derive(Default)]
pub(super) struct PeerBook {
    dialled: BTreeMap<RelayUrl, Entry>,
    /// The latest last, as in the store.
    removed: IndexSet<NodeId>,
}

#[derive(Default)]
struct Entry {
    node: Option<NodeId>,
    error: Option<String>,
    /// Ends whoever keeps the link up.
    stop: CancellationToken,
}

impl PeerBook {
    /// A Main is going to be dialled, until the token says no more. `None` where it was removed meanwhile.
    pub(super) fn dialling(&mut self, url: &RelayUrl, node: Option<NodeId>) -> Option<CancellationToken> {
        if node.as_ref().is_some_and(|node| self.removed.contains(node)) {
            return None;
        }
        let entry = self.dialled.entry(url.clone()).or_default();
        entry.node = node;
        Some(entry.stop.clone())
    }

    /// The last attempt succeeded, or there was a link already.
    pub(super) fn connected(&mut self, url: &RelayUrl, node: NodeId) {
        if let Some(entry) = self.dialled.get_mut(url) {
            (entry.node, entry.error) = (Some(node), None);
        }
    }

    /// The last attempt failed.
    pub(super) fn failed(&mut self, url: &RelayUrl, error: String) {
        if let Some(entry) = self.dialled.get_mut(url) {
            entry.error = Some(error);
        }
    }

    /// Mains that are dialled.
    pub(super) fn len(&self) -> usize {
        self.dialled.len()
    }

    /// Whether this Main is dialled.
    pub(super) fn dials_node(&self, node: &NodeId) -> bool {
        self.dialled.values().any(|entry| entry.node.as_ref() == Some(node))
    }

    /// Whether this URL is dialled.
    pub(super) fn dials(&self, url: &RelayUrl) -> bool {
        self.dialled.contains_key(url)
    }

    /// Whether a Main was removed and is to be kept out.
    pub(super) fn is_removed(&self, node: &NodeId) -> bool {
        self.removed.contains(node)
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
                entry.stop.cancel();
            }
            !goes
        });
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

    /// Whoever dials this URL until `stop` gives up: the Main there was removed.
    pub(super) fn left_out(&mut self, url: &RelayUrl, stop: &CancellationToken) {
        // Once it has been stopped, the entry is somebody else's.
        if !stop.is_cancelled() {
            self.dialled.remove(url);
        }
    }

    /// Every peer once: those that are dialled, then those that only dialled us. `up` are the current links.
    pub(super) fn list(&self, up: &BTreeMap<NodeId, (Option<String>, Instant)>) -> Vec<PeerStatus> {
        let mut listed: Vec<PeerStatus> = Vec::new();
        for (url, Entry { node, error, .. }) in &self.dialled {
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
