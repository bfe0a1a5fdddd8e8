//! The static and the dynamic table (RFC 7541, section 2.3), and what is known of the dynamic one.
//!
//! An index counts from the newest entry. So an entry that we saw come in is found rightly whatever stands behind it,
//! and an encoder can't name one that it has evicted: what is beyond the entries we saw is not known, the others are.

use crate::exchange::Unresolved;
use std::collections::VecDeque;

#[rustfmt::skip]
static STATIC: [(&[u8], &[u8]); 61] = [
    (b":authority", b""),
    (b":method", b"GET"),
    (b":method", b"POST"),
    (b":path", b"/"),
    (b":path", b"/index.html"),
    (b":scheme", b"http"),
    (b":scheme", b"https"),
    (b":status", b"200"),
    (b":status", b"204"),
    (b":status", b"206"),
    (b":status", b"304"),
    (b":status", b"400"),
    (b":status", b"404"),
    (b":status", b"500"),
    (b"accept-charset", b""),
    (b"accept-encoding", b"gzip, deflate"),
    (b"accept-language", b""),
    (b"accept-ranges", b""),
    (b"accept", b""),
    (b"access-control-allow-origin", b""),
    (b"age", b""),
    (b"allow", b""),
    (b"authorization", b""),
    (b"cache-control", b""),
    (b"content-disposition", b""),
    (b"content-encoding", b""),
    (b"content-language", b""),
    (b"content-length", b""),
    (b"content-location", b""),
    (b"content-range", b""),
    (b"content-type", b""),
    (b"cookie", b""),
    (b"date", b""),
    (b"etag", b""),
    (b"expect", b""),
    (b"expires", b""),
    (b"from", b""),
    (b"host", b""),
    (b"if-match", b""),
    (b"if-modified-since", b""),
    (b"if-none-match", b""),
    (b"if-range", b""),
    (b"if-unmodified-since", b""),
    (b"last-modified", b""),
    (b"link", b""),
    (b"location", b""),
    (b"max-forwards", b""),
    (b"proxy-authenticate", b""),
    (b"proxy-authorization", b""),
    (b"range", b""),
    (b"referer", b""),
    (b"refresh", b""),
    (b"retry-after", b""),
    (b"server", b""),
    (b"set-cookie", b""),
    (b"strict-transport-security", b""),
    (b"transfer-encoding", b""),
    (b"user-agent", b""),
    (b"vary", b""),
    (b"via", b""),
    (b"www-authenticate", b""),
];

/// Bytes of a dynamic table that are followed, as RFC 7541, section 4.1 counts them: a peer may announce 4 GiB, browsers
/// and proxies use at most this much. What an encoder keeps beyond it becomes unresolved.
pub const FOLLOWED: usize = 64 << 10;
/// What an entry costs beyond its name and value (RFC 7541, section 4.1).
const OVERHEAD: usize = 32;
/// The size that both ends begin with (RFC 9113, section 6.5.2).
const INITIAL: usize = 4096;
/// Bytes of evicted entries that may lie in the buffer before it is put in order.
const SLACK: usize = 4096;

#[derive(Clone, Copy, Debug)]
struct Entry {
    start: u32,
    name: u32,
    value: u32,
    unresolved: Unresolved,
}

impl Entry {
    fn size(self) -> usize {
        self.name as usize + self.value as usize + OVERHEAD
    }
}

/// What stands behind an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found<'a> {
    pub name: &'a [u8],
    pub value: &'a [u8],
    pub unresolved: Unresolved,
}

/// No entry can stand behind this index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Beyond;

#[derive(Debug)]
pub(super) struct Table {
    bytes: Vec<u8>,
    /// Bytes at the front of `bytes` that belong to no entry any more.
    gone: usize,
    /// Newest first.
    entries: VecDeque<Entry>,
    /// What the entries cost; at least, where one is unresolved.
    size: usize,
    /// How much the encoder may keep; not known after a loss, until it says.
    capacity: Option<usize>,
    /// There is no entry that we have not seen.
    whole: bool,
}

