//! Capsules on disk, each under a name of its own.

use std::fs;
use std::path::{Path, PathBuf};

use super::Refusal;
use super::reports::write;
use crate::replay::Capsule;

/// Capsules of different runs with the same scenario name and seed that a folder holds, at most.
const NAMESAKES_MAX: u32 = 1_000;

/// Keeps a capsule in a folder and returns its file: named after the scenario and the seed, with a number where that is
/// taken by a run of another scenario. What an earlier try of the same run left is replaced.
///
/// # Errors
/// When it cannot be written, or the folder has too many of that name.
pub fn keep(capsule: &Capsule, scenario: &str, folder: &Path) -> Result<PathBuf, Refusal> {
    let files = (1..=NAMESAKES_MAX).map(|number| folder.join(capsule.file_name(scenario, number)));
    for file in files {
        if is_free(&file, capsule) {
            write(&file, &capsule.to_json())?;
            return Ok(file);
        }
    }
    let (folder, name) = (folder.display(), capsule.file_name(scenario, 1));
    Err(Refusal(format!(
        "{folder} has {NAMESAKES_MAX} capsules of other runs that would be called {name}; remove some, or name another \
         folder with --capsules"
    )))
}

/// Whether nothing would be lost there.
fn is_free(file: &Path, capsule: &Capsule) -> bool {
    match fs::read_to_string(file) {
        Ok(text) => Capsule::from_json(&text).is_ok_and(|there| there.is_of_the_same_run(capsule)),
        // Where it is there and cannot be read, writing says why.
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Engine;

    fn capsule(file: &str, text: &str, trace_hash: &str) -> Capsule {
        let example = r#"{"format": 1, "version": "0.1.0", "file": "", "scenario": "", "seed": 7,
                          "verdict": "gate failed", "failures": [], "trace_hash": ""}"#;
        let example = Capsule::from_json(example).unwrap();
        let (file, scenario, trace_hash) = (file.into(), text.into(), trace_hash.into());
        Capsule { file, scenario, trace_hash, ..example }
    }

    #[test]
    fn only_an_earlier_try_of_the_same_run_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let keep = |capsule: &Capsule| keep(capsule, "a", folder.path()).unwrap();
        let name = |number: &str| folder.path().join(format!("a-7{number}.capsule.json"));
        let first = capsule("x/a.toml", "one", "1");
        assert_eq!(keep(&first), name(""));
        assert_eq!(keep(&capsule("y/a.toml", "one", "1")), name("-2"), "another file");
        assert_eq!(keep(&capsule("x/a.toml", "two", "1")), name("-3"), "another text: drawn, or edited");
        let set = vec![("homes".into(), "9".into())];
        assert_eq!(keep(&Capsule { set, ..first.clone() }), name("-4"));
        assert_eq!(keep(&Capsule { engine: Engine::Turmoil, ..first.clone() }), name("-5"));
        assert_eq!(keep(&capsule("x/a.toml", "one", "2")), name(""), "the same, with another build");
        let there = Capsule::from_json(&fs::read_to_string(name("")).unwrap()).unwrap();
        assert_eq!(there.trace_hash, "2");
        fs::write(name("-2"), "what somebody else keeps there").unwrap();
        assert_eq!(keep(&capsule("y/a.toml", "one", "1")), name("-6"));
    }
}
