//! One link, from the moment both sides are known until it ends.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Message};

use super::Switchboard;
use super::codec::Codec;
use super::outbox::{Next, Outbox};
use crate::env::Stream;
use crate::federation::{Failure, LinkId};
use crate::wire::Goodbye;

/// A WebSocket over the network seam.
pub(super) type Socket = WebSocketStream<Stream>;

/// Malformed messages after which a link is closed: the other side is broken or hostile.
const MAX_MALFORMED_MESSAGES: u32 = 10;

/// A link that has sent nothing malformed for so long starts anew, in seconds: one slip a day is no hostility.
const MALFORMED_FORGIVEN_SECONDS: u64 = 60;

/// Messages that are read before others may run.
const READ_BATCH_MESSAGES: u32 = 32;

/// Messages that one write takes before it lets others run.
const WRITE_BATCH_MESSAGES: usize = 64;

/// How long the other side has to answer our close, in milliseconds.
const CLOSE_WAIT_MILLIS: u64 = 1_000;

/// Why a link ended.
#[derive(Debug)]
pub enum End {
    /// The other side closed it.
    ClosedByPeer(String),
    /// The other side closed it and said when to come back.
    Goodbye(Goodbye),
    /// This side closed it.
    Closed(&'static str),
    /// The connection broke.
    Broken(tungstenite::Error),
    /// Nothing came for too long.
    Silent(Duration),
    /// The other side sent what is no message, too often or too large.
    Misbehaved(String),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::ClosedByPeer(reason) if reason.is_empty() => f.write_str("the other side closed it"),
            End::ClosedByPeer(reason) => write!(f, "the other side closed it: {reason}"),
            End::Goodbye(goodbye) => write!(f, "the other side closed it: {}", goodbye.reason),
            End::Closed(reason) => write!(f, "closed: {reason}"),
            End::Broken(error) => write!(f, "broken: {error}"),
            End::Silent(time) => write!(f, "nothing came for {} s", time.as_secs()),
            End::Misbehaved(what) => write!(f, "closed: {what}"),
        }
    }
}

/// Carries a link until it ends, and then takes it down.
pub(super) async fn run(
    board: &Arc<Switchboard>,
    socket: Socket,
    link: LinkId,
    outbox: &Outbox,
    codec: &Codec,
) -> End {
    let (mut sink, mut source) = socket.split();
    // Reading goes on while a write waits, or two ends that both write much would wait for each other for ever.
    // Writing comes first, and reading pauses every now and then: a flood from outside must not keep our heartbeats in.
    let end = tokio::select! {
        biased;
        () = outbox.beyond_help() => End::Misbehaved("it does not read what it asked for".into()),
        end = write(board, &mut sink, link, outbox, codec) => end,
        end = read(board, &mut source, link, outbox, codec) => end,
    };
    board.detach(link);
    let farewell = match &end {
        End::Closed(reason) => Some((CloseCode::Away, (*reason).to_owned())),
        End::Misbehaved(reason) => Some((CloseCode::Policy, reason.clone())),
        End::Silent(_) | End::Broken(_) | End::ClosedByPeer(_) | End::Goodbye(_) => None,
    };
    if let Some((code, reason)) = farewell {
        let close = CloseFrame { code, reason: truncate(&reason).into() };
        let goodbye = async {
            // The other side may be gone already; then there is nobody to tell.
            if sink.send(Message::Close(Some(close))).await.is_ok() {
                while let Some(Ok(_)) = source.next().await {}
            }
        };
        board.env.deadline(Duration::from_millis(CLOSE_WAIT_MILLIS), goodbye).await;
    }
    end
}

