//! What goes wrong on a machine whose relay runs on.

use super::{Scene, named};
use crate::{Expired, Fault, FaultKind, OnHosts};

pub(super) fn expiry(scene: &mut Scene<'_>) -> Vec<Fault> {
    let hosts = named(scene.hosts(|host| host.has_certificate));
    scene.at_once(FaultKind::Expiry(OnHosts { hosts, what: Expired {}, lasts: Some(scene.length()) }))
}
