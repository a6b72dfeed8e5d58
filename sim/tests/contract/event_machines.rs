//! Machines that stand still, get slow, or have the wrong time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use relay_node::env::Env;
use relay_sim::engine::event::{Certificate, Cpu, HostId, Options, ProcessKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::sites::{World, simulate, simulated, succeed};

const SECOND: Duration = Duration::from_secs(1);
const SECOND_NANOS: i64 = 1_000_000_000;

fn seconds(count: u64) -> Duration {
    SECOND * u32::try_from(count).unwrap()
}

/// Writes down when it was polled, once a second, by its own clock.
fn ticking(world: &World, env: Env) -> Arc<Mutex<Vec<Duration>>> {
    let ticks = Arc::new(Mutex::new(Vec::new()));
    let (seen, sim) = (Arc::clone(&ticks), world.sim.clone());
    env.clone().spawn("ticking", async move {
        loop {
            env.sleep(SECOND).await;
            seen.lock().unwrap().push(sim.now());
        }
    });
    ticks
}

#[test]
fn a_paused_host_does_nothing_and_does_all_that_is_overdue_afterwards() {
    simulated(|world| async move {
        let ticks = ticking(&world, world.right_env());
        let others = ticking(&world, world.left_env());
        let (env, overdue) = (world.right_env(), Arc::new(Mutex::new(Vec::new())));
        for wait in [4, 5, 6, 20] {
            let (env, overdue, sim) = (env.clone(), Arc::clone(&overdue), world.sim.clone());
            world.right_env().spawn("waiting", async move {
                env.sleep(seconds(wait)).await;
                overdue.lock().unwrap().push((wait, sim.now()));
            });
        }
        world.sim.sleep(Duration::from_millis(2_500)).await;
        world.sim.pause(world.right);
        world.sim.sleep(seconds(8)).await;
        assert_eq!(ticks.lock().unwrap().len(), 2, "it stands still");
        assert_eq!(others.lock().unwrap().len(), 10, "and others do not");
        assert!(overdue.lock().unwrap().is_empty());
        let before = env.clock.now();
        world.sim.resume(world.right);
        world.sim.sleep(Duration::from_millis(1)).await;
        let resumed = Duration::from_millis(10_500);
        let mut ended = overdue.lock().unwrap().clone();
        ended.sort_unstable();
        assert_eq!(ended, [(4, resumed), (5, resumed), (6, resumed)], "all at once");
        assert!(before.as_nanos() >= 10 * 1_000_000_000, "its monotonic clock went on");
        world.sim.sleep(seconds(2)).await;
        assert_eq!(
            ticks.lock().unwrap()[2..],
            [resumed, resumed + SECOND, resumed + SECOND * 2],
            "as before"
        );
    });
}

#[test]
fn the_kernel_of_a_paused_host_takes_connections_and_bytes_up_to_the_window() {
    simulated(|world| async move {
        let served = Arc::new(Mutex::new(0));
        let (at, count) = (world.right_at(80), Arc::clone(&served));
        world.sim.start(world.right, "server", ProcessKind::Node, move |env| {
            Box::pin(async move {
                let mut listener = env.network.listen(at).await.unwrap();
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut buffer = vec![0; 65_536];
                while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                    *count.lock().unwrap() += read;
                }
            })
        });
        world.sim.sleep(SECOND).await;
        world.sim.pause(world.right);
        let mut stream = world.left_env().network.dial(at).await.expect("the kernel answers");
        let everything = vec![7; 600_000];
        let sending = async {
            stream.write_all(&everything).await.unwrap();
            stream.shutdown().await.unwrap();
        };
        let mut sending = std::pin::pin!(sending);
        let sent = world.left_env().deadline(seconds(30), &mut sending).await;
        assert!(sent.is_none(), "there is no room for all of it");
        assert_eq!(*served.lock().unwrap(), 0);
        world.sim.resume(world.right);
        sending.await;
        world.sim.sleep(SECOND).await;
        assert_eq!(*served.lock().unwrap(), 600_000, "nothing is lost");
    });
}

#[test]
fn the_tests_own_programs_and_new_nodes_go_on_beside_a_paused_one() {
    simulated(|world| async move {
        let paused = world.sim.start(world.right, "paused", ProcessKind::Node, |_| Box::pin(async {}));
        world.sim.pause(world.right);
        let harness = world.sim.start(world.right, "harness", ProcessKind::Harness, |env| {
            Box::pin(async move { env.sleep(SECOND).await })
        });
        let node = world.sim.start(world.right, "node", ProcessKind::Node, |_| Box::pin(async {}));
        world.sim.sleep(seconds(2)).await;
        assert!(!world.sim.alive(harness) && !world.sim.alive(node) && world.sim.alive(paused));
        world.sim.resume(world.right);
        world.sim.sleep(SECOND).await;
        assert!(!world.sim.alive(paused), "it goes on, and ends");
    });
}

