//! Established connections: two directed pipes of bytes, each in order and without loss, with TCP's ways of ending.
//!
//! One write is one segment is one event. What a partition stops is held by the sender and never walked per event:
//! [`Connections::stalled`] names the directions to look at when something heals.

mod transport;
mod trouble;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{self, ErrorKind, IoSlice};
use std::task::{Context, Poll, Waker};

use tokio::io::ReadBuf;

use super::cpu::MessageCounter;
use super::link::{HostId, Path};
use super::pool::{Key, Pool};
use super::state::State;
use super::timeline::{Flags, Side};
use crate::trace::Kind;

pub use trouble::StallId;

/// How much may be sent and not yet read.
pub(super) const WINDOW_BYTES: u32 = 256 * 1024;
/// A blocked writer is woken once this much is free, so that it does not write crumbs.
const WAKE_WRITER_BYTES: u32 = WINDOW_BYTES / 4;
/// With less than this outstanding nobody waits for room, and what was read is credited without an event.
const CREDIT_BYTES: u32 = WINDOW_BYTES / 2;
/// A buffer that ran empty keeps at most this much memory.
const IDLE_BUFFER_BYTES: usize = 2 * 1024;
/// A connection is given up when nothing got through for this long (Linux, `tcp_retries2`: about 15 minutes).
const GIVE_UP_NANOS: u64 = 15 * 60 * 1_000_000_000;

#[derive(Default)]
pub(super) struct Connections {
    pub(super) pool: Pool<Connection>,
    stalled: BTreeSet<Side>,
    /// What stalls hold back, though its path is whole.
    stalls: BTreeMap<StallId, Vec<Side>>,
    next_stall: u32,
}

pub(super) struct Connection {
    /// The one that dialled, and the one that accepted.
    pub(super) ends: [End; 2],
    /// Where the second end is handed out, and the address that it sees for the first.
    pub(super) listener: Key,
    pub(super) from: std::net::SocketAddr,
}

/// Who answers for an end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// A stream in a process, or on its way there in an accept queue.
    Process,
    /// The stream was dropped; what it sent still goes out.
    Kernel,
    /// Nobody: the process or its host died.
    Gone,
}

pub(super) struct End {
    pub(super) host: HostId,
    pub(super) process: u32,
    /// Where the other end is.
    peer: HostId,
    pub(super) holder: Holder,
    /// Its process has a descriptor for it.
    pub(super) is_accepted: bool,
    flow: Flow,
    failure: Option<ErrorKind>,
    pipe: Pipe,
}

/// What the translator in front of an end knows of its stream.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    /// That there is one, or there is no translator.
    Known,
    /// Nothing: what goes out is answered with a reset.
    Unknown,
    /// Nothing, and that reset is on its way.
    Asked,
}

/// The direction in which an end sends.
struct Pipe {
    /// Sent and not yet read.
    buffer: VecDeque<u8>,
    /// How much of the buffer's front has arrived.
    arrived: u32,
    /// Sent, and not yet known by the sender to be read.
    outstanding: u32,
    last_arrival: u64,
    fin: Fin,
    stall: Option<Box<Stall>>,
    path: Path,
    /// Where the reading host is charged for what it reads.
    counter: Option<Box<MessageCounter>>,
    writer: Option<Waker>,
    /// Waits at the other end.
    reader: Option<Waker>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fin {
    Open,
    Sent,
    Arrived,
}

/// What an end could not send since `since`.
struct Stall {
    since: u64,
    bytes: u32,
    flags: Flags,
    credit: u32,
    /// The other end's data arrived, and it does not learn so.
    acks: bool,
    /// It found no room in front of its line: what was sent before it is on its way all the same.
    is_queue: bool,
}

impl Stall {
    fn add(&mut self, bytes: u32, flags: Flags) {
        self.bytes += bytes;
        self.flags.add(flags);
    }

