//! Header sections out of field blocks (RFC 7541), with what is known of the encoder's table.
//!
//! [`Decoder::decode`] takes a block in any pieces and appends its fields to a head. The table is kept right also for
//! fields that are not kept.

mod huffman;
mod table;

use crate::exchange::{Field, Head, Span, Unresolved};
pub use table::FOLLOWED;
use table::{Beyond, Table};

/// Octets of one string on the wire; no known server takes a field line of this size. A longer one is not read, and the
/// table is not known from there on.
pub const STRING: usize = 64 << 10;
/// What a field costs beside its bytes: what a field line has as separators in HTTP/1. Else a head of empty fields
/// would have no limit.
const SEPARATORS: usize = 4;

/// Why a block could not be read on. The table is unknown afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// A decoding error (RFC 7541, sections 2.3.3, 4.2, 5.1, 5.2).
    Invalid,
    /// A string longer than [`STRING`].
    Oversized,
}

/// How far a block has been read, and what was found beside its fields.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Fields came: the table's size can't change any more (RFC 7541, section 4.2).
    begun: bool,
    /// Fields were left out because of the limit.
    pub cut: bool,
    /// Fields that are not wholly known.
    pub unresolved: u32,
}

#[derive(Debug, Default)]
pub struct Decoder {
    table: Table,
}

/// One string literal: whether it is in Huffman code, and its octets.
type Literal<'a> = (bool, &'a [u8]);

/// A part of a block that may not be complete: `Err` has how many octets it needs at least, counted from its start.
type Read<T> = Result<Result<T, usize>, Broken>;

impl Decoder {
    /// Nothing is known of the encoder's table.
    pub fn forget(&mut self) {
        self.table.forget();
    }

    /// Bytes of memory that it takes.
    pub fn held(&self) -> usize {
        self.table.held()
    }

    /// Reads whole fields off the front of `data` and appends them to `head`, up to `limit` bytes. Returns how much was
    /// used, and how many octets, counted from there, are needed to go on.
    pub fn decode(
        &mut self,
        data: &[u8],
        head: &mut Head,
        limit: usize,
        progress: &mut Progress,
    ) -> Result<(usize, usize), Broken> {
        let mut used = 0;
        while let Some(rest) = data.get(used..).filter(|rest| !rest.is_empty()) {
            match self.field(rest, head, limit, progress) {
                Ok(Ok(count)) => used += count,
                Ok(Err(need)) => return Ok((used, need)),
                Err(broken) => {
                    self.forget();
                    return Err(broken);
                }
            }
        }
        Ok((used, 0))
    }

    /// One field, or a change of the table's size.
    fn field(&mut self, data: &[u8], head: &mut Head, limit: usize, progress: &mut Progress) -> Read<usize> {
        let first = data.first().copied().unwrap_or_default();
        if first & 0x80 != 0 {
            let (index, used) = match integer(data, 7)? {
                Ok(read) => read,
                Err(need) => return Ok(Err(need)),
            };
            progress.begun = true;
            self.indexed(index, head, limit, progress).map_err(|Beyond| Broken::Invalid)?;
            return Ok(Ok(used));
        }
        if first & 0xe0 == 0x20 {
            let (size, used) = match integer(data, 5)? {
                Ok(read) => read,
                Err(need) => return Ok(Err(need)),
            };
            if progress.begun {
                return Err(Broken::Invalid);
            }
            self.table.resize(size);
            return Ok(Ok(used));
        }
        progress.begun = true;
        let bits = if first & 0x40 != 0 { 6 } else { 4 };
        let (index, mut used) = match integer(data, bits)? {
            Ok(read) => read,
            Err(need) => return Ok(Err(need)),
        };
        let mut name = None;
        if index == 0 {
            match string(data, &mut used)? {
                Ok(literal) => name = Some(literal),
                Err(need) => return Ok(Err(need)),
            }
        }
        let value = match string(data, &mut used)? {
            Ok(literal) => literal,
            Err(need) => return Ok(Err(need)),
        };
        let (indexing, never_indexed) = (first & 0x40 != 0, first & 0xf0 == 0x10);
        self.literal(index, name, value, (indexing, never_indexed), head, limit, progress)?;
        Ok(Ok(used))
    }

