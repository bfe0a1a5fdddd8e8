//! Streams and the exchanges on them (RFC 9113, sections 5.1 and 8.1).

mod closed;
mod losses;
mod requests;
mod responses;
mod sections;

use super::grpc::{self, Counter};
use super::side::{Content, Section};
use super::HELD;
use crate::connection::{CookieHasher, Limits};
use crate::exchange::{Endpoints, Exchange, Fault, Field, Log, Marks, Message, Protocol};
use crate::http1::Kind;
use crate::ledger::Ledger;
use closed::{Closed, Ids};
use std::collections::HashMap;
use std::hash::BuildHasherDefault;

/// What the exchanges of a connection share when they are logged.
#[allow(clippy::struct_excessive_bools, reason = "independent facts, each named where it is used")]
pub(super) struct Shared<'a, L> {
    pub endpoints: &'a Endpoints,
    pub limits: Limits,
    /// Began before we did.
    pub joined: bool,
    pub reset: bool,
    /// The place in the requests' direction, in the responses' direction is lost.
    pub lost: [bool; 2],
    /// What is being read is disputed.
    pub disputed: bool,
    /// Memory was short when these bytes came.
    pub crowded: bool,
    pub ledger: &'a mut Ledger,
    pub log: &'a mut L,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Stream {
    pub(super) exchange: Exchange,
    pub(super) grpc: bool,
    /// Messages in the content of the request, of the response.
    pub(super) counters: [Counter; 2],
    /// Content came: of the request, of the response.
    pub(super) content: [bool; 2],
    /// The response's head was all of it.
    pub(super) ends_with_head: bool,
    /// The last loss happened before its last frame.
    pub(super) fresh: bool,
}

impl<L> Shared<'_, L> {
    /// What is said of an exchange because of the bytes that are being read.
    fn doubt(&self) -> Marks {
        if self.disputed {
            Marks::OVERLAP
        } else {
            Marks::default()
        }
    }
}

type Map = HashMap<u32, Box<Stream>, BuildHasherDefault<CookieHasher>>;

#[derive(Debug, Default)]
pub(super) struct Streams {
    pub(super) map: Map,
    /// Exchanges of HTTP/1 on this connection: ordinals count from there.
    before: u64,
    /// The highest stream that a client has opened.
    highest: u32,
    /// From this one on, every stream that a client opened was seen.
    certain: Option<u32>,
    /// No stream of the server was missed.
    pushes_certain: bool,
    closed: Closed,
    /// Streams that are not open and on which content came, of requests and of responses: a section without
    /// pseudo-header fields that follows is one of trailers.
    adrift: [Ids; 2],
    /// Until when octets went by unread, of requests and of responses, and how that is marked.
    unread: [(u64, Marks); 2],
    /// The highest stream when something was lost last.
    doubtful: Option<u32>,
    gap: bool,
    #[allow(clippy::vec_box, reason = "the boxes are what is kept: they move in and out of the map")]
    pub(super) spare: Vec<Box<Stream>>,
    pub(super) messages: Vec<Message>,
    /// Bytes of the heads of the open exchanges.
    pub(super) held: usize,
}

pub(super) fn weight(message: &Message) -> usize {
    message.head.raw.capacity()
        + (message.head.fields.capacity() + message.head.trailers.capacity()) * size_of::<Field>()
}

impl Stream {
    /// Whether it is a gRPC call. Where that was not known before, nobody has counted the messages that came.
    fn is_grpc(&mut self, call: bool) {
        for (counter, content) in self.counters.iter_mut().zip(self.content) {
            if call && !self.grpc && content {
                counter.lose();
            }
        }
        self.grpc |= call;
    }
}

