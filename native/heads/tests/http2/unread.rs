//! Calls that begin while the place of the other direction is looked for: what is not read of them is not known.

use super::*;

const CALL: [(&str, &str); 4] =
    [(":method", "POST"), (":scheme", "http"), (":path", "/p.S/M"), ("content-type", "application/grpc")];
const ANSWER: [(&str, &str); 2] = [(":status", "200"), ("content-type", "application/grpc")];
const MESSAGE: &[u8] = &[0, 0, 0, 0, 3, b'a', b'b', b'c'];

fn ping() -> Vec<u8> {
    frame(6, 0, 0, &[0; 8])
}

fn row(rows: &[Row], stream: u64) -> &Row {
    let mut found = rows.iter().filter(|row| row.stream == stream);
    let row = found.next().expect("a row");
    assert!(found.next().is_none(), "two rows of one stream");
    row
}

/// A response is lost, and with it where its direction is.
fn lost() -> Socket {
    let mut socket = begin();
    socket.segment(false, &get(1, "/1"), 0);
    socket.segment(true, &ok(1, "1", b"x"), 0);
    socket.lose(true, 100);
    socket.segment(true, b"rest of some data", 0);
    socket
}

#[test]
fn a_head_that_was_not_read_makes_no_head_of_trailers_and_no_count_of_messages() {
    let mut socket = lost();
    socket.segment(false, &[headers(3, false, &CALL), frame(0, END_STREAM, 3, MESSAGE), get(5, "/5")].concat(), 0);
    // This segment begins within a frame.
    let unread = [headers(3, false, &ANSWER), frame(0, 0, 3, MESSAGE), headers(5, false, &[(":status", "200")])];
    socket.segment(true, &[b"tail".to_vec(), unread.concat(), frame(0, 0, 5, b"hello")].concat(), 0);
    socket.segment(false, &get(7, "/7"), 0);
    let rest = [headers(3, true, &[("grpc-status", "0")]), ok(7, "7", b"y"), frame(0, END_STREAM, 5, b"end")];
    socket.segment(true, &rest.concat(), 0);
    assert_eq!(socket.connections.open_exchanges(), 0, "the end of each was read");
    let rows = socket.rows();
    let call = row(&rows, 3);
    assert_eq!(call.marks, ["gap"]);
    assert!(call.text.contains("|  | grpc-status=0 |") && call.text.contains("true None] Http2"), "{call:?}");
    assert!(call.text.contains("status: Some(0)") && call.text.contains("response_messages: None"), "{call:?}");
    assert_eq!(row(&rows, 5).marks, ["gap"]);
    assert!(row(&rows, 5).text.contains("[    |  |  | 0 12 true None]"), "{:?}", row(&rows, 5));
    assert_eq!(row(&rows, 7).marks, [""; 0], "it began behind what was not read");
}

#[test]
fn joined_it_is_the_same() {
    let mut socket = Socket::new(true);
    socket.segment(false, &[headers(7, false, &CALL), frame(0, END_STREAM, 7, MESSAGE)].concat(), 0);
    let unread = [headers(7, false, &ANSWER), frame(0, 0, 7, MESSAGE)].concat();
    socket.segment(true, &[b"tail".to_vec(), unread].concat(), 0);
    socket.segment(false, &get(9, "/9"), 0);
    socket.segment(true, &[headers(7, true, &[("grpc-status", "0")]), ok(9, "9", b"y")].concat(), 0);
    let rows = socket.rows();
    assert_eq!(row(&rows, 7).marks, ["joined"]);
    let text = &row(&rows, 7).text;
    assert!(text.contains("|  | grpc-status=0 |") && text.contains("response_messages: None"), "{text}");
    assert_eq!(row(&rows, 9).marks, [""; 0]);
}

#[test]
fn whole_responses_that_were_not_read_leave_no_call_open_for_ever() {
    let mut socket = lost();
    for id in (3..103).step_by(2) {
        socket.segment(false, &get(id, "/lost"), 0);
        socket.segment(true, &[b"tail".to_vec(), ok(id, "5", b"hello")].concat(), 0);
    }
    for id in (103..1103).step_by(2) {
        socket.segment(false, &get(id, "/n"), 0);
        socket.segment(true, &[ok(id, "n", b""), ping()].concat(), 0);
    }
    assert_eq!(socket.connections.open_exchanges(), 0);
    let rows = socket.rows();
    for id in (3..103).step_by(2) {
        assert_eq!(row(&rows, id).marks, ["gap", "no_response"]);
    }
    assert_eq!(row(&rows, 111).marks, [""; 0]);
}

#[test]
fn a_response_without_a_status_is_malformed_where_nothing_was_lost() {
    let mut socket = begin();
    socket.segment(false, &[get(1, "/1"), get(3, "/3")].concat(), 0);
    let content = frame(0, END_STREAM, 3, b"content");
    socket.segment(true, &[headers(1, true, &[("server", "s"), ("x-y", "z")]), content].concat(), 0);
    let rows = socket.rows();
    assert_eq!(row(&rows, 1).marks, ["malformed"]);
    assert!(row(&rows, 1).text.contains("server=s,x-y=z |  |"), "they are no trailers: {rows:?}");
    assert_eq!(row(&rows, 3).marks, ["malformed"]);
    assert!(row(&rows, 3).text.contains(" 0 16 true Some(Frames)]"), "{rows:?}");
}

#[test]
fn a_request_that_is_read_late_may_have_its_response_behind_it() {
    let mut socket = begin();
    socket.lose(false, 50);
    socket.lose(true, 50);
    socket.segment(false, b"rest of some data", 0);
    socket.segment(true, b"rest of some data", 0);
    // One frame: not enough to be sure of the place. Its answer begins in the middle of a segment.
    socket.segment(false, &headers(3, false, &CALL), 0);
    socket.segment(true, &[b"tail".to_vec(), headers(3, false, &ANSWER)].concat(), 0);
    socket.segment(true, &[frame(0, 0, 3, MESSAGE), ok(1, "1", b"x")].concat(), 0);
    socket.segment(false, &frame(0, END_STREAM, 3, MESSAGE), 0);
    socket.segment(true, &[frame(0, 0, 3, MESSAGE), headers(3, true, &[("grpc-status", "0")])].concat(), 0);
    let rows = socket.rows();
    let text = &row(&rows, 3).text;
    assert_eq!(row(&rows, 3).marks, ["gap"], "{text}");
    assert!(text.contains("|  | grpc-status=0 |") && text.contains("response_messages: None"), "{text}");
}
