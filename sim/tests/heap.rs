//! Live bytes are counted by thread, and a run's memory gate has something to judge.

use std::sync::Arc;

use relay_sim::execute::{Settings, Verdict, execute};
use relay_sim::heap::{Counting, live_bytes};
use relay_sim::scenario::Scenario;

#[global_allocator]
static HEAP: Counting = Counting;

const BYTES: i64 = 1_000_000;

#[test]
#[expect(clippy::disallowed_methods, reason = "threads are what is tested")]
fn what_is_held_is_counted_and_what_others_hold_is_not() {
    let before = live_bytes().expect("this program counts");
    let mut held: Vec<u8> = Vec::with_capacity(BYTES as usize);
    held.push(1);
    let with = live_bytes().unwrap() - before;
    assert!((BYTES..BYTES + 1_000).contains(&with), "{with}");
    held.reserve_exact(2 * BYTES as usize);
    let grown = live_bytes().unwrap() - before;
    assert!(grown >= 2 * BYTES, "{grown}");
    let elsewhere = std::thread::spawn(|| vec![0_u8; BYTES as usize]).join().unwrap();
    assert!(live_bytes().unwrap() - before < grown + BYTES / 2, "another thread's are not counted here");
    drop((held, elsewhere));
    // What another thread has allocated and this one frees counts against this one.
    let after = live_bytes().unwrap() - before;
    assert!((-BYTES - 1_000..-BYTES + 10_000).contains(&after), "{after}");
}

#[test]
fn a_run_that_holds_more_and_more_fails_its_memory_gate_and_one_that_does_not_passes() {
    let run = |limit: &str| {
        let text = format!(
            "duration = \"20m\"\n[[main]]\nname = \"main\"\n[[home]]\nname = \"home\"\ncount = 3\nmain = \"main\"\n\
             [gates]\nmemory_growth = \"{limit}\"\ntable_growth = \"5%\"\n"
        );
        execute(&Arc::new(Scenario::load("test.toml", &text).unwrap()), &Settings::default())
    };
    let flat = run("5%");
    assert_eq!(flat.verdict(), Verdict::Passed, "{:?}", flat.gates);
    let memory = &flat.record.course.levels.memory;
    assert!(memory.mean_in_quarter(1).is_some_and(|bytes| bytes > 100_000.0), "{memory:?}");
}
