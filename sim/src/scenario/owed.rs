//! Until when a relay owes its own caller an outcome, whatever goes wrong with its machine.

use std::time::Duration;

use relay_chaos::{ClockTrouble, FaultKind};

use super::{HostIndex, Scenario};

/// Parts in a million.
const MILLION: u64 = 1_000_000;

/// The slowest that a clock can be, in parts per million: half as fast as a true one.
const SLOW_PPM_MAX: u64 = 500_000;

impl Scenario {
    /// When a call that the relay of `host` was handed at `sent`, with so much time, must have ended at the latest.
    ///
    /// The relay goes by its own clock, which may be slow, and while it is paused it owes nothing: what is overdue then
    /// ends when it goes on.
    pub fn owed_by(&self, host: HostIndex, sent: Duration, timeout: Duration) -> Duration {
        let slow = self.slowest(host);
        let timeout = nanos(timeout);
        let late = timeout.saturating_mul(slow) / (MILLION - slow);
        let mut owed = sent.saturating_add(Duration::from_nanos(timeout.saturating_add(late)));
        for fault in &self.faults {
            let active = fault.active();
            if let (FaultKind::Pause(it), Some(end)) = (&fault.what, active.end)
                && it.hosts.contains(host)
                && active.overlaps(sent, owed)
            {
                owed = owed.max(end.min(self.run.duration));
            }
        }
        owed
    }

    /// By how many parts per million the clock of `host` is slow at its worst.
    fn slowest(&self, host: HostIndex) -> u64 {
        let slow = |clock: &ClockTrouble| {
            let ppm = clock.drift.map_or(0, relay_chaos::Drift::ppm);
            u64::from(ppm.min(0).unsigned_abs())
        };
        let faults = self.faults.iter().filter_map(|fault| match &fault.what {
            FaultKind::Clock(it) if it.hosts.contains(host) => Some(slow(&it.what)),
            _ => None,
        });
        let usual = slow(&self.topology.hosts.get(host).machine.clock);
        (usual + faults.sum::<u64>()).min(SLOW_PPM_MAX)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(rest: &str) -> Scenario {
        let text = format!("duration = \"10m\"\n[[main]]\nname = \"main\"\n{rest}");
        Scenario::load("x.toml", &text).unwrap()
    }

    fn owed(scenario: &Scenario, sent: u64) -> Duration {
        scenario.owed_by(HostIndex(0), Duration::from_secs(sent), Duration::from_secs(10))
    }

    #[test]
    fn a_sound_machine_owes_its_outcome_in_time() {
        assert_eq!(owed(&scenario(""), 5), Duration::from_secs(15));
        assert_eq!(
            owed(&scenario("clock = { drift = \"20%\", offset = \"1h\" }"), 5),
            Duration::from_secs(15)
        );
    }

    #[test]
    fn a_slow_clock_takes_longer() {
        let slow = scenario("clock = { drift = \"-20%\" }");
        assert_eq!(owed(&slow, 5), Duration::from_millis(17_500));
        let slower = "clock = { drift = \"-30%\" }\n[[fault]]\nat = \"1m\"\nkind = \"clock\"\nhost = \"main\"\ndrift = \"-50%\"";
        assert_eq!(owed(&scenario(slower), 5), Duration::from_secs(25), "half as fast, and no slower");
    }

    #[test]
    fn a_paused_one_owes_it_when_it_goes_on() {
        let paused = |lasts| {
            scenario(&format!(
                "[[fault]]\nat = \"1m\"\nkind = \"pause\"\nhost = \"main\"\nlasts = \"{lasts}\""
            ))
        };
        assert_eq!(owed(&paused("40s"), 55), Duration::from_secs(100));
        assert_eq!(owed(&paused("40s"), 99), Duration::from_secs(109));
        assert_eq!(owed(&paused("40s"), 101), Duration::from_secs(111));
        assert_eq!(owed(&paused("40s"), 40), Duration::from_secs(50), "it ended before");
        assert_eq!(
            owed(&paused("1h"), 61),
            Duration::from_secs(600),
            "who is paused at the end goes on then"
        );
    }
}
