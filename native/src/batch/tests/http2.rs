//! Rows of HTTP/2 and gRPC, out of exchanges as the frame parser gives them.

use heads::exchange::{Endpoints, Exchange, Field, Grpc, Head, Message, Protocol, Span, Tls, Unresolved};
use serde_json::{json, Value};

use super::{endpoints, lines, rows, span, Host, Rows, Rules, Source, REDACT};
use crate::ndjson::Headers;
use std::sync::Arc;

/// A head whose pseudo-header fields and fields lie one behind the other.
#[derive(Default)]
struct Made(Head);

impl Made {
    fn new() -> Made {
        Made(Head { version: Some((2, 0)), ..Head::default() })
    }

    fn put(&mut self, text: &str) -> Span {
        let start = self.0.raw.len();
        self.0.raw.extend_from_slice(text.as_bytes());
        span(start, self.0.raw.len())
    }

    fn pseudo(mut self, name: &str, value: &str) -> Made {
        let value = self.put(value);
        match name {
            ":method" => self.0.start.first = value,
            ":path" => self.0.start.second = value,
            ":scheme" => self.0.scheme = Some(value),
            ":authority" => self.0.authority = Some(value),
            _ => unreachable!(),
        }
        self
    }

    fn field(mut self, name: &str, value: &str, unresolved: Unresolved, never_indexed: bool) -> Made {
        let (name, value) = (self.put(name), self.put(value));
        self.0.fields.push(Field { name, value, folded: false, unresolved, never_indexed });
        self
    }

    fn plain(self, name: &str, value: &str) -> Made {
        self.field(name, value, Unresolved::Nothing, false)
    }

    fn message(self, first_byte: u64) -> Message {
        Message { head: self.0, first_byte, last_byte: first_byte + 9, complete: true, ..Message::default() }
    }
}

fn post(path: &str) -> Made {
    Made::new()
        .pseudo(":method", "POST")
        .pseudo(":scheme", "https")
        .pseudo(":authority", "u:S3CRET@h:8443")
        .pseudo(":path", path)
}

fn answered(status: u16) -> Made {
    Made(Head { status: Some(status), ..Made::new().0 })
}

fn call(request: Made, response: Made, grpc: Option<Grpc>) -> Exchange {
    Exchange {
        ordinal: 3,
        request: Some(request.message(100)),
        response: Some(response.message(200)),
        protocol: Protocol::Http2,
        grpc,
        ..Exchange::default()
    }
}

fn line(more: &str, headers: Headers, endpoints: &Endpoints, exchange: &Exchange) -> (Value, String) {
    let mut rows = rows(more);
    rows.log(endpoints, exchange);
    let (mut lines, columns) = lines(&mut rows, headers);
    (lines.remove(0), columns)
}

fn tls() -> Endpoints {
    Endpoints { tls: Some(Tls { version: Some(0x0304), library: Some("go"), key: 0 }), ..endpoints(5) }
}

#[test]
fn the_parts_of_a_call_come_from_its_pseudo_header_fields() {
    let exchange = call(post("/a/7?key=S3CRET").plain("host", "other"), answered(200), None);
    let (line, columns) = line("", Headers::Object, &tls(), &exchange);
    assert_eq!(line["url"]["scheme"], "https");
    assert_eq!((&line["url"]["path"], &line["http"]["route"]), (&json!("/a/7"), &json!("/a/{id}")));
    assert!(line["masthead"]["authority"].as_str().unwrap().ends_with("@h:8443"));
    assert!(!columns.contains("S3CRET"));
    assert_eq!(line["network"]["protocol"], json!({"name": "http", "version": "2"}));
    assert_eq!(line["tls"], json!({"protocol": {"version": "1.3"}}));
    assert_eq!(line["masthead"]["tls_library"], "go");
    assert_eq!(line["masthead"]["exchange_id"], "0123abcd-5-s-3");
    assert!(columns.contains("\"h2\""));
}

