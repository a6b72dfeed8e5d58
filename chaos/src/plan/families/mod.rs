//! The families of faults that plans are drawn from, and what each does with its slots.

mod machine;
mod network;
mod process;

use std::str::FromStr;
use std::time::Duration;

use super::{HostShape, Owner, Shape, Slot};
use crate::{Fault, FaultKind, Selector, Stream};

/// A family of faults: what is switched on or off as one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Family(&'static Entry);

/// What there is to know of a family.
struct Entry {
    /// Its name, on the command line and in lists.
    name: &'static str,
    /// What it is, in a few words.
    about: &'static str,
    /// Whether it can happen to a host.
    fits: fn(&HostShape) -> bool,
    /// Whether it can happen to several hosts at once.
    takes_several: bool,
    /// What happens in a slot.
    draw: fn(&mut Scene<'_>) -> Vec<Fault>,
}

/// All families that can be made to happen. A line that is left out here is a family that is not drawn.
const FAMILIES: &[Entry] = &[
    entry("partition", "hosts are cut off, wholly or one way", anyone, true, network::partition),
    entry("flapping", "hosts are cut off again and again", anyone, true, network::flapping),
    entry("link", "links are slow, lossy or narrow", anyone, true, network::link),
    entry("streams", "connections stall or break", anyone, true, network::streams),
    entry("nat", "the router in front of a Home forgets or moves", |host| !host.is_main, true, network::nat),
    entry("dns", "names are answered wrongly or not at all", anyone, true, machine::dns),
    entry("descriptors", "file descriptors are used up", anyone, true, machine::descriptors),
    entry("pause", "relays stand still", anyone, true, machine::pause),
    entry("slow", "machines work slowly", anyone, true, machine::slow),
    entry("clock", "clocks jump and drift", anyone, true, machine::clock),
    entry("disk", "disks are full or fail", anyone, true, machine::disk),
    entry("torn-write", "power cuts leave half of what was written", anyone, false, machine::torn_write),
    entry("kill", "processes are killed", anyone, true, process::kill),
    entry("power-cut", "machines lose their power", anyone, true, process::power_cut),
    entry("wipe", "machines lose their disks", |host| host.may_lose_disk, false, process::wipe),
    entry("stop", "relays are asked to end, one by one or at once", anyone, true, process::stop),
    entry("expiry", "certificates run out", |host| host.has_certificate, false, machine::expiry),
];

const fn entry(
    name: &'static str,
    about: &'static str,
    fits: fn(&HostShape) -> bool,
    takes_several: bool,
    draw: fn(&mut Scene<'_>) -> Vec<Fault>,
) -> Entry {
    Entry { name, about, fits, takes_several, draw }
}

fn anyone(_: &HostShape) -> bool {
    true
}

impl Family {
    /// All that can be drawn.
    pub fn all() -> impl Iterator<Item = Family> {
        FAMILIES.iter().map(Family)
    }

    /// Its name: `power-cut`.
    pub fn name(self) -> &'static str {
        self.0.name
    }

    /// What it is, in a few words.
    pub fn about(self) -> &'static str {
        self.0.about
    }

    /// Whether it can happen to this host.
    pub fn fits(self, host: &HostShape) -> bool {
        (self.0.fits)(host)
    }

    pub(super) fn takes_several(self) -> bool {
        self.0.takes_several
    }

    pub(super) fn faults(self, scene: &mut Scene<'_>) -> Vec<Fault> {
        (self.0.draw)(scene)
    }
}

impl std::fmt::Debug for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::fmt::Display for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        self.name == other.name
    }
}

impl Eq for Entry {}

impl FromStr for Family {
    type Err = String;

    fn from_str(text: &str) -> Result<Family, String> {
        Family::all().find(|family| family.name() == text).ok_or_else(|| {
            let known: Vec<&str> = Family::all().map(Family::name).collect();
            format!("there is no family of faults called `{text}`; there are {}", known.join(", "))
        })
    }
}

/// A slot, and everything that it takes to say what happens in it.
pub(super) struct Scene<'a> {
    pub(super) shape: &'a Shape,
    pub(super) slot: &'a Slot,
    /// The stream of this slot and family.
    pub(super) stream: Stream,
}

impl Scene<'_> {
    /// Who it happens to: the slot's host, or some of those that it fits.
    fn hosts(&mut self, fits: impl Fn(&HostShape) -> bool) -> Vec<String> {
        match self.slot.owner {
            Owner::Host(host) => vec![self.shape.hosts[host].name.clone()],
            Owner::Several => {
                // What starts later is not there to be harmed yet.
                let start = self.slot.start;
                let there = |host: &&HostShape| fits(host) && host.start <= start;
                let all: Vec<String> =
                    self.shape.hosts.iter().filter(there).map(|it| it.name.clone()).collect();
                if all.is_empty() { all } else { self.stream.some(&all) }
            }
        }
    }

    /// Some other hosts.
    fn others(&mut self, hosts: &[String]) -> Vec<String> {
        let names = self.shape.hosts.iter().map(|it| &it.name);
        let others: Vec<String> = names.filter(|it| !hosts.contains(it)).cloned().collect();
        if others.is_empty() { others } else { self.stream.some(&others) }
    }

    /// Something that begins with the slot.
    fn at_once(&self, what: FaultKind) -> Vec<Fault> {
        vec![Fault { at: self.slot.start, what }]
    }

    fn length(&self) -> Duration {
        self.slot.length()
    }
}

/// Hosts by their names.
fn named(hosts: Vec<String>) -> Selector {
    Selector::new(hosts)
}
