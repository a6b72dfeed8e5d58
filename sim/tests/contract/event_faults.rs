//! Partitions, kills, power cuts: what a peer learns, and when.

use std::io::ErrorKind;
use std::time::Duration;

use relay_sim::engine::event::{Observation, ProcessKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::sites::{World, simulated};

const LATENCY: Duration = Duration::from_millis(10);
const MINUTE: Duration = Duration::from_secs(60);

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

#[test]
fn a_partition_holds_what_is_sent_until_a_retransmission_after_it_heals() {
    simulated(|world| async move {
        let (mut left, mut right) = world.connect(80).await;
        let cuts = world.part();
        let sent = world.sim.now();
        left.write_all(b"held").await.unwrap();
        let waiting = world.right_env().deadline(seconds(90.0), right.read(&mut [0; 16])).await;
        assert!(waiting.is_none(), "{waiting:?}");
        world.heal(cuts);
        let mut buffer = [0; 16];
        assert_eq!(right.read(&mut buffer).await.unwrap(), 4);
        // 0.2 s, 0.6 s, … 51 s, and the first after 90 s is at 102.2 s.
        assert_eq!(world.sim.now() - sent, seconds(102.2) + LATENCY);
    });
}

#[test]
fn a_short_partition_delays_by_one_retransmission() {
    simulated(|world| async move {
        let (mut left, mut right) = world.connect(80).await;
        let sent = world.sim.now();
        left.write_all(b"on its way").await.unwrap();
        world.sim.sleep(LATENCY / 2).await;
        let cuts = world.part();
        world.sim.sleep(LATENCY).await;
        world.heal(cuts);
        let mut bytes = [0; 10];
        right.read_exact(&mut bytes).await.unwrap();
        assert_eq!(world.sim.now() - sent, seconds(0.2) + LATENCY);
    });
}

#[test]
fn a_one_way_cut_lets_the_other_direction_live() {
    simulated(|world| async move {
        let (mut left, mut right) = world.connect(80).await;
        let cut = world.sim.cut(world.left.into(), world.right.into());
        left.write_all(b"lost for now").await.unwrap();
        right.write_all(b"heard").await.unwrap();
        let mut bytes = [0; 5];
        left.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"heard");
        assert!(world.right_env().deadline(MINUTE, right.read(&mut bytes)).await.is_none());
        world.sim.heal(cut);
        assert_eq!(right.read(&mut bytes).await.unwrap(), 5);
    });
}

