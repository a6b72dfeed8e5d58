//! Every invariant has tests: a checker that has never failed proves nothing.

use super::tree::{Finding, Tree};

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let tested = |code: &str| code.contains("#[test]") || code.contains("proptest!");
    tree.below(&["sim/src/invariants/"])
        .filter(|source| !source.path.ends_with("/mod.rs") && !source.path.ends_with("/tests.rs"))
        .filter(|source| {
            // `one.rs` may keep its tests in `one/tests.rs`.
            let beside = source.path.replace(".rs", "/tests.rs");
            let beside = tree.sources.iter().find(|other| other.path == beside);
            !tested(&source.code) && !beside.is_some_and(|beside| tested(&beside.code))
        })
        .map(|source| {
            Finding::of(&source.path, "an invariant without tests: plant a breach and see it caught")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "sim/src/invariants/one.rs";

    #[test]
    fn an_untested_invariant_is_caught() {
        assert_eq!(check(&Tree::of([(FILE, "fn f() {} // #[test]")])).len(), 1);
        let empty = [(FILE, "fn f() {}"), ("sim/src/invariants/one/tests.rs", "fn g() {}")];
        assert_eq!(check(&Tree::of(empty)).len(), 1);
    }

    #[test]
    fn a_tested_one_is_free() {
        assert_eq!(check(&Tree::of([(FILE, "#[cfg(test)] mod tests { #[test] fn f() {} }")])), []);
        let beside = [(FILE, "fn f() {}"), ("sim/src/invariants/one/tests.rs", "#[test] fn g() {}")];
        assert_eq!(check(&Tree::of(beside)), []);
        assert_eq!(check(&Tree::of([("sim/src/invariants/mod.rs", "mod one;")])), []);
    }
}
