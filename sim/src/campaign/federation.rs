//! A federation drawn from a seed: who is there, what they offer, and the network between them.

use std::fmt::Write;

use relay_chaos::Stream;

use super::Notes;

/// The name that stands for all Mains in DNS, where one does.
const SRV_DOMAIN: &str = "_tcp.fed";

/// How often operators change and read what relays keep, so that durability is put to the test.
const OPERATOR_EVERY: &str = "20s";

/// How large a federation may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Mains, at most; at least one.
    pub mains: u32,
    /// Homes, at most; at least two.
    pub homes: u32,
}

/// A federation.
pub(super) struct Federation {
    pub(super) mains: Vec<Main>,
    pub(super) homes: Vec<Home>,
    network: Network,
    settings: Vec<(&'static str, &'static str)>,
    /// What a message costs, where it costs anything.
    cpu: Option<&'static str>,
    /// The name under which the Mains find each other, where they are not told.
    srv: Option<String>,
}

pub(super) struct Main {
    pub(super) name: String,
    tls: bool,
}

pub(super) struct Home {
    pub(super) name: String,
    main: usize,
    fallback: Vec<usize>,
    /// It makes its own node id, which nobody knows beforehand.
    pub(super) is_generated: bool,
    /// It offers the service `shop` as well, behind which an upstream answers.
    pub(super) has_shop: bool,
    /// It offers the service `news` as well, which the others call by name.
    pub(super) has_news: bool,
    /// When it starts, in seconds.
    start: u64,
}

struct Network {
    latency: &'static str,
    jitter: &'static str,
    loss: &'static str,
    bandwidth: &'static str,
    /// Between Mains.
    far: &'static str,
}

impl Federation {
    pub(super) fn has_shop(&self) -> bool {
        self.homes.iter().any(|home| home.has_shop)
    }

    /// Who asks others for a service, of the Homes and, where wanted or where all Homes offer it, of the Mains. A Home that
    /// offers it would answer itself, and nothing would cross the network.
    pub(super) fn callers(&self, with_mains: bool, offers: fn(&Home) -> bool) -> Vec<&str> {
        let homes = self.homes.iter().filter(|home| !offers(home)).map(|home| home.name.as_str());
        let homes: Vec<&str> = homes.collect();
        let mains = self.mains.iter().filter(|_| with_mains || homes.is_empty());
        mains.map(|main| main.name.as_str()).chain(homes.iter().copied()).collect()
    }
}

pub(super) fn draw(root: &Stream, bounds: &Bounds, notes: &mut Notes) -> Federation {
    let mut size = root.child("size");
    // Small ones are drawn more often than they would be: they are easier to understand.
    let mains = if size.chance(30) { size.between(1, bounds.mains.into()) } else { bounds.mains.into() };
    let homes = size.between(2.min(bounds.homes.into()), bounds.homes.into());
    let mut style = root.child("style");
    let tls_percent = *style.pick(&[0, 0, 0, 50, 100]);
    let fallback_percent = *style.pick(&[0, 50, 100]);
    let generated_percent = *style.pick(&[0, 0, 30]);
    let late_percent = *style.pick(&[0, 0, 30]);
    let main = |number: u64| {
        let mut stream = root.child("main").numbered(number as usize);
        Main { name: format!("main-{number}"), tls: stream.chance(tls_percent) }
    };
    let mains: Vec<Main> = (1..=mains).map(main).collect();
    let home = |number: u64| {
        let mut stream = root.child("home").numbered(number as usize);
        let main = stream.below(mains.len() as u64) as usize;
        let others: Vec<usize> = (0..mains.len()).filter(|other| *other != main).collect();
        let has_fallback = stream.chance(fallback_percent) && !others.is_empty();
        Home {
            name: format!("home-{number}"),
            main,
            fallback: if has_fallback { stream.some(&others) } else { Vec::new() },
            is_generated: stream.chance(generated_percent),
            has_shop: stream.chance(30),
            start: if stream.chance(late_percent) { stream.between(1, 60) } else { 0 },
            has_news: stream.chance(50),
        }
    };
    let mut homes: Vec<Home> = (1..=homes).map(home).collect();
    share_news(&mut homes);
    let srv = srv(&mains, &mut style);
    let federation = Federation {
        network: network(root.child("network")),
        settings: settings(root.child("node")),
        cpu: *style.pick(&[None, None, Some("50us per message"), Some("200us per message")]),
        srv,
        mains,
        homes,
    };
    note(&federation, notes);
    federation
}

/// There is always one who offers the news, and one who does not where there are two.
fn share_news(homes: &mut [Home]) {
    if let [first, .., last] = homes {
        (first.has_news, last.has_news) = (true, false);
    } else if let [only] = homes {
        only.has_news = true;
    }
}

/// The Mains find each other in DNS, where all of them are dialled in the same way.
fn srv(mains: &[Main], stream: &mut Stream) -> Option<String> {
    let wanted = stream.chance(20);
    let secure = mains.iter().filter(|main| main.tls).count();
    let service = match secure {
        0 => "_relay",
        all if all == mains.len() => "_relays",
        _ => return None,
    };
    wanted.then(|| format!("{service}.{SRV_DOMAIN}"))
}

