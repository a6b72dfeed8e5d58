//! A Home's one outbound connection: kept up, for as long as the Home runs.

use std::sync::Arc;

use super::{RelayUrl, Switchboard, dial};
use crate::federation::Backoff;

/// Dials the Mains in their order until one takes us, stays with it until the link ends, and begins anew.
pub async fn run(board: Arc<Switchboard>, mains: Vec<RelayUrl>) {
    let mut backoff = Backoff::new(board.timing.backoff);
    let mut rng = board.env.rng("uplink-backoff");
    loop {
        for url in &mains {
            if board.is_draining() {
                return;
            }
            match dial::dial(&board, url).await {
                Ok(connected) => {
                    backoff.reset();
                    let main = connected.node.clone();
                    tracing::info!(%main, %url, "connected to the Main");
                    let end = connected.run(&board).await;
                    tracing::warn!(%main, "lost the Main: {end}");
                    // Back to the preferred one, not on to the next.
                    break;
                }
                Err(error) => tracing::warn!(%url, "cannot connect to the Main: {error}"),
            }
        }
        if board.is_draining() {
            return;
        }
        let wait = backoff.next_wait(&mut rng);
        tracing::debug!("next try in {} ms", wait.as_millis());
        board.env.sleep(wait).await;
    }
}
