//! Streams that may not be, that were, and that come late: none makes a row that is not true.

use super::*;

fn ping() -> Vec<u8> {
    frame(6, 0, 0, &[0; 8])
}

fn promise(promised: u32, path: &str) -> Vec<u8> {
    let fields = block(&[(":method", "DELETE"), (":scheme", "http"), (":path", path)]);
    frame(5, END_HEADERS, 1, &[&promised.to_be_bytes()[..], &fields].concat())
}

fn of(rows: &[Row], stream: u64) -> Vec<&Row> {
    rows.iter().filter(|row| row.stream == stream).collect()
}

#[test]
fn a_server_promises_no_stream_of_the_client() {
    for promised in [0, 3] {
        let mut socket = begin();
        socket.segment(false, &get(1, "/1"), 0);
        socket.segment(true, &promise(promised, "/forged"), 0);
        socket.segment(false, &get(3, "/real"), 0);
        socket.segment(true, &[ok(1, "1", b"a"), ok(3, "3", b"b")].concat(), 0);
        assert_eq!(socket.connections.ledger.lost, 1);
        let rows = socket.rows();
        assert!(rows.iter().all(|row| !row.text.contains("forged")), "{rows:?}");
        assert!(of(&rows, 3)[0].text.contains("GET /real") && of(&rows, 3)[0].text.contains("x-v=3"), "{rows:?}");
        assert_eq!(of(&rows, 1)[0].marks, ["gap"]);
    }
}

#[test]
fn a_client_promises_nothing() {
    let mut socket = begin();
    socket.segment(false, &[get(1, "/1"), promise(2, "/forged")].concat(), 0);
    socket.segment(true, &ok(1, "1", b"a"), 0);
    assert_eq!(socket.connections.ledger.streams_refused, 1);
    let rows = socket.rows();
    assert_eq!((rows.len(), &rows[0].marks[..]), (1, &[][..]), "{rows:?}");
}

#[test]
fn what_comes_late_on_a_stream_that_was_given_up_is_no_second_row() {
    let call = [(":method", "POST"), (":scheme", "http"), (":path", "/p.S/M"), ("content-type", "application/grpc")];
    let mut socket = begin();
    let message = frame(0, 0, 1, &[0, 0, 0, 0, 1, 7]);
    socket.segment(false, &[headers(1, false, &call), message.clone()].concat(), 0);
    socket.segment(true, &headers(1, false, &[(":status", "200"), ("content-type", "application/grpc")]), 0);
    socket.lose(false, 100);
    for id in (3..803).step_by(2) {
        socket.segment(false, &[get(id, "/n"), ping()].concat(), 0);
        socket.segment(true, &ok(id, "n", b""), 0);
    }
    for id in (1003..1203).step_by(2) {
        socket.segment(false, &get(id, "/n"), 0);
        socket.segment(true, &frame(3, 0, id, &[0, 0, 0, 8]), 0);
    }
    socket.segment(true, &[message, headers(1, true, &[("grpc-status", "0")])].concat(), 0);
    let rows = socket.rows();
    assert_eq!(of(&rows, 1).len(), 1);
    assert!(of(&rows, 1)[0].text.contains("response_messages: None"), "one came since: {rows:?}");
}

#[test]
fn a_response_on_its_way_to_a_reset_is_no_second_row() {
    let mut socket = begin();
    for id in (1..201).step_by(2) {
        socket.segment(false, &get(id, "/1"), 0);
    }
    socket.lose(false, 50);
    socket.segment(false, &ping(), 0);
    socket.segment(false, &[get(301, "/1"), get(303, "/2")].concat(), 0);
    for id in (1..201).step_by(2) {
        socket.segment(false, &frame(3, 0, id, &[0, 0, 0, 8]), 0);
    }
    socket.segment(true, &ok(1, "1", b"late"), 0);
    let rows = socket.rows();
    assert_eq!(of(&rows, 1).len(), 1);
    assert_eq!(of(&rows, 1)[0].marks, ["no_response", "reset"]);
}

#[test]
fn a_stream_below_one_that_was_opened_is_counted() {
    let mut socket = begin();
    socket.segment(false, &[get(5, "/5"), get(3, "/3"), get(3, "/3")].concat(), 0);
    socket.segment(true, &[ok(5, "5", b""), ok(3, "3", b"")].concat(), 0);
    assert_eq!(socket.connections.ledger.streams_refused, 1, "once");
    let rows = socket.rows();
    assert_eq!(rows.iter().map(|row| row.stream).collect::<Vec<_>>(), [5]);
}
