//! A service is listed nowhere longer than its bound after its node is gone.
//!
//! The bound: the node's own Main notices within `unhealthy_after`. It may have confirmed the entry to another Main
//! just before that (a heartbeat), and that Main may be cut off from the news: it keeps the entry for the time to
//! live. The views are read every now and then, which adds one gap.

use std::collections::BTreeMap;
use std::time::Duration;

use relay_node::config::Timing;

use super::{Findings, Invariant, Observed};

/// See the module.
pub(super) struct ListingEnds {
    bound: Duration,
    /// Nodes that are gone, and since when.
    gone: BTreeMap<String, Duration>,
}

impl ListingEnds {
    pub(super) fn new(timing: &Timing, probe_gap: Duration) -> Self {
        let bound = timing.unhealthy_after + timing.heartbeat + timing.registry_ttl + probe_gap;
        ListingEnds { bound, gone: BTreeMap::new() }
    }
}

impl Invariant for ListingEnds {
    fn name(&self) -> &'static str {
        "listing-ends"
    }

    fn statement(&self) -> String {
        format!("no Main lists a service for more than {} s after its node is gone", self.bound.as_secs())
    }

    fn observe(&mut self, observed: &Observed<'_>, findings: &mut Findings) {
        match *observed {
            Observed::NodeGone { at, node: Some(node), .. } => {
                self.gone.entry(node.to_owned()).or_insert(at);
            }
            Observed::NodeBack { node: Some(node), .. } => {
                self.gone.remove(node);
            }
            Observed::Viewed { at, main, listed } => {
                if self.gone.is_empty() {
                    return;
                }
                for line in listed {
                    if let Some(since) = self.gone.get(&line.node) {
                        findings.check(at, at.saturating_sub(*since) <= self.bound, || {
                            let (main, service, node) = (main.0, &line.service, &line.node);
                            format!(
                                "Main {main} lists {service} at {node}, which has been gone since {since:?}"
                            )
                        });
                    }
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Listed;
    use super::super::testing::{judge, seconds};
    use super::*;
    use crate::scenario::HostIndex;

    /// 60 s + 30 s + 600 s + 10 s.
    const BOUND: u64 = 700;

    fn violated(last_view: u64, back: bool) -> u64 {
        let listed =
            [Listed { service: "echo".into(), node: "home-a".into(), owner: "main".into(), is_local: true }];
        let view = |at| Observed::Viewed { at: seconds(at), main: HostIndex(0), listed: &listed };
        let mut history =
            vec![view(5), Observed::NodeGone { at: seconds(10), host: HostIndex(1), node: Some("home-a") }];
        if back {
            history.push(Observed::NodeBack { at: seconds(11), host: HostIndex(1), node: Some("home-a") });
        }
        history.push(view(last_view));
        judge(ListingEnds::new(&Timing::default(), seconds(10)), &history).violated
    }

    #[test]
    fn an_entry_may_outlive_its_node_up_to_the_bound() {
        assert_eq!(violated(10 + BOUND, false), 0);
        assert_eq!(violated(11 + BOUND, false), 1);
        assert_eq!(violated(11 + BOUND, true), 0);
    }
}
