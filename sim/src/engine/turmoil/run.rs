//! One run, from an empty world to its verdict.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use relay_node::env::BoxFuture;
use tokio::runtime::Handle;

use super::core::{Core, DIRECTOR, Farewell, POLLS_PER_TICK_MAX};
use super::sim::Sim;
use super::task::Task;
use crate::engine::event::{Halt, HostId, Options, ProcessKind, RunEnd, nanos, on_fresh_thread};
use crate::engine::watchdog::Watchdog;
use crate::engine::{libc_hooks, panics, random};
use crate::trace::NONE;

/// How far turmoil moves time at once.
const TICK: Duration = Duration::from_millis(1);

/// Segments of one stream, or dials to one listener, that turmoil takes before their reader has seen them. It panics
/// where a listener has more.
const TCP_CAPACITY: usize = 256;

/// Datagrams that turmoil keeps for one socket.
const UDP_CAPACITY: usize = 512;

/// Runs `director` to its end in a world of its own, as [`event::run`](crate::engine::event::run) does.
///
/// # Panics
/// Where the system gives no thread, or the engine itself is wrong.
pub fn run<T: Send + 'static>(
    options: Options,
    director: impl FnOnce(Sim) -> BoxFuture<'static, T> + Send + 'static,
) -> RunEnd<T> {
    on_fresh_thread(options, |options| run_here(options, director))
}

fn run_here<T: Send + 'static>(
    options: &Options,
    director: impl FnOnce(Sim) -> BoxFuture<'static, T> + Send + 'static,
) -> RunEnd<T> {
    libc_hooks::enter(options.seed, nanos(options.unix_start));
    panics::keep_panics();
    let core = Arc::new(Core::new(options));
    let watchdog = Watchdog::start(&core);
    let result = Arc::new(Mutex::new(None));
    let slot = result.clone();
    let process = core.add_process(HostId(NONE), "director", ProcessKind::Harness);
    debug_assert_eq!(process, DIRECTOR);
    let directing = director(Sim { core: core.clone() });
    let main = async move {
        let value = directing.await;
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
    };
    core.spawn(DIRECTOR, "director", Box::pin(main));
    let mut turmoil = world(options.seed);
    let halt = drive(&core, &mut turmoil);
    let (trace, virtual_time) = (std::mem::take(&mut core.lock().trace), Duration::from_nanos(core.now()));
    let processes = core.lock().processes.len() as u32;
    (0..processes).for_each(|process| core.kill(process, Farewell::Reset));
    core.lock().to_direct.clear();
    drop(turmoil);
    drop(watchdog);
    let panics = core.take_panics();
    let value = result.lock().unwrap_or_else(PoisonError::into_inner).take();
    let outcome = match (halt, value) {
        (Some(halt), _) => Err(halt),
        (None, Some(value)) => Ok(value),
        (None, None) => {
            let panic = panics.iter().find(|panic| panic.process == "director");
            Err(Halt::DirectorPanicked(panic.map_or_else(String::new, |panic| panic.message.clone())))
        }
    };
    RunEnd { outcome, trace, panics, virtual_time }
}

fn world(seed: u64) -> ::turmoil::Sim<'static> {
    let drawn = random::derive(seed, &[b"turmoil"]);
    let mut first = [0; 8];
    first.copy_from_slice(&drawn[..8]);
    ::turmoil::Builder::new()
        .tick_duration(TICK)
        .simulation_duration(Duration::MAX)
        .tcp_capacity(TCP_CAPACITY)
        .udp_capacity(UDP_CAPACITY)
        .rng_seed(u64::from_le_bytes(first))
        .enable_random_order()
        .build()
}

/// Lets the director have its turn and turmoil a tick, until the director is done.
fn drive(core: &Arc<Core>, turmoil: &mut ::turmoil::Sim<'static>) -> Option<Halt> {
    let mut directing = Directing::default();
    let mut addresses: Vec<IpAddr> = Vec::new();
    loop {
        let due = core.lock().timers.due(core.now());
        due.into_iter().for_each(Waker::wake);
        directing.take_turn(core);
        if !core.lock().alive(DIRECTOR) {
            return None;
        }
        register(core, turmoil, &mut addresses);
        if let Err(reason) = core.lock().paths.carry_out(turmoil, &addresses) {
            return Some(Halt::Stopped(reason.to_owned()));
        }
        let stepped = turmoil.step();
        if core.is_looping() {
            let at = Duration::from_nanos(core.now());
            return Some(Halt::Stopped(format!(
                "endless loop: {POLLS_PER_TICK_MAX} polls in the tick at {at:?}"
            )));
        }
        if let Err(error) = stepped {
            return Some(Halt::Stopped(format!("turmoil gave up: {error}")));
        }
        let now = core.now() + nanos(TICK);
        core.set_now(now);
        libc_hooks::set_now(now);
    }
}

/// Makes turmoil know the hosts that were added.
fn register(core: &Arc<Core>, turmoil: &mut ::turmoil::Sim<'static>, addresses: &mut Vec<IpAddr>) {
    while addresses.len() < core.lock().hosts.len() {
        let place = addresses.len();
        let address = core.lock().hosts.address(place);
        let found = Arc::new(OnceLock::new());
        let runtime = found.clone();
        // The host itself does nothing: whatever runs on it is spawned on its runtime.
        turmoil.host(address, move || {
            runtime.get_or_init(Handle::current);
            std::future::pending::<::turmoil::Result>()
        });
        let runtime = found.get().expect("turmoil asks for a host's software at once").clone();
        core.lock().hosts.get_mut(HostId(place as u32)).registered(runtime);
        addresses.push(address);
    }
}

/// The director's tasks: polled between ticks, on no host, in the order of their start.
#[derive(Default)]
struct Directing {
    tasks: Vec<(Arc<Task>, Arc<Flag>)>,
}

#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Directing {
    fn take_turn(&mut self, core: &Core) {
        loop {
            let new = std::mem::take(&mut core.lock().to_direct);
            self.tasks.extend(new.into_iter().map(|task| (task, Arc::new(Flag(AtomicBool::new(true))))));
            let mut polled = false;
            self.tasks.retain(|(task, flag)| {
                if !flag.0.swap(false, Ordering::Relaxed) {
                    return true;
                }
                polled = true;
                let waker = Waker::from(flag.clone());
                core.poll(task, &mut Context::from_waker(&waker)) == Poll::Pending
            });
            if !polled || core.is_looping() {
                return;
            }
        }
    }
}
