//! What every engine promises of partitions, kills, power cuts and homes behind NAT. Each case moves a world of two
//! public hosts, 10 ms apart, and does not know which engine it is on. Times are those that any network would keep;
//! the event engine's own are in `event_faults.rs`.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use relay_node::env::{Env, Stream};
use relay_sim::engine::{self, HostId, HostSpec, Link, Nat, Observation, ProcessId, ProcessKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::sites::{LATENCY, links, public};

const MINUTE: Duration = Duration::from_secs(60);

/// Two hosts on an engine, each with an idle process.
#[derive(Clone)]
pub(crate) struct Pair {
    sim: engine::Sim,
    left: HostId,
    right: HostId,
    left_process: ProcessId,
    right_process: ProcessId,
}

impl Pair {
    pub(crate) fn new(sim: &engine::Sim) -> Self {
        let left = sim.add_host(public("left", "10.0.0.1"));
        let right = sim.add_host(public("right", "10.0.0.2"));
        let (left_process, right_process) = (idle(sim, left), idle(sim, right));
        Pair { sim: sim.clone(), left, right, left_process, right_process }
    }

    fn left_env(&self) -> Env {
        self.sim.env(self.left, self.left_process)
    }

    fn right_env(&self) -> Env {
        self.sim.env(self.right, self.right_process)
    }

    async fn connect(&self) -> (Stream, Stream) {
        let mut listener = self.right_env().network.listen(right_at(80)).await.unwrap();
        let left = self.left_env().network.dial(right_at(80)).await.unwrap();
        let (right, _) = listener.accept().await.unwrap();
        (left, right)
    }

    /// Cuts both ways; the halves of the partition.
    fn part(&self) -> [engine::CutId; 2] {
        let cut = |from: HostId, to: HostId| self.sim.cut(from.into(), to.into());
        [cut(self.left, self.right), cut(self.right, self.left)]
    }

    fn heal(&self, cuts: [engine::CutId; 2]) {
        cuts.into_iter().for_each(|cut| self.sim.heal(cut));
    }

    /// A host behind a NAT, and the world as it sees it.
    fn home(&self) -> (HostId, Env) {
        let nat = Some(Nat::new("11.0.0.9".parse().unwrap()));
        let spec = HostSpec { name: "home".into(), address: "10.0.0.9".parse().unwrap(), nat };
        let home = self.sim.add_host(spec);
        (home, self.sim.env(home, idle(&self.sim, home)))
    }
}

fn idle(sim: &engine::Sim, host: HostId) -> ProcessId {
    sim.start(host, "idle", ProcessKind::Node, |_env| Box::pin(std::future::pending()))
}

fn right_at(port: u16) -> SocketAddr {
    SocketAddr::new("10.0.0.2".parse().unwrap(), port)
}

async fn silence(env: &Env, stream: &mut Stream, lasts: Duration) {
    let heard = env.deadline(lasts, stream.read(&mut [0; 16])).await;
    assert!(heard.is_none(), "{heard:?}");
}

async fn reset(stream: &mut Stream) {
    assert_eq!(stream.read(&mut [0; 16]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

pub(crate) async fn a_partition_holds_what_is_sent_until_it_heals(pair: Pair) {
    let (mut left, mut right) = pair.connect().await;
    let cuts = pair.part();
    left.write_all(b"held").await.unwrap();
    silence(&pair.right_env(), &mut right, MINUTE).await;
    pair.heal(cuts);
    let mut bytes = [0; 4];
    right.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"held");
    right.write_all(b"back").await.unwrap();
    left.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"back");
}

pub(crate) async fn the_end_of_a_stream_is_held_by_a_partition_too(pair: Pair) {
    let (left, mut right) = pair.connect().await;
    let cuts = pair.part();
    drop(left);
    silence(&pair.right_env(), &mut right, MINUTE).await;
    pair.heal(cuts);
    assert_eq!(right.read(&mut [0; 8]).await.unwrap(), 0);
}

pub(crate) async fn a_dial_into_a_partition_times_out_and_is_not_refused(pair: Pair) {
    pair.part();
    let started = pair.sim.now();
    let error = pair.left_env().network.dial(right_at(80)).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert_eq!(pair.sim.now() - started, Duration::from_secs(127));
    let timed_out = |seen: &Observation| matches!(seen, Observation::DialTimedOut { .. });
    assert!(pair.sim.take_observations().iter().any(timed_out));
}

pub(crate) async fn a_dial_that_outlives_its_partition_succeeds(pair: Pair) {
    let _listener = pair.right_env().network.listen(right_at(80)).await.unwrap();
    let cuts = pair.part();
    let env = pair.left_env();
    let (done, dialled) = tokio::sync::oneshot::channel();
    pair.left_env().spawn("dial", async move {
        let _ = done.send(env.network.dial(right_at(80)).await.map(drop).map_err(|error| error.kind()));
    });
    pair.sim.sleep(Duration::from_secs(4)).await;
    pair.heal(cuts);
    assert_eq!(dialled.await.unwrap(), Ok(()));
}

pub(crate) async fn a_one_way_cut_lets_the_other_direction_live(pair: Pair) {
    let (mut left, mut right) = pair.connect().await;
    pair.sim.cut(pair.left.into(), pair.right.into());
    left.write_all(b"lost for now").await.unwrap();
    right.write_all(b"heard").await.unwrap();
    left.read_exact(&mut [0; 5]).await.unwrap();
    silence(&pair.right_env(), &mut right, MINUTE).await;
}

pub(crate) async fn a_stream_is_given_up_when_nothing_gets_through_for_long(pair: Pair) {
    let (mut left, _right) = pair.connect().await;
    pair.part();
    left.write_all(b"anybody?").await.unwrap();
    let ended = pair.left_env().deadline(20 * MINUTE, left.read(&mut [0; 8])).await;
    assert_eq!(ended.expect("it ends").unwrap_err().kind(), ErrorKind::TimedOut);
}

pub(crate) async fn the_peers_of_a_killed_process_are_reset_and_its_port_refuses(mut pair: Pair) {
    let (mut left, right) = pair.connect().await;
    let _listener = pair.right_env().network.listen(right_at(81)).await.unwrap();
    pair.sim.kill(pair.right_process);
    assert!(!pair.sim.alive(pair.right_process));
    // The process is gone, and so is the meaning of the handles that it leaves behind.
    drop(right);
    reset(&mut left).await;
    let error = pair.left_env().network.dial(right_at(81)).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    let error = pair.right_env().network.listen(right_at(81)).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotConnected, "the dead do not listen");
    pair.right_process = idle(&pair.sim, pair.right);
    pair.right_env().network.listen(right_at(81)).await.unwrap();
}

pub(crate) async fn a_reset_behind_a_partition_is_lost(pair: Pair) {
    let (mut left, _right) = pair.connect().await;
    let cuts = pair.part();
    pair.sim.kill(pair.right_process);
    pair.sim.sleep(MINUTE).await;
    pair.heal(cuts);
    silence(&pair.left_env(), &mut left, MINUTE).await;
    left.write_all(b"still there?").await.unwrap();
    reset(&mut left).await;
}

pub(crate) async fn what_a_killed_process_had_closed_before_still_arrives(pair: Pair) {
    let (mut left, mut right) = pair.connect().await;
    right.write_all(b"the last word").await.unwrap();
    drop(right);
    pair.sim.kill(pair.right_process);
    let mut got = Vec::new();
    left.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, b"the last word");
}

