//! Which response belongs to which request (RFC 9112, section 9.3.2), and what can still be said when a place is lost.

use crate::connection::Limits;
use crate::exchange::{Endpoints, Exchange, Log, Marks, Message, UNKNOWN};
use crate::http1::{Event, Kind, Parser};
use crate::ledger::Ledger;
use crate::stream::Place;
use start::Undecided;
use std::collections::VecDeque;
pub use switch::Switch;

mod missing;
mod open;
mod requests;
mod responses;
mod rows;
mod start;
mod switch;
mod websocket;

#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "independent facts, each named where it is used")]
pub struct Pairing {
    pub endpoints: Endpoints,
    limits: Limits,
    /// Began before we did, and no request was seen since.
    joined: bool,
    /// The first bytes that come need not be the start of a message.
    unsure: bool,
    /// Data of this direction says nothing until the other one has spoken: it may be the middle of a message.
    waits_for_turn: Option<bool>,
    /// Whether requests leave the local end; unknown until the first start line.
    request_egress: Option<bool>,
    undecided: Option<Undecided>,
    request: Parser,
    response: Parser,
    /// Exchanges under way, oldest first: only the last one's request may be incomplete, only the first one has a
    /// response.
    queue: VecDeque<Exchange>,
    /// While responses were lost, a request was given up for a later one: the next response may be either's.
    overtaken: bool,
    ordinal: u64,
    /// Direction of the last data.
    last_egress: Option<bool>,
    reset: bool,
    /// The socket is gone, so nothing can follow.
    closed: bool,
    /// A start line said that this is HTTP.
    confirmed: bool,
    /// Marks for the message that is being read and is not in the queue yet: of a request, of a response.
    pending: [Marks; 2],
    /// The bytes that come next are disputed: of requests, of responses.
    disputed: [bool; 2],
    spare: Vec<Message>,
    /// Another version of HTTP speaks from here on.
    switch: Option<Box<Switch>>,
}

impl Default for Pairing {
    fn default() -> Self {
        let nowhere = UNKNOWN;
        let endpoints = Endpoints {
            cookie: 0,
            role: None,
            client: nowhere,
            server: nowhere,
            netns: None,
            cgroup: None,
            process: None,
            tls: None,
        };
        Pairing::new(endpoints, false, Limits::default())
    }
}

impl Pairing {
    pub fn new(endpoints: Endpoints, joined: bool, limits: Limits) -> Self {
        Pairing {
            endpoints,
            limits,
            joined,
            unsure: joined,
            waits_for_turn: None,
            request_egress: None,
            undecided: None,
            request: Parser::new(Kind::Request, limits.max_head_bytes),
            response: Parser::new(Kind::Response, limits.max_head_bytes),
            queue: VecDeque::new(),
            overtaken: false,
            ordinal: 0,
            last_egress: None,
            reset: false,
            closed: false,
            confirmed: false,
            pending: [Marks::default(); 2],
            disputed: [false; 2],
            spare: Vec::new(),
            switch: None,
        }
    }

    /// The first bytes of the inbound direction may be the middle of a message.
    pub fn doubt(&mut self) {
        self.joined = true;
        self.unsure = true;
        self.waits_for_turn = Some(false);
    }

    /// Only one direction's bytes will come, and they are of this kind.
    pub fn one_way(endpoints: Endpoints, limits: Limits, kind: Kind) -> Self {
        Pairing { request_egress: Some(kind == Kind::Response), ..Pairing::new(endpoints, false, limits) }
    }

    /// Exchanges under way.
    pub fn open(&self) -> usize {
        self.queue.len() + usize::from(self.request.in_head())
    }

    /// Another protocol speaks on this connection now.
    pub fn opaque(&self) -> bool {
        self.request.opaque() && self.response.opaque()
    }

    /// Reads nothing more, and forgets what it has.
    pub fn leave_out(&mut self) {
        self.request.make_opaque();
        self.response.make_opaque();
        self.queue.clear();
    }

    pub fn reset(&mut self) {
        self.reset = true;
    }

    pub fn closed(&mut self) {
        self.closed = true;
    }

    /// Where the first bytes that come need not be the start of a message.
    pub fn unsure(&self) -> bool {
        self.unsure
    }

    /// Some bytes came, too few to tell what they are.
    pub fn hesitates(&self) -> bool {
        self.undecided.is_some()
    }

    /// Set once, when HTTP/2 begins.
    pub fn switched(&mut self) -> Option<Box<Switch>> {
        self.switch.take()
    }

    /// The bytes that come next in this direction are disputed.
    pub fn overlap(&mut self, egress: bool) {
        for (slot, kind) in [Kind::Request, Kind::Response].into_iter().enumerate() {
            if self.kind(egress).is_none_or(|its| its == kind) {
                self.pending[slot].add(Marks::OVERLAP);
                self.disputed[slot] = true;
            }
        }
    }

