//! Where two runs that should be the same part.

use std::fmt;
use std::time::Duration;

use super::{Event, Kind, NONE, Trace};

/// Events shown before the first one that differs.
const CONTEXT_EVENTS: usize = 5;
/// Events shown from the first one that differs on.
const AFTER_EVENTS: usize = 3;

/// The first event in which two traces differ, with what came before and after it on both sides.
///
/// Its `Display` is meant for people.
#[derive(Debug)]
pub struct Divergence {
    /// How many events both have in common.
    pub index: usize,
    common: Vec<String>,
    left: Vec<String>,
    right: Vec<String>,
}

/// Compares two recorded traces; `None` where they are the same.
///
/// Traces that were not recorded have no events to compare and count as the same.
pub fn first_divergence(left: &Trace, right: &Trace) -> Option<Divergence> {
    let (a, b) = (left.events(), right.events());
    let index = a.iter().zip(b).take_while(|(one, two)| one == two).count();
    if index == a.len() && index == b.len() {
        return None;
    }
    let lines = |trace: &Trace, from: usize, to: usize| -> Vec<String> {
        let events = trace.events();
        (from.min(events.len())..to.min(events.len())).map(|at| trace.describe(at)).collect()
    };
    Some(Divergence {
        index,
        common: lines(left, index.saturating_sub(CONTEXT_EVENTS), index),
        left: lines(left, index, index + AFTER_EVENTS),
        right: lines(right, index, index + AFTER_EVENTS),
    })
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the runs part at event {}:", self.index)?;
        for line in &self.common {
            writeln!(f, "    both    {line}")?;
        }
        for (name, lines) in [("first ", &self.left), ("second", &self.right)] {
            if lines.is_empty() {
                writeln!(f, "  > {name}  (ended here)")?;
            }
            for (position, line) in lines.iter().enumerate() {
                writeln!(f, "  {} {name}  {line}", if position == 0 { '>' } else { ' ' })?;
            }
        }
        Ok(())
    }
}

impl Trace {
    /// Event number `index` in words, names resolved.
    fn describe(&self, index: usize) -> String {
        let Some(kept) = &self.kept else { return String::new() };
        let Event { at, a, b, payload, host, process, task, kind } = kept.events[index];
        let mut line = format!("{:>14.6?}", Duration::from_nanos(at));
        let mut field = |label: &str, id: u32, name: Option<&str>| {
            if id != NONE {
                line.push_str(&format!(" {label}={}", name.unwrap_or("?")));
                if label == "task" {
                    line.push_str(&format!("#{id}"));
                }
            }
        };
        field("host", host, kept.hosts.get(host as usize).map(String::as_str));
        field("process", process, kept.processes.get(process as usize).copied());
        field("task", task, kept.tasks.get(task as usize).copied());
        line.push_str(&format!(" {kind:?} a={a} b={b}"));
        if kind == Kind::Note {
            let text = usize::try_from(a).ok().and_then(|number| kept.notes.get(number));
            line.push_str(&format!(" {:?}", text.map_or("", String::as_str)));
        } else if payload != 0 {
            line.push_str(&format!(" payload={payload:016x}"));
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(ports: &[u64]) -> Trace {
        let mut trace = Trace::new(true);
        trace.name_host("hub");
        for (at, port) in ports.iter().enumerate() {
            trace.emit(at as u64 * 1_000_000, Kind::Dial, 0, *port, 0);
        }
        trace
    }

    #[test]
    fn equal_traces_do_not_diverge() {
        assert!(first_divergence(&trace(&[1, 2, 3]), &trace(&[1, 2, 3])).is_none());
    }

    #[test]
    fn the_first_event_that_differs_is_shown_with_its_context_and_names() {
        let found = first_divergence(&trace(&[1, 2, 3, 4]), &trace(&[1, 2, 7, 4])).unwrap();
        assert_eq!(found.index, 2);
        let text = found.to_string();
        assert!(text.contains("both    "), "{text}");
        assert!(text.contains("> first ") && text.contains("host=hub Dial a=3"), "{text}");
        assert!(text.contains("> second") && text.contains("host=hub Dial a=7"), "{text}");
    }

    #[test]
    fn a_trace_that_ends_early_diverges_at_its_end() {
        let found = first_divergence(&trace(&[1, 2]), &trace(&[1])).unwrap();
        assert_eq!(found.index, 1);
        assert!(found.to_string().contains("(ended here)"));
    }
}
