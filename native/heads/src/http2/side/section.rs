//! Header sections: field blocks out of HEADERS, PUSH_PROMISE and CONTINUATION frames (RFC 9113, section 4.3).

use super::{Frames, Side};
use crate::exchange::Marks;
use crate::http2::hpack::{Broken, Progress};

/// A header section that is complete, or as far as it could be read.
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "independent facts, each named where it is used")]
pub struct Section {
    /// The stream of the frame; with `promised`, that of the request which it answers.
    pub stream: u32,
    /// It is a PUSH_PROMISE, and the stream that it promises: nothing where that was lost.
    pub promises: bool,
    pub promised: Option<u32>,
    /// The message ends with it.
    pub ends: bool,
    /// Its own end was not seen.
    pub broken_off: bool,
    /// TCP sequence number of its first octet.
    pub seq: u32,
    pub progress: Progress,
    /// Why it is not whole, if it isn't.
    pub marks: Marks,
    /// A decoding error, or a frame where none may be.
    pub invalid: bool,
    /// Octets of it are disputed.
    pub disputed: bool,
    pub(super) continuations: u32,
}

impl Side {
    pub(super) fn count_head(&mut self, octets: u32) {
        self.message.head_bytes = self.message.head_bytes.saturating_add(octets);
    }

    /// Octets of a header section are missing: the rest of it can't be read, and the table is unknown behind it.
    pub(super) fn break_section(&mut self, marks: Marks) {
        if let Some(section) = self.section.as_mut() {
            section.marks.add(marks);
            self.pending.clear();
            self.decoder.forget();
        }
    }

    /// A part of a field block.
    pub(super) fn fragment(&mut self, content: &[u8]) {
        let Some(section) = self.section.as_mut().filter(|section| section.marks == Marks::default()) else { return };
        let whole = if self.pending.is_empty() {
            content
        } else {
            self.pending.extend_from_slice(content);
            if self.pending.len() < self.need {
                return;
            }
            &self.pending
        };
        match self.decoder.decode(whole, &mut self.message.head, self.limit, &mut section.progress) {
            Ok((used, need)) => {
                if self.pending.is_empty() {
                    self.pending.extend_from_slice(content.get(used..).unwrap_or_default());
                } else {
                    self.pending.drain(..used);
                }
                self.need = need;
            }
            Err(Broken::Oversized) => {
                section.progress.cut = true;
                section.marks.add(Marks::CUT);
                self.pending = Vec::new();
            }
            Err(Broken::Invalid) => {
                section.invalid = true;
                self.pending.clear();
            }
        }
    }

    /// A block that ends within a field.
    pub(super) fn violation_at_end(&mut self) {
        self.pending.clear();
        if let Some(section) = self.section.as_mut() {
            section.invalid = true;
        }
    }

    pub(super) fn end_section(&mut self, time: u64, frames: &mut impl Frames) {
        let Some(section) = self.section.take() else { return };
        self.message.head_end = time;
        self.message.last_byte = time;
        frames.section(&section, &mut self.message);
        self.message.clear();
        if self.message.head.raw.capacity() > self.limit {
            self.message.head.raw = Vec::new();
        }
    }
}
