//! One member of the older kind.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use relay_node::dht::{KEY_BYTES, mutable_target};
use relay_node::env::{Env, Stream, dial_host};
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::sync::mpsc;

use super::super::super::SharedRecord;
use super::DATABASE;
use crate::metadata::{Published, Version};
use crate::scenario::{HostIndex, Role};
use crate::world::{MAIN_PORT, World, public_address};

/// Where Mains listen for each other and for Homes.
const PORT: u16 = 30_906;

/// How much a message says of other peers, in bytes.
const EXCHANGE_BYTES: usize = 2_048;

/// What each peer in that takes at least, in bytes: its id in quotes and a comma.
const EXCHANGED_PEER_BYTES: usize = 43;

/// Members that a message passes at most: Home, Main, Main, Home.
const HOPS_MAX: u8 = 4;

/// Lines that wait for one link; one that is further behind is given up.
const LINES_WAITING_MAX: usize = 100_000;

/// Events that wait for the member.
const EVENTS_WAITING_MAX: usize = 100_000;

/// Time before a link that broke is dialled again, in seconds.
const REDIAL_SECONDS: u64 = 2;

/// How long a dial may take, in seconds.
const DIAL_SECONDS: u64 = 10;

/// Sequences of the older kind end below those of the DHT, which begin at zero.
const SEQUENCE_BASE: i64 = -1_000_000_000;

#[derive(Clone, Serialize, Deserialize)]
struct Line {
    from: String,
    /// Whom it is for; nobody's is a greeting.
    to: Option<String>,
    hops: u8,
    metadata: Option<Value>,
    #[serde(default)]
    exchange: Vec<String>,
    #[serde(default)]
    pad: String,
}

enum Event {
    Up { link: u64, lines: mpsc::Sender<Vec<u8>>, dialled: Option<HostIndex> },
    Came(u64, Vec<u8>),
    Down(u64),
    Again,
}

struct Member {
    world: World,
    record: SharedRecord,
    index: HostIndex,
    me: String,
    database: Connection,
    links: BTreeMap<u64, mpsc::Sender<Vec<u8>>>,
    /// The link by which a peer was heard of last.
    routes: BTreeMap<String, u64>,
    known: BTreeSet<String>,
    /// The Main that a Home hangs at, and by which link.
    relay: Option<(u64, HostIndex)>,
}

/// Runs it until its process is ended.
pub(super) async fn run(world: World, record: SharedRecord, index: HostIndex, env: Env) {
    let me = peer_id(&env).await;
    let database = env.storage.open_db(DATABASE).expect("the disk of a harness is sound");
    prepare(&database).expect("a sound disk takes a table");
    let (events, mut inbox) = mpsc::channel(EVENTS_WAITING_MAX);
    if world.scenario.topology.hosts.get(index).is_main() {
        env.spawn("broadcaster-listen", listen(env.clone(), events.clone()));
    }
    for (group, mains) in ways(&world, index).into_iter().enumerate() {
        // Links are numbered by who made them, so that none has another's number.
        env.spawn("broadcaster-dial", dial(world.clone(), env.clone(), mains, events.clone(), group as u64));
    }
    let every = world.scenario.topology.dht.broadcast.as_ref().map(|plan| plan.every).unwrap_or_default();
    env.spawn("broadcaster-again", again(env.clone(), every, events));
    let (links, routes) = (BTreeMap::new(), BTreeMap::new());
    let known = remembered(&database, &world, index).expect("a sound disk gives what it took");
    let mut member = Member { world, record, index, me, database, links, routes, known, relay: None };
    member.changed();
    while let Some(event) = inbox.recv().await {
        member.take(event);
    }
}

/// The relay's own peer id, once it has made its key.
async fn peer_id(env: &Env) -> String {
    loop {
        let key = env.storage.read("ed25519_public.key").ok().flatten().and_then(|text| parse_key(&text));
        match key {
            Some(key) => return mutable_target(&key, b"").to_string(),
            None => env.sleep(Duration::from_secs(1)).await,
        }
    }
}

fn parse_key(text: &[u8]) -> Option<[u8; KEY_BYTES]> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let mut key = [0; KEY_BYTES];
    for (byte, at) in key.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(key)
}

fn prepare(database: &Connection) -> rusqlite::Result<()> {
    database.execute_batch(
        "CREATE TABLE IF NOT EXISTS peer_metadata (
             peer_id TEXT PRIMARY KEY, sequence INTEGER NOT NULL, metadata TEXT NOT NULL, exchange TEXT NOT NULL,
             last_seen INTEGER NOT NULL)",
    )
}