/// Lets every other task that can go on do so first.
async fn pause() {
    let mut paused = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut paused, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A close frame holds at most 123 bytes of reason.
pub(super) fn truncate(reason: &str) -> String {
    let mut end = reason.len().min(123);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    reason[..end].to_owned()
}

async fn read(
    board: &Arc<Switchboard>,
    source: &mut (impl futures_util::Stream<Item = tungstenite::Result<Message>> + Unpin),
    link: LinkId,
    outbox: &Outbox,
    codec: &Codec,
) -> End {
    let clock = &board.env.clock;
    let patience = board.timing.unhealthy_after;
    let mut heard = clock.now();
    let (mut malformed, mut last_malformed) = (0, heard);
    let mut batched = 0;
    let mut goodbye = None;
    let mut limit = board.message_limit(link);
    let closed = |goodbye: Option<Goodbye>, reason: String| match goodbye {
        Some(goodbye) => End::Goodbye(goodbye),
        None => End::ClosedByPeer(reason),
    };
    let mut silence = clock.sleep_until(heard + patience);
    loop {
        batched += 1;
        if batched >= READ_BATCH_MESSAGES {
            batched = 0;
            pause().await;
        }
        let message = tokio::select! {
            biased;
            message = source.next() => message,
            () = &mut silence => {
                // One timer per span of patience, not one per message: look whether something came meanwhile.
                let quiet = clock.now() - heard;
                if quiet >= patience {
                    return End::Silent(quiet);
                }
                silence = clock.sleep_until(heard + patience);
                continue;
            }
        };
        heard = clock.now();
        outbox.pulse.hear(heard);
        // What comes too fast is not read for a moment: the sender's queue fills, and it is told there.
        while let Some(Err(wait)) = limit.as_mut().map(|limit| limit.check(clock.now())) {
            board.env.sleep(wait).await;
        }
        let complaint = match message {
            None => return closed(goodbye, String::new()),
            Some(Err(tungstenite::Error::Capacity(error))) => {
                return End::Misbehaved(format!("{error}; -max-message-bytes sets the limit"));
            }
            Some(Err(error)) => return End::Broken(error),
            Some(Ok(Message::Close(frame))) => {
                let reason = frame.map(|frame| frame.reason.to_string()).unwrap_or_default();
                return closed(goodbye, reason);
            }
            Some(Ok(Message::Text(text))) => match codec.take_in(board, link, outbox, &text) {
                Ok(farewell) => {
                    goodbye = farewell.or(goodbye);
                    continue;
                }
                Err(malformed) => malformed,
            },
            Some(Ok(Message::Binary(_))) => (None, "binary frames are not spoken here, send text".to_owned()),
            Some(Ok(Message::Pong(payload))) => {
                outbox.pulse.pong(heard, &payload);
                continue;
            }
            Some(Ok(Message::Ping(_) | Message::Frame(_))) => continue,
        };
        let (message_id, what) = complaint;
        if heard - last_malformed > Duration::from_secs(MALFORMED_FORGIVEN_SECONDS) {
            malformed = 0;
        }
        last_malformed = heard;
        malformed += 1;
        if malformed >= MAX_MALFORMED_MESSAGES {
            return End::Misbehaved(format!("{malformed} malformed messages, the last: {what}"));
        }
        board.complain(link, message_id, &Failure::Malformed(what));
    }
}

async fn write(
    board: &Arc<Switchboard>,
    sink: &mut (impl futures_util::Sink<Message, Error = tungstenite::Error> + Unpin),
    link: LinkId,
    outbox: &Outbox,
    codec: &Codec,
) -> End {
    let clock = &board.env.clock;
    // How far a peer is, its operator wants to know; of thousands of Homes nobody does.
    let measures = matches!(codec, Codec::Federation) && board.leads_to_a_peer(link);
    // The first ping goes behind our introduction, if that is still to go: the other side waits for it.
    let mut ping_due = measures;
    let mut next_beat = clock.now() + board.timing.heartbeat;
    let mut beat = clock.sleep_until(next_beat);
    loop {
        let now = clock.now();
        // Looked at in every round: a link that is never idle must beat as well, for what its heartbeats confirm.
        if now >= next_beat {
            board.heartbeat(link);
            codec.beat(board, outbox);
            ping_due = measures;
            next_beat = now + board.timing.heartbeat;
            beat = clock.sleep_until(next_beat);
        }
        let mut batched = 0;
        while batched < WRITE_BATCH_MESSAGES {
            match outbox.next(now) {
                Next::Send(frame) => {
                    let Some(text) = codec.put_out(board, link, *frame) else { continue };
                    if let Err(error) = sink.feed(Message::text(text)).await {
                        return End::Broken(error);
                    }
                    batched += 1;
                }
                Next::Late(frame) => board.late(link, &frame.header),
                Next::Close(reason) => {
                    let _ = sink.flush().await;
                    return End::Closed(reason);
                }
                Next::Idle => break,
            }
        }
        if ping_due {
            if let Err(error) = sink.feed(Message::Ping(outbox.pulse.ping(now))).await {
                return End::Broken(error);
            }
            ping_due = false;
            batched += 1;
        }
        if batched > 0 {
            if let Err(error) = sink.flush().await {
                return End::Broken(error);
            }
            continue;
        }
        let more = pin!(outbox.wait());
        tokio::select! {
            biased;
            () = more => {}
            () = &mut beat => {}
        }
    }
}
