//! What the hellos say, as far as it is needed to read on (RFC 8446, section 4.1; RFC 5246, section 7.4.1).

use crate::secrets::Random;

pub const TLS_1_2: u16 = 0x0303;
pub const TLS_1_3: u16 = 0x0304;

const EARLY_DATA: u16 = 42;
const SUPPORTED_VERSIONS: u16 = 43;

/// SHA-256 of "HelloRetryRequest" (RFC 8446, section 4.1.3).
const RETRY: Random = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11,
    0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientHello {
    pub random: Random,
    /// It announces early data (0-RTT).
    pub early_data: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerHello {
    pub random: Random,
    /// The version that is spoken, whichever field says so.
    pub version: u16,
    pub suite: u16,
    /// It asks for another ClientHello.
    pub retry: bool,
}

impl ClientHello {
    pub fn read(body: &[u8]) -> Option<Self> {
        let mut body = Bytes(body);
        body.take(2)?;
        let random = body.take(32)?.try_into().ok()?;
        body.vector8()?;
        body.vector16()?;
        body.vector8()?;
        let early_data = extensions(body).any(|(kind, _)| kind == EARLY_DATA);
        Some(Self { random, early_data })
    }
}

impl ServerHello {
    pub fn read(body: &[u8]) -> Option<Self> {
        let mut body = Bytes(body);
        let legacy = body.number()?;
        let random: Random = body.take(32)?.try_into().ok()?;
        body.vector8()?;
        let suite = body.number()?;
        body.take(1)?;
        let chosen = extensions(body).find(|(kind, _)| *kind == SUPPORTED_VERSIONS);
        let version = chosen.and_then(|(_, version)| Bytes(version).number()).unwrap_or(legacy);
        Some(Self { random, version, suite, retry: random == RETRY })
    }
}

/// Whether the server's EncryptedExtensions accept early data (RFC 8446, section 4.2.10).
pub fn accepts_early_data(body: &[u8]) -> bool {
    extensions(Bytes(body)).any(|(kind, _)| kind == EARLY_DATA)
}

/// The extensions that stand here, if any do; one that is cut short ends them.
fn extensions(mut body: Bytes<'_>) -> impl Iterator<Item = (u16, &[u8])> {
    let mut all = Bytes(body.vector16().unwrap_or_default());
    std::iter::from_fn(move || Some((all.number()?, all.vector16()?)))
}

/// What is left to read.
#[derive(Clone, Copy)]
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    fn number(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_be_bytes)
    }

    fn vector8(&mut self) -> Option<&'a [u8]> {
        let length = self.take(1)?.first().copied()?;
        self.take(usize::from(length))
    }

    fn vector16(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        self.take(usize::from(length))
    }
}
