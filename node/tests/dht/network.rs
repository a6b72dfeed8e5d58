//! Nodes of the DHT on a network in memory: virtual time, seeded latency and loss, and nothing that runs beside it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::net::SocketAddr;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use relay_node::dht::{
    BUCKET_SIZE, Busy, Config, Contact, Dht, Event, Family, Id, OperationId, StoreReport, Transmit,
};
use relay_node::env::{Instant, Rng};

/// How the network treats datagrams.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    /// The shortest and the longest time that one takes, in milliseconds.
    pub(crate) latency_millis: (u64, u64),
    /// Of how many one is lost: 0.1 is every tenth.
    pub(crate) loss: f64,
}

impl Weather {
    /// A continent's internet on a good day.
    pub(crate) const FAIR: Weather = Weather { latency_millis: (10, 80), loss: 0.0 };

    /// Far away, and every twentieth is lost.
    pub(crate) const ROUGH: Weather = Weather { latency_millis: (20, 250), loss: 0.05 };
}

/// One host with one node.
pub(crate) struct Host {
    pub(crate) dht: Dht,
    pub(crate) address: SocketAddr,
    pub(crate) events: Vec<Event>,
    wake: Option<Instant>,
    /// Hosts of different sides do not hear each other.
    pub(crate) side: u8,
    /// What it answers in place of its node.
    pub(crate) liar: Option<Liar>,
}

/// Answers a datagram that came to this contact in its own way.
pub(crate) type Liar = fn(&[u8], Contact, &mut Rng) -> Option<Vec<u8>>;

/// All hosts, by number; `None` where one is gone.
pub(crate) struct Network {
    pub(crate) hosts: Vec<Option<Host>>,
    pub(crate) now: Instant,
    pub(crate) weather: Weather,
    /// Datagrams and bytes that were sent.
    pub(crate) sent: (u64, u64),
    at: BTreeMap<SocketAddr, usize>,
    queue: BinaryHeap<Reverse<(Instant, u64, usize, Happening)>>,
    queued: u64,
    rng: Rng,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    Arrives { from: SocketAddr, side: u8, datagram: Vec<u8> },
    Wakes,
}

impl Network {
    /// A network without hosts.
    pub(crate) fn new(seed: u64, weather: Weather) -> Self {
        Network {
            hosts: Vec::new(),
            now: Instant::from_nanos(1),
            weather,
            sent: (0, 0),
            at: BTreeMap::new(),
            queue: BinaryHeap::new(),
            queued: 0,
            rng: Rng::seed_from_u64(seed),
        }
    }

    /// A network of `count` nodes that have joined, one every 200 ms, each through one of those before it.
    pub(crate) fn joined(seed: u64, weather: Weather, count: usize) -> Self {
        let mut network = Network::new(seed, weather);
        for _ in 0..count {
            let entry = network.any_address();
            network.add(entry);
            network.run(Duration::from_millis(200));
        }
        network.run(Duration::from_secs(120));
        network
    }

    /// Adds a node that joins through `entry`; its number.
    pub(crate) fn add(&mut self, entry: Option<SocketAddr>) -> usize {
        self.add_with(entry, |_| {})
    }

    /// Adds a node with changes to its configuration; its number.
    pub(crate) fn add_with(&mut self, entry: Option<SocketAddr>, change: impl FnOnce(&mut Config)) -> usize {
        let number = self.hosts.len();
        let mut config = Config::v4(Id::random(&mut self.rng));
        config.bootstrap = entry.into_iter().collect();
        change(&mut config);
        let [a, b] = (number as u16).to_be_bytes();
        let address = match config.v4 {
            Some(_) => SocketAddr::from(([10, 1, a, b], 30_609)),
            None => SocketAddr::from(([0xfd00, 0, 0, 0, 0, 0, 0, number as u16], 30_609)),
        };
        let rng = Rng::seed_from_u64(self.rng.random());
        let dht = Dht::new(config, rng, self.now);
        self.at.insert(address, number);
        self.hosts.push(Some(Host { dht, address, events: Vec::new(), wake: None, side: 0, liar: None }));
        self.drain(number);
        number
    }

    /// Takes a node away, without a word to anyone.
    pub(crate) fn remove(&mut self, number: usize) {
        if let Some(host) = self.hosts[number].take() {
            self.at.remove(&host.address);
        }
    }

    /// The numbers of those that are there.
    pub(crate) fn numbers(&self) -> Vec<usize> {
        (0..self.hosts.len()).filter(|number| self.hosts[*number].is_some()).collect()
    }

    pub(crate) fn host(&self, number: usize) -> &Host {
        self.hosts[number].as_ref().expect("the host is there")
    }

    pub(crate) fn host_mut(&mut self, number: usize) -> &mut Host {
        self.hosts[number].as_mut().expect("the host is there")
    }

    /// The address of any node that is there.
    pub(crate) fn any_address(&mut self) -> Option<SocketAddr> {
        let numbers = self.numbers();
        let number = (!numbers.is_empty()).then(|| self.rng.random_range(0..numbers.len()))?;
        Some(self.host(numbers[number]).address)
    }

