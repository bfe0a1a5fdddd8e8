//! Link types, tags, IP headers and what a short capture leaves of them.

use super::build::{connection, cooked, cooked_2, ethernet, Pcap, Tcp, ACK, CLIENT, SERVER};
use super::read;
use crate::replay::reader::Step;
use crate::replay::Reader;

const TEXT: &str = "GET /a HTTP/1.1\r\n\r\n";

fn request() -> Tcp {
    Tcp::new(CLIENT, SERVER, ACK, 101, 901, TEXT)
}

fn request_6() -> Tcp {
    Tcp::new("[2001:db8::1]:40000", "[2001:db8::2]:80", ACK, 101, 901, TEXT)
}

/// `(bytes, span)` of the only packet of a file, if it is TCP.
fn payload(file: Vec<u8>) -> Option<(Vec<u8>, u32)> {
    let mut reader = Reader::of(file).expect("a capture file");
    let Step::Record(record) = reader.advance() else { panic!("no packet") };
    reader.packet(&record).map(|packet| (packet.bytes.to_vec(), packet.span))
}

fn whole() -> Option<(Vec<u8>, u32)> {
    Some((TEXT.into(), u32::try_from(TEXT.len()).expect("short")))
}

#[test]
fn every_link_type_gives_the_same_segment() {
    for ip in [request().ip(), request_6().ip()] {
        let v4 = ip[0] >> 4 == 4;
        let family = if v4 { 2 } else { 30 };
        let little = [&[family, 0, 0, 0][..], &ip].concat();
        let big = [&[0, 0, 0, family][..], &ip].concat();
        let cases = [
            (1, ethernet(&[], &ip)),
            (113, cooked(&ip)),
            (276, cooked_2(&ip)),
            (0, little),
            (0, big.clone()),
            (108, big),
            (12, ip.clone()),
            (101, ip.clone()),
            (if v4 { 228 } else { 229 }, ip.clone()),
        ];
        for (link, packet) in cases {
            assert_eq!(payload(Pcap::of_link(link).file(&[packet])), whole(), "link type {link}");
        }
    }
}

#[test]
fn loopback_knows_ipv6_by_the_number_of_each_system() {
    for family in [10, 24, 28, 30] {
        let packet = [&[family, 0, 0, 0][..], &request_6().ip()].concat();
        assert_eq!(payload(Pcap::of_link(0).file(&[packet])), whole());
    }
}

#[test]
fn an_unknown_link_type_is_told_once_and_counted() {
    let outcome = read(Pcap::of_link(147).file(&[vec![1; 60], vec![2; 60]]));
    assert_eq!(outcome.reader.counts().link_unknown, 2);
    let problems = outcome.reader.problems();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].contains("link type 147"), "{problems:?}");
}

#[test]
fn tags_tell_connections_apart() {
    let tags: [&[(u16, u16)]; 4] = [&[], &[(0x8100, 5)], &[(0x88a8, 5), (0x8100, 7)], &[(0x9100, 5), (0x8100, 8)]];
    let packets: Vec<_> =
        connection(CLIENT, SERVER, "/a").iter().flat_map(|tcp| tags.map(|tags| ethernet(tags, &tcp.ip()))).collect();
    let outcome = read(Pcap::ETHERNET.file(&packets));
    assert_eq!(outcome.flows.connections, 4);
    assert_eq!(outcome.rows.len(), 4);
    assert!(outcome.rows.iter().all(|row| row.marks.is_empty()), "{:?}", outcome.rows);
}

#[test]
fn a_priority_tag_is_no_network_of_its_own() {
    let packets: Vec<_> = (0u16..)
        .zip(connection(CLIENT, SERVER, "/a"))
        .map(|(count, tcp)| {
            let tags: &[(u16, u16)] = if count % 2 == 0 { &[(0x8100, 0xe000)] } else { &[] };
            ethernet(tags, &tcp.ip())
        })
        .collect();
    assert_eq!(read(Pcap::ETHERNET.file(&packets)).flows.connections, 1);
}

