//! However the bytes are cut, the rows are the same: whole, byte by byte, at every cut in two, and with the bodies left
//! out as the kernel side leaves them out.

use heads::connection::{Connections, Limits, Segment};
use heads::exchange::{Endpoints, Exchange, Log};
use heads::http1::framing::{self, Asked};
use heads::http1::{Event, Kind, Parser};
use std::net::{IpAddr, Ipv4Addr};

/// What one side says at a time. `Body` is what the kernel side steps over.
#[derive(Clone, Debug)]
enum Piece {
    Text(Vec<u8>),
    Body(Vec<u8>),
}

impl Piece {
    fn bytes(&self) -> &[u8] {
        match self {
            Piece::Text(bytes) | Piece::Body(bytes) => bytes,
        }
    }
}

fn text(text: &str) -> Piece {
    Piece::Text(text.as_bytes().to_vec())
}

fn body(text: &str) -> Piece {
    Piece::Body(text.as_bytes().to_vec())
}

/// Who speaks (`true`: the server, which is our end), and what.
type Turn = (bool, Vec<Piece>);

struct Conversation {
    name: &'static str,
    turns: Vec<Turn>,
}

fn ask(pieces: &[Piece]) -> Turn {
    (false, pieces.to_vec())
}

fn answer(pieces: &[Piece]) -> Turn {
    (true, pieces.to_vec())
}

