//! What lies between hosts: latency, loss and bandwidth by rule, and cuts.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use relay_chaos::JitterShape;

use super::jitter;
use super::random::Dice;

/// Latency between two programs on one host.
const LOOPBACK: Wire = Wire {
    latency: 20_000,
    jitter: 0,
    shape: JitterShape::Uniform,
    loss: 0.0,
    stream_loss: 0.0,
    bandwidth: None,
    queue: NO_LIMIT,
    mishaps: Mishaps { duplicate: 0.0, reorder: 0.0, corrupt: 0.0 },
};
/// The retransmission timeout before anything is known of the path (Linux: `TCP_RTO_MIN`).
pub(super) const RTO_NANOS: u64 = 200_000_000;
/// Retransmissions are never further apart (Linux: `TCP_RTO_MAX`).
pub(super) const RTO_MAX_NANOS: u64 = 120_000_000_000;
/// Datagrams that would wait longer than this for bandwidth are dropped, where no queue is given.
const DATAGRAM_QUEUE_NANOS: u64 = 1_000_000_000;
/// What an idle line takes at once, however small its queue: a packet.
const PACKET_BYTES: u64 = 1_500;
/// A queue of any length.
const NO_LIMIT: u64 = u64::MAX;
const NANOS_PER_SECOND: u128 = 1_000_000_000;

/// Names a host of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(pub(in crate::engine) u32);

impl HostId {
    /// The host's place in the order in which hosts were added, from 0.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// One direction of a path between two hosts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// Time from sending to arrival, at least.
    pub latency: Duration,
    /// Added to the latency: so much, in the way that `shape` says.
    pub jitter: Duration,
    /// How the jitter is distributed.
    pub shape: JitterShape,
    /// The share of packets lost, in `0.0..=1.0`. A stream shows it as delay, datagrams are gone.
    pub loss: f64,
    /// Bytes per second, shared by everything from the one host to the other; `None` is unlimited.
    pub bandwidth: Option<u64>,
    /// Bytes that wait for bandwidth, at most; more is lost. `None`: a second's worth of datagrams, any number of
    /// bytes of streams.
    pub queue: Option<u64>,
    /// The share of datagrams that arrive twice, in `0.0..=1.0`.
    pub duplicate: f64,
    /// The share of datagrams that later ones overtake, in `0.0..=1.0`.
    pub reorder: f64,
    /// The share of packets with a flipped bit, in `0.0..=1.0`. Datagrams arrive like that; what streams sent is lost.
    pub corrupt: f64,
}

impl Default for Link {
    /// 1 ms, nothing lost, unlimited.
    fn default() -> Self {
        Self {
            latency: Duration::from_millis(1),
            jitter: Duration::ZERO,
            shape: JitterShape::Uniform,
            loss: 0.0,
            bandwidth: None,
            queue: None,
            duplicate: 0.0,
            reorder: 0.0,
            corrupt: 0.0,
        }
    }
}

/// What lies on the way from the first host to the second: one direction. Asked again for each path only after
/// something about links has changed, never per packet.
pub type LinkModel = Arc<dyn Fn(HostId, HostId) -> Link + Send + Sync>;

/// A set of hosts, for cuts.
#[derive(Clone, Debug)]
pub struct HostSet(Option<Arc<[u64]>>);

impl HostSet {
    /// Every host, those included that come later.
    pub fn all() -> Self {
        Self(None)
    }

    /// Exactly these.
    pub fn of(hosts: impl IntoIterator<Item = HostId>) -> Self {
        let mut words = Vec::new();
        for HostId(host) in hosts {
            let word = host as usize / 64;
            if words.len() <= word {
                words.resize(word + 1, 0_u64);
            }
            words[word] |= 1 << (host % 64);
        }
        Self(Some(words.into()))
    }

    /// Whether `host` is in the set.
    pub fn contains(&self, host: HostId) -> bool {
        match &self.0 {
            None => true,
            Some(words) => {
                words.get(host.0 as usize / 64).is_some_and(|word| word & (1 << (host.0 % 64)) != 0)
            }
        }
    }
}

impl From<HostId> for HostSet {
    fn from(host: HostId) -> Self {
        Self::of([host])
    }
}

/// Names a cut, for healing it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CutId(pub(in crate::engine) u32);

/// A [`Link`] in nanoseconds.
#[derive(Clone, Copy, Debug)]
struct Wire {
    latency: u64,
    jitter: u64,
    shape: JitterShape,
    loss: f64,
    /// TCP's checksum finds what is corrupted: it is as if lost.
    stream_loss: f64,
    bandwidth: Option<u64>,
    queue: u64,
    mishaps: Mishaps,
}

