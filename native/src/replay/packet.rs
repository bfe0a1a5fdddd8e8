//! One captured packet: what its link, network and TCP headers say.

use std::net::{IpAddr, SocketAddr};

use etherparse::err::Layer;
use etherparse::{ip_number, EtherType, LaxLinkExtSlice, LaxNetSlice, LaxSlicedPacket, TransportSlice};

use super::reader::{Record, MAX_RECORD};

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;

/// VLAN ids, outermost first, 0 where there is none: a priority tag (id 0) is on the untagged network (IEEE 802.1Q).
pub(crate) type Vlans = [u16; LaxSlicedPacket::LINK_EXTS_CAP];

/// A TCP segment as captured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet<'a> {
    /// Nanoseconds since 1970.
    pub(crate) time: u64,
    pub(crate) vlans: Vlans,
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
    /// The sequence number as it stands in the header.
    pub(crate) seq: u32,
    /// The acknowledgement number, where the ACK flag says that there is one.
    pub(crate) ack: Option<u32>,
    pub(crate) flags: Flags,
    /// The payload, as far as it was captured.
    pub(crate) bytes: &'a [u8],
    /// Length of the payload on the wire, by the IP header.
    pub(crate) span: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags {
    pub(crate) syn: bool,
    pub(crate) fin: bool,
    pub(crate) rst: bool,
}

/// Why a packet gives no segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// Not TCP over IP.
    Other,
    /// A part of an IP packet with TCP in it.
    Fragment,
    /// Damaged, or cut before the end of the TCP header.
    Damaged,
    /// A link type that is not known here.
    Link,
}

/// Reads the packet `data` of `record`.
pub(crate) fn read<'a>(record: &Record, data: &'a [u8]) -> Result<Packet<'a>, Unread> {
    let (ether_type, start) = link(record.link, data)?;
    let network = data.get(start..).ok_or(Unread::Damaged)?;
    let sliced = LaxSlicedPacket::from_ether_type(EtherType(ether_type), network);
    let Some(TransportSlice::Tcp(tcp)) = &sliced.transport else {
        return Err(unread(&sliced));
    };
    let mut vlans = Vlans::default();
    let (mut place, mut tags) = (vlans.iter_mut(), 0);
    for extension in &sliced.link_exts {
        tags += extension.header_len();
        if let (LaxLinkExtSlice::Vlan(tag), Some(place)) = (extension, place.next()) {
            *place = tag.vlan_identifier().value();
        }
    }
    // A length of 0 stands for "as the card cut it": packets captured before segmentation offload, and jumbograms.
    let wire = (record.wire.min(MAX_RECORD) as usize).saturating_sub(start + tags);
    let (source, destination, length): (IpAddr, IpAddr, usize) = match &sliced.net {
        Some(LaxNetSlice::Ipv4(ip)) => {
            let header = ip.header();
            let length = match header.total_len() {
                0 => wire,
                length => usize::from(length),
            };
            (header.source_addr().into(), header.destination_addr().into(), length)
        }
        Some(LaxNetSlice::Ipv6(ip)) => {
            let header = ip.header();
            let length = match header.payload_length() {
                0 => wire,
                length => header.slice().len() + usize::from(length),
            };
            (header.source_addr().into(), header.destination_addr().into(), length)
        }
        _ => return Err(Unread::Other),
    };
    let bytes = tcp.payload();
    let before = (bytes.as_ptr() as usize).saturating_sub(network.as_ptr() as usize + tags);
    let span = length.saturating_sub(before).max(bytes.len());
    Ok(Packet {
        time: record.time,
        vlans,
        source: SocketAddr::new(source, tcp.source_port()),
        destination: SocketAddr::new(destination, tcp.destination_port()),
        seq: tcp.sequence_number(),
        ack: tcp.ack().then(|| tcp.acknowledgment_number()),
        flags: Flags { syn: tcp.syn(), fin: tcp.fin(), rst: tcp.rst() },
        bytes,
        span: u32::try_from(span).unwrap_or(u32::MAX),
    })
}

/// `EtherType` of what the link header carries, and where that begins.
fn link(link: u16, data: &[u8]) -> Result<(u16, usize), Unread> {
    let number = |at: usize| match data.get(at..at + 2) {
        Some(&[high, low]) => Ok(u16::from_be_bytes([high, low])),
        _ => Err(Unread::Damaged),
    };
    match link {
        // Ethernet
        1 => Ok((number(12)?, 14)),
        // Linux cooked capture, the old and the new
        113 => Ok((number(14)?, 16)),
        276 => Ok((number(0)?, 20)),
        // BSD loopback: the address family, in the byte order of whoever captured (0) or of the network (108)
        0 | 108 => match (number(0)?, number(2)?) {
            (family, 0) => family_type(family.swap_bytes()),
            (_, family) => family_type(family),
        }
        .map(|ether_type| (ether_type, 4)),
        // IP without a link header
        12 | 101 | 228 | 229 => match data.first().map(|first| first >> 4) {
            Some(4) => Ok((IPV4, 0)),
            Some(6) => Ok((IPV6, 0)),
            Some(_) => Err(Unread::Other),
            None => Err(Unread::Damaged),
        },
        _ => Err(Unread::Link),
    }
}

/// `AF_INET` is 2 everywhere; `AF_INET6` is 24 on NetBSD and OpenBSD, 28 on FreeBSD, 30 on macOS, 10 on Linux.
fn family_type(family: u16) -> Result<u16, Unread> {
    match family {
        2 => Ok(IPV4),
        10 | 24 | 28 | 30 => Ok(IPV6),
        _ => Err(Unread::Other),
    }
}

fn unread(sliced: &LaxSlicedPacket<'_>) -> Unread {
    let payload = sliced.net.as_ref().and_then(LaxNetSlice::ip_payload_ref);
    if payload.is_some_and(|ip| ip.fragmented && ip.ip_number == ip_number::TCP) {
        return Unread::Fragment;
    }
    match &sliced.stop_err {
        Some((_, Layer::Icmpv4 | Layer::Icmpv6 | Layer::UdpHeader | Layer::Igmp | Layer::Arp)) | None => Unread::Other,
        Some(_) => Unread::Damaged,
    }
}
