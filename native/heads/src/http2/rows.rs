//! Exchanges of streams on their way out.

use super::grpc::{self, Counter};
use super::streams::{weight, Shared, Stream, Streams};
use crate::exchange::{Exchange, Fault, Grpc, Log, Marks, Protocol};

/// Messages and streams kept for their buffers, and how much one may keep.
const SPARE: usize = 32;
const SPARE_BYTES: usize = 4096;

impl Stream {
    /// What gRPC says, and whether it is a WebSocket: known when all of it is.
    fn complete(&mut self) {
        if self.has_vague_head() {
            self.forget_head();
        }
        if self.grpc {
            self.exchange.grpc = Some(read_grpc(&self.exchange, self.counters, self.ends_with_head));
        }
        if is_websocket(&self.exchange) {
            self.exchange.protocol = Protocol::WebSocket;
        }
    }
}

impl Streams {
    /// When each open exchange began, and its stream.
    pub(super) fn open_since(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.map.iter().map(|(id, stream)| (stream.exchange.began(), u64::from(*id)))
    }

    /// A copy of an open exchange.
    pub(super) fn open_exchange(&self, id: u32) -> Option<Exchange> {
        let mut stream = self.map.get(&id)?.clone();
        stream.complete();
        Some(stream.exchange)
    }

    /// Logs an exchange, as far as it is known.
    pub(super) fn emit(&mut self, id: u32, shared: &mut Shared<'_, impl Log>) {
        let Some(mut stream) = self.map.remove(&id) else { return };
        stream.complete();
        let exchange = &mut stream.exchange;
        judge(exchange, shared);
        if exchange.request.is_some() || exchange.response.is_some() || !exchange.interim.is_empty() {
            shared.ledger.exchanges += 1;
            shared.log.exchange(shared.endpoints, exchange);
        }
        let messages = [exchange.request.take(), exchange.response.take()];
        for mut message in messages.into_iter().flatten().chain(exchange.interim.drain(..)) {
            self.held = self.held.saturating_sub(weight(&message));
            if self.messages.len() < SPARE && weight(&message) <= SPARE_BYTES {
                message.clear();
                self.messages.push(message);
            }
        }
        if self.map.is_empty() {
            self.held = 0;
        }
        if self.spare.len() < SPARE {
            *stream = Stream::default();
            self.spare.push(stream);
        }
    }
}

fn read_grpc(exchange: &Exchange, counters: [Counter; 2], ends_with_head: bool) -> Grpc {
    let [asked, answered] = counters;
    let response = exchange.response.as_ref().map(|response| &response.head);
    let status = response.and_then(|head| match head.trailers.as_slice() {
        [] if ends_with_head => grpc::status(&head.raw, &head.fields),
        trailers => grpc::status(&head.raw, trailers),
    });
    Grpc {
        status,
        request_messages: exchange.request.as_ref().and_then(|_| asked.messages()),
        response_messages: response.and_then(|_| answered.messages()),
        timeout: exchange.request.as_ref().and_then(|request| grpc::timeout(&request.head)),
    }
}

/// A WebSocket opened by an extended CONNECT (RFC 8441, section 5).
fn is_websocket(exchange: &Exchange) -> bool {
    let asked = exchange.request.as_ref().map(|request| &request.head);
    let protocol = asked.and_then(|head| Some(head.protocol?.of(&head.raw)));
    let status = exchange.response.as_ref().and_then(|response| response.head.status);
    protocol == Some(b"websocket") && matches!(status, Some(200..=299))
}

/// What the row must say about itself.
fn judge(exchange: &mut Exchange, shared: &Shared<'_, impl Log>) {
    let marks = &mut exchange.marks;
    let messages = || exchange.request.iter().chain(exchange.response.iter()).chain(exchange.interim.iter());
    if exchange.request.is_none() {
        marks.add(Marks::NO_REQUEST);
    }
    if exchange.response.is_none() {
        marks.add(Marks::NO_RESPONSE);
    }
    let complete = exchange.response.is_some() && messages().all(|message| message.complete);
    if !complete && shared.reset {
        marks.add(Marks::RESET);
    }
    // A reset says why a message ended early.
    let excused = |fault: Fault| fault == Fault::Incomplete && marks.has(Marks::RESET);
    if messages().any(|message| message.head.fault.is_some_and(|(fault, _)| !excused(fault))) {
        marks.add(Marks::MALFORMED);
    }
    let explained = Marks(Marks::MALFORMED.0 | Marks::CUT.0 | Marks::RESET.0);
    if messages().any(|message| !message.complete) && !marks.has(explained) && exchange.response.is_some() {
        marks.add(Marks::GAP);
    }
    if shared.limits.socket && shared.endpoints.process.is_none() {
        marks.add(Marks::PROCESS_UNKNOWN);
    }
}
