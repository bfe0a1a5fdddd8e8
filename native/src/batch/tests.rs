//! Rows out of exchanges made by hand, checked column by column through their NDJSON and through Arrow.
#![allow(clippy::pedantic, clippy::print_stderr, reason = "tests and a measurement: read, not shipped")]

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use heads::exchange::{Endpoints, Exchange, Field, Head, Log, Marks, Message, Process, Role, Span, StartLine};
use heads::rules::Rules;
use serde_json::Value;

mod http2;

use super::{Rows, Source};
use crate::ndjson::{self, Headers};

pub(crate) const REDACT: &str = r#""redact": {"enabled": true,
    "fields": ["authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key", "*token*", "*secret*",
               "*api-key*", "*password*"],
    "query": ["key", "api_key", "sig", "*token*"]}"#;

pub(crate) fn rules(more: &str) -> Arc<Rules> {
    Arc::new(Rules::from_json(&format!("{{{REDACT}{more}}}"), b"key").unwrap())
}

fn span(start: usize, end: usize) -> Span {
    Span { start: u32::try_from(start).unwrap(), len: u32::try_from(end - start).unwrap() }
}

/// A head as the parser gives it, for text that has no surprises in it. A line without a colon is all value.
pub(crate) fn head(text: &[u8]) -> Head {
    let mut head = Head { raw: text.to_vec(), version: Some((1, 1)), ..Head::default() };
    let mut at = 0;
    for (index, line) in text.split(|&byte| byte == b'\n').enumerate() {
        let (start, end) = (at, at + line.strip_suffix(b"\r").unwrap_or(line).len());
        at += line.len() + 1;
        let line = &text[start..end];
        if index == 0 {
            let space = |from: usize| {
                line[from..].iter().position(|&byte| byte == b' ').map_or(line.len(), |found| from + found)
            };
            let (one, two) = (space(0), space((space(0) + 1).min(line.len())));
            head.start = StartLine {
                first: span(0, one),
                second: span((one + 1).min(two), two),
                third: span((two + 1).min(end), end),
            };
            if line.starts_with(b"HTTP/") {
                head.status = std::str::from_utf8(&line[one + 1..two]).unwrap().parse().ok();
            }
        } else if !line.is_empty() {
            let colon = line.iter().position(|&byte| byte == b':').map(|found| start + found);
            let value = colon.map_or(start, |colon| colon + 1);
            let skipped = text[value..end].iter().take_while(|&&byte| byte == b' ').count();
            let name = span(start, colon.unwrap_or(start));
            head.fields.push(Field { name, value: span(value + skipped, end), ..Field::default() });
        }
    }
    head
}

pub(crate) fn message(text: &[u8], first_byte: u64) -> Message {
    Message {
        head: head(text),
        first_byte,
        head_end: first_byte + 10,
        last_byte: first_byte + 20,
        head_bytes: u32::try_from(text.len()).unwrap(),
        body_bytes: 42,
        complete: true,
    }
}

pub(crate) fn endpoints(cookie: u64) -> Endpoints {
    Endpoints {
        cookie,
        role: Some(Role::Server),
        client: (IpAddr::V4(Ipv4Addr::LOCALHOST), 40000),
        server: (IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 80),
        netns: Some(1),
        cgroup: Some(7),
        process: Some(Process { pid: 9, start: 1, comm: "nginx".into() }),
        tls: None,
    }
}

pub(crate) fn exchange(request: &str, response: &str) -> Exchange {
    Exchange {
        request: Some(message(request.as_bytes(), 1000)),
        response: Some(message(response.as_bytes(), 1500)),
        ..Exchange::default()
    }
}

struct Host;

impl super::Lookup for Host {
    fn executable(&self, _: &Process) -> Option<&str> {
        Some("/usr/sbin/nginx")
    }
    fn cgroup(&self, _: u64) -> Option<&str> {
        Some("/system.slice/nginx.service")
    }
    fn container(&self, _: Option<&Process>, _: Option<u64>) -> Option<&str> {
        None
    }
}

fn rows(more: &str) -> Rows<Host> {
    Rows::new(rules(more), Host, Source::Socket, "0123abcd")
}

fn lines(rows: &mut Rows<Host>, headers: Headers) -> (Vec<Value>, String) {
    let mut out = Vec::new();
    let mut columns = String::new();
    while let Some(batch) = rows.finish().unwrap() {
        ndjson::write(&batch, headers, &mut out).unwrap();
        columns.push_str(&format!("{batch:?}"));
    }
    let parsed = out.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    (parsed.map(|line| serde_json::from_slice(line).unwrap()).collect(), columns)
}

