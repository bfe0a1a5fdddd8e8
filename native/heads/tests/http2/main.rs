//! HTTP/2 conversations: what they say, however their bytes come, and from the middle on.

mod calls;
mod doubts;
mod limits;
mod losses;
mod numbers;
mod random;
mod secrets;
mod unclear;
mod unread;

use heads::connection::{Connections, Limits, Segment};
use heads::exchange::{Endpoints, Exchange, Head, Log, Marks, Message, Protocol, Role, Unresolved};
use std::net::{IpAddr, Ipv4Addr};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY: u8 = 0x20;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A literal that enters the table (RFC 7541, section 6.2.1), without Huffman code.
fn literal(name: &str, value: &str) -> Vec<u8> {
    let length = |text: &str| vec![u8::try_from(text.len()).unwrap()];
    [vec![0x40], length(name), name.into(), length(value), value.into()].concat()
}

/// The same, not to enter any table (section 6.2.3).
fn secret(name: &str, value: &str) -> Vec<u8> {
    let mut octets = literal(name, value);
    octets[0] = 0x10;
    octets
}

fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    fields.iter().flat_map(|(name, value)| literal(name, value)).collect()
}

fn headers(stream: u32, ends: bool, fields: &[(&str, &str)]) -> Vec<u8> {
    frame(1, END_HEADERS | if ends { END_STREAM } else { 0 }, stream, &block(fields))
}

fn get(stream: u32, path: &str) -> Vec<u8> {
    let fields = [(":method", "GET"), (":scheme", "http"), (":path", path), (":authority", "a.example"), ("x-n", path)];
    headers(stream, true, &fields)
}

fn ok(stream: u32, value: &str, body: &[u8]) -> Vec<u8> {
    let head = headers(stream, false, &[(":status", "200"), ("server", "s"), ("x-v", value)]);
    [head, frame(0, END_STREAM, stream, body)].concat()
}

fn settings() -> Vec<u8> {
    frame(4, 0, 0, &[0, 3, 0, 0, 0, 100])
}

/// A connection whose ends have greeted each other.
fn begin() -> Socket {
    let mut socket = Socket::new(false);
    socket.segment(false, &[PREFACE.to_vec(), settings()].concat(), 0);
    socket.segment(true, &[settings(), frame(4, 1, 0, &[])].concat(), 0);
    socket
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    stream: u64,
    marks: Vec<&'static str>,
    text: String,
}

#[derive(Default)]
struct Rows(Vec<Row>);

fn show(head: &Head, message: &Message) -> String {
    let fields = |fields: &[heads::exchange::Field]| -> String {
        let each = fields.iter().map(|field| {
            let text = |span: heads::exchange::Span| String::from_utf8_lossy(span.of(&head.raw)).into_owned();
            let sign = if field.never_indexed { "!" } else { "" };
            match field.unresolved {
                Unresolved::Nothing => format!("{sign}{}={}", text(field.name), text(field.value)),
                Unresolved::Name => format!("?={}", text(field.value)),
                Unresolved::Both => "?".to_owned(),
            }
        });
        each.collect::<Vec<_>>().join(",")
    };
    let part = |span: heads::exchange::Span| String::from_utf8_lossy(span.of(&head.raw)).into_owned();
    let authority = head.authority.map(part).unwrap_or_default();
    format!(
        "[{} {} {authority} {} | {} | {} | {} {} {} {:?}]",
        part(head.start.first),
        part(head.start.second),
        head.scheme.map(part).unwrap_or_default(),
        fields(&head.fields),
        fields(&head.trailers),
        message.head_bytes,
        message.body_bytes,
        message.complete,
        head.fault.map(|(fault, _)| fault),
    )
}

impl Log for Rows {
    fn exchange(&mut self, endpoints: &Endpoints, exchange: &Exchange) {
        assert_eq!(endpoints.role, Some(Role::Server));
        let side = |message: &Option<Message>| message.as_ref().map(|it| show(&it.head, it)).unwrap_or_default();
        let interim: String = exchange.interim.iter().map(|it| show(&it.head, it)).collect();
        let more = format!("{:?} {:?}", exchange.protocol, exchange.grpc);
        self.0.push(Row {
            stream: exchange.ordinal,
            marks: exchange.marks.names().collect(),
            text: format!("{} {interim} {} {more}", side(&exchange.request), side(&exchange.response)),
        });
    }
}

struct Socket {
    connections: Connections,
    rows: Rows,
    next: [u32; 2],
    time: u64,
}

