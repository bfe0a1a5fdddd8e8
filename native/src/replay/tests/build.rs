//! Packets and capture files, made by hand.

use std::net::{IpAddr, SocketAddr};

/// Nanoseconds: 2023-11-14T22:13:20Z.
pub(super) const EPOCH: u64 = 1_700_000_000_000_000_000;
pub(super) const CLIENT: &str = "10.0.0.1:40000";
pub(super) const SERVER: &str = "10.0.0.2:80";

pub(super) const FIN: u8 = 1;
pub(super) const SYN: u8 = 2;
pub(super) const RST: u8 = 4;
pub(super) const ACK: u8 = 16;

/// One TCP segment before it is put into packets.
#[derive(Clone, Debug)]
pub(super) struct Tcp {
    pub(super) source: SocketAddr,
    pub(super) destination: SocketAddr,
    pub(super) seq: u32,
    pub(super) ack: u32,
    pub(super) flags: u8,
    pub(super) payload: Vec<u8>,
}

impl Tcp {
    pub(super) fn new(source: &str, destination: &str, flags: u8, seq: u32, ack: u32, payload: &str) -> Self {
        let (source, destination) = (source.parse().expect("an address"), destination.parse().expect("an address"));
        Self { source, destination, seq, ack, flags, payload: payload.into() }
    }

    fn segment(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(self.source.port().to_be_bytes());
        bytes.extend(self.destination.port().to_be_bytes());
        bytes.extend(self.seq.to_be_bytes());
        bytes.extend(self.ack.to_be_bytes());
        // Four words of options, so that the header's own length counts.
        bytes.extend([0x60, self.flags, 0xff, 0xff, 0, 0, 0, 0, 1, 1, 1, 1]);
        bytes.extend(&self.payload);
        bytes
    }

    /// As an IP packet.
    pub(super) fn ip(&self) -> Vec<u8> {
        match (self.source.ip(), self.destination.ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                ipv4(&[], 0, &[source.octets(), destination.octets()].concat(), &self.segment())
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                ipv6(6, &[source.octets(), destination.octets()].concat(), &self.segment())
            }
            _ => panic!("two families"),
        }
    }

    /// As an IPv4 packet with options, or as a fragment.
    pub(super) fn ipv4_with(&self, options: &[u8], fragment: u16) -> Vec<u8> {
        ipv4(options, fragment, &[10, 0, 0, 1, 10, 0, 0, 2], &self.segment())
    }

    /// As an IPv6 packet behind extension headers.
    pub(super) fn ipv6_behind(&self, first: u8, extensions: &[u8]) -> Vec<u8> {
        let (IpAddr::V6(source), IpAddr::V6(destination)) = (self.source.ip(), self.destination.ip()) else {
            panic!("not IPv6")
        };
        let addresses = [source.octets(), destination.octets()].concat();
        ipv6(first, &addresses, &[extensions, &self.segment()].concat())
    }
}

fn ipv4(options: &[u8], fragment: u16, addresses: &[u8], payload: &[u8]) -> Vec<u8> {
    let words = 5 + u8::try_from(options.len() / 4).expect("few options");
    let length = u16::try_from(usize::from(words) * 4 + payload.len()).expect("short");
    let mut bytes = vec![0x40 | words, 0];
    bytes.extend(length.to_be_bytes());
    bytes.extend([0, 1]);
    bytes.extend(fragment.to_be_bytes());
    bytes.extend([64, 6, 0, 0]);
    bytes.extend(addresses);
    bytes.extend(options);
    bytes.extend(payload);
    bytes
}

fn ipv6(next: u8, addresses: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x60, 0, 0, 0];
    bytes.extend(u16::try_from(payload.len()).expect("short").to_be_bytes());
    bytes.extend([next, 64]);
    bytes.extend(addresses);
    bytes.extend(payload);
    bytes
}

fn ether_type(ip: &[u8]) -> [u8; 2] {
    if ip[0] >> 4 == 4 {
        [0x08, 0x00]
    } else {
        [0x86, 0xdd]
    }
}

/// An Ethernet frame; `tags` are `(EtherType, VLAN id)`, outermost first.
pub(super) fn ethernet(tags: &[(u16, u16)], ip: &[u8]) -> Vec<u8> {
    let mut bytes = vec![2; 12];
    for (kind, id) in tags {
        bytes.extend(kind.to_be_bytes());
        bytes.extend(id.to_be_bytes());
    }
    bytes.extend(ether_type(ip));
    bytes.extend(ip);
    bytes
}

pub(super) fn cooked(ip: &[u8]) -> Vec<u8> {
    [&[0, 0, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0], &ether_type(ip)[..], ip].concat()
}

pub(super) fn cooked_2(ip: &[u8]) -> Vec<u8> {
    [&ether_type(ip)[..], &[0, 0, 0, 0, 0, 3, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0], ip].concat()
}

/// A whole connection: handshake, `GET target`, `200`, both FINs; the server is where the SYN goes.
pub(super) fn connection(client: &str, server: &str, target: &str) -> Vec<Tcp> {
    let request = format!("GET {target} HTTP/1.1\r\nHost: a.example\r\n\r\n");
    let response = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let asked = 101 + u32::try_from(request.len()).expect("short");
    let answered = 901 + u32::try_from(response.len()).expect("short");
    vec![
        Tcp::new(client, server, SYN, 100, 0, ""),
        Tcp::new(server, client, SYN | ACK, 900, 101, ""),
        Tcp::new(client, server, ACK, 101, 901, ""),
        Tcp::new(client, server, ACK, 101, 901, &request),
        Tcp::new(server, client, ACK, 901, asked, response),
        Tcp::new(client, server, FIN | ACK, asked, answered, ""),
        Tcp::new(server, client, FIN | ACK, answered, asked + 1, ""),
        Tcp::new(client, server, ACK, asked + 1, answered + 1, ""),
    ]
}

