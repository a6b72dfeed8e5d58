//! What is wrong with a scenario file, where, and what would be right.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::fmt;
use std::ops::Range;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};

/// Problems that one report shows; the others are counted.
pub const MAX_PROBLEMS_SHOWN: usize = 20;

/// A scenario file that cannot be used, and all that is wrong with it.
///
/// Render it with miette: each problem comes with its line, its column and a help.
#[derive(Debug)]
pub struct ScenarioError {
    source: NamedSource<String>,
    problems: Vec<Problem>,
    count: usize,
}

impl ScenarioError {
    /// The problems, in the order of the file.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.source.name();
        match self.count {
            1 => write!(f, "{name} cannot be used"),
            count if count > self.problems.len() => {
                write!(f, "{name} cannot be used: {count} problems, the first {} are", self.problems.len())
            }
            count => write!(f, "{name} cannot be used: {count} problems"),
        }
    }
}

impl Error for ScenarioError {}

impl Diagnostic for ScenarioError {
    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&self.source)
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.problems.iter().map(|problem| problem as &dyn Diagnostic)))
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    message: String,
    labels: Vec<LabeledSpan>,
    help: Option<String>,
}

impl Problem {
    /// `message` about the text at `span`, with `label` beside it: what was expected there.
    pub(super) fn new(message: impl Into<String>, span: Range<usize>, label: impl Into<String>) -> Problem {
        let label = LabeledSpan::new_primary_with_span(Some(label.into()), span);
        Problem { message: message.into(), labels: vec![label], help: None }
    }

    /// Also points at another place.
    pub(super) fn and(mut self, span: Range<usize>, label: impl Into<String>) -> Problem {
        self.labels.push(LabeledSpan::new_with_span(Some(label.into()), span));
        self
    }

    /// Says what to do.
    pub(super) fn help(mut self, help: impl Into<String>) -> Problem {
        self.help = Some(help.into());
        self
    }

    /// Says what to do, where there is something to say.
    pub(super) fn maybe_help(self, help: Option<String>) -> Problem {
        match help {
            Some(help) => self.help(help),
            None => self,
        }
    }

    /// Where it is, in bytes from the start of the text.
    pub fn offset(&self) -> usize {
        self.labels.first().map_or(0, LabeledSpan::offset)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Problem {}

impl Diagnostic for Problem {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }
}

/// Collects problems while a file is read, so that one look shows all of them.
#[derive(Debug, Default)]
pub(super) struct Problems {
    list: RefCell<Vec<Problem>>,
    names_are_lost: Cell<bool>,
}

impl Problems {
    /// Notes a problem.
    pub(super) fn add(&self, problem: Problem) {
        self.list.borrow_mut().push(problem);
    }

    /// Notes that a host or a service was left out because its own table is wrong.
    pub(super) fn lose_name(&self) {
        self.names_are_lost.set(true);
    }

    /// Notes that a name is unknown, unless that may come from another problem.
    pub(super) fn add_unknown_name(&self, problem: Problem) {
        if !self.names_are_lost.get() {
            self.add(problem);
        }
    }

    /// The error that holds them, where there are any.
    pub(super) fn error(&self, name: &str, text: &str) -> Option<ScenarioError> {
        let mut problems = self.list.borrow().clone();
        if problems.is_empty() {
            return None;
        }
        problems.sort_by_key(Problem::offset);
        let count = problems.len();
        problems.truncate(MAX_PROBLEMS_SHOWN);
        Some(ScenarioError { source: NamedSource::new(name, text.to_owned()), problems, count })
    }
}

/// A help that names what `given` was probably meant to be.
pub(super) fn did_you_mean<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let farthest = (given.chars().count() / 3).max(1);
    known
        .into_iter()
        .filter(|name| name.len().abs_diff(given.len()) <= farthest)
        .map(|name| (strsim::damerau_levenshtein(given, name), name))
        .filter(|(distance, _)| *distance <= farthest)
        .min()
        .map(|(_, name)| format!("did you mean `{name}`?"))
}

/// `names` as a sentence lists them, at most `MAX_NAMES_LISTED` of them.
pub(super) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const MAX_NAMES_LISTED: usize = 16;
    let mut names = names.into_iter();
    let mut text: Vec<_> = names.by_ref().take(MAX_NAMES_LISTED).map(|name| format!("`{name}`")).collect();
    let more = names.count();
    if more > 0 {
        text.push(format!("and {more} more"));
    }
    text.join(", ")
}
