//! `--trace FILE`: the events of a run on disk.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::Refusal;
use crate::execute::Verdict;
use crate::trace::Sink;

/// A file that is to hold the events of one run.
pub(super) struct TraceFile {
    path: PathBuf,
    sink: Sink,
}

impl TraceFile {
    /// Makes the file, and the folders above it, before anything runs.
    pub(super) fn create(path: &Path, runs: u64) -> Result<Self, Refusal> {
        if runs != 1 {
            return Err(Refusal(format!(
                "--trace {} holds one run, and {runs} are asked for: name one scenario, and one seed with --seed",
                path.display()
            )));
        }
        let folder = path.parent().unwrap_or(Path::new("."));
        let file = fs::create_dir_all(folder).and_then(|()| File::create(path));
        let file = file.map_err(|error| cannot_write(path, &error))?;
        Ok(TraceFile { path: path.to_owned(), sink: Sink::new(file) })
    }

    /// The way into it.
    pub(super) fn sink(&self) -> Sink {
        self.sink.clone()
    }

    /// Says where the trace is; or, where not all of it could be written, what came of the run all the same.
    pub(super) fn tell(&self, untold: Option<&io::Error>, verdict: Verdict) -> Result<(), Refusal> {
        match untold {
            None => println!("trace       {}", self.path.display()),
            Some(error) => {
                let Refusal(why) = cannot_write(&self.path, error);
                let came_of_it = verdict.as_str();
                return Err(Refusal(format!(
                    "{why}; what is there ends in the middle. The run itself went on to its end: {came_of_it}"
                )));
            }
        }
        Ok(())
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> Refusal {
    Refusal(format!("cannot write the trace to {}: {error}", path.display()))
}
