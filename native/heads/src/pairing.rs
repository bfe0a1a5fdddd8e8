//! Which response belongs to which request (RFC 9112, section 9.3.2), and what can still be said when a place is lost.

use crate::connection::Limits;
use crate::exchange::{Endpoints, Exchange, Log, Marks, Message, Role, StartLine};
use crate::http1::framing::{self, Asked};
use crate::http1::{head, methods, Event, Framing, Kind, Parser, STATUS_LINE};
use crate::ledger::Ledger;
use crate::stream::Place;
use std::collections::VecDeque;

/// Messages kept for their buffers.
const SPARE: usize = 4;
/// Interim responses kept of one exchange: nobody sends this many, and without a limit a server could fill memory.
const INTERIM: usize = 64;

/// The first bytes of a connection, while too few to tell a request from a response.
#[derive(Debug)]
struct Undecided {
    egress: bool,
    bytes: Vec<u8>,
    at: Place,
}

#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "independent facts, each named where it is used")]
pub struct Pairing {
    pub endpoints: Endpoints,
    limits: Limits,
    /// Began before we did, and no request was seen since.
    joined: bool,
    /// The first bytes that come need not be the start of a message.
    unsure: bool,
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
    /// A start line said that this is HTTP.
    confirmed: bool,
    /// Marks for the message that is being read and is not in the queue yet: of a request, of a response.
    pending: [Marks; 2],
    spare: Vec<Message>,
}

