//! `[network]` and `[[link]]`.

use std::time::Duration;

use relay_chaos::{LinkChange, LinkQuality, Share};

use super::super::error::Problem;
use super::super::hosts::Hosts;
use super::super::network::{LinkRule, Network};
use super::names::Lookup;
use super::table::Table;

/// `[network]` and `[[link]]`.
pub(super) fn read(file: &mut Table<'_>, hosts: &Hosts) -> Network {
    let mut default = LinkQuality::default();
    if let Some(mut table) = file.table("network", "[network]") {
        default = change(&mut table).apply(default);
        table.finish();
    }
    let lookup = Lookup { hosts, problems: file.problems() };
    let rules = file.tables("link").into_iter().filter_map(|table| rule(table, &lookup)).collect();
    Network { default, rules }
}

fn rule(mut table: Table<'_>, lookup: &Lookup<'_>) -> Option<LinkRule> {
    let from = table.require("from");
    let to = table.require("to");
    let from = from.and_then(|names| lookup.select(&names));
    let to = to.and_then(|names| lookup.select(&names));
    let one_way = table.get("one_way").unwrap_or_default();
    let change = some_change(&mut table);
    table.finish();
    Some(LinkRule { from: from?, to: to?, one_way, change })
}

/// The values of a link that a table sets; that it sets none is noted.
pub(super) fn some_change(table: &mut Table<'_>) -> LinkChange {
    let change = change(table);
    if !["latency", "jitter", "loss", "bandwidth"].iter().any(|key| table.has(key)) {
        let label = "expected `latency`, `jitter`, `loss` or `bandwidth` in here";
        table.problem(Problem::new("this changes nothing about the links", table.span(), label));
    }
    change
}

fn change(table: &mut Table<'_>) -> LinkChange {
    let loss = table.read::<Share>("loss");
    if let Some(loss) = &loss
        && *loss.get_ref() == Share::ONE
    {
        let problem = Problem::new("everything gets lost", loss.span(), "expected less than 100%");
        table.problem(problem.help("a [[fault]] of kind \"partition\" cuts hosts off"));
    }
    LinkChange {
        latency: table.get::<Duration>("latency"),
        jitter: table.get::<Duration>("jitter"),
        loss: loss.map(toml::Spanned::into_inner),
        bandwidth: table.get("bandwidth"),
        ..LinkChange::default()
    }
}
