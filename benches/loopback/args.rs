//! What is to be measured.

use std::path::PathBuf;
use std::time::Duration;

pub(crate) const HELP: &str = "\
Measures relays beside nats-server, with real processes on loopback.

cargo bench -p relay-benches --bench loopback -- [FLAGS]

  -relay NAME=PATH   a relay binary to measure under this name; may be given several times, to compare versions.
                     Unless given, the one of this workspace is built and measured
  -no-nats           leave NATS out
  -only WORDS        only the parts whose name contains this: one of the rows of the table, `idle` or `failover`
  -rounds N          how often each row is measured, all contenders taking turns; the best round counts (3)
  -seconds N         length of one measurement (4)
  -homes N           Homes, and connections, of the part `idle` (10000)
";

/// The command line.
#[derive(Debug)]
pub(crate) struct Options {
    /// Name and binary.
    pub(crate) relays: Vec<(String, PathBuf)>,
    pub(crate) nats: bool,
    pub(crate) only: Option<String>,
    pub(crate) rounds: usize,
    pub(crate) length: Duration,
    pub(crate) homes: usize,
}

impl Options {
    /// Whether the part of this name is asked for.
    pub(crate) fn wants(&self, part: &str) -> bool {
        self.only.as_ref().is_none_or(|words| part.contains(words.as_str()))
    }
}

/// Reads the command line; `None` where it asks for help.
pub(crate) fn parse(args: impl Iterator<Item = String>) -> Result<Option<Options>, String> {
    let mut options = Options {
        relays: Vec::new(),
        nats: true,
        only: None,
        rounds: 3,
        length: Duration::from_secs(4),
        homes: 10_000,
    };
    // What `cargo bench` itself adds.
    let mut args = args.filter(|arg| arg != "--bench");
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} needs a value"));
        match arg.trim_start_matches('-') {
            "relay" => {
                let given = value()?;
                let (name, path) =
                    given.split_once('=').ok_or(format!("-relay takes NAME=PATH, not {given}"))?;
                options.relays.push((name.to_owned(), PathBuf::from(path)));
            }
            "no-nats" => options.nats = false,
            "only" => options.only = Some(value()?),
            "rounds" => options.rounds = number(&arg, &value()?, 100)?,
            "seconds" => options.length = Duration::from_secs(number(&arg, &value()?, 600)? as u64),
            "homes" => options.homes = number(&arg, &value()?, 25_000)?,
            "help" | "h" => return Ok(None),
            _ => return Err(format!("{arg} is not known")),
        }
    }
    Ok(Some(options))
}

fn number(flag: &str, text: &str, most: usize) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if (1..=most).contains(&number) => Ok(number),
        _ => Err(format!("{flag} takes a number from 1 to {most}, not {text}")),
    }
}
