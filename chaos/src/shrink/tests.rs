use proptest::prelude::*;

use super::*;

/// Answers with the first candidate that `fails`, and counts candidates.
fn run(units: Vec<u32>, fails: impl Fn(&[u32]) -> bool) -> (Vec<u32>, usize) {
    let mut tried = 0;
    let minimised = minimise(units, |batch| {
        for number in 0..batch.len() {
            tried += 1;
            if fails(&batch.candidate(number).into_iter().copied().collect::<Vec<_>>()) {
                return Answer::Fails(number);
            }
        }
        Answer::NoneFails
    });
    assert!(minimised.is_minimal);
    (minimised.units, tried)
}

#[test]
fn finds_the_one_that_matters_in_few_tries() {
    let (left, tried) = run((0..1_000).collect(), |units| units.contains(&777));
    assert_eq!(left, [777]);
    assert!(tried < 60, "{tried}");
}

#[test]
fn finds_two_that_only_fail_together() {
    let (left, _) = run((0..100).collect(), |units| units.contains(&3) && units.contains(&96));
    assert_eq!(left, [3, 96]);
}

#[test]
fn what_fails_by_itself_needs_nothing() {
    assert_eq!(run((0..20).collect(), |_| true).0, []);
    assert_eq!(run(vec![1], |_| true).0, []);
    assert_eq!(run(Vec::new(), |_| true), (Vec::new(), 0));
}

#[test]
fn stops_when_told_and_keeps_what_it_has() {
    let mut left = 3;
    let minimised = minimise((0..64).collect::<Vec<u32>>(), |batch| {
        left -= 1;
        let fails = |number: &usize| batch.candidate(*number).contains(&&5);
        if left == 0 {
            Answer::Stop
        } else {
            (0..batch.len()).find(fails).map_or(Answer::NoneFails, Answer::Fails)
        }
    });
    assert!(!minimised.is_minimal);
    assert!(minimised.units.contains(&5) && minimised.units.len() < 64, "{:?}", minimised.units);
}

proptest! {
    /// Whatever the test asks for: the result fails, and no single unit of it can go.
    #[test]
    fn the_result_fails_and_is_one_minimal(
        count in 0_u32..40,
        needed in proptest::collection::vec(0_u32..40, 0..4),
        other in proptest::collection::vec(0_u32..40, 0..4),
        least in 0_usize..3,
    ) {
        // Not monotone: more units may hide the failure.
        let fails = |units: &[u32]| {
            units.len() >= least
                && (needed.iter().all(|it| units.contains(it))
                    || (units.len() % 2 == 1 && other.iter().all(|it| units.contains(it))))
        };
        let units: Vec<u32> = (0..count).collect();
        prop_assume!(fails(&units));
        let (left, _) = run(units, fails);
        prop_assert!(fails(&left));
        for gone in 0..left.len() {
            let mut fewer = left.clone();
            fewer.remove(gone);
            prop_assert!(!fails(&fewer), "{left:?} without number {gone}");
        }
    }
}
