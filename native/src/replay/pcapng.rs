//! The pcapng format (draft-ietf-opsawg-pcapng): blocks, in sections, from several interfaces.

use std::ops::Range;

use pcap_parser::pcapng::{parse_block_be, parse_block_le, Block, InterfaceDescriptionBlock, OptionCode};

use tls::keylog;
use tls::secrets::Secrets;

use super::input::Window;
use super::reader::{need, Record, Stop, MAX_RECORD};

const SECTION_HEADER: u32 = 0x0A0D_0D0A;
const INTERFACE: u32 = 1;
/// The Packet Block, obsolete since 2004 and still found.
const OLD_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;
const SECRETS: u32 = 0xA;
/// "TLSK": secrets in the format of SSLKEYLOGFILE.
const TLS_KEY_LOG: u32 = 0x544c_534b;
const BYTE_ORDER: u32 = 0x1A2B_3C4D;

/// Type, length, length again: the shortest block.
pub(crate) const LEAST: usize = 12;
/// Interfaces kept for one section; more than any machine has, and what bounds the memory.
const MAX_INTERFACES: usize = 1 << 16;

pub(crate) fn recognizes(magic: [u8; 4]) -> bool {
    u32::from_le_bytes(magic) == SECTION_HEADER
}

/// One interface of the section.
#[derive(Clone, Copy, Debug)]
struct Interface {
    link: u16,
    snaplen: u32,
    /// `if_tsresol`, as it stands in the option.
    resolution: u8,
    /// `if_tsoffset`, seconds.
    offset: i64,
}

impl Interface {
    fn new(block: &InterfaceDescriptionBlock<'_>, big_endian: bool) -> Self {
        // Not `block.if_tsoffset`: pcap-parser 0.17 reads it as little-endian in every section.
        let offset = block
            .options
            .iter()
            .find(|option| option.code == OptionCode::IfTsoffset)
            .and_then(|option| <[u8; 8]>::try_from(option.value()).ok())
            .map_or(0, |bytes| if big_endian { i64::from_be_bytes(bytes) } else { i64::from_le_bytes(bytes) });
        Self {
            link: block.linktype.0.try_into().unwrap_or(u16::MAX),
            snaplen: block.snaplen,
            resolution: block.if_tsresol,
            offset,
        }
    }

    /// A stamp of this interface as nanoseconds since 1970; 0 where it is before.
    fn time(self, high: u32, low: u32) -> u64 {
        let stamp = (u128::from(high) << 32) | u128::from(low);
        let exponent = u32::from(self.resolution & 0x7f);
        // A stamp has 64 bits, so finer units than these leave nothing of it.
        let nanoseconds = if self.resolution & 0x80 != 0 {
            (stamp * 1_000_000_000).checked_shr(exponent).unwrap_or(0)
        } else {
            10u128.checked_pow(exponent).map_or(0, |unit| stamp * 1_000_000_000 / unit)
        };
        let offset = i128::from(self.offset) * 1_000_000_000;
        let time = i128::try_from(nanoseconds).unwrap_or(i128::MAX).saturating_add(offset);
        u64::try_from(time.max(0)).unwrap_or(u64::MAX)
    }
}

/// The section that is being read.
#[derive(Debug, Default)]
pub(crate) struct Sections {
    big_endian: bool,
    interfaces: Vec<Interface>,
    /// Time of the packet before: all that is known of one without a stamp.
    time: u64,
    told_of_no_time: bool,
    secrets: Secrets,
}

/// One block, whole in the window.
struct Whole {
    kind: u32,
    length: usize,
}

/// What a block turned out to be.
enum Content {
    Packet { interface: usize, stamp: Option<(u32, u32)>, data: Range<usize>, wire: u32 },
    Other,
}

