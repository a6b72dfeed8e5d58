//! What goes wrong on a machine whose relay runs on.

use relay_chaos::{Expired, OnHosts};

use super::super::super::error::Problem;
use super::super::super::hosts::HostSet;
use super::super::names::Lookup;
use super::super::settings::require_positive;
use super::super::table::Table;
use super::hosts;

pub(super) fn expiry(table: &mut Table<'_>, lookup: &Lookup<'_>) -> Option<OnHosts<HostSet, Expired>> {
    let found = hosts(table, lookup);
    let lasts = require_positive(table, "lasts");
    let (span, hosts) = found?;
    if let Some(plain) = hosts.hosts().iter().map(|index| lookup.hosts.get(*index)).find(|host| !host.tls) {
        let message = format!("`{}` has no certificate", plain.name);
        let problem = Problem::new(message, span, "expected Mains with `tls = true`");
        table.problem(problem);
    }
    Some(OnHosts { hosts, what: Expired {}, lasts: Some(lasts?) })
}
