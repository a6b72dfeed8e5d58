//! What messages cost: work waits in line, timers are late, senders are held up, and nothing is lost.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use relay_node::env::{Env, Stream};
use relay_sim::engine::event::{Cpu, HostId, Options, ProcessKind, Sim};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::sites::{World, simulate, simulated, succeed};

const COST: Duration = Duration::from_millis(1);

/// Says that each message costs the right host a millisecond.
fn charge_right(world: &World, cores: u32) {
    world.sim.set_cpu(world.right, Cpu { per_message: COST, cores });
}

/// Answers each byte that comes, one by one: outside of WebSocket each read is a message.
async fn echo(mut stream: Stream) {
    let mut byte = [0];
    while stream.read_exact(&mut byte).await.is_ok() && stream.write_all(&byte).await.is_ok() {}
}

/// Starts a node that serves every connection to this port with [`echo`].
fn serve(world: &World, port: u16) -> relay_sim::engine::event::ProcessId {
    let at = world.right_at(port);
    world.sim.start(world.right, "server", ProcessKind::Node, move |env| {
        Box::pin(async move {
            let mut listener = env.network.listen(at).await.unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                env.spawn("echo", echo(stream));
            }
        })
    })
}

/// Sends so many messages over each of these connections at once, and returns when all are answered.
async fn exchange(world: &World, port: u16, connections: usize, messages: usize) -> Duration {
    let started = world.sim.now();
    let env = world.left_env();
    let one = || async {
        let mut stream = env.network.dial(world.right_at(port)).await.unwrap();
        stream.write_all(&vec![7; messages]).await.unwrap();
        stream.read_exact(&mut vec![0; messages]).await.unwrap();
    };
    futures_util::future::join_all((0..connections).map(|_| one())).await;
    world.sim.now() - started
}

#[test]
fn capacity_is_cores_over_cost_however_many_connections_share_it() {
    for (cores, connections) in [(1, 1), (1, 5), (4, 8)] {
        let end = simulate(Options::default(), move |world| async move {
            charge_right(&world, cores);
            serve(&world, 80);
            let took = exchange(&world, 80, connections, 1_000 / connections).await;
            let work = COST * 1_000 / cores;
            assert!(took >= work && took < work + COST * 100, "{cores} cores, {connections} lines: {took:?}");
        });
        succeed(end);
    }
}

#[test]
fn a_busy_host_is_late_for_its_timers_and_harness_and_other_hosts_are_not() {
    simulated(|world| async move {
        charge_right(&world, 1);
        serve(&world, 80);
        let woken = Arc::new(Mutex::new(Vec::new()));
        let sleeper = |sim: &Sim, host: HostId, kind: ProcessKind| {
            let woken = Arc::clone(&woken);
            sim.start(host, "sleeper", kind, move |env: Env| {
                Box::pin(async move {
                    let due = env.clock.now() + Duration::from_micros(100_500);
                    env.clock.sleep_until(due).await;
                    woken.lock().unwrap().push((env.clock.now() - due, kind));
                })
            });
        };
        sleeper(&world.sim, world.right, ProcessKind::Node);
        sleeper(&world.sim, world.right, ProcessKind::Harness);
        exchange(&world, 80, 1, 500).await;
        let late = woken.lock().unwrap().clone();
        let of = |kind| late.iter().find(|(_, it)| *it == kind).unwrap().0;
        assert_eq!(of(ProcessKind::Harness), Duration::ZERO, "the harness is not charged and does not wait");
        assert!(of(ProcessKind::Node) > Duration::ZERO, "the node's timer waits for a message to be done");
        assert!(of(ProcessKind::Node) <= COST * 2, "and has its turn after at most one other: {late:?}");
    });
}

#[test]
fn a_sender_is_held_up_by_a_receiver_that_is_too_slow() {
    simulated(|world| async move {
        charge_right(&world, 1);
        serve(&world, 80);
        let mut stream = world.left_env().network.dial(world.right_at(80)).await.unwrap();
        let started = world.sim.now();
        stream.write_all(&vec![7; 300_000]).await.unwrap();
        // 256 KiB are on their way at once: the rest has to wait until so much of it was read, a millisecond each.
        assert!(world.sim.now() - started > COST * 30_000, "{:?}", world.sim.now() - started);
    });
}

#[test]
fn who_dies_leaves_the_line_and_the_next_one_is_served() {
    simulated(|world| async move {
        charge_right(&world, 1);
        for _ in 0..3 {
            let server = serve(&world, 80);
            let busy = exchange(&world, 80, 20, 100);
            let cut_short = world.left_env().deadline(Duration::from_millis(200), busy).await;
            assert!(cut_short.is_none(), "2,000 messages take two seconds");
            world.sim.kill(server);
            assert!(!world.sim.alive(server));
        }
        serve(&world, 80);
        let took = exchange(&world, 80, 1, 10).await;
        assert!(took < Duration::from_millis(200), "{took:?}");
    });
}
