//! What a server sends in header sections: interim responses, responses and their trailers.

use super::sections::{is_whole, leave_out, marks, note_fault, trailers};
use super::{weight, Shared, Stream, Streams};
use crate::exchange::{Fault, Log, Marks, Message};
use crate::http1::Kind;
use crate::http2::side::Section;
use crate::http2::{grpc, head};

/// Interim responses kept of one exchange, as in HTTP/1.
const INTERIM: usize = 64;

impl Stream {
    /// Content of a response whose head did not come: it was missed, or was never sent.
    pub(super) fn answer_without_head(&mut self, time: u64) {
        let mut message = headless(time);
        if self.misses() {
            self.counters[1].lose();
        } else {
            message.head.fault = Some((Fault::Frames, 0));
        }
        self.exchange.response = Some(message);
        self.content[1] = true;
    }

    /// Whether it is a gRPC call, as far as that is known: one has a content type, and is a POST.
    fn is_call(&self) -> Option<bool> {
        if self.grpc {
            return Some(true);
        }
        let head = &self.exchange.request.as_ref()?.head;
        let method = head.start.first.of(&head.raw);
        let other = !method.is_empty() && method != b"POST";
        (other || grpc::only(&head.raw, &head.fields, b"content-type").is_some()).then_some(false)
    }

    /// What a section without pseudo-header fields is; `unclear`: they may be what is not known of it.
    fn part(&self, section: &Section, unclear: bool) -> Part {
        if self.exchange.response.is_some() {
            return Part::Trailers;
        }
        let begins = !self.content[1] && (unclear || !section.ends);
        match self.is_call() {
            // A section without a status, where nothing was missed: a head that may not be.
            _ if !self.misses() => Part::Head,
            _ if !begins => Part::Trailers,
            _ if !section.ends => Part::Head,
            // The status of gRPC is known without any table.
            Some(true) => Part::Trailers,
            Some(false) => Part::Head,
            None => Part::Unclear,
        }
    }

    /// Keeps an interim response, where there is `room`; false where it is left out.
    fn keep_interim(&mut self, message: Message, room: bool) -> bool {
        let keep = room && self.exchange.interim.len() < INTERIM;
        if keep {
            self.exchange.interim.push(message);
        }
        keep
    }

    /// Its response has a head with a status that is not known, and nothing else: it was an interim one's where another
    /// head follows it, one with a status, or with which the message doesn't end, as it does with trailers (RFC 9113,
    /// section 8.1).
    pub(in crate::http2) fn has_vague_head(&self) -> bool {
        self.exchange.response.as_ref().is_some_and(|known| {
            let head = &known.head;
            let vague = head.status.is_none() && !matches!(head.fault, Some((Fault::Status, _)));
            vague && !self.content[1] && !known.complete && head.trailers.is_empty()
        })
    }
}

/// What a header section is of its response.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Head,
    Trailers,
    /// The head of a response without content, or the trailers of one whose head was not seen: its fields are left out.
    Unclear,
}

/// A response whose head did not come.
fn headless(first_byte: u64) -> Message {
    let mut message = Message { first_byte, ..Message::default() };
    message.head.version = Some((2, 0));
    message
}

impl Streams {
    pub(super) fn response_section(
        &mut self,
        section: &Section,
        message: &mut Message,
        shared: &mut Shared<'_, impl Log>,
    ) {
        let id = section.stream;
        if !self.map.contains_key(&id) {
            let adrift = self.was_adrift(Kind::Response, id) && !head::has_pseudo(&message.head);
            if !self.open_unasked(id, shared) {
                return;
            }
            if let Some(stream) = self.map.get_mut(&id).filter(|_| adrift) {
                // What is read now are trailers.
                stream.content[1] = true;
                stream.counters[1].lose();
            }
        }
        self.respond(id, section, message, shared);
        if let Some(stream) = self.map.get_mut(&id) {
            stream.fresh = true;
            stream.exchange.marks.add(marks(section));
        }
        self.settle(id, shared);
    }

    /// A response to a request that was not seen; false where it was seen and is over.
    pub(super) fn open_unasked(&mut self, id: u32, shared: &mut Shared<'_, impl Log>) -> bool {
        let known = if id.is_multiple_of(2) {
            self.pushes_certain
        } else {
            id <= self.highest && self.certain.is_some_and(|certain| id >= certain)
        };
        if known || self.closed.contains(id) {
            return false;
        }
        self.give_up_stale(shared);
        if self.crowded(shared) || (self.map.len() >= shared.limits.streams && !self.give_up_doubtful(shared)) {
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

    /// Gives a section of the server to its exchange.
    fn respond(&mut self, id: u32, section: &Section, message: &mut Message, shared: &mut Shared<'_, impl Log>) {
        let (whole, room) = (is_whole(section), !self.crowded(shared));
        let Some(stream) = self.map.get_mut(&id) else { return };
        let is_head = head::has_pseudo(&message.head);
        let unclear = head::begins_unresolved(&message.head) || (message.head.fields.is_empty() && !whole);
        if stream.has_vague_head() && (is_head || !section.ends || (unclear && !stream.grpc)) {
            let mut interim = stream.exchange.response.take().unwrap_or_default();
            interim.complete = true;
            let (weight, kept) = (weight(&interim), stream.keep_interim(interim, true));
            if !kept {
                self.held = self.held.saturating_sub(weight);
                stream.exchange.marks.add(Marks::CUT);
                shared.ledger.heads_cut += 1;
            }
        }
        let part = if is_head { Part::Head } else { stream.part(section, unclear) };
        let exchange = &mut stream.exchange;
        if exchange.response.is_none() && part != Part::Head {
            exchange.response = Some(headless(message.first_byte));
        }
        if part == Part::Unclear {
            shared.ledger.heads_cut += u64::from(!section.progress.cut);
            message.head.fields.clear();
        }
        if let Some(response) = exchange.response.as_mut() {
            if stream.grpc {
                grpc::encode_binary(&mut message.head);
            }
            match trailers(response, section, message, room) {
                Some(added) => self.held += added,
                None => leave_out(section, &mut exchange.marks, shared.ledger),
            }
            return;
        }
        let call = stream.grpc || (exchange.request.is_none() && grpc::is_call(&message.head));
        head::read(&mut message.head, Kind::Response, whole, call);
        note_fault(section, message);
        let interim = matches!(message.head.status, Some(100..=199)) && !section.ends;
        let mut taken = std::mem::replace(message, self.messages.pop().unwrap_or_default());
        let weight = weight(&taken);
        if interim {
            taken.complete = section.marks == Marks::default() && !section.broken_off;
            if !stream.keep_interim(taken, room) {
                leave_out(section, &mut stream.exchange.marks, shared.ledger);
                return;
            }
        } else {
            exchange.response = Some(taken);
            stream.ends_with_head = section.ends;
            stream.is_grpc(call);
        }
        self.held += weight;
    }
}
