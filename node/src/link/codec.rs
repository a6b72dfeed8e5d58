//! What stands on a link's wire: the federation's messages, or those of the older mesh.

use std::sync::Arc;

use super::Switchboard;
use super::older::Edge;
use super::outbox::Outbox;
use crate::federation::LinkId;
use crate::wire::{self, Body, Frame, Goodbye, SmolStr};

/// How the two ends of one link write their messages.
pub(super) enum Codec {
    /// As [`wire`] has them.
    Federation,
    /// As the mesh before the hubs has them.
    Older(Edge),
}

/// A text that is no message: the id of what it was meant to be, where that can be read, and what is wrong with it.
pub(super) type Malformed = (Option<SmolStr>, String);

impl Codec {
    /// Takes in one text from the other side. Gives its farewell, where it says one.
    pub(super) fn take_in(
        &self,
        board: &Arc<Switchboard>,
        link: LinkId,
        outbox: &Outbox,
        text: &str,
    ) -> Result<Option<Goodbye>, Malformed> {
        match self {
            Codec::Federation => match wire::decode(text) {
                Ok(frame) => {
                    let goodbye = match &frame.body {
                        Body::Goodbye(goodbye) => Some(goodbye.clone()),
                        _ => None,
                    };
                    board.receive(link, frame);
                    Ok(goodbye)
                }
                Err(error) => Err((wire::salvage_message_id(text), error.to_string())),
            },
            Codec::Older(edge) => edge.take_in(board, link, outbox, text).map(|()| None),
        }
    }

    /// The text of a message, or of the one that goes in its place where it is too large; `None` where nothing is
    /// sent.
    pub(super) fn put_out(&self, board: &Arc<Switchboard>, link: LinkId, frame: Frame) -> Option<String> {
        match self {
            Codec::Federation => {
                let limit = board.limits.max_message_bytes;
                let text = wire::encode(frame);
                if text.len() <= limit {
                    return Some(text);
                }
                let instead = board.too_large(link, &text).map(wire::encode);
                instead.filter(|text| text.len() <= limit)
            }
            Codec::Older(edge) => edge.put_out(board, link, frame),
        }
    }

    /// A heartbeat is going to be sent: whatever else is told at that pace goes with it.
    pub(super) fn beat(&self, board: &Arc<Switchboard>, outbox: &Outbox) {
        match self {
            Codec::Federation => {}
            Codec::Older(edge) => edge.beat(board, outbox),
        }
    }
}
