//! What a relay reports of itself: its metrics, and the circuit breakers that it names.

use std::time::Duration;

use serde::Deserialize;

/// One relay's report, as its routes gave it at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reported {
    samples: Vec<Sample>,
    /// Breakers that are open, and when each lets a probe through, counted from the report.
    pub open_breakers: Vec<OpenBreaker>,
}

/// A line of the metrics: `NAME{LABELS} VALUE`.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The metric.
    pub name: String,
    /// Its labels as they stand between the braces; empty where it has none.
    pub labels: String,
    /// Its value.
    pub value: f64,
}

/// A breaker that lets nothing through.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenBreaker {
    /// The instance, or the Main at the other end of a link.
    pub node: String,
    /// The instance's service; `None` where it is about a link.
    pub service: Option<String>,
    /// Until then.
    pub retry_in: Duration,
}

#[derive(Deserialize)]
struct Health {
    #[serde(default)]
    breakers: Vec<Breaker>,
}

#[derive(Deserialize)]
struct Breaker {
    node_id: String,
    service_name: Option<String>,
    retry_in_seconds: Option<f64>,
}

impl Reported {
    /// Reads the metrics' text; lines of histograms' buckets are left out, and so is what is no sample.
    pub fn from_metrics(text: &str) -> Self {
        let samples = text.lines().filter_map(|line| {
            let (what, value) = line.rsplit_once(' ')?;
            let (name, labels) = match what.split_once('{') {
                Some((name, rest)) => (name, rest.strip_suffix('}')?),
                None => (what, ""),
            };
            if name.starts_with('#') || name.ends_with("_bucket") {
                return None;
            }
            Some(Sample { name: name.to_owned(), labels: labels.to_owned(), value: value.parse().ok()? })
        });
        Reported { samples: samples.collect(), open_breakers: Vec::new() }
    }

    /// Adds the breakers that a Main's health names.
    ///
    /// # Errors
    /// Where the text is no such report.
    pub fn with_health(mut self, health: &[u8]) -> Result<Self, serde_json::Error> {
        let health: Health = serde_json::from_slice(health)?;
        self.open_breakers = health
            .breakers
            .into_iter()
            .filter_map(|it| {
                let retry_in = Duration::try_from_secs_f64(it.retry_in_seconds?).ok()?;
                Some(OpenBreaker { node: it.node_id, service: it.service_name, retry_in })
            })
            .collect();
        Ok(self)
    }

    /// The samples of one metric.
    pub fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Sample> + 'a {
        self.samples.iter().filter(move |sample| sample.name == name)
    }

    /// The sample with this name and these labels.
    pub fn value(&self, name: &str, labels: &str) -> Option<f64> {
        self.of(name).find(|sample| sample.labels == labels).map(|sample| sample.value)
    }

    /// All samples of one metric, to be changed.
    pub fn of_mut<'a>(&'a mut self, name: &'a str) -> impl Iterator<Item = &'a mut Sample> + 'a {
        self.samples.iter_mut().filter(move |sample| sample.name == name)
    }
}

impl Sample {
    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.split(',').find_map(|pair| {
            let (key, value) = pair.split_once('=')?;
            (key == name).then(|| value.trim_matches('"'))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP relay_links Current links.\n# TYPE relay_links gauge\nrelay_links{kind=\"home\"} 3\n\
                        relay_calls_in_flight 7\nrelay_call_latency_seconds_bucket{le=\"0.1\"} 4\n\
                        relay_breaker_changes_total{from=\"closed\",to=\"open\"} 2\n# EOF\n";

    #[test]
    fn metrics_are_read_line_by_line() {
        let reported = Reported::from_metrics(TEXT);
        assert_eq!(reported.value("relay_calls_in_flight", ""), Some(7.0));
        assert_eq!(reported.value("relay_links", "kind=\"home\""), Some(3.0));
        let change = reported.of("relay_breaker_changes_total").next().unwrap();
        assert_eq!((change.label("from"), change.label("to")), (Some("closed"), Some("open")));
        assert_eq!(change.label("via"), None);
        assert_eq!(reported.samples.len(), 3, "no buckets, no comments");
    }

    #[test]
    fn open_breakers_are_taken_from_the_health() {
        let health = br#"{"status":"healthy","breakers":[
            {"node_id":"home-a","service_name":"echo","state":"open","retry_in_seconds":12.5},
            {"node_id":"main-b","service_name":null,"state":"half-open","retry_in_seconds":null}]}"#;
        let reported = Reported::default().with_health(health).unwrap();
        let open = OpenBreaker {
            node: "home-a".into(),
            service: Some("echo".into()),
            retry_in: Duration::from_millis(12_500),
        };
        assert_eq!(reported.open_breakers, [open]);
        assert!(Reported::default().with_health(b"<html>").is_err());
    }
}
