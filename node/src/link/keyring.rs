//! This node's key, and the keys that it knows others by.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use ed25519_dalek::SigningKey;

use crate::env::{Env, UnixTime};
use crate::federation::{
    Claim, Entry, Failure, LinkRole, Pinned, Refusal, Secret, TrustPolicy, TrustedKeys, judge, judge_legacy,
};
use crate::store::{LAST_SEEN_LAG_SECONDS, PinPage, Store, StoreError};
use crate::wire::{End, Handshake, NodeId, NodeKind, Proof, PublicKey, public};

/// The operator's list in the data directory: one `NODE_ID KEY` a line.
const LIST_FILE: &str = "trusted_keys";

/// What decides who comes in.
pub struct Keyring {
    me: NodeId,
    key: SigningKey,
    policy: TrustPolicy,
    /// Keys that nodes have been let in with before.
    pinned: Arc<Mutex<Pins>>,
    /// The operator's list as it was last read without an error; `None` where it never was.
    listed: Mutex<Option<TrustedKeys>>,
    store: Store,
}

/// Pins, and when each node was last seen as far as the disk knows.
type Pins = BTreeMap<NodeId, (Pinned, UnixTime)>;

impl Keyring {
    /// The keyring of `me`, with the keys that the store has pinned.
    ///
    /// # Errors
    /// Where the store cannot be read, or holds a key that is none.
    pub async fn load(
        me: NodeId,
        key: SigningKey,
        policy: TrustPolicy,
        store: Store,
    ) -> Result<Self, StoreError> {
        let mut pinned = BTreeMap::new();
        for pin in store.pins().await? {
            // It was written by this node: the file has been changed from outside. Without the pin anybody could take the
            // node's place.
            let key = pin.public_key.parse().map_err(|error| {
                StoreError::Damaged(format!("the key that {} is known by cannot be used: {error}", pin.node))
            })?;
            pinned.insert(pin.node, (Pinned { key, kind: pin.role }, pin.last_seen));
        }
        let pinned = Arc::new(Mutex::new(pinned));
        Ok(Keyring { me, key, policy, pinned, listed: Mutex::default(), store })
    }

    /// This node's public key.
    pub(super) fn public(&self) -> PublicKey {
        public(&self.key)
    }

    /// Whether relays that prove no key are taken at all.
    pub(super) fn allows_legacy(&self) -> bool {
        self.policy.allow_legacy
    }

    /// This node's proof as one end of a connection.
    pub(super) fn prove(&self, handshake: &Handshake<'_>, end: End) -> Proof {
        handshake.prove(end, &self.key, self.policy.peer_secret.as_ref().map(Secret::expose))
    }

    /// Whether a proof of the other end shows that it knows the secret that peers share.
    pub(super) fn shares_secret(&self, handshake: &Handshake<'_>, end: End, proof: &Proof) -> bool {
        let secret = self.policy.peer_secret.as_ref();
        secret.is_some_and(|secret| handshake.knows(end, proof, secret.expose()))
    }

    /// Lets a node in that has proven its key, or says why not. One that is new is known by this key from now on.
    pub(super) async fn admit(&self, env: &Env, claim: &Claim<'_>) -> Result<(), Failure> {
        let listed = self.read_list(env).await?;
        let pinned = pins(&self.pinned).get(claim.node).map(|(pinned, _)| *pinned);
        match judge(&self.policy, &listed, pinned, claim, &self.me)? {
            Entry::Known => {
                self.see(env, std::iter::once(claim.node.clone())).await;
                Ok(())
            }
            Entry::Pin => self.pin(env, claim, listed).await,
        }
    }