impl Sections {
    /// The next packet; its data stays in the window. What was damaged on the way is told to `problem`.
    pub(crate) fn next(&mut self, window: &mut Window, mut problem: impl FnMut(u64, &str)) -> Result<Record, Stop> {
        loop {
            let Some(block) = self.whole(window, &mut problem)? else {
                continue;
            };
            if block.kind == SECRETS {
                let bytes = window.here().get(..block.length).unwrap_or_default();
                let at = window.offset();
                self.learn(bytes, |what| problem(at, what));
            }
            let content = self.content(window.here().get(..block.length).unwrap_or_default(), &block);
            match content.and_then(|content| self.record(content, block.length)) {
                Ok(Some((record, remark))) => {
                    if let Some(remark) = remark {
                        problem(window.offset(), remark);
                    }
                    return Ok(record);
                }
                Ok(None) => {}
                Err(what) => {
                    problem(window.offset(), what);
                    if is_packet(block.kind) {
                        return Err(Stop::Lost(block.length as u64));
                    }
                }
            }
            window.consume(block.length as u64);
        }
    }

    /// Brings the next block into the window; `None` where it was passed over.
    fn whole(&mut self, window: &mut Window, problem: &mut impl FnMut(u64, &str)) -> Result<Option<Whole>, Stop> {
        need(window, LEAST)?;
        let head = window.here();
        let section = word(head, 0, false) == SECTION_HEADER;
        if section {
            self.big_endian = match (word(head, 8, false), word(head, 8, true)) {
                (BYTE_ORDER, _) => false,
                (_, BYTE_ORDER) => true,
                _ => {
                    return Err(Stop::Damaged(
                        "a section of unknown byte order; the rest of the file is not read".into(),
                    ))
                }
            };
            self.interfaces.clear();
        }
        let (kind, length) = (word(head, 0, self.big_endian), word(head, 4, self.big_endian));
        if (length as usize) < LEAST {
            return Err(Stop::Damaged(format!(
                "a block claims a length of {length} bytes; the rest of the file is not read"
            )));
        }
        if length > MAX_RECORD {
            problem(window.offset(), &format!("a block claims {length} bytes, more than any packet has; passed over"));
            window.consume(u64::from(length));
            return if is_packet(kind) { Err(Stop::Lost(0)) } else { Ok(None) };
        }
        let length = length as usize;
        need(window, length)?;
        if word(window.here(), length - 4, self.big_endian) as usize != length {
            problem(window.offset(), "the lengths before and after a block differ; passed over");
            window.consume(length as u64);
            return if is_packet(kind) { Err(Stop::Lost(0)) } else { Ok(None) };
        }
        Ok(Some(Whole { kind, length }))
    }

