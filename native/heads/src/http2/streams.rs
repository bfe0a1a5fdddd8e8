//! Streams and the exchanges on them (RFC 9113, sections 5.1 and 8.1).

use super::grpc::{self, Counter};
use super::head;
use super::side::{Content, Section};
use crate::connection::{CookieHasher, Limits};
use crate::exchange::{Endpoints, Exchange, Fault, Field, Log, Marks, Message, Protocol};
use crate::http1::Kind;
use crate::ledger::Ledger;
use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasherDefault;

/// Interim responses kept of one exchange, as in HTTP/1.
const INTERIM: usize = 64;
/// Streams that were closed last: what was on its way when they were closed is none of a new exchange's.
const CLOSED: usize = 64;
/// Requests after a loss until an exchange that was open then, and of which nothing came since, is given up: its end
/// was lost.
const PATIENCE: u32 = 256;

/// What the exchanges of a connection share when they are logged.
pub(super) struct Shared<'a, L> {
    pub endpoints: &'a Endpoints,
    pub limits: Limits,
    /// Began before we did.
    pub joined: bool,
    pub reset: bool,
    /// The place in the requests' direction, in the responses' direction is lost.
    pub lost: [bool; 2],
    /// Memory is short: no new streams.
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
    /// The last loss happened before its last frame.
    pub(super) fresh: bool,
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
    closed: VecDeque<u32>,
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

impl Streams {
    /// All streams from the first one on are seen.
    pub(super) fn from_the_beginning() -> Streams {
        Streams { certain: Some(1), pushes_certain: true, ..Streams::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.map.len()
    }

    /// Bytes of memory that the open exchanges take.
    pub(super) fn held(&self) -> usize {
        self.held + (self.map.len() + self.spare.len()) * size_of::<Stream>()
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
            (Kind::Request, _) => self.request_section(section, message, shared),
            (Kind::Response, Some(promised)) => {
                message.complete = section.marks == Marks::default() && !section.broken_off;
                self.open(promised, section, message, shared);
            }
            (Kind::Response, None) => self.response_section(section, message, shared),
        }
    }

    fn request_section(&mut self, section: &Section, message: &mut Message, shared: &mut Shared<'_, impl Log>) {
        let id = section.stream;
        if let Some(stream) = self.map.get_mut(&id) {
            stream.fresh = true;
            stream.exchange.marks.add(marks(section));
            if let Some(request) = stream.exchange.request.as_mut() {
                self.held += trailers(request, section, message);
            } else if head::has_pseudo(&message.head) {
                // Its response was read before: the place in this direction had to be found.
                head::read(&mut message.head, Kind::Request, is_whole(section));
                note_fault(section, message);
                let grpc = grpc::is_call(&message.head);
                let taken = self.take(message);
                if let Some(stream) = self.map.get_mut(&id) {
                    stream.grpc |= grpc;
                    stream.exchange.request_seq = section.seq;
                    stream.exchange.request = Some(taken);
                }
            }
            self.settle(id, shared);
            return;
        }
        let certain = self.certain.is_some_and(|certain| id >= certain);
        let over = (self.gap || shared.joined) && self.closed.contains(&id);
        if over || (id <= self.highest && certain) {
            return;
        }
        // The trailers of a request that began before we looked.
        if !certain && section.ends && !head::has_pseudo(&message.head) && !head::begins_unresolved(&message.head) {
            return;
        }
        self.highest = self.highest.max(id);
        self.certain.get_or_insert(id);
        self.open(id, section, message, shared);
    }

    /// A request: sent, or promised.
    fn open(&mut self, id: u32, section: &Section, message: &mut Message, shared: &mut Shared<'_, impl Log>) {
        self.give_up_stale(shared);
        if self.map.contains_key(&id) {
            return;
        }
        if shared.crowded || (self.map.len() >= shared.limits.streams && !self.give_up_doubtful(shared)) {
            shared.ledger.streams_refused += 1;
            self.close(id);
            return;
        }
        head::read(&mut message.head, Kind::Request, is_whole(section));
        note_fault(section, message);
        let mut stream = self.fresh(id);
        stream.grpc = grpc::is_call(&message.head);
        stream.exchange.request_seq = section.seq;
        stream.exchange.marks.add(marks(section));
        stream.exchange.request = Some(self.take(message));
        self.map.insert(id, stream);
    }