/// The packets of [`connection`], as Ethernet frames.
pub(super) fn frames() -> Vec<Vec<u8>> {
    connection(CLIENT, SERVER, "/a").iter().map(|tcp| ethernet(&[], &tcp.ip())).collect()
}

/// Both byte orders of one number.
fn number(value: u32, big_endian: bool) -> [u8; 4] {
    if big_endian {
        value.to_be_bytes()
    } else {
        value.to_le_bytes()
    }
}

/// How a classic file is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pcap {
    pub(super) magic: u32,
    pub(super) big_endian: bool,
    pub(super) link: u32,
    pub(super) snaplen: usize,
}

impl Pcap {
    pub(super) const ETHERNET: Pcap = Pcap { magic: 0xa1b2_c3d4, big_endian: false, link: 1, snaplen: 65535 };

    pub(super) fn of_link(link: u32) -> Self {
        Pcap { link, ..Pcap::ETHERNET }
    }

    /// The file; packets are a millisecond apart.
    pub(super) fn file(self, packets: &[Vec<u8>]) -> Vec<u8> {
        let word = |value: u32| number(value, self.big_endian);
        let mut bytes = word(self.magic).to_vec();
        bytes.extend(if self.big_endian { [0, 2, 0, 4] } else { [2, 0, 4, 0] });
        for value in [0, 0, 65535, self.link] {
            bytes.extend(word(value));
        }
        let per_millisecond = if self.magic == 0xa1b2_3c4d { 1_000_000 } else { 1000 };
        for (millisecond, packet) in (0..).zip(packets) {
            let kept = &packet[..packet.len().min(self.snaplen)];
            bytes.extend(word(u32::try_from(EPOCH / 1_000_000_000).expect("before 2106")));
            bytes.extend(word(millisecond * per_millisecond));
            bytes.extend(word(u32::try_from(kept.len()).expect("short")));
            bytes.extend(word(u32::try_from(packet.len()).expect("short")));
            if self.magic == 0xa1b2_cd34 {
                bytes.extend([7; 8]);
            }
            bytes.extend(kept);
        }
        bytes
    }
}

/// A pcapng file in the making.
#[derive(Clone, Debug)]
pub(super) struct Pcapng {
    pub(super) bytes: Vec<u8>,
    big_endian: bool,
}

impl Pcapng {
    pub(super) fn new(big_endian: bool) -> Self {
        Self { bytes: Vec::new(), big_endian }.section(big_endian)
    }

    fn word(&self, value: u32) -> [u8; 4] {
        number(value, self.big_endian)
    }

    pub(super) fn block(mut self, kind: u32, content: &[u8]) -> Self {
        let padding = vec![0; content.len().next_multiple_of(4) - content.len()];
        let length = self.word(u32::try_from(12 + content.len() + padding.len()).expect("short"));
        for part in [&self.word(kind)[..], &length, content, &padding, &length] {
            self.bytes.extend(part);
        }
        self
    }

    /// A new section, in the same byte order or the other.
    pub(super) fn section(mut self, big_endian: bool) -> Self {
        self.big_endian = big_endian;
        let version = if big_endian { [0, 1, 0, 0] } else { [1, 0, 0, 0] };
        let content = [&self.word(0x1A2B_3C4D)[..], &version, &[0xff; 8]].concat();
        self.block(0x0A0D_0D0A, &content)
    }

    /// An interface; options are `(code, value)`.
    pub(super) fn interface(self, link: u16, snaplen: u32, options: &[(u16, &[u8])]) -> Self {
        let half = |value: u16| {
            if self.big_endian {
                value.to_be_bytes()
            } else {
                value.to_le_bytes()
            }
        };
        let mut content = [&half(link)[..], &[0, 0], &self.word(snaplen)].concat();
        for (code, value) in options {
            content.extend(half(*code));
            content.extend(half(u16::try_from(value.len()).expect("short")));
            content.extend(*value);
            content.resize(content.len().next_multiple_of(4), 0);
        }
        self.block(1, &content)
    }

    /// An Enhanced Packet Block.
    pub(super) fn packet(self, interface: u32, stamp: u64, packet: &[u8]) -> Self {
        let length = u32::try_from(packet.len()).expect("short");
        let (high, low) = split(stamp);
        let head: Vec<u8> = [interface, high, low, length, length].iter().flat_map(|value| self.word(*value)).collect();
        self.block(6, &[&head, packet].concat())
    }

    pub(super) fn simple_packet(self, packet: &[u8]) -> Self {
        let length = self.word(u32::try_from(packet.len()).expect("short"));
        self.block(3, &[&length, packet].concat())
    }

    pub(super) fn old_packet(self, interface: u16, stamp: u64, packet: &[u8]) -> Self {
        let number = if self.big_endian { interface.to_be_bytes() } else { interface.to_le_bytes() };
        let length = u32::try_from(packet.len()).expect("short");
        let (high, low) = split(stamp);
        let head: Vec<u8> = [high, low, length, length].iter().flat_map(|value| self.word(*value)).collect();
        self.block(2, &[&number[..], &[0xff, 0xff], &head, packet].concat())
    }

    /// All packets on interface 0 in microseconds, a millisecond apart.
    pub(super) fn packets(self, packets: &[Vec<u8>]) -> Self {
        (0..)
            .zip(packets)
            .fold(self, |file, (millisecond, packet)| file.packet(0, EPOCH / 1000 + millisecond * 1000, packet))
    }
}

fn split(stamp: u64) -> (u32, u32) {
    let low = u32::try_from(stamp & 0xffff_ffff).expect("32 bits");
    (u32::try_from(stamp >> 32).expect("32 bits"), low)
}
