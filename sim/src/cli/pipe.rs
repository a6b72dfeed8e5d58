//! What becomes of a command whose reader goes away.

#![expect(unsafe_code, reason = "the standard library has no way to set what a signal does")]

/// Has the process end as others do when nobody reads its output any more: `relay-sim schema | head`. Without it
/// printing panics, for Rust programs start with the signal ignored. To be called first of all.
pub fn end_with_the_reader() {
    // SAFETY: the default action is set, no handler; no other thread runs yet that could do the same.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}
