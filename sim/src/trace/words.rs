//! What an event means, in words.

use std::time::Duration;

use super::names::Names;
use super::{Event, Kind};

/// Stands for the other end of a connection whose beginning was not seen.
const SOMEBODY: &str = "somebody";

/// The events of a trace in words, by the names that it has.
pub(super) struct Words<'a>(&'a Names);

/// An event for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Virtual time since the start of the run.
    pub at: String,
    /// The host; empty where it is about none.
    pub host: String,
    /// Process, task and the task's number; empty between polls.
    pub task: String,
    /// What happened.
    pub what: String,
}

impl<'a> Words<'a> {
    /// For the events of this trace.
    pub(super) fn new(names: &'a Names) -> Self {
        Words(names)
    }

    /// An event in words.
    pub(super) fn line(&self, event: &Event) -> Line {
        let (host, task) = (self.host(event).to_owned(), self.task(event));
        let what = match event.payload {
            0 => self.what(event),
            // A note says itself what its payload is a hash of.
            _ if event.kind == Kind::Note => self.what(event),
            payload => format!("{} [{payload:016x}]", self.what(event)),
        };
        Line { at: format!("{:.6?}", Duration::from_nanos(event.at)), host, task, what }
    }

    /// The host that it happened on; empty where it is about none.
    pub(super) fn host(&self, event: &Event) -> &'a str {
        self.0.host(event.host).unwrap_or_default()
    }

    /// Process, task and the task's number; empty between polls.
    pub(super) fn task(&self, event: &Event) -> String {
        let task = event.task;
        match (self.0.process(event.process), self.0.task(task.into())) {
            (None, _) => String::new(),
            (Some(process), None) => process.to_owned(),
            (Some(process), Some(name)) if name == process => format!("{name}#{task}"),
            (Some(process), Some(name)) => format!("{process}/{name}#{task}"),
        }
    }

    /// What happened, without the hash of the bytes concerned.
    pub(super) fn what(&self, event: &Event) -> String {
        let Event { a, b, kind, .. } = *event;
        let host = |number: u64| self.0.host(number as u32).unwrap_or("nobody");
        let other = |end: u64| self.0.other(end).unwrap_or(SOMEBODY);
        let task = |number: u64| self.0.task(number).unwrap_or("?");
        let process = |number: u64| self.0.process(number as u32).unwrap_or("?");
        match kind {
            Kind::Poll => "goes on".to_owned(),
            Kind::Spawn => format!("starts task {}#{a}", task(a)),
            Kind::TaskEnd => format!("task {}#{a} ends", task(a)),
            Kind::Panic => format!("task {}#{a} panics", task(a)),
            Kind::ProcessStart => format!("process {}#{a} starts", process(a)),
            Kind::ProcessEnd => {
                let how = ["ends by itself", "is killed", "goes down with the power"];
                let how = how.get(b as usize).copied().unwrap_or("ends");
                format!("process {}#{a} {how}", process(a))
            }
            Kind::Timer => "a timer fires".to_owned(),
            Kind::SegmentSent => format!("sends {b} bytes to {}", other(a)),
            Kind::SegmentDelivered => format!("gets {b} bytes from {}", other(a ^ 1)),
            Kind::SegmentHeld => format!("{b} bytes to {} wait: the way is blocked", other(a)),
            Kind::Dial => format!("dials port {a} of {}", host(b)),
            Kind::Accept => format!("takes a connection of {}", host(b)),
            Kind::Refuse => format!("a dial to port {a} is refused"),
            Kind::DialTimeout => format!("a dial to port {a} is not answered"),
            Kind::Close => format!("closes its side towards {}", other(a)),
            Kind::Reset => format!("the connection with {} is reset", other(a)),
            Kind::DatagramSent => format!("sends a datagram of {b} bytes to port {a}"),
            Kind::DatagramDelivered => format!("gets a datagram of {b} bytes at port {a}"),
            Kind::DatagramDropped => format!("a datagram of {b} bytes for port {a} is lost"),
            Kind::StorageRead => format!("reads {b} bytes from its disk, name {a:016x}"),
            Kind::StorageWrite => format!("writes {b} bytes to its disk, name {a:016x}"),
            Kind::FileWrite => format!("its database writes {b} bytes at {a}"),
            Kind::FileTruncate => format!("its database cuts a file to {a} bytes"),
            Kind::FileSync => "its database syncs a file".to_owned(),
            Kind::FileRemove => "its database removes a file".to_owned(),
            Kind::Fault => match self.0.fault(a) {
                Some(name) => format!("fault: {}", in_words(name)),
                None => format!("fault {a}"),
            },
            Kind::Note => self.0.note(a).unwrap_or_default().to_owned(),
            Kind::DiskFault => {
                let how = ["fails", "is full", "loses a sync", "gives wrong bits", "loses its host's power"];
                format!("its disk {}", how.get(a as usize).copied().unwrap_or("does not do its work"))
            }
            Kind::Busy => format!("a core is busy for {:?}", Duration::from_nanos(a)),
        }
    }
}

