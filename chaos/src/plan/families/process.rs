//! Relays that go down and come back.

use std::time::Duration;

use super::{Scene, named};
use crate::plan::Owner;
use crate::{Crash, CrashKind, Disk, Fault, FaultKind, Stop};

pub(super) fn kill(scene: &mut Scene<'_>) -> Vec<Fault> {
    crash(scene, CrashKind::Kill, Disk::Keep)
}

pub(super) fn power_cut(scene: &mut Scene<'_>) -> Vec<Fault> {
    crash(scene, CrashKind::PowerCut, Disk::Keep)
}

pub(super) fn wipe(scene: &mut Scene<'_>) -> Vec<Fault> {
    let how = *scene.stream.pick(&[CrashKind::Kill, CrashKind::PowerCut]);
    crash(scene, how, Disk::Wipe)
}

fn crash(scene: &mut Scene<'_>, how: CrashKind, disk: Disk) -> Vec<Fault> {
    let hosts = scene.hosts(|_| true);
    if hosts.is_empty() {
        return Vec::new();
    }
    let down = Some(scene.length());
    scene.at_once(FaultKind::Crash(Crash { hosts: named(hosts), how, at_disk_operation: None, down, disk }))
}

/// One host, or several: at once, or each in its turn, as in a rollout.
pub(super) fn stop(scene: &mut Scene<'_>) -> Vec<Fault> {
    let hosts = scene.hosts(|_| true);
    let length = scene.length();
    if hosts.is_empty() {
        return Vec::new();
    }
    if scene.slot.owner != Owner::Several || scene.stream.chance(40) {
        return scene.at_once(FaultKind::Stop(Stop { hosts: named(hosts), down: Some(length) }));
    }
    let millis = u64::try_from(length.as_millis()).unwrap_or(u64::MAX) / hosts.len() as u64;
    let turn = Duration::from_millis(millis.max(1));
    let turns = (0..).map(|number| scene.slot.start + turn * number);
    let one = |(at, host): (Duration, String)| Fault {
        at,
        what: FaultKind::Stop(Stop { hosts: named(vec![host]), down: Some(turn) }),
    };
    turns.zip(hosts).map(one).collect()
}
