//! Heads: where they end, and what is in them (RFC 9112, sections 2 to 5).
//!
//! Lenient in what is read, strict in what is called well-formed: what a strict server would refuse is read as far as
//! it goes and noted as the head's fault.

use super::Kind;
use crate::exchange::{Fault, Field, Head, Span, StartLine};
use memchr::memchr;

/// Finds the empty line that ends a section, over any number of pieces.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lines {
    /// The current line holds something other than a CR.
    text: bool,
    /// The first line is over (a start line is never empty here).
    begun: bool,
}

impl Lines {
    /// The section may be empty: a trailer section is, mostly.
    pub fn at_line_start(&mut self) {
        self.begun = true;
    }

    /// Where the section ends in `data`: after the line feed of the empty line.
    pub fn find_end(&mut self, data: &[u8]) -> Option<usize> {
        let mut from = 0;
        while let Some(length) = memchr(b'\n', &data[from..]) {
            let line = &data[from..from + length];
            let empty = !self.text && matches!(line, [] | [b'\r']);
            from += length + 1;
            self.text = false;
            if empty && self.begun {
                return Some(from);
            }
            self.begun = true;
        }
        let rest = &data[from..];
        self.text |= !matches!(rest, [] | [b'\r']);
        None
    }
}

/// Reads the start line and the fields of `head.raw`.
pub fn read(head: &mut Head, kind: Kind) {
    let raw = std::mem::take(&mut head.raw);
    let clean = clean(&raw);
    let first = memchr(b'\n', &raw).unwrap_or(raw.len());
    match kind {
        Kind::Request => request_line(head, without_cr(&raw[..first])),
        Kind::Response => status_line(head, without_cr(&raw[..first])),
    }
    if !clean {
        note(head, odd_byte(&raw));
    }
    let mut fields = std::mem::take(&mut head.fields);
    let fault = read_fields(&raw, first + 1, &mut fields);
    note(head, fault);
    head.fields = fields;
    head.raw = raw;
}

/// Reads the trailer section that begins at `start` of `head.raw`.
pub fn read_trailers(head: &mut Head, start: usize) {
    let mut trailers = std::mem::take(&mut head.trailers);
    if let Some((_, at)) = read_fields(&head.raw, start, &mut trailers) {
        head.fault.get_or_insert((Fault::Trailer, at));
    }
    head.trailers = trailers;
}

fn note(head: &mut Head, fault: Option<(Fault, u32)>) {
    if let Some(fault) = fault {
        head.fault.get_or_insert(fault);
    }
}

fn span(start: usize, end: usize) -> Span {
    let index = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    Span { start: index(start), len: index(end.saturating_sub(start)) }
}

fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// `method SP request-target SP HTTP-version` (section 3).
fn request_line(head: &mut Head, line: &[u8]) {
    let Some(space) = memchr(b' ', line) else {
        head.start.first = span(0, line.len());
        head.fault.get_or_insert((Fault::StartLine, 0));
        return;
    };
    let mut start = StartLine { first: span(0, space), ..StartLine::default() };
    let version_at = memchr::memrchr(b' ', line).filter(|last| *last > space && version(&line[last + 1..]).is_some());
    let target_end = version_at.unwrap_or(line.len());
    start.second = span(space + 1, target_end);
    if let Some(last) = version_at {
        start.third = span(last + 1, line.len());
        head.version = version(&line[last + 1..]);
    } else {
        head.fault.get_or_insert((Fault::Version, start.second.start));
    }
    let target = &line[space + 1..target_end];
    if space == 0 || !line[..space].iter().all(|byte| token(*byte)) {
        head.fault.get_or_insert((Fault::Method, 0));
    }
    if target.is_empty() || target.iter().any(|byte| matches!(byte, b' ' | b'\t' | 0..=0x1f | 0x7f)) {
        head.fault.get_or_insert((Fault::Target, start.second.start));
    }
    head.start = start;
}

