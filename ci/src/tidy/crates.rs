//! Dependencies between our crates point one way; versions and lints are the workspace's.

use super::tree::{Document, Finding, Tree};

/// Which crates of ours a crate may use: `ci → {sim, reports}`, `sim → {node, chaos, reports}`, `benches → {node, sim}`.
const MAY_USE: [(&str, &[&str]); 6] = [
    ("node", &[]),
    ("chaos", &[]),
    ("reports", &[]),
    ("sim", &["relay-node", "relay-chaos", "relay-reports"]),
    ("benches", &["relay-node", "relay-sim"]),
    ("ci", &["relay-sim", "relay-reports"]),
];

const SECTIONS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// The folders of the workspace's crates.
pub(super) fn members(tree: &Tree) -> impl Iterator<Item = String> {
    let root = tree.manifests.iter().find(|manifest| manifest.path == "Cargo.toml");
    let listed = root.map(table).and_then(|root| root.get("workspace")?.get("members")?.as_array().cloned());
    listed.unwrap_or_default().into_iter().filter_map(|member| member.as_str().map(str::to_owned))
}

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for member in members(tree) {
        let path = format!("{member}/Cargo.toml");
        let Some(manifest) = tree.manifests.iter().find(|manifest| manifest.path == path) else { continue };
        let table = table(manifest);
        let allowed = MAY_USE.iter().find(|(crate_, _)| *crate_ == member).map(|(_, allowed)| *allowed);
        let dependencies = SECTIONS.iter().filter_map(|section| table.get(*section)?.as_table()).flatten();
        for (name, value) in dependencies {
            if name.starts_with("relay-") && allowed.is_some_and(|allowed| !allowed.contains(&name.as_str()))
            {
                found.push(finding(
                    manifest,
                    name,
                    format!("{member} does not use {name}: dependencies point one way"),
                ));
            }
            if value.get("workspace").and_then(toml::Value::as_bool) != Some(true) {
                found.push(finding(
                    manifest,
                    name,
                    format!("{name}: its version belongs to [workspace.dependencies]"),
                ));
            }
        }
        if table.get("lints").and_then(|lints| lints.get("workspace")).and_then(toml::Value::as_bool)
            != Some(true)
        {
            found.push(Finding::of(&path, "a crate takes the workspace's lints: `[lints] workspace = true`"));
        }
    }
    found
}

fn finding(manifest: &Document, name: &str, text: String) -> Finding {
    let line = manifest.text.lines().position(|line| line.starts_with(name)).map_or(1, |line| line + 1);
    Finding { file: manifest.path.clone(), line, text }
}

/// What cannot be read is cargo's to refuse.
fn table(manifest: &Document) -> toml::Table {
    manifest.text.parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: (&str, &str) = ("Cargo.toml", "[workspace]\nmembers = [\"node\", \"sim\"]");
    const LINTS: &str = "\n[lints]\nworkspace = true\n";

    fn caught(file: &str, text: &str) -> Vec<Finding> {
        check(&Tree::of([ROOT, (file, &format!("{text}{LINTS}"))]))
    }

    #[test]
    fn a_dependency_against_the_arrow_is_caught() {
        let found = caught("node/Cargo.toml", "[dev-dependencies]\nrelay-chaos.workspace = true");
        assert_eq!((found.len(), found[0].line), (1, 2), "{found:?}");
        assert_eq!(caught("sim/Cargo.toml", "[dependencies]\nrelay-chaos.workspace = true"), []);
    }

    #[test]
    fn a_version_of_its_own_is_caught() {
        assert_eq!(caught("node/Cargo.toml", "[dependencies]\nbytes = \"1\"").len(), 1);
        assert_eq!(caught("node/Cargo.toml", "[dependencies]\nbytes = { version = \"1\" }").len(), 1);
        assert_eq!(
            caught("node/Cargo.toml", "[dependencies]\nbytes = { workspace = true, features = [] }"),
            []
        );
    }

    #[test]
    fn lints_of_its_own_are_caught() {
        assert_eq!(check(&Tree::of([ROOT, ("sim/Cargo.toml", "[dependencies]")])).len(), 1);
    }
}
