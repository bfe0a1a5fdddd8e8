//! Bytes of which two versions came: every row that they had a part in says so, and no other.

use super::*;

impl Socket {
    /// Two versions that wait for `lead` and disagree, then `lead`.
    fn dispute(&mut self, egress: bool, lead: &[u8], versions: [&[u8]; 2]) {
        let seq = self.next[usize::from(egress)];
        let behind = seq.wrapping_add(u32::try_from(lead.len()).unwrap());
        for (seq_of, bytes) in [(behind, versions[0]), (behind, versions[1]), (seq, lead)] {
            self.time += 1;
            let segment = Segment {
                egress,
                seq: seq_of,
                bytes,
                span: u32::try_from(bytes.len()).unwrap(),
                accepted_in: (!egress).then_some(seq),
                accepted_out: egress.then_some(seq),
                time: self.time,
                fin: false,
                rst: false,
                cut: false,
            };
            self.connections.segment(1, &segment, &mut self.rows);
        }
        self.next[usize::from(egress)] = behind.wrapping_add(u32::try_from(versions[0].len()).unwrap());
    }
}

fn ping() -> Vec<u8> {
    frame(6, 0, 0, &[0; 8])
}

fn marks(rows: &[Row]) -> Vec<(u64, Vec<&'static str>)> {
    rows.iter().map(|row| (row.stream, row.marks.clone())).collect()
}

#[test]
fn a_disputed_request_has_the_mark_and_no_other_one() {
    let mut socket = begin();
    socket.segment(false, &get(1, "/1"), 0);
    socket.dispute(false, &ping(), [&get(3, "/evil"), &get(3, "/good")]);
    socket.segment(false, &get(5, "/5"), 0);
    socket.segment(true, &[ok(1, "1", b""), ok(3, "3", b""), ok(5, "5", b"")].concat(), 0);
    let rows = socket.rows();
    assert_eq!(marks(&rows), [(1, vec![]), (3, vec!["overlap"]), (5, vec![])], "{rows:?}");
}

#[test]
fn of_a_table_that_disputed_bytes_had_a_part_in_nothing_is_certain() {
    let mut socket = begin();
    socket.dispute(false, &ping(), [&get(1, "/evil"), &get(1, "/good")]);
    socket.segment(false, &frame(1, END_HEADERS | END_STREAM, 3, &[0xc2, 0xc1, 0xc0, 0xbf, 0xbe]), 0);
    socket.segment(true, &[ok(1, "1", b""), ok(3, "3", b"")].concat(), 0);
    let rows = socket.rows();
    assert_eq!(marks(&rows), [(1, vec!["overlap"]), (3, vec!["hpack_unresolved"])], "{rows:?}");
}

#[test]
fn disputed_content_marks_its_stream() {
    let mut socket = begin();
    let fields = [(":method", "POST"), (":scheme", "http"), (":path", "/")];
    socket.segment(false, &[get(1, "/1"), headers(3, false, &fields)].concat(), 0);
    let (one, two) = (frame(0, END_STREAM, 3, b"one"), frame(0, END_STREAM, 3, b"two"));
    socket.dispute(false, &ping(), [&one, &two]);
    socket.segment(true, &[ok(1, "1", b""), ok(3, "3", b"")].concat(), 0);
    assert_eq!(marks(&socket.rows()), [(1, vec![]), (3, vec!["overlap"])]);
}

#[test]
fn a_disputed_reset_says_so() {
    let mut socket = begin();
    socket.segment(false, &[get(1, "/1"), get(3, "/3")].concat(), 0);
    let (one, two) = (frame(3, 0, 3, &[0, 0, 0, 8]), frame(3, 0, 1, &[0, 0, 0, 8]));
    socket.dispute(false, &ping(), [&one, &two]);
    socket.segment(true, &[ok(1, "1", b""), ok(3, "3", b"")].concat(), 0);
    let rows = socket.rows();
    let reset = rows.iter().find(|row| row.marks.contains(&"reset")).expect("the one that was reset");
    assert_eq!(reset.marks, ["no_response", "reset", "overlap"]);
    assert!(rows.iter().any(|row| row.marks.is_empty()), "{rows:?}");
}

#[test]
fn a_disputed_beginning_is_not_forgotten_when_it_turns_out_to_be_http2() {
    let mut socket = Socket::new(false);
    let hello = [PREFACE.to_vec(), settings(), get(1, "/1")].concat();
    let other = [PREFACE.to_vec(), settings(), get(1, "/2")].concat();
    socket.dispute(false, &hello[..3], [&hello[3..], &other[3..]]);
    socket.segment(false, &get(3, "/3"), 0);
    socket.segment(true, &[settings(), ok(1, "1", b""), ok(3, "3", b"")].concat(), 0);
    assert_eq!(marks(&socket.rows()), [(1, vec!["overlap"]), (3, vec![])]);
}

#[test]
fn in_http1_each_request_of_disputed_bytes_has_the_mark() {
    let ask = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes();
    let mut socket = Socket::new(false);
    socket.segment(false, &ask("/0"), 0);
    let (one, two) = ([ask("/evil"), ask("/1")].concat(), [ask("/good"), ask("/2")].concat());
    socket.dispute(false, b"\r\n", [&one, &two]);
    socket.segment(false, &ask("/3"), 0);
    socket.segment(true, &b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".repeat(4), 0);
    let rows = socket.rows();
    let overlap = vec!["overlap"];
    assert_eq!(marks(&rows), [(0, vec![]), (1, overlap.clone()), (2, overlap), (3, vec![])], "{rows:?}");
}
