//! `[[service]]`, `[[main]]` and `[[home]]`.

use std::time::Duration;

use relay_chaos::{ClockTrouble, Drift, Offset};
use relay_node::link::SrvName;
use toml::Spanned;

use super::super::error::{Problem, Problems};
use super::super::hosts::{Host, HostIndex, Hosts, Machine, Nat, NatKind, NodeId, Role};
use super::super::model::{DnsChange, Service, Topology};
use super::names::{Lookup, check_name, find_service};
use super::services;
use super::settings::{before_end, positive};
use super::table::Table;
use super::values::{CpuCost, Names, SyncCost};

/// The most hosts that a scenario may have.
pub(super) const MAX_HOSTS: usize = 100_000;
/// The most Mains among them: each may know all others, so that their number counts twice.
pub(super) const MAX_MAINS: usize = 1_000;

/// The most cores that a host may have.
pub(super) const MAX_CORES: u32 = 128;

/// The services, then the hosts, then whom each of them connects to.
pub(super) fn read(file: &mut Table<'_>, end: Duration) -> Topology {
    let services = services::read(file);
    let mut hosts = Hosts::default();
    let usual = usual_machine(file);
    let mains = groups(file, "main", (&services, usual), &mut hosts, end);
    if mains.is_empty() && hosts.is_empty() && !file.has("main") {
        let problem =
            Problem::new("the scenario has no Main", file.span(), "expected a [[main]] in this file");
        file.problems().lose_name();
        file.problem(problem.help("the smallest one is:  [[main]]  name = \"main-a\""));
    }
    let homes = groups(file, "home", (&services, usual), &mut hosts, end);
    // Whom a Home belongs to is not known yet: what groups say of that is wrong until it is.
    super::groups::define(file, &mut hosts, &Problems::default());
    for group in mains {
        connect_mains(group, &mut hosts);
    }
    for group in homes {
        connect_homes(group, &mut hosts);
    }
    super::groups::define(file, &mut hosts, file.problems());
    let dns = dns(file, &hosts, end);
    Topology { hosts, services, dns, upgrades: Vec::new() }
}

/// `[[dns]]`: what names stand for, in the order of time.
fn dns(file: &mut Table<'_>, hosts: &Hosts, end: Duration) -> Vec<DnsChange> {
    let mut changes = Vec::new();
    for mut table in file.tables("dns") {
        let at = before_end(&mut table, "at", "this name changes", end).unwrap_or_default();
        let name = srv_name(&mut table, "name");
        if !table.has("name") {
            table.missing("name");
        }
        let targets = table.require::<Names>("targets");
        let targets = targets.map(|names| mains(&table, names.get_ref(), "a target", hosts));
        if let (Some(name), Some(targets)) = (name, targets) {
            changes.push(DnsChange { at, name, targets });
        }
        table.finish();
    }
    changes.sort_by_key(|change| change.at);
    changes
}

/// The value of `key` as a name of SRV records.
fn srv_name(table: &mut Table<'_>, key: &'static str) -> Option<String> {
    let name = table.read::<String>(key)?;
    let read: Result<SrvName, _> = name.get_ref().parse();
    if read.is_err() {
        let problem = Problem::new(
            "not a name of SRV records",
            name.span(),
            "expected one such as \"_relay._tcp.fed\"",
        );
        table.problem(problem.help("_relays._tcp.fed is for Mains with `tls = true`"));
    }
    read.ok().map(|name| name.as_str().to_owned())
}

/// One `[[main]]` or `[[home]]`, and the hosts that it stands for.
struct Group<'a> {
    table: Table<'a>,
    hosts: Vec<HostIndex>,
}

fn groups<'a>(
    file: &mut Table<'a>,
    key: &'static str,
    common: (&[Service], Machine),
    hosts: &mut Hosts,
    end: Duration,
) -> Vec<Group<'a>> {
    let most = if key == "main" { MAX_MAINS } else { MAX_HOSTS };
    let mut groups: Vec<Group<'a>> = Vec::new();
    for mut table in file.tables(key) {
        let members = members(&mut table, key, common, end);
        let mut group = Group { hosts: Vec::with_capacity(members.len()), table };
        for host in members {
            let name = host.name.clone();
            match hosts.insert(host) {
                Some(index) => group.hosts.push(index),
                None => {
                    taken(&group.table, &name, &groups, hosts);
                    break;
                }
            }
            if hosts.len() > most {
                let label = format!("expected at most {most} in all");
                group.table.problem(Problem::new("too many hosts", group.table.value_span("count"), label));
                group.table.problems().lose_name();
                return groups;
            }
        }
        groups.push(group);
    }
    groups
}