impl Socket {
    fn new(joined: bool) -> Socket {
        let limits = Limits { max_head_bytes: 16 << 10, ..Limits::default() };
        let limits = Limits { socket: true, ..limits };
        let mut socket =
            Socket { connections: Connections::new(limits), rows: Rows::default(), next: [u32::MAX - 40, 7], time: 0 };
        let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let process = heads::exchange::Process { pid: 1, start: 1, comm: String::new() };
        let endpoints = Endpoints {
            cookie: 1,
            role: None,
            client: (local, 40_000),
            server: (local, 80),
            netns: None,
            cgroup: None,
            process: Some(process),
            tls: None,
        };
        socket.connections.open(endpoints, joined, &mut socket.rows);
        socket
    }

    /// One segment; `skipped` bytes behind it were not copied.
    fn segment(&mut self, egress: bool, bytes: &[u8], skipped: u32) {
        let mut rows = std::mem::take(&mut self.rows);
        self.say(egress, bytes, skipped, &mut rows);
        self.rows = rows;
    }

    /// The same, with rows that go to `log`.
    fn say(&mut self, egress: bool, bytes: &[u8], skipped: u32, log: &mut impl Log) {
        let span = u32::try_from(bytes.len()).unwrap() + skipped;
        let seq = self.next[usize::from(egress)];
        let end = seq.wrapping_add(span);
        self.next[usize::from(egress)] = end;
        self.time += 1;
        let segment = Segment {
            egress,
            seq,
            bytes,
            span,
            // What arrives is confirmed at once here.
            accepted_in: Some(self.next[0]),
            accepted_out: if egress { Some(end) } else { None },
            time: self.time,
            fin: false,
            rst: false,
            cut: false,
        };
        self.connections.segment(1, &segment, log);
    }

    /// Bytes that TCP accepted and nobody saw.
    fn lose(&mut self, egress: bool, count: u32) {
        self.next[usize::from(egress)] = self.next[usize::from(egress)].wrapping_add(count);
    }

    fn rows(mut self) -> Vec<Row> {
        self.connections.finish(&mut self.rows);
        assert!(self.connections.ledger.closed(), "{:?}", self.connections.ledger);
        assert_eq!(self.connections.open_exchanges(), 0);
        self.rows.0
    }
}

type Turn = (bool, Vec<u8>);

#[allow(clippy::too_many_lines, reason = "a list")]
fn conversations() -> Vec<(&'static str, Vec<Turn>)> {
    let hello = || (false, [PREFACE.to_vec(), settings()].concat());
    let answer = || (true, [settings(), frame(4, 1, 0, &[])].concat());
    let call = [(":method", "POST"), (":scheme", "http"), (":path", "/p.S/M"), ("content-type", "application/grpc")];
    let grpc = |stream| headers(stream, false, &[&call[..], &[("grpc-timeout", "5S"), ("te", "trailers")]].concat());
    let message: &[u8] = &[0, 0, 0, 0, 3, b'a', b'b', b'c'];
    vec![
        ("one call", vec![hello(), answer(), (false, get(1, "/a")), (true, ok(1, "v", b"hello"))]),
        ("the server speaks first", vec![answer(), hello(), (false, get(1, "/a")), (true, ok(1, "v", b"x"))]),
        (
            "interleaved, answered in another order",
            vec![
                hello(),
                answer(),
                (false, [get(1, "/1"), get(3, "/3"), get(5, "/5")].concat()),
                (true, [ok(5, "5", b""), ok(1, "1", b"abc"), frame(8, 0, 0, &[0, 0, 1, 0]), ok(3, "3", b"de")].concat()),
            ],
        ),
        (
            "interim, trailers, padding, priority, continuation",
            vec![
                hello(),
                answer(),
                (false, {
                    let fields = block(&[(":method", "PUT"), (":scheme", "http"), (":path", "/p"), ("expect", "100-continue")]);
                    let (front, back) = fields.split_at(20);
                    let front = [&[2_u8, 0, 0, 0, 0, 9][..], front, &[0, 0]].concat();
                    [
                        frame(1, PADDED | PRIORITY, 1, &front),
                        frame(9, END_HEADERS, 1, back),
                        frame(0, PADDED, 1, &[1, b'a', b'b', 0]),
                        headers(1, true, &[("x-sum", "7")]),
                    ]
                    .concat()
                }),
                (true, [headers(1, false, &[(":status", "100")]), headers(1, true, &[(":status", "204")])].concat()),
            ],
        ),
        (
            "a gRPC call",
            vec![
                hello(),
                answer(),
                (false, [grpc(1), frame(0, END_STREAM, 1, message)].concat()),
                (true, {
                    let head = headers(1, false, &[(":status", "200"), ("content-type", "application/grpc")]);
                    let twice = [message, message].concat();
                    [head, frame(0, 0, 1, &twice), headers(1, true, &[("grpc-status", "0"), ("x-t", "t")])].concat()
                }),
            ],
        ),
        (
            "gRPC with trailers only",
            vec![
                hello(),
                answer(),
                (false, [grpc(1), frame(0, END_STREAM, 1, message)].concat()),
                (true, {
                    let fields = [(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "12")];
                    headers(1, true, &fields)
                }),
            ],
        ),
        (
            "reset, and refused by GOAWAY",
            vec![
                hello(),
                answer(),
                (false, [get(1, "/1"), get(3, "/3")].concat()),
                (false, frame(3, 0, 1, &[0, 0, 0, 8])),
                (true, frame(7, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0])),
            ],
        ),
        (
            "a push",
            vec![
                hello(),
                answer(),
                (false, get(1, "/1")),
                (true, {
                    let promise = block(&[(":method", "GET"), (":scheme", "http"), (":path", "/pushed")]);
                    let promise = [&2_u32.to_be_bytes()[..], &promise].concat();
                    [frame(5, END_HEADERS, 1, &promise), ok(1, "1", b"a"), ok(2, "2", b"bc")].concat()
                }),
            ],
        ),
        (
            "a frame that may not be, right behind the preface",
            vec![(false, [PREFACE.to_vec(), settings(), frame(4, 1, 7, &[])].concat()), answer(), (true, ok(1, "v", b"x"))],
        ),
        (
            "a secret",
            vec![
                hello(),
                answer(),
                (false, {
                    let fields = [block(&[(":method", "GET"), (":scheme", "http"), (":path", "/")]), secret("x-k", "S")];
                    frame(1, END_HEADERS | END_STREAM, 1, &fields.concat())
                }),
                (true, ok(1, "v", b"")),
            ],
        ),
        (
            "an upgrade",
            vec![
                (false, b"GET /up HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n".to_vec()),
                (true, b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n".to_vec()),
                (true, settings()),
                hello(),
                (true, ok(1, "up", b"abc")),
                (false, get(3, "/next")),
                (true, ok(3, "next", b"")),
            ],
        ),
        (
            "a WebSocket",
            vec![
                hello(),
                answer(),
                (false, {
                    let fields = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", "/chat")];
                    [headers(1, false, &fields), frame(0, 0, 1, b"frames")].concat()
                }),
                (true, [headers(1, false, &[(":status", "200")]), frame(0, END_STREAM, 1, b"more")].concat()),
                (false, frame(0, END_STREAM, 1, b"")),
            ],
        ),
    ]
}

