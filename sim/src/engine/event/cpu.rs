//! Virtual CPUs: what a node does with a message takes its host's time, and while it does, all else there waits in line.
//!
//! A host is one server, or as many as it has cores. Every poll of a node's task takes a free core; the messages that
//! it reads keep that core and the task busy for their cost, from the poll on, and no poll reads twice. Polls that find
//! no core free wait in the order in which they came: bytes pile up in their sockets, writers at the other end find the
//! window full, timers fire late. Hosts without a cost have no entry here and pay nothing for those that have.

use std::collections::BTreeMap;
use std::time::Duration;

use super::link::{HostId, nanos};

/// What messages cost on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpu {
    /// Time that a core works for each message that a node on the host receives: a WebSocket frame, a datagram, or a
    /// piece of an HTTP request or response as it is read. It covers all that follows from the message, what is sent
    /// because of it included. Zero: nothing costs anything.
    pub per_message: Duration,
    /// How many messages are worked on at the same time; at least 1.
    pub cores: u32,
}

struct Processor {
    cost: u64,
    cores: Vec<Core>,
    /// The core of the poll that is going on.
    current: Option<usize>,
}

#[derive(Clone, Copy)]
struct Core {
    /// Until when it is busy.
    until: u64,
    /// With what this task has read.
    task: u32,
}

impl Processor {
    /// The core on which this task may be polled.
    fn core_for(&self, task: u32, now: u64) -> Option<usize> {
        let works = self.cores.iter().any(|core| core.until > now && core.task == task);
        if works { None } else { self.cores.iter().position(|core| core.until <= now) }
    }
}

/// The processors of the hosts on which messages cost something.
#[derive(Default)]
pub(super) struct Cpus {
    by_host: BTreeMap<u32, Processor>,
    /// A host whose core was just freed, and whose line is to be served.
    freed: Option<u32>,
}

/// Whether a task may be polled now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Yes, and it costs nothing.
    Free,
    /// Yes, on a core.
    OnCore,
    /// No: all cores are busy, or one is with this task.
    Wait,
}

impl Cpus {
    /// Says what messages cost from now on. What is being worked on keeps its core. Where nothing costs anything, nothing
    /// is counted either, unless it was before.
    pub(super) fn set(&mut self, host: HostId, cpu: Cpu) {
        if cpu.per_message.is_zero() && !self.charges(host) {
            return;
        }
        self.count(host, cpu.cores);
        if let Some(processor) = self.by_host.get_mut(&host.0) {
            processor.cost = nanos(cpu.per_message);
            // Of those that are busy the ones that are so for longest stay.
            processor.cores.sort_by_key(|core| std::cmp::Reverse(core.until));
            processor.cores.resize(cpu.cores.max(1) as usize, Core { until: 0, task: 0 });
        }
    }

    /// Counts messages, which cost nothing yet.
    pub(super) fn count(&mut self, host: HostId, cores: u32) {
        let cores = || vec![Core { until: 0, task: 0 }; cores.max(1) as usize];
        self.by_host.entry(host.0).or_insert_with(|| Processor { cost: 0, cores: cores(), current: None });
    }

    /// Whether messages are counted on any host.
    pub(super) fn are_used(&self) -> bool {
        !self.by_host.is_empty()
    }

    /// Whether messages are counted on this host.
    pub(super) fn charges(&self, host: HostId) -> bool {
        self.are_used() && self.by_host.contains_key(&host.0)
    }

    /// Takes a core for a poll of `task` on `host`.
    pub(super) fn begin(&mut self, host: u32, task: u32, now: u64) -> Turn {
        if self.by_host.is_empty() {
            return Turn::Free;
        }
        let Some(processor) = self.by_host.get_mut(&host) else { return Turn::Free };
        match processor.core_for(task, now) {
            Some(core) => {
                processor.cores[core].task = task;
                processor.current = Some(core);
                Turn::OnCore
            }
            None => Turn::Wait,
        }
    }

