//! The classic pcap format (<https://www.tcpdump.org/manpages/pcap-savefile.5.txt>), in either byte order, with
//! microseconds or nanoseconds, and Kuznetzov's variant with its longer record headers.

use super::input::Window;
use super::reader::{need, Record, Stop, MAX_RECORD};

/// Length of the file header.
const HEADER: usize = 24;
/// Kuznetzov's variant as a big-endian machine writes it; `pcap_parser` knows only the other order.
const KUZNETZOV_BIG_ENDIAN: [u8; 4] = [0xa1, 0xb2, 0xcd, 0x34];
const BIG_ENDIAN: [u8; 4] = [0xa1, 0xb2, 0xc3, 0xd4];

/// What the file header says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Format {
    big_endian: bool,
    nanoseconds: bool,
    record_header: usize,
    link: u16,
}

/// Whether a file with these first bytes is classic pcap.
pub(crate) fn recognizes(magic: [u8; 4]) -> bool {
    const LITTLE_ENDIAN: [u32; 3] = [0xa1b2_c3d4, 0xa1b2_3c4d, 0xa1b2_cd34];
    LITTLE_ENDIAN.contains(&u32::from_le_bytes(magic)) || LITTLE_ENDIAN.contains(&u32::from_be_bytes(magic))
}

impl Format {
    /// Reads the file header; `None` where the file ends in it.
    pub(crate) fn read(window: &mut Window) -> Option<Self> {
        window.fill_patiently(HEADER);
        let mut header = [0; HEADER];
        header.copy_from_slice(window.here().get(..HEADER)?);
        let modified = header.starts_with(&KUZNETZOV_BIG_ENDIAN);
        if modified {
            header[..4].copy_from_slice(&BIG_ENDIAN);
        }
        let (_, parsed) = pcap_parser::parse_pcap_header(&header).ok()?;
        window.consume(HEADER as u64);
        Some(Self {
            big_endian: parsed.is_bigendian(),
            nanoseconds: parsed.is_nanosecond_precision(),
            record_header: if modified || parsed.is_modified_format() { 24 } else { 16 },
            // The upper half tells of the frame check sequence, which the IP length trims anyway.
            link: (parsed.network.0 & 0xffff).try_into().unwrap_or(u16::MAX),
        })
    }

    /// Bytes that the next record needs at least.
    pub(crate) fn least(self) -> usize {
        self.record_header
    }

    /// The next record; its data stays in the window, behind the header.
    pub(crate) fn next(self, window: &mut Window) -> Result<Record, Stop> {
        need(window, self.record_header)?;
        let word = |at: usize| {
            let mut bytes = [0; 4];
            bytes.copy_from_slice(window.here().get(at..at + 4).unwrap_or(&[0; 4]));
            if self.big_endian {
                u32::from_be_bytes(bytes)
            } else {
                u32::from_le_bytes(bytes)
            }
        };
        let (seconds, fraction, captured, wire) = (word(0), word(4), word(8), word(12));
        if captured > MAX_RECORD {
            // Nothing in the format says where the next record would begin.
            return Err(Stop::Damaged(format!(
                "claims {captured} captured bytes, more than any packet has; the rest of the file is not read"
            )));
        }
        let end = self.record_header + captured as usize;
        need(window, end)?;
        let unit = if self.nanoseconds { 1 } else { 1000 };
        Ok(Record {
            time: u64::from(seconds) * 1_000_000_000 + u64::from(fraction) * unit,
            link: self.link,
            data: self.record_header..end,
            wire,
            length: end as u64,
        })
    }
}