fn network(mut stream: Stream) -> Network {
    let (latency, jitter) =
        *stream.pick(&[("1ms", "0s"), ("5ms", "1ms"), ("10ms", "2ms"), ("20ms", "10ms"), ("80ms", "20ms")]);
    Network {
        latency,
        jitter,
        loss: stream.pick::<&str>(&["0%", "0%", "0.01%", "0.1%", "1%"]),
        bandwidth: stream.pick::<&str>(&["1Gbit/s", "100Mbit/s", "10Mbit/s"]),
        far: stream.pick::<&str>(&["5ms", "20ms", "150ms"]),
    }
}

/// Settings of the relays that are not their own defaults.
fn settings(mut stream: Stream) -> Vec<(&'static str, &'static str)> {
    let mut settings = Vec::new();
    if stream.chance(40) {
        settings.push(("heartbeat", "10s"));
        settings.push(("unhealthy_after", "25s"));
    }
    if stream.chance(30) {
        settings.push(("backoff_cap", *stream.pick(&["3s", "30s"])));
    }
    if stream.chance(30) {
        settings.push(("drain", *stream.pick(&["0s", "3s"])));
    }
    settings
}

fn note(federation: &Federation, notes: &mut Notes) {
    let Federation { mains, homes, network, settings, cpu, srv } = federation;
    let secure = mains.iter().filter(|main| main.tls).count();
    notes.add("Mains", format!("{}, {secure} with TLS", mains.len()));
    let count = |what: &dyn Fn(&Home) -> bool| homes.iter().filter(|home| what(home)).count();
    notes.add(
        "Homes",
        format!(
            "{}, {} with fallbacks, {} that make their own id, {} with news, {} with a shop, {} that start late",
            homes.len(),
            count(&|home| !home.fallback.is_empty()),
            count(&|home| home.is_generated),
            count(&|home| home.has_news),
            count(&|home| home.has_shop),
            count(&|home| home.start > 0),
        ),
    );
    let Network { latency, jitter, loss, bandwidth, far } = network;
    notes.add("network", format!("{latency} + {jitter}, {loss} lost, {bandwidth}; {far} between Mains"));
    let settings: Vec<String> = settings.iter().map(|(key, value)| format!("{key} {value}")).collect();
    notes.add("settings", if settings.is_empty() { "the node's own".into() } else { settings.join(", ") });
    notes.add("cpu", cpu.unwrap_or("free"));
    notes.add("peers", srv.as_deref().unwrap_or("told"));
}

/// It as the sections of a scenario.
pub(super) fn text(federation: &Federation) -> String {
    let mut text = String::new();
    let mut line = |line: &str| writeln!(text, "{line}").expect("strings take all");
    let Network { latency, jitter, loss, bandwidth, far } = &federation.network;
    line("\n[network]");
    line(&format!(
        "latency = \"{latency}\"\njitter = \"{jitter}\"\nloss = \"{loss}\"\nbandwidth = \"{bandwidth}\""
    ));
    if federation.mains.len() > 1 {
        line(&format!("\n[[link]]\nfrom = \"main-*\"\nto = \"main-*\"\nlatency = \"{far}\""));
    }
    if !federation.settings.is_empty() {
        line("\n[node]");
        federation.settings.iter().for_each(|(key, value)| line(&format!("{key} = \"{value}\"")));
    }
    if let Some(cpu) = federation.cpu {
        line(&format!("\n[host]\ncpu = \"{cpu}\""));
    }
    line(&format!("\n[operator]\nevery = \"{OPERATOR_EVERY}\""));
    for name in ["echo", "news"] {
        line(&format!("\n[[service]]\nname = \"{name}\"\nkind = \"echo\""));
    }
    if federation.has_shop() {
        line("\n[[service]]\nname = \"shop\"\nkind = \"http\"");
    }
    if let Some(srv) = &federation.srv {
        line(&format!("\n[[dns]]\nname = \"{srv}\"\ntargets = \"main-*\""));
    }
    for main in &federation.mains {
        line(&format!("\n[[main]]\nname = \"{}\"", main.name));
        if main.tls {
            line("tls = true");
        }
        if let Some(srv) = &federation.srv {
            line(&format!("peers_srv = \"{srv}\""));
        }
    }
    let main = |number: usize| format!("\"{}\"", federation.mains[number].name);
    for home in &federation.homes {
        line(&format!("\n[[home]]\nname = \"{}\"\nmain = {}", home.name, main(home.main)));
        if !home.fallback.is_empty() {
            let names: Vec<String> = home.fallback.iter().map(|it| main(*it)).collect();
            line(&format!("fallback = [{}]", names.join(", ")));
        }
        let services = [("echo", true), ("news", home.has_news), ("shop", home.has_shop)];
        let offered = services.iter().filter(|(_, offered)| *offered).map(|(name, _)| format!("\"{name}\""));
        line(&format!("services = [{}]", offered.collect::<Vec<_>>().join(", ")));
        if home.is_generated {
            line("node_id = \"generated\"");
        }
        if home.start > 0 {
            line(&format!("start = \"{}s\"", home.start));
        }
    }
    text
}
