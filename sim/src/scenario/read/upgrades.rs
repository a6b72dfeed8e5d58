//! `[[upgrade]]`.

use std::ops::Range;
use std::time::Duration;

use relay_chaos::quantity::duration;
use relay_chaos::{Fault, Selector, Share};
use relay_node::config::Timing;
use relay_node::federation::Policy;
use toml::Spanned;
use toml::de::DeValue;

use super::super::asked::MetricGate;
use super::super::error::{Problem, did_you_mean, list};
use super::super::hosts::{Host, HostIndex, HostSet, Hosts, Role};
use super::super::model::{NodeSettings, RunPlan, Topology};
use super::super::upgrade::{Batch, Change, OnAbort, Upgrade, Ways};
use super::asked::Context;
use super::faults;
use super::names::{Lookup, check_name};
use super::settings::{before_end, node_settings, positive};
use super::shape::Shape;
use super::table::{FromToml, Table, Wrong};
use super::topology::{mains, offered};
use super::values::Names;

/// How long a batch is up before the next one goes down, unless the upgrade says otherwise.
pub(super) const DEFAULT_PAUSE: Duration = Duration::from_secs(10);
/// What a host is down for on top of the time that it has to end its calls, unless the upgrade says otherwise.
pub(super) const DEFAULT_START: Duration = Duration::from_secs(1);

/// How many hosts go at once.
pub(super) enum BatchSize {
    Count(u32),
    Share(Share),
}

impl FromToml for BatchSize {
    fn shape() -> Shape {
        Shape::Batch
    }

    fn from_toml(value: &Spanned<DeValue<'_>>) -> Result<BatchSize, Wrong> {
        let expected = "a whole number of hosts, or a share of them in quotes, such as \"25%\"";
        match value.get_ref() {
            DeValue::Integer(_) => u32::from_toml(value).map(BatchSize::Count),
            DeValue::String(_) => Share::from_toml(value).map(BatchSize::Share),
            other => Err(Wrong::kind(other, expected)),
        }
    }
}

/// An upgrade as it was read, and what is still to be found for it.
pub(super) struct Draft {
    pub(super) upgrade: Upgrade,
    at: Range<usize>,
    abort_on: Vec<Spanned<String>>,
}

/// All upgrades. Whether they go together with all else is for [`finish`] to tell.
pub(super) fn read(
    file: &mut Table<'_>,
    topology: &Topology,
    node: NodeSettings,
    run: &RunPlan,
) -> Vec<Draft> {
    let mut drafts: Vec<Draft> = Vec::new();
    for mut table in file.tables("upgrade") {
        let draft = draft(&mut table, topology, node, run);
        if let Some(draft) = &draft
            && drafts.iter().any(|other| other.upgrade.name == draft.upgrade.name)
        {
            let message = format!("two upgrades are called `{}`", draft.upgrade.name);
            table.problem(Problem::new(message, table.value_span("name"), "expected a name of its own"));
        }
        drafts.extend(draft);
        table.finish();
    }
    drafts
}

fn draft(table: &mut Table<'_>, topology: &Topology, node: NodeSettings, run: &RunPlan) -> Option<Draft> {
    let name = table.require::<String>("name");
    let name = name.filter(|name| check_name(table, name, "upgrade"));
    if !table.has("at") {
        table.missing("at");
    }
    let at = before_end(table, "at", "this upgrade begins", run.duration);
    let lookup = Lookup { hosts: &topology.hosts, problems: table.problems() };
    let hosts = faults::hosts(table, &lookup);
    let size = table.read::<BatchSize>("batch");
    let down = positive(table, "down");
    let pause = table.get::<Duration>("pause").unwrap_or(DEFAULT_PAUSE);
    let change = change(table, topology);
    if let Some((_, hosts)) = &hosts {
        check_ways(table, &change.ways, hosts, topology);
    }
    let abort_on = table.get::<Names>("abort_on").map_or(Vec::new(), |names| names.0);
    let on_abort = table.word("on_abort", &[("stop", OnAbort::Stop), ("roll-back", OnAbort::RollBack)]);
    if table.has("on_abort") && !table.has("abort_on") {
        let label = "expected `abort_on` beside it, the gates to watch";
        table.problem(Problem::new("`on_abort` without `abort_on`", table.key_span("on_abort"), label));
    }
    let drain = node.drain.unwrap_or(Timing::default().drain);
    let down = down.unwrap_or(drain + DEFAULT_START);
    let (span, hosts) = hosts?;
    let size = size.map_or(Some(1), |size| batch_size(table, &size, hosts.hosts().len()))?;
    let batches = batches(&topology.hosts, &hosts, size, (at?, down + pause));
    let on_abort = on_abort.unwrap_or_default();
    let upgrade =
        Upgrade { name: name?.into_inner(), batches, down, pause, change, abort_on: Vec::new(), on_abort };
    let up = |host: &HostIndex| topology.hosts.get(*host).start;
    let late =
        upgrade.batches.iter().flat_map(|batch| batch.hosts.hosts().iter().map(|host| (batch.at, host)));
    if let Some((_, host)) = late.into_iter().find(|(at, host)| *at < up(host)) {
        let message = format!("`{}` is not up yet when its turn comes", topology.hosts.get(*host).name);
        table.problem(Problem::new(message, span, "expected hosts that have started"));
    }
    if upgrade.end() >= run.duration {
        let message =
            format!("this upgrade ends at {}, after the end of the run", duration::format(upgrade.end()));
        let label = format!("expected an end before {}", duration::format(run.duration));
        let problem = Problem::new(message, table.value_span("at"), label);
        table.problem(problem.help("begin earlier, with larger batches, or lengthen `duration`"));
    }
    Some(Draft { upgrade, at: table.value_span("at"), abort_on })
}