pub(crate) async fn a_power_cut_is_silent_until_the_power_is_back(pair: Pair) {
    let (mut left, _right) = pair.connect().await;
    pair.sim.power_cut(pair.right);
    assert!(!pair.sim.alive(pair.right_process) && !pair.sim.is_powered(pair.right));
    silence(&pair.left_env(), &mut left, MINUTE).await;
    let error = pair.left_env().network.dial(right_at(80)).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    left.write_all(b"into the dark").await.unwrap();
    pair.sim.power_on(pair.right);
    reset(&mut left).await;
    let error = pair.left_env().network.dial(right_at(80)).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

pub(crate) async fn a_harness_process_survives_its_hosts_power_cut_and_sees_its_node_gone(pair: Pair) {
    let pending = |_env| -> relay_node::env::BoxFuture<'static, ()> { Box::pin(std::future::pending()) };
    let harness = pair.sim.start(pair.right, "load", ProcessKind::Harness, pending);
    let local = "127.0.0.1:80".parse().unwrap();
    let mut listener = pair.right_env().network.listen(local).await.unwrap();
    let env = pair.sim.env(pair.right, harness);
    let mut client = env.network.dial(local).await.unwrap();
    let (_server, _) = listener.accept().await.unwrap();
    pair.sim.power_cut(pair.right);
    assert!(pair.sim.alive(harness));
    reset(&mut client).await;
    let error = env.network.dial(local).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

pub(crate) async fn a_disk_survives_kill_and_power_cut_and_not_a_wipe(mut pair: Pair) {
    pair.right_env().storage.write("key", b"value").unwrap();
    pair.sim.kill(pair.right_process);
    pair.right_env().storage.read("key").unwrap_err();
    pair.right_process = idle(&pair.sim, pair.right);
    assert_eq!(pair.right_env().storage.read("key").unwrap().unwrap(), b"value");
    pair.sim.power_cut(pair.right);
    pair.sim.power_on(pair.right);
    pair.right_process = idle(&pair.sim, pair.right);
    assert_eq!(pair.sim.disk_names(pair.right), ["key"]);
    pair.sim.wipe(pair.right);
    assert_eq!(pair.right_env().storage.read("key").unwrap(), None);
}

pub(crate) async fn a_commit_survives_a_power_cut_and_what_was_not_committed_does_not(mut pair: Pair) {
    let database = pair.right_env().storage.open_db("test.db").unwrap();
    database
        .execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1); BEGIN; INSERT INTO t VALUES (2)")
        .unwrap();
    pair.sim.power_cut(pair.right);
    database.execute_batch("COMMIT").expect_err("the dead do not write");
    drop(database);
    pair.sim.power_on(pair.right);
    pair.right_process = idle(&pair.sim, pair.right);
    let database = pair.right_env().storage.open_db("test.db").unwrap();
    let rows: u32 = database.query_row("SELECT count(*) FROM t", (), |row| row.get(0)).unwrap();
    assert_eq!(rows, 1);
}

/// Tries to say goodbye, on the network and on disk, when it is dropped.
struct Polite(Pair);

impl Drop for Polite {
    fn drop(&mut self) {
        self.0.right_env().storage.write("last words", b"goodbye").unwrap_err();
        self.0.right_env().spawn("late", async { panic!("a task of a dead process must not run") });
    }
}

pub(crate) async fn destructors_of_a_killed_process_reach_neither_disk_nor_network(pair: Pair) {
    let (mut left, right) = pair.connect().await;
    let polite = Polite(pair.clone());
    pair.right_env().spawn("holder", async move {
        let _kept = (right, polite);
        std::future::pending::<()>().await;
    });
    pair.sim.sleep(LATENCY).await;
    pair.sim.kill(pair.right_process);
    reset(&mut left).await;
    assert!(pair.sim.disk_names(pair.right).is_empty());
}

pub(crate) async fn a_process_ends_with_its_main_future_and_closes_what_it_left_open(pair: Pair) {
    let mut listener = pair.right_env().network.listen(right_at(80)).await.unwrap();
    let process = pair.sim.start(pair.left, "brief", ProcessKind::Node, |env| {
        Box::pin(async move {
            let mut stream = env.network.dial(right_at(80)).await.unwrap();
            stream.write_all(b"short visit").await.unwrap();
            let clock = env.clock.clone();
            env.spawn("leftover", async move {
                clock.sleep_until(relay_node::env::Instant::from_nanos(u64::MAX)).await;
                drop(stream);
            });
            env.sleep(2 * LATENCY).await;
        })
    });
    let (mut right, _) = listener.accept().await.unwrap();
    let mut got = Vec::new();
    right.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, b"short visit");
    assert!(!pair.sim.alive(process));
}

