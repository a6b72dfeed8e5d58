//! A host's disk: files that outlive processes, and of each what a power cut takes from it.
//!
//! A process writes through [`Disk::put`], SQLite through `vfs` and `operation`. What was written and not synced is
//! undone by [`Disk::power_cut`], down to files that were never synced and to removals.

mod operation;
mod trouble;
mod vfs;

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use tokio::sync::oneshot;

pub(in crate::engine) use operation::{DiskError, Operation};
pub use trouble::DiskFaults;
use trouble::{Chance, Countdown, SECTOR_BYTES, Trouble};
pub(in crate::engine) use vfs::open;

/// A world of hosts with disks, as SQLite's file system reaches it.
pub(in crate::engine) trait Disks: Send + Sync {
    /// Does this to the file `name` of the host that `process` runs on.
    fn operate(&self, process: u32, name: &str, operation: Operation<'_>) -> Result<u64, DiskError>;

    /// Virtual wall-clock time, since 1970.
    fn unix(&self) -> Duration;

    /// The run's seed.
    fn seed(&self) -> u64;
}

#[derive(Default)]
pub(in crate::engine) struct Disk {
    files: BTreeMap<String, File>,
    /// Files that were removed while nothing said that the removal must last: what a power cut brings back.
    unlinked: BTreeMap<String, Vec<u8>>,
    /// What it does wrong, where it ever did.
    trouble: Option<Box<Trouble>>,
    /// The operation at which the power is to go.
    countdown: Option<Countdown>,
    /// How long it takes to sync something, in nanoseconds.
    sync_nanos: u64,
    /// Until when it is busy with that.
    busy_until: u64,
}

#[derive(Default)]
struct File {
    content: Vec<u8>,
    /// How to undo what was not synced, the latest last.
    unsynced: Vec<Undo>,
    /// Whether the file itself survives a power cut: it was synced once.
    lasts: bool,
    /// Who has it locked.
    holder: Option<Holder>,
}

/// Who holds a file: an open file of a process. Files of dead processes hold nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) process: u32,
    pub(super) open: u64,
}

/// Takes one change of a file back.
struct Undo {
    /// The file's length before.
    len: usize,
    /// Where it was changed.
    at: usize,
    /// What was there before, up to the end at that time.
    old: Box<[u8]>,
    /// How many bytes were written there; `None`: the file was made another length, and ended there.
    wrote: Option<usize>,
}

/// A change that may have reached the disk although it was not synced.
enum Redo {
    Write(usize, Box<[u8]>),
    Truncate(usize),
}

impl Disk {
    /// A small value, whole.
    pub(in crate::engine) fn value(&self, name: &str) -> Option<&[u8]> {
        self.file(name).map(|file| file.content.as_slice())
    }

    /// Replaces a small value, atomically and for good.
    pub(in crate::engine) fn put(&mut self, name: &str, value: &[u8]) {
        let file = File { content: value.to_vec(), lasts: true, ..File::default() };
        self.sync_directory();
        self.files.insert(name.to_owned(), file);
    }

    /// The names of all files, sorted.
    pub(in crate::engine) fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// Replaces a small value, atomically; a power cut takes it back.
    fn put_unsynced(&mut self, name: &str, value: &[u8]) {
        if self.files.contains_key(name) {
            // It is there: nothing else can fail.
            let _ = self.remove(name, false);
        }
        let mut file = File::default();
        file.write(0, value);
        self.files.insert(name.to_owned(), file);
    }

    /// Loses what was not synced; where writes are torn, not all of it.
    pub(in crate::engine) fn power_cut(&mut self) {
        self.countdown = None;
        self.busy_until = 0;
        let mut tears = self.trouble.as_deref_mut().map(|trouble| &mut trouble.torn_write);
        self.files.retain(|_, file| {
            match &mut tears {
                Some(chance) => file.tear(chance),
                None => file.roll_back(),
            }
            file.lasts
        });
        for (name, content) in std::mem::take(&mut self.unlinked) {
            let stays_removed = tears.as_mut().is_some_and(|chance| chance.strikes() && chance.coin());
            if !stays_removed {
                self.files.entry(name).or_insert(File { content, lasts: true, ..File::default() });
            }
        }
    }

    /// Loses everything.
    pub(in crate::engine) fn wipe(&mut self) {
        self.files.clear();
        self.unlinked.clear();
    }

    /// Says what it does wrong from now on.
    pub(super) fn set_faults(&mut self, faults: DiskFaults, seed: u64, host: &str) {
        self.trouble.get_or_insert_with(|| Box::new(Trouble::new(seed, host))).set(faults);
    }

    /// What it does wrong is drawn from another seed from now on.
    pub(super) fn reseed(&mut self, seed: u64, host: &str) {
        if let Some(trouble) = &mut self.trouble {
            trouble.turn(seed, host);
        }
    }

    /// Has the power go at the operation of this number, from 1. Who waits for the answer is told, unless it does not.
    pub(super) fn cut_power_at(&mut self, operation: u32) -> oneshot::Receiver<()> {
        let (told, answer) = oneshot::channel();
        self.countdown = Some(Countdown { left: operation.max(1), told });
        answer
    }