impl Streams {
    /// All streams from the first one on are seen.
    pub(super) fn from_the_beginning() -> Streams {
        Streams { certain: Some(1), pushes_certain: true, ..Streams::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.map.len()
    }

    /// Memory is short: no more streams, and nothing but requests and responses of those that are open.
    fn crowded(&self, shared: &Shared<'_, impl Log>) -> bool {
        shared.crowded || self.held > HELD
    }

    /// Bytes of memory that the open exchanges take.
    pub(super) fn held(&self) -> usize {
        let ids: usize = self.adrift.iter().map(Ids::len).sum();
        let streams = (self.map.len() + self.spare.len()) * size_of::<Stream>();
        self.held + streams + self.closed.held() + ids * size_of::<u32>()
    }

    /// The exchange that HTTP/1 began is the first stream (RFC 7540, section 3.2).
    pub(super) fn adopt(&mut self, exchange: Exchange) {
        self.highest = 1;
        self.before = exchange.ordinal;
        let mut stream = Box::new(Stream { exchange, ..Stream::default() });
        stream.exchange.ordinal = self.before + 1;
        stream.exchange.protocol = Protocol::Http2;
        if let Some(request) = &stream.exchange.request {
            self.held += weight(request);
            stream.grpc = grpc::is_call(&request.head);
            if request.body_bytes > 0 {
                // HTTP/1 counts its octets, not the messages in it.
                stream.counters[0].lose();
            }
        }
        self.map.insert(1, stream);
    }

    pub(super) fn section(
        &mut self,
        from: Kind,
        section: &Section,
        message: &mut Message,
        shared: &mut Shared<'_, impl Log>,
    ) {
        shared.ledger.hpack_unresolved += u64::from(section.progress.unresolved);
        if section.progress.cut {
            shared.ledger.heads_cut += 1;
        }
        message.complete = section.ends && !section.broken_off;
        match (from, section.promised) {
            // No client may promise anything (RFC 9113, section 8.4).
            (Kind::Request, _) if section.promises => shared.ledger.streams_refused += 1,
            (Kind::Request, _) => self.request_section(section, message, shared),
            (Kind::Response, Some(promised)) => {
                message.complete = section.marks == Marks::default() && !section.broken_off;
                self.open(promised, section, message, shared);
            }
            (Kind::Response, None) if section.promises => self.miss_promise(),
            (Kind::Response, None) => self.response_section(section, message, shared),
        }
    }

    pub(super) fn content(&mut self, from: Kind, part: &Content<'_>, shared: &mut Shared<'_, impl Log>) {
        let Some(stream) = self.map.get_mut(&part.stream) else {
            self.drift(from, part, shared);
            return;
        };
        if from == Kind::Response && stream.exchange.response.is_none() {
            stream.answer_without_head(part.time);
        }
        let (side, message) = match from {
            Kind::Request => (0, stream.exchange.request.as_mut()),
            Kind::Response => (1, stream.exchange.response.as_mut()),
        };
        let Some(message) = message else { return };
        stream.fresh = true;
        stream.exchange.marks.add(shared.doubt());
        message.body_bytes += part.octets;
        message.last_byte = part.time;
        message.complete |= part.ends;
        stream.content[side] |= !part.bytes.is_empty() || part.skipped > 0;
        if stream.grpc {
            let counter = &mut stream.counters[side];
            if part.unsure {
                counter.lose();
            }
            counter.feed(part.bytes);
            counter.skip(part.skipped);
        }
        if part.lost {
            stream.exchange.marks.add(Marks::GAP);
        }
        if part.ends {
            self.settle(part.stream, shared);
        }
    }

    /// Content on a stream that is not open. Where something was missed, its head was.
    fn drift(&mut self, from: Kind, part: &Content<'_>, shared: &Shared<'_, impl Log>) {
        if !(self.gap || shared.joined) || self.closed.contains(part.stream) {
            return;
        }
        let ids = &mut self.adrift[usize::from(from == Kind::Response)];
        if part.ends {
            ids.remove(&part.stream);
            return;
        }
        if ids.len() >= shared.limits.streams {
            // Those whose end was lost stay for ever.
            ids.clear();
        }
        ids.insert(part.stream);
    }

    /// Whether content came on this stream, which was not open; it is open or over from here on.
    fn was_adrift(&mut self, from: Kind, id: u32) -> bool {
        self.adrift[usize::from(from == Kind::Response)].remove(&id)
    }

    pub(super) fn reset(&mut self, id: u32, shared: &mut Shared<'_, impl Log>) {
        self.close(id);
        if let Some(stream) = self.map.get_mut(&id) {
            stream.exchange.marks.add(Marks::RESET);
            stream.exchange.marks.add(shared.doubt());
            self.emit(id, shared);
        }
    }

    /// The other end won't look at the streams above `last` of the end `from` is not.
    pub(super) fn goaway(&mut self, from: Kind, last: u32, shared: &mut Shared<'_, impl Log>) {
        let parity = u32::from(from == Kind::Response);
        for id in self.ids(|id, stream| id % 2 == parity && id > last && stream.exchange.response.is_none()) {
            self.close(id);
            if let Some(stream) = self.map.get_mut(&id) {
                stream.exchange.marks.add(shared.doubt());
            }
            self.emit(id, shared);
        }
    }

    /// Nothing more comes of one direction. What waits for it is logged as it stands.
    pub(super) fn end(&mut self, from: Kind, shared: &mut Shared<'_, impl Log>) {
        let lost = shared.lost;
        for stream in self.map.values_mut() {
            let (message, lost) = match from {
                Kind::Request => (stream.exchange.request.as_mut(), lost[0]),
                Kind::Response => (stream.exchange.response.as_mut(), lost[1]),
            };
            // Where something was lost, its end may have been.
            let explained = lost || stream.exchange.marks.has(Marks(Marks::GAP.0 | Marks::CUT.0));
            if let Some(message) = message.filter(|message| !message.complete && !explained) {
                message.head.fault.get_or_insert((Fault::Incomplete, message.head_bytes));
            }
        }
        if from == Kind::Response {
            for id in self.ids(|_, _| true) {
                self.close(id);
                self.emit(id, shared);
            }
        }
    }

    /// The connection is over. What is missing was lost, since neither end said that it ends.
    pub(super) fn finish(&mut self, shared: &mut Shared<'_, impl Log>) {
        for id in self.ids(|_, _| true) {
            self.emit(id, shared);
        }
    }

    fn ids(&self, wanted: impl Fn(u32, &Stream) -> bool) -> Vec<u32> {
        let mut ids: Vec<u32> =
            self.map.iter().filter(|(id, stream)| wanted(**id, stream)).map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids
    }

    /// Logs the exchange when nothing more can come.
    fn settle(&mut self, id: u32, shared: &mut Shared<'_, impl Log>) {
        let Some(stream) = self.map.get(&id) else { return };
        let exchange = &stream.exchange;
        // Where nothing was lost, a request that was not told of yet will be.
        let is_late = !self.gap && !shared.joined && id % 2 == 1;
        let asked = exchange.request.as_ref().map_or(!is_late, |request| request.complete || shared.lost[0]);
        if asked && exchange.response.as_ref().is_some_and(|response| response.complete) {
            if id.is_multiple_of(2) || self.certain.is_none_or(|certain| id < certain) {
                self.close(id);
            }
            self.emit(id, shared);
        }
    }

    fn close(&mut self, id: u32) {
        self.closed.push(id);
        for ids in &mut self.adrift {
            ids.remove(&id);
        }
    }

    fn fresh(&mut self, id: u32) -> Box<Stream> {
        let mut stream = self.spare.pop().unwrap_or_default();
        stream.exchange.ordinal = self.before + u64::from(id);
        stream.exchange.protocol = Protocol::Http2;
        stream.fresh = true;
        stream
    }

    /// Takes a message, and leaves an empty one.
    fn take(&mut self, message: &mut Message) -> Message {
        let taken = std::mem::replace(message, self.messages.pop().unwrap_or_default());
        self.held += weight(&taken);
        taken
    }
}
