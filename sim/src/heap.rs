//! Counts the live heap bytes of each thread: of a run, that is, since a run is one thread.
//!
//! Only a program that makes [`Counting`] its global allocator counts; `relay-sim` and `relay-ci` do. What SQLite
//! allocates in C is not seen. Counting is an addition to a thread's own cell, without locks or atomics.

#![expect(
    unsafe_code,
    reason = "an allocator is unsafe by nature; this one passes everything on to the system's"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    // Const and without a destructor: it may be used at any point of a thread's life, and without allocating.
    static LIVE: Cell<Option<i64>> = const { Cell::new(None) };
}

/// The system's allocator, with a count per thread of the bytes that are in use.
pub struct Counting;

/// Bytes that this thread has allocated and not freed, less those of others that it has freed. `None` where nothing
/// counts.
pub fn live_bytes() -> Option<i64> {
    LIVE.get()
}

fn add(bytes: i64) {
    LIVE.set(Some(LIVE.get().unwrap_or(0).wrapping_add(bytes)));
}

/// No allocation is larger than `isize::MAX` bytes.
fn signed(bytes: usize) -> i64 {
    bytes as i64
}

// SAFETY: every method does what the system's allocator does, with the same arguments; counting touches nothing but a
// cell without a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(signed(layout.size()));
        // SAFETY: the caller keeps to the contract of `GlobalAlloc`, which is the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add(signed(layout.size()));
        // SAFETY: as in `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        add(-signed(layout.size()));
        // SAFETY: as in `alloc`.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        add(signed(size) - signed(layout.size()));
        // SAFETY: as in `alloc`.
        unsafe { System.realloc(at, layout, size) }
    }
}
