//! Calls that are expected to fail.

/// How many calls failed as they were expected to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExpectedCalls {
    /// Calls that the expectation speaks of.
    pub calls: u64,
    /// Of those, the ones that failed so.
    pub failed: u64,
}

impl ExpectedCalls {
    pub(super) fn count(&mut self, fits: bool) {
        self.calls += 1;
        self.failed += u64::from(fits);
    }
}
