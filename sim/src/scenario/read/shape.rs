//! What the reader asks for, written down while it reads: what a schema is made of.

use std::cell::RefCell;

/// What a value may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Shape {
    /// Not known.
    Any,
    /// Any text.
    Text,
    /// True or false.
    Flag,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// A text of a certain form, with examples.
    Quantity(&'static [&'static str]),
    /// A text or a list of them.
    Names,
    /// A list of whole numbers.
    Integers,
    /// A list of texts.
    Texts,
    /// A whole number or a share.
    Batch,
    /// One of these words.
    Words(Vec<String>),
    /// A table of its own, by its title.
    Table(String),
    /// A list of such tables.
    Tables(String),
    /// A table with keys of anybody's choice.
    Map,
}

/// A table that was read, and what was asked of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Section {
    /// How it was called in the beginning: `[[fault]]`.
    pub(in super::super) title: String,
    /// The keys, in the order in which they were asked for.
    pub(in super::super) keys: Vec<(&'static str, Shape)>,
    /// Those that it must have.
    pub(in super::super) missing: Vec<&'static str>,
    /// Nothing could be said of its other keys.
    pub(in super::super) is_open: bool,
}

/// Collects sections, where somebody wants them.
#[derive(Debug, Default)]
pub(in super::super) struct Recorder(RefCell<Vec<Section>>);

impl Recorder {
    /// Adds a section.
    pub(in super::super) fn add(&self, section: Section) {
        self.0.borrow_mut().push(section);
    }

    /// All of them.
    pub(in super::super) fn take(self) -> Vec<Section> {
        self.0.into_inner()
    }
}