    fn response_section(&mut self, section: &Section, message: &mut Message, shared: &mut Shared<'_, impl Log>) {
        let id = section.stream;
        if !self.map.contains_key(&id) && !self.open_unasked(id, shared) {
            return;
        }
        let taken = self.respond(id, section, message);
        if let Some(stream) = self.map.get_mut(&id) {
            stream.fresh = true;
            stream.exchange.marks.add(marks(section));
        }
        self.held += taken;
        self.settle(id, shared);
    }

    /// A response to a request that was not seen; false where it was seen and is over.
    fn open_unasked(&mut self, id: u32, shared: &mut Shared<'_, impl Log>) -> bool {
        let known = if id.is_multiple_of(2) {
            self.pushes_certain
        } else {
            id <= self.highest && self.certain.is_some_and(|certain| id >= certain)
        };
        if known || self.closed.contains(&id) {
            return false;
        }
        self.give_up_stale(shared);
        if shared.crowded || (self.map.len() >= shared.limits.streams && !self.give_up_doubtful(shared)) {
            shared.ledger.streams_refused += 1;
            return false;
        }
        let mut stream = self.fresh(id);
        if shared.joined {
            stream.exchange.marks.add(Marks::JOINED);
        } else if self.gap {
            stream.exchange.marks.add(Marks::GAP);
        }
        self.map.insert(id, stream);
        true
    }

    /// Gives a section of the server to its exchange; returns the bytes that it keeps.
    fn respond(&mut self, id: u32, section: &Section, message: &mut Message) -> usize {
        let whole = is_whole(section);
        let mut spare = self.messages.pop().unwrap_or_default();
        let Some(stream) = self.map.get_mut(&id) else { return 0 };
        let (exchange, content) = (&mut stream.exchange, stream.content[1]);
        let is_head = head::has_pseudo(&message.head);
        let maybe_head = is_head || head::begins_unresolved(&message.head) || !section.ends;
        let known = exchange.response.as_ref();
        // What came with a status that is not known was an interim response where another head follows it: one with a
        // status, or with which the message doesn't end, as it does with trailers (RFC 9113, section 8.1).
        let was_interim = known.is_some_and(|known| {
            (is_head || !section.ends)
                && !content
                && known.head.status.is_none()
                && head::begins_unresolved(&known.head)
        });
        if was_interim && exchange.interim.len() < INTERIM {
            let mut interim = exchange.response.take().unwrap_or_default();
            interim.complete = true;
            exchange.interim.push(interim);
        }
        match exchange.response.as_mut() {
            Some(response) => {
                self.messages.push(spare);
                return trailers(response, section, message);
            }
            None if !maybe_head => {
                // The head was not seen.
                spare.first_byte = message.first_byte;
                spare.head.version = Some((2, 0));
                let added = trailers(&mut spare, section, message);
                exchange.response = Some(spare);
                return added;
            }
            None => {}
        }
        head::read(&mut message.head, Kind::Response, whole);
        note_fault(section, message);
        let interim = matches!(message.head.status, Some(100..=199)) && !section.ends;
        if interim && exchange.interim.len() >= INTERIM {
            exchange.marks.add(Marks::CUT);
            self.messages.push(spare);
            return 0;
        }
        std::mem::swap(&mut spare, message);
        let added = weight(&spare);
        if interim {
            spare.complete = section.marks == Marks::default() && !section.broken_off;
            exchange.interim.push(spare);
        } else {
            stream.grpc |= exchange.request.is_none() && grpc::is_call(&spare.head);
            exchange.response = Some(spare);
        }
        added
    }

