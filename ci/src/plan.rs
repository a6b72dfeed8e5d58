//! `ci/gates.toml`: which scenarios run, with which seeds, and which are compared event by event.

use std::ops::{Range, RangeInclusive};
use std::path::Path;
use std::sync::Arc;

use relay_sim::scenario::Scenario;
use serde::Deserialize;
use toml::Spanned;

use crate::{Refusal, workspace};

/// The plan's file, from the root.
pub(crate) const FILE: &str = "ci/gates.toml";

/// Where scenarios are. Each of them is covered by the plan, or skipped by it with a reason.
const SCENARIOS: &str = "scenarios/";

/// Seeds of one scenario, at most: more belong into a longer run than this one.
const SEEDS_MAX: u64 = 100_000;

/// What is to be run, in the plan's order.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The scenarios.
    pub(crate) entries: Vec<Entry>,
    /// Scenarios that are not run, and why.
    pub(crate) skipped: Vec<(String, String)>,
}

/// One scenario and its seeds.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The scenario's file, from the root.
    pub(crate) file: String,
    /// The scenario.
    pub(crate) scenario: Arc<Scenario>,
    /// The seeds that its gates are judged with.
    pub(crate) seeds: RangeInclusive<u64>,
    /// The seeds that are run again and compared.
    pub(crate) determinism: Option<RangeInclusive<u64>>,
    /// Why it is not compared with the reference engine, where it is not to be.
    pub(crate) event_only: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    run: Vec<Run>,
    #[serde(default)]
    skip: Vec<Skip>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Run {
    path: Spanned<String>,
    seeds: Spanned<String>,
    determinism: Option<Spanned<String>>,
    event_only: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Skip {
    path: Spanned<String>,
    reason: Spanned<String>,
}

impl Plan {
    /// Reads the plan of the repository at `root`, and every scenario that it names.
    pub(crate) fn read(root: &Path) -> Result<Self, Refusal> {
        let text = workspace::read(root, FILE)?;
        let mut files = workspace::files(root)?;
        files.retain(|file| file.starts_with(SCENARIOS) && file.ends_with(".toml"));
        Plan::of(&text, &files, |file| {
            let text = workspace::read(root, file)?;
            Scenario::load(file, &text).map_err(|error| Refusal(format!("{:?}", miette::Report::new(error))))
        })
    }

    /// The plan that `text` describes, where `files` are all scenarios there are.
    fn of(
        text: &str,
        files: &[String],
        load: impl Fn(&str) -> Result<Scenario, Refusal>,
    ) -> Result<Self, Refusal> {
        let file: File = toml::from_str(text).map_err(|error| wrong(text, error.span(), error.message()))?;
        let paths: Vec<&Spanned<String>> =
            file.run.iter().map(|run| &run.path).chain(file.skip.iter().map(|skip| &skip.path)).collect();
        for (at, path) in paths.iter().enumerate() {
            if paths[..at].iter().any(|earlier| earlier.get_ref() == path.get_ref()) {
                return Err(wrong(text, Some(path.span()), &format!("`{}` is named twice", path.get_ref())));
            }
            if !files.iter().any(|file| covers(path.get_ref(), file)) {
                let what = format!("there is no scenario at `{}`; paths count from the root", path.get_ref());
                return Err(wrong(text, Some(path.span()), &what));
            }
        }
        // The longest path that covers a file decides: a file's own entry goes before its folder's.
        let decides = |path: &Spanned<String>, file: &str| {
            let best = paths
                .iter()
                .filter(|path| covers(path.get_ref(), file))
                .max_by_key(|path| path.get_ref().len());
            best.is_some_and(|best| best.get_ref() == path.get_ref())
        };
        if let Some(file) = files.iter().find(|file| !paths.iter().any(|path| covers(path.get_ref(), file))) {
            return Err(Refusal(format!(
                "{FILE}: nothing covers {file}: a scenario that is never run rots. Add it, or its folder, under \
                 [[run]], or under [[skip]] with the reason"
            )));
        }
        let mut plan = Plan { entries: Vec::new(), skipped: Vec::new() };
        for run in &file.run {
            let seeds = seeds(text, &run.seeds)?;
            let determinism = run.determinism.as_ref().map(|range| self::seeds(text, range)).transpose()?;
            let event_only = run.event_only.as_ref();
            if let Some(reason) = event_only.filter(|reason| reason.get_ref().trim().is_empty()) {
                return Err(wrong(text, Some(reason.span()), "say why it is for the event engine only"));
            }
            for file in files.iter().filter(|file| decides(&run.path, file)) {
                plan.entries.push(Entry {
                    file: file.clone(),
                    scenario: Arc::new(load(file)?),
                    seeds: seeds.clone(),
                    determinism: determinism.clone(),
                    event_only: event_only.map(|reason| reason.get_ref().clone()),
                });
            }
        }
        for skip in &file.skip {
            if skip.reason.get_ref().trim().is_empty() {
                return Err(wrong(text, Some(skip.reason.span()), "say why it is skipped"));
            }
            let covered = files.iter().filter(|file| decides(&skip.path, file));
            plan.skipped.extend(covered.map(|file| (file.clone(), skip.reason.get_ref().clone())));
        }
        Ok(plan)
    }

    /// Leaves only what `path`, a scenario file or a folder, covers.
    pub(crate) fn keep_only(&mut self, path: &str) -> Result<(), Refusal> {
        self.entries.retain(|entry| covers(path.trim_end_matches('/'), &entry.file));
        match self.entries.is_empty() {
            true => Err(Refusal(format!("{FILE} runs no scenario at `{path}`; paths count from the root"))),
            false => Ok(()),
        }
    }
}

/// Whether a path of the plan stands for this file: the file itself, or a folder above it.
fn covers(path: &str, file: &str) -> bool {
    file.strip_prefix(path.trim_end_matches('/')).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// `"7"` or `"1..100"`, both ends included.
fn seeds(text: &str, written: &Spanned<String>) -> Result<RangeInclusive<u64>, Refusal> {
    let range = written.get_ref();
    let refuse = |what: &str| wrong(text, Some(written.span()), &format!("`{range}` {what}"));
    let (first, last) = range.split_once("..").unwrap_or((range, range));
    let (Ok(first), Ok(last)) = (first.parse::<u64>(), last.parse::<u64>()) else {
        return Err(refuse("is no range of seeds; write for example 1..100"));
    };
    if first > last {
        return Err(refuse("is empty: the first seed is greater than the last"));
    }
    if last - first >= SEEDS_MAX {
        return Err(refuse(&format!("is too many, at most {SEEDS_MAX}")));
    }
    Ok(first..=last)
}

fn wrong(text: &str, span: Option<Range<usize>>, what: &str) -> Refusal {
    let before = &text[..span.map_or(0, |span| span.start.min(text.len()))];
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|letter| *letter != '\n').count() + 1;
    Refusal(format!("{FILE}:{line}:{column}: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(text: &str) -> Result<Plan, String> {
        let files = ["scenarios/a/one.toml", "scenarios/a/two.toml", "scenarios/b/three.toml"];
        let load = |file: &str| Ok(Scenario::load(file, "[[main]]\nname = \"main-a\"\n").unwrap());
        Plan::of(text, &files.map(str::to_owned), load).map_err(|refusal| refusal.to_string())
    }

    const REST: &str = "[[run]]\npath = \"scenarios/b\"\nseeds = \"1\"\n";

    #[test]
    fn a_file_s_own_entry_goes_before_its_folder_s() {
        let text = r#"
            [[run]]
            path = "scenarios/a"
            seeds = "1..30"
            [[run]]
            path = "scenarios/a/two.toml"
            seeds = "4..9"
            determinism = "2"
            [[skip]]
            path = "scenarios/b/three.toml"
            reason = "takes an hour"
        "#;
        let plan = plan(text).unwrap();
        let entries: Vec<_> = plan
            .entries
            .iter()
            .map(|entry| (entry.file.as_str(), entry.seeds.clone(), entry.determinism.clone()))
            .collect();
        assert_eq!(
            entries,
            [("scenarios/a/one.toml", 1..=30, None), ("scenarios/a/two.toml", 4..=9, Some(2..=2))]
        );
        assert_eq!(plan.skipped, [("scenarios/b/three.toml".to_owned(), "takes an hour".to_owned())]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let run = |path: &str, rest: &str| format!("{REST}[[run]]\npath = \"{path}\"\n{rest}\n");
        for (text, expected) in [
            (run("scenarios/a", "seeds = \"1\"\nspeed = 2"), "ci/gates.toml:7:1: unknown field `speed`"),
            (run("scenarios/a", ""), "missing field `seeds`"),
            (
                run("scenarios/none", "seeds = \"1\""),
                "ci/gates.toml:5:8: there is no scenario at `scenarios/none`",
            ),
            (run("scenarios/b", "seeds = \"1\""), "ci/gates.toml:5:8: `scenarios/b` is named twice"),
            (run("scenarios/a", "seeds = \"x..2\""), "ci/gates.toml:6:9: `x..2` is no range of seeds"),
            (run("scenarios/a", "seeds = \"3..2\""), "is empty"),
            (run("scenarios/a", "seeds = \"0..100000\""), "is too many"),
            (REST.to_owned(), "nothing covers scenarios/a/one.toml"),
            (
                format!("{REST}[[skip]]\npath = \"scenarios/a\"\nreason = \" \""),
                "ci/gates.toml:6:10: say why",
            ),
            (
                run("scenarios/a", "seeds = \"1\"\nevent_only = \"\""),
                "ci/gates.toml:7:14: say why it is for the event engine only",
            ),
            ("run = 1".to_owned(), "ci/gates.toml:1:7"),
        ] {
            let error = plan(&text).unwrap_err();
            assert!(error.contains(expected), "{text}\n{error}");
        }
    }

    #[test]
    fn one_folder_is_not_another_that_begins_alike() {
        assert!(covers("scenarios/a", "scenarios/a/x.toml") && covers("scenarios/a/", "scenarios/a/x.toml"));
        assert!(!covers("scenarios/a", "scenarios/ab/x.toml"));
    }

    #[test]
    fn a_plan_can_be_narrowed() {
        let mut narrowed = plan(&format!("{REST}[[run]]\npath = \"scenarios\"\nseeds = \"1\"")).unwrap();
        narrowed.keep_only("scenarios/a").unwrap();
        assert_eq!(narrowed.entries.len(), 2);
        assert!(narrowed.keep_only("scenarios/c").is_err());
    }
}
