//! Disks that fail, fill up, lie and rot, as SQLite and the small values on them meet it.

use std::io::ErrorKind;
use std::time::Duration;

use relay_node::env::database_error;
use relay_sim::engine::event::{DiskFaults, Options, ProcessKind};

use crate::databases::{insert, rows, with_table};
use crate::sites::{World, simulate, simulated, succeed};

fn set(world: &World, change: impl FnOnce(&mut DiskFaults)) {
    let mut faults = DiskFaults::default();
    change(&mut faults);
    world.sim.set_disk_faults(world.right, faults);
}

fn cycle_power(world: &mut World) {
    world.sim.power_cut(world.right);
    world.sim.power_on(world.right);
    world.restart_right();
}

#[test]
fn a_full_disk_refuses_what_needs_room_and_keeps_what_it_has() {
    simulated(|mut world| async move {
        let disk = world.right_env().storage;
        disk.write("value", b"old").unwrap();
        let database = with_table(&*disk);
        insert(&database, "before");
        set(&world, |faults| faults.full = 1.0);
        let refusal = disk.write("value", b"new").unwrap_err();
        assert_eq!(refusal.kind(), ErrorKind::StorageFull, "{refusal}");
        let refusal = database.execute("INSERT INTO t VALUES ('no room')", ()).unwrap_err();
        assert_eq!(refusal.sqlite_error_code(), Some(rusqlite::ErrorCode::DiskFull), "{refusal}");
        assert_eq!(database_error(&refusal).kind(), ErrorKind::StorageFull);
        assert_eq!(rows(&database), ["before"], "what is there can be read");
        assert_eq!(disk.read("value").unwrap().unwrap(), b"old");
        set(&world, |_| {});
        insert(&database, "after");
        drop(database);
        cycle_power(&mut world);
        assert_eq!(rows(&with_table(&*world.right_env().storage)), ["before", "after"]);
    });
}

#[test]
fn a_disk_that_fails_says_so_and_works_again_afterwards() {
    simulated(|mut world| async move {
        let disk = world.right_env().storage;
        disk.write("value", b"old").unwrap();
        let database = with_table(&*disk);
        insert(&database, "before");
        set(&world, |faults| faults.io_error = 1.0);
        for refusal in [disk.write("value", b"new").unwrap_err(), disk.read("value").unwrap_err()] {
            assert_eq!(refusal.raw_os_error(), Some(5), "EIO: {refusal}");
        }
        let refusal = database.execute("INSERT INTO t VALUES ('lost')", ()).unwrap_err();
        assert_eq!(refusal.sqlite_error_code(), Some(rusqlite::ErrorCode::SystemIoFailure), "{refusal}");
        disk.open_db("other.db").unwrap_err();
        drop(database);
        set(&world, |_| {});
        assert_eq!(rows(&with_table(&*disk)), ["before"]);
        cycle_power(&mut world);
        assert_eq!(rows(&with_table(&*world.right_env().storage)), ["before"]);
        assert_eq!(world.sim.stored(world.right, "value").unwrap(), b"old");
    });
}

#[test]
fn some_operations_fail_where_a_share_of_them_does() {
    let failed = |seed| {
        succeed(simulate(Options { seed, ..Options::default() }, |world| async move {
            set(&world, |faults| faults.io_error = 0.1);
            let disk = world.right_env().storage;
            (0..1_000).filter(|_| disk.write("value", b"x").is_err()).count()
        }))
    };
    assert!((60..140).contains(&failed(1)), "{}", failed(1));
    assert_eq!(failed(1), failed(1), "drawn from the seed");
    assert_ne!(failed(1), failed(2));
}

#[test]
fn a_lost_sync_is_noticed_when_the_power_goes_and_not_before() {
    simulated(|mut world| async move {
        let disk = world.right_env().storage;
        disk.write("value", b"old").unwrap();
        insert(&with_table(&*disk), "synced");
        set(&world, |faults| faults.lost_sync = 1.0);
        disk.write("value", b"new").unwrap();
        disk.write("fresh", b"1").unwrap();
        insert(&with_table(&*disk), "not synced");
        world.sim.kill(world.right_process);
        world.restart_right();
        let disk = world.right_env().storage;
        assert_eq!(rows(&with_table(&*disk)), ["synced", "not synced"], "a kill takes nothing");
        assert_eq!(disk.read("value").unwrap().unwrap(), b"new");
        cycle_power(&mut world);
        assert_eq!(world.sim.stored(world.right, "value").unwrap(), b"old");
        assert_eq!(world.sim.stored(world.right, "fresh"), None);
        assert_eq!(rows(&with_table(&*world.right_env().storage)), ["synced"]);
    });
}

