//! What is paired when nothing is missing.

use super::*;

#[test]
fn a_response_belongs_to_its_request() {
    assert_eq!(talk().ask(&get("/a")).answer(OK).rows(), ["GET /a 0 > 200 2 []"]);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let asked = [get("/a"), get("/b"), get("/c")].concat();
    let answers = format!("{OK}HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n{OK}");
    let rows = ["GET /a 0 > 200 2 []", "GET /b 0 > 404 0 []", "GET /c 0 > 200 2 []"];
    assert_eq!(talk().ask(&asked).answer(&answers).rows(), rows);
}

#[test]
fn interim_responses_belong_to_the_request_of_the_final_one() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    let rows = talk().ask(&get("/a")).ask(&get("/b")).answer(interim).answer(OK).answer(OK).rows();
    assert_eq!(rows, ["GET /a 0 > 100 103 200 2 []", "GET /b 0 > 200 2 []"]);
}

#[test]
fn interim_responses_are_not_kept_without_limit() {
    let mut rows = talk().ask(&get("/a")).answer(&"HTTP/1.1 102 X\r\n\r\n".repeat(1000)).answer(OK).rows();
    let row = rows.pop().unwrap_or_default();
    assert_eq!(row.matches("102").count(), responses::INTERIM);
    assert!(row.ends_with(" 200 2 [cut]"));
}

#[test]
fn responses_to_head_and_204_and_304_have_no_body() {
    let asked = ["HEAD /a HTTP/1.1\r\n\r\n", &get("/b"), &get("/c"), &get("/d")].concat();
    let answers = "HTTP/1.1 200 X\r\nContent-Length: 9\r\n\r\nHTTP/1.1 204 X\r\nContent-Length: 9\r\n\r\n\
        HTTP/1.1 304 X\r\nTransfer-Encoding: chunked\r\n\r\n";
    let rows = ["HEAD /a 0 > 200 0 []", "GET /b 0 > 204 0 []", "GET /c 0 > 304 0 []", "GET /d 0 > 200 2 []"];
    assert_eq!(talk().ask(&asked).answer(answers).answer(OK).rows(), rows);
}

#[test]
fn a_tunnel_is_opaque_and_its_bytes_are_in_no_row() {
    let connect = "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n";
    let rows = ["CONNECT a:443 0 > 200 0 []"];
    let tunnel = talk().ask(connect).answer("HTTP/1.1 200 OK\r\n\r\n").ask(&get("/secret")).answer(OK);
    assert!(tunnel.pairing.opaque());
    assert_eq!(tunnel.rows(), rows);
    // Bytes that the client sends before it knows.
    let early = talk().ask(connect).ask(&get("/secret")).answer("HTTP/1.1 200 OK\r\n\r\n").ask(&get("/secret"));
    assert_eq!(early.rows(), rows);
}

#[test]
fn after_a_refused_tunnel_requests_go_on() {
    let refused = "HTTP/1.1 407 X\r\nContent-Length: 2\r\n\r\nno";
    let rows = ["CONNECT a:443 0 > 407 2 []", "GET /a 0 > 200 2 []"];
    let talk = talk().ask("CONNECT a:443 HTTP/1.1\r\n\r\n").answer(refused);
    assert_eq!(talk.ask(&get("/a")).answer(OK).rows(), rows);
}

const UPGRADE: &str = "GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n";
const SWITCH: &str = "HTTP/1.1 101 X\r\nUpgrade: WebSocket\r\n\r\n";

#[test]
fn after_101_another_protocol_speaks() {
    let talk = talk().ask(UPGRADE).answer("HTTP/1.1 101 X\r\nUpgrade: other\r\n\r\n\x01\x02").ask("\x03\r\n\r\n");
    assert!(talk.pairing.opaque());
    assert_eq!(talk.rows(), ["GET /ws 0 > 101 0 []"]);
}

#[test]
fn a_websocket_stays_open_and_counts_both_ways_until_its_end() {
    let talk =
        talk().ask(UPGRADE).answer(&format!("{SWITCH}\x01\x02")).ask(&get("/inside")).skip(true, 7).skip(false, 5);
    assert_eq!((talk.rows.0.len(), talk.pairing.open()), (0, 1));
    let count = 5 + get("/inside").len();
    let rows = [format!("GET /ws {count} > 101 9 []")];
    assert_eq!(talk.end(true).end(false).rows(), rows);
}

#[test]
fn a_websocket_whose_socket_is_gone_has_ended() {
    let talk = || talk().ask(UPGRADE).answer(SWITCH).ask("abc").answer("de");
    let mut closed = talk();
    closed.pairing.closed();
    assert_eq!(closed.end(true).rows(), ["GET /ws 3 > 101 2 []"]);
    // The source ended, not the socket: what follows is not known.
    assert_eq!(talk().end(true).rows(), ["GET /ws 3 > 101 2 [gap]"]);
    assert_eq!(talk().reset().rows(), ["GET /ws 3 > 101 2 [reset]"]);
}

#[test]
fn bytes_of_a_websocket_that_were_lost_are_counted_and_marked() {
    let talk = talk().ask(UPGRADE).answer(SWITCH).gap(true, 9).ask("a").end(true).end(false);
    assert_eq!(talk.rows(), ["GET /ws 1 > 101 9 [gap]"]);
}

#[test]
fn frames_that_were_sent_before_the_answer_was_read_belong_to_the_websocket() {
    let talk = talk().ask(UPGRADE).ask("\u{1}abc").answer(SWITCH).ask("de").end(false).end(true);
    assert_eq!(talk.rows(), ["GET /ws 6 > 101 0 []"]);
}

