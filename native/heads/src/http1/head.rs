//! Heads: where they end, and what is in them (RFC 9112, sections 2 to 5).
//!
//! Lenient in what is read, strict in what is called well-formed: what a strict server would refuse is read as far as
//! it goes and noted as the head's fault.

use super::Kind;
use crate::exchange::{Fault, Field, Head, Span, StartLine};
use memchr::memchr;

/// Finds the empty line that ends a section, over any number of pieces, and remembers where its lines end.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    /// The current line holds something other than one CR.
    text: bool,
    /// The current line began with a CR, in an earlier piece.
    cr: bool,
    /// The first line is over (a start line is never empty here).
    begun: bool,
    /// Bytes of the section so far.
    size: usize,
    /// Where the line feeds are, counted from the section's first byte.
    ends: Vec<usize>,
}

impl Lines {
    /// Starts over. `empty`: the section may be empty, as a trailer section mostly is.
    pub fn begin(&mut self, empty: bool) {
        self.text = false;
        self.cr = false;
        self.begun = empty;
        self.size = 0;
        self.ends.clear();
    }

    /// Where the section ends in `data`: after the line feed of the empty line.
    pub fn find_end(&mut self, data: &[u8]) -> Option<usize> {
        let mut from = 0;
        while let Some(length) = memchr(b'\n', &data[from..]) {
            let line = &data[from..from + length];
            let empty = !self.text && (line.is_empty() || (line == b"\r" && !self.cr));
            self.ends.push(self.size + from + length);
            from += length + 1;
            self.text = false;
            self.cr = false;
            if empty && self.begun {
                self.size += from;
                return Some(from);
            }
            self.begun = true;
        }
        match &data[from..] {
            [] => {}
            [b'\r'] if !self.cr => self.cr = true,
            _ => self.text = true,
        }
        self.size += data.len();
        None
    }

    /// Forgets the lines that end beyond the first `kept` bytes.
    pub fn forget(&mut self, kept: usize) {
        let count = self.ends.partition_point(|end| *end < kept);
        self.ends.truncate(count);
    }
}

/// Reads the start line and the fields of `head.raw`, whose lines are known.
pub fn read(head: &mut Head, kind: Kind, lines: &Lines) {
    let raw = std::mem::take(&mut head.raw);
    let mut fields = std::mem::take(&mut head.fields);
    let first = lines.ends.first().map_or(raw.len(), |end| (*end).min(raw.len()));
    match kind {
        Kind::Request => request_line(head, without_cr(&raw[..first])),
        Kind::Response => status_line(head, without_cr(&raw[..first])),
    }
    if first == raw.len() {
        // What is missing from a line that was cut off is not the sender's fault.
        head.fault = None;
    }
    let rest = lines.ends.get(1..).unwrap_or_default();
    let fault = read_fields(&raw, 0, first + 1, rest, &mut fields);
    if !clean(&raw, &lines.ends) {
        note(head, odd_byte(&raw));
    }
    note(head, fault);
    head.fields = fields;
    head.raw = raw;
}

