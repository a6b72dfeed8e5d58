//! Under which address this node is seen from outside: told by its operator, by its socket, by most of the DHT, or by the
//! relays that it is linked with.

use std::net::{IpAddr, SocketAddr};

use super::Offer;
use crate::dht::is_local;
use crate::federation::LinkId;
use crate::wire::NodeKind;

/// Where this node is.
#[derive(Debug)]
pub(super) struct Place {
    /// The operator said so, or the node listens on this address alone.
    fixed: Option<IpAddr>,
    /// Most nodes of the DHT say so, of IPv4 and of IPv6.
    agreed: [Option<IpAddr>; 2],
    /// A relay at the other end of this link says so, whose word weighs so much.
    told: Option<(Weight, IpAddr, Option<LinkId>)>,
}

/// How much an address that one relay tells counts: first how much of the world it means something to, then whether a
/// Main says it. A Home may say anything.
type Weight = (u8, bool);

/// Of an address whose teller is gone: any other word counts more.
const WORTHLESS: Weight = (0, false);

impl Place {
    /// `before` is the address that was published before a restart.
    pub(super) fn new(kind: NodeKind, offer: &Offer, before: Option<IpAddr>) -> Self {
        // What a Home listens on is for its own machine.
        let listens = Some(offer.listen.ip()).filter(|ip| kind == NodeKind::Main && !ip.is_unspecified());
        let told = before.map(|ip| (WORTHLESS, ip, None));
        Place { fixed: offer.advertised.map(|at| at.ip()).or(listens), agreed: [None; 2], told }
    }

    /// The address that counts: that of a Main that sees us from the internet before what most strangers say.
    pub(super) fn ip(&self) -> Option<IpAddr> {
        let [v4, v6] = self.agreed;
        let by_a_main = self.told.filter(|(weight, ..)| *weight == (GLOBAL, true)).map(|(_, ip, _)| ip);
        self.fixed.or(by_a_main).or(v4).or(v6).or(self.told.map(|(_, ip, _)| ip))
    }

    /// Most nodes of the DHT see us so.
    pub(super) fn agreed(&mut self, ip: IpAddr) -> bool {
        let family = usize::from(ip.is_ipv6());
        self.changes(|place| place.agreed[family] = Some(ip))
    }

    /// One relay sees us so. The address by which more of the world sees us stays: a neighbour on the same machine sees a
    /// loopback address.
    pub(super) fn told(&mut self, ip: IpAddr, by_a_main: bool, link: LinkId) -> bool {
        let ip = ip.to_canonical();
        let weight = (scope(ip), by_a_main);
        let known = self.told.is_some_and(|(before, _, teller)| teller.is_some() && before >= weight);
        if ip.is_unspecified() || known {
            return false;
        }
        self.changes(|place| place.told = Some((weight, ip, Some(link))))
    }

    /// A link has ended: what was told over it stays until somebody tells something else.
    pub(super) fn gone(&mut self, link: LinkId) {
        if let Some((weight, _, teller)) = &mut self.told
            && *teller == Some(link)
        {
            (*weight, *teller) = (WORTHLESS, None);
        }
    }

    fn changes(&mut self, change: impl FnOnce(&mut Self)) -> bool {
        let before = self.ip();
        change(self);
        self.ip() != before
    }
}

/// The whole world.
const GLOBAL: u8 = 2;

/// How much of the world an address means something to.
fn scope(ip: IpAddr) -> u8 {
    match ip {
        ip if ip.is_loopback() => 0,
        ip if is_local(ip) => 1,
        _ => GLOBAL,
    }
}

/// The port of an address, where others are to connect.
pub(super) fn port(offer: &Offer) -> u16 {
    offer.advertised.map_or(offer.listen.port(), |at: SocketAddr| at.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    const LINK: LinkId = LinkId(1);
    const OTHER: LinkId = LinkId(2);

    fn place(listen: &str, advertised: Option<&str>) -> Place {
        let advertised = advertised.map(|at| at.parse().unwrap());
        Place::new(NodeKind::Main, &Offer { listen: listen.parse().unwrap(), tls: false, advertised }, None)
    }

    #[test]
    fn the_operator_knows_best_then_mains_that_see_us_from_outside_then_most_of_the_dht() {
        let mut fixed = place("0.0.0.0:8080", Some("198.51.100.7:9"));
        assert!(!fixed.agreed(ip("198.51.100.8")) && !fixed.told(ip("198.51.100.9"), true, LINK));
        assert_eq!(fixed.ip(), Some(ip("198.51.100.7")));
        assert_eq!(place("127.0.0.1:8080", None).ip(), Some(ip("127.0.0.1")));
        let mut open = place("0.0.0.0:8080", None);
        assert_eq!(open.ip(), None);
        assert!(open.told(ip("203.0.113.66"), false, LINK), "a Home's word is better than none");
        assert!(open.agreed(ip("2001:db8::1")) && open.agreed(ip("198.51.100.8")));
        assert!(!open.agreed(ip("2001:db8::2")), "one family is told, always the same");
        assert!(open.told(ip("198.51.100.9"), true, OTHER));
        assert!(!open.told(ip("203.0.113.1"), true, LINK) && !open.agreed(ip("198.51.100.10")));
        assert_eq!(open.ip(), Some(ip("198.51.100.9")));
    }

    #[test]
    fn the_wider_view_stays() {
        let mut open = place("0.0.0.0:8080", None);
        assert!(open.told(ip("::ffff:127.0.0.1"), true, LINK) && open.told(ip("10.0.0.1"), false, LINK));
        assert!(open.told(ip("198.51.100.9"), true, LINK));
        for less in ["127.0.0.1", "198.51.100.10", "0.0.0.0"] {
            assert!(!open.told(ip(less), true, OTHER), "{less}");
        }
        assert_eq!(open.ip(), Some(ip("198.51.100.9")));
    }

    #[test]
    fn what_was_told_counts_until_something_else_is() {
        let offer = Offer { listen: ip_port("0.0.0.0:8080"), tls: false, advertised: None };
        let mut open = Place::new(NodeKind::Main, &offer, Some(ip("198.51.100.1")));
        assert_eq!(open.ip(), Some(ip("198.51.100.1")), "as before the restart");
        assert!(open.told(ip("127.0.0.1"), false, LINK) && open.told(ip("203.0.113.66"), false, LINK));
        assert!(!open.told(ip("198.51.100.7"), false, OTHER), "another Home's word weighs the same");
        open.gone(OTHER);
        assert!(!open.told(ip("198.51.100.7"), false, OTHER));
        open.gone(LINK);
        let home = Offer { listen: ip_port("127.0.0.1:9000"), tls: false, advertised: None };
        assert_eq!(Place::new(NodeKind::Home, &home, None).ip(), None, "its own machine knows it by that");
        assert_eq!(open.ip(), Some(ip("203.0.113.66")));
        assert!(open.told(ip("198.51.100.7"), false, OTHER));
    }

    fn ip_port(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }
}
