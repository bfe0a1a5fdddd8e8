//! Damaged files: no panic, no endless loop, no row that the whole file does not have, and a problem that says where.

use std::io::Write;

use super::build::{frames, Pcap, Pcapng, EPOCH};
use super::{read, try_read, Row};

/// One file of each format, and what the whole of it gives.
fn files() -> Vec<Vec<u8>> {
    let classic = Pcap::ETHERNET.file(&frames());
    let modified = Pcap { magic: 0xa1b2_cd34, big_endian: true, ..Pcap::ETHERNET }.file(&frames());
    let blocks = Pcapng::new(false).interface(1, 0, &[(9, &[6]), (14, &[0; 8])]).packets(&frames());
    let mixed = Pcapng::new(true)
        .interface(1, 0, &[])
        .old_packet(0, EPOCH / 1000, &frames()[0])
        .simple_packet(&frames()[1])
        .section(false)
        .interface(1, 0, &[])
        .packets(&frames()[2..]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&classic).expect("memory");
    vec![classic.clone(), modified, blocks.bytes, mixed.bytes, gzip.finish().expect("memory")]
}

fn calls(rows: &[Row]) -> Vec<(String, String)> {
    rows.iter().map(|row| (row.method.clone(), row.target.clone())).collect()
}

#[test]
fn a_file_cut_at_any_byte_gives_no_more_than_the_whole() {
    for file in files() {
        let whole = read(file.clone());
        let mut before = 0;
        for end in 0..file.len() {
            let Ok(cut) = try_read(file[..end].to_vec()) else {
                continue;
            };
            assert!(cut.rows.len() <= whole.rows.len());
            assert!(calls(&cut.rows).iter().all(|call| calls(&whole.rows).contains(call)), "cut at {end}");
            let packets = cut.reader.counts().packets;
            assert!((before..=whole.reader.counts().packets).contains(&packets), "cut at {end}");
            before = packets;
        }
    }
}

#[test]
fn a_cut_file_says_where() {
    let file = Pcap::ETHERNET.file(&frames());
    let outcome = read(file[..file.len() - 1].to_vec());
    assert_eq!(outcome.reader.counts().packets, 7);
    let problems = outcome.reader.problems();
    let place = file.len() - 16 - frames()[7].len();
    assert!(problems[0].starts_with(&format!("packet 8 at byte {place}: the file ends here")), "{problems:?}");
}

#[test]
fn any_byte_changed_to_anything_gives_no_panic() {
    for file in files() {
        for place in 0..file.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff, file[place] ^ 0x10] {
                let mut changed = file.clone();
                changed[place] = value;
                if let Ok(outcome) = try_read(changed) {
                    assert!(outcome.reader.counts().packets < 1000);
                }
            }
        }
    }
}

#[test]
fn a_packet_that_claims_four_gigabytes_is_a_problem_and_no_allocation() {
    for claim in [u32::MAX, u32::MAX - 16, 1 << 31, (16 << 20) + 1] {
        let mut file = Pcap::ETHERNET.file(&frames());
        file[24 + 8..24 + 12].copy_from_slice(&claim.to_le_bytes());
        let outcome = read(file);
        assert_eq!(outcome.reader.counts().packets, 0);
        assert!(outcome.reader.problems()[0].contains(&format!("packet 1 at byte 24: claims {claim} captured bytes")));

        let mut file = Pcapng::new(false).interface(1, 0, &[]).packets(&frames());
        let place = 28 + 20;
        file.bytes[place + 4..place + 8].copy_from_slice(&claim.to_le_bytes());
        let problems = read(file.bytes).reader.problems();
        assert!(problems[0].contains(&format!("packet 1 at byte 48: a block claims {claim} bytes")), "{problems:?}");
    }
}

#[test]
fn a_damaged_block_is_passed_over_and_the_rest_is_read() {
    let whole = Pcapng::new(false).interface(1, 0, &[]).packets(&frames()).bytes;
    let first = 48;
    // The captured length, the number of the interface, the length behind the block.
    let length = u32::from_le_bytes(whole[first + 4..first + 8].try_into().expect("four bytes")) as usize;
    for place in [first + 20, first + 8, first + length - 4] {
        let mut file = whole.clone();
        file[place..place + 4].copy_from_slice(&70_000u32.to_le_bytes());
        let outcome = read(file);
        let counts = outcome.reader.counts();
        assert_eq!((counts.packets, counts.tcp, counts.unreadable), (8, 7, 1));
        assert_eq!(outcome.rows.len(), 1);
        assert!(outcome.reader.problems()[0].starts_with("packet 1 at byte 48: "), "{:?}", outcome.reader.problems());
    }
}

#[test]
fn a_damaged_interface_keeps_its_number() {
    let mut file = Pcapng::new(false).interface(1, 0, &[]).interface(1, 0, &[]);
    // Too short for what it must hold.
    file = file.block(1, &[1, 0]).interface(101, 0, &[]);
    for packet in frames() {
        file = file.packet(3, EPOCH / 1000, &packet[14..]);
    }
    assert_eq!(read(file.bytes).rows.len(), 1);
}

#[test]
fn a_file_damaged_all_through_is_told_in_few_lines() {
    let mut file = Pcapng::new(false).interface(1, 0, &[]);
    for _ in 0..5000 {
        file = file.packet(9, 0, &[0; 60]);
    }
    let outcome = read(file.bytes);
    assert_eq!(outcome.reader.counts().unreadable, 5000);
    assert_eq!(outcome.reader.problems().len(), 102);
}

#[test]
fn a_gzip_file_that_is_cut_or_damaged_gives_what_comes_before() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    gzip.write_all(&Pcap::ETHERNET.file(&frames())).expect("memory");
    let whole = gzip.finish().expect("memory");
    let outcome = read(whole[..whole.len() - 30].to_vec());
    assert!(outcome.reader.counts().packets >= 7);
    assert!(outcome.reader.problems().iter().any(|line| line.contains("reading failed")));

    let outcome = read([&whole[..], b"not gzip"].concat());
    assert_eq!((outcome.rows.len(), outcome.reader.counts().packets), (1, 8));
    assert!(outcome.reader.problems().iter().any(|line| line.contains("reading failed")));
}
