//! One direction of a connection: bytes in, frames and header sections out (RFC 9113, sections 4 and 6).

mod missing;
mod section;

use super::frame::{flag, kind, Frame, HEADER};
use super::hpack::Decoder;
use crate::exchange::{Marks, Message};
use crate::stream::Place;
pub(super) use section::Section;

/// What a client sends first (RFC 9113, section 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// CONTINUATION frames of one section that nobody needs: with frames of the smallest size that must be taken this is a
/// megabyte.
const FLOOD: u32 = 64;

/// A part of a DATA frame.
#[derive(Clone, Copy, Debug)]
pub struct Content<'a> {
    pub stream: u32,
    /// Octets on the wire: header and padding as well.
    pub octets: u64,
    /// Content that was copied, then how much was not.
    pub bytes: &'a [u8],
    pub skipped: u32,
    /// Content was skipped and it is not known where its padding begins; or it was lost.
    pub unsure: bool,
    pub lost: bool,
    /// The message ends with it.
    pub ends: bool,
    pub time: u64,
}

/// Who takes what one direction says.
pub trait Frames {
    fn frame(&mut self, _frame: Frame) {}
    /// A header section in `message`, which may be taken.
    fn section(&mut self, section: &Section, message: &mut Message);
    fn content(&mut self, content: &Content<'_>);
    fn reset(&mut self, stream: u32);
    /// No stream above `last` was or will be looked at.
    fn goaway(&mut self, last: u32);
    /// More CONTINUATION frames than anybody needs.
    fn flood(&mut self) {}
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The client's preface, matched so far.
    Preface(usize),
    Header,
    Prefix,
    Payload,
    Lost,
    /// It began like a preface and is none.
    Foreign,
}

#[derive(Debug)]
pub struct Side {
    state: State,
    /// Only what real senders send is taken for a frame.
    strict: bool,
    /// The first frame must be SETTINGS.
    begins: bool,
    limit: usize,
    frame: Frame,
    /// A frame header or the front of a payload, as far as it has come.
    front: [u8; HEADER],
    have: usize,
    /// First octet of the frame.
    place: Place,
    /// What is left of the payload: content, then padding.
    content: u32,
    padding: u32,
    /// Octets of a DATA frame that were not told yet.
    untold: u32,
    unsure: bool,
    /// The section under way, and its head.
    section: Option<Section>,
    message: Message,
    decoder: Decoder,
    /// Octets of a field that is not complete, and how many it needs at least.
    pending: Vec<u8>,
    need: usize,
}

impl Side {
    /// `limit`: bytes of a head (and of a trailer section) that are kept.
    pub fn new(limit: usize) -> Side {
        Side {
            state: State::Header,
            strict: false,
            begins: true,
            limit,
            frame: Frame::default(),
            front: [0; HEADER],
            have: 0,
            place: Place { time: 0, seq: 0 },
            content: 0,
            padding: 0,
            untold: 0,
            unsure: false,
            section: None,
            message: Message::default(),
            decoder: Decoder::default(),
            pending: Vec::new(),
            need: 0,
        }
    }

    /// The client's direction, of whose preface `matched` octets have been read.
    pub fn client(limit: usize, matched: usize) -> Side {
        Side { state: State::Preface(matched), ..Side::new(limit) }
    }

    /// Begins at some frame of a connection; what is no plausible frame ends it.
    pub fn midway(limit: usize) -> Side {
        let mut side = Side { strict: true, begins: false, ..Side::new(limit) };
        side.decoder.forget();
        side
    }

    /// The place is not known, and nothing of the table.
    pub fn lost_at(limit: usize) -> Side {
        Side { state: State::Lost, ..Side::midway(limit) }
    }

    /// It has shown that it is in the right place.
    pub fn trust(&mut self) {
        self.strict = false;
    }

    /// Nothing of the table is certain any more.
    pub fn forget(&mut self) {
        self.decoder.forget();
    }

    pub fn lost(&self) -> bool {
        self.state == State::Lost
    }

    /// What should have been the client's preface is something else.
    pub fn is_foreign(&self) -> bool {
        self.state == State::Foreign
    }

