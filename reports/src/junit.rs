//! Runs as JUnit XML, the form in which CI systems take test results: one suite per scenario and seed, one case for each
//! gate, invariant and figure with a baseline.

use std::fmt::{self, Write as _};

use crate::digest::{Case, CutShort, Digest, Outcome};

/// The document over these runs, which are all unless they were `cut_short`: then that is an error of a suite of its own.
#[must_use]
pub fn render(runs: &[Digest], cut_short: Option<CutShort>) -> String {
    let mut totals = runs.iter().map(Counts::of).fold(Counts::default(), Counts::plus);
    let mut suites: String = runs.iter().map(suite).collect();
    if let Some(cut_short) = cut_short {
        totals = totals.plus(Counts { tests: 1, errors: 1, skipped: 0, failures: 0, wall_ns: Some(0) });
        suites.push_str(&missing(&cut_short.words(runs.len())));
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"relay-sim\"{totals}>\n{suites}</testsuites>\n"
    )
}

/// The attributes that suites, and all of them together, have.
#[derive(Default)]
struct Counts {
    tests: usize,
    failures: usize,
    errors: usize,
    skipped: usize,
    /// `None` once a run does not tell its own.
    wall_ns: Option<u64>,
}

impl Counts {
    fn of(run: &Digest) -> Self {
        let count = |outcome| run.cases.iter().filter(|case| case.outcome == outcome).count();
        Self {
            tests: run.cases.len(),
            failures: count(Outcome::Failed),
            errors: 0,
            skipped: count(Outcome::NotExercised),
            wall_ns: run.wall_ns,
        }
    }

    fn plus(self, other: Self) -> Self {
        let wall_ns = match (self.tests, self.wall_ns, other.wall_ns) {
            (0, _, first) => first,
            (_, Some(one), Some(other)) => Some(one.saturating_add(other)),
            _ => None,
        };
        Self {
            tests: self.tests + other.tests,
            failures: self.failures + other.failures,
            errors: self.errors + other.errors,
            skipped: self.skipped + other.skipped,
            wall_ns,
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tests, failures, errors, skipped, .. } = self;
        write!(f, " tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\"")?;
        match self.wall_ns {
            Some(ns) => write!(f, " time=\"{:.3}\"", ns as f64 / 1e9),
            None => Ok(()),
        }
    }
}

/// The suite of the runs that were not done.
fn missing(words: &str) -> String {
    format!(
        "  <testsuite name=\"relay-sim\" tests=\"1\" failures=\"0\" errors=\"1\" skipped=\"0\">\n    \
         <testcase classname=\"relay-sim.run\" name=\"all runs\">\n      <error message=\"{words}\"/>\n    \
         </testcase>\n  </testsuite>\n",
        words = Xml(words)
    )
}

fn suite(run: &Digest) -> String {
    let mut xml = String::new();
    let name = format!("{}, seed {}", run.scenario, run.seed);
    let _ = writeln!(xml, "  <testsuite name=\"{}\"{}>", Xml(&name), Counts::of(run));
    let _ = writeln!(
        xml,
        "    <properties>\n      <property name=\"seed\" value=\"{}\"/>\n      <property name=\"replay\" value=\"{}\"/>\n    \
         </properties>",
        run.seed,
        Xml(&run.replay)
    );
    for case in &run.cases {
        let _ = write!(
            xml,
            "    <testcase classname=\"{}.{}\" name=\"{}\"",
            Xml(&run.scenario),
            case.sort.as_str(),
            Xml(&case.name)
        );
        xml.push_str(&body(run, case));
    }
    xml.push_str("  </testsuite>\n");
    xml
}

fn body(run: &Digest, case: &Case) -> String {
    let text = Xml(&case.text);
    match case.outcome {
        Outcome::Held => "/>\n".to_owned(),
        Outcome::NotExercised => format!(">\n      <skipped message=\"{text}\"/>\n    </testcase>\n"),
        Outcome::Failed => format!(
            ">\n      <failure message=\"{message}\" type=\"{sort}\">{text}\nagain: {replay}</failure>\n    </testcase>\n",
            message = Xml(case.text.lines().next().unwrap_or_default()),
            sort = case.sort.as_str(),
            replay = Xml(&run.replay),
        ),
    }
}

/// Shows a string as XML text: safe between tags and inside quoted attributes.
struct Xml<'a>(&'a str);

impl fmt::Display for Xml<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                // Written as they are, attributes would turn them into spaces.
                '\n' => f.write_str("&#10;")?,
                '\t' => f.write_str("&#9;")?,
                // XML 1.0 has no way to write these, not even as a reference.
                '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => f.write_char(char::REPLACEMENT_CHARACTER)?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}