fn line(more: &str, headers: Headers, exchange: &Exchange) -> Value {
    let mut rows = rows(more);
    rows.log(&endpoints(5), exchange);
    lines(&mut rows, headers).0.remove(0)
}

impl Rows<Host> {
    fn log(&mut self, endpoints: &Endpoints, exchange: &Exchange) {
        Log::exchange(self, endpoints, exchange);
    }
}

const REQUEST: &str = "GET /a?key=S3CRET&x=1 HTTP/1.1\r\nHost: h:80\r\nX-A: 1\r\nx-a: \"2\"\r\n\
    traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n";
const RESPONSE: &str = "HTTP/1.1 200 OK\r\nServer: nginx\r\n\r\n";

#[test]
fn a_row_has_every_part_of_its_exchange() {
    let mut rows = rows(r#", "trusted_hops": ["127.0.0.0/8"]"#);
    rows.set_offset(1_000_000_000);
    rows.log(&endpoints(5), &exchange(REQUEST, RESPONSE));
    let (lines, _) = lines(&mut rows, Headers::Object);
    let mut line = lines[0].clone();
    let query = line["url"]["query"].as_str().unwrap().to_owned();
    assert!(query.starts_with("key=hmac:") && query.ends_with("&x=1"));
    line["url"]["query"] = "Q".into();
    line["masthead"]["target"] = "T".into();
    let expected = serde_json::json!({
        "time": "1970-01-01T00:00:01.000001000Z",
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "span_id": "00f067aa0ba902b7", "trace_flags": 1,
        "http": {
            "request": {"method": "GET", "body": {"size": 42}, "header": {
                "host": ["h:80"], "x-a": ["1", "\"2\""], "x-forwarded-for": ["203.0.113.9"],
                "traceparent": ["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"]}},
            "response": {"status_code": 200, "body": {"size": 42}, "header": {"server": ["nginx"]}},
            "route": "/a",
        },
        "url": {"scheme": "http", "path": "/a", "query": "Q"},
        "network": {"protocol": {"name": "http", "version": "1.1"}, "peer": {"address": "127.0.0.1", "port": 40000}},
        "client": {"address": "203.0.113.9"}, "server": {"address": "10.0.0.1", "port": 80},
        "process": {"pid": 9, "executable": {"path": "/usr/sbin/nginx"}},
        "masthead": {
            "exchange_id": "0123abcd-5-s-0", "connection_id": "0123abcd-5", "role": "server", "source": "socket",
            "target": "T", "route_source": "inferred", "authority": "h:80", "network_namespace": 1, "cgroup": "/system.slice/nginx.service",
            "request_head_bytes": REQUEST.len(), "response_head_bytes": RESPONSE.len(),
            "ttfb_ns": 500, "duration_ns": 520, "head_spread_ns": 10, "quality": [],
        },
    });
    assert_eq!(line, expected);
}

#[test]
fn pairs_keep_order_case_and_duplicates() {
    let line = line("", Headers::Pairs, &exchange(REQUEST, RESPONSE));
    let fields = &line["http"]["request"]["header"];
    assert_eq!(fields[1], serde_json::json!(["X-A", "1"]));
    assert_eq!(fields[2], serde_json::json!(["x-a", "\"2\""]));
}

#[test]
fn what_is_missing_is_left_out_and_marked() {
    let exchange = Exchange {
        request: Some(message(b"GET / HTTP/1.1\r\n\r\n", 5)),
        marks: Marks::NO_RESPONSE,
        ..Exchange::default()
    };
    let line = line("", Headers::Object, &exchange);
    assert_eq!(line["http"]["response"], serde_json::json!({}));
    assert_eq!(line["http"]["request"]["header"], serde_json::json!({}));
    assert_eq!(line["masthead"]["quality"], serde_json::json!(["no_response"]));
    assert!(line["masthead"].get("ttfb_ns").is_none());
}

#[test]
fn trailers_and_interim_responses_stand_apart() {
    let mut exchange = exchange(REQUEST, RESPONSE);
    let trailers = head(b"\nX-Sum: abc\nX-Token: S3CRET\n").fields;
    if let Some(message) = exchange.response.as_mut() {
        let text = b"\nX-Sum: abc\nX-Token: S3CRET\n";
        let base = u32::try_from(message.head.raw.len()).unwrap();
        message.head.raw.extend_from_slice(text);
        message.head.trailers = trailers
            .into_iter()
            .map(|field| Field {
                name: Span { start: field.name.start + base, ..field.name },
                value: Span { start: field.value.start + base, ..field.value },
                ..field
            })
            .collect();
    }
    exchange.interim.push(message(b"HTTP/1.1 103 Early Hints\r\nLink: </x?key=S3CRET>\r\n\r\n", 1200));
    let line = line("", Headers::Object, &exchange);
    assert_eq!(line["masthead"]["response_trailers"]["x-sum"], serde_json::json!(["abc"]));
    assert_eq!(line["masthead"]["interim"][0]["status"], 103);
    assert!(!line.to_string().contains("S3CRET"));
}

#[test]
fn bytes_that_are_not_utf8_are_escaped_and_the_row_says_so() {
    let mut exchange = exchange(REQUEST, RESPONSE);
    exchange.request = Some(message(b"GET /\xff HTTP/1.1\r\nX-A: a\\\xe9\r\nX-B: \xc3\xa9\\\r\n\r\n", 0));
    let line = line("", Headers::Object, &exchange);
    assert_eq!(line["url"]["path"], "/\\xff");
    assert_eq!(line["http"]["request"]["header"]["x-a"][0], "a\\\\\\xe9");
    assert_eq!(line["http"]["request"]["header"]["x-b"][0], "\u{e9}\\");
    assert_eq!(line["masthead"]["quality"], serde_json::json!(["escaped"]));
}

#[test]
fn no_secret_reaches_any_column() {
    let lines_with_secrets = [
        "Authorization: S3CRET",
        "Authorization: Bearer S3CRET",
        "AUTHORIZATION: Basic S3CRET==",
        "Authorization : Bearer S3CRET",
        "Authorization Bearer S3CRET",
        "Author\u{0}ization: S3CRET",
        "Proxy-Authorization: Digest username=\"S3CRET\"",
        "Cookie: S3CRET",
        "Cookie: a=S3CRET; S3CRET=; b=S3CRET",
        "Set-Cookie: a=S3CRET; Path=/",
        "X-API-Key: S3CRET",
        "x-my-TOKEN: S3CRET",
        "Client_Secret: S3CRET",
        "Referer: https://u:S3CRET@h/p?api_key=S3CRET",
        "Location: //S3CRET@h",
        "Location: /#access_token=S3CRET",
        "Link: <http://h/?sig=S3CRET>; rel=x",
        "Content-Location: /x?key=S3CRET",
        "Host: u:S3CRET@h",
        "X-Any: see http://u:S3CRET@h/",
        "X-Any: /?%6bey=S3CRET",
        "X-Any: a%3Fkey%3DS3CRET",
        " S3CRET: x",
        "S3CRET",
        "\u{e9}: S3CRET",
        "X-Any: \u{e9} http://h/?key=S3CRET\u{e9}",
        "Cookie: \u{e9}=S3CRET",
        "=: S3CRET",
    ];
    let targets = [
        "/",
        "/?key=S3CRET",
        "/?a=1&API%5FKEY=S3CRET",
        "http://u:S3CRET@h/?key=S3CRET",
        "u:S3CRET@h:443",
        "/?next=https%3A%2F%2Fu%3AS3CRET%40h%3Fkey%3DS3CRET",
        "/\u{e9}?key=S3CRET",
    ];
    for target in targets {
        for field in lines_with_secrets {
            let request = format!("GET {target} HTTP/1.1\r\nAccept: */*\r\n{field}\r\nX-Last: 1\r\n\r\n");
            let response = format!("HTTP/1.1 200 OK\r\n{field}\r\n\r\n");
            let mut exchange = exchange(&request, &response);
            exchange.interim.push(message(response.as_bytes(), 1));
            for message in [&mut exchange.request, &mut exchange.response].into_iter().flatten() {
                message.head.trailers.clone_from(&message.head.fields);
            }
            let mut rows = rows("");
            rows.log(&endpoints(5), &exchange);
            let (lines, columns) = lines(&mut rows, Headers::Pairs);
            let text = format!("{lines:?}{columns}");
            assert!(!text.contains("S3CRET"), "{target} with {field}: {text}");
            assert!(text.contains("*/*") && text.contains("X-Last"));
        }
    }
}

#[test]
fn filters_and_samples_are_counted() {
    let mut rows =
        rows(r#", "filter": {"paths": ["/a"], "statuses": ["2xx"], "processes": ["nginx"]}, "sample": {"rate": 0.5}"#);
    rows.log(&endpoints(1), &exchange("GET /b HTTP/1.1\r\n\r\n", RESPONSE));
    rows.log(&endpoints(1), &exchange(REQUEST, "HTTP/1.1 404 No\r\n\r\n"));
    for request_seq in 0..100 {
        rows.log(&endpoints(2), &Exchange { request_seq, ..exchange(REQUEST, RESPONSE) });
    }
    let counters = rows.counters();
    assert_eq!((counters.opened, counters.filtered), (102, 2));
    assert!((30..70).contains(&counters.sampled_out));
    assert_eq!(rows.len() as u64, counters.opened - counters.filtered - counters.sampled_out);
    let (lines, _) = lines(&mut rows, Headers::Object);
    assert_eq!(lines[0]["masthead"]["sample_weight"], 2.0);
}

#[test]
fn batches_are_of_one_schema_and_share_nothing_but_rules() {
    let mut rows = rows("");
    for round in 0..3 {
        for cookie in 0..2000 {
            let name = format!("X-{round}-{cookie}");
            rows.log(&endpoints(cookie), &exchange(&format!("GET / HTTP/1.1\r\n{name}: 1\r\n\r\n"), RESPONSE));
        }
        let size = rows.bytes();
        let batch = rows.finish().unwrap().unwrap();
        assert_eq!(batch.schema(), super::schema());
        assert!(size > 2000 * 200 && rows.bytes() < 4_000_000);
        let mut out = Vec::new();
        ndjson::write(&batch, Headers::Object, &mut out).unwrap();
        for (cookie, line) in out.split(|&byte| byte == b'\n').take(2000).enumerate() {
            let line: Value = serde_json::from_slice(line).unwrap();
            assert_eq!(line["http"]["request"]["header"][format!("x-{round}-{cookie}")][0], "1");
            assert_eq!(line["masthead"]["connection_id"], format!("0123abcd-{cookie:x}"));
        }
    }
    assert!(rows.finish().unwrap().is_none());
}

#[test]
fn rules_apply_from_the_exchange_after_they_were_set() {
    let mut rows = rows("");
    rows.log(&endpoints(1), &exchange(REQUEST, RESPONSE));
    rows.set_rules(rules(r#", "request": {"allow": ["host"]}"#));
    rows.log(&endpoints(1), &exchange(REQUEST, RESPONSE));
    let (lines, _) = lines(&mut rows, Headers::Pairs);
    assert_eq!(lines[0]["http"]["request"]["header"].as_array().unwrap().len(), 5);
    assert_eq!(lines[1]["http"]["request"]["header"], serde_json::json!([["Host", "h:80"]]));
}

/// `cargo test --release -p native -- --ignored --nocapture cost`
#[test]
#[ignore = "a measurement"]
fn the_cost_of_a_row() {
    let nine = (
        "GET /api/v1/items/42?page=2 HTTP/1.1\r\nHost: api.example.org\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\
         X-Request-Id: 4bf92f3577b34da6a3ce929d0e0e4736\r\n\r\n",
        "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Sun, 22 Nov 2026 18:54:00 GMT\r\n\
         Content-Type: application/json\r\nContent-Length: 612\r\nConnection: keep-alive\r\n\r\n",
    );
    let browser = (
        "GET /shop/cart?id=12&view=full HTTP/1.1\r\nHost: shop.example.org\r\nConnection: keep-alive\r\n\
         sec-ch-ua: \"Chromium\";v=\"130\", \"Not?A_Brand\";v=\"99\"\r\nsec-ch-ua-mobile: ?0\r\n\
         sec-ch-ua-platform: \"Linux\"\r\nUpgrade-Insecure-Requests: 1\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) \
         AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36\r\n\
         Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8\r\n\
         Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-User: ?1\r\nSec-Fetch-Dest: document\r\n\
         Referer: https://shop.example.org/list?page=3\r\nAccept-Encoding: gzip, deflate, br\r\n\
         Accept-Language: en-GB,en;q=0.9\r\nAuthorization: Bearer abcdefghijklmnopqrstuvwxyz0123456789\r\n\
         Cookie: sid=0123456789abcdef0123456789abcdef\r\n\r\n",
        "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Sun, 22 Nov 2026 18:54:00 GMT\r\n\
         Content-Type: text/html; charset=utf-8\r\nContent-Length: 612\r\nConnection: keep-alive\r\n\
         ETag: \"5f3c-1a2b\"\r\nCache-Control: no-store\r\nVary: Accept-Encoding\r\n\r\n",
    );
    for (name, (request, response)) in [("nine fields", nine), ("25 fields, two secrets", browser)] {
        let exchange = exchange(request, response);
        let ends: Vec<Endpoints> = (0..100).map(endpoints).collect();
        let mut rows = rows("");
        let (mut best, mut best_finish, mut best_object, mut best_pairs) = (f64::MAX, f64::MAX, f64::MAX, f64::MAX);
        let mut out = Vec::new();
        const ROWS: usize = 4096;
        for _ in 0..60 {
            let start = std::time::Instant::now();
            for index in 0..ROWS {
                rows.log(&ends[index % 100], &exchange);
            }
            let middle = start.elapsed();
            let batch = rows.finish().unwrap().unwrap();
            let end = start.elapsed() - middle;
            let per_row = |time: std::time::Duration| time.as_nanos() as f64 / ROWS as f64;
            best = best.min(per_row(middle));
            best_finish = best_finish.min(per_row(end));
            for (headers, best) in [(Headers::Object, &mut best_object), (Headers::Pairs, &mut best_pairs)] {
                out.clear();
                let start = std::time::Instant::now();
                ndjson::write(&batch, headers, &mut out).unwrap();
                *best = best.min(per_row(start.elapsed()));
            }
        }
        eprintln!(
            "{name}: {best:.0} ns to append, {best_finish:.0} to finish; NDJSON {best_object:.0} (object), \
             {best_pairs:.0} (pairs), {} bytes a line",
            out.len() / ROWS
        );
    }
}

/// Small numbers that come out the same in every run (xorshift64*).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(0x1234_5677);
        self.0 ^= self.0 >> 29;
        usize::try_from(self.0 % end as u64).unwrap()
    }

    fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }

    /// A head with few names in many spellings and values made of what matters.
    pub(crate) fn head(&mut self, start: &str) -> String {
        let names =
            ["X-A", "x-a", "X-B", "Host", "Cookie", "Authorization", "My-Token", "Referer", "Set-Cookie", "A B"];
        let pieces =
            ["a", "\"", "\\", "\t", "\u{1}", "\u{e9}", "?", "key=", "&", "//", "@", "=", ";", " ", "%3F", "hmac"];
        let mut head = format!("{start}\r\n");
        for _ in 0..self.below(12) {
            let value: String = (0..self.below(20)).map(|_| self.pick(&pieces)).collect();
            head += &format!("{}: {}\r\n", self.pick(&names), value.trim());
        }
        head + "\r\n"
    }
}

/// Selection and redaction read anew for every field, without tables, hints and short cuts.
fn slow(rules: &Rules, direction: heads::rules::select::Direction, head: &Head) -> Vec<(String, String)> {
    let mut seen = Vec::new();
    for field in &head.fields {
        let name = field.name.of(&head.raw);
        if rules.selection.selects(0, direction, name.trim_ascii()) {
            let mask = rules.redact.mask(name);
            let (mut shown, mut value) = (Vec::new(), Vec::new());
            rules.redact.name(mask, name, &mut shown);
            rules.redact.value(mask, field.value.of(&head.raw), &mut value);
            seen.push((String::from_utf8(shown).unwrap(), String::from_utf8(value).unwrap()));
        }
    }
    seen
}

#[test]
fn random_heads_come_out_as_the_slow_and_plain_way_has_them() {
    use heads::rules::select::Direction;
    let selection = r#", "request": {"allow": ["*"], "deny": ["x-b"]}, "response": {"allow": ["x-*", "*cookie"]}"#;
    let mut random = Random(7);
    for _ in 0..200 {
        let mut rows = rows(selection);
        let exchanges: Vec<Exchange> =
            (0..20).map(|_| exchange(&random.head("GET / HTTP/1.1"), &random.head("HTTP/1.1 200 OK"))).collect();
        exchanges.iter().for_each(|exchange| rows.log(&endpoints(1), exchange));
        let (lines, _) = lines(&mut rows, Headers::Pairs);
        for (exchange, line) in exchanges.iter().zip(&lines) {
            for (message, side, direction) in [
                (&exchange.request, "request", Direction::Request),
                (&exchange.response, "response", Direction::Response),
            ] {
                let pairs: Vec<(String, String)> =
                    serde_json::from_value(line["http"][side]["header"].clone()).unwrap();
                let head = &message.as_ref().unwrap().head;
                let expected: Vec<(String, String)> = slow(&rules(selection), direction, head);

                assert_eq!(pairs, expected);
            }
        }
    }
}
