//! Protocol Buffers' wire format, as far as OTLP needs it (protobuf.dev, "Encoding"): varints, fixed widths, and texts
//! and messages behind their length.

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const LENGTH: u32 = 2;
const FIXED32: u32 = 5;

pub(super) fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(low(number) | 0x80);
        number >>= 7;
    }
    out.push(low(number));
}

/// The lowest seven bits.
#[allow(clippy::cast_possible_truncation, reason = "the mask leaves seven bits")]
fn low(number: u64) -> u8 {
    (number & 0x7f) as u8
}

/// How many bytes a varint takes.
pub(super) fn width(number: u64) -> usize {
    (64 - (number | 1).leading_zeros() as usize).div_ceil(7)
}

fn tag(field: u32, kind: u32, out: &mut Vec<u8>) {
    varint(u64::from(field << 3 | kind), out);
}

pub(super) fn number(field: u32, number: u64, out: &mut Vec<u8>) {
    tag(field, VARINT, out);
    varint(number, out);
}

pub(super) fn fixed64(field: u32, number: u64, out: &mut Vec<u8>) {
    tag(field, FIXED64, out);
    out.extend_from_slice(&number.to_le_bytes());
}

pub(super) fn fixed32(field: u32, number: u32, out: &mut Vec<u8>) {
    tag(field, FIXED32, out);
    out.extend_from_slice(&number.to_le_bytes());
}

pub(super) fn double(field: u32, number: f64, out: &mut Vec<u8>) {
    fixed64(field, number.to_bits(), out);
}

/// The beginning of a text or message of this length; its bytes follow.
pub(super) fn length(field: u32, length: usize, out: &mut Vec<u8>) {
    tag(field, LENGTH, out);
    varint(length as u64, out);
}

pub(super) fn bytes(field: u32, bytes: &[u8], out: &mut Vec<u8>) {
    length(field, bytes.len(), out);
    out.extend_from_slice(bytes);
}

/// How many bytes a text or message of this length takes with its tag (of one byte) and its length.
pub(super) fn sized(length: usize) -> usize {
    1 + width(length as u64) + length
}

/// A message that is written first and measured afterwards.
pub(super) fn message(field: u32, out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
    // Five bytes hold any length below 32 GiB; a varint may be longer than it need be.
    tag(field, LENGTH, out);
    let place = out.len();
    out.extend_from_slice(&[0; 5]);
    fill(out);
    let length = (out.len() - place - 5) as u64;
    for (index, byte) in out[place..place + 5].iter_mut().enumerate() {
        let more = if index < 4 { 0x80 } else { 0 };
        *byte = low(length >> (7 * index)) | more;
    }
}