    /// Parses one block; a section header and an interface are taken in.
    fn content(&mut self, bytes: &[u8], block: &Whole) -> Result<Content, &'static str> {
        if block.kind == OLD_PACKET {
            return self.old_packet(bytes);
        }
        if !matches!(block.kind, INTERFACE | SIMPLE_PACKET | ENHANCED_PACKET) {
            return Ok(Content::Other);
        }
        let parsed = if self.big_endian { parse_block_be(bytes) } else { parse_block_le(bytes) };
        match parsed {
            Ok((_, Block::EnhancedPacket(packet))) => Ok(Content::Packet {
                interface: packet.if_id as usize,
                stamp: Some((packet.ts_high, packet.ts_low)),
                data: 28..28 + packet.caplen as usize,
                wire: packet.origlen,
            }),
            Ok((_, Block::SimplePacket(packet))) => Ok(self.simple_packet(packet.origlen, packet.data.len())),
            Ok((_, Block::InterfaceDescription(interface))) if self.interfaces.len() < MAX_INTERFACES => {
                self.interfaces.push(Interface::new(&interface, self.big_endian));
                Ok(Content::Other)
            }
            Ok((_, Block::InterfaceDescription(_))) => Err("more interfaces than a section may have; left out"),
            _ if block.kind == INTERFACE => {
                // Its place is kept, so that the numbers of those that follow stay true.
                self.interfaces.push(Interface { link: u16::MAX, snaplen: 0, resolution: 6, offset: 0 });
                Err("a damaged interface description; its packets are left out")
            }
            _ => Err("a damaged packet block; left out"),
        }
    }

    /// Takes in what a Decryption Secrets Block has for TLS (draft-ietf-opsawg-pcapng, section 4.7).
    fn learn(&mut self, bytes: &[u8], mut problem: impl FnMut(&str)) {
        if word(bytes, 8, self.big_endian) != TLS_KEY_LOG {
            return;
        }
        let length = word(bytes, 12, self.big_endian) as usize;
        let Some(log) = bytes.get(16..bytes.len() - 4).and_then(|rest| rest.get(..length)) else {
            return problem("a Decryption Secrets Block that claims more bytes than it has; left out");
        };
        let mut reader = keylog::Reader::default();
        let mut tell = |line, fault: keylog::Fault| {
            problem(&format!("a Decryption Secrets Block, line {line}: {}", fault.text()));
        };
        reader.feed(log, &mut self.secrets, &mut tell);
        reader.finish(&mut self.secrets, &mut tell);
    }

    /// Hands over the secrets that have come since.
    pub(crate) fn secrets(&mut self) -> Option<Secrets> {
        (!self.secrets.is_empty()).then(|| std::mem::take(&mut self.secrets))
    }

    /// A Simple Packet Block is as long as the wire says, or as the first interface cuts, without a time.
    fn simple_packet(&self, wire: u32, room: usize) -> Content {
        let cut = self.interfaces.first().map_or(0, |first| first.snaplen);
        let captured = if cut == 0 { wire } else { wire.min(cut) };
        let end = 12 + room.min(captured as usize);
        Content::Packet { interface: 0, stamp: None, data: 12..end, wire }
    }

    fn old_packet(&self, bytes: &[u8]) -> Result<Content, &'static str> {
        if bytes.len() < 32 {
            return Err("a damaged packet block; left out");
        }
        let number = [bytes[8], bytes[9]];
        let number = if self.big_endian { u16::from_be_bytes(number) } else { u16::from_le_bytes(number) };
        let word = |at| word(bytes, at, self.big_endian);
        Ok(Content::Packet {
            interface: usize::from(number),
            stamp: Some((word(12), word(16))),
            data: 28..28 + word(20) as usize,
            wire: word(24),
        })
    }

    fn record(
        &mut self,
        content: Content,
        length: usize,
    ) -> Result<Option<(Record, Option<&'static str>)>, &'static str> {
        let Content::Packet { interface, stamp, data, wire } = content else {
            return Ok(None);
        };
        if data.end > length - 4 {
            return Err("a packet that claims more bytes than its block has; left out");
        }
        let interface =
            self.interfaces.get(interface).ok_or("a packet of an interface that is not described; left out")?;
        let mut remark = None;
        match stamp {
            Some((high, low)) => self.time = interface.time(high, low),
            None if self.told_of_no_time => {}
            None => {
                self.told_of_no_time = true;
                remark = Some("a packet without a time (Simple Packet Block): it and others like it have the time of the packet before");
            }
        }
        let record = Record { time: self.time, link: interface.link, data, wire, length: length as u64 };
        Ok(Some((record, remark)))
    }
}

fn is_packet(kind: u32) -> bool {
    matches!(kind, OLD_PACKET | SIMPLE_PACKET | ENHANCED_PACKET)
}

/// The 32-bit number at `at`; 0 where it is not there.
fn word(bytes: &[u8], at: usize, big_endian: bool) -> u32 {
    let Some(Ok(bytes)) = bytes.get(at..at + 4).map(<[u8; 4]>::try_from) else {
        return 0;
    };
    if big_endian {
        u32::from_be_bytes(bytes)
    } else {
        u32::from_le_bytes(bytes)
    }
}
