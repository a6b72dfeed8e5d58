//! What goes wrong with a disk, and when its host loses power.

use tokio::sync::oneshot;

use super::super::random::Dice;

/// A sector of what was not synced is there after a power cut, or is not, in one piece.
pub(super) const SECTOR_BYTES: usize = 512;

/// What a host's disk does wrong: for each, the share of the operations concerned that it happens to, in `0.0..=1.0`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DiskFaults {
    /// Syncs that say that all is well and do nothing.
    pub lost_sync: f64,
    /// Writes not yet synced of which a power cut leaves some sectors, and not others.
    pub torn_write: f64,
    /// Operations that need room and find none.
    pub full: f64,
    /// Operations that fail.
    pub io_error: f64,
    /// Reads that find one bit wrong, which is stored wrong from then on.
    pub bit_rot: f64,
}

/// A disk that does not do its work. Each kind of trouble has a stream of randomness of its own.
pub(super) struct Trouble {
    pub(super) lost_sync: Chance,
    pub(super) torn_write: Chance,
    pub(super) full: Chance,
    pub(super) io_error: Chance,
    pub(super) bit_rot: Chance,
}

impl Trouble {
    /// Nothing wrong yet with the disk of the host of this name.
    pub(super) fn new(seed: u64, host: &str) -> Self {
        let chance =
            |what: &str| Chance { share: 0.0, dice: Dice::new(seed, &format!("disk of {host}: {what}")) };
        Self {
            lost_sync: chance("lost sync"),
            torn_write: chance("torn write"),
            full: chance("full"),
            io_error: chance("I/O error"),
            bit_rot: chance("bit rot"),
        }
    }

    /// From now on it draws from another seed.
    pub(super) fn turn(&mut self, seed: u64, host: &str) {
        let Self { lost_sync, torn_write, full, io_error, bit_rot } = Self::new(seed, host);
        self.lost_sync.dice = lost_sync.dice;
        self.torn_write.dice = torn_write.dice;
        self.full.dice = full.dice;
        self.io_error.dice = io_error.dice;
        self.bit_rot.dice = bit_rot.dice;
    }

    pub(super) fn set(&mut self, faults: DiskFaults) {
        let DiskFaults { lost_sync, torn_write, full, io_error, bit_rot } = faults;
        self.lost_sync.share = lost_sync;
        self.torn_write.share = torn_write;
        self.full.share = full;
        self.io_error.share = io_error;
        self.bit_rot.share = bit_rot;
    }
}

/// How likely something is.
pub(super) struct Chance {
    share: f64,
    dice: Dice,
}

impl Chance {
    /// Whether it happens this time. Where it never does, nothing is drawn.
    pub(super) fn strikes(&mut self) -> bool {
        self.dice.chance(self.share)
    }

    /// Either, with the same chance.
    pub(super) fn coin(&mut self) -> bool {
        self.dice.below(2) == 0
    }

    /// One of so many.
    pub(super) fn pick(&mut self, of: usize) -> usize {
        self.dice.below(of as u64) as usize
    }
}

/// The power goes at one of the next operations.
pub(super) struct Countdown {
    /// At which, from 1.
    pub(super) left: u32,
    /// Who is told.
    pub(super) told: oneshot::Sender<()>,
}
