//! `[[gate]]`.

use std::time::Duration;

use relay_chaos::quantity::duration;
use relay_chaos::{Rate, Share};
use toml::Spanned;

use super::super::super::asked::{
    Aggregate, Bound, CallMetric, Limit, LookupMetric, Metric, MetricGate, Unit,
};
use super::super::super::error::{Problem, did_you_mean};
use super::super::expand::window;
use super::super::names::check_name;
use super::super::settings::positive;
use super::super::table::Table;
use super::super::values::Number;
use super::{Context, node_metric};

/// The shortest window that is judged for itself.
const MIN_WINDOW: Duration = Duration::from_millis(10);

/// The metrics that every run has.
const BUILT_IN: [(&str, BuiltIn); 15] = [
    ("calls", BuiltIn::Calls(CallMetric::Calls)),
    ("failures", BuiltIn::Calls(CallMetric::Failures)),
    ("call_rate", BuiltIn::Calls(CallMetric::Rate)),
    ("goodput", BuiltIn::Calls(CallMetric::Goodput)),
    ("success", BuiltIn::Calls(CallMetric::Success)),
    ("availability", BuiltIn::Calls(CallMetric::Availability)),
    ("latency", BuiltIn::Calls(CallMetric::Latency)),
    ("reconnects", BuiltIn::Reconnects),
    ("lookups", BuiltIn::Lookups(LookupMetric::Lookups)),
    ("resolution", BuiltIn::Lookups(LookupMetric::Resolution)),
    ("cache_hits", BuiltIn::Lookups(LookupMetric::CacheHits)),
    ("stale", BuiltIn::Lookups(LookupMetric::Stale)),
    ("reach", BuiltIn::Lookups(LookupMetric::Reach)),
    ("lookup_latency", BuiltIn::Lookups(LookupMetric::Latency)),
    ("metadata_bytes", BuiltIn::MetadataBytes),
];

/// A metric that every run has.
#[derive(Clone, Copy)]
enum BuiltIn {
    Calls(CallMetric),
    Reconnects,
    Lookups(LookupMetric),
    MetadataBytes,
}

const AGGREGATES: [(&str, Aggregate); 6] = [
    ("max", Aggregate::Max),
    ("min", Aggregate::Min),
    ("mean", Aggregate::Mean),
    ("sum", Aggregate::Sum),
    ("last", Aggregate::Last),
    ("increase", Aggregate::Increase),
];

/// All gates on metrics.
pub(super) fn read(file: &mut Table<'_>, context: &Context<'_>) -> Vec<MetricGate> {
    let mut gates: Vec<MetricGate> = Vec::new();
    for mut table in file.tables("gate") {
        let gate = gate(&mut table, context);
        if let Some(gate) = &gate
            && gates.iter().any(|other| other.name == gate.name)
        {
            let message = format!("two gates are called `{}`", gate.name);
            table.problem(Problem::new(message, table.value_span("name"), "expected a name of its own"));
        }
        match gate {
            Some(gate) => gates.push(gate),
            None => table.problems().lose_name(),
        }
        table.finish();
    }
    gates
}

fn gate(table: &mut Table<'_>, context: &Context<'_>) -> Option<MetricGate> {
    let name = table.require::<String>("name");
    let name = name.filter(|name| check_name(table, name, "gate"));
    let metric = metric(table, context);
    let of = context.of(table);
    let aggregate = aggregate(table, metric.as_ref());
    let over = window(table, &context.run.phases, context.run.duration);
    let sliding = positive(table, "window");
    let limit = limit(table, metric.as_ref());
    let (metric, aggregate) = (metric?, aggregate?);
    if let Some(window) = sliding {
        check_window(table, window, over.length(), (&metric, aggregate));
    }
    if let Metric::Calls(..) = metric
        && context.loads.is_empty()
        && !table.has("load")
    {
        let problem = Problem::new(
            "this gate judges calls, and the scenario makes none",
            table.value_span("metric"),
            "expected a [[load]] in this file",
        );
        table.problems().add_unknown_name(problem.help("add a [[load]], or leave this gate out"));
    }
    if let Metric::Lookups(..) = metric
        && context.lookups.is_empty()
        && !table.has("lookup")
    {
        let problem = Problem::new(
            "this gate judges lookups, and the scenario makes none",
            table.value_span("metric"),
            "expected a [[lookup]] in this file",
        );
        table.problems().add_unknown_name(problem.help("add a [[lookup]], or leave this gate out"));
    }
    Some(MetricGate { name: name?.into_inner(), metric, of, aggregate, over, sliding, limit: limit? })
}

fn metric(table: &mut Table<'_>, context: &Context<'_>) -> Option<Metric> {
    let text = table.require::<String>("metric");
    let (load, lookup) = (context.load(table), context.lookup(table));
    let text = text?;
    let found = BUILT_IN.iter().find(|(name, _)| name == text.get_ref());
    let metric = match found.map(|(_, it)| *it) {
        Some(BuiltIn::Calls(metric)) => Metric::Calls(metric, load),
        Some(BuiltIn::Lookups(metric)) => Metric::Lookups(metric, lookup),
        Some(BuiltIn::Reconnects) => Metric::Reconnects,
        Some(BuiltIn::MetadataBytes) => Metric::MetadataBytes,
        None => Metric::Node(node_metric(table, &text, &BUILT_IN.map(|(name, _)| name))?),
    };
    for (key, is_about, what) in [
        ("load", matches!(metric, Metric::Calls(..)), "calls"),
        ("lookup", matches!(metric, Metric::Lookups(..)), "lookups"),
    ] {
        if table.has(key) && !is_about {
            let message = format!("`{key}` means nothing here");
            let label = format!("expected no `{key}`: this metric is not about {what}");
            table.problem(Problem::new(message, table.key_span(key), label));
        }
    }
    Some(metric)
}

