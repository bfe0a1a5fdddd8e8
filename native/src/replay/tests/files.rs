//! Every file format gives the same rows.

use std::io::Write;

use flate2::write::GzEncoder;
use flate2::Compression;

use super::build::{frames, Pcap, Pcapng, EPOCH};
use super::{read, Outcome, Reader};
use crate::replay::OpenError;

/// Time of the request in [`frames`]: the fourth packet.
const ASKED: u64 = EPOCH + 3_000_000;

fn assert_one_row(outcome: &Outcome, time: u64) {
    let [row] = &outcome.rows[..] else { panic!("{outcome:?}") };
    assert_eq!((row.method.as_str(), row.target.as_str(), row.status), ("GET", "/a", Some(200)));
    assert_eq!((row.client.as_str(), row.server.as_str()), ("10.0.0.1:40000", "10.0.0.2:80"));
    assert!(row.marks.is_empty(), "{row:?}");
    assert_eq!(row.time, time);
    assert_eq!(outcome.reader.counts().packets, 8);
    assert_eq!(outcome.reader.problems(), Vec::<String>::new());
    assert!(outcome.connections.ledger.closed());
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

#[test]
fn a_classic_file_is_read_in_both_byte_orders_and_all_variants() {
    for magic in [0xa1b2_c3d4, 0xa1b2_3c4d, 0xa1b2_cd34] {
        for big_endian in [false, true] {
            let file = Pcap { magic, big_endian, ..Pcap::ETHERNET }.file(&frames());
            assert_one_row(&read(file), ASKED);
        }
    }
}

#[test]
fn the_frame_check_sequence_bits_of_the_link_type_are_no_part_of_it() {
    assert_one_row(&read(Pcap::of_link(0x2400_0001).file(&frames())), ASKED);
}

#[test]
fn a_pcapng_file_is_read_in_both_byte_orders() {
    for big_endian in [false, true] {
        let file = Pcapng::new(big_endian).interface(1, 0, &[]).packets(&frames());
        assert_one_row(&read(file.bytes), ASKED);
    }
}

#[test]
fn every_section_has_its_own_byte_order_and_interfaces() {
    let (first, second) = (&frames()[..4], &frames()[4..]);
    let mut file = Pcapng::new(false).interface(1, 0, &[]).packets(first).section(true).interface(1, 0, &[]);
    for packet in second {
        file = file.packet(0, EPOCH / 1000 + 4000, packet);
    }
    assert_one_row(&read(file.bytes), ASKED);
}

#[test]
fn times_follow_the_resolution_and_offset_of_their_interface() {
    let seconds = EPOCH / 1_000_000_000;
    let offset = |big_endian: bool| {
        let value = i64::try_from(seconds).expect("before 2262");
        if big_endian {
            value.to_be_bytes()
        } else {
            value.to_le_bytes()
        }
    };
    // The resolution as it stands in the option, the offset, and the stamp of 3 ms after the epoch.
    let cases: [(&[u8], bool, u64); 6] = [
        (&[9], false, EPOCH + 3_000_000),
        (&[3], false, seconds * 1000 + 3),
        (&[6], true, 3000),
        (&[9], true, 3_000_000),
        // In units of 2^-10 s: 3/1024 s
        (&[0x8a], true, 3),
        // In units of 2^-30 s
        (&[0x80 | 30], false, (seconds << 30) + 3_221_225),
    ];
    for (resolution, shifted, stamp) in cases {
        for big_endian in [false, true] {
            let seconds = offset(big_endian);
            let mut options: Vec<(u16, &[u8])> = vec![(9, resolution)];
            if shifted {
                options.push((14, &seconds));
            }
            let mut file = Pcapng::new(big_endian).interface(1, 0, &options);
            for packet in frames() {
                file = file.packet(0, stamp, &packet);
            }
            let outcome = read(file.bytes);
            let off = outcome.rows[0].time.abs_diff(EPOCH + 3_000_000);
            assert!(off < 100_000, "{off} ns off with {resolution:x?}, offset {shifted}");
        }
    }
}

#[test]
fn a_resolution_that_no_stamp_can_have_gives_no_panic() {
    for resolution in 0..=255 {
        let file = Pcapng::new(false).interface(1, 0, &[(9, &[resolution]), (14, &[0xff; 8])]);
        assert_eq!(read(file.packet(0, u64::MAX, &frames()[0]).bytes).reader.counts().tcp, 1);
    }
}

#[test]
fn the_obsolete_packet_block_is_read() {
    for big_endian in [false, true] {
        let mut file = Pcapng::new(big_endian).interface(1, 0, &[]);
        for packet in frames() {
            file = file.old_packet(0, ASKED / 1000, &packet);
        }
        assert_one_row(&read(file.bytes), ASKED);
    }
}

#[test]
fn a_simple_packet_has_the_time_of_the_packet_before_and_a_remark_says_so() {
    let packets = frames();
    let mut file = Pcapng::new(false).interface(1, 0, &[]).packet(0, EPOCH / 1000, &packets[0]);
    for packet in &packets[1..] {
        file = file.simple_packet(packet);
    }
    let outcome = read(file.bytes);
    assert_eq!((outcome.rows.len(), outcome.rows[0].time), (1, EPOCH));
    let problems = outcome.reader.problems();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].starts_with("packet 2 at byte "), "{problems:?}");
}

