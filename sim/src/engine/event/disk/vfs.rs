//! SQLite's file system on the simulated disks, <https://sqlite.org/vfs.html>.
//!
//! One for the whole program: a file's path says which process opens it, `PROCESS/NAME`, and each thread runs one world.
//! Nothing here reads a real clock, real randomness or a real file. Memory shared between processes and mapped files are
//! missing: databases are held exclusively.

#![expect(unsafe_code, reason = "SQLite calls back with raw pointers")]

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::io;
use std::path::Path;
use std::ptr;
use std::sync::{Arc, Once, Weak};

use relay_node::env::open_database;
use rusqlite::{Connection, ffi};

use super::super::random::derive;
use super::Disks;
use super::operation::{DiskError, Operation};

const NAME: &CStr = c"relay-simulated-disk";

/// Longest path, with its end mark, in bytes.
const PATH_BYTES_MAX: usize = 512;

/// As SQLite assumes of real disks.
const SECTOR_BYTES: c_int = 4_096;

const MILLIS_PER_DAY: f64 = 86_400_000.0;

/// 1970-01-01T00:00Z as a Julian day.
const UNIX_EPOCH_JULIAN_DAY: f64 = 2_440_587.5;

thread_local! {
    /// The world that this thread runs.
    static WORLD: RefCell<Option<Weak<dyn Disks>>> = const { RefCell::new(None) };
    /// Open files so far: names each.
    static OPENED: Cell<u64> = const { Cell::new(0) };
}

/// Opens the database `name` on the disk of the host that `process` runs on.
pub(in crate::engine) fn open<W: Disks + 'static>(
    world: &Arc<W>,
    process: u32,
    name: &str,
) -> io::Result<Connection> {
    register();
    let world: Weak<dyn Disks> = Arc::<W>::downgrade(world);
    WORLD.set(Some(world));
    let path = format!("{process}/{name}");
    open_database(Path::new(&path), Some(NAME.to_str().expect("plain letters")))
        .map_err(|error| io::Error::new(error.kind(), format!("{name}: {error}")))
}

fn world() -> Option<Arc<dyn Disks>> {
    WORLD.with_borrow(|world| world.as_ref()?.upgrade())
}

/// Process and name out of a path.
fn parts(path: &str) -> Option<(u32, &str)> {
    let (process, name) = path.split_once('/')?;
    Some((process.parse().ok()?, name))
}

/// An open file. It refers to its world weakly: a connection that outlives its world finds no disk.
struct OpenFile {
    world: Weak<dyn Disks>,
    process: u32,
    name: String,
    number: u64,
}

impl OpenFile {
    fn operate(&self, operation: Operation<'_>) -> Result<u64, DiskError> {
        let world = self.world.upgrade().ok_or(DiskError::Dead)?;
        world.operate(self.process, &self.name, operation)
    }
}

/// What SQLite is told; `failed` where the disk does not work.
fn code(done: Result<u64, DiskError>, failed: c_int) -> c_int {
    match done {
        Ok(_) => ffi::SQLITE_OK,
        Err(DiskError::Dead | DiskError::Failed) => failed,
        Err(DiskError::Full) => ffi::SQLITE_FULL,
        Err(DiskError::NoDescriptor) => ffi::SQLITE_CANTOPEN,
        Err(DiskError::NoSuchFile) => ffi::SQLITE_IOERR_DELETE_NOENT,
    }
}

/// What SQLite keeps of an open file, in memory of its own.
#[repr(C)]
struct Handle {
    base: ffi::sqlite3_file,
    /// A leaked box, taken back by [`close`].
    file: *mut OpenFile,
}

const METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 1,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: None,
    xShmLock: None,
    xShmBarrier: None,
    xShmUnmap: None,
    xFetch: None,
    xUnfetch: None,
};

static IO_METHODS: ffi::sqlite3_io_methods = METHODS;

/// Makes the file system known to SQLite, for as long as the program runs.
fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let vfs = Box::leak(Box::new(ffi::sqlite3_vfs {
            iVersion: 1,
            szOsFile: size_of::<Handle>() as c_int,
            mxPathname: PATH_BYTES_MAX as c_int,
            pNext: ptr::null_mut(),
            zName: NAME.as_ptr(),
            pAppData: ptr::null_mut(),
            xOpen: Some(open_file),
            xDelete: Some(delete),
            xAccess: Some(access),
            xFullPathname: Some(full_pathname),
            xDlOpen: None,
            xDlError: None,
            xDlSym: None,
            xDlClose: None,
            xRandomness: Some(randomness),
            xSleep: Some(sleep),
            xCurrentTime: Some(current_time),
            xGetLastError: Some(last_error),
            xCurrentTimeInt64: None,
            xSetSystemCall: None,
            xGetSystemCall: None,
            xNextSystemCall: None,
        }));
        // SAFETY: the structure is whole, lives for ever, and from here on is SQLite's alone.
        let code = unsafe { ffi::sqlite3_vfs_register(vfs, 0) };
        assert_eq!(code, ffi::SQLITE_OK, "SQLite takes one more file system");
    });
}

