//! The states of nodes and links over virtual time.

use serde::{Deserialize, Serialize};

/// Lanes of nodes that a report should have at most; the others are counted.
pub const NODE_LANES_MAX: usize = 64;
/// Lanes of links that a report should have at most; the others are counted.
pub const LINK_LANES_MAX: usize = 48;
/// Spans that one lane should have at most; [`Lane::spans_left_out`] counts the others.
pub const SPANS_PER_LANE_MAX: usize = 200;

/// The states of nodes and links. In a large federation only those are listed that something happened to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lanes {
    /// Nodes, Mains first; at most [`NODE_LANES_MAX`].
    pub nodes: Vec<Lane>,
    /// How many nodes there are, listed or not.
    pub nodes_total: u64,
    /// Links that were cut or degraded; at most [`LINK_LANES_MAX`].
    pub links: Vec<Lane>,
    /// How many links were cut or degraded, listed or not.
    pub links_touched: u64,
}

/// The states of one node or of one link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lane {
    /// Host name, or both of a link: `home-a-1 – main-a`.
    pub name: String,
    /// `main`, `home` or `link`.
    pub kind: String,
    /// When it is not as it should be, in order of time; between them it is up, or connected. At most
    /// [`SPANS_PER_LANE_MAX`].
    pub spans: Vec<LaneSpan>,
    /// How many spans are not listed.
    pub spans_left_out: u64,
    /// Moments worth a mark: a start, a lost connection.
    pub marks: Vec<LaneMark>,
}

/// A time in which a node or a link is not as it should be. Spans of one lane may overlap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneSpan {
    /// First moment, ns of virtual time.
    pub start_ns: u64,
    /// First moment after it; `None` where it lasts to the end of the run.
    pub end_ns: Option<u64>,
    /// `down`, `paused`, `cut`, `degraded`, or `faulted` for all else.
    pub state: String,
    /// Why, in words.
    pub text: String,
}

/// A moment worth a mark.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneMark {
    /// When, ns of virtual time.
    pub at_ns: u64,
    /// `start`, `connected`, `lost`, `violation`, `panic`, or a kind of the timeline.
    pub kind: String,
    /// What happened, in words.
    pub text: String,
}
