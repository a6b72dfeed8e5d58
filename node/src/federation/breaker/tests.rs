//! Each transition with its exact time, and random histories against a naive model.

use proptest::prelude::*;

use super::keyed::MAX_BREAKERS;
use super::window::{BUCKET_NANOS, WINDOW_BUCKETS};
use super::*;

fn at(millis: u64) -> Instant {
    Instant::default() + Duration::from_millis(millis)
}

fn call(breaker: &mut Breaker, verdict: Verdict, millis: u64) {
    let permit = breaker.allow(at(millis)).expect("the breaker lets a call through");
    breaker.record(permit, verdict, at(millis));
}

/// Open since `millis`.
fn opened(millis: u64) -> Breaker {
    let mut breaker = Breaker::new();
    for _ in 0..CONSECUTIVE_FAILURES {
        call(&mut breaker, Verdict::Failure, millis);
    }
    breaker
}

#[test]
fn five_failures_in_a_row_open_it_and_four_do_not() {
    let mut breaker = Breaker::new();
    for _ in 0..3 {
        for _ in 0..4 {
            call(&mut breaker, Verdict::Failure, 0);
        }
        call(&mut breaker, Verdict::Success, 0);
    }
    assert_eq!(breaker.state(at(0)), State::Closed);
    // Out of the window, so that only the row matters.
    for _ in 0..4 {
        call(&mut breaker, Verdict::Failure, 20_000);
    }
    assert_eq!(breaker.state(at(20_000)), State::Closed);
    call(&mut breaker, Verdict::Failure, 20_007);
    assert_eq!(breaker.state(at(20_007)), State::Open { until: at(50_007) });
    assert_eq!(breaker.allow(at(20_007)), Err(Refused { until: at(50_007) }));
}

#[test]
fn calls_without_a_verdict_neither_break_nor_make_a_row() {
    let mut breaker = Breaker::new();
    for _ in 0..4 {
        call(&mut breaker, Verdict::Failure, 0);
        call(&mut breaker, Verdict::Unknown, 0);
    }
    assert_eq!(breaker.state(at(0)), State::Closed);
    call(&mut breaker, Verdict::Failure, 0);
    assert_eq!(breaker.state(at(0)), State::Open { until: at(30_000) });
}

#[test]
fn half_of_twenty_calls_in_ten_seconds_open_it() {
    let mut breaker = Breaker::new();
    for pair in 0..9 {
        call(&mut breaker, Verdict::Success, pair * 1_000);
        call(&mut breaker, Verdict::Failure, pair * 1_000);
    }
    call(&mut breaker, Verdict::Success, 9_999);
    assert_eq!(breaker.state(at(9_999)), State::Closed, "19 calls are too few");
    call(&mut breaker, Verdict::Failure, 9_999);
    assert_eq!(breaker.state(at(9_999)), State::Open { until: at(39_999) });
}

#[test]
fn what_left_the_window_does_not_count() {
    let mut breaker = Breaker::new();
    for pair in 0..9 {
        call(&mut breaker, Verdict::Success, pair * 1_000);
        call(&mut breaker, Verdict::Failure, pair * 1_000);
    }
    // The first pair is ten seconds old by now.
    call(&mut breaker, Verdict::Success, 10_000);
    call(&mut breaker, Verdict::Failure, 10_000);
    assert_eq!(breaker.state(at(10_000)), State::Closed);
}

#[test]
fn a_rate_below_half_does_not_open_it() {
    let mut breaker = Breaker::new();
    for _ in 0..1_000 {
        for verdict in [Verdict::Success, Verdict::Failure, Verdict::Success] {
            call(&mut breaker, verdict, 500);
        }
    }
    assert_eq!(breaker.state(at(500)), State::Closed);
}

