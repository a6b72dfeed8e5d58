//! How links behave when nothing is wrong.

use relay_chaos::{LinkChange, LinkQuality};

use super::hosts::{HostIndex, HostSet};

/// How links behave when nothing is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// A link that no rule speaks of.
    pub default: LinkQuality,
    /// Exceptions; value by value, the last one that fits wins.
    pub rules: Vec<LinkRule>,
}

/// An exception from the default link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkRule {
    /// One end.
    pub from: HostSet,
    /// The other end.
    pub to: HostSet,
    /// Whether it holds from `from` to `to` only.
    pub one_way: bool,
    /// What differs.
    pub change: LinkChange,
}

impl LinkRule {
    /// Whether it speaks of the way from `source` to `target`.
    pub fn fits(&self, source: HostIndex, target: HostIndex) -> bool {
        let along = self.from.contains(source) && self.to.contains(target);
        along || (!self.one_way && self.from.contains(target) && self.to.contains(source))
    }
}

impl Network {
    /// How the way from `source` to `target` behaves.
    pub fn quality(&self, source: HostIndex, target: HostIndex) -> LinkQuality {
        self.rules
            .iter()
            .filter(|rule| rule.fits(source, target))
            .fold(self.default, |quality, rule| rule.change.apply(quality))
    }
}
