//! Who may come in, as the flags say it.

use super::launch::{LaunchError, value};
use super::{Args, Tokens};
use crate::federation::{Secret, TrustPolicy};
use crate::wire::NodeKind;

/// What the flags say of keys, secrets and tokens. `read` reads a file's text.
pub(super) fn access(
    args: &Args,
    kind: NodeKind,
    read: impl Fn(&str) -> Result<String, LaunchError>,
) -> Result<(TrustPolicy, Tokens), LaunchError> {
    let only_a_main = [
        ("-listed-homes-only", args.listed_homes_only),
        ("-peer-secret-file", args.peer_secret_file.is_some()),
        ("-admin-token-file", args.admin_token_file.is_some()),
    ];
    if let Some((flag, _)) = only_a_main.iter().find(|(_, given)| *given && kind == NodeKind::Home) {
        return Err(LaunchError::Contradiction(flag, "-connect", "nobody connects to a Home"));
    }
    let secret = |flag: &'static str, file: &Option<String>| {
        let Some(file) = file else { return Ok(None) };
        let too_short = format!("{file} holds fewer than {} characters", Secret::MIN_BYTES);
        Secret::new(&read(file)?).map(Some).ok_or_else(|| value(flag, too_short))
    };
    let trust = TrustPolicy {
        listed_homes_only: args.listed_homes_only,
        allow_legacy: args.allow_legacy,
        peer_secret: secret("-peer-secret-file", &args.peer_secret_file)?,
    };
    let tokens = Tokens {
        rpc: secret("-rpc-token-file", &args.rpc_token_file)?,
        admin: secret("-admin-token-file", &args.admin_token_file)?,
    };
    Ok((trust, tokens))
}
