//! Nodes of the DHT that are no relays and mean no good.
//!
//! Both kinds run a sound node, by which they join and stay in others' tables; what they answer with is not always what that
//! says.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rand::{Rng as _, RngExt};
use relay_node::dht::bencode::Value;
use relay_node::dht::krpc::{Body, CompactNodes, Message, Method, Put, Query, Response};
use relay_node::dht::{Config, Contact, Dht, Family, Id, Transmit};
use relay_node::env::{DatagramSocket, Env, Rng};

use super::super::SharedRecord;
use crate::engine::ProcessKind;
use crate::scenario::{HostIndex, StrangerKind, Strangers};
use crate::world::{DHT_PORT, World};

/// The largest datagram that is taken, in bytes.
const DATAGRAM_BYTES: usize = 2_048;

/// How often those who wait for a target to be known look, in seconds.
const LOOK_SECONDS: u64 = 5;

/// Bits that the id of a sybil has in common with its target: more than anybody's by chance.
const SHARED_BITS: usize = 40;

/// The share of queries that a garbler answers soundly: else nobody would have it in a table.
const SOUND_SHARE: f64 = 0.3;

/// Nodes in a list that is too long.
const LONG_LIST: usize = 50;

/// Versions that a sybil keeps to give out when they are old; of more targets nothing is kept.
const OLD_ITEMS_MAX: usize = 1_000;

/// Starts all of them.
pub fn start(world: &World, record: &SharedRecord) {
    let mut hosts = world.strangers().iter().copied();
    for group in &world.scenario.topology.dht.strangers {
        for (number, host) in (0..group.count).zip(&mut hosts) {
            let (world_of_it, record, group) = (world.clone(), Arc::clone(record), group.clone());
            world.sim.start(host, "stranger", ProcessKind::Harness, move |env| {
                Box::pin(async move { live(world_of_it, record, group, number, env).await })
            });
        }
    }
}

async fn live(world: World, record: SharedRecord, group: Strangers, number: u32, env: Env) {
    world.sim.sleep_until(group.start).await;
    let mut rng = env.rng("stranger");
    let id = match group.kind {
        StrangerKind::Garbage => Id::random(&mut rng),
        StrangerKind::Sybil => {
            let target = group.near[number as usize % group.near.len()];
            id_near(&world, &record, target, &mut rng).await
        }
    };
    let at = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), DHT_PORT);
    let socket = env.network.bind_datagram(at).await.expect("nobody else is on this host");
    let bootstrap = group.bootstrap.iter().map(|main| World::dht_address(*main)).collect();
    let config = Config { bootstrap, ..Config::v4(id) };
    let dht = Dht::new(config, env.rng("stranger-dht"), env.clock.now());
    let nature = match group.kind {
        StrangerKind::Garbage => Nature::Garbage,
        StrangerKind::Sybil => Nature::Sybil { given: BTreeMap::new() },
    };
    Stranger { env, socket, dht, rng, nature }.run().await;
}

/// An id close to the target under which a peer publishes, once that is known.
async fn id_near(world: &World, record: &SharedRecord, target: HostIndex, rng: &mut Rng) -> Id {
    loop {
        let peer = {
            let record = record.lock().expect("nothing panics with the record");
            record.dht.peer(target).and_then(|peer| peer.parse::<Id>().ok())
        };
        match peer {
            Some(peer) => return peer.sharing(SHARED_BITS, rng),
            None => world.sim.sleep(Duration::from_secs(LOOK_SECONDS)).await,
        }
    }
}

/// What makes it no good.
enum Nature {
    Garbage,
    Sybil {
        /// The first put that it was given under each target, whole.
        given: BTreeMap<Id, Vec<u8>>,
    },
}

struct Stranger {
    env: Env,
    socket: Box<dyn DatagramSocket>,
    dht: Dht,
    rng: Rng,
    nature: Nature,
}

impl Stranger {
    async fn run(mut self) {
        let mut buffer = vec![0; DATAGRAM_BYTES];
        loop {
            self.flush().await;
            let due =
                self.dht.next_timeout().unwrap_or_else(|| self.env.clock.now() + Duration::from_secs(1));
            let came = tokio::select! {
                biased;
                came = self.socket.recv_from(&mut buffer) => Some(came),
                () = self.env.clock.sleep_until(due) => None,
            };
            let now = self.env.clock.now();
            match came {
                None => self.dht.handle_timeout(now),
                Some(Ok((length, from))) => {
                    let datagram = &buffer[..length];
                    match self.nature.answer(datagram, self.dht.id(Family::V4), &mut self.rng) {
                        Some(answer) => {
                            // What gets lost is lost.
                            let _ = self.socket.send_to(&answer, from).await;
                        }
                        None => self.dht.handle(datagram, from, now),
                    }
                }
                // The host is gone, and with it this.
                Some(Err(_)) => return,
            }
        }
    }

    async fn flush(&mut self) {
        while let Some(Transmit { to, datagram }) = self.dht.poll_transmit() {
            let _ = self.socket.send_to(&datagram, to).await;
        }
        while self.dht.poll_event().is_some() {}
    }
}

impl Nature {
    /// What it answers with where a sound node would answer otherwise; `None`: it is sound this time.
    fn answer(&mut self, datagram: &[u8], me: Option<Id>, rng: &mut Rng) -> Option<Vec<u8>> {
        let Ok(Message { transaction, body: Body::Query(query), .. }) = Message::decode(datagram) else {
            return None;
        };
        match self {
            Nature::Garbage => (!rng.random_bool(SOUND_SHARE)).then(|| garbage(datagram, transaction, rng)),
            Nature::Sybil { given } => hide(given, datagram, transaction, &query, me?),
        }
    }
}

