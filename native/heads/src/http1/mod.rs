//! HTTP/1.x messages out of one direction's bytes (RFC 9112), without I/O.
//!
//! Pull style, as h11: [`Parser::feed`] takes bytes until something is complete and says what; the caller decides the
//! framing of the body ([`Parser::proceed`]), because a response's depends on its request.

pub mod chunked;
pub mod framing;
pub mod head;
pub mod methods;

use crate::exchange::{Fault, Message};
use chunked::{Chunked, Step};
pub use framing::Framing;

/// Which side's messages these are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Request,
    Response,
}

/// What [`Parser::feed`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// All input is used; nothing is complete.
    More,
    /// [`Parser::message`] has its head. Call [`Parser::proceed`].
    Head,
    /// The message is complete.
    End,
    /// What stands where a response should begin is none; nothing of it is kept. The place is lost.
    Stray,
    /// The place in the stream is lost; nothing more can be read until [`Parser::restart`].
    Lost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// At a message boundary.
    Start,
    Head,
    /// The head is complete; waiting for [`Parser::proceed`].
    Decide,
    Length(u64),
    Chunked,
    Trailers,
    UntilClose,
    /// After a CONNECT: what follows is for the other end's answer to say.
    Waiting,
    /// Another protocol from here on.
    Opaque,
    Lost,
}

/// A status line begins with this (RFC 9112, section 4).
pub const STATUS_LINE: &[u8] = b"HTTP/";

/// One direction's parser.
#[derive(Debug)]
pub struct Parser {
    kind: Kind,
    state: State,
    limit: usize,
    /// The message under way.
    pub message: Message,
    /// Sequence number of its first byte.
    pub first_seq: u32,
    lines: head::Lines,
    chunked: Chunked,
    /// Where the trailer section begins in `message.head.raw`.
    trailer_start: usize,
    /// The head (or trailer section) went over the limit.
    pub cut: bool,
}

impl Parser {
    /// `limit`: bytes of a head (and of a trailer section) that are kept.
    pub fn new(kind: Kind, limit: usize) -> Self {
        Parser {
            kind,
            state: State::Start,
            limit,
            message: Message::default(),
            first_seq: 0,
            lines: head::Lines::default(),
            chunked: Chunked::default(),
            trailer_start: 0,
            cut: false,
        }
    }

    /// At a message boundary, with nothing read of the next message.
    pub fn idle(&self) -> bool {
        self.state == State::Start
    }

    pub fn lost(&self) -> bool {
        self.state == State::Lost
    }

    pub fn opaque(&self) -> bool {
        self.state == State::Opaque
    }

    pub fn waiting(&self) -> bool {
        self.state == State::Waiting
    }

    /// In the middle of a head.
    pub fn in_head(&self) -> bool {
        self.state == State::Head
    }

    /// In the middle of a body.
    pub fn in_body(&self) -> bool {
        matches!(self.state, State::Length(_) | State::Chunked | State::Trailers | State::UntilClose)
    }

    /// Forgets where it was: the next byte begins a message.
    pub fn restart(&mut self, kind: Kind) {
        self.kind = kind;
        self.cut = false;
        self.begin();
    }

    /// Keeps back what follows until [`Parser::restart`] or [`Parser::make_opaque`].
    pub fn wait(&mut self) {
        self.state = State::Waiting;
    }

    /// Nothing more can be read here.
    pub fn lose(&mut self) {
        self.state = State::Lost;
    }

    /// Another protocol speaks from here on.
    pub fn make_opaque(&mut self) {
        self.state = State::Opaque;
    }

    fn begin(&mut self) {
        self.state = State::Start;
        self.lines.begin(false);
        self.trailer_start = 0;
    }

    /// Takes bytes up to the next event; returns how many were used.
    pub fn feed(&mut self, data: &[u8], time: u64, seq: u32) -> (usize, Event) {
        let mut used = 0;
        while let Some(rest) = data.get(used..).filter(|rest| !rest.is_empty()) {
            let (count, event) = match self.state {
                State::Start => (self.start(rest, time, seq, used), Event::More),
                State::Head => self.head(rest, time),
                State::Decide => return (used, Event::Head),
                State::Length(left) => self.length(rest.len() as u64, left, time),
                State::Chunked => self.chunk(rest, time),
                State::Trailers => self.trailers(rest, time),
                State::UntilClose => (self.count(rest.len() as u64, time), Event::More),
                State::Waiting | State::Opaque => (rest.len(), Event::More),
                State::Lost => (rest.len(), Event::Lost),
            };
            used += count;
            if event != Event::More {
                return (used, event);
            }
        }
        (used, Event::More)
    }

    /// Bytes that were not copied. A message boundary must not lie among them.
    pub fn skip(&mut self, count: u64, cut: bool, time: u64) -> Event {
        match self.state {
            State::Length(left) if count <= left => self.length(count, left, time).1,
            State::Chunked if self.chunked.skip(count) => {
                self.count(count, time);
                Event::More
            }
            State::UntilClose => {
                self.count(count, time);
                Event::More
            }
            State::Waiting | State::Opaque => Event::More,
            State::Lost => Event::Lost,
            State::Head => {
                self.cut |= cut;
                self.message.head_bytes =
                    self.message.head_bytes.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
                self.finish_head(time);
                self.state = State::Lost;
                Event::Lost
            }
            _ => {
                self.cut |= cut;
                self.state = State::Lost;
                Event::Lost
            }
        }
    }

