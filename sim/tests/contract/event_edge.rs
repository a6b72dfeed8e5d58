//! Between a process and its network: file descriptors that run out, names that are answered wrongly.

use std::io::{self, ErrorKind};
use std::time::Duration;

use relay_chaos::NameAnswer;
use relay_sim::engine::event::ProcessKind;

use super::databases::{insert, rows, with_table};
use super::sites::{public, simulated};

const LATENCY: Duration = Duration::from_millis(10);

fn is_used_up<T>(result: io::Result<T>) -> bool {
    result.err().is_some_and(|error| error.raw_os_error() == Some(24))
}

#[test]
fn beyond_the_limit_nothing_is_opened_until_something_is_closed() {
    simulated(|world| async move {
        let _listener = world.right_env().network.listen(world.right_at(80)).await.unwrap();
        let network = world.left_env().network;
        let any = "0.0.0.0:0".parse().unwrap();
        let socket = network.bind_datagram(any).await.unwrap();
        let stream = network.dial(world.right_at(80)).await.unwrap();
        world.sim.set_descriptor_limit(world.left, Some(2));
        assert!(is_used_up(network.bind_datagram(any).await));
        assert!(is_used_up(network.listen(any).await));
        assert!(is_used_up(network.dial(world.right_at(80)).await));
        drop(socket);
        let listener = network.listen(any).await.unwrap();
        assert!(is_used_up(network.dial(world.right_at(80)).await));
        drop((stream, listener));
        // A dial holds its socket while it lasts, and its stream is the same one.
        let first = network.dial(world.right_at(80)).await.unwrap();
        let _second = network.dial(world.right_at(80)).await.unwrap();
        assert!(is_used_up(network.dial(world.right_at(80)).await));
        drop(first);
        world.sim.set_descriptor_limit(world.left, None);
        let mut many = Vec::new();
        for _ in 0..100 {
            many.push(network.dial(world.right_at(80)).await.unwrap());
        }
    });
}

#[test]
fn a_dial_under_way_holds_a_descriptor_and_gives_it_back() {
    simulated(|world| async move {
        world.sim.set_descriptor_limit(world.left, Some(1));
        let network = world.left_env().network;
        let nobody = "10.9.9.9:80".parse().unwrap();
        let (dial, env) = (world.left_env().network, world.left_env());
        world.left_env().spawn("dial", async move {
            let _ = env.deadline(LATENCY, dial.dial(nobody)).await;
        });
        world.sim.sleep(LATENCY / 2).await;
        assert!(is_used_up(network.dial(world.right_at(80)).await));
        world.sim.sleep(LATENCY).await;
        assert_eq!(
            network.dial(world.right_at(80)).await.err().unwrap().kind(),
            ErrorKind::ConnectionRefused
        );
    });
}

#[test]
fn a_file_holds_a_descriptor_while_it_is_open() {
    simulated(|world| async move {
        let (disk, network) = (world.left_env().storage, world.left_env().network);
        let any = "0.0.0.0:0".parse().unwrap();
        disk.write("key", b"value").unwrap();
        let socket = network.bind_datagram(any).await.unwrap();
        // Beside the socket there is one left, and a value is read and written with it, again and again.
        world.sim.set_descriptor_limit(world.left, Some(2));
        for value in [b"one", b"two"] {
            disk.write("key", value).unwrap();
            assert_eq!(disk.read("key").unwrap().unwrap(), value);
        }
        assert_eq!(disk.read_file("key").unwrap(), "two");
        assert!(disk.open_db("test.db").is_err(), "its file, and no journal beside it");
        let _second = network.bind_datagram(any).await.unwrap();
        assert!(is_used_up(disk.read("key")));
        assert!(is_used_up(disk.read("nothing")), "whether it is there cannot even be seen");
        assert!(is_used_up(disk.read_file("key")));
        assert!(is_used_up(disk.write("key", b"three")));
        drop(socket);
        assert_eq!(disk.read("key").unwrap().unwrap(), b"two");
    });
}

#[test]
fn an_open_database_holds_two_descriptors_and_gives_them_back() {
    simulated(|world| async move {
        let (disk, network) = (world.left_env().storage, world.left_env().network);
        let any = "0.0.0.0:0".parse().unwrap();
        world.sim.set_descriptor_limit(world.left, Some(2));
        let database = with_table(&*disk);
        insert(&database, "kept");
        assert!(is_used_up(network.bind_datagram(any).await), "the database and its log");
        insert(&database, "as well: they are open");
        drop(database);
        let sockets = (network.bind_datagram(any).await.unwrap(), network.bind_datagram(any).await.unwrap());
        let refusal = disk.open_db("test.db").unwrap_err();
        assert!(refusal.to_string().contains("unable to open database file"), "{refusal}");
        drop(sockets);
        assert_eq!(rows(&disk.open_db("test.db").unwrap()), ["kept", "as well: they are open"]);
    });
}