#[test]
fn a_simple_packet_is_cut_at_the_snaplen_of_the_first_interface() {
    // 90 bytes are captured; two bytes of padding must not become payload.
    let cut = &frames()[3][..90];
    let whole = u32::try_from(frames()[3].len()).expect("short").to_le_bytes();
    let file = Pcapng::new(false).interface(1, 90, &[]).block(3, &[&whole, cut].concat());
    let outcome = read(file.bytes);
    let payload = frames()[3].len() - 58;
    assert_eq!(outcome.reader.counts().payload_bytes, payload as u64);
    assert!(outcome.rows[0].marks.contains(&"cut"), "{:?}", outcome.rows);
}

#[test]
fn blocks_of_other_kinds_are_passed_over() {
    let [first, rest] = [&frames()[..1], &frames()[1..]];
    let mut file = Pcapng::new(false).block(0x0BAD, &[1; 7]).interface(1, 0, &[]).block(5, &[0; 12]);
    file = file.packets(first).block(0x7777_7777, &[9; 100]).block(10, &[1, 2]);
    for (millisecond, packet) in (1..).zip(rest) {
        file = file.packet(0, EPOCH / 1000 + millisecond * 1000, packet);
    }
    assert_one_row(&read(file.bytes), ASKED);
}

#[test]
fn gzip_is_known_by_its_first_bytes_and_may_have_several_members() {
    let file = Pcap::ETHERNET.file(&frames());
    assert_one_row(&read(gzip(&file)), ASKED);
    for cut in [1, 24, 100, file.len() - 1] {
        let members = [gzip(&file[..cut]), gzip(&file[cut..])].concat();
        assert_one_row(&read(members), ASKED);
    }
}

#[test]
fn what_is_no_capture_is_refused_with_the_reason() {
    let refused = |bytes: &[u8]| Reader::of(bytes.to_vec()).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(matches!(Reader::of(Vec::new()), Err(OpenError::Empty)));
    assert!(matches!(Reader::of(vec![0xd4]), Err(OpenError::Short)));
    assert!(matches!(Reader::of(Pcap::ETHERNET.file(&[])[..23].to_vec()), Err(OpenError::Short)));
    assert!(refused(b"GET / HTTP/1.1\r\n").contains("neither pcap nor pcapng (it begins with 47 45 54 20)"));
    assert!(refused(&gzip(b"text, compressed")).contains("neither pcap nor pcapng"));
}
