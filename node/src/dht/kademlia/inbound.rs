//! Datagrams that come in.

use std::net::SocketAddr;

use crate::dht::bencode::BencodeError;
use crate::dht::bep42;
use crate::dht::contact::{Contact, Family, canonical};
use crate::dht::event::Event;
use crate::dht::id::Id;
use crate::dht::krpc::{Body, DecodeError, ErrorCode, Message, Query, Refusal, Response};
use crate::dht::server::{Asked, refuse};
use crate::dht::table::{Answered, BUCKET_SIZE};
use crate::dht::transactions::{Purpose, Waiting};
use crate::env::Instant;

use super::Dht;

impl Dht {
    /// Takes a datagram from the network, whatever is in it.
    pub fn handle(&mut self, datagram: &[u8], from: SocketAddr, now: Instant) {
        self.counters.datagrams_in += 1;
        self.counters.bytes_in += datagram.len() as u64;
        let from = canonical(from);
        if self.overlays.get(Family::of(from)).is_none() || from.port() == 0 {
            return;
        }
        match Message::decode(datagram) {
            Ok(Message { transaction, body: Body::Query(query), .. }) => {
                self.on_query(transaction, &query, from, now);
            }
            Ok(Message { transaction, body: Body::Response(response), .. }) => {
                match self.transactions.close(transaction, from) {
                    Some(waiting) => {
                        self.counters.answers += 1;
                        self.on_response(&waiting, &response, now);
                    }
                    None => self.counters.unsolicited += 1,
                }
            }
            Ok(Message { transaction, body: Body::Error(refusal), .. }) => {
                match self.transactions.close(transaction, from) {
                    Some(waiting) => {
                        self.counters.answers += 1;
                        self.on_refusal(&waiting, refusal, now);
                    }
                    None => self.counters.unsolicited += 1,
                }
            }
            Err(DecodeError::Refused { transaction, refusal }) => {
                self.counters.queries += 1;
                self.refuse(refuse(transaction, refusal), from, now);
            }
            Err(DecodeError::Bencode(error)) => self.on_garbage(datagram, error, from, now),
            Err(DecodeError::TooLong { .. } | DecodeError::NoMessage(_)) => self.counters.garbage += 1,
        }
    }

    fn on_query(&mut self, transaction: &[u8], query: &Query<'_>, from: SocketAddr, now: Instant) {
        self.counters.queries += 1;
        let is_from_us = self.id(Family::of(from)) == Some(query.id);
        if self.config.read_only || is_from_us || !self.admits(from, now) {
            return;
        }
        if !query.read_only {
            self.on_asked_by(Contact { id: query.id, address: from }, now);
        }
        let asked = Asked { transaction, query, from, now };
        let reply = self.server.answer(asked, &self.overlays);
        let count = if reply.is_refusal { &mut self.counters.refused } else { &mut self.counters.answered };
        *count += 1;
        self.output.send(from, reply.datagram, &mut self.counters);
    }

    /// What is not bencoded was no message of a program like us, or was damaged. Whoever wrote it may be told, but with
    /// no more bytes than came, and never in answer to an error.
    fn on_garbage(&mut self, datagram: &[u8], error: BencodeError, from: SocketAddr, now: Instant) {
        self.counters.garbage += 1;
        if datagram.first() == Some(&b'd') {
            let refusal = refuse(b"", Refusal::new(ErrorCode::Protocol, error));
            if refusal.len() <= datagram.len() {
                self.refuse(refusal, from, now);
            }
        }
    }

    fn refuse(&mut self, refusal: Vec<u8>, from: SocketAddr, now: Instant) {
        if self.config.read_only || !self.admits(from, now) {
            return;
        }
        self.counters.refused += 1;
        self.output.send(from, refusal, &mut self.counters);
    }

    fn admits(&mut self, from: SocketAddr, now: Instant) -> bool {
        let admitted = self.server.admits(from, now);
        self.counters.limited += u64::from(!admitted);
        admitted
    }

