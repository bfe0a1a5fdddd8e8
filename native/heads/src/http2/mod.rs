//! HTTP/2 connections (RFC 9113), without I/O: two directions of frames, and the streams that they share.
//!
//! Bytes go one way: [`side`] (frames, header sections by [`hpack`]) -> [`streams`] (exchanges). A direction whose place
//! is lost is looked for again by [`seek`].

mod doubt;
pub mod frame;
mod grpc;
mod head;
pub mod hpack;
mod joined;
mod rows;
mod seek;
mod side;
mod streams;

use crate::connection::Limits;
use crate::exchange::{Endpoints, Exchange, Log, Marks, Message, Role};
use crate::http1::Kind;
use crate::ledger::Ledger;
use crate::stream::Place;
use frame::{Frame, HEADER};
pub use seek::Seek;
pub use side::PREFACE;
use side::{Content, Frames, Section, Side};
use streams::{Shared, Streams};

#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "independent facts, each named where it is used")]
pub struct Http2 {
    pub endpoints: Endpoints,
    limits: Limits,
    /// Whether requests leave the local end.
    client_egress: bool,
    joined: bool,
    reset: bool,
    /// The requests' direction, the responses'.
    sides: [Side; 2],
    seeks: [Option<Box<Seek>>; 2],
    /// The place had to be found, and was.
    found: [bool; 2],
    ended: [bool; 2],
    /// Disputed bytes are being read.
    doubt: [bool; 2],
    streams: Streams,
    /// Not for the log, or no HTTP/2 after all.
    left_out: bool,
}

/// How a connection came to speak HTTP/2.
#[derive(Debug)]
pub enum Opening {
    /// The client has sent so many octets of its preface.
    Preface(usize),
    /// An HTTP/1 request asked for it and was answered 101.
    Upgrade(Box<Exchange>),
}

/// Bytes of heads and tables of one connection beyond which no more streams are followed: some 250 heads of the largest
/// size that is kept, or thousands of usual ones.
const HELD: usize = 4 << 20;

/// One direction's frames on their way to the streams.
struct Taker<'a, 'b, L> {
    from: Kind,
    streams: &'a mut Streams,
    shared: Shared<'b, L>,
}

impl<L: Log> Frames for Taker<'_, '_, L> {
    fn section(&mut self, section: &Section, message: &mut Message) {
        let mut section = *section;
        section.disputed = self.shared.disputed;
        self.streams.section(self.from, &section, message, &mut self.shared);
    }

    fn content(&mut self, content: &Content<'_>) {
        self.streams.content(self.from, content, &mut self.shared);
    }

    fn reset(&mut self, stream: u32) {
        self.streams.reset(stream, &mut self.shared);
    }

    fn goaway(&mut self, last: u32) {
        self.streams.goaway(self.from, last, &mut self.shared);
    }

    fn flood(&mut self) {
        self.shared.ledger.floods += 1;
    }
}

fn slot(kind: Kind) -> usize {
    usize::from(kind == Kind::Response)
}

/// Whether a server's first octets can be the start of HTTP/2: `None` while they are too few.
pub fn opens(octets: &[u8]) -> Option<bool> {
    match octets.first_chunk::<HEADER>() {
        Some(header) => Some(Frame::read(*header).opens()),
        // No text begins so.
        None => octets.first().filter(|octet| **octet != 0).map(|_| false),
    }
}

impl Http2 {
    /// `endpoints` as HTTP/1 left them: who is the client is decided here.
    pub fn new(endpoints: Endpoints, limits: Limits, client_egress: bool, opening: Opening) -> Http2 {
        let mut streams = Streams::from_the_beginning();
        let matched = match opening {
            Opening::Preface(matched) => matched,
            Opening::Upgrade(exchange) => {
                streams.adopt(*exchange);
                0
            }
        };
        let sides = [Side::client(limits.max_head_bytes, matched), Side::new(limits.max_head_bytes)];
        Http2::with(endpoints, limits, client_egress, sides, streams)
    }

    fn with(endpoints: Endpoints, limits: Limits, client_egress: bool, sides: [Side; 2], streams: Streams) -> Http2 {
        Http2 {
            endpoints,
            limits,
            client_egress,
            joined: false,
            reset: false,
            sides,
            seeks: [None, None],
            found: [false; 2],
            ended: [false; 2],
            doubt: [false; 2],
            streams,
            left_out: false,
        }
    }

    /// Gives the endpoints their sides, when it is certain that HTTP/2 is spoken.
    pub fn settle_roles(&mut self) {
        if self.client_egress {
            std::mem::swap(&mut self.endpoints.client, &mut self.endpoints.server);
        }
        if self.limits.socket {
            self.endpoints.role = Some(if self.client_egress { Role::Client } else { Role::Server });
        }
    }

    pub fn open(&self) -> usize {
        self.streams.len()
    }

    /// When each exchange under way began, and its stream.
    pub fn open_since(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.streams.open_since()
    }

    /// A copy of the exchange of a stream, as far as it is known.
    pub fn open_exchange(&self, stream: u64) -> Option<Exchange> {
        self.streams.open_exchange(u32::try_from(stream).ok()?)
    }

    pub fn opaque(&self) -> bool {
        self.left_out
    }

    pub fn requests_leave(&self) -> bool {
        self.client_egress
    }

    pub fn leave_out(&mut self) {
        self.left_out = true;
        self.streams = Streams::default();
        self.seeks = [None, None];
    }

    pub fn reset(&mut self) {
        self.reset = true;
    }

    /// Bytes of memory that it takes.
    pub fn held(&self) -> usize {
        let sides: usize = self.sides.iter().map(Side::held).sum();
        let seeks: usize = self.seeks.iter().flatten().map(|seek| seek.held()).sum();
        sides + seeks + self.streams.held()
    }

