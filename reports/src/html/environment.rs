//! Everything that the run depended on: settings, what was drawn from the seed, the scenario's text.

use crate::format::{Text, counted};
use crate::html::{nothing, section};
use crate::model::{NamedValue, RunInfo};

/// More settings than this are folded away.
const SETTINGS_OPEN_MAX: usize = 40;
/// A name and its value that have more bytes than this get a line for themselves.
const LETTERS_SHORT_MAX: usize = 34;

/// Settings, drawn parameters, scenario.
pub(super) fn environment(run: &RunInfo) -> String {
    let content =
        [settings(&run.settings), parameters(&run.parameters), scenario(&run.scenario.text)].concat();
    if content.is_empty() {
        return section("environment", "Environment", "", &nothing("The report holds no settings."));
    }
    section("environment", "Environment", "", &content)
}

fn settings(settings: &[NamedValue]) -> String {
    if settings.is_empty() {
        return String::new();
    }
    let list = list(settings);
    if settings.len() <= SETTINGS_OPEN_MAX {
        return list;
    }
    let count = counted(settings.len() as u64, "setting", "settings");
    format!("<details><summary>{count}</summary>\n{list}</details>\n")
}

fn parameters(parameters: &[NamedValue]) -> String {
    if parameters.is_empty() {
        return String::new();
    }
    format!("<h3>Parameters</h3>\n{}", list(parameters))
}

fn scenario(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    let lines = counted(text.lines().count() as u64, "line", "lines");
    format!(
        "<details><summary>The scenario, {lines}</summary>\n<pre class=\"scenario\" tabindex=\"0\">{}</pre>\n</details>\n",
        Text(text)
    )
}

fn list(values: &[NamedValue]) -> String {
    let item = |it: &NamedValue| {
        let long = if it.name.len() + it.value.len() > LETTERS_SHORT_MAX { " class=\"long\"" } else { "" };
        format!("<div{long}><dt>{}</dt><dd>{}</dd></div>\n", Text(&it.name), Text(&it.value))
    };
    let items: String = values.iter().map(item).collect();
    format!("<dl class=\"settings\">\n{items}</dl>\n")
}
