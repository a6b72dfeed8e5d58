//! Processes and tasks under the engine: their end, their panics, their time and randomness.

use std::future::poll_fn;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use relay_sim::engine::event::{Halt, Options, ProcessKind, Stamp};
use tokio::io::AsyncReadExt;

use super::sites::{simulate, simulated, succeed};

#[test]
fn a_process_ends_with_its_main_future_and_closes_what_it_left_open() {
    simulated(|world| async move {
        let mut listener = world.right_env().network.listen(world.right_at(80)).await.unwrap();
        let at = world.right_at(80);
        let short = world.sim.start(world.left, "short", ProcessKind::Node, move |env| {
            Box::pin(async move {
                let stream = env.network.dial(at).await.unwrap();
                env.spawn("holder", async move {
                    let _kept = stream;
                    std::future::pending::<()>().await;
                });
                env.sleep(Duration::from_secs(1)).await;
            })
        });
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(world.sim.alive(short));
        assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0, "an end in order, and no reset");
        assert!(!world.sim.alive(short));
    });
}

#[test]
fn a_panic_is_known_by_host_process_task_and_time_and_kills_its_process() {
    let end = simulate(Options::default(), |world| async move {
        let env = world.right_env();
        world.right_env().spawn("clumsy", async move {
            env.sleep(Duration::from_secs(3)).await;
            panic!("dropped the {}", "vase");
        });
        world.sim.sleep(Duration::from_secs(5)).await;
        assert!(!world.sim.alive(world.right_process));
        assert!(world.sim.alive(world.left_process));
    });
    let [panic] = &end.panics[..] else { panic!("{:?}", end.panics) };
    assert_eq!((panic.host.as_str(), panic.process, panic.task), ("right", "idle", "clumsy"));
    assert_eq!(panic.at, Duration::from_secs(3));
    assert!(panic.message.starts_with("dropped the vase ("), "{}", panic.message);
    assert!(panic.message.contains("event_processes.rs:"), "{}", panic.message);
    succeed(end);
}

/// Panics when it is dropped.
struct Brittle;

impl Drop for Brittle {
    fn drop(&mut self) {
        panic!("broke");
    }
}

#[test]
fn a_panic_in_a_destructor_is_known_too() {
    let end = simulate(Options::default(), |world| async move {
        world.right_env().spawn("killed", async {
            let _brittle = Brittle;
            std::future::pending::<()>().await;
        });
        let brittle = Brittle;
        world.left_env().spawn("finished", async move {
            let _ = &brittle;
        });
        world.sim.sleep(Duration::from_secs(1)).await;
        assert!(!world.sim.alive(world.left_process));
        world.sim.kill(world.right_process);
    });
    let seen: Vec<_> = end.panics.iter().map(|panic| (panic.host.as_str(), panic.task)).collect();
    assert_eq!(seen, [("left", "finished"), ("right", "killed")]);
    assert!(end.panics.iter().all(|panic| panic.message.starts_with("broke (")), "{:?}", end.panics);
    succeed(end);
}

#[test]
fn a_process_may_kill_itself() {
    simulated(|world| async move {
        let (sim, process, env) = (world.sim.clone(), world.right_process, world.right_env());
        let (went_on, ended) = tokio::sync::oneshot::channel::<()>();
        world.right_env().spawn("tired", async move {
            sim.kill(process);
            env.sleep(Duration::from_secs(1)).await;
            let _ = went_on.send(());
        });
        assert!(ended.await.is_err(), "the task went on after its process was gone");
        assert!(world.sim.now() < Duration::from_secs(1));
    });
}

#[test]
fn tasks_take_turns_in_an_order_that_the_seed_decides() {
    let order = |seed| {
        succeed(simulate(Options { seed, ..Options::default() }, |world| async move {
            let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
            for number in 0..10 {
                let sender = sender.clone();
                world.left_env().spawn("numbered", async move { sender.send(number).unwrap() });
            }
            drop(sender);
            let mut order = Vec::new();
            while let Some(number) = receiver.recv().await {
                order.push(number);
            }
            order
        }))
    };
    assert_eq!(order(1), order(1));
    let orders: std::collections::BTreeSet<Vec<u32>> = (0..20).map(order).collect();
    assert!(orders.len() > 15, "{} orders in 20 seeds", orders.len());
    assert!(orders.iter().all(|order| order.iter().sum::<u32>() == 45));
}

#[test]
fn a_sleep_for_ever_is_no_event() {
    let end = simulate(Options::default(), |world| async move {
        world.left_env().sleep(Duration::MAX).await;
    });
    assert!(matches!(end.outcome, Err(Halt::Deadlock { .. })), "{:?}", end.outcome);
}

#[test]
fn a_panic_of_the_director_ends_the_run() {
    let end = simulate(Options::default(), |_| async move { panic!("a failed check") });
    let Err::<(), _>(Halt::DirectorPanicked(message)) = end.outcome else { panic!("{:?}", end.outcome) };
    assert!(message.starts_with("a failed check"), "{message}");
}

