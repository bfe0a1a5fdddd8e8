//! What happens when a part of a request is read.

use super::rows::{absorb, open_request};
use super::switch::is_http2;
use super::Pairing;
use crate::exchange::{Log, Marks};
use crate::http1::framing::{self, Asked};
use crate::http1::{Event, Kind};
use crate::ledger::Ledger;

impl Pairing {
    pub(super) fn request_head(&mut self, ledger: &mut Ledger, log: &mut impl Log) {
        let framing = framing::decide(&mut self.request.message.head, Kind::Request, Asked::default());
        if is_http2(&self.request.message) {
            self.preface();
            return;
        }
        if !self.confirm() {
            self.leave_out();
            return;
        }
        let tunnel = Asked::of(&self.request.message.head).connect;
        self.enqueue(ledger, log);
        match self.request.proceed(framing) {
            Event::End => self.request_end(ledger, log),
            Event::Lost => ledger.lost += 1,
            _ => {}
        }
        if tunnel && self.request.idle() {
            self.request.wait();
        }
    }

    /// Moves the request under way into the queue.
    pub(super) fn enqueue(&mut self, ledger: &mut Ledger, log: &mut impl Log) {
        if !self.confirm() {
            self.leave_out();
            return;
        }
        self.joined = false;
        if self.queue.len() >= self.limits.waiting && !self.response.lost() {
            // The responses to those given up will come, and can't be told from the others.
            ledger.lost += 1;
            self.response_partial();
            self.response.lose();
        }
        if self.response.lost() {
            self.overtaken |= !self.queue.is_empty();
            self.give_up_waiting(ledger, log);
        }
        let mut exchange = self.fresh();
        exchange.request_seq = self.request.first_seq;
        exchange.marks.add(std::mem::take(&mut self.pending[0]));
        if self.request.cut {
            exchange.marks.add(Marks::CUT);
        }
        exchange.request = Some(Self::message(&mut self.spare, &mut self.request));
        self.queue.push_back(exchange);
    }

    pub(super) fn request_end(&mut self, ledger: &mut Ledger, log: &mut impl Log) {
        let mut marks = std::mem::take(&mut self.pending[0]);
        if std::mem::take(&mut self.request.cut) {
            marks.add(Marks::CUT);
        }
        if let Some((row, request)) = open_request(&mut self.queue) {
            row.add(marks);
            absorb(request, &self.request.message, true);
        }
        self.request.message.clear();
        self.emit_answered(ledger, log);
    }

    pub(super) fn request_lost(&mut self, ledger: &mut Ledger, log: &mut impl Log) {
        ledger.lost += 1;
        if self.request.message.head_bytes > 0 {
            self.enqueue(ledger, log);
        } else {
            self.request_partial();
            self.emit_answered(ledger, log);
        }
    }

    /// Counts what was read of the last request's body.
    pub(super) fn request_partial(&mut self) {
        if let Some((row, request)) = open_request(&mut self.queue) {
            row.add(std::mem::take(&mut self.pending[0]));
            absorb(request, &self.request.message, false);
        }
        self.request.message.clear();
    }
}
