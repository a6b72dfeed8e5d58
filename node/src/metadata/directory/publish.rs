//! Publishes what this node says of itself: at once when it changes, and the same again every hour.

use std::sync::Arc;
use std::time::Duration;

use super::{PeerDirectory, State, place};
use crate::dht::{ItemError, News, PublicationTiming, Published, PutEnd};
use crate::env::UnixTime;
use crate::metadata::{Content, Endpoint, OwnVersion};
use crate::wire::{NodeKind, NodeType, SUBPROTOCOL};

/// How long a node that has just started waits until it is told under which address it is seen, or a Home until it has a
/// relay, before it says anything else than before its restart. In seconds.
const SETTLE_SECONDS: u64 = 5;

/// After an error of the disk or with content that fits into no item it is tried again after this, in seconds.
const RETRY_SECONDS: u64 = 30;

/// Who refused a put is told one by one up to this number.
const REFUSALS_TOLD_MAX: usize = 16;

/// What became of the latest put.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcome {
    pub(super) state: PutState,
    /// How many nodes keep it, this one included.
    pub(super) kept_by: usize,
    /// Where, which code, which words.
    pub(super) refused: Vec<(String, i64, String)>,
    pub(super) silent: usize,
    pub(super) published_at: Option<UnixTime>,
    /// Puts that somebody took, and those that nobody did, since the start.
    pub(super) kept: u64,
    pub(super) failed: u64,
}

/// Where a value is on its way into the DHT.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum PutState {
    /// A Home without a relay has nothing to publish; a Main that has just started looks where it is.
    #[default]
    Waits,
    /// It is on its way.
    Publishing,
    /// Somebody keeps it.
    Kept,
    /// Nobody took it; it is tried again.
    Failed,
}