    fn kind(&self, egress: bool) -> Kind {
        if egress == self.client_egress {
            Kind::Request
        } else {
            Kind::Response
        }
    }

    pub fn data(&mut self, egress: bool, bytes: &[u8], at: Place, ledger: &mut Ledger, log: &mut impl Log) {
        let kind = self.kind(egress);
        if self.left_out || self.ended[slot(kind)] {
            return;
        }
        if self.sides[slot(kind)].lost() {
            self.look(kind, bytes, at, ledger, log);
        } else {
            self.read(kind, at.time, ledger, log, |side, frames| side.feed(bytes, at, frames));
        }
        self.settle_doubt(kind);
    }

    /// Bytes that were not copied, by framing or (`cut`) by a limit.
    pub fn skipped(&mut self, egress: bool, count: u32, cut: bool, at: Place, ledger: &mut Ledger, log: &mut impl Log) {
        self.skip(egress, count, cut.then_some(Marks::CUT), at, ledger, log);
    }

    pub fn gap(&mut self, egress: bool, count: u32, at: Place, ledger: &mut Ledger, log: &mut impl Log) {
        if self.left_out {
            return;
        }
        ledger.gaps += 1;
        ledger.gap_bytes += u64::from(count);
        self.skip(egress, count, Some(Marks::GAP), at, ledger, log);
    }

    /// Bytes are missing, and nobody knows how many.
    pub fn lose(&mut self, egress: bool, time: u64, ledger: &mut Ledger, log: &mut impl Log) {
        let kind = self.kind(egress);
        if self.left_out || self.ended[slot(kind)] {
            return;
        }
        ledger.gaps += 1;
        if self.sides[slot(kind)].lost() {
            if let Some(seek) = &mut self.seeks[slot(kind)] {
                seek.gap(time);
            }
            return;
        }
        self.read(kind, time, ledger, log, |side, frames| side.lose(Marks::GAP, frames));
    }

    fn skip(
        &mut self,
        egress: bool,
        count: u32,
        mark: Option<Marks>,
        at: Place,
        ledger: &mut Ledger,
        log: &mut impl Log,
    ) {
        let kind = self.kind(egress);
        if self.left_out || self.ended[slot(kind)] {
            return;
        }
        if self.sides[slot(kind)].lost() {
            if let Some(seek) = &mut self.seeks[slot(kind)] {
                if mark.is_some() {
                    seek.gap(at.time);
                } else {
                    seek.skipped(count, at);
                }
            }
            return;
        }
        self.read(kind, at.time, ledger, log, |side, frames| side.skip(count, mark, at.time, frames));
        self.settle_doubt(kind);
    }

    /// The direction ended.
    pub fn end(&mut self, egress: bool, _time: u64, ledger: &mut Ledger, log: &mut impl Log) {
        let kind = self.kind(egress);
        if self.left_out || std::mem::replace(&mut self.ended[slot(kind)], true) {
            return;
        }
        self.break_off(kind, ledger, log);
        let (streams, mut shared) = self.parts(ledger, log);
        streams.end(kind, &mut shared);
    }

    /// The connection is over.
    pub fn finish(&mut self, ledger: &mut Ledger, log: &mut impl Log) {
        if self.left_out {
            return;
        }
        for kind in [Kind::Request, Kind::Response] {
            if !self.ended[slot(kind)] {
                self.break_off(kind, ledger, log);
            }
        }
        let (streams, mut shared) = self.parts(ledger, log);
        streams.finish(&mut shared);
    }

    /// A header section under way is told as far as it came.
    fn break_off(&mut self, kind: Kind, ledger: &mut Ledger, log: &mut impl Log) {
        if self.sides[slot(kind)].in_section() {
            self.with_side(kind, ledger, log, |side, frames| side.lose(Marks::default(), frames));
        }
    }

    /// Reads on in one direction, and notes when its place is lost.
    fn read<L: Log>(
        &mut self,
        kind: Kind,
        time: u64,
        ledger: &mut Ledger,
        log: &mut L,
        read: impl FnOnce(&mut Side, &mut Taker<'_, '_, L>),
    ) {
        self.with_side(kind, ledger, log, read);
        if self.sides[slot(kind)].is_foreign() {
            ledger.lost += 1;
            self.leave_out();
        }
        if !self.sides[slot(kind)].lost() {
            return;
        }
        ledger.lost += 1;
        self.streams.lose(kind);
        self.seeks[slot(kind)] = Some(Box::new(Seek::after(self.limits.max_head_bytes, time)));
    }

    fn with_side<L: Log>(
        &mut self,
        kind: Kind,
        ledger: &mut Ledger,
        log: &mut L,
        act: impl FnOnce(&mut Side, &mut Taker<'_, '_, L>),
    ) {
        let crowded = self.held() > HELD;
        let lost = [self.sides[0].lost(), self.sides[1].lost()];
        let shared = Shared {
            endpoints: &self.endpoints,
            limits: self.limits,
            joined: self.joined,
            reset: self.reset,
            lost,
            disputed: self.doubt[slot(kind)],
            crowded,
            ledger,
            log,
        };
        let mut taker = Taker { from: kind, streams: &mut self.streams, shared };
        act(&mut self.sides[slot(kind)], &mut taker);
    }

    fn parts<'a, L: Log>(&'a mut self, ledger: &'a mut Ledger, log: &'a mut L) -> (&'a mut Streams, Shared<'a, L>) {
        let shared = Shared {
            endpoints: &self.endpoints,
            limits: self.limits,
            joined: self.joined,
            reset: self.reset,
            lost: [self.sides[0].lost(), self.sides[1].lost()],
            disputed: false,
            crowded: false,
            ledger,
            log,
        };
        (&mut self.streams, shared)
    }
}
