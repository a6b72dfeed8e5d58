//! Latency, jitter, loss, bandwidth, windows and backlogs.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use relay_sim::engine::event::{Link, Observation, Options};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::sites::{World, simulate, simulated, succeed};

const LATENCY: Duration = Duration::from_millis(10);

#[test]
fn a_dial_takes_a_round_trip_and_a_segment_half_of_one() {
    simulated(|world| async move {
        let (mut left, mut right) = {
            let mut listener = world.right_env().network.listen(world.right_at(80)).await.unwrap();
            let left = world.left_env().network.dial(world.right_at(80)).await.unwrap();
            assert_eq!(world.sim.now(), 2 * LATENCY);
            (left, listener.accept().await.unwrap().0)
        };
        let sent = world.sim.now();
        left.write_all(b"x").await.unwrap();
        right.read_exact(&mut [0; 1]).await.unwrap();
        assert_eq!(world.sim.now() - sent, LATENCY);
        let started = world.sim.now();
        let error = world.left_env().network.dial(world.right_at(81)).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert_eq!(world.sim.now() - started, 2 * LATENCY);
        let seen = world.sim.take_observations();
        let accepted = |seen: &Observation| match seen {
            Observation::Accepted { host, from_host, port, .. } => {
                (*host, *from_host, *port) == (world.right, world.left, 80)
            }
            _ => false,
        };
        assert_eq!(seen.iter().filter(|seen| accepted(seen)).count(), 1, "{seen:?}");
        assert!(world.sim.take_observations().is_empty(), "each is given once");
    });
}

#[test]
fn the_loopback_is_near_and_knows_no_partition() {
    simulated(|world| async move {
        world.part();
        for at in ["127.0.0.1:80", "10.0.0.2:81"] {
            let at: SocketAddr = at.parse().unwrap();
            let _listener = world.right_env().network.listen(at).await.unwrap();
            let started = world.sim.now();
            world.right_env().network.dial(at).await.unwrap();
            assert_eq!(world.sim.now() - started, Duration::from_micros(40));
        }
    });
}

#[test]
fn a_listener_on_the_loopback_is_for_its_own_host() {
    simulated(|world| async move {
        let local = "127.0.0.1:80".parse().unwrap();
        let _listener = world.right_env().network.listen(local).await.unwrap();
        let error = world.left_env().network.dial(world.right_at(80)).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let foreign = "10.0.0.1:80".parse().unwrap();
        let error = world.right_env().network.listen(foreign).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
    });
}

#[test]
fn hosts_are_found_by_name_and_unknown_addresses_do_not_answer() {
    simulated(|world| async move {
        let network = world.left_env().network;
        assert_eq!(network.resolve("right", 80).await.unwrap(), [world.right_at(80)]);
        assert_eq!(network.resolve("nowhere", 80).await.unwrap_err().kind(), ErrorKind::NotFound);
        let nobody = "10.9.9.9:80".parse().unwrap();
        assert_eq!(network.dial(nobody).await.err().unwrap().kind(), ErrorKind::TimedOut);
    });
}

/// Sends `count` numbered lines a millisecond apart, and returns when each arrived.
async fn arrivals(world: &World, port: u16, count: u32) -> Vec<Duration> {
    let (mut left, mut right) = world.connect(port).await;
    let env = world.left_env();
    world.left_env().spawn("sender", async move {
        for number in 0..count {
            left.write_all(&number.to_be_bytes()).await.unwrap();
            env.sleep(Duration::from_millis(1)).await;
        }
    });
    let mut times = Vec::new();
    for number in 0..count {
        assert_eq!(right.read_u32().await.unwrap(), number, "in order and without loss");
        times.push(world.sim.now());
    }
    times
}

#[test]
fn jitter_neither_reorders_nor_hurries_a_stream() {
    simulated(|world| async move {
        let link = Link { latency: LATENCY, jitter: 5 * LATENCY, ..Link::default() };
        world.sim.set_uniform_links(link);
        let times = arrivals(&world, 80, 200).await;
        assert!(times.is_sorted());
        assert!(times[199] - times[0] >= Duration::from_millis(199) - 5 * LATENCY);
    });
}