/// Noise, a damaged echo, an answer under another id, or a list of nodes that are not there.
fn garbage(datagram: &[u8], transaction: &[u8], rng: &mut Rng) -> Vec<u8> {
    let kind: u8 = rng.random_range(0..4);
    match kind {
        0 => {
            let mut noise = vec![0; rng.random_range(1..DATAGRAM_BYTES)];
            rng.fill_bytes(&mut noise);
            noise
        }
        1 => {
            let mut damaged = datagram.to_vec();
            let at = rng.random_range(0..damaged.len());
            damaged[at] ^= 1 << rng.random_range(0..8);
            damaged
        }
        2 => {
            let response = Response::of(Id::random(rng));
            Message { transaction, version: None, body: Body::Response(response) }.encode()
        }
        _ => {
            let nobody = |rng: &mut Rng| Contact {
                id: Id::random(rng),
                address: SocketAddr::from(([14, rng.random(), rng.random(), rng.random()], 1)),
            };
            let nodes: Vec<Contact> = (0..LONG_LIST).map(|_| nobody(rng)).collect();
            let nodes = CompactNodes::pack(&nodes, Family::V4);
            let nodes = Some(CompactNodes::read(&nodes, Family::V4));
            let response = Response { nodes, token: Some(b"token"), ..Response::of(Id::random(rng)) };
            Message { transaction, version: None, body: Body::Response(response) }.encode()
        }
    }
}

/// Takes every put and keeps the first of each target; gives that out for ever, or says that there is nothing.
fn hide(
    given: &mut BTreeMap<Id, Vec<u8>>,
    datagram: &[u8],
    transaction: &[u8],
    query: &Query<'_>,
    me: Id,
) -> Option<Vec<u8>> {
    let answer = |response: Response<'_>| {
        Some(Message { transaction, version: None, body: Body::Response(response) }.encode())
    };
    match &query.method {
        Method::Put(put) => {
            if let Some(target) = target_of(put)
                && given.len() < OLD_ITEMS_MAX
            {
                given.entry(target).or_insert_with(|| datagram.to_vec());
            }
            answer(Response::of(me))
        }
        Method::Get { target, .. } => {
            let nothing = Response { token: Some(b"token"), ..Response::of(me) };
            let old = given.get(target).and_then(|old| Message::decode(old).ok());
            let Some(Message { body: Body::Query(Query { method: Method::Put(old), .. }), .. }) = old else {
                return answer(nothing);
            };
            let (value, mutable): (Value<'_>, _) = (old.value, old.mutable);
            let signed = mutable.map(|it| (it.key, it.signature));
            answer(Response { value: Some(value), seq: mutable.map(|it| it.seq), signed, ..nothing })
        }
        _ => None,
    }
}

fn target_of(put: &Put<'_>) -> Option<Id> {
    put.mutable.map(|mutable| relay_node::dht::mutable_target(mutable.key, mutable.salt))
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;
    use rand::SeedableRng;
    use relay_node::dht::MutableItem;
    use relay_node::dht::krpc::{PutMutable, Want};

    use super::*;

    fn query(method: Method<'_>) -> Vec<u8> {
        let body = Body::Query(Query { id: Id::from_bytes([1; 20]), read_only: false, method });
        Message { transaction: b"tt", version: None, body }.encode()
    }

    fn put(item: &MutableItem) -> Vec<u8> {
        let mutable =
            PutMutable { key: &item.key, salt: b"", seq: item.seq, signature: &item.signature, cas: None };
        query(Method::Put(Put {
            token: b"token",
            value: Value::parse(&item.value).unwrap(),
            mutable: Some(mutable),
        }))
    }

    #[test]
    fn a_sybil_gives_out_the_first_version_for_ever() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let item = |seq, value: &str| MutableItem::sign(&key, b"", seq, value.into()).unwrap();
        let (first, second) = (item(1, "3:old"), item(2, "3:new"));
        let mut sybil = Nature::Sybil { given: BTreeMap::new() };
        let mut rng = Rng::seed_from_u64(1);
        let me = Some(Id::from_bytes([9; 20]));
        let get = query(Method::Get { target: first.target(), newer_than: None, want: Want::UNSAID });
        let seq = |answer: Vec<u8>| match Message::decode(&answer).unwrap().body {
            Body::Response(response) => response.seq,
            other => panic!("{other:?}"),
        };
        assert_eq!(seq(sybil.answer(&get, me, &mut rng).unwrap()), None, "it has nothing");
        assert!(
            sybil.answer(&put(&first), me, &mut rng).is_some()
                && sybil.answer(&put(&second), me, &mut rng).is_some()
        );
        assert_eq!(seq(sybil.answer(&get, me, &mut rng).unwrap()), Some(1));
        assert_eq!(sybil.answer(&query(Method::Ping), me, &mut rng), None, "else it is sound");
    }

    #[test]
    fn garbage_is_of_every_kind_and_never_sound() {
        let mut rng = Rng::seed_from_u64(1);
        let me = Id::from_bytes([9; 20]);
        let ping = query(Method::Ping);
        let (mut sound, mut unreadable, mut foreign) = (0, 0, 0);
        for _ in 0..400 {
            let Some(answer) = Nature::Garbage.answer(&ping, Some(me), &mut rng) else {
                sound += 1;
                continue;
            };
            match Message::decode(&answer).map(|message| message.body) {
                Ok(Body::Response(response)) => foreign += u32::from(response.id != me),
                Ok(_) | Err(_) => unreadable += 1,
            }
        }
        assert!(sound > 80 && unreadable > 80 && foreign > 80, "{sound} {unreadable} {foreign}");
    }
}
