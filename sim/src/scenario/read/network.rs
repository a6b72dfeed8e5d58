//! `[network]` and `[[link]]`.

use std::time::Duration;

use relay_chaos::{JitterShape, LinkChange, LinkQuality, Share};

use super::super::error::{Problem, list};
use super::super::hosts::Hosts;
use super::super::network::{LinkRule, Network};
use super::names::Lookup;
use super::table::Table;

/// What can be said of a link.
const KEYS: [&str; 9] =
    ["latency", "jitter", "shape", "loss", "bandwidth", "queue", "duplicate", "reorder", "corrupt"];

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
    if !KEYS.iter().any(|key| table.has(key)) {
        let label = format!("expected some of {} in here", list(KEYS.into_iter()));
        table.problem(Problem::new("this changes nothing about the links", table.span(), label));
    }
    change
}

fn change(table: &mut Table<'_>) -> LinkChange {
    let loss = not_all(table, "loss", "everything gets lost");
    // No stream gets anything through either.
    let corrupt = not_all(table, "corrupt", "everything is corrupted");
    let shapes = [JitterShape::Uniform, JitterShape::Normal, JitterShape::Exponential, JitterShape::Pareto];
    LinkChange {
        latency: table.get::<Duration>("latency"),
        jitter: table.get::<Duration>("jitter"),
        shape: table.word("shape", &shapes.map(|shape| (shape.as_str(), shape))),
        loss,
        bandwidth: table.get("bandwidth"),
        queue: table.get("queue"),
        duplicate: table.get("duplicate"),
        reorder: table.get("reorder"),
        corrupt,
    }
}

/// A share below 100%.
fn not_all(table: &mut Table<'_>, key: &'static str, what: &str) -> Option<Share> {
    let share = table.read::<Share>(key)?;
    if *share.get_ref() == Share::ONE {
        let problem = Problem::new(what, share.span(), "expected less than 100%");
        table.problem(problem.help("a [[fault]] of kind \"partition\" cuts hosts off"));
    }
    Some(share.into_inner())
}
