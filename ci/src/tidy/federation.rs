//! The federation's logic is pure: nothing in it is async.

use super::source::words;
use super::tree::{Finding, Tree};

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for source in tree.below(&["node/src/federation/"]) {
        for word in ["async", "await"] {
            found.extend(words(&source.code, word).map(|at| {
                Finding::at(
                    source,
                    at,
                    format!("`{word}` in the pure core: return what is to be done, and do it in link/"),
                )
            }));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn async_is_caught_here_and_nowhere_else() {
        for text in ["pub async fn f() {}", "fn f() { async move {} }", "fn f() { x.await }"] {
            assert_eq!(check(&Tree::of([("node/src/federation/a.rs", text)])).len(), 1, "{text}");
            assert_eq!(check(&Tree::of([("node/src/link/a.rs", text)])), [], "{text}");
        }
        let words = "//! Nothing here is async.\nfn asynchronous() {}";
        assert_eq!(check(&Tree::of([("node/src/federation/a.rs", words)])), []);
    }
}
