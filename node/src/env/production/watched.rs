//! Values read from files that an operator may replace while the node runs.

#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "this is where the world is let in")]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime};

use super::FileError;

/// How often the files are looked at, at most, in milliseconds.
const LOOK_MILLIS: u64 = 1_000;

/// What tells a replaced file from the one that was read.
type Stamp = Option<(SystemTime, u64, u64)>;

type Load<T> = dyn Fn() -> Result<T, FileError> + Send + Sync;

/// A value read from files. It is read anew once they have changed; what cannot be used is logged once, and the value
/// stays what it was.
pub(super) struct Watched<T> {
    files: Vec<PathBuf>,
    load: Box<Load<T>>,
    state: Mutex<State<T>>,
}

struct State<T> {
    value: Arc<T>,
    stamps: Vec<Stamp>,
    looked: Instant,
}

impl<T: Send + Sync + 'static> Watched<T> {
    /// Reads the value for the first time.
    pub(super) fn new(
        files: Vec<PathBuf>,
        load: impl Fn() -> Result<T, FileError> + Send + Sync + 'static,
    ) -> Result<Self, FileError> {
        // Looked at before they are read: a change in between is seen as one.
        let stamps = stamps(&files);
        let state = State { value: Arc::new(load()?), stamps, looked: Instant::now() };
        Ok(Watched { files, load: Box::new(load), state: Mutex::new(state) })
    }

    /// The value, as the files were at most [`LOOK_MILLIS`] ago. Reads them off the async path.
    pub(super) async fn current(self: &Arc<Self>) -> Arc<T> {
        let old = {
            let mut state = self.lock();
            let value = Arc::clone(&state.value);
            if self.files.is_empty() || state.looked.elapsed() < Duration::from_millis(LOOK_MILLIS) {
                return value;
            }
            state.looked = Instant::now();
            value
        };
        let this = Arc::clone(self);
        tokio::task::spawn_blocking(move || this.look()).await.unwrap_or(old)
    }

    fn look(&self) -> Arc<T> {
        let stamps = stamps(&self.files);
        if self.lock().stamps == stamps {
            return Arc::clone(&self.lock().value);
        }
        let read = (self.load)();
        let mut state = self.lock();
        state.stamps = stamps;
        match read {
            Ok(value) => {
                state.value = Arc::new(value);
                let files: Vec<_> = self.files.iter().map(|file| file.display().to_string()).collect();
                tracing::info!("read anew, for it had changed: {}", files.join(", "));
            }
            Err(error) => tracing::error!("{error}; what was read before stays in use"),
        }
        Arc::clone(&state.value)
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().expect("nothing panics with the value")
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Stamp> {
    let stamp = |file: &PathBuf| {
        let found = fs::metadata(file).ok()?;
        Some((found.modified().ok()?, found.len(), found.ino()))
    };
    files.iter().map(stamp).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_is_read_anew_and_a_broken_one_leaves_the_value() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("number");
        fs::write(&file, "1").unwrap();
        let path = file.clone();
        let load = move || {
            let text = fs::read_to_string(&path).map_err(|error| FileError::new("-number", &path, &error))?;
            text.parse::<u32>().map_err(|error| FileError::new("-number", &path, &error))
        };
        let watched = Watched::new(vec![file.clone()], load).unwrap();
        let replace = |text: &str| {
            fs::write(dir.path().join("fresh"), text).unwrap();
            fs::rename(dir.path().join("fresh"), &file).unwrap();
        };
        assert_eq!(*watched.look(), 1);
        replace("2");
        assert_eq!(*watched.look(), 2);
        replace("two");
        assert_eq!(*watched.look(), 2);
        fs::remove_file(&file).unwrap();
        assert_eq!(*watched.look(), 2);
        replace("3");
        assert_eq!(*watched.look(), 3);
    }

    #[test]
    fn what_cannot_be_read_at_the_start_is_an_error() {
        let broken = || Err::<(), _>(FileError::new("-number", std::path::Path::new("file"), &"gone"));
        assert_eq!(Watched::new(Vec::new(), broken).err().unwrap().to_string(), "-number file: gone");
    }
}
