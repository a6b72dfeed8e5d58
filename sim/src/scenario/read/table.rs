//! A TOML table as it is read: typed values, problems noted where they stand, no key left over.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::super::error::{Problem, Problems, did_you_mean, list};
use super::expand::common_keys;
use super::shape::{Section, Shape};

/// A type that a TOML value can be read as.
pub(super) trait FromToml: Sized {
    /// Reads `value`.
    fn from_toml(value: &Spanned<DeValue<'_>>) -> Result<Self, Wrong>;

    /// What such a value looks like.
    fn shape() -> Shape;
}

/// A value that is not what it should be.
pub(super) struct Wrong {
    /// What is wrong with it.
    pub(super) problem: String,
    /// What would be right.
    pub(super) expected: String,
    /// Where, if not the whole value.
    pub(super) span: Option<Range<usize>>,
}

impl Wrong {
    /// A value of another type than `expected`.
    pub(super) fn kind(value: &DeValue<'_>, expected: &str) -> Wrong {
        Wrong {
            problem: format!("this is {}", kind_in_words(value)),
            expected: expected.to_owned(),
            span: None,
        }
    }
}

/// A table that is being read. Call [`Table::finish`] at the end: keys nobody asked for are problems.
pub(super) struct Table<'a> {
    entries: &'a DeTable<'a>,
    span: Range<usize>,
    /// How messages call it: `[[main]]`.
    title: String,
    /// How it was called in the beginning.
    section: String,
    asked: Vec<&'static str>,
    /// What was asked for, as far as it is known; kept only where somebody wants it.
    shapes: Vec<(&'static str, Shape)>,
    /// Keys that were dealt with before: they may be there.
    common: &'static [&'static str],
    accepts_all: bool,
    missing: Vec<&'static str>,
    problems: &'a Problems,
}

