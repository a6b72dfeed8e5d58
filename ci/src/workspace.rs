//! The repository on disk: its root, and the files in it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Refusal;

/// A folder deeper than this is no part of a repository that people read.
const DEPTH_MAX: usize = 32;

/// Marks a folder whose content can be made again, such as cargo's `target`.
const CACHE_MARK: &str = "CACHEDIR.TAG";

/// The workspace's root: the folder given, or the nearest one above the current folder.
pub(crate) fn root(given: Option<PathBuf>) -> Result<PathBuf, Refusal> {
    let start = match given {
        Some(given) => given,
        None => std::env::current_dir()
            .map_err(|error| Refusal(format!("the current folder cannot be read: {error}")))?,
    };
    let is_root = |folder: &&Path| {
        fs::read_to_string(folder.join("Cargo.toml")).is_ok_and(|text| text.contains("[workspace]"))
    };
    start.ancestors().find(is_root).map(Path::to_owned).ok_or_else(|| {
        Refusal(format!(
            "there is no Cargo.toml with a [workspace] in {} or above it; run this inside the repository, or name \
             it with --root",
            start.display()
        ))
    })
}

/// All files below `root` as paths from it with `/`, sorted. Folders of git and of build caches are left out, symbolic
/// links are not followed.
pub(crate) fn files(root: &Path) -> Result<Vec<String>, Refusal> {
    let mut found = Vec::new();
    collect(root, "", 0, &mut found)?;
    found.sort();
    Ok(found)
}

fn collect(folder: &Path, prefix: &str, depth: usize, found: &mut Vec<String>) -> Result<(), Refusal> {
    let wrong = |error| Refusal(format!("cannot read {}: {error}", folder.display()));
    if depth > DEPTH_MAX || folder.join(CACHE_MARK).exists() {
        return Ok(());
    }
    for entry in fs::read_dir(folder).map_err(wrong)? {
        let entry = entry.map_err(wrong)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type().map_err(wrong)?;
        // Cargo marks the folder that it builds in only where it has made it.
        let is_built = depth == 0 && name == "target";
        if kind.is_dir() && name != ".git" && !is_built {
            collect(&entry.path(), &format!("{prefix}{name}/"), depth + 1, found)?;
        } else if kind.is_file() {
            found.push(format!("{prefix}{name}"));
        }
    }
    Ok(())
}

/// The text of a file below `root`.
pub(crate) fn read(root: &Path, file: &str) -> Result<String, Refusal> {
    fs::read_to_string(root.join(file)).map_err(|error| Refusal(format!("cannot read {file}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn build_caches_and_git_are_not_read() {
        let folder = tempfile::tempdir().unwrap();
        for file in ["a/one.rs", "b/two.rs", "b/CACHEDIR.TAG", ".git/config", ".ci/run", "target/three.rs"] {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        assert_eq!(files(folder.path()).unwrap(), [".ci/run", "a/one.rs"]);
    }

    #[test]
    fn the_root_is_found_from_below_and_missed_in_words() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("x/y");
        fs::create_dir_all(&below).unwrap();
        assert!(root(Some(below.clone())).unwrap_err().to_string().contains("--root"));
        fs::write(folder.path().join("Cargo.toml"), "[workspace]\n").unwrap();
        assert_eq!(root(Some(below)).unwrap(), folder.path());
    }
}
