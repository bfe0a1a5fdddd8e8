//! How fast segments become exchanges on one core, without columns: `cargo run --release -p heads --example throughput`.
#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

use heads::connection::{Connections, Limits, Segment};
use heads::exchange::{Endpoints, Exchange, Log};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

const REQUEST: &[u8] =
    b"GET /v1/users/1234?fields=name,mail HTTP/1.1\r\nHost: api.example.com\r\nUser-Agent: curl/8.5.0\r\n\
    Accept: */*\r\nX-Tenant: acme\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Sun, 22 Nov 2026 19:54:54 GMT\r\n\
    Content-Type: application/json\r\nContent-Length: 612\r\nConnection: keep-alive\r\n\r\n";
const BODY: u32 = 612;
const CONNECTIONS: u64 = 32;
const ROUNDS: u32 = 40_000;

#[derive(Default)]
struct Count {
    rows: u64,
    fields: usize,
}

impl Count {
    fn print(&self, what: &str, started: Instant) {
        let each = started.elapsed().as_nanos() / u128::from(self.rows.max(1));
        println!("{what}: {} exchanges, {} response fields, {each} ns each", self.rows, self.fields);
    }
}

impl Log for Count {
    fn exchange(&mut self, _: &Endpoints, exchange: &Exchange) {
        self.rows += 1;
        self.fields += exchange.response.as_ref().map_or(0, |response| response.head.fields.len());
    }
}

/// Octets of a frame header of HTTP/2.
const FRAME: usize = 9;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    [&length(payload).to_be_bytes()[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A literal, with (0x40) or without (0x00) a place in the table.
fn literal(first: u8, name: &str, value: &str) -> Vec<u8> {
    let size = |text: &str| u8::try_from(text.len()).unwrap_or_default();
    [&[first, size(name)], name.as_bytes(), &[size(value)], value.as_bytes()].concat()
}

fn open(connections: &mut Connections, count: &mut Count) {
    let local = (IpAddr::V4(Ipv4Addr::LOCALHOST), 80);
    for cookie in 1..=CONNECTIONS {
        let endpoints = Endpoints {
            cookie,
            role: None,
            client: (IpAddr::V4(Ipv4Addr::LOCALHOST), 40_000),
            server: local,
            netns: Some(1),
            cgroup: Some(1),
            process: None,
            tls: None,
        };
        connections.open(endpoints, false, count);
    }
}

fn http1() {
    let mut connections = Connections::new(Limits { socket: true, ..Limits::default() });
    let mut count = Count::default();
    open(&mut connections, &mut count);
    let (asked, answered) = (length(REQUEST), length(RESPONSE) + BODY);
    let started = Instant::now();
    for round in 0..ROUNDS {
        let (request_seq, response_seq) = (round.wrapping_mul(asked), round.wrapping_mul(answered));
        for cookie in 1..=CONNECTIONS {
            let mut segment = Segment {
                egress: false,
                seq: request_seq,
                bytes: REQUEST,
                span: asked,
                accepted_in: Some(request_seq),
                accepted_out: None,
                time: u64::from(round),
                fin: false,
                rst: false,
                cut: false,
            };
            connections.segment(cookie, &segment, &mut count);
            segment = Segment {
                egress: true,
                seq: response_seq,
                bytes: RESPONSE,
                span: answered,
                accepted_in: Some(request_seq.wrapping_add(asked)),
                accepted_out: Some(response_seq.wrapping_add(answered)),
                ..segment
            };
            connections.segment(cookie, &segment, &mut count);
        }
    }
    count.print("HTTP/1", started);
}

/// Exchanges as they are after the first: most fields stand in the table, two are sent as they are.
fn http2() {
    let mut connections = Connections::new(Limits { socket: true, ..Limits::default() });
    let mut count = Count::default();
    open(&mut connections, &mut count);
    let hello = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(4, 0, 0, &[])].concat();
    let table = |fields: &[(&str, &str)]| -> Vec<u8> {
        fields.iter().flat_map(|(name, value)| literal(0x40, name, value)).collect()
    };
    let asks =
        [("user-agent", "curl/8.5.0"), ("accept", "*/*"), ("x-tenant", "acme"), (":authority", "api.example.com")];
    let says = [("content-type", "application/json"), ("server", "nginx/1.22.1"), ("content-length", "612")];
    let (mut place, mut started) = ([0_u32; 2], Instant::now());
    for round in 0..ROUNDS {
        let stream = round * 2 + 1;
        let (mut request, mut response) = (vec![0x82, 0x86], vec![0x88]);
        if round == 0 {
            request.extend(table(&asks[3..]));
        } else {
            request.push(0xbe + 3);
        }
        request.extend(literal(0x00, ":path", "/v1/users/1234?fields=name,mail"));
        request.extend(if round == 0 { table(&asks[..3]) } else { vec![0xc0, 0xbf, 0xbe] });
        response.extend(if round == 0 { table(&says) } else { vec![0xc0, 0xbf, 0xbe] });
        response.extend(literal(0x00, "date", "Sun, 22 Nov 2026 19:54:54 GMT"));
        let mut request = frame(1, 5, stream, &request);
        let body = frame(0, 1, stream, &[0; BODY as usize]);
        let mut response = [&frame(1, 4, stream, &response), &body[..FRAME]].concat();
        if round == 0 {
            request = [hello.clone(), request].concat();
            response = [frame(4, 0, 0, &[]), response].concat();
        } else if round == 1 {
            started = Instant::now();
        }
        let (asked, answered) = (length(&request), length(&response) + BODY);
        for cookie in 1..=CONNECTIONS {
            let mut segment = Segment {
                egress: false,
                seq: place[0],
                bytes: &request,
                span: asked,
                accepted_in: Some(place[0]),
                accepted_out: None,
                time: u64::from(round),
                fin: false,
                rst: false,
                cut: false,
            };
            connections.segment(cookie, &segment, &mut count);
            segment = Segment {
                egress: true,
                seq: place[1],
                bytes: &response,
                span: answered,
                accepted_in: Some(place[0].wrapping_add(asked)),
                accepted_out: Some(place[1].wrapping_add(answered)),
                ..segment
            };
            connections.segment(cookie, &segment, &mut count);
        }
        place = [place[0].wrapping_add(asked), place[1].wrapping_add(answered)];
    }
    count.print("HTTP/2", started);
}

fn main() {
    http1();
    http2();
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}
