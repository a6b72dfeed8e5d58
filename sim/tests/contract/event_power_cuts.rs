//! The power may go at any operation on the disk: what was acknowledged is there afterwards, and nothing else is half
//! there. Tried at every operation in turn, through SQLite itself and through the node's own store.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use relay_node::config::NodeIdSource;
use relay_node::env::{Env, UnixTime};
use relay_node::federation::Policy;
use relay_node::store::{AddedPeer, Identity, MainSnapshot, RemovedPeer, Store, admin_token};
use relay_node::wire::{Announced, NodeId, NodeKind};
use relay_sim::engine::event::{DiskFaults, Options};
use rusqlite::Connection;

use crate::sites::{World, simulate, simulated, succeed};

/// Nobody needs so many operations for what is done here: the disk is not the one under test.
const OPERATIONS_MAX: u32 = 2_000;

const TORN: DiskFaults =
    DiskFaults { torn_write: 1.0, lost_sync: 0.0, full: 0.0, io_error: 0.0, bit_rot: 0.0 };
const LIES: DiskFaults = DiskFaults { lost_sync: 1.0, ..TORN };
const SOUND: DiskFaults = DiskFaults { torn_write: 0.0, ..TORN };

/// What the workload has got as far as it was told.
type Acknowledged = Arc<Mutex<usize>>;

/// Something that is done to a disk step by step, and what must be seen there after each step.
struct Workload {
    /// Does all steps, and counts those that went well.
    work: fn(Env, Acknowledged) -> relay_node::env::BoxFuture<'static, ()>,
    /// What is on the disk: an error where that cannot be used.
    look: fn(Env) -> relay_node::env::BoxFuture<'static, Result<String, String>>,
    /// How many steps there are.
    steps: usize,
}

/// Runs the workload once for each of its operations, with the power going at that one. How many operations there are; or
/// the first cut after which the disk holds what it must not.
fn at_every_operation(workload: &Workload, faults: DiskFaults, seed: u64) -> Result<u32, String> {
    let Workload { work, look, steps } = *workload;
    succeed(simulate(Options { seed, ..Options::default() }, move |mut world| async move {
        let states = states(&mut world, work, look).await;
        assert_eq!(states.len(), steps + 1);
        for operation in 1..OPERATIONS_MAX {
            world.sim.wipe(world.right);
            world.sim.set_disk_faults(world.right, faults);
            let cut = world.sim.power_cut_at_disk_operation(world.right, operation);
            let acknowledged = Acknowledged::default();
            let env = world.right_env();
            world.right_env().spawn("work", work(env, acknowledged.clone()));
            world.sim.sleep(Duration::from_millis(1)).await;
            if world.sim.is_powered(world.right) {
                assert_eq!(*acknowledged.lock().unwrap(), steps, "it was done without a power cut");
                return Ok(operation - 1);
            }
            cut.await.expect("who waits for it is told");
            assert!(!world.sim.alive(world.right_process));
            world.sim.power_on(world.right);
            world.sim.set_disk_faults(world.right, DiskFaults::default());
            world.restart_right();
            let known = *acknowledged.lock().unwrap();
            let seen = look(world.right_env()).await;
            let wrong =
                |what: &str| format!("power cut at operation {operation}, {known} steps done: {what}");
            let seen = seen.map_err(|error| wrong(&error))?;
            // The step under way may be there as a whole, or not at all.
            if seen != states[known] && states.get(known + 1) != Some(&seen) {
                return Err(wrong(&format!("found {seen}, expected {}", states[known])));
            }
        }
        panic!("the work takes too many operations");
    }))
}

/// What is seen after no step, after one, and so on.
async fn states(
    world: &mut World,
    work: fn(Env, Acknowledged) -> relay_node::env::BoxFuture<'static, ()>,
    look: fn(Env) -> relay_node::env::BoxFuture<'static, Result<String, String>>,
) -> Vec<String> {
    let mut states = Vec::new();
    let mut acknowledged = 0;
    for operation in 1..OPERATIONS_MAX {
        world.sim.wipe(world.right);
        let done = Acknowledged::default();
        let _cut = world.sim.power_cut_at_disk_operation(world.right, operation);
        let env = world.right_env();
        world.right_env().spawn("work", work(env, done.clone()));
        world.sim.sleep(Duration::from_millis(1)).await;
        let is_whole = world.sim.is_powered(world.right);
        world.sim.keep_power(world.right);
        world.sim.power_on(world.right);
        let now_done = *done.lock().unwrap();
        if states.is_empty() || now_done > acknowledged || is_whole {
            world.restart_right();
            let seen = look(world.right_env()).await.expect("a sound disk");
            if states.last() != Some(&seen) {
                states.push(seen);
            }
            acknowledged = now_done;
        } else {
            world.restart_right();
        }
        if is_whole {
            return states;
        }
    }
    panic!("the work takes too many operations");
}

