//! Connections: two streams, two parsers, and the pairing between them.

mod ahead;

use crate::exchange::{Endpoints, Log, Process};
use crate::ledger::Ledger;
use crate::record::{Carrier, Tuple};
use crate::speech::Speech;
use crate::stream::{Outcome, Part, Place, Reader, Stream};
use ahead::Ahead;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

/// One segment, or a part of one, as a source hands it over.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "four independent facts, each named where it is used")]
pub struct Segment<'a> {
    /// It leaves the local end.
    pub egress: bool,
    pub seq: u32,
    /// The copied bytes: a prefix of `span`.
    pub bytes: &'a [u8],
    /// Payload bytes that this stands for.
    pub span: u32,
    /// What TCP expects next in each direction, where known: everything before it is accepted.
    pub accepted_in: Option<u32>,
    pub accepted_out: Option<u32>,
    pub time: u64,
    pub fin: bool,
    pub rst: bool,
    /// Bytes were left out because of a limit.
    pub cut: bool,
}

/// What is kept at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of one head (and of one trailer section).
    pub max_head_bytes: usize,
    /// Connections followed at once; more are counted and left out.
    pub connections: usize,
    /// Requests that wait for a response on one connection; more and the pairing starts anew.
    pub waiting: usize,
    /// Streams of one HTTP/2 connection; more are counted and left out.
    pub streams: usize,
    /// Bytes that the heads and tables of all HTTP/2 connections take together; beyond, those that take most are let go.
    pub memory: usize,
    /// The source is sockets of this host: role and process can be known, and a row without a process says so.
    pub socket: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_head_bytes: 16 << 10,
            connections: 1 << 18,
            waiting: 1024,
            streams: 4096,
            memory: 256 << 20,
            socket: false,
        }
    }
}

#[derive(Debug, Default)]
struct Connection {
    inbound: Stream,
    outbound: Stream,
    early: Vec<Early>,
    speech: Speech,
    last_time: u64,
    /// Its requests may be told after their responses; those that were wait here.
    may_be_ahead: bool,
    ahead: Vec<Ahead>,
}

/// Cookies are counters: multiplying spreads them well enough.
#[derive(Clone, Copy, Debug, Default)]
pub struct CookieHasher(u64);

impl Hasher for CookieHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0 ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }
}

type Map<V> = HashMap<u64, V, BuildHasherDefault<CookieHasher>>;

/// Early data waits for its connection: what completed a handshake is seen on the listener first.
#[derive(Debug)]
struct Early {
    tuple: Tuple,
    seq: u32,
    bytes: Vec<u8>,
    span: u32,
    time: u64,
    fin: bool,
    cut: bool,
}

/// Early segments kept at most; a handshake takes far less than the time in which this many come.
const EARLY: usize = 1024;

/// A socket that is closed with data unread says so after its end: its RST follows its close. Nanoseconds.
const LAST_WORDS: u64 = 10_000_000;

/// All connections of one source.
#[derive(Debug, Default)]
pub struct Connections {
    limits: Limits,
    map: Map<Box<Connection>>,
    early: Vec<Early>,
    /// Closed, and when.
    closing: VecDeque<(u64, u64)>,
    /// Connections whose requests may be told late.
    may_be_ahead: usize,
    /// Where something waits for a request, and since when.
    ahead: VecDeque<(u64, u64)>,
    /// Bytes that HTTP/2 connections take.
    held: usize,
    pub ledger: Ledger,
}

impl Connections {
    pub fn new(limits: Limits) -> Self {
        Connections { limits, ..Connections::default() }
    }

    /// Connections that are followed now.
    pub fn len(&self) -> usize {
        self.map.len()
    }

    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// Exchanges begun and not yet logged.
    pub fn open_exchanges(&self) -> usize {
        self.map.values().map(|connection| connection.speech.open()).sum()
    }

