//! Baselines on disk: one file for each scenario, called by its name.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use relay_reports::baseline::Baseline;

use super::Refusal;

/// A folder of baselines.
pub struct Baselines {
    folder: PathBuf,
    read: BTreeMap<String, Option<Baseline>>,
}

impl Baselines {
    /// The baselines in `folder`, which are read as they are asked for.
    ///
    /// # Errors
    /// When there is no such folder.
    pub fn in_folder(folder: &Path) -> Result<Self, Refusal> {
        match fs::metadata(folder) {
            Ok(it) if it.is_dir() => Ok(Self { folder: folder.to_owned(), read: BTreeMap::new() }),
            Ok(_) => Err(Refusal(format!("{} is no folder of baselines", folder.display()))),
            Err(error) => Err(Refusal(format!("cannot read {}: {error}", folder.display()))),
        }
    }

    /// Where the baseline of a scenario is.
    pub fn file(&self, scenario: &str) -> PathBuf {
        self.folder.join(format!("{scenario}.json"))
    }

    /// The baseline of a scenario; `None` where it has none.
    ///
    /// # Errors
    /// When the file cannot be read, or is no baseline of this scenario.
    pub fn of(&mut self, scenario: &str) -> Result<Option<&Baseline>, Refusal> {
        if !self.read.contains_key(scenario) {
            let baseline = self.load(scenario)?;
            self.read.insert(scenario.to_owned(), baseline);
        }
        Ok(self.read.get(scenario).and_then(Option::as_ref))
    }

    fn load(&self, scenario: &str) -> Result<Option<Baseline>, Refusal> {
        let file = self.file(scenario);
        let refuse = |what: String| Refusal(format!("{}: {what}", file.display()));
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(refuse(format!("cannot be read: {error}"))),
        };
        let baseline = Baseline::from_json(&text).map_err(|error| refuse(error.to_string()))?;
        if baseline.scenario != scenario {
            return Err(refuse(format!("is the baseline of {}, not of {scenario}", baseline.scenario)));
        }
        Ok(Some(baseline))
    }
}
