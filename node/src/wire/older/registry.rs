//! `registry_sync`: which services there are, by name.
//!
//! Older nodes have one server of a name; a federation may have many. The first one stands under the bare name, which
//! is where older nodes look, every further one under `NAME@NODE`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::OlderError;
use super::message::Message;
use crate::wire::registration::MAX_OFFERS;
use crate::wire::{NodeId, ServiceOffer, check_service_name, payload};

/// One service as older nodes are told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// The service's name.
    pub name: String,
    /// The node that serves it.
    pub node_id: NodeId,
    /// Its methods, for people.
    pub methods: Vec<String>,
    /// It is served by the node that tells of it or by one that hangs there.
    pub is_local: bool,
}

/// The services by the key under which older nodes find them, see the [module](self).
pub fn by_key(listed: &[Listed]) -> BTreeMap<String, &Listed> {
    let mut servers: BTreeMap<String, &Listed> = BTreeMap::new();
    for service in listed {
        let key = if servers.contains_key(&service.name) {
            format!("{}@{}", service.name, service.node_id)
        } else {
            service.name.clone()
        };
        servers.insert(key, service);
    }
    servers
}

/// `data` of the `registry_sync` by which `me` tells of these services.
pub(super) fn sync_data(me: &NodeId, listed: &[Listed]) -> Box<RawValue> {
    #[derive(Serialize)]
    struct Data<'a> {
        node_id: &'a NodeId,
        servers: BTreeMap<String, &'a Listed>,
    }
    payload(&Data { node_id: me, servers: by_key(listed) })
}

/// The services of `peer` itself that its `registry_sync` tells of; `None` where it only asks for ours.
///
/// What it has heard from others is left out: they announce it themselves, and what it heard from us would come back as
/// if it were served there.
pub(super) fn offers(message: &Message, peer: &NodeId) -> Result<Option<Vec<ServiceOffer>>, OlderError> {
    /// Older nodes have maps by name; a list of names or of objects is understood, too.
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Servers {
        ByName(BTreeMap<String, Option<Entry>>),
        List(Vec<Item>),
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Item {
        Name(String),
        Entry(Entry),
    }
    #[derive(Deserialize, Default)]
    struct Entry {
        name: Option<String>,
        node_id: Option<String>,
        methods: Option<Vec<String>>,
    }
    #[derive(Deserialize)]
    struct Data {
        servers: Option<Servers>,
    }

    let data: Data = message.read_data().map_err(|_| {
        let expected = "expected an object of services by name, or a list of names or of services";
        OlderError::invalid("data.servers", expected)
    })?;
    let entries: Vec<Entry> = match data.servers {
        None => return Ok(None),
        Some(Servers::ByName(servers)) => servers
            .into_iter()
            .map(|(key, entry)| {
                let entry = entry.unwrap_or_default();
                let name = entry.name.filter(|name| !name.is_empty());
                // A key without an object may still be one of ours: `NAME@NODE`.
                let bare = || key.split_once('@').map_or(key.as_str(), |(name, _)| name).to_owned();
                Entry { name: Some(name.unwrap_or_else(bare)), ..entry }
            })
            .collect(),
        Some(Servers::List(items)) => items
            .into_iter()
            .map(|item| match item {
                Item::Name(name) => Entry { name: Some(name), ..Entry::default() },
                Item::Entry(entry) => entry,
            })
            .collect(),
    };
    let mut offers = BTreeMap::new();
    for entry in entries {
        let node = entry.node_id.as_deref().unwrap_or_default();
        if !node.is_empty() && node != peer.as_str() {
            continue;
        }
        let name = entry.name.unwrap_or_default();
        check_service_name(&name).map_err(|error| OlderError::invalid("data.servers", error))?;
        offers.insert(name, entry.methods.unwrap_or_default());
    }
    if offers.len() > MAX_OFFERS {
        let reason = format!("{} services, at most {MAX_OFFERS}", offers.len());
        return Err(OlderError::invalid("data.servers", reason));
    }
    Ok(Some(
        offers.into_iter().map(|(name, methods)| ServiceOffer { name, methods, balance: None }).collect(),
    ))
}
