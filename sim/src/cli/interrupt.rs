//! Ctrl-C while many runs go: those under way come to their end, no other begins, and what was done is kept. A second one
//! ends the process at once, as ever.

#![expect(unsafe_code, reason = "the standard library has no way to say what a signal does")]

use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

/// What ends a command early: Ctrl-C, and what whoever runs it sends to have it end.
const SIGNALS: [libc::c_int; 2] = [libc::SIGINT, libc::SIGTERM];

/// Said when it comes.
const WORDS: &[u8] = b"\ncut short: the runs under way come to their end, then what was done is written; once more ends at once\n";

/// What a shell adds to a signal's number to make an exit code of it.
const SHELL_EXIT_BASE: u8 = 128;

/// The signal that came; 0 where none did.
static CAME: AtomicI32 = AtomicI32::new(0);

/// From now on the first of these signals is noted and no more. Those that were ignored stay so.
pub(super) fn take_note() {
    for signal in SIGNALS {
        // SAFETY: both structures are plain data that the calls read or fill; the handler only stores a number and writes
        // a constant text, which is allowed in a handler.
        unsafe {
            let mut before: libc::sigaction = std::mem::zeroed();
            if libc::sigaction(signal, ptr::null(), &raw mut before) == 0
                && before.sa_sigaction != libc::SIG_IGN
            {
                let mut noted: libc::sigaction = std::mem::zeroed();
                noted.sa_sigaction = note as extern "C" fn(libc::c_int) as usize;
                noted.sa_flags = libc::SA_RESETHAND | libc::SA_RESTART;
                libc::sigaction(signal, &raw const noted, ptr::null_mut());
            }
        }
    }
}

extern "C" fn note(signal: libc::c_int) {
    CAME.store(signal, Ordering::Relaxed);
    // SAFETY: the bytes are there for good. Whether anybody reads them does not matter.
    let _ = unsafe { libc::write(libc::STDERR_FILENO, WORDS.as_ptr().cast(), WORDS.len()) };
}

/// Whether it is time to end.
pub(super) fn came() -> bool {
    CAME.load(Ordering::Relaxed) != 0
}

/// The exit code of a command that did not do all of its runs, as shells have it: 130 after Ctrl-C.
pub(super) fn exit_code() -> u8 {
    SHELL_EXIT_BASE + u8::try_from(CAME.load(Ordering::Relaxed)).unwrap_or(0)
}