#[test]
fn who_is_killed_while_paused_never_goes_on() {
    simulated(|world| async move {
        let ticks = ticking(&world, world.right_env());
        world.sim.sleep(Duration::from_millis(1_500)).await;
        world.sim.pause(world.right);
        world.sim.sleep(seconds(3)).await;
        world.sim.kill(world.right_process);
        world.sim.resume(world.right);
        world.sim.sleep(seconds(3)).await;
        assert_eq!(ticks.lock().unwrap().len(), 1);
    });
}

/// Sends so many bytes to a server on the right host that answers each, and returns how long that takes.
async fn exchange(world: &World, stream: &mut relay_node::env::Stream, messages: usize) -> Duration {
    let started = world.sim.now();
    stream.write_all(&vec![7; messages]).await.unwrap();
    stream.read_exact(&mut vec![0; messages]).await.unwrap();
    world.sim.now() - started
}

#[test]
fn a_host_gets_slower_and_quick_again_while_it_works() {
    simulated(|world| async move {
        world.sim.count_messages(world.right);
        let at = world.right_at(80);
        world.sim.start(world.right, "server", ProcessKind::Node, move |env| {
            Box::pin(async move {
                let mut listener = env.network.listen(at).await.unwrap();
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut byte = [0];
                while stream.read_exact(&mut byte).await.is_ok() {
                    stream.write_all(&byte).await.unwrap();
                }
            })
        });
        world.sim.sleep(SECOND).await;
        let mut stream = world.left_env().network.dial(at).await.unwrap();
        let usual = exchange(&world, &mut stream, 100).await;
        assert!(usual < Duration::from_millis(25), "{usual:?}");
        world.sim.set_cpu(world.right, Cpu { per_message: Duration::from_millis(5), cores: 1 });
        let slow = exchange(&world, &mut stream, 100).await;
        assert!(slow >= Duration::from_millis(500) && slow < Duration::from_millis(600), "{slow:?}");
        stream.write_all(&[7; 200]).await.unwrap();
        world.sim.sleep(Duration::from_millis(100)).await;
        world.sim.set_cpu(world.right, Cpu { per_message: Duration::ZERO, cores: 1 });
        let started = world.sim.now();
        stream.read_exact(&mut [0; 200]).await.unwrap();
        let rest = world.sim.now() - started;
        assert!(rest < Duration::from_millis(50), "what waited is done at once: {rest:?}");
        assert_eq!(exchange(&world, &mut stream, 100).await, usual);
    });
}

#[test]
fn wall_clocks_are_each_hosts_own_and_jump_both_ways() {
    simulated(|world| async move {
        let (left, right) = (world.left_env(), world.right_env());
        let ahead = || right.clock.unix().0.as_nanos() as i64 - left.clock.unix().0.as_nanos() as i64;
        assert_eq!(ahead(), 0);
        let before = right.clock.now();
        world.sim.jump_clock(world.right, -120 * SECOND_NANOS);
        assert_eq!(ahead(), -120 * SECOND_NANOS);
        world.sim.jump_clock(world.right, 150 * SECOND_NANOS);
        assert_eq!(ahead(), 30 * SECOND_NANOS);
        assert_eq!(right.clock.now(), before, "the monotonic clock does not jump");
        world.sim.sleep(seconds(5)).await;
        assert_eq!(ahead(), 30 * SECOND_NANOS);
        world.sim.set_wall_clock(world.right, 0);
        assert_eq!(ahead(), 0);
        world.sim.jump_clock(world.right, i64::MIN);
        assert_eq!(right.clock.unix().0, Duration::ZERO, "not before 1970");
    });
}

#[test]
fn timers_go_by_the_clock_of_their_host() {
    simulated(|world| async move {
        world.sim.set_drift(world.right, 100_000);
        let slept = |env: Env, length: Duration| {
            let sim = world.sim.clone();
            async move {
                let started = sim.now();
                env.sleep(length).await;
                sim.now() - started
            }
        };
        assert_eq!(slept(world.left_env(), seconds(11)).await, seconds(11));
        assert_eq!(slept(world.right_env(), seconds(11)).await, seconds(10), "10 % fast");
        world.sim.set_drift(world.right, -500_000);
        assert_eq!(slept(world.right_env(), seconds(10)).await, seconds(20), "half as fast");
        world.sim.set_drift(world.right, 0);
        assert_eq!(slept(world.right_env(), seconds(10)).await, seconds(10));
    });
}

