//! Relative links in documents lead somewhere, headings included.

use std::collections::BTreeMap;

use super::tree::{Document, Finding, Tree};

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let anchors: BTreeMap<&str, Vec<String>> =
        tree.documents.iter().map(|document| (document.path.as_str(), anchors(&document.text))).collect();
    let mut found = Vec::new();
    for document in &tree.documents {
        for (line, target) in links(&document.text) {
            if let Err(text) = resolve(tree, &anchors, document, &target) {
                found.push(Finding { file: document.path.clone(), line, text });
            }
        }
    }
    found
}

fn resolve(
    tree: &Tree,
    anchors: &BTreeMap<&str, Vec<String>>,
    document: &Document,
    target: &str,
) -> Result<(), String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return Ok(());
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let file = match path {
        "" => document.path.clone(),
        path => join(&document.path, path)
            .ok_or_else(|| format!("the link `{target}` leads out of the repository"))?,
    };
    let folder = format!("{file}/");
    let exists =
        file.is_empty() || tree.files.contains(&file) || tree.files.iter().any(|it| it.starts_with(&folder));
    if !exists {
        return Err(format!("the link `{target}` leads nowhere: there is no {file}"));
    }
    match anchors.get(file.as_str()) {
        Some(known) if !anchor.is_empty() && !known.iter().any(|known| known == anchor) => {
            Err(format!("the link `{target}` leads nowhere: {file} has no heading for #{anchor}"))
        }
        _ => Ok(()),
    }
}

/// `link` as seen from the file `from`; `None` where it leaves the root.
fn join(from: &str, link: &str) -> Option<String> {
    let mut parts: Vec<&str> = if link.starts_with('/') { Vec::new() } else { from.split('/').collect() };
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Targets of inline links and reference definitions with their lines, outside code.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (line, text) in prose(text) {
        let text = without_code(text);
        if let Some((_, target)) = text.strip_prefix('[').and_then(|rest| rest.split_once("]: ")) {
            found.extend(target.split_whitespace().next().map(|target| (line, target.to_owned())));
        }
        for (at, _) in text.match_indices("](") {
            let rest = &text[at + 2..];
            let target = match rest.strip_prefix('<') {
                Some(rest) => rest.split('>').next(),
                None => rest.split([')', ' ']).next(),
            };
            found.extend(target.filter(|target| !target.is_empty()).map(|target| (line, target.to_owned())));
        }
    }
    found
}

/// The anchors of all headings, as code hosts make them.
fn anchors(text: &str) -> Vec<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let headings = prose(text).filter_map(|(_, line)| {
        let title = line.trim_start_matches('#');
        (title.len() < line.len() && title.starts_with(' ')).then_some(title.trim())
    });
    headings
        .map(|title| {
            let kept = title.to_lowercase();
            let kept =
                kept.chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, '-' | '_' | ' '));
            let anchor: String = kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect();
            let count = seen.entry(anchor.clone()).or_default();
            *count += 1;
            if *count == 1 { anchor } else { format!("{anchor}-{}", *count - 1) }
        })
        .collect()
}

/// Lines outside fenced code, numbered from 1.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(at, line)| {
        let fence = line.trim_start().starts_with("```") || line.trim_start().starts_with("~~~");
        fenced ^= fence;
        (!fenced && !fence).then_some((at + 1, line))
    })
}

fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("``")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caught(text: &str) -> Vec<Finding> {
        let others = [("a/b.rs", ""), ("a/other.md", "# One & two\n## One & two\n")];
        check(&Tree::of(others.into_iter().chain([("a/this.md", text)])))
    }

    #[test]
    fn dead_links_are_caught_with_their_line() {
        for text in ["x [a](gone.md)", "x ![a](../b.png \"t\")", "x [a](#none)", "x [a](other.md#none)"] {
            assert_eq!(caught(&format!("# Here\n{text}")).len(), 1, "{text}");
        }
        assert_eq!(caught("\n\n[a]: gone.md")[0].line, 3);
        assert_eq!(caught("[a](../../out.md)").len(), 1);
    }

    #[test]
    fn live_links_and_code_are_free() {
        for text in [
            "[a](b.rs) [b](../a/other.md) [c](/a) [d](.) [e](..)",
            "[a](#here) [b](other.md#one--two) [c](other.md#one--two-1)",
            "[a](https://example.org/x) [b](mailto:a@b)",
            "`[a](gone.md)`",
            "```\n[a](gone.md)\n```",
        ] {
            assert_eq!(caught(&format!("# Here\n{text}")), [], "{text}");
        }
    }
}
