//! A host behind NAT: it gets out, nobody gets in.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use relay_node::env::{DatagramSocket, Env};
use relay_sim::engine::event::{HostId, HostSpec, Nat, NatKind};

use super::sites::{World, behind_nat, idle, simulated};

fn behind(name: &str, address: &str, nat: Nat) -> HostSpec {
    HostSpec { name: name.to_owned(), address: address.parse().unwrap(), nat: Some(nat) }
}

fn home(world: &World) -> (HostId, Env) {
    let home = world.sim.add_host(behind_nat("home", "192.168.1.2", "203.0.113.7"));
    (home, world.sim.env(home, idle(&world.sim, home)))
}

#[test]
fn streams_get_out_under_the_public_address() {
    simulated(|world| async move {
        let (_, home) = home(&world);
        let mut listener = world.right_env().network.listen(world.right_at(80)).await.unwrap();
        let _stream = home.network.dial(world.right_at(80)).await.unwrap();
        let (_, from) = listener.accept().await.unwrap();
        assert_eq!(from.ip().to_string(), "203.0.113.7");
    });
}

#[test]
fn no_stream_gets_in_except_from_the_host_itself() {
    simulated(|world| async move {
        let (_, home) = home(&world);
        let _listener = home.network.listen("0.0.0.0:80".parse().unwrap()).await.unwrap();
        for at in ["192.168.1.2:80", "203.0.113.7:80"] {
            let error = world.left_env().network.dial(at.parse().unwrap()).await.err().unwrap();
            assert_eq!(error.kind(), ErrorKind::TimedOut, "{at}");
        }
        for at in ["127.0.0.1:80", "192.168.1.2:80"] {
            home.network.dial(at.parse().unwrap()).await.unwrap();
        }
    });
}

#[test]
fn datagrams_get_in_only_as_answers_and_not_for_ever() {
    simulated(|world| async move {
        let (_, home) = home(&world);
        let inside = home.network.bind_datagram("0.0.0.0:6881".parse().unwrap()).await.unwrap();
        let asked = world.right_env().network.bind_datagram(world.right_at(1000)).await.unwrap();
        let stranger = world.right_env().network.bind_datagram(world.right_at(1001)).await.unwrap();
        inside.send_to(b"ask", world.right_at(1000)).await.unwrap();
        let mut buffer = [0; 16];
        let (_, seen) = asked.recv_from(&mut buffer).await.unwrap();
        assert_eq!(seen.ip().to_string(), "203.0.113.7");
        stranger.send_to(b"stranger", seen).await.unwrap();
        let private = SocketAddr::new("192.168.1.2".parse().unwrap(), 6881);
        stranger.send_to(b"private", private).await.unwrap();
        asked.send_to(b"answer", seen).await.unwrap();
        let (length, from) = inside.recv_from(&mut buffer).await.unwrap();
        assert_eq!((&buffer[..length], from), (&b"answer"[..], world.right_at(1000)));
        world.sim.sleep(Duration::from_secs(121)).await;
        asked.send_to(b"late", seen).await.unwrap();
        let late = home.deadline(Duration::from_secs(1), inside.recv_from(&mut buffer)).await;
        assert!(late.is_none(), "{late:?}");
    });
}

/// Whether what `from` says to `to` arrives at `at`.
async fn gets_through(
    world: &World,
    from: &dyn DatagramSocket,
    to: SocketAddr,
    (env, at): (&Env, &dyn DatagramSocket),
) -> bool {
    from.send_to(b"knock", to).await.unwrap();
    let heard = env.deadline(Duration::from_secs(1), at.recv_from(&mut [0; 16])).await;
    world.sim.sleep(Duration::from_millis(1)).await;
    heard.is_some()
}

