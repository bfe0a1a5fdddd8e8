//! Finding the frames of a connection that we joined, or whose place was lost.
//!
//! Frames have no mark to look for. Real senders begin what they write at a frame, so a segment's first byte is tried: it
//! must begin a chain of plausible frames, with a head whose pseudo-header fields are known among them. Until then nothing
//! is logged; then what was kept is read again.

use super::frame::Frame;
use super::side::{Content, Frames, Section, Side};
use crate::exchange::{Field, Marks, Message};
use crate::http1::Kind;
use crate::stream::Place;

/// Bytes kept of a chain until it is believed. Beyond it what came first is not logged.
const KEPT: usize = 32 << 10;
/// Frames, one of them with a head; or that many without.
const WITH_HEAD: u32 = 2;
const WITHOUT: u32 = 4;

/// What came, to be read again.
#[derive(Debug)]
pub enum Piece {
    Bytes(Vec<u8>, Place),
    Skipped(u32, Place),
}

#[derive(Debug)]
pub struct Seek {
    limit: usize,
    side: Side,
    seen: Seen,
    /// `None`: more came than is kept.
    pieces: Option<Vec<Piece>>,
    kept: usize,
    /// When the last octets came, and the last ones that it let go unread.
    last: u64,
    passed: u64,
    /// What was kept may be disputed.
    pub disputed: bool,
}

/// What a chain of frames shows.
#[derive(Debug, Default)]
struct Seen {
    frames: u32,
    /// Whose heads they were.
    kind: Option<Kind>,
    contradicts: bool,
}

impl Frames for Seen {
    fn frame(&mut self, _frame: Frame) {
        self.frames += 1;
    }

    fn section(&mut self, section: &Section, message: &mut Message) {
        let raw = &message.head.raw;
        let named =
            |names: &[&[u8]]| message.head.fields.iter().any(|field: &Field| names.contains(&field.name.of(raw)));
        let asks = named(&[b":method", b":scheme", b":path"]);
        let answers = named(&[b":status"]);
        let kind = match (asks, answers) {
            (true, false) if section.promises => Kind::Response,
            (true, false) => Kind::Request,
            (false, true) => Kind::Response,
            (false, false) => return,
            (true, true) => {
                self.contradicts = true;
                return;
            }
        };
        self.contradicts |= self.kind.replace(kind).is_some_and(|before| before != kind) || section.invalid;
    }

    fn content(&mut self, _content: &Content<'_>) {}

    fn reset(&mut self, _stream: u32) {}

    fn goaway(&mut self, _last: u32) {}
}

/// A place that is found: who speaks, the frames from there on.
#[derive(Debug)]
pub struct Found {
    pub kind: Kind,
    pub side: Side,
    /// What is to be read again by a new side instead.
    pub pieces: Option<Vec<Piece>>,
    /// When the last octets came that nobody has read; 0: there are none.
    pub passed: u64,
}

impl Seek {
    pub fn new(limit: usize) -> Seek {
        let (side, seen) = (Side::midway(limit), Seen::default());
        Seek { limit, side, seen, pieces: Some(Vec::new()), kept: 0, last: 0, passed: 0, disputed: false }
    }

    /// After a loss: what came until then may not have been read.
    pub fn after(limit: usize, passed: u64) -> Seek {
        Seek { passed, ..Seek::new(limit) }
    }

    /// What came until `passed` is let go.
    fn restart(&mut self, passed: u64) {
        let (passed, disputed) = (self.passed.max(passed), self.disputed);
        *self = Seek { passed, disputed, ..Seek::new(self.limit) };
    }

    /// Bytes of memory that it takes.
    pub fn held(&self) -> usize {
        self.side.held() + self.kept
    }

    /// Takes a run of bytes; true when the chain that it belongs to can be believed. `known`: whose direction it is.
    pub fn data(&mut self, bytes: &[u8], at: Place, known: Option<Kind>) -> bool {
        let began = !self.side.at_frame() || self.seen.frames > 0;
        self.try_on(bytes, at);
        if self.failed(known) {
            self.restart(if began { self.last } else { at.time });
            if began {
                self.try_on(bytes, at);
                if self.failed(known) {
                    self.restart(at.time);
                }
            }
        }
        self.last = at.time;
        self.is_certain(known)
    }

    fn try_on(&mut self, bytes: &[u8], at: Place) {
        self.side.feed(bytes, at, &mut self.seen);
        if !self.side.lost() {
            self.keep(bytes.len(), || Piece::Bytes(bytes.to_vec(), at));
        }
    }

    fn failed(&self, known: Option<Kind>) -> bool {
        let other = self.seen.kind.is_some_and(|kind| known.is_some_and(|known| known != kind));
        self.side.lost() || self.seen.contradicts || other
    }

    fn is_certain(&self, known: Option<Kind>) -> bool {
        let frames = if self.side.at_frame() { self.seen.frames } else { self.seen.frames.saturating_sub(1) };
        match self.seen.kind {
            Some(_) => frames >= WITH_HEAD,
            None => known.is_some() && frames >= WITHOUT && !self.side.in_section(),
        }
    }

    pub fn skipped(&mut self, count: u32, at: Place) {
        if self.side.at_frame() {
            self.restart(at.time);
            return;
        }
        self.side.skip(count, None, at.time, &mut self.seen);
        if self.side.lost() {
            self.restart(at.time);
        } else {
            self.last = at.time;
            self.keep(0, || Piece::Skipped(count, at));
        }
    }

    pub fn gap(&mut self, time: u64) {
        self.restart(time);
    }

    fn keep(&mut self, size: usize, piece: impl FnOnce() -> Piece) {
        // A piece of its own costs as well.
        self.kept += size + size_of::<Piece>();
        if self.kept > KEPT {
            self.pieces = None;
            self.kept = 0;
        }
        if let Some(pieces) = &mut self.pieces {
            pieces.push(piece());
        }
    }

    /// What was found; a chain that can be believed.
    pub fn found(self, known: Option<Kind>) -> Option<Found> {
        let kind = self.seen.kind.or(known)?;
        let mut side = self.side;
        side.trust();
        let passed = if self.pieces.is_some() { self.passed } else { self.last };
        Some(Found { kind, side, pieces: self.pieces, passed })
    }
}

impl Piece {
    /// Reads it.
    pub fn read(&self, side: &mut Side, frames: &mut impl Frames) {
        match self {
            Piece::Bytes(bytes, at) => side.feed(bytes, *at, frames),
            Piece::Skipped(count, at) => side.skip(*count, None::<Marks>, at.time, frames),
        }
    }
}
