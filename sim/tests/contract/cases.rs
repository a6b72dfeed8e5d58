//! The cases: nothing here knows which implementation it runs on.

use std::io::{ErrorKind, IoSlice};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use relay_node::env::{Listener, SrvRecord, Stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::sites::Site;

const BRIEFLY: Duration = Duration::from_millis(50);

async fn connect(site: &Site) -> (Stream, Stream, Box<dyn Listener>) {
    let mut listener = site.right.network.listen(site.right_any_port()).await.unwrap();
    let left = site.left.network.dial(listener.local_addr()).await.unwrap();
    let (right, _) = listener.accept().await.unwrap();
    (left, right, listener)
}

async fn read_exactly(stream: &mut Stream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).await.unwrap();
    bytes
}

/// Bytes that tell where they belong.
fn pattern(length: usize, salt: usize) -> Vec<u8> {
    (0..length).map(|at| (at.wrapping_mul(31).wrapping_add(at >> 8).wrapping_add(salt)) as u8).collect()
}

pub(crate) async fn what_is_sent_comes_back(site: Site) {
    let (mut left, mut right, listener) = connect(&site).await;
    left.write_all(b"hello").await.unwrap();
    assert_eq!(read_exactly(&mut right, 5).await, b"hello");
    right.write_all(b"world!").await.unwrap();
    assert_eq!(read_exactly(&mut left, 6).await, b"world!");
    assert_ne!(listener.local_addr().port(), 0);
}

pub(crate) async fn a_half_closed_stream_still_carries_the_other_direction(site: Site) {
    let (mut left, mut right, _listener) = connect(&site).await;
    left.write_all(b"question").await.unwrap();
    left.shutdown().await.unwrap();
    let mut question = Vec::new();
    right.read_to_end(&mut question).await.unwrap();
    assert_eq!(question, b"question");
    right.write_all(b"answer").await.unwrap();
    right.shutdown().await.unwrap();
    let mut answer = Vec::new();
    left.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, b"answer");
}

pub(crate) async fn dropping_a_stream_ends_it_for_the_peer(site: Site) {
    let (left, mut right, _listener) = connect(&site).await;
    drop(left);
    assert_eq!(right.read(&mut [0; 16]).await.unwrap(), 0);
}

pub(crate) async fn what_was_sent_before_a_drop_arrives(site: Site) {
    let (mut left, mut right, _listener) = connect(&site).await;
    let sent = pattern(100_000, 1);
    left.write_all(&sent).await.unwrap();
    drop(left);
    let mut got = Vec::new();
    right.read_to_end(&mut got).await.unwrap();
    assert!(got == sent, "{} of {} bytes", got.len(), sent.len());
}

