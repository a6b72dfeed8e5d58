//! Whose log line it is, and when: host and virtual time of the run that the current thread belongs to.

use std::cell::{Cell, RefCell};
use std::fmt;

use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

use super::libc_hooks;
use crate::trace::NONE;

const NANOS_PER_MICRO: u64 = 1_000;
const NANOS_PER_SECOND: u64 = 1_000_000_000;

thread_local! {
    static HOST: Cell<u32> = const { Cell::new(NONE) };
    static NAMES: RefCell<Vec<Box<str>>> = const { RefCell::new(Vec::new()) };
}

pub(super) fn set_host(host: u32) {
    HOST.set(host);
}

pub(super) fn add_host(name: &str) {
    NAMES.with_borrow_mut(|names| names.push(name.into()));
}

/// Stamps log lines with virtual time and host: `tracing_subscriber::fmt().with_timer(Stamp)`.
///
/// Outside a run the stamp is empty.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stamp;

impl FormatTime for Stamp {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let Some(now) = libc_hooks::now() else { return Ok(()) };
        let micros = now % NANOS_PER_SECOND / NANOS_PER_MICRO;
        write!(writer, "{:>6}.{micros:06} ", now / NANOS_PER_SECOND)?;
        NAMES.with_borrow(|names| match names.get(HOST.get() as usize) {
            Some(name) => writer.write_str(name),
            None => writer.write_str("-"),
        })
    }
}