    fn on_response(&mut self, waiting: &Waiting, response: &Response<'_>, now: Instant) {
        let contact = Contact { id: response.id, address: waiting.to };
        if waiting.id.is_some_and(|id| id != response.id) {
            // Who was there is gone, or was never there.
            self.counters.liars += 1;
            self.on_wrong(waiting, now);
            return;
        }
        self.on_answered_by(contact, now);
        if let Some(seen) = response.seen_as {
            self.on_seen_as(waiting.to, seen, now);
        }
        match waiting.purpose {
            Purpose::Check => self.meet_all(response, now),
            Purpose::Step { operation, walk } => {
                self.step_answered((operation, walk), contact, waiting.id.is_some(), response, now);
            }
            Purpose::Store { operation } => self.store_ended(operation, contact, Some(Ok(())), now),
        }
    }

    /// Whoever refuses is there; in a lookup it is of no use.
    fn on_refusal(&mut self, waiting: &Waiting, refusal: Refusal, now: Instant) {
        if let Some(contact) = waiting.contact() {
            self.on_answered_by(contact, now);
        }
        match (waiting.purpose, waiting.contact()) {
            (Purpose::Store { operation }, Some(contact)) => {
                self.store_ended(operation, contact, Some(Err(refusal)), now);
            }
            (Purpose::Step { operation, walk }, contact) => self.step_failed((operation, walk), contact, now),
            _ => {}
        }
    }

    fn on_wrong(&mut self, waiting: &Waiting, now: Instant) {
        if let Some(contact) = waiting.contact()
            && let Some(overlay) = self.overlays.get_mut(Family::of(contact.address))
        {
            overlay.table.remove(&contact);
        }
        self.give_up(waiting, now);
    }

    /// Query is lost, or its answer worthless.
    pub(super) fn give_up(&mut self, waiting: &Waiting, now: Instant) {
        match (waiting.purpose, waiting.contact()) {
            (Purpose::Step { operation, walk }, contact) => self.step_failed((operation, walk), contact, now),
            (Purpose::Store { operation }, Some(contact)) => self.store_ended(operation, contact, None, now),
            _ => {}
        }
    }

    /// A contact has answered: it is where it says.
    fn on_answered_by(&mut self, contact: Contact, now: Instant) {
        if !self.is_fit(&contact) {
            return;
        }
        let Some(overlay) = self.overlays.get_mut(Family::of(contact.address)) else { return };
        match overlay.table.answered(contact, now) {
            Answered::Added => {
                let me = overlay.table.me();
                if overlay.table.closest(&me, BUCKET_SIZE).contains(&contact) {
                    overlay.upkeep.new_neighbour(now, &mut self.rng);
                }
            }
            Answered::Waits(Some(questionable)) => self.check(questionable, now),
            Answered::Known | Answered::Waits(None) | Answered::Refused => {}
        }
    }

    /// Someone asks us something: it may be worth to know it.
    fn on_asked_by(&mut self, contact: Contact, now: Instant) {
        if let Some(overlay) = self.overlays.get_mut(Family::of(contact.address)) {
            overlay.table.asked(&contact, now);
        }
        self.consider(contact, now);
    }

    fn meet_all(&mut self, response: &Response<'_>, now: Instant) {
        for contact in Family::ALL.into_iter().flat_map(|family| response.nodes_of(family).iter()) {
            self.consider(contact, now);
        }
    }

    fn on_seen_as(&mut self, voter: SocketAddr, seen: SocketAddr, now: Instant) {
        let family = Family::of(voter);
        let Some(overlay) = self.overlays.get_mut(family) else { return };
        let Some(ip) = overlay.votes.vote(voter.ip(), seen.ip()) else { return };
        self.output.tell(Event::SeenAs { ip });
        if self.config.follow_address && !bep42::fits(&overlay.table.me(), ip) {
            let id: Id = bep42::id_for(ip, &mut self.rng);
            overlay.table.rekey(id, now);
            overlay.upkeep.join_now(now);
        }
    }

    /// Whether a contact may be one, where ids are to fit addresses.
    pub(super) fn is_fit(&self, contact: &Contact) -> bool {
        !self.config.require_fitting_ids || bep42::fits(&contact.id, contact.address.ip())
    }
}
