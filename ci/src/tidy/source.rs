//! Rust source as the rules see it: code without comments and text, and where each path in it leads.
//!
//! A scanner, not a parser: it knows comments, literals, attributes and `use` trees, which is all that the rules need.

use std::ops::Range;

/// One Rust file.
pub(crate) struct Source {
    /// Its path from the root.
    pub(crate) path: String,
    /// As it was written.
    pub(crate) text: String,
    /// The text with comments and the content of literals blanked; the same length, line by line.
    pub(crate) code: String,
    /// The text with all but comments blanked.
    pub(crate) comments: String,
    /// The code with tests blanked as well.
    pub(crate) product: String,
}

impl Source {
    /// Scans `text`.
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let (mut code, mut comments) = (text.as_bytes().to_vec(), text.as_bytes().to_vec());
        let mut last = 0;
        for Hidden { range, comment } in hidden(text.as_bytes()) {
            blank(&mut comments[last..range.start]);
            last = range.end;
            if !comment {
                blank(&mut comments[range.clone()]);
            }
            blank(&mut code[range]);
        }
        blank(&mut comments[last..]);
        let mut product = code.clone();
        if is_test_file(path) {
            blank(&mut product);
        }
        for range in test_items(&code) {
            blank(&mut product[range]);
        }
        let text_of = |bytes| String::from_utf8(bytes).expect("whole characters were blanked");
        Source {
            path: path.to_owned(),
            text: text.to_owned(),
            code: text_of(code),
            comments: text_of(comments),
            product: text_of(product),
        }
    }

    /// The line of a byte, from 1.
    pub(crate) fn line(&self, offset: usize) -> usize {
        self.text.as_bytes()[..offset].iter().filter(|byte| **byte == b'\n').count() + 1
    }
}

/// Offsets at which `word` stands in `code` as a word of its own.
pub(crate) fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let bytes = code.as_bytes();
    code.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let before = at.checked_sub(1).is_none_or(|before| !is_ident(bytes[before]));
        before && bytes.get(at + word.len()).is_none_or(|after| !is_ident(*after))
    })
}

/// The first byte from `at` on that is no white space.
pub(crate) fn skip_space(code: &[u8], mut at: usize) -> usize {
    while code.get(at).is_some_and(u8::is_ascii_whitespace) {
        at += 1;
    }
    at
}

/// The end of the bracketed group that begins at `open`, or of the text where it is not closed.
pub(crate) fn group_end(code: &[u8], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in code.iter().enumerate().skip(open) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    code.len()
}

/// Every path in the code with its offset; `use a::{b, c::*}` gives `a::b` and `a::c::*`.
pub(crate) fn paths(code: &str) -> Vec<(usize, String)> {
    let bytes = code.as_bytes();
    let (mut found, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        at = match bytes[at] {
            byte if is_ident_start(byte) => path(code, at, "", &mut found),
            // A number, with its suffix.
            byte if is_ident(byte) => ident_end(bytes, at),
            _ => at + 1,
        };
    }
    found
}

/// Reads the path that begins at `start`, with all its branches; returns where it ends.
fn path(code: &str, start: usize, prefix: &str, found: &mut Vec<(usize, String)>) -> usize {
    let bytes = code.as_bytes();
    let mut end = ident_end(bytes, start);
    let mut name = format!("{prefix}{}", &code[start..end]);
    loop {
        let next = skip_space(bytes, end);
        if !bytes[next..].starts_with(b"::") {
            found.push((start, name));
            return end;
        }
        let after = skip_space(bytes, next + 2);
        match bytes.get(after) {
            Some(byte) if is_ident_start(*byte) => {
                end = ident_end(bytes, after);
                name = format!("{name}::{}", &code[after..end]);
            }
            Some(b'{') => return branches(code, after, &format!("{name}::"), found),
            Some(b'*') => {
                found.push((start, format!("{name}::*")));
                return after + 1;
            }
            _ => {
                found.push((start, name));
                return after;
            }
        }
    }
}

fn branches(code: &str, open: usize, prefix: &str, found: &mut Vec<(usize, String)>) -> usize {
    let bytes = code.as_bytes();
    let mut at = open + 1;
    while let Some(byte) = bytes.get(at) {
        at = match byte {
            b'}' => return at + 1,
            b'*' => {
                found.push((at, format!("{prefix}*")));
                at + 1
            }
            byte if is_ident_start(*byte) => {
                let end = path(code, at, prefix, found);
                // The new name of `one as other` is no branch.
                match code[end..].trim_start().strip_prefix("as ") {
                    Some(_) => end + code[end..].find([',', '}']).unwrap_or(code.len() - end),
                    None => end,
                }
            }
            _ => at + 1,
        };
    }
    at
}

/// A comment or a literal.
struct Hidden {
    range: Range<usize>,
    comment: bool,
}

fn hidden(text: &[u8]) -> Vec<Hidden> {
    let (mut found, mut at) = (Vec::new(), 0);
    while at < text.len() {
        let comment = text[at..].starts_with(b"//") || text[at..].starts_with(b"/*");
        let end = match text[at] {
            b'/' if text[at..].starts_with(b"//") => line_end(text, at),
            b'/' if comment => block_end(text, at),
            b'"' => quoted_end(text, at, b'"'),
            b'\'' => char_end(text, at).unwrap_or(at),
            b'r' | b'b' | b'c' if at == 0 || !is_ident(text[at - 1]) => raw_end(text, at).unwrap_or(at),
            _ => at,
        };
        if end > at {
            found.push(Hidden { range: at..end, comment });
        }
        at = end.max(at + 1);
    }
    found
}

