//! What a process does to a file. Everything that a database does to its disk passes [`Disks::operate`], in the event
//! engine [`State::operate`]: what goes wrong with disks goes wrong there.

use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

use super::super::core::Core;
use super::super::state::State;
use super::{Disk, Disks, Holder};
use crate::trace::Kind;

/// One operation on a file. What it gives is a number: see each.
pub(in crate::engine) enum Operation<'a> {
    /// Makes the file where there is none.
    Create,
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
}

/// Why an operation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum DiskError {
    /// The process is dead: it has no disk any more.
    Dead,
    /// There is no such file.
    NoSuchFile,
}

impl Disks for Core {
    fn operate(&self, process: u32, name: &str, operation: Operation<'_>) -> Result<u64, DiskError> {
        self.lock().operate(process, name, operation)
    }

    fn unix(&self) -> Duration {
        Core::unix(self)
    }

    fn seed(&self) -> u64 {
        Core::seed(self)
    }
}

impl State {
    /// Does this to the file `name` of the host that `process` runs on.
    fn operate(&mut self, process: u32, name: &str, operation: Operation<'_>) -> Result<u64, DiskError> {
        if !self.processes.alive(process) {
            return Err(DiskError::Dead);
        }
        self.note_operation(process, name, &operation);
        let host = self.processes.list[process as usize].host;
        let (disk, processes) = (&mut self.hosts.get_mut(host).disk, &self.processes);
        disk.perform(process, name, operation, |other| processes.alive(other))
    }

    /// Into the trace goes what changes the disk, without the bytes: SQLite draws some of them by itself.
    fn note_operation(&mut self, process: u32, name: &str, operation: &Operation<'_>) {
        let (kind, a, b) = match operation {
            Operation::Write(at, bytes) => (Kind::FileWrite, *at, bytes.len()),
            Operation::Truncate(len) => (Kind::FileTruncate, *len, 0),
            Operation::Sync => (Kind::FileSync, 0, 0),
            Operation::Remove(for_good) => (Kind::FileRemove, usize::from(*for_good), 0),
            _ => return,
        };
        let (now, host) = (self.timeline.now, self.processes.list[process as usize].host);
        self.trace.fold(now, kind, host.0, [a as u64, b as u64, xxh3_64(name.as_bytes())]);
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
            Operation::Create => self.create(name),
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
            Operation::Unlock(open) => self.found(name)?.give_back(Holder { process, open }),
        }
        Ok(0)
    }
}