#[test]
fn padding_behind_the_ip_packet_is_no_payload() {
    let mut short = Tcp::new(CLIENT, SERVER, ACK, 101, 901, "");
    for text in ["", "x"] {
        short.payload = text.into();
        let mut frame = ethernet(&[(0x8100, 5)], &short.ip());
        frame.resize(90, 0);
        assert_eq!(payload(Pcap::ETHERNET.file(&[frame])), Some((text.into(), u32::from(!text.is_empty()))));
    }
}

#[test]
fn ip_options_and_extension_headers_are_passed_over() {
    let options = ethernet(&[], &request().ipv4_with(&[1; 40], 0));
    assert_eq!(payload(Pcap::ETHERNET.file(&[options])), whole());
    // Hop-by-hop, destination options, routing, then a fragment header that fragments nothing.
    let chain =
        [[60, 0, 1, 4, 0, 0, 0, 0], [43, 0, 1, 4, 0, 0, 0, 0], [44, 0, 0, 0, 0, 0, 0, 0], [6, 0, 0, 0, 0, 0, 0, 1]]
            .concat();
    let extended = ethernet(&[], &request_6().ipv6_behind(0, &chain));
    assert_eq!(payload(Pcap::ETHERNET.file(&[extended])), whole());
}

#[test]
fn a_packet_cut_by_the_snaplen_keeps_its_length_on_the_wire() {
    for ip in [request().ip(), request_6().ip()] {
        for tags in [&[][..], &[(0x8100, 5)]] {
            let frame = ethernet(tags, &ip);
            let head = frame.len() - TEXT.len();
            for kept in 0..=TEXT.len() {
                let file = Pcap { snaplen: head + kept, ..Pcap::ETHERNET }.file(&[frame.clone()]);
                let (bytes, span) = payload(file).expect("TCP");
                assert_eq!((bytes, span as usize), (TEXT[..kept].into(), TEXT.len()));
            }
        }
    }
}

#[test]
fn an_ip_length_of_zero_means_the_length_of_the_packet() {
    let mut large = request().ip();
    large[2..4].fill(0);
    let mut jumbo = request_6().ip();
    jumbo[4..6].fill(0);
    for ip in [large, jumbo] {
        let frame = ethernet(&[(0x8100, 5)], &ip);
        let snaplen = frame.len() - 5;
        assert_eq!(payload(Pcap::ETHERNET.file(&[frame.clone()])), whole());
        let (bytes, span) = payload(Pcap { snaplen, ..Pcap::ETHERNET }.file(&[frame])).expect("TCP");
        assert_eq!((bytes.len() + 5, span as usize), (TEXT.len(), TEXT.len()));
    }
}

#[test]
fn fragments_are_counted_and_told() {
    let fragments = [0x2000, 0x0010].map(|bits| ethernet(&[], &request().ipv4_with(&[], bits)));
    let sixth = ethernet(&[], &request_6().ipv6_behind(44, &[6, 0, 0, 1, 0, 0, 0, 1]));
    let outcome = read(Pcap::ETHERNET.file(&[&fragments[..], &[sixth]].concat()));
    assert_eq!((outcome.reader.counts().fragments, outcome.reader.counts().tcp), (3, 0));
    assert!(outcome.reader.problems()[0].starts_with("3 packets are IP fragments"));
}

#[test]
fn a_packet_cut_within_its_headers_is_counted_as_unreadable() {
    let frame = ethernet(&[(0x8100, 5)], &request().ip());
    let headers = frame.len() - TEXT.len();
    for snaplen in 1..headers {
        let outcome = read(Pcap { snaplen, ..Pcap::ETHERNET }.file(&[frame.clone()]));
        assert_eq!(outcome.reader.counts().unreadable, 1, "{snaplen} bytes: {:?}", outcome.reader.counts());
    }
}

#[test]
fn what_is_not_tcp_is_counted_as_other() {
    let mut udp = request().ip();
    udp[9] = 17;
    let arp = [&[2; 12][..], &[0x08, 0x06], &[0; 28]].concat();
    let mut icmp = request().ip();
    icmp[9] = 1;
    let packets: Vec<_> = [ethernet(&[], &udp), arp, ethernet(&[], &icmp), vec![0xff; 60]].into();
    let counts = read(Pcap::ETHERNET.file(&packets)).reader.counts();
    assert_eq!((counts.other, counts.unreadable, counts.packets), (4, 0, 4));
}
