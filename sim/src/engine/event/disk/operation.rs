//! What a process does to a file. Everything that it does to its disk passes [`Disks::operate`], in the event engine
//! [`State::operate`]: what goes wrong with disks goes wrong there.

use std::io::{self, ErrorKind};
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

use super::super::core::Core;
use super::super::host::ProcessKind;
use super::super::link::HostId;
use super::super::state::State;
use super::{Disk, Disks, Holder};
use crate::trace::{Kind, NONE};

/// One operation on a file. What it gives is a number: see each.
pub(in crate::engine) enum Operation<'a> {
    /// Opens the file, for which the process needs a descriptor until it closes it; with `true`, made where there is none.
    Open(bool),
    /// Closes one open file of the process, and gives back what it had locked.
    Close(u64),
    /// 1 where the file exists, 0 where not.
    Exists,
    /// The file's length in bytes.
    Len,
    /// Fills the buffer from this offset on. Gives how many bytes there were.
    Read(usize, &'a mut [u8]),
    /// Writes at this offset.
    Write(usize, &'a [u8]),
    /// Makes the file this long.
    Truncate(usize),
    /// Makes what was written survive a power cut.
    Sync,
    /// Removes the file; with `true`, a power cut does not bring it back.
    Remove(bool),
    /// Takes the file for one open file of the process. 1 where another has it, 0 where it is taken now.
    Lock(u64),
    /// Gives the file back.
    Unlock(u64),
    /// Reads a small value, whole; `None` where there is none.
    Load(&'a mut Option<Vec<u8>>),
    /// Replaces a small value, atomically and for good.
    Put(&'a [u8]),
}

/// Why an operation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum DiskError {
    /// The process is dead: it has no disk any more.
    Dead,
    /// There is no such file.
    NoSuchFile,
    /// There is no room.
    Full,
    /// The disk does not work.
    Failed,
    /// The process may open no more files.
    NoDescriptor,
}

impl Operation<'_> {
    /// Whether it opens a file: one that a process keeps open, or one that is closed again when it is done.
    fn opens(&self) -> bool {
        matches!(self, Operation::Open(_) | Operation::Load(_) | Operation::Put(_))
    }
}

impl From<DiskError> for io::Error {
    /// As the operating system says it.
    fn from(error: DiskError) -> Self {
        match error {
            DiskError::Dead => io::Error::new(ErrorKind::NotConnected, "the process has ended"),
            DiskError::NoSuchFile => ErrorKind::NotFound.into(),
            DiskError::Full => io::Error::from_raw_os_error(libc::ENOSPC),
            DiskError::Failed => io::Error::from_raw_os_error(libc::EIO),
            DiskError::NoDescriptor => io::Error::from_raw_os_error(libc::EMFILE),
        }
    }
}

/// What went wrong, as traces have it.
#[derive(Clone, Copy)]
enum Mishap {
    Failed,
    Full,
    LostSync,
    BitRot,
    PowerCut,
    NoDescriptor,
}

impl Disks for Core {
    fn operate(&self, process: u32, name: &str, operation: Operation<'_>) -> Result<u64, DiskError> {
        self.lock().operate(process, name, operation)
    }

    fn unix(&self) -> Duration {
        Core::unix(self, HostId(NONE))
    }

    fn seed(&self) -> u64 {
        Core::seed(self)
    }
}

impl State {
    /// Does this to the file `name` of the host that `process` runs on.
    pub(in super::super) fn operate(
        &mut self,
        process: u32,
        name: &str,
        operation: Operation<'_>,
    ) -> Result<u64, DiskError> {
        if !self.processes.alive(process) {
            return Err(DiskError::Dead);
        }
        let (host, kind) = (self.processes.list[process as usize].host, self.processes.kind(process));
        if operation.opens() && self.check_descriptors(process).is_err() {
            self.note_mishap(host, name, Mishap::NoDescriptor);
            return Err(DiskError::NoDescriptor);
        }
        // What a test does on a host for its own ends goes well.
        let is_touched = kind == ProcessKind::Node && self.hosts.get(host).disk.may_fail();
        if is_touched && self.strikes(host, name, &operation)? {
            return Ok(0);
        }
        self.note_operation(host, name, &operation);
        let is_sync = matches!(operation, Operation::Sync | Operation::Put(_));
        let opens = match operation {
            Operation::Open(_) => 1,
            Operation::Close(_) => -1,
            _ => 0,
        };
        let (disk, processes) = (&mut self.hosts.get_mut(host).disk, &self.processes);
        let done = disk.perform(process, name, operation, |other| processes.alive(other));
        if opens < 0 || done.is_ok() {
            let files = &mut self.processes.list[process as usize].files;
            *files = files.saturating_add_signed(opens);
        }
        let done = done?;
        if is_sync {
            self.wait_for_disk(host, kind);
        }
        Ok(done)
    }

    /// Lets happen to this operation what is to go wrong. `true` where it seems to have gone well and has done nothing, or
    /// all that it ever will.
    fn strikes(&mut self, host: HostId, name: &str, operation: &Operation<'_>) -> Result<bool, DiskError> {
        if matches!(operation, Operation::Lock(_) | Operation::Unlock(_) | Operation::Close(_)) {
            // The kernel's alone.
            return Ok(false);
        }
        let disk = &mut self.hosts.get_mut(host).disk;
        if disk.counts_down() {
            if let Operation::Write(at, bytes) = operation {
                // Some of it may be there afterwards, where writes are torn.
                disk.found(name)?.write(*at, bytes);
            }
            self.note_mishap(host, name, Mishap::PowerCut);
            self.lose_power(host);
            return Err(DiskError::Dead);
        }
        let (grows, rots) = (disk.grows(name, operation), disk.rots(name, operation));
        let Some(trouble) = &mut disk.trouble else { return Ok(false) };
        if trouble.io_error.strikes() {
            self.note_mishap(host, name, Mishap::Failed);
            return Err(DiskError::Failed);
        }
        if grows && trouble.full.strikes() {
            self.note_mishap(host, name, Mishap::Full);
            return Err(DiskError::Full);
        }
        match operation {
            Operation::Sync if trouble.lost_sync.strikes() => {
                self.note_mishap(host, name, Mishap::LostSync);
                Ok(true)
            }
            Operation::Put(value) if trouble.lost_sync.strikes() => {
                self.note_mishap(host, name, Mishap::LostSync);
                self.hosts.get_mut(host).disk.put_unsynced(name, value);
                Ok(true)
            }
            _ => {
                if let Some(range) = rots
                    && trouble.bit_rot.strikes()
                {
                    let bit = trouble.bit_rot.pick(range.len() * 8);
                    disk.found(name)?.content[range.start + bit / 8] ^= 1 << (bit % 8);
                    self.note_mishap(host, name, Mishap::BitRot);
                }
                Ok(false)
            }
        }
    }

    /// What is synced takes time: whoever waits for the task that is polled goes on when the disk is done.
    fn wait_for_disk(&mut self, host: HostId, kind: ProcessKind) {
        let now = self.timeline.now;
        if kind == ProcessKind::Node
            && let Some(until) = self.hosts.get_mut(host).disk.sync_until(now)
        {
            self.processes.aftermath.wait_until(until);
        }
    }

    /// Until when the host's disk syncs something, where it does.
    pub(in super::super) fn disk_busy_until(&self, host: HostId) -> Option<u64> {
        self.hosts.get(host).disk.busy_until(self.timeline.now)
    }

    /// Into the trace goes what changes the disk, without the bytes: SQLite draws some of them by itself.
    fn note_operation(&mut self, host: HostId, name: &str, operation: &Operation<'_>) {
        let (kind, a, b) = match operation {
            Operation::Write(at, bytes) => (Kind::FileWrite, *at, bytes.len()),
            Operation::Truncate(len) => (Kind::FileTruncate, *len, 0),
            Operation::Sync => (Kind::FileSync, 0, 0),
            Operation::Remove(for_good) => (Kind::FileRemove, usize::from(*for_good), 0),
            Operation::Put(value) => {
                let (now, name) = (self.timeline.now, xxh3_64(name.as_bytes()));
                return self.trace.emit_bytes(now, Kind::StorageWrite, host.0, name, value);
            }
            _ => return,
        };
        let now = self.timeline.now;
        self.trace.fold(now, kind, host.0, [a as u64, b as u64, xxh3_64(name.as_bytes())]);
    }

    fn note_mishap(&mut self, host: HostId, name: &str, what: Mishap) {
        let (now, name) = (self.timeline.now, xxh3_64(name.as_bytes()));
        self.trace.fold(now, Kind::DiskFault, host.0, [what as u64, 0, name]);
    }
}

impl Disk {
    /// Does this to a file, for a living process. `alive` tells which other processes live: files that dead ones had
    /// locked are free.
    pub(in crate::engine) fn perform(
        &mut self,
        process: u32,
        name: &str,
        operation: Operation<'_>,
        alive: impl Fn(u32) -> bool,
    ) -> Result<u64, DiskError> {
        match operation {
            Operation::Open(true) => self.create(name),
            Operation::Open(false) => return self.found(name).map(|_| 0),
            Operation::Exists => return Ok(self.file(name).is_some().into()),
            Operation::Len => return self.found(name).map(|file| file.content.len() as u64),
            Operation::Read(at, into) => return self.found(name).map(|file| file.read(at, into) as u64),
            Operation::Write(at, bytes) => self.found(name)?.write(at, bytes),
            Operation::Truncate(len) => self.found(name)?.truncate(len),
            Operation::Sync => self.sync(name)?,
            Operation::Remove(for_good) => self.remove(name, for_good)?,
            Operation::Lock(open) => {
                let (me, file) = (Holder { process, open }, self.found(name)?);
                match file.holder {
                    Some(other) if other != me && alive(other.process) => return Ok(1),
                    _ => file.holder = Some(me),
                }
            }
            Operation::Unlock(open) | Operation::Close(open) => {
                self.found(name)?.give_back(Holder { process, open });
            }
            Operation::Load(into) => *into = self.value(name).map(<[u8]>::to_vec),
            Operation::Put(value) => self.put(name, value),
        }
        Ok(0)
    }
}
