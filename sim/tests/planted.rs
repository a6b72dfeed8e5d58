//! Each invariant sees what it is there for: a federation runs with one fault planted, and exactly that invariant is
//! violated. Where it can be done, the world itself is made to lie: a relay that nobody planned, a disk that forgets, relays
//! that keep entries longer than they say. Else what the watchers see is changed on its way to them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::Method;
use relay_node::config::{Config, HomeRole, Limits, NodeIdSource, Role, Timing, Tokens};
use relay_node::federation::TrustPolicy;
use relay_node::service::{ServiceKind, ServiceSpec};
use relay_node::store::ADMIN_TOKEN_FILE;
use relay_sim::director::direct;
use relay_sim::engine::event::{self, HostSpec, Options, ProcessKind, Sim};
use relay_sim::invariants::{EndedCall, Lens, Observed, OpenBreaker, Outcome, Recalled};
use relay_sim::metadata::Given;
use relay_sim::record::{Answer, Record};
use relay_sim::scenario::{HostIndex, Scenario};
use relay_sim::workload::api::Api;
use relay_sim::workload::probe;
use relay_sim::world::timing;

/// Two hubs, two equal instances behind one of them, an operator, a kill and a stop. It is calm for minutes, so that
/// everything has its chance.
const FEDERATION: &str = r#"
duration = "10m"
[network]
latency = "5ms"
[probe]
reports = "5s"
[operator]
every = "20s"
[dht]
on = true
cache_ttl = "30s"
cache_cleanup = "10s"
[[lookup]]
name = "everyone-about-everyone"
from = "*"
to = "*"
pairs = 36
every = "10s"
start = "30s"
[[service]]
name = "shop"
kind = "echo"
[[main]]
name = "main-a"
[[main]]
name = "main-b"
[[home]]
name = "shop"
count = 2
main = "main-a"
services = ["shop"]
[[home]]
name = "customer"
main = "main-b"
[[home]]
name = "seller"
main = "main-b"
services = ["shop"]
[[load]]
name = "by-name"
from = "shop-*"
by = "service"
service = "shop"
method = "buy"
rate = "1/s"
start = "5s"
[[load]]
name = "by-node"
from = "customer"
to = "shop-*"
service = "shop"
method = "buy"
rate = "2/s"
start = "5s"
[[load]]
name = "hub-by-name"
from = "main-a"
by = "service"
service = "shop"
method = "buy"
rate = "1/s"
start = "5s"
[[fault]]
at = "450s"
kind = "crash"
host = "main-b"
how = "power-cut"
down = "20s"
[[fault]]
at = "500s"
kind = "stop"
host = "seller"
down = "70s"
"#;

const MAIN_A: HostIndex = HostIndex(0);
const MAIN_B: HostIndex = HostIndex(1);
const SHOP_2: HostIndex = HostIndex(3);

