//! `cargo ci tidy`: what must be absent from the source and clippy cannot tell.

mod crates;
mod criteria;
mod docs;
mod federation;
mod invariants;
mod leftovers;
mod links;
mod modules;
mod select;
mod simulation;
mod size;
pub(crate) mod source;
mod tree;

use std::path::Path;

use crate::{Refusal, workspace};
use tree::{Finding, Tree};

/// A rule looks at the whole tree and says what is wrong with it.
type Rule = fn(&Tree) -> Vec<Finding>;

/// All rules, by name.
const RULES: [(&str, Rule); 11] = [
    ("modules", modules::check),
    ("simulation", simulation::check),
    ("select", select::check),
    ("federation", federation::check),
    ("size", size::check),
    ("leftovers", leftovers::check),
    ("invariants", invariants::check),
    ("crates", crates::check),
    ("docs", docs::check),
    ("links", links::check),
    ("criteria", criteria::check),
];

/// Checks the tree below `root`; prints what is wrong, and returns the exit code.
pub(crate) fn run(root: &Path) -> Result<u8, Refusal> {
    let tree = Tree::read(root, workspace::files(root)?)?;
    if tree.sources.is_empty() {
        return Err(Refusal(format!("there is no Rust source below {}", root.display())));
    }
    let mut wrong = 0;
    for (rule, check) in RULES {
        for Finding { file, line, text } in check(&tree) {
            eprintln!("{file}:{line}: {text} [{rule}]");
            wrong += 1;
        }
    }
    let (rules, files, documents) = (RULES.len(), tree.sources.len(), tree.documents.len());
    println!("tidy: {rules} rules, {files} Rust files, {documents} documents: {wrong} problems");
    Ok(u8::from(wrong > 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One breach of each rule, as files.
    const BREACHES: [(&str, &str, &str); 11] = [
        ("modules", "node/src/a.rs", "use tokio::time;"),
        ("simulation", "node/src/b.rs", "#[cfg(feature = \"sim\")] fn f() {}"),
        ("select", "node/src/c.rs", "fn f() { tokio::select! { x = y => {} } }"),
        ("federation", "node/src/federation/d.rs", "async fn f() {}"),
        (
            "size",
            "node/src/e.rs",
            "struct S { a: A, b: A, c: A, d: A, e: A, f: A, g: A, h: A, i: A, j: A, k: A }",
        ),
        ("leftovers", "sim/src/f.rs", "fn f() { todo!() }"),
        ("invariants", "sim/src/invariants/g.rs", "fn f() {}"),
        (
            "crates",
            "node/Cargo.toml",
            "[dependencies]\nrelay-sim.workspace = true\n[lints]\nworkspace = true\n",
        ),
        ("docs", "bare/src/lib.rs", "fn f() {}"),
        ("links", "README.md", "[gone](gone.md)"),
        ("criteria", "README.md", "| criterion | test |\n| --- | --- |\n| it works | none |\n"),
    ];

    #[test]
    fn every_rule_catches_its_breach_on_disk_and_nothing_else() {
        for (rule, file, text) in BREACHES {
            let folder = tempfile::tempdir().unwrap();
            let plant = |file: &str, text: &str| {
                let path = folder.path().join(file);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            };
            plant("Cargo.toml", "[workspace]\nmembers = [\"node\", \"bare\"]\n");
            for member in ["node", "bare"] {
                plant(&format!("{member}/Cargo.toml"), "[lints]\nworkspace = true\n");
                plant(&format!("{member}/src/lib.rs"), "//! What it is for.\n");
            }
            assert_eq!(run(folder.path()).unwrap(), 0, "clean before {rule}");
            plant(file, text);
            let tree = Tree::read(folder.path(), workspace::files(folder.path()).unwrap()).unwrap();
            for (name, check) in RULES {
                let found = check(&tree);
                assert_eq!(
                    found.len(),
                    usize::from(name == rule),
                    "{name} on the breach of {rule}: {found:?}"
                );
                assert!(found.iter().all(|finding| finding.file == file), "{found:?}");
            }
            assert_eq!(run(folder.path()).unwrap(), 1, "{rule}");
        }
    }

    #[test]
    fn a_tree_without_source_is_refused() {
        assert!(run(tempfile::tempdir().unwrap().path()).is_err());
    }
}
