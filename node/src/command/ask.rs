//! A command at work: a node of the DHT that lives as long as it.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use ed25519_dalek::SigningKey;

use super::show::{Answer, failed};
use super::{DhtCommand, EXIT_NOTHING, EXIT_USAGE, Put, Said, Signed, Task};
use crate::config::BindAddresses;
use crate::dht::bencode::Writer;
use crate::dht::{
    Busy, Config, Cost, Driver, Family, GetRequest, Id, Item, MutableItem, PARALLEL_QUERIES, PutRequest,
    QueryLimits, Sockets, look_up, mutable_target,
};
use crate::env::Env;

/// Addresses of all ways in together.
const WAYS_MAX: usize = 64;

/// Why a command did nothing.
#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Network(String),
    #[error(
        "no node of the DHT answers at {0}. Does a relay run there, with -dht on, and do UDP datagrams reach it? \
         -bootstrap HOST:PORT names others"
    )]
    NobodyAnswers(String),
    #[error(transparent)]
    Busy(#[from] Busy),
}

impl DhtCommand {
    /// Does what is asked for. It ends within seconds, whether somebody answers or not.
    pub async fn run(&self, env: &Env) -> Said {
        match self.answer(env).await {
            Ok(answer) => answer.show(self.json),
            Err(error) => {
                let exit = if matches!(error, AskError::Usage(_)) { EXIT_USAGE } else { EXIT_NOTHING };
                failed(&error.to_string(), exit, self.json)
            }
        }
    }

    async fn answer(&self, env: &Env) -> Result<Answer, AskError> {
        // What is wrong with the file is said before anybody is asked.
        let key = match &self.task {
            Task::Put(Put { signed: Some(signed), .. }) => Some(signing_key(env, &signed.key_file).await?),
            _ => None,
        };
        let driver = self.join(env).await?;
        match &self.task {
            Task::Get { target, salt } => {
                let request = GetRequest { salt: salt.clone(), ..GetRequest::of_target(*target) };
                let (found, cost) = self.heard(driver.get(request).await?)?;
                Ok(Answer::Got { target: *target, found, cost })
            }
            Task::Find { target } => {
                let (closest, cost) = self.heard(driver.find_node(*target).await?)?;
                Ok(Answer::Found { target: *target, closest, cost })
            }
            Task::Peers { info_hash } => {
                let (peers, cost) = self.heard(driver.get_peers(*info_hash).await?)?;
                Ok(Answer::Peers { info_hash: *info_hash, peers, cost })
            }
            Task::Put(put) => self.put(&driver, put, key).await,
        }
    }

    async fn put(&self, driver: &Driver, put: &Put, key: Option<SigningKey>) -> Result<Answer, AskError> {
        let mut value = Writer::new();
        value.bytes(&put.value);
        let value = value.finish();
        let (item, cas) = match (&put.signed, key) {
            (Some(signed), Some(key)) => {
                let seq = match signed.seq {
                    Some(seq) => seq,
                    None => self.next_seq(driver, &key, signed).await?,
                };
                let item = MutableItem::sign(&key, &signed.salt, seq, value);
                (item.map(Item::Mutable), signed.cas)
            }
            _ => (Item::immutable(value), None),
        };
        let item = item.map_err(|error| AskError::Usage(error.to_string()))?;
        let (target, seq) = (item.target(), item.seq());
        let request = PutRequest { cas, ..PutRequest::of(item) };
        let (report, cost) = self.heard(driver.put(request).await?)?;
        Ok(Answer::Put { target, seq, report, cost })
    }

    /// One more than the newest version that is found.
    async fn next_seq(&self, driver: &Driver, key: &SigningKey, signed: &Signed) -> Result<i64, AskError> {
        let target = mutable_target(key.verifying_key().as_bytes(), &signed.salt);
        let request = GetRequest { salt: signed.salt.clone(), ..GetRequest::of_target(target) };
        let (found, _) = self.heard(driver.get(request).await?)?;
        let seq = found.item.and_then(|item| item.seq()).map_or(Some(1), |seq| seq.checked_add(1));
        seq.ok_or_else(|| {
            AskError::Usage("no version is left after the one that is published; use another -salt".into())
        })
    }

    /// What came of it, where there was anybody to ask.
    fn heard<T>(&self, (found, cost): (T, Cost)) -> Result<(T, Cost), AskError> {
        if cost.answers == 0 {
            let ways: Vec<String> = self.bootstrap.iter().map(ToString::to_string).collect();
            return Err(AskError::NobodyAnswers(ways.join(", ")));
        }
        Ok((found, cost))
    }

    /// A node of the families that the ways in have.
    async fn join(&self, env: &Env) -> Result<Arc<Driver>, AskError> {
        let ways = self.ways(env).await?;
        let speaks = |family| ways.iter().any(|way| Family::of(*way) == family);
        let addresses = BindAddresses::Given {
            v4: speaks(Family::V4).then_some(Ipv4Addr::UNSPECIFIED),
            v6: speaks(Family::V6).then_some(Ipv6Addr::UNSPECIFIED),
        };
        let sockets = Sockets::bind(&*env.network, addresses, Some(0)).await;
        let sockets = sockets
            .map_err(|error| AskError::Network(format!("cannot open a UDP socket: {}", error.error)))?;
        let id = Id::random(&mut env.rng("dht-id"));
        let config = Config {
            v4: speaks(Family::V4).then_some(id),
            v6: speaks(Family::V6).then_some(id),
            read_only: true,
            follow_address: false,
            require_fitting_ids: false,
            bootstrap: ways,
            parallel: PARALLEL_QUERIES,
            limits: QueryLimits::default(),
        };
        let driver = Driver::new(env.clone(), sockets, config);
        driver.start();
        Ok(driver)
    }

    async fn ways(&self, env: &Env) -> Result<Vec<SocketAddr>, AskError> {
        let (mut ways, mut failures) = (Vec::new(), Vec::new());
        for way in &self.bootstrap {
            match look_up(env, way).await {
                Ok(addresses) => ways.extend(addresses.into_iter().take(WAYS_MAX - ways.len())),
                Err(error) => failures.push(format!("-bootstrap {way}: {error}")),
            }
        }
        if ways.is_empty() { Err(AskError::Network(failures.join("; "))) } else { Ok(ways) }
    }
}

async fn signing_key(env: &Env, file: &str) -> Result<SigningKey, AskError> {
    let (storage, path) = (Arc::clone(&env.storage), file.to_owned());
    let text = env.blocking("dht-key", move || storage.read_file(&path)).await;
    let text =
        text.and_then(|read| read).map_err(|error| AskError::Usage(format!("-key {file}: {error}")))?;
    let mut seed = [0; 32];
    hex::decode_to_slice(text.trim(), &mut seed).map_err(|_| {
        AskError::Usage(format!(
            "-key {file}: it does not hold an Ed25519 private key, 64 hexadecimal digits"
        ))
    })?;
    Ok(SigningKey::from_bytes(&seed))
}