#[test]
fn after_thirty_seconds_one_probe_passes() {
    let mut breaker = opened(0);
    assert!(!breaker.admits(at(29_999)));
    assert_eq!(breaker.state(at(29_999)), State::Open { until: at(30_000) });
    assert!(breaker.admits(at(30_000)));
    assert_eq!(breaker.state(at(30_000)), State::HalfOpen);
    let _probe = breaker.allow(at(30_000)).unwrap();
    assert!(!breaker.admits(at(30_000)));
    assert_eq!(breaker.allow(at(30_001)), Err(Refused { until: at(60_000) }));
}

#[test]
fn a_good_probe_closes_it_with_a_clean_record() {
    let mut breaker = opened(0);
    call(&mut breaker, Verdict::Success, 30_000);
    assert_eq!(breaker.state(at(30_000)), State::Closed);
    for _ in 0..4 {
        call(&mut breaker, Verdict::Failure, 30_000);
    }
    assert_eq!(breaker.state(at(30_000)), State::Closed);
}

#[test]
fn a_bad_probe_opens_it_for_thirty_seconds_more() {
    let mut breaker = opened(0);
    let probe = breaker.allow(at(31_000)).unwrap();
    breaker.record(probe, Verdict::Failure, at(33_000));
    assert_eq!(breaker.state(at(33_000)), State::Open { until: at(63_000) });
}

#[test]
fn late_results_say_nothing_about_the_probe() {
    let mut breaker = Breaker::new();
    let [early, late] = [breaker.allow(at(0)).unwrap(), breaker.allow(at(0)).unwrap()];
    for _ in 0..CONSECUTIVE_FAILURES {
        call(&mut breaker, Verdict::Failure, 0);
    }
    breaker.record(early, Verdict::Success, at(10));
    assert_eq!(breaker.state(at(10)), State::Open { until: at(30_000) });
    let probe = breaker.allow(at(30_000)).unwrap();
    breaker.record(late, Verdict::Failure, at(30_001));
    assert_eq!(breaker.state(at(30_001)), State::HalfOpen, "the probe is still under way");
    breaker.record(probe, Verdict::Success, at(30_002));
    assert_eq!(breaker.state(at(30_002)), State::Closed);
}

#[test]
fn a_probe_that_is_called_off_or_lost_makes_way_for_another() {
    let mut breaker = opened(0);
    let probe = breaker.allow(at(30_000)).unwrap();
    breaker.record(probe, Verdict::Unknown, at(30_001));
    assert_eq!(breaker.state(at(30_001)), State::HalfOpen);
    let lost = breaker.allow(at(30_001)).unwrap();
    assert!(breaker.allow(at(60_000)).is_err());
    let second = breaker.allow(at(60_001)).unwrap();
    breaker.record(lost, Verdict::Failure, at(60_002));
    breaker.record(second, Verdict::Success, at(60_003));
    assert_eq!(breaker.state(at(60_003)), State::Closed);
}

#[test]
fn only_what_the_instance_is_to_blame_for_counts() {
    for (code, expected) in [
        (-32003, true),
        (-32004, true),
        (-32603, true),
        (-32010, true),
        (-32601, false),
        (-32602, false),
        (-32001, false),
        (-32005, false),
        (-32007, false),
        (-32011, false),
        (1, false),
    ] {
        assert_eq!(counts(code), expected, "{code}");
    }
    let service_failed = |detail: Option<serde_json::Value>| {
        let failure = Failure::ServiceFailed { message: "x".into(), detail };
        let said = failure.counts();
        let node = "alice.home".parse().unwrap();
        assert_eq!(failure.at(&node, &[]).counts(), said);
        said
    };
    assert!(service_failed(None));
    assert!(service_failed(Some(serde_json::json!({"code": -32603}))));
    assert!(!service_failed(Some(serde_json::json!({"code": -32602}))));
    assert!(!service_failed(Some(serde_json::json!("out of stock"))));
    assert!(service_failed(Some(serde_json::json!({"http_status": 503}))));
    assert!(!service_failed(Some(serde_json::json!({"http_status": 404}))));
    let failed = Failure::TimedOut(Duration::ZERO).at(&"a".parse().unwrap(), &[]);
    assert_eq!(Verdict::of::<()>(&Err(failed)), Verdict::Failure);
    assert_eq!(Verdict::of(&Ok(())), Verdict::Success);
}