    pub(super) fn content(&mut self, from: Kind, part: &Content<'_>, shared: &mut Shared<'_, impl Log>) {
        let Some(stream) = self.map.get_mut(&part.stream) else { return };
        let (side, message) = match from {
            Kind::Request => (0, stream.exchange.request.as_mut()),
            Kind::Response => (1, stream.exchange.response.as_mut()),
        };
        let Some(message) = message else { return };
        stream.fresh = true;
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

    pub(super) fn reset(&mut self, id: u32, shared: &mut Shared<'_, impl Log>) {
        self.close(id);
        if let Some(stream) = self.map.get_mut(&id) {
            stream.exchange.marks.add(Marks::RESET);
            self.emit(id, shared);
        }
    }

    /// The other end won't look at the streams above `last` of the end `from` is not.
    pub(super) fn goaway(&mut self, from: Kind, last: u32, shared: &mut Shared<'_, impl Log>) {
        let parity = u32::from(from == Kind::Response);
        for id in self.ids(|id, stream| id % 2 == parity && id > last && stream.exchange.response.is_none()) {
            self.close(id);
            self.emit(id, shared);
        }
    }

    /// Something of one direction was lost: the exchanges that are open may miss it.
    pub(super) fn lose(&mut self, from: Kind) {
        let side = usize::from(from == Kind::Response);
        for stream in self.map.values_mut() {
            stream.fresh = false;
            let message = if side == 0 { &stream.exchange.request } else { &stream.exchange.response };
            if !message.as_ref().is_some_and(|message| message.complete) {
                stream.exchange.marks.add(Marks::GAP);
                stream.counters[side].lose();
            }
        }
        self.gap = true;
        self.doubtful = Some(self.highest);
        match from {
            Kind::Request => self.certain = None,
            Kind::Response => self.pushes_certain = false,
        }
    }

    /// Every open exchange has this mark.
    pub(super) fn mark_all(&mut self, marks: Marks) {
        for stream in self.map.values_mut() {
            stream.exchange.marks.add(marks);
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

    /// Its first octets were lost.
    pub(super) fn miss_beginning(&mut self) {
        self.gap = true;
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
        let asked = exchange.request.as_ref().is_none_or(|request| request.complete || shared.lost[0]);
        if asked && exchange.response.as_ref().is_some_and(|response| response.complete) {
            if id.is_multiple_of(2) || self.certain.is_none_or(|certain| id < certain) {
                self.close(id);
            }
            self.emit(id, shared);
        }
    }

    fn close(&mut self, id: u32) {
        if self.closed.len() >= CLOSED {
            self.closed.pop_front();
        }
        self.closed.push_back(id);
    }

    /// Many requests after a loss: what was open then and said nothing since has ended unseen.
    fn give_up_stale(&mut self, shared: &mut Shared<'_, impl Log>) {
        let Some(doubtful) = self.doubtful else { return };
        if self.highest.saturating_sub(doubtful) < 2 * PATIENCE {
            return;
        }
        self.doubtful = None;
        for id in self.ids(|id, stream| id <= doubtful && !stream.fresh && stream.exchange.marks.has(Marks::GAP)) {
            self.close(id);
            self.emit(id, shared);
        }
    }

    /// Makes room by logging the oldest exchange that may have ended unseen.
    fn give_up_doubtful(&mut self, shared: &mut Shared<'_, impl Log>) -> bool {
        if !self.gap {
            return false;
        }
        let stale = self.map.iter().filter(|(_, stream)| !stream.fresh && stream.exchange.marks.has(Marks::GAP));
        let Some(id) = stale.map(|(id, _)| *id).min() else { return false };
        self.close(id);
        self.emit(id, shared);
        true
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

/// Nothing of the section is missing.
fn is_whole(section: &Section) -> bool {
    let complete = section.marks == Marks::default() && !section.broken_off && !section.invalid;
    complete && !section.progress.cut && section.progress.unresolved == 0
}

fn marks(section: &Section) -> Marks {
    let mut marks = section.marks;
    if section.progress.cut {
        marks.add(Marks::CUT);
    }
    if section.progress.unresolved > 0 {
        marks.add(Marks::HPACK_UNRESOLVED);
    }
    marks
}

fn note_fault(section: &Section, message: &mut Message) {
    if section.invalid {
        message.head.fault.get_or_insert((Fault::Frames, message.head_bytes));
    }
}

/// Adds a trailer section to its message; returns the bytes that it keeps.
fn trailers(message: &mut Message, section: &Section, from: &mut Message) -> usize {
    grpc::encode_binary(&mut from.head);
    let before = weight(message);
    let fault = if section.invalid { Some((Fault::Frames, 0)) } else { head::trailer_fault(&from.head) };
    if let Some((fault, _)) = fault {
        message.head.fault.get_or_insert((fault, message.head_bytes));
    }
    message.append_trailers(&from.head.raw, &from.head.fields);
    message.last_byte = from.last_byte;
    message.complete |= section.ends && !section.broken_off;
    weight(message) - before
}
