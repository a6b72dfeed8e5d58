//! Events told while they happen: a line each, and none of them kept.

use std::fmt;
use std::io::{self, BufWriter, Write};
use std::sync::{Arc, Mutex, PoisonError};

use super::Event;
use super::names::Names;
use super::words::Words;

/// Bytes that are gathered before they are handed on.
const BUFFER_BYTES: usize = 1 << 20;

/// What the columns of a line are.
const COLUMNS: &str = "# seconds\thost\ttask\tkind\twhat\ta\tb\tpayload";

/// Where the events of one run go as lines. Clones are the same place, and the first run that it is given to takes it:
/// one sink holds one run.
///
/// A line has eight columns with tabs between them: virtual seconds since the start, host, process and task, the
/// [`Kind`](super::Kind), what happened in words, and the event's numbers as they are in the hash; `-` where there is
/// nothing to say. Lines that begin with `#` are about the whole.
#[derive(Clone)]
pub struct Sink(Arc<Mutex<Option<Box<dyn Write + Send>>>>);

impl Sink {
    /// Lines go there, in pieces of a mebibyte at most.
    pub fn new(out: impl Write + Send + 'static) -> Self {
        Sink(Arc::new(Mutex::new(Some(Box::new(out)))))
    }

    fn take(&self) -> Option<Box<dyn Write + Send>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sink")
    }
}

/// The way from a trace to its sink.
pub(super) struct Stream {
    pub(super) names: Names,
    out: BufWriter<Box<dyn Write + Send>>,
    /// The first thing that went wrong: nothing is written any more.
    trouble: Option<io::Error>,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("trouble", &self.trouble).finish_non_exhaustive()
    }
}

impl Stream {
    /// `None` where another run has taken the sink.
    pub(super) fn to(sink: &Sink) -> Option<Self> {
        let out = BufWriter::with_capacity(BUFFER_BYTES, sink.take()?);
        let mut stream = Stream { names: Names::default(), out, trouble: None };
        stream.attempt(|out, _| writeln!(out, "{COLUMNS}"));
        Some(stream)
    }

    /// The event has happened.
    pub(super) fn tell(&mut self, event: &Event) {
        self.names.learn(event);
        self.attempt(|out, names| line(out, names, event));
        self.names.forget(event);
    }

    /// The run is over; returns what went wrong on the way.
    pub(super) fn end(mut self, events: u64, hash: u64) -> Option<io::Error> {
        self.attempt(|out, _| {
            writeln!(out, "# {events} events, trace hash {hash:016x}")?;
            out.flush()
        });
        let Stream { out, trouble, .. } = self;
        if trouble.is_some() {
            // What is in the buffer could not be written: it is not tried again.
            drop(out.into_parts());
        }
        trouble
    }

    fn attempt(
        &mut self,
        write: impl FnOnce(&mut BufWriter<Box<dyn Write + Send>>, &Names) -> io::Result<()>,
    ) {
        if self.trouble.is_none() {
            self.trouble = write(&mut self.out, &self.names).err();
        }
    }
}

fn line(out: &mut impl Write, names: &Names, event: &Event) -> io::Result<()> {
    const NANOS_PER_SECOND: u64 = 1_000_000_000;
    let words = Words::new(names);
    let (seconds, nanos) = (event.at / NANOS_PER_SECOND, event.at % NANOS_PER_SECOND);
    let host = words.host(event);
    let (task, what) = (words.task(event), words.what(event));
    let [host, task, what] = [host, &task, &what].map(cell);
    let Event { a, b, payload, kind, .. } = event;
    writeln!(out, "{seconds}.{nanos:09}\t{host}\t{task}\t{kind:?}\t{what}\t{a}\t{b}\t{payload:016x}")
}

/// A text as one cell: notes may have lines and tabs.
fn cell(text: &str) -> std::borrow::Cow<'_, str> {
    match text {
        "" => "-".into(),
        _ if text.contains(char::is_control) => text.replace(char::is_control, " ").into(),
        _ => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, NONE, Trace};
    use super::*;

    /// A place that several look at, with room for so many bytes.
    #[derive(Clone)]
    struct Disk(Arc<Mutex<Vec<u8>>>, usize);

    impl Disk {
        fn with_room(bytes: usize) -> Self {
            Disk(Arc::default(), bytes)
        }

        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut written = self.0.lock().unwrap();
            if written.len() + bytes.len() > self.1 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            written.extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn run(sink: Option<&Sink>, notes: u64) -> Trace {
        let mut trace = Trace::streaming(false, sink);
        trace.name_host("hub");
        trace.name_process("relay");
        trace.name_task(0, "accept");
        trace.enter(0, 0);
        trace.emit(1_500_000_000, Kind::Dial, 0, 80, 0);
        trace.leave();
        (0..notes).for_each(|at| trace.note(2_000_000_000 + at, NONE, "half\n\tway"));
        trace
    }

    #[test]
    fn each_event_is_a_line_with_its_words_and_numbers_and_the_hash_is_the_same() {
        let disk = Disk::with_room(usize::MAX);
        let sink = Sink::new(disk.clone());
        let (mut told, untold) = (run(Some(&sink), 1), run(None, 1));
        assert_eq!(told.hash(), untold.hash());
        assert!(told.end_stream().is_none());
        let text = disk.text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], COLUMNS);
        let dial = "1.500000000\thub\trelay/accept#0\tDial\tdials port 80 of hub\t80\t0\t0000000000000000";
        assert_eq!(lines[1], dial);
        assert!(lines[2].starts_with("2.000000000\t-\t-\tNote\thalf  way\t0\t0\t"), "{}", lines[2]);
        assert_eq!(lines[3], format!("# 2 events, trace hash {:016x}", told.hash()));
        assert!(told.events().is_empty(), "nothing is kept");
    }

    #[test]
    fn one_sink_holds_one_run() {
        let disk = Disk::with_room(usize::MAX);
        let sink = Sink::new(disk.clone());
        let (mut first, mut second) = (run(Some(&sink), 0), run(Some(&sink), 0));
        assert!(first.end_stream().is_none() && second.end_stream().is_none());
        assert_eq!(disk.text().lines().count(), 3);
    }

    #[test]
    fn a_full_disk_is_told_at_the_end_and_changes_nothing_else() {
        let disk = Disk::with_room(2 * BUFFER_BYTES);
        let sink = Sink::new(disk.clone());
        let mut told = run(Some(&sink), 100_000);
        assert_eq!(told.hash(), run(None, 100_000).hash());
        assert_eq!(told.end_stream().unwrap().kind(), io::ErrorKind::StorageFull);
        assert!(disk.text().len() <= 2 * BUFFER_BYTES);
        assert!(told.end_stream().is_none(), "it is told once");
    }
}