fn rows(turns: &[Turn], cut: impl Fn(usize) -> bool) -> Vec<Row> {
    let mut socket = Socket::new(false);
    let mut at = 0;
    for (egress, bytes) in turns {
        let mut from = 0;
        for to in 1..=bytes.len() {
            at += 1;
            if to == bytes.len() || cut(at) {
                socket.segment(*egress, &bytes[from..to], 0);
                from = to;
            }
        }
    }
    socket.rows()
}

#[test]
fn rows_are_the_same_however_the_segments_are_cut() {
    for (name, turns) in conversations() {
        let whole = rows(&turns, |_| false);
        assert!(!whole.is_empty(), "{name}");
        assert_eq!(rows(&turns, |_| true), whole, "{name}, byte by byte");
        let length: usize = turns.iter().map(|(_, bytes)| bytes.len()).sum();
        for cut in 1..length {
            assert_eq!(rows(&turns, |at| at == cut), whole, "{name}, cut at {cut}");
        }
    }
}

#[test]
fn conversations_say_what_they_should() {
    let found = |wanted: &str| {
        let (_, turns) = conversations().into_iter().find(|(name, _)| *name == wanted).expect(wanted);
        rows(&turns, |_| false)
    };
    let one = found("one call");
    assert_eq!((one.len(), one[0].stream, one[0].marks.is_empty()), (1, 1, true));
    assert!(one[0].text.starts_with("[GET /a a.example http | x-n=/a |"), "{}", one[0].text);
    assert!(one[0].text.contains("[ 200   | server=s,x-v=v |"), "{}", one[0].text);
    assert!(
        one[0].text.contains(" 14 true None] Http2 None"),
        "nine octets of frame, five of content: {}",
        one[0].text
    );
    assert_eq!(found("the server speaks first").len(), 1);
    let mixed = found("interleaved, answered in another order");
    assert_eq!(mixed.iter().map(|row| row.stream).collect::<Vec<_>>(), [5, 1, 3]);
    for row in &mixed {
        assert!(
            row.text.contains(&format!("x-n=/{}", row.stream)) && row.text.contains(&format!("x-v={}", row.stream))
        );
    }
    let long = &found("interim, trailers, padding, priority, continuation")[0];
    assert!(
        long.text.contains("PUT /p") && long.text.contains("x-sum=7") && long.text.contains("100"),
        "{}",
        long.text
    );
    assert!(long.text.contains("204") && long.marks.is_empty());
    let call = &found("a gRPC call")[0];
    let grpc =
        "Grpc { status: Some(0), request_messages: Some(1), response_messages: Some(2), timeout: Some(5000000000) }";
    assert!(call.text.contains(grpc), "{}", call.text);
    assert!(found("gRPC with trailers only")[0].text.contains("status: Some(12)"));
    let over = found("reset, and refused by GOAWAY");
    assert_eq!(over[0].marks, ["no_response", "reset"]);
    assert_eq!(over[1].marks, ["no_response"]);
    let pushed = found("a push");
    assert_eq!(pushed.iter().map(|row| row.stream).collect::<Vec<_>>(), [1, 2]);
    assert!(pushed[1].text.contains("GET /pushed") && pushed[1].text.contains("x-v=2") && pushed[1].marks.is_empty());
    let bad = found("a frame that may not be, right behind the preface");
    assert_eq!((bad.len(), &bad[0].marks[..]), (1, &["gap", "no_request"][..]), "the other direction is read on");
    assert!(found("a secret")[0].text.contains("!x-k=S"));
    let upgraded = found("an upgrade");
    assert_eq!(upgraded.iter().map(|row| row.stream).collect::<Vec<_>>(), [1, 3]);
    assert!(upgraded[0].text.contains("GET /up") && upgraded[0].text.contains("x-v=up"), "{}", upgraded[0].text);
    assert!(upgraded[0].marks.is_empty(), "{:?}", upgraded[0].marks);
    let socket = &found("a WebSocket")[0];
    assert!(socket.text.contains(&format!("{:?}", Protocol::WebSocket)) && socket.marks.is_empty(), "{socket:?}");
}

