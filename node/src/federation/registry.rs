//! Who serves what: this node's own services, those of the Homes that hang on it, and what other Mains announce.
//!
//! Entries of another Main live as long as that Main confirms them; a Main that has been silent for the time to live
//! loses all of its entries at once, so that one instant per Main is all there is to watch.

use std::collections::BTreeMap;
use std::time::Duration;

use indexmap::{IndexMap, IndexSet};

use super::Policy;
use super::views::Views;
use crate::env::Instant;
use crate::wire::{Announced, Discovery, NodeId, NodeKind, ServiceOffer, Withdrawn};

/// Where an entry came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// This node's own service.
    Own,
    /// A service of a Home that hangs on this node.
    Local,
    /// Announced by another Main.
    Federated {
        /// That Main.
        main: NodeId,
    },
}

/// One line of the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The service.
    pub service: ServiceOffer,
    /// The node that serves it.
    pub node: NodeId,
    /// Main or Home.
    pub kind: NodeKind,
    /// Where the entry came from.
    pub scope: Scope,
}

/// Where a call for a service or a node goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// This node.
    Here,
    /// A Home that hangs on this node.
    Home(NodeId),
    /// A node behind another Main.
    Behind { main: NodeId, node: NodeId },
}

/// What one other Main announced, to be kept over a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// That Main.
    pub main: NodeId,
    /// Until when its entries live, unless it confirms them.
    pub expires: Instant,
    /// Its entries, by node and service.
    pub services: Vec<Announced>,
}

/// The nodes that serve one name.
#[derive(Default)]
struct Instances {
    here: bool,
    homes: IndexSet<NodeId>,
    behind: IndexMap<NodeId, IndexSet<NodeId>>,
    /// The last wish that one of the Homes here had.
    wished: Option<Policy>,
    /// The last that another Main announced.
    announced: Option<Policy>,
}

/// The nodes that offer one service.
pub(super) struct Offerers<'a> {
    /// This node does.
    pub(super) here: bool,
    /// Homes that hang here.
    pub(super) homes: &'a IndexSet<NodeId>,
    /// Nodes behind other Mains, by Main.
    pub(super) behind: &'a IndexMap<NodeId, IndexSet<NodeId>>,
    /// How calls are spread.
    pub(super) policy: Policy,
}

/// What is to be announced of one service at one Home.
enum Change {
    /// It is there, and no peer knows it: should it go before it is announced, there is nothing to announce.
    Added(Announced),
    /// It is there, and peers know it as it was.
    Changed(Announced),
    /// It is gone, and peers know it.
    Gone,
}

/// The registry of one node.
pub struct Registry {
    me: NodeId,
    kind: NodeKind,
    own: Vec<ServiceOffer>,
    /// What the operator of this Main says of how calls are spread: it wins over every wish.
    balance: BTreeMap<String, Policy>,
    homes: BTreeMap<NodeId, Vec<ServiceOffer>>,
    views: Views,
    instances: BTreeMap<String, Instances>,
    /// What is to be announced: present, or gone.
    changes: BTreeMap<(NodeId, String), Change>,
    version: u64,
}

impl Registry {
    /// The registry of a node that offers `own` services. `ttl` is how long another Main's entries live without
    /// being confirmed.
    pub fn new(me: NodeId, kind: NodeKind, own: Vec<ServiceOffer>, ttl: Duration) -> Self {
        let mut instances: BTreeMap<String, Instances> = BTreeMap::new();
        for offer in &own {
            instances.entry(offer.name.clone()).or_default().here = true;
        }
        Registry {
            me,
            kind,
            own,
            balance: BTreeMap::new(),
            homes: BTreeMap::new(),
            views: Views::new(ttl),
            instances,
            changes: BTreeMap::new(),
            version: 0,
        }
    }

    /// Has calls of these services spread so, whatever their Homes wish.
    pub(super) fn with_balance(self, balance: BTreeMap<String, Policy>) -> Self {
        Registry { balance, ..self }
    }

    /// This node's own services.
    pub fn own(&self) -> &[ServiceOffer] {
        &self.own
    }

    /// A Home has registered, for the first time or anew: `offers` is all it has.
    pub(super) fn home_up(&mut self, home: &NodeId, offers: Vec<ServiceOffer>) {
        self.home_down(home);
        for offer in &offers {
            let instances = self.instances.entry(offer.name.clone()).or_default();
            instances.homes.insert(home.clone());
            instances.wished = offer.balance.or(instances.wished);
            let announced = self.announcement(home, NodeKind::Home, offer);
            let key = (home.clone(), offer.name.clone());
            let change = match self.changes.remove(&key) {
                Some(Change::Gone | Change::Changed(_)) => Change::Changed(announced),
                Some(Change::Added(_)) | None => Change::Added(announced),
            };
            self.changes.insert(key, change);
        }
        self.homes.insert(home.clone(), offers);
    }

