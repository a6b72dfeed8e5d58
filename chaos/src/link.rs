//! How a link behaves, and changes to it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::quantity::{self, Bandwidth, Share};

/// How one direction of a link behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkQuality {
    /// The least time from sending to arrival.
    #[serde(with = "quantity::duration")]
    pub latency: Duration,
    /// Up to this much more, drawn evenly per packet.
    #[serde(with = "quantity::duration")]
    pub jitter: Duration,
    /// The share of packets that get lost. Streams send them again, which takes time; datagrams stay lost.
    pub loss: Share,
    /// How much the link carries.
    pub bandwidth: Bandwidth,
}

impl Default for LinkQuality {
    /// A decent connection over the internet: 10 ms, 2 ms of jitter, nothing lost, 100 Mbit/s.
    fn default() -> LinkQuality {
        LinkQuality {
            latency: Duration::from_millis(10),
            jitter: Duration::from_millis(2),
            loss: Share::ZERO,
            bandwidth: Bandwidth::from_bits_per_second(100_000_000),
        }
    }
}

/// The values of a link that change; what is `None` stays as it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkChange {
    /// The new latency.
    #[serde(with = "quantity::duration::optional", default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Duration>,
    /// The new jitter.
    #[serde(with = "quantity::duration::optional", default, skip_serializing_if = "Option::is_none")]
    pub jitter: Option<Duration>,
    /// The new loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<Share>,
    /// The new bandwidth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<Bandwidth>,
}

impl LinkChange {
    /// `quality` with this change made to it.
    pub fn apply(&self, quality: LinkQuality) -> LinkQuality {
        LinkQuality {
            latency: self.latency.unwrap_or(quality.latency),
            jitter: self.jitter.unwrap_or(quality.jitter),
            loss: self.loss.unwrap_or(quality.loss),
            bandwidth: self.bandwidth.unwrap_or(quality.bandwidth),
        }
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        *self == LinkChange::default()
    }

    /// The changed values in words: `latency 200ms, loss 5%`.
    pub fn describe(&self) -> String {
        let values = [
            self.latency.map(|it| format!("latency {}", quantity::duration::format(it))),
            self.jitter.map(|it| format!("jitter {}", quantity::duration::format(it))),
            self.loss.map(|it| format!("loss {it}")),
            self.bandwidth.map(|it| format!("bandwidth {it}")),
        ];
        values.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_leaves_the_rest_as_it_was() {
        let base = LinkQuality::default();
        let change = LinkChange { latency: Some(Duration::from_millis(40)), ..LinkChange::default() };
        assert_eq!(change.apply(base), LinkQuality { latency: Duration::from_millis(40), ..base });
        assert!(!change.is_empty());
        assert_eq!(change.describe(), "latency 40ms");
        assert_eq!(LinkChange::default().apply(base), base);
    }
}
