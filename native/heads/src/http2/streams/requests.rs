//! What a client sends in header sections: requests, and the trailers of requests.

use super::sections::{is_whole, leave_out, marks, note_fault, trailers};
use super::{Shared, Streams};
use crate::exchange::{Log, Message};
use crate::http1::Kind;
use crate::http2::side::Section;
use crate::http2::{grpc, head};

impl Streams {
    pub(super) fn request_section(
        &mut self,
        section: &Section,
        message: &mut Message,
        shared: &mut Shared<'_, impl Log>,
    ) {
        let id = section.stream;
        let room = !self.crowded(shared);
        if let Some(stream) = self.map.get_mut(&id) {
            stream.fresh = true;
            stream.exchange.marks.add(marks(section));
            if let Some(request) = stream.exchange.request.as_mut() {
                if stream.grpc {
                    grpc::encode_binary(&mut message.head);
                }
                match trailers(request, section, message, room) {
                    Some(added) => self.held += added,
                    None => leave_out(section, &mut stream.exchange.marks, shared.ledger),
                }
            } else if head::has_pseudo(&message.head) {
                // Its response was read before: the place in this direction had to be found, or the request is told late.
                self.highest = self.highest.max(id);
                let call = stream.grpc || grpc::is_call(&message.head);
                head::read(&mut message.head, Kind::Request, is_whole(section), call);
                note_fault(section, message);
                let taken = self.take(message);
                if let Some(stream) = self.map.get_mut(&id) {
                    stream.is_grpc(call);
                    stream.exchange.request_seq = section.seq;
                    stream.exchange.request = Some(taken);
                }
            }
            self.settle(id, shared);
            return;
        }
        if self.was_adrift(Kind::Request, id) && !head::has_pseudo(&message.head) {
            // The trailers of a request that began before we looked.
            return;
        }
        let certain = self.certain.is_some_and(|certain| id >= certain);
        let over = (self.gap || shared.joined) && self.closed.contains(id);
        if certain && id <= self.highest {
            self.refuse_late(id, message, shared);
            return;
        }
        if over {
            return;
        }
        // Trailers as well, without content before them.
        if !certain && section.ends && !head::may_ask(&message.head) {
            return;
        }
        self.highest = self.highest.max(id);
        self.certain.get_or_insert(id);
        self.open(id, section, message, shared);
    }

    /// A section on a stream that is not open, below others that were: it is over, or may not be opened any more
    /// (RFC 9113, section 5.1.1).
    fn refuse_late(&mut self, id: u32, message: &Message, shared: &mut Shared<'_, impl Log>) {
        if head::has_pseudo(&message.head) && !self.closed.contains(id) {
            shared.ledger.streams_refused += 1;
            self.close(id);
        }
    }

    /// A request: sent, or promised.
    pub(super) fn open(
        &mut self,
        id: u32,
        section: &Section,
        message: &mut Message,
        shared: &mut Shared<'_, impl Log>,
    ) {
        self.give_up_stale(shared);
        if self.map.contains_key(&id) {
            return;
        }
        if self.crowded(shared) || (self.map.len() >= shared.limits.streams && !self.give_up_doubtful(shared)) {
            shared.ledger.streams_refused += 1;
            self.close(id);
            return;
        }
        let call = grpc::is_call(&message.head);
        head::read(&mut message.head, Kind::Request, is_whole(section), call);
        note_fault(section, message);
        let mut stream = self.fresh(id);
        stream.grpc = call;
        stream.exchange.request_seq = section.seq;
        stream.exchange.marks.add(marks(section));
        stream.exchange.request = Some(self.take(message));
        self.miss_late(id, &mut stream);
        self.map.insert(id, stream);
    }
}