fn batch_size(table: &Table<'_>, size: &Spanned<BatchSize>, hosts: usize) -> Option<usize> {
    let count = match size.get_ref() {
        BatchSize::Count(count) => *count as usize,
        BatchSize::Share(share) => (share.as_f64() * hosts as f64).ceil() as usize,
    };
    if count == 0 {
        let label = "expected at least one host";
        table.problem(Problem::new("a batch of nobody", size.span(), label));
        return None;
    }
    Some(count)
}

/// The hosts, so many at a time, from a time on and again after each step.
fn batches(hosts: &Hosts, all: &HostSet, size: usize, (at, step): (Duration, Duration)) -> Vec<Batch> {
    let batch = |(number, members): (usize, &[HostIndex])| {
        let names = members.iter().map(|host| hosts.get(*host).name.clone());
        let turn = u32::try_from(number).unwrap_or(u32::MAX);
        Batch {
            at: at.saturating_add(step.saturating_mul(turn)),
            hosts: HostSet::new(Selector::new(names), members.to_vec()),
        }
    };
    all.hosts().chunks(size).enumerate().map(batch).collect()
}

fn change(table: &mut Table<'_>, topology: &Topology) -> Change {
    let node = match table.table("node", "[upgrade.node]") {
        Some(node) => node_settings(node),
        None => NodeSettings::default(),
    };
    let services = table.has("services").then(|| offered(table, &topology.services));
    table.ask(&["services"]);
    let policies = Policy::ALL.map(|policy| (policy.as_str(), policy));
    let balance = table.word("balance", &policies);
    let dht = table.get::<bool>("dht");
    let ways = ways(table, &topology.hosts);
    let keys = ["node", "services", "balance", "tls", "main", "fallback", "peers", "dht"];
    if !keys.iter().any(|key| table.has(key)) {
        let label = "expected [upgrade.node], `services`, `balance`, `tls`, `main`, `fallback`, `peers` or `dht` in here";
        let problem = Problem::new("this upgrade changes nothing", table.span(), label);
        table.problem(problem.help("a [[fault]] of kind \"rolling-restart\" restarts hosts as they are"));
    }
    Change { node, services, balance, ways, dht }
}

/// Whom the hosts are to dial, and how.
fn ways(table: &mut Table<'_>, hosts: &Hosts) -> Ways {
    let tls = table.get::<bool>("tls");
    let mut named = |key: &'static str, what: &str| {
        let names = table.read::<Names>(key)?;
        if key == "main" && names.get_ref().0.is_empty() {
            let label = "expected the name of a [[main]]";
            table.problem(Problem::new("a Home needs a Main", names.span(), label));
        }
        Some(mains(table, names.get_ref(), what, hosts))
    };
    Ways {
        tls,
        mains: named("main", "the Main of a Home").filter(|mains| !mains.is_empty()),
        fallback: named("fallback", "a fallback"),
        peers: named("peers", "a peer"),
    }
}

