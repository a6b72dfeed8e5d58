//! The scenarios of the repository.

use std::path::{Path, PathBuf};

use super::super::Scenario;

pub(super) fn scenario_files(folder: &Path, found: &mut Vec<PathBuf>) {
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

/// The topology that the reference says its examples fit together with, and a load for gates to judge.
const REFERENCE_BASE: &str = r#"
[[service]]
name = "echo"
kind = "echo"
[[main]]
name = "main-a"
tls = true
[[main]]
name = "main-b"
[[main]]
name = "main-c"
[[home]]
name = "home-a"
count = 2
main = "main-a"
services = ["echo"]
[[home]]
name = "home-b"
count = 2
main = "main-b"
services = ["echo"]
[[load]]
name = "base"
from = "home-*"
by = "service"
service = "echo"
method = "echo"
rate = "1/s"
"#;

#[test]
#[expect(clippy::disallowed_methods, reason = "the test is about files")]
fn every_example_of_the_reference_loads() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/README.md");
    let reference = std::fs::read_to_string(path).expect("the file is readable");
    let examples: Vec<&str> = reference
        .split("```toml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap_or_default())
        .collect();
    let [first, rest @ ..] = examples.as_slice() else { panic!("the reference has examples") };
    assert!(rest.len() >= 12, "one for each section");
    for text in rest.iter().map(|text| format!("{text}{REFERENCE_BASE}")).chain([(*first).to_owned()]) {
        if let Err(error) = Scenario::load("README.md", &text) {
            panic!("{}\nin\n{text}", super::problems(&error));
        }
    }
}