impl Default for Pairing {
    fn default() -> Self {
        let nowhere = (std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);
        let endpoints = Endpoints {
            cookie: 0,
            role: None,
            client: nowhere,
            server: nowhere,
            netns: None,
            cgroup: None,
            process: None,
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
            request_egress: None,
            undecided: None,
            request: Parser::new(Kind::Request, limits.max_head_bytes),
            response: Parser::new(Kind::Response, limits.max_head_bytes),
            queue: VecDeque::new(),
            overtaken: false,
            ordinal: 0,
            last_egress: None,
            reset: false,
            confirmed: false,
            pending: [Marks::default(); 2],
            spare: Vec::new(),
        }
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

    pub fn overlap(&mut self, egress: bool) {
        for (slot, leaves) in [(0, true), (1, false)] {
            if self.request_egress.is_none_or(|request| (request == egress) == leaves) {
                self.pending[slot].add(Marks::OVERLAP);
            }
        }
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

    /// The first start line of the connection tells who sends requests; false while it is not known.
    fn decide(&mut self, egress: bool, bytes: &[u8], at: Place) -> bool {
        if self.unsure && !begins_request(bytes) && !begins_response(bytes) {
            return false;
        }
        let leaves = match &mut self.undecided {
            // So little, and the other end speaks: a method's first letter more likely than half a response.
            Some(first) if first.egress != egress => first.egress,
            first => {
                let start = first.get_or_insert_with(|| Undecided { egress, bytes: Vec::new(), at });
                let known = start.bytes.len();
                start.bytes.extend_from_slice(&bytes[..bytes.len().min(STATUS_LINE.len())]);
                if start.bytes.len() < STATUS_LINE.len() && STATUS_LINE.starts_with(&start.bytes) {
                    return false;
                }
                let responds = start.bytes.starts_with(STATUS_LINE);
                start.bytes.truncate(known);
                egress != responds
            }
        };
        self.request_egress = Some(leaves);
        if self.unsure {
            // The other direction may be in the middle of a message.
            let other = if leaves == egress { &mut self.response } else { &mut self.request };
            other.lose();
        }
        if leaves {
            std::mem::swap(&mut self.endpoints.client, &mut self.endpoints.server);
        }
        if self.limits.socket {
            self.endpoints.role = Some(if leaves { Role::Client } else { Role::Server });
        }
        true
    }

    fn take(&mut self, egress: bool, bytes: &[u8], at: Place, ledger: &mut Ledger, log: &mut impl Log) {
        let turned = self.last_egress.replace(egress) != Some(egress);
        let kind = if self.request_egress == Some(egress) { Kind::Request } else { Kind::Response };
        if self.parser(kind).lost() && !(turned && self.resume(kind, bytes)) {
            if kind == Kind::Response {
                // What waits has its response going by unread.
                self.overtaken = false;
                self.give_up_waiting(ledger, log);
            }
            return;
        }
        self.read(kind, bytes, at, ledger, log);
    }

    fn parser(&mut self, kind: Kind) -> &mut Parser {
        match kind {
            Kind::Request => &mut self.request,
            Kind::Response => &mut self.response,
        }
    }

    /// After a loss, reading starts again where the other side had spoken, a start line follows, and there is no doubt
    /// which response belongs to which request.
    fn resume(&mut self, kind: Kind, bytes: &[u8]) -> bool {
        let clear = match kind {
            Kind::Request => self.queue.is_empty() && begins_request(bytes),
            Kind::Response => self.queue.len() <= 1 && !self.overtaken && begins_response(bytes),
        };
        if clear {
            self.parser(kind).restart(kind);
        }
        clear
    }

    fn read(&mut self, kind: Kind, mut bytes: &[u8], at: Place, ledger: &mut Ledger, log: &mut impl Log) {
        let mut seq = at.seq;
        while !bytes.is_empty() {
            let (used, event) = self.parser(kind).feed(bytes, at.time, seq);
            bytes = bytes.get(used..).unwrap_or_default();
            seq = seq.wrapping_add(u32::try_from(used).unwrap_or_default());
            self.on(kind, event, ledger, log);
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

    // ---- requests

    fn request_head(&mut self, ledger: &mut Ledger, log: &mut impl Log) {
        let framing = framing::decide(&mut self.request.message.head, Kind::Request, Asked::default());
        if is_http2(&self.request.message) || !self.confirm() {
            self.leave_out();
            return;
        }
        let tunnel = Asked::of(&self.request.message.head).connect;
        self.enqueue(ledger, log);
        match self.request.proceed(framing) {
            Event::End => self.request_end(ledger, log),
            Event::Lost => ledger.lost += 1,
            _ => {}
        }
        if tunnel && self.request.idle() {
            self.request.wait();
        }
    }

    /// Whether this is HTTP: the first request must look like it, later ones are logged whatever they are.
    fn confirm(&mut self) -> bool {
        self.confirmed = self.confirmed || is_http(&self.request.message);
        self.confirmed
    }

    /// Moves the request under way into the queue.
    fn enqueue(&mut self, ledger: &mut Ledger, log: &mut impl Log) {
        if !self.confirm() {
            self.leave_out();
            return;
        }
        self.joined = false;
        if self.queue.len() >= self.limits.waiting && !self.response.lost() {
            // The responses to those given up will come, and can't be told from the others.
            ledger.lost += 1;
            self.response_partial();
            self.response.lose();
        }
        if self.response.lost() {
            self.overtaken |= !self.queue.is_empty();
            self.give_up_waiting(ledger, log);
        }
        let mut exchange = self.fresh();
        exchange.request_seq = self.request.first_seq;
        exchange.marks.add(std::mem::take(&mut self.pending[0]));
        if self.request.cut {
            exchange.marks.add(Marks::CUT);
        }
        exchange.request = Some(Self::message(&mut self.spare, &mut self.request));
        self.queue.push_back(exchange);
    }

    fn request_end(&mut self, ledger: &mut Ledger, log: &mut impl Log) {
        let mut marks = std::mem::take(&mut self.pending[0]);
        if std::mem::take(&mut self.request.cut) {
            marks.add(Marks::CUT);
        }
        if let Some((row, request)) = open_request(&mut self.queue) {
            row.add(marks);
            absorb(request, &mut self.request.message, true);
        }
        clear(&mut self.request.message);
        self.emit_answered(ledger, log);
    }

    /// Logs the exchange whose response was complete before its request.
    fn emit_answered(&mut self, ledger: &mut Ledger, log: &mut impl Log) {
        let response = self.queue.front().and_then(|first| first.response.as_ref());
        if self.queue.len() == 1 && response.is_some_and(|response| response.complete) {
            self.emit_front(ledger, log);
        }
    }

    fn request_lost(&mut self, ledger: &mut Ledger, log: &mut impl Log) {
        ledger.lost += 1;
        if self.request.message.head_bytes > 0 {
            self.enqueue(ledger, log);
        } else {
            self.request_partial();
            self.emit_answered(ledger, log);
        }
    }

    /// Counts what was read of the last request's body.
    fn request_partial(&mut self) {
        if let Some((_, request)) = open_request(&mut self.queue) {
            absorb(request, &mut self.request.message, false);
        }
        clear(&mut self.request.message);
    }

    // ---- responses

    fn response_head(&mut self, ledger: &mut Ledger, log: &mut impl Log) {
        self.confirmed |= self.response.message.head.version.is_some();
        self.answer(ledger, log);
        if self.response.opaque() {
            return;
        }
        let Some(front) = self.queue.front_mut() else { return };
        let asked = front.request.as_ref().map(|request| Asked::of(&request.head)).unwrap_or_default();
        let framing = framing::decide(&mut self.response.message.head, Kind::Response, asked);
        front.marks.add(std::mem::take(&mut self.pending[1]));
        let status = self.response.message.head.status;
        let message = Self::message(&mut self.spare, &mut self.response);
        if matches!(status, Some(100 | 102..=199)) {
            if front.interim.len() < INTERIM {
                front.interim.push(Message { complete: true, ..message });
            } else {
                front.marks.add(Marks::CUT);
            }
            self.response.proceed(Framing::None);
            return;
        }
        front.response = Some(message);
        match self.response.proceed(framing) {
            Event::End => self.response_end(ledger, log),
            Event::Lost => self.response_lost(ledger, log),
            _ => {}
        }
    }

    /// Makes the front of the queue the exchange that the next response belongs to.
    fn answer(&mut self, ledger: &mut Ledger, log: &mut impl Log) {
        if self.queue.front().is_some_and(|first| first.response.is_some()) {
            self.emit_front(ledger, log);
        }
        if self.queue.is_empty() && self.request.in_head() {
            // Answered before the request's head was complete (408, 431): what came of it belongs to this response.
            if self.request.close(self.response.message.first_byte) == Event::Lost {
                self.enqueue(ledger, log);
            }
            if self.response.opaque() {
                return;
            }
        }
        if self.queue.is_empty() {
            let mut exchange = self.fresh();
            if self.joined {
                exchange.marks.add(Marks::JOINED);
            } else if self.request.lost() {
                exchange.marks.add(Marks::GAP);
            }
            self.queue.push_back(exchange);
        }
    }

    fn response_end(&mut self, ledger: &mut Ledger, log: &mut impl Log) {
        let tunnel = self.response.opaque();
        let mut marks = std::mem::take(&mut self.pending[1]);
        if std::mem::take(&mut self.response.cut) {
            marks.add(Marks::CUT);
        }
        let front = self.queue.front_mut().filter(|front| front.response.as_ref().is_some_and(|it| !it.complete));
        if let Some(front) = front {
            front.marks.add(marks);
            if let Some(response) = front.response.as_mut() {
                absorb(response, &mut self.response.message, true);
            }
        }
        clear(&mut self.response.message);
        let Some(front) = self.queue.front() else { return };
        if tunnel {
            self.request_partial();
            self.request.make_opaque();
            while !self.queue.is_empty() {
                self.emit_front(ledger, log);
            }
            return;
        }
        if self.request.waiting() && self.queue.len() == 1 {
            // The tunnel was refused.
            self.request.restart(Kind::Request);
        }
        if front.request.as_ref().is_none_or(|request| request.complete) || self.request.lost() {
            self.emit_front(ledger, log);
        }
    }

    fn response_lost(&mut self, ledger: &mut Ledger, log: &mut impl Log) {
        ledger.lost += 1;
        self.response_partial();
        self.give_up_waiting(ledger, log);
    }

    /// Gives what was read of a response to its exchange.
    fn response_partial(&mut self) {
        let mut marks = std::mem::take(&mut self.pending[1]);
        if std::mem::take(&mut self.response.cut) {
            marks.add(Marks::CUT);
        }
        if let Some(front) = self.queue.front_mut() {
            front.marks.add(marks);
            match front.response.as_mut() {
                Some(response) if response.complete => {}
                Some(response) => absorb(response, &mut self.response.message, false),
                None if self.response.message.head_bytes > 0 => {
                    front.response = Some(Self::message(&mut self.spare, &mut self.response));
                }
                None => {}
            }
        }
        clear(&mut self.response.message);
    }

    /// Bytes where a response should begin are none: those of an HTTP/0.9 server, or more than was announced.
    fn stray(&mut self, ledger: &mut Ledger, log: &mut impl Log) {
        ledger.lost += 1;
        let time = self.response.message.first_byte;
        clear(&mut self.response.message);
        if self.queue.is_empty() && self.request.in_head() && self.request.close(time) == Event::Lost {
            self.enqueue(ledger, log);
        }
        if let Some(front) = self.queue.front_mut().filter(|front| front.response.is_none()) {
            front.marks.add(Marks::MALFORMED);
            self.emit_front(ledger, log);
        }
        self.give_up_waiting(ledger, log);
    }

    // ---- what is missing

    pub fn skipped(&mut self, egress: bool, count: u32, cut: bool, at: Place, ledger: &mut Ledger, log: &mut impl Log) {
        let Some(leaves) = self.request_egress else {
            self.unsure = true;
            self.undecided = None;
            return;
        };
        self.last_egress = Some(egress);
        let (kind, parser) =
            if leaves == egress { (Kind::Request, &mut self.request) } else { (Kind::Response, &mut self.response) };
        let was_lost = parser.lost();
        let event = parser.skip(u64::from(count), cut, at.time);
        if event == Event::Lost && was_lost {
            return;
        }
        if event == Event::Lost {
            let mark = if cut || parser.cut { Marks::CUT } else { Marks::GAP };
            self.mark(kind, mark);
        }
        self.on(kind, event, ledger, log);
    }

    pub fn gap(&mut self, egress: bool, count: u32, at: Place, ledger: &mut Ledger, log: &mut impl Log) {
        if self.opaque() {
            return;
        }
        ledger.gaps += 1;
        ledger.gap_bytes += u64::from(count);
        let Some(leaves) = self.request_egress else {
            return self.skipped(egress, count, false, at, ledger, log);
        };
        self.mark(if leaves == egress { Kind::Request } else { Kind::Response }, Marks::GAP);
        self.skipped(egress, count, false, at, ledger, log);
    }

    /// Marks the message that is being read in one direction.
    fn mark(&mut self, kind: Kind, mark: Marks) {
        let (exchange, slot) = match kind {
            Kind::Request => (self.queue.back_mut().filter(|_| self.request.in_body()), 0),
            Kind::Response => (self.queue.front_mut(), 1),
        };
        match exchange {
            Some(exchange) => exchange.marks.add(mark),
            None => self.pending[slot].add(mark),
        }
    }

    /// No response can be told apart any more: what waits is logged as it stands.
    fn give_up_waiting(&mut self, ledger: &mut Ledger, log: &mut impl Log) {
        if self.request.waiting() {
            self.request.lose();
        }
        while let Some(front) = self.queue.front_mut() {
            if self.response.lost() && front.response.is_none() {
                front.marks.add(Marks::GAP);
            }
            self.emit_front(ledger, log);
        }
    }

    pub fn end(&mut self, egress: bool, time: u64, ledger: &mut Ledger, log: &mut impl Log) {
        let Some(leaves) = self.request_egress else { return };
        let (kind, parser) =
            if leaves == egress { (Kind::Request, &mut self.request) } else { (Kind::Response, &mut self.response) };
        let event = parser.close(time);
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

    // ---- rows

    fn fresh(&mut self) -> Exchange {
        let ordinal = self.ordinal;
        self.ordinal += 1;
        Exchange { ordinal, ..Exchange::default() }
    }

    fn message(spare: &mut Vec<Message>, parser: &mut Parser) -> Message {
        std::mem::replace(&mut parser.message, spare.pop().unwrap_or_default())
    }

    fn emit_front(&mut self, ledger: &mut Ledger, log: &mut impl Log) {
        let Some(mut exchange) = self.queue.pop_front() else { return };
        self.judge(&mut exchange);
        ledger.exchanges += 1;
        log.exchange(&self.endpoints, &exchange);
        for slot in [&mut exchange.request, &mut exchange.response] {
            if self.spare.len() < SPARE {
                if let Some(mut message) = slot.take() {
                    clear(&mut message);
                    self.spare.push(message);
                }
            }
        }
    }

    /// What the row must say about itself.
    fn judge(&self, exchange: &mut Exchange) {
        let marks = &mut exchange.marks;
        let messages = || exchange.request.iter().chain(exchange.response.iter()).chain(exchange.interim.iter());
        if exchange.request.is_none() {
            marks.add(Marks::NO_REQUEST);
        }
        if exchange.response.is_none() {
            marks.add(Marks::NO_RESPONSE);
        }
        if messages().any(|message| message.head.fault.is_some()) {
            marks.add(Marks::MALFORMED);
        }
        let complete = exchange.response.is_some() && messages().all(|message| message.complete);
        if !complete && self.reset {
            marks.add(Marks::RESET);
        } else if messages().any(|message| !message.complete) && !marks.has(Marks(Marks::MALFORMED.0 | Marks::CUT.0)) {
            marks.add(Marks::GAP);
        }
        if self.limits.socket && self.endpoints.process.is_none() {
            marks.add(Marks::PROCESS_UNKNOWN);
        }
    }
}

/// The request that is being read, when its head is in the queue.
fn open_request(queue: &mut VecDeque<Exchange>) -> Option<(&mut Marks, &mut Message)> {
    let last = queue.back_mut()?;
    let request = last.request.as_mut().filter(|request| !request.complete)?;
    Some((&mut last.marks, request))
}

/// Adds the body's count, time and trailers to a message whose head was moved away before.
fn absorb(message: &mut Message, rest: &mut Message, complete: bool) {
    message.complete = complete;
    if rest.body_bytes > 0 {
        message.last_byte = rest.last_byte;
        message.body_bytes += rest.body_bytes;
    }
    if let Some((fault, _)) = rest.head.fault {
        message.head.fault.get_or_insert((fault, message.head_bytes));
    }
    if !rest.head.trailers.is_empty() {
        let base = u32::try_from(message.head.raw.len()).unwrap_or(u32::MAX);
        message.head.raw.extend_from_slice(&rest.head.raw);
        message.head.trailers.extend(rest.head.trailers.iter().map(|field| {
            let mut moved = *field;
            moved.name.start = moved.name.start.saturating_add(base);
            moved.value.start = moved.value.start.saturating_add(base);
            moved
        }));
    }
    clear(rest);
}

/// Empties a message and keeps its buffers.
fn clear(message: &mut Message) {
    let head = &mut message.head;
    head.raw.clear();
    head.fields.clear();
    head.trailers.clear();
    head.start = StartLine::default();
    head.status = None;
    head.version = None;
    head.fault = None;
    message.first_byte = 0;
    message.head_end = 0;
    message.last_byte = 0;
    message.head_bytes = 0;
    message.body_bytes = 0;
    message.complete = false;
}

fn is_http2(message: &Message) -> bool {
    let head = &message.head;
    head.start.first.of(&head.raw) == b"PRI" && head.version == Some((2, 0))
}

/// A line that ends in a version, or a registered method and what can be a target (RFC 9112, section 3.2).
fn is_http(message: &Message) -> bool {
    let head = &message.head;
    let target = head.start.second.of(&head.raw);
    let targeted = matches!(target.first(), Some(b'/' | b'*')) || target.starts_with(b"http");
    head.version.is_some() || (targeted && methods::is_registered(head.start.first.of(&head.raw)))
}

fn begins_response(bytes: &[u8]) -> bool {
    bytes.get(..8).and_then(head::version).is_some()
}

/// A whole request line that ends in a version.
fn begins_request(bytes: &[u8]) -> bool {
    let Some(end) = memchr::memchr(b'\n', bytes) else { return false };
    let line = bytes[..end].strip_suffix(b"\r").unwrap_or(&bytes[..end]);
    let Some(at) = line.len().checked_sub(8) else { return false };
    head::version(&line[at..]).is_some() && line.first().is_some_and(|byte| head::token(*byte))
}