/// Those in its database: they are known from before a restart, with all that they said.
fn remembered(database: &Connection, world: &World, index: HostIndex) -> rusqlite::Result<BTreeSet<String>> {
    let mut rows = database.prepare("SELECT peer_id, sequence, metadata FROM peer_metadata")?;
    let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, String>(2)?)))?;
    let mut known = BTreeSet::new();
    for row in rows {
        let (peer, sequence, metadata): (String, i64, String) = row?;
        let content = serde_json::from_str(&metadata).unwrap_or_default();
        world.older.change(index, |view| view.others.insert(peer.clone(), Version { sequence, content }));
        known.insert(peer);
    }
    Ok(known)
}

/// Whom it dials: a Home one of its Mains, a Main every Main before it.
fn ways(world: &World, index: HostIndex) -> Vec<Vec<HostIndex>> {
    let hosts = &world.scenario.topology.hosts;
    match &hosts.get(index).role {
        Role::Home { main, fallback } => {
            vec![std::iter::once(*main).chain(fallback.iter().copied()).collect()]
        }
        Role::Main { .. } => {
            let others = hosts.iter().filter(|(other, host)| *other < index && host.is_main());
            others.map(|(other, _)| vec![other]).collect()
        }
    }
}

async fn again(env: Env, every: Duration, events: mpsc::Sender<Event>) {
    loop {
        env.sleep(every).await;
        if events.send(Event::Again).await.is_err() {
            return;
        }
    }
}

async fn listen(env: Env, events: mpsc::Sender<Event>) {
    let at = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), PORT);
    let Ok(mut listener) = env.network.listen(at).await else { return };
    let mut link = 1 << 63;
    while let Ok((stream, _)) = listener.accept().await {
        env.spawn("broadcaster-link", hold(env.clone(), stream, link, None, events.clone()));
        link += 1;
    }
}

/// Keeps a link to one of these Mains, in their order, and dials again when it is gone.
async fn dial(world: World, env: Env, mains: Vec<HostIndex>, events: mpsc::Sender<Event>, group: u64) {
    for link in (group << 32).. {
        for main in &mains {
            let name = &world.scenario.topology.hosts.get(*main).name;
            let patience = Duration::from_secs(DIAL_SECONDS);
            let dialled = env.deadline(patience, dial_host(&*env.network, name, PORT)).await;
            if let Some(Ok((stream, _))) = dialled {
                let index = world.owner_of(public_address(*main));
                hold(env.clone(), stream, link, index, events.clone()).await;
                break;
            }
        }
        env.sleep(Duration::from_secs(REDIAL_SECONDS)).await;
    }
}

/// Reads and writes the lines of one link until it breaks.
async fn hold(env: Env, stream: Stream, link: u64, dialled: Option<HostIndex>, events: mpsc::Sender<Event>) {
    let (reader, mut writer) = tokio::io::split(stream);
    let (lines, mut waiting) = mpsc::channel::<Vec<u8>>(LINES_WAITING_MAX);
    if events.send(Event::Up { link, lines, dialled }).await.is_err() {
        return;
    }
    env.spawn("broadcaster-write", async move {
        while let Some(line) = waiting.recv().await {
            if writer.write_all(&line).await.is_err() {
                return;
            }
        }
    });
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    while let Ok(1..) = reader.read_until(b'\n', &mut line).await {
        if events.send(Event::Came(link, std::mem::take(&mut line))).await.is_err() {
            return;
        }
    }
    // Whoever is not there any more needs not be told.
    let _ = events.send(Event::Down(link)).await;
}

impl Member {
    fn take(&mut self, event: Event) {
        match event {
            Event::Up { link, lines, dialled } => {
                self.links.insert(link, lines);
                self.send(link, &Line { exchange: self.exchange(), ..self.line(None) });
                if !self.is_main() {
                    self.relay = dialled.map(|main| (link, main));
                    self.changed();
                }
            }
            Event::Down(link) => {
                self.links.remove(&link);
                if self.relay.is_some_and(|(own, _)| own == link) {
                    self.relay = None;
                }
            }
            Event::Again => self.broadcast(),
            Event::Came(link, bytes) => {
                self.count(bytes.len());
                if let Ok(line) = serde_json::from_slice::<Line>(&bytes) {
                    self.came(link, line);
                }
            }
        }
    }

    fn came(&mut self, link: u64, mut line: Line) {
        self.routes.insert(line.from.clone(), link);
        let mut met = vec![line.from.clone()];
        for peer in &line.exchange {
            self.routes.entry(peer.clone()).or_insert(link);
            met.push(peer.clone());
        }
        match &line.to {
            Some(to) if *to != self.me => {
                line.hops += 1;
                let route = self.routes.get(to).copied();
                if let Some(route) = route.filter(|route| *route != link && line.hops < HOPS_MAX) {
                    self.send(route, &line);
                }
            }
            _ => {
                if let Some(metadata) = &line.metadata {
                    self.keep(&line, metadata);
                }
            }
        }
        for peer in met {
            if peer != self.me && self.known.insert(peer.clone()) {
                self.tell(&peer);
            }
        }
    }

