//! Who calls whom: loads drawn from a seed, and those of the liveness phase.

use std::fmt::Write;
use std::time::Duration;

use relay_chaos::Stream;
use relay_chaos::plan::Phases;
use relay_chaos::quantity::duration;

use super::Notes;
use super::federation::{Federation, Home};

/// The calls of the liveness phase: often enough that a way that stays broken is met.
pub(super) const LIVENESS_RATE: &str = "1 per 2s";

/// One load.
pub(super) struct Load {
    name: &'static str,
    /// Mains call as well.
    with_mains: bool,
    target: Target,
    arrival: String,
    payload: &'static str,
}

#[derive(Clone, Copy)]
enum Target {
    /// Homes whose node ids are known.
    Node,
    /// Whoever offers this service, and who that is.
    Service(&'static str, fn(&Home) -> bool),
}

const NEWS: Target = Target::Service("news", |home| home.has_news);

pub(super) fn draw(root: &Stream, federation: &Federation, notes: &mut Notes) -> Vec<Load> {
    let mut kinds = vec![("by-service", NEWS)];
    if named(federation).len() > 1 {
        kinds.push(("by-node", Target::Node));
    }
    if federation.has_shop() {
        kinds.push(("shop", Target::Service("shop", |home| home.has_shop)));
    }
    let mut switches = root.child("switches");
    let on: Vec<_> = match kinds.len() {
        1 => kinds,
        _ if switches.chance(30) => kinds,
        _ => switches.some(&kinds),
    };
    let loads: Vec<Load> = on.iter().map(|(name, target)| load(root.child(name), name, *target)).collect();
    let words = loads.iter().map(|load| {
        let Load { name, with_mains, arrival, payload, target } = load;
        let from = from(*target, *with_mains, federation).replace('"', "");
        format!("{name} from {from}, {}, {payload}", arrival.replace('\n', ", ").replace('"', ""))
    });
    notes.add("loads", words.collect::<Vec<_>>().join("; "));
    loads
}

fn load(mut stream: Stream, name: &'static str, target: Target) -> Load {
    let arrival = match stream.below(3) {
        0 => format!("rate = \"{}\"", stream.pick(&["1/s", "1 per 2s", "1 per 5s"])),
        1 => format!("rate = \"{}\"\npacing = \"poisson\"", stream.pick(&["1/s", "1 per 2s", "1 per 5s"])),
        _ => {
            let think = stream.pick(&["1s", "3s", "10s"]);
            format!("kind = \"closed\"\ncallers = {}\nthink = \"{think}\"", stream.between(1, 3))
        }
    };
    Load {
        name,
        with_mains: stream.chance(30),
        target,
        arrival,
        payload: stream.pick::<&str>(&["64B", "64B", "1KiB", "16KiB"]),
    }
}

/// The loads, and one of each target for the liveness phase, of which every call must succeed.
pub(super) fn text(loads: &[Load], federation: &Federation, phases: Phases, calm: Duration) -> String {
    let mut text = String::new();
    for load in loads {
        let Load { name, arrival, payload, .. } = load;
        let from = from(load.target, load.with_mains, federation);
        let target = target(load.target, federation);
        write!(
            text,
            "\n[[load]]\nname = \"{name}\"\nfrom = {from}\n{target}\n{arrival}\npayload = \"{payload}\"\n\
             start = \"5s\"\n",
        )
        .expect("strings take all");
    }
    let start = duration::format(phases.heal + calm);
    let mut targets = vec![("after-heal", NEWS)];
    if named(federation).len() > 1 {
        targets.push(("after-heal-by-node", Target::Node));
    }
    for (name, of) in targets {
        let (from, target) = (from(of, false, federation), target(of, federation));
        write!(
            text,
            "\n[[load]]\nname = \"{name}\"\nfrom = {from}\n{target}\nrate = \"{LIVENESS_RATE}\"\n\
             start = \"{start}\"\n[load.gates]\navailability = \"100%\"\n",
        )
        .expect("strings take all");
    }
    text
}

/// Who calls, as a scenario has it: whoever would answer itself does not.
fn from(target: Target, with_mains: bool, federation: &Federation) -> String {
    match (target, with_mains) {
        (Target::Service(_, offers), _) => list(&federation.callers(with_mains, offers)),
        (Target::Node, true) => "\"*\"".to_owned(),
        (Target::Node, false) => "\"home-*\"".to_owned(),
    }
}

fn list(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    format!("[{}]", quoted.join(", "))
}

fn target(target: Target, federation: &Federation) -> String {
    match target {
        Target::Service(name, _) => format!("by = \"service\"\nservice = \"{name}\"\nmethod = \"get\""),
        Target::Node => {
            let names = list(&named(federation));
            format!("to = {names}\nservice = \"echo\"\nmethod = \"get\"")
        }
    }
}

/// Homes whose node id is their name.
fn named(federation: &Federation) -> Vec<&str> {
    federation.homes.iter().filter(|home| !home.is_generated).map(|home| home.name.as_str()).collect()
}
