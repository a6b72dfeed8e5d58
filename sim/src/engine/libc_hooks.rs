//! The C symbols `getrandom` and `clock_gettime`, answered from the run inside a run thread and from the system in
//! every other one.
//!
//! Std's `RandomState`, `Instant` and `SystemTime` and the getrandom crate (0.3 on) come through here, and with them
//! what no seam can reach: hash maps and WebSocket masks of libraries. It does not reach ring or getrandom 0.2.

#![expect(unsafe_code, reason = "C symbols are overridden and the originals called")]

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, c_int, c_uint, c_void};
use std::sync::atomic::{AtomicPtr, Ordering};

use super::random::Bytes;

/// Where the virtual monotonic clock of std starts: late enough that code may subtract days from "now".
const MONOTONIC_ORIGIN_SECONDS: u64 = 1_000_000;
const NANOS_PER_SECOND: u64 = 1_000_000_000;

thread_local! {
    // Const and without destructors: usable at any point of a thread's life, and without allocating.
    static VIRTUAL: Cell<Option<Virtual>> = const { Cell::new(None) };
    static RANDOM: RefCell<Option<Bytes>> = const { RefCell::new(None) };
}

#[derive(Clone, Copy)]
struct Virtual {
    now_nanos: u64,
    unix_start_nanos: u64,
    /// By how much the clocks of the host whose task runs are ahead of the true ones.
    monotonic_ahead: i64,
    unix_ahead: i64,
}

/// Makes time virtual and randomness seeded for the current thread. There is no way back: a run's thread ends with
/// its run.
pub(super) fn enter(seed: u64, unix_start_nanos: u64) {
    // Naming the symbols here makes the linker take them from this library in every program that runs a simulation.
    std::hint::black_box(getrandom as *const () as usize ^ clock_gettime as *const () as usize);
    VIRTUAL.set(Some(Virtual { now_nanos: 0, unix_start_nanos, monotonic_ahead: 0, unix_ahead: 0 }));
    RANDOM.replace(Some(Bytes::new(seed, "ambient randomness")));
}

/// Draws the current thread's randomness from another seed from now on.
pub(super) fn reseed(seed: u64) {
    RANDOM.replace(Some(Bytes::new(seed, "ambient randomness")));
}

/// Moves the current thread's virtual clock.
pub(super) fn set_now(now_nanos: u64) {
    if let Some(time) = VIRTUAL.get() {
        VIRTUAL.set(Some(Virtual { now_nanos, ..time }));
    }
}

/// From here on, the current thread sees the clocks of a host that are so many nanoseconds ahead of the true ones.
pub(super) fn show(monotonic_ahead: i64, unix_ahead: i64) {
    if let Some(time) = VIRTUAL.get() {
        VIRTUAL.set(Some(Virtual { monotonic_ahead, unix_ahead, ..time }));
    }
}

/// The current thread's virtual time, `None` outside a run.
pub(super) fn now() -> Option<u64> {
    VIRTUAL.get().map(|time| time.now_nanos)
}

/// `getrandom(2)`.
///
/// # Safety
/// As the C function: `buffer` must be valid for `length` bytes of writing.
#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(buffer: *mut c_void, length: usize, flags: c_uint) -> isize {
    let seeded = RANDOM.with(|random| {
        let Ok(mut random) = random.try_borrow_mut() else { return false };
        let Some(source) = random.as_mut() else { return false };
        if length > 0 {
            // SAFETY: the caller promises `length` writable bytes at `buffer`; any bit pattern is a valid `u8`.
            source.fill(unsafe { std::slice::from_raw_parts_mut(buffer.cast::<u8>(), length) });
        }
        true
    });
    if seeded {
        return isize::try_from(length).unwrap_or(isize::MAX);
    }
    type Real = unsafe extern "C" fn(*mut c_void, usize, c_uint) -> isize;
    static REAL: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
    match next(&REAL, c"getrandom") {
        // SAFETY: the symbol is libc's `getrandom`, which has this signature; arguments are passed through.
        Some(real) => unsafe { std::mem::transmute::<*mut c_void, Real>(real)(buffer, length, flags) },
        // SAFETY: the system call of the same name and arguments.
        None => unsafe { libc::syscall(libc::SYS_getrandom, buffer, length, flags) as isize },
    }
}

/// `clock_gettime(2)`. CPU-time clocks stay real: nothing that decides reads them.
///
/// # Safety
/// As the C function: `time` must be valid for writing one `timespec`.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> c_int {
    if let Some(run) = VIRTUAL.get() {
        let nanos = match clock {
            libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE | libc::CLOCK_TAI => {
                Some((run.unix_start_nanos + run.now_nanos).saturating_add_signed(run.unix_ahead))
            }
            libc::CLOCK_MONOTONIC
            | libc::CLOCK_MONOTONIC_RAW
            | libc::CLOCK_MONOTONIC_COARSE
            | libc::CLOCK_BOOTTIME => {
                let truth = MONOTONIC_ORIGIN_SECONDS * NANOS_PER_SECOND + run.now_nanos;
                Some(truth.saturating_add_signed(run.monotonic_ahead))
            }
            _ => None,
        };
        if let Some(nanos) = nanos {
            let value = libc::timespec {
                tv_sec: (nanos / NANOS_PER_SECOND) as libc::time_t,
                tv_nsec: (nanos % NANOS_PER_SECOND) as _,
            };
            // SAFETY: the caller promises that `time` is writable.
            unsafe { time.write(value) };
            return 0;
        }
    }
    type Real = unsafe extern "C" fn(libc::clockid_t, *mut libc::timespec) -> c_int;
    static REAL: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
    match next(&REAL, c"clock_gettime") {
        // SAFETY: the symbol is libc's `clock_gettime`, which has this signature; arguments are passed through.
        Some(real) => unsafe { std::mem::transmute::<*mut c_void, Real>(real)(clock, time) },
        // SAFETY: the system call of the same name and arguments.
        None => unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) as c_int },
    }
}

/// The next definition of `symbol` after this program's own, looked up once.
fn next(cache: &AtomicPtr<c_void>, symbol: &CStr) -> Option<*mut c_void> {
    let mut found = cache.load(Ordering::Relaxed);
    if found.is_null() {
        // SAFETY: `symbol` is a C string; RTLD_NEXT is a valid pseudo-handle.
        found = unsafe { libc::dlsym(libc::RTLD_NEXT, symbol.as_ptr()) };
        cache.store(found, Ordering::Relaxed);
    }
    if found.is_null() { None } else { Some(found) }
}
