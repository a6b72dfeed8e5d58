//! The node does not know that it may be simulated: no `cfg`, feature or dependency says so.

use super::source::{group_end, skip_space, words};
use super::tree::{Document, Finding, Tree};

/// Words that only a simulation needs.
const WORDS: [&str; 7] = ["sim", "simulation", "simulated", "turmoil", "madsim", "loom", "shuttle"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for source in tree.below(&["node/"]) {
        let code = source.code.as_bytes();
        for word in ["cfg", "cfg_attr"] {
            for at in words(&source.code, word) {
                let mut open = skip_space(code, at + word.len());
                if code.get(open) == Some(&b'!') {
                    open = skip_space(code, open + 1);
                }
                if code.get(open) != Some(&b'(') {
                    continue;
                }
                // The condition as it was written: features are text.
                let condition = &source.text[open..group_end(code, open)];
                if let Some(word) = simulated(condition) {
                    let text = format!(
                        "`{word}` in a condition: the node runs the same code everywhere; add a seam"
                    );
                    found.push(Finding::at(source, at, text));
                }
            }
        }
        for at in words(&source.code, "relay_sim") {
            found.push(Finding::at(source, at, "the node knows nothing of the simulator"));
        }
    }
    let manifest = tree.manifests.iter().find(|manifest| manifest.path == "node/Cargo.toml");
    found.extend(manifest.into_iter().flat_map(features));
    found
}

fn features(manifest: &Document) -> Vec<Finding> {
    // What cannot be read is cargo's to refuse.
    let table: toml::Table = manifest.text.parse().unwrap_or_default();
    let names = |key: &str| table.get(key).and_then(|value| value.as_table()).cloned().unwrap_or_default();
    let found = ["features", "dependencies"].into_iter().flat_map(names).map(|(name, _)| name);
    found
        // Which crates of ours it may use is another rule's.
        .filter(|name| !name.starts_with("relay-") && simulated(name).is_some())
        .map(|name| {
            Finding::of(
                &manifest.path,
                format!("`{name}`: the node has nothing that is there for simulation"),
            )
        })
        .collect()
}

/// The first word that only a simulation needs.
fn simulated(text: &str) -> Option<&str> {
    text.split(|letter: char| !letter.is_ascii_alphanumeric()).find(|word| WORDS.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_features_and_dependencies_are_caught() {
        for (path, text) in [
            ("node/src/a.rs", "#[cfg(feature = \"sim\")] fn f() {}"),
            ("node/src/a.rs", "#[cfg_attr(madsim, x)] fn f() {}"),
            ("node/src/a.rs", "fn f() { if cfg!( any(test, turmoil) ) {} }"),
            ("node/src/a.rs", "#[cfg(not(feature = \"for-simulation\"))] fn f() {}"),
            ("node/src/a.rs", "use relay_sim::x;"),
            ("node/Cargo.toml", "[features]\nsim = []"),
            ("node/Cargo.toml", "[dependencies]\nturmoil = \"1\""),
        ] {
            assert_eq!(check(&Tree::of([(path, text)])).len(), 1, "{text}");
        }
    }

    #[test]
    fn other_conditions_are_free() {
        for text in [
            "#[cfg(test)] mod t;",
            "#[cfg(unix)] fn f() {}",
            "#[cfg(target_feature = \"simd128\")] fn f() {}",
        ] {
            assert_eq!(check(&Tree::of([("node/src/a.rs", text)])), [], "{text}");
        }
        assert_eq!(check(&Tree::of([("sim/src/a.rs", "#[cfg(turmoil)] fn f() {}")])), []);
    }
}
