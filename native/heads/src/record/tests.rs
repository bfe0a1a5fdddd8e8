use super::*;

/// A record with its kind, flags and what follows the header.
fn record(kind: u8, flags: u8, copied: u16, rest: &[u8]) -> Vec<u8> {
    let mut raw = vec![0; HEADER];
    raw[0..8].copy_from_slice(&77_u64.to_ne_bytes());
    raw[8..16].copy_from_slice(&88_u64.to_ne_bytes());
    raw[16..20].copy_from_slice(&3_u32.to_ne_bytes());
    raw[20..24].copy_from_slice(&1000_u32.to_ne_bytes());
    raw[24..28].copy_from_slice(&2000_u32.to_ne_bytes());
    raw[32..36].copy_from_slice(&9_u32.to_ne_bytes());
    raw[36..38].copy_from_slice(&copied.to_ne_bytes());
    raw[38..40].copy_from_slice(&1_u16.to_ne_bytes());
    raw[40..43].copy_from_slice(&[VERSION, kind, flags]);
    raw.extend_from_slice(rest);
    raw
}

fn tuple() -> Vec<u8> {
    let mut raw = vec![0; TUPLE];
    raw[10..16].copy_from_slice(&[0xff, 0xff, 127, 0, 0, 1]);
    raw[31] = 1;
    raw[32..34].copy_from_slice(&80_u16.to_ne_bytes());
    raw[34..36].copy_from_slice(&40_000_u16.to_ne_bytes());
    raw
}

fn every_kind() -> Vec<Vec<u8>> {
    let connection = [tuple(), 5_u64.to_ne_bytes().to_vec(), 6_u64.to_ne_bytes().to_vec()].concat();
    let mut process = vec![0; 32];
    process[0..8].copy_from_slice(&4_u64.to_ne_bytes());
    process[8..12].copy_from_slice(&42_u32.to_ne_bytes());
    process[16..20].copy_from_slice(b"curl");
    let socket = [&connection[..], &9_u64.to_ne_bytes()[..]].concat();
    let inside = [&socket[..], &process[..], &1_u32.to_ne_bytes()[..], &[0; 4][..]].concat();
    vec![
        record(1, EGRESS | FIN, 5, b"hello"),
        record(1, LISTENER, 5, &[&tuple()[..], b"hello"].concat()),
        record(2, JOINED, 0, &connection),
        record(3, 0, 0, &process),
        record(4, 0, 0, &[]),
        record(5, 0, 9, b"/bin/curl"),
        record(6, 0, 0, &[]),
        record(7, JOINED, 0, &inside),
        record(8, 0, 0, &socket),
        record(9, 0, 0, &[]),
    ]
}

#[test]
fn every_kind_of_record_is_read() {
    let records = every_kind();
    let read: Vec<String> = records.iter().map(|raw| format!("{:?}", decode(raw).expect("whole"))).collect();
    let starts = ["Segment", "Early", "Connection", "Process", "Close", "Exec", "Segment", "Inside", "Carrier", "Look"];
    for (text, start) in read.iter().zip(starts) {
        assert!(text.starts_with(start), "{text}");
    }
    assert!(
        read[2].contains("joined: true") && read[2].contains("(127.0.0.1, 80)") && read[2].contains("(::1, 40000)")
    );
    assert!(read[3].contains("pid: 42") && read[3].contains("comm: \"curl\""));
    assert_eq!(origin(&records[0]), Some((1, 3)));
}

#[test]
fn a_segment_has_its_place_and_what_tcp_accepted() {
    let raw = &every_kind()[0];
    let Ok(Record::Segment { cookie: 77, segment }) = decode(raw) else { panic!("a segment") };
    assert!(segment.egress && segment.fin && !segment.rst && !segment.cut);
    assert_eq!((segment.seq, segment.span, segment.bytes, segment.time), (1000, 9, &b"hello"[..], 88));
    // What leaves was accepted as it was sent, its end too.
    assert_eq!((segment.accepted_in, segment.accepted_out), (Some(2000), Some(1010)));
    let arriving = record(1, CUT | RST, 5, b"hello");
    let Ok(Record::Segment { segment, .. }) = decode(&arriving) else { panic!("a segment") };
    assert!(!segment.egress && segment.rst && segment.cut);
    assert_eq!((segment.accepted_in, segment.accepted_out), (Some(2000), None));
}

#[test]
fn a_record_that_was_cut_short_is_refused_or_says_as_much() {
    for raw in every_kind() {
        let whole = format!("{:?}", decode(&raw));
        for size in 0..raw.len() {
            match decode(&raw[..size]) {
                Err(Unreadable) => {}
                // Padding at the end may be missing: nothing is read from it.
                Ok(record) => assert_eq!(format!("{:?}", Ok::<_, Unreadable>(record)), whole, "{size}"),
            }
        }
        assert!(decode(&raw[..HEADER - 1]).is_err() && origin(&raw[..19]).is_none());
    }
}

#[test]
fn versions_and_kinds_of_others_are_refused() {
    let mut other = record(1, 0, 0, &[]);
    other[40] = VERSION + 1;
    assert!(decode(&other).is_err());
    for kind in [0, 7, 255] {
        assert!(decode(&record(kind, 0, 0, &[])).is_err(), "{kind}");
    }
}

#[test]
fn a_connection_inside_tls_has_its_own_number_and_the_sockets() {
    let raw = &every_kind()[7];
    let Ok(Record::Inside { key: 77, endpoints, joined: true }) = decode(raw) else { panic!("inside") };
    assert_eq!(endpoints.cookie, 9);
    assert_eq!(endpoints.tls, Some(Tls { version: None, library: Some("openssl"), key: 77 }));
    assert_eq!(endpoints.process.map(|process| process.pid), Some(42));
}

#[test]
fn a_socket_that_is_not_known_leaves_the_ends_unknown() {
    let mut raw = every_kind()[7].clone();
    raw[HEADER + 56..HEADER + 64].fill(0);
    let Ok(Record::Inside { endpoints, .. }) = decode(&raw) else { panic!("inside") };
    assert_eq!((endpoints.client, endpoints.server, endpoints.cookie), (UNKNOWN, UNKNOWN, 77));
    assert_eq!((endpoints.netns, endpoints.cgroup), (None, None));
    let mut raw = every_kind()[8].clone();
    raw[HEADER + 56..HEADER + 64].fill(0);
    assert!(matches!(decode(&raw), Ok(Record::Carrier { key: 77, carrier: None })));
}
