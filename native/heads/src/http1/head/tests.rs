use super::super::{Event, Parser};
use super::*;

/// Reads a head whole and byte by byte, as far as it goes.
fn head(kind: Kind, text: &str) -> Head {
    let mut whole = Parser::new(kind, 1 << 16);
    whole.feed(text.as_bytes(), 1, 1);
    whole.close(1);
    let mut single = Parser::new(kind, 1 << 16);
    for byte in text.as_bytes() {
        if single.feed(&[*byte], 1, 1).1 != Event::More {
            break;
        }
    }
    single.close(1);
    assert_eq!(format!("{:?}", whole.message), format!("{:?}", single.message), "byte by byte");
    whole.message.head
}

fn fault(kind: Kind, text: &str) -> Option<(Fault, u32)> {
    head(kind, text).fault
}

type Pairs = Vec<(String, String)>;

fn fields(text: &str) -> (Pairs, Option<(Fault, u32)>) {
    let head = head(Kind::Request, &format!("GET / HTTP/1.1\r\n{text}\r\n"));
    let text = |span: Span| String::from_utf8_lossy(span.of(&head.raw)).into_owned();
    (head.fields.iter().map(|field| (text(field.name), text(field.value))).collect(), head.fault)
}

fn pairs(pairs: &[(&str, &str)]) -> Pairs {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Where the first field line begins in these tests.
const FIELDS: u32 = 16;

#[test]
fn a_request_line_has_three_parts() {
    let head = head(Kind::Request, "PATCH /a?b=c HTTP/1.1\r\n\r\n");
    assert_eq!(head.start.first.of(&head.raw), b"PATCH");
    assert_eq!(head.start.second.of(&head.raw), b"/a?b=c");
    assert_eq!(head.start.third.of(&head.raw), b"HTTP/1.1");
    assert_eq!((head.version, head.fault), (Some((1, 1)), None));
}

#[test]
fn what_is_wrong_with_a_request_line_is_said() {
    let cases = [
        ("GET\r\n\r\n", Fault::StartLine, 0),
        ("GET /\r\n\r\n", Fault::Version, 4),
        ("GET / HTTP/1.10\r\n\r\n", Fault::Version, 4),
        ("GET / http/1.1\r\n\r\n", Fault::Version, 4),
        ("GET / RTSP/1.0\r\n\r\n", Fault::Version, 4),
        ("GET / HTTP/1.1 \r\n\r\n", Fault::Version, 4),
        (" GET / HTTP/1.1\r\n\r\n", Fault::Method, 0),
        ("G(T / HTTP/1.1\r\n\r\n", Fault::Method, 0),
        ("GET  HTTP/1.1\r\n\r\n", Fault::Target, 4),
        ("GET /a b HTTP/1.1\r\n\r\n", Fault::Target, 4),
        ("GET  / HTTP/1.1\r\n\r\n", Fault::Target, 4),
        ("GET /\u{e9} HTTP/1.1\r\n\r\n", Fault::Target, 4),
    ];
    for (text, what, at) in cases {
        assert_eq!(fault(Kind::Request, text), Some((what, at)), "{text:?}");
    }
}

#[test]
fn the_version_of_another_protocol_is_no_part_of_the_target() {
    for (text, target) in [("GET /a b RTSP/1.0", "/a b"), ("GET /a http/1.1", "/a"), ("GET /a /b", "/a /b")] {
        let head = head(Kind::Request, &format!("{text}\r\n\r\n"));
        assert_eq!((head.start.second.of(&head.raw), head.version), (target.as_bytes(), None), "{text}");
    }
}

#[test]
fn a_status_line_has_three_parts_and_the_reason_may_be_missing() {
    for (text, reason) in [("HTTP/1.0 404 Not Found", "Not Found"), ("HTTP/1.0 404 ", ""), ("HTTP/1.0 404", "")] {
        let head = head(Kind::Response, &format!("{text}\r\n\r\n"));
        assert_eq!((head.version, head.status, head.fault), (Some((1, 0)), Some(404), None), "{text}");
        assert_eq!(head.start.third.of(&head.raw), reason.as_bytes());
    }
}

#[test]
fn what_is_wrong_with_a_status_line_is_said() {
    for text in ["HTTP/1.1 20 OK", "HTTP/1.1 2000 OK", "HTTP/1.1  200 OK", "HTTP/1.1 x00 OK", "HTTP/1.1 099 X"] {
        assert_eq!(fault(Kind::Response, &format!("{text}\r\n\r\n")), Some((Fault::Status, 9)), "{text}");
    }
    assert_eq!(fault(Kind::Response, "HTTP/11 200 OK\r\n\r\n"), Some((Fault::Version, 0)));
}

#[test]
fn fields_keep_order_case_and_duplicates() {
    let (found, fault) = fields("B: 1\r\na:2\r\nb:  3 \t\r\nEmpty:\r\nColon: a:b\r\n");
    assert_eq!(found, pairs(&[("B", "1"), ("a", "2"), ("b", "3"), ("Empty", ""), ("Colon", "a:b")]));
    assert_eq!(fault, None);
}

#[test]
fn lines_may_end_in_a_lone_line_feed() {
    let head = head(Kind::Request, "GET / HTTP/1.1\nA: 1\n\n");
    assert_eq!((head.fields.len(), head.fault), (1, None));
}

#[test]
fn a_fold_continues_the_value_before_it() {
    let (found, fault) = fields("A: 1\r\n\t2\r\n  3 \r\nB:\r\n 4\r\nC: \r\n \r\n\t\r\nD: 5\r\n \r\n");
    assert_eq!(found, pairs(&[("A", "1\r\n\t2\r\n  3"), ("B", "4"), ("C", ""), ("D", "5")]));
    assert_eq!(fault, None);
}

#[test]
fn a_fold_continues_a_field_only() {
    assert_eq!(fields(" A: 1\r\nB: 2\r\n"), (pairs(&[("B", "2")]), Some((Fault::LeadingSpace, FIELDS))));
    // What has no colon is no field, and what follows it is no part of an earlier one.
    assert_eq!(fields("A: 1\r\nnone\r\n x\r\n"), (pairs(&[("A", "1")]), Some((Fault::NoColon, FIELDS + 6))));
}

#[test]
fn what_is_wrong_with_a_field_line_is_said() {
    let cases = [
        ("none\r\n", Fault::NoColon, 0),
        (": 1\r\n", Fault::FieldName, 0),
        ("A B: 1\r\n", Fault::FieldName, 0),
        ("A\u{e9}: 1\r\n", Fault::FieldName, 0),
        ("A : 1\r\n", Fault::SpaceBeforeColon, 0),
        ("A: 1\r\nB\t: 1\r\n", Fault::SpaceBeforeColon, 6),
        ("A: 1\rB: 2\r\n", Fault::BareCarriageReturn, 4),
        ("A: 1\r\r\n", Fault::BareCarriageReturn, 4),
        ("A: \0\r\n", Fault::FieldValue, 3),
        ("A: \x7f\r\n", Fault::FieldValue, 3),
    ];
    for (text, what, at) in cases {
        assert_eq!(fields(text).1, Some((what, FIELDS + at)), "{text:?}");
    }
    assert_eq!(fields("A: \u{e9}\ttab\r\n").1, None);
}

#[test]
fn two_returns_before_a_line_feed_are_no_empty_line() {
    let head = head(Kind::Request, "GET / HTTP/1.1\r\n\r\r\nA: 1\r\n\r\n");
    assert_eq!(head.fault, Some((Fault::BareCarriageReturn, FIELDS)));
    assert_eq!(head.fields.len(), 1);
}

#[test]
fn a_head_that_ends_early_is_said_to_and_nothing_else() {
    for text in ["GET /a HT", "GET /a HTTP/1.1\r\nHos", "GET /a HTTP/1.1\r\nHost: a\r\n"] {
        let size = u32::try_from(text.len()).unwrap();
        assert_eq!(fault(Kind::Request, text), Some((Fault::Incomplete, size)), "{text:?}");
    }
}

#[test]
fn a_head_that_is_cut_at_a_limit_is_not_malformed() {
    let text = b"GET /long/target HTTP/1.1\r\nHost: example\r\nAuthorization: secret\r\n\r\n";
    for limit in 1..text.len() - 1 {
        let mut parser = Parser::new(Kind::Request, limit);
        assert_eq!(parser.feed(text, 1, 1), (text.len(), Event::Lost));
        let message = &parser.message;
        assert!(parser.cut && message.head.fault.is_none(), "{limit}: {:?}", message.head.fault);
        assert_eq!((message.head.raw.len(), message.head_bytes as usize), (limit, text.len()));
    }
}

#[test]
fn an_endless_head_takes_no_more_memory_than_its_limit() {
    let mut parser = Parser::new(Kind::Request, 1000);
    parser.feed(b"GET / HTTP/1.1\r\n", 1, 1);
    for _ in 0..10_000 {
        assert_eq!(parser.feed(b"A:1\r\nB:2\r\n", 1, 1).1, Event::More);
    }
    assert!(parser.message.head.raw.len() == 1000 && parser.lines.ends.len() < 1000);
}
