//! What goes wrong between a relay and its network: translators, names, sockets.

use relay_chaos::{Descriptors, NameAnswer, NameTrouble, NatChange, NatTrouble, OnHosts};
use toml::Spanned;

use super::super::super::error::Problem;
use super::super::super::hosts::HostSet;
use super::super::names::Lookup;
use super::super::settings::positive;
use super::super::table::Table;
use super::hosts;

/// What a relay that does nothing holds, at least: its listener.
const LEAST_DESCRIPTORS: u32 = 1;

pub(super) fn nat(table: &mut Table<'_>, lookup: &Lookup<'_>) -> Option<OnHosts<HostSet, NatTrouble>> {
    let found = hosts(table, lookup);
    if !table.has("change") {
        table.missing("change");
    }
    let change = table.word("change", &[("forget", NatChange::Forget), ("move", NatChange::Move)]);
    let (span, hosts) = found?;
    if let Some(main) = hosts.hosts().iter().map(|index| lookup.hosts.get(*index)).find(|host| host.is_main())
    {
        let message = format!("`{}` is a Main and behind no NAT", main.name);
        table.problem(Problem::new(message, span, "expected Homes"));
    }
    Some(OnHosts { hosts, what: NatTrouble { change: change? }, lasts: None })
}

pub(super) fn dns(table: &mut Table<'_>, lookup: &Lookup<'_>) -> Option<OnHosts<HostSet, NameTrouble>> {
    let found = hosts(table, lookup);
    if !table.has("answer") {
        table.missing("answer");
    }
    let answers = [
        ("failure", NameAnswer::Failure),
        ("nothing", NameAnswer::Nothing),
        ("silence", NameAnswer::Silence),
        ("wrong", NameAnswer::Wrong),
    ];
    let answer = table.word("answer", &answers);
    let lasts = positive(table, "lasts");
    let (_, hosts) = found?;
    Some(OnHosts { hosts, what: NameTrouble { answer: answer? }, lasts })
}

pub(super) fn descriptors(
    table: &mut Table<'_>,
    lookup: &Lookup<'_>,
) -> Option<OnHosts<HostSet, Descriptors>> {
    let found = hosts(table, lookup);
    let limit = table.require::<u32>("limit");
    let lasts = positive(table, "lasts");
    let limit = limit?;
    if *limit.get_ref() < LEAST_DESCRIPTORS {
        let label = format!("expected at least {LEAST_DESCRIPTORS}: a relay listens");
        table.problem(Problem::new("no descriptor at all", limit.span(), label));
    }
    let (_, hosts) = found?;
    Some(OnHosts { hosts, what: Descriptors { limit: Spanned::into_inner(limit) }, lasts })
}
