//! Publishes what this node says of itself: at once when it changes, and the same again every hour.

use std::sync::Arc;
use std::time::Duration;

use super::{PeerDirectory, State, place};
use crate::dht::{ItemError, News, PublicationTiming, Published, StoreReport};
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
    /// A Home without a relay has nothing to publish.
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
    loop {
        let mut retry = None;
        match directory.own_version(is_first) {
            Ok(Some(version)) => {
                is_first = false;
                if let Err(reason) = directory.publish(version).await {
                    tracing::error!("what this node says of itself is not published: {reason}");
                    retry = Some(Duration::from_secs(RETRY_SECONDS));
                    is_first = true;
                }
            }
            Ok(None) => {}
            Err(reason) => {
                tracing::error!("what this node says of itself cannot be published: {reason}");
                retry = Some(Duration::from_secs(RETRY_SECONDS));
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
            news = directory.driver.news() => directory.on_news(news).await,
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

    /// The version to be put now; `None` where nothing has changed. The `first` is put in any case.
    fn own_version(&self, first: bool) -> Result<Option<OwnVersion>, crate::metadata::MetadataError> {
        let mut state = self.lock();
        let content = self.content(&state);
        let changed = state.own.update(content, self.env.clock.unix())?;
        let version = if first { changed.or_else(|| state.own.version()) } else { changed };
        if version.is_some() {
            state.outcome.state = PutState::Publishing;
        }
        Ok(version)
    }

    fn content(&self, state: &State) -> Content {
        let offer = &self.me.offer;
        let is_main = self.me.kind == NodeKind::Main;
        let bound = self.driver.local_addresses().next();
        let private_ip = [Some(offer.listen), bound].into_iter().flatten().map(|at| at.ip());
        Content {
            node_id: Some(self.me.node_id.clone()),
            node_type: if is_main { NodeType::Public } else { NodeType::Private },
            is_relay: is_main,
            public: Endpoint { ip: state.place.ip(), port: if is_main { place::port(offer) } else { 0 } },
            private: Endpoint {
                ip: private_ip.filter(|_| is_main).find(|ip| !ip.is_unspecified()),
                port: if is_main { offer.listen.port() } else { 0 },
            },
            relay: state.relay().cloned(),
            protocols: vec![SUBPROTOCOL.to_owned(), if offer.tls { "wss" } else { "ws" }.to_owned()],
            capabilities: vec!["federation".to_owned(), "dht".to_owned(), "bep44".to_owned()],
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// Writes a version down, then puts it: after a restart no other value goes under the same seq.
    async fn publish(&self, version: OwnVersion) -> Result<(), String> {
        let OwnVersion { seq, value } = version.clone();
        self.store.keep_own_metadata(version).await.map_err(|error| error.to_string())?;
        let timing = PublicationTiming {
            republish: self.timing.republish,
            tend: self.timing.republish / 4,
            ..PublicationTiming::default()
        };
        match self.driver.publish(&self.me.key, (value, seq), timing).await {
            Err(ItemError::NotNewer { published, .. }) => self.overtake(published, timing).await,
            done => done.map_err(|error| error.to_string()),
        }
    }

    /// Something of ours was met in the DHT under this seq or a later one, and what is to be published comes after it.
    async fn overtake(&self, published: i64, timing: PublicationTiming) -> Result<(), String> {
        let renewed = {
            let mut state = self.lock();
            state.own.follow(published);
            state.own.renew(self.env.clock.unix()).map_err(|error| error.to_string())?
        };
        let Some(version) = renewed else { return Ok(()) };
        let item = (version.value.clone(), version.seq);
        self.store.keep_own_metadata(version).await.map_err(|error| error.to_string())?;
        self.driver.publish(&self.me.key, item, timing).await.map_err(|error| error.to_string())
    }

    async fn on_news(&self, news: News) {
        let outcome = match news {
            News::SeenAs(ip) => {
                self.lock().place.agreed(ip);
                return;
            }
            News::Published(outcome) => *outcome,
        };
        let followed = match outcome {
            Published::Kept(report) => return self.note(&report, true),
            Published::Failed(report) => return self.note(&report, false),
            Published::Rebased { seq } | Published::Adopted { seq } => {
                tracing::warn!(seq, "a version with this node's key was in the DHT already: following it");
                self.lock().own.follow(seq)
            }
        };
        if let Some(version) = followed
            && let Err(error) = self.store.keep_own_metadata(version).await
        {
            tracing::error!("the version that is published is not kept for a restart: {error}");
        }
    }

    fn note(&self, report: &StoreReport, kept: bool) {
        let mut state = self.lock();
        let sequence = state.own.current().map(|metadata| metadata.sequence);
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
        outcome.kept += u64::from(kept);
        outcome.failed += u64::from(!kept);
        outcome.state = if kept { PutState::Kept } else { PutState::Failed };
        if kept {
            outcome.published_at = Some(self.env.clock.unix());
        }
        let (kept_by, refused) = (outcome.kept_by, report.refused.len());
        match (kept, before) {
            (true, PutState::Kept) => {
                tracing::debug!(kept_by, refused, "published metadata to the DHT again");
            }
            (true, _) => {
                tracing::info!(seq = sequence, kept_by, refused, "published metadata to the DHT");
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
