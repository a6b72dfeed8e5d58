//! A call that succeeds went from its caller to its callee.
//!
//! The path that comes back begins with the caller's node and ends with the node that was called, or with one that
//! offers the service where any may serve it. Nodes that make their own ids are known by no name in advance: for them
//! only the other end is checked.

use super::{Findings, Invariant, Observed, Outcome};
use crate::scenario::{HostIndex, NodeId, Scenario};

/// See the module.
pub(super) struct ReachesItsCallee {
    /// By host index: the node id, where the scenario gives it, and the services offered.
    hosts: Vec<(Option<String>, Vec<String>)>,
}

impl ReachesItsCallee {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let services = &scenario.topology.services;
        let offered =
            |host| (0..services.len()).filter(move |service| scenario.topology.offers(host, *service));
        let host = |index, host: &crate::scenario::Host| {
            let id = (host.node_id == NodeId::HostName).then(|| host.name.clone());
            (id, offered(index).map(|service| services[service].name.clone()).collect())
        };
        ReachesItsCallee {
            hosts: scenario.topology.hosts.iter().map(|(index, it)| host(index, it)).collect(),
        }
    }

    fn is(&self, node: Option<&String>, host: HostIndex) -> bool {
        let (id, _) = &self.hosts[host.as_usize()];
        node.is_some() && (id.is_none() || node == id.as_ref())
    }

    fn offers(&self, node: Option<&String>, service: &str) -> bool {
        let Some(node) = node else { return false };
        let mut offering = self.hosts.iter().filter(|(_, services)| services.iter().any(|it| it == service));
        offering.any(|(id, _)| id.as_ref().is_none_or(|id| id == node))
    }
}

impl Invariant for ReachesItsCallee {
    fn name(&self) -> &'static str {
        "reaches-its-callee"
    }

    fn statement(&self) -> String {
        "a call that succeeds went from its caller to the one that it was for".into()
    }

    fn observe(&mut self, observed: &Observed<'_>, findings: &mut Findings) {
        let Observed::CallEnded(ended) = *observed else { return };
        let Outcome::Success { path, .. } = &ended.outcome else { return };
        let from_caller = self.is(path.first(), ended.caller);
        let to_callee = match ended.callee {
            Some(callee) => self.is(path.last(), callee),
            None => self.offers(path.last(), &ended.service),
        };
        findings.check(ended.ended, from_caller && to_callee, || {
            let whom = ended.callee.map_or("anyone".to_owned(), |callee| format!("host {}", callee.0));
            let (call, service, way) = (ended.call, &ended.service, path.join(" → "));
            format!("call {call} of host {} for {service} at {whom} went {way}", ended.caller.0)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::EndedCall;
    use super::super::testing::{ended, judge, success};
    use super::*;

    fn invariant() -> ReachesItsCallee {
        let echo = || vec!["echo".to_owned()];
        let host = |name: &str, services| (Some(name.to_owned()), services);
        ReachesItsCallee {
            hosts: vec![host("m", vec![]), host("a", echo()), host("b", echo()), (None, vec![])],
        }
    }

    fn violated(callee: Option<u32>, path: &[&str]) -> u64 {
        let call = EndedCall { callee: callee.map(HostIndex), ..ended(1, success(1, path)) };
        judge(invariant(), &[Observed::CallEnded(&call)]).violated
    }

    #[test]
    fn both_ends_are_checked() {
        assert_eq!(violated(Some(2), &["a", "m", "b"]), 0);
        assert_eq!(violated(Some(2), &["a", "m", "c"]), 1, "somebody else served it");
        assert_eq!(violated(Some(2), &["x", "m", "b"]), 1, "somebody else made it");
        assert_eq!(violated(Some(2), &[]), 1, "nobody knows where it went");
        assert_eq!(violated(Some(3), &["a", "m", "home-5f"]), 0, "made its own id");
        assert_eq!(violated(None, &["a", "m", "b"]), 0);
        assert_eq!(violated(None, &["a", "m"]), 1, "the Main does not offer it");
    }
}
