//! The chunked transfer coding (RFC 9112, section 7.1), up to the trailer section.

use crate::exchange::Fault;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Size,
    /// White space after the size.
    Blank,
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
            // White space is "bad" before an extension (section 7.1.1), and a fault before anything else.
            (State::Size | State::Blank, b' ' | b'\t') => self.state = State::Blank,
            (State::Size | State::Blank, b';') => self.state = State::Extension,
            (State::Blank, _) => {
                self.fault.get_or_insert(Fault::ChunkSize);
                self.state = State::Extension;
                return self.line(byte);
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds all in one piece and byte by byte: bytes used, how it ended, and the fault.
    fn read(data: &[u8]) -> (usize, Step, Option<Fault>) {
        let mut chunked = Chunked::default();
        let (used, step) = chunked.feed(data);
        let mut single = Chunked::default();
        let mut at = 0;
        let mut last = Step::More;
        while at < data.len() && last == Step::More {
            let (count, step) = single.feed(&data[at..=at]);
            at += count;
            last = step;
        }
        assert_eq!((used, step, chunked.fault), (at, last, single.fault), "byte by byte");
        (used, step, chunked.fault)
    }

    #[test]
    fn chunks_go_up_to_the_last_ones_line() {
        assert_eq!(read(b"5\r\nhello\r\n0\r\n\r\nGET"), (13, Step::Last, None));
        assert_eq!(read(b"A\r\n0123456789\r\na\r\n0123456789\r\n00\r\n"), (34, Step::Last, None));
        assert_eq!(read(b"5\r\nhel"), (6, Step::More, None));
    }

    #[test]
    fn extensions_are_passed_over() {
        assert_eq!(read(b"5;a=b;c=\"d;e\"\r\nhello\r\n0;x\r\n"), (27, Step::Last, None));
        assert_eq!(read(b"5 \t;a\r\nhello\r\n0\r\n"), (17, Step::Last, None));
    }

    #[test]
    fn what_follows_the_size_and_is_no_extension_is_passed_over_and_noted() {
        assert_eq!(read(b"5 \r\nhello\r\n0\r\n"), (14, Step::Last, Some(Fault::ChunkSize)));
        assert_eq!(read(b"5 x\r\nhello\r\n0\r\n").2, Some(Fault::ChunkSize));
        assert_eq!(read(b"5 \nhello\r\n0\r\n").2, Some(Fault::ChunkSize));
    }

    #[test]
    fn data_that_looks_like_chunks_is_data() {
        assert_eq!(read(b"9\r\n0\r\n\r\nGET \r\n0\r\n"), (17, Step::Last, None));
    }

    #[test]
    fn a_size_has_any_number_of_leading_zeros_and_fits_64_bits() {
        let zeros = [b"0".repeat(40), b"3\r\nabc\r\n0\r\n".to_vec()].concat();
        assert_eq!(read(&zeros).1, Step::Last);
        assert_eq!(read(b"FFFFFFFFFFFFFFFF\r\nabc").1, Step::More);
        assert_eq!(read(b"10000000000000000\r\n").1, Step::Bad(Fault::ChunkSize));
    }

    #[test]
    fn what_is_no_size_is_a_fault() {
        for bad in ["\r\n", ";a\r\n", " 5\r\n", "x\r\n", "-1\r\n", "0x5\r\n", "5g\r\n", "5\rX", "5;a\rX"] {
            assert_eq!(read(bad.as_bytes()).1, Step::Bad(Fault::ChunkSize), "{bad:?}");
        }
    }

    #[test]
    fn what_follows_a_chunks_data_is_a_line_end() {
        for bad in ["5\r\nhelloX", "5\r\nhello\rX", "5\r\nhello0\r\n"] {
            assert_eq!(read(bad.as_bytes()).1, Step::Bad(Fault::ChunkEnd), "{bad:?}");
        }
    }

    #[test]
    fn a_lone_line_feed_is_read_and_noted() {
        assert_eq!(read(b"5\nhello\r\n0\r\n"), (12, Step::Last, Some(Fault::ChunkSize)));
        assert_eq!(read(b"5;a\nhello\r\n0\r\n").2, Some(Fault::ChunkSize));
        assert_eq!(read(b"5\r\nhello\n0\r\n"), (12, Step::Last, Some(Fault::ChunkEnd)));
    }

    #[test]
    fn bytes_that_were_not_copied_are_within_one_chunks_data() {
        let mut chunked = Chunked::default();
        assert!(!chunked.skip(1));
        chunked.feed(b"64\r\nab");
        assert!(!chunked.skip(99));
        assert!(chunked.skip(97) && chunked.skip(1));
        assert!(!chunked.skip(1));
        assert_eq!(chunked.feed(b"\r\n0\r\n"), (5, Step::Last));
    }
}