    /// Gives the exchanges that began first of those that are not logged yet, at most so many: whatever waits on this
    /// host, looking at it costs little.
    pub fn open_rows(&self, most: usize, log: &mut impl Log) {
        let each = self.map.iter().flat_map(|(cookie, connection)| {
            connection.speech.open_since().into_iter().map(|(began, place)| (began, *cookie, place))
        });
        let mut found: Vec<(u64, u64, u64)> = each.collect();
        if found.len() > most {
            found.select_nth_unstable(most);
            found.truncate(most);
        }
        found.sort_unstable();
        for (_, cookie, place) in found {
            let Some(connection) = self.map.get(&cookie) else { continue };
            if let Some(exchange) = connection.speech.open_exchange(place) {
                log.exchange(connection.speech.endpoints(), &exchange);
            }
        }
    }

    /// A connection speaks HTTP. `endpoints` has the local end as `server`; the direction of the first request
    /// corrects that.
    pub fn open(&mut self, endpoints: Endpoints, joined: bool, log: &mut impl Log) {
        self.open_as(endpoints.cookie, endpoints, joined, log);
    }

    /// The same, where records come under another number than the socket's cookie: inside TLS.
    pub fn open_as(&mut self, cookie: u64, endpoints: Endpoints, joined: bool, log: &mut impl Log) {
        if self.map.contains_key(&cookie) {
            return;
        }
        if self.map.len() >= self.limits.connections && !self.make_room(log) {
            return;
        }
        let tuple = (endpoints.server, endpoints.client);
        let may_be_ahead = ahead::may_be(&endpoints);
        let mut connection = Box::new(Connection {
            speech: Speech::new(endpoints, joined, self.limits),
            may_be_ahead,
            ..Connection::default()
        });
        self.ledger.connections += 1;
        self.may_be_ahead += usize::from(may_be_ahead);
        // What was seen on the listener waits for the first segment, which says where TCP is.
        let (mine, others) = std::mem::take(&mut self.early).into_iter().partition(|early| early.tuple == tuple);
        (connection.early, self.early) = (mine, others);
        self.map.insert(cookie, connection);
    }

    /// The process that owns a connection's socket.
    pub fn process(&mut self, cookie: u64, process: Process) -> bool {
        let known = self.map.get_mut(&cookie);
        known.map(|connection| connection.speech.endpoints_mut().process = Some(process)).is_some()
    }

    /// The socket that carries a connection inside TLS, or (`None`) that it is no longer known.
    pub fn carry(&mut self, key: u64, carrier: Option<&Carrier>) {
        if let Some(connection) = self.map.get_mut(&key) {
            connection.speech.carry(key, carrier);
        }
    }

    /// Its first bytes were seen on the listener, if at all: where none were, we came in the middle of something.
    pub fn doubt(&mut self, cookie: u64) {
        if let Some(connection) = self.map.get_mut(&cookie).filter(|connection| connection.early.is_empty()) {
            connection.speech.doubt();
        }
    }

    /// Its exchanges are not for the log: nothing more is read of it.
    pub fn leave_out(&mut self, cookie: u64) {
        if let Some(connection) = self.map.get_mut(&cookie) {
            connection.speech.leave_out();
        }
    }

    /// Data seen on a listening socket; it waits until its connection opens, and counts as consumed then.
    pub fn early(&mut self, tuple: Tuple, segment: &Segment<'_>) {
        if self.early.len() >= EARLY {
            self.early.remove(0);
            self.ledger.consumed += 1;
            self.ledger.failed_unknown += 1;
        }
        self.early.push(Early {
            tuple,
            seq: segment.seq,
            bytes: segment.bytes.to_vec(),
            span: segment.span,
            time: segment.time,
            fin: segment.fin,
            cut: segment.cut,
        });
    }

    /// One segment of a connection.
    pub fn segment(&mut self, cookie: u64, segment: &Segment<'_>, log: &mut impl Log) {
        if self.may_be_ahead > 0 && self.map.get(&cookie).is_some_and(|connection| connection.may_be_ahead) {
            self.in_order(cookie, segment, log);
        } else {
            self.take(cookie, segment, log);
        }
    }

    fn take(&mut self, cookie: u64, segment: &Segment<'_>, log: &mut impl Log) {
        self.ledger.consumed += 1;
        let Some(connection) = self.map.get_mut(&cookie) else {
            self.ledger.failed_unknown += 1;
            return;
        };
        let was_opaque = connection.speech.opaque();
        let before = connection.speech.held();
        let outcome = connection.segment(segment, &mut self.ledger, log);
        if was_opaque {
            self.ledger.not_http += 1;
        } else {
            self.ledger.count(outcome);
        }
        if segment.rst {
            connection.speech.reset();
        }
        let after = connection.speech.held();
        self.weigh(before, after, log);
    }

