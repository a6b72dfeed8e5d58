//! No inbound connection reaches a Home.
//!
//! A Home accepts clients on its own loopback and nobody else: it lives behind NAT and dials its Main.

use super::{Findings, Invariant, Observed};

/// See the module.
pub(super) struct NoInboundToHomes {
    /// By host index.
    is_home: Vec<bool>,
}

impl NoInboundToHomes {
    pub(super) fn new(is_home: Vec<bool>) -> Self {
        NoInboundToHomes { is_home }
    }
}

impl Invariant for NoInboundToHomes {
    fn name(&self) -> &'static str {
        "no-inbound-to-homes"
    }

    fn statement(&self) -> String {
        "no connection from another host reaches a Home".into()
    }

    fn observe(&mut self, observed: &Observed<'_>, findings: &mut Findings) {
        if let Observed::Accepted { at, host, from } = *observed
            && self.is_home[host.as_usize()]
        {
            findings.check(at, host == from, || {
                format!("host {} accepted a connection from host {}", host.0, from.0)
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{judge, seconds};
    use super::*;
    use crate::scenario::HostIndex;

    #[test]
    fn loopback_is_fine_another_host_is_not_and_mains_may_be_dialled() {
        let accepted =
            |host, from| Observed::Accepted { at: seconds(1), host: HostIndex(host), from: HostIndex(from) };
        let invariant = || NoInboundToHomes::new(vec![false, true, true]);
        let findings = judge(invariant(), &[accepted(0, 1), accepted(1, 1)]);
        assert_eq!((findings.checked, findings.violated), (1, 0));
        assert_eq!(judge(invariant(), &[accepted(1, 2)]).violated, 1);
        assert_eq!(judge(invariant(), &[accepted(1, 0)]).violated, 1);
    }
}