pub(crate) async fn writing_to_a_peer_that_is_gone_fails(site: Site) {
    let (mut left, right, _listener) = connect(&site).await;
    drop(right);
    let error = loop {
        if let Err(error) = left.write_all(b"is anybody there?").await {
            break error;
        }
        site.left.sleep(BRIEFLY).await;
    };
    assert!(matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{error:?}");
}

pub(crate) async fn dropping_unread_data_resets_the_peer(site: Site) {
    let (mut left, mut right, _listener) = connect(&site).await;
    left.write_all(b"one").await.unwrap();
    assert_eq!(read_exactly(&mut right, 1).await, b"o");
    // Two bytes of "one" have arrived and are not read.
    drop(right);
    let error = left.read(&mut [0; 16]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

pub(crate) async fn writing_after_shutdown_fails(site: Site) {
    let (mut left, _right, _listener) = connect(&site).await;
    left.shutdown().await.unwrap();
    let error = left.write_all(b"one more thing").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
}

pub(crate) async fn where_nothing_listens_dials_are_refused(site: Site) {
    let listener = site.right.network.listen(site.right_any_port()).await.unwrap();
    let at = listener.local_addr();
    drop(listener);
    let error = site.left.network.dial(at).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

pub(crate) async fn a_dropped_listener_refuses_and_its_streams_live_on(site: Site) {
    let (mut left, mut right, listener) = connect(&site).await;
    let at = listener.local_addr();
    drop(listener);
    let error = site.left.network.dial(at).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    left.write_all(b"still here").await.unwrap();
    assert_eq!(read_exactly(&mut right, 10).await, b"still here");
}

pub(crate) async fn a_dropped_listener_resets_what_it_did_not_accept(site: Site) {
    let listener = site.right.network.listen(site.right_any_port()).await.unwrap();
    let mut left = site.left.network.dial(listener.local_addr()).await.unwrap();
    drop(listener);
    let error = left.read(&mut [0; 16]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

pub(crate) async fn what_arrived_before_an_accept_is_there_after_it(site: Site) {
    let mut listener = site.right.network.listen(site.right_any_port()).await.unwrap();
    let mut left = site.left.network.dial(listener.local_addr()).await.unwrap();
    left.write_all(b"early").await.unwrap();
    drop(left);
    site.right.sleep(BRIEFLY).await;
    let (mut right, _) = listener.accept().await.unwrap();
    let mut got = Vec::new();
    right.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, b"early");
}

pub(crate) async fn a_port_is_held_by_one_listener_until_it_is_dropped(site: Site) {
    let listener = site.right.network.listen(site.right_any_port()).await.unwrap();
    let at = listener.local_addr();
    let error = site.right.network.listen(at).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    drop(listener);
    assert_eq!(site.right.network.listen(at).await.unwrap().local_addr(), at);
}

pub(crate) async fn port_zero_takes_free_ports(site: Site) {
    let first = site.right.network.listen(site.right_any_port()).await.unwrap();
    let second = site.right.network.listen(site.right_any_port()).await.unwrap();
    assert_ne!(first.local_addr().port(), 0);
    assert_ne!(first.local_addr(), second.local_addr());
    assert_eq!(first.local_addr().ip(), site.right_address);
}

pub(crate) async fn a_writer_waits_for_its_reader_and_nothing_is_lost(site: Site) {
    let (mut left, mut right, _listener) = connect(&site).await;
    let chunk = pattern(64 * 1024, 2);
    // Write until nothing more goes in for a while.
    let mut written = 0_usize;
    while let Some(result) =
        site.left.deadline(10 * BRIEFLY, left.write(&chunk[written % chunk.len()..])).await
    {
        written += result.unwrap();
        assert!(written < 64 * 1024 * 1024, "nobody reads, and 64 MiB went in");
    }
    drop(left);
    let mut got = Vec::new();
    right.read_to_end(&mut got).await.unwrap();
    assert_eq!(got.len(), written);
    for (index, part) in got.chunks(chunk.len()).enumerate() {
        assert!(*part == chunk[..part.len()], "chunk {index}");
    }
}

pub(crate) async fn large_transfers_arrive_whole_both_ways_at_once(site: Site) {
    const BYTES: usize = 3_000_000;
    let (left, right, _listener) = connect(&site).await;
    let exchange = |stream: Stream, ours: usize, theirs: usize| async move {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let send = async {
            writer.write_all(&pattern(BYTES, ours)).await.unwrap();
            writer.shutdown().await.unwrap();
        };
        let receive = async {
            let mut got = Vec::new();
            reader.read_to_end(&mut got).await.unwrap();
            assert!(got == pattern(BYTES, theirs), "{} bytes", got.len());
        };
        tokio::join!(send, receive);
    };
    tokio::join!(exchange(left, 3, 4), exchange(right, 4, 3));
}

pub(crate) async fn vectored_writes_arrive_in_order(site: Site) {
    let (mut left, mut right, _listener) = connect(&site).await;
    let written =
        left.write_vectored(&[IoSlice::new(b"head"), IoSlice::new(b""), IoSlice::new(b"body")]).await;
    assert_eq!(written.unwrap(), 8);
    assert_eq!(read_exactly(&mut right, 8).await, b"headbody");
}

pub(crate) async fn an_accept_dropped_half_way_loses_no_stream(site: Site) {
    let mut listener = site.right.network.listen(site.right_any_port()).await.unwrap();
    let at = listener.local_addr();
    assert!(site.right.deadline(BRIEFLY, listener.accept()).await.is_none());
    let mut left = site.left.network.dial(at).await.unwrap();
    let (mut right, from) = listener.accept().await.unwrap();
    left.write_all(b"x").await.unwrap();
    assert_eq!(read_exactly(&mut right, 1).await, b"x");
    assert_ne!(from.port(), 0);
}

pub(crate) async fn datagrams_go_there_and_back(site: Site) {
    let any = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
    let left = site.left.network.bind_datagram(any).await.unwrap();
    let right = site.right.network.bind_datagram(site.right_any_port()).await.unwrap();
    left.send_to(b"ping", right.local_addr()).await.unwrap();
    let mut buffer = [0; 100];
    let (length, from) = right.recv_from(&mut buffer).await.unwrap();
    assert_eq!(&buffer[..length], b"ping");
    assert_eq!(from.port(), left.local_addr().port());
    right.send_to(b"pong", from).await.unwrap();
    let (length, from) = left.recv_from(&mut buffer).await.unwrap();
    assert_eq!(&buffer[..length], b"pong");
    assert_eq!(from, right.local_addr());
}

pub(crate) async fn a_datagram_that_does_not_fit_is_cut_off(site: Site) {
    let right = site.right.network.bind_datagram(site.right_any_port()).await.unwrap();
    let any = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
    let left = site.left.network.bind_datagram(any).await.unwrap();
    left.send_to(b"a long story", right.local_addr()).await.unwrap();
    left.send_to(b"end", right.local_addr()).await.unwrap();
    let mut buffer = [0; 6];
    assert_eq!(right.recv_from(&mut buffer).await.unwrap().0, 6);
    assert_eq!(&buffer, b"a long");
    assert_eq!(right.recv_from(&mut buffer).await.unwrap().0, 3);
    assert!(left.send_to(&[0; 70_000], right.local_addr()).await.is_err(), "no datagram is that long");
}

pub(crate) async fn a_datagram_port_is_held_by_one_socket(site: Site) {
    let socket = site.right.network.bind_datagram(site.right_any_port()).await.unwrap();
    let at = socket.local_addr();
    let error = site.right.network.bind_datagram(at).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    drop(socket);
    site.right.network.bind_datagram(at).await.unwrap();
}

pub(crate) async fn names_and_addresses_resolve(site: Site) {
    let network = &site.left.network;
    let local = network.resolve("localhost", 80).await.unwrap();
    assert!(local.iter().all(|address| address.ip().is_loopback() && address.port() == 80), "{local:?}");
    let four: IpAddr = "192.0.2.7".parse().unwrap();
    assert_eq!(network.resolve("192.0.2.7", 443).await.unwrap(), [SocketAddr::new(four, 443)]);
    let six: IpAddr = "2001:db8::1".parse().unwrap();
    assert_eq!(network.resolve("[2001:db8::1]", 443).await.unwrap(), [SocketAddr::new(six, 443)]);
    let unknown = network.resolve("no-such-host.invalid", 80).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotFound, "{unknown}");
}

pub(crate) async fn the_clock_never_goes_back_and_sleeps_last_long_enough(site: Site) {
    let clock = &site.left.clock;
    let mut last = clock.now();
    for _ in 0..5 {
        let until = last + Duration::from_millis(3);
        clock.sleep_until(until).await;
        let now = clock.now();
        assert!(now >= until, "{now:?} is before {until:?}");
        last = now;
    }
    assert!(clock.unix().0 > Duration::from_secs(1_600_000_000), "{}", clock.unix());
}

pub(crate) async fn a_sleep_into_the_past_ends_at_once(site: Site) {
    site.left.sleep(BRIEFLY).await;
    let past = site.left.clock.sleep_until(relay_node::env::Instant::from_nanos(0));
    assert!(site.left.deadline(Duration::from_secs(10), past).await.is_some());
}

pub(crate) async fn a_deadline_cuts_off_what_takes_too_long(site: Site) {
    assert_eq!(site.left.deadline(BRIEFLY, std::future::pending::<()>()).await, None);
    assert_eq!(site.left.deadline(BRIEFLY, async { 7 }).await, Some(7));
}

pub(crate) async fn a_panic_stays_where_it_happened(site: Site) {
    let (done, outcome) = tokio::sync::oneshot::channel();
    let env = site.left.clone();
    site.right.spawn("broken", async { panic!("this one is part of the test") });
    site.left.spawn("sound", async move {
        env.sleep(BRIEFLY).await;
        done.send("sound").unwrap();
    });
    assert_eq!(outcome.await.unwrap(), "sound");
}

pub(crate) async fn blocking_work_returns_its_value(site: Site) {
    let work = "6 * 7".to_owned();
    assert_eq!(site.left.blocking("reckon", move || work.len() + 37).await.unwrap(), 42);
}

pub(crate) async fn every_seed_is_another(site: Site) {
    let mut seeds = Vec::new();
    for env in [&site.left, &site.right] {
        for name in ["one", "two"] {
            seeds.push(env.entropy.seed(name));
            seeds.push(env.entropy.seed(name));
        }
    }
    seeds.sort_unstable();
    seeds.dedup();
    assert_eq!(seeds.len(), 8);
}

pub(crate) async fn values_on_disk_can_be_read_and_replaced(site: Site) {
    let disk = site.left.storage.clone();
    let all = move || {
        assert_eq!(disk.read("key").unwrap(), None);
        disk.write("key", b"one").unwrap();
        disk.write("key", b"two, which is longer").unwrap();
        disk.write("empty", b"").unwrap();
        assert_eq!(disk.read("empty").unwrap().unwrap(), b"");
        disk.read("key").unwrap().unwrap()
    };
    assert_eq!(site.left.blocking("disk", all).await.unwrap(), b"two, which is longer");
    let other = site.right.storage.clone();
    let read = move || other.read("key").unwrap();
    assert_eq!(site.right.blocking("disk", read).await.unwrap(), None, "each host has its own disk");
}

pub(crate) async fn a_file_that_is_not_there_is_not_found(site: Site) {
    let disk = site.left.storage.clone();
    let read = move || disk.read_file("/no/such/file").unwrap_err();
    assert_eq!(site.left.blocking("disk", read).await.unwrap().kind(), ErrorKind::NotFound);
}

pub(crate) async fn srv_records_are_found_by_name(site: Site) {
    let network = &site.left.network;
    for name in ["_relay._tcp.fed.test", "_Relay._TCP.fed.test."] {
        let mut found = network.resolve_srv(name).await.unwrap();
        found.sort_by_key(|record| record.port);
        let expected = SrvRecord { priority: 10, weight: 5, port: 8080, target: "main-a.test".into() };
        assert_eq!(found[0], expected);
        assert_eq!((found.len(), found[1].port, found[1].priority), (2, 8081, 20));
    }
    for name in ["_relay._tcp.nobody.test", "_relay._tcp.empty.test"] {
        let error = network.resolve_srv(name).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    }
}
