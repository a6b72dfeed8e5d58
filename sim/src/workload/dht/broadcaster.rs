//! The older way to spread metadata, for a rollout to be measured against: on every change, and now and then without one, a
//! node sends all of its metadata to every peer that it knows, each time with about 2 KB of peers that it has heard of; and
//! it keeps all metadata of everybody in a database.
//!
//! It speaks lines of JSON over TCP. Homes are behind NAT: they dial a Main, and Mains pass on what is for others. One process
//! per host runs it as long as the host's relay runs and has not been upgraded; `member` is that process.

mod member;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::super::SharedRecord;
use crate::engine::ProcessKind;
use crate::metadata::{Given, Version};
use crate::scenario::HostIndex;
use crate::world::World;

/// How often it is looked who is to run, in seconds.
const LOOK_SECONDS: u64 = 1;

/// How often the size of databases is read, in looks.
const LOOKS_PER_SIZE: u64 = 30;

/// Its database on each host.
const DATABASE: &str = "broadcast.db";

/// The database of a relay.
const RELAY_DATABASE: &str = "relay.db";

/// What the members of the older kind have, for those who ask on their hosts. Cheap to clone.
#[derive(Clone, Default)]
pub struct Older(Arc<Mutex<BTreeMap<HostIndex, View>>>);

/// What one of them has.
#[derive(Default)]
struct View {
    own: Option<Version>,
    /// By peer id.
    others: BTreeMap<String, Version>,
    /// Bytes that it sent and received since it started.
    bytes: u64,
}

impl Older {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<HostIndex, View>> {
        self.0.lock().expect("nothing panics with what the older kind knows")
    }

    fn change<T>(&self, index: HostIndex, change: impl FnOnce(&mut View) -> T) -> T {
        change(self.lock().entry(index).or_default())
    }

    /// Whether it runs on a host.
    pub fn runs_on(&self, index: HostIndex) -> bool {
        self.lock().contains_key(&index)
    }
}

/// What the older kind on a host knows of a peer.
pub(super) fn given(world: &World, index: HostIndex, peer: &str) -> Option<Given> {
    let all = world.older.lock();
    let version = all.get(&index)?.others.get(peer)?.clone();
    Some(Given { version, cached: false, is_of_dht: false })
}

/// What the older kind on a host says of itself.
pub(super) fn own(world: &World, index: HostIndex) -> Option<Version> {
    world.older.lock().get(&index)?.own.clone()
}

/// Starts whoever sees to it that the right ones run.
pub fn start(world: &World, record: &SharedRecord) {
    let Some(plan) = world.scenario.topology.dht.broadcast.clone() else { return };
    for index in plan.hosts.hosts().iter().copied() {
        let (world, record, beside) = (world.clone(), Arc::clone(record), plan.beside);
        world.sim.clone().spawn("broadcasters", async move { supervise(world, record, index, beside).await });
    }
}

/// Starts and ends it on one host, and tells what it takes.
async fn supervise(world: World, record: SharedRecord, index: HostIndex, beside: Duration) {
    let (mut process, mut upgraded) = (None, None);
    for look in 0_u64.. {
        let now = world.sim.now();
        if world.is_in_dht(index) {
            upgraded.get_or_insert(now);
        }
        let is_over = upgraded.is_some_and(|since| now >= since + beside);
        let is_wanted = world.is_up(index) && !is_over;
        match process {
            None if is_wanted => {
                let (world_of_it, record) = (world.clone(), Arc::clone(&record));
                world.older.change(index, |view| *view = View::default());
                let main = move |env| member::run(world_of_it, record, index, env);
                process =
                    Some(world.sim.start(world.host(index), "broadcaster", ProcessKind::Harness, |env| {
                        Box::pin(main(env))
                    }));
            }
            Some(running) if !is_wanted => {
                world.sim.kill(running);
                world.older.lock().remove(&index);
                process = None;
            }
            _ => {}
        }
        tell(&world, &record, index, process.is_some(), look % LOOKS_PER_SIZE == 0);
        world.sim.sleep(Duration::from_secs(LOOK_SECONDS)).await;
    }
}

/// Tells what it takes on a host.
fn tell(world: &World, record: &SharedRecord, index: HostIndex, runs: bool, with_sizes: bool) {
    let now = world.sim.now();
    let mut record = record.lock().expect("nothing panics with the record");
    if runs {
        let bytes = world.older.change(index, |view| view.bytes);
        record.broadcasts_took(now, index, bytes);
    }
    if with_sizes {
        let size = |database: &str| size(world, index, database);
        record.dht.rollout.stores(now, index, size(DATABASE), size(RELAY_DATABASE));
    }
}

/// The bytes of a database on a host's disk, its journals included.
fn size(world: &World, index: HostIndex, database: &str) -> u64 {
    let host = world.host(index);
    let names = world.sim.disk_names(host);
    let files = names.iter().filter(|name| name.starts_with(database));
    files.filter_map(|name| world.sim.stored(host, name)).map(|content| content.len() as u64).sum()
}
