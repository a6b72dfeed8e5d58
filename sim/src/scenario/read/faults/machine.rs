//! What goes wrong on a machine whose relay runs on.

use relay_chaos::{ClockTrouble, DiskFailure, DiskTrouble, Expired, OnHosts, Paused, Share, Slowed};

use super::super::super::error::Problem;
use super::super::super::hosts::HostSet;
use super::super::names::Lookup;
use super::super::settings::{positive, require_positive};
use super::super::table::Table;
use super::super::topology::clock_trouble;
use super::super::values::CpuCost;
use super::hosts;

pub(super) fn pause(table: &mut Table<'_>, lookup: &Lookup<'_>) -> Option<OnHosts<HostSet, Paused>> {
    let found = hosts(table, lookup);
    // One that never goes on is a power cut.
    let lasts = require_positive(table, "lasts");
    Some(OnHosts { hosts: found?.1, what: Paused {}, lasts: Some(lasts?) })
}

pub(super) fn slow(table: &mut Table<'_>, lookup: &Lookup<'_>) -> Option<OnHosts<HostSet, Slowed>> {
    let found = hosts(table, lookup);
    let cost = table.require::<CpuCost>("cpu");
    let lasts = positive(table, "lasts");
    let (cost, (_, hosts)) = (cost?, found?);
    if cost.get_ref().0.is_zero() {
        let problem = Problem::new("nothing gets slower", cost.span(), "expected a cost above zero");
        table.problem(problem);
    }
    Some(OnHosts { hosts, what: Slowed { per_message: cost.get_ref().0 }, lasts })
}

pub(super) fn clock(table: &mut Table<'_>, lookup: &Lookup<'_>) -> Option<OnHosts<HostSet, ClockTrouble>> {
    let found = hosts(table, lookup);
    let what = clock_trouble(table);
    let lasts = positive(table, "lasts");
    Some(OnHosts { hosts: found?.1, what, lasts })
}

pub(super) fn disk(table: &mut Table<'_>, lookup: &Lookup<'_>) -> Option<OnHosts<HostSet, DiskTrouble>> {
    let found = hosts(table, lookup);
    if !table.has("trouble") {
        table.missing("trouble");
    }
    let troubles = [
        ("lost-sync", DiskFailure::LostSync),
        ("torn-write", DiskFailure::TornWrite),
        ("full", DiskFailure::Full),
        ("io-error", DiskFailure::IoError),
        ("bit-rot", DiskFailure::BitRot),
    ];
    let trouble = table.word("trouble", &troubles);
    let share = table.read::<Share>("share");
    let lasts = positive(table, "lasts");
    if let Some(share) = &share
        && *share.get_ref() == Share::ZERO
    {
        table.problem(Problem::new("nothing goes wrong", share.span(), "expected a share above zero"));
    }
    let share = share.map_or(Share::ONE, toml::Spanned::into_inner);
    Some(OnHosts { hosts: found?.1, what: DiskTrouble { trouble: trouble?, share }, lasts })
}

pub(super) fn expiry(table: &mut Table<'_>, lookup: &Lookup<'_>) -> Option<OnHosts<HostSet, Expired>> {
    let found = hosts(table, lookup);
    let lasts = require_positive(table, "lasts");
    let (span, hosts) = found?;
    if let Some(plain) = hosts.hosts().iter().map(|index| lookup.hosts.get(*index)).find(|host| !host.tls) {
        let message = format!("`{}` has no certificate", plain.name);
        let problem = Problem::new(message, span, "expected Mains with `tls = true`");
        table.problem(problem);
    }
    Some(OnHosts { hosts, what: Expired {}, lasts: Some(lasts?) })
}
