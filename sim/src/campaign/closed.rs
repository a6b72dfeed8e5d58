//! A closed loop of callers over a federation, written as a scenario.

use std::fmt::Write;
use std::time::Duration;

use relay_chaos::ByteSize;
use relay_chaos::quantity::duration;
use toml_edit::{Array, DocumentMut, Item, Table, value};

use super::base::{BaseError, leave_out_unused, offering_from_the_start, strip};
use crate::scenario::{Host, HostIndex, NodeId, Scenario};

/// The federation has this long to form before the first call.
pub const LOAD_START: Duration = Duration::from_secs(10);

/// The group of those that are called, in a scenario that a load goes over.
const CALLED: &str = "called-by-load";

/// A closed loop: so many callers make so many calls in all, each waiting for its answer before the next one.
#[derive(Clone, Copy, Debug)]
pub struct ClosedLoop {
    /// Calls in all.
    pub calls: u64,
    /// Callers in all.
    pub callers: u32,
    /// The size of the arguments.
    pub payload: ByteSize,
    /// How long the run lasts.
    pub duration: Duration,
}

impl ClosedLoop {
    /// The loop over a made-up federation: Homes, spread over Mains, call each other.
    pub fn made_up(&self, mains: u32, homes: u32) -> String {
        let mut text = self.head("load");
        line(&mut text, "[[service]]\nname = \"echo\"\nkind = \"echo\"");
        line(&mut text, &format!("[[main]]\nname = \"main\"\ncount = {mains}"));
        line(
            &mut text,
            &format!("[[home]]\nname = \"home\"\ncount = {homes}\nmain = \"main-*\"\nservices = [\"echo\"]"),
        );
        let names: Vec<String> = (1..=homes).map(|number| format!("home-{number}")).collect();
        let target = "to = \"home-*\"\nservice = \"echo\"\nmethod = \"get\"";
        self.loads(&mut text, &names, target);
        text
    }

    /// The loop over a scenario's federation: its Homes, or else its Mains, call the first service that is offered, at
    /// the others that offer it. Where these cannot be told apart by name, only those call that do not offer it: a Home that
    /// does would answer itself.
    ///
    /// # Errors
    /// Where nobody offers anything.
    pub fn over(&self, base: &Scenario) -> Result<String, BaseError> {
        let name = || base.source.name.clone();
        let mut document: DocumentMut =
            base.source.text.parse().map_err(|error| BaseError::Unreadable(name(), error))?;
        strip(&mut document);
        document.remove("load");
        leave_out_unused(&mut document);
        let offered =
            base.topology.services.iter().find(|it| offering_from_the_start(base, &it.name).next().is_some());
        let service = offered.ok_or_else(|| BaseError::NoService(name()))?;
        let method = service.methods.first().map_or("get", String::as_str);
        let hosts = || base.topology.hosts.iter().map(|(_, host)| host);
        let offering: Vec<HostIndex> = offering_from_the_start(base, &service.name).collect();
        let offers = |host: HostIndex| offering.contains(&host) && !base.topology.hosts.get(host).is_main();
        // Nobody calls itself, and who makes its own node id cannot be called by name.
        let known = offering_from_the_start(base, &service.name)
            .map(|host| base.topology.hosts.get(host))
            .filter(|host| host.node_id == NodeId::HostName);
        let called: Array = known.map(|host| host.name.as_str()).collect();
        let whom = match called.len() > 1 {
            true => format!("to = \"@{CALLED}\""),
            false => "by = \"service\"".to_owned(),
        };
        // By service, a Home that offers it would answer itself.
        let asks = |index: &HostIndex| called.len() > 1 || !offers(*index);
        let named = |wanted: fn(&Host) -> bool| {
            let hosts = base.topology.hosts.iter().filter(|(index, host)| wanted(host) && asks(index));
            hosts.map(|(_, host)| host.name.clone()).collect::<Vec<_>>()
        };
        let homes = named(|host| !host.is_main());
        let callers = if homes.is_empty() { named(Host::is_main) } else { homes };
        if called.len() > 1
            && let Some(groups) = document.entry("groups").or_insert(Item::Table(Table::new())).as_table_mut()
        {
            groups.insert(CALLED, value(called));
        }
        // The federation comes to be as it did: whatever starts late needs a run that lasts so long.
        let starts = hosts().map(|host| host.start);
        let changes = base.topology.dns.iter().map(|change| change.at);
        let latest = starts.chain(changes).max().unwrap_or_default();
        let longer = ClosedLoop { duration: self.duration.max(latest + LOAD_START), ..*self };
        let mut text = longer.head(&format!("{}-load", base.name));
        line(&mut text, &document.to_string());
        let target = format!("{whom}\nservice = \"{}\"\nmethod = \"{method}\"", service.name);
        self.loads(&mut text, &callers, &target);
        Ok(text)
    }

