//! Who this node is: its id and its Ed25519 key, made at the first start and kept.

use std::io;

use ed25519_dalek::SigningKey;
use rand::Rng as _;

use crate::config::NodeIdSource;
use crate::env::{Env, Rng, Storage};
use crate::wire::{AddressError, NodeId, NodeKind};

const ID_FILE: &str = "node_id";
const PRIVATE_KEY_FILE: &str = "ed25519_private.key";
const PUBLIC_KEY_FILE: &str = "ed25519_public.key";

/// Random bytes in a generated id: 2⁴⁸ of them, so that a million nodes collide once in 500 tries.
const GENERATED_ID_BYTES: usize = 6;

/// A node's identity.
pub struct Identity {
    /// The id that others know it by.
    pub id: NodeId,
    /// Whether the id was made up rather than given.
    pub generated: bool,
    /// Its key.
    pub key: SigningKey,
}

/// Why a node does not know who it is.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The disk does not work.
    #[error("cannot use the data directory: {0}")]
    Storage(#[from] io::Error),
    /// The directory is another node's.
    #[error(
        "the data directory belongs to the node {stored}, not to {given}; give another one with -data-dir"
    )]
    Foreign {
        /// Whose it is.
        stored: NodeId,
        /// Who we are to be.
        given: NodeId,
    },
    /// A file does not hold what it should.
    #[error(
        "{file} in the data directory is damaged ({reason}); restore it from a backup, or start with an empty -data-dir"
    )]
    Damaged {
        /// The file.
        file: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The two keys do not belong together: under another key than before nobody would let this node in.
    #[error(
        "{PRIVATE_KEY_FILE} and {PUBLIC_KEY_FILE} in the data directory do not belong together, so that one of them is \
         damaged; restore both from a backup, or, where the private key is the right one, remove {PUBLIC_KEY_FILE}: it \
         is made again"
    )]
    NoPair,
}

impl Identity {
    /// Reads the identity from the node's disk, making what is missing there.
    ///
    /// # Errors
    /// When the disk does not work or holds something else.
    pub async fn load_or_create(
        env: &Env,
        kind: NodeKind,
        given: NodeIdSource,
    ) -> Result<Self, IdentityError> {
        let mut rng = env.rng("identity");
        let storage = env.storage.clone();
        env.blocking("identity", move || load_or_create(&*storage, kind, given, &mut rng)).await?
    }

    /// A fresh id, such as `home-3f2a9c5d10b7`.
    pub fn generate_id(kind: NodeKind, rng: &mut Rng) -> NodeId {
        let mut bytes = [0; GENERATED_ID_BYTES];
        rng.fill_bytes(&mut bytes);
        format!("{kind}-{}", hex::encode(bytes)).parse().expect("hex digits are fine in an id")
    }

    /// The public key as 64 hex digits.
    pub fn public_key(&self) -> String {
        hex::encode(self.key.verifying_key().as_bytes())
    }
}

fn load_or_create(
    disk: &dyn Storage,
    kind: NodeKind,
    source: NodeIdSource,
    rng: &mut Rng,
) -> Result<Identity, IdentityError> {
    let key = match disk.read(PRIVATE_KEY_FILE)? {
        Some(text) => SigningKey::from_bytes(&parse_key(&text)?),
        None => {
            let mut seed = [0; 32];
            rng.fill_bytes(&mut seed);
            let key = SigningKey::from_bytes(&seed);
            disk.write(PRIVATE_KEY_FILE, hex::encode(seed).as_bytes())?;
            key
        }
    };
    let public = hex::encode(key.verifying_key().as_bytes());
    match disk.read(PUBLIC_KEY_FILE)? {
        None => disk.write(PUBLIC_KEY_FILE, public.as_bytes())?,
        Some(text) if text.trim_ascii() != public.as_bytes() => return Err(IdentityError::NoPair),
        Some(_) => {}
    }
    let generated = !matches!(source, NodeIdSource::Given(_));
    let given = match source {
        NodeIdSource::Given(id) | NodeIdSource::MadeUp(id) => Some(id),
        NodeIdSource::DataDir => None,
    };
    let id = match (disk.read(ID_FILE)?, given) {
        (Some(text), given) => {
            let stored: NodeId =
                String::from_utf8_lossy(&text).trim().parse().map_err(|error: AddressError| {
                    IdentityError::Damaged { file: ID_FILE, reason: error.to_string() }
                })?;
            match given {
                Some(given) if given != stored => return Err(IdentityError::Foreign { stored, given }),
                _ => stored,
            }
        }
        (None, given) => {
            let id = given.unwrap_or_else(|| Identity::generate_id(kind, rng));
            disk.write(ID_FILE, id.as_str().as_bytes())?;
            id
        }
    };
    Ok(Identity { id, generated, key })
}

