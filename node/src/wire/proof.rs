//! `challenge` and `proof`: who is at the other end, before anything else is said.
//!
//! Only between relays of this version. Whoever accepts a connection sends a challenge; the dialler answers it with a
//! proof, which holds a challenge of its own, and that is answered by the acceptor's proof. What is signed names both
//! ends, both keys and both nonces, so that a proof is good for one connection between two nodes and in one direction.

use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha512;

use super::envelope::Envelope;
use super::{Hex, NodeId, NodeKind, Nonce, PublicKey, Signature, Tag, WireError};

/// What the signed bytes begin with: a signature that a key makes elsewhere means nothing here.
const CONTEXT: &[u8] = b"relay.1 proof of key";

/// The acceptor's first message. Its `source_node` is the acceptor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// The acceptor's key.
    pub public_key: PublicKey,
    /// Drawn for this connection.
    pub nonce: Nonce,
}

/// An answer to a challenge. Its `source_node` is the node that proves its key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The key.
    pub public_key: PublicKey,
    /// The dialler's challenge to the acceptor; in the acceptor's proof the same again.
    pub nonce: Nonce,
    /// Over [`Handshake::signed`].
    pub signature: Signature,
    /// The same under the secret that peers share, where the sender has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Tag>,
}

/// Which end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The one that dialled.
    Dialler,
    /// The one that was dialled.
    Acceptor,
}

/// One end as the other one sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Party<'a> {
    /// Its id.
    pub node: &'a NodeId,
    /// Main or Home.
    pub kind: NodeKind,
    /// Its key.
    pub key: PublicKey,
    /// Its challenge to the other.
    pub nonce: Nonce,
}

/// What both ends of one connection agree on, once each has heard the other's nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handshake<'a> {
    /// Who dialled.
    pub dialler: Party<'a>,
    /// Who was dialled.
    pub acceptor: Party<'a>,
}

impl Handshake<'_> {
    /// The bytes that `end` signs: the context, which end signs, and what is known of both; every text with its length
    /// before it.
    pub fn signed(&self, end: End) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(512);
        let mut put = |field: &[u8]| {
            bytes.extend(u32::try_from(field.len()).expect("ids and keys are short").to_be_bytes());
            bytes.extend(field);
        };
        put(CONTEXT);
        put(match end {
            End::Dialler => b"dialler",
            End::Acceptor => b"acceptor",
        });
        for party in [&self.dialler, &self.acceptor] {
            put(party.node.as_str().as_bytes());
            put(party.kind.to_string().as_bytes());
            put(&party.key.0);
            put(&party.nonce.0);
        }
        bytes
    }

    /// The proof of `end`, which has this key and, where peers share one, this secret.
    pub fn prove(&self, end: End, key: &SigningKey, secret: Option<&[u8]>) -> Proof {
        let signed = self.signed(end);
        Proof {
            public_key: public(key),
            nonce: self.dialler.nonce,
            signature: Hex(key.sign(&signed).to_bytes()),
            secret: secret.map(|secret| Hex(keyed(secret, &signed).finalize().into_bytes().into())),
        }
    }

    /// Whether a proof shows that `end` has its key.
    pub fn holds(&self, end: End, proof: &Proof) -> bool {
        let party = match end {
            End::Dialler => &self.dialler,
            End::Acceptor => &self.acceptor,
        };
        let Ok(key) = VerifyingKey::from_bytes(&party.key.0) else { return false };
        let signature = ed25519_dalek::Signature::from_bytes(&proof.signature.0);
        proof.public_key == party.key && key.verify_strict(&self.signed(end), &signature).is_ok()
    }

    /// Whether a proof shows that `end` knows this secret.
    pub fn knows(&self, end: End, proof: &Proof, secret: &[u8]) -> bool {
        let tag = |tag: &Tag| keyed(secret, &self.signed(end)).verify_slice(&tag.0).is_ok();
        proof.secret.as_ref().is_some_and(tag)
    }
}