#[test]
fn timers_that_are_set_move_when_the_clock_is_changed() {
    simulated(|world| async move {
        let ended = Arc::new(Mutex::new(Vec::new()));
        for (host, env) in [("right", world.right_env()), ("left", world.left_env())] {
            for wait in [10, 100, 1_000_000_000] {
                let (env, ended, sim) = (env.clone(), Arc::clone(&ended), world.sim.clone());
                env.clone().spawn("waiting", async move {
                    env.sleep(seconds(wait)).await;
                    ended.lock().unwrap().push((host, wait, sim.now()));
                });
            }
        }
        // Five seconds are over by the host's clock, then it is half as fast, then half as fast again as a true one.
        world.sim.sleep(seconds(5)).await;
        world.sim.set_drift(world.right, -500_000);
        world.sim.sleep(seconds(20)).await;
        world.sim.set_drift(world.right, 500_000);
        world.sim.sleep(seconds(80)).await;
        let ended = ended.lock().unwrap().clone();
        assert_eq!(ended[..2], [("left", 10, seconds(10)), ("right", 10, seconds(15))]);
        // 100 = 5 + 20 / 2 + 1.5 · x: 56⅔ s later.
        let third = seconds(25) + Duration::from_nanos(56_666_666_667);
        assert_eq!(ended[2], ("right", 100, third));
        assert_eq!(ended[3], ("left", 100, seconds(100)));
        assert_eq!(ended.len(), 4);
    });
}

#[test]
fn a_monotonic_clock_never_goes_back_and_no_sleep_is_too_short_by_it() {
    let end = simulate(Options { seed: 7, ..Options::default() }, |world| async move {
        let env = world.right_env();
        let watch = env.clone();
        let turns = Arc::new(Mutex::new(0));
        let count = Arc::clone(&turns);
        env.spawn("watching", async move {
            let mut last = watch.clock.now();
            for turn in 1_u64.. {
                let due = last + Duration::from_nanos(turn * 7_919 % 1_000_003 * 1_000);
                watch.clock.sleep_until(due).await;
                let now = watch.clock.now();
                assert!(now >= due && now >= last);
                last = now;
                *count.lock().unwrap() += 1;
            }
        });
        for step in 0..200 {
            world.sim.set_drift(world.right, (step * 37_411) % 1_000_000 - 500_000);
            world.sim.sleep(Duration::from_micros(977 * (step as u64 + 1))).await;
        }
        let turns = *turns.lock().unwrap();
        assert!(turns > 20, "{turns}");
    });
    assert!(end.panics.is_empty(), "{:?}", end.panics);
    succeed(end);
}

/// Libraries read clocks past the seams.
#[test]
#[expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "what a library would do is under test"
)]
fn the_system_clocks_show_the_time_of_the_host_whose_task_runs() {
    simulated(|world| async move {
        world.sim.set_drift(world.right, 200_000);
        world.sim.jump_clock(world.right, 60 * SECOND_NANOS);
        let read = |env: Env| async move {
            let (sender, seen) = tokio::sync::oneshot::channel();
            let inner = env.clone();
            env.spawn("reading", async move {
                let started = std::time::Instant::now();
                inner.sleep(seconds(12)).await;
                let unix = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
                let _ = sender.send((started.elapsed(), unix, inner.clock.unix().0));
            });
            seen.await.unwrap()
        };
        for env in [world.right_env(), world.left_env()] {
            let (elapsed, system, seam) = read(env).await;
            assert_eq!((elapsed, system), (seconds(12), seam));
        }
    });
}

#[test]
fn a_certificate_is_judged_by_the_clock_of_whoever_looks_at_it() {
    simulated(|world| async move {
        let certificate =
            Certificate { names: vec!["right".into()], expires: Some(seconds(3_600)), trusted: true };
        world.sim.set_certificate(world.right, Some(certificate));
        let handshake = async |host: HostId| {
            let (left, right) = world.connect(443).await;
            let (client, server) = (world.sim.env(host, world.left_process), world.right_env());
            let server = async move { server.network.secure_server(right).await.map(drop) };
            let client = client.network.secure_client(left, "right");
            futures_util::future::join(client, server).await.0.is_ok()
        };
        assert!(handshake(world.left).await);
        world.sim.jump_clock(world.left, 7_200 * SECOND_NANOS);
        assert!(!handshake(world.left).await, "two hours ahead it has expired");
        world.sim.set_wall_clock(world.left, 0);
        assert!(handshake(world.left).await);
    });
}
