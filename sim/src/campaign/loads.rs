//! Who calls whom: loads drawn from a seed, and those of the liveness phase.

use std::fmt::Write;
use std::time::Duration;

use relay_chaos::Stream;
use relay_chaos::plan::Phases;
use relay_chaos::quantity::duration;

use super::Notes;
use super::federation::Federation;

/// The calls of the liveness phase: often enough that a way that stays broken is met.
pub(super) const LIVENESS_RATE: &str = "1 per 2s";

/// One load.
pub(super) struct Load {
    name: &'static str,
    from: &'static str,
    target: Target,
    arrival: String,
    payload: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    /// Homes whose node ids are known.
    Node,
    Service(&'static str),
}

pub(super) fn draw(root: &Stream, federation: &Federation, notes: &mut Notes) -> Vec<Load> {
    let mut kinds = vec![("by-service", Target::Service("echo"))];
    if named(federation).len() > 1 {
        kinds.push(("by-node", Target::Node));
    }
    if federation.has_shop() {
        kinds.push(("shop", Target::Service("shop")));
    }
    let mut switches = root.child("switches");
    let on: Vec<_> = match kinds.len() {
        1 => kinds,
        _ if switches.chance(30) => kinds,
        _ => switches.some(&kinds),
    };
    let loads: Vec<Load> = on.iter().map(|(name, target)| load(root.child(name), name, *target)).collect();
    let words = loads.iter().map(|load| {
        let Load { name, from, arrival, payload, .. } = load;
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
        from: if stream.chance(30) { "*" } else { "home-*" },
        target,
        arrival,
        payload: stream.pick::<&str>(&["64B", "64B", "1KiB", "16KiB"]),
    }
}

/// The loads, and one of each target for the liveness phase, of which every call must succeed.
pub(super) fn text(loads: &[Load], federation: &Federation, phases: Phases, calm: Duration) -> String {
    let mut text = String::new();
    for load in loads {
        let Load { name, from, arrival, payload, .. } = load;
        let target = target(load.target, federation);
        write!(
            text,
            "\n[[load]]\nname = \"{name}\"\nfrom = \"{from}\"\n{target}\n{arrival}\npayload = \"{payload}\"\n\
             start = \"5s\"\n",
        )
        .expect("strings take all");
    }
    let start = duration::format(phases.heal + calm);
    let mut targets = vec![("after-heal", Target::Service("echo"))];
    if named(federation).len() > 1 {
        targets.push(("after-heal-by-node", Target::Node));
    }
    for (name, of) in targets {
        let target = target(of, federation);
        write!(
            text,
            "\n[[load]]\nname = \"{name}\"\nfrom = \"home-*\"\n{target}\nrate = \"{LIVENESS_RATE}\"\n\
             start = \"{start}\"\n[load.gates]\navailability = \"100%\"\n",
        )
        .expect("strings take all");
    }
    text
}

fn target(target: Target, federation: &Federation) -> String {
    match target {
        Target::Service(name) => format!("by = \"service\"\nservice = \"{name}\"\nmethod = \"get\""),
        Target::Node => {
            let names: Vec<String> = named(federation).iter().map(|name| format!("\"{name}\"")).collect();
            format!("to = [{}]\nservice = \"echo\"\nmethod = \"get\"", names.join(", "))
        }
    }
}

/// Homes whose node id is their name.
fn named(federation: &Federation) -> Vec<&str> {
    federation.homes.iter().filter(|home| !home.is_generated).map(|home| home.name.as_str()).collect()
}
