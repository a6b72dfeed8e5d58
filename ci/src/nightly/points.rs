//! The log points of the node: where its source logs, and what.

use std::collections::BTreeMap;
use std::path::Path;

use relay_sim::coverage::LogPoint;

use crate::tidy::source::{Source, group_end, words};
use crate::{Refusal, workspace};

/// Where the node's source is.
const SOURCE: &str = "node/src/";

/// What no simulated run can reach: what stands in for it there is the engine.
const UNREACHABLE: [&str; 2] = ["node/src/env/production", "node/src/main.rs"];

/// The macros that log, down to `debug`.
const MACROS: [&str; 4] = ["debug", "error", "info", "warn"];

/// Log points by file and line, each with a name that outlives lines above it being moved.
pub(super) struct Points {
    by_place: BTreeMap<(String, u32), String>,
}

impl Points {
    /// All points of the repository at `root`.
    pub(super) fn read(root: &Path) -> Result<Self, Refusal> {
        let mut by_place = BTreeMap::new();
        for file in workspace::files(root)? {
            let is_node = file.starts_with(SOURCE) && file.ends_with(".rs");
            if is_node && !UNREACHABLE.iter().any(|prefix| file.starts_with(prefix)) {
                let source = Source::new(&file, &workspace::read(root, &file)?);
                by_place.extend(
                    points(&source)
                        .map(|(line, text)| ((file.clone(), line), format!("log: {file}: {text}"))),
                );
            }
        }
        Ok(Points { by_place })
    }

    /// The name of the point at this place; `None` where the source has none there.
    pub(super) fn name(&self, (file, line): LogPoint) -> Option<String> {
        self.by_place.get(&(file.to_owned(), line)).cloned()
    }

    /// The names of all points.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        let mut names: Vec<String> = self.by_place.values().cloned().collect();
        names.sort();
        names.dedup();
        names.into_iter()
    }
}

/// The line of each macro that logs, and the text that it logs.
fn points(source: &Source) -> impl Iterator<Item = (u32, String)> {
    let mut found = Vec::new();
    for name in MACROS {
        for at in words(&source.product, name) {
            let open = at + name.len() + 1;
            if !source.product[at..].starts_with(&format!("{name}!(")) {
                continue;
            }
            let end = group_end(source.product.as_bytes(), open);
            // The path before the macro's name, `tracing::`, is where the compiler says that it begins.
            let line = u32::try_from(source.line(at)).unwrap_or(u32::MAX);
            found.push((line, message(&source.text[open..end])));
        }
    }
    found.into_iter()
}

/// The last text in the arguments of a macro: what it says.
fn message(arguments: &str) -> String {
    let mut last = "";
    let mut rest = arguments;
    while let Some(start) = rest.find('"') {
        let after = &rest[start + 1..];
        let Some(end) = closing_quote(after) else { break };
        if last.is_empty() || after[..end].contains(' ') {
            last = &after[..end];
        }
        rest = &after[end + 1..];
    }
    let words: Vec<&str> = last.split_whitespace().filter(|word| *word != "\\").collect();
    words.join(" ")
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, letter)| {
        let closes = letter == '"' && !escaped;
        escaped = letter == '\\' && !escaped;
        closes.then_some(at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_named_by_what_they_say() {
        let text = r#"
fn one() {
    tracing::info!(%node, "a peer is gone: {error}");
    tracing::debug!(
        code,
        "two \
         lines"
    );
    let debug = "no macro";
}
#[cfg(test)]
mod tests {
    fn two() { tracing::warn!("in a test"); }
}
"#;
        let found: Vec<_> = points(&Source::new("node/src/a.rs", text)).collect();
        assert_eq!(found, [(4, "two lines".to_owned()), (3, "a peer is gone: {error}".to_owned())]);
    }
}