pub(crate) async fn loss_delays_a_stream_and_takes_nothing_from_it(pair: Pair) {
    pair.sim.set_links(Arc::new(|_, _| Link { loss: 0.2, ..links() }));
    let (mut left, mut right) = pair.connect().await;
    let started = pair.sim.now();
    let mut bytes = [0; 5];
    for _ in 0..50 {
        left.write_all(b"hello").await.unwrap();
        right.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"hello");
    }
    let took = pair.sim.now() - started;
    assert!(took > 50 * LATENCY + Duration::from_secs(1), "{took:?}: nothing was lost");
}

pub(crate) async fn bandwidth_is_what_the_link_says(pair: Pair) {
    pair.sim.set_links(Arc::new(|_, _| Link { bandwidth: Some(10_000), ..links() }));
    let (mut left, mut right) = pair.connect().await;
    let started = pair.sim.now();
    left.write_all(&[7; 20_000]).await.unwrap();
    right.read_exact(&mut [0; 20_000]).await.unwrap();
    assert!(pair.sim.now() - started >= Duration::from_secs(2));
}

pub(crate) async fn a_dial_takes_a_round_trip(pair: Pair) {
    let _listener = pair.right_env().network.listen(right_at(80)).await.unwrap();
    let started = pair.sim.now();
    pair.left_env().network.dial(right_at(80)).await.unwrap();
    assert!(pair.sim.now() - started >= 2 * LATENCY);
}

