//! What is said of gRPC calls: only what is certain.

use super::*;

const CALL: [(&str, &str); 4] =
    [(":method", "POST"), (":scheme", "http"), (":path", "/p.S/M"), ("content-type", "application/grpc")];
const ANSWER: [(&str, &str); 2] = [(":status", "200"), ("content-type", "application/grpc")];
const MESSAGE: &[u8] = &[0, 0, 0, 0, 3, b'a', b'b', b'c'];

fn row(rows: &[Row], stream: u64) -> &Row {
    rows.iter().find(|row| row.stream == stream).expect("a row")
}

#[test]
fn messages_are_not_counted_where_it_was_not_known_from_their_first_on_that_it_is_grpc() {
    let mut socket = Socket::new(true);
    socket.segment(true, &ok(5, "a", b"x"), 0);
    // One frame: not enough to be sure of the place.
    socket.segment(false, &headers(7, false, &CALL), 0);
    let content = frame(0, 0, 7, MESSAGE).repeat(2);
    socket.segment(true, &[frame(1, END_HEADERS, 7, &[0x88, 0xff, 0x20]), content].concat(), 0);
    socket.segment(false, &frame(0, END_STREAM, 7, MESSAGE), 0);
    socket.segment(true, &[frame(0, 0, 7, MESSAGE), headers(7, true, &[("grpc-status", "0")])].concat(), 0);
    let rows = socket.rows();
    let text = &row(&rows, 7).text;
    assert!(text.contains("status: Some(0), request_messages: Some(1), response_messages: None"), "{text}");
}

#[test]
fn a_status_in_a_head_counts_where_the_response_has_nothing_else() {
    let mut socket = begin();
    let head = [&ANSWER[..], &[("grpc-status", "0")]].concat();
    for (stream, rest) in [(1, frame(3, 0, 1, &[0, 0, 0, 2])), (3, frame(0, END_STREAM, 3, &[]))] {
        socket.segment(false, &[headers(stream, false, &CALL), frame(0, END_STREAM, stream, MESSAGE)].concat(), 0);
        socket.segment(true, &[headers(stream, false, &head), rest].concat(), 0);
    }
    socket.segment(false, &headers(5, true, &CALL), 0);
    socket.segment(true, &headers(5, true, &head), 0);
    let rows = socket.rows();
    assert!(row(&rows, 1).text.contains("Grpc { status: None"), "it was reset: {rows:?}");
    assert!(row(&rows, 3).text.contains("Grpc { status: None"), "its trailers did not come: {rows:?}");
    assert!(row(&rows, 5).text.contains("Grpc { status: Some(0)"), "{rows:?}");
}

#[test]
fn an_upgraded_call_is_one_whatever_the_case_of_its_fields_and_its_messages_are_not_counted() {
    for name in ["Content-Type", "content-type"] {
        let ask = format!(
            "POST /p.S/M HTTP/1.1\r\nHost: a\r\n{name}: application/grpc\r\ncontent-length: 8\r\n\
             Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"
        );
        let mut socket = Socket::new(false);
        socket.segment(false, &[ask.as_bytes(), MESSAGE].concat(), 0);
        let answer = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
        socket.segment(true, answer, 0);
        socket.segment(true, &settings(), 0);
        socket.segment(false, &[PREFACE.to_vec(), settings()].concat(), 0);
        let end = headers(1, true, &[("grpc-status", "0")]);
        socket.segment(true, &[headers(1, false, &ANSWER), frame(0, 0, 1, MESSAGE), end].concat(), 0);
        let rows = socket.rows();
        let grpc = "status: Some(0), request_messages: None, response_messages: Some(1)";
        assert!(rows[0].text.contains(grpc) && rows[0].marks.is_empty(), "{name}: {rows:?}");
    }
}

#[test]
fn octets_that_no_field_may_have_are_malformed_where_it_is_no_grpc() {
    let mut socket = begin();
    let ask = |name| [(":method", "GET"), (":scheme", "http"), (":path", "/"), (name, "\0\r\nevil: 1")];
    socket.segment(false, &[headers(1, true, &ask("x-bin")), headers(3, true, &ask("x-bim"))].concat(), 0);
    socket.segment(true, &[ok(1, "1", b"a"), ok(3, "3", b"")].concat(), 0);
    let rows = socket.rows();
    for stream in [1, 3] {
        assert_eq!(row(&rows, stream).marks, ["malformed"]);
        assert!(row(&rows, stream).text.contains("=\0\r\nevil: 1 |"), "as it was: {rows:?}");
    }
}
