//! Every crate says what it is for: a README, or the first lines of its root file.

use super::crates::members;
use super::tree::{Finding, Tree};

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    members(tree)
        .filter(|member| !tree.files.contains(&format!("{member}/README.md")))
        .filter_map(|member| {
            let roots = [format!("{member}/src/lib.rs"), format!("{member}/src/main.rs")];
            let root = roots.iter().find_map(|root| tree.sources.iter().find(|source| source.path == *root));
            match root {
                Some(root) if root.text.trim_start().starts_with("//!") => None,
                Some(root) => {
                    Some(Finding::of(&root.path, "say in its first lines what the crate is for (`//!`)"))
                }
                None => Some(Finding::of(
                    &format!("{member}/Cargo.toml"),
                    "say in a README what the crate is for",
                )),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: (&str, &str) = ("Cargo.toml", "[workspace]\nmembers = [\"a\"]");

    #[test]
    fn a_crate_that_says_nothing_is_caught() {
        assert_eq!(check(&Tree::of([ROOT, ("a/src/lib.rs", "use b;\n//! late")])).len(), 1);
        assert_eq!(check(&Tree::of([ROOT])).len(), 1);
    }

    #[test]
    fn either_will_do() {
        assert_eq!(check(&Tree::of([ROOT, ("a/src/main.rs", "//! What.")])), []);
        assert_eq!(check(&Tree::of([ROOT, ("a/src/lib.rs", ""), ("a/README.md", "# A")])), []);
    }
}