    fn has_data(&self) -> bool {
        self.bytes > 0 || self.flags != Flags::default()
    }
}

impl End {
    pub(super) fn new(host: HostId, process: u32, to: HostId) -> Self {
        let pipe = Pipe {
            buffer: VecDeque::new(),
            arrived: 0,
            outstanding: 0,
            last_arrival: 0,
            fin: Fin::Open,
            stall: None,
            path: Path::new(host, to),
            counter: None,
            writer: None,
            reader: None,
        };
        let (holder, flow) = (Holder::Process, Flow::Known);
        Self { host, process, peer: to, holder, is_accepted: false, flow, failure: None, pipe }
    }

    fn is_live(&self) -> bool {
        self.holder == Holder::Process && self.failure.is_none()
    }
}

impl Pipe {
    /// Drops what could not be sent yet.
    fn drop_stall(&mut self) {
        if let Some(stall) = self.stall.take() {
            self.buffer.truncate(self.buffer.len().saturating_sub(stall.bytes as usize));
        }
    }
}

pub(super) fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

fn remember(slot: &mut Option<Waker>, context: &Context<'_>) {
    match slot {
        Some(waker) => waker.clone_from(context.waker()),
        None => *slot = Some(context.waker().clone()),
    }
}

impl State {
    /// What a process does with its end of a connection.
    pub(super) fn write(
        &mut self,
        side: Side,
        slices: &[IoSlice<'_>],
        context: &Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let now = self.timeline.now;
        let Some(connection) = self.connections.pool.get_mut(side.connection()) else {
            return Poll::Ready(Err(ErrorKind::NotConnected.into()));
        };
        let (end, peer) = sides(connection, side);
        if end.holder != Holder::Process {
            return Poll::Ready(Err(ErrorKind::NotConnected.into()));
        }
        if let Some(kind) = end.failure {
            return Poll::Ready(Err(kind.into()));
        }
        if end.pipe.fin != Fin::Open {
            return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
        }
        let room = (WINDOW_BYTES - end.pipe.outstanding) as usize;
        if slices.iter().all(|slice| slice.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        if room == 0 {
            remember(&mut end.pipe.writer, context);
            if peer.holder == Holder::Gone && end.pipe.stall.is_none() {
                self.transmit(side, 0, Flags::PROBE);
            }
            return Poll::Pending;
        }
        let host = end.host.0;
        let mut written = 0;
        let mut payload = 0_u64;
        for slice in slices {
            let part = &slice[..slice.len().min(room - written)];
            end.pipe.buffer.extend(part);
            written += part.len();
            payload = xxhash_rust::xxh3::xxh3_64_with_seed(part, payload);
        }
        let bytes = written as u32;
        end.pipe.outstanding += bytes;
        self.trace.fold(now, Kind::SegmentSent, host, [side.id(), u64::from(bytes), payload]);
        self.transmit(side, bytes, Flags::default());
        Poll::Ready(Ok(written))
    }

    /// Reads what has arrived at `side`.
    pub(super) fn read(
        &mut self,
        side: Side,
        buffer: &mut ReadBuf<'_>,
        context: &Context<'_>,
    ) -> Poll<io::Result<()>> {
        let charged = self.cpus.are_used() && {
            let connection = self.connections.pool.get(side.connection());
            let end = connection.map(|connection| &connection.ends[side.end()]);
            end.is_some_and(|end| self.is_charged(end.host, end.process))
        };
        let Some(connection) = self.connections.pool.get_mut(side.connection()) else {
            return Poll::Ready(Err(ErrorKind::NotConnected.into()));
        };
        let (here, there) = sides(connection, side);
        if here.holder != Holder::Process {
            return Poll::Ready(Err(ErrorKind::NotConnected.into()));
        }
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let pipe = &mut there.pipe;
        if pipe.arrived > 0 {
            if charged && self.cpus.has_read(here.host, self.timeline.now) {
                // There is more, and its turn comes when what was read is worked off.
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            let count = buffer.remaining().min(pipe.arrived as usize);
            let (front, back) = pipe.buffer.as_slices();
            let first = front.len().min(count);
            buffer.put_slice(&front[..first]);
            buffer.put_slice(&back[..count - first]);
            if charged {
                let now = self.timeline.now;
                let read = &buffer.filled()[buffer.filled().len() - count..];
                let messages = pipe.counter.get_or_insert_default().count(read);
                self.cpus.charge(here.host, messages, now);
            }
            pipe.buffer.drain(..count);
            if pipe.buffer.is_empty() && pipe.buffer.capacity() > IDLE_BUFFER_BYTES {
                pipe.buffer = VecDeque::new();
            }
            pipe.arrived -= count as u32;
            // Where acknowledgements do not get through, the window stays as full as the sender believes it to be.
            if pipe.outstanding <= CREDIT_BYTES && here.pipe.stall.is_none() {
                pipe.outstanding -= (count as u32).min(pipe.outstanding);
            } else {
                self.send_credit(side, count as u32);
            }
            return Poll::Ready(Ok(()));
        }
        if pipe.fin == Fin::Arrived {
            return Poll::Ready(Ok(()));
        }
        if let Some(kind) = here.failure {
            return Poll::Ready(Err(kind.into()));
        }
        remember(&mut pipe.reader, context);
        Poll::Pending
    }

    /// Ends the sending direction; what was written still arrives.
    pub(super) fn finish(&mut self, side: Side) -> io::Result<()> {
        let now = self.timeline.now;
        let Some(end) = self.end(side).filter(|end| end.holder == Holder::Process) else {
            return Err(ErrorKind::NotConnected.into());
        };
        if end.failure.is_some() {
            return Err(ErrorKind::NotConnected.into());
        }
        if end.pipe.fin == Fin::Open {
            end.pipe.fin = Fin::Sent;
            let host = end.host.0;
            self.trace.emit(now, Kind::Close, host, side.id(), 0);
            self.transmit(side, 0, Flags::FIN);
        }
        Ok(())
    }

    /// The stream was dropped: nothing more is read, what was sent still goes out. Unread data is answered with a
    /// reset, as is data that comes later.
    pub(super) fn close(&mut self, side: Side) {
        let Some(connection) = self.connections.pool.get_mut(side.connection()) else { return };
        let (here, there) = sides(connection, side);
        if here.holder != Holder::Process {
            return;
        }
        here.holder = Holder::Kernel;
        there.pipe.reader = None;
        here.pipe.writer = None;
        let failed = here.failure.is_some();
        let unread = there.pipe.arrived > 0;
        let open = here.pipe.fin == Fin::Open;
        if unread && !failed {
            here.holder = Holder::Gone;
            self.forget_stall(side);
            self.send_reset(side.other());
        } else if open && !failed {
            here.pipe.fin = Fin::Sent;
            let host = here.host.0;
            self.trace.emit(self.timeline.now, Kind::Close, host, side.id(), 0);
            self.transmit(side, 0, Flags::FIN);
        }
        self.free_if_over(side.connection());
    }

    /// The end's process is gone. With `tell`, the other end gets a reset, as far as the path lets it through.
    pub(super) fn vanish(&mut self, side: Side, tell: bool) {
        let Some(connection) = self.connections.pool.get_mut(side.connection()) else { return };
        let (here, there) = sides(connection, side);
        if here.holder == Holder::Gone {
            return;
        }
        here.holder = Holder::Gone;
        there.pipe.reader = None;
        here.pipe.writer = None;
        let writer_waits = there.pipe.writer.is_some();
        self.forget_stall(side);
        let told = tell && self.send_reset(side.other());
        if writer_waits && !told {
            // A full window hides that nobody is there: TCP probes it.
            self.transmit(side.other(), 0, Flags::PROBE);
        }
        self.free_if_over(side.connection());
    }
}

/// The end at `side`, and the other one.
fn sides(connection: &mut Connection, side: Side) -> (&mut End, &mut End) {
    let [first, second] = &mut connection.ends;
    if side.end() == 0 { (first, second) } else { (second, first) }
}