/// Notes what makes no sense for these hosts.
fn check_ways(table: &Table<'_>, ways: &Ways, hosts: &HostSet, topology: &Topology) {
    let all = &topology.hosts;
    let members = || hosts.hosts().iter().map(|host| (*host, all.get(*host)));
    let main = members().find(|(_, host)| host.is_main());
    let home = members().find(|(_, host)| !host.is_main());
    for key in ["main", "fallback"] {
        if let Some((_, main)) = main.filter(|_| table.has(key)) {
            let message = format!("`{}` is a Main and has no `{key}`", main.name);
            table.problem(Problem::new(message, table.key_span(key), "expected an upgrade of Homes only"));
        }
    }
    if let Some((_, home)) = home.filter(|_| table.has("peers")) {
        let message = format!("`{}` is a Home and has no `peers`", home.name);
        table.problem(Problem::new(message, table.key_span("peers"), "expected an upgrade of Mains only"));
    }
    let Some(tls) = ways.tls else { return };
    if main.is_none() {
        let problem = Problem::new(
            "no Main is among these hosts",
            table.key_span("tls"),
            "expected Mains, and all who dial them",
        );
        table.problem(problem.help("Homes speak no TLS: they are dialled by nobody"));
    }
    let changed: Vec<HostIndex> =
        members().filter(|(_, host)| host.is_main()).map(|(host, _)| host).collect();
    let dials = |host: &Host| match &host.role {
        Role::Main { peers, .. } => changed.iter().find(|main| peers.contains(main)),
        Role::Home { main: own, fallback } => {
            changed.iter().find(|main| *main == own || fallback.contains(main))
        }
    };
    let untold = all.iter().filter(|(index, _)| !hosts.contains(*index));
    let untold = untold.filter_map(|(_, host)| Some((host, dials(host)?))).next();
    if let Some((host, main)) = untold {
        let (scheme, main) = (if tls { "wss" } else { "ws" }, &all.get(*main).name);
        let message = format!("`{}` dials `{main}` and is not told that it is `{scheme}://` now", host.name);
        let label = "expected `hosts` with all who dial the Mains among them";
        table.problem(Problem::new(message, table.key_span("tls"), label));
    }
}

/// Puts the upgrades where they belong: their gates among all gates, their stops among the faults.
pub(super) fn finish(
    file: &Table<'_>,
    drafts: Vec<Draft>,
    context: &Context<'_>,
    gates: (&[MetricGate], Option<Duration>),
    faults: &mut Vec<Fault<HostSet>>,
) -> Vec<Upgrade> {
    let mut upgrades: Vec<Upgrade> = Vec::new();
    for Draft { mut upgrade, at, abort_on } in drafts {
        upgrade.abort_on = abort_on.iter().filter_map(|name| watched(file, name, gates.0)).collect();
        for batch in upgrade.faults() {
            clash(file, &batch, at.clone(), context.hosts, faults);
            faults.push(batch);
        }
        let over = upgrade.end().saturating_sub(upgrade.pause);
        if let Some(within) = gates.1
            && over + within > context.run.duration
            && over < context.run.duration
        {
            let message = "the run ends before convergence after this upgrade can be judged";
            let label = format!("its last host is up at {}", duration::format(over));
            let help = format!("let the run last at least {}", duration::format(over + within));
            file.problem(Problem::new(message, at, label).help(help));
        }
        upgrades.push(upgrade);
    }
    faults.sort_by_key(|fault| fault.at);
    upgrades
}

/// Notes hosts that are down, or go down, while it is their turn.
fn clash(
    file: &Table<'_>,
    batch: &Fault<HostSet>,
    at: Range<usize>,
    hosts: &Hosts,
    faults: &[Fault<HostSet>],
) {
    let active = batch.active();
    let end = active.end.unwrap_or(Duration::MAX);
    let meanwhile = faults.iter().filter(|fault| {
        fault.active().overlaps(active.start, end) || fault.active().end == Some(active.start)
    });
    let mut down = meanwhile.flat_map(|fault| {
        let members = batch.what.hosts().hosts().iter();
        members.filter(|host| fault.takes_down(|set| set.contains(**host)))
    });
    if let Some(host) = down.next() {
        let message = format!(
            "`{}` is down when its turn comes, at {}",
            hosts.get(*host).name,
            duration::format(active.start)
        );
        file.problems().repeats(std::iter::once(at.clone()));
        file.problem(Problem::new(message, at, "expected a time at which the hosts are up"));
    }
}

/// A gate that an upgrade watches, by its place.
fn watched(file: &Table<'_>, name: &Spanned<String>, gates: &[MetricGate]) -> Option<usize> {
    let found = gates.iter().position(|gate| gate.name == *name.get_ref());
    let Some(found) = found else {
        let known = || gates.iter().map(|gate| gate.name.as_str());
        let help = did_you_mean(name.get_ref(), known()).unwrap_or_else(|| match gates {
            [] => "the scenario has no [[gate]]".to_owned(),
            _ => format!("they are called {}", list(known())),
        });
        let message = format!("no [[gate]] is called `{}`", name.get_ref());
        let problem = Problem::new(message, name.span(), "expected the name of a [[gate]] with a `window`");
        file.problems().add_unknown_name(problem.help(help));
        return None;
    };
    if gates[found].sliding.is_none() {
        let message = format!("the gate `{}` is judged at the end only", name.get_ref());
        let problem = Problem::new(message, name.span(), "expected a [[gate]] with a `window`");
        file.problem(
            problem.help("give the gate a `window`, such as \"30s\": it is judged over the last such time"),
        );
    }
    Some(found)
}