/// A schema, transactions of several pages, and the checkpoint at the end.
const PLAIN: Workload = Workload { work: plain_work, look: plain_look, steps: 5 };

fn plain_work(env: Env, done: Acknowledged) -> relay_node::env::BoxFuture<'static, ()> {
    Box::pin(async move {
        let work = || -> Result<(), Box<dyn std::error::Error>> {
            let mut database = env.storage.open_db("test.db")?;
            database.execute_batch("CREATE TABLE t (x TEXT NOT NULL)")?;
            *done.lock().unwrap() += 1;
            for number in 0..4 {
                let change = database.transaction()?;
                for row in 0..5 {
                    let value = format!("{number} {row} {}", "x".repeat(700));
                    change.execute("INSERT INTO t VALUES (?1)", [value])?;
                }
                change.execute("DELETE FROM t WHERE x LIKE ?1", [format!("{} 1 %", number - 1)])?;
                change.commit()?;
                *done.lock().unwrap() += 1;
            }
            Ok(())
        };
        // What fails is not acknowledged.
        let _ = work();
    })
}

fn plain_look(env: Env) -> relay_node::env::BoxFuture<'static, Result<String, String>> {
    Box::pin(async move {
        let look = || -> Result<String, Box<dyn std::error::Error>> {
            let database = env.storage.open_db("test.db")?;
            let verdict: String = database.query_row("PRAGMA integrity_check", (), |row| row.get(0))?;
            if verdict != "ok" {
                return Err(verdict.into());
            }
            let tables: u32 =
                database.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))?;
            let rows = if tables == 0 { Vec::new() } else { short_rows(&database)? };
            Ok(format!("{tables} tables: {}", rows.join(", ")))
        };
        look().map_err(|error| error.to_string())
    })
}

fn short_rows(database: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut query = database.prepare("SELECT substr(x, 1, 3) FROM t ORDER BY rowid")?;
    query.query_map((), |row| row.get(0))?.collect()
}

/// All that a Main keeps.
const MAIN: Workload = Workload { work: main_work, look: main_look, steps: 10 };

/// The same of a Home, which closes its database after each operation.
const HOME: Workload = Workload { work: home_work, look: home_look, steps: 10 };

fn main_work(env: Env, done: Acknowledged) -> relay_node::env::BoxFuture<'static, ()> {
    Box::pin(store_work(env, NodeKind::Main, done))
}

fn home_work(env: Env, done: Acknowledged) -> relay_node::env::BoxFuture<'static, ()> {
    Box::pin(store_work(env, NodeKind::Home, done))
}

fn id(text: &str) -> NodeId {
    text.parse().unwrap()
}

fn at(seconds: u64) -> UnixTime {
    UnixTime(Duration::from_secs(seconds))
}

fn snapshot(services: &[&str]) -> Vec<MainSnapshot> {
    let announced = |name: &&str| Announced {
        name: (*name).into(),
        node_id: id("home-b"),
        node_type: NodeKind::Home,
        methods: vec!["get".into(); 40],
        balance: Some(Policy::Random),
    };
    vec![MainSnapshot {
        main: id("main-b"),
        expires_at: at(9_000_000_000),
        services: services.iter().map(announced).collect(),
    }]
}

async fn store_work(env: Env, kind: NodeKind, done: Acknowledged) {
    let acknowledge = || *done.lock().unwrap() += 1;
    let work = async || -> Result<(), Box<dyn std::error::Error>> {
        Identity::load_or_create(&env, kind, NodeIdSource::DataDir).await?;
        acknowledge();
        admin_token(&env).await?;
        acknowledge();
        let store = Store::open(&env, kind).await?;
        for node in ["alice", "bob"] {
            let new = (id(node), "ab".repeat(32), NodeKind::Home);
            store.pin(new, at(10), |_| false, |_, _| ()).await?;
            acknowledge();
        }
        let url = "ws://main-b:8080".parse()?;
        store.add_peer(AddedPeer { url, node: Some(id("main-b")), added_at: at(11) }, || ()).await?;
        acknowledge();
        store.replace_snapshot(|| snapshot(&["echo", "news", "shop"])).await?;
        acknowledge();
        store.forget_pin(id("alice"), |_| ()).await?;
        acknowledge();
        let removed = RemovedPeer { node: id("main-b"), removed_at: at(12) };
        store.remove_peer(removed, vec!["ws://main-b:8080".parse()?], || ()).await?;
        acknowledge();
        store.confirm_snapshot(vec![(id("main-b"), at(9_900_000_000))]).await?;
        acknowledge();
        store.replace_snapshot(|| snapshot(&["news"])).await?;
        acknowledge();
        Ok(())
    };
    // What fails is not acknowledged.
    let _ = work().await;
}