    fn indexed(&self, index: u32, head: &mut Head, limit: usize, progress: &mut Progress) -> Result<(), Beyond> {
        let found = self.table.get(index)?;
        if progress.cut || !fits(head, found.name.len() + found.value.len(), limit) {
            progress.cut = true;
            return Ok(());
        }
        let name = append(&mut head.raw, found.name);
        let value = append(&mut head.raw, found.value);
        progress.unresolved += u32::from(found.unresolved != Unresolved::Nothing);
        head.fields.push(Field { name, value, unresolved: found.unresolved, ..Field::default() });
        Ok(())
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of one field, and where it goes")]
    fn literal(
        &mut self,
        index: u32,
        name: Option<Literal<'_>>,
        value: Literal<'_>,
        (indexing, never_indexed): (bool, bool),
        head: &mut Head,
        limit: usize,
        progress: &mut Progress,
    ) -> Result<(), Broken> {
        let before = head.raw.len();
        let mut unresolved = Unresolved::Nothing;
        if let Some(literal) = name {
            decode_string(literal, &mut head.raw)?;
        } else {
            let found = self.table.get(index).map_err(|Beyond| Broken::Invalid)?;
            if found.unresolved == Unresolved::Nothing {
                head.raw.extend_from_slice(found.name);
            } else {
                unresolved = Unresolved::Name;
            }
        }
        let middle = head.raw.len();
        decode_string(value, &mut head.raw)?;
        if indexing {
            let (name, value) = head.raw.get(before..).unwrap_or_default().split_at(middle - before);
            self.table.insert(name, value, unresolved);
        }
        let whole = head.raw.len() - before;
        if progress.cut || before + whole + (head.fields.len() + 1) * SEPARATORS > limit {
            progress.cut = true;
            head.raw.truncate(before);
            return Ok(());
        }
        progress.unresolved += u32::from(unresolved != Unresolved::Nothing);
        let (name, value) = (span(before, middle), span(middle, before + whole));
        head.fields.push(Field { name, value, folded: false, unresolved, never_indexed });
        Ok(())
    }
}

fn fits(head: &Head, more: usize, limit: usize) -> bool {
    head.raw.len() + more + (head.fields.len() + 1) * SEPARATORS <= limit
}

fn span(from: usize, to: usize) -> Span {
    let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Span { start: small(from), len: small(to.saturating_sub(from)) }
}

fn append(raw: &mut Vec<u8>, bytes: &[u8]) -> Span {
    let before = raw.len();
    raw.extend_from_slice(bytes);
    span(before, raw.len())
}

fn decode_string((huffman, octets): Literal<'_>, out: &mut Vec<u8>) -> Result<(), Broken> {
    if huffman {
        return huffman::decode(octets, out).map_err(|huffman::Invalid| Broken::Invalid);
    }
    out.extend_from_slice(octets);
    Ok(())
}

/// An integer with a prefix of `bits` (RFC 7541, section 5.1), and the octets that it takes. Four octets after the
/// prefix hold more than any index or length that is followed.
fn integer(data: &[u8], bits: u32) -> Read<(u32, usize)> {
    let mask = u8::MAX >> (8 - bits);
    let prefix = data.first().copied().unwrap_or_default() & mask;
    let mut value = u32::from(prefix);
    if prefix < mask {
        return Ok(Ok((value, 1)));
    }
    for place in 1..=5 {
        let Some(octet) = data.get(place) else { return Ok(Err(place + 1)) };
        let part = u64::from(octet & 0x7f) << (7 * (place - 1));
        value = u32::try_from(u64::from(value) + part).map_err(|_| Broken::Invalid)?;
        if octet & 0x80 == 0 {
            return Ok(Ok((value, place + 1)));
        }
    }
    Err(Broken::Invalid)
}

/// The string literal at `used` (RFC 7541, section 5.2); moves `used` behind it.
fn string<'a>(data: &'a [u8], used: &mut usize) -> Read<Literal<'a>> {
    let rest = data.get(*used..).unwrap_or_default();
    let Some(first) = rest.first() else { return Ok(Err(*used + 1)) };
    let (length, begin) = match integer(rest, 7)? {
        Ok((length, begin)) => (length as usize, begin),
        Err(need) => return Ok(Err(*used + need)),
    };
    if length > STRING {
        return Err(Broken::Oversized);
    }
    let end = *used + begin + length;
    let Some(octets) = data.get(*used + begin..end) else { return Ok(Err(end)) };
    *used = end;
    Ok(Ok((first & 0x80 != 0, octets)))
}
