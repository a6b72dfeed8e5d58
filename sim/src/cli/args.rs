//! The command line.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args as ClapArgs, Parser, Subcommand};
use relay_chaos::plan::Family;
use relay_chaos::quantity::duration;
use relay_chaos::{ByteSize, Share};
use relay_reports::Tolerance;

use crate::engine::Engine;

/// Runs a federation of relays, whole days in seconds, from scenario files.
#[derive(Parser)]
#[command(
    name = "relay-sim",
    version,
    after_help = "Exit codes: 0 all holds · 1 a gate failed, or something got worse · 2 an invariant was violated or something panicked · \
                  3 not deterministic · 64 wrong usage or scenario"
)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Subcommand)]
pub(super) enum Command {
    /// Run scenarios and judge them
    Run(RunArgs),
    /// Draw federations, loads and faults from seeds, run them and judge them
    Chaos(ChaosArgs),
    /// Let callers that wait for each answer load a federation, and measure it
    Load(LoadArgs),
    /// Run again what a capsule holds
    Replay(ReplayArgs),
    /// Make a small scenario of a capsule that fails in the same way
    Shrink(ShrinkArgs),
    /// Tell from when on the failure of a capsule is bound to come, whatever chance does
    Likelihood(LikelihoodArgs),
    /// Read scenarios without running them
    Check {
        /// Scenario files, or folders of them
        #[arg(required = true, value_name = "FILE|DIR")]
        paths: Vec<PathBuf>,
        /// Give a parameter of the scenarios this value, in place of its default; may be repeated
        #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
        set: Vec<Setting>,
    },
    /// Compare two reports, or two folders of them: what differs, and what got worse
    Compare(CompareArgs),
    /// Print a JSON Schema of scenario files, for editors
    Schema,
    /// Tell what scenarios there are
    List {
        /// Scenario files, or folders of them
        #[arg(value_name = "FILE|DIR", default_value = "scenarios")]
        paths: Vec<PathBuf>,
    },
}

#[derive(ClapArgs)]
pub(super) struct RunArgs {
    /// Scenario files, or folders of them
    #[arg(required = true, value_name = "FILE|DIR")]
    pub(super) paths: Vec<PathBuf>,
    /// The seed, in place of the scenario's own
    #[arg(long, value_name = "N", conflicts_with = "seeds")]
    pub(super) seed: Option<u64>,
    /// Run once with each of these seeds, both ends included
    #[arg(long, value_name = "A..B")]
    pub(super) seeds: Option<Seeds>,
    /// What to run on: event, or turmoil, the slow reference
    #[arg(long, value_name = "ENGINE", default_value_t)]
    pub(super) engine: Engine,
    /// Give a parameter of the scenarios this value, in place of its default; may be repeated
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
    pub(super) set: Vec<Setting>,
    /// Runs side by side; one per core unless given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) jobs: Option<u16>,
    /// Write report.html, report.json, summary.md and junit.xml there; with several runs, a folder for each, and an
    /// index.html over all of them
    #[arg(long, value_name = "DIR")]
    pub(super) report: Option<PathBuf>,
    /// Hold each run against the baseline of its scenario, SCENARIO.json in this folder
    #[arg(long, value_name = "DIR")]
    pub(super) baselines: Option<PathBuf>,
    /// Run everything twice and compare event by event
    #[arg(long)]
    pub(super) check_determinism: bool,
    /// Where capsules of failed runs go
    #[arg(long, value_name = "DIR", default_value = "capsules")]
    pub(super) capsules: PathBuf,
    /// Write every event of the run to this file, a line each, while it goes; for one run only
    #[arg(long, value_name = "FILE")]
    pub(super) trace: Option<PathBuf>,
    /// Print the relays' logs with virtual time and host: error, warn, info, debug, trace, or a filter
    #[arg(long, value_name = "LEVEL")]
    pub(super) log: Option<String>,
}

