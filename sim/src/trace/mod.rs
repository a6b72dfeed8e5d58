//! What happened in a run, folded into one 64-bit hash: two runs with the same hash did the same things in the same
//! order. Kept in full on request, so that [`first_divergence`] can say where two runs part, or told line by line to a
//! [`Sink`] while the run goes.

mod divergence;
mod keep;
mod names;
mod stream;
mod words;

use std::io;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

pub use divergence::{Divergence, first_divergence};
use keep::Kept;
pub use keep::{Keep, window_of};
use names::Names;
pub use stream::Sink;
use stream::Stream;

/// Stands for "no host", "no process" or "no task" in an [`Event`].
pub const NONE: u32 = u32::MAX;

/// What an [`Event`] tells. The details `a` and `b` are documented with each kind; `payload` is a hash of the bytes
/// concerned unless the kind says otherwise, zero where there are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A task was polled.
    Poll,
    /// A task was started. `a`: its id.
    Spawn,
    /// A task returned. `a`: its id.
    TaskEnd,
    /// A task panicked. `a`: its id.
    Panic,
    /// A process was started. `a`: its number.
    ProcessStart,
    /// A process ended. `a`: its number, `b`: 0 by itself, 1 killed, 2 with its host's power.
    ProcessEnd,
    /// A timer fired. `a`: its deadline in virtual nanoseconds.
    Timer,
    /// A segment was handed to the network. `a`: connection and end, `b`: bytes.
    SegmentSent,
    /// A segment arrived. `a`: connection and sending end, `b`: bytes.
    SegmentDelivered,
    /// A segment found its path blocked and is held for retransmission. `a`: connection and end, `b`: bytes.
    SegmentHeld,
    /// A dial began. `a`: port dialled, `b`: the host dialled.
    Dial,
    /// A listener took a connection. `a`: connection, `b`: the host that dialled.
    Accept,
    /// A dial was refused. `a`: port dialled.
    Refuse,
    /// A dial found nobody. `a`: port dialled.
    DialTimeout,
    /// A sending direction was closed. `a`: connection and end.
    Close,
    /// A reset arrived, or a connection was given up. `a`: connection and end.
    Reset,
    /// A datagram was sent. `a`: destination port, `b`: bytes.
    DatagramSent,
    /// A datagram arrived. `a`: destination port, `b`: bytes.
    DatagramDelivered,
    /// A datagram was lost. `a`: destination port, `b`: bytes.
    DatagramDropped,
    /// A value was read from disk. `a`: hash of its name, `b`: bytes.
    StorageRead,
    /// A value was written to disk. `a`: hash of its name, `b`: bytes.
    StorageWrite,
    /// A database wrote to a file. `a`: offset, `b`: bytes, payload: hash of the file's name.
    FileWrite,
    /// A database changed a file's length. `a`: the length, payload: hash of the file's name.
    FileTruncate,
    /// A database synced a file. Payload: hash of the file's name.
    FileSync,
    /// A database removed a file. `a`: 1 where a power cut does not bring it back, payload: hash of the file's name.
    FileRemove,
    /// A fault was applied, or taken back. `a` and `b` say which.
    Fault,
    /// A remark by the director or a process. `a`: its number, `payload`: hash of its text.
    Note,
    /// A core works on what was just received. `a`: for so many nanoseconds.
    Busy,
    /// A disk did not do its work. `a`: 0 failed, 1 full, 2 lost a sync, 3 rotted, 4 its host lost power; payload: hash of
    /// the file's name.
    DiskFault,
}

/// One thing that happened. `a`, `b` and `payload`: see [`Kind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Virtual nanoseconds since the start of the run.
    pub at: u64,
    /// First detail.
    pub a: u64,
    /// Second detail.
    pub b: u64,
    /// Hash of the bytes concerned.
    pub payload: u64,
    /// The host that it happened on, or [`NONE`].
    pub host: u32,
    /// The process that was running, or [`NONE`] between polls.
    pub process: u32,
    /// The task that was running, or [`NONE`] between polls.
    pub task: u32,
    /// What happened.
    pub kind: Kind,
}