    /// Takes that back.
    pub(super) fn keep_power(&mut self) {
        self.countdown = None;
    }

    /// Says how long it takes to sync something, in nanoseconds.
    pub(super) fn set_sync_time(&mut self, nanos: u64) {
        self.sync_nanos = nanos;
    }

    /// Until when it syncs something, where it does.
    fn busy_until(&self, now: u64) -> Option<u64> {
        (self.busy_until > now).then_some(self.busy_until)
    }

    /// Begins one more sync, after those before it: until when it takes, where it takes any time.
    fn sync_until(&mut self, now: u64) -> Option<u64> {
        if self.sync_nanos > 0 {
            self.busy_until = self.busy_until.max(now).saturating_add(self.sync_nanos);
        }
        self.busy_until(now)
    }

    /// Whether anything can go wrong at all.
    fn may_fail(&self) -> bool {
        self.trouble.is_some() || self.countdown.is_some()
    }

    /// Counts one operation. Whether it is the one at which the power goes.
    fn counts_down(&mut self) -> bool {
        let Some(countdown) = &mut self.countdown else { return false };
        countdown.left -= 1;
        if countdown.left > 0 {
            return false;
        }
        if let Some(countdown) = self.countdown.take() {
            // Nobody need wait for it.
            let _ = countdown.told.send(());
        }
        true
    }

    /// Whether the operation needs room that is not taken yet.
    fn grows(&self, name: &str, operation: &Operation<'_>) -> bool {
        let len = self.file(name).map(|file| file.content.len());
        match operation {
            Operation::Open(creates) => *creates && len.is_none(),
            Operation::Write(at, bytes) => len.is_none_or(|len| at + bytes.len() > len),
            Operation::Truncate(wanted) => len.is_none_or(|len| *wanted > len),
            // Written beside the old one, which it then replaces.
            Operation::Put(_) => true,
            _ => false,
        }
    }

    /// What of the file the operation reads, where that is anything.
    fn rots(&self, name: &str, operation: &Operation<'_>) -> Option<Range<usize>> {
        let len = self.file(name)?.content.len();
        let read = match operation {
            Operation::Read(at, into) => *at..(at + into.len()).min(len),
            Operation::Load(_) => 0..len,
            _ => return None,
        };
        (!read.is_empty()).then_some(read)
    }

    fn file(&self, name: &str) -> Option<&File> {
        self.files.get(name)
    }

    fn found(&mut self, name: &str) -> Result<&mut File, DiskError> {
        self.files.get_mut(name).ok_or(DiskError::NoSuchFile)
    }

    fn create(&mut self, name: &str) {
        if !self.files.contains_key(name) {
            self.files.insert(name.to_owned(), File::default());
        }
    }

    fn remove(&mut self, name: &str, for_good: bool) -> Result<(), DiskError> {
        let mut file = self.files.remove(name).ok_or(DiskError::NoSuchFile)?;
        if for_good {
            self.sync_directory();
        } else if file.lasts {
            file.roll_back();
            self.unlinked.insert(name.to_owned(), file.content);
        }
        Ok(())
    }

    fn sync(&mut self, name: &str) -> Result<(), DiskError> {
        let file = self.found(name)?;
        let is_first = !file.lasts;
        file.sync();
        if is_first {
            // As SQLite does on Unix, where a new file's name is only on disk once its directory is.
            self.sync_directory();
        }
        Ok(())
    }

    /// What was removed so far stays removed.
    fn sync_directory(&mut self) {
        self.unlinked.clear();
    }
}

impl File {
    /// Fills `into` from `at` on; what lies beyond the end is left. Returns how many bytes there were.
    fn read(&self, at: usize, into: &mut [u8]) -> usize {
        let from = self.content.get(at..).unwrap_or(&[]);
        let len = from.len().min(into.len());
        into[..len].copy_from_slice(&from[..len]);
        len
    }

    /// Writes `bytes` at `at`; a gap before it is filled with zeros.
    fn write(&mut self, at: usize, bytes: &[u8]) {
        self.remember(at, at + bytes.len(), Some(bytes.len()));
        self.overwrite(at, bytes);
    }

    fn overwrite(&mut self, at: usize, bytes: &[u8]) {
        let end = at + bytes.len();
        if self.content.len() < end {
            self.content.resize(end, 0);
        }
        self.content[at..end].copy_from_slice(bytes);
    }

    fn truncate(&mut self, len: usize) {
        self.remember(len, self.content.len(), None);
        self.content.resize(len, 0);
    }

    fn sync(&mut self) {
        self.unsynced = Vec::new();
        self.lasts = true;
    }

    /// Whoever gives a file back leaves it alone for long: thousands of hosts keep one each.
    fn give_back(&mut self, holder: Holder) {
        if self.holder == Some(holder) {
            self.holder = None;
            self.content.shrink_to_fit();
        }
    }

    fn remember(&mut self, at: usize, end: usize, wrote: Option<usize>) {
        let len = self.content.len();
        let old = self.content.get(at..end.min(len)).unwrap_or(&[]).into();
        self.unsynced.push(Undo { len, at, old, wrote });
    }