pub(crate) async fn a_home_gets_out_under_its_public_address_and_nobody_gets_in(pair: Pair) {
    let (_, home) = pair.home();
    let mut listener = pair.right_env().network.listen(right_at(80)).await.unwrap();
    let mut out = home.network.dial(right_at(80)).await.unwrap();
    let (mut accepted, from) = listener.accept().await.unwrap();
    assert_eq!(from.ip(), "11.0.0.9".parse::<IpAddr>().unwrap());
    accepted.write_all(b"welcome").await.unwrap();
    out.read_exact(&mut [0; 7]).await.unwrap();
    let _at_home = home.network.listen("0.0.0.0:80".parse().unwrap()).await.unwrap();
    for address in ["10.0.0.9:80", "11.0.0.9:80"] {
        let error = pair.left_env().network.dial(address.parse().unwrap()).await.err().unwrap();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{address}");
    }
    home.network.dial("127.0.0.1:80".parse().unwrap()).await.unwrap();
}

pub(crate) async fn datagrams_get_into_a_home_as_answers(pair: Pair) {
    let (_, home) = pair.home();
    let right = pair.right_env().network.bind_datagram(right_at(90)).await.unwrap();
    let socket = home.network.bind_datagram("0.0.0.0:90".parse().unwrap()).await.unwrap();
    socket.send_to(b"ask", right_at(90)).await.unwrap();
    let (_, from) = right.recv_from(&mut [0; 8]).await.unwrap();
    right.send_to(b"answer", from).await.unwrap();
    assert_eq!(socket.recv_from(&mut [0; 8]).await.unwrap().0, 6);
}

pub(crate) async fn certificates_can_expire(pair: Pair) {
    let names = vec!["right".to_owned()];
    let expires = Some(pair.sim.now() + MINUTE);
    let certificate = engine::Certificate { names, expires, trusted: true };
    pair.sim.set_certificate(pair.right, Some(certificate));
    for (wait, is_valid) in [(Duration::ZERO, true), (MINUTE, false)] {
        pair.sim.sleep(wait).await;
        let (left, right) = pair.connect().await;
        let (client, server) = (pair.left_env(), pair.right_env());
        let (client, _server) =
            tokio::join!(client.network.secure_client(left, "right"), server.network.secure_server(right));
        assert_eq!(client.is_ok(), is_valid);
    }
}
