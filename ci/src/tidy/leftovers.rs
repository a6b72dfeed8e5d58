//! Nothing is left for later: no unfinished code, no mark in a comment, no test that is switched off.

use super::source::{group_end, words};
use super::tree::{Finding, Tree};

/// Macros that stand for code that is not there.
const MACROS: [&str; 2] = ["todo", "unimplemented"];

/// Marks in comments.
const MARKS: [&str; 3] = ["FIXME", "TODO", "XXX"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for source in &tree.sources {
        for name in MACROS {
            let calls = words(&source.code, name)
                .filter(|at| source.code[at + name.len()..].trim_start().starts_with('!'));
            found.extend(
                calls.map(|at| Finding::at(source, at, format!("`{name}!`: write it, or leave it out"))),
            );
        }
        for mark in MARKS {
            found.extend(words(&source.comments, mark).map(|at| {
                Finding::at(source, at, format!("`{mark}` in a comment: do it now, or open an issue"))
            }));
        }
        for at in words(&source.code, "ignore") {
            if in_attribute(&source.code, at) {
                found.push(Finding::at(source, at, "a test that is switched off: mend it, or delete it"));
            }
        }
    }
    found
}

/// Whether an attribute surrounds this byte.
fn in_attribute(code: &str, at: usize) -> bool {
    code[..at].rfind("#[").is_some_and(|open| group_end(code.as_bytes(), open + 1) > at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caught(text: &str) -> usize {
        check(&Tree::of([("chaos/src/a.rs", text)])).len()
    }

    #[test]
    fn what_is_unfinished_is_caught() {
        for text in [
            "fn f() { todo!() }",
            "fn f() { std::unimplemented! (\"x\") }",
            concat!("// FIX", "ME: x"),
            concat!("/* TO", "DO */"),
            "#[test]\n#[ignore]\nfn f() {}",
            "#[ignore = \"slow\"] fn f() {}",
            "#[cfg_attr(unix, ignore)] fn f() {}",
        ] {
            assert_eq!(caught(text), 1, "{text}");
        }
    }

    #[test]
    fn what_only_looks_so_is_free() {
        for text in
            ["let s = \"todo!() TODO\";", "fn ignore() {}", "fn todo() {}", "#[a] fn f() { ignore() }"]
        {
            assert_eq!(caught(text), 0, "{text}");
        }
    }
}
