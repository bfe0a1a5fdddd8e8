//! What happens when a part of a response is read.

use super::rows::absorb;
use super::{switch, websocket, Pairing};
use crate::exchange::{Log, Marks, Message};
use crate::http1::framing::{self, Asked};
use crate::http1::{Event, Framing, Kind};
use crate::ledger::Ledger;

/// Interim responses kept of one exchange: nobody sends this many, and without a limit a server could fill memory.
pub(super) const INTERIM: usize = 64;

impl Pairing {
    pub(super) fn response_head(&mut self, ledger: &mut Ledger, log: &mut impl Log) {
        self.confirmed |= self.response.message.head.version.is_some();
        self.answer(ledger, log);
        if self.response.opaque() {
            return;
        }
        let Some(front) = self.queue.front_mut() else { return };
        let asked = front.request.as_ref().map(|request| Asked::of(&request.head)).unwrap_or_default();
        let framing = framing::decide(&mut self.response.message.head, Kind::Response, asked);
        front.marks.add(std::mem::take(&mut self.pending[1]));
        let status = self.response.message.head.status;
        let message = Self::message(&mut self.spare, &mut self.response);
        if matches!(status, Some(100 | 102..=199)) {
            if front.interim.len() < INTERIM {
                front.interim.push(Message { complete: true, ..message });
            } else {
                front.marks.add(Marks::CUT);
            }
            self.response.proceed(Framing::None);
            self.response.message.clear();
            return;
        }
        let switches = status == Some(101) && switch::is_answer(&message.head);
        if switches && self.can_upgrade() {
            self.upgrade(message);
            return;
        }
        let Some(front) = self.queue.front_mut() else { return };
        let websocket = status == Some(101) && websocket::is_answer(&message.head);
        front.response = Some(message);
        if websocket && self.open_websocket() {
            return;
        }
        match self.response.proceed(framing) {
            Event::End => self.response_end(ledger, log),
            Event::Lost => self.response_lost(ledger, log),
            _ => {}
        }
    }

    /// Makes the front of the queue the exchange that the next response belongs to.
    pub(super) fn answer(&mut self, ledger: &mut Ledger, log: &mut impl Log) {
        if self.queue.front().is_some_and(|first| first.response.is_some()) {
            self.emit_front(ledger, log);
        }
        if self.queue.is_empty() && self.request.in_head() {
            // Answered before the request's head was complete (408, 431): what came of it belongs to this response.
            if self.request.close(self.response.message.first_byte) == Event::Lost {
                self.enqueue(ledger, log);
            }
            if self.response.opaque() {
                return;
            }
        }
        if self.queue.is_empty() {
            let mut exchange = self.fresh();
            if self.joined {
                exchange.marks.add(Marks::JOINED);
            } else if self.request.lost() {
                exchange.marks.add(Marks::GAP);
            }
            self.queue.push_back(exchange);
        }
    }

    pub(super) fn response_end(&mut self, ledger: &mut Ledger, log: &mut impl Log) {
        let tunnel = self.response.opaque();
        let mut marks = std::mem::take(&mut self.pending[1]);
        if std::mem::take(&mut self.response.cut) {
            marks.add(Marks::CUT);
        }
        let front = self.queue.front_mut().filter(|front| front.response.as_ref().is_some_and(|it| !it.complete));
        if let Some(front) = front {
            front.marks.add(marks);
            if let Some(response) = front.response.as_mut() {
                absorb(response, &self.response.message, true);
            }
        }
        self.response.message.clear();
        let Some(front) = self.queue.front() else { return };
        if tunnel {
            self.request_partial();
            self.request.make_opaque();
            while !self.queue.is_empty() {
                self.emit_front(ledger, log);
            }
            return;
        }
        if self.request.waiting() && self.queue.len() == 1 {
            // The tunnel was refused.
            self.request.restart(Kind::Request);
        }
        if front.request.as_ref().is_none_or(|request| request.complete) || self.request.lost() {
            self.emit_front(ledger, log);
        }
    }

    pub(super) fn response_lost(&mut self, ledger: &mut Ledger, log: &mut impl Log) {
        ledger.lost += 1;
        self.response_partial();
        self.give_up_waiting(ledger, log);
    }

    /// Gives what was read of a response to its exchange.
    pub(super) fn response_partial(&mut self) {
        let mut marks = std::mem::take(&mut self.pending[1]);
        if std::mem::take(&mut self.response.cut) {
            marks.add(Marks::CUT);
        }
        if let Some(front) = self.queue.front_mut() {
            front.marks.add(marks);
            match front.response.as_mut() {
                Some(response) if response.complete => {}
                Some(response) => absorb(response, &self.response.message, false),
                None if self.response.message.head_bytes > 0 => {
                    front.response = Some(Self::message(&mut self.spare, &mut self.response));
                }
                None => {}
            }
        }
        self.response.message.clear();
    }

    /// Bytes where a response should begin are none: those of an HTTP/0.9 server, or more than was announced.
    pub(super) fn stray(&mut self, ledger: &mut Ledger, log: &mut impl Log) {
        ledger.lost += 1;
        let time = self.response.message.first_byte;
        self.response.message.clear();
        if self.queue.is_empty() && self.request.in_head() && self.request.close(time) == Event::Lost {
            self.enqueue(ledger, log);
        }
        if let Some(front) = self.queue.front_mut().filter(|front| front.response.is_none()) {
            front.marks.add(Marks::MALFORMED);
            self.emit_front(ledger, log);
        }
        self.give_up_waiting(ledger, log);
    }
}