#[test]
fn each_kind_lets_in_whom_it_says() {
    for (kind, same_host, another_host) in [
        (NatKind::FullCone, true, true),
        (NatKind::AddressRestricted, true, false),
        (NatKind::PortRestricted, false, false),
        (NatKind::Symmetric, false, false),
    ] {
        simulated(move |world| async move {
            let nat = Nat { kind, ..Nat::new("203.0.113.7".parse().unwrap()) };
            let home = world.sim.add_host(behind("home", "192.168.1.2", nat));
            let env = world.sim.env(home, idle(&world.sim, home));
            let inside = env.network.bind_datagram("0.0.0.0:6881".parse().unwrap()).await.unwrap();
            let asked = world.right_env().network.bind_datagram(world.right_at(1000)).await.unwrap();
            let beside = world.right_env().network.bind_datagram(world.right_at(1001)).await.unwrap();
            let other =
                world.left_env().network.bind_datagram("0.0.0.0:1000".parse().unwrap()).await.unwrap();
            inside.send_to(b"ask", world.right_at(1000)).await.unwrap();
            let (_, seen) = asked.recv_from(&mut [0; 16]).await.unwrap();
            let here = (&env, &*inside);
            assert!(gets_through(&world, &*asked, seen, here).await, "{kind:?}");
            assert_eq!(gets_through(&world, &*beside, seen, here).await, same_host, "{kind:?}");
            assert_eq!(gets_through(&world, &*other, seen, here).await, another_host, "{kind:?}");
            // The same public address for the next remote, or another one.
            inside.send_to(b"ask", world.right_at(1001)).await.unwrap();
            let (_, seen_beside) = beside.recv_from(&mut [0; 16]).await.unwrap();
            assert_eq!(seen_beside == seen, kind != NatKind::Symmetric, "{kind:?}");
        });
    }
}

#[test]
fn a_hairpin_is_there_where_it_was_asked_for() {
    for hairpin in [false, true] {
        simulated(move |world| async move {
            let nat = Nat { hairpin, kind: NatKind::FullCone, ..Nat::new("203.0.113.7".parse().unwrap()) };
            let (one, two) = (
                world.sim.add_host(behind("one", "192.168.1.2", nat.clone())),
                world.sim.add_host(behind("two", "192.168.1.3", nat)),
            );
            let (one, two) =
                (world.sim.env(one, idle(&world.sim, one)), world.sim.env(two, idle(&world.sim, two)));
            let any = "0.0.0.0:6881".parse().unwrap();
            let (first, second) = (
                one.network.bind_datagram(any).await.unwrap(),
                two.network.bind_datagram(any).await.unwrap(),
            );
            let outside = world.right_env().network.bind_datagram(world.right_at(1000)).await.unwrap();
            first.send_to(b"ask", world.right_at(1000)).await.unwrap();
            let (_, seen) = outside.recv_from(&mut [0; 16]).await.unwrap();
            assert_eq!(gets_through(&world, &*second, seen, (&one, &*first)).await, hairpin);
        });
    }
}

#[test]
fn a_mapping_lasts_as_long_as_was_said_and_no_longer_than_the_translator_remembers() {
    simulated(|world| async move {
        let nat = Nat { mapping: Duration::from_secs(30), ..Nat::new("203.0.113.7".parse().unwrap()) };
        let home = world.sim.add_host(behind("home", "192.168.1.2", nat));
        let env = world.sim.env(home, idle(&world.sim, home));
        let inside = env.network.bind_datagram("0.0.0.0:6881".parse().unwrap()).await.unwrap();
        let asked = world.right_env().network.bind_datagram(world.right_at(1000)).await.unwrap();
        let ask = async || {
            inside.send_to(b"ask", world.right_at(1000)).await.unwrap();
            asked.recv_from(&mut [0; 16]).await.unwrap().1
        };
        let seen = ask().await;
        world.sim.sleep(Duration::from_secs(29)).await;
        assert!(gets_through(&world, &*asked, seen, (&env, &*inside)).await);
        world.sim.sleep(Duration::from_secs(2)).await;
        assert!(
            !gets_through(&world, &*asked, seen, (&env, &*inside)).await,
            "what came in lengthens nothing"
        );
        let seen = ask().await;
        world.sim.forget_nat(home);
        assert!(!gets_through(&world, &*asked, seen, (&env, &*inside)).await);
        assert_ne!(ask().await, seen);
        world.sim.move_nat(home, "203.0.113.99".parse().unwrap());
        assert_eq!(ask().await.ip().to_string(), "203.0.113.99");
    });
}
