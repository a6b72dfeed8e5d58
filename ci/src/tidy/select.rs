//! `select!` is `biased`: otherwise tokio draws which branch is looked at first, from a generator of its own.

use super::source::{skip_space, words};
use super::tree::{Finding, Tree};

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for source in tree.below(&["node/", "sim/"]) {
        let code = source.code.as_bytes();
        for at in words(&source.code, "select") {
            let mark = skip_space(code, at + "select".len());
            let open = skip_space(code, mark + 1);
            if code.get(mark) != Some(&b'!') || !matches!(code.get(open), Some(b'{' | b'(' | b'[')) {
                continue;
            }
            let first = skip_space(code, open + 1);
            let after = skip_space(code, first + "biased".len());
            if !(code[first..].starts_with(b"biased") && code.get(after) == Some(&b';')) {
                let text = "`select!` begins with `biased;`, the control branch first: otherwise its order is drawn at random";
                found.push(Finding::at(source, at, text));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caught(text: &str) -> usize {
        check(&Tree::of([("node/src/a.rs", text)])).len()
    }

    #[test]
    fn a_select_without_a_bias_is_caught() {
        assert_eq!(caught("tokio::select! { a = b => {} }"), 1);
        assert_eq!(caught("select! {\n // biased;\n a = b => {}\n}"), 1);
        assert_eq!(caught("select!(a = b => {})"), 1);
    }

    #[test]
    fn a_biased_one_is_free() {
        assert_eq!(caught("tokio::select! {\n // why\n biased;\n a = b => {} }"), 0);
        assert_eq!(caught("fn select() {} use tokio::select;"), 0);
    }
}
