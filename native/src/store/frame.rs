//! Frames: how batches lie in a journal.
//!
//! A frame is a header of 32 bytes and an Arrow IPC stream (schema, dictionaries, one batch) that stands alone. The
//! header's checksum tells a whole frame from a torn one, and its magic lets reading go on behind a damaged one. Since
//! what is logged comes from strangers, who might send something that looks like a frame, all frames of a journal share
//! a random number, and only these are looked for behind damage.
//!
//! | offset | bytes | what, little-endian |
//! | --- | --- | --- |
//! | 0 | 8 | magic |
//! | 8 | 8 | length of the stream, a multiple of 8, so that what follows is aligned as Arrow wants it |
//! | 16 | 4 | rows |
//! | 20 | 4 | CRC-32 of length, rows and stream |
//! | 24 | 8 | the journal's random number |

use std::fs::File;
use std::os::unix::fs::FileExt;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;
use arrow_ipc::writer::StreamEncoder;
use arrow_schema::ArrowError;

const MAGIC: [u8; 8] = *b"mhframe1";
pub(crate) const HEADER: usize = 32;

/// A batch is sealed below 128 MiB; what claims to be much longer is no frame of ours.
const LONGEST: u64 = 1 << 30;

/// Bytes looked through at once for the next frame behind damage.
const STRIDE: usize = 1 << 16;

struct Header {
    length: u64,
    rows: u32,
    crc: u32,
    journal: u64,
}

impl Header {
    fn bytes(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..16].copy_from_slice(&self.length.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.rows.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.crc.to_le_bytes());
        bytes[24..].copy_from_slice(&self.journal.to_le_bytes());
        bytes
    }

    fn read(bytes: &[u8; HEADER]) -> Option<Header> {
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
        let header = Header { length: long(8), rows: word(16), crc: word(20), journal: long(24) };
        (bytes[..8] == MAGIC && header.length <= LONGEST && header.length.is_multiple_of(8)).then_some(header)
    }

    fn checksum<'a>(&self, stream: impl Iterator<Item = &'a [u8]>) -> u32 {
        let mut crc = crc32fast::Hasher::new();
        crc.update(&self.length.to_le_bytes());
        crc.update(&self.rows.to_le_bytes());
        stream.for_each(|piece| crc.update(piece));
        crc.finalize()
    }
}

/// A batch as a frame, in pieces that share the batch's memory.
pub(super) fn encode(batch: &RecordBatch, journal: u64) -> Result<Vec<Buffer>, ArrowError> {
    let mut encoder = StreamEncoder::try_new(&batch.schema())?;
    let mut pieces = vec![Buffer::from(&[])];
    pieces.append(&mut encoder.encode(batch)?);
    pieces.append(&mut encoder.finish()?);
    let length: usize = pieces.iter().map(Buffer::len).sum();
    pieces.push(Buffer::from(&[0; 8][..length.next_multiple_of(8) - length]));
    let rows =
        u32::try_from(batch.num_rows()).map_err(|_| ArrowError::InvalidArgumentError("a batch too long".into()))?;
    let mut header = Header { length: length.next_multiple_of(8) as u64, rows, crc: 0, journal };
    header.crc = header.checksum(pieces.iter().map(Buffer::as_slice));
    pieces[0] = Buffer::from(&header.bytes());
    Ok(pieces)
}

/// What was found at a place of a journal.
pub(crate) enum Found {
    /// A whole frame, and where the next one begins.
    Frame {
        stream: Buffer,
        next: u64,
    },
    /// Bytes that are no whole frame, and where the next frame begins, if there is one.
    Damage {
        next: u64,
    },
    /// The bytes end inside a frame, as they do while one is being written.
    Torn,
    End,
}

/// The random number of a journal, as its first frame tells it.
pub(crate) fn journal(file: &File, end: u64) -> std::io::Result<Option<u64>> {
    let mut bytes = [0; HEADER];
    if end < HEADER as u64 {
        return Ok(None);
    }
    file.read_exact_at(&mut bytes, 0)?;
    Ok(Header::read(&bytes).map(|header| header.journal))
}

/// Looks at one place of a journal, whose bytes reach up to `end`.
pub(crate) fn at(file: &File, journal: Option<u64>, place: u64, end: u64) -> std::io::Result<Found> {
    if place >= end {
        return Ok(Found::End);
    }
    let mut bytes = [0; HEADER];
    let known = usize::try_from(end - place).unwrap_or(HEADER).min(HEADER);
    file.read_exact_at(&mut bytes[..known], place)?;
    if known < HEADER {
        let begun = known.min(MAGIC.len());
        return if bytes[..begun] == MAGIC[..begun] { Ok(Found::Torn) } else { Ok(Found::Damage { next: end }) };
    }
    let known = Header::read(&bytes).filter(|header| Some(header.journal) == journal);
    let Some(header) = known else { return damage(file, journal, place, end) };
    let next = place + HEADER as u64 + header.length;
    if next > end {
        // Either it is being written, or its length is damaged and a later frame is there.
        return Ok(match find(file, journal, place + 8, end)? {
            Some(next) => Found::Damage { next },
            None => Found::Torn,
        });
    }
    let mut stream = vec![0; usize::try_from(header.length).unwrap_or_default()];
    file.read_exact_at(&mut stream, place + HEADER as u64)?;
    if header.checksum(std::iter::once(&stream[..])) != header.crc {
        return damage(file, journal, place, end);
    }
    Ok(Found::Frame { stream: Buffer::from_vec(stream), next })
}

fn damage(file: &File, journal: Option<u64>, place: u64, end: u64) -> std::io::Result<Found> {
    Ok(Found::Damage { next: find(file, journal, place + 1, end)?.unwrap_or(end) })
}

/// The next place from `place` on where a header of this journal stands.
fn find(file: &File, journal: Option<u64>, place: u64, end: u64) -> std::io::Result<Option<u64>> {
    let (mut from, mut window) = (place, vec![0; STRIDE + MAGIC.len()]);
    while from < end {
        let length = usize::try_from(end - from).unwrap_or(usize::MAX).min(window.len());
        let seen = &mut window[..length];
        file.read_exact_at(seen, from)?;
        for found in memchr::memmem::find_iter(seen, &MAGIC) {
            let found = from + found as u64;
            let mut bytes = [0; HEADER];
            if found + HEADER as u64 <= end {
                file.read_exact_at(&mut bytes, found)?;
                if Header::read(&bytes).is_some_and(|header| Some(header.journal) == journal) {
                    return Ok(Some(found));
                }
            }
        }
        from += STRIDE as u64;
    }
    Ok(None)
}

/// The batch of a whole frame.
pub(crate) fn decode(mut stream: Buffer) -> Result<RecordBatch, ArrowError> {
    let mut decoder = StreamDecoder::new();
    let batch = decoder.decode(&mut stream)?;
    batch.ok_or_else(|| ArrowError::IpcError("a frame without a batch".to_owned()))
}