fn main_look(env: Env) -> relay_node::env::BoxFuture<'static, Result<String, String>> {
    Box::pin(store_look(env, NodeKind::Main))
}

fn home_look(env: Env) -> relay_node::env::BoxFuture<'static, Result<String, String>> {
    Box::pin(store_look(env, NodeKind::Home))
}

/// What a node finds at its next start. Its own key differs from run to run: what counts is whether it was there.
async fn store_look(env: Env, kind: NodeKind) -> Result<String, String> {
    let look = async || -> Result<String, Box<dyn std::error::Error>> {
        let known = |name: &str| env.storage.read(name).map(|found| found.is_some());
        let (node, token) = (known("node_id")?, known("admin_token")?);
        Identity::load_or_create(&env, kind, NodeIdSource::DataDir).await?;
        admin_token(&env).await?;
        let store = Store::open(&env, kind).await?;
        let (pins, peers) = (store.pins().await?, store.peers().await?);
        let pins: Vec<_> =
            pins.iter().map(|pin| (pin.node.as_str(), &pin.public_key, pin.first_seen)).collect();
        let snapshot = store.snapshot(at(1)).await?;
        Ok(format!("{node} {token} {pins:?} {peers:?} {snapshot:?}"))
    };
    look().await.map_err(|error| error.to_string())
}

#[test]
fn what_sqlite_acknowledged_survives_a_power_cut_at_every_operation() {
    let operations = at_every_operation(&PLAIN, SOUND, 1).unwrap();
    assert!(operations > 50, "{operations} operations are few");
    for seed in 1..=5 {
        assert_eq!(at_every_operation(&PLAIN, TORN, seed), Ok(operations), "with torn writes");
    }
}

#[test]
fn what_a_main_acknowledged_survives_a_power_cut_at_every_operation() {
    let operations = at_every_operation(&MAIN, SOUND, 1).unwrap();
    assert!(operations > 80, "{operations} operations are few");
    for seed in 1..=3 {
        assert_eq!(at_every_operation(&MAIN, TORN, seed), Ok(operations), "with torn writes");
    }
}

#[test]
fn what_a_home_acknowledged_survives_a_power_cut_at_every_operation() {
    let operations = at_every_operation(&HOME, SOUND, 1).unwrap();
    assert!(operations > 150, "{operations} operations are few");
    assert_eq!(at_every_operation(&HOME, TORN, 1), Ok(operations), "with torn writes");
}

/// The test above is not blind: on a disk that says that it has synced and has not, it fails.
#[test]
fn a_disk_that_loses_syncs_is_caught() {
    let lost = DiskFaults { torn_write: 0.0, ..LIES };
    for workload in [&PLAIN, &MAIN, &HOME] {
        for faults in [lost, LIES] {
            let caught = at_every_operation(workload, faults, 1).unwrap_err();
            assert!(caught.starts_with("power cut at operation "), "{caught}");
        }
    }
}

#[test]
fn the_power_goes_at_the_operation_that_was_said_and_everything_fails_from_there_on() {
    simulated(|mut world| async move {
        let cut = world.sim.power_cut_at_disk_operation(world.right, 3);
        let disk = world.right_env().storage;
        disk.write("a", b"1").unwrap();
        assert_eq!(disk.read("a").unwrap().unwrap(), b"1");
        disk.write("b", b"2").unwrap_err();
        disk.read("a").unwrap_err();
        disk.open_db("test.db").unwrap_err();
        cut.await.expect("it happened");
        assert!(!world.sim.is_powered(world.right) && !world.sim.alive(world.right_process));
        world.sim.power_on(world.right);
        world.restart_right();
        assert_eq!(world.sim.disk_names(world.right), ["a"]);
        assert_eq!(world.sim.stored(world.right, "a").unwrap(), b"1");
    });
}

#[test]
fn a_power_cut_that_is_taken_back_does_not_happen() {
    simulated(|world| async move {
        let cut = world.sim.power_cut_at_disk_operation(world.right, 2);
        world.right_env().storage.write("a", b"1").unwrap();
        world.sim.keep_power(world.right);
        world.right_env().storage.write("b", b"2").unwrap();
        cut.await.expect_err("nobody need wait any more");
        assert!(world.sim.is_powered(world.right));
    });
}
