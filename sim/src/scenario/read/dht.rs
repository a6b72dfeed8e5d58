//! `[dht]`, `[[lookup]]`, `[[stranger]]` and `[broadcast]`.

use std::time::Duration;

use relay_chaos::quantity::duration;
use toml::Spanned;

use super::super::dht::{Broadcast, DhtPlan, Lookups, MetadataSettings, StrangerKind, Strangers};
use super::super::error::Problem;
use super::super::hosts::{Host, HostIndex, HostSet, Hosts};
use super::super::model::RunPlan;
use super::super::parts::Window;
use super::faults;
use super::loads::stop;
use super::names::{Lookup, check_name};
use super::settings::{before_end, positive};
use super::table::Table;
use super::topology::mains;
use super::values::Names;

/// The most pairs of one `[[lookup]]`.
pub(super) const MAX_PAIRS: u32 = 100_000;
/// The most strangers in all.
pub(super) const MAX_STRANGERS: usize = 1_000;
/// Time between two broadcasts without a change, unless the scenario says otherwise.
pub(super) const DEFAULT_BROADCAST_INTERVAL: Duration = Duration::from_secs(300);

/// Whether hosts that say nothing else are nodes of the DHT. What is wrong with it is noted by [`read`].
pub(super) fn is_on(file: &mut Table<'_>) -> bool {
    let on =
        |table: &Spanned<toml::de::DeValue<'_>>| table.get_ref().as_table()?.get("on")?.get_ref().as_bool();
    file.raw("dht").and_then(on).unwrap_or(false)
}

/// All that is said of the DHT but by hosts and upgrades of their own.
pub(super) fn read(file: &mut Table<'_>, hosts: &Hosts, run: &RunPlan) -> DhtPlan {
    let mut plan = DhtPlan::default();
    if let Some(mut table) = file.table("dht", "[dht]") {
        table.get::<bool>("on");
        plan.settings = MetadataSettings {
            republish: positive(&mut table, "republish"),
            cache_ttl: positive(&mut table, "cache_ttl"),
            cache_cleanup: positive(&mut table, "cache_cleanup"),
            discovery: positive(&mut table, "discovery"),
        };
        plan.bootstrap = ways_in(&mut table, hosts);
        table.finish();
    }
    plan.broadcast = broadcast(file, hosts);
    // Who is one later, by an upgrade, is not known yet.
    let may_join = file.has("upgrade") || plan.broadcast.is_some();
    plan.lookups = lookups(file, hosts, run, may_join);
    plan.strangers = strangers(file, hosts, run);
    plan
}

/// The Mains that `bootstrap` names.
fn ways_in(table: &mut Table<'_>, hosts: &Hosts) -> Vec<HostIndex> {
    let named = table.read::<Names>("bootstrap");
    named.map(|names| mains(table, names.get_ref(), "a way into the DHT", hosts)).unwrap_or_default()
}

fn lookups(file: &mut Table<'_>, hosts: &Hosts, run: &RunPlan, may_join: bool) -> Vec<Lookups> {
    let mut all: Vec<Lookups> = Vec::new();
    for mut table in file.tables("lookup") {
        let lookups = one_lookup(&mut table, hosts, run, may_join);
        if let Some(lookups) = &lookups
            && all.iter().any(|other| other.name == lookups.name)
        {
            let message = format!("two lookups are called `{}`", lookups.name);
            table.problem(Problem::new(message, table.value_span("name"), "expected a name of its own"));
        }
        match lookups {
            Some(lookups) => all.push(lookups),
            None => table.problems().lose_name(),
        }
        table.finish();
    }
    all
}

fn one_lookup(table: &mut Table<'_>, hosts: &Hosts, run: &RunPlan, may_join: bool) -> Option<Lookups> {
    let name = table.require::<String>("name");
    let name = name.filter(|name| check_name(table, name, "lookup"));
    let from = ends(table, "from", hosts, may_join);
    let to = ends(table, "to", hosts, may_join);
    let pairs = pairs(table);
    let every = positive(table, "every");
    let start = before_end(table, "start", "this lookup starts", run.duration).unwrap_or_default();
    let stop = stop(table, start, run.duration, "this lookup");
    let connects = table.get("connects").unwrap_or_default();
    let over = Window { from: start, to: stop };
    if let Some(every) = every
        && every > over.length()
    {
        let message = "there is no time for a single round";
        let label = format!("expected at most {}", duration::format(over.length()));
        table.problem(Problem::new(message, table.value_span("every"), label));
    }
    let (from, to) = (from?, to?);
    if from.hosts().len() == 1 && from.hosts() == to.hosts() {
        let message = format!("`{to}` would look itself up only");
        let label = "expected another host: nobody looks itself up";
        table.problem(Problem::new(message, table.value_span("to"), label));
    }
    Some(Lookups { name: name?.into_inner(), from, to, pairs: pairs?, every, over, connects })
}

