//! How long a message's body is (RFC 9112, section 6.3).

use super::Kind;
use crate::exchange::{Fault, Field, Head};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    None,
    Length(u64),
    Chunked,
    UntilClose,
    /// Another protocol begins after this head: a tunnel (CONNECT) or an upgrade (101).
    Opaque,
    /// The head doesn't say, or contradicts itself.
    Unknown,
}

/// What a response's framing depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    pub head: bool,
    pub connect: bool,
}

impl Asked {
    pub fn of(request: &Head) -> Asked {
        let method = request.start.first.of(&request.raw);
        Asked { head: method == b"HEAD", connect: method == b"CONNECT" }
    }
}

/// Decides the framing, and notes the fault where the head contradicts itself.
pub fn decide(head: &mut Head, kind: Kind, asked: Asked) -> Framing {
    let said = said(head);
    if kind == Kind::Request {
        if head.version.is_none() {
            return Framing::Unknown;
        }
        return match said {
            Said::Nothing => Framing::None,
            Said::Length(count) => Framing::Length(count),
            Said::Chunked => Framing::Chunked,
            Said::OtherCoding => {
                head.fault.get_or_insert((Fault::TransferEncoding, 0));
                Framing::Unknown
            }
            Said::Nonsense => Framing::Unknown,
        };
    }
    match head.status {
        None => return Framing::Unknown,
        Some(101) => return Framing::Opaque,
        Some(100..=199 | 204 | 304) => return Framing::None,
        Some(200..=299) if asked.connect => return Framing::Opaque,
        Some(_) if asked.head => return Framing::None,
        Some(_) => {}
    }
    match said {
        Said::Length(count) => Framing::Length(count),
        Said::Chunked => Framing::Chunked,
        Said::Nothing | Said::OtherCoding => Framing::UntilClose,
        Said::Nonsense => Framing::Unknown,
    }
}

enum Said {
    Nothing,
    Length(u64),
    Chunked,
    OtherCoding,
    Nonsense,
}

fn said(head: &mut Head) -> Said {
    let (mut length, mut coding): (Option<Option<u64>>, Option<bool>) = (None, None);
    for field in &head.fields {
        let name = field.name.of(&head.raw);
        match name.len() {
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                let value = content_length(field.value.of(&head.raw));
                let agrees = length.is_none_or(|before| before == value);
                length = Some(if agrees { value } else { None });
                if length == Some(None) {
                    fault(&mut head.fault, Fault::ContentLength, *field);
                }
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                // Several lines are one list (RFC 9110, section 5.3).
                let value = field.value.of(&head.raw);
                coding = last_coding(value).map(is_chunked).or(coding).or(Some(false));
            }
            _ => {}
        }
    }
    match (coding, length) {
        (None, None) => Said::Nothing,
        (None, Some(Some(count))) => Said::Length(count),
        (None, Some(None)) => Said::Nonsense,
        (Some(chunked), beside) => {
            // Section 6.1: HTTP/1.0 has no transfer codings.
            if head.version.is_some_and(|version| version < (1, 1)) {
                head.fault.get_or_insert((Fault::TransferEncoding, 0));
            }
            // Section 6.1: an attempt at smuggling, or a broken sender; Transfer-Encoding overrides.
            if beside.is_some() {
                head.fault.get_or_insert((Fault::LengthAndEncoding, 0));
            }
            if chunked {
                Said::Chunked
            } else {
                Said::OtherCoding
            }
        }
    }
}

fn fault(slot: &mut Option<(Fault, u32)>, fault: Fault, field: Field) {
    slot.get_or_insert((fault, field.value.start));
}

/// Digits only; a list of equal numbers counts as one (RFC 9110, section 8.6).
fn content_length(value: &[u8]) -> Option<u64> {
    let mut agreed = None;
    for item in value.split(|byte| *byte == b',') {
        let number = item.trim_ascii();
        if number.is_empty() || !number.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let number: u64 = std::str::from_utf8(number).ok()?.parse().ok()?;
        if agreed.is_some_and(|before| before != number) {
            return None;
        }
        agreed = Some(number);
    }
    agreed
}

fn last_coding(value: &[u8]) -> Option<&[u8]> {
    value.rsplit(|byte| *byte == b',').map(<[u8]>::trim_ascii).find(|item| !item.is_empty())
}

fn is_chunked(coding: &[u8]) -> bool {
    coding.eq_ignore_ascii_case(b"chunked")
}

#[cfg(test)]
mod tests;