/// The open file behind a handle.
///
/// # Safety
/// `file` must be one that [`open_file`] has filled and [`close`] has not taken back.
unsafe fn opened<'a>(file: *mut ffi::sqlite3_file) -> &'a OpenFile {
    // SAFETY: the caller promises that `file` is the start of a `Handle` whose box lives; nobody has it mutably.
    unsafe { &*(*file.cast::<Handle>()).file }
}

/// A path that SQLite gives: ours, or what was appended to ours.
///
/// # Safety
/// `path` must be null or a C string that outlives the result.
unsafe fn text<'a>(path: *const c_char) -> Option<&'a str> {
    if path.is_null() {
        return None;
    }
    // SAFETY: the caller promises a C string.
    unsafe { CStr::from_ptr(path) }.to_str().ok()
}

/// # Safety
/// As SQLite calls it: `file` has room for a [`Handle`]; `flags_out` is null or writable.
unsafe extern "C" fn open_file(
    _vfs: *mut ffi::sqlite3_vfs,
    path: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    flags_out: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gives a C string or null, and room for as many bytes as the VFS has asked for. What it sees there
    // first says that there is nothing to close.
    let path = unsafe {
        (*file).pMethods = ptr::null();
        text(path)
    };
    // Without a name it would be a temporary file: with the settings of `open_database` there are none.
    let (Some((process, name)), Some(world)) = (path.and_then(parts), world()) else {
        return ffi::SQLITE_CANTOPEN;
    };
    let number = OPENED.get();
    OPENED.set(number + 1);
    let open = OpenFile { world: Arc::downgrade(&world), process, name: name.to_owned(), number };
    drop(world);
    let creates = flags & ffi::SQLITE_OPEN_CREATE != 0;
    if open.operate(Operation::Open(creates)).is_err() {
        return ffi::SQLITE_CANTOPEN;
    }
    // SAFETY: as above; the handle is whole once its methods are set.
    unsafe {
        (*file.cast::<Handle>()).file = Box::into_raw(Box::new(open));
        (*file).pMethods = &raw const IO_METHODS;
        if !flags_out.is_null() {
            *flags_out = flags;
        }
    }
    ffi::SQLITE_OK
}

/// # Safety
/// As SQLite calls it: once for each file that was opened, and last.
unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: the box was leaked by `open_file` and is taken back here only.
    let open = unsafe { Box::from_raw((*file.cast::<Handle>()).file) };
    // A dead process holds nothing any more.
    let _ = open.operate(Operation::Close(open.number));
    ffi::SQLITE_OK
}

/// # Safety
/// As SQLite calls it: `into` has room for `len` bytes.
unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    into: *mut c_void,
    len: c_int,
    at: ffi::sqlite3_int64,
) -> c_int {
    // SAFETY: SQLite owns `len` writable bytes at `into`; it has written all of them before, or does not mind.
    let (file, into) = unsafe {
        into.write_bytes(0, len as usize);
        (opened(file), std::slice::from_raw_parts_mut(into.cast::<u8>(), len as usize))
    };
    // What lies beyond the end must read as zeros.
    match file.operate(Operation::Read(at as usize, into)) {
        Ok(read) if read < len as u64 => ffi::SQLITE_IOERR_SHORT_READ,
        Ok(_) => ffi::SQLITE_OK,
        Err(_) => ffi::SQLITE_IOERR_READ,
    }
}

/// # Safety
/// As SQLite calls it: there are `len` bytes at `from`.
unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    from: *const c_void,
    len: c_int,
    at: ffi::sqlite3_int64,
) -> c_int {
    // SAFETY: SQLite gives an open file and `len` readable bytes.
    let (file, bytes) =
        unsafe { (opened(file), std::slice::from_raw_parts(from.cast::<u8>(), len as usize)) };
    code(file.operate(Operation::Write(at as usize, bytes)), ffi::SQLITE_IOERR_WRITE)
}

/// # Safety
/// As SQLite calls it, with an open file.
unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, len: ffi::sqlite3_int64) -> c_int {
    // SAFETY: the file is open.
    code(unsafe { opened(file) }.operate(Operation::Truncate(len as usize)), ffi::SQLITE_IOERR_TRUNCATE)
}

/// # Safety
/// As SQLite calls it, with an open file.
unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _flags: c_int) -> c_int {
    // SAFETY: the file is open.
    code(unsafe { opened(file) }.operate(Operation::Sync), ffi::SQLITE_IOERR_FSYNC)
}

/// # Safety
/// As SQLite calls it, with an open file and room for its length.
unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, len: *mut ffi::sqlite3_int64) -> c_int {
    // SAFETY: the file is open.
    let found = unsafe { opened(file) }.operate(Operation::Len);
    if let Ok(found) = found {
        // SAFETY: SQLite gives a place to write to.
        unsafe { *len = found.cast_signed() };
    }
    code(found, ffi::SQLITE_IOERR_FSTAT)
}

/// # Safety
/// As SQLite calls it, with an open file.
unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, _level: c_int) -> c_int {
    // SAFETY: the file is open.
    let file = unsafe { opened(file) };
    match file.operate(Operation::Lock(file.number)) {
        Ok(0) => ffi::SQLITE_OK,
        Ok(_) => ffi::SQLITE_BUSY,
        Err(_) => ffi::SQLITE_IOERR_LOCK,
    }
}