    /// The poll that is going on has received so many messages. Where a task of another host reads with what this one
    /// has opened, as tests do, nobody works.
    pub(super) fn charge(&mut self, host: HostId, messages: u64, now: u64) {
        if let Some(processor) = self.by_host.get_mut(&host.0)
            && let Some(core) = processor.current
        {
            let until = &mut processor.cores[core].until;
            *until = (*until).max(now).saturating_add(processor.cost.saturating_mul(messages));
        }
    }

    /// Whether the poll that is going on has read all that it may.
    pub(super) fn has_read(&self, host: HostId, now: u64) -> bool {
        let processor = self.by_host.get(&host.0);
        let core = processor.and_then(|it| it.current.map(|core| it.cores[core]));
        core.is_some_and(|core| core.until > now)
    }

    /// The poll that took a core is over. Until when the core is busy with what it read, where it is.
    pub(super) fn end(&mut self, host: u32, now: u64) -> Option<u64> {
        let processor = self.by_host.get_mut(&host)?;
        let core = processor.current.take()?;
        Some(processor.cores[core].until).filter(|until| *until > now)
    }

    /// Whether there is a core for this task.
    pub(super) fn admits(&self, host: u32, task: u32, now: u64) -> bool {
        self.by_host.get(&host).is_none_or(|processor| processor.core_for(task, now).is_some())
    }

    /// A core is free again: its host's line is to be served before time goes on.
    pub(super) fn free(&mut self, host: u32) {
        self.freed = Some(host);
    }

    pub(super) fn take_freed(&mut self) -> Option<u32> {
        self.freed.take()
    }
}

/// Counts the messages in what one end of a stream reads: WebSocket frames once the connection is upgraded, pieces as
/// they are read before that.
#[derive(Clone, Debug, Default)]
pub(super) struct MessageCounter(Place);

#[derive(Clone, Debug, Default)]
enum Place {
    /// In HTTP, as far as can be seen.
    #[default]
    Http,
    /// In a frame's head, of which so many bytes are here.
    Head { bytes: [u8; 10], got: usize },
    /// In a frame's mask and payload, with so much of it to come.
    Payload(u64),
}

/// The head of an upgrade has one of these, in the request and in the response.
const UPGRADE_MARK: &[u8] = b"sec-websocket-";
const HEAD_END: &[u8] = b"\r\n\r\n";

impl MessageCounter {
    /// The messages that begin in these bytes, which were read at once and follow on those before.
    pub(super) fn count(&mut self, mut bytes: &[u8]) -> u64 {
        let mut messages = 0;
        if matches!(self.0, Place::Http) {
            messages += 1;
            match end_of_upgrade(bytes) {
                None => return messages,
                Some(end) => {
                    self.0 = Place::Head { bytes: [0; 10], got: 0 };
                    bytes = &bytes[end..];
                }
            }
        }
        while let Some((first, rest)) = bytes.split_first() {
            match &mut self.0 {
                Place::Payload(left) => {
                    let passed = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                    *left -= passed as u64;
                    bytes = &bytes[passed..];
                    if *left == 0 {
                        self.0 = Place::Head { bytes: [0; 10], got: 0 };
                    }
                }
                Place::Head { bytes: head, got } => {
                    head[*got] = *first;
                    *got += 1;
                    bytes = rest;
                    if let Some(left) = payload(head, *got) {
                        messages += 1;
                        self.0 = match left {
                            0 => Place::Head { bytes: [0; 10], got: 0 },
                            _ => Place::Payload(left),
                        };
                    }
                }
                Place::Http => unreachable!("left above, and never entered again"),
            }
        }
        messages
    }
}

fn end_of_upgrade(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(HEAD_END.len()).position(|it| it == HEAD_END)? + HEAD_END.len();
    let marked = bytes[..end].windows(UPGRADE_MARK.len()).any(|it| it.eq_ignore_ascii_case(UPGRADE_MARK));
    marked.then_some(end)
}

