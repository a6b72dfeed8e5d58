//! What goes wrong on a machine whose relay runs on.

use std::time::Duration;

use super::{Scene, named};
use crate::{
    ClockTrouble, Crash, CrashKind, Descriptors, Disk, DiskFailure, DiskTrouble, Drift, Expired, Fault,
    FaultKind, NameAnswer, NameTrouble, Offset, OnHosts, Paused, Share, Slowed,
};

pub(super) fn expiry(scene: &mut Scene<'_>) -> Vec<Fault> {
    let hosts = named(scene.hosts(|host| host.has_certificate));
    scene.at_once(FaultKind::Expiry(OnHosts { hosts, what: Expired {}, lasts: Some(scene.length()) }))
}

pub(super) fn pause(scene: &mut Scene<'_>) -> Vec<Fault> {
    on(scene, Paused {}, FaultKind::Pause)
}

pub(super) fn slow(scene: &mut Scene<'_>) -> Vec<Fault> {
    let per_message = Duration::from_millis(*scene.stream.pick(&[1, 5, 20]));
    on(scene, Slowed { per_message }, FaultKind::Slow)
}

pub(super) fn dns(scene: &mut Scene<'_>) -> Vec<Fault> {
    let answers = [NameAnswer::Failure, NameAnswer::Nothing, NameAnswer::Silence, NameAnswer::Wrong];
    let answer = *scene.stream.pick(&answers);
    on(scene, NameTrouble { answer }, FaultKind::Dns)
}

pub(super) fn descriptors(scene: &mut Scene<'_>) -> Vec<Fault> {
    let limit = *scene.stream.pick(&[2, 4, 8, 16]);
    on(scene, Descriptors { limit }, FaultKind::Descriptors)
}

/// The wall clock jumps, all clocks drift, or both.
pub(super) fn clock(scene: &mut Scene<'_>) -> Vec<Fault> {
    let by = Duration::from_secs(*scene.stream.pick(&[1, 30, 300, 86_400]));
    let offset = if scene.stream.chance(50) { Offset::forward(by) } else { Offset::back(by) };
    let drift = Drift::from_ppm(*scene.stream.pick(&[-20_000, -200, 200, 20_000]));
    let what = match scene.stream.below(3) {
        0 => ClockTrouble { offset: Some(offset), drift: None },
        1 => ClockTrouble { offset: None, drift },
        _ => ClockTrouble { offset: Some(offset), drift },
    };
    on(scene, what, FaultKind::Clock)
}

/// Trouble that is over when it is over. What rots stays rotten: nobody could ask of a relay to come right after that.
pub(super) fn disk(scene: &mut Scene<'_>) -> Vec<Fault> {
    let trouble = *scene.stream.pick(&[DiskFailure::Full, DiskFailure::IoError]);
    let share = Share::of(*scene.stream.pick(&[5, 50, 100]), 100).unwrap_or(Share::ONE);
    on(scene, DiskTrouble { trouble, share }, FaultKind::Disk)
}

/// A power cut on a disk that keeps some sectors of what was not synced, and not others.
pub(super) fn torn_write(scene: &mut Scene<'_>) -> Vec<Fault> {
    let share = Share::of(*scene.stream.pick(&[25, 50, 75]), 100).unwrap_or(Share::ONE);
    let trouble = DiskTrouble { trouble: DiskFailure::TornWrite, share };
    let hosts = scene.hosts(|_| true);
    let (whole, half) = (scene.length(), scene.length() / 2);
    let operation = scene.stream.between(1, 6);
    let crash = Crash {
        hosts: named(hosts.clone()),
        how: CrashKind::PowerCut,
        at_disk_operation: scene.stream.chance(50).then(|| u32::try_from(operation).unwrap_or(1)),
        down: Some(half),
        disk: Disk::Keep,
    };
    let torn = OnHosts { hosts: named(hosts), what: trouble, lasts: Some(whole) };
    let start = scene.slot.start;
    vec![
        Fault { at: start, what: FaultKind::Disk(torn) },
        Fault { at: start + half / 2, what: FaultKind::Crash(crash) },
    ]
}

/// Something wrong with the slot's hosts for as long as it lasts.
fn on<W>(
    scene: &mut Scene<'_>,
    what: W,
    kind: impl Fn(OnHosts<crate::Selector, W>) -> FaultKind,
) -> Vec<Fault> {
    let hosts = scene.hosts(|_| true);
    if hosts.is_empty() {
        return Vec::new();
    }
    scene.at_once(kind(OnHosts { hosts: named(hosts), what, lasts: Some(scene.length()) }))
}
