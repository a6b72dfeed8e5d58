//! From some time on chance takes another turn: nothing before it changes, and every stream after it does.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::Rng as _;
use relay_node::env::{Env, Rng};
use relay_sim::engine::event::{DiskFaults, HostId, HostSpec, Link, Options, ProcessKind, Sim, run};

/// When chance takes another turn.
const TURN: Duration = Duration::from_secs(10);
const END: Duration = Duration::from_secs(30);
/// Between two draws of each stream.
const PACE: Duration = Duration::from_millis(200);

/// By stream: what was drawn, and when.
type Drawn = BTreeMap<&'static str, Vec<(Duration, u64)>>;

/// Draws from every stream that there is, all of them made at the start of the run.
fn draw(reseed: Option<(Duration, u64)>) -> (Drawn, u64) {
    let drawn: Arc<Mutex<Drawn>> = Arc::default();
    let for_run = Arc::clone(&drawn);
    let end = run(Options { seed: 7, reseed, ..Options::default() }, move |sim| {
        Box::pin(async move {
            let (latency, jitter) = (Duration::from_millis(5), Duration::from_millis(20));
            sim.set_uniform_links(Link { latency, jitter, ..Link::default() });
            let hosts: Vec<HostId> = (0..2_u8).map(|at| host(&sim, at)).collect();
            sim.set_disk_faults(hosts[0], DiskFaults { io_error: 0.5, ..DiskFaults::default() });
            let note = move |sim: &Sim, stream, number| {
                for_run.lock().unwrap().entry(stream).or_default().push((sim.now(), number));
            };
            let (of_node, to) = (sim.clone(), note.clone());
            sim.start(hosts[0], "node", ProcessKind::Node, |env| {
                Box::pin(async move { node(of_node, env, to).await })
            });
            let (of_peer, to) = (sim.clone(), note.clone());
            sim.start(hosts[1], "peer", ProcessKind::Harness, |env| {
                Box::pin(async move { listen(of_peer, env, to).await })
            });
            let streams = [sim.generator([5; 32], 1), sim.generator([5; 32], 2)];
            for (name, rng) in ["load, one", "load, other"].into_iter().zip(streams) {
                sim.spawn("load", load(sim.clone(), rng, name, note.clone()));
            }
            sim.sleep_until(END).await;
        })
    });
    assert!(end.outcome.is_ok(), "{:?}", end.outcome);
    let drawn = std::mem::take(&mut *drawn.lock().unwrap());
    (drawn, end.trace.hash())
}

fn host(sim: &Sim, at: u8) -> HostId {
    sim.add_host(HostSpec { name: format!("host-{at}"), address: [10, 0, 0, at + 1].into(), nat: None })
}

async fn load(sim: Sim, mut rng: Rng, name: &'static str, note: impl Fn(&Sim, &'static str, u64)) {
    loop {
        note(&sim, name, rng.next_u64());
        sim.sleep(PACE).await;
    }
}

/// A generator that a node has had from the start, one that is made each time, its disk, and what it sends.
async fn node(sim: Sim, env: Env, note: impl Fn(&Sim, &'static str, u64)) {
    let mut kept = env.rng("kept");
    let socket = env.network.bind_datagram(SocketAddr::from(([10, 0, 0, 1], 53))).await.unwrap();
    loop {
        note(&sim, "node, kept", kept.next_u64());
        note(&sim, "node, made anew", env.rng("anew").next_u64());
        let written = (0..64).filter(|_| env.storage.write("value", b"x").is_ok());
        note(&sim, "disk", written.fold(0, |bits, _| bits + 1));
        socket.send_to(b"tick", SocketAddr::from(([10, 0, 0, 2], 53))).await.unwrap();
        env.sleep(PACE).await;
    }
}

/// When datagrams come is what the link drew.
async fn listen(sim: Sim, env: Env, note: impl Fn(&Sim, &'static str, u64)) {
    let socket = env.network.bind_datagram(SocketAddr::from(([10, 0, 0, 2], 53))).await.unwrap();
    while socket.recv_from(&mut [0; 16]).await.is_ok() {
        note(&sim, "link", sim.now().subsec_nanos().into());
    }
}

#[test]
fn another_turn_changes_nothing_before_it_and_every_stream_after_it() {
    let (plain, hash) = draw(None);
    let (one, hash_of_one) = draw(Some((TURN, 2)));
    let (other, _) = draw(Some((TURN, 3)));
    assert_eq!(
        (&one, hash_of_one),
        (&draw(Some((TURN, 2))).0, draw(Some((TURN, 2))).1),
        "it can be repeated"
    );
    assert_ne!(hash, hash_of_one);
    assert_eq!(plain.len(), 6, "{:?}", plain.keys());
    // What was under way when it came had been drawn before.
    let settled = TURN + Duration::from_millis(300);
    for (stream, numbers) in &plain {
        let part = |drawn: &Drawn, after: bool| -> Vec<(Duration, u64)> {
            let is_in = |at: Duration| if after { at > settled } else { at < TURN };
            drawn[stream].iter().copied().filter(|(at, _)| is_in(*at)).collect()
        };
        assert!(part(&plain, false).len() > 40, "{stream}: {}", numbers.len());
        assert_eq!(part(&plain, false), part(&one, false), "{stream}, before");
        let after = [&plain, &one, &other].map(|drawn| part(drawn, true));
        assert!(after[0].len() > 90, "{stream}");
        for (a, b) in [(0, 1), (0, 2), (1, 2)] {
            let same = after[a].iter().zip(&after[b]).filter(|(x, y)| x.1 == y.1).count();
            // How many of 64 writes fail is the same now and then.
            let may_be_same = if *stream == "disk" { after[a].len() / 2 } else { 0 };
            assert!(same <= may_be_same, "{stream}: {same} of {} are the same", after[a].len());
        }
    }
}
