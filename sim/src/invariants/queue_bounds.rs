//! What a relay holds stays within the limit that it names.
//!
//! Source: DESIGN §6: every queue and map has a limit. Each bounded table and queue is among the metrics with what is in
//! it and with what may be; a relay that reports none is not to be believed either.

use super::{Findings, Invariant, Observed};

const ENTRIES: &str = "relay_table_entries";
const LIMIT: &str = "relay_table_limit";

/// See the module.
pub(super) struct QueueBounds {
    /// By host index: its name.
    names: Vec<String>,
}

impl QueueBounds {
    pub(super) fn new(names: Vec<String>) -> Self {
        QueueBounds { names }
    }
}

impl Invariant for QueueBounds {
    fn name(&self) -> &'static str {
        "queue-bounds"
    }

    fn statement(&self) -> String {
        "each table and queue that a relay reports stays within the limit that it reports".into()
    }

    fn observe(&mut self, observed: &Observed<'_>, findings: &mut Findings) {
        let Observed::Reported { at, host, reported } = *observed else { return };
        let name = &self.names[host.as_usize()];
        let mut tables = 0;
        for sample in reported.of(ENTRIES) {
            tables += 1;
            let limit = reported.value(LIMIT, &sample.labels);
            findings.check(at, limit.is_some_and(|limit| (0.0..=limit).contains(&sample.value)), || {
                let limit = limit.map_or("no limit".to_owned(), |limit| format!("a limit of {limit}"));
                format!("{name} reports {} in {} and {limit}", sample.value, sample.labels)
            });
        }
        findings.check(at, tables > 0, || format!("{name} reports no table"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::Reported;
    use super::super::testing::{judge, seconds};
    use super::*;
    use crate::scenario::HostIndex;

    fn violated(text: &str) -> u64 {
        let reported = Reported::from_metrics(text);
        let seen = Observed::Reported { at: seconds(1), host: HostIndex(0), reported: &reported };
        judge(QueueBounds::new(vec!["main".into()]), &[seen]).violated
    }

    #[test]
    fn full_is_fine_more_is_not_and_neither_is_silence() {
        let table = |entries: &str, limit: &str| {
            format!(
                "relay_table_entries{{table=\"a\"}} {entries}\nrelay_table_limit{{table=\"a\"}} {limit}\n"
            )
        };
        assert_eq!(violated(&table("0", "10")), 0);
        assert_eq!(violated(&table("10", "10")), 0);
        assert_eq!(violated(&table("11", "10")), 1);
        assert_eq!(violated(&table("-1", "10")), 1);
        assert_eq!(violated("relay_table_entries{table=\"a\"} 1\n"), 1, "a table without a limit");
        assert_eq!(violated("relay_links{kind=\"home\"} 3\n"), 1, "no table at all");
    }
}