/// `HTTP-version SP status-code SP [reason-phrase]` (section 4).
fn status_line(head: &mut Head, line: &[u8]) {
    let first = memchr(b' ', line).unwrap_or(line.len());
    let code_at = (first + 1).min(line.len());
    let code_end = memchr(b' ', &line[code_at..]).map_or(line.len(), |at| code_at + at);
    head.version = version(&line[..first]);
    head.start = StartLine {
        first: span(0, first),
        second: span(code_at, code_end),
        third: span((code_end + 1).min(line.len()), line.len()),
    };
    let code = &line[code_at..code_end];
    head.status = match code {
        [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] => {
            Some(u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0'))
        }
        _ => None,
    };
    if head.version.is_none() {
        head.fault.get_or_insert((Fault::Version, 0));
    } else if head.status.is_none() {
        head.fault.get_or_insert((Fault::Status, head.start.second.start));
    }
}

/// `HTTP/d.d`, case-sensitive (section 2.3).
pub fn version(text: &[u8]) -> Option<(u8, u8)> {
    match text {
        [b'H', b'T', b'T', b'P', b'/', major @ b'0'..=b'9', b'.', minor @ b'0'..=b'9'] => {
            Some((major - b'0', minor - b'0'))
        }
        _ => None,
    }
}

/// Field lines from `at` up to the empty line or the end; returns the first fault.
fn read_fields(raw: &[u8], mut at: usize, fields: &mut Vec<Field>) -> Option<(Fault, u32)> {
    let mut fault = None;
    let mut first = true;
    while at < raw.len() {
        let end = memchr(b'\n', &raw[at..]).map_or(raw.len(), |length| at + length);
        let line = without_cr(&raw[at..end]);
        if line.is_empty() {
            break;
        }
        let bad = if matches!(line[0], b' ' | b'\t') {
            fold(raw, at, line, fields, first)
        } else {
            field(at, line, fields)
        };
        if let Some(kind) = bad {
            fault.get_or_insert((kind, span(at, at).start));
        }
        first = false;
        at = end + 1;
    }
    fault
}

fn field(at: usize, line: &[u8], fields: &mut Vec<Field>) -> Option<Fault> {
    let Some(colon) = memchr(b':', line) else {
        return Some(Fault::NoColon);
    };
    let name_end = line[..colon].trim_ascii_end().len();
    let value = &line[colon + 1..];
    let lead = value.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let trail = value[lead..].iter().rev().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let start = at + colon + 1 + lead;
    fields.push(Field {
        name: span(at, at + name_end),
        value: span(start, at + line.len() - trail),
        folded: false,
    });
    if name_end == 0 {
        Some(Fault::FieldName)
    } else if name_end < colon {
        Some(Fault::SpaceBeforeColon)
    } else if !line[..colon].iter().all(|byte| token(*byte)) {
        Some(Fault::FieldName)
    } else {
        None
    }
}

/// `obs-fold` (section 5.2): the line belongs to the value before it, which is kept byte for byte.
fn fold(raw: &[u8], at: usize, line: &[u8], fields: &mut [Field], first: bool) -> Option<Fault> {
    let Some(last) = fields.last_mut().filter(|_| !first) else {
        return Some(Fault::LeadingSpace);
    };
    let start = last.value.start as usize;
    let text = raw.get(start..at + line.len()).unwrap_or_default();
    last.value.len = span(0, text.trim_ascii_end().len()).len;
    last.folded = true;
    None
}

/// Whether there is no byte that a head must not hold. One pass that the compiler turns into vector code.
fn clean(raw: &[u8]) -> bool {
    let mut odd = 0_u32;
    let (mut returns, mut feeds) = (0_u32, 0_u32);
    for block in raw.chunks(128) {
        let (mut control, mut cr, mut lf) = (0_u8, 0_u8, 0_u8);
        for byte in block {
            control += u8::from((*byte < 0x20) | (*byte == 0x7f));
            control -= u8::from((*byte == b'\r') | (*byte == b'\n') | (*byte == b'\t'));
            cr += u8::from(*byte == b'\r');
            lf += u8::from(*byte == b'\n');
        }
        odd += u32::from(control);
        returns += u32::from(cr);
        feeds += u32::from(lf);
    }
    odd == 0 && returns <= feeds && (returns == 0 || every_return_ends_a_line(raw))
}

fn every_return_ends_a_line(raw: &[u8]) -> bool {
    memchr::memchr_iter(b'\r', raw).all(|at| raw.get(at + 1).is_none_or(|next| *next == b'\n'))
}

/// The first byte that a head must not hold (RFC 9110, section 5.5), and what it makes of the head.
fn odd_byte(raw: &[u8]) -> Option<(Fault, u32)> {
    raw.iter().enumerate().find_map(|(at, byte)| {
        let fault = match byte {
            b'\r' if raw.get(at + 1).is_some_and(|next| *next != b'\n') => Fault::BareCarriageReturn,
            b'\r' | b'\n' | b'\t' => return None,
            0..=0x1f | 0x7f => Fault::FieldValue,
            _ => return None,
        };
        Some((fault, span(at, at).start))
    })
}

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_usize;
    while byte < 256 {
        let c = byte as u8;
        table[byte] = c.is_ascii_alphanumeric()
            || matches!(
                c,
                b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
            );
        byte += 1;
    }
    table
};

/// `tchar` (RFC 9110, section 5.6.2).
pub fn token(byte: u8) -> bool {
    TOKEN[usize::from(byte)]
}
