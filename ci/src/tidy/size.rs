//! A file or a struct that grows too long has a second job.

use super::source::{Source, group_end, skip_space, words};
use super::tree::{Finding, Tree};

/// Lines of a Rust file, at most.
const FILE_LINES_MAX: usize = 600;

/// Named fields of a struct, at most.
const STRUCT_FIELDS_MAX: usize = 10;

/// Derives of structs whose shape is given from outside: a message, a report, a command line.
const GIVEN: [&str; 6] = ["Serialize", "Deserialize", "Parser", "Args", "ClapArgs", "Subcommand"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for source in &tree.sources {
        let lines = source.text.lines().count();
        if lines > FILE_LINES_MAX {
            let text =
                format!("{lines} lines, at most {FILE_LINES_MAX}: give its second job a file of its own");
            found.push(Finding::of(&source.path, text));
        }
        for at in words(&source.code, "struct") {
            let fields = fields(source, at);
            if fields > STRUCT_FIELDS_MAX && !is_given(source, at) {
                let text = format!(
                    "a struct of {fields} fields, at most {STRUCT_FIELDS_MAX}: give its second job a name"
                );
                found.push(Finding::at(source, at, text));
            }
        }
    }
    found
}

/// Named fields of the struct that begins here: single colons at its own depth.
fn fields(source: &Source, at: usize) -> usize {
    let code = source.code.as_bytes();
    let Some(open) =
        code[at..].iter().position(|byte| matches!(byte, b'{' | b';' | b'(')).map(|open| at + open)
    else {
        return 0;
    };
    if code[open] != b'{' {
        return 0;
    }
    let end = group_end(code, open) - 1;
    let (mut fields, mut at) = (0, skip_space(code, open + 1));
    while at < end {
        at = match code[at] {
            b'(' | b'[' | b'{' => group_end(code, at),
            b':' if code[at + 1] == b':' => at + 2,
            byte => {
                fields += usize::from(byte == b':');
                at + 1
            }
        };
    }
    fields
}

fn is_given(source: &Source, at: usize) -> bool {
    let start = source.code[..at].rfind([';', '{', '}']).unwrap_or(0);
    let attributes = &source.code[start..at];
    attributes.contains("derive") && GIVEN.iter().any(|derive| words(attributes, derive).next().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caught(text: &str) -> usize {
        check(&Tree::of([("node/src/a.rs", text)])).len()
    }

    fn structure(before: &str, fields: usize) -> String {
        let fields: String = (0..fields)
            .map(|at| format!("  /// One: of many.\n  #[a(b: c)] pub f{at}: std::Map<(u8, A), B>,\n"))
            .collect();
        format!("fn before() {{}}\n{before}\npub struct S<T: X> {{\n{fields}}}\n")
    }

    #[test]
    fn an_eleventh_field_is_caught() {
        assert_eq!(caught(&structure("#[derive(Clone)]", 10)), 0);
        assert_eq!(caught(&structure("#[derive(Clone)]", 11)), 1);
        assert_eq!(caught("struct A; struct B(C, D);"), 0);
    }

    #[test]
    fn a_shape_that_is_given_is_free() {
        assert_eq!(caught(&structure("#[derive(Clone, serde::Deserialize)]\n#[serde(default)]", 20)), 0);
    }

    #[test]
    fn line_601_is_caught() {
        assert_eq!(caught(&"\n".repeat(600)), 0);
        assert_eq!(caught(&"\n".repeat(601)), 1);
    }
}