/// Notes that a host's name is taken, and by whom, where that is known.
fn taken(table: &Table<'_>, name: &str, earlier: &[Group<'_>], hosts: &Hosts) {
    let message = format!("two hosts are called `{name}`");
    let mut problem = Problem::new(message, table.value_span("name"), "expected a name of its own");
    let holder = hosts.find(name).and_then(|taken| earlier.iter().find(|group| group.hosts.contains(&taken)));
    if let Some(holder) = holder {
        problem = problem.and(holder.table.value_span("name"), "the first one is here");
    }
    table.problem(problem);
}

/// The hosts that a table stands for, not yet connected to anybody.
fn members(
    table: &mut Table<'_>,
    key: &str,
    (services, usual): (&[Service], Machine),
    end: Duration,
) -> Vec<Host> {
    let name = table.require::<String>("name");
    let count = table.read::<u32>("count");
    let start = before_end(table, "start", "this host starts", end).unwrap_or_default();
    let node_id = table.word("node_id", &[("host-name", NodeId::HostName), ("generated", NodeId::Generated)]);
    // A Home is dialled by nobody.
    let tls = if key == "main" { table.get("tls").unwrap_or_default() } else { false };
    let offered = offered(table, services);
    let machine = machine(table, usual);
    let nat = if key == "home" { nat(table) } else { Nat::default() };
    let Some(name) = name.filter(|name| check_name(table, name, "host")) else {
        table.problems().lose_name();
        return Vec::new();
    };
    if let Some(count) = &count
        && *count.get_ref() == 0
    {
        let problem = Problem::new("no host at all", count.span(), "expected at least 1");
        table.problem(problem.help("leave `count` out for a single host"));
        table.problems().lose_name();
    }
    let host = |name| Host {
        name,
        // Whom it connects to is known when all hosts are.
        role: match key {
            "main" => Role::Main { peers: Vec::new(), peers_srv: None },
            _ => Role::Home { main: HostIndex(0), fallback: Vec::new() },
        },
        tls,
        services: offered.clone(),
        start,
        node_id: node_id.unwrap_or_default(),
        machine,
        nat,
    };
    match count.map(Spanned::into_inner) {
        None => vec![host(name.into_inner())],
        Some(count) => {
            let most = u32::try_from(MAX_HOSTS + 1).unwrap_or(u32::MAX);
            (1..=count.min(most)).map(|number| host(format!("{}-{number}", name.get_ref()))).collect()
        }
    }
}

/// `[host]`: what every relay runs on that says nothing else.
fn usual_machine(file: &mut Table<'_>) -> Machine {
    let Some(mut table) = file.table("host", "[host]") else { return Machine::default() };
    let usual = machine(&mut table, Machine::default());
    table.finish();
    usual
}

fn machine(table: &mut Table<'_>, usual: Machine) -> Machine {
    let per_message = table.get::<CpuCost>("cpu").map_or(usual.per_message, |cost| cost.0);
    let cores = table.read::<u32>("cores");
    if let Some(cores) = &cores {
        if !(1..=MAX_CORES).contains(cores.get_ref()) {
            let message = format!("{} cores", cores.get_ref());
            table.problem(Problem::new(message, cores.span(), format!("expected 1 to {MAX_CORES}")));
        } else if per_message.is_zero() {
            let problem =
                Problem::new("cores without a cost mean nothing", cores.span(), "expected `cpu` as well");
            table.problem(problem.help("say what a message costs: `cpu = \"100us per message\"`"));
        }
    }
    let per_sync = table.get::<SyncCost>("disk").map_or(usual.per_sync, |cost| cost.0);
    let clock = match table.table("clock", "`clock`") {
        Some(mut clock) => {
            let trouble = clock_trouble(&mut clock);
            clock.finish();
            trouble
        }
        None => usual.clock,
    };
    Machine { per_message, cores: cores.map_or(usual.cores, Spanned::into_inner), per_sync, clock }
}