/// What happens to datagrams and to nothing else, as shares.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mishaps {
    pub(super) duplicate: f64,
    pub(super) reorder: f64,
    pub(super) corrupt: f64,
}

impl From<Link> for Wire {
    fn from(link: Link) -> Self {
        let share = |share: f64| share.clamp(0.0, 1.0);
        let (loss, corrupt) = (share(link.loss), share(link.corrupt));
        Self {
            latency: nanos(link.latency),
            jitter: nanos(link.jitter),
            shape: link.shape,
            loss,
            stream_loss: loss + (1.0 - loss) * corrupt,
            bandwidth: link.bandwidth.map(|rate| rate.max(1)),
            // What has no line has no queue.
            queue: link.bandwidth.and(link.queue).unwrap_or(NO_LIMIT),
            mishaps: Mishaps { duplicate: share(link.duplicate), reorder: share(link.reorder), corrupt },
        }
    }
}

pub(in crate::engine) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What a sender knows of its path: looked up again only when rules or cuts changed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Path {
    from: u32,
    to: u32,
    epoch: u32,
    wire: Wire,
    blocked: bool,
    /// How many reasons of its own a stream has to let nothing through, while the path between its hosts is whole.
    stuck: u16,
    /// Its own draws, from the first on: for latency and loss, and for what goes wrong beyond.
    dice: Option<[Dice; 2]>,
    /// Which seed these are from: see [`Topology::reseed`].
    era: u16,
}

impl Path {
    pub(super) fn new(from: HostId, to: HostId) -> Self {
        Self {
            from: from.0,
            to: to.0,
            epoch: 0,
            wire: LOOPBACK,
            blocked: false,
            stuck: 0,
            dice: None,
            era: 0,
        }
    }

    /// Lets nothing through, for one more reason.
    pub(super) fn stick(&mut self) {
        self.stuck += 1;
        self.epoch = 0;
    }

    /// Takes one of those reasons back.
    pub(super) fn unstick(&mut self) {
        self.stuck = self.stuck.saturating_sub(1);
        self.epoch = 0;
    }
}

struct Cut {
    from: HostSet,
    to: HostSet,
}

/// What waits in front of a line.
struct Backlog {
    nanos: u64,
    bytes: u64,
}

/// All paths. There is no state per pair of hosts, except where a pair has limited bandwidth and used it, or drew lots.
///
/// Each path, that of a connection or of a datagram, has draws of its own: they depend on its ends and on how many there
/// were between these before it, and on nothing that happens between other hosts.
pub(super) struct Topology {
    dice: Dice,
    mischief: Dice,
    /// By pair, in one direction: how many paths have drawn.
    drawn: HashMap<(u32, u32), u64>,
    epoch: u32,
    model: LinkModel,
    cuts: BTreeMap<CutId, Cut>,
    next_cut: u32,
    dark: Vec<bool>,
    /// When the pair's line is free again, for pairs with limited bandwidth.
    busy: HashMap<(u32, u32), u64>,
    /// How often another seed was given.
    era: u16,
}

impl Topology {
    /// Draws what becomes of packets from another seed from now on.
    pub(super) fn reseed(&mut self, seed: u64) {
        self.dice = Dice::new(seed, "network");
        self.mischief = Dice::new(seed, "network faults");
        self.era += 1;
    }

    pub(super) fn new(seed: u64) -> Self {
        Self {
            dice: Dice::new(seed, "network"),
            drawn: HashMap::new(),
            mischief: Dice::new(seed, "network faults"),
            epoch: 1,
            model: Arc::new(|_, _| Link::default()),
            cuts: BTreeMap::new(),
            next_cut: 0,
            dark: Vec::new(),
            busy: HashMap::new(),
            era: 0,
        }
    }

    pub(super) fn add_host(&mut self) {
        self.dark.push(false);
    }

    pub(super) fn set_model(&mut self, model: LinkModel) {
        self.model = model;
        self.epoch += 1;
    }

    pub(super) fn cut(&mut self, from: HostSet, to: HostSet) -> CutId {
        let id = CutId(self.next_cut);
        self.next_cut += 1;
        self.cuts.insert(id, Cut { from, to });
        self.epoch += 1;
        id
    }

    pub(super) fn heal(&mut self, cut: CutId) {
        self.cuts.remove(&cut);
        self.epoch += 1;
    }

    pub(super) fn set_dark(&mut self, host: HostId, dark: bool) {
        self.dark[host.index()] = dark;
        self.epoch += 1;
    }

    pub(super) fn is_dark(&self, host: HostId) -> bool {
        self.dark[host.index()]
    }

    /// Whether nothing gets through at present. The loopback path is never blocked.
    pub(super) fn blocked(&self, path: &mut Path) -> bool {
        self.refresh(path);
        path.blocked
    }

