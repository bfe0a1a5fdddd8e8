//! Sections of which it is not clear what they are: in the middle of a loss, or behind an entry from before.

use super::*;

const KNOWN: [(&str, &str); 3] = [(":method", "GET"), (":scheme", "http"), (":path", "/new")];
/// An index beyond all entries that were seen.
const UNKNOWN: [u8; 2] = [0xff, 0x20];

fn ping() -> Vec<u8> {
    frame(6, 0, 0, &[0; 8])
}

fn only(rows: &[Row], stream: u64) -> &Row {
    let found: Vec<&Row> = rows.iter().filter(|row| row.stream == stream).collect();
    assert_eq!(found.len(), 1, "{rows:?}");
    found[0]
}

/// Joined, and both directions found.
fn joined() -> Socket {
    let mut socket = Socket::new(true);
    for stream in [9, 11] {
        socket.segment(false, &headers(stream, true, &KNOWN), 0);
        socket.segment(true, &headers(stream, true, &[(":status", "404")]), 0);
    }
    socket
}

/// A request, and a frame of the server whose payload does not come.
fn without_payload(unseen: &[u8]) -> Socket {
    let mut socket = begin();
    socket.segment(false, &get(1, "/1"), 0);
    socket.segment(true, &unseen[..9], 0);
    socket.lose(true, u32::try_from(unseen.len() - 9).unwrap());
    socket.segment(true, &ping(), 0);
    socket
}

fn answer(stream: u32) -> Vec<u8> {
    // The status is an entry of the static table.
    let head = frame(1, END_HEADERS, stream, &[&[0x88][..], &literal("x-v", "v")].concat());
    [head, frame(0, END_STREAM, stream, b"hello")].concat()
}

#[test]
fn an_interim_response_that_did_not_come_is_none_of_the_final_one() {
    let mut socket = without_payload(&headers(1, false, &[(":status", "103"), ("link", "</a.css>; rel=preload")]));
    socket.segment(true, &answer(1), 0);
    let rows = socket.rows();
    assert_eq!(only(&rows, 1).marks, ["gap"]);
    assert!(only(&rows, 1).text.contains("[ 200   | x-v=v |  | 17 14 true None]"), "{rows:?}");
}

#[test]
fn a_promise_that_did_not_come_is_no_response() {
    let promise = [&2_u32.to_be_bytes()[..], &block(&[(":method", "GET"), (":path", "/pushed")])].concat();
    let mut socket = without_payload(&frame(5, END_HEADERS, 1, &promise));
    socket.segment(true, &[answer(1), answer(2)].concat(), 0);
    let rows = socket.rows();
    assert!(only(&rows, 1).text.contains("[ 200   | x-v=v |  | 17 14 true None]"), "{rows:?}");
    assert_eq!(only(&rows, 1).marks, [""; 0]);
    assert_eq!(only(&rows, 2).marks, ["gap", "no_request"]);
}

#[test]
fn a_reset_whose_reason_did_not_come_is_one() {
    let rows = without_payload(&frame(3, 0, 1, &[0, 0, 0, 8])).rows();
    assert_eq!(only(&rows, 1).marks, ["no_response", "reset"]);
}

#[test]
fn of_two_heads_that_are_unclear_the_first_was_an_interim_one() {
    let mut socket = joined();
    socket.segment(false, &headers(13, true, &KNOWN), 0);
    socket.segment(true, &frame(1, END_HEADERS, 13, &vague("link", "</a>")), 0);
    socket.segment(true, &frame(1, END_HEADERS | END_STREAM, 13, &vague("location", "/x")), 0);
    let rows = socket.rows();
    let row = only(&rows, 13);
    assert!(row.text.contains("| ?,link=</a> |") && row.text.contains("| ?,location=/x |  |"), "{row:?}");
    assert_eq!(row.marks, ["hpack_unresolved"]);
}

#[test]
fn in_grpc_the_second_one_is_trailers() {
    let mut socket = joined();
    let call = [&KNOWN[..], &[("content-type", "application/grpc")]].concat();
    socket.segment(false, &headers(13, true, &call), 0);
    socket.segment(true, &frame(1, END_HEADERS, 13, &vague("x-a", "a")), 0);
    socket.segment(true, &frame(1, END_HEADERS | END_STREAM, 13, &vague("grpc-message", "no")), 0);
    let rows = socket.rows();
    assert!(only(&rows, 13).text.contains("| ?,x-a=a | ?,grpc-message=no |"), "{rows:?}");
}