/// What is wrong with a clock; that nothing is is noted.
pub(super) fn clock_trouble(table: &mut Table<'_>) -> ClockTrouble {
    let clock = ClockTrouble { offset: table.get::<Offset>("offset"), drift: table.get::<Drift>("drift") };
    if !table.has("offset") && !table.has("drift") {
        let label = "expected `offset` or `drift` in here";
        table.problem(Problem::new("this changes nothing about the clocks", table.span(), label));
    }
    clock
}

fn nat(table: &mut Table<'_>) -> Nat {
    let kinds = [
        ("full-cone", NatKind::FullCone),
        ("address-restricted", NatKind::AddressRestricted),
        ("port-restricted", NatKind::PortRestricted),
        ("symmetric", NatKind::Symmetric),
    ];
    let usual = Nat::default();
    Nat {
        kind: table.word("nat", &kinds).unwrap_or(usual.kind),
        mapping: positive(table, "nat_mapping").unwrap_or(usual.mapping),
        hairpin: table.get("hairpin").unwrap_or(usual.hairpin),
    }
}

pub(super) fn offered(table: &mut Table<'_>, services: &[Service]) -> Vec<usize> {
    let Some(names) = table.get::<Names>("services") else { return Vec::new() };
    let mut offered = Vec::new();
    for name in &names.0 {
        match find_service(services, name, table.problems()) {
            Some(service) if offered.contains(&service) => {
                let message = format!("the service `{}` is listed twice", name.get_ref());
                table.problem(Problem::new(message, name.span(), "expected each service once"));
            }
            found => offered.extend(found),
        }
    }
    offered
}

/// Each Main dials those that it names, or else every one before it.
fn connect_mains(mut group: Group<'_>, hosts: &mut Hosts) {
    let named = group.table.read::<Names>("peers");
    let peers_srv = srv_name(&mut group.table, "peers_srv");
    let named = named.map(|names| mains(&group.table, names.get_ref(), "a peer", hosts));
    for &index in &group.hosts {
        let peers = match &named {
            Some(named) => named.iter().copied().filter(|peer| *peer != index).collect(),
            None if peers_srv.is_some() => Vec::new(),
            None => (0..index.0).map(HostIndex).collect(),
        };
        hosts.get_mut(index).role = Role::Main { peers, peers_srv: peers_srv.clone() };
    }
    group.table.finish();
}

/// Homes take the Mains that they name in turn.
fn connect_homes(mut group: Group<'_>, hosts: &mut Hosts) {
    let main = group.table.require::<Names>("main");
    let main = main.map(|names| mains(&group.table, names.get_ref(), "the Main of a Home", hosts));
    let fallback = group.table.read::<Names>("fallback");
    let fallback = fallback.map(|names| mains(&group.table, names.get_ref(), "a fallback", hosts));
    for (number, &index) in group.hosts.iter().enumerate() {
        // Where a problem left no Main, the scenario is not used: any index will do.
        let main =
            main.as_ref().filter(|all| !all.is_empty()).map_or(HostIndex(0), |all| all[number % all.len()]);
        let fallback = fallback.iter().flatten().copied().filter(|it| *it != main).collect();
        hosts.get_mut(index).role = Role::Home { main, fallback };
    }
    group.table.finish();
}

/// The Mains that `names` stand for, in the order of the list, each once. `what` they are meant to be: `a peer`.
pub(super) fn mains(table: &Table<'_>, names: &Names, what: &str, hosts: &Hosts) -> Vec<HostIndex> {
    let lookup = Lookup { hosts, problems: table.problems() };
    let mains = lookup.in_turn(names, Host::is_main).unwrap_or_default();
    // Whose name it is that stands for a Home.
    let stands_for =
        |name: &&Spanned<String>, home| hosts.matching(name.get_ref()).is_ok_and(|it| it.contains(home));
    for name in &names.0 {
        let home = mains.iter().find(|index| !hosts.get(**index).is_main() && stands_for(&name, index));
        if let Some(home) = home {
            let message = format!("`{}` is a Home and cannot be {what}", hosts.get(*home).name);
            table.problem(Problem::new(message, name.span(), "expected the name of a [[main]]"));
        }
    }
    mains
}
