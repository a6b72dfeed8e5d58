//! What happens to some leaves what others draw as it was.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use relay_node::env::Env;
use relay_sim::engine::event::{HostId, HostSet, HostSpec, Link, Options, ProcessKind, Sim, run};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// When something happens, or not.
const TROUBLE: Duration = Duration::from_secs(10);
const END: Duration = Duration::from_secs(30);

/// What arrived where, when: by receiving host.
type Seen = Arc<Mutex<Vec<(u32, Duration)>>>;

/// What may happen at [`TROUBLE`].
#[derive(Clone, Copy, PartialEq)]
enum Trouble {
    None,
    Cut,
    Kill,
}

/// Pairs of hosts send each other lines over a stream and datagrams, over links that jitter and lose. Hosts 2 and 3 may
/// get into trouble. Returns what arrived at each host.
fn pairs(trouble: Trouble) -> [Vec<Duration>; 4] {
    let seen: Seen = Arc::default();
    let for_run = Arc::clone(&seen);
    let end = run(Options { seed: 7, ..Options::default() }, move |sim| {
        Box::pin(async move {
            let (latency, jitter) = (Duration::from_millis(5), Duration::from_millis(20));
            sim.set_uniform_links(Link { latency, jitter, loss: 0.1, ..Link::default() });
            let hosts: Vec<HostId> = (0..4_u8).map(|at| host(&sim, at)).collect();
            let start = |at: u8| {
                let (sim_of, seen) = (sim.clone(), Arc::clone(&for_run));
                sim.start(hosts[usize::from(at)], "pair", ProcessKind::Node, move |env| {
                    Box::pin(async move { talk(sim_of, seen, env, at).await })
                })
            };
            let processes: Vec<_> = (0..4).map(start).collect();
            sim.sleep_until(TROUBLE).await;
            match trouble {
                Trouble::None => {}
                Trouble::Cut => drop(sim.cut(HostSet::from(hosts[2]), HostSet::all())),
                Trouble::Kill => sim.kill(processes[3]),
            }
            sim.sleep_until(END).await;
        })
    });
    assert!(end.outcome.is_ok(), "{:?}", end.outcome);
    let seen = seen.lock().unwrap();
    [0, 1, 2, 3].map(|host| seen.iter().filter(|(at, _)| *at == host).map(|(_, when)| *when).collect())
}

fn host(sim: &Sim, at: u8) -> HostId {
    sim.add_host(HostSpec { name: format!("host-{at}"), address: [10, 0, 0, at + 1].into(), nat: None })
}

/// 0 talks with 1, 2 with 3.
async fn talk(sim: Sim, seen: Seen, env: Env, me: u8) {
    let at = |host: u8, port: u16| SocketAddr::from(([10, 0, 0, host + 1], port));
    let other = me ^ 1;
    let arrived = move |seen: &Seen, sim: &Sim| seen.lock().unwrap().push((u32::from(me), sim.now()));
    let socket: Arc<dyn relay_node::env::DatagramSocket> =
        env.network.bind_datagram(at(me, 53)).await.unwrap().into();
    let (sender, pace) = (Arc::clone(&socket), env.clone());
    env.spawn("datagrams", async move {
        loop {
            sender.send_to(b"tick", at(other, 53)).await.unwrap();
            pace.sleep(Duration::from_millis(7)).await;
        }
    });
    let (for_datagrams, clock) = (Arc::clone(&seen), sim.clone());
    env.spawn("receiver", async move {
        while socket.recv_from(&mut [0; 16]).await.is_ok() {
            arrived(&for_datagrams, &clock);
        }
    });
    let mut stream = match me % 2 {
        0 => {
            let mut listener = env.network.listen(at(me, 80)).await.unwrap();
            listener.accept().await.unwrap().0
        }
        _ => loop {
            match env.network.dial(at(other, 80)).await {
                Ok(stream) => break stream,
                Err(_) => env.sleep(Duration::from_millis(10)).await,
            }
        },
    };
    while stream.write_all(b"x").await.is_ok() && stream.read_exact(&mut [0; 1]).await.is_ok() {
        arrived(&seen, &sim);
        // The same moments on all hosts: who goes first must not hang on who else is there.
        env.sleep_until_multiple(Duration::from_millis(50)).await;
    }
}

/// Waits for the next multiple of a time.
trait Multiples {
    async fn sleep_until_multiple(&self, of: Duration);
}

impl Multiples for Env {
    async fn sleep_until_multiple(&self, of: Duration) {
        let now = self.clock.now().as_nanos();
        let of = u64::try_from(of.as_nanos()).unwrap();
        self.sleep(Duration::from_nanos(of - now % of)).await;
    }
}

#[test]
fn far_away_trouble_moves_no_draw_between_others() {
    let calm = pairs(Trouble::None);
    for trouble in [Trouble::Cut, Trouble::Kill] {
        let troubled = pairs(trouble);
        for host in [0, 1] {
            assert!(calm[host].len() > 1_000, "{}", calm[host].len());
            assert_eq!(calm[host], troubled[host], "host {host} has nothing to do with it");
        }
        for host in [2, 3] {
            let before =
                |seen: &[Duration]| seen.iter().copied().filter(|at| *at < TROUBLE).collect::<Vec<_>>();
            assert_eq!(before(&calm[host]), before(&troubled[host]), "host {host}, before it began");
            assert_ne!(calm[host], troubled[host], "host {host} has felt it");
        }
    }
}
