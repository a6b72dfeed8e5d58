//! Streams that fail while their hosts run and packets get through: stalls, resets, translators that forget.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use relay_node::env::{Env, Stream};
use relay_sim::engine::event::{HostId, HostSet, Link, Observation, Options};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::sites::{World, behind_nat, idle, simulate, simulated, succeed};

const LATENCY: Duration = Duration::from_millis(10);
const MINUTE: Duration = Duration::from_secs(60);

fn both(world: &World) -> (HostSet, HostSet) {
    (world.left.into(), world.right.into())
}

#[test]
fn a_stalled_stream_gets_nothing_through_and_new_ones_are_well() {
    simulated(|world| async move {
        let (mut left, mut right) = world.connect(80).await;
        let (from, to) = both(&world);
        // The order of the sides does not matter.
        let stall = world.sim.stall_streams(&to, &from, 1.0);
        left.write_all(b"there").await.unwrap();
        right.write_all(b"back").await.unwrap();
        let mut bytes = [0; 8];
        assert!(world.right_env().deadline(MINUTE, right.read(&mut bytes)).await.is_none());
        assert!(world.left_env().deadline(MINUTE, left.read(&mut bytes)).await.is_none());
        let (mut new_left, mut new_right) = world.connect(81).await;
        let sent = world.sim.now();
        new_left.write_all(b"well").await.unwrap();
        new_right.read_exact(&mut bytes[..4]).await.unwrap();
        assert_eq!(world.sim.now() - sent, LATENCY);
        world.sim.end_stall(stall);
        right.read_exact(&mut bytes[..5]).await.unwrap();
        assert_eq!(&bytes[..5], b"there");
        left.read_exact(&mut bytes[..4]).await.unwrap();
        assert_eq!(&bytes[..4], b"back");
    });
}

#[test]
fn what_is_stalled_twice_goes_on_when_both_are_over() {
    simulated(|world| async move {
        let (mut left, mut right) = world.connect(80).await;
        let (from, to) = both(&world);
        let first = world.sim.stall_streams(&from, &to, 1.0);
        let second = world.sim.stall_streams(&from, &HostSet::all(), 1.0);
        left.write_all(b"x").await.unwrap();
        world.sim.end_stall(second);
        let mut byte = [0; 1];
        assert!(world.right_env().deadline(MINUTE, right.read(&mut byte)).await.is_none());
        world.sim.end_stall(first);
        right.read_exact(&mut byte).await.unwrap();
    });
}

#[test]
fn a_stall_outlives_changes_of_the_links_and_a_stream_may_end_in_it() {
    simulated(|world| async move {
        let (mut left, mut right) = world.connect(80).await;
        let (from, to) = both(&world);
        let stall = world.sim.stall_streams(&from, &to, 1.0);
        world.sim.set_uniform_links(Link { latency: 2 * LATENCY, ..Link::default() });
        left.write_all(b"last").await.unwrap();
        drop(left);
        let mut bytes = Vec::new();
        assert!(world.right_env().deadline(MINUTE, right.read_to_end(&mut bytes)).await.is_none());
        world.sim.end_stall(stall);
        right.read_to_end(&mut bytes).await.unwrap();
        assert_eq!(bytes, b"last");
        // There is nothing left to end: a stall that is over twice is over.
        world.sim.end_stall(stall);
    });
}

