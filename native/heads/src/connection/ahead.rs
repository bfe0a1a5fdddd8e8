//! Responses that are told of before their requests.
//!
//! Go's library is read when its functions return, and on two processors a `Read` can return before the `Write` that it brings
//! the answer to. The request's record says when the library was given it: what came ahead of it waits.

use super::{Connection, Connections, Segment};
use crate::exchange::{Endpoints, Log};
use crate::http1::STATUS_LINE;

/// How long a response waits for its request, nanoseconds. A `Write` returns within microseconds, as a rule.
const PATIENCE: u64 = 100_000_000;
/// Bytes that wait on one connection.
const MOST: usize = 64 << 10;

/// A segment that waits.
#[derive(Debug)]
pub(super) struct Ahead {
    bytes: Vec<u8>,
    /// All but the bytes.
    rest: Segment<'static>,
}

impl Ahead {
    fn of(segment: &Segment<'_>) -> Ahead {
        Ahead { bytes: segment.bytes.to_vec(), rest: Segment { bytes: &[], ..*segment } }
    }

    fn segment(&self) -> Segment<'_> {
        Segment { bytes: &self.bytes, ..self.rest }
    }
}

/// Whether records of the two directions may come in another order than what they tell of.
pub(super) fn may_be(endpoints: &Endpoints) -> bool {
    endpoints.tls.is_some_and(|tls| tls.library == Some("go"))
}

impl Connection {
    /// A response where nobody waits for one, or what follows it.
    fn is_ahead(&self, segment: &Segment<'_>) -> bool {
        let begins = || {
            let speech = &self.speech;
            let client = speech.requests_leave() != Some(false) && !speech.opaque() && speech.open() == 0;
            client && segment.bytes.starts_with(STATUS_LINE)
        };
        !segment.egress && (!self.ahead.is_empty() || begins())
    }
}

impl Connections {
    /// A segment of a connection whose requests may be told late.
    pub(super) fn in_order(&mut self, cookie: u64, segment: &Segment<'_>, log: &mut impl Log) {
        let Some(connection) = self.map.get_mut(&cookie) else { return };
        if connection.is_ahead(segment) {
            if connection.ahead.is_empty() {
                self.ahead.push_back((cookie, segment.time));
            }
            connection.ahead.push(Ahead::of(segment));
            if connection.ahead.iter().map(|ahead| ahead.bytes.len()).sum::<usize>() > MOST {
                self.release(cookie, log);
            }
            return;
        }
        // The last byte of what was written has the time of the `Write`'s end.
        let is_late = connection.ahead.first().is_some_and(|ahead| segment.time <= ahead.rest.time)
            || (!connection.ahead.is_empty() && connection.speech.in_request_head());
        if !is_late {
            self.release(cookie, log);
            self.take(cookie, segment, log);
            return;
        }
        // What it says of the other direction holds only behind what waits.
        self.take(cookie, &Segment { accepted_in: None, ..*segment }, log);
        if self.map.get(&cookie).is_some_and(|connection| !connection.speech.in_request_head()) {
            self.release(cookie, log);
        }
    }

    /// What waits on a connection has its turn.
    pub(super) fn release(&mut self, cookie: u64, log: &mut impl Log) {
        let Some(connection) = self.map.get_mut(&cookie).filter(|connection| !connection.ahead.is_empty()) else {
            return;
        };
        for ahead in std::mem::take(&mut connection.ahead) {
            self.take(cookie, &ahead.segment(), log);
        }
    }

    /// What has waited long enough.
    pub(super) fn release_old(&mut self, now: u64, log: &mut impl Log) {
        while let Some((cookie, _)) =
            self.ahead.front().copied().filter(|(_, time)| time.saturating_add(PATIENCE) <= now)
        {
            self.ahead.pop_front();
            self.release(cookie, log);
        }
    }
}