/// Reads the trailer section that begins at `start` of `head.raw`.
pub fn read_trailers(head: &mut Head, start: usize, lines: &Lines) {
    let mut trailers = std::mem::take(&mut head.trailers);
    if let Some((_, at)) = read_fields(&head.raw, start, start, &lines.ends, &mut trailers) {
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
    let space = line.iter().position(|byte| !token(*byte)).unwrap_or(line.len());
    if line.get(space) != Some(&b' ') {
        return odd_request_line(head, line);
    }
    let version_at = line.len().checked_sub(9).filter(|at| *at > space && line[*at] == b' ');
    let version = version_at.and_then(|at| version(&line[at + 1..]));
    let version_at = if version.is_some() { version_at } else { odd_version(line, space) };
    let target_end = version_at.unwrap_or(line.len());
    let target = &line[space + 1..target_end];
    head.version = version;
    head.start = StartLine {
        first: span(0, space),
        second: span(space + 1, target_end),
        third: version_at.map_or_else(Span::default, |at| span(at + 1, line.len())),
    };
    let at = head.start.second.start;
    if version.is_none() {
        head.fault.get_or_insert((Fault::Version, at));
    }
    if space == 0 {
        head.fault.get_or_insert((Fault::Method, 0));
    }
    // A target is of ASCII (RFC 3986, section 2).
    if target.is_empty() || memchr::memchr2(b' ', b'\t', target).is_some() || !target.is_ascii() {
        head.fault.get_or_insert((Fault::Target, at));
    }
}

/// The space before a version that is none of HTTP's, as `RTSP/1.0`.
fn odd_version(line: &[u8], method_end: usize) -> Option<usize> {
    let space = memchr::memrchr(b' ', line).filter(|space| *space > method_end)?;
    let word = &line[space + 1..];
    let slash = memchr(b'/', word)?;
    (slash > 0 && word[..slash].iter().all(u8::is_ascii_alphabetic)).then_some(space)
}

/// A request line whose method is none.
fn odd_request_line(head: &mut Head, line: &[u8]) {
    let Some(space) = memchr(b' ', line) else {
        head.start.first = span(0, line.len());
        head.fault.get_or_insert((Fault::StartLine, 0));
        return;
    };
    let version_at = memchr::memrchr(b' ', line).filter(|last| *last > space && version(&line[last + 1..]).is_some());
    let target_end = version_at.unwrap_or(line.len());
    head.start = StartLine {
        first: span(0, space),
        second: span(space + 1, target_end),
        third: version_at.map_or_else(Span::default, |at| span(at + 1, line.len())),
    };
    head.version = version_at.and_then(|at| version(&line[at + 1..]));
    head.fault.get_or_insert((Fault::Method, 0));
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

/// Field lines from `at` up to the empty line or the end; returns the first fault. `ends` are the line feeds from
/// there on, counted from `base`.
fn read_fields(
    raw: &[u8],
    base: usize,
    mut at: usize,
    ends: &[usize],
    fields: &mut Vec<Field>,
) -> Option<(Fault, u32)> {
    let mut fault = None;
    // The line before is a field, so a fold continues it.
    let mut open = false;
    // A line without its end is no field yet: who knows what its name or its value would have been.
    for end in ends.iter().map(|end| base + end).filter(|end| *end < raw.len()) {
        let Some(line) = raw.get(at..end).map(without_cr) else { break };
        if line.is_empty() {
            return fault;
        }
        let bad = if matches!(line[0], b' ' | b'\t') {
            fold(at, line, fields.last_mut().filter(|_| open))
        } else {
            let bad = field(at, line, fields);
            open = bad != Some(Fault::NoColon);
            bad
        };
        if let Some(kind) = bad {
            fault.get_or_insert((kind, span(at, at).start));
        }
        at = end + 1;
    }
    let tail = raw.get(at..).unwrap_or_default();
    if fault.is_none() && !tail.is_empty() && at > base {
        fault = odd_beginning(tail, open).map(|kind| (kind, span(at, at).start));
    }
    fault
}

/// What is wrong already with a line whose end has not come: it may still get its colon.
fn odd_beginning(line: &[u8], open: bool) -> Option<Fault> {
    let fault = if matches!(line[0], b' ' | b'\t') {
        (!open).then_some(Fault::LeadingSpace)
    } else {
        field(0, line, &mut Vec::new())
    };
    fault.filter(|kind| *kind != Fault::NoColon)
}

fn field(at: usize, line: &[u8], fields: &mut Vec<Field>) -> Option<Fault> {
    let name = line.iter().position(|byte| !token(*byte)).unwrap_or(line.len());
    let (colon, fault) = match line.get(name) {
        Some(b':') if name > 0 => (name, None),
        Some(_) => match odd_name(line) {
            Ok(odd) => odd,
            Err(fault) => return Some(fault),
        },
        None => return Some(Fault::NoColon),
    };
    let name_end = if fault.is_none() { name } else { line[..colon].trim_ascii_end().len() };
    let mut value = &line[colon + 1..];
    let mut start = at + colon + 1;
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
        start += 1;
    }
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    fields.push(Field { name: span(at, at + name_end), value: span(start, start + value.len()), ..Field::default() });
    fault
}

/// Where the colon is behind a name that is no token, and what is wrong with it; `Err`: there is no colon.
fn odd_name(line: &[u8]) -> Result<(usize, Option<Fault>), Fault> {
    let colon = memchr(b':', line).ok_or(Fault::NoColon)?;
    let name = line[..colon].trim_ascii_end();
    let token_before_space = !name.is_empty() && name.len() < colon && name.iter().all(|byte| token(*byte));
    Ok((colon, Some(if token_before_space { Fault::SpaceBeforeColon } else { Fault::FieldName })))
}

/// `obs-fold` (section 5.2): the line belongs to the value before it, which is kept byte for byte.
fn fold(at: usize, line: &[u8], last: Option<&mut Field>) -> Option<Fault> {
    let Some(last) = last else {
        return Some(Fault::LeadingSpace);
    };
    let text = line.trim_ascii();
    last.folded = true;
    if text.is_empty() {
        return None;
    }
    let begin = at + line.len() - line.trim_ascii_start().len();
    let start = if last.value.is_empty() { begin } else { last.value.start as usize };
    last.value = span(start, begin + text.len());
    None
}

/// Whether control characters are where they belong: in line ends. One pass that the compiler turns into vector code.
#[allow(clippy::needless_bitwise_bool, reason = "a branch in the loop would keep it from being vector code")]
fn clean(raw: &[u8], ends: &[usize]) -> bool {
    let mut controls = 0_usize;
    for block in raw.chunks(128) {
        let count: u8 = block.iter().map(|byte| u8::from((*byte < 0x20) | (*byte == 0x7f))).sum();
        controls += usize::from(count);
    }
    let returns = ends.iter().filter(|end| end.checked_sub(1).and_then(|at| raw.get(at)) == Some(&b'\r')).count();
    controls == ends.len() + returns
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
        #[allow(clippy::cast_possible_truncation, reason = "below 256")]
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

#[cfg(test)]
mod tests;