    /// What other Mains are told of a service here.
    fn announcement(&self, node: &NodeId, kind: NodeKind, offer: &ServiceOffer) -> Announced {
        Announced {
            name: offer.name.clone(),
            node_id: node.clone(),
            node_type: kind,
            methods: offer.methods.clone(),
            balance: self.balance.get(&offer.name).copied().or(offer.balance),
        }
    }

    /// A Home is gone.
    pub(super) fn home_down(&mut self, home: &NodeId) {
        for offer in self.homes.remove(home).unwrap_or_default() {
            // A Home may have listed a name twice.
            let Some(instances) = self.instances.get_mut(&offer.name) else { continue };
            if !instances.homes.swap_remove(home) {
                continue;
            }
            self.drop_if_empty(&offer.name);
            let key = (home.clone(), offer.name);
            if !matches!(self.changes.remove(&key), Some(Change::Added(_))) {
                self.changes.insert(key, Change::Gone);
            }
        }
    }

    /// Takes over what another Main announces. `false`: something was missed; ask for the full list.
    pub(super) fn announced(&mut self, main: &NodeId, news: Discovery, now: Instant) -> bool {
        if news.full {
            self.forget(main);
            self.views.begin(main, news.version, now);
        } else if !self.views.follow(main, news.version, now) {
            return false;
        }
        for gone in news.removed {
            self.withdraw(main, gone.node_id, gone.name);
        }
        for entry in news.services {
            self.add(main, entry);
        }
        true
    }

    /// A Main says which version it is at. `false`: we are not there; ask for the full list.
    pub(super) fn confirmed(&mut self, main: &NodeId, version: u64, now: Instant) -> bool {
        self.views.confirm(main, version, now)
    }

    /// Takes up what was remembered from before a restart, until the Main itself announces it or its time is up.
    pub(super) fn restore(&mut self, remembered: Remembered, now: Instant) {
        let Remembered { main, expires, services } = remembered;
        self.forget(&main);
        self.views.remember(&main, expires, now);
        for entry in services {
            self.add(&main, entry);
        }
    }

    /// What other Mains announced, to be kept over a restart.
    pub fn remembered(&self) -> Vec<Remembered> {
        let views = self.views.iter().map(|(main, view)| Remembered {
            main: main.clone(),
            expires: view.expires(),
            services: view.entries().cloned().collect(),
        });
        views.collect()
    }

    /// Until when each other Main's entries live.
    pub fn expiries(&self) -> BTreeMap<NodeId, Instant> {
        self.views.iter().map(|(main, view)| (main.clone(), view.expires())).collect()
    }

    /// Grows with each entry of another Main that comes or goes.
    pub fn edits(&self) -> u64 {
        self.views.edits()
    }

    fn add(&mut self, main: &NodeId, entry: Announced) {
        let (name, node, balance) = (entry.name.clone(), entry.node_id.clone(), entry.balance);
        if self.views.add(main, entry) {
            let instances = self.instances.entry(name).or_default();
            instances.behind.entry(main.clone()).or_default().insert(node);
            instances.announced = balance.or(instances.announced);
        }
    }

    fn withdraw(&mut self, main: &NodeId, node: NodeId, name: String) {
        let key = (node, name);
        if !self.views.withdraw(main, &key) {
            return;
        }
        let (node, name) = key;
        if let Some(instances) = self.instances.get_mut(&name) {
            if let Some(nodes) = instances.behind.get_mut(main) {
                nodes.swap_remove(&node);
                if nodes.is_empty() {
                    instances.behind.shift_remove(main);
                }
            }
            self.drop_if_empty(&name);
        }
    }

    fn forget(&mut self, main: &NodeId) {
        for (node, name) in self.views.keys(main) {
            self.withdraw(main, node, name);
        }
        self.views.end(main);
    }

    fn drop_if_empty(&mut self, name: &str) {
        if self.instances.get(name).is_some_and(|it| !it.here && it.homes.is_empty() && it.behind.is_empty())
        {
            self.instances.remove(name);
        }
    }

