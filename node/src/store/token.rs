//! The token that the routes ask for which change this relay: made at the first start and kept.

use std::io;

use rand::Rng as _;

use crate::env::Env;
use crate::federation::Secret;

/// Where it lies in the data directory, for its owner to read.
pub const ADMIN_TOKEN_FILE: &str = "admin_token";

/// Random bytes in a token that is made.
const TOKEN_BYTES: usize = 32;

/// The token on the node's disk; one is made there where there is none.
///
/// # Errors
/// When the disk does not work, or holds a token that is too short to be one.
pub async fn admin_token(env: &Env) -> io::Result<Secret> {
    let mut bytes = [0; TOKEN_BYTES];
    env.rng("admin-token").fill_bytes(&mut bytes);
    let storage = env.storage.clone();
    let text = env.blocking("admin-token", move || match storage.read(ADMIN_TOKEN_FILE)? {
        Some(stored) => Ok(String::from_utf8_lossy(&stored).into_owned()),
        None => {
            let fresh = hex::encode(bytes);
            storage.write(ADMIN_TOKEN_FILE, fresh.as_bytes())?;
            Ok::<_, io::Error>(fresh)
        }
    });
    Secret::new(&text.await??).ok_or_else(|| {
        let words = format!(
            "{ADMIN_TOKEN_FILE} in the data directory holds fewer than {} characters; remove it, and a new one is made",
            Secret::MIN_BYTES
        );
        io::Error::new(io::ErrorKind::InvalidData, words)
    })
}