#[test]
fn loss_delays_a_stream_and_takes_nothing_from_it() {
    simulated(|world| async move {
        let (_first, _second) = world.connect(79).await;
        let quick = arrivals(&world, 80, 100).await;
        world.sim.set_uniform_links(Link { latency: LATENCY, loss: 0.3, ..Link::default() });
        let slow = arrivals(&world, 81, 100).await;
        let took = |times: &[Duration]| times[99] - times[0];
        assert!(took(&slow) >= took(&quick) + Duration::from_millis(150), "{:?}", took(&slow));
    });
}

#[test]
fn a_link_that_loses_everything_ends_in_a_reset_after_fifteen_minutes() {
    simulated(|world| async move {
        let (mut left, _right) = world.connect(80).await;
        world.sim.set_uniform_links(Link { loss: 1.0, ..Link::default() });
        left.write_all(b"never").await.unwrap();
        let sent = world.sim.now();
        assert_eq!(left.read(&mut [0; 8]).await.unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(world.sim.now() - sent, Duration::from_secs(15 * 60));
    });
}

#[test]
fn a_link_that_gets_better_lets_through_what_it_held() {
    simulated(|world| async move {
        let (mut left, mut right) = world.connect(80).await;
        world.sim.set_uniform_links(Link { loss: 1.0, ..Link::default() });
        left.write_all(b"patience").await.unwrap();
        world.sim.sleep(Duration::from_secs(60)).await;
        world.sim.set_uniform_links(Link::default());
        right.read_exact(&mut [0; 8]).await.unwrap();
    });
}

/// Random writes, pauses, links and one-way cuts for a while, then an end in order.
async fn rough_ride(world: World) {
    const ROUNDS: u64 = 40;
    let (mut left, mut right) = world.connect(80).await;
    let mut rng = world.left_env().rng("rough ride");
    let env = world.right_env();
    let (done, received) = tokio::sync::oneshot::channel();
    world.right_env().spawn("reader", async move {
        let mut got = Vec::new();
        let mut buffer = vec![0; 10_000];
        loop {
            let count = right.read(&mut buffer).await.unwrap();
            if count == 0 {
                break done.send(got).unwrap();
            }
            got.extend_from_slice(&buffer[..count]);
            env.sleep(Duration::from_millis(1)).await;
        }
    });
    let mut sent = Vec::new();
    for _ in 0..ROUNDS {
        let jitter = Duration::from_millis(rng.random_range(0..30));
        let loss = rng.random_range(0.0..0.4);
        let bandwidth = rng.random_bool(0.5).then(|| rng.random_range(100_000..10_000_000));
        let queue = bandwidth.filter(|_| rng.random()).map(|_| rng.random_range(1..200_000));
        let corrupt = rng.random_range(0.0..0.2);
        let link = Link { latency: LATENCY, jitter, loss, bandwidth, queue, corrupt, ..Link::default() };
        world.sim.set_uniform_links(link);
        let (from, to) = if rng.random() { (world.left, world.right) } else { (world.right, world.left) };
        let cut = rng.random_bool(0.3).then(|| world.sim.cut(from.into(), to.into()));
        let mut part = vec![0; rng.random_range(1..100_000)];
        rng.fill(&mut part[..]);
        let sim = world.sim.clone();
        let pause = Duration::from_millis(rng.random_range(1..3000));
        sim.clone().spawn("healer", async move {
            sim.sleep(pause).await;
            cut.into_iter().for_each(|cut| sim.heal(cut));
        });
        left.write_all(&part).await.unwrap();
        sent.extend(part);
        world.sim.sleep(Duration::from_millis(rng.random_range(0..2000))).await;
    }
    drop(left);
    let got = received.await.unwrap();
    assert!(got == sent, "{} bytes of {} arrived as they were sent", got.len(), sent.len());
}

#[test]
fn whatever_happens_on_the_way_a_stream_keeps_its_bytes_and_their_order() {
    for seed in 0..20 {
        succeed(simulate(Options { seed, ..Options::default() }, rough_ride));
    }
}

#[test]
fn bandwidth_is_what_the_link_says() {
    simulated(|world| async move {
        let link = Link { latency: LATENCY, bandwidth: Some(1_000_000), ..Link::default() };
        let left = world.left;
        world.sim.set_links(Arc::new(move |from, _| if from == left { link } else { Link::default() }));
        let (mut left, mut right) = world.connect(80).await;
        let started = world.sim.now();
        world.left_env().spawn("sender", async move { left.write_all(&vec![7; 200_000]).await.unwrap() });
        let mut got = vec![0; 200_000];
        right.read_exact(&mut got).await.unwrap();
        assert_eq!(world.sim.now() - started, LATENCY + Duration::from_millis(200));
    });
}

#[test]
fn a_blocked_writer_goes_on_one_latency_after_its_reader_read() {
    simulated(|world| async move {
        let (mut left, mut right) = world.connect(80).await;
        let chunk = vec![1; 64 * 1024];
        let mut written = 0;
        while let Some(result) = world.left_env().deadline(LATENCY, left.write(&chunk)).await {
            written += result.unwrap();
        }
        assert_eq!(written, 256 * 1024);
        world.sim.sleep(10 * LATENCY).await;
        let read_at = world.sim.now();
        right.read_exact(&mut vec![0; 128 * 1024]).await.unwrap();
        left.write_all(b"on").await.unwrap();
        assert_eq!(world.sim.now() - read_at, LATENCY);
    });
}

#[test]
fn a_full_backlog_makes_diallers_try_again() {
    const BACKLOG: usize = 128;
    simulated(|world| async move {
        let mut listener = world.right_env().network.listen(world.right_at(80)).await.unwrap();
        let mut streams = Vec::new();
        for _ in 0..BACKLOG {
            streams.push(world.left_env().network.dial(world.right_at(80)).await.unwrap());
        }
        world.sim.sleep(LATENCY).await;
        let dial = world.left_env().network.clone();
        let at = world.right_at(80);
        let late = world.left_env().deadline(Duration::from_millis(500), dial.dial(at)).await;
        assert!(late.is_none(), "the queue is full, and nobody is refused");
        listener.accept().await.unwrap();
        dial.dial(at).await.unwrap();
    });
}

#[test]
fn datagrams_get_lost_and_out_of_order() {
    const COUNT: u32 = 500;
    simulated(|world| async move {
        let link = Link { latency: LATENCY, jitter: LATENCY, loss: 0.2, ..Link::default() };
        world.sim.set_uniform_links(link);
        let left = world.left_env().network.bind_datagram("0.0.0.0:0".parse().unwrap()).await.unwrap();
        let right = world.right_env().network.bind_datagram(world.right_at(53)).await.unwrap();
        let mut got = Vec::new();
        for number in 0..COUNT {
            left.send_to(&number.to_be_bytes(), right.local_addr()).await.unwrap();
            world.sim.sleep(Duration::from_millis(1)).await;
        }
        let mut buffer = [0; 4];
        while let Some(received) = world.right_env().deadline(LATENCY * 3, right.recv_from(&mut buffer)).await
        {
            received.unwrap();
            got.push(u32::from_be_bytes(buffer));
        }
        assert!((350..450).contains(&got.len()), "{} of {COUNT} arrived", got.len());
        assert!(!got.is_sorted(), "10 ms of jitter on datagrams 1 ms apart");
    });
}

/// How 1,000 numbered datagrams, 5 ms apart, arrive over this link.
fn datagrams(link: Link) -> Vec<Vec<u8>> {
    succeed(simulate(Options::default(), move |world| async move {
        world.sim.set_uniform_links(link);
        let left = world.left_env().network.bind_datagram("0.0.0.0:0".parse().unwrap()).await.unwrap();
        let right = world.right_env().network.bind_datagram(world.right_at(53)).await.unwrap();
        let sim = world.sim.clone();
        let to = right.local_addr();
        world.left_env().spawn("sender", async move {
            for number in 0..1000_u32 {
                left.send_to(&number.to_be_bytes(), to).await.unwrap();
                sim.sleep(Duration::from_millis(5)).await;
            }
        });
        let mut got = Vec::new();
        let mut buffer = [0; 16];
        while let Some(received) =
            world.right_env().deadline(Duration::from_secs(1), right.recv_from(&mut buffer)).await
        {
            got.push(buffer[..received.unwrap().0].to_vec());
        }
        got
    }))
}

#[test]
fn datagrams_are_doubled() {
    let got = datagrams(Link { latency: LATENCY, duplicate: 0.1, ..Link::default() });
    assert!((1060..1140).contains(&got.len()), "{}", got.len());
    let mut once = got.clone();
    once.dedup();
    assert_eq!(once.len(), 1000, "each arrives");
}

#[test]
fn datagrams_are_overtaken() {
    let got = datagrams(Link { latency: LATENCY, reorder: 0.1, ..Link::default() });
    assert_eq!(got.len(), 1000);
    let late = got.windows(2).filter(|pair| pair[0] > pair[1]).count();
    assert!((60..140).contains(&late), "{late} came after a later one");
    let mut sorted = got;
    sorted.sort();
    sorted.dedup();
    assert_eq!(sorted.len(), 1000, "none is lost, none comes twice");
}

#[test]
fn in_some_datagrams_one_bit_is_wrong() {
    let got = datagrams(Link { latency: LATENCY, corrupt: 0.1, ..Link::default() });
    assert_eq!(got.len(), 1000);
    let number = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().unwrap());
    let flipped = |(sent, got): (u32, &Vec<u8>)| (sent ^ number(got)).count_ones();
    let wrong: Vec<u32> = (0..).zip(&got).map(flipped).filter(|bits| *bits > 0).collect();
    assert!((60..140).contains(&wrong.len()), "{}", wrong.len());
    assert!(wrong.iter().all(|bits| *bits == 1));
}

