//! Whatever the text, reading it ends in a scenario or in words, never in a panic.

use proptest::prelude::*;
use proptest::sample::Index;

use super::super::{Role, Scenario};
use super::{BASE, LOAD};

const FAULTS: &str = r#"rate = "1/s"
[[fault]]
at = "1m"
kind = "partition"
hosts = ["main-a"]
from = ["home-{1,2}"]
lasts = "90s"
[[fault]]
at = "5m"
kind = "crash"
host = "home-1"
down = "30s"
[gates]
convergence = "20s"
success = "99.9%"
min_calls = 3
[network]
latency = "10ms"
loss = "0.1%"
bandwidth = "1.5Mbit/s"
"#;

/// Pieces that mean something to the format, to be put where they do not belong.
const PIECES: [&str; 24] = [
    "[[main]]",
    "[[home]]",
    "[[fault]]",
    "[gates]",
    "\n",
    "=",
    "\"",
    "'''",
    "[",
    "]",
    "{",
    "}",
    "*",
    "\u{e9}",
    "\0",
    "#",
    "0",
    "-1",
    "99999999999999999999",
    "name",
    "count = 4000000000",
    "1e400",
    "nan",
    "\"10m\"",
];

/// Reads and, where it cannot be used, renders: labels have to lie in the text.
fn read(text: &str) -> Result<(), TestCaseError> {
    match Scenario::load("x.toml", text) {
        Ok(scenario) => holds_together(&scenario),
        Err(error) => {
            let report = super::reports::render(&error);
            prop_assert!(report.contains("cannot be used"), "{report}");
            prop_assert!(!error.problems().is_empty());
            Ok(())
        }
    }
}

/// What whoever runs a scenario relies on.
fn holds_together(scenario: &Scenario) -> Result<(), TestCaseError> {
    let hosts = &scenario.topology.hosts;
    prop_assert!(!hosts.is_empty());
    for (_, host) in hosts.iter() {
        let mains = match &host.role {
            Role::Main { peers, .. } => peers.clone(),
            Role::Home { main, fallback } => [vec![*main], fallback.clone()].concat(),
        };
        prop_assert!(mains.into_iter().all(|index| hosts.get(index).is_main()));
        prop_assert!(host.services.iter().all(|it| *it < scenario.topology.services.len()));
    }
    for load in &scenario.loads {
        prop_assert!(!load.from.hosts().is_empty());
        prop_assert!(load.start < load.stop && load.stop <= scenario.run.duration);
        prop_assert!(scenario.offering(&load.call.service).next().is_some());
    }
    prop_assert!(scenario.faults.iter().all(|fault| fault.at < scenario.run.duration));
    prop_assert!(scenario.faults.is_sorted_by_key(|fault| fault.at));
    Ok(())
}

proptest! {
    #[test]
    fn any_text(text in any::<String>()) {
        read(&text)?;
    }

    #[test]
    fn any_pieces(pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..40)) {
        read(&pieces.concat())?;
    }

    #[test]
    fn a_right_text_with_a_piece_in_the_wrong_place(
        at in any::<Index>(),
        gone in 0..20_usize,
        piece in prop::sample::select(&PIECES[..]),
    ) {
        let mut text: Vec<char> = format!("{BASE}{LOAD}{FAULTS}").chars().collect();
        let at = at.index(text.len());
        let end = (at + gone).min(text.len());
        text.splice(at..end, piece.chars());
        read(&text.into_iter().collect::<String>())?;
    }

    #[test]
    fn a_right_text_with_lines_left_out(kept in prop::collection::vec(prop::bool::weighted(0.9), 36)) {
        let text = format!("{BASE}{LOAD}{FAULTS}");
        let lines = text.lines().zip(&kept).filter(|(_, kept)| **kept).map(|(line, _)| line);
        read(&lines.collect::<Vec<_>>().join("\n"))?;
    }
}

#[test]
fn the_text_they_start_from_is_right() {
    let text = format!("{BASE}{LOAD}{FAULTS}");
    assert_eq!(text.lines().count(), 36);
    Scenario::load("x.toml", &text).unwrap_or_else(|error| panic!("{}", super::problems(&error)));
}