#[test]
fn a_deadlock_names_hosts_and_tasks() {
    let end = simulate(Options::default(), |world| async move {
        world.right_env().spawn("waits for ever", std::future::pending());
        std::future::pending::<()>().await;
    });
    let halt = end.outcome.unwrap_err();
    assert!(matches!(halt, Halt::Deadlock { .. }), "{halt}");
    let text = halt.to_string();
    assert!(text.contains("idle on right waits in idle, waits for ever"), "{text}");
    assert!(text.contains("idle on left"), "{text}");
}

#[test]
fn an_endless_loop_names_the_tasks_that_spin() {
    let end = simulate(Options::default(), |world| async move {
        world.sim.sleep(Duration::from_secs(2)).await;
        let spin = poll_fn(|context| {
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        });
        world.right_env().spawn("spinner", spin);
        std::future::pending::<()>().await;
    });
    let Err(Halt::ReadyLoop { at, busiest }) = &end.outcome else { panic!("{:?}", end.outcome) };
    assert_eq!(*at, Duration::from_secs(2));
    assert_eq!((busiest[0].host.as_str(), busiest[0].task), ("right", "spinner"));
    assert!(end.outcome.unwrap_err().to_string().contains("spinner on right"));
}

#[test]
fn a_seed_depends_on_run_host_name_and_count_and_on_nothing_else() {
    let draw = |seed, noise: bool| {
        let options = Options { seed, ..Options::default() };
        succeed(simulate(options, move |mut world| async move {
            if noise {
                world.right_env().entropy.seed("other");
                world.left_env().entropy.seed("name");
            }
            let first = world.right_env().entropy.seed("name");
            world.restart_right();
            (first, world.right_env().entropy.seed("name"))
        }))
    };
    let (first, second) = draw(1, false);
    assert_ne!(first, second, "a restarted process draws anew");
    assert_eq!(draw(1, true), (first, second));
    assert_ne!(draw(2, false).0, first);
}

/// What std says of time and randomness, as a number each.
#[expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "this tests what std says inside a run"
)]
fn ambient() -> (std::time::Instant, Duration, u64) {
    let unix = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap();
    (std::time::Instant::now(), unix, RandomState::new().hash_one("x"))
}

#[test]
fn std_sees_virtual_time_and_seeded_randomness_inside_a_run_and_the_real_ones_outside() {
    const DAY: Duration = Duration::from_secs(86_400);
    let inside = |seed| {
        let options = Options { seed, unix_start: 100 * DAY, ..Options::default() };
        succeed(simulate(options, |world| async move {
            let (start, ..) = ambient();
            world.sim.sleep(DAY).await;
            let (end, unix, random) = ambient();
            assert_eq!(end - start, DAY);
            assert_eq!(unix, 101 * DAY);
            assert_eq!(world.left_env().clock.unix().0, 101 * DAY);
            let drawn: [u8; 16] = rand_bytes();
            (random, drawn)
        }))
    };
    let (before, ..) = ambient();
    assert_eq!(inside(1), inside(1));
    let ((one, drawn), (other, drawn_other)) = (inside(1), inside(2));
    assert_ne!(one, other);
    assert_ne!(drawn, drawn_other);
    let (after, unix, _) = ambient();
    assert!(after - before < DAY, "the real clock went on by itself");
    assert!(unix > 10_000 * DAY);
    let fresh = || std::thread::Builder::new().spawn(|| ambient().2).unwrap().join().unwrap();
    assert_ne!(fresh(), fresh(), "real randomness differs by thread");
}

/// Randomness through the getrandom crate, as WebSocket masks get theirs.
fn rand_bytes<const N: usize>() -> [u8; N] {
    use rand::TryRng;
    let mut bytes = [0; N];
    rand::rngs::SysRng.try_fill_bytes(&mut bytes).unwrap();
    bytes
}

/// A place for log lines.
#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn log_lines_carry_virtual_time_and_host() {
    let page = Page::default();
    let writer = page.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_timer(Stamp)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let options = Options { log: Some(tracing::Dispatch::new(subscriber)), ..Options::default() };
    succeed(simulate(options, |world| async move {
        let env = world.right_env();
        world.right_env().spawn("talker", async move {
            env.sleep(Duration::from_millis(61_500)).await;
            tracing::info!("hello");
        });
        world.sim.sleep(Duration::from_secs(100)).await;
        tracing::info!("the end");
    }));
    let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("    61.500000 right") && lines[0].ends_with("hello"), "{text}");
    assert!(lines[1].starts_with("   100.000000 -") && lines[1].ends_with("the end"), "{text}");
}

#[test]
fn a_year_of_idle_time_is_a_handful_of_events() {
    let end = simulate(Options::default(), |world| async move {
        world.sim.sleep(Duration::from_secs(365 * 86_400)).await;
    });
    assert!(end.trace.count() < 30, "{} events", end.trace.count());
    assert_eq!(end.virtual_time, Duration::from_secs(365 * 86_400));
}