/// `PowerCut` as `power cut`.
fn in_words(name: &str) -> String {
    let mut words = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::super::{NONE, Trace};
    use super::*;

    fn told(fill: impl FnOnce(&mut Trace)) -> Vec<Line> {
        let mut trace = Trace::new(true);
        trace.name_host("hub");
        trace.name_host("home");
        trace.name_process("director");
        trace.name_process("relay");
        trace.name_task(0, "director");
        trace.name_task(1, "accept");
        fill(&mut trace);
        let kept = trace.kept.as_ref().unwrap();
        let words = Words::new(&kept.names);
        kept.events.iter().map(|event| words.line(event)).collect()
    }

    #[test]
    fn each_end_of_a_connection_knows_the_other() {
        const DIALLER: u64 = 6;
        const ACCEPTOR: u64 = 7;
        let lines = told(|trace| {
            trace.enter(1, 1);
            trace.emit(5, Kind::Dial, 1, 8080, 0);
            trace.emit(6, Kind::Accept, 0, DIALLER, 1);
            trace.emit(7, Kind::SegmentSent, 1, DIALLER, 100);
            trace.emit(8, Kind::SegmentDelivered, 0, DIALLER, 100);
            trace.emit(9, Kind::SegmentSent, 0, ACCEPTOR, 7);
            trace.emit(9, Kind::SegmentSent, 0, 99, 7);
        });
        let what: Vec<&str> = lines.iter().map(|line| line.what.as_str()).collect();
        assert_eq!(
            what,
            [
                "dials port 8080 of hub",
                "takes a connection of home",
                "sends 100 bytes to hub",
                "gets 100 bytes from home",
                "sends 7 bytes to home",
                "sends 7 bytes to somebody",
            ]
        );
        let first = &lines[0];
        assert_eq!((first.host.as_str(), first.task.as_str()), ("home", "relay/accept#1"));
    }

    #[test]
    fn faults_notes_and_ends_have_names() {
        let lines = told(|trace| {
            trace.name_fault(2, || "PowerCut".into());
            trace.emit(1, Kind::Fault, 0, 2, 0);
            trace.emit(1, Kind::Fault, 0, 3, 0);
            trace.note(2, NONE, "half way");
            trace.emit(3, Kind::ProcessEnd, 0, 1, 2);
            trace.fold(4, Kind::FileSync, 0, [0, 0, 0xab]);
        });
        let what: Vec<&str> = lines.iter().map(|line| line.what.as_str()).collect();
        let sync = "its database syncs a file [00000000000000ab]";
        let power = "process relay#1 goes down with the power";
        assert_eq!(what, ["fault: power cut", "fault 3", "half way", power, sync]);
        assert_eq!((lines[2].host.as_str(), lines[2].task.as_str()), ("", ""), "nobody was polled");
    }
}