fn parse_key(text: &[u8]) -> Result<[u8; 32], IdentityError> {
    let mut seed = [0; 32];
    match hex::decode_to_slice(text.trim_ascii(), &mut seed) {
        Ok(()) => Ok(seed),
        Err(error) => Err(IdentityError::Damaged { file: PRIVATE_KEY_FILE, reason: error.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    /// A disk that is only memory: the logic under test does not care.
    #[derive(Default)]
    struct Memory(Mutex<BTreeMap<String, Vec<u8>>>);

    impl Storage for Memory {
        fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
            Ok(self.0.lock().unwrap().get(name).cloned())
        }

        fn write(&self, name: &str, value: &[u8]) -> io::Result<()> {
            self.0.lock().unwrap().insert(name.into(), value.into());
            Ok(())
        }

        fn read_file(&self, _path: &str) -> io::Result<String> {
            Err(io::ErrorKind::Unsupported.into())
        }

        fn open_db(&self, _name: &str) -> io::Result<rusqlite::Connection> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    fn load(disk: &Memory, given: Option<&str>, seed: u64) -> Result<Identity, IdentityError> {
        let given = given.map_or(NodeIdSource::DataDir, |id| NodeIdSource::Given(id.parse().unwrap()));
        load_or_create(disk, NodeKind::Home, given, &mut Rng::seed_from_u64(seed))
    }

    #[test]
    fn a_node_is_the_same_after_a_restart_and_another_without_its_data() {
        let disk = Memory::default();
        let first = load(&disk, None, 1).unwrap();
        let again = load(&disk, None, 2).unwrap();
        assert_eq!((&first.id, first.public_key()), (&again.id, again.public_key()));
        assert!(first.id.as_str().starts_with("home-"));
        let wiped = load(&Memory::default(), None, 3).unwrap();
        assert_ne!((wiped.id.clone(), wiped.public_key()), (first.id.clone(), first.public_key()));
    }

    #[test]
    fn a_data_directory_is_not_taken_over() {
        let disk = Memory::default();
        load(&disk, Some("alice.home"), 1).unwrap();
        let refusal = load(&disk, Some("bob.home"), 1).err().unwrap().to_string();
        assert!(refusal.contains("belongs to the node alice.home, not to bob.home"), "{refusal}");
    }

    #[test]
    fn damage_is_named_and_nothing_is_overwritten() {
        let disk = Memory::default();
        load(&disk, None, 1).unwrap();
        disk.write(PRIVATE_KEY_FILE, b"not hex").unwrap();
        let refusal = load(&disk, None, 1).err().unwrap().to_string();
        assert!(refusal.contains("ed25519_private.key") && refusal.contains("backup"), "{refusal}");
        assert_eq!(disk.read(PRIVATE_KEY_FILE).unwrap().unwrap(), b"not hex");
    }

    /// As many bits of a key as one likes may be wrong: it stays a key.
    #[test]
    fn another_key_than_before_is_not_taken_for_ones_own() {
        let disk = Memory::default();
        let first = load(&disk, None, 1).unwrap();
        disk.write(PRIVATE_KEY_FILE, hex::encode([7; 32]).as_bytes()).unwrap();
        let refusal = load(&disk, None, 1).err().unwrap().to_string();
        assert!(refusal.contains("do not belong together") && refusal.contains("backup"), "{refusal}");
        disk.write(PRIVATE_KEY_FILE, hex::encode(first.key.to_bytes()).as_bytes()).unwrap();
        disk.0.lock().unwrap().remove(PUBLIC_KEY_FILE);
        assert_eq!(load(&disk, None, 1).unwrap().public_key(), first.public_key(), "made again");
        assert_eq!(disk.read(PUBLIC_KEY_FILE).unwrap().unwrap(), first.public_key().as_bytes());
    }
}