    /// In a header section, or between two of its frames.
    pub fn in_section(&self) -> bool {
        self.section.is_some()
    }

    /// Between two frames.
    pub fn at_frame(&self) -> bool {
        self.state == State::Header && self.have == 0
    }

    /// Bytes of memory that it takes.
    pub fn held(&self) -> usize {
        self.decoder.held() + self.pending.capacity() + self.message.head.raw.capacity()
    }

    /// Takes bytes in order; stops where the place is lost.
    pub fn feed(&mut self, bytes: &[u8], at: Place, frames: &mut impl Frames) {
        let mut used = 0;
        while let Some(rest) = bytes.get(used..).filter(|rest| !rest.is_empty()) {
            used += match self.state {
                State::Preface(matched) => self.preface(rest, matched),
                State::Header => {
                    let seq = at.seq.wrapping_add(u32::try_from(used).unwrap_or_default());
                    self.header(rest, Place { seq, ..at }, frames)
                }
                State::Prefix => self.prefix(rest, at.time, frames),
                State::Payload => self.payload(rest, at.time, frames),
                State::Lost | State::Foreign => return,
            };
        }
    }

    fn preface(&mut self, rest: &[u8], matched: usize) -> usize {
        let expected = PREFACE.get(matched..).unwrap_or_default();
        let count = expected.len().min(rest.len());
        if rest[..count] != expected[..count] {
            self.state = State::Foreign;
        } else if count == expected.len() {
            self.state = State::Header;
        } else {
            self.state = State::Preface(matched + count);
        }
        count
    }

    fn header(&mut self, rest: &[u8], at: Place, frames: &mut impl Frames) -> usize {
        if self.have == 0 {
            self.place = at;
            if let Some(octets) = rest.first_chunk::<HEADER>() {
                self.begin(Frame::read(*octets), at.time, frames);
                return HEADER;
            }
        }
        let count = self.collect(rest, HEADER);
        if self.have == HEADER {
            self.have = 0;
            self.begin(Frame::read(self.front), at.time, frames);
        }
        count
    }

    /// Adds octets to `front` up to `want`.
    fn collect(&mut self, rest: &[u8], want: usize) -> usize {
        let count = want.saturating_sub(self.have).min(rest.len());
        if let Some(room) = self.front.get_mut(self.have..self.have + count) {
            room.copy_from_slice(&rest[..count]);
        }
        self.have += count;
        count
    }

    fn begin(&mut self, frame: Frame, time: u64, frames: &mut impl Frames) {
        let expected = match &self.section {
            Some(section) => frame.kind == kind::CONTINUATION && frame.stream() == section.stream,
            None => frame.kind != kind::CONTINUATION,
        };
        let first = std::mem::take(&mut self.begins);
        if !expected || !frame.is_valid() || (first && !frame.opens()) || (self.strict && !frame.is_plausible()) {
            self.violation(frames);
            return;
        }
        frames.frame(frame);
        self.frame = frame;
        self.content = frame.length - frame.prefix();
        self.padding = 0;
        self.unsure = false;
        self.untold = 0;
        match frame.kind {
            kind::DATA => self.untold = 9,
            kind::HEADERS | kind::PUSH_PROMISE => {
                self.section = Some(Section {
                    stream: frame.stream(),
                    ends: frame.kind == kind::HEADERS && frame.has(flag::END_STREAM),
                    promises: frame.kind == kind::PUSH_PROMISE,
                    seq: self.place.seq,
                    ..Section::default()
                });
                self.message.first_byte = self.place.time;
                self.count_head(9);
            }
            kind::CONTINUATION => {
                self.count_head(9);
                if let Some(section) = self.section.as_mut() {
                    section.continuations += 1;
                    if section.continuations == FLOOD {
                        frames.flood();
                    }
                }
            }
            _ => {}
        }
        self.state = if frame.prefix() > 0 { State::Prefix } else { State::Payload };
        self.finish_frame(time, frames);
    }

    fn want(&self) -> u32 {
        self.frame.prefix()
    }

