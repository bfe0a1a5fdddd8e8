//! Exchanges on their way out.

use super::Pairing;
use crate::exchange::{Exchange, Fault, Log, Marks, Message};
use crate::http1::Parser;
use crate::ledger::Ledger;
use std::collections::VecDeque;

/// Messages kept for their buffers.
const SPARE: usize = 4;

impl Pairing {
    pub(super) fn fresh(&mut self) -> Exchange {
        let ordinal = self.ordinal;
        self.ordinal += 1;
        Exchange { ordinal, ..Exchange::default() }
    }

    pub(super) fn message(spare: &mut Vec<Message>, parser: &mut Parser) -> Message {
        std::mem::replace(&mut parser.message, spare.pop().unwrap_or_default())
    }

    pub(super) fn emit_front(&mut self, ledger: &mut Ledger, log: &mut impl Log) {
        let Some(mut exchange) = self.queue.pop_front() else { return };
        self.judge(&mut exchange);
        ledger.exchanges += 1;
        log.exchange(&self.endpoints, &exchange);
        for slot in [&mut exchange.request, &mut exchange.response] {
            if self.spare.len() < SPARE {
                if let Some(mut message) = slot.take() {
                    message.clear();
                    self.spare.push(message);
                }
            }
        }
    }

    /// What the row must say about itself.
    pub(super) fn judge(&self, exchange: &mut Exchange) {
        let marks = &mut exchange.marks;
        let messages = || exchange.request.iter().chain(exchange.response.iter()).chain(exchange.interim.iter());
        if exchange.request.is_none() {
            marks.add(Marks::NO_REQUEST);
        }
        if exchange.response.is_none() {
            marks.add(Marks::NO_RESPONSE);
        }
        // A reset says why a message ended early.
        let excused = |fault: Fault| fault == Fault::Incomplete && self.reset;
        if messages().any(|message| message.head.fault.is_some_and(|(fault, _)| !excused(fault))) {
            marks.add(Marks::MALFORMED);
        }
        let complete = exchange.response.is_some() && messages().all(|message| message.complete);
        if !complete && self.reset {
            marks.add(Marks::RESET);
        } else if messages().any(|message| !message.complete) && !marks.has(Marks(Marks::MALFORMED.0 | Marks::CUT.0)) {
            marks.add(Marks::GAP);
        }
        if self.limits.socket && self.endpoints.process.is_none() {
            marks.add(Marks::PROCESS_UNKNOWN);
        }
    }

    /// Logs the exchange whose response was complete before its request.
    pub(super) fn emit_answered(&mut self, ledger: &mut Ledger, log: &mut impl Log) {
        let response = self.queue.front().and_then(|first| first.response.as_ref());
        if self.queue.len() == 1 && response.is_some_and(|response| response.complete) {
            self.emit_front(ledger, log);
        }
    }
}

/// The request that is being read, when its head is in the queue.
pub(super) fn open_request(queue: &mut VecDeque<Exchange>) -> Option<(&mut Marks, &mut Message)> {
    let last = queue.back_mut()?;
    let request = last.request.as_mut().filter(|request| !request.complete)?;
    Some((&mut last.marks, request))
}

/// Adds the body's count, time and trailers to a message whose head was moved away before.
pub(super) fn absorb(message: &mut Message, rest: &Message, complete: bool) {
    message.complete = complete;
    if rest.body_bytes > 0 {
        message.last_byte = rest.last_byte;
        message.body_bytes += rest.body_bytes;
    }
    if let Some((fault, _)) = rest.head.fault {
        message.head.fault.get_or_insert((fault, message.head_bytes));
    }
    if !rest.head.trailers.is_empty() {
        message.append_trailers(&rest.head.raw, &rest.head.trailers);
    }
}
