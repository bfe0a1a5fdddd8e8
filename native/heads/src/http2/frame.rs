//! Frame headers (RFC 9113, section 4.1).

/// Octets of a frame header.
pub const HEADER: usize = 9;
/// Octets of a frame's payload, where the other end has not said that it takes more (RFC 9113, section 4.2).
const USUAL: u32 = 16 << 10;

pub mod kind {
    pub const DATA: u8 = 0x0;
    pub const HEADERS: u8 = 0x1;
    pub const PRIORITY: u8 = 0x2;
    pub const RST_STREAM: u8 = 0x3;
    pub const SETTINGS: u8 = 0x4;
    pub const PUSH_PROMISE: u8 = 0x5;
    pub const PING: u8 = 0x6;
    pub const GOAWAY: u8 = 0x7;
    pub const WINDOW_UPDATE: u8 = 0x8;
    pub const CONTINUATION: u8 = 0x9;
    /// RFC 7838, section 4.
    pub const ALTSVC: u8 = 0xa;
    /// RFC 8336, section 2.
    pub const ORIGIN: u8 = 0xc;
    /// RFC 9218, section 7.1.
    pub const PRIORITY_UPDATE: u8 = 0x10;
}

pub mod flag {
    pub const ACK: u8 = 0x1;
    pub const END_STREAM: u8 = 0x1;
    pub const END_HEADERS: u8 = 0x4;
    pub const PADDED: u8 = 0x8;
    pub const PRIORITY: u8 = 0x20;
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    pub length: u32,
    pub kind: u8,
    pub flags: u8,
    /// The reserved bit included.
    stream: u32,
}

impl Frame {
    pub fn read(octets: [u8; HEADER]) -> Frame {
        let [high, middle, low, kind, flags, stream @ ..] = octets;
        Frame { length: u32::from_be_bytes([0, high, middle, low]), kind, flags, stream: u32::from_be_bytes(stream) }
    }

    pub fn stream(self) -> u32 {
        self.stream & 0x7fff_ffff
    }

    pub fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Octets at the front of the payload that say something before its content: padding, priority, a stream, an error.
    pub fn prefix(self) -> u32 {
        let padding = u32::from(self.has(flag::PADDED));
        match self.kind {
            kind::DATA => padding,
            kind::HEADERS => padding + if self.has(flag::PRIORITY) { 5 } else { 0 },
            kind::PUSH_PROMISE => padding + 4,
            kind::RST_STREAM => 4,
            kind::GOAWAY => 8,
            _ => 0,
        }
    }

    /// Whether a receiver must take it (RFC 9113, section 6): what is wrong here ends the connection.
    pub fn is_valid(self) -> bool {
        let on_stream = self.stream() != 0;
        self.prefix() <= self.length
            && match self.kind {
                kind::DATA | kind::HEADERS | kind::PRIORITY | kind::PUSH_PROMISE | kind::CONTINUATION => on_stream,
                kind::RST_STREAM => on_stream && self.length == 4,
                kind::SETTINGS => {
                    !on_stream && self.length.is_multiple_of(6) && (self.length == 0 || !self.has(flag::ACK))
                }
                kind::PING => !on_stream && self.length == 8,
                kind::GOAWAY => !on_stream,
                kind::WINDOW_UPDATE => self.length == 4,
                _ => true,
            }
    }

    /// Whether it looks like what real senders send: of a known type, without flags that the type doesn't have, not
    /// larger than usual, on a stream that a client opened.
    pub fn is_plausible(self) -> bool {
        let client_stream = self.stream % 2 == 1;
        let (flags, stream) = match self.kind {
            kind::DATA => (flag::END_STREAM | flag::PADDED, client_stream),
            kind::HEADERS => (flag::END_STREAM | flag::END_HEADERS | flag::PADDED | flag::PRIORITY, client_stream),
            kind::PUSH_PROMISE => (flag::END_HEADERS | flag::PADDED, client_stream),
            kind::CONTINUATION => (flag::END_HEADERS, client_stream),
            kind::PRIORITY => (0, self.length == 5),
            kind::RST_STREAM => (0, client_stream),
            kind::SETTINGS | kind::PING => (flag::ACK, true),
            kind::GOAWAY | kind::ORIGIN | kind::PRIORITY_UPDATE => (0, self.stream == 0),
            kind::WINDOW_UPDATE => (0, self.stream == 0 || client_stream),
            kind::ALTSVC => (0, self.length >= 2),
            _ => return false,
        };
        self.is_valid() && stream && self.flags & !flags == 0 && self.length <= USUAL && self.stream >> 31 == 0
    }

    /// The first frame of either end (RFC 9113, section 3.4).
    pub fn opens(self) -> bool {
        self.kind == kind::SETTINGS && self.is_valid() && !self.has(flag::ACK) && self.length <= USUAL
    }

    pub fn carries_fields(self) -> bool {
        matches!(self.kind, kind::HEADERS | kind::PUSH_PROMISE | kind::CONTINUATION)
    }
}
