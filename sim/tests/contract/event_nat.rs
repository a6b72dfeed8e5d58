//! A host behind NAT: it gets out, nobody gets in.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use relay_sim::engine::event::HostId;

use super::sites::{World, behind_nat, idle, simulated};

fn home(world: &World) -> (HostId, relay_node::env::Env) {
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
