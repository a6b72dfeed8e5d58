//! What is kept from one night to the next, as a JSON file that people can read and merge.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::Refusal;

/// The file in the state's folder.
const FILE: &str = "coverage.json";

/// Far beyond the seeds that CI runs for each change.
const FIRST_SEED: u64 = 1_000_000;

/// Where the seeds stand, and what has been seen.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    /// The first seed that no night has used.
    pub(super) next_seed: u64,
    /// What has been seen, and when first.
    seen: BTreeMap<String, String>,
}

impl Default for State {
    fn default() -> Self {
        State { next_seed: FIRST_SEED, seen: BTreeMap::new() }
    }
}

impl State {
    /// The state in `folder`; a new one where there is none.
    pub(super) fn read(folder: &Path) -> Result<Self, Refusal> {
        let path = folder.join(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(State::default()),
            Err(error) => return Err(Refusal(format!("cannot read {}: {error}", path.display()))),
        };
        serde_json::from_str(&text).map_err(|error| {
            Refusal(format!(
                "{}: {error}; remove the file to begin again at seed {FIRST_SEED}",
                path.display()
            ))
        })
    }

    /// Writes it to `folder`, whole or not at all.
    pub(super) fn write(&self, folder: &Path) -> Result<(), Refusal> {
        let path = folder.join(FILE);
        let new = folder.join(format!("{FILE}.new"));
        let text = serde_json::to_string_pretty(self).expect("it is plain JSON") + "\n";
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(&new, text))
            .and_then(|()| fs::rename(&new, &path))
            .map_err(|error| Refusal(format!("cannot write {}: {error}", path.display())))
    }

    /// Whether it has been seen.
    pub(super) fn has(&self, what: &str) -> bool {
        self.seen.contains_key(what)
    }

    /// Adds what was seen, and returns what is new. `when` says where to find it.
    pub(super) fn add(&mut self, when: &str, seen: impl IntoIterator<Item = String>) -> Vec<String> {
        let mut fresh = Vec::new();
        for what in seen {
            if !self.has(&what) {
                self.seen.insert(what.clone(), when.to_owned());
                fresh.push(what);
            }
        }
        fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_and_what_was_seen_last_from_night_to_night() {
        let folder = tempfile::tempdir().unwrap();
        let mut state = State::read(folder.path()).unwrap();
        assert_eq!(state.next_seed, FIRST_SEED);
        state.next_seed += 5;
        let both = ["fault: crash".to_owned(), "call: success".to_owned()];
        assert_eq!(state.add("seed 1", both.clone()), both);
        state.write(folder.path()).unwrap();
        let mut again = State::read(folder.path()).unwrap();
        assert_eq!(again, state);
        assert_eq!(again.add("seed 2", both), Vec::<String>::new());
    }

    #[test]
    fn a_broken_file_is_refused_in_words() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), "{").unwrap();
        let error = State::read(folder.path()).unwrap_err().to_string();
        assert!(error.contains("remove the file"), "{error}");
    }
}