    /// Bytes are missing, and nobody knows how many: no length can be counted on any more.
    pub fn lose_place(&mut self, time: u64) -> Event {
        match self.state {
            State::Waiting | State::Opaque => return Event::More,
            State::Head => self.finish_head(time),
            _ => {}
        }
        self.state = State::Lost;
        Event::Lost
    }

    /// How the body of [`Parser::message`] is framed. Returns `End` when there is none.
    pub fn proceed(&mut self, framing: Framing) -> Event {
        self.state = match framing {
            Framing::None | Framing::Length(0) => {
                self.message.complete = true;
                self.begin();
                return Event::End;
            }
            Framing::Length(count) => State::Length(count),
            Framing::Chunked => {
                self.chunked = Chunked::default();
                State::Chunked
            }
            Framing::UntilClose => State::UntilClose,
            Framing::Opaque => {
                self.message.complete = true;
                State::Opaque
            }
            Framing::Unknown => State::Lost,
        };
        match framing {
            Framing::Opaque => Event::End,
            Framing::Unknown => Event::Lost,
            _ => Event::More,
        }
    }

    /// The direction ended. `End` when that completes the message under way; `Lost` when it cut it short.
    pub fn close(&mut self, time: u64) -> Event {
        match self.state {
            State::UntilClose => {
                self.message.complete = true;
                self.begin();
                Event::End
            }
            State::Head => {
                self.finish_head(time);
                if !self.cut {
                    self.message.head.fault.get_or_insert((Fault::Incomplete, self.message.head_bytes));
                }
                self.state = State::Lost;
                Event::Lost
            }
            State::Length(_) | State::Chunked | State::Trailers => {
                self.message.head.fault.get_or_insert((Fault::Incomplete, self.message.head_bytes));
                self.state = State::Lost;
                Event::Lost
            }
            _ => Event::More,
        }
    }

    /// Empty lines before a start line are let go (RFC 9112, section 2.2).
    fn start(&mut self, rest: &[u8], time: u64, seq: u32, used: usize) -> usize {
        let skip = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        if skip < rest.len() {
            let at = u32::try_from(used + skip).unwrap_or_default();
            self.first_seq = seq.wrapping_add(at);
            self.message.first_byte = time;
            self.message.last_byte = time;
            self.cut = false;
            self.state = State::Head;
        }
        skip
    }

    fn head(&mut self, rest: &[u8], time: u64) -> (usize, Event) {
        let end = self.lines.find_end(rest);
        let count = end.unwrap_or(rest.len());
        self.keep(rest, count, 0);
        if self.is_stray() {
            self.message.head.raw.clear();
            self.state = State::Lost;
            return (rest.len(), Event::Stray);
        }
        self.message.head_bytes = self.message.head_bytes.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        self.message.last_byte = time;
        if end.is_none() {
            return (count, Event::More);
        }
        self.finish_head(time);
        // Where a part of the head is not kept, its framing fields may be there.
        self.state = if self.cut { State::Lost } else { State::Decide };
        (count, if self.cut { Event::Lost } else { Event::Head })
    }

    /// Whether the head under way can't be a response's.
    fn is_stray(&self) -> bool {
        let raw = &self.message.head.raw;
        let count = raw.len().min(STATUS_LINE.len());
        self.kind == Kind::Response && raw[..count] != STATUS_LINE[..count]
    }

    fn finish_head(&mut self, time: u64) {
        self.message.head_end = time;
        head::read(&mut self.message.head, self.kind, &self.lines);
    }

    /// Copies what the limit allows into `raw`; `base` is where this section begins in it.
    fn keep(&mut self, rest: &[u8], count: usize, base: usize) {
        let raw = &mut self.message.head.raw;
        let room = self.limit.saturating_sub(raw.len() - base);
        let kept = count.min(room);
        raw.extend_from_slice(&rest[..kept]);
        if kept < count {
            self.cut = true;
            self.lines.forget(raw.len() - base);
        }
    }

    fn count(&mut self, count: u64, time: u64) -> usize {
        self.message.body_bytes += count;
        self.message.last_byte = time;
        usize::try_from(count).unwrap_or(usize::MAX)
    }

    fn length(&mut self, have: u64, left: u64, time: u64) -> (usize, Event) {
        let count = have.min(left);
        let used = self.count(count, time);
        if count < left {
            self.state = State::Length(left - count);
            return (used, Event::More);
        }
        self.message.complete = true;
        self.begin();
        (used, Event::End)
    }

    fn chunk(&mut self, rest: &[u8], time: u64) -> (usize, Event) {
        let (used, step) = self.chunked.feed(rest);
        self.count(used as u64, time);
        if let Some(fault) = self.chunked.fault.take() {
            self.message.head.fault.get_or_insert((fault, self.message.head_bytes));
        }
        match step {
            Step::More => (used, Event::More),
            Step::Last => {
                self.trailer_start = self.message.head.raw.len();
                self.lines.begin(true);
                self.state = State::Trailers;
                (used, Event::More)
            }
            Step::Bad(fault) => {
                self.message.head.fault.get_or_insert((fault, self.message.head_bytes));
                self.state = State::Lost;
                (used, Event::Lost)
            }
        }
    }

    fn trailers(&mut self, rest: &[u8], time: u64) -> (usize, Event) {
        let end = self.lines.find_end(rest);
        let count = end.unwrap_or(rest.len());
        self.keep(rest, count, self.trailer_start);
        self.count(count as u64, time);
        if end.is_none() {
            return (count, Event::More);
        }
        head::read_trailers(&mut self.message.head, self.trailer_start, &self.lines);
        self.message.complete = true;
        self.begin();
        (count, Event::End)
    }
}
