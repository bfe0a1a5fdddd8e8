//! What a gRPC call says beyond its fields ("gRPC over HTTP2", `doc/PROTOCOL-HTTP2.md` of grpc/grpc).

use crate::exchange::{Field, Head, Span};
use base64::engine::general_purpose::STANDARD_NO_PAD;
use base64::Engine;

/// Octets before each message: whether it is compressed, and its length.
const PREFIX: u8 = 5;

/// Counts the length-prefixed messages in one direction's content.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counter {
    messages: u64,
    /// Octets of the prefix under way.
    have: u8,
    length: u32,
    /// Octets left of the message.
    left: u32,
    /// A prefix may have been missed.
    lost: bool,
}

impl Counter {
    pub(super) fn feed(&mut self, mut bytes: &[u8]) {
        while let (false, Some(first)) = (self.lost, bytes.first()) {
            if self.left > 0 {
                let count = (self.left as usize).min(bytes.len());
                bytes = bytes.get(count..).unwrap_or_default();
                self.left -= u32::try_from(count).unwrap_or(self.left);
                continue;
            }
            self.messages += u64::from(self.have == 0);
            self.length = if self.have == 0 { 0 } else { self.length << 8 | u32::from(*first) };
            self.have += 1;
            bytes = bytes.get(1..).unwrap_or_default();
            if self.have == PREFIX {
                (self.left, self.have) = (self.length, 0);
            }
        }
    }

    /// Content that was not copied: no prefix may lie in it.
    pub(super) fn skip(&mut self, count: u32) {
        if count > self.left {
            self.lose();
        } else {
            self.left -= count;
        }
    }

    pub(super) fn lose(&mut self) {
        self.lost = true;
    }

    pub(super) fn messages(self) -> Option<u64> {
        (!self.lost).then_some(self.messages)
    }
}

/// Binary metadata whose octets came as they are, behind a NUL ("true binary metadata", gRFC G1), become what they are
/// otherwise: base64 without padding.
pub(super) fn encode_binary(head: &mut Head) {
    for place in 0..head.fields.len() {
        let Some(field) = head.fields.get(place) else { break };
        let Some((0, octets)) = field.value.of(&head.raw).split_first() else { continue };
        if !field.name.of(&head.raw).ends_with(b"-bin") {
            continue;
        }
        let text = STANDARD_NO_PAD.encode(octets);
        let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let value = Span { start: small(head.raw.len()), len: small(text.len()) };
        head.raw.extend_from_slice(text.as_bytes());
        if let Some(field) = head.fields.get_mut(place) {
            field.value = value;
        }
    }
}

/// The value of the field of this name, where it stands once and is known. An upgraded request has names in any case.
pub(super) fn only<'a>(raw: &'a [u8], fields: &[Field], name: &[u8]) -> Option<&'a [u8]> {
    let named = fields.iter().filter(|field| field.name.of(raw).eq_ignore_ascii_case(name));
    let mut values = named.map(|field| field.value.of(raw));
    values.next().filter(|_| values.next().is_none())
}

/// By its content type: `application/grpc`, perhaps with a format; not grpc-web, which keeps its status elsewhere.
pub(super) fn is_call(head: &Head) -> bool {
    let value = only(&head.raw, &head.fields, b"content-type").unwrap_or_default();
    let rest = value.strip_prefix(b"application/grpc");
    rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';' | b' ')))
}

pub(super) fn status(raw: &[u8], fields: &[Field]) -> Option<u32> {
    digits(only(raw, fields, b"grpc-status")?, 10)?.try_into().ok()
}

/// `grpc-timeout` as nanoseconds: up to eight digits and a unit; nothing where it is more than 292 years.
pub(super) fn timeout(head: &Head) -> Option<u64> {
    let (unit, number) = only(&head.raw, &head.fields, b"grpc-timeout")?.split_last()?;
    let unit = match unit {
        b'H' => 3_600_000_000_000,
        b'M' => 60_000_000_000,
        b'S' => 1_000_000_000,
        b'm' => 1_000_000,
        b'u' => 1_000,
        b'n' => 1,
        _ => return None,
    };
    digits(number, 8)?.checked_mul(unit).filter(|time| i64::try_from(*time).is_ok())
}

fn digits(text: &[u8], most: usize) -> Option<u64> {
    let fits = !text.is_empty() && text.len() <= most && text.iter().all(u8::is_ascii_digit);
    fits.then(|| text.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_counted_however_they_are_cut() {
        let content = [&[0, 0, 0, 0, 3][..], b"abc", &[1, 0, 0, 0, 0], &[0, 0, 0, 0, 1], b"x", &[0, 0]].concat();
        for size in 1..=content.len() {
            let mut counter = Counter::default();
            content.chunks(size).for_each(|part| counter.feed(part));
            assert_eq!(counter.messages(), Some(4), "the last one began");
        }
    }

    #[test]
    fn a_prefix_that_was_not_copied_makes_the_count_unknown() {
        let mut counter = Counter::default();
        counter.feed(&[0, 0, 0, 0, 3, b'a']);
        counter.skip(2);
        assert_eq!(counter.messages(), Some(1));
        counter.skip(1);
        assert_eq!(counter.messages(), None);
    }

    #[test]
    fn deadlines_have_a_unit() {
        let of = |value: &str| {
            let mut head = Head { raw: format!("grpc-timeout{value}").into_bytes(), ..Head::default() };
            let span = |start, len| crate::exchange::Span { start, len };
            let value = span(12, u32::try_from(value.len()).unwrap());
            head.fields.push(Field { name: span(0, 12), value, ..Field::default() });
            timeout(&head)
        };
        assert_eq!(of("1S"), Some(1_000_000_000));
        assert_eq!(of("00000001H"), Some(3_600_000_000_000));
        for bad in ["99999999H", "", "S", "1", "123456789S", "-1S", "1s", "1 S"] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}
