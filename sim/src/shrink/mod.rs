//! Makes a failing scenario small: leaves out what the failure does not need, and shortens the rest.
//!
//! Works on the scenario's text, so that what is left reads as it was written. Whether a smaller one still fails in the
//! same way is for others to find out (a [`Prover`]): a candidate need not even be a valid scenario. Steps never make
//! a scenario ask for more than it did: no fault gets longer, no load starts earlier than the faults allow, and settings
//! that gates were chosen for stay.
//!
//! | file | what |
//! | --- | --- |
//! | `mod.rs` | the steps, in turn, until none of them helps |
//! | `params.rs` | the values of parameters in their places |
//! | `prune.rs` | takes away what speaks of nobody |
//! | `units.rs` | what can be left out, and scenarios without it |
//! | `times.rs` | what can be shorter or earlier |

mod params;
mod prune;
#[cfg(test)]
mod tests;
mod times;
mod units;

use relay_chaos::shrink::{Answer, minimise};
use toml_edit::DocumentMut;

use crate::scenario::{Parameter, hosts_of};
use units::Unit;

/// After so many rounds over all steps it is enough, whatever the last one gained.
const ROUNDS_MAX: usize = 5;

/// Finds out whether scenarios fail in the way that is wanted.
pub trait Prover {
    /// The first of these texts that is a scenario and fails in the same way, by its number. [`Verdict::Stop`] ends the
    /// search.
    fn first_that_fails(&mut self, texts: &[String]) -> Verdict;

    /// What is tried next, in words, and how large the scenario is by now.
    fn step(&mut self, what: &str, size: Size);
}

/// What a [`Prover`] found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// This one fails in the same way, and none before it.
    Fails(usize),
    /// None does.
    NoneFails,
    /// There is no time left.
    Stop,
}

/// How large a scenario is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Tables of faults, each of which may stand for several.
    pub faults: usize,
    /// Hosts.
    pub hosts: usize,
    /// Loads.
    pub loads: usize,
    /// Lines of text.
    pub lines: usize,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shrunk {
    /// The text that is left.
    pub text: String,
    /// Whether the search came to its end: nothing more can be left out.
    pub is_minimal: bool,
}

/// The text of a scenario with the values of its parameters in their places: it means the same, without `--set`.
///
/// # Errors
/// Where the text is no TOML.
pub fn written_out(text: &str, parameters: &[Parameter]) -> Result<String, toml_edit::TomlError> {
    params::written_out(text, parameters).map(|document| document.to_string())
}

/// Shrinks a scenario's text, which fails and has no parameters. What comes of it was proven, or is the text itself.
///
/// # Errors
/// Where the text is no TOML.
pub fn shrink(text: &str, prover: &mut impl Prover) -> Result<Shrunk, toml_edit::TomlError> {
    let mut document: DocumentMut = text.parse()?;
    for _ in 0..ROUNDS_MAX {
        let before = document.to_string();
        for step in STEPS {
            prover.step(step.name, size(&document));
            if !(step.run)(&mut document, prover) {
                return Ok(Shrunk { text: document.to_string(), is_minimal: false });
            }
        }
        if document.to_string() == before {
            return Ok(Shrunk { text: before, is_minimal: true });
        }
    }
    Ok(Shrunk { text: document.to_string(), is_minimal: false })
}

/// How large a text is; nothing where it is no TOML.
pub fn size_of(text: &str) -> Size {
    text.parse().map(|document| size(&document)).unwrap_or(Size { faults: 0, hosts: 0, loads: 0, lines: 0 })
}

fn size(document: &DocumentMut) -> Size {
    let tables = |key| units::tables(document, key).map_or(0, toml_edit::ArrayOfTables::len);
    let text = document.to_string();
    Size {
        faults: tables("fault"),
        hosts: hosts_of(&text).len(),
        loads: tables("load"),
        lines: text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')).count(),
    }
}

/// One way to make scenarios smaller.
struct Step {
    name: &'static str,
    /// False: there is no time left.
    run: fn(&mut DocumentMut, &mut dyn Prover) -> bool,
}

/// What costs runs the most time goes first.
const STEPS: &[Step] = &[
    Step { name: "faults", run: |document, prover| leave_out(document, units::faults, prover) },
    Step { name: "upgrades", run: |document, prover| leave_out(document, units::upgrades, prover) },
    Step { name: "loads", run: |document, prover| leave_out(document, units::loads, prover) },
    Step { name: "Homes", run: |document, prover| leave_out(document, units::homes, prover) },
    Step { name: "Mains", run: |document, prover| leave_out(document, units::mains, prover) },
    Step { name: "hosts of faults", run: |document, prover| leave_out(document, units::members, prover) },
    Step { name: "services", run: |document, prover| leave_out(document, units::services, prover) },
    Step { name: "settings", run: |document, prover| leave_out(document, units::settings, prover) },
    Step { name: "numbers of hosts", run: |document, prover| shorten(document, times::counts, prover) },
    Step { name: "times of faults", run: |document, prover| shorten(document, times::faults, prover) },
    Step {
        name: "time before the first fault",
        run: |document, prover| shorten(document, times::lead, prover),
    },
    Step { name: "time after the last", run: |document, prover| shorten(document, times::tail, prover) },
];

fn leave_out(
    document: &mut DocumentMut,
    units: fn(&DocumentMut) -> Vec<Unit>,
    prover: &mut dyn Prover,
) -> bool {
    let all = units(document);
    let without = |kept: &[&Unit]| {
        let gone: Vec<&Unit> = all.iter().filter(|unit| !kept.contains(unit)).collect();
        units::without(document, &gone)
    };
    // What nobody proved is no result, even where nothing but mentions of nobody went.
    let mut proven = None;
    let minimised = minimise(all.clone(), |batch| {
        let texts: Vec<String> =
            (0..batch.len()).map(|number| without(&batch.candidate(number)).to_string()).collect();
        match prover.first_that_fails(&texts) {
            Verdict::Fails(number) => {
                proven = texts.get(number).cloned();
                Answer::Fails(number)
            }
            Verdict::NoneFails => Answer::NoneFails,
            Verdict::Stop => Answer::Stop,
        }
    });
    if let Some(proven) = proven.and_then(|text| text.parse().ok()) {
        *document = proven;
    }
    minimised.is_minimal
}

/// Takes the first smaller document that still fails, again and again. `smaller` gives them by how much they gain.
fn shorten(
    document: &mut DocumentMut,
    smaller: fn(&DocumentMut) -> Vec<DocumentMut>,
    prover: &mut dyn Prover,
) -> bool {
    loop {
        let candidates = smaller(document);
        let texts: Vec<String> = candidates.iter().map(ToString::to_string).collect();
        if texts.is_empty() {
            return true;
        }
        match prover.first_that_fails(&texts) {
            Verdict::Fails(number) => *document = candidates[number].clone(),
            Verdict::NoneFails => return true,
            Verdict::Stop => return false,
        }
    }
}
