//! What goes wrong on a machine while its relay runs on.

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::Share;
use crate::quantity::{Drift, Offset, duration};

/// Something is wrong with some hosts for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OnHosts<S, W> {
    /// With whom.
    pub hosts: S,
    /// What.
    #[serde(flatten)]
    pub what: W,
    /// How long; `None`: for good, or a thing of a moment.
    #[serde(with = "duration::optional", skip_serializing_if = "Option::is_none")]
    pub lasts: Option<Duration>,
}

/// Nothing runs: neither tasks nor timers. The machine's kernel still takes what the buffers hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Paused {}

/// Each message costs more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Slowed {
    /// The time of a core that each received message costs meanwhile, in place of what it costs otherwise.
    #[serde(rename = "cpu", serialize_with = "per_message")]
    pub per_message: Duration,
}

/// A clock that is wrong. At the end of the fault it is set right again, as by NTP: it jumps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ClockTrouble {
    /// The wall clock jumps by so much when the fault begins. Timers do not notice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<Offset>,
    /// All clocks of the host, timers included, run faster or slower by so much.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift: Option<Drift>,
}

/// A name server that does not do its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct NameTrouble {
    /// What the hosts get when they ask.
    pub answer: NameAnswer,
}

/// What a broken name server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NameAnswer {
    /// That it cannot tell (SERVFAIL).
    Failure,
    /// That there is no such name (NXDOMAIN).
    Nothing,
    /// Nothing at all: the question times out.
    Silence,
    /// The address of another host.
    Wrong,
}

/// What happens to the NAT in front of a Home, in a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct NatTrouble {
    /// What happens.
    pub change: NatChange,
}

/// What happens to a NAT in a [`NatTrouble`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NatChange {
    /// It forgets all mappings, as after a restart: what comes from outside is not let in any more.
    Forget,
    /// It gets another public address, and forgets all mappings.
    Move,
}

/// Processes may hold so many sockets and files; beyond that, opening one more fails (EMFILE).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Descriptors {
    /// How many, those that are open included.
    pub limit: u32,
}

/// A disk that does not do its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DiskTrouble {
    /// In which way.
    pub trouble: DiskFailure,
    /// The share of the operations concerned that it happens to, drawn per operation.
    pub share: Share,
}

/// How a disk fails in a [`DiskTrouble`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiskFailure {
    /// Syncs do nothing and say that all is well: a power cut takes more than it should.
    LostSync,
    /// A power cut leaves some sectors of what was not synced, and not others.
    TornWrite,
    /// Writes that need room fail (ENOSPC).
    Full,
    /// Operations fail (EIO).
    IoError,
    /// A bit of what is read is wrong, and stays so.
    BitRot,
}

/// Certificates have run out. Who is connected stays so; nobody new is, until they are renewed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Expired {}

impl<S, W> OnHosts<S, W> {
    pub(super) fn map<T>(self, to: &mut impl FnMut(S) -> T) -> OnHosts<T, W> {
        OnHosts { hosts: to(self.hosts), what: self.what, lasts: self.lasts }
    }
}

/// What is said of hosts: `{hosts} pause`.
trait OfHosts {
    /// Writes it; `hosts` are those concerned, in words.
    fn say(&self, hosts: &dyn fmt::Display, f: &mut fmt::Formatter<'_>) -> fmt::Result;
}

impl<S: fmt::Display, W: OfHosts> fmt::Display for OnHosts<S, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.what.say(&self.hosts, f)?;
        match self.lasts {
            Some(lasts) => write!(f, ", {}", duration::format(lasts)),
            None => Ok(()),
        }
    }
}

impl OfHosts for Paused {
    fn say(&self, hosts: &dyn fmt::Display, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pause of {hosts}")
    }
}

impl OfHosts for Slowed {
    fn say(&self, hosts: &dyn fmt::Display, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "slowness of {hosts}: {} per message", duration::format(self.per_message))
    }
}

impl OfHosts for ClockTrouble {
    fn say(&self, hosts: &dyn fmt::Display, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let offset = self.offset.map(|it| format!("off by {it}"));
        let drift = self.drift.map(|it| format!("drift {it}"));
        let what: Vec<String> = offset.into_iter().chain(drift).collect();
        write!(f, "clocks of {hosts}: {}", what.join(", "))
    }
}

impl OfHosts for NameTrouble {
    fn say(&self, hosts: &dyn fmt::Display, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let answer = match self.answer {
            NameAnswer::Failure => "failures",
            NameAnswer::Nothing => "that there is no such name",
            NameAnswer::Silence => return write!(f, "name servers do not answer {hosts}"),
            NameAnswer::Wrong => "wrong addresses",
        };
        write!(f, "name servers answer {hosts}: {answer}")
    }
}

impl OfHosts for NatTrouble {
    fn say(&self, hosts: &dyn fmt::Display, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.change {
            NatChange::Forget => write!(f, "NAT of {hosts} forgets its mappings"),
            NatChange::Move => write!(f, "NAT of {hosts} gets another address"),
        }
    }
}

impl OfHosts for Descriptors {
    fn say(&self, hosts: &dyn fmt::Display, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {} file descriptors on {hosts}", self.limit)
    }
}

impl OfHosts for DiskTrouble {
    fn say(&self, hosts: &dyn fmt::Display, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.trouble {
            DiskFailure::LostSync => "loses syncs",
            DiskFailure::TornWrite => "tears writes",
            DiskFailure::Full => "is full",
            DiskFailure::IoError => "fails",
            DiskFailure::BitRot => "rots",
        };
        write!(f, "disk of {hosts} {what}")?;
        match self.share {
            Share::ONE => Ok(()),
            share => write!(f, " ({share})"),
        }
    }
}

impl OfHosts for Expired {
    fn say(&self, hosts: &dyn fmt::Display, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "certificates of {hosts} expired")
    }
}

/// As a scenario has it: `"5ms per message"`.
fn per_message<S: Serializer>(cost: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{} per message", duration::format(*cost)))
}
