//! How a link behaves, and changes to it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::quantity::{self, Bandwidth, ByteSize, Share};

/// How one direction of a link behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkQuality {
    /// The least time from sending to arrival.
    #[serde(with = "quantity::duration")]
    pub latency: Duration,
    /// How much more it varies by, drawn per packet; what this is, `shape` says.
    #[serde(with = "quantity::duration")]
    pub jitter: Duration,
    /// How the jitter is distributed.
    pub shape: JitterShape,
    /// The share of packets that get lost. Streams send them again, which takes time; datagrams stay lost.
    pub loss: Share,
    /// How much the link carries.
    pub bandwidth: Bandwidth,
    /// How much waits in front of the link for its bandwidth; what is more gets lost. Large ones make packets late and
    /// not lost (bufferbloat). `None`: a second's worth for datagrams, and no limit for streams.
    pub queue: Option<ByteSize>,
    /// The share of datagrams that arrive twice.
    pub duplicate: Share,
    /// The share of datagrams that are overtaken by later ones.
    pub reorder: Share,
    /// The share of datagrams in which a bit is flipped. In streams, TCP's checksum finds it: they are as if lost.
    pub corrupt: Share,
}

/// How the jitter of a link is distributed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JitterShape {
    /// Evenly from nothing to the jitter.
    #[default]
    Uniform,
    /// Around half the jitter, which three standard deviations reach either way; cut off at both ends.
    Normal,
    /// Mostly short: the jitter is the mean of an exponential distribution, cut off at ten times that.
    Exponential,
    /// Mostly short with a long tail (Pareto, shape 1.5): the jitter is its mean, cut off at a hundred times that.
    Pareto,
}

impl JitterShape {
    /// Its name in a scenario file.
    pub const fn as_str(self) -> &'static str {
        match self {
            JitterShape::Uniform => "uniform",
            JitterShape::Normal => "normal",
            JitterShape::Exponential => "exponential",
            JitterShape::Pareto => "pareto",
        }
    }
}

impl Default for LinkQuality {
    /// A decent connection over the internet: 10 ms, 2 ms of jitter, nothing lost, 100 Mbit/s.
    fn default() -> LinkQuality {
        LinkQuality {
            latency: Duration::from_millis(10),
            jitter: Duration::from_millis(2),
            shape: JitterShape::Uniform,
            loss: Share::ZERO,
            bandwidth: Bandwidth::from_bits_per_second(100_000_000),
            queue: None,
            duplicate: Share::ZERO,
            reorder: Share::ZERO,
            corrupt: Share::ZERO,
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
    /// The new shape of the jitter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<JitterShape>,
    /// The new loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<Share>,
    /// The new bandwidth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<Bandwidth>,
    /// The new queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<ByteSize>,
    /// The new share of doubled datagrams.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicate: Option<Share>,
    /// The new share of overtaken datagrams.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reorder: Option<Share>,
    /// The new share of corrupted packets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub corrupt: Option<Share>,
}

impl LinkChange {
    /// `quality` with this change made to it.
    pub fn apply(&self, quality: LinkQuality) -> LinkQuality {
        LinkQuality {
            latency: self.latency.unwrap_or(quality.latency),
            jitter: self.jitter.unwrap_or(quality.jitter),
            loss: self.loss.unwrap_or(quality.loss),
            bandwidth: self.bandwidth.unwrap_or(quality.bandwidth),
            shape: self.shape.unwrap_or(quality.shape),
            queue: self.queue.or(quality.queue),
            duplicate: self.duplicate.unwrap_or(quality.duplicate),
            reorder: self.reorder.unwrap_or(quality.reorder),
            corrupt: self.corrupt.unwrap_or(quality.corrupt),
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
            self.shape.map(|it| format!("{} jitter", it.as_str())),
            self.bandwidth.map(|it| format!("bandwidth {it}")),
            self.queue.map(|it| format!("queue {it}")),
            self.duplicate.map(|it| format!("{it} duplicated")),
            self.reorder.map(|it| format!("{it} reordered")),
            self.corrupt.map(|it| format!("{it} corrupted")),
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