#[test]
fn a_stream_is_given_up_when_nothing_gets_through_for_fifteen_minutes() {
    simulated(|world| async move {
        let (mut left, _right) = world.connect(80).await;
        world.part();
        let sent = world.sim.now();
        left.write_all(b"anybody?").await.unwrap();
        assert_eq!(left.read(&mut [0; 8]).await.unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(world.sim.now() - sent, 15 * MINUTE);
        assert_eq!(left.write(b"x").await.unwrap_err().kind(), ErrorKind::TimedOut);
    });
}

#[test]
fn a_writer_whose_acknowledgements_are_lost_gives_up_too() {
    simulated(|world| async move {
        let (mut left, mut right) = world.connect(80).await;
        world.sim.cut(world.right.into(), world.left.into());
        left.write_all(b"heard").await.unwrap();
        let mut bytes = [0; 5];
        right.read_exact(&mut bytes).await.unwrap();
        assert_eq!(left.read(&mut bytes).await.unwrap_err().kind(), ErrorKind::TimedOut);
    });
}

#[test]
fn after_a_partition_that_only_acknowledgements_noticed_data_flows_at_once() {
    simulated(|world| async move {
        let (mut left, mut right) = world.connect(80).await;
        let cut = world.sim.cut(world.right.into(), world.left.into());
        left.write_all(b"heard").await.unwrap();
        right.read_exact(&mut [0; 5]).await.unwrap();
        world.sim.sleep(MINUTE).await;
        world.sim.heal(cut);
        let sent = world.sim.now();
        right.write_all(b"reply").await.unwrap();
        left.read_exact(&mut [0; 5]).await.unwrap();
        assert_eq!(world.sim.now() - sent, LATENCY);
    });
}

#[test]
fn the_end_of_a_stream_is_held_by_a_partition_too() {
    simulated(|world| async move {
        let (left, mut right) = world.connect(80).await;
        let cuts = world.part();
        drop(left);
        assert!(world.right_env().deadline(MINUTE, right.read(&mut [0; 8])).await.is_none());
        world.heal(cuts);
        assert_eq!(right.read(&mut [0; 8]).await.unwrap(), 0);
    });
}

#[test]
fn a_dial_into_a_partition_times_out_and_is_not_refused() {
    simulated(|world| async move {
        world.part();
        let started = world.sim.now();
        let error = world.left_env().network.dial(world.right_at(80)).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert_eq!(world.sim.now() - started, Duration::from_secs(127));
        let timed_out = |seen: &Observation| matches!(seen, Observation::DialTimedOut { .. });
        assert!(world.sim.take_observations().iter().any(timed_out));
    });
}

#[test]
fn a_dial_that_outlives_its_partition_succeeds_at_the_next_try() {
    simulated(|world| async move {
        let _listener = world.right_env().network.listen(world.right_at(80)).await.unwrap();
        let cuts = world.part();
        let started = world.sim.now();
        let env = world.left_env();
        let (done, dialled) = tokio::sync::oneshot::channel();
        let at = world.right_at(80);
        world.left_env().spawn("dial", async move {
            let _ = done.send(env.network.dial(at).await.map(drop).map_err(|error| error.kind()));
        });
        world.sim.sleep(seconds(4.0)).await;
        world.heal(cuts);
        assert_eq!(dialled.await.unwrap(), Ok(()));
        assert_eq!(world.sim.now() - started, seconds(7.0) + 2 * LATENCY);
    });
}

#[test]
fn the_peers_of_a_killed_process_are_reset_and_its_port_refuses() {
    simulated(|mut world| async move {
        let (mut left, right) = world.connect(80).await;
        let _listener = world.right_env().network.listen(world.right_at(81)).await.unwrap();
        world.sim.kill(world.right_process);
        assert!(!world.sim.alive(world.right_process));
        let killed = world.sim.now();
        // The process is gone, and so is the meaning of the handles that it leaves behind.
        drop(right);
        assert_eq!(left.read(&mut [0; 8]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(world.sim.now() - killed, LATENCY);
        let error = world.left_env().network.dial(world.right_at(81)).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let error = world.right_env().network.listen(world.right_at(81)).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::NotConnected, "the dead do not listen");
        world.restart_right();
        world.right_env().network.listen(world.right_at(81)).await.unwrap();
    });
}

#[test]
fn a_kill_behind_a_partition_is_learnt_by_the_next_segment() {
    simulated(|world| async move {
        let (mut left, _right) = world.connect(80).await;
        let cuts = world.part();
        world.sim.kill(world.right_process);
        world.heal(cuts);
        assert!(
            world.left_env().deadline(MINUTE, left.read(&mut [0; 8])).await.is_none(),
            "the reset is lost"
        );
        left.write_all(b"still there?").await.unwrap();
        assert_eq!(left.read(&mut [0; 8]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_power_cut_is_silent() {
    simulated(|world| async move {
        let (mut left, _right) = world.connect(80).await;
        world.sim.power_cut(world.right);
        assert!(!world.sim.alive(world.right_process));
        let silence = world.left_env().deadline(60 * MINUTE, left.read(&mut [0; 8])).await;
        assert!(silence.is_none(), "{silence:?}");
        let error = world.left_env().network.dial(world.right_at(80)).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        world.sim.power_on(world.right);
        let error = world.left_env().network.dial(world.right_at(80)).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        left.write_all(b"from before").await.unwrap();
        assert_eq!(left.read(&mut [0; 8]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn what_was_sent_into_the_dark_is_reset_when_the_lights_are_on_again() {
    simulated(|world| async move {
        let (mut left, _right) = world.connect(80).await;
        world.sim.power_cut(world.right);
        left.write_all(b"into the dark").await.unwrap();
        assert!(world.left_env().deadline(5 * MINUTE, left.read(&mut [0; 8])).await.is_none());
        world.sim.power_on(world.right);
        assert_eq!(left.read(&mut [0; 8]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_writer_on_a_full_window_learns_of_a_power_cut() {
    simulated(|world| async move {
        let (mut left, _right) = world.connect(80).await;
        let env = world.left_env();
        let (done, outcome) = tokio::sync::oneshot::channel();
        env.spawn("writer", async move {
            let error = left.write_all(&vec![0; 1_000_000]).await.unwrap_err();
            done.send(error.kind()).unwrap();
        });
        world.sim.sleep(seconds(1.0)).await;
        world.sim.power_cut(world.right);
        assert_eq!(outcome.await.unwrap(), ErrorKind::TimedOut);
    });
}

#[test]
fn a_late_writer_on_a_full_window_learns_of_a_power_cut_too() {
    simulated(|world| async move {
        let (mut left, _right) = world.connect(80).await;
        left.write_all(&vec![0; 256 * 1024]).await.unwrap();
        world.sim.sleep(seconds(1.0)).await;
        world.sim.power_cut(world.right);
        world.sim.sleep(seconds(1.0)).await;
        assert_eq!(left.write_all(b"more").await.unwrap_err().kind(), ErrorKind::TimedOut);
    });
}

#[test]
fn what_a_killed_process_had_closed_before_still_arrives_in_order() {
    simulated(|world| async move {
        let (left, mut right) = world.connect(80).await;
        right.write_all(b"the last word").await.unwrap();
        drop(right);
        world.sim.kill(world.right_process);
        let mut left = left;
        let mut got = Vec::new();
        left.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, b"the last word");
    });
}

#[test]
fn a_harness_process_survives_its_hosts_power_cut_and_sees_its_node_gone() {
    simulated(|world| async move {
        let harness = world
            .sim
            .start(world.right, "load", ProcessKind::Harness, |_env| Box::pin(std::future::pending()));
        let local = "127.0.0.1:80".parse().unwrap();
        let mut listener = world.right_env().network.listen(local).await.unwrap();
        let env = world.sim.env(world.right, harness);
        let mut client = env.network.dial(local).await.unwrap();
        let (_server, _) = listener.accept().await.unwrap();
        world.sim.power_cut(world.right);
        assert!(world.sim.alive(harness));
        assert_eq!(client.read(&mut [0; 8]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        let error = env.network.dial(local).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn a_disk_survives_kill_and_power_cut_and_not_a_wipe() {
    simulated(|mut world| async move {
        world.right_env().storage.write("key", b"value").unwrap();
        world.sim.kill(world.right_process);
        world.right_env().storage.read("key").unwrap_err();
        world.restart_right();
        assert_eq!(world.right_env().storage.read("key").unwrap().unwrap(), b"value");
        world.sim.power_cut(world.right);
        world.sim.power_on(world.right);
        world.restart_right();
        assert_eq!(world.sim.disk_names(world.right), ["key"]);
        world.sim.wipe(world.right);
        assert_eq!(world.right_env().storage.read("key").unwrap(), None);
    });
}

/// Tries to say goodbye, on the network and on disk, when it is dropped.
struct Polite(World);

impl Drop for Polite {
    fn drop(&mut self) {
        self.0.right_env().storage.write("last words", b"goodbye").unwrap_err();
        self.0.right_env().spawn("late", async { panic!("a task of a dead process must not run") });
    }
}

#[test]
fn destructors_of_a_killed_process_reach_neither_disk_nor_network() {
    simulated(|world| async move {
        let (mut left, right) = world.connect(80).await;
        let polite = Polite(world.clone());
        world.right_env().spawn("holder", async move {
            let _kept = (right, polite);
            std::future::pending::<()>().await;
        });
        world.sim.sleep(LATENCY).await;
        world.sim.kill(world.right_process);
        assert_eq!(left.read(&mut [0; 8]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert!(world.sim.disk_names(world.right).is_empty());
    });
}