    /// In the middle of a request's head.
    pub fn in_request_head(&self) -> bool {
        self.request.in_head()
    }

    /// Whether requests leave the local end, where that is known.
    pub fn requests_leave(&self) -> Option<bool> {
        self.request_egress
    }

    pub fn data(&mut self, egress: bool, bytes: &[u8], at: Place, ledger: &mut Ledger, log: &mut impl Log) {
        if self.request_egress.is_none() && !self.decide(egress, bytes, at) {
            return;
        }
        if let Some(first) = self.undecided.take() {
            self.take(first.egress, &first.bytes, first.at, ledger, log);
        }
        self.take(egress, bytes, at, ledger, log);
    }

    fn take(&mut self, egress: bool, bytes: &[u8], at: Place, ledger: &mut Ledger, log: &mut impl Log) {
        let turned = self.last_egress.replace(egress) != Some(egress);
        let Some(kind) = self.kind(egress) else { return };
        let disputed = std::mem::take(&mut self.disputed[slot(kind)]);
        if self.parser(kind).lost() && !(turned && self.resume(kind, bytes)) {
            if kind == Kind::Response {
                // What waits has its response going by unread.
                self.overtaken = false;
                self.give_up_waiting(ledger, log);
            }
            return;
        }
        self.read(kind, bytes, at, disputed, ledger, log);
    }

    /// What goes this way, where that is known.
    fn kind(&self, egress: bool) -> Option<Kind> {
        let leaves = self.request_egress?;
        Some(if leaves == egress { Kind::Request } else { Kind::Response })
    }

    fn parser(&mut self, kind: Kind) -> &mut Parser {
        match kind {
            Kind::Request => &mut self.request,
            Kind::Response => &mut self.response,
        }
    }

    /// `disputed`: every message that has a part in these bytes says so.
    fn read(
        &mut self,
        kind: Kind,
        mut bytes: &[u8],
        at: Place,
        disputed: bool,
        ledger: &mut Ledger,
        log: &mut impl Log,
    ) {
        let mut seq = at.seq;
        while !bytes.is_empty() {
            if disputed {
                self.pending[slot(kind)].add(Marks::OVERLAP);
            }
            let (used, event) = self.parser(kind).feed(bytes, at.time, seq);
            bytes = bytes.get(used..).unwrap_or_default();
            seq = seq.wrapping_add(u32::try_from(used).unwrap_or_default());
            self.on(kind, event, ledger, log);
            if let Some(switch) = &mut self.switch {
                switch.egress = self.request_egress == Some(kind == Kind::Request);
                switch.rest = bytes.to_vec();
                switch.at = Place { seq, ..at };
                switch.disputed = disputed;
                break;
            }
            if self.parser(kind).lost() {
                break;
            }
        }
    }

    fn on(&mut self, kind: Kind, event: Event, ledger: &mut Ledger, log: &mut impl Log) {
        match (kind, event) {
            (_, Event::More) => {}
            (Kind::Request, Event::Head) => self.request_head(ledger, log),
            (Kind::Response, Event::Head) => self.response_head(ledger, log),
            (Kind::Request, Event::End) => self.request_end(ledger, log),
            (Kind::Response, Event::End) => self.response_end(ledger, log),
            (Kind::Request, Event::Lost) => self.request_lost(ledger, log),
            (Kind::Response, Event::Lost) => self.response_lost(ledger, log),
            (_, Event::Stray) => self.stray(ledger, log),
        }
    }

    pub fn end(&mut self, egress: bool, time: u64, ledger: &mut Ledger, log: &mut impl Log) {
        let Some(kind) = self.kind(egress) else { return };
        let event = self.parser(kind).close(time);
        match (kind, event) {
            // Its response may still come (half-close).
            (Kind::Request, Event::Lost) => {
                if self.request.message.head_bytes > 0 {
                    self.enqueue(ledger, log);
                } else {
                    self.request_partial();
                    self.emit_answered(ledger, log);
                }
            }
            (Kind::Response, Event::Lost) => {
                self.response_partial();
                self.give_up_waiting(ledger, log);
            }
            (kind, event) => self.on(kind, event, ledger, log),
        }
    }

    /// The connection is over.
    pub fn finish(&mut self, time: u64, ledger: &mut Ledger, log: &mut impl Log) {
        self.close_websocket(time, ledger, log);
        if self.request.in_head() && self.request.close(time) == Event::Lost {
            self.enqueue(ledger, log);
        }
        self.request_partial();
        if self.response.in_head() {
            self.response.close(time);
            self.answer(ledger, log);
        }
        self.response_partial();
        while !self.queue.is_empty() {
            self.emit_front(ledger, log);
        }
    }
}

fn slot(kind: Kind) -> usize {
    usize::from(kind == Kind::Response)
}

#[cfg(test)]
mod tests;