    /// Whether anything gets from one host to the other at present, whatever a stream's own reasons are.
    pub(super) fn is_open(&self, from: HostId, to: HostId) -> bool {
        !self.blocked(&mut Path::new(from, to))
    }

    /// When a packet of `bytes` sent `now` arrives, on the first try.
    pub(super) fn arrival(&mut self, path: &mut Path, now: u64, bytes: u64) -> u64 {
        self.refresh(path);
        let wire = &path.wire;
        let departure = match wire.bandwidth {
            None => now,
            Some(rate) => {
                let free = self.busy.entry((path.from, path.to)).or_insert(0);
                let took = u64::try_from(u128::from(bytes) * NANOS_PER_SECOND / u128::from(rate));
                *free = (*free).max(now).saturating_add(took.unwrap_or(u64::MAX));
                *free
            }
        };
        let (latency, spread, shape) = (wire.latency, wire.jitter, wire.shape);
        let jitter = match shape {
            _ if spread == 0 => 0,
            JitterShape::Uniform => self.dice(path).below(spread.saturating_add(1)),
            shape => jitter::draw(self.dice(path), shape, spread),
        };
        departure.saturating_add(latency).saturating_add(jitter)
    }

    /// As [`arrival`](Self::arrival), with the time that retransmission of lost tries takes.
    pub(super) fn reliable_arrival(&mut self, path: &mut Path, now: u64, bytes: u64) -> u64 {
        let mut arrival = self.arrival(path, now, bytes);
        let loss = path.wire.stream_loss;
        if loss > 0.0 {
            let mut wait = RTO_NANOS;
            // At a loss of 1 nothing ever arrives: the cap only keeps the loop finite.
            for _ in 0..64 {
                if !self.dice(path).chance(loss) {
                    break;
                }
                arrival = arrival.saturating_add(wait);
                wait = (wait * 2).min(RTO_MAX_NANOS);
            }
        }
        arrival
    }

    /// Whether a packet of a handshake is lost on this path.
    pub(super) fn loses(&mut self, path: &mut Path) -> bool {
        self.refresh(path);
        let loss = path.wire.stream_loss;
        loss > 0.0 && self.dice(path).chance(loss)
    }

    /// Whether a datagram is lost on this path.
    pub(super) fn loses_datagram(&mut self, path: &mut Path) -> bool {
        self.refresh(path);
        let loss = path.wire.loss;
        loss > 0.0 && self.dice(path).chance(loss)
    }

    /// Whether so much waits for the line that a datagram of `bytes` is dropped.
    pub(super) fn overloaded(&mut self, path: &mut Path, now: u64, bytes: u64) -> bool {
        self.refresh(path);
        let waits = self.backlog(path, now);
        match path.wire.queue {
            NO_LIMIT => waits.nanos > DATAGRAM_QUEUE_NANOS,
            queue => waits.nanos > 0 && waits.bytes.saturating_add(bytes) > queue,
        }
    }

    /// How many of the `bytes` of a stream find room in front of the line; of a path that is up to date.
    pub(super) fn room(&self, path: &Path, now: u64, bytes: u32) -> u32 {
        if path.wire.queue == NO_LIMIT {
            return bytes;
        }
        let waits = self.backlog(path, now);
        let room = match waits.nanos {
            0 => path.wire.queue.max(PACKET_BYTES),
            _ => path.wire.queue.saturating_sub(waits.bytes),
        };
        match u32::try_from(room) {
            Ok(room) if room < bytes && u64::from(room) < PACKET_BYTES => 0,
            Ok(room) => room.min(bytes),
            Err(_) => bytes,
        }
    }

    /// How long a sender takes to notice what found no room, and to send it again: a round trip, with what waits in
    /// front of the line (RFC 5681, fast retransmit).
    pub(super) fn recovery(&self, path: &Path, now: u64) -> u64 {
        self.backlog(path, now).nanos.saturating_add(path.wire.latency.saturating_mul(2)).max(1)
    }

    /// What waits for the line at `now`.
    fn backlog(&self, path: &Path, now: u64) -> Backlog {
        let (Some(rate), Some(free)) = (path.wire.bandwidth, self.busy.get(&(path.from, path.to))) else {
            return Backlog { nanos: 0, bytes: 0 };
        };
        let nanos = free.saturating_sub(now);
        let bytes = u64::try_from(u128::from(nanos) * u128::from(rate) / NANOS_PER_SECOND);
        Backlog { nanos, bytes: bytes.unwrap_or(u64::MAX) }
    }

