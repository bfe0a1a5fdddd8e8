//! Bytes as UTF-8 text.

use std::io::Write;

/// The standard library's looks at up to 31 bytes one by one, which is much for a head.
#[inline]
pub(super) fn is_ascii(bytes: &[u8]) -> bool {
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
    let (words, rest) = bytes.as_chunks::<8>();
    let found = words.iter().fold(0, |found, word| found | u64::from_ne_bytes(*word));
    found & HIGHS == 0 && rest.is_ascii()
}

/// Appends a span of `source`. Most texts are short, and for these a copy of fixed width, with what was too much taken
/// back, is much cheaper than a call that must first find out how much there is to copy.
#[inline]
pub(crate) fn append(source: &[u8], start: usize, end: usize, out: &mut Vec<u8>) {
    const WIDTH: usize = 32;
    let wide = source.get(start..).and_then(<[u8]>::first_chunk::<WIDTH>);
    match (wide, end.checked_sub(start)) {
        (Some(wide), Some(length)) if length <= WIDTH => {
            let length = out.len() + length;
            out.extend_from_slice(wide);
            out.truncate(length);
        }
        _ => out.extend_from_slice(source.get(start..end).unwrap_or_default()),
    }
}

/// Appends `bytes` as text. Bytes that are not UTF-8 become `\xNN`, with backslashes doubled, and the answer is true.
pub(super) fn push(bytes: &[u8], out: &mut Vec<u8>) -> bool {
    if bytes.is_ascii() || std::str::from_utf8(bytes).is_ok() {
        out.extend_from_slice(bytes);
        return false;
    }
    escape(bytes, out);
    true
}

pub(super) fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    for chunk in bytes.utf8_chunks() {
        for byte in chunk.valid().bytes() {
            if byte == b'\\' {
                out.push(b'\\');
            }
            out.push(byte);
        }
        for byte in chunk.invalid() {
            // Writing to a vector can't fail.
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_appended_whatever_their_length_and_place() {
        let source: Vec<u8> = (0..100).collect();
        for start in 0..=100 {
            for end in start..=100 {
                let mut out = b"x".to_vec();
                append(&source, start, end, &mut out);
                assert_eq!(out[1..], source[start..end]);
            }
        }
        append(&source, 90, 200, &mut Vec::new());
        append(&source, 200, 90, &mut Vec::new());
    }

    #[test]
    fn only_values_that_are_not_utf8_are_escaped() {
        let cases: [(&[u8], &str, bool); 4] = [
            (b"a\\b", "a\\b", false),
            ("\u{e9}\\".as_bytes(), "\u{e9}\\", false),
            (b"a\\b\xff", "a\\\\b\\xff", true),
            (b"\xc3\xa9\xe9", "\u{e9}\\xe9", true),
        ];
        for (bytes, text, escaped) in cases {
            let mut out = Vec::new();
            assert_eq!(push(bytes, &mut out), escaped);
            assert_eq!(out, text.as_bytes());
        }
    }
}
