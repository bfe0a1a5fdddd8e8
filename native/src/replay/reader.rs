//! A capture file as a row of packets.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::path::Path;

use super::input::{Filled, Window};
use super::packet::{self, Packet, Unread};
use super::pcap;
use super::pcapng::{self, Sections};
use super::problems::Problems;
use tls::secrets::Secrets;

/// Bytes of one packet or block at most. The largest packets that exist (BIG TCP on loopback) have 512 KiB; a number
/// beyond this is damage, and must not become an allocation.
pub(crate) const MAX_RECORD: u32 = 16 << 20;

/// One captured packet; its bytes are in the window until the next is read.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// Nanoseconds since 1970.
    pub(crate) time: u64,
    /// Link type (<https://www.tcpdump.org/linktypes.html>).
    pub(crate) link: u16,
    /// Where the packet lies, counted from the start of its record.
    pub(crate) data: Range<usize>,
    /// Length on the wire.
    pub(crate) wire: u32,
    /// Length of the record.
    pub(crate) length: u64,
}

/// Why there is no next record.
#[derive(Debug)]
pub(crate) enum Stop {
    End,
    Interrupted,
    /// Nothing behind this place can be read.
    Damaged(String),
    /// A packet was there and can't be read (its problem is told); it is as long as this.
    Lost(u64),
}

/// Brings the next `count` bytes into the window.
pub(crate) fn need(window: &mut Window, count: usize) -> Result<(), Stop> {
    match window.fill(count) {
        Filled::Yes => Ok(()),
        Filled::Interrupted => Err(Stop::Interrupted),
        Filled::Ended if window.here().is_empty() && !window.ended_early() => Err(Stop::End),
        Filled::Ended => Err(Stop::Damaged(format!("the file ends here ({} of {count} bytes)", window.here().len()))),
    }
}

pub(crate) enum Step {
    Record(Record),
    Interrupted,
    End,
}

/// Why a file can't be read at all.
#[derive(Debug)]
pub(crate) enum OpenError {
    Io(std::io::Error),
    Empty,
    Short,
    Unknown([u8; 4]),
}

impl fmt::Display for OpenError {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Without the "(os error 2)" that people have no use for.
            OpenError::Io(error) => {
                let text = error.to_string();
                to.write_str(text.split(" (os error").next().unwrap_or(&text))
            }
            OpenError::Empty => write!(to, "the file is empty"),
            OpenError::Short => write!(to, "the file ends within its header"),
            OpenError::Unknown([a, b, c, d]) => write!(
                to,
                "neither pcap nor pcapng (it begins with {a:02x} {b:02x} {c:02x} {d:02x}); \
                 convert it with `editcap -F pcapng`"
            ),
        }
    }
}

impl std::error::Error for OpenError {}

/// What was in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// All packets, those that could not be read too.
    pub(crate) packets: u64,
    pub(crate) tcp: u64,
    /// TCP payload on the wire.
    pub(crate) payload_bytes: u64,
    /// Fragments of IP packets: they are not put together, so what they carry is missing.
    pub(crate) fragments: u64,
    /// Neither TCP nor a fragment.
    pub(crate) other: u64,
    /// Link type unknown here.
    pub(crate) link_unknown: u64,
    /// Damaged, or cut before the end of the TCP header.
    pub(crate) unreadable: u64,
}

impl Counts {
    /// Every packet is accounted for.
    pub(crate) fn closed(&self) -> bool {
        self.packets == self.tcp + self.fragments + self.other + self.link_unknown + self.unreadable
    }
}

enum Format {
    Pcap(pcap::Format),
    Pcapng(Sections),
}

/// A capture file, read packet by packet.
pub(crate) struct Reader {
    window: Window,
    format: Format,
    /// Length of the record that was handed out last.
    current: u64,
    counts: Counts,
    problems: Problems,
    unknown_links: BTreeSet<u16>,
    ended: bool,
}

impl fmt::Debug for Reader {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("Reader")
            .field("counts", &self.counts)
            .field("problems", &self.problems)
            .finish_non_exhaustive()
    }
}

impl Reader {
    /// Opens a file by its path; `-` is standard input.
    pub(crate) fn open(path: &Path) -> Result<Self, OpenError> {
        Self::new(Window::open(path).map_err(OpenError::Io)?)
    }

    /// Reads a capture from memory.
    #[cfg(test)]
    pub(crate) fn of(bytes: Vec<u8>) -> Result<Self, OpenError> {
        let window = Window::new(Box::new(std::io::Cursor::new(bytes)), false);
        Self::new(window.decompressed().map_err(OpenError::Io)?)
    }

