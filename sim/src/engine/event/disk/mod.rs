//! A host's disk: files that outlive processes, and of each what a power cut takes from it.
//!
//! A process writes through [`Disk::put`], SQLite through `vfs` and `operation`. What was written and not synced is
//! undone by [`Disk::power_cut`], down to files that were never synced and to removals.

mod operation;
mod vfs;

use std::collections::BTreeMap;
use std::time::Duration;

pub(in crate::engine) use operation::{DiskError, Operation};
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

    /// Loses what was not synced.
    pub(in crate::engine) fn power_cut(&mut self) {
        self.files.retain(|_, file| {
            file.roll_back();
            file.lasts
        });
        for (name, content) in std::mem::take(&mut self.unlinked) {
            self.files.entry(name).or_insert(File { content, lasts: true, ..File::default() });
        }
    }

    /// Loses everything.
    pub(in crate::engine) fn wipe(&mut self) {
        *self = Disk::default();
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
        let end = at + bytes.len();
        self.remember(at, end);
        if self.content.len() < end {
            self.content.resize(end, 0);
        }
        self.content[at..end].copy_from_slice(bytes);
    }

    fn truncate(&mut self, len: usize) {
        self.remember(len, self.content.len());
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

    fn remember(&mut self, at: usize, end: usize) {
        let len = self.content.len();
        let old = self.content.get(at..end.min(len)).unwrap_or(&[]).into();
        self.unsynced.push(Undo { len, at, old });
    }

    fn roll_back(&mut self) {
        while let Some(Undo { len, at, old }) = self.unsynced.pop() {
            self.content.resize(len, 0);
            if let Some(changed) = self.content.get_mut(at..at + old.len()) {
                changed.copy_from_slice(&old);
            }
        }
    }
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
