//! This node's key, and the keys that it knows others by.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use ed25519_dalek::SigningKey;

use crate::env::Env;
use crate::federation::{
    Claim, Entry, Failure, LinkRole, Pinned, Refusal, Secret, TrustPolicy, TrustedKeys, judge, judge_legacy,
};
use crate::store::{Store, StoreError};
use crate::wire::{End, Handshake, NodeId, NodeKind, Proof, PublicKey, public};

/// The operator's list in the data directory: one `NODE_ID KEY` a line.
const LIST_FILE: &str = "trusted_keys";

/// What decides who comes in.
pub struct Keyring {
    me: NodeId,
    key: SigningKey,
    policy: TrustPolicy,
    /// Keys that nodes have been let in with before.
    pinned: Mutex<BTreeMap<NodeId, Pinned>>,
    /// The operator's list as it was last read without an error.
    listed: Mutex<TrustedKeys>,
    store: Store,
}

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
            pinned.insert(pin.node, Pinned { key, kind: pin.role });
        }
        Ok(Keyring { me, key, policy, pinned: Mutex::new(pinned), listed: Mutex::default(), store })
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
        let listed = self.read_list(env).await;
        let pinned = self.pinned().get(claim.node).copied();
        match judge(&self.policy, &listed, pinned, claim, &self.me)? {
            Entry::Known => Ok(()),
            Entry::Pin => self.pin(env, claim).await,
        }
    }

    /// Pins the key of a node that is new. It is on disk before the node is in: after a restart nobody else can take
    /// its place.
    async fn pin(&self, env: &Env, claim: &Claim<'_>) -> Result<(), Failure> {
        let kind = match claim.role {
            LinkRole::Home => NodeKind::Home,
            LinkRole::Peer | LinkRole::Uplink => NodeKind::Main,
        };
        let kept = self.store.pin(claim.node.clone(), claim.key.to_string(), kind, env.clock.unix()).await;
        let pin = kept.map_err(|error| {
            tracing::error!(node = %claim.node, "its key cannot be kept, so it is not let in: {error}");
            Failure::Internal(format!("the key of {} cannot be kept now; try again later", claim.node))
        })?;
        if pin.public_key != claim.key.to_string() {
            // Two came at once under one id, and the other one was first.
            let (by, node) = (self.me.clone(), claim.node.clone());
            return Err(Refusal::OtherKey { by, node, key: claim.key }.into());
        }
        tracing::info!(node = %claim.node, key = %claim.key, "new here: known by this key from now on");
        self.pinned().insert(claim.node.clone(), Pinned { key: claim.key, kind: pin.role });
        Ok(())
    }

    /// Lets a node in that can prove nothing, or says why not.
    pub(super) async fn admit_legacy(&self, env: &Env, node: &NodeId) -> Result<(), Refusal> {
        let listed = self.read_list(env).await;
        let pinned = self.pinned().contains_key(node);
        judge_legacy(&self.policy, &listed, pinned, node, &self.me)
    }

    /// The list as it is on disk now, so that a line which is added counts at the next attempt. While it cannot be
    /// used, the last one that could is.
    async fn read_list(&self, env: &Env) -> TrustedKeys {
        let storage = env.storage.clone();
        let read = env.blocking("trusted-keys", move || storage.read(LIST_FILE)).await.flatten();
        let parsed = read.map_err(|error| error.to_string()).and_then(|bytes| {
            TrustedKeys::parse(&String::from_utf8_lossy(&bytes.unwrap_or_default()))
                .map_err(|error| error.to_string())
        });
        let mut listed = self.listed.lock().expect("nothing panics with the list");
        match parsed {
            Ok(fresh) => *listed = fresh,
            Err(reason) => {
                tracing::error!("{LIST_FILE} cannot be used, what it said before still counts: {reason}");
            }
        }
        listed.clone()
    }

    fn pinned(&self) -> MutexGuard<'_, BTreeMap<NodeId, Pinned>> {
        self.pinned.lock().expect("nothing panics with the pins")
    }
}