    /// Pins the key of a node that is new. It is on disk before the node is in: after a restart nobody else can take
    /// its place.
    async fn pin(&self, env: &Env, claim: &Claim<'_>, listed: TrustedKeys) -> Result<(), Failure> {
        let kind = match claim.role {
            LinkRole::Home => NodeKind::Home,
            LinkRole::Peer | LinkRole::Uplink => NodeKind::Main,
        };
        let (all, key) = (Arc::clone(&self.pinned), claim.key);
        let new = (claim.node.clone(), key.to_string(), kind);
        let spared = move |node: &NodeId| listed.of(node).is_some();
        let kept = self.store.pin(new, env.clock.unix(), spared, move |pin, forgotten| {
            let mut all = pins(&all);
            for node in forgotten {
                all.remove(node);
            }
            let is_ours = pin.public_key == key.to_string();
            if is_ours {
                all.insert(pin.node.clone(), (Pinned { key, kind: pin.role }, pin.last_seen));
            }
            (is_ours, forgotten.len())
        });
        let (is_ours, forgotten) = kept.await.map_err(|error| {
            tracing::error!(node = %claim.node, "its key cannot be kept, so it is not let in: {error}");
            Failure::Internal(format!("the key of {} cannot be kept now; try again later", claim.node))
        })?;
        if forgotten > 0 {
            tracing::warn!(
                "{forgotten} nodes that came once, long ago, are forgotten: all places were taken"
            );
        }
        if !is_ours {
            // Two came at once under one id, and the other one was first.
            let (by, node) = (self.me.clone(), claim.node.clone());
            return Err(Refusal::OtherKey { by, node, key: claim.key }.into());
        }
        tracing::info!(node = %claim.node, key = %claim.key, "new here: known by this key from now on");
        Ok(())
    }

    /// Notes that nodes are here now, where their pins do not say so yet. Who stays for months does not come again, and is
    /// no stranger for that.
    pub(super) async fn see(&self, env: &Env, nodes: impl Iterator<Item = NodeId>) {
        let now = env.clock.unix();
        let lag = Duration::from_secs(LAST_SEEN_LAG_SECONDS);
        let nodes: Vec<NodeId> = {
            let pinned = pins(&self.pinned);
            let is_due = |node: &NodeId| pinned.get(node).is_some_and(|(_, seen)| *seen + lag <= now);
            nodes.filter(is_due).collect()
        };
        if nodes.is_empty() {
            return;
        }
        match self.store.seen(nodes.clone(), now).await {
            Ok(()) => {
                let mut pinned = pins(&self.pinned);
                for node in &nodes {
                    if let Some((_, seen)) = pinned.get_mut(node) {
                        *seen = now;
                    }
                }
            }
            Err(error) => tracing::error!("when nodes were last seen is not kept: {error}"),
        }
    }

    /// The keys of at most `limit` nodes whose ids come after `after`, by node id.
    ///
    /// # Errors
    /// Where the disk does not work.
    pub async fn known(&self, after: Option<NodeId>, limit: usize) -> Result<PinPage, StoreError> {
        self.store.pins_after(after, limit).await
    }

    /// Forgets a node's key: it is new again when it next comes. `false` where none is known.
    ///
    /// # Errors
    /// Where the disk does not work; nothing is forgotten then.
    pub async fn forget(&self, node: NodeId) -> Result<bool, StoreError> {
        let all = Arc::clone(&self.pinned);
        let forget = move |node: &NodeId| {
            pins(&all).remove(node);
        };
        self.store.forget_pin(node, forget).await
    }

    /// Lets a node in that can prove nothing, or says why not.
    pub(super) async fn admit_legacy(&self, env: &Env, node: &NodeId) -> Result<(), Failure> {
        let listed = self.read_list(env).await?;
        let pinned = pins(&self.pinned).contains_key(node);
        Ok(judge_legacy(&self.policy, &listed, pinned, node, &self.me)?)
    }

    /// The list as it is on disk now, so that a line which is added counts at the next attempt. While it cannot be
    /// used, the last one that could is.
    ///
    /// # Errors
    /// Where it never could since the start: nobody knows then whom it would keep out.
    async fn read_list(&self, env: &Env) -> Result<TrustedKeys, Failure> {
        let storage = env.storage.clone();
        let read = env.blocking("trusted-keys", move || storage.read(LIST_FILE)).await.flatten();
        let parsed = read.map_err(|error| error.to_string()).and_then(|bytes| {
            TrustedKeys::parse(&String::from_utf8_lossy(&bytes.unwrap_or_default()))
                .map_err(|error| error.to_string())
        });
        let mut listed = self.listed.lock().expect("nothing panics with the list");
        match (parsed, &*listed) {
            (Ok(fresh), _) => *listed = Some(fresh),
            (Err(reason), Some(_)) => {
                tracing::error!("{LIST_FILE} cannot be used, what it said before still counts: {reason}");
            }
            (Err(reason), None) => {
                tracing::error!("{LIST_FILE} cannot be used, so nobody is let in until it can: {reason}");
            }
        }
        let unread =
            || Failure::Internal(format!("{} cannot read {LIST_FILE} now; try again later", self.me));
        listed.clone().ok_or_else(unread)
    }
}

fn pins(all: &Mutex<Pins>) -> MutexGuard<'_, Pins> {
    all.lock().expect("nothing panics with the pins")
}