fn line_end(text: &[u8], at: usize) -> usize {
    text[at..].iter().position(|byte| *byte == b'\n').map_or(text.len(), |end| at + end)
}

fn block_end(text: &[u8], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while at < text.len() {
        if text[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    at
}

fn quoted_end(text: &[u8], open: usize, quote: u8) -> usize {
    let mut at = open + 1;
    while at < text.len() {
        match text[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

/// The end of a character literal; `None` for a lifetime.
fn char_end(text: &[u8], open: usize) -> Option<usize> {
    if text.get(open + 1) == Some(&b'\\') {
        return Some(quoted_end(text, open, b'\''));
    }
    let width = match text.get(open + 1)? {
        0xF0.. => 4,
        0xE0.. => 3,
        0xC0.. => 2,
        _ => 1,
    };
    (text.get(open + 1 + width) == Some(&b'\'')).then_some(open + width + 2)
}

/// The end of a raw literal such as `br#"…"#`; `None` where none begins here.
fn raw_end(text: &[u8], start: usize) -> Option<usize> {
    let mut at = start + usize::from(matches!(text[start], b'b' | b'c'));
    if text.get(at) != Some(&b'r') {
        return None;
    }
    at += 1;
    let hashes = text[at..].iter().take_while(|byte| **byte == b'#').count();
    if text.get(at + hashes) != Some(&b'"') {
        return None;
    }
    let mut close = vec![b'"'];
    close.resize(hashes + 1, b'#');
    let from = at + hashes + 1;
    let end = text[from..].windows(close.len()).position(|window| window == close);
    Some(end.map_or(text.len(), |end| from + end + close.len()))
}

/// The items that `#[cfg(test)]` stands before.
fn test_items(code: &[u8]) -> Vec<Range<usize>> {
    const MARK: &str = "#[cfg(test)]";
    let text = std::str::from_utf8(code).expect("whole characters were blanked");
    text.match_indices(MARK)
        .map(|(start, _)| {
            let mut at = skip_space(code, start + MARK.len());
            while code[at..].starts_with(b"#[") {
                at = skip_space(code, group_end(code, at + 1));
            }
            let end = code[at..].iter().position(|byte| matches!(byte, b'{' | b';'));
            match end.map(|end| at + end) {
                Some(open) if code[open] == b'{' => start..group_end(code, open),
                Some(end) => start..end + 1,
                None => start..code.len(),
            }
        })
        .collect()
}

fn is_test_file(path: &str) -> bool {
    path.split('/').any(|part| matches!(part, "tests" | "tests.rs" | "examples"))
}

fn blank(bytes: &mut [u8]) {
    bytes.iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
}

fn is_ident_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_'
}

fn is_ident(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn ident_end(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().position(|byte| !is_ident(*byte)).map_or(bytes.len(), |end| at + end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> String {
        Source::new("a.rs", text).code
    }

    #[test]
    fn comments_and_literals_are_no_code() {
        for text in [
            "// todo!()",
            "/* /* todo!() */ todo!() */",
            "\"todo!() \\\" todo!()\"",
            "r#\"todo!() \" todo!()\"#",
            "br\"todo!()\"",
            "'\\'' /* todo! */",
        ] {
            assert!(!code(text).contains("todo"), "{text}: {}", code(text));
        }
        assert_eq!(code("a<'b>(x: &'b str) // c").trim_end(), "a<'b>(x: &'b str)");
        assert_eq!(code("let é = 'é'; next").trim_end(), "let é =     ; next");
        assert_eq!(code("r#type + 'r'").trim_end(), "r#type +");
    }

    #[test]
    fn comments_are_kept_apart() {
        let source = Source::new("a.rs", "let a = \"// no\"; // yes\nlet b;");
        assert_eq!(source.comments.trim(), "// yes");
        assert_eq!(source.line(source.text.find("let b").unwrap()), 2);
    }

    #[test]
    fn tests_are_no_product() {
        let text = "use a;\n#[cfg(test)]\n#[allow(x)]\nmod tests { fn f() { g() } }\nfn h() {}\n#[cfg(test)]\nmod more;";
        let product = Source::new("a.rs", text).product;
        assert!(product.contains("use a;") && product.contains("fn h()"), "{product}");
        assert!(!product.contains("g()") && !product.contains("more"), "{product}");
        assert_eq!(Source::new("a/tests/b.rs", "fn f() {}").product.trim(), "");
    }

    #[test]
    fn paths_branch() {
        let found: Vec<String> = paths("use a::{self, b::{C as D, e}, f::*}; g :: h::<T>(1_u8)")
            .into_iter()
            .map(|it| it.1)
            .collect();
        assert_eq!(found, ["use", "a::self", "a::b::C", "a::b::e", "a::f::*", "g::h", "T"]);
    }

    #[test]
    fn words_stand_alone() {
        assert_eq!(words("async asyncs _async async", "async").collect::<Vec<_>>(), [0, 20]);
    }
}