#[test]
fn a_websocket_whose_request_was_not_seen_counts_what_comes_back() {
    let talk = joined().answer(SWITCH).answer("abc").ask("de").end(true).end(false);
    assert_eq!(talk.rows(), ["- > 101 3 [joined no_request]"]);
}

#[test]
fn a_response_may_come_before_its_request_is_complete() {
    let post = "POST /a HTTP/1.1\r\nContent-Length: 10\r\n\r\n12345";
    let rows = ["POST /a 10 > 200 2 []", "GET /b 0 > 200 2 []"];
    assert_eq!(talk().ask(post).answer(OK).ask("67890").ask(&get("/b")).answer(OK).rows(), rows);
    // The rest of the request never comes.
    let rows = talk().ask(post).answer(OK).rows();
    assert_eq!(rows, ["POST /a 5 > 200 2 [gap]"]);
}

#[test]
fn an_early_responses_body_is_not_counted_twice() {
    let post = "POST /a HTTP/1.1\r\nContent-Length: 4\r\n\r\n";
    let rows = talk().ask(post).answer(OK).answer(OK).ask("1234").ask(&get("/b")).answer(OK).rows();
    assert_eq!(rows[0], "POST /a 0 > 200 2 [gap]");
    assert_eq!(rows.last().map(String::as_str), Some("GET /b 0 > 200 2 []"));
}

#[test]
fn a_head_that_is_answered_before_its_end_is_that_responses_request() {
    let timeout = "HTTP/1.1 408 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    assert_eq!(talk().ask("GET /slow HTTP/1.1\r\nHo").answer(timeout).rows(), ["GET /slow 0 > 408 0 [malformed]"]);
}

#[test]
fn the_client_may_end_its_direction_first() {
    let until_close = "HTTP/1.1 200 OK\r\n\r\nsome text";
    assert_eq!(talk().ask(&get("/a")).end(false).answer(until_close).end(true).rows(), ["GET /a 0 > 200 9 []"]);
    let cut_short = "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nsome text";
    assert_eq!(talk().ask(&get("/a")).answer(cut_short).end(true).rows(), ["GET /a 0 > 200 9 [malformed]"]);
}

#[test]
fn trailers_are_counted_and_kept() {
    struct Trailers(Vec<Vec<u8>>);
    impl Log for Trailers {
        fn exchange(&mut self, _: &Endpoints, exchange: &Exchange) {
            let head = exchange.request.as_ref().map(|message| message.head.clone()).unwrap_or_default();
            self.0.extend(head.trailers.iter().map(|field| field.value.of(&head.raw).to_vec()));
        }
    }
    let text = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nSum: 1\r\nB: 2\r\n\r\n";
    let (mut log, mut ledger, mut pairing) = (Trailers(Vec::new()), Ledger::default(), Pairing::default());
    pairing.data(false, text.as_bytes(), AT, &mut ledger, &mut log);
    pairing.data(true, OK.as_bytes(), AT, &mut ledger, &mut log);
    assert_eq!(log.0, [b"1".to_vec(), b"2".to_vec()]);
}

#[test]
fn the_first_start_line_tells_who_asks() {
    // Pieces too small to tell; and a client at our end.
    let rows = talk().ask("H").ask("EAD /a HTTP/1.1\r\n\r\n").answer("HTTP/1.1 200 X\r\n\r\n").rows();
    assert_eq!(rows, ["HEAD /a 0 > 200 0 []"]);
    let client = talk().answer(&get("/a")).ask("H").ask("TTP/1.1 204 X\r\n\r\n");
    assert_eq!(client.pairing.requests_leave(), Some(true));
    assert_eq!(client.rows(), ["GET /a 0 > 204 0 []"]);
    let response_first = joined().answer("HTTP/1.1 204 X\r\n\r\n");
    assert_eq!(response_first.pairing.requests_leave(), Some(false));
    // One letter from one end, then the other speaks: they are not put together.
    assert_eq!(talk().ask("H").answer(OK).ask("EAD").rows()[0], "H  0 > 200 2 [malformed]");
}

#[test]
fn a_response_that_nobody_asked_for_has_no_request() {
    assert_eq!(joined().answer(OK).rows(), ["- > 200 2 [joined no_request]"]);
    let rows = ["GET /a 0 > 200 2 []", "- > 408 0 [no_request]"];
    let timeout = "HTTP/1.1 408 X\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(talk().ask(&get("/a")).answer(OK).answer(timeout).rows(), rows);
}

#[test]
fn what_is_not_http_is_left_out() {
    for first in ["EHLO a\r\n\r\n", "*1\r\n$4\r\nPING\r\n\r\n", "get\r\n\r\n", "SSH-2.0-x\r\n\r\n", "GET x\r\n\r\n"] {
        let talk = talk().ask(first).answer("220 hello\r\n");
        assert!(talk.pairing.opaque(), "{first}");
        assert!(talk.rows().is_empty(), "{first}");
    }
    let http2 = talk().ask("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0");
    assert!(http2.pairing.opaque() && http2.rows().is_empty());
}

#[test]
fn once_it_is_http_what_stands_at_a_start_is_logged_as_malformed() {
    let rows = talk().ask(&get("/a")).answer(OK).ask("NONSENSE\r\n\r\n").rows();
    assert_eq!(rows, ["GET /a 0 > 200 2 []", "NONSENSE  0 > - [no_response malformed]"]);
}

#[test]
fn an_http_0_9_request_is_a_row() {
    assert_eq!(talk().ask("GET /a\r\n").answer("<p>text</p>").rows(), ["GET /a 0 > - [no_response malformed]"]);
}