    fn head(&self, name: &str) -> String {
        format!("name = \"{name}\"\nduration = \"{}\"\n", duration::format(self.duration))
    }

    /// One load for each host that has callers, so that there are exactly as many callers and calls as are wanted.
    fn loads(&self, text: &mut String, hosts: &[String], target: &str) {
        let callers = shares(self.callers.into(), hosts.len());
        let busy = callers.iter().filter(|callers| **callers > 0).count();
        let calls = shares(self.calls, busy);
        for ((host, callers), calls) in hosts.iter().zip(callers).zip(calls).filter(|(_, calls)| *calls > 0) {
            let (payload, start) = (self.payload, duration::format(LOAD_START));
            line(
                text,
                &format!(
                    "[[load]]\nname = \"{host}\"\nkind = \"closed\"\nfrom = \"{host}\"\n{target}\n\
                     callers = {callers}\ncalls = {calls}\npayload = \"{payload}\"\nstart = \"{start}\"",
                ),
            );
        }
    }
}

/// `whole` in `count` parts that differ by at most one, the larger ones first.
fn shares(whole: u64, count: usize) -> Vec<u64> {
    let count = count as u64;
    (0..count).map(|part| whole / count + u64::from(part < whole % count)).collect()
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "\n{line}").expect("strings take all");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Arrival;

    const LOOP: ClosedLoop = ClosedLoop {
        calls: 1_001,
        callers: 50,
        payload: ByteSize::from_bytes(64),
        duration: Duration::from_secs(60),
    };

    fn counts(scenario: &Scenario) -> (u64, u64) {
        let of = |arrival: &Arrival| match arrival {
            Arrival::Closed { callers, calls, .. } => (u64::from(*callers), calls.unwrap()),
            _ => panic!("closed"),
        };
        let all: Vec<_> = scenario.loads.iter().map(|load| of(&load.arrival)).collect();
        (all.iter().map(|it| it.0).sum(), all.iter().map(|it| it.1).sum())
    }

    #[test]
    fn there_are_as_many_callers_and_calls_as_are_wanted() {
        let scenario = Scenario::load("load.toml", &LOOP.made_up(3, 6)).unwrap();
        assert_eq!((scenario.topology.hosts.len(), counts(&scenario)), (9, (50, 1_001)));
        let few = ClosedLoop { callers: 4, calls: 3, ..LOOP };
        let scenario = Scenario::load("load.toml", &few.made_up(1, 6)).unwrap();
        assert_eq!(counts(&scenario).1, 3);
    }

    #[test]
    fn a_scenarios_loads_faults_and_gates_are_left_out() {
        let text = "duration = \"3m\"\n[[service]]\nname = \"news\"\nkind = \"static\"\n[service.answers]\nlist = 1\n\
                    [[main]]\nname = \"hub\"\n[[home]]\nname = \"h\"\nmain = \"hub\"\nservices = [\"news\"]\n\
                    [[load]]\nname = \"l\"\nfrom = \"h\"\nby = \"service\"\nservice = \"news\"\nmethod = \"list\"\nrate = \"1/s\"\n\
                    [[fault]]\nat = \"1m\"\nkind = \"crash\"\nhost = \"hub\"\n[gates]\nsuccess = \"100%\"\n";
        let base = Scenario::load("base.toml", text).unwrap();
        let scenario = Scenario::load("load.toml", &LOOP.over(&base).unwrap()).unwrap();
        assert_eq!(counts(&scenario), (50, 1_001));
        assert_eq!(scenario.loads[0].call.method, "list");
        assert_eq!(
            scenario.loads[0].target,
            crate::scenario::Target::Service,
            "one offers it: who is not said"
        );
        assert!(scenario.faults.is_empty() && scenario.gates.success.is_none());
        let two = text
            .replace("name = \"h\"\n", "name = \"h\"\ncount = 2\n")
            .replace("from = \"h\"", "from = \"homes\"");
        let base = Scenario::load("base.toml", &two).unwrap();
        let scenario = Scenario::load("load.toml", &LOOP.over(&base).unwrap()).unwrap();
        let crate::scenario::Target::Node(called) = &scenario.loads[0].target else { panic!("by name") };
        assert_eq!(called.hosts().len(), 2, "each calls the other one");
        let bare = Scenario::load("bare.toml", "[[main]]\nname = \"hub\"").unwrap();
        assert!(LOOP.over(&bare).unwrap_err().to_string().contains("offers"), "nothing to call");
    }
}