impl<'a> Table<'a> {
    /// Starts to read `entries`, which stand at `span` and are called `title` in messages.
    pub(super) fn new(
        entries: &'a DeTable<'a>,
        span: Range<usize>,
        title: impl Into<String>,
        problems: &'a Problems,
    ) -> Table<'a> {
        let title = title.into();
        Table {
            entries,
            span,
            section: title.clone(),
            title,
            asked: Vec::new(),
            shapes: Vec::new(),
            accepts_all: false,
            common: &[],
            missing: Vec::new(),
            problems,
        }
    }

    /// Where the table stands.
    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// Where `key` stands.
    pub(super) fn key_span(&self, key: &str) -> Range<usize> {
        self.entries.get_key_value(key).map_or_else(|| self.span(), |(key, _)| key.span())
    }

    /// Where the value of `key` stands.
    pub(super) fn value_span(&self, key: &str) -> Range<usize> {
        self.entries.get(key).map_or_else(|| self.span(), Spanned::span)
    }

    /// Where problems are noted.
    pub(super) fn problems(&self) -> &'a Problems {
        self.problems
    }

    /// Whether `key` is there, whatever its value.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// How many tables `[[key]]` there are, right or wrong.
    pub(super) fn number_of(&self, key: &str) -> usize {
        self.entries.get(key).and_then(|value| value.get_ref().as_array()).map_or(0, |items| items.len())
    }

    /// Lets `keys` be there.
    pub(super) fn ask(&mut self, keys: &[&'static str]) {
        for key in keys {
            if !self.asked.contains(key) {
                self.asked.push(key);
            }
        }
    }

    /// Lets every key be there that is.
    pub(super) fn ask_all(&mut self) {
        self.accepts_all = true;
    }

    /// Renames the table for messages, once more is known about it.
    pub(super) fn call(&mut self, title: impl Into<String>) {
        self.title = title.into();
    }

    /// Notes a problem.
    pub(super) fn problem(&self, problem: Problem) {
        self.problems.add(problem);
    }

    /// The value of `key`, as it stands.
    pub(super) fn raw(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.ask(&[key]);
        self.entries.get(key)
    }

    /// The value of `key`; `None` where there is none, or a wrong one, which is noted.
    pub(super) fn read<T: FromToml>(&mut self, key: &'static str) -> Option<Spanned<T>> {
        self.is_like(key, T::shape);
        let value = self.raw(key)?;
        match T::from_toml(value) {
            Ok(read) => Some(Spanned::new(value.span(), read)),
            Err(Wrong { problem, expected, span }) => {
                let span = span.unwrap_or_else(|| value.span());
                let message = format!("bad value for `{key}` in {}: {problem}", self.title);
                self.problem(Problem::new(message, span, format!("expected {expected}")));
                None
            }
        }
    }

    /// The value of `key` without its place.
    pub(super) fn get<T: FromToml>(&mut self, key: &'static str) -> Option<T> {
        self.read(key).map(Spanned::into_inner)
    }

    /// The value of `key`, whose absence is noted.
    pub(super) fn require<T: FromToml>(&mut self, key: &'static str) -> Option<Spanned<T>> {
        if !self.entries.contains_key(key) {
            self.is_like(key, T::shape);
            self.missing(key);
            return None;
        }
        self.read(key)
    }

    /// Notes, once the table is read, that `key` should be there.
    pub(super) fn missing(&mut self, key: &'static str) {
        self.ask(&[key]);
        self.missing.push(key);
    }

    /// One of several words as the value of `key`.
    pub(super) fn word<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        self.is_like(key, || Shape::Words(words.iter().map(|(word, _)| (*word).to_owned()).collect()));
        let text = self.read::<String>(key)?;
        let found = words.iter().find(|(word, _)| word == text.get_ref());
        if found.is_none() {
            let known = || words.iter().map(|(word, _)| *word);
            let message = format!("bad value for `{key}` in {}: \"{}\"", self.title, text.get_ref());
            let label = format!("expected one of {}", list(known()));
            let help = did_you_mean(text.get_ref(), known());
            self.problem(Problem::new(message, text.span(), label).maybe_help(help));
        }
        found.map(|(_, meaning)| *meaning)
    }

    /// The table `[key]`; an empty one where there is none.
    pub(super) fn table(&mut self, key: &'static str, title: &str) -> Option<Table<'a>> {
        self.is_like(key, || Shape::Table(title.to_owned()));
        let value = self.raw(key)?;
        match value.get_ref() {
            DeValue::Table(entries) => Some(Table::new(entries, value.span(), title, self.problems)),
            other => {
                self.not_a_table(key, value.span(), other, title);
                None
            }
        }
    }

    /// The tables `[[key]]`.
    pub(super) fn tables(&mut self, key: &'static str) -> Vec<Table<'a>> {
        let title = format!("[[{key}]]");
        self.is_like(key, || Shape::Tables(title.clone()));
        let Some(value) = self.raw(key) else { return Vec::new() };
        let DeValue::Array(items) = value.get_ref() else {
            self.not_a_table(key, value.span(), value.get_ref(), &title);
            return Vec::new();
        };
        let mut tables = Vec::new();
        for item in items.iter() {
            match item.get_ref() {
                DeValue::Table(entries) => {
                    let table = Table::new(entries, item.span(), &*title, self.problems);
                    tables.push(Table { common: common_keys(key), ..table });
                }
                other => self.not_a_table(key, item.span(), other, &title),
            }
        }
        tables
    }

    fn not_a_table(&self, key: &str, span: Range<usize>, value: &DeValue<'_>, title: &str) {
        self.problems.lose_name();
        let message = format!("`{key}` is {}", kind_in_words(value));
        self.problem(Problem::new(message, span, format!("expected a table: {title}")));
    }

    /// Keeps what a key looks like, where somebody wants to know; what is known first counts.
    fn is_like(&mut self, key: &'static str, shape: impl Fn() -> Shape) {
        if self.problems.recorder.is_some() && self.shapes.iter().all(|(known, _)| *known != key) {
            self.shapes.push((key, shape()));
        }
    }

    /// Tells what was asked for, where somebody wants to know.
    fn record(&self) {
        let Some(recorder) = &self.problems.recorder else { return };
        let shape = |key: &&'static str| {
            let known = self.shapes.iter().find(|(known, _)| known == key);
            (*key, known.map_or(Shape::Any, |(_, shape)| shape.clone()))
        };
        recorder.add(Section {
            title: self.section.clone(),
            keys: self.asked.iter().chain(self.common).map(shape).collect(),
            missing: self.missing.clone(),
            is_open: self.accepts_all,
        });
    }

    /// Notes the keys that nobody asked for, and those that are missing.
    pub(super) fn finish(self) {
        self.record();
        for (name, span) in self.unknown_keys() {
            let message = format!("unknown key `{name}` in {}", self.title);
            let label = format!("expected one of {}", list(self.asked.iter().copied()));
            let help = did_you_mean(name, self.asked.iter().chain(self.common).copied());
            self.problem(Problem::new(message, span, label).maybe_help(help));
        }
        for key in &self.missing {
            // A misspelt key was noted just now, with what was meant.
            if self.problems.misses_keys(&self.span)
                && self.unknown_keys().all(|(name, _)| did_you_mean(name, [*key]).is_none())
            {
                let message = format!("{} has no `{key}`", self.title);
                self.problem(Problem::new(message, self.span(), format!("expected `{key} = …` in here")));
            }
        }
    }

    fn unknown_keys(&self) -> impl Iterator<Item = (&'a str, Range<usize>)> {
        self.entries.iter().map(|(key, _)| (key.get_ref().as_ref(), key.span())).filter(|(name, _)| {
            !self.accepts_all && !self.asked.contains(name) && !self.common.contains(name)
        })
    }
}

/// What a value is, in words.
pub(super) fn kind_in_words(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