/// What becomes of many values: of latencies and of what nodes tell, for all else is one value already.
fn aggregate(table: &mut Table<'_>, metric: Option<&Metric>) -> Option<Aggregate> {
    let is_latency = metric.is_some_and(is_latency);
    let Some(text) = table.read::<String>("aggregate") else {
        return match metric? {
            Metric::Node(_) => {
                if !table.has("aggregate") {
                    table.missing("aggregate");
                }
                None
            }
            // A latency of which nothing is said is the one that is mostly asked for.
            _ => Some(Aggregate::Quantile("99%".parse().ok()?)),
        };
    };
    let word = AGGREGATES.iter().find(|(word, _)| word == text.get_ref()).map(|(_, it)| *it);
    let Some(aggregate) = word.or_else(|| quantile(text.get_ref())) else {
        let words = || AGGREGATES.iter().map(|(word, _)| *word);
        let message = format!("bad value for `aggregate` in a [[gate]]: \"{}\"", text.get_ref());
        let label = "expected `max`, `min`, `mean`, `sum`, `last`, `increase`, or a quantile such as `p99`";
        let help = did_you_mean(text.get_ref(), words());
        table.problem(Problem::new(message, text.span(), label).maybe_help(help));
        return None;
    };
    let fits = match metric? {
        Metric::Node(_) => true,
        _ if is_latency => !matches!(aggregate, Aggregate::Sum | Aggregate::Last | Aggregate::Increase),
        _ => false,
    };
    if !fits {
        let label = match is_latency {
            true => "expected `max`, `min`, `mean`, or a quantile such as `p99`",
            false => "expected no `aggregate`: this metric is one value",
        };
        table.problem(Problem::new("this aggregate means nothing here", text.span(), label));
        return None;
    }
    Some(aggregate)
}

/// `p99`, `p99.9`.
fn quantile(text: &str) -> Option<Aggregate> {
    let percent = text.strip_prefix('p')?;
    format!("{percent}%").parse::<Share>().ok().map(Aggregate::Quantile)
}

/// Whether it is a time that many have one each of.
fn is_latency(metric: &Metric) -> bool {
    matches!(metric, Metric::Calls(CallMetric::Latency, _) | Metric::Lookups(LookupMetric::Latency, _))
}

fn check_window(table: &Table<'_>, window: Duration, over: Duration, of: (&Metric, Aggregate)) {
    let span = table.value_span("window");
    match of {
        (Metric::Reconnects, _) | (Metric::Node(_), Aggregate::Sum | Aggregate::Last) => {
            let label =
                "expected no `window`: every moment is judged already, or they are counted as a whole";
            table.problem(Problem::new("`window` means nothing here", table.key_span("window"), label));
        }
        _ if window > over => {
            let message = "no such window fits into the time that is judged";
            let label = format!("expected at most {}", duration::format(over));
            table.problem(Problem::new(message, span, label));
        }
        _ if window < MIN_WINDOW => {
            let label = format!("expected at least {}", duration::format(MIN_WINDOW));
            table.problem(Problem::new("this window is too short", span, label));
        }
        _ => {}
    }
}

/// `at_most`, `at_least` or `equals`, in the unit of the metric.
fn limit(table: &mut Table<'_>, metric: Option<&Metric>) -> Option<Limit> {
    const BOUNDS: [(&str, Bound); 3] =
        [("at_most", Bound::AtMost), ("at_least", Bound::AtLeast), ("equals", Bound::Equals)];
    table.ask(&["at_most", "at_least", "equals"]);
    let mut found = BOUNDS.into_iter().filter(|(key, _)| table.has(key));
    let Some((key, bound)) = found.next() else {
        let label = "expected `at_most`, `at_least` or `equals` in here";
        table.problem(Problem::new("this gate has no limit", table.span(), label));
        return None;
    };
    if let Some((other, _)) = found.next() {
        let message = format!("`{key}` and `{other}` in one gate");
        let problem = Problem::new(message, table.key_span(other), "expected one of them");
        table.problem(problem.help("make two gates of them, each with a name of its own"));
        return None;
    }
    drop(found);
    let unit = match metric? {
        Metric::Calls(CallMetric::Latency, _) | Metric::Lookups(LookupMetric::Latency, _) => Unit::Seconds,
        Metric::Calls(CallMetric::Rate | CallMetric::Goodput, _) => Unit::PerSecond,
        Metric::Calls(CallMetric::Success | CallMetric::Availability, _)
        | Metric::Lookups(LookupMetric::Resolution | LookupMetric::CacheHits | LookupMetric::Reach, _) => {
            Unit::Share
        }
        Metric::Calls(CallMetric::Calls | CallMetric::Failures, _)
        | Metric::Lookups(LookupMetric::Lookups | LookupMetric::Stale, _)
        | Metric::Reconnects
        | Metric::MetadataBytes
        | Metric::Node(_) => Unit::Number,
    };
    let value = match unit {
        Unit::Seconds => table.get::<Duration>(key)?.as_secs_f64(),
        Unit::PerSecond => table.get::<Rate>(key)?.per_second(),
        Unit::Share => table.get::<Share>(key)?.as_f64(),
        Unit::Number => table.get::<Number>(key)?.0,
    };
    if bound == Bound::Equals && matches!(unit, Unit::Seconds | Unit::PerSecond) {
        let problem = Problem::new(
            "no measurement is exactly this",
            Spanned::new(table.value_span(key), ()).span(),
            "expected `at_most` or `at_least`",
        );
        table.problem(problem);
    }
    Some(Limit { bound, value, unit })
}