#[test]
fn a_rotten_bit_stays_wrong() {
    simulated(|world| async move {
        let disk = world.right_env().storage;
        disk.write("value", &[0; 64]).unwrap();
        set(&world, |faults| faults.bit_rot = 1.0);
        let rotten = disk.read("value").unwrap().unwrap();
        let wrong: u32 = rotten.iter().map(|byte| byte.count_ones()).sum();
        assert_eq!(wrong, 1, "one bit per read");
        set(&world, |_| {});
        assert_eq!(disk.read("value").unwrap().unwrap(), rotten);
        assert_eq!(world.sim.stored(world.right, "value").unwrap(), rotten);
    });
}

#[test]
fn a_database_that_rots_is_found_out_or_reads_as_it_was() {
    let mut found_out = 0;
    for seed in 0..30 {
        let is_damaged = succeed(simulate(Options { seed, ..Options::default() }, |world| async move {
            let disk = world.right_env().storage;
            let database = with_table(&*disk);
            (0..50).for_each(|row| insert(&database, &format!("{row} {}", "x".repeat(100))));
            drop(database);
            set(&world, |faults| faults.bit_rot = 0.2);
            let opened = disk.open_db("test.db");
            let check = |database: rusqlite::Connection| {
                database.query_row("PRAGMA integrity_check", (), |row| row.get::<_, String>(0))
            };
            !matches!(opened.map(check), Ok(Ok(verdict)) if verdict == "ok")
        }));
        found_out += u32::from(is_damaged);
    }
    assert!((5..30).contains(&found_out), "{found_out} of 30");
}

#[test]
fn the_programs_of_a_test_have_a_sound_disk() {
    simulated(|world| async move {
        set(&world, |faults| *faults = DiskFaults { io_error: 1.0, full: 1.0, ..DiskFaults::default() });
        let (sender, done) = tokio::sync::oneshot::channel();
        world.sim.start(world.right, "operator", ProcessKind::Harness, |env| {
            Box::pin(async move {
                let _ = sender.send(env.storage.write("trusted_keys", b"").is_ok());
            })
        });
        assert!(done.await.unwrap());
    });
}

#[test]
fn what_is_synced_takes_time_for_those_who_wait_for_it() {
    simulated(|world| async move {
        let (env, sync) = (world.right_env(), Duration::from_millis(2));
        world.sim.set_sync_time(world.right, sync);
        let write = |name: &'static str| {
            let (env, disk) = (env.clone(), env.storage.clone());
            async move { env.blocking("write", move || disk.write(name, b"x")).await }
        };
        let (sender, took) = tokio::sync::oneshot::channel();
        let (sim, inner) = (world.sim.clone(), env.clone());
        let (one, two, reader) = (write("a"), write("b"), env.storage.clone());
        env.spawn("waiting", async move {
            let started = sim.now();
            let (first, second) = futures_util::future::join(async { (one.await, sim.now()) }, async {
                (two.await, sim.now())
            })
            .await;
            let read = inner.blocking("read", move || reader.read("a")).await;
            assert!(read.unwrap().unwrap().is_some() && first.0.is_ok() && second.0.is_ok());
            let mut ends = [first.1 - started, second.1 - started];
            ends.sort_unstable();
            let _ = sender.send((ends, sim.now() - started));
        });
        let (ends, in_all) = took.await.unwrap();
        assert_eq!(ends, [sync, sync * 2], "one after the other");
        assert_eq!(in_all, sync * 2, "reading takes no time");
    });
}

#[test]
fn who_waits_for_a_disk_may_be_killed() {
    simulated(|world| async move {
        world.sim.set_sync_time(world.right, Duration::from_millis(2));
        let (env, disk) = (world.right_env(), world.right_env().storage);
        let (sender, done) = tokio::sync::oneshot::channel::<()>();
        world.right_env().spawn("waiting", async move {
            let _ = env.blocking("write", move || disk.write("a", b"x")).await;
            let _ = sender.send(());
        });
        world.sim.sleep(Duration::from_millis(1)).await;
        world.sim.kill(world.right_process);
        done.await.expect_err("it never went on");
        assert_eq!(world.sim.disk_names(world.right), ["a"], "and what it wrote is there");
    });
}
