//! How things stand at one moment of a run that is not gone on with.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use relay_chaos::quantity::duration;
use serde::Deserialize;

use super::Director;
use crate::engine::event::ProcessKind;
use crate::invariants::CallNumber;
use crate::record::OpenCall;
use crate::scenario::HostIndex;

/// A Main that does not tell its view in this time does not tell it, in seconds.
const PATIENCE_SECONDS: u64 = 5;

/// Open calls that are told one by one; the others are counted.
const CALLS_SHOWN_MAX: usize = 50;

/// How things stand at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// When, from the start of the run.
    pub at: Duration,
    /// All hosts, and whether their relays run.
    pub hosts: Vec<(String, bool)>,
    /// What each Main that runs lists, a line each; `None`: it does not say.
    pub views: Vec<(String, Option<Vec<String>>)>,
    /// The calls under way, a line each.
    pub calls: Vec<String>,
    /// The faults that are active, and until when, a line each.
    pub faults: Vec<String>,
}

#[derive(Deserialize)]
struct View {
    services: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    name: String,
    node_id: String,
    reachable: bool,
}

type Views = Arc<Mutex<BTreeMap<HostIndex, Vec<String>>>>;

impl Director {
    /// How things stand now. Asking the Mains takes some time; the rest is as it was before.
    pub(super) async fn snapshot(&self) -> Snapshot {
        let (world, at) = (&self.world, self.world.sim.now());
        let hosts = &world.scenario.topology.hosts;
        let name = |host: HostIndex| hosts.get(host).name.clone();
        let call = |(number, call): (CallNumber, &OpenCall)| {
            let whom = call.callee.map_or_else(|| "anyone".to_owned(), name);
            let since = duration::format(at.saturating_sub(call.sent));
            format!("{number}: {} asks {whom} for {}, for {since} by now", name(call.caller), call.service)
        };
        let calls = self.record().open().map(call).collect();
        let planned = world.scenario.faults.iter().enumerate();
        let active = planned.filter(|(_, fault)| fault.active().contains(at));
        let faults = active.map(|(number, fault)| {
            let came = self.record().course.came(number, fault);
            let end = fault
                .active()
                .end
                .map_or_else(|| "for good".into(), |end| format!("until {}", duration::format(end)));
            format!("{fault} ({end}{})", if came { "" } else { ", waits for the disk" })
        });
        let faults = faults.collect();
        let up = hosts.iter().map(|(index, host)| (host.name.clone(), world.is_up(index))).collect();
        let views = self.views().await;
        Snapshot { at, hosts: up, views, calls, faults }
    }

    async fn views(&self) -> Vec<(String, Option<Vec<String>>)> {
        let (world, views) = (&self.world, Views::default());
        let hosts = &world.scenario.topology.hosts;
        let mains = hosts.iter().filter(|(index, host)| host.is_main() && world.is_up(*index));
        let mains: Vec<HostIndex> = mains.map(|(index, _)| index).collect();
        for &main in &mains {
            let (of_process, views) = (world.clone(), Arc::clone(&views));
            world.sim.start(world.host(main), "look", ProcessKind::Harness, move |env| {
                Box::pin(async move {
                    let api = of_process.api(env, main);
                    let Ok(body) = api.get("/federation/registry").await else { return };
                    let Ok(view) = serde_json::from_slice::<View>(&body) else { return };
                    let mut lines: Vec<String> = view.services.iter().map(line).collect();
                    lines.sort_unstable();
                    views.lock().unwrap_or_else(PoisonError::into_inner).insert(main, lines);
                })
            });
        }
        let patience = world.sim.now() + Duration::from_secs(PATIENCE_SECONDS);
        let told = || views.lock().unwrap_or_else(PoisonError::into_inner).len();
        while told() < mains.len() && world.sim.now() < patience {
            world.sim.sleep(Duration::from_millis(10)).await;
        }
        let mut views = std::mem::take(&mut *views.lock().unwrap_or_else(PoisonError::into_inner));
        mains.into_iter().map(|main| (hosts.get(main).name.clone(), views.remove(&main))).collect()
    }
}

fn line(entry: &Entry) -> String {
    let Entry { name, node_id, reachable } = entry;
    format!("{name} at {node_id}{}", if *reachable { "" } else { " (not reachable)" })
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "at          {}", duration::format(self.at))?;
        let names = |wanted: bool| {
            let names: Vec<&str> =
                self.hosts.iter().filter(|(_, up)| *up == wanted).map(|(name, _)| name.as_str()).collect();
            if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
        };
        writeln!(f, "up          {}", names(true))?;
        writeln!(f, "down        {}", names(false))?;
        list(f, "faults", &self.faults)?;
        for (main, view) in &self.views {
            match view {
                Some(lines) => list(f, &format!("{main} lists"), lines)?,
                None => writeln!(f, "{main} does not say what it lists")?,
            }
        }
        list(f, "open calls", &self.calls)
    }
}

fn list(f: &mut fmt::Formatter<'_>, title: &str, lines: &[String]) -> fmt::Result {
    if lines.is_empty() {
        return writeln!(f, "{title:<11} none");
    }
    writeln!(f, "{title:<11} {}", lines.len())?;
    lines.iter().take(CALLS_SHOWN_MAX).try_for_each(|line| writeln!(f, "  {line}"))?;
    match lines.len().saturating_sub(CALLS_SHOWN_MAX) {
        0 => Ok(()),
        more => writeln!(f, "  and {more} more"),
    }
}
