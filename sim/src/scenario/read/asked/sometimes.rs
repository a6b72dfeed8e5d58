//! `[[sometimes]]`.

use relay_chaos::quantity::duration;

use super::super::super::asked::{Sight, Sometimes};
use super::super::super::error::Problem;
use super::super::super::metric::NodeMetric;
use super::super::expand::window;
use super::super::settings::require_positive;
use super::super::table::Table;
use super::super::values::Number;
use super::{Context, node_metric};

#[derive(Clone, Copy, PartialEq)]
enum What {
    Refused,
    SlowCall,
    Reconnect,
    Fallback,
    Restart,
    Breaker,
    Metric,
    UpgradeDone,
    UpgradeAborted,
}

const WHAT: [(&str, What); 9] = [
    ("call-refused", What::Refused),
    ("slow-call", What::SlowCall),
    ("reconnect", What::Reconnect),
    ("fallback", What::Fallback),
    ("restart", What::Restart),
    ("breaker-opens", What::Breaker),
    ("metric", What::Metric),
    ("upgrade-done", What::UpgradeDone),
    ("upgrade-aborted", What::UpgradeAborted),
];

/// All that must have happened.
pub(super) fn read(file: &mut Table<'_>, context: &Context<'_>) -> Vec<Sometimes> {
    let mut all: Vec<Sometimes> = Vec::new();
    let upgrades = file.number_of("upgrade");
    for mut table in file.tables("sometimes") {
        let sometimes = sometimes(&mut table, context, upgrades);
        if let Some(sometimes) = &sometimes
            && all.iter().any(|other| other.name == sometimes.name)
        {
            let message = format!("this is asked for twice: {}", sometimes.name);
            let label = "expected a `name` of its own";
            table.problem(Problem::new(message, table.value_span("what"), label));
        }
        all.extend(sometimes);
        table.finish();
    }
    all
}

fn sometimes(table: &mut Table<'_>, context: &Context<'_>, upgrades: usize) -> Option<Sometimes> {
    let name = table.get::<String>("name");
    let times = table.read::<u64>("times");
    let over = window(table, &context.run.phases, context.run.duration);
    if !table.has("what") {
        table.missing("what");
    }
    let Some(what) = table.word("what", &WHAT) else {
        table.ask_all();
        return None;
    };
    let word = WHAT.iter().find(|(_, it)| *it == what).map_or("", |(word, _)| word);
    table.call(format!("a [[sometimes]] of \"{word}\""));
    let is_upgrade = matches!(what, What::UpgradeDone | What::UpgradeAborted);
    let of = if is_upgrade { None } else { context.of(table) };
    let sight = sight(table, context, what);
    if is_upgrade && upgrades == 0 {
        let label = "expected an [[upgrade]] in this file";
        table.problem(Problem::new("the scenario has no upgrade", table.value_span("what"), label));
    }
    if let Some(times) = &times
        && *times.get_ref() == 0
    {
        table.problem(Problem::new("`times` is zero", times.span(), "expected at least 1"));
    }
    let (sight, times) = (sight?, times.map_or(1, toml::Spanned::into_inner));
    let name = name.unwrap_or_else(|| match &of {
        Some(of) => format!("{} ({of})", words(&sight, word)),
        None => words(&sight, word),
    });
    Some(Sometimes { name, what: sight, of, over, times })
}

fn sight(table: &mut Table<'_>, context: &Context<'_>, what: What) -> Option<Sight> {
    Some(match what {
        What::Refused => Sight::Refused { code: table.get("code"), load: context.load(table) },
        What::SlowCall => {
            let longer_than = require_positive(table, "longer_than");
            let load = context.load(table);
            Sight::SlowCall { longer_than: longer_than?, load }
        }
        What::Reconnect => Sight::Reconnect,
        What::Fallback => Sight::Fallback,
        What::Restart => Sight::Restart,
        What::Breaker => {
            let metric = NodeMetric::parse("relay_breakers{state=\"open\"}").ok()?;
            Sight::Metric { metric, above: 0.0 }
        }
        What::Metric => {
            let metric = table.require::<String>("metric");
            let above = table.require::<Number>("above");
            let metric = metric.and_then(|text| node_metric(table, &text, &[]));
            Sight::Metric { metric: metric?, above: above?.into_inner().0 }
        }
        What::UpgradeDone => Sight::UpgradeDone,
        What::UpgradeAborted => Sight::UpgradeAborted,
    })
}

/// What it is, where it has no name.
fn words(sight: &Sight, word: &str) -> String {
    match sight {
        Sight::Refused { code: Some(code), .. } => format!("{word} with {code}"),
        Sight::SlowCall { longer_than, .. } => format!("{word} over {}", duration::format(*longer_than)),
        Sight::Metric { metric, above } if word == "metric" => format!("{metric} above {above}"),
        _ => word.to_owned(),
    }
}