fn ok() -> Turn {
    answer(&[text("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), body("hello")])
}

fn conversations() -> Vec<Conversation> {
    let fields = (0..1200).map(|number| format!("X-{number}: value {number}\r\n")).collect::<Vec<_>>().concat();
    let get = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
    let chunked = "Transfer-Encoding: chunked\r\n\r\n";
    let chunks = |trailers: &str| {
        let last = format!("\r\n0\r\n{trailers}\r\n");
        [text("5;ext=\"x\"\r\n"), body("hello"), text("\r\n18\r\n"), body("abcdefghij0\r\n\r\nGET / HTT"), text(&last)]
    };
    let with = |start: &str, rest: &[Piece]| [&[text(start)], rest].concat();
    let all = [
        ("get", vec![ask(&[text(get)]), ok()]),
        ("post", vec![ask(&[text("POST / HTTP/1.1\r\nContent-Length: 11\r\n\r\n"), body("a=1\r\n\r\nb=2")]), ok()]),
        ("empty lines before", vec![ask(&[text("\r\n\r\n\nGET / HTTP/1.1\r\n\r\n")]), ok(), ask(&[text("\r\n")])]),
        (
            "chunked both ways, with trailers",
            vec![
                ask(&with(&format!("PUT / HTTP/1.1\r\n{chunked}"), &chunks("Sum: 1\r\nB: 2\r\n 3\r\n"))),
                answer(&with(&format!("HTTP/1.1 200 OK\r\n{chunked}"), &chunks("Sum: 2\r\nno colon\r\n"))),
                ask(&[text(get)]),
                answer(&with(&format!("HTTP/1.1 200 OK\r\n{chunked}"), &chunks(""))),
            ],
        ),
        (
            "interim responses",
            vec![
                ask(&[text("POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")]),
                answer(&[text("HTTP/1.1 100 Continue\r\n\r\n")]),
                ask(&[body("abc")]),
                answer(&[text("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")]),
                ok(),
            ],
        ),
        (
            "pipelined",
            vec![
                ask(&[text(&format!("{get}HEAD /b HTTP/1.1\r\n\r\nPOST /c HTTP/1.1\r\nContent-Length: 2\r\n\r\n"))]),
                ask(&[body("xy"), text(get)]),
                answer(&[text("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), body("HTTP/")]),
                answer(&[text("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHTTP/1.1 204 No\r\n\r\n")]),
                answer(&[text("HTTP/1.1 304 Same\r\nContent-Length: 9\r\n\r\n")]),
            ],
        ),
        ("folds", vec![ask(&[text("GET / HTTP/1.1\r\nA: 1\r\n 2\r\n\t3\r\nB:\r\n 4\r\nC: \r\n \r\n\r\n")]), ok()]),
        ("many fields", vec![ask(&[text(&format!("GET / HTTP/1.1\r\n{fields}\r\n"))]), ok()]),
        (
            "malformed fields",
            vec![
                ask(&[text("GET  /x y HTTP/1.1\r\n: 1\r\nA\rB : 2\r\r\nno colon\r\n x\r\n\0: \x7f\r\n\r\r\n\r\n")]),
                ok(),
            ],
        ),
        (
            "line feeds alone",
            vec![
                ask(&[text("GET /a HTTP/1.1\nHost: a\n\n")]),
                answer(&[text("HTTP/1.1 200\nTransfer-Encoding: chunked\n\n1\nx\n0\n\n")]),
            ],
        ),
        (
            "upgrade",
            vec![
                ask(&[text("GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n")]),
                answer(&[text("HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n\x01\x02GET / HTTP/1.1\r\n\r\n")]),
                ask(&[text("\x03HTTP/1.1 200 OK\r\n\r\n")]),
            ],
        ),
        (
            "refused tunnel, then a tunnel",
            vec![
                ask(&[text("CONNECT a:1 HTTP/1.1\r\n\r\n")]),
                answer(&[text("HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n")]),
                ask(&[text("CONNECT a:1 HTTP/1.1\r\n\r\n")]),
                answer(&[text("HTTP/1.1 200 OK\r\n\r\nsecret: 1\r\n\r\n")]),
                ask(&[text("GET /secret HTTP/1.1\r\n\r\n")]),
            ],
        ),
        ("until close", vec![ask(&[text(get)]), answer(&[text("HTTP/1.0 200 OK\r\n\r\n"), body("text to the end")])]),
        ("a head that ends early", vec![ask(&[text("GET /a HTTP/1.1\r\nHost")])]),
        ("a body that ends early", vec![ask(&[text("POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n"), body("abc")])]),
        ("more than announced", vec![ask(&[text(get)]), ok(), answer(&[text("secret: 1\r\n\r\n")])]),
        ("no response at all", vec![ask(&[text(get)]), answer(&[text("something else\r\n\r\n")])]),
        ("nonsense after a request", vec![ask(&[text(get)]), ok(), ask(&[text("NONSENSE\r\n\r\n")])]),
        ("contradictory lengths", vec![ask(&[text("POST / HTTP/1.1\r\nContent-Length: 1, 2\r\n\r\nabc")])]),
        ("bad chunk", vec![ask(&[text(&format!("PUT / HTTP/1.1\r\n{chunked}5\r\nhelloX"))])]),
        ("not HTTP", vec![ask(&[text("EHLO a\r\n\r\nMAIL FROM: b\r\n\r\n")]), answer(&[text("220 ok\r\n")])]),
        ("HTTP/2", vec![ask(&[text("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0")])]),
        ("HTTP/0.9", vec![ask(&[text("GET /a\r\n\r\n")]), answer(&[text("<p>text</p>")])]),
    ];
    all.into_iter().map(|(name, turns)| Conversation { name, turns }).collect()
}

#[derive(Default)]
struct Rows(Vec<String>);

impl Log for Rows {
    fn exchange(&mut self, endpoints: &Endpoints, exchange: &Exchange) {
        self.0.push(format!("{:?} {:?} {exchange:?}", endpoints.role, endpoints.client));
    }
}

/// Segments on the server's socket: what arrives waits to be accepted, what leaves confirms it.
struct Socket {
    connections: Connections,
    rows: Rows,
    next: [u32; 2],
}

impl Socket {
    fn new(limit: usize) -> Self {
        let limits = Limits { max_head_bytes: limit, socket: true, ..Limits::default() };
        let mut socket =
            Socket { connections: Connections::new(limits), rows: Rows::default(), next: [u32::MAX - 40, 7] };
        let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let endpoints = Endpoints {
            cookie: 1,
            role: None,
            client: (local, 40_000),
            server: (local, 80),
            netns: None,
            cgroup: None,
            process: None,
            tls: None,
        };
        socket.connections.open(endpoints, false, &mut socket.rows);
        socket
    }

    fn segment(&mut self, egress: bool, bytes: &[u8], skipped: u32, fin: bool) {
        let span = u32::try_from(bytes.len()).unwrap() + skipped;
        let seq = self.next[usize::from(egress)];
        let accepted_in = Some(self.next[0]);
        let end = seq.wrapping_add(span).wrapping_add(u32::from(fin));
        self.next[usize::from(egress)] = end;
        let accepted_out = if egress { Some(end) } else { None };
        let segment =
            Segment { egress, seq, bytes, span, accepted_in, accepted_out, time: 7, fin, rst: false, cut: false };
        self.connections.segment(1, &segment, &mut self.rows);
    }

    fn rows(mut self, name: &str) -> Vec<String> {
        self.segment(false, &[], 0, true);
        self.segment(true, &[], 0, true);
        self.connections.finish(&mut self.rows);
        assert!(self.connections.ledger.closed() && self.connections.open_exchanges() == 0, "{name}");
        self.rows.0
    }
}

/// Rows when each turn comes in pieces, which end where `cuts` says (counted over the whole conversation).
fn rows(conversation: &Conversation, limit: usize, cut: impl Fn(usize) -> bool) -> Vec<String> {
    let mut socket = Socket::new(limit);
    let mut at = 0;
    for (egress, pieces) in &conversation.turns {
        let bytes: Vec<u8> = pieces.iter().flat_map(Piece::bytes).copied().collect();
        let mut from = 0;
        for to in 1..=bytes.len() {
            at += 1;
            if to == bytes.len() || cut(at) {
                socket.segment(*egress, &bytes[from..to], 0, false);
                from = to;
            }
        }
    }
    socket.rows(conversation.name)
}

fn length(conversation: &Conversation) -> usize {
    conversation.turns.iter().flat_map(|(_, pieces)| pieces).map(|piece| piece.bytes().len()).sum()
}

/// Every cut of short ones, a sample of the long ones'.
fn cuts(length: usize) -> impl Iterator<Item = usize> {
    (1..length).step_by(if length > 2000 { 97 } else { 1 })
}

const WIDE: usize = 1 << 20;

#[test]
fn rows_are_the_same_however_the_segments_are_cut() {
    for conversation in conversations() {
        let name = conversation.name;
        let whole = rows(&conversation, WIDE, |_| false);
        assert_eq!(rows(&conversation, WIDE, |_| true), whole, "{name}, byte by byte");
        for cut in cuts(length(&conversation)) {
            assert_eq!(rows(&conversation, WIDE, |at| at == cut), whole, "{name}, cut at {cut}");
        }
        assert!(whole.len() <= length(&conversation));
    }
}

/// After a head that was cut, reading begins anew where a segment begins with a start line, so later rows may differ.
#[test]
fn a_head_over_the_limit_is_cut_at_the_same_byte_however_the_segments_are_cut() {
    for conversation in conversations() {
        let name = conversation.name;
        for limit in [1, 17, 30] {
            let first = |cut: &dyn Fn(usize) -> bool| rows(&conversation, limit, cut).into_iter().next();
            let whole = first(&|_| false);
            assert_eq!(first(&|_| true), whole, "{name}, byte by byte");
            for cut in cuts(length(&conversation)) {
                assert_eq!(first(&|at| at == cut), whole, "{name}, cut at {cut}");
            }
        }
    }
}

#[test]
fn rows_are_the_same_when_the_kernel_leaves_bodies_out() {
    for conversation in conversations() {
        let whole = rows(&conversation, WIDE, |_| false);
        for parts in [1, 3] {
            let mut socket = Socket::new(WIDE);
            for (egress, pieces) in &conversation.turns {
                for piece in pieces {
                    match piece {
                        Piece::Text(bytes) => socket.segment(*egress, bytes, 0, false),
                        Piece::Body(bytes) => {
                            let size = bytes.len().div_ceil(parts);
                            for part in bytes.chunks(size) {
                                socket.segment(*egress, &[], u32::try_from(part.len()).unwrap(), false);
                            }
                        }
                    }
                }
            }
            assert_eq!(socket.rows(conversation.name), whole, "{}", conversation.name);
        }
        assert_eq!(after_text(&conversation), whole, "{}, in one record", conversation.name);
    }
}

/// Bodies left out of the record that holds what comes before them.
fn after_text(conversation: &Conversation) -> Vec<String> {
    let mut socket = Socket::new(WIDE);
    for (egress, pieces) in &conversation.turns {
        let mut rest = &pieces[..];
        while let Some((first, after)) = rest.split_first() {
            rest = after;
            match (first, after.split_first()) {
                (Piece::Text(head), Some((Piece::Body(body), after))) => {
                    socket.segment(*egress, head, u32::try_from(body.len()).unwrap(), false);
                    rest = after;
                }
                (Piece::Text(bytes), _) => socket.segment(*egress, bytes, 0, false),
                (Piece::Body(bytes), _) => socket.segment(*egress, &[], u32::try_from(bytes.len()).unwrap(), false),
            }
        }
    }
    socket.rows(conversation.name)
}

#[test]
fn conversations_say_what_they_should() {
    let found = |name: &str| {
        let conversation = conversations().into_iter().find(|it| it.name == name).expect(name);
        rows(&conversation, WIDE, |_| false)
    };
    for (name, count) in [("get", 1), ("pipelined", 4), ("upgrade", 1), ("not HTTP", 0), ("HTTP/2", 0), ("HTTP/0.9", 1)]
    {
        assert_eq!(found(name).len(), count, "{name}");
    }
    let chunked = found("chunked both ways, with trailers");
    assert!(chunked[0].contains("Trailer") && chunked[1].contains("marks: Marks(1024)"), "{chunked:?}");
    assert!(found("many fields")[0].contains("marks: Marks(1024)"), "only the process is unknown");
    assert!(found("many fields")[0].matches("Field {").count() == 1201);
}

/// What the parser of one direction makes of its bytes alone.
fn messages(kind: Kind, pieces: &[&[u8]]) -> Vec<String> {
    let mut parser = Parser::new(kind, WIDE);
    let mut told = Vec::new();
    for piece in pieces {
        let mut rest = *piece;
        while !rest.is_empty() {
            let (used, event) = parser.feed(rest, 7, 0);
            rest = &rest[used..];
            if event == Event::Head {
                let framing = framing::decide(&mut parser.message.head, kind, Asked::default());
                told.push(format!("{framing:?}"));
                if parser.proceed(framing) != Event::End {
                    continue;
                }
            } else if event == Event::More || told.last().is_some_and(|last| last == "lost") {
                continue;
            }
            told.push(format!("{:?}", std::mem::take(&mut parser.message)));
            if matches!(event, Event::Lost | Event::Stray) {
                told.push("lost".to_owned());
            }
        }
    }
    parser.close(7);
    told.push(format!("{:?}", parser.message));
    told
}

#[test]
fn messages_are_the_same_however_their_bytes_are_cut() {
    for conversation in conversations() {
        for (kind, egress) in [(Kind::Request, false), (Kind::Response, true)] {
            let said = conversation.turns.iter().filter(|(from, _)| *from == egress);
            let bytes: Vec<u8> = said.flat_map(|(_, pieces)| pieces).flat_map(Piece::bytes).copied().collect();
            let whole = messages(kind, &[&bytes]);
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            assert_eq!(messages(kind, &single), whole, "{}, byte by byte", conversation.name);
            for cut in cuts(bytes.len()) {
                let (one, two) = bytes.split_at(cut);
                assert_eq!(messages(kind, &[one, two]), whole, "{}, cut at {cut}", conversation.name);
            }
        }
    }
}
