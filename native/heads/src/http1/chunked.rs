//! The chunked transfer coding (RFC 9112, section 7.1), up to the trailer section.

use crate::exchange::Fault;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Size,
    /// `chunk-ext`, up to the end of the line.
    Extension,
    /// After a CR that ends the size line.
    SizeLineFeed,
    Data,
    DataEnd,
    DataLineFeed,
}

/// What [`Chunked::feed`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    More,
    /// The last chunk's line is read: the trailer section follows.
    Last,
    Bad(Fault),
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Chunked {
    state: State,
    size: u64,
    /// The size has a digit.
    begun: bool,
    /// Something that a strict recipient refuses, and that leaves no doubt where the body ends.
    pub fault: Option<Fault>,
}

impl Chunked {
    /// Takes bytes until the last chunk's line; returns how many were used.
    pub fn feed(&mut self, data: &[u8]) -> (usize, Step) {
        let mut at = 0;
        while let Some(&byte) = data.get(at) {
            if self.state == State::Data {
                let have = (data.len() - at) as u64;
                let count = have.min(self.size);
                self.size -= count;
                at += usize::try_from(count).unwrap_or(usize::MAX);
                if self.size == 0 {
                    self.state = State::DataEnd;
                }
                continue;
            }
            at += 1;
            match self.line(byte) {
                Step::More => {}
                step => return (at, step),
            }
        }
        (at, Step::More)
    }

    /// Data bytes that were not copied; false when they reach beyond this chunk's data.
    pub fn skip(&mut self, count: u64) -> bool {
        let inside = self.state == State::Data && count <= self.size;
        if inside {
            self.size -= count;
            if self.size == 0 {
                self.state = State::DataEnd;
            }
        }
        inside
    }

    fn line(&mut self, byte: u8) -> Step {
        match (self.state, byte) {
            (State::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                if self.size >> 60 != 0 {
                    return Step::Bad(Fault::ChunkSize);
                }
                let digit = (byte as char).to_digit(16).unwrap_or_default();
                self.size = self.size << 4 | u64::from(digit);
                self.begun = true;
            }
            (State::Size, _) if !self.begun => return Step::Bad(Fault::ChunkSize),
            // White space here is "bad" (section 7.1.1) but read by everybody.
            (State::Size, b';' | b' ' | b'\t') => self.state = State::Extension,
            (State::Size | State::Extension, b'\r') => self.state = State::SizeLineFeed,
            (State::SizeLineFeed, b'\n') => return self.size_read(),
            // A lone LF may end a line of a head (section 2.2), but none of a chunk's.
            (State::Size | State::Extension, b'\n') => {
                self.fault.get_or_insert(Fault::ChunkSize);
                return self.size_read();
            }
            (State::Extension, _) => {}
            (State::Size | State::SizeLineFeed, _) => return Step::Bad(Fault::ChunkSize),
            (State::DataEnd, b'\r') => self.state = State::DataLineFeed,
            (State::DataLineFeed, b'\n') => self.next(),
            (State::DataEnd, b'\n') => {
                self.fault.get_or_insert(Fault::ChunkEnd);
                self.next();
            }
            (State::DataEnd | State::DataLineFeed | State::Data, _) => return Step::Bad(Fault::ChunkEnd),
        }
        Step::More
    }

    fn next(&mut self) {
        *self = Chunked { fault: self.fault, ..Chunked::default() };
    }

    fn size_read(&mut self) -> Step {
        if self.size == 0 {
            return Step::Last;
        }
        self.state = State::Data;
        Step::More
    }
}
