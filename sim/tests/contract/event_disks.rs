//! What a crash takes from a simulated disk, and what it leaves.

use relay_node::env::Env;
use relay_sim::engine::event::Options;
use relay_sim::trace::{Trace, first_divergence};

use crate::databases::{insert, rows, with_table};
use crate::sites::{World, simulate, simulated};

/// Leaves a database open in a task of the right host until that is killed.
async fn leave_open(world: &World, work: impl FnOnce(&rusqlite::Connection) + Send + 'static) {
    let env = world.right_env();
    world.right_env().spawn("holder", async move {
        let database = with_table(&*env.storage);
        work(&database);
        std::future::pending::<()>().await;
        drop(database);
    });
    world.sim.sleep(std::time::Duration::from_millis(1)).await;
}

fn rows_of(env: &Env) -> Vec<String> {
    rows(&env.storage.open_db("test.db").unwrap())
}

#[test]
fn a_commit_survives_a_kill_and_what_was_not_committed_does_not() {
    simulated(|mut world| async move {
        leave_open(&world, |database| {
            insert(database, "committed");
            database.execute_batch("BEGIN").unwrap();
            insert(database, "not committed");
        })
        .await;
        world.sim.kill(world.right_process);
        assert_eq!(
            world.sim.disk_names(world.right),
            ["test.db", "test.db-wal"],
            "a connection that dies with its process does not clean up"
        );
        world.restart_right();
        assert_eq!(rows_of(&world.right_env()), ["committed"]);
        assert_eq!(world.sim.disk_names(world.right), ["test.db"], "one that is closed does");
    });
}

#[test]
fn a_commit_survives_a_power_cut_and_what_was_not_committed_does_not() {
    simulated(|mut world| async move {
        leave_open(&world, |database| {
            insert(database, "committed");
            database.execute_batch("BEGIN").unwrap();
            insert(database, "not committed");
        })
        .await;
        world.sim.power_cut(world.right);
        world.sim.power_on(world.right);
        world.restart_right();
        assert_eq!(rows_of(&world.right_env()), ["committed"]);
    });
}

/// The mistake that the disk is there to find: an acknowledgement without a sync.
#[test]
fn what_was_not_synced_survives_a_kill_and_not_a_power_cut() {
    let without_sync = |kill: bool| {
        simulated(move |mut world| async move {
            leave_open(&world, |database| {
                insert(database, "synced");
                database.execute_batch("PRAGMA synchronous = OFF").unwrap();
                insert(database, "not synced");
            })
            .await;
            if kill {
                world.sim.kill(world.right_process);
            } else {
                world.sim.power_cut(world.right);
                world.sim.power_on(world.right);
            }
            world.restart_right();
            let expected: &[&str] = if kill { &["synced", "not synced"] } else { &["synced"] };
            assert_eq!(rows_of(&world.right_env()), expected);
        });
    };
    without_sync(true);
    without_sync(false);
}

#[test]
fn a_dead_process_cannot_use_its_database() {
    simulated(|world| async move {
        let database = with_table(&*world.right_env().storage);
        world.sim.kill(world.right_process);
        database.execute("INSERT INTO t VALUES ('late')", ()).unwrap_err();
        world.right_env().storage.open_db("test.db").unwrap_err();
    });
}

#[test]
fn a_database_survives_its_processes_and_not_a_wipe() {
    simulated(|mut world| async move {
        insert(&with_table(&*world.right_env().storage), "one");
        world.restart_right();
        assert_eq!(rows_of(&world.right_env()), ["one"]);
        world.sim.wipe(world.right);
        assert!(world.sim.disk_names(world.right).is_empty());
        assert!(rows(&with_table(&*world.right_env().storage)).is_empty());
    });
}

/// SQLite draws numbers from a generator of the whole program: they may reach its files, and nothing else.
#[test]
fn the_same_work_is_the_same_trace_whatever_sqlite_did_before() {
    let work = || -> Trace {
        let options = Options { record: true.into(), ..Options::default() };
        let end = simulate(options, |mut world| async move {
            for round in 0..5 {
                leave_open(&world, move |database| {
                    for row in 0..100 {
                        insert(database, &format!("{round} {row} {}", "x".repeat(300)));
                    }
                })
                .await;
                world.sim.power_cut(world.right);
                world.sim.power_on(world.right);
                world.restart_right();
            }
            assert_eq!(rows_of(&world.right_env()).len(), 500);
        });
        assert!(end.panics.is_empty(), "{:?}", end.panics);
        end.trace
    };
    let first = work();
    let elsewhere = rusqlite::Connection::open_in_memory().unwrap();
    elsewhere.query_row("SELECT hex(randomblob(77))", (), |row| row.get::<_, String>(0)).unwrap();
    let second = work();
    if let Some(divergence) = first_divergence(&first, &second) {
        panic!("{divergence}");
    }
    assert_eq!(first.hash(), second.hash());
}
