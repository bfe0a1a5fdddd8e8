//! Of Go's TLS a response can be told before its request; the row is the same.

use heads::connection::{Connections, Limits, Segment};
use heads::exchange::{Endpoints, Exchange, Log, Tls};
use std::net::{IpAddr, Ipv4Addr};

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[derive(Default)]
struct Rows(Vec<(String, Option<u16>, Vec<&'static str>)>);

impl Log for Rows {
    fn exchange(&mut self, _endpoints: &Endpoints, exchange: &Exchange) {
        let request = exchange.request.as_ref().map(|request| &request.head);
        let target = request.map(|head| String::from_utf8_lossy(head.start.second.of(&head.raw)).into_owned());
        let status = exchange.response.as_ref().and_then(|response| response.head.status);
        self.0.push((target.unwrap_or_default(), status, exchange.marks.names().collect()));
    }
}

struct Client {
    connections: Connections,
    rows: Rows,
    next: [u32; 2],
}

impl Client {
    fn new(library: &'static str) -> Client {
        let mut client =
            Client { connections: Connections::new(Limits::default()), rows: Rows::default(), next: [1, 1] };
        let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let endpoints = Endpoints {
            cookie: 1,
            role: None,
            client: (local, 443),
            server: (local, 40_000),
            netns: None,
            cgroup: None,
            process: None,
            tls: Some(Tls { library: Some(library), key: 1, ..Tls::default() }),
        };
        client.connections.open(endpoints, false, &mut client.rows);
        client
    }

    fn say(&mut self, egress: bool, bytes: &[u8], time: u64) {
        let seq = self.next[usize::from(egress)];
        let span = u32::try_from(bytes.len()).unwrap();
        let end = seq + span;
        self.next[usize::from(egress)] = end;
        let accepted_out = if egress { Some(end) } else { None };
        let accepted_in = Some(self.next[0]);
        let segment =
            Segment { egress, seq, bytes, span, accepted_in, accepted_out, time, fin: false, rst: false, cut: false };
        self.connections.segment(1, &segment, &mut self.rows);
    }

    fn ask(&mut self, path: &str, time: u64) {
        self.say(true, format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes(), time);
    }

    fn rows(mut self) -> Vec<(String, Option<u16>, Vec<&'static str>)> {
        self.connections.finish(&mut self.rows);
        assert!(self.connections.ledger.closed(), "{:?}", self.connections.ledger);
        self.rows.0
    }
}

fn whole(path: &str) -> (String, Option<u16>, Vec<&'static str>) {
    (path.to_owned(), Some(200), Vec::new())
}

#[test]
fn a_request_that_is_told_late_has_its_response() {
    let mut client = Client::new("go");
    for (path, time) in [("/1", 10), ("/2", 30), ("/3", 50)] {
        client.say(false, &RESPONSE[..20], time + 8);
        client.say(false, &RESPONSE[20..], time + 9);
        client.ask(path, time);
    }
    client.ask("/4", 70);
    client.say(false, RESPONSE, 75);
    assert_eq!(client.rows(), ["/1", "/2", "/3", "/4"].map(whole));
}

#[test]
fn a_request_whose_last_byte_has_a_later_time_is_one() {
    let mut client = Client::new("go");
    for (path, time) in [("/1", 10), ("/2", 30)] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes();
        let (front, last) = request.split_at(request.len() - 1);
        client.say(false, RESPONSE, time + 5);
        client.say(true, front, time);
        client.say(true, last, time + 8);
    }
    assert_eq!(client.rows(), ["/1", "/2"].map(whole));
}

#[test]
fn the_first_response_ahead_leaves_the_next_in_its_place() {
    let mut client = Client::new("go");
    client.say(false, RESPONSE, 12);
    client.ask("/1", 10);
    client.ask("/2", 20);
    client.say(false, RESPONSE, 25);
    assert_eq!(client.rows(), ["/1", "/2"].map(whole));
}

#[test]
fn a_response_whose_request_never_comes_is_told_after_a_while() {
    let mut client = Client::new("go");
    client.say(false, RESPONSE, 10);
    client.connections.bury(50_000_000, &mut client.rows);
    assert!(client.rows.0.is_empty());
    client.connections.bury(150_000_000, &mut client.rows);
    assert_eq!(client.rows.0.len(), 1);
    assert!(client.rows.0[0].2.contains(&"no_request"));
}

#[test]
fn a_later_request_is_not_that_of_a_response_before_it() {
    let mut client = Client::new("go");
    client.say(false, RESPONSE, 10);
    client.ask("/1", 20);
    client.say(false, RESPONSE, 25);
    let rows = client.rows();
    assert_eq!(rows.len(), 2);
    assert!(rows[0].2.contains(&"no_request"));
    assert_eq!(rows[1].0, "/1");
}

#[test]
fn what_other_libraries_say_is_told_in_the_order_in_which_it_came() {
    let mut client = Client::new("openssl");
    client.say(false, RESPONSE, 12);
    assert!(!client.rows.0.is_empty() || client.connections.open_exchanges() > 0);
}