fn pairs(table: &mut Table<'_>) -> Option<u32> {
    let pairs = table.require::<u32>("pairs")?;
    if !(1..=MAX_PAIRS).contains(pairs.get_ref()) {
        let message = format!("{} pairs", pairs.get_ref());
        table.problem(Problem::new(message, pairs.span(), format!("expected 1 to {MAX_PAIRS}")));
    }
    Some(pairs.into_inner())
}

/// One side of lookups: hosts that are nodes of the DHT, or may be later.
fn ends(table: &mut Table<'_>, key: &'static str, hosts: &Hosts, may_join: bool) -> Option<HostSet> {
    let names = table.require::<Names>(key)?;
    let found = Lookup { hosts, problems: table.problems() }.select(&names)?;
    let outside = found.hosts().iter().map(|host| hosts.get(*host)).find(|host| !host.dht);
    if let Some(host) = outside.filter(|_| !may_join) {
        let message = format!("`{}` is no node of the DHT", host.name);
        let problem = Problem::new(message, names.span(), "expected hosts with `dht = true`");
        table.problem(problem.help("say `on = true` in [dht] to have all of them in it"));
    }
    Some(found)
}

fn strangers(file: &mut Table<'_>, hosts: &Hosts, run: &RunPlan) -> Vec<Strangers> {
    let mut all: Vec<Strangers> = Vec::new();
    for mut table in file.tables("stranger") {
        let strangers = some_strangers(&mut table, hosts, run);
        if let Some(strangers) = &strangers {
            let is_taken = all.iter().any(|other| other.name == strangers.name)
                || hosts.find(&format!("{}-1", strangers.name)).is_some();
            if is_taken {
                let message = format!("other hosts are called `{}-1` and so on", strangers.name);
                table.problem(Problem::new(message, table.value_span("name"), "expected a name of its own"));
            }
            let count = all.iter().chain([strangers]).map(|it| it.count as usize).sum::<usize>();
            if strangers.count == 0 || count > MAX_STRANGERS {
                let label = format!("expected at least 1, and at most {MAX_STRANGERS} in all");
                let message = if strangers.count == 0 { "no stranger at all" } else { "too many strangers" };
                table.problem(Problem::new(message, table.value_span("count"), label));
            }
        }
        all.extend(strangers);
        table.finish();
    }
    all
}

fn some_strangers(table: &mut Table<'_>, hosts: &Hosts, run: &RunPlan) -> Option<Strangers> {
    let name = table.require::<String>("name");
    let name = name.filter(|name| check_name(table, name, "stranger"));
    if !table.has("kind") {
        table.missing("kind");
    }
    let kind = table.word("kind", &[("garbage", StrangerKind::Garbage), ("sybil", StrangerKind::Sybil)]);
    let count = table.get("count").unwrap_or(1);
    if !table.has("bootstrap") {
        table.missing("bootstrap");
    }
    let bootstrap = ways_in(table, hosts);
    let near = table.read::<Names>("near");
    if kind == Some(StrangerKind::Sybil) && !table.has("near") {
        table.missing("near");
    }
    if let Some(near) = near.as_ref().filter(|_| kind == Some(StrangerKind::Garbage)) {
        let problem = Problem::new("`near` means nothing here", near.span(), "expected no `near`");
        table.problem(problem.help("only those of kind \"sybil\" choose their places"));
    }
    let near = near.and_then(|names| Lookup { hosts, problems: table.problems() }.select(&names));
    let start = before_end(table, "start", "these strangers come", run.duration).unwrap_or_default();
    let near = near.map(|near| near.hosts().to_vec()).unwrap_or_default();
    Some(Strangers { name: name?.into_inner(), count, kind: kind?, bootstrap, near, start })
}

/// `[broadcast]`.
fn broadcast(file: &mut Table<'_>, hosts: &Hosts) -> Option<Broadcast> {
    let mut table = file.table("broadcast", "[broadcast]")?;
    let found = faults::hosts(&mut table, &Lookup { hosts, problems: file.problems() });
    let every = positive(&mut table, "every").unwrap_or(DEFAULT_BROADCAST_INTERVAL);
    let beside = table.get::<Duration>("beside").unwrap_or_default();
    if let Some((span, found)) = &found {
        let both = |host: &&Host| host.dht;
        if let Some(host) = found.hosts().iter().map(|host| hosts.get(*host)).find(both) {
            let message = format!("`{}` is a node of the DHT from its start on", host.name);
            let problem = Problem::new(message, span.clone(), "expected hosts without the DHT");
            table.problem(
                problem.help("say `dht = false` there: an [[upgrade]] with `dht = true` switches it on"),
            );
        }
    }
    table.finish();
    let (_, hosts) = found?;
    Some(Broadcast { hosts, every, beside })
}
