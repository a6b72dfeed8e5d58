//! The federation's logic, the DHT's and that of metadata are pure: nothing in them is async but the shells around them.

use super::source::words;
use super::tree::{Finding, Tree};

/// Pure folders, each with the one folder in it that is not, where there is one.
const PURE: [(&str, Option<&str>); 3] = [
    ("node/src/federation/", None),
    ("node/src/dht/", Some("node/src/dht/driver/")),
    ("node/src/metadata/", Some("node/src/metadata/directory/")),
];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for (folder, shell) in PURE {
        let elsewhere = match shell {
            Some(shell) => format!("do it in {}", shell.trim_start_matches("node/src/")),
            None => "do it in link/".to_owned(),
        };
        for source in tree.below(&[folder]) {
            if shell.is_some_and(|shell| source.path.starts_with(shell)) {
                continue;
            }
            for word in ["async", "await"] {
                found.extend(words(&source.code, word).map(|at| {
                    let advice =
                        format!("`{word}` in the pure core: return what is to be done, and {elsewhere}");
                    Finding::at(source, at, advice)
                }));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASYNC: [&str; 3] = ["pub async fn f() {}", "fn f() { async move {} }", "fn f() { x.await }"];

    fn found(path: &str, text: &str) -> usize {
        check(&Tree::of([(path, text)])).len()
    }

    #[test]
    fn async_is_caught_in_pure_folders_and_nowhere_else() {
        for text in ASYNC {
            for path in [
                "node/src/federation/a.rs",
                "node/src/dht/a.rs",
                "node/src/dht/mod.rs",
                "node/src/dht/kademlia/a.rs",
                "node/src/dht/driver.rs",
                "node/src/metadata/a.rs",
                "node/src/metadata/known/a.rs",
            ] {
                assert_eq!(found(path, text), 1, "{path}: {text}");
            }
            for path in [
                "node/src/link/a.rs",
                "node/src/dht/driver/mod.rs",
                "node/src/metadata/directory/a.rs",
                "node/src/command/a.rs",
                "node/src/store/metadata.rs",
            ] {
                assert_eq!(found(path, text), 0, "{path}: {text}");
            }
        }
        let words = "//! Nothing here is async.\nfn asynchronous() {}";
        assert_eq!(found("node/src/federation/a.rs", words), 0);
    }
}
