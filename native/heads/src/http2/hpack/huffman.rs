//! Strings in Huffman code (RFC 7541, section 5.2 and appendix B).
//!
//! The code is canonical: of one length, codes count up in the order of their symbols, and a longer one continues where
//! the shorter ended. So the lengths are the whole table.

/// Bits of the code of each octet, then of EOS.
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

const LONGEST: usize = 30;
const EOS: u16 = 256;
/// Codes of up to this many bits are found by one look-up; these are all that text is made of.
const QUICK: usize = 10;
/// Where the length begins in an entry of the quick table; below it is the symbol.
const SHIFT: u32 = 9;

struct Code {
    /// By the next `QUICK` bits: length and symbol; zero where the code is longer.
    quick: [u16; 1 << QUICK],
    /// Symbols in the order of their codes.
    symbols: [u16; 257],
    /// By length: its first code, where that stands in `symbols`, and how many there are.
    first: [u32; LONGEST + 1],
    offset: [u16; LONGEST + 1],
    count: [u16; LONGEST + 1],
}

static CODE: Code = build();

#[allow(clippy::cast_possible_truncation, reason = "lengths are at most 30, symbols 256")]
#[allow(clippy::large_stack_arrays, reason = "made by the compiler")]
const fn build() -> Code {
    let mut code = Code {
        quick: [0; 1 << QUICK],
        symbols: [0; 257],
        first: [0; LONGEST + 1],
        offset: [0; LONGEST + 1],
        count: [0; LONGEST + 1],
    };
    let (mut next, mut place, mut length) = (0_u32, 0_usize, 1_usize);
    while length <= LONGEST {
        next <<= 1;
        code.first[length] = next;
        code.offset[length] = place as u16;
        let mut symbol = 0;
        while symbol < LENGTHS.len() {
            if LENGTHS[symbol] as usize == length {
                code.symbols[place] = symbol as u16;
                if length <= QUICK {
                    let from = (next as usize) << (QUICK - length);
                    let mut at = from;
                    while at < from + (1 << (QUICK - length)) {
                        code.quick[at] = (length as u16) << SHIFT | symbol as u16;
                        at += 1;
                    }
                }
                place += 1;
                next += 1;
                code.count[length] += 1;
            }
            symbol += 1;
        }
        length += 1;
    }
    code
}

/// Not a string in this code: padding of more than seven bits or other than ones, or the symbol EOS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Invalid;

/// Decodes a whole string, and appends it.
pub(super) fn decode(data: &[u8], out: &mut Vec<u8>) -> Result<(), Invalid> {
    // The shortest code has five bits.
    out.reserve(data.len() * 8 / 5 + 1);
    let (mut at, mut window, mut bits) = (0_usize, 0_u64, 0_u32);
    loop {
        // The next bits stand at the top of the window; behind the last one there are ones, as in the padding.
        if bits <= 56 {
            if let Some(eight) = data.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
                window |= u64::from_be_bytes(*eight) >> bits;
                let whole = (64 - bits) / 8;
                at += whole as usize;
                bits += whole * 8;
            } else {
                while let (true, Some(byte)) = (bits <= 56, data.get(at)) {
                    window |= u64::from(*byte) << (56 - bits);
                    at += 1;
                    bits += 8;
                }
            }
            // Bits of a part of a byte were taken too: the byte comes again.
            window &= !(u64::MAX.checked_shr(bits).unwrap_or(0));
        }
        let padded = window | u64::MAX.checked_shr(bits).unwrap_or(0);
        let (symbol, length) = next(padded);
        if length > bits {
            // Only padding is left, or a code that was cut short.
            return if bits < 8 && padded == u64::MAX { Ok(()) } else { Err(Invalid) };
        }
        match u8::try_from(symbol) {
            Ok(octet) => out.push(octet),
            Err(_) => return Err(Invalid),
        }
        window <<= length;
        bits -= length;
    }
}

/// The symbol at the top of the window, and the length of its code.
#[allow(clippy::cast_possible_truncation, reason = "shifted down to fewer bits before")]
fn next(window: u64) -> (u16, u32) {
    let entry = CODE.quick[(window >> (64 - QUICK)) as usize];
    if entry != 0 {
        return (entry & ((1 << SHIFT) - 1), u32::from(entry >> SHIFT));
    }
    for length in QUICK + 1..=LONGEST {
        let above = ((window >> (64 - length)) as u32).wrapping_sub(CODE.first[length]);
        if above < u32::from(CODE.count[length]) {
            let place = usize::from(CODE.offset[length]) + above as usize;
            return (CODE.symbols.get(place).copied().unwrap_or(EOS), length as u32);
        }
    }
    (EOS, LONGEST as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(data: &[u8]) -> Result<String, Invalid> {
        let mut out = Vec::new();
        decode(data, &mut out).map(|()| String::from_utf8(out).unwrap())
    }

    /// RFC 7541, appendix C.4 and C.6.
    #[test]
    fn the_examples_of_the_specification_are_decoded() {
        let all: [(&[u8], &str); 4] = [
            (&[0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff], "www.example.com"),
            (&[0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf], "no-cache"),
            (&[0x64, 0x02], "302"),
            (&[], ""),
        ];
        for (data, expected) in all {
            assert_eq!(text(data).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn every_octet_is_decoded_from_its_code() {
        for symbol in 0..=255_u16 {
            let length = usize::from(LENGTHS[usize::from(symbol)]);
            let rank = (0..symbol).filter(|other| usize::from(LENGTHS[usize::from(*other)]) == length).count();
            let code = u64::from(CODE.first[length]) + rank as u64;
            let bits = (code << (64 - length)) | (u64::MAX >> length);
            let mut out = Vec::new();
            assert_eq!(decode(&bits.to_be_bytes()[..length.div_ceil(8)], &mut out), Ok(()));
            assert_eq!(out, [u8::try_from(symbol).unwrap()]);
        }
    }

    #[test]
    fn what_is_no_string_in_this_code_is_refused() {
        // Eight bits of padding; padding of zeros; EOS; a code cut short.
        for data in [&[0xff][..], &[0x07, 0xff], &[0x00], &[0xff, 0xff, 0xff, 0xff], &[0xff, 0xfe]] {
            assert_eq!(text(data), Err(Invalid), "{data:x?}");
        }
    }
}