#[test]
fn in_clear_it_is_h2c_and_the_host_field_stands_in_for_a_missing_authority() {
    let request = Made::new().pseudo(":method", "GET").pseudo(":path", "/").plain("host", "h");
    let (line, columns) = line("", Headers::Object, &endpoints(5), &call(request, answered(200), None));
    assert_eq!((&line["url"]["scheme"], &line["masthead"]["authority"]), (&json!("http"), &json!("h")));
    assert!(columns.contains("\"h2c\"") && line.get("tls").is_none());
}

#[test]
fn a_tunnel_has_an_authority_and_no_target() {
    let request = Made::new().pseudo(":method", "CONNECT").pseudo(":authority", "h:443");
    let (line, _) = line("", Headers::Object, &endpoints(5), &call(request, answered(200), None));
    assert_eq!(line["masthead"]["authority"], "h:443");
    assert!(line["masthead"].get("target").is_none() && line["url"].get("path").is_none());
}

#[test]
fn a_scheme_that_is_none_is_not_known() {
    let request = Made::new().pseudo(":method", "GET").pseudo(":path", "/").pseudo(":scheme", "a b");
    let (line, _) = line("", Headers::Object, &endpoints(5), &call(request, answered(200), None));
    assert!(line["url"].get("scheme").is_none());
}

#[test]
fn what_is_not_known_of_a_field_is_null_and_counted_in_its_place() {
    let request = post("/")
        .plain("a", "1")
        .field("", "", Unresolved::Both, false)
        .field("", "S3CRET", Unresolved::Name, false)
        .plain("b", "2");
    let exchange = call(request, answered(200).field("", "", Unresolved::Both, false), None);
    let (pairs, columns) = line("", Headers::Pairs, &endpoints(5), &exchange);
    let fields = &pairs["http"]["request"]["header"];
    assert_eq!((&fields[0], &fields[1], &fields[3]), (&json!(["a", "1"]), &json!([null, null]), &json!(["b", "2"])));
    assert!(fields[2][0].is_null() && fields[2][1].as_str().unwrap().starts_with("hmac:"));
    assert!(!columns.contains("S3CRET"));
    assert_eq!(pairs["masthead"]["hpack_unresolved"], 3);
    assert_eq!(pairs["masthead"]["quality"], json!(["hpack_unresolved"]));
    let (object, _) = line("", Headers::Object, &endpoints(5), &exchange);
    assert_eq!(object["http"]["request"]["header"], json!({"a": ["1"], "b": ["2"]}));
    assert_eq!(object["http"]["response"]["header"], json!({}));
}

#[test]
fn a_field_without_a_name_fits_no_list_of_names() {
    let request = post("/").plain("a", "1").field("", "v", Unresolved::Name, false);
    let more = r#", "request": {"allow": ["a"]}"#;
    let (line, _) = line(more, Headers::Pairs, &endpoints(5), &call(request, answered(200), None));
    assert_eq!(line["http"]["request"]["header"], json!([["a", "1"]]));
    assert_eq!(line["masthead"]["hpack_unresolved"], 1);
}

#[test]
fn a_never_indexed_field_is_a_secret_whatever_its_name() {
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let request = post("/")
        .field("x-plain", "S3CRET", Unresolved::Nothing, true)
        .field("authorization", "Bearer S3CRET", Unresolved::Nothing, true)
        .field("traceparent", trace, Unresolved::Nothing, true)
        .field("x-empty", "", Unresolved::Nothing, true);
    let (line, columns) = line("", Headers::Pairs, &endpoints(5), &call(request, answered(200), None));
    let fields = &line["http"]["request"]["header"];
    assert!(fields[0][1].as_str().unwrap().starts_with("hmac:"));
    assert!(fields[1][1].as_str().unwrap().starts_with("Bearer hmac:"));
    assert_eq!(fields[3], json!(["x-empty", ""]));
    assert!(line.get("trace_id").is_none());
    assert!(!columns.contains("S3CRET") && !columns.contains(trace));
}