    /// Lets time pass.
    pub(crate) fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while self.step(end) {}
        self.now = end;
    }

    /// Gives a command to a node, and lets time pass until it has ended.
    pub(crate) fn command(
        &mut self,
        number: usize,
        command: impl FnOnce(&mut Dht, Instant) -> Result<OperationId, Busy>,
    ) -> Event {
        let now = self.now;
        let operation = command(&mut self.host_mut(number).dht, now).expect("not so many are under way");
        self.drain(number);
        let end = self.now + Duration::from_secs(120);
        loop {
            let events = &mut self.host_mut(number).events;
            if let Some(at) = events.iter().position(|event| operation_of(event) == Some(operation)) {
                return events.remove(at);
            }
            assert!(self.step(end), "a command has not ended within two minutes");
        }
    }

    /// The nodes that are truly closest to `target`, the closest first.
    pub(crate) fn closest(&self, target: &Id) -> Vec<usize> {
        let mut numbers = self.numbers();
        numbers.retain(|number| self.host(*number).dht.id(Family::V4).is_some());
        numbers.sort_by_key(|number| self.id(*number).distance(target));
        numbers.truncate(BUCKET_SIZE);
        numbers
    }

    /// The numbers of these contacts.
    pub(crate) fn numbers_of<'c>(&self, contacts: impl IntoIterator<Item = &'c Contact>) -> BTreeSet<usize> {
        contacts.into_iter().filter_map(|contact| self.at.get(&contact.address).copied()).collect()
    }

    pub(crate) fn id(&self, number: usize) -> Id {
        let dht = &self.host(number).dht;
        dht.id(Family::V4).or(dht.id(Family::V6)).expect("a node speaks something")
    }

    /// Draws from the network's own generator.
    pub(crate) fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    /// Lets a node say what it has to say.
    pub(crate) fn drain(&mut self, number: usize) {
        let now = self.now;
        let Some(host) = &mut self.hosts[number] else { return };
        let mut sent = Vec::new();
        while let Some(transmit) = host.dht.poll_transmit() {
            sent.push(transmit);
        }
        host.events.extend(std::iter::from_fn(|| host.dht.poll_event()));
        let (from, side) = (host.address, host.side);
        if let Some(next) = host.dht.next_timeout().map(|next| next.max(now))
            && host.wake.is_none_or(|wake| next < wake)
        {
            host.wake = Some(next);
            self.push(next, number, Happening::Wakes);
        }
        for Transmit { to, datagram } in sent {
            self.send(from, side, to, datagram);
        }
    }

    fn send(&mut self, from: SocketAddr, side: u8, to: SocketAddr, datagram: Vec<u8>) {
        self.sent.0 += 1;
        self.sent.1 += datagram.len() as u64;
        let (shortest, longest) = self.weather.latency_millis;
        let micros = self.rng.random_range(shortest * 1_000..=longest * 1_000);
        let lost = self.rng.random_bool(self.weather.loss);
        if let Some(number) = self.at.get(&to).copied().filter(|_| !lost) {
            let arrives = self.now + Duration::from_micros(micros);
            self.push(arrives, number, Happening::Arrives { from, side, datagram });
        }
    }

    fn push(&mut self, at: Instant, number: usize, happening: Happening) {
        self.queued += 1;
        self.queue.push(Reverse((at, self.queued, number, happening)));
    }

    /// The next thing that happens before `end`.
    fn step(&mut self, end: Instant) -> bool {
        if self.queue.peek().is_none_or(|Reverse((at, ..))| *at > end) {
            return false;
        }
        let Some(Reverse((at, _, number, happening))) = self.queue.pop() else { return false };
        self.now = at;
        let Some(host) = &mut self.hosts[number] else { return true };
        match happening {
            Happening::Wakes if host.wake == Some(at) => {
                host.wake = None;
                host.dht.handle_timeout(at);
            }
            Happening::Arrives { from, side, datagram } if host.side == side => match host.liar {
                Some(liar) => {
                    let me = Contact {
                        id: host.dht.id(Family::V4).expect("liars speak IPv4"),
                        address: host.address,
                    };
                    if let Some(answer) = liar(&datagram, me, &mut self.rng) {
                        self.send(me.address, side, from, answer);
                    }
                    return true;
                }
                None => host.dht.handle(&datagram, from, at),
            },
            Happening::Wakes | Happening::Arrives { .. } => return true,
        }
        self.drain(number);
        true
    }
}

/// The operation that an event ends.
pub(crate) fn operation_of(event: &Event) -> Option<OperationId> {
    match event {
        Event::Found { operation, .. }
        | Event::Got { operation, .. }
        | Event::Stored { operation, .. }
        | Event::Peers { operation, .. } => Some(*operation),
        Event::Joined { .. } | Event::SeenAs { .. } => None,
    }
}

/// The report of a store.
pub(crate) fn report_of(event: Event) -> StoreReport {
    match event {
        Event::Stored { report, .. } => report,
        other => panic!("{other:?}"),
    }
}