#[test]
fn behind_content_unclear_fields_are_trailers_of_a_response() {
    let mut socket = joined();
    let unclear = [&UNKNOWN[..], &literal("grpc-message", "no")].concat();
    let rest = [frame(0, 0, 7, &[0, 0, 0, 0, 1, 7]), frame(1, END_HEADERS | END_STREAM, 7, &unclear)];
    socket.segment(true, &rest.concat(), 0);
    let rows = socket.rows();
    assert_eq!(only(&rows, 7).marks, ["joined", "no_request", "hpack_unresolved"]);
    assert!(only(&rows, 7).text.contains("[    |  | ?,grpc-message=no |"), "{rows:?}");
}

#[test]
fn behind_content_unclear_fields_are_trailers_of_a_request() {
    let mut socket = joined();
    let unclear = [&UNKNOWN[..], &literal("x-sum", "1")].concat();
    let rest = [frame(0, 0, 7, b"upload"), frame(1, END_HEADERS | END_STREAM, 7, &unclear)];
    socket.segment(false, &rest.concat(), 0);
    socket.segment(true, &answer(7), 0);
    let rows = socket.rows();
    assert_eq!(only(&rows, 7).marks, ["joined", "no_request"], "{rows:?}");
    assert!(only(&rows, 7).text.contains("[ 200   | x-v=v |"));
}

/// A field that is an entry from before, and one that is known.
fn vague(name: &str, value: &str) -> Vec<u8> {
    [&UNKNOWN[..], &literal(name, value)].concat()
}

#[test]
fn a_head_without_a_known_status_and_nothing_behind_it_may_be_an_interim_one() {
    let mut socket = joined();
    for stream in [13, 15] {
        socket.segment(false, &headers(stream, true, &KNOWN), 0);
        socket.segment(true, &frame(1, END_HEADERS, stream, &vague("link", "</a>")), 0);
    }
    // Content makes it the head of a response.
    socket.segment(true, &frame(0, END_STREAM, 15, b"content"), 0);
    let rows = socket.rows();
    assert!(only(&rows, 13).text.contains("[    |  |  | 0 0 false None]"), "{rows:?}");
    assert!(only(&rows, 15).text.contains("[    | ?,link=</a> |"), "{rows:?}");
}

#[test]
fn behind_a_loss_it_is_not_the_head_of_the_content_that_follows() {
    let mut socket = joined();
    socket.segment(false, &headers(13, true, &KNOWN), 0);
    socket.segment(true, &frame(1, END_HEADERS, 13, &vague("link", "</a>")), 0);
    socket.lose(true, 30);
    socket.segment(true, &[frame(0, END_STREAM, 13, b"content"), answer(15)].concat(), 0);
    let rows = socket.rows();
    assert_eq!(only(&rows, 13).marks, ["gap", "hpack_unresolved"]);
    assert!(only(&rows, 13).text.contains("[    |  |  | 0 16 true None]"), "{rows:?}");
}

#[test]
fn a_request_has_two_pseudo_header_fields_at_least() {
    let mut socket = joined();
    socket.segment(false, &frame(1, END_HEADERS | END_STREAM, 7, &vague("x-sum", "1")), 0);
    let unknown = [&[0xff, 0x21][..], &UNKNOWN[..], &literal("x-q", "1")].concat();
    socket.segment(false, &frame(1, END_HEADERS | END_STREAM, 13, &unknown), 0);
    socket.segment(true, &[answer(7), answer(13)].concat(), 0);
    let rows = socket.rows();
    assert_eq!(only(&rows, 7).marks, ["joined", "no_request"], "they were trailers");
    assert!(only(&rows, 13).text.starts_with("[    | ?,?,x-q=1 |"), "{rows:?}");
}

#[test]
fn where_the_head_may_be_missing_and_the_call_may_be_grpc_nothing_is_said_of_a_vague_section() {
    let mut socket = joined();
    let get = [&[(":method", "GET")], &KNOWN[1..]].concat();
    let post = [&[(":method", "POST")], &KNOWN[1..]].concat();
    socket.segment(false, &[headers(13, true, &get), headers(15, true, &post)].concat(), 0);
    socket.lose(true, 30);
    let section = |stream| frame(1, END_HEADERS | END_STREAM, stream, &vague("x-v", "v"));
    socket.segment(true, &[section(13), section(15), answer(17)].concat(), 0);
    assert_eq!(socket.connections.ledger.heads_cut, 1);
    let rows = socket.rows();
    assert!(only(&rows, 13).text.contains("[    | ?,x-v=v |  |"), "a GET is no call: {rows:?}");
    assert!(only(&rows, 15).text.contains("[    |  |  | 0 0 true None]"), "{rows:?}");
    assert_eq!(only(&rows, 15).marks, ["gap", "hpack_unresolved"]);
}