/// # Safety
/// As SQLite calls it, with an open file.
unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    // SAFETY: the file is open.
    let file = unsafe { opened(file) };
    // All locks but none are one: there is never more than one reader.
    if level == ffi::SQLITE_LOCK_NONE {
        return code(file.operate(Operation::Unlock(file.number)), ffi::SQLITE_IOERR_UNLOCK);
    }
    ffi::SQLITE_OK
}

/// # Safety
/// As SQLite calls it, with an open file and room for the answer.
unsafe extern "C" fn check_reserved_lock(_file: *mut ffi::sqlite3_file, is_reserved: *mut c_int) -> c_int {
    // SAFETY: SQLite gives a place to write to. It asks only while it has the file locked, and then nobody else has.
    unsafe { *is_reserved = 0 };
    ffi::SQLITE_OK
}

/// # Safety
/// Touches nothing.
unsafe extern "C" fn file_control(_file: *mut ffi::sqlite3_file, _op: c_int, _arg: *mut c_void) -> c_int {
    ffi::SQLITE_NOTFOUND
}

/// # Safety
/// Touches nothing.
unsafe extern "C" fn sector_size(_file: *mut ffi::sqlite3_file) -> c_int {
    SECTOR_BYTES
}

/// # Safety
/// Touches nothing.
unsafe extern "C" fn device_characteristics(_file: *mut ffi::sqlite3_file) -> c_int {
    // As SQLite assumes of real disks.
    ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE
}

/// # Safety
/// As SQLite calls it, with a C string.
unsafe extern "C" fn delete(_vfs: *mut ffi::sqlite3_vfs, path: *const c_char, sync_dir: c_int) -> c_int {
    // SAFETY: SQLite gives a C string.
    let path = unsafe { text(path) };
    let (Some((process, name)), Some(world)) = (path.and_then(parts), world()) else {
        return ffi::SQLITE_IOERR_DELETE;
    };
    code(world.operate(process, name, Operation::Remove(sync_dir != 0)), ffi::SQLITE_IOERR_DELETE)
}

/// # Safety
/// As SQLite calls it, with a C string and room for the answer.
unsafe extern "C" fn access(
    _vfs: *mut ffi::sqlite3_vfs,
    path: *const c_char,
    _flags: c_int,
    exists: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gives a C string.
    let path = unsafe { text(path) };
    let (Some((process, name)), Some(world)) = (path.and_then(parts), world()) else {
        return ffi::SQLITE_IOERR_ACCESS;
    };
    let found = world.operate(process, name, Operation::Exists);
    if let Ok(found) = found {
        // SAFETY: SQLite gives a place to write to.
        unsafe { *exists = found as c_int };
    }
    code(found, ffi::SQLITE_IOERR_ACCESS)
}

/// # Safety
/// As SQLite calls it: `path` is a C string, `out` has room for `room` bytes.
unsafe extern "C" fn full_pathname(
    _vfs: *mut ffi::sqlite3_vfs,
    path: *const c_char,
    room: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: SQLite gives a C string.
    let path = unsafe { CStr::from_ptr(path) }.to_bytes_with_nul();
    if path.len() > room as usize {
        return ffi::SQLITE_CANTOPEN;
    }
    // SAFETY: there is room, and the two do not overlap.
    unsafe { ptr::copy_nonoverlapping(path.as_ptr().cast(), out, path.len()) };
    ffi::SQLITE_OK
}

/// # Safety
/// As SQLite calls it, with room for `len` bytes.
unsafe extern "C" fn randomness(_vfs: *mut ffi::sqlite3_vfs, len: c_int, out: *mut c_char) -> c_int {
    let seed = world().map_or([0; 32], |world| derive(world.seed(), &[b"sqlite"]));
    let len = (len as usize).min(seed.len());
    // SAFETY: there is room for at least as many bytes.
    unsafe { ptr::copy_nonoverlapping(seed.as_ptr().cast(), out, len) };
    len as c_int
}

/// # Safety
/// Touches nothing.
unsafe extern "C" fn sleep(_vfs: *mut ffi::sqlite3_vfs, micros: c_int) -> c_int {
    // Virtual time stands still while a task runs.
    micros
}

/// # Safety
/// As SQLite calls it, with room for the answer.
unsafe extern "C" fn current_time(_vfs: *mut ffi::sqlite3_vfs, julian_day: *mut f64) -> c_int {
    let Some(world) = world() else { return ffi::SQLITE_ERROR };
    // SAFETY: SQLite gives a place to write to.
    unsafe {
        *julian_day = UNIX_EPOCH_JULIAN_DAY + world.unix().as_millis() as f64 / MILLIS_PER_DAY;
    };
    ffi::SQLITE_OK
}

/// # Safety
/// Touches nothing.
unsafe extern "C" fn last_error(_vfs: *mut ffi::sqlite3_vfs, _len: c_int, _out: *mut c_char) -> c_int {
    0
}
