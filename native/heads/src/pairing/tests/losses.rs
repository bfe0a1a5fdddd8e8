//! What can still be said when something is missing, and what must not be.

use super::*;

const POST: &str = "POST /a HTTP/1.1\r\nContent-Length: 10\r\n\r\n";

#[test]
fn a_reset_marks_what_it_cut_short_only() {
    let rows = talk().ask(&get("/a")).answer(OK).ask(&get("/b")).reset().rows();
    assert_eq!(rows, ["GET /a 0 > 200 2 []", "GET /b 0 > - [no_response reset]"]);
    assert_eq!(talk().ask(&get("/a")).answer(OK).reset().rows(), ["GET /a 0 > 200 2 []"]);
}

#[test]
fn bodies_that_were_not_copied_are_counted() {
    let length = "HTTP/1.1 200 X\r\nContent-Length: 100\r\n\r\n";
    let talk = talk().ask(POST).skip(false, 10).answer(length).skip(true, 60).skip(true, 40);
    let chunked = "HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n";
    let talk = talk.ask(&get("/b")).answer(chunked).skip(true, 100).answer("\r\n0\r\n\r\n");
    let talk = talk.ask(&get("/c")).answer("HTTP/1.1 200 X\r\n\r\n").skip(true, 70).end(true);
    assert_eq!(talk.rows(), ["POST /a 10 > 200 100 []", "GET /b 0 > 200 111 []", "GET /c 0 > 200 70 []"]);
}

#[test]
fn a_gap_in_a_body_is_marked_and_the_place_is_kept() {
    let rows = talk().ask(POST).gap(false, 4).ask("567890").answer(OK).ask(&get("/b")).answer(OK).rows();
    assert_eq!(rows, ["POST /a 10 > 200 2 [gap]", "GET /b 0 > 200 2 []"]);
    let long = "HTTP/1.1 200 X\r\nContent-Length: 10\r\n\r\n123";
    let rows = talk().ask(&get("/a")).answer(long).gap(true, 7).ask(&get("/b")).answer(OK).rows();
    assert_eq!(rows, ["GET /a 0 > 200 10 [gap]", "GET /b 0 > 200 2 []"]);
}

#[test]
fn after_a_gap_in_a_requests_head_reading_starts_again_when_both_are_idle() {
    let talk = talk().ask("GET /a HTTP/1.1\r\nHo").gap(false, 9).ask(": x\r\n\r\n").answer(OK);
    assert_eq!(talk.ask(&get("/b")).answer(OK).rows(), ["GET /a 0 > 200 2 [gap]", "GET /b 0 > 200 2 []"]);
}

#[test]
fn after_a_gap_in_a_responses_head_reading_starts_again_with_the_next_request() {
    let talk = talk().ask(&get("/a")).answer("HTTP/1.1 200 OK\r\nSe").gap(true, 9).answer("secret: x\r\n\r\n");
    assert_eq!(talk.ask(&get("/b")).answer(OK).rows(), ["GET /a 0 > 200 0 [gap]", "GET /b 0 > 200 2 []"]);
}

#[test]
fn a_gap_beyond_a_bodys_end_loses_the_place() {
    let talk = talk().ask(POST).gap(false, 60).ask("x=secret HTTP/1.1\r\n\r\n").answer(OK);
    let rows = talk.ask(&get("/b")).answer(OK).rows();
    assert_eq!(rows, ["POST /a 0 > 200 2 [gap]", "GET /b 0 > 200 2 []"]);
}

#[test]
fn requests_are_not_read_again_while_one_waits_for_its_response() {
    // The gap may have held a whole request: whose response comes next?
    let talk = talk().ask(&get("/a")).gap(false, 60).answer("HTTP/1.1 100 X\r\n\r\n").ask(&get("/c")).answer(OK);
    let rows = talk.answer(OK).ask(&get("/d")).answer(OK).rows();
    assert_eq!(rows[0], "GET /a 0 > 100 200 2 []");
    assert_eq!(rows[1], "- > 200 2 [gap no_request]");
    assert_eq!(rows[2], "GET /d 0 > 200 2 []");
}

#[test]
fn a_response_after_a_loss_is_not_given_to_a_later_request() {
    let talk = talk().ask(&get("/a")).answer("HTTP/1.1 200 OK\r\nSe").gap(true, 9);
    // Both are asked before anything comes back: the next response may be either's.
    let talk = talk.ask(&get("/b")).ask(&get("/c")).answer("HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n");
    let rows = talk.answer(OK).ask(&get("/d")).answer(OK).rows();
    let expected = ["GET /a 0 > 200 0 [gap]", "GET /b 0 > - [gap no_response]", "GET /c 0 > - [gap no_response]"];
    assert_eq!(rows[..3], expected);
    assert_eq!(rows[3..], ["GET /d 0 > 200 2 []"]);
}