    fn keep(&self, line: &Line, metadata: &Value) {
        let Some(sequence) = metadata.get("sequence").and_then(Value::as_i64) else { return };
        let is_new = self.world.older.change(self.index, |view| {
            let known = view.others.get(&line.from);
            let is_new = known.is_none_or(|known| known.sequence <= sequence);
            if is_new {
                view.others.insert(line.from.clone(), Version { sequence, content: metadata.clone() });
            }
            is_new
        });
        if !is_new {
            return;
        }
        let (metadata, exchange) = (metadata.to_string(), line.exchange.join(","));
        let seen = i64::try_from(self.world.sim.now().as_millis()).unwrap_or(i64::MAX);
        let done = self.database.execute(
            "INSERT INTO peer_metadata VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (peer_id) DO UPDATE SET
             sequence = excluded.sequence, metadata = excluded.metadata, exchange = excluded.exchange,
             last_seen = excluded.last_seen",
            params![line.from, sequence, metadata, exchange, seen],
        );
        done.expect("a sound disk takes a row");
    }

    /// Its metadata is another one: everybody is told.
    fn changed(&mut self) {
        let address = |index: HostIndex| public_address(index).to_string();
        let now = self.world.sim.now().as_secs();
        let before = self.world.older.change(self.index, |view| view.own.as_ref().map(|own| own.sequence));
        let sequence = SEQUENCE_BASE + i64::try_from(now).unwrap_or(i64::MAX);
        let sequence = before.map_or(sequence, |before| sequence.max(before + 1));
        let (relay_address, relay) = match self.relay {
            Some((_, main)) => (
                format!("{}:{MAIN_PORT}", address(main)),
                self.record.lock().expect("nothing panics with the record").dht.peer(main).map(str::to_owned),
            ),
            None => (String::new(), None),
        };
        let content = json!({
            "node_id": self.world.scenario.topology.hosts.get(self.index).name,
            "node_type": if self.is_main() { "public" } else { "private" }, "is_relay": self.is_main(),
            "public_ip": address(self.index), "public_port": MAIN_PORT, "private_ip": "", "private_port": 0,
            "using_relay": self.relay.is_some(), "connected_relay": relay, "relay_session_id": "",
            "relay_address": relay_address, "protocols": ["relay.1"], "capabilities": [],
            "timestamp": now, "sequence": sequence, "version": 1,
        });
        let version = Version { sequence, content };
        self.world.older.change(self.index, |view| view.own = Some(version.clone()));
        {
            let mut record = self.record.lock().expect("nothing panics with the record");
            let at = self.world.sim.now();
            record.dht.is(self.index, &self.me);
            let published = Published { peer: self.me.clone(), version, kept: Some(sequence) };
            record.published(at, self.index, &published);
        }
        self.broadcast();
    }

    fn broadcast(&mut self) {
        for peer in self.known.clone() {
            self.tell(&peer);
        }
    }

    fn tell(&mut self, peer: &str) {
        let route = match self.relay {
            Some((link, _)) => Some(link),
            None => self.routes.get(peer).copied(),
        };
        if let Some(route) = route {
            let line = self.line(Some(peer.to_owned()));
            self.send(route, &line);
        }
    }

    /// What it tells of itself and of others.
    fn line(&self, to: Option<String>) -> Line {
        let own = self.world.older.change(self.index, |view| view.own.clone());
        let exchange = self.exchange();
        let pad = EXCHANGE_BYTES.saturating_sub(exchange.len() * EXCHANGED_PEER_BYTES);
        let (from, metadata) = (self.me.clone(), own.map(|own| own.content));
        Line { from, to, hops: 0, metadata, exchange, pad: "x".repeat(pad) }
    }

    /// As many of those that it knows as there is room for: others each time, as time goes on.
    fn exchange(&self) -> Vec<String> {
        let room = EXCHANGE_BYTES / EXCHANGED_PEER_BYTES;
        let turn = self.world.sim.now().as_secs() as usize % self.known.len().max(1);
        self.known.iter().cycle().skip(turn).take(room.min(self.known.len())).cloned().collect()
    }

    fn send(&mut self, link: u64, line: &Line) {
        let mut bytes = serde_json::to_vec(line).expect("a line is plain JSON");
        bytes.push(b'\n');
        self.count(bytes.len());
        if let Some(lines) = self.links.get(&link)
            && lines.try_send(bytes).is_err()
        {
            self.links.remove(&link);
        }
    }

    fn count(&self, bytes: usize) {
        self.world.older.change(self.index, |view| view.bytes += bytes as u64);
    }

    fn is_main(&self) -> bool {
        self.world.scenario.topology.hosts.get(self.index).is_main()
    }
}
