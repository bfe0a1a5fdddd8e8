use super::super::{Event, Parser};
use super::*;

const NOBODY: Asked = Asked { head: false, connect: false };
const HEAD: Asked = Asked { head: true, connect: false };
const CONNECT: Asked = Asked { head: false, connect: true };

fn framing(kind: Kind, start: &str, fields: &[&str], asked: Asked) -> (Framing, Option<Fault>) {
    let mut parser = Parser::new(kind, 1 << 16);
    let text = [&[start], fields, &["", ""]].concat().join("\r\n");
    assert_eq!(parser.feed(text.as_bytes(), 1, 1), (text.len(), Event::Head));
    let framing = decide(&mut parser.message.head, kind, asked);
    (framing, parser.message.head.fault.map(|(fault, _)| fault))
}

fn request(fields: &[&str]) -> (Framing, Option<Fault>) {
    framing(Kind::Request, "POST / HTTP/1.1", fields, NOBODY)
}

fn response(status: &str, fields: &[&str], asked: Asked) -> (Framing, Option<Fault>) {
    framing(Kind::Response, &format!("HTTP/1.1 {status} X"), fields, asked)
}

#[test]
fn case_1_a_response_to_head_and_204_and_304_and_1xx_have_no_content() {
    let fields = ["Content-Length: 5", "Transfer-Encoding: chunked"];
    assert_eq!(response("200", &fields[..1], HEAD).0, Framing::None);
    assert_eq!(response("200", &fields[1..], HEAD).0, Framing::None);
    for status in ["100", "103", "199", "204", "304"] {
        assert_eq!(response(status, &fields[..1], NOBODY).0, Framing::None, "{status}");
    }
}

#[test]
fn case_2_a_tunnel_begins_after_connect_and_an_upgrade_after_101() {
    assert_eq!(response("200", &["Content-Length: 5"], CONNECT).0, Framing::Opaque);
    assert_eq!(response("299", &[], CONNECT).0, Framing::Opaque);
    assert_eq!(response("407", &["Content-Length: 5"], CONNECT).0, Framing::Length(5));
    assert_eq!(response("101", &[], NOBODY).0, Framing::Opaque);
}

#[test]
fn case_3_transfer_encoding_overrides_content_length_and_is_a_fault_beside_it() {
    let both = ["Content-Length: 5", "Transfer-Encoding: chunked"];
    assert_eq!(request(&both), (Framing::Chunked, Some(Fault::LengthAndEncoding)));
    assert_eq!(response("200", &both, NOBODY), (Framing::Chunked, Some(Fault::LengthAndEncoding)));
}

#[test]
fn case_4_chunked_is_the_last_coding_or_a_request_has_no_known_end() {
    let framed = |value: &str| request(&[&format!("Transfer-Encoding: {value}")]);
    for value in ["chunked", "CHUNKED", "gzip, chunked", "gzip,chunked", ", chunked,", "gzip;q=1 , chunked"] {
        assert_eq!(framed(value), (Framing::Chunked, None), "{value}");
    }
    for value in ["gzip", "chunked, gzip", "identity", "", ",", "xchunked", "chunked;a=b", "chunked chunked"] {
        assert_eq!(framed(value), (Framing::Unknown, Some(Fault::TransferEncoding)), "{value}");
        let answered = response("200", &[&format!("Transfer-Encoding: {value}")], NOBODY);
        assert_eq!(answered.0, Framing::UntilClose, "{value}");
    }
}

#[test]
fn several_transfer_encoding_lines_are_one_list() {
    let two =
        |one: &str, two: &str| request(&[&format!("Transfer-Encoding: {one}"), &format!("transfer-encoding: {two}")]).0;
    assert_eq!(two("gzip", "chunked"), Framing::Chunked);
    assert_eq!(two("chunked", ""), Framing::Chunked);
    assert_eq!(two("chunked", "gzip"), Framing::Unknown);
}

#[test]
fn transfer_encoding_in_http_1_0_is_a_fault() {
    let chunked = ["Transfer-Encoding: chunked"];
    let (framing, fault) = framing(Kind::Request, "POST / HTTP/1.0", &chunked, NOBODY);
    assert_eq!((framing, fault), (Framing::Chunked, Some(Fault::TransferEncoding)));
}

#[test]
fn case_5_a_content_length_that_is_no_number_has_no_end() {
    let long = "1".repeat(30);
    for value in ["", "x", "-1", "+5", "5x", "0x5", "5 6", "5,6", "5,", "1.0", "18446744073709551616", &long] {
        let field = format!("Content-Length: {value}");
        assert_eq!(request(&[&field]), (Framing::Unknown, Some(Fault::ContentLength)), "{value}");
        assert_eq!(response("200", &[&field], NOBODY), (Framing::Unknown, Some(Fault::ContentLength)), "{value}");
    }
    let two = ["Content-Length: 5", "Content-Length: 6"];
    assert_eq!(request(&two), (Framing::Unknown, Some(Fault::ContentLength)));
}

#[test]
fn case_6_content_length_counts_and_equal_ones_count_once() {
    for fields in [&["Content-Length: 5"][..], &["Content-Length: 5, 5"], &["Content-Length: 05", "content-length:5"]] {
        assert_eq!(request(fields), (Framing::Length(5), None), "{fields:?}");
        assert_eq!(response("200", fields, NOBODY), (Framing::Length(5), None), "{fields:?}");
    }
    assert_eq!(request(&["Content-Length: 18446744073709551615"]).0, Framing::Length(u64::MAX));
    assert_eq!(request(&["Content-Length: 0"]).0, Framing::Length(0));
    assert_eq!(request(&["Content-Length:\r\n 7"]).0, Framing::Length(7));
}

#[test]
fn case_7_a_request_that_says_nothing_has_no_content() {
    assert_eq!(request(&["Host: a"]), (Framing::None, None));
}

#[test]
fn case_8_a_response_that_says_nothing_lasts_until_the_connection_closes() {
    assert_eq!(response("200", &["Server: a"], NOBODY), (Framing::UntilClose, None));
}

#[test]
fn a_head_without_version_or_status_says_nothing_about_what_follows() {
    assert_eq!(framing(Kind::Request, "GET /", &[], NOBODY).0, Framing::Unknown);
    assert_eq!(framing(Kind::Response, "HTTP/1.1 abc", &[], NOBODY).0, Framing::Unknown);
}