/// The public half of a key.
pub fn public(key: &SigningKey) -> PublicKey {
    Hex(key.verifying_key().to_bytes())
}

fn keyed(secret: &[u8], signed: &[u8]) -> Hmac<Sha512> {
    Hmac::<Sha512>::new_from_slice(secret).expect("HMAC takes keys of any length").chain_update(signed)
}

impl Challenge {
    pub(super) fn decode(envelope: &Envelope<'_>) -> Result<Self, WireError> {
        envelope.need_data("challenge")
    }
}

impl Proof {
    pub(super) fn decode(envelope: &Envelope<'_>) -> Result<Self, WireError> {
        envelope.need_data("proof")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Ends {
        ids: [NodeId; 2],
        keys: [SigningKey; 2],
    }

    impl Ends {
        fn new() -> Self {
            Ends {
                ids: ["alice.home".parse().unwrap(), "relay-a.com".parse().unwrap()],
                keys: [SigningKey::from_bytes(&[1; 32]), SigningKey::from_bytes(&[2; 32])],
            }
        }

        fn handshake(&self) -> Handshake<'_> {
            let party = |at: usize, kind| Party {
                node: &self.ids[at],
                kind,
                key: public(&self.keys[at]),
                nonce: Hex([10 + u8::try_from(at).unwrap(); 32]),
            };
            Handshake { dialler: party(0, NodeKind::Home), acceptor: party(1, NodeKind::Main) }
        }
    }

    #[test]
    fn a_proof_holds_for_its_end_and_its_connection_only() {
        let ends = Ends::new();
        let handshake = ends.handshake();
        let proof = handshake.prove(End::Dialler, &ends.keys[0], Some(b"open sesame"));
        assert!(handshake.holds(End::Dialler, &proof));
        assert!(!handshake.holds(End::Acceptor, &proof));
        assert!(handshake.knows(End::Dialler, &proof, b"open sesame"));
        assert!(!handshake.knows(End::Dialler, &proof, b"open barley"));
        assert!(!handshake.knows(End::Acceptor, &proof, b"open sesame"));
        let bare = handshake.prove(End::Dialler, &ends.keys[0], None);
        assert!(handshake.holds(End::Dialler, &bare) && !handshake.knows(End::Dialler, &bare, b""));

        // Another nonce, id, kind or key at either end is another connection.
        let other: NodeId = "mallory.home".parse().unwrap();
        let mut changed = Vec::new();
        for end in [End::Dialler, End::Acceptor] {
            for field in 0..4 {
                let mut handshake = ends.handshake();
                let party =
                    if end == End::Dialler { &mut handshake.dialler } else { &mut handshake.acceptor };
                match field {
                    0 => party.nonce = Hex([99; 32]),
                    1 => party.node = &other,
                    2 => {
                        party.kind =
                            if party.kind == NodeKind::Main { NodeKind::Home } else { NodeKind::Main }
                    }
                    _ => party.key = Hex([3; 32]),
                }
                changed.push(handshake);
            }
        }
        for handshake in changed {
            assert!(!handshake.holds(End::Dialler, &proof), "{handshake:?}");
            assert!(!handshake.knows(End::Dialler, &proof, b"open sesame"), "{handshake:?}");
        }
    }

    #[test]
    fn a_stolen_public_key_proves_nothing() {
        let ends = Ends::new();
        let handshake = ends.handshake();
        // Mallory shows alice's public key and signs with her own.
        let mut proof = handshake.prove(End::Dialler, &SigningKey::from_bytes(&[7; 32]), None);
        proof.public_key = handshake.dialler.key;
        assert!(!handshake.holds(End::Dialler, &proof));
        // The all-zero key is a point of small order: everybody can sign for it.
        let mut weak = ends.handshake();
        weak.dialler.key = PublicKey::default();
        assert!(!weak.holds(End::Dialler, &Proof::default()));
    }
}
