//! What is logged: one request and its response (RFC 9110, section 3.4), and what is known to be missing from it.

use crate::record::Carrier;
use std::net::IpAddr;

/// A place in [`Head::raw`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    pub start: u32,
    pub len: u32,
}

impl Span {
    pub fn of(self, raw: &[u8]) -> &[u8] {
        raw.get(self.start as usize..(self.start + self.len) as usize).unwrap_or_default()
    }

    pub fn is_empty(self) -> bool {
        self.len == 0
    }
}

/// One field line: name and value as sent, without the white space around the value (RFC 9112, section 5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Field {
    pub name: Span,
    pub value: Span,
    /// The value went on over further lines (`obs-fold`); it is kept byte for byte, line breaks included.
    pub folded: bool,
    /// What of it stands behind an index that was never seen.
    pub unresolved: Unresolved,
    /// Sent as never to be indexed (RFC 7541, section 6.2.3): a secret, by its sender's word.
    pub never_indexed: bool,
}

/// What of a field is not known, because its entry came into the HPACK table before we looked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unresolved {
    #[default]
    Nothing,
    Name,
    Both,
}

/// The start line's three parts. For a request: method, target, version. For a response: version, status, reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StartLine {
    pub first: Span,
    pub second: Span,
    pub third: Span,
}

/// One message head as it came, and where its parts are.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// The head's bytes (start line, field lines, the empty line), then the trailer section's where there is one.
    pub raw: Vec<u8>,
    pub start: StartLine,
    /// HTTP/2: the pseudo-header fields `:scheme`, `:authority` and `:protocol` (RFC 9113, section 8.3; RFC 8441). Those of
    /// the start line are in `start`: `:method`, `:path`, `:status`.
    pub scheme: Option<Span>,
    pub authority: Option<Span>,
    pub protocol: Option<Span>,
    /// Sent as never to be indexed, as in [`Field::never_indexed`]: `:path`, `:authority`.
    pub secret_target: bool,
    pub secret_authority: bool,
    pub fields: Vec<Field>,
    pub trailers: Vec<Field>,
    /// The status code of a response; `None` where it is not three digits.
    pub status: Option<u16>,
    /// `(major, minor)`; `None` where the version could not be read, as in HTTP/0.9.
    pub version: Option<(u8, u8)>,
    /// What a strict server would refuse, and where in `raw`; the first one found.
    pub fault: Option<(Fault, u32)>,
}

/// Why a head is `malformed`. The text is shown to users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    StartLine,
    Method,
    Target,
    Version,
    Status,
    FieldName,
    FieldValue,
    NoColon,
    SpaceBeforeColon,
    LeadingSpace,
    BareCarriageReturn,
    ContentLength,
    TransferEncoding,
    LengthAndEncoding,
    ChunkSize,
    ChunkEnd,
    Trailer,
    /// The message ended before its end (RFC 9112, section 8).
    Incomplete,
    /// HTTP/2: a field block that can't be decoded, or frames where they may not be (RFC 9113, sections 4.3 and 5.4.1).
    Frames,
}

impl Fault {
    pub fn text(self) -> &'static str {
        match self {
            Fault::StartLine => "start line",
            Fault::Method => "method",
            Fault::Target => "target",
            Fault::Version => "version",
            Fault::Status => "status",
            Fault::FieldName => "field name",
            Fault::FieldValue => "field value",
            Fault::NoColon => "field line without a colon",
            Fault::SpaceBeforeColon => "white space before the colon",
            Fault::LeadingSpace => "white space before the first field",
            Fault::BareCarriageReturn => "bare carriage return",
            Fault::ContentLength => "content-length",
            Fault::TransferEncoding => "transfer-encoding",
            Fault::LengthAndEncoding => "content-length beside transfer-encoding",
            Fault::ChunkSize => "chunk size",
            Fault::ChunkEnd => "end of chunk",
            Fault::Trailer => "trailer",
            Fault::Incomplete => "message ended early",
            Fault::Frames => "frames",
        }
    }
}