#[test]
fn keys_are_judged_apart_and_forgotten_when_idle() {
    let mut breakers = Breakers::new();
    let start = at(100_000);
    for _ in 0..CONSECUTIVE_FAILURES {
        for (key, verdict) in [("bad", Verdict::Failure), ("good", Verdict::Success)] {
            let permit = breakers.allow(key, start).unwrap();
            breakers.record(&key, permit, verdict, start);
        }
    }
    assert!(!breakers.admits(&"bad", start) && breakers.admits(&"good", start));
    assert!(breakers.admits(&"never seen", start));
    let open = State::Open { until: start + OPEN_FOR };
    assert_eq!(breakers.tripped(start).collect::<Vec<_>>(), [(&"bad", open)]);
    assert_eq!(breakers.len(), 2);
    let _ = breakers.allow("other", at(400_000)).unwrap();
    assert_eq!(breakers.len(), 1);
    assert_eq!(breakers.state(&"bad", at(400_000)), State::Closed);
}

#[test]
fn a_permit_outlives_its_breaker_without_harm() {
    let mut breakers = Breakers::new();
    let stale: Vec<_> = (0..CONSECUTIVE_FAILURES).map(|_| breakers.allow("a", at(0)).unwrap()).collect();
    breakers.forget(&"a");
    let _ = breakers.allow("a", at(1)).unwrap();
    for permit in stale {
        breakers.record(&"a", permit, Verdict::Failure, at(2));
    }
    assert_eq!(breakers.state(&"a", at(2)), State::Closed);
}

#[test]
fn a_full_house_lets_newcomers_pass_unjudged() {
    let mut breakers = Breakers::new();
    for key in 0..=MAX_BREAKERS {
        for _ in 0..CONSECUTIVE_FAILURES {
            let permit = breakers.allow(key, at(1)).unwrap();
            breakers.record(&key, permit, Verdict::Failure, at(1));
        }
    }
    assert_eq!(breakers.len(), MAX_BREAKERS);
    assert!(!breakers.admits(&(MAX_BREAKERS - 1), at(1)));
    assert!(breakers.admits(&MAX_BREAKERS, at(1)));
}

/// The same in the plainest words: the whole history, looked at anew each time.
#[derive(Default)]
struct Model {
    /// Results since the breaker closed last: when, and whether it failed.
    history: Vec<(u64, bool)>,
    open_until: Option<u64>,
    /// The probe under way: its number, and when it is given up.
    probe: Option<(usize, u64)>,
    /// Calls with a lower number were made before the last change.
    changed_at_call: usize,
}

impl Model {
    fn admits(&self, now: u64) -> bool {
        self.open_until.is_none_or(|until| now >= until) && self.probe.is_none_or(|(_, until)| now >= until)
    }

    fn allow(&mut self, call: usize, now: u64) -> bool {
        let admitted = self.admits(now);
        if admitted && self.open_until.is_some() {
            self.probe = Some((call, now + OPEN_FOR.as_nanos() as u64));
        }
        admitted
    }