/// Calls whose fields are indexed from the second on.
#[test]
fn a_server_may_speak_at_any_place_of_the_preface() {
    let hello = [PREFACE.to_vec(), settings()].concat();
    for cut in 0..hello.len() {
        let mut socket = Socket::new(false);
        socket.segment(false, &hello[..cut], 0);
        socket.segment(true, &settings(), 0);
        socket.segment(false, &hello[cut..], 0);
        socket.segment(false, &get(1, "/1"), 0);
        socket.segment(true, &ok(1, "v", b"x"), 0);
        let rows = socket.rows();
        assert_eq!((rows.len(), rows[0].stream, rows[0].marks.is_empty()), (1, 1, true), "cut at {cut}: {rows:?}");
    }
}

#[test]
fn an_answer_to_half_a_preface_loses_no_byte() {
    let answer = b"HTTP/1.1 400 No\0\0PRI\r\nA: b\r\nContent-Length: 0\r\n\r\n";
    let told = |size: usize| {
        let mut socket = Socket::new(false);
        socket.segment(false, b"PRI ", 0);
        answer.chunks(size).for_each(|piece| socket.segment(true, piece, 0));
        socket.rows()
    };
    let whole = told(usize::MAX);
    assert!(whole[0].text.contains("400") && whole[0].text.contains("A=b"), "{whole:?}");
    assert_eq!(told(1), whole);
}

#[test]
fn binary_metadata_are_base64_whether_they_were_sent_so_or_not() {
    let mut socket = Socket::new(false);
    socket.segment(false, &[PREFACE.to_vec(), settings()].concat(), 0);
    socket.segment(true, &settings(), 0);
    let call = [(":method", "POST"), (":scheme", "http"), (":path", "/"), ("content-type", "application/grpc")];
    let fields = [&call[..], &[("a-bin", "\0\x01\n"), ("b-bin", "AQo")]].concat();
    socket.segment(false, &headers(1, true, &fields), 0);
    socket.segment(true, &headers(1, true, &[(":status", "200"), ("c-bin", "\0")]), 0);
    let rows = socket.rows();
    assert!(rows[0].text.contains("a-bin=AQo,b-bin=AQo") && rows[0].text.contains("c-bin= |"), "{}", rows[0].text);
    assert!(rows[0].marks.is_empty());
}

#[test]
fn content_may_be_skipped_and_nothing_else() {
    let mut socket = Socket::new(false);
    socket.segment(false, &[PREFACE.to_vec(), settings()].concat(), 0);
    socket.segment(true, &settings(), 0);
    socket.segment(false, &[get(1, "/1"), get(3, "/3")].concat(), 0);
    let head = headers(1, false, &[(":status", "200")]);
    let data = frame(0, END_STREAM, 1, &[7; 1000]);
    socket.segment(true, &[&head[..], &data[..9]].concat(), 1000);
    socket.segment(true, &ok(3, "3", b"x"), 0);
    let rows = socket.rows();
    assert_eq!(rows.len(), 2);
    assert!(rows[0].text.contains(" 1009 true None]"), "{}", rows[0].text);
    assert!(rows.iter().all(|row| row.marks.is_empty()));
}