    fn roll_back(&mut self) {
        while let Some(last) = self.unsynced.pop() {
            self.take_back(last);
        }
    }

    fn take_back(&mut self, Undo { len, at, old, .. }: Undo) {
        self.content.resize(len, 0);
        if let Some(changed) = self.content.get_mut(at..at + old.len()) {
            changed.copy_from_slice(&old);
        }
    }

    /// As [`roll_back`](Self::roll_back); of the changes that this strikes some sectors are on disk nevertheless.
    fn tear(&mut self, chance: &mut Chance) {
        let mut changes = Vec::new();
        while let Some(last) = self.unsynced.pop() {
            changes.push(match last.wrote {
                Some(bytes) => {
                    let written = self.content.get(last.at..last.at + bytes).unwrap_or(&[]);
                    Redo::Write(last.at, written.into())
                }
                None => Redo::Truncate(last.at),
            });
            self.take_back(last);
        }
        if !self.lasts {
            self.lasts = chance.strikes() && chance.coin();
        }
        for change in changes.into_iter().rev().filter(|_| chance.strikes()).collect::<Vec<_>>() {
            match change {
                Redo::Truncate(len) if chance.coin() => self.content.resize(len, 0),
                Redo::Truncate(_) => {}
                Redo::Write(at, bytes) => {
                    for (from, sector) in sectors(at, &bytes) {
                        if chance.coin() {
                            self.overwrite(from, sector);
                        }
                    }
                }
            }
        }
    }
}

/// What is written at `at`, cut where sectors end.
fn sectors(at: usize, bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let first = (SECTOR_BYTES - at % SECTOR_BYTES).min(bytes.len());
    let (head, rest) = bytes.split_at(first);
    let rest = rest.chunks(SECTOR_BYTES).enumerate();
    let rest = rest.map(move |(number, sector)| (at + first + number * SECTOR_BYTES, sector));
    std::iter::once((at, head)).chain(rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(content: &[u8]) -> File {
        let mut file = File { content: content.to_vec(), ..File::default() };
        file.sync();
        file
    }

    #[test]
    fn reads_stop_at_the_end_and_writes_beyond_it_leave_zeros() {
        let mut file = file(b"abc");
        file.write(5, b"xy");
        assert_eq!(file.content, b"abc\0\0xy");
        let mut got = [b'.'; 4];
        assert_eq!(file.read(5, &mut got), 2);
        assert_eq!(&got, b"xy..");
        assert_eq!(file.read(7, &mut got), 0);
        assert_eq!(file.read(100, &mut got), 0);
    }

    #[test]
    fn a_power_cut_takes_files_that_were_never_synced_and_brings_removed_ones_back() {
        let mut disk = Disk::default();
        disk.put("value", b"1");
        for name in ["synced", "removed", "removed for good"] {
            let file = disk.files.entry(name.into()).or_default();
            file.write(0, b"old");
            file.sync();
            file.write(1, b"NEW!");
        }
        disk.files.entry("fresh".into()).or_default().write(0, b"fresh");
        disk.files.insert("journal".into(), file(b"of old"));
        disk.remove("journal", false).unwrap();
        disk.remove("removed for good", true).expect("and with it the journal");
        disk.remove("removed", false).unwrap();
        disk.remove("removed", false).unwrap_err();
        disk.power_cut();
        assert_eq!(disk.names().collect::<Vec<_>>(), ["removed", "synced", "value"]);
        assert_eq!(disk.value("removed").unwrap(), b"old");
        assert_eq!(disk.value("synced").unwrap(), b"old");
    }

    #[test]
    fn the_first_sync_of_a_file_makes_removals_last() {
        let mut disk = Disk::default();
        disk.put("journal", b"1");
        disk.remove("journal", false).unwrap();
        disk.files.entry("log".into()).or_default().write(0, b"log");
        disk.sync("log").unwrap();
        disk.power_cut();
        assert_eq!(disk.names().collect::<Vec<_>>(), ["log"]);
        disk.remove("log", false).unwrap();
        disk.sync("log").unwrap_err();
    }

    #[derive(Clone, Debug)]
    enum Step {
        Write(usize, Vec<u8>),
        Truncate(usize),
        Sync,
    }

    fn a_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0..40_usize, prop::collection::vec(any::<u8>(), 0..20)).prop_map(|(at, bytes)| Step::Write(at, bytes)),
            2 => (0..60_usize).prop_map(Step::Truncate),
            1 => Just(Step::Sync),
        ]
    }

    proptest! {
        #[test]
        fn what_was_last_synced_is_there_after_a_power_cut(steps in prop::collection::vec(a_step(), 0..40)) {
            let mut disk = Disk::default();
            let mut synced = None;
            for step in steps {
                let file = disk.files.entry("file".into()).or_default();
                match step {
                    Step::Write(at, bytes) => file.write(at, &bytes),
                    Step::Truncate(len) => file.truncate(len),
                    Step::Sync => {
                        file.sync();
                        synced = Some(file.content.clone());
                    }
                }
            }
            disk.power_cut();
            prop_assert_eq!(disk.value("file"), synced.as_deref());
        }
    }
}