    /// When the next Main's entries expire, unless it confirms them.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.views.next_expiry()
    }

    /// Drops the entries of all Mains that have been silent for the time to live. Returns those Mains.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<NodeId> {
        let silent = self.views.expired(now);
        for main in &silent {
            self.forget(main);
        }
        silent
    }

    /// Version of the last announcement.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    pub(super) fn has_changes(&self) -> bool {
        !self.changes.is_empty()
    }

    /// What is new since the last announcement: what is there now, and what is gone.
    pub(super) fn take_changes(&mut self) -> (Vec<Announced>, Vec<Withdrawn>) {
        let (mut there, mut gone) = (Vec::new(), Vec::new());
        for ((node_id, name), change) in std::mem::take(&mut self.changes) {
            match change {
                Change::Added(entry) | Change::Changed(entry) => there.push(entry),
                Change::Gone => gone.push(Withdrawn { name, node_id }),
            }
        }
        (there, gone)
    }

    /// Counts one more announcement.
    pub(super) fn next_version(&mut self) -> u64 {
        self.version += 1;
        self.version
    }

    /// Everything that this Main announces: its own services and its Homes'. Never what it heard from others.
    pub(super) fn full(&mut self) -> Discovery {
        // Whoever gets this knows of what no other peer has been told yet.
        for change in self.changes.values_mut() {
            if let Change::Added(entry) = change {
                *change = Change::Changed(entry.clone());
            }
        }
        let own = self.own.iter().map(|offer| (&self.me, self.kind, offer));
        let homes = self
            .homes
            .iter()
            .flat_map(|(home, offers)| offers.iter().map(move |o| (home, NodeKind::Home, o)));
        let services =
            own.chain(homes).map(|(node, kind, offer)| self.announcement(node, kind, offer)).collect();
        Discovery { full: true, version: self.version, services, ..Discovery::default() }
    }

    /// Whether a Home that hangs here, or this node itself, offers a service; `None` where the node does not hang here.
    pub(super) fn offers(&self, node: &NodeId, service: &str) -> Option<bool> {
        let offers = if *node == self.me { &self.own } else { self.homes.get(node)? };
        Some(offers.iter().any(|offer| offer.name == service))
    }

    /// The Main behind which a node is, the latest that announced it first among those for which `reachable` holds;
    /// an unreachable one where there is no other.
    pub(super) fn main_of(&self, node: &NodeId, reachable: impl Fn(&NodeId) -> bool) -> Option<NodeId> {
        self.views.main_of(node, reachable)
    }

    /// The nodes that offer a service; `None` where nobody does.
    pub(super) fn offerers(&self, service: &str) -> Option<Offerers<'_>> {
        let instances = self.instances.get(service)?;
        Some(Offerers {
            here: instances.here,
            homes: &instances.homes,
            behind: &instances.behind,
            policy: self
                .balance
                .get(service)
                .copied()
                .or(instances.wished)
                .or(instances.announced)
                .unwrap_or_default(),
        })
    }

    /// How many nodes offer a service: 0 where nobody does.
    pub fn instances_of(&self, service: &str) -> usize {
        self.offerers(service).map_or(0, |all| {
            usize::from(all.here) + all.homes.len() + all.behind.values().map(IndexSet::len).sum::<usize>()
        })
    }

    /// Services known here: own and Homes', and those behind other Mains.
    pub fn counts(&self) -> (usize, usize) {
        let homes: usize = self.homes.values().map(Vec::len).sum();
        (self.own.len() + homes, self.views.count())
    }

    /// Own services and those of the Homes that hang here, by node and name.
    pub fn local(&self) -> Vec<Listing> {
        let own = self.own.iter().map(|offer| (self.me.clone(), self.kind, Scope::Own, offer));
        let homes = self.homes.iter().flat_map(|(home, offers)| {
            offers.iter().map(move |offer| (home.clone(), NodeKind::Home, Scope::Local, offer))
        });
        own.chain(homes)
            .map(|(node, kind, scope, offer)| Listing { service: offer.clone(), node, kind, scope })
            .collect()
    }

    /// Everything: [`Registry::local`], then what other Mains announce.
    pub fn all(&self) -> Vec<Listing> {
        let mut all = self.local();
        for (main, view) in self.views.iter() {
            all.extend(view.entries().map(|entry| Listing {
                service: ServiceOffer {
                    name: entry.name.clone(),
                    methods: entry.methods.clone(),
                    balance: entry.balance,
                },
                node: entry.node_id.clone(),
                kind: entry.node_type,
                scope: Scope::Federated { main: main.clone() },
            }));
        }
        all
    }
}