/// What a run found: by invariant, checks and violations.
type Found = Vec<(&'static str, u64, u64)>;

type Saboteur = Box<dyn FnOnce(&Sim) + Send>;

/// What is wrong with a run.
struct Plant {
    text: String,
    /// What the watchers believe of the relays, where it is not the truth.
    believed: Option<Timing>,
    lens: Option<Lens>,
    /// Moves the world behind everyone's back.
    saboteur: Option<Saboteur>,
}

impl Default for Plant {
    fn default() -> Self {
        Plant { text: FEDERATION.into(), believed: None, lens: None, saboteur: None }
    }
}

fn run(plant: Plant) -> Found {
    let scenario = Arc::new(Scenario::load("planted.toml", &plant.text).unwrap());
    let gap = probe::longest_gap(scenario.run.probe_interval);
    let believed = plant.believed.unwrap_or_else(|| timing(&scenario.node));
    let mut record = Record::new(&scenario, &believed, gap);
    if let Some(lens) = plant.lens {
        record.invariants.look_through(lens);
    }
    let record = Arc::new(Mutex::new(record));
    let shared = Arc::clone(&record);
    let saboteur = plant.saboteur;
    let end = event::run(Options { seed: 1, ..Options::default() }, move |sim| {
        Box::pin(async move {
            if let Some(saboteur) = saboteur {
                saboteur(&sim);
            }
            direct(sim, scenario, shared).await;
        })
    });
    assert!(end.panics.is_empty() && end.outcome.is_ok(), "{:?} {:?}", end.outcome, end.panics);
    let record = record.lock().unwrap();
    let found = record.invariants.results();
    found.map(|(invariant, findings)| (invariant.name(), findings.checked, findings.violated)).collect()
}

/// Runs with this plant; exactly this invariant must be violated.
fn caught(name: &str, plant: Plant) {
    let found = run(plant);
    let violated: Vec<_> = found.iter().filter(|(_, _, violated)| *violated > 0).map(|it| it.0).collect();
    assert_eq!(violated, [name], "{found:?}");
}

/// Calls that ended are seen changed: `change` says whether it has done so; at most `most` are.
fn calls_change(most: u32, mut change: impl FnMut(&mut EndedCall) -> bool + Send + 'static) -> Plant {
    let mut changed = 0;
    let lens: Lens = Box::new(move |observed, see| {
        if let Observed::CallEnded(call) = observed
            && changed < most
        {
            let mut call = (*call).clone();
            changed += u32::from(change(&mut call));
            return see(&Observed::CallEnded(&call));
        }
        see(observed);
    });
    Plant { lens: Some(lens), ..Plant::default() }
}

/// The path of calls by node that succeeded is seen changed, once.
fn path_changes(change: impl Fn(&mut Vec<String>) + Send + 'static) -> Plant {
    calls_change(1, move |call| match &mut call.outcome {
        Outcome::Success { path, .. } if call.callee.is_some() => {
            change(path);
            true
        }
        _ => false,
    })
}

fn lens(look: impl FnMut(&Observed<'_>, &mut dyn FnMut(&Observed<'_>)) + Send + 'static) -> Plant {
    Plant { lens: Some(Box::new(look)), ..Plant::default() }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn without_a_plant_nothing_is_violated_and_everything_is_checked() {
    let found = run(Plant::default());
    // `listing-ends` has nothing to do where all news travel; its own test gives it some.
    let is_fine = |(name, checked, violated): &(&str, u64, u64)| {
        *violated == 0 && (*checked > 0 || *name == "listing-ends")
    };
    assert!(found.iter().all(is_fine), "{found:?}");
    let same = run(lens(|observed, see| see(observed)));
    assert_eq!(found, same, "a lens changes nothing by itself");
}

#[test]
fn a_call_that_ends_twice_or_never() {
    let mut twice = false;
    caught(
        "one-outcome",
        lens(move |observed, see| {
            see(observed);
            if matches!(observed, Observed::CallEnded(_)) && !std::mem::replace(&mut twice, true) {
                see(observed);
            }
        }),
    );
    let mut swallowed = false;
    caught(
        "one-outcome",
        lens(move |observed, see| {
            if !matches!(observed, Observed::CallEnded(_)) || std::mem::replace(&mut swallowed, true) {
                see(observed);
            }
        }),
    );
}

#[test]
fn a_call_that_ends_late() {
    caught(
        "deadlines",
        calls_change(1, |call| {
            call.ended += seconds(61);
            true
        }),
    );
}

/// All clocks are an hour off for the rest of the run. That moves no timer, and so excuses nobody.
fn while_clocks_are_off(plant: Plant) -> Plant {
    let clocks = "[[fault]]\nat = \"20s\"\nkind = \"clock\"\nhosts = [\"main-*\", \"shop-*\", \"customer\", \"seller\"]\noffset = \"+1h\"\n";
    Plant { text: format!("{FEDERATION}{clocks}"), ..plant }
}

#[test]
fn a_call_that_ends_late_while_clocks_are_off() {
    let is_then = |call: &EndedCall| call.sent > seconds(60);
    let late = calls_change(1, move |call| {
        let is_it = is_then(call);
        call.ended += if is_it { seconds(61) } else { Duration::ZERO };
        is_it
    });
    caught("deadlines", while_clocks_are_off(late));
    let silent = calls_change(1, move |call| {
        let is_it = is_then(call);
        if is_it {
            call.outcome = Outcome::NoOutcome;
        }
        is_it
    });
    caught("one-outcome", while_clocks_are_off(silent));
}

#[test]
fn an_answer_that_is_for_another_call() {
    caught(
        "answer-reaches-its-caller",
        calls_change(1, |call| match &mut call.outcome {
            Outcome::Success { answers, .. } => {
                *answers += 1;
                true
            }
            _ => false,
        }),
    );
}

#[test]
fn a_call_that_somebody_else_serves() {
    caught("reaches-its-callee", path_changes(|path| *path.last_mut().unwrap() = "seller".into()));
}

#[test]
fn a_call_that_takes_a_detour() {
    caught("three-hops", path_changes(|path| path.insert(1, "main-c".into())));
}

#[test]
fn a_connection_to_a_home() {
    let mut seen = false;
    caught(
        "no-inbound-to-homes",
        lens(move |observed, see| {
            see(observed);
            if let Observed::Accepted { at, host: MAIN_A, from } = *observed
                && from != MAIN_A
                && !std::mem::replace(&mut seen, true)
            {
                see(&Observed::Accepted { at, host: SHOP_2, from: MAIN_A });
            }
        }),
    );
}

/// The relays keep what nobody confirms for ten minutes; the watchers believe in ten seconds.
#[test]
fn an_entry_that_outlives_its_node() {
    let text = format!(
        "{}{}",
        FEDERATION.split("[[fault]]").next().unwrap(),
        r#"
[[fault]]
at = "60s"
kind = "partition"
hosts = "main-b"
lasts = "6m"
[[fault]]
at = "70s"
kind = "crash"
host = "shop-1"
how = "kill"
"#
    );
    let honest = run(Plant { text: text.clone(), ..Plant::default() });
    assert!(honest.iter().all(|(_, _, violated)| *violated == 0), "{honest:?}");
    assert!(honest.iter().any(|(name, checked, _)| *name == "listing-ends" && *checked > 0), "{honest:?}");
    let registry_ttl = seconds(10);
    let believed = Some(Timing { registry_ttl, ..Timing::default() });
    caught("listing-ends", Plant { text, believed, ..Plant::default() });
}

/// A Home that the scenario knows nothing of joins, and offers a service.
#[test]
fn a_relay_that_nobody_planned() {
    let saboteur = |sim: &Sim| {
        let later = sim.clone();
        sim.spawn("saboteur", async move {
            later.sleep(seconds(30)).await;
            let address = "12.0.0.1".parse().unwrap();
            let host = later.add_host(HostSpec { name: "ghost".into(), address, nat: None });
            let home = HomeRole {
                mains: vec!["ws://main-a:8080".parse().unwrap()],
                listen: "127.0.0.1:9000".parse().unwrap(),
            };
            let shop = ServiceSpec {
                name: "ghost-shop".into(),
                kind: ServiceKind::Echo,
                methods: Vec::new(),
                timeout: None,
                balance: None,
                allow: None,
            };
            let config = Config {
                role: Role::Home(home),
                node_id: NodeIdSource::Given("ghost".parse().unwrap()),
                services: vec![shop],
                timing: Timing::default(),
                limits: Limits::default(),
                trust: TrustPolicy::default(),
                tokens: Tokens::default(),
                dht: None,
            };
            later.start(host, "relay", ProcessKind::Node, |env| {
                Box::pin(async move { drop(relay_node::run(config, env, std::future::pending()).await) })
            });
        });
    };
    caught("registry", Plant { saboteur: Some(Box::new(saboteur)), ..Plant::default() });
}

#[test]
fn a_node_that_is_listed_after_its_goodbye() {
    let (mut before, mut gone) = (Vec::new(), false);
    caught(
        "registry",
        lens(move |observed, see| match *observed {
            // What main-a listed before the seller stopped is seen for ever.
            Observed::Viewed { at, main: MAIN_A, listed } if gone => {
                see(&Observed::Viewed {
                    at,
                    main: MAIN_A,
                    listed: if at < seconds(560) { &before } else { listed },
                });
            }
            Observed::Viewed { main: MAIN_A, listed, .. } => {
                before = listed.to_vec();
                see(observed);
            }
            Observed::NodeGone { node: Some("seller"), .. } => {
                gone = true;
                see(observed);
            }
            _ => see(observed),
        }),
    );
}

#[test]
fn an_instance_that_starves() {
    let plant = calls_change(u32::MAX, |call| match &mut call.outcome {
        // Those that it serves to itself apart.
        Outcome::Success { path, .. } if call.callee.is_none() && path.len() > 1 => {
            let is_it = path.last().is_some_and(|it| it == "shop-2");
            if is_it {
                *path.last_mut().expect("it has one") = "shop-1".into();
            }
            is_it
        }
        _ => false,
    });
    caught("balancer", plant);
}

#[test]
fn a_breaker_that_opens_without_a_failure() {
    let plant = |from: &'static str, to: &'static str| {
        lens(move |observed, see| match *observed {
            Observed::Reported { at, host: MAIN_A, reported } => {
                let mut reported = reported.clone();
                for sample in reported.of_mut("relay_breaker_changes_total") {
                    let is_it = sample.label("from") == Some(from) && sample.label("to") == Some(to);
                    sample.value += if is_it { 1_000.0 } else { 0.0 };
                }
                see(&Observed::Reported { at, host: MAIN_A, reported: &reported });
            }
            _ => see(observed),
        })
    };
    caught("breakers", plant("closed", "open"));
    caught("breakers", plant("half-open", "closed"));
}

#[test]
fn an_open_breaker_that_lets_calls_through() {
    let plant = lens(|observed, see| match *observed {
        Observed::Reported { at, host: MAIN_A, reported } if at < seconds(400) => {
            let mut reported = reported.clone();
            let (node, service) = ("shop-2".to_owned(), Some("shop".to_owned()));
            reported.open_breakers.push(OpenBreaker { node, service, retry_in: seconds(4) });
            see(&Observed::Reported { at, host: MAIN_A, reported: &reported });
        }
        _ => see(observed),
    });
    caught("breakers", plant);
}

#[test]
fn a_queue_beyond_its_limit() {
    let plant = lens(|observed, see| match *observed {
        Observed::Reported { at, host, reported } if host == MAIN_A => {
            let mut reported = reported.clone();
            let calls = reported.of_mut("relay_table_entries").find(|it| it.label("table") == Some("calls"));
            calls.expect("calls are among the tables").value += 65_537.0;
            see(&Observed::Reported { at, host, reported: &reported });
        }
        _ => see(observed),
    });
    caught("queue-bounds", plant);
}

/// What lookups gave is seen changed: `change` is given when they were made and what they gave.
fn lookups_change(mut change: impl FnMut(Duration, &str, &mut Given) + Send + 'static) -> Plant {
    lens(move |observed, see| match observed {
        Observed::LookedUp(lookup) => {
            let mut lookup = (*lookup).clone();
            if let Answer::Given(given) = &mut lookup.answer {
                change(lookup.sent, &lookup.peer, given);
            }
            see(&Observed::LookedUp(&lookup));
        }
        _ => see(observed),
    })
}

#[test]
fn metadata_that_its_peer_never_published() {
    let mut planted = false;
    caught(
        "no-stale-read",
        lookups_change(move |_, _, given| {
            if !std::mem::replace(&mut planted, true) {
                given.version.content["public_ip"] = "13.0.0.1".into();
            }
        }),
    );
}

/// Homes of main-b find it again after its power cut, and say so; whoever asks is given for ever what was true before.
#[test]
fn metadata_that_was_replaced_long_ago() {
    let mut first = BTreeMap::new();
    caught(
        "no-stale-read",
        lookups_change(move |_, peer, given| {
            *given = first.entry(peer.to_owned()).or_insert_with(|| given.clone()).clone();
        }),
    );
}

/// A power cut with an honest disk keeps what is synced; this disk forgets everything.
#[test]
fn a_disk_that_forgets() {
    let saboteur = |sim: &Sim| {
        let later = sim.clone();
        sim.spawn("saboteur", async move {
            later.sleep(seconds(460)).await;
            later.wipe(later.find_host("main-b").expect("it is in the scenario"));
        });
    };
    // Without the stop: the others refuse a Main with a new key, and would not hear who says goodbye there.
    let text = FEDERATION.rsplit_once("[[fault]]").expect("it has faults").0.to_owned();
    caught("restart-durability", Plant { text, saboteur: Some(Box::new(saboteur)), ..Plant::default() });
}

/// An operator whom nobody watches has a Main forget a key, which nobody asked for.
#[test]
fn a_key_that_is_forgotten() {
    let saboteur = |sim: &Sim| {
        let later = sim.clone();
        sim.spawn("saboteur", async move {
            later.sleep(seconds(300)).await;
            let host = later.find_host("main-a").expect("it is in the scenario");
            later.start(host, "saboteur", ProcessKind::Harness, |env| {
                Box::pin(async move {
                    let token = env.storage.read(ADMIN_TOKEN_FILE).unwrap().expect("made at the first start");
                    let token = String::from_utf8(token).unwrap();
                    let api = Api::new(env, 8080);
                    let forget = api.admin(Method::DELETE, "/federation/pins/shop-2", &token, String::new());
                    assert_eq!(forget.await.unwrap().0, 200);
                })
            });
        });
    };
    caught("restart-durability", Plant { saboteur: Some(Box::new(saboteur)), ..Plant::default() });
}

#[test]
fn a_removal_that_is_forgotten() {
    let mut is_back = false;
    let plant = lens(move |observed, see| match *observed {
        Observed::Recalled { at, host: MAIN_B, recalled } if is_back => {
            let recalled = Recalled { removed: BTreeSet::new(), ..recalled.clone() };
            see(&Observed::Recalled { at, host: MAIN_B, recalled: &recalled });
        }
        _ => {
            // After its power cut.
            is_back |= matches!(*observed, Observed::NodeGone { host: MAIN_B, .. });
            see(observed);
        }
    });
    caught("restart-durability", plant);
}