impl Default for Table {
    fn default() -> Self {
        Table { bytes: Vec::new(), gone: 0, entries: VecDeque::new(), size: 0, capacity: Some(INITIAL), whole: true }
    }
}

impl Table {
    /// Nothing is known of it: we came later, or missed something.
    pub(super) fn forget(&mut self) {
        self.clear();
        self.capacity = None;
        self.whole = false;
    }

    /// Bytes of memory that it takes.
    pub(super) fn held(&self) -> usize {
        self.bytes.capacity() + self.entries.capacity() * size_of::<Entry>()
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
        (self.gone, self.size) = (0, 0);
    }

    /// What `index` stands for.
    pub(super) fn get(&self, index: u32) -> Result<Found<'_>, Beyond> {
        let Some(place) = (index as usize).checked_sub(1) else { return Err(Beyond) };
        if let Some((name, value)) = STATIC.get(place) {
            return Ok(Found { name, value, unresolved: Unresolved::Nothing });
        }
        match self.entries.get(place - STATIC.len()) {
            Some(entry) => {
                let (start, name) = (entry.start as usize, entry.start as usize + entry.name as usize);
                Ok(Found {
                    name: self.bytes.get(start..name).unwrap_or_default(),
                    value: self.bytes.get(name..name + entry.value as usize).unwrap_or_default(),
                    unresolved: entry.unresolved,
                })
            }
            None if self.whole => Err(Beyond),
            None => Ok(Found { name: b"", value: b"", unresolved: Unresolved::Both }),
        }
    }

    /// A new entry. Where `unresolved` says so, `name` is empty.
    pub(super) fn insert(&mut self, name: &[u8], value: &[u8], unresolved: Unresolved) {
        let size = name.len() + value.len() + OVERHEAD;
        self.make_room(size);
        if size <= self.limit() {
            self.push(name, value, unresolved);
        } else if self.capacity.is_none_or(|capacity| size <= capacity) {
            // The encoder may keep it, we don't.
            self.whole = false;
            self.push(b"", b"", Unresolved::Both);
        } else {
            // Larger than the table: this empties it.
            self.whole = true;
        }
    }

    /// A dynamic table size update (RFC 7541, section 6.3).
    pub(super) fn resize(&mut self, capacity: u32) {
        let capacity = capacity as usize;
        self.capacity = Some(capacity);
        self.make_room(0);
        // Now it is empty at the other end too.
        self.whole |= capacity < OVERHEAD;
    }

    fn limit(&self) -> usize {
        self.capacity.map_or(FOLLOWED, |capacity| capacity.min(FOLLOWED))
    }

    /// Evicts the oldest entries until there is room for one of `size` (RFC 7541, section 4.4).
    fn make_room(&mut self, size: usize) {
        let limit = self.limit();
        while self.size + size > limit {
            let Some(oldest) = self.entries.pop_back() else { break };
            self.size -= oldest.size();
            self.gone += oldest.name as usize + oldest.value as usize;
            // The encoder may keep it.
            self.whole &= self.capacity.is_some_and(|capacity| self.size + size + oldest.size() > capacity);
        }
        if self.gone > SLACK && self.gone > self.bytes.len() / 2 {
            self.bytes.drain(..self.gone);
            let gone = u32::try_from(self.gone).unwrap_or_default();
            for entry in &mut self.entries {
                entry.start = entry.start.saturating_sub(gone);
            }
            self.gone = 0;
        }
    }

    fn push(&mut self, name: &[u8], value: &[u8], unresolved: Unresolved) {
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or_default();
        let start = u32::try_from(self.bytes.len()).unwrap_or_default();
        self.bytes.extend_from_slice(name);
        self.bytes.extend_from_slice(value);
        let entry = Entry { start, name: length(name), value: length(value), unresolved };
        self.size += entry.size();
        self.entries.push_front(entry);
    }
}