#[test]
fn what_cannot_be_accepted_waits_in_the_queue() {
    simulated(|world| async move {
        let mut listener = world.right_env().network.listen(world.right_at(80)).await.unwrap();
        let _stream = world.left_env().network.dial(world.right_at(80)).await.unwrap();
        world.sim.sleep(LATENCY).await;
        world.sim.set_descriptor_limit(world.right, Some(1));
        assert!(is_used_up(listener.accept().await), "the listener is one already");
        assert!(is_used_up(listener.accept().await), "and it is still there");
        world.sim.set_descriptor_limit(world.right, Some(2));
        let _accepted = listener.accept().await.unwrap();
        let idle = world.right_env().deadline(LATENCY, listener.accept()).await;
        assert!(idle.is_none(), "nobody else waits, so nothing is asked for");
    });
}

#[test]
fn the_harness_has_descriptors_and_names_of_its_own() {
    simulated(|world| async move {
        world.sim.set_descriptor_limit(world.left, Some(0));
        world.sim.set_names(world.left, Some(NameAnswer::Failure));
        let (done, result) = tokio::sync::oneshot::channel();
        world.sim.start(world.left, "harness", ProcessKind::Harness, |env| {
            Box::pin(async move {
                let bound = env.network.bind_datagram("0.0.0.0:0".parse().unwrap()).await;
                let opened = bound.is_ok() && env.storage.open_db("test.db").is_ok();
                done.send((opened, env.network.resolve("right", 80).await.is_ok())).unwrap();
            })
        });
        assert_eq!(result.await.unwrap(), (true, true));
    });
}

#[test]
fn a_name_server_fails_denies_or_says_nothing() {
    simulated(|world| async move {
        let network = world.left_env().network;
        let srv = "_relay._tcp.fed.test";
        let record = relay_node::env::SrvRecord { priority: 1, weight: 1, port: 80, target: "right".into() };
        world.sim.set_srv(srv, vec![record]);
        for (answer, kind, takes) in [
            (NameAnswer::Failure, ErrorKind::Other, 0),
            (NameAnswer::Nothing, ErrorKind::NotFound, 0),
            (NameAnswer::Silence, ErrorKind::TimedOut, 10),
        ] {
            world.sim.set_names(world.left, Some(answer));
            let asked = world.sim.now();
            assert_eq!(network.resolve("right", 80).await.unwrap_err().kind(), kind, "{answer:?}");
            assert_eq!(world.sim.now() - asked, Duration::from_secs(takes), "{answer:?}");
            assert_eq!(network.resolve_srv(srv).await.unwrap_err().kind(), kind, "{answer:?}");
            assert_eq!(world.sim.now() - asked, 2 * Duration::from_secs(takes), "{answer:?}");
            // Neither of these asks anybody.
            assert_eq!(network.resolve("10.0.0.2", 80).await.unwrap(), [world.right_at(80)]);
            assert!(network.resolve("localhost", 80).await.is_ok());
            assert!(
                world.right_env().network.resolve("left", 80).await.is_ok(),
                "the other host asks another"
            );
        }
        world.sim.set_names(world.left, None);
        assert_eq!(network.resolve("right", 80).await.unwrap(), [world.right_at(80)]);
    });
}

#[test]
fn a_wrong_answer_is_the_address_of_another_host() {
    simulated(|world| async move {
        let network = world.left_env().network;
        for number in 3..6 {
            world.sim.add_host(public(&format!("host-{number}"), &format!("10.0.0.{number}")));
        }
        let record = relay_node::env::SrvRecord { priority: 1, weight: 1, port: 80, target: "right".into() };
        world.sim.set_srv("_relay._tcp.fed.test", vec![record]);
        world.sim.set_names(world.left, Some(NameAnswer::Wrong));
        let (mut addresses, mut targets) = (Vec::new(), Vec::new());
        for _ in 0..100 {
            addresses.push(network.resolve("right", 80).await.unwrap()[0].ip().to_string());
            targets.push(network.resolve_srv("_relay._tcp.fed.test").await.unwrap()[0].target.clone());
        }
        addresses.sort_unstable();
        addresses.dedup();
        assert_eq!(addresses, ["10.0.0.1", "10.0.0.3", "10.0.0.4", "10.0.0.5"]);
        targets.sort_unstable();
        targets.dedup();
        assert_eq!(targets, ["host-3", "host-4", "host-5", "left"]);
    });
}