#[test]
fn too_many_waiting_requests_are_given_up_and_get_no_one_elses_response() {
    let limits = Limits { waiting: 2, ..Limits::default() };
    let talk = Talk::new(false, limits).ask(&[get("/a"), get("/b"), get("/c")].concat());
    let rows = talk.answer(OK).answer(OK).answer(OK).ask(&get("/d")).answer(OK).rows();
    assert_eq!(rows[..2], ["GET /a 0 > - [gap no_response]", "GET /b 0 > - [gap no_response]"]);
    assert!(rows[2].starts_with("GET /c 0 > - ["));
    assert_eq!(rows[3..], ["GET /d 0 > 200 2 []"]);
}

#[test]
fn a_connection_that_was_joined_starts_at_a_start_line() {
    let talk = joined().answer("rest of a body\r\n\r\n").ask("secret=1 of an upload").ask(&get("/a")).answer(OK);
    assert_eq!(talk.rows(), ["GET /a 0 > 200 2 []"]);
    // The other direction may be in the middle of a message, too.
    let talk = joined().ask(&get("/a")).answer("rest of a body").ask(&get("/b")).answer(OK);
    assert_eq!(talk.rows(), ["GET /a 0 > - [gap no_response]", "GET /b 0 > 200 2 []"]);
    let talk = joined().answer(OK).ask("secret=1 of an upload\r\n\r\n").answer(OK).ask(&get("/b")).answer(OK);
    let rows = talk.rows();
    assert!(rows.iter().all(|row| !row.contains("secret")) && rows.last().is_some_and(|row| row.contains("GET /b")));
}

#[test]
fn a_connection_whose_first_bytes_are_missing_starts_at_a_start_line() {
    let talk = talk().gap(false, 500).ask("secret: 1\r\n\r\n").answer(OK).ask(&get("/b")).answer(OK);
    let rows = talk.rows();
    assert_eq!(rows, ["- > 200 2 [gap no_request]", "GET /b 0 > 200 2 []"]);
}

#[test]
fn a_head_over_the_limit_is_cut_and_the_next_one_is_whole() {
    let limits = Limits { max_head_bytes: 40, ..Limits::default() };
    let long = format!("GET /a HTTP/1.1\r\nLong: {}\r\n\r\n", "x".repeat(100));
    for (first, second) in [(1, 139), (30, 110), (60, 80)] {
        let text = [&long, "0123456789012345"].concat();
        let talk = Talk::new(false, limits).ask(&text[..first]).ask(&text[first..first + second - 16]);
        let rows = talk.answer(OK).ask(&get("/b")).answer(OK).rows();
        assert_eq!(rows, ["GET /a 0 > 200 2 [cut]", "GET /b 0 > 200 2 []"], "{first}");
    }
    // As the kernel side does it: the rest of the head is not copied.
    let talk = Talk::new(false, limits).ask(&long[..40]).cut(false, 84).answer(OK).ask(&get("/b")).answer(OK);
    assert_eq!(talk.rows(), ["GET /a 0 > 200 2 [cut]", "GET /b 0 > 200 2 []"]);
}

#[test]
fn a_trailer_section_over_the_limit_marks_its_own_row_only() {
    let limits = Limits { max_head_bytes: 50, ..Limits::default() };
    let long = format!("0\r\nLong: {}\r\n\r\n", "x".repeat(100));
    let post = "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    let rows = Talk::new(false, limits).ask(post).ask(&long).answer(OK).ask(&get("/b")).answer(OK).rows();
    assert_eq!(rows, [format!("POST /a {} > 200 2 [cut]", long.len()), "GET /b 0 > 200 2 []".to_owned()]);
}

#[test]
fn more_than_was_announced_is_no_response() {
    let talk = talk().ask(&get("/a")).answer(&format!("{OK}and secret: more\r\n\r\n")).ask(&get("/b")).answer(OK);
    let rows = ["GET /a 0 > 200 2 []", "GET /b 0 > 200 2 []"];
    assert_eq!(talk.rows(), rows);
    let talk = Talk::new(false, Limits::default()).ask(&get("/a")).answer("what is this\r\n\r\n");
    assert_eq!(talk.ask(&get("/b")).answer(OK).rows(), ["GET /a 0 > - [no_response malformed]", rows[1]]);
}

#[test]
fn an_overlap_marks_the_direction_in_which_it_was() {
    let mut talk = talk().ask(&get("/a")).answer(OK).ask(&get("/b"));
    talk.pairing.overlap(true);
    let rows = talk.ask(&get("/c")).answer(OK).answer(OK).rows();
    assert_eq!(rows, ["GET /a 0 > 200 2 []", "GET /b 0 > 200 2 [overlap]", "GET /c 0 > 200 2 []"]);
}

#[test]
fn the_place_is_lost_once_however_much_follows() {
    let talk = talk().ask(&get("/a")).answer("HTTP/1.1 200 OK\r\nSe").gap(true, 9).answer("x").answer("y").answer("z");
    assert_eq!(talk.ledger.lost, 1);
}
