//! Scenario files on disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use comfy_table::{Table, presets};

use super::args::Setting;
use super::{EXIT_USAGE, Refusal};
use crate::replay::Capsule;
use crate::scenario::Scenario;

/// A folder deeper than this is a loop of links.
const DEPTH_MAX: usize = 16;

/// All scenarios below these paths, sorted within each folder.
pub(super) fn load(paths: &[PathBuf], set: &[Setting]) -> Result<Vec<Arc<Scenario>>, Refusal> {
    let mut scenarios = Vec::new();
    for file in find(paths)? {
        scenarios.push(Arc::new(read(&file, set)?));
    }
    Ok(scenarios)
}

/// `relay-sim check`.
pub(super) fn check(paths: &[PathBuf], set: &[Setting]) -> Result<u8, Refusal> {
    let mut wrong = 0;
    let files = find(paths)?;
    for file in &files {
        match read(file, set) {
            Ok(_) => println!("{}: fine", file.display()),
            Err(refusal) => {
                eprintln!("{refusal}");
                wrong += 1;
            }
        }
    }
    println!("{} scenarios, {wrong} with problems", files.len());
    Ok(if wrong == 0 { 0 } else { EXIT_USAGE })
}

/// `relay-sim list`.
pub(super) fn list(paths: &[PathBuf]) -> Result<u8, Refusal> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header([
        "scenario",
        "virtual time",
        "mains",
        "homes",
        "what it shows",
    ]);
    for scenario in load(paths, &[])? {
        let hosts = &scenario.topology.hosts;
        let mains = hosts.iter().filter(|(_, host)| host.is_main()).count();
        table.add_row([
            scenario.source.name.clone(),
            relay_chaos::quantity::duration::format(scenario.run.duration),
            mains.to_string(),
            (hosts.len() - mains).to_string(),
            scenario.description.clone(),
        ]);
    }
    println!("{}", table.trim_fmt());
    Ok(0)
}

/// The scenario of a text that came from elsewhere than a file.
pub(super) fn parse(name: &str, text: &str, set: &[Setting]) -> Result<Scenario, Refusal> {
    Scenario::load_with(name, text, set).map_err(|error| Refusal(format!("{:?}", miette::Report::new(error))))
}

/// The capsule in a file.
pub(super) fn capsule(file: &Path) -> Result<Capsule, Refusal> {
    let name = file.display();
    let text = fs::read_to_string(file).map_err(|error| Refusal(format!("cannot read {name}: {error}")))?;
    Capsule::from_json(&text).map_err(|error| Refusal(format!("{name}: {error}")))
}

pub(super) fn read(file: &Path, set: &[Setting]) -> Result<Scenario, Refusal> {
    let name = file.display().to_string();
    let text = fs::read_to_string(file).map_err(|error| Refusal(format!("cannot read {name}: {error}")))?;
    parse(&name, &text, set)
}

fn find(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Refusal> {
    let mut files = Vec::new();
    for path in paths {
        let before = files.len();
        collect(path, 0, &mut files)
            .map_err(|error| Refusal(format!("cannot read {}: {error}", path.display())))?;
        if files.len() == before {
            return Err(Refusal(format!("there is no scenario (*.toml) below {}", path.display())));
        }
    }
    Ok(files)
}

fn collect(path: &Path, depth: usize, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if !fs::metadata(path)?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let mut entries: Vec<PathBuf> =
        fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    entries.sort();
    for entry in entries {
        let wanted = entry.is_dir() || entry.extension().is_some_and(|extension| extension == "toml");
        if wanted && depth < DEPTH_MAX {
            collect(&entry, depth + 1, files)?;
        }
    }
    Ok(())
}