/// Bytes of mask and payload that follow a frame's head (RFC 6455, section 5.2), once enough of it is here to tell.
fn payload(head: &[u8; 10], got: usize) -> Option<u64> {
    let second = *head[..got].get(1)?;
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    let length = match second & 0x7f {
        126 if got < 4 => return None,
        126 => u64::from(u16::from_be_bytes([head[2], head[3]])),
        127 if got < 10 => return None,
        127 => u64::from_be_bytes([head[2], head[3], head[4], head[5], head[6], head[7], head[8], head[9]]),
        short => u64::from(short),
    };
    Some(length.saturating_add(mask))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &[u8] = b"GET /ws HTTP/1.1\r\nSec-WebSocket-Key: x\r\n\r\n";

    fn frame(payload: usize, masked: bool) -> Vec<u8> {
        let mask = if masked { 0x80 } else { 0 };
        let mut frame = vec![0x81];
        match payload {
            0..126 => frame.push(mask | payload as u8),
            126..65_536 => {
                frame.push(mask | 126);
                frame.extend((payload as u16).to_be_bytes());
            }
            _ => {
                frame.push(mask | 127);
                frame.extend((payload as u64).to_be_bytes());
            }
        }
        frame.extend(std::iter::repeat_n(b'{', payload + if masked { 4 } else { 0 }));
        frame
    }

    #[test]
    fn frames_are_counted_however_they_are_cut() {
        let sizes = [0, 5, 125, 126, 400, 70_000, 1];
        let stream: Vec<u8> =
            REQUEST.iter().copied().chain(sizes.iter().flat_map(|size| frame(*size, true))).collect();
        for cut in [1, 7, 4_096, stream.len()] {
            let mut counter = MessageCounter::default();
            let head = counter.count(&stream[..REQUEST.len()]);
            let frames: u64 = stream[REQUEST.len()..].chunks(cut).map(|part| counter.count(part)).sum();
            assert_eq!((head, frames), (1, sizes.len() as u64), "cut into {cut}");
        }
        let mut counter = MessageCounter::default();
        assert_eq!(counter.count(&stream), 1 + sizes.len() as u64, "the head and frames in one read");
    }

    #[test]
    fn http_is_counted_by_reads() {
        let mut counter = MessageCounter::default();
        let request = b"POST /rpc HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!((counter.count(request), counter.count(request)), (1, 1));
        assert_eq!(counter.count(REQUEST), 1);
        assert_eq!(counter.count(&[frame(3, false), frame(3, false)].concat()), 2);
    }

    #[test]
    fn a_core_is_busy_for_what_its_poll_read() {
        let mut cpus = Cpus::default();
        let host = HostId(3);
        assert_eq!(cpus.begin(3, 1, 0), Turn::Free);
        cpus.set(host, Cpu { per_message: Duration::from_nanos(10), cores: 2 });
        assert_eq!(cpus.begin(4, 1, 0), Turn::Free, "another host");
        assert_eq!(cpus.begin(3, 1, 0), Turn::OnCore);
        assert!(!cpus.has_read(host, 0));
        cpus.charge(host, 3, 0);
        assert!(cpus.has_read(host, 0));
        assert_eq!(cpus.end(3, 0), Some(30));
        assert_eq!(cpus.begin(3, 1, 5), Turn::Wait, "the task itself goes on when its work is done");
        assert_eq!(cpus.begin(3, 2, 5), Turn::OnCore, "another has the other core");
        assert_eq!(cpus.end(3, 5), None, "a poll that reads nothing takes no time");
        assert_eq!(cpus.begin(3, 2, 5), Turn::OnCore);
        cpus.charge(host, 1, 5);
        assert_eq!(cpus.end(3, 5), Some(15));
        assert_eq!((cpus.begin(3, 3, 14), cpus.admits(3, 3, 14)), (Turn::Wait, false));
        assert_eq!(cpus.begin(3, 3, 15), Turn::OnCore);
    }
}