/// Events from one checkpoint to the next. Those between two checkpoints fit into memory: 3 MiB.
pub const CHECKPOINT_EVENTS: u64 = 1 << 16;

/// Bytes of one kept event; a day of a small federation is some ten million of them and more.
const EVENT_BYTES: usize = 48;
const _: () = assert!(size_of::<Event>() == EVENT_BYTES);

/// The trace of one run.
#[derive(Debug, Default)]
pub struct Trace {
    hash: u64,
    count: u64,
    actor: Actor,
    notes: u64,
    checkpoints: Vec<u64>,
    kept: Option<Kept>,
    stream: Option<Stream>,
}

/// Who is being polled.
#[derive(Clone, Copy, Debug)]
struct Actor {
    process: u32,
    task: u32,
}

impl Default for Actor {
    fn default() -> Self {
        Self { process: NONE, task: NONE }
    }
}

impl Trace {
    /// An empty trace that keeps these events; the hash is the same whichever they are.
    pub fn new(keep: impl Into<Keep>) -> Self {
        Self { kept: Kept::new(keep.into()), ..Self::default() }
    }

    /// As [`new`](Self::new), and tells all events to a sink as they happen, where there is one that no run has yet.
    pub fn streaming(keep: impl Into<Keep>, sink: Option<&Sink>) -> Self {
        Self { stream: sink.and_then(Stream::to), ..Self::new(keep) }
    }

    /// The run is over: writes what its sink still has to get. Returns why the sink did not get all of it.
    pub fn end_stream(&mut self) -> Option<io::Error> {
        self.stream.take()?.end(self.count, self.hash)
    }

    /// The hash after each [`CHECKPOINT_EVENTS`] events: where two of them differ, the runs have parted before.
    pub fn checkpoints(&self) -> &[u64] {
        &self.checkpoints
    }

    /// The hash over everything so far.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// How many events there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The events kept, in order: empty unless some were wanted.
    pub fn events(&self) -> &[Event] {
        self.kept.as_ref().map_or(&[], |kept| &kept.events)
    }

    /// From here on, `task` of `process` is running.
    pub(crate) fn enter(&mut self, process: u32, task: u32) {
        self.actor = Actor { process, task };
    }

    /// From here on, no task is running.
    pub(crate) fn leave(&mut self) {
        self.actor = Actor::default();
    }

    pub(crate) fn emit(&mut self, at: u64, kind: Kind, host: u32, a: u64, b: u64) {
        self.fold(at, kind, host, [a, b, 0]);
    }

    pub(crate) fn emit_bytes(&mut self, at: u64, kind: Kind, host: u32, a: u64, bytes: &[u8]) {
        self.fold(at, kind, host, [a, bytes.len() as u64, xxh3_64(bytes)]);
    }

    pub(crate) fn note(&mut self, at: u64, host: u32, text: &str) {
        let number = self.notes;
        self.notes += 1;
        self.names().for_each(|names| names.add_note(number, text));
        self.fold(at, Kind::Note, host, [number, 0, xxh3_64(text.as_bytes())]);
    }

    pub(crate) fn name_host(&mut self, name: &str) {
        self.names().for_each(|names| names.add_host(name));
    }

    /// What a [`Kind::Fault`] with this first detail is called.
    pub(crate) fn name_fault(&mut self, fault: u64, name: impl Fn() -> String) {
        self.names().for_each(|names| names.add_fault(fault, &name));
    }

    pub(crate) fn name_process(&mut self, name: &'static str) {
        self.names().for_each(|names| names.add_process(name));
    }

    /// The next task, which is of this process.
    pub(crate) fn name_task(&mut self, process: u32, name: &'static str) {
        self.names().for_each(|names| names.add_task(process, name));
    }

