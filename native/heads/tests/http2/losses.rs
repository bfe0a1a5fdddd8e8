//! What is not there: connections joined in the middle, bytes that were lost, floods that are left out.

use super::*;

fn indexed(stream: u32) -> (Vec<u8>, Vec<u8>) {
    let request = if stream == 1 {
        get(1, "/same")
    } else {
        // The five entries of the first request, oldest first: 66 down to 62.
        frame(1, END_HEADERS | END_STREAM, stream, &[0xc2, 0xc1, 0xc0, 0xbf, 0xbe])
    };
    let response = if stream == 1 {
        headers(1, true, &[(":status", "200"), ("server", "s")])
    } else {
        frame(1, END_HEADERS | END_STREAM, stream, &[0xbf, 0xbe])
    };
    (request, response)
}

#[test]
fn joined_in_the_middle_nothing_is_wrong_and_new_entries_are_known() {
    let mut socket = Socket::new(true);
    for stream in [7, 9] {
        let (request, response) = indexed(stream);
        socket.segment(false, &request, 0);
        socket.segment(true, &response, 0);
    }
    // Nothing of these heads is known, so nothing says which direction is which.
    assert!(socket.rows.0.is_empty());
    let known = [(":method", "GET"), (":scheme", "http"), (":path", "/new"), (":authority", "b.example")];
    for stream in [11, 13] {
        socket.segment(false, &headers(stream, true, &known), 0);
        socket.segment(true, &headers(stream, true, &[(":status", "404")]), 0);
    }
    let (request, response) = (frame(1, 5, 15, &[0xc1, 0xc0, 0xbf, 0xbe, 0xff, 0x20]), frame(1, 5, 15, &[0xbe, 0xc8]));
    socket.segment(false, &request, 0);
    socket.segment(true, &response, 0);
    let rows = socket.rows();
    let last = rows.iter().find(|row| row.stream == 15).expect("the last call");
    assert!(
        last.text.contains("[GET /new b.example http | ? |") && last.text.contains("[ 404   | ? |"),
        "{}",
        last.text
    );
    assert_eq!(last.marks, ["hpack_unresolved"]);
    for row in rows.iter().filter(|row| row.stream >= 11) {
        assert!(row.text.contains("GET /new") && row.text.contains("404"), "{row:?}");
    }
}

#[test]
fn a_lost_preface_costs_the_first_calls_only() {
    let mut socket = Socket::new(false);
    socket.segment(true, &settings(), 0);
    for stream in [1, 3, 5, 7] {
        socket.segment(false, &get(stream, "/a"), 0);
        socket.segment(true, &ok(stream, "v", b"x"), 0);
    }
    let rows = socket.rows();
    assert!(rows.iter().any(|row| row.stream == 7 && row.marks.is_empty()), "{rows:?}");
    assert!(rows.iter().all(|row| row.text.contains("x-v=v") && !row.marks.contains(&"joined")), "{rows:?}");
}

#[test]
fn an_interim_response_with_an_unknown_status_is_none_of_the_final_one() {
    let mut socket = Socket::new(true);
    let known = [(":method", "GET"), (":scheme", "http"), (":path", "/new")];
    for stream in [7, 9] {
        socket.segment(false, &headers(stream, true, &known), 0);
        socket.segment(true, &headers(stream, true, &[(":status", "404")]), 0);
    }
    socket.segment(false, &headers(11, true, &known), 0);
    // Two heads whose first field is an entry from before, and trailers.
    socket.segment(true, &frame(1, END_HEADERS, 11, &[0xff, 0x20]), 0);
    socket.segment(true, &frame(1, END_HEADERS, 11, &[&[0xff, 0x21][..], &literal("x-v", "v")].concat()), 0);
    socket.segment(true, &headers(11, true, &[("x-end", "e")]), 0);
    let rows = socket.rows();
    let row = rows.iter().find(|row| row.stream == 11).expect("the call");
    assert_eq!(row.marks, ["hpack_unresolved"], "{row:?}");
    assert!(row.text.contains("| ?,x-v=v | x-end=e |"), "{row:?}");
}

#[test]
fn after_a_gap_the_place_is_found_again_and_old_entries_are_unknown() {
    let mut socket = Socket::new(false);
    socket.segment(false, &[PREFACE.to_vec(), settings()].concat(), 0);
    socket.segment(true, &settings(), 0);
    for stream in [1, 3] {
        let (request, response) = indexed(stream);
        socket.segment(false, &request, 0);
        socket.segment(true, &response, 0);
    }
    socket.lose(false, 100);
    let fresh = [(":method", "GET"), (":scheme", "http"), (":path", "/after"), (":authority", "c")];
    for stream in [7_u32, 9, 11] {
        socket.segment(false, &headers(stream, true, &fresh), 0);
        socket.segment(true, &indexed(stream).1, 0);
    }
    socket.segment(false, &frame(1, 5, 13, &[0xc1, 0xc0, 0xbf, 0xbe, 0xd0]), 0);
    socket.segment(true, &indexed(13).1, 0);
    let rows = socket.rows();
    let row = |stream: u64| rows.iter().find(|row| row.stream == stream).expect("a row");
    assert!(row(3).marks.is_empty() && row(3).text.contains("/same"));
    // One head is not enough to be sure of the place; by the next one, this call was over.
    assert_eq!(row(7).marks, ["gap", "no_request"]);
    for stream in [9, 11, 13] {
        assert!(row(stream).text.contains("/after"), "{:?}", row(stream));
        assert!(row(stream).text.contains("[ 200"), "the other direction lost nothing: {:?}", row(stream));
    }
    assert_eq!(row(13).marks, ["hpack_unresolved"]);
}

#[test]
fn floods_are_bounded_and_counted() {
    let mut socket = Socket::new(false);
    socket.segment(false, &[PREFACE.to_vec(), settings()].concat(), 0);
    socket.segment(true, &settings(), 0);
    // A header section without an end.
    socket.segment(false, &frame(1, 0, 1, &block(&[(":method", "GET"), (":path", "/")])), 0);
    let more = frame(9, 0, 1, &literal("x-flood", &"f".repeat(100)));
    for _ in 0..10_000 {
        socket.segment(false, &more, 0);
    }
    socket.segment(false, &frame(9, END_HEADERS, 1, &[]), 0);
    // Streams without an end.
    for stream in (3..60_001).step_by(2) {
        let fields = [(":method", "POST"), (":scheme", "http"), (":path", "/x"), ("x-large", &"l".repeat(120)[..])];
        socket.segment(false, &headers(stream, false, &fields), 0);
    }
    assert!(socket.connections.open_exchanges() <= Limits::default().streams);
    let ledger = socket.connections.ledger;
    assert!(ledger.floods == 1 && ledger.heads_cut == 1 && ledger.streams_refused > 20_000, "{ledger:?}");
    let rows = socket.rows();
    let flooded = rows.iter().find(|row| row.stream == 1).expect("the flooded row");
    assert!(flooded.marks.contains(&"cut") && flooded.text.len() < 64 << 10, "{flooded:?}");
    assert!(rows.iter().skip(1).all(|row| !row.marks.contains(&Marks::NAMES[2])));
}
