//! The relays of a scenario, and sets of them.

use std::fmt;
use std::time::Duration;

use globset::{Glob, GlobSet, GlobSetBuilder};
use indexmap::IndexMap;
use relay_chaos::{ClockTrouble, Selector};
use serde::{Serialize, Serializer};

/// Begins the name of a group.
pub(super) const GROUP: char = '@';
/// Stands between a Main and its Homes.
pub(super) const OF_MAIN: char = '/';
/// Begins a pattern whose hosts are not meant.
pub(super) const NOT: char = '!';

/// A host's place among the hosts: the Mains come first, then the Homes, each in the order of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostIndex(pub u32);

impl HostIndex {
    /// As an index into a `Vec` with one entry per host.
    pub fn as_usize(self) -> usize {
        self.0 as usize
    }
}

/// A relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its name; also its node id, unless `node_id` says otherwise.
    pub name: String,
    /// Hub or spoke.
    pub role: Role,
    /// Whether it speaks TLS: a Main only.
    pub tls: bool,
    /// The services that it offers, as indices into the topology's services.
    pub services: Vec<usize>,
    /// When it starts.
    pub start: Duration,
    /// Where its node id comes from.
    pub node_id: NodeId,
    /// What it runs on.
    pub machine: Machine,
    /// What stands between it and the others, where it is a Home.
    pub nat: Nat,
    /// Whether it is a node of the DHT from its start on.
    pub dht: bool,
}

/// The translator in front of a Home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nat {
    /// Whom it lets in with datagrams.
    pub kind: NatKind,
    /// How long a mapping lasts over which no datagram is sent.
    pub mapping: Duration,
    /// Whether the Home reaches itself by its public address.
    pub hairpin: bool,
}

impl Default for Nat {
    /// As most are: port-restricted, two minutes (RFC 4787, REQ-5), no hairpin.
    fn default() -> Self {
        Nat { kind: NatKind::default(), mapping: Duration::from_secs(120), hairpin: false }
    }
}

/// Whom a NAT lets in with datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NatKind {
    /// Everybody.
    FullCone,
    /// Addresses that the Home has written to.
    AddressRestricted,
    /// Addresses and ports that the Home has written to.
    #[default]
    PortRestricted,
    /// As that, with another public port for each of them.
    Symmetric,
}

/// What a relay runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Time that a core works for each message that the relay receives; zero: its code takes no time.
    pub per_message: Duration,
    /// How many messages are worked on at the same time; at least 1.
    pub cores: u32,
    /// How long its disk takes to sync something; zero: no time.
    pub per_sync: Duration,
    /// What is wrong with its clocks from the start.
    pub clock: ClockTrouble,
}

impl Default for Machine {
    /// Nothing takes time, and the clocks are true.
    fn default() -> Self {
        Machine {
            per_message: Duration::ZERO,
            cores: 1,
            per_sync: Duration::ZERO,
            clock: ClockTrouble::default(),
        }
    }
}

/// What a relay is in the federation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// A public hub.
    Main {
        /// The Mains that it dials from the start; it learns of others from them.
        peers: Vec<HostIndex>,
        /// The name whose SRV records it dials.
        peers_srv: Option<String>,
    },
    /// A machine behind NAT.
    Home {
        /// The Main that it connects to.
        main: HostIndex,
        /// The Mains that it tries when that one does not answer, in this order.
        fallback: Vec<HostIndex>,
    },
}

/// Where a relay's node id comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NodeId {
    /// The host's name, given by flag.
    #[default]
    HostName,
    /// Made by the node on its first start and kept on its disk: a wiped disk means another id.
    Generated,
}

impl Host {
    /// Whether it is a Main.
    pub fn is_main(&self) -> bool {
        matches!(self.role, Role::Main { .. })
    }
}

/// The relays of a scenario: the Mains, then the Homes, each in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts {
    by_name: IndexMap<String, Host>,
    groups: IndexMap<String, Vec<HostIndex>>,
}