    /// Who is at the two ends of a connection: at the one with this number, and at the other.
    pub(crate) fn name_ends(&mut self, side: u64, host: u32, other: u32) {
        self.names().for_each(|names| names.add_ends(side, host, other));
    }

    /// Whoever is to know names.
    fn names(&mut self) -> impl Iterator<Item = &mut Names> {
        let kept = self.kept.as_mut().map(|kept| &mut kept.names);
        kept.into_iter().chain(self.stream.as_mut().map(|stream| &mut stream.names))
    }

    pub(crate) fn fold(&mut self, at: u64, kind: Kind, host: u32, [a, b, payload]: [u64; 3]) {
        let Actor { process, task } = self.actor;
        let event = Event { at, a, b, payload, host, process, task, kind };
        self.hash = xxh3_64_with_seed(&bytes_of(&event), self.hash);
        if let Some(kept) = &mut self.kept {
            kept.take(self.count, event);
        }
        if let Some(stream) = &mut self.stream {
            stream.tell(&event);
        }
        self.count += 1;
        if self.count.is_multiple_of(CHECKPOINT_EVENTS) {
            self.checkpoints.push(self.hash);
        }
    }
}

fn bytes_of(event: &Event) -> [u8; EVENT_BYTES] {
    let mut bytes = [0; EVENT_BYTES];
    bytes[0..8].copy_from_slice(&event.at.to_le_bytes());
    bytes[8..16].copy_from_slice(&event.a.to_le_bytes());
    bytes[16..24].copy_from_slice(&event.b.to_le_bytes());
    bytes[24..32].copy_from_slice(&event.payload.to_le_bytes());
    bytes[32..36].copy_from_slice(&event.host.to_le_bytes());
    bytes[36..40].copy_from_slice(&event.process.to_le_bytes());
    bytes[40..44].copy_from_slice(&event.task.to_le_bytes());
    bytes[44] = event.kind as u8;
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoints_say_where_to_look() {
        let run = |odd: u64| {
            let mut trace = Trace::new(false);
            (0..3 * CHECKPOINT_EVENTS + 5).for_each(|at| {
                trace.emit(at, Kind::Timer, 0, u64::from(at == odd), 0);
            });
            trace
        };
        let odd = 2 * CHECKPOINT_EVENTS + 7;
        let (plain, other) = (run(u64::MAX), run(odd));
        assert_eq!((plain.checkpoints().len(), plain.checkpoints()[1]), (3, other.checkpoints()[1]));
        let window = window_of(plain.checkpoints(), other.checkpoints());
        assert!(window.contains(&odd) && window.end - window.start < 2 * CHECKPOINT_EVENTS, "{window:?}");
        let last = window_of(plain.checkpoints(), run(3 * CHECKPOINT_EVENTS + 1).checkpoints());
        assert!(last.contains(&(3 * CHECKPOINT_EVENTS + 1)), "beyond the last checkpoint: {last:?}");
    }

    fn sample(record: bool, last: u64) -> Trace {
        let mut trace = Trace::new(record);
        trace.name_host("hub");
        trace.emit(5, Kind::Dial, 0, 80, 1);
        trace.note(7, NONE, "half way");
        trace.emit_bytes(9, Kind::SegmentSent, 0, last, b"hello");
        trace
    }

    #[test]
    fn recording_does_not_change_the_hash() {
        assert_eq!(sample(true, 1).hash(), sample(false, 1).hash());
        assert_eq!(sample(true, 1).events().len(), 3);
        assert!(sample(false, 1).events().is_empty());
    }

    #[test]
    fn every_detail_is_in_the_hash() {
        assert_ne!(sample(false, 1).hash(), sample(false, 2).hash());
        let mut one = Trace::new(false);
        let mut two = Trace::new(false);
        one.emit_bytes(0, Kind::SegmentSent, 0, 0, b"a");
        two.emit_bytes(0, Kind::SegmentSent, 0, 0, b"b");
        assert_ne!(one.hash(), two.hash());
    }
}
