//! Bytes that did not come: bodies that were stepped over, and what was lost.

use super::Pairing;
use crate::exchange::{Log, Marks};
use crate::http1::{Event, Kind, Parser};
use crate::ledger::Ledger;
use crate::stream::Place;

/// Where a direction is in a message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    Head,
    Body,
    Nothing,
}

impl Reading {
    pub(super) fn of(parser: &Parser) -> Reading {
        match (parser.in_head(), parser.in_body()) {
            (true, _) => Reading::Head,
            (_, true) => Reading::Body,
            _ => Reading::Nothing,
        }
    }
}

impl Pairing {
    pub fn skipped(&mut self, egress: bool, count: u32, cut: bool, at: Place, ledger: &mut Ledger, log: &mut impl Log) {
        let Some(kind) = self.kind(egress) else {
            self.unsure = true;
            self.undecided = None;
            return;
        };
        self.last_egress = Some(egress);
        let parser = self.parser(kind);
        if parser.lost() {
            return;
        }
        let place = Reading::of(parser);
        let event = parser.skip(u64::from(count), cut, at.time);
        if event == Event::Lost {
            let mark = if cut || parser.cut { Marks::CUT } else { Marks::GAP };
            self.mark(kind, place, mark);
        }
        self.on(kind, event, ledger, log);
    }

    pub fn gap(&mut self, egress: bool, count: u32, at: Place, ledger: &mut Ledger, log: &mut impl Log) {
        if self.opaque() {
            return;
        }
        ledger.gaps += 1;
        ledger.gap_bytes += u64::from(count);
        if let Some(kind) = self.kind(egress) {
            let place = Reading::of(self.parser(kind));
            self.mark(kind, place, Marks::GAP);
        }
        self.skipped(egress, count, false, at, ledger, log);
    }

    /// Bytes are missing, and nobody knows how many.
    pub fn lose(&mut self, egress: bool, time: u64, ledger: &mut Ledger, log: &mut impl Log) {
        if self.opaque() {
            return;
        }
        ledger.gaps += 1;
        let Some(kind) = self.kind(egress) else {
            self.unsure = true;
            self.undecided = None;
            return;
        };
        self.last_egress = Some(egress);
        if self.parser(kind).lost() {
            return;
        }
        let place = Reading::of(self.parser(kind));
        self.mark(kind, place, Marks::GAP);
        let event = self.parser(kind).lose_place(time);
        self.on(kind, event, ledger, log);
    }

    /// Marks the message that is being read in one direction, if any.
    pub(super) fn mark(&mut self, kind: Kind, place: Reading, mark: Marks) {
        let (exchange, slot) = match kind {
            Kind::Request => (self.queue.back_mut().filter(|_| place == Reading::Body), 0),
            Kind::Response => (self.queue.front_mut(), 1),
        };
        match exchange {
            Some(exchange) => exchange.marks.add(mark),
            None if place == Reading::Head => self.pending[slot].add(mark),
            None => {}
        }
    }

    /// No response can be told apart any more: what waits is logged as it stands.
    pub(super) fn give_up_waiting(&mut self, ledger: &mut Ledger, log: &mut impl Log) {
        if self.request.waiting() {
            self.request.lose();
        }
        while let Some(front) = self.queue.front_mut() {
            if self.response.lost() && front.response.is_none() {
                front.marks.add(Marks::GAP);
            }
            self.emit_front(ledger, log);
        }
    }
}
