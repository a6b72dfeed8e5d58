//! What goes wrong between hosts.

use std::time::Duration;

use super::{Scene, named};
use crate::{
    Bandwidth, Direction, Fault, FaultKind, LinkChange, LinkFault, NatChange, NatTrouble, OnHosts, Partition,
    Selector, Share, Stream, StreamFailure, Streams,
};

/// How often a link that flaps does so, at most.
const FLAPS_MAX: u64 = 8;

/// Below this a flap is hardly one, in milliseconds.
const FLAP_MILLIS_MIN: u64 = 200;

pub(super) fn partition(scene: &mut Scene<'_>) -> Vec<Fault> {
    let lasts = scene.length();
    sides(scene).map_or(Vec::new(), |what| {
        let (hosts, from, direction) = what;
        scene.at_once(FaultKind::Partition(Partition { hosts, from, direction, lasts }))
    })
}

/// Cut for a while, whole for a while, in turn.
pub(super) fn flapping(scene: &mut Scene<'_>) -> Vec<Fault> {
    let Some((hosts, from, direction)) = sides(scene) else { return Vec::new() };
    let millis = u64::try_from(scene.length().as_millis()).unwrap_or(u64::MAX);
    let most = (millis / (2 * FLAP_MILLIS_MIN)).clamp(1, FLAPS_MAX);
    let flaps = scene.stream.between(1.max(most / 2), most);
    let period = millis / flaps;
    let one = |flap: u64| {
        let at = scene.slot.start + Duration::from_millis(period * flap);
        let lasts = Duration::from_millis(period / 2);
        let (hosts, from) = (hosts.clone(), from.clone());
        Fault { at, what: FaultKind::Partition(Partition { hosts, from, direction, lasts }) }
    };
    (0..flaps).map(one).collect()
}

/// Who is cut off from whom, and which way; `None` where there is nobody else.
fn sides(scene: &mut Scene<'_>) -> Option<(Selector, Option<Selector>, Direction)> {
    let hosts = scene.hosts(|_| true);
    let others = scene.others(&hosts);
    if others.is_empty() {
        return None;
    }
    let from = scene.stream.chance(40).then(|| named(others));
    let directions = [Direction::Both, Direction::Both, Direction::In, Direction::Out];
    Some((named(hosts), from, *scene.stream.pick(&directions)))
}

pub(super) fn link(scene: &mut Scene<'_>) -> Vec<Fault> {
    let hosts = scene.hosts(|_| true);
    let others = scene.others(&hosts);
    let to = if others.is_empty() || scene.stream.chance(60) { vec!["*".to_owned()] } else { others };
    let lasts = scene.length();
    let change = change(scene);
    let one_way = scene.stream.chance(30);
    scene.at_once(FaultKind::Link(LinkFault { from: named(hosts), to: named(to), one_way, change, lasts }))
}

/// Established connections fail, of these hosts with everyone.
pub(super) fn streams(scene: &mut Scene<'_>) -> Vec<Fault> {
    let hosts = scene.hosts(|_| true);
    if hosts.is_empty() {
        return Vec::new();
    }
    let from = named(hosts);
    let trouble = *scene.stream.pick(&[StreamFailure::Stall, StreamFailure::Reset]);
    let share = *scene.stream.pick(&[Share::ONE, Share::of(1, 2).unwrap_or(Share::ONE)]);
    let lasts = (trouble == StreamFailure::Stall).then(|| scene.length());
    scene.at_once(FaultKind::Streams(Streams {
        from,
        to: named(vec!["*".to_owned()]),
        trouble,
        share,
        lasts,
    }))
}

pub(super) fn nat(scene: &mut Scene<'_>) -> Vec<Fault> {
    let hosts = scene.hosts(|host| !host.is_main);
    if hosts.is_empty() {
        return Vec::new();
    }
    let change = *scene.stream.pick(&[NatChange::Forget, NatChange::Move]);
    let what = NatTrouble { change };
    scene.at_once(FaultKind::Nat(OnHosts { hosts: named(hosts), what, lasts: None }))
}

/// What a bad line is like: not so bad that a call cannot get through in time.
fn change(scene: &mut Scene<'_>) -> LinkChange {
    let stream = &mut scene.stream;
    let millis = |list: &[u64], stream: &mut Stream| Duration::from_millis(*stream.pick(list));
    let mut change = LinkChange::default();
    while change.is_empty() {
        if stream.chance(50) {
            change.latency = Some(millis(&[50, 100, 200, 400], stream));
        }
        if stream.chance(40) {
            change.jitter = Some(millis(&[5, 20, 50, 150], stream));
        }
        if stream.chance(40) {
            change.loss = Share::of(*stream.pick(&[1, 5, 20, 50, 100]), 1_000);
        }
        if stream.chance(30) {
            let kilobits = *stream.pick(&[512_u64, 2_000, 10_000]);
            change.bandwidth = Some(Bandwidth::from_bits_per_second(kilobits * 1_000));
        }
    }
    change
}
