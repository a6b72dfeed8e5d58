//! Relays that go down and come back.

use std::time::Duration;

use relay_chaos::{Crash, CrashKind, Disk, FaultKind, Stop};

use super::super::super::error::Problem;
use super::super::super::hosts::{HostIndex, HostSet};
use super::super::names::Lookup;
use super::super::settings::{positive, require_positive};
use super::super::table::Table;
use super::{Later, hosts};

pub(super) fn crash(table: &mut Table<'_>, lookup: &Lookup<'_>) -> Option<Crash<HostSet>> {
    let hosts = hosts(table, lookup);
    let how = table.word("how", &[("kill", CrashKind::Kill), ("power-cut", CrashKind::PowerCut)]);
    let operation = table.read::<u32>("at_disk_operation");
    let down = positive(table, "down");
    if let Some(operation) = &operation {
        if how != Some(CrashKind::PowerCut) {
            let label = "expected `how = \"power-cut\"` beside it";
            table.problem(Problem::new("only a power cut waits for the disk", operation.span(), label));
        } else if *operation.get_ref() == 0 {
            let label = "expected at least 1, the next operation";
            table.problem(Problem::new("there is no operation 0", operation.span(), label));
        }
    }
    let disk = table.word("disk", &[("keep", Disk::Keep), ("wipe", Disk::Wipe)]).unwrap_or_default();
    if disk == Disk::Wipe && !table.has("down") {
        let label = "expected `down` beside it";
        let problem = Problem::new(
            "the disk is wiped, but the host never starts again",
            table.value_span("disk"),
            label,
        );
        table.problem(problem.help("say when it starts again: `down = \"30s\"`"));
    }
    let (_, hosts) = hosts?;
    let at_disk_operation = operation.map(toml::Spanned::into_inner);
    Some(Crash { hosts, how: how.unwrap_or_default(), at_disk_operation, down, disk })
}

pub(super) fn stop(table: &mut Table<'_>, lookup: &Lookup<'_>) -> Option<Stop<HostSet>> {
    let hosts = hosts(table, lookup);
    let down = positive(table, "down");
    let (_, hosts) = hosts?;
    Some(Stop { hosts, down })
}

/// One host after the other is stopped, or crashes, and starts again.
pub(super) fn rolling_restart(table: &mut Table<'_>, lookup: &Lookup<'_>) -> Option<Vec<Later>> {
    let hosts = hosts(table, lookup);
    let how = table.word(
        "how",
        &[("stop", None), ("kill", Some(CrashKind::Kill)), ("power-cut", Some(CrashKind::PowerCut))],
    );
    let down = require_positive(table, "down");
    let pause = table.require::<Duration>("pause").map(toml::Spanned::into_inner);
    let ((_, hosts), down, pause) = (hosts?, down?, pause?);
    let one = |host: &HostIndex| {
        let hosts = lookup.hosts.only(*host);
        match how.flatten() {
            None => FaultKind::Stop(Stop { hosts, down: Some(down) }),
            Some(how) => {
                let (disk, down) = (Disk::Keep, Some(down));
                FaultKind::Crash(Crash { hosts, how, at_disk_operation: None, down, disk })
            }
        }
    };
    let turns = (0..).map(|turn| (down + pause) * turn);
    Some(turns.zip(hosts.hosts().iter().map(one)).collect())
}