/// One message: its head, and what was counted and timed of the rest. Times are nanoseconds of `CLOCK_MONOTONIC`
/// (of the capture file's clock in `pcap`).
#[derive(Clone, Debug, Default)]
pub struct Message {
    pub head: Head,
    pub first_byte: u64,
    pub head_end: u64,
    pub last_byte: u64,
    /// Bytes of the head on the wire, those beyond the limit too.
    pub head_bytes: u32,
    /// Bytes after the head on the wire: content, chunk framing and trailer section.
    pub body_bytes: u64,
    /// The message was seen to its end.
    pub complete: bool,
}

impl Message {
    /// Empties it and keeps its buffers.
    pub fn clear(&mut self) {
        let head = std::mem::take(&mut self.head);
        let (mut raw, mut fields, mut trailers) = (head.raw, head.fields, head.trailers);
        raw.clear();
        fields.clear();
        trailers.clear();
        *self = Message { head: Head { raw, fields, trailers, ..Head::default() }, ..Message::default() };
    }

    /// Adds a section that came after the head as trailers.
    pub fn append_trailers(&mut self, raw: &[u8], fields: &[Field]) {
        let base = u32::try_from(self.head.raw.len()).unwrap_or(u32::MAX);
        self.head.raw.extend_from_slice(raw);
        self.head.trailers.extend(fields.iter().map(|field| {
            let mut moved = *field;
            moved.name.start = moved.name.start.saturating_add(base);
            moved.value.start = moved.value.start.saturating_add(base);
            moved
        }));
    }
}

/// What is known to be missing from a row, or wrong with it: a set, empty when the row is complete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks(pub u16);

impl Marks {
    pub const JOINED: Marks = Marks(1);
    pub const GAP: Marks = Marks(1 << 1);
    pub const CUT: Marks = Marks(1 << 2);
    pub const NO_REQUEST: Marks = Marks(1 << 3);
    pub const NO_RESPONSE: Marks = Marks(1 << 4);
    pub const RESET: Marks = Marks(1 << 5);
    pub const MALFORMED: Marks = Marks(1 << 6);
    pub const OVERLAP: Marks = Marks(1 << 7);
    pub const ESCAPED: Marks = Marks(1 << 8);
    pub const HPACK_UNRESOLVED: Marks = Marks(1 << 9);
    pub const PROCESS_UNKNOWN: Marks = Marks(1 << 10);

    /// Every mark with its name in the log, in the order of the bits.
    pub const NAMES: [&'static str; 11] = [
        "joined",
        "gap",
        "cut",
        "no_request",
        "no_response",
        "reset",
        "malformed",
        "overlap",
        "escaped",
        "hpack_unresolved",
        "process_unknown",
    ];

    pub fn add(&mut self, other: Marks) {
        self.0 |= other.0;
    }

    pub fn has(self, other: Marks) -> bool {
        self.0 & other.0 != 0
    }

    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.iter().enumerate().filter(move |(bit, _)| self.0 & (1 << bit) != 0).map(|(_, name)| *name)
    }
}

/// Which end of the exchange the socket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    Server,
    Client,
}

/// The process that owns a socket, as the kernel told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    pub pid: u32,
    /// `start_boottime`, nanoseconds: tells a reused pid apart.
    pub start: u64,
    pub comm: String,
}

/// An end that is not known, as when nothing says which socket carries a TLS connection: no socket has this address.
pub const UNKNOWN: (IpAddr, u16) = (IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);

/// What all exchanges of one connection share.
#[derive(Clone, Debug)]
pub struct Endpoints {
    /// Socket cookie; in `pcap` the connection's place in the file, counted from 1. Inside TLS, where the socket is not
    /// known: [`Tls::key`].
    pub cookie: u64,
    /// `None` where there is no socket of ours (`pcap`, `interface`).
    pub role: Option<Role>,
    /// [`UNKNOWN`] where it is not known.
    pub client: (IpAddr, u16),
    pub server: (IpAddr, u16),
    /// Network namespace cookie; `None` in `pcap`.
    pub netns: Option<u64>,
    /// cgroup2 id of the socket.
    pub cgroup: Option<u64>,
    pub process: Option<Process>,
    /// The bytes came out of TLS.
    pub tls: Option<Tls>,
}

