//! The scenarios of the repository.

use std::path::{Path, PathBuf};

use super::super::Scenario;

fn scenario_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in folder.read_dir().expect("the folder is readable") {
        let path = entry.expect("the entry is readable").path();
        if path.is_dir() {
            scenario_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            found.push(path);
        }
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test is about files")]
fn every_scenario_of_the_repository_loads() {
    let mut files = Vec::new();
    scenario_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios"), &mut files);
    assert!(files.len() >= 6, "{files:?}");
    for path in files {
        let text = std::fs::read_to_string(&path).expect("the file is readable");
        let name = path.display().to_string();
        let scenario =
            Scenario::load(&name, &text).unwrap_or_else(|error| panic!("{:?}", miette::Report::new(error)));
        let stem = path.file_stem().map(|stem| stem.display().to_string());
        assert_eq!(Some(&scenario.name), stem.as_ref(), "a file is called as its scenario");
        assert!(!scenario.description.is_empty(), "{name} says what it is for");
    }
}
