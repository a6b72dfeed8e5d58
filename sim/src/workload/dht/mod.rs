//! Those who look at the DHT from outside, those who disturb it, and what was there before it.

pub mod broadcaster;
pub mod lookup;
mod status;
pub mod stranger;
pub mod watch;

use super::SharedRecord;
use crate::world::World;

/// Starts all of them.
pub fn start(world: &World, record: &SharedRecord) {
    if world.scenario.uses_dht() {
        watch::start(world, record);
    }
    lookup::start(world, record);
    stranger::start(world, record);
    broadcaster::start(world, record);
}
