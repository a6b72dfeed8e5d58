//! Reports on disk: of each run its own, and over several runs an index.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use relay_reports::digest::{CutShort, Digest};
use relay_reports::model::Report;
use relay_reports::{html, junit, markdown};

use super::Refusal;

/// Folders within folders of reports, at most: a folder for each run, and some order above.
const DEPTH_MAX: usize = 6;

/// The page of a run, in its folder.
const PAGE: &str = "report.html";
/// The data of a run, in its folder.
const DATA: &str = "report.json";

/// The reports of one command, below one folder.
pub struct Reports {
    folder: PathBuf,
    /// Several runs have a folder each.
    several: bool,
    runs: Vec<Digest>,
}

impl Reports {
    /// Reports below `folder`, in a folder for each run where there are several.
    pub fn new(folder: PathBuf, several: bool) -> Self {
        Self { folder, several, runs: Vec::new() }
    }

    /// Writes the report of a run. Returns where its page is.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn add(&mut self, report: &Report) -> Result<PathBuf, Refusal> {
        let below = match self.several {
            true => format!("{}-{}/", report.run.scenario.name, report.run.seed),
            false => String::new(),
        };
        let folder = self.folder.join(&below);
        let run = Digest::of(report, Some(format!("{below}{PAGE}")));
        write(&folder.join(DATA), &report.to_json_pretty())?;
        write(&folder.join(PAGE), &html::render(report))?;
        if !self.several {
            write_lists(&folder, std::slice::from_ref(&run), None)?;
        }
        self.runs.push(run);
        Ok(folder.join(PAGE))
    }

    /// Has a run in the lists, without a report of its own.
    pub fn mention(&mut self, report: &Report) {
        self.runs.push(Digest::of(report, None));
    }

    /// Writes the index over several runs, which are all unless they were `cut_short`. Returns where it is, where there is one.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn finish(self, cut_short: Option<CutShort>) -> Result<Option<PathBuf>, Refusal> {
        if !self.several {
            return Ok(None);
        }
        let index = self.folder.join("index.html");
        write(&index, &html::render_index(&self.runs, cut_short))?;
        write_lists(&self.folder, &self.runs, cut_short)?;
        Ok(Some(index))
    }
}

fn write_lists(folder: &Path, runs: &[Digest], cut_short: Option<CutShort>) -> Result<(), Refusal> {
    write(&folder.join("summary.md"), &markdown::render(runs, cut_short))?;
    write(&folder.join("junit.xml"), &junit::render(runs, cut_short))
}

/// Writes a file, and the folders above it.
pub(super) fn write(file: &Path, text: &str) -> Result<(), Refusal> {
    let folder = file.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(file, text))
        .map_err(|error| Refusal(format!("cannot write {}: {error}", file.display())))
}

/// A scenario's name, and a seed.
pub(super) type Key = (String, u64);

/// All reports in a file or below a folder, by scenario and seed.
pub(super) fn read(path: &Path) -> Result<BTreeMap<Key, Report>, Refusal> {
    let mut reports = BTreeMap::new();
    let unreadable = |error| Refusal(format!("cannot read {}: {error}", path.display()));
    if !fs::metadata(path).map_err(unreadable)?.is_dir() {
        read_one(path, &mut reports)?;
        return Ok(reports);
    }
    collect(path, 0, &mut reports)?;
    if reports.is_empty() {
        return Err(Refusal(format!("there is no {DATA} below {}", path.display())));
    }
    Ok(reports)
}

fn collect(folder: &Path, depth: usize, reports: &mut BTreeMap<Key, Report>) -> Result<(), Refusal> {
    let unreadable = |error| Refusal(format!("cannot read {}: {error}", folder.display()));
    let entries = fs::read_dir(folder).map_err(unreadable)?;
    let mut entries: Vec<PathBuf> =
        entries.map(|entry| entry.map(|it| it.path())).collect::<Result<_, _>>().map_err(unreadable)?;
    entries.sort();
    for entry in entries {
        if entry.is_dir() && depth < DEPTH_MAX {
            collect(&entry, depth + 1, reports)?;
        } else if entry.file_name().is_some_and(|name| name == DATA) {
            read_one(&entry, reports)?;
        }
    }
    Ok(())
}

fn read_one(file: &Path, reports: &mut BTreeMap<Key, Report>) -> Result<(), Refusal> {
    let text = fs::read_to_string(file)
        .map_err(|error| Refusal(format!("cannot read {}: {error}", file.display())))?;
    let report = Report::from_json(&text).map_err(|error| Refusal(format!("{}: {error}", file.display())))?;
    let key = (report.run.scenario.name.clone(), report.run.seed);
    match reports.insert(key, report) {
        None => Ok(()),
        Some(twice) => Err(Refusal(format!(
            "{}: there is another report of {} with seed {} beside it",
            file.display(),
            twice.run.scenario.name,
            twice.run.seed
        ))),
    }
}
