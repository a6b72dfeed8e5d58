//! What is wrong with a scenario file, where, and what would be right.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::error::Error;
use std::fmt;
use std::ops::Range;

use super::read::shape::Recorder;
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

    /// Where the text begins and ends that it is about.
    fn place(&self) -> (usize, usize) {
        self.labels.first().map_or((0, 0), |label| (label.offset(), label.offset() + label.len()))
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
    /// Wants to know what is asked for.
    pub(super) recorder: Option<Recorder>,
    list: RefCell<Vec<Problem>>,
    names_are_lost: Cell<bool>,
    origins: RefCell<Vec<Origin>>,
    /// Where values stand that are read several times.
    repeated: RefCell<BTreeSet<(usize, usize)>>,
    /// Tables that lack what a template was to give them.
    unfinished: RefCell<BTreeSet<(usize, usize)>>,
}

/// A value that was put where a parameter is named.
#[derive(Debug)]
struct Origin {
    used: Range<usize>,
    declared: Range<usize>,
    note: String,
}

impl Problems {
    /// Notes a problem.
    pub(super) fn add(&self, problem: Problem) {
        self.list.borrow_mut().push(problem);
    }

    /// Notes that what stands at `used` is the value of something declared elsewhere, which `note` tells.
    pub(super) fn comes_from(&self, used: Range<usize>, declared: Range<usize>, note: String) {
        self.origins.borrow_mut().push(Origin { used, declared, note });
    }

    /// Notes that the values at these places are read several times, or are known to be wrong: each has one problem
    /// at most, the first that was noted.
    pub(super) fn repeats(&self, spans: impl Iterator<Item = Range<usize>>) {
        self.repeated.borrow_mut().extend(spans.map(|span| (span.start, span.end)));
    }

    /// Notes that the table at `span` was to have keys that are not known: none is missing.
    pub(super) fn lacks_keys(&self, span: &Range<usize>) {
        self.unfinished.borrow_mut().insert((span.start, span.end));
    }

    /// Whether a key that the table at `span` does not have is missing.
    pub(super) fn misses_keys(&self, span: &Range<usize>) -> bool {
        !self.unfinished.borrow().contains(&(span.start, span.end))
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
        self.drop_echoes(&mut problems);
        self.tell_origins(&mut problems);
        let count = problems.len();
        problems.truncate(MAX_PROBLEMS_SHOWN);
        Some(ScenarioError { source: NamedSource::new(name, text.to_owned()), problems, count })
    }
}

impl Problems {
    /// A table that is used several times has each of its mistakes told once.
    fn drop_echoes(&self, problems: &mut Vec<Problem>) {
        let repeated = self.repeated.borrow();
        let mut told: Vec<Problem> = Vec::new();
        problems.retain(|problem| {
            let place = problem.place();
            let same_place = repeated.contains(&place) && told.iter().any(|other| other.place() == place);
            let is_echo = same_place || told.contains(problem);
            // Problems are sorted: what stands far before says nothing about this one.
            told.retain(|other| other.offset() == problem.offset());
            if !is_echo {
                told.push(problem.clone());
            }
            !is_echo
        });
    }

    /// Where a wrong value comes from a parameter, points at the parameter as well.
    fn tell_origins(&self, problems: &mut [Problem]) {
        for problem in problems {
            let (start, end) = problem.place();
            let origins = self.origins.borrow();
            let declared = origins.iter().filter(|it| (it.used.start, it.used.end) == (start, end));
            for Origin { declared, note, .. } in declared {
                problem.labels.push(LabeledSpan::new_with_span(Some(note.clone()), declared.clone()));
            }
        }
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
