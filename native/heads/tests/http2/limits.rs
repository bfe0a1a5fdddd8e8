//! What one end can make us keep is bounded, and what is not kept is counted and marked.

use super::*;

/// A field of some 4000 octets that enters the table; one octet names it again.
fn long() -> Vec<u8> {
    [vec![0x40, 1, b'x', 127, 0xa9, 0x1d], vec![b'v'; 127 + 0x29 + (0x1d << 7)]].concat()
}

fn post() -> Vec<u8> {
    block(&[(":method", "POST"), (":scheme", "http"), (":path", "/")])
}

#[test]
fn a_message_keeps_one_trailer_section() {
    let mut socket = begin();
    socket.segment(false, &frame(1, END_HEADERS, 1, &[post(), long()].concat()), 0);
    let more = frame(1, END_HEADERS, 1, &[0xbe; 4]);
    for _ in 0..10 {
        socket.segment(false, &more.repeat(100), 0);
    }
    assert_eq!(socket.connections.ledger.heads_cut, 999);
    let rows = socket.rows();
    assert_eq!(rows[0].marks, ["cut", "no_response", "malformed"]);
    assert!(rows[0].text.len() < 32 << 10 && rows[0].text.contains("Some(Trailer)"));
}

#[test]
fn trailers_end_the_message() {
    let mut socket = begin();
    let open = frame(1, END_HEADERS, 1, &post());
    socket.segment(false, &[open, headers(1, false, &[("x-sum", "7")]), frame(0, END_STREAM, 1, b"")].concat(), 0);
    socket.segment(true, &ok(1, "1", b""), 0);
    let rows = socket.rows();
    assert_eq!(rows[0].marks, ["malformed"]);
    assert!(rows[0].text.contains("x-sum=7") && rows[0].text.contains("Some(Trailer)"), "{rows:?}");
}

#[test]
fn a_request_that_ended_takes_no_trailers() {
    let mut socket = begin();
    socket.segment(false, &[get(1, "/1"), headers(1, true, &[("x-sum", "7")])].concat(), 0);
    socket.segment(true, &ok(1, "1", b""), 0);
    assert_eq!(socket.connections.ledger.heads_cut, 1);
    let rows = socket.rows();
    assert_eq!(rows[0].marks, ["cut", "malformed"]);
    assert!(!rows[0].text.contains("x-sum"), "{rows:?}");
}

#[test]
fn interim_responses_of_many_calls_are_kept_up_to_a_limit() {
    let mut socket = begin();
    let streams = || (1..401).step_by(2);
    streams().for_each(|stream| socket.segment(false, &get(stream, "/1"), 0));
    socket.segment(true, &frame(1, END_HEADERS, 1, &[literal(":status", "103"), long()].concat()), 0);
    // All of it in a few segments: what is kept is judged for each section.
    let early: Vec<u8> =
        streams().flat_map(|stream| frame(1, END_HEADERS, stream, &[0xbf, 0xbe, 0xbe, 0xbe])).collect();
    for _ in 0..60 {
        socket.segment(true, &early, 0);
    }
    streams().for_each(|stream| socket.segment(true, &frame(1, END_HEADERS | END_STREAM, stream, &[0x88]), 0));
    let cut = usize::try_from(socket.connections.ledger.heads_cut).unwrap();
    let rows = socket.rows();
    let kept: usize = rows.iter().map(|row| row.text.matches("[ 103").count()).sum();
    assert_eq!((rows.len(), kept + cut), (200, 60 * 200 + 1));
    assert!(kept < 1000, "{kept} of some 12 KB each");
    for row in &rows {
        let all = row.text.matches("[ 103").count() == 60 + usize::from(row.stream == 1);
        assert_eq!(row.marks, if all { vec![] } else { vec!["cut"] });
        assert!(row.text.contains("[ 200"));
    }
}

#[test]
fn streams_that_come_in_one_segment_are_bounded_as_well() {
    let mut socket = begin();
    socket.segment(false, &frame(1, END_HEADERS, 1, &[post(), long()].concat()), 0);
    // The pseudo-header fields and three times the long one.
    let many = |stream| frame(1, END_HEADERS, stream, &[0xc1, 0xc0, 0xbf, 0xbe, 0xbe, 0xbe]);
    socket.segment(false, &(3..4001).step_by(2).flat_map(many).collect::<Vec<u8>>(), 0);
    let refused = usize::try_from(socket.connections.ledger.streams_refused).unwrap();
    let open = socket.connections.open_exchanges();
    assert!(open < 1000 && open + refused == 2000, "{open} are open, {refused} were refused");
    socket.rows();
}

#[test]
fn more_interim_responses_than_anybody_sends_are_left_out_although_their_status_is_unknown() {
    let mut socket = Socket::new(true);
    for stream in [7, 9] {
        socket.segment(false, &get(stream, "/"), 0);
        socket.segment(true, &headers(stream, true, &[(":status", "404")]), 0);
    }
    socket.segment(false, &get(11, "/"), 0);
    for _ in 0..70 {
        socket.segment(true, &frame(1, END_HEADERS, 11, &[0xff, 0x20]), 0);
    }
    socket.segment(true, &frame(1, END_HEADERS | END_STREAM, 11, &[0x88]), 0);
    assert_eq!(socket.connections.ledger.heads_cut, 6);
    let rows = socket.rows();
    let row = rows.iter().find(|row| row.stream == 11).expect("the call");
    assert_eq!(row.marks, ["cut", "hpack_unresolved"]);
    assert!(row.text.contains("[ 200   |  |  |"), "{row:?}");
}