#[derive(ClapArgs)]
pub(super) struct ReplayArgs {
    /// A capsule, as a failed run writes it
    #[arg(value_name = "CAPSULE")]
    pub(super) capsule: PathBuf,
    /// Give a parameter of the scenario this value, in place of the capsule's; may be repeated
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
    pub(super) set: Vec<Setting>,
    /// Write report.html, report.json, summary.md and junit.xml there
    #[arg(long, value_name = "DIR")]
    pub(super) report: Option<PathBuf>,
    /// Write every event of the run to this file, a line each, while it goes
    #[arg(long, value_name = "FILE")]
    pub(super) trace: Option<PathBuf>,
    /// Stop at this virtual time and tell who is up, what each Main lists, which calls are open and what is wrong
    #[arg(long, value_name = "TIME", value_parser = duration::parse, conflicts_with = "report")]
    pub(super) until: Option<Duration>,
    /// Print what happens with virtual time and host: faults, links, failed calls; twice: more
    #[arg(long, short, action = clap::ArgAction::Count, conflicts_with = "log")]
    pub(super) verbose: u8,
    /// Print the relays' logs with virtual time and host: error, warn, info, debug, trace, or a filter
    #[arg(long, value_name = "LEVEL")]
    pub(super) log: Option<String>,
}

#[derive(ClapArgs)]
pub(super) struct ChaosArgs {
    /// Run with each of these seeds, both ends included
    #[arg(long, value_name = "A..B", default_value = "1..20", conflicts_with = "seed")]
    pub(super) seeds: Seeds,
    /// Run with this seed only, and tell all of it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..1 << 63))]
    pub(super) seed: Option<u64>,
    /// What the plans are drawn from
    #[command(flatten)]
    pub(super) plans: PlanArgs,
    /// Runs side by side; one per core unless given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) jobs: Option<u16>,
    /// Write report.html, report.json, summary.md and junit.xml there; with several seeds, a folder for each, and an
    /// index.html over all of them
    #[arg(long, value_name = "DIR")]
    pub(super) report: Option<PathBuf>,
    /// Run everything twice and compare event by event
    #[arg(long)]
    pub(super) check_determinism: bool,
    /// Where capsules of failed runs go
    #[arg(long, value_name = "DIR", default_value = "capsules")]
    pub(super) capsules: PathBuf,
    /// Print the relays' logs with virtual time and host: error, warn, info, debug, trace, or a filter
    #[arg(long, value_name = "LEVEL")]
    pub(super) log: Option<String>,
}

/// What plans are drawn from.
#[derive(ClapArgs)]
pub(super) struct PlanArgs {
    /// Virtual time of each run, at least 5m; 10m unless given, or as in the scenario
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(super) duration: Option<Duration>,
    /// The share of host-time that is under some fault, at most 50%
    #[arg(long, value_name = "SHARE", default_value = "10%")]
    pub(super) failure_rate: Share,
    /// Mains, at most
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(super) mains: u32,
    /// Homes, at most
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) homes: u32,
    /// Families of faults that may be switched on, with commas between; all unless given
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub(super) families: Vec<Family>,
    /// This federation and these loads in place of drawn ones
    #[arg(long, value_name = "FILE", conflicts_with_all = ["mains", "homes"])]
    pub(super) scenario: Option<PathBuf>,
    /// Give a parameter of that scenario this value, in place of its default; may be repeated
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting, requires = "scenario")]
    pub(super) set: Vec<Setting>,
}

#[derive(ClapArgs)]
pub(super) struct LoadArgs {
    /// So many calls in all
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub(super) calls: u64,
    /// So many callers at the same time, spread over the Homes
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(super) concurrency: u32,
    /// Mains
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(super) mains: u32,
    /// Homes, at least two; each offers the service that the others call
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u32).range(2..=10_000))]
    pub(super) homes: u32,
    /// This federation in place of a made-up one; its loads, faults and gates are left out
    #[arg(long, value_name = "FILE", conflicts_with_all = ["mains", "homes"])]
    pub(super) scenario: Option<PathBuf>,
    /// Give a parameter of that scenario this value, in place of its default; may be repeated
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting, requires = "scenario")]
    pub(super) set: Vec<Setting>,
    /// The size of the arguments
    #[arg(long, value_name = "SIZE", default_value = "64B")]
    pub(super) payload: ByteSize,
    /// The seed
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(..1 << 63))]
    pub(super) seed: u64,
    /// Write report.html, report.json, summary.md and junit.xml there
    #[arg(long, value_name = "DIR")]
    pub(super) report: Option<PathBuf>,
}

