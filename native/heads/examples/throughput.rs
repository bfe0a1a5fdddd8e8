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

impl Log for Count {
    fn exchange(&mut self, _: &Endpoints, exchange: &Exchange) {
        self.rows += 1;
        self.fields += exchange.response.as_ref().map_or(0, |response| response.head.fields.len());
    }
}

fn main() {
    let mut connections = Connections::new(Limits { socket: true, ..Limits::default() });
    let mut count = Count::default();
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
        connections.open(endpoints, false, &mut count);
    }
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
    let took = started.elapsed();
    let each = took.as_nanos() / u128::from(count.rows.max(1));
    println!("{} exchanges, {} response fields, {each} ns each", count.rows, count.fields);
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}
