//! Octets that did not come: content that was stepped over, and what was lost.

use super::{Frames, Side, State};
use crate::exchange::Marks;
use crate::http2::frame::kind;

impl Side {
    /// Bytes that did not come: left out (`cut`: by a limit) or `lost`.
    pub fn skip(&mut self, count: u32, mark: Option<Marks>, time: u64, frames: &mut impl Frames) {
        match self.state {
            State::Lost | State::Foreign => {}
            State::Prefix if count <= self.want() - self.have_of_prefix() + self.content => {
                self.skip_prefix(count, mark, time, frames);
            }
            State::Payload if count <= self.content + self.padding => {
                self.skip_payload(count, mark, time, frames);
            }
            _ => self.lose(mark.unwrap_or(Marks::GAP), frames),
        }
    }

    /// The place is lost: a section under way is told as far as it came.
    pub fn lose(&mut self, marks: Marks, frames: &mut impl Frames) {
        self.break_section(marks);
        if let Some(section) = self.section.as_mut() {
            section.broken_off = true;
        }
        self.end_section(self.message.last_byte, frames);
        self.decoder.forget();
        self.pending.clear();
        self.state = State::Lost;
    }

    pub(super) fn violation(&mut self, frames: &mut impl Frames) {
        if let Some(section) = self.section.as_mut() {
            section.invalid = true;
        }
        self.lose(Marks::MALFORMED, frames);
    }

    /// The front of a payload did not come: where its content begins and ends is not known.
    fn skip_prefix(&mut self, count: u32, mark: Option<Marks>, time: u64, frames: &mut impl Frames) {
        let left = self.want() - self.have_of_prefix() + self.content;
        self.have = 0;
        self.state = State::Payload;
        self.unsure = true;
        if self.frame.kind == kind::DATA {
            self.content = left;
        } else {
            if self.frame.kind == kind::RST_STREAM {
                // Only its reason is not known.
                frames.reset(self.frame.stream());
            }
            self.break_section(mark.unwrap_or(Marks::GAP));
            (self.content, self.padding) = (0, left);
        }
        self.skip_payload(count, mark, time, frames);
    }

    fn skip_payload(&mut self, count: u32, mark: Option<Marks>, time: u64, frames: &mut impl Frames) {
        let content = count.min(self.content);
        self.content -= content;
        self.padding -= count - content;
        if self.frame.kind == kind::DATA {
            self.tell(&[], (content, mark), count, time, frames);
        } else if self.frame.carries_fields() {
            self.count_head(count);
            self.message.last_byte = time;
            if content > 0 {
                self.break_section(mark.unwrap_or(Marks::GAP));
            }
        }
        self.finish_frame(time, frames);
    }
}