impl Endpoints {
    /// The socket that carries the connection, or (`None`) that it is not known. `leaves`: requests leave it.
    pub fn carry(&mut self, key: u64, carrier: Option<&Carrier>, leaves: bool) {
        let (local, remote) = carrier.map_or((UNKNOWN, UNKNOWN), |carrier| carrier.tuple);
        (self.client, self.server) = if leaves { (local, remote) } else { (remote, local) };
        self.cookie = carrier.map_or(key, |carrier| carrier.cookie);
        self.netns = carrier.map(|carrier| carrier.netns);
        self.cgroup = carrier.map(|carrier| carrier.cgroup);
    }
}

/// What is known of the TLS that a connection's bytes came out of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// As in `ProtocolVersion` (RFC 8446, section 4.1.2): 0x0304 is TLS 1.3.
    pub version: Option<u16>,
    pub library: Option<&'static str>,
    /// The TLS connection's own number: a socket may carry several, one after another or one inside another, and bytes
    /// outside of them. 0 where the socket's cookie (in `pcap`, the connection's place) says it all.
    pub key: u64,
}

/// What carries an exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.x and before: the version stands in the head.
    #[default]
    Http1,
    Http2,
    /// The exchange that opened a WebSocket; its body bytes are those of the frames behind it.
    WebSocket,
}

/// What is known of a gRPC call beyond its fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grpc {
    /// `grpc-status`, from the trailers or from a response that has only them.
    pub status: Option<u32>,
    /// Length-prefixed messages that began; `None` where their prefixes were not all seen.
    pub request_messages: Option<u64>,
    pub response_messages: Option<u64>,
    /// `grpc-timeout`, nanoseconds.
    pub timeout: Option<u64>,
}

/// One request and its response.
#[derive(Clone, Debug, Default)]
pub struct Exchange {
    /// Counted from 0 on its connection; the stream's number in HTTP/2.
    pub ordinal: u64,
    pub request: Option<Message>,
    pub response: Option<Message>,
    /// Interim responses (1xx), in order.
    pub interim: Vec<Message>,
    pub marks: Marks,
    pub protocol: Protocol,
    /// Present where the call is gRPC, by the request's content type.
    pub grpc: Option<Grpc>,
    /// TCP sequence number of the request's first byte: the same at both ends of one call, so sampling can agree.
    pub request_seq: u32,
}

impl Exchange {
    /// Its first byte, as far as it was seen.
    pub fn began(&self) -> u64 {
        let first = self.request.as_ref().or(self.response.as_ref()).or(self.interim.first());
        first.map_or(0, |message| message.first_byte)
    }

    /// First byte of the request to first byte of the final response, nanoseconds; `None` where its head did not come.
    pub fn ttfb(&self) -> Option<u64> {
        let (request, response) = (self.request.as_ref()?, self.response.as_ref()?);
        let response = Some(response).filter(|response| response.head_bytes > 0)?;
        response.first_byte.checked_sub(request.first_byte)
    }

    /// First byte of the request to the later end of the two messages, nanoseconds; `None` while an end is unknown.
    pub fn duration(&self) -> Option<u64> {
        let (request, response) = (self.request.as_ref()?, self.response.as_ref()?);
        (request.complete && response.complete)
            .then(|| request.last_byte.max(response.last_byte))?
            .checked_sub(request.first_byte)
    }

    /// First to last byte of the request's head, nanoseconds.
    pub fn head_spread(&self) -> Option<u64> {
        let request = self.request.as_ref()?;
        request.head_end.checked_sub(request.first_byte)
    }
}

/// Where finished exchanges go.
pub trait Log {
    fn exchange(&mut self, endpoints: &Endpoints, exchange: &Exchange);
}
