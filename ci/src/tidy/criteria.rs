//! What documents name as a proof is there: tests as `path/file.rs::name`, and in a table of criteria and tests also
//! scenarios as `scenarios/theme/name.toml`. Each row of such a table names one.

use super::source::{Source, words};
use super::tree::{Document, Finding, Tree};

/// What the header of such a table begins and ends with.
const HEADER: [&str; 2] = ["criterion", "test"];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.documents.iter().flat_map(|document| check_document(tree, document)).collect()
}

fn check_document(tree: &Tree, document: &Document) -> Vec<Finding> {
    let mut found = Vec::new();
    let (mut in_table, mut fenced) = (false, false);
    for (line, text) in (1..).zip(document.text.lines()) {
        fenced ^= text.trim_start().starts_with("```");
        if fenced {
            continue;
        }
        let cells: Vec<&str> = text.trim().trim_matches('|').split('|').map(str::trim).collect();
        let is_header = [cells[0], cells[cells.len() - 1]] == HEADER;
        in_table = text.starts_with('|') && (in_table || is_header);
        let mut report = |text| found.push(Finding { file: document.path.clone(), line, text });
        let proofs: Vec<&str> =
            code_spans(text).filter(|span| is_test(span) || (in_table && is_scenario(span))).collect();
        for proof in &proofs {
            if let Some(reason) = missing(tree, proof) {
                report(format!("`{proof}` proves nothing: {reason}"));
            }
        }
        let is_rule = cells.iter().all(|cell| cell.chars().all(|letter| matches!(letter, '-' | ':')));
        if in_table && proofs.is_empty() && !is_rule && !is_header {
            report("a criterion without a test: name one, as `path/file.rs::name` or a scenario".to_owned());
        }
    }
    found
}

fn code_spans(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

fn is_test(span: &str) -> bool {
    span.split_once(".rs::").is_some_and(|(path, _)| path.contains('/'))
}

fn is_scenario(span: &str) -> bool {
    span.starts_with("scenarios/") && span.ends_with(".toml")
}

/// Why what is named is no proof; `None` where it is one.
fn missing(tree: &Tree, proof: &str) -> Option<String> {
    let Some((path, name)) = proof.split_once("::") else {
        return (!tree.files.contains(proof)).then(|| "there is no such scenario".to_owned());
    };
    let Some(source) = tree.sources.iter().find(|source| source.path == path) else {
        return Some(format!("there is no {path}"));
    };
    (!has_test(source, name)).then(|| format!("{path} has no test of that name"))
}

fn has_test(source: &Source, name: &str) -> bool {
    words(&source.code, name).any(|at| {
        let Some(before) = source.code[..at].trim_end().strip_suffix("fn") else { return false };
        // Its attributes stand behind whatever ends what is before it.
        let attributes = before.rsplit(['{', '}', ';']).next().unwrap_or_default();
        attributes.contains("test]")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "#[test]\nfn one() {}\n#[tokio::test]\nasync fn two() { x; }\nproptest! {\n/// D.\n#[test]\nfn three(a in b) {}\n}\nfn four() {}";

    fn caught(text: &str) -> Vec<Finding> {
        check(&Tree::of([("a/b.rs", CODE), ("scenarios/x/y.toml", ""), ("README.md", text)]))
    }

    #[test]
    fn proofs_that_are_not_there_are_caught_with_their_line() {
        for text in ["`a/b.rs::four`", "`a/b.rs::five`", "`a/c.rs::one`"] {
            let found = caught(&format!("# Tests\n{text}"));
            assert_eq!(found.len(), 1, "{text}");
            assert_eq!(found[0].line, 2);
        }
        for test in ["surely", "`scenarios/x/z.toml`", "`a/b.rs::five`"] {
            let table = format!("| criterion | test |\n| --- | --- |\n| it works | {test} |\n");
            assert_eq!(caught(&table).len(), 1, "{test}");
        }
    }

    #[test]
    fn proofs_that_are_there_and_other_code_are_free() {
        let rows = "| criterion | test |\n| --- | --- |\n| a | `a/b.rs::one`, `a/b.rs::two` |\n\
                    | b | `scenarios/x/y.toml` |\n| c | `a/b.rs::three` |\n\n| other | table |\n| a | b |\n";
        assert_eq!(caught(rows), []);
        assert_eq!(caught("`b.rs::gone`, `std::fs`; write it to `scenarios/x/new.toml`"), []);
        assert_eq!(caught("```\n`a/b.rs::gone`\n```"), []);
    }
}
