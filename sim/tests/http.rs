//! What time does to a client's connection.

#[expect(dead_code, reason = "others call services")]
mod stage;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use relay_node::env::{Env, Stream, dial_host};
use relay_sim::engine::event::{ProcessKind, Sim};
use relay_sim::scenario::HostIndex;
use relay_sim::world::World;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use stage::in_world;

const MAIN: HostIndex = HostIndex(0);
const HOME: HostIndex = HostIndex(1);

const ONE_MAIN: &str = r#"
duration = "10m"
[[service]]
name = "shop"
kind = "http"
[[main]]
name = "main"
[[home]]
name = "home"
main = "main"
services = ["shop"]
"#;

/// What a client of the Main does, on the Home's machine.
async fn client<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    sim: &Sim,
    world: &World,
    does: impl FnOnce(Env, Stream) -> F + Send + 'static,
) -> T {
    let (sender, done) = tokio::sync::oneshot::channel();
    sim.start(world.host(HOME), "client", ProcessKind::Harness, move |env| {
        Box::pin(async move {
            let (stream, _) = dial_host(&*env.network, "main", 8080).await.unwrap();
            let _ = sender.send(does(env, stream).await);
        })
    });
    done.await.unwrap()
}

#[test]
fn a_head_that_comes_byte_by_byte_has_a_minute_in_all() {
    let lasted = in_world(ONE_MAIN, async |sim, world| {
        world.start(MAIN);
        sim.sleep(Duration::from_secs(1)).await;
        client(&sim, &world, async |env, mut stream| {
            let begun = env.clock.now();
            for byte in b"POST /rpc HTTP/1.1\r\nHost: main\r\n" {
                if stream.write_all(&[*byte]).await.is_err() {
                    break;
                }
                env.sleep(Duration::from_secs(10)).await;
            }
            env.clock.now() - begun
        })
        .await
    });
    assert!((Duration::from_secs(60)..=Duration::from_secs(90)).contains(&lasted), "{lasted:?}");
}

#[test]
fn a_call_may_take_longer_than_a_connection_may_be_idle() {
    let answers = in_world(ONE_MAIN, async |sim, world| {
        // An upstream that says nothing.
        sim.start(world.host(HOME), "upstream", ProcessKind::Harness, |env| {
            Box::pin(async move {
                let at = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), World::upstream_port(0));
                let mut listener = env.network.listen(at).await.unwrap();
                let mut open = Vec::new();
                while let Ok(accepted) = listener.accept().await {
                    open.push(accepted);
                }
            })
        });
        world.start(MAIN);
        world.start(HOME);
        sim.sleep(Duration::from_secs(2)).await;
        client(&sim, &world, async |env, mut stream| {
            let mut answers = Vec::new();
            for timeout in [100, 1] {
                let call = format!(
                    r#"{{"jsonrpc":"2.0","id":1,"method":"remote_call","params":{{"service_name":"shop","method":"get","timeout":{timeout}}}}}"#
                );
                let head = format!("POST /rpc HTTP/1.1\r\nHost: main\r\nContent-Length: {}\r\n\r\n", call.len());
                stream.write_all((head + &call).as_bytes()).await.unwrap();
                let mut answer = vec![0; 4_096];
                let read = stream.read(&mut answer).await.unwrap_or(0);
                answers.push(String::from_utf8_lossy(&answer[..read]).into_owned());
                env.sleep(Duration::from_secs(1)).await;
            }
            answers
        })
        .await
    });
    assert!(answers.iter().all(|answer| answer.contains("-32004")), "{answers:?}");
}
