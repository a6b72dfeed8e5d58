//! Names and globs that stand for hosts.

use std::fmt;

use serde::{Serialize, Serializer};

/// Hosts by name or glob (`home-*`), as somebody wrote them. Whoever knows the hosts resolves it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Selector {
    patterns: Vec<String>,
}

impl Selector {
    /// The hosts that match at least one of `patterns`.
    pub fn new(patterns: impl IntoIterator<Item = impl Into<String>>) -> Selector {
        Selector { patterns: patterns.into_iter().map(Into::into).collect() }
    }

    /// The names and globs, in the order they were written.
    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }

    /// Whether `pattern` may match more than the host of exactly that name.
    pub fn is_glob(pattern: &str) -> bool {
        pattern.contains(['*', '?', '[', '{'])
    }
}

impl From<&str> for Selector {
    fn from(pattern: &str) -> Selector {
        Selector::new([pattern])
    }
}

/// The patterns in words: `main-a, main-b and home-*`.
impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.patterns.as_slice() {
            [] => f.write_str("nobody"),
            [only] => f.write_str(only),
            [first @ .., last] => write!(f, "{} and {last}", first.join(", ")),
        }
    }
}

/// One pattern is written as a string, several as a list, as in scenario files.
impl Serialize for Selector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.patterns.as_slice() {
            [only] => serializer.serialize_str(only),
            several => several.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_in_words() {
        assert_eq!(Selector::from("home-*").to_string(), "home-*");
        assert_eq!(Selector::new(["a", "b"]).to_string(), "a and b");
        assert_eq!(Selector::new(["a", "b", "c*"]).to_string(), "a, b and c*");
        assert_eq!(Selector::new(Vec::<String>::new()).to_string(), "nobody");
    }

    #[test]
    fn tells_globs_from_names() {
        assert!(Selector::is_glob("home-*"));
        assert!(Selector::is_glob("home-{a,b}"));
        assert!(!Selector::is_glob("home-a"));
    }
}