    fn new(mut window: Window) -> Result<Self, OpenError> {
        window.fill_patiently(4);
        if let Some(error) = window.error() {
            return Err(OpenError::Io(error));
        }
        let magic: [u8; 4] = match window.here() {
            [] => return Err(OpenError::Empty),
            [a, b, c, d, ..] => [*a, *b, *c, *d],
            _ => return Err(OpenError::Short),
        };
        let format = if pcapng::recognizes(magic) {
            Format::Pcapng(Sections::default())
        } else if pcap::recognizes(magic) {
            Format::Pcap(pcap::Format::read(&mut window).ok_or(OpenError::Short)?)
        } else {
            return Err(OpenError::Unknown(magic));
        };
        Ok(Self {
            window,
            format,
            current: 0,
            counts: Counts::default(),
            problems: Problems::default(),
            unknown_links: BTreeSet::new(),
            ended: false,
        })
    }

    /// Secrets that the file had on the way to its last record (Decryption Secrets Blocks).
    pub(crate) fn secrets(&mut self) -> Option<Secrets> {
        match &mut self.format {
            Format::Pcapng(sections) => sections.secrets(),
            Format::Pcap(_) => None,
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// What was damaged, one line each. Offsets count from the start of the file, of a gzip file decompressed.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut lines = self.problems.lines();
        let Counts { fragments, unreadable, .. } = self.counts;
        if fragments > 0 {
            lines.push(format!("{fragments} packets are IP fragments; what they carry is not read"));
        }
        if unreadable > 0 {
            lines.push(format!("{unreadable} packets are damaged, or cut before the end of their TCP header"));
        }
        lines
    }

    /// Whether reading on may wait for a writer.
    pub(crate) fn drained(&self) -> bool {
        let least = match &self.format {
            Format::Pcap(format) => format.least(),
            Format::Pcapng(_) => pcapng::LEAST,
        };
        self.window.would_wait(usize::try_from(self.current).unwrap_or(usize::MAX).saturating_add(least))
    }

    /// The next packet of the file, of whatever kind.
    pub(crate) fn advance(&mut self) -> Step {
        if self.ended {
            return Step::End;
        }
        self.window.consume(std::mem::take(&mut self.current));
        loop {
            let (problems, number) = (&mut self.problems, self.counts.packets + 1);
            let next = match &mut self.format {
                Format::Pcap(format) => format.next(&mut self.window),
                Format::Pcapng(sections) => sections.next(&mut self.window, |at, what| problems.at(number, at, what)),
            };
            match next {
                Ok(record) => {
                    self.counts.packets += 1;
                    self.current = record.length;
                    return Step::Record(record);
                }
                Err(Stop::Interrupted) => return Step::Interrupted,
                Err(Stop::Lost(length)) => {
                    self.counts.packets += 1;
                    self.counts.unreadable += 1;
                    self.window.consume(length);
                }
                Err(stop) => {
                    self.end(&stop);
                    return Step::End;
                }
            }
        }
    }

    fn end(&mut self, stop: &Stop) {
        self.ended = true;
        let (number, offset) = (self.counts.packets + 1, self.window.offset());
        if let Some(error) = self.window.error() {
            self.problems.at(number, offset, &format!("reading failed: {error}"));
        }
        if let Stop::Damaged(what) = stop {
            self.problems.at(number, offset, what);
        }
    }

    /// The TCP segment in a record, where it is one. `record` must be the last that [`Self::advance`] gave.
    pub(crate) fn packet(&mut self, record: &Record) -> Option<Packet<'_>> {
        let data = self.window.here().get(record.data.clone()).unwrap_or_default();
        match packet::read(record, data) {
            Ok(packet) => {
                self.counts.tcp += 1;
                self.counts.payload_bytes += u64::from(packet.span);
                return Some(packet);
            }
            Err(Unread::Other) => self.counts.other += 1,
            Err(Unread::Fragment) => self.counts.fragments += 1,
            Err(Unread::Damaged) => self.counts.unreadable += 1,
            Err(Unread::Link) => {
                self.counts.link_unknown += 1;
                if self.unknown_links.insert(record.link) {
                    let what = format!("link type {} is not known here; packets of it are left out", record.link);
                    self.problems.at(self.counts.packets, self.window.offset(), &what);
                }
            }
        }
        None
    }
}