    fn have_of_prefix(&self) -> u32 {
        u32::try_from(self.have).unwrap_or_default()
    }

    fn prefix(&mut self, rest: &[u8], time: u64, frames: &mut impl Frames) -> usize {
        // With padding and priority six octets at most; RST_STREAM four, GOAWAY eight.
        let count = self.collect(rest, self.want() as usize);
        if self.have < self.want() as usize {
            return count;
        }
        self.have = 0;
        self.state = State::Payload;
        let frame = self.frame;
        let [padding, ..] = self.front;
        let word = |at: usize| {
            let octets = self.front.get(at..).and_then(|rest| rest.first_chunk::<4>());
            octets.map_or(0, |octets| u32::from_be_bytes(*octets) & 0x7fff_ffff)
        };
        match frame.kind {
            kind::RST_STREAM => frames.reset(frame.stream()),
            kind::GOAWAY => frames.goaway(word(0)),
            kind::PUSH_PROMISE => {
                let promised = word(usize::from(frame.has(flag::PADDED)));
                if promised == 0 || !promised.is_multiple_of(2) {
                    // No stream that a server opens (RFC 9113, section 5.1.1).
                    self.violation(frames);
                    return count;
                }
                if let Some(section) = self.section.as_mut() {
                    section.promised = Some(promised);
                }
            }
            _ => {}
        }
        match frame.kind {
            kind::DATA => self.untold += self.want(),
            kind::HEADERS | kind::PUSH_PROMISE => self.count_head(self.want()),
            _ => {}
        }
        if frame.has(flag::PADDED) && matches!(frame.kind, kind::DATA | kind::HEADERS | kind::PUSH_PROMISE) {
            if u32::from(padding) > self.content {
                self.violation(frames);
                return count;
            }
            self.padding = u32::from(padding);
            self.content -= self.padding;
        }
        self.finish_frame(time, frames);
        count
    }

    fn payload(&mut self, rest: &[u8], time: u64, frames: &mut impl Frames) -> usize {
        let (content, rest) = rest.split_at((self.content as usize).min(rest.len()));
        let padding = (self.padding as usize).min(rest.len());
        let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        self.content -= small(content.len());
        self.padding -= small(padding);
        match self.frame.kind {
            kind::DATA => self.tell(content, (0, None), small(content.len() + padding), time, frames),
            _ if self.frame.carries_fields() => {
                self.count_head(small(content.len() + padding));
                self.message.last_byte = time;
                self.fragment(content);
                if self.section.is_some_and(|section| section.invalid) {
                    self.violation(frames);
                    return content.len() + padding;
                }
            }
            _ => {}
        }
        self.finish_frame(time, frames);
        content.len() + padding
    }

    /// A part of a DATA frame: octets of which content was copied, and content that was not (with the reason).
    fn tell(
        &mut self,
        bytes: &[u8],
        (skipped, mark): (u32, Option<Marks>),
        octets: u32,
        time: u64,
        frames: &mut impl Frames,
    ) {
        frames.content(&Content {
            stream: self.frame.stream(),
            octets: u64::from(octets) + u64::from(std::mem::take(&mut self.untold)),
            bytes,
            skipped,
            unsure: self.unsure,
            lost: mark == Some(Marks::GAP),
            ends: self.content + self.padding == 0 && self.frame.has(flag::END_STREAM),
            time,
        });
    }

    /// Goes on to the next frame when this one is over.
    fn finish_frame(&mut self, time: u64, frames: &mut impl Frames) {
        if self.state != State::Payload || self.content + self.padding > 0 {
            return;
        }
        self.state = State::Header;
        self.have = 0;
        if self.frame.kind == kind::DATA && self.untold > 0 {
            self.tell(&[], (0, None), 0, time, frames);
        } else if self.frame.carries_fields() && self.frame.has(flag::END_HEADERS) {
            if !self.pending.is_empty() {
                self.violation_at_end();
            }
            let invalid = self.section.is_some_and(|section| section.invalid);
            self.end_section(time, frames);
            if invalid {
                self.decoder.forget();
                self.state = State::Lost;
            }
        }
    }
}