    /// What may happen to a datagram on this path, and the dice for it.
    pub(super) fn mishaps<'p>(&mut self, path: &'p mut Path) -> (Mishaps, u64, &'p mut Dice) {
        self.refresh(path);
        let (mishaps, latency) = (path.wire.mishaps, path.wire.latency);
        (mishaps, latency, &mut self.draws(path)[1])
    }

    /// The draws of this path for latency and loss.
    fn dice<'p>(&mut self, path: &'p mut Path) -> &'p mut Dice {
        &mut self.draws(path)[0]
    }

    fn draws<'p>(&mut self, path: &'p mut Path) -> &'p mut [Dice; 2] {
        let Path { from, to, dice, era, .. } = path;
        if *era != self.era {
            (*dice, *era) = (None, self.era);
        }
        dice.get_or_insert_with(|| {
            let number = self.drawn.entry((*from, *to)).or_insert(0);
            *number += 1;
            let own = self.dice.split(&[u64::from(*from), u64::from(*to), *number]);
            [own, own.split(&[1])]
        })
    }

    /// The dice for what goes wrong with streams and names.
    pub(super) fn mischief(&mut self) -> &mut Dice {
        &mut self.mischief
    }

    fn refresh(&self, path: &mut Path) {
        if path.epoch == self.epoch || path.from == path.to {
            return;
        }
        let (from, to) = (HostId(path.from), HostId(path.to));
        path.wire = (self.model)(from, to).into();
        path.blocked = path.stuck > 0
            || self.is_dark(from)
            || self.is_dark(to)
            || self.cuts.values().any(|cut| cut.from.contains(from) && cut.to.contains(to));
        path.epoch = self.epoch;
    }
}

/// When TCP, having sent at `first` into silence, tries again for the first time at or after `now`:
/// `first + RTO * (2^k - 1)`, from 120 s on in steps of 120 s.
pub(super) fn next_retransmission(first: u64, now: u64) -> u64 {
    let mut at = first;
    let mut wait = RTO_NANOS;
    while at < now || at == first {
        at = at.saturating_add(wait);
        wait = (wait * 2).min(RTO_MAX_NANOS);
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: u64 = 1_000_000;

    #[test]
    fn a_new_model_holds_for_paths_that_were_used_before() {
        let mut topology = Topology::new(1);
        (0..3).for_each(|_| topology.add_host());
        let slow = Link { latency: Duration::from_millis(50), ..Link::default() };
        let mut path = Path::new(HostId(0), HostId(2));
        assert_eq!(topology.arrival(&mut path, 0, 100), MILLI);
        topology.set_model(Arc::new(move |from, _| if from.index() == 0 { slow } else { Link::default() }));
        assert_eq!(topology.arrival(&mut path, 0, 100), 50 * MILLI);
        assert_eq!(topology.arrival(&mut Path::new(HostId(2), HostId(0)), 0, 100), MILLI);
        assert_eq!(topology.arrival(&mut Path::new(HostId(2), HostId(2)), 0, 100), LOOPBACK.latency);
    }

    #[test]
    fn a_cut_blocks_one_way_until_it_is_healed() {
        let mut topology = Topology::new(1);
        (0..2).for_each(|_| topology.add_host());
        let (mut there, mut back) = (Path::new(HostId(0), HostId(1)), Path::new(HostId(1), HostId(0)));
        let cut = topology.cut(HostId(0).into(), HostSet::all());
        assert!(topology.blocked(&mut there));
        assert!(!topology.blocked(&mut back));
        topology.heal(cut);
        assert!(!topology.blocked(&mut there));
    }

    #[test]
    fn bandwidth_is_shared_by_what_goes_the_same_way() {
        let mut topology = Topology::new(1);
        (0..2).for_each(|_| topology.add_host());
        topology.set_model(Arc::new(|_, _| Link { bandwidth: Some(1_000_000), ..Link::default() }));
        let mut path = Path::new(HostId(0), HostId(1));
        assert_eq!(topology.arrival(&mut path, 0, 1000), 2 * MILLI);
        assert_eq!(topology.arrival(&mut path, 0, 1000), 3 * MILLI);
    }

    #[test]
    fn retransmissions_double_and_then_keep_their_distance() {
        let second = 1_000_000_000;
        assert_eq!(next_retransmission(0, 0), 200 * MILLI);
        assert_eq!(next_retransmission(0, 201 * MILLI), 600 * MILLI);
        assert_eq!(next_retransmission(0, 90 * second), 102_200 * MILLI);
        let late = next_retransmission(0, 1000 * second);
        assert!(late >= 1000 * second && late < 1120 * second, "{late}");
    }

    #[test]
    fn sets_of_hosts() {
        let set = HostSet::of([HostId(3), HostId(130)]);
        assert!(set.contains(HostId(3)) && set.contains(HostId(130)));
        assert!(!set.contains(HostId(4)) && !set.contains(HostId(1000)));
        assert!(HostSet::all().contains(HostId(1000)));
    }
}