pub(super) async fn run(directory: Arc<PeerDirectory>) {
    let env = &directory.env;
    env.deadline(Duration::from_secs(SETTLE_SECONDS), directory.has_a_place()).await;
    let mut is_first = true;
    let mut to_confirm = None;
    loop {
        let done = async {
            if let Some(version) = &to_confirm {
                directory.write_down(version).await?;
            }
            directory.publish_changes(is_first).await
        };
        let mut retry = None;
        match done.await {
            Ok(published) => {
                is_first &= !published;
                to_confirm = None;
            }
            Err(reason) => {
                tracing::error!(
                    "what this node says of itself is not published: {reason}; next try in {RETRY_SECONDS} s"
                );
                retry = Some(Duration::from_secs(RETRY_SECONDS));
                is_first = true;
            }
        }
        let again = async {
            match retry {
                Some(wait) => env.sleep(wait).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            news = directory.driver.news() => to_confirm = directory.on_news(news).or(to_confirm),
            () = directory.signals.own.notified() => {}
            () = again => {}
        }
    }
}

impl PeerDirectory {
    /// Completes when this node knows what to say of where it is.
    async fn has_a_place(&self) {
        loop {
            let changed = self.signals.own.notified();
            {
                let state = self.lock();
                let known = match self.me.kind {
                    NodeKind::Main => state.place.ip().is_some(),
                    NodeKind::Home => state.relay().is_some(),
                };
                if known {
                    return;
                }
            }
            changed.await;
        }
    }

    /// Publishes what has changed; the `first` version in any case. Says whether anything was published.
    async fn publish_changes(&self, first: bool) -> Result<bool, String> {
        let version = {
            let mut state = self.lock();
            let content = self.content(&state);
            let changed =
                state.own.update(content, self.env.clock.unix()).map_err(|error| error.to_string())?;
            let version = if first { changed.or_else(|| state.own.version()) } else { changed };
            if version.is_some() {
                state.outcome.state = PutState::Publishing;
            }
            version
        };
        match version {
            Some(version) => self.publish(version).await.map(|()| true),
            None => Ok(false),
        }
    }

    fn content(&self, state: &State) -> Content {
        let offer = &self.me.offer;
        let is_main = self.me.kind == NodeKind::Main;
        // Nobody connects to a Home, from wherever it is.
        let (public_port, private) = match self.me.kind {
            NodeKind::Home => (0, Endpoint::default()),
            NodeKind::Main => {
                let bound = std::iter::once(offer.listen).chain(self.driver.local_addresses().next());
                let ip = bound.map(|at| at.ip()).find(|ip| !ip.is_unspecified());
                (place::port(offer), Endpoint { ip, port: offer.listen.port() })
            }
        };
        Content {
            node_id: Some(self.me.node_id.clone()),
            node_type: if is_main { NodeType::Public } else { NodeType::Private },
            is_relay: is_main,
            public: Endpoint { ip: state.place.ip(), port: public_port },
            private,
            relay: state.relay().cloned(),
            protocols: vec![SUBPROTOCOL.to_owned(), if offer.tls { "wss" } else { "ws" }.to_owned()],
            capabilities: vec!["federation".to_owned(), "dht".to_owned(), "bep44".to_owned()],
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// Writes a version down, then puts it: after a restart no other value goes under the same seq. Where something of
    /// ours was met in the DHT under this seq or a later one, it is put under the one after that.
    async fn publish(&self, version: OwnVersion) -> Result<(), String> {
        let timing = PublicationTiming {
            republish: self.timing.republish,
            tend: self.timing.republish / 4,
            ..PublicationTiming::default()
        };
        let mut next = Some(version);
        while let Some(version) = next.take() {
            let item = (version.value.clone(), version.seq);
            self.keep(version).await?;
            match self.driver.publish(&self.me.key, item, timing).await {
                Ok(()) => {}
                Err(ItemError::NotNewer { published, .. }) => {
                    let mut state = self.lock();
                    state.own.follow(published);
                    next = state.own.renew(self.env.clock.unix()).map_err(|error| error.to_string())?;
                }
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(())
    }

    /// Writes down the seq that was met in the DHT, and has it put.
    async fn write_down(&self, version: &OwnVersion) -> Result<(), String> {
        self.keep(version.clone()).await?;
        self.driver.confirm(version.seq).await;
        Ok(())
    }

    async fn keep(&self, version: OwnVersion) -> Result<(), String> {
        self.store.keep_own_metadata(version).await.map_err(|error| error.to_string())
    }

    /// Takes news of the DHT. Gives the version that is to be written down before it goes on.
    fn on_news(&self, news: News) -> Option<OwnVersion> {
        let outcome = match news {
            News::SeenAs(ip) => {
                self.lock().place.agreed(ip);
                return None;
            }
            News::Published(outcome) => *outcome,
        };
        match outcome {
            Published::Kept(end) => self.note(&end, true),
            Published::Failed(end) => self.note(&end, false),
            Published::Rebased { seq } | Published::Adopted { seq } => {
                tracing::warn!(seq, "a version with this node's key was in the DHT already: following it");
                let mut state = self.lock();
                state.own.follow(seq);
                return state.own.version().filter(|version| version.seq == seq);
            }
        }
        None
    }

    fn note(&self, end: &PutEnd, kept: bool) {
        let PutEnd { seq, report } = end;
        let mut state = self.lock();
        state.outcome.kept += u64::from(kept && !report.taken.is_empty());
        state.outcome.failed += u64::from(!kept);
        // One that was overtaken by a change says nothing of what is published now.
        if state.own.version().is_none_or(|version| version.seq != *seq) {
            return;
        }
        let before = state.outcome.state;
        let told = report.refused.iter().take(REFUSALS_TOLD_MAX);
        let outcome = &mut state.outcome;
        outcome.kept_by = report.taken.len() + report.had.len() + usize::from(report.kept_here);
        outcome.refused = told
            .map(|(contact, refusal)| {
                (contact.address.to_string(), refusal.code.number(), refusal.text.clone())
            })
            .collect();
        outcome.silent = report.silent.len();
        outcome.state = if kept { PutState::Kept } else { PutState::Failed };
        // Where all had it already, nothing was put.
        if kept && (!report.taken.is_empty() || before != PutState::Kept) {
            outcome.published_at = Some(self.env.clock.unix());
        }
        let (kept_by, refused) = (outcome.kept_by, report.refused.len());
        match (kept, before) {
            (true, PutState::Kept) => {
                tracing::debug!(kept_by, refused, "published metadata to the DHT again");
            }
            (true, _) => {
                tracing::info!(seq, kept_by, refused, "published metadata to the DHT");
            }
            (false, PutState::Failed) => {
                tracing::debug!(refused, "still nobody in the DHT takes the metadata");
            }
            (false, _) => {
                tracing::info!(refused, "nobody in the DHT takes the metadata yet; it is tried again");
            }
        }
    }
}