    /// Bytes of one direction are missing, and nobody knows how many: what is under way there ends here, with the mark
    /// `gap`, and reading starts again at a message that can be told for certain.
    pub fn lose(&mut self, cookie: u64, egress: bool, time: u64, log: &mut impl Log) {
        self.release(cookie, log);
        self.ledger.consumed += 1;
        let Some(connection) = self.map.get_mut(&cookie) else {
            self.ledger.failed_unknown += 1;
            return;
        };
        self.ledger.used += 1;
        connection.last_time = time;
        let before = connection.speech.held();
        connection.speech.lose(egress, time, &mut self.ledger, log);
        let after = connection.speech.held();
        self.weigh(before, after, log);
    }

    /// The socket is gone: what is open is logged as it stands.
    pub fn close(&mut self, cookie: u64, last: &Segment<'_>, log: &mut impl Log) {
        self.release(cookie, log);
        self.ledger.consumed += 1;
        let Some(connection) = self.map.get_mut(&cookie) else {
            self.ledger.failed_unknown += 1;
            return;
        };
        self.ledger.used += 1;
        let before = connection.speech.held();
        connection.accept(last.accepted_in, None, &mut self.ledger, log);
        connection.last_time = last.time;
        connection.speech.closed();
        let after = connection.speech.held();
        self.weigh(before, after, log);
        self.closing.push_back((cookie, last.time));
        // In a capture file the end is known: nothing of the connection follows.
        self.bury(if self.limits.socket { last.time } else { u64::MAX }, log);
    }

    /// Logs what is open of the connections that were closed a moment before `now`.
    pub fn bury(&mut self, now: u64, log: &mut impl Log) {
        self.release_old(now, log);
        while let Some((cookie, _)) =
            self.closing.front().copied().filter(|(_, time)| time.saturating_add(LAST_WORDS) <= now)
        {
            self.closing.pop_front();
            self.part(cookie, log);
        }
    }

    /// The source is over.
    pub fn finish(&mut self, log: &mut impl Log) {
        let mut cookies: Vec<u64> = self.map.keys().copied().collect();
        cookies.sort_unstable();
        for cookie in cookies {
            self.part(cookie, log);
        }
        self.ledger.consumed += self.early.len() as u64;
        self.ledger.failed_unknown += self.early.len() as u64;
        self.early.clear();
    }

    /// Lets go the connection that was silent longest.
    fn make_room(&mut self, log: &mut impl Log) -> bool {
        let oldest = self.map.iter().min_by_key(|(_, connection)| connection.last_time).map(|(cookie, _)| *cookie);
        oldest.is_some_and(|cookie| self.part(cookie, log))
    }

    /// Logs what is open of a connection as it stands, and forgets it.
    fn part(&mut self, cookie: u64, log: &mut impl Log) -> bool {
        self.release(cookie, log);
        let Some(mut connection) = self.map.remove(&cookie) else { return false };
        self.may_be_ahead -= usize::from(connection.may_be_ahead);
        self.held = self.held.saturating_sub(connection.speech.held());
        let time = connection.last_time;
        connection.finish(time, &mut self.ledger, log);
        true
    }

    /// A connection took `before` bytes and takes `after`. When all together are beyond the limit, those that take most
    /// are let go, until there is room for a while: what they still say is counted as of connections not known.
    fn weigh(&mut self, before: usize, after: usize, log: &mut impl Log) {
        self.held = self.held.saturating_sub(before).saturating_add(after);
        if after <= before || self.held <= self.limits.memory {
            return;
        }
        let mut largest: Vec<(usize, u64)> =
            self.map.iter().map(|(cookie, connection)| (connection.speech.held(), *cookie)).collect();
        largest.sort_unstable();
        while self.held > self.limits.memory / 8 * 7 {
            let Some((_, cookie)) = largest.pop() else { return };
            if self.part(cookie, log) {
                self.ledger.let_go += 1;
            }
        }
    }
}

