//! `[[service]]`.

use std::time::Duration;

use relay_node::federation::Policy;

use super::super::error::Problem;
use super::super::model::{Service, ServiceKind, Upstream};
use super::names::check_name;
use super::table::Table;
use super::values::{Answers, Names};

/// How long a simulated upstream takes, unless the scenario says otherwise.
pub(super) const DEFAULT_UPSTREAM_LATENCY: Duration = Duration::from_millis(5);

#[derive(Clone, Copy)]
enum Kind {
    Echo,
    Static,
    Http,
}

/// All services.
pub(super) fn read(file: &mut Table<'_>) -> Vec<Service> {
    let mut services: Vec<Service> = Vec::new();
    for mut table in file.tables("service") {
        let service = service(&mut table);
        match service {
            None => table.problems().lose_name(),
            Some(service) if services.iter().any(|it| it.name == service.name) => {
                let message = format!("two services are called `{}`", service.name);
                table.problem(Problem::new(message, table.value_span("name"), "expected a name of its own"));
            }
            Some(service) => services.push(service),
        }
        table.finish();
    }
    services
}

fn service(table: &mut Table<'_>) -> Option<Service> {
    let name = table.require::<String>("name");
    let name = name.filter(|name| check_name(table, name, "service"));
    let kinds = [("echo", Kind::Echo), ("static", Kind::Static), ("http", Kind::Http)];
    if !table.has("kind") {
        table.missing("kind");
    }
    let kind = table.word("kind", &kinds);
    let declared = table.get::<Names>("methods");
    let policies = Policy::ALL.map(|policy| (policy.as_str(), policy));
    let balance = if table.has("balance") { table.word("balance", &policies) } else { None };
    let kind = match kind {
        // Without a kind nothing can be said of the other keys.
        None => {
            table.ask(&["answers", "upstream"]);
            ServiceKind::Echo
        }
        Some(Kind::Echo) => {
            table.call("a [[service]] of kind \"echo\"");
            ServiceKind::Echo
        }
        Some(Kind::Static) => {
            table.call("a [[service]] of kind \"static\"");
            ServiceKind::Static(answers(table))
        }
        Some(Kind::Http) => {
            table.call("a [[service]] of kind \"http\"");
            ServiceKind::Http(upstream(table))
        }
    };
    if let (ServiceKind::Static(answers), Some(declared)) = (&kind, &declared) {
        for method in declared.0.iter().filter(|method| !answers.contains_key(method.get_ref())) {
            let message = format!("there is no answer for the method `{}`", method.get_ref());
            table.problem(Problem::new(message, method.span(), "expected a method in [service.answers]"));
        }
    }
    let methods = match (&kind, declared) {
        (_, Some(declared)) => declared.0.into_iter().map(toml::Spanned::into_inner).collect(),
        (ServiceKind::Static(answers), None) => answers.keys().cloned().collect(),
        (_, None) => Vec::new(),
    };
    Some(Service { name: name?.into_inner(), methods, kind, balance })
}

fn answers(table: &mut Table<'_>) -> std::collections::BTreeMap<String, serde_json::Value> {
    let answers = table.require::<Answers>("answers");
    let Some(answers) = answers else { return std::collections::BTreeMap::new() };
    if answers.get_ref().0.is_empty() {
        let label = "expected method = answer in here";
        table.problem(Problem::new("this service answers nothing", answers.span(), label));
    }
    answers.into_inner().0
}

fn upstream(table: &mut Table<'_>) -> Upstream {
    let mut upstream = Upstream {
        latency: DEFAULT_UPSTREAM_LATENCY,
        jitter: Duration::ZERO,
        failure_rate: relay_chaos::Share::ZERO,
    };
    if let Some(mut settings) = table.table("upstream", "[service.upstream]") {
        upstream = Upstream {
            latency: settings.get("latency").unwrap_or(upstream.latency),
            jitter: settings.get("jitter").unwrap_or(upstream.jitter),
            failure_rate: settings.get("failure_rate").unwrap_or(upstream.failure_rate),
        };
        settings.finish();
    }
    upstream
}
