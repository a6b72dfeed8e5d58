//! Under which address this node is seen from outside: told by its operator, by its socket, by most of the DHT, or by the
//! relays that it is linked with.

use std::net::{IpAddr, SocketAddr};

use super::Offer;
use crate::dht::is_local;

/// Where this node is.
#[derive(Debug)]
pub(super) struct Place {
    /// The operator said so, or the node listens on this address alone.
    fixed: Option<IpAddr>,
    /// Most nodes of the DHT say so.
    agreed: Option<IpAddr>,
    /// A relay at the other end of a link says so, whose word weighs so much.
    told: Option<(Weight, IpAddr)>,
}

/// How much an address that one relay tells counts: first how much of the world it means something to, then whether a
/// Main says it. A Home may say anything.
type Weight = (u8, bool);

impl Place {
    pub(super) fn new(offer: &Offer) -> Self {
        let listens = Some(offer.listen.ip()).filter(|ip| !ip.is_unspecified());
        Place { fixed: offer.advertised.map(|at| at.ip()).or(listens), agreed: None, told: None }
    }

    /// The address that counts.
    pub(super) fn ip(&self) -> Option<IpAddr> {
        self.fixed.or(self.agreed).or(self.told.map(|(_, ip)| ip))
    }

    /// Most nodes of the DHT see us so.
    pub(super) fn agreed(&mut self, ip: IpAddr) -> bool {
        self.changes(|place| place.agreed = Some(ip))
    }

    /// One relay sees us so. The address by which more of the world sees us stays: a neighbour on the same machine sees a
    /// loopback address.
    pub(super) fn told(&mut self, ip: IpAddr, by_a_main: bool) -> bool {
        let ip = ip.to_canonical();
        let weight = (scope(ip), by_a_main);
        if ip.is_unspecified() || self.told.is_some_and(|(before, _)| before >= weight) {
            return false;
        }
        self.changes(|place| place.told = Some((weight, ip)))
    }

    /// The relay that told us is another now, as after a move to another network: the next word counts.
    pub(super) fn forget_told(&mut self) {
        self.told = None;
    }

    fn changes(&mut self, change: impl FnOnce(&mut Self)) -> bool {
        let before = self.ip();
        change(self);
        self.ip() != before
    }
}

/// How much of the world an address means something to.
fn scope(ip: IpAddr) -> u8 {
    match ip {
        ip if ip.is_loopback() => 0,
        ip if is_local(ip) => 1,
        _ => 2,
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

    fn place(listen: &str, advertised: Option<&str>) -> Place {
        let advertised = advertised.map(|at| at.parse().unwrap());
        Place::new(&Offer { listen: listen.parse().unwrap(), tls: false, advertised })
    }

    #[test]
    fn the_operator_knows_best_and_most_of_the_dht_better_than_one_relay() {
        let mut fixed = place("0.0.0.0:8080", Some("198.51.100.7:9"));
        assert!(!fixed.agreed(ip("198.51.100.8")) && !fixed.told(ip("198.51.100.9"), true));
        assert_eq!(fixed.ip(), Some(ip("198.51.100.7")));
        assert_eq!(place("127.0.0.1:8080", None).ip(), Some(ip("127.0.0.1")));
        let mut open = place("0.0.0.0:8080", None);
        assert_eq!(open.ip(), None);
        assert!(open.told(ip("198.51.100.9"), true) && open.agreed(ip("198.51.100.8")));
        assert!(!open.told(ip("203.0.113.1"), true));
        assert_eq!(open.ip(), Some(ip("198.51.100.8")));
    }

    #[test]
    fn the_wider_view_stays() {
        let mut open = place("0.0.0.0:8080", None);
        assert!(
            open.told(ip("::ffff:127.0.0.1"), true)
                && open.told(ip("10.0.0.1"), false)
                && open.told(ip("198.51.100.9"), true)
        );
        assert!(
            !open.told(ip("127.0.0.1"), true)
                && !open.told(ip("198.51.100.10"), true)
                && !open.told(ip("0.0.0.0"), true)
        );
        assert_eq!(open.ip(), Some(ip("198.51.100.9")));
        open.forget_told();
        assert!(open.told(ip("203.0.113.66"), false) && !open.told(ip("203.0.113.67"), false));
        assert_eq!(open.ip(), Some(ip("203.0.113.66")), "a Home's word is better than none");
        assert!(open.told(ip("198.51.100.10"), true));
    }
}