#[derive(ClapArgs)]
pub(super) struct LikelihoodArgs {
    /// A capsule, as a failed run writes it
    #[arg(value_name = "CAPSULE")]
    pub(super) capsule: PathBuf,
    /// At so many points in time chance takes another turn
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(super) points: u32,
    /// So many turns at each point
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(super) runs: u32,
    /// Runs side by side; one per core unless given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) jobs: Option<u16>,
    /// Write the run's report there, with the share as a curve
    #[arg(long, value_name = "DIR")]
    pub(super) report: Option<PathBuf>,
}

#[derive(ClapArgs)]
pub(super) struct ShrinkArgs {
    /// A capsule, as a failed run writes it
    #[arg(value_name = "CAPSULE")]
    pub(super) capsule: PathBuf,
    /// Where the small scenario goes; beside the capsule unless given
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
    /// Stop after so much real time, with what there is by then
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration::parse)]
    pub(super) time_limit: Duration,
    /// Runs side by side; one per core unless given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) jobs: Option<u16>,
}

/// A parameter and its value.
pub(super) type Setting = (String, String);

fn setting(text: &str) -> Result<Setting, String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.to_owned())),
        _ => Err(format!("`{text}` sets nothing; write for example homes=100")),
    }
}

#[derive(ClapArgs)]
pub(super) struct CompareArgs {
    /// The earlier report.json, or a folder of them
    #[arg(value_name = "BEFORE")]
    pub(super) before: PathBuf,
    /// The later one
    #[arg(value_name = "AFTER")]
    pub(super) after: PathBuf,
    /// By how much a metric may be worse: a share, of a share points
    #[arg(long, value_name = "SHARE", default_value = "10%")]
    pub(super) tolerance: Tolerance,
    /// Take the tolerance of each metric from the baselines, SCENARIO.json in this folder
    #[arg(long, value_name = "DIR")]
    pub(super) baselines: Option<PathBuf>,
}

/// Seeds from the first to the last, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seeds {
    pub(super) first: u64,
    pub(super) last: u64,
}

impl FromStr for Seeds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no range of seeds; write for example 1..100");
        let (first, last) = text.split_once("..").ok_or_else(wrong)?;
        let last = last.strip_prefix('=').unwrap_or(last);
        let seeds =
            Seeds { first: first.parse().map_err(|_| wrong())?, last: last.parse().map_err(|_| wrong())? };
        if seeds.first > seeds.last {
            return Err(format!("`{text}` is empty: the first seed is greater than the last"));
        }
        Ok(seeds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_seeds_include_both_ends() {
        assert_eq!("1..100".parse(), Ok(Seeds { first: 1, last: 100 }));
        assert_eq!("7..=7".parse(), Ok(Seeds { first: 7, last: 7 }));
        for bad in ["", "1", "1..", "..2", "a..b", "1..2..3", "5..4"] {
            assert!(bad.parse::<Seeds>().is_err(), "{bad}");
        }
    }

    #[test]
    fn settings_are_names_and_values() {
        assert_eq!(setting("homes=100"), Ok(("homes".into(), "100".into())));
        assert_eq!(setting("filter=a=b"), Ok(("filter".into(), "a=b".into())));
        assert!(setting("homes").is_err() && setting("=3").is_err());
    }

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory;
        Args::command().debug_assert();
        assert!(
            Args::try_parse_from(["relay-sim", "run", "a.toml", "--seed", "1", "--seeds", "1..2"]).is_err()
        );
    }
}