#[test]
fn a_grpc_call_has_its_service_and_method_as_route_and_its_numbers() {
    let grpc = Grpc { status: Some(14), request_messages: Some(1), response_messages: None, timeout: Some(5_000_000) };
    let exchange = call(post("/a.v1.Users/Get2"), answered(200), Some(grpc));
    let (line, columns) = line("", Headers::Object, &tls(), &exchange);
    assert_eq!(
        (&line["http"]["route"], &line["masthead"]["route_source"]),
        (&json!("/a.v1.Users/Get2"), &json!("grpc"))
    );
    let rpc = json!({"system": {"name": "grpc"}, "method": "a.v1.Users/Get2", "status_code": "UNAVAILABLE"});
    assert_eq!(line["rpc"], rpc);
    let own = &line["masthead"];
    assert_eq!((&own["grpc_status"], &own["grpc_request_messages"]), (&json!(14), &json!(1)));
    assert!(own.get("grpc_response_messages").is_none());
    assert_eq!(own["grpc_timeout_ns"], 5_000_000);
    assert!(columns.contains("\"grpc\""));
}

#[test]
fn a_path_that_names_no_method_has_a_route_like_any_other() {
    for (path, route) in
        [("/a/7/b", "/a/{id}/b"), ("/a.B/7/", "/a.B/{id}/"), ("/a-b/550e8400-e29b-41d4-a716-446655440000", "/a-b/{id}")]
    {
        let (line, _) =
            line("", Headers::Object, &endpoints(5), &call(post(path), answered(200), Some(Grpc::default())));
        assert_eq!((&line["http"]["route"], &line["masthead"]["route_source"]), (&json!(route), &json!("inferred")));
    }
}

#[test]
fn filters_and_scopes_see_the_authority() {
    let exchange = || call(post("/"), answered(200), None);
    let mut rows = rows(r#", "filter": {"hosts": ["*h:8443"]}"#);
    rows.log(&endpoints(1), &exchange());
    rows.log(&endpoints(1), &call(Made::new().pseudo(":authority", "other"), answered(200), None));
    assert_eq!((rows.len(), rows.counters().filtered), (1, 1));
}

/// A call whose `:path` and `:authority` were sent as never to be indexed.
fn secret_call(grpc: Option<Grpc>) -> Exchange {
    let mut request = post("/once/S3CRET?t=1");
    (request.0.secret_target, request.0.secret_authority) = (true, true);
    call(request, answered(200), grpc)
}

#[test]
fn a_target_and_an_authority_that_are_secrets_are_one_pseudonym_each() {
    for grpc in [None, Some(Grpc::default())] {
        let (line, columns) = line("", Headers::Object, &endpoints(5), &secret_call(grpc));
        for part in ["target", "authority"] {
            let seen = line["masthead"][part].as_str().unwrap();
            assert!(seen.starts_with("hmac:") && !seen.contains(['/', '@', '?']), "{seen}");
        }
        for shown in ["S3CRET", "/once", "@h:8443"] {
            assert!(!columns.contains(shown) && !line.to_string().contains(shown), "{shown}");
        }
        assert!(line["url"].get("path").is_none() && line["url"].get("query").is_none());
        assert!(line["http"].get("route").is_none() && line["masthead"].get("route_source").is_none());
    }
}

#[test]
fn where_nothing_is_redacted_they_are_shown() {
    let rules = REDACT.replace("true", "false");
    let rules = Arc::new(Rules::from_json(&format!("{{{rules}}}"), b"key").unwrap());
    let mut rows = Rows::new(rules, Host, Source::Socket, "0123abcd");
    rows.log(&endpoints(5), &secret_call(None));
    let line = lines(&mut rows, Headers::Object).0.remove(0);
    assert_eq!((&line["url"]["path"], &line["url"]["query"]), (&json!("/once/S3CRET"), &json!("t=1")));
    assert_eq!(line["masthead"]["authority"], "u:S3CRET@h:8443");
}

#[test]
fn filters_see_what_is_secret() {
    let mut rows = rows(r#", "filter": {"hosts": ["*h:8443"]}"#);
    rows.log(&endpoints(1), &secret_call(None));
    assert_eq!((rows.len(), rows.counters().filtered), (1, 0));
}

#[test]
fn of_a_response_whose_head_did_not_come_size_and_wait_are_not_known() {
    let headless = call(post("/"), Made::new(), None);
    let (line, _) = line("", Headers::Object, &endpoints(5), &headless);
    assert!(line["masthead"].get("response_head_bytes").is_none() && line["masthead"].get("ttfb_ns").is_none());
}
