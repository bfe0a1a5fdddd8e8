//! JSON strings (RFC 8259, section 7).

/// What stands for each byte: 0 for itself, `u` for `\u00XX`, else the letter after the backslash.
const ESCAPES: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = b'u';
        byte += 1;
    }
    table[0x08] = b'b';
    table[0x09] = b't';
    table[0x0a] = b'n';
    table[0x0c] = b'f';
    table[0x0d] = b'r';
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table
};

/// Nothing in the text needs an escape. Eight bytes at a time, without a branch for each.
#[inline]
pub(crate) fn is_plain(text: &[u8]) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHS: u64 = ONES << 7;
    let has_zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    let escaped = |word: u64| {
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        control | has_zero(word ^ (ONES * 0x22)) | has_zero(word ^ (ONES * 0x5c))
    };
    let (words, rest) = text.as_chunks::<8>();
    let found = words.iter().fold(0, |found, word| found | escaped(u64::from_ne_bytes(*word)));
    found == 0 && rest.iter().all(|&byte| ESCAPES[usize::from(byte)] == 0)
}

/// Appends `text` as the inside of a JSON string.
#[inline]
pub(crate) fn push(text: &[u8], out: &mut Vec<u8>) {
    if is_plain(text) {
        out.extend_from_slice(text);
    } else {
        push_escaped(text, out);
    }
}

fn push_escaped(text: &[u8], out: &mut Vec<u8>) {
    let mut copied = 0;
    for (at, &byte) in text.iter().enumerate() {
        let letter = ESCAPES[usize::from(byte)];
        if letter == 0 {
            continue;
        }
        out.extend_from_slice(&text[copied..at]);
        copied = at + 1;
        if letter == b'u' {
            let hex = b"0123456789abcdef";
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&[hex[usize::from(byte >> 4)], hex[usize::from(byte & 15)]]);
        } else {
            out.extend_from_slice(&[b'\\', letter]);
        }
    }
    out.extend_from_slice(&text[copied..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_in_every_place_of_a_word_comes_back_from_a_parser() {
        for code in (0..0x100).map(|code| char::from_u32(code).unwrap()) {
            for place in 0..17 {
                let mut text = "abcdefghijklmnopq".to_owned();
                text.replace_range(place..=place, &code.to_string());
                let mut out = vec![b'"'];
                push(text.as_bytes(), &mut out);
                out.push(b'"');
                assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
            }
        }
    }
}
