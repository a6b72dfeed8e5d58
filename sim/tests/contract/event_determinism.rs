//! The same seed does the same, whatever else runs; another seed does not.

use std::time::Duration;

use relay_sim::engine::event::{Link, Options, RunEnd};
use relay_sim::trace::first_divergence;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::sites::{World, simulate};

/// Several clients, jitter, loss, a kill, a partition: enough to go another way if anything can.
async fn busy(mut world: World) {
    let sim = world.sim.clone();
    let link = Link {
        latency: Duration::from_millis(5),
        jitter: Duration::from_millis(20),
        loss: 0.05,
        bandwidth: None,
        ..Link::default()
    };
    sim.set_uniform_links(link);
    let at = world.right_at(80);
    for client in 0..5_u64 {
        let env = world.left_env();
        world.left_env().spawn("client", async move {
            loop {
                let pause = Duration::from_millis(50 + 10 * client);
                if let Ok(mut stream) = env.network.dial(at).await {
                    let mask = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), client);
                    while stream.write_all(&mask.to_le_bytes()).await.is_ok()
                        && stream.read_u64().await.is_ok()
                    {
                        env.sleep(pause).await;
                    }
                }
                env.sleep(pause).await;
            }
        });
    }
    for round in 0..3 {
        let env = world.right_env();
        let mut listener = env.network.listen(at).await.unwrap();
        world.right_env().spawn("server", async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                env.spawn("echo", async move {
                    while let Ok(number) = stream.read_u64().await {
                        if stream.write_all(&(number + 1).to_be_bytes()).await.is_err() {
                            break;
                        }
                    }
                });
            }
        });
        sim.sleep(Duration::from_secs(5)).await;
        let cuts = world.part();
        sim.sleep(Duration::from_secs(2)).await;
        world.heal(cuts);
        sim.note(Some(world.right), &format!("round {round}"));
        sim.kill(world.right_process);
        world.restart_right();
    }
}

fn play(seed: u64, record: bool) -> RunEnd<()> {
    let end = simulate(Options { seed, record: record.into(), ..Options::default() }, busy);
    assert!(end.outcome.is_ok() && end.panics.is_empty(), "{:?} {:?}", end.outcome, end.panics);
    end
}

#[test]
fn the_same_seed_gives_the_same_trace_and_another_seed_another() {
    let (one, two, other) = (play(1, true), play(1, true), play(2, true));
    assert!(one.trace.count() > 4_000, "{}", one.trace.count());
    if let Some(divergence) = first_divergence(&one.trace, &two.trace) {
        panic!("{divergence}");
    }
    assert_eq!(one.trace.hash(), two.trace.hash());
    assert_ne!(one.trace.hash(), other.trace.hash());
    let text = first_divergence(&one.trace, &other.trace).expect("seeds differ").to_string();
    assert!(text.contains("first") && text.contains("client#"), "{text}");
}

#[test]
fn recording_does_not_change_what_happens() {
    let (kept, unkept) = (play(3, true), play(3, false));
    assert_eq!(kept.trace.hash(), unkept.trace.hash());
    assert_eq!(kept.trace.count(), unkept.trace.count());
    assert_eq!(kept.trace.events().len() as u64, kept.trace.count());
}

#[test]
fn runs_in_parallel_do_not_disturb_each_other() {
    let alone: Vec<u64> = (0..4).map(|seed| play(seed, false).trace.hash()).collect();
    let threads: Vec<_> = (0..4)
        .map(|seed| std::thread::Builder::new().spawn(move || play(seed, false).trace.hash()).unwrap())
        .collect();
    let together: Vec<u64> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert_eq!(alone, together);
}