#[test]
fn a_reset_breaks_both_ends_and_only_between_those_that_it_names() {
    simulated(|world| async move {
        let (mut left, mut right) = world.connect(80).await;
        let local = "127.0.0.1:90".parse().unwrap();
        let mut listener = world.right_env().network.listen(local).await.unwrap();
        let mut inner = world.right_env().network.dial(local).await.unwrap();
        let (mut accepted, _) = listener.accept().await.unwrap();
        let (from, to) = both(&world);
        world.sim.reset_streams(&from, &from, 1.0);
        left.write_all(b"well").await.unwrap();
        right.read_exact(&mut [0; 4]).await.unwrap();
        world.sim.take_observations();
        world.sim.reset_streams(&HostSet::all(), &to, 1.0);
        assert_eq!(left.read(&mut [0; 1]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(right.read(&mut [0; 1]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(left.write(b"x").await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        let resets = |seen: &Observation| matches!(seen, Observation::Reset { .. });
        assert_eq!(world.sim.take_observations().into_iter().filter(resets).count(), 2);
        inner.write_all(b"loopback").await.unwrap();
        accepted.read_exact(&mut [0; 8]).await.unwrap();
        let (mut left, mut right) = world.connect(81).await;
        left.write_all(b"new").await.unwrap();
        right.read_exact(&mut [0; 3]).await.unwrap();
    });
}

#[test]
fn a_share_is_drawn_for_each_stream() {
    const STREAMS: usize = 100;
    let broken = |seed| {
        succeed(simulate(Options { seed, ..Options::default() }, |world| async move {
            let mut listener = world.right_env().network.listen(world.right_at(80)).await.unwrap();
            let mut streams = Vec::new();
            for _ in 0..STREAMS {
                let left = world.left_env().network.dial(world.right_at(80)).await.unwrap();
                streams.push((left, listener.accept().await.unwrap().0));
            }
            world.sim.reset_streams(&HostSet::all(), &HostSet::all(), 0.3);
            let mut broken = Vec::new();
            for (left, _) in &mut streams {
                broken.push(left.write(b"x").await.is_err());
            }
            broken
        }))
    };
    let count = broken(1).iter().filter(|broken| **broken).count();
    assert!((15..45).contains(&count), "{count} of {STREAMS}");
    assert_eq!(broken(1), broken(1));
    assert_ne!(broken(1), broken(2));
}

/// A host behind a translator, and a stream from there to the right host: the inner end, the outer one.
async fn out(world: &World) -> (HostId, Env, Stream, Stream) {
    let home = world.sim.add_host(behind_nat("home", "192.168.1.2", "203.0.113.7"));
    let env = world.sim.env(home, idle(&world.sim, home));
    let mut listener = world.right_env().network.listen(world.right_at(80)).await.unwrap();
    let inner = env.network.dial(world.right_at(80)).await.unwrap();
    let (outer, _) = listener.accept().await.unwrap();
    (home, env, inner, outer)
}

#[test]
fn a_translator_that_forgets_lets_nothing_in_and_what_goes_out_is_answered_with_a_reset() {
    simulated(|world| async move {
        let (home, env, mut inner, mut outer) = out(&world).await;
        world.sim.forget_nat(home);
        outer.write_all(b"not let in").await.unwrap();
        assert!(env.deadline(MINUTE, inner.read(&mut [0; 1])).await.is_none(), "nobody is told");
        let sent = world.sim.now();
        inner.write_all(b"hello?").await.unwrap();
        assert_eq!(inner.read(&mut [0; 1]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(world.sim.now() - sent, 2 * LATENCY);
        // The other end learns by itself.
        assert!(world.right_env().deadline(MINUTE, outer.read(&mut [0; 1])).await.is_none());
        assert_eq!(outer.read(&mut [0; 1]).await.unwrap_err().kind(), ErrorKind::TimedOut);
    });
}

#[test]
fn a_translator_that_moved_has_new_streams_come_from_its_new_address() {
    simulated(|world| async move {
        let (home, env, mut inner, _outer) = out(&world).await;
        let mut listener = world.right_env().network.listen(world.right_at(81)).await.unwrap();
        world.sim.move_nat(home, "203.0.113.99".parse().unwrap());
        let _new = env.network.dial(world.right_at(81)).await.unwrap();
        let (_accepted, from) = listener.accept().await.unwrap();
        assert_eq!(from.ip().to_string(), "203.0.113.99");
        inner.write_all(b"old").await.unwrap();
        assert_eq!(inner.read(&mut [0; 1]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn the_reset_for_a_forgotten_stream_waits_for_the_path_to_be_whole() {
    simulated(|world| async move {
        let (home, env, mut inner, _outer) = out(&world).await;
        world.sim.forget_nat(home);
        let cut = world.sim.cut(world.right.into(), home.into());
        inner.write_all(b"hello?").await.unwrap();
        assert!(env.deadline(MINUTE, inner.read(&mut [0; 1])).await.is_none());
        world.sim.heal(cut);
        assert_eq!(inner.read(&mut [0; 1]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_stream_that_nobody_forgot_and_hosts_without_translator_are_left_alone() {
    simulated(|world| async move {
        let (mut left, mut right) = world.connect(70).await;
        let (home, _env, mut inner, mut outer) = out(&world).await;
        world.sim.forget_nat(world.left);
        inner.write_all(b"well").await.unwrap();
        outer.read_exact(&mut [0; 4]).await.unwrap();
        world.sim.forget_nat(home);
        left.write_all(b"well").await.unwrap();
        right.read_exact(&mut [0; 4]).await.unwrap();
    });
}

#[test]
fn with_acknowledgements_cut_off_a_writer_sends_one_window_and_no_more() {
    simulated(|world| async move {
        let (mut left, mut right) = world.connect(80).await;
        let cut = world.sim.cut(world.right.into(), world.left.into());
        world.right_env().spawn("reader", async move {
            let mut buffer = vec![0; 16 * 1024];
            while right.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
        });
        let mut written = 0;
        let chunk = vec![1; 8 * 1024];
        while let Some(result) = world.left_env().deadline(MINUTE, left.write(&chunk)).await {
            written += result.unwrap();
            world.sim.sleep(LATENCY * 3).await;
        }
        assert_eq!(written, 256 * 1024, "what the reader read is not known to the writer");
        world.sim.heal(cut);
        left.write_all(&chunk).await.unwrap();
    });
}

/// Sends 1,000,000 bytes over 1,000,000 bytes per second with such a queue: how long it takes, and how long a byte on
/// another stream takes in the middle of it.
fn over_a_queue(queue: Option<u64>) -> (Duration, Duration) {
    succeed(simulate(Options::default(), move |world| async move {
        let link = Link { latency: LATENCY, bandwidth: Some(1_000_000), queue, ..Link::default() };
        let left = world.left;
        world.sim.set_links(Arc::new(move |from, _| {
            if from == left { link } else { Link { latency: LATENCY, ..Link::default() } }
        }));
        let (mut bulk, mut sink) = world.connect(80).await;
        let (mut left, mut right) = world.connect(81).await;
        let started = world.sim.now();
        world.left_env().spawn("sender", async move {
            bulk.write_all(&vec![7; 1_000_000]).await.unwrap();
            std::future::pending::<()>().await;
        });
        let sim = world.sim.clone();
        let (done, took) = tokio::sync::oneshot::channel();
        world.right_env().spawn("sink", async move {
            let mut got = vec![0; 1_000_000];
            sink.read_exact(&mut got).await.unwrap();
            assert!(got.iter().all(|byte| *byte == 7));
            done.send(sim.now() - started).unwrap();
        });
        world.sim.sleep(Duration::from_millis(300)).await;
        let sent = world.sim.now();
        left.write_all(b"!").await.unwrap();
        right.read_exact(&mut [0; 1]).await.unwrap();
        let late = world.sim.now() - sent;
        (took.await.unwrap(), late)
    }))
}

#[test]
fn a_large_queue_makes_streams_late_and_a_small_one_makes_them_slow() {
    let millis = Duration::from_millis;
    // As much as the window holds stands in front of the line.
    let (took, late) = over_a_queue(None);
    assert!(took < millis(1100) && (millis(200)..millis(270)).contains(&late), "{took:?}, {late:?}");
    // The line is never idle for long, and what stands in front of it has a limit.
    let (took, late) = over_a_queue(Some(200_000));
    assert!(took < millis(1150) && (millis(50)..millis(220)).contains(&late), "{took:?}, {late:?}");
    // 15 ms of the line, and a round trip until the sender knows that the rest was lost.
    let (took, late) = over_a_queue(Some(15_000));
    assert!((millis(1500)..millis(2500)).contains(&took) && late <= millis(25), "{took:?}, {late:?}");
}

#[test]
fn datagrams_beyond_the_queue_are_dropped_and_those_in_it_are_late() {
    simulated(|world| async move {
        let link = Link { latency: LATENCY, bandwidth: Some(100_000), queue: Some(5_000), ..Link::default() };
        world.sim.set_uniform_links(link);
        let left = world.left_env().network.bind_datagram("0.0.0.0:0".parse().unwrap()).await.unwrap();
        let right = world.right_env().network.bind_datagram(world.right_at(53)).await.unwrap();
        for _ in 0..20 {
            left.send_to(&[0; 1000], right.local_addr()).await.unwrap();
        }
        let sent = world.sim.now();
        let mut arrivals = Vec::new();
        let mut buffer = [0; 1000];
        while let Some(got) = world.right_env().deadline(MINUTE, right.recv_from(&mut buffer)).await {
            got.unwrap();
            arrivals.push((world.sim.now() - sent).as_millis());
        }
        // What the line works on is in front of the queue's room, as in a router.
        assert_eq!(arrivals, [20, 30, 40, 50, 60]);
    });
}