#[test]
fn what_is_corrupted_in_a_stream_is_sent_again() {
    simulated(|world| async move {
        let (mut left, mut right) = world.connect(80).await;
        world.sim.set_uniform_links(Link { latency: LATENCY, corrupt: 0.5, ..Link::default() });
        let started = world.sim.now();
        for number in 0..100_u8 {
            left.write_all(&[number]).await.unwrap();
            let mut got = [0];
            right.read_exact(&mut got).await.unwrap();
            assert_eq!(got, [number]);
        }
        assert!(world.sim.now() - started > Duration::from_secs(10), "half of them cost 200 ms or more");
    });
}

#[test]
fn a_socket_that_nobody_reads_drops_and_a_cut_drops_all() {
    simulated(|world| async move {
        let left = world.left_env().network.bind_datagram("0.0.0.0:0".parse().unwrap()).await.unwrap();
        let right = world.right_env().network.bind_datagram(world.right_at(53)).await.unwrap();
        for _ in 0..1000 {
            left.send_to(&[0; 1000], right.local_addr()).await.unwrap();
        }
        world.sim.sleep(LATENCY * 2).await;
        let cut = world.sim.cut(world.left.into(), world.right.into());
        left.send_to(b"lost", right.local_addr()).await.unwrap();
        world.sim.sleep(LATENCY * 2).await;
        world.sim.heal(cut);
        let mut count = 0;
        let mut buffer = [0; 1000];
        while let Some(got) = world.right_env().deadline(LATENCY * 2, right.recv_from(&mut buffer)).await {
            assert_eq!(got.unwrap().0, 1000);
            count += 1;
        }
        assert_eq!(count, 212_992 / (1000 + 256));
    });
}
