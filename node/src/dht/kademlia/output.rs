//! What waits to be given out.

use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::dht::event::{Counters, Event, Transmit};

/// Datagrams that wait to be sent. The oldest is dropped for a further one.
const TRANSMITS_MAX: usize = 4_096;

/// Events that wait to be heard. The oldest is dropped for a further one.
const EVENTS_MAX: usize = 1_024;

#[derive(Debug, Default)]
pub(super) struct Output {
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
}

impl Output {
    pub(super) fn send(&mut self, to: SocketAddr, datagram: Vec<u8>, counters: &mut Counters) {
        if self.transmits.len() >= TRANSMITS_MAX {
            self.transmits.pop_front();
            counters.overflowed += 1;
        }
        counters.datagrams_out += 1;
        counters.bytes_out += datagram.len() as u64;
        self.transmits.push_back(Transmit { to, datagram });
    }

    pub(super) fn tell(&mut self, event: Event) {
        if self.events.len() >= EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    pub(super) fn next_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    pub(super) fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}
