//! What events refer to by number.

use std::collections::BTreeMap;
use std::ops::Range;

use super::{Event, Kind, NONE};

/// The names behind an event's numbers, and who is at the ends of each connection. No hash maps: they would draw from the
/// run's randomness.
#[derive(Debug, Default)]
pub(super) struct Names {
    hosts: Vec<String>,
    processes: Vec<&'static str>,
    /// By number: the task's process, and its name.
    tasks: BTreeMap<u32, (u32, &'static str)>,
    next_task: u32,
    /// By [`end`]: the host at the other end of a connection.
    others: BTreeMap<u64, u32>,
    notes: BTreeMap<u64, String>,
    /// What a [`Kind::Fault`] says, by its first detail.
    faults: BTreeMap<u64, String>,
    over: Over,
}

/// What has come to its end at a moment, and may be spoken of until the next.
#[derive(Debug, Default)]
struct Over {
    at: u64,
    tasks: Vec<u32>,
    processes: Vec<u32>,
    note: Option<u64>,
}

/// An end of a connection as a key: those that had one slot after each other lie together, in order.
fn end(id: u64) -> u64 {
    id.rotate_left(u32::BITS)
}

/// Those that had the slot of this end before it.
fn earlier_ends(id: u64) -> Range<u64> {
    let key = end(id);
    key & !u64::from(u32::MAX)..key
}

impl Names {
    pub(super) fn add_host(&mut self, name: &str) {
        self.hosts.push(name.to_owned());
    }

    pub(super) fn add_process(&mut self, name: &'static str) {
        self.processes.push(name);
    }

    /// The next task, which is of this process.
    pub(super) fn add_task(&mut self, process: u32, name: &'static str) {
        self.tasks.insert(self.next_task, (process, name));
        self.next_task += 1;
    }

    pub(super) fn add_note(&mut self, number: u64, text: &str) {
        self.notes.insert(number, text.to_owned());
    }

    pub(super) fn add_fault(&mut self, fault: u64, name: impl FnOnce() -> String) {
        self.faults.entry(fault).or_insert_with(name);
    }

    /// Learns from an event who is at the ends of a connection.
    pub(super) fn learn(&mut self, event: &Event) {
        if event.kind == Kind::Accept {
            self.add_ends(event.a, event.b as u32, event.host);
        }
    }

    /// The hosts at the two ends of a connection, which differ in the last bit: at this one, and at the other.
    pub(super) fn add_ends(&mut self, side: u64, host: u32, other: u32) {
        self.others.insert(end(side), other);
        self.others.insert(end(side ^ 1), host);
    }

    /// Forgets what no later event can speak of: for those who tell events as they happen. Called with each event, in
    /// order.
    pub(super) fn forget(&mut self, event: &Event) {
        if event.at > self.over.at {
            for task in self.over.tasks.drain(..) {
                self.tasks.remove(&task);
            }
            let dead = std::mem::take(&mut self.over.processes);
            if !dead.is_empty() {
                self.tasks.retain(|_, (process, _)| !dead.contains(process));
            }
        }
        if let Some(note) = self.over.note.take() {
            self.notes.remove(&note);
        }
        self.over.at = event.at;
        match event.kind {
            Kind::TaskEnd => self.over.tasks.push(event.a as u32),
            Kind::ProcessEnd => self.over.processes.push(event.a as u32),
            Kind::Note => self.over.note = Some(event.a),
            Kind::Accept => {
                for id in [event.a, event.a ^ 1] {
                    let earlier: Vec<u64> =
                        self.others.range(earlier_ends(id)).map(|(key, _)| *key).collect();
                    for key in earlier {
                        self.others.remove(&key);
                    }
                }
            }
            _ => {}
        }
    }

    pub(super) fn host(&self, number: u32) -> Option<&str> {
        (number != NONE).then(|| self.hosts.get(number as usize).map(String::as_str))?
    }

    pub(super) fn process(&self, number: u32) -> Option<&'static str> {
        (number != NONE).then(|| self.processes.get(number as usize).copied())?
    }

    pub(super) fn task(&self, number: u64) -> Option<&'static str> {
        self.tasks.get(&u32::try_from(number).ok()?).map(|(_, name)| *name)
    }

    /// The host at the other end of a connection.
    pub(super) fn other(&self, side: u64) -> Option<&str> {
        self.others.get(&end(side)).and_then(|host| self.host(*host))
    }

    pub(super) fn note(&self, number: u64) -> Option<&str> {
        self.notes.get(&number).map(String::as_str)
    }

    pub(super) fn fault(&self, fault: u64) -> Option<&str> {
        self.faults.get(&fault).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(at: u64, kind: Kind, a: u64) -> Event {
        Event { at, a, b: 0, payload: 0, host: 0, process: NONE, task: NONE, kind }
    }

    #[test]
    fn what_is_over_is_forgotten_with_the_next_moment_and_the_rest_is_kept() {
        let mut names = Names::default();
        for number in 0..1_000 {
            names.add_task(number as u32 % 2, "call");
            names.add_note(number, "said");
            names.forget(&event(number, Kind::Note, number));
            assert_eq!(names.note(number), Some("said"), "it was to be told first");
            names.forget(&event(number, Kind::Timer, number));
            if number % 4 == 0 {
                names.forget(&event(number, Kind::TaskEnd, number));
                assert_eq!(names.task(number), Some("call"), "its last events are to come");
            }
        }
        assert_eq!((names.notes.len(), names.tasks.len()), (0, 750));
        names.forget(&event(2_000, Kind::ProcessEnd, 1));
        names.forget(&event(2_001, Kind::Timer, 0));
        assert_eq!(
            (names.tasks.len(), names.task(2), names.task(3)),
            (250, Some("call"), None),
            "of the other process"
        );
    }

    #[test]
    fn who_had_a_connections_slot_before_is_forgotten() {
        let mut names = Names::default();
        names.add_host("hub");
        for generation in 0..100 {
            for slot in 0..3 {
                let accept = event(generation, Kind::Accept, generation << 32 | slot << 1);
                names.learn(&accept);
                names.forget(&accept);
            }
        }
        assert_eq!(names.others.len(), 6);
        assert_eq!((names.other(99 << 32 | 5), names.other(98 << 32 | 5)), (Some("hub"), None));
    }
}
