//! What a connection carries: TLS, or bytes for the parser as they are. Its first bytes tell.

use heads::connection::Segment;

use super::tls::{begins_tls, TlsFlow};

/// Segments, and bytes of them, that wait at most for the first byte of their connection.
const SEGMENTS: usize = 64;
const BYTES: usize = 256 << 10;

#[derive(Debug)]
pub(crate) enum Content {
    Undecided(Undecided),
    Plain,
    Tls(Box<TlsFlow>),
}

impl Default for Content {
    fn default() -> Self {
        Content::Undecided(Undecided::default())
    }
}

/// A segment that waits.
#[derive(Debug)]
pub(crate) struct Held {
    bytes: Vec<u8>,
    rest: Segment<'static>,
}

impl Held {
    pub(crate) fn segment(&self) -> Segment<'_> {
        Segment { bytes: &self.bytes, ..self.rest }
    }
}

/// The beginning of a connection, as far as it has come.
#[derive(Debug, Default)]
pub(crate) struct Undecided {
    prefix: Vec<u8>,
    /// Who sent it, and the number of the byte behind it.
    place: Option<(bool, u32)>,
    held: Vec<Held>,
    bytes: usize,
}

impl Undecided {
    /// Looks at the next segment; says whether the connection is TLS once that is clear. `initial` is the number of its
    /// sender's first byte, where its SYN was seen; `client` whether the sender may be the one that begins.
    pub(crate) fn judge(&mut self, segment: &Segment<'_>, initial: Option<u32>, client: bool) -> Option<bool> {
        if segment.rst || self.held.len() >= SEGMENTS || self.bytes > BYTES {
            return Some(false);
        }
        if segment.span == 0 {
            return None;
        }
        let (egress, next) = *self.place.get_or_insert((segment.egress, initial.unwrap_or(segment.seq)));
        if egress != segment.egress || !client {
            return Some(false);
        }
        if segment.seq != next {
            return None;
        }
        let wanted = segment.bytes.len().min(8);
        self.prefix.extend_from_slice(segment.bytes.get(..wanted).unwrap_or_default());
        self.place = Some((egress, next.wrapping_add(segment.span)));
        begins_tls(&self.prefix).or((segment.cut || segment.fin).then_some(false))
    }

    pub(crate) fn hold(&mut self, segment: &Segment<'_>) {
        self.bytes += segment.bytes.len();
        self.held.push(Held { bytes: segment.bytes.to_vec(), rest: Segment { bytes: &[], ..*segment } });
    }

    pub(crate) fn held(&mut self) -> Vec<Held> {
        std::mem::take(&mut self.held)
    }
}