    fn record(&mut self, call: usize, verdict: Verdict, now: u64, next_call: usize) {
        match (self.open_until, self.probe, verdict) {
            (Some(_), Some((probe, _)), Verdict::Unknown) if probe == call => self.probe = None,
            (Some(_), Some((probe, _)), verdict) if probe == call => {
                let until = now + OPEN_FOR.as_nanos() as u64;
                let opens = verdict == Verdict::Failure;
                *self = Model {
                    open_until: opens.then_some(until),
                    changed_at_call: next_call,
                    ..Model::default()
                };
            }
            (Some(_), _, _) | (None, _, Verdict::Unknown) => {}
            (None, _, _) if call < self.changed_at_call => {}
            (None, _, verdict) => {
                self.history.push((now, verdict == Verdict::Failure));
                let row = self.history.iter().rev().take_while(|(_, failed)| *failed).count();
                let oldest = (now / BUCKET_NANOS + 1).saturating_sub(WINDOW_BUCKETS);
                let recent = self.history.iter().filter(|(at, _)| at / BUCKET_NANOS >= oldest);
                let calls = recent.clone().count();
                let failed = recent.filter(|(_, failed)| *failed).count();
                let bad_rate = verdict == Verdict::Failure && calls >= 20 && failed * 2 >= calls;
                if row >= 5 || bad_rate {
                    let until = now + OPEN_FOR.as_nanos() as u64;
                    *self = Model { open_until: Some(until), changed_at_call: next_call, ..Model::default() };
                }
            }
        }
    }

    fn state(&self, now: u64) -> State {
        match self.open_until {
            None => State::Closed,
            Some(until) if now < until => State::Open { until: Instant::from_nanos(until) },
            Some(_) => State::HalfOpen,
        }
    }
}

proptest! {
    #[test]
    fn it_does_what_the_model_does(
        // Milliseconds to the next step; whether it makes a call or ends one; which; how.
        steps in proptest::collection::vec(
            (prop_oneof![4 => 0u64..300, 1 => 0u64..40_000], any::<bool>(), any::<prop::sample::Index>(), 0u8..10),
            1..400,
        ),
        failing in 1u8..10,
    ) {
        let (mut breaker, mut model) = (Breaker::new(), Model::default());
        let mut under_way: Vec<(usize, Permit)> = Vec::new();
        let (mut now, mut calls) = (0, 0);
        for (gap, starts, which, luck) in steps {
            now += gap * 1_000_000;
            let at = Instant::from_nanos(now);
            if starts || under_way.is_empty() {
                prop_assert_eq!(breaker.admits(at), model.admits(now));
                let permit = breaker.allow(at);
                prop_assert_eq!(permit.is_ok(), model.allow(calls, now));
                under_way.extend(permit.map(|permit| (calls, permit)));
                calls += 1;
            } else {
                let (call, permit) = under_way.swap_remove(which.index(under_way.len()));
                let verdict = match luck {
                    0 => Verdict::Unknown,
                    luck if luck <= failing => Verdict::Failure,
                    _ => Verdict::Success,
                };
                breaker.record(permit, verdict, at);
                model.record(call, verdict, now, calls);
            }
            prop_assert_eq!(breaker.state(at), model.state(now));
        }
    }
}

#[test]
fn changes_are_counted_by_both_ends_and_legal_ones_are_told_from_the_start() {
    let mut breakers = Breakers::new();
    let told =
        |breakers: &Breakers<&str>| breakers.changes().iter().map(|(.., count)| count).collect::<Vec<_>>();
    assert_eq!(
        told(&breakers),
        [0, 0, 0, 0],
        "closed-open, open-half-open, half-open-closed, half-open-open"
    );
    for _ in 0..CONSECUTIVE_FAILURES {
        let permit = breakers.allow("a", at(0)).unwrap();
        breakers.record(&"a", permit, Verdict::Failure, at(0));
    }
    let probe = breakers.allow("a", at(30_000)).unwrap();
    breakers.record(&"a", probe, Verdict::Failure, at(30_000));
    let probe = breakers.allow("a", at(60_000)).unwrap();
    breakers.record(&"a", probe, Verdict::Success, at(60_000));
    assert_eq!(told(&breakers), [1, 2, 1, 1]);
    assert_eq!(
        told(&breakers),
        breakers.changes().plus(Breakers::<&str>::new().changes()).iter().map(|it| it.2).collect::<Vec<_>>()
    );
    let legal = |from: Stage, to: Stage| from.may_become(to);
    assert!(!legal(Stage::Closed, Stage::HalfOpen) && !legal(Stage::Open, Stage::Closed));
}
