//! How long the Mains take to agree with the truth after something has changed.
//!
//! The clock of an episode starts when the last disturbance is over: the last heal or restart, or a departure for
//! good. It stops when every Main, asked after that, has told the truth. A disturbance in between ends the episode
//! without a verdict, unless it had taken too long by then already.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::scenario::HostIndex;

/// One return to agreement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Episode {
    /// What had happened.
    pub cause: String,
    /// When the last disturbance was over.
    pub start: Duration,
    /// How it ended.
    pub end: EpisodeEnd,
}

/// How an [`Episode`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EpisodeEnd {
    /// Every Main told the truth so long after the start.
    Settled(Duration),
    /// Something new happened so long after the start, before they did.
    Disturbed(Duration),
    /// The run was over so long after the start, before they did.
    RunOver(Duration),
}

/// All episodes of a run.
#[derive(Default)]
pub struct Convergence {
    /// Those that have ended, by time.
    pub episodes: Vec<Episode>,
    pending: Option<(Duration, String)>,
    /// Disturbances that go on.
    disturbed: u32,
    /// When the first of them began.
    disturbed_since: Duration,
    agree: BTreeSet<HostIndex>,
}

impl Convergence {
    /// A disturbance begins; [`Convergence::calm`] ends it.
    pub fn disturb(&mut self, at: Duration) {
        if self.disturbed == 0 {
            self.disturbed_since = at;
        }
        self.disturbed += 1;
        self.interrupt(at);
    }

    /// A disturbance is over.
    pub fn calm(&mut self, at: Duration, cause: String) {
        self.disturbed = self.disturbed.saturating_sub(1);
        self.changed(at, cause);
    }

    /// Something has changed at once: a start, or a departure for good.
    pub fn changed(&mut self, at: Duration, cause: String) {
        let cause = match &self.pending {
            // Several changes at one moment are one.
            Some((start, other)) if *start == at && !other.contains(&cause) => format!("{other}; {cause}"),
            Some((start, other)) if *start == at => other.clone(),
            _ => cause,
        };
        if self.pending.as_ref().is_some_and(|(start, _)| *start < at) {
            self.interrupt(at);
        }
        if self.disturbed == 0 {
            self.pending = Some((at, cause));
            self.agree.clear();
        }
    }

    /// Whether an episode is under way.
    pub fn is_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// A Main, asked at `asked`, had told the truth or not by `at`. Returns how long the episode took that this ends.
    pub(super) fn compared(
        &mut self,
        asked: Duration,
        at: Duration,
        main: HostIndex,
        agrees: bool,
        all: &[HostIndex],
    ) -> Option<Duration> {
        let (start, _) = self.pending.as_ref().filter(|(start, _)| asked >= *start)?;
        if !agrees {
            self.agree.remove(&main);
            return None;
        }
        self.agree.insert(main);
        if !all.iter().all(|main| self.agree.contains(main)) {
            return None;
        }
        let took = at - *start;
        self.end(EpisodeEnd::Settled(took));
        Some(took)
    }

    /// The run is over.
    pub(super) fn finish(&mut self, at: Duration) {
        if let Some((start, _)) = &self.pending {
            let waited = at.saturating_sub(*start);
            self.end(EpisodeEnd::RunOver(waited));
        } else if self.disturbed > 0 {
            // However well the Mains had agreed before: they never did again.
            let (start, cause) = (self.disturbed_since, "a disturbance was not over when the run was".into());
            let end = EpisodeEnd::RunOver(at.saturating_sub(start));
            self.episodes.push(Episode { cause, start, end });
        }
    }

    fn interrupt(&mut self, at: Duration) {
        if let Some((start, _)) = &self.pending {
            let waited = at.saturating_sub(*start);
            self.end(EpisodeEnd::Disturbed(waited));
        }
    }

    fn end(&mut self, end: EpisodeEnd) {
        if let Some((start, cause)) = self.pending.take() {
            self.episodes.push(Episode { cause, start, end });
        }
        self.agree.clear();
    }

    /// The longest time that any episode took, those included that did not end in agreement, and whether all that
    /// were not disturbed did.
    pub fn worst(&self) -> Option<(Duration, bool)> {
        let took = |episode: &Episode| match episode.end {
            EpisodeEnd::Settled(took) => (took, true),
            EpisodeEnd::Disturbed(took) => (took, true),
            EpisodeEnd::RunOver(took) => (took, false),
        };
        let longest = self.episodes.iter().map(|episode| took(episode).0).max()?;
        Some((longest, self.episodes.iter().all(|episode| took(episode).1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAINS: [HostIndex; 2] = [HostIndex(0), HostIndex(1)];

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn compare(convergence: &mut Convergence, at: u64, main: usize, agrees: bool) -> Option<Duration> {
        convergence.compared(s(at), s(at), MAINS[main], agrees, &MAINS)
    }

    #[test]
    fn an_episode_ends_when_all_mains_agree_at_the_same_time() {
        let mut it = Convergence::default();
        it.changed(s(0), "start".into());
        assert_eq!(compare(&mut it, 1, 0, true), None);
        assert_eq!(compare(&mut it, 2, 0, false), None);
        assert_eq!(compare(&mut it, 3, 1, true), None, "the first no longer agrees");
        assert_eq!(compare(&mut it, 4, 0, true), Some(s(4)));
        assert!(!it.is_pending());
        assert_eq!(it.worst(), Some((s(4), true)));
    }

    #[test]
    fn the_clock_starts_when_the_last_disturbance_is_over() {
        let mut it = Convergence::default();
        it.disturb(s(10));
        it.disturb(s(20));
        it.calm(s(30), "heal".into());
        assert!(!it.is_pending());
        it.calm(s(40), "restart".into());
        assert_eq!(it.compared(s(39), s(41), MAINS[0], true, &MAINS), None, "asked before the clock started");
        compare(&mut it, 45, 0, true);
        assert_eq!(compare(&mut it, 46, 1, true), Some(s(6)));
        assert_eq!(it.episodes.len(), 1);
        assert_eq!(it.episodes[0].cause, "restart");
    }

    #[test]
    fn what_never_settles_is_no_success() {
        let mut it = Convergence::default();
        it.changed(s(0), "start".into());
        it.disturb(s(5));
        assert_eq!(it.episodes[0].end, EpisodeEnd::Disturbed(s(5)));
        it.calm(s(50), "heal".into());
        it.finish(s(60));
        assert_eq!(it.worst(), Some((s(10), false)));

        let mut it = Convergence::default();
        it.disturb(s(5));
        it.finish(s(60));
        assert_eq!(it.worst(), Some((s(55), false)), "a disturbance that outlasts the run");
    }

    #[test]
    fn who_never_comes_back_is_missed_whatever_was_settled_before() {
        let mut it = Convergence::default();
        it.changed(s(0), "start".into());
        compare(&mut it, 1, 0, true);
        assert_eq!(compare(&mut it, 1, 1, true), Some(s(1)));
        it.disturb(s(20));
        it.disturb(s(30));
        it.calm(s(40), "heal".into());
        assert_eq!(compare(&mut it, 45, 0, true), None);
        it.finish(s(60));
        assert_eq!(it.worst(), Some((s(40), false)));
    }
}
