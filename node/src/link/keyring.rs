//! This node's key, and the keys that it knows others by.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use ed25519_dalek::SigningKey;

use crate::env::Env;
use crate::federation::{
    Claim, Entry, Failure, Refusal, Secret, TrustPolicy, TrustedKeys, judge, judge_legacy,
};
use crate::wire::{End, Handshake, NodeId, Proof, PublicKey, public};

/// The operator's list in the data directory: one `NODE_ID KEY` a line.
const LIST_FILE: &str = "trusted_keys";

/// What decides who comes in.
pub struct Keyring {
    me: NodeId,
    key: SigningKey,
    policy: TrustPolicy,
    /// Keys that nodes have been let in with before.
    pinned: Mutex<BTreeMap<NodeId, PublicKey>>,
    /// The operator's list as it was last read without an error.
    listed: Mutex<TrustedKeys>,
}

impl Keyring {
    /// The keyring of `me`.
    pub fn new(me: NodeId, key: SigningKey, policy: TrustPolicy) -> Self {
        Keyring { me, key, policy, pinned: Mutex::default(), listed: Mutex::default() }
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
            Entry::Pin => {
                tracing::info!(node = %claim.node, key = %claim.key, "seen for the first time: known by this key from now on");
                self.pinned().insert(claim.node.clone(), claim.key);
                Ok(())
            }
        }
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

    fn pinned(&self) -> MutexGuard<'_, BTreeMap<NodeId, PublicKey>> {
        self.pinned.lock().expect("nothing panics with the pins")
    }
}
