//! Where HTTP/2 takes over.

use super::websocket::upgrades_to;
use super::Pairing;
use crate::exchange::{Head, Message};
use crate::http2::{Opening, PREFACE};
use crate::stream::Place;

/// Where HTTP/1 ends and HTTP/2 begins.
#[derive(Debug)]
pub struct Switch {
    pub opening: Opening,
    /// What came behind it, in which direction.
    pub egress: bool,
    pub rest: Vec<u8>,
    pub at: Place,
    /// It is disputed.
    pub disputed: bool,
}

pub(super) fn is_http2(message: &Message) -> bool {
    let head = &message.head;
    head.start.first.of(&head.raw) == b"PRI" && head.version == Some((2, 0))
}

/// A 101 that switches to HTTP/2 (RFC 7540, section 3.2).
pub(super) fn is_answer(head: &Head) -> bool {
    upgrades_to(head, b"h2c")
}

impl Pairing {
    /// What came of the first request can be the front of the client's preface.
    pub fn in_preface(&self) -> bool {
        self.ordinal == 0
            && self.request.in_head()
            && self.queue.is_empty()
            && self.response.idle()
            && PREFACE.starts_with(&self.request.message.head.raw)
    }

    /// The front of the client's preface looked like a request (RFC 9113, section 3.4).
    pub(super) fn preface(&mut self) {
        let front = std::mem::take(&mut self.request.message.head.raw);
        if self.queue.is_empty() && PREFACE.starts_with(&front) {
            self.begin_http2(Opening::Preface(front.len()));
        } else {
            self.leave_out();
        }
    }

    /// Whether the request that asked for it is certain.
    pub(super) fn can_upgrade(&self) -> bool {
        let front = self.queue.front().filter(|front| self.queue.len() == 1 && front.response.is_none());
        !self.request.in_head() && front.is_some_and(|it| it.request.as_ref().is_some_and(|request| request.complete))
    }

    /// The request that asked for it is the first stream; its response comes there.
    pub(super) fn upgrade(&mut self, answer: Message) {
        let Some(mut exchange) = self.queue.pop_front() else { return };
        exchange.interim.push(Message { complete: true, ..answer });
        self.begin_http2(Opening::Upgrade(Box::new(exchange)));
    }

    fn begin_http2(&mut self, opening: Opening) {
        self.request.make_opaque();
        self.response.make_opaque();
        let nowhere = Place { time: 0, seq: 0 };
        let rest = Vec::new();
        self.switch = Some(Box::new(Switch { opening, egress: false, rest, at: nowhere, disputed: false }));
    }
}
