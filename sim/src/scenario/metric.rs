//! Metrics of nodes, by name and labels.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use relay_node::metadata::Counts;
use relay_node::metrics::{Levels, Metrics};

/// Values of a node's metrics: those whose labels fit, added up. Written `relay_links{kind="home"}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeMetric {
    name: String,
    /// Labels and their values; others may be there.
    labels: Vec<(String, String)>,
}

impl NodeMetric {
    /// Reads a name, with labels in braces or without.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<NodeMetric, &'static str> {
        let Some((name, rest)) = text.split_once('{') else {
            return Ok(NodeMetric { name: text.to_owned(), labels: Vec::new() });
        };
        let inside = rest.strip_suffix('}').ok_or("the braces are not closed")?;
        let labels = labels(inside).ok_or("labels are written {label=\"value\"}")?;
        Ok(NodeMetric { name: name.to_owned(), labels })
    }

    /// Its name, without labels.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its value in what a node tells of itself, in Prometheus' text format; 0 where nothing was counted yet.
    pub fn value_in(&self, text: &str) -> f64 {
        let lines = text.lines().filter(|line| line.starts_with(&self.name));
        lines.filter_map(|line| self.value_of(line)).sum()
    }

    fn value_of(&self, line: &str) -> Option<f64> {
        let (metric, value) = line.rsplit_once(' ')?;
        let rest = metric.strip_prefix(&*self.name)?;
        let there = match rest.strip_prefix('{') {
            Some(inside) => labels(inside.strip_suffix('}')?)?,
            None if rest.is_empty() => Vec::new(),
            // A longer name that begins like this one.
            None => return None,
        };
        self.labels.iter().all(|wanted| there.contains(wanted)).then(|| value.parse().ok())?
    }

    /// The names of all metrics that nodes tell.
    pub fn known() -> BTreeSet<String> {
        let metrics = Metrics::default();
        metrics.call_ended(None, Duration::ZERO);
        metrics.turned_away();
        let text = metrics.scrape(&Levels {
            failed_here: vec![(0, 1)],
            directory: Some(Counts::default()),
            ..Levels::default()
        });
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.filter_map(|line| line.split(['{', ' ']).next()).map(str::to_owned).collect()
    }
}

impl fmt::Display for NodeMetric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if self.labels.is_empty() {
            return Ok(());
        }
        let labels: Vec<_> =
            self.labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
        write!(f, "{{{}}}", labels.join(","))
    }
}

/// `kind="home",lane="data"`.
fn labels(text: &str) -> Option<Vec<(String, String)>> {
    let one = |label: &str| {
        let (name, value) = label.split_once('=')?;
        let value = value.trim().strip_prefix('"')?.strip_suffix('"')?;
        Some((name.trim().to_owned(), value.to_owned()))
    };
    text.split(',').map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP relay_links Current links.\n# TYPE relay_links gauge\n\
        relay_links{kind=\"home\"} 3\nrelay_links{kind=\"main\"} 2\nrelay_links_total 9\n\
        relay_calls_total{code=\"0\",kind=\"x\"} 40\nrelay_calls_in_flight 5\nrelay_share 0.25\n# EOF\n";

    #[test]
    fn what_fits_is_added_up() {
        let value = |text: &str| NodeMetric::parse(text).unwrap().value_in(TEXT);
        assert_eq!(value("relay_links"), 5.0);
        assert_eq!(value("relay_links{kind=\"home\"}"), 3.0);
        assert_eq!(value("relay_links{ kind = \"home\" }"), 3.0);
        assert_eq!(value("relay_calls_total{kind=\"x\"}"), 40.0);
        assert_eq!(value("relay_share"), 0.25);
        assert_eq!(value("relay_calls"), 0.0, "a name is a whole name");
    }

    #[test]
    fn mistakes_are_told() {
        for bad in ["relay_links{kind=\"home\"", "relay_links{kind}", "relay_links{kind=home}"] {
            assert!(NodeMetric::parse(bad).is_err(), "{bad}");
        }
        let metric = NodeMetric::parse("relay_links{kind=\"home\",lane=\"data\"}").unwrap();
        assert_eq!(metric.to_string(), "relay_links{kind=\"home\",lane=\"data\"}");
    }

    #[test]
    fn nodes_tell_what_they_are_said_to_tell() {
        let known = NodeMetric::known();
        for name in [
            "relay_links",
            "relay_calls_total",
            "relay_breakers",
            "relay_reconnects_total",
            "relay_dht_bytes_total",
        ] {
            assert!(known.contains(name), "{name} in {known:?}");
        }
    }
}