impl Ledger {
    fn count(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Used => self.used += 1,
            Outcome::Duplicate => self.duplicate += 1,
            Outcome::OutsideWindow => self.failed_window += 1,
        }
    }
}

impl Connection {
    fn segment(&mut self, segment: &Segment<'_>, ledger: &mut Ledger, log: &mut impl Log) -> Outcome {
        self.last_time = segment.time;
        if !self.early.is_empty() {
            self.recall_early(segment.accepted_in, ledger, log);
        }
        // A response confirms what TCP had accepted before it: hand that out first.
        let (other_in, other_out) =
            if segment.egress { (segment.accepted_in, None) } else { (None, segment.accepted_out) };
        self.accept(other_in, other_out, ledger, log);
        let part =
            Part { seq: segment.seq, bytes: segment.bytes, span: segment.span, time: segment.time, cut: segment.cut };
        let accepted = if segment.egress { segment.accepted_out } else { segment.accepted_in };
        let stream = if segment.egress { &mut self.outbound } else { &mut self.inbound };
        let mut direction = Direction { egress: segment.egress, speech: &mut self.speech, ledger, log };
        if segment.fin {
            stream.fin(segment.seq.wrapping_add(segment.span), segment.time);
        }
        stream.push(part, accepted, &mut direction)
    }

    fn accept(&mut self, inbound: Option<u32>, outbound: Option<u32>, ledger: &mut Ledger, log: &mut impl Log) {
        if inbound.is_some() {
            let mut direction = Direction { egress: false, speech: &mut self.speech, ledger, log };
            self.inbound.accept(inbound, &mut direction);
        }
        if outbound.is_some() {
            let mut direction = Direction { egress: true, speech: &mut self.speech, ledger, log };
            self.outbound.accept(outbound, &mut direction);
        }
    }

    /// Hands over what was seen on the listener. Where TCP is by now may lie before it (it came out of order) or
    /// behind it (it was accepted).
    #[cold]
    fn recall_early(&mut self, accepted: Option<u32>, ledger: &mut Ledger, log: &mut impl Log) {
        let all = std::mem::take(&mut self.early);
        let places = all.iter().map(|early| early.seq).chain(accepted);
        if let Some(first) = places.reduce(|a, b| if b.wrapping_sub(a).cast_signed() < 0 { b } else { a }) {
            self.inbound.begin(first);
        }
        for early in all {
            ledger.consumed += 1;
            let mut direction = Direction { egress: false, speech: &mut self.speech, ledger, log };
            if early.fin {
                self.inbound.fin(early.seq.wrapping_add(early.span), early.time);
            }
            let part = Part { seq: early.seq, bytes: &early.bytes, span: early.span, time: early.time, cut: early.cut };
            let outcome = self.inbound.push(part, accepted, &mut direction);
            ledger.count(outcome);
        }
    }

    fn finish(&mut self, time: u64, ledger: &mut Ledger, log: &mut impl Log) {
        self.recall_early(None, ledger, log);
        // Requests first: what is held of a response belongs after them.
        let leave = self.speech.requests_leave().unwrap_or(false);
        for egress in [leave, !leave] {
            let stream = if egress { &mut self.outbound } else { &mut self.inbound };
            stream.flush(&mut Direction { egress, speech: &mut self.speech, ledger, log });
        }
        self.speech.finish(time, ledger, log);
    }
}

/// One direction of a connection, as its stream sees it.
struct Direction<'a, L> {
    egress: bool,
    speech: &'a mut Speech,
    ledger: &'a mut Ledger,
    log: &'a mut L,
}

impl<L: Log> Reader for Direction<'_, L> {
    fn data(&mut self, bytes: &[u8], at: Place) {
        self.speech.data(self.egress, bytes, at, self.ledger, self.log);
    }

    fn skipped(&mut self, count: u32, cut: bool, at: Place) {
        self.speech.skipped(self.egress, count, cut, at, self.ledger, self.log);
    }

    fn gap(&mut self, count: u32, at: Place) {
        self.speech.gap(self.egress, count, at, self.ledger, self.log);
    }

    fn overlap(&mut self) {
        self.speech.overlap(self.egress);
    }

    fn end(&mut self, time: u64) {
        self.speech.end(self.egress, time, self.ledger, self.log);
    }
}