impl Hosts {
    /// Adds a host, unless its name is taken.
    pub(super) fn insert(&mut self, host: Host) -> Option<HostIndex> {
        let index = HostIndex(u32::try_from(self.by_name.len()).ok()?);
        match self.by_name.entry(host.name.clone()) {
            indexmap::map::Entry::Occupied(_) => None,
            indexmap::map::Entry::Vacant(free) => {
                free.insert(host);
                Some(index)
            }
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (HostIndex, &Host)> {
        (0..).map(HostIndex).zip(self.by_name.values())
    }

    /// The host at `index`, which is one of this scenario's.
    ///
    /// # Panics
    /// When it is not.
    pub fn get(&self, index: HostIndex) -> &Host {
        &self.by_name[index.as_usize()]
    }

    pub(super) fn get_mut(&mut self, index: HostIndex) -> &mut Host {
        &mut self.by_name[index.as_usize()]
    }

    /// The host called `name`.
    pub fn find(&self, name: &str) -> Option<HostIndex> {
        self.by_name.get_index_of(name).and_then(|index| u32::try_from(index).ok()).map(HostIndex)
    }

    /// Has `@name` stand for these hosts.
    pub(super) fn define(&mut self, name: &str, hosts: Vec<HostIndex>) {
        self.groups.insert(name.to_owned(), hosts);
    }

    /// The names of the groups.
    pub(super) fn groups(&self) -> impl Iterator<Item = &str> {
        self.groups.keys().map(String::as_str)
    }

    /// The hosts that match one pattern, in order: a name, a glob, `@group`, `main/home` (Homes by their Main), or
    /// `mains` and `homes` where no host is called so. A plain name costs one look-up, all else one pass over all hosts.
    ///
    /// # Errors
    /// When the pattern is not a glob; the message says why.
    pub fn matching(&self, pattern: &str) -> Result<Vec<HostIndex>, String> {
        if let Some(group) = pattern.strip_prefix(GROUP) {
            return Ok(self.groups.get(group).cloned().unwrap_or_default());
        }
        if let Some((main, home)) = pattern.split_once(OF_MAIN) {
            let (main, home) = (Names::of(main)?, Names::of(home)?);
            return Ok(self.filter(|host| match &host.role {
                Role::Home { main: own, .. } => {
                    main.is_match(&self.get(*own).name) && home.is_match(&host.name)
                }
                Role::Main { .. } => false,
            }));
        }
        match Names::of(pattern)? {
            Names::One(name) => Ok(match (self.find(name), name) {
                (Some(host), _) => vec![host],
                (None, "mains") => self.filter(Host::is_main),
                (None, "homes") => self.filter(|host| !host.is_main()),
                (None, _) => Vec::new(),
            }),
            glob @ Names::Glob(_) => Ok(self.filter(|host| glob.is_match(&host.name))),
        }
    }

    /// The hosts that match `selector`, in order, each once: those that match any of its patterns, or all where each of
    /// them begins with `!`, without those that match what follows a `!`. A pattern that is not a glob matches nothing.
    pub fn select(&self, selector: &Selector) -> HostSet {
        let matching = |pattern: &str| self.matching(pattern).unwrap_or_default();
        let patterns = || selector.patterns().iter().map(String::as_str);
        let without: Vec<_> = patterns().filter_map(|it| it.strip_prefix(NOT)).flat_map(matching).collect();
        let mut hosts: Vec<_> = patterns().filter(|it| !it.starts_with(NOT)).flat_map(matching).collect();
        if patterns().all(|it| it.starts_with(NOT)) {
            hosts = self.filter(|_| true);
        }
        hosts.retain(|host| !without.contains(host));
        HostSet::new(selector.clone(), hosts)
    }

    fn filter(&self, wanted: impl Fn(&Host) -> bool) -> Vec<HostIndex> {
        self.iter().filter(|(_, host)| wanted(host)).map(|(index, _)| index).collect()
    }
}

/// Names of hosts: one of them, or all that a glob fits.
enum Names<'a> {
    One(&'a str),
    Glob(GlobSet),
}

impl<'a> Names<'a> {
    fn of(pattern: &'a str) -> Result<Names<'a>, String> {
        if !Selector::is_glob(pattern) {
            return Ok(Names::One(pattern));
        }
        let glob = Glob::new(pattern).map_err(|error| error.kind().to_string())?;
        // A set compiles to an error where a single glob would panic.
        let glob = GlobSetBuilder::new().add(glob).build().map_err(|error| error.kind().to_string())?;
        Ok(Names::Glob(glob))
    }

    fn is_match(&self, name: &str) -> bool {
        match self {
            Names::One(one) => *one == name,
            Names::Glob(glob) => glob.is_match(name),
        }
    }
}

impl Hosts {
    /// Just this one.
    pub fn only(&self, host: HostIndex) -> HostSet {
        HostSet::new(Selector::from(self.get(host).name.as_str()), vec![host])
    }
}

/// Some hosts of a scenario, and the patterns that stand for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostSet {
    selector: Selector,
    /// Sorted, each once.
    hosts: Vec<HostIndex>,
}

impl HostSet {
    pub(super) fn new(selector: Selector, mut hosts: Vec<HostIndex>) -> HostSet {
        hosts.sort_unstable();
        hosts.dedup();
        HostSet { selector, hosts }
    }

    /// This host, by its name.
    pub fn one(name: &str, host: HostIndex) -> HostSet {
        HostSet::new(Selector::from(name), vec![host])
    }

    /// The patterns, as written.
    pub fn selector(&self) -> &Selector {
        &self.selector
    }

    /// The hosts, in the order of the file.
    pub fn hosts(&self) -> &[HostIndex] {
        &self.hosts
    }

    /// Whether `host` is one of them.
    pub fn contains(&self, host: HostIndex) -> bool {
        self.hosts.binary_search(&host).is_ok()
    }
}

/// The patterns, as written.
impl fmt::Display for HostSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.selector.fmt(f)
    }
}

/// The patterns, as written.
impl Serialize for HostSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.selector.serialize(serializer)
    }
}
