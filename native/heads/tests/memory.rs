//! What all HTTP/2 connections take together stays below the limit, whatever they send, and others are read on.

use heads::connection::{Connections, Limits, Segment};
use heads::exchange::{Endpoints, Exchange, Log, Marks};
use std::alloc::{GlobalAlloc, Layout, System};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicUsize, Ordering};

struct Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: hands everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const MEMORY: usize = 16 << 20;
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
const END_HEADERS: u8 = 4;
const FLOODS: u64 = 150;

/// Rows of the connection that behaves, by stream; of all others only how many.
#[derive(Default)]
struct Rows {
    usual: Vec<(u64, Marks)>,
    others: usize,
}

impl Log for Rows {
    fn exchange(&mut self, endpoints: &Endpoints, exchange: &Exchange) {
        if endpoints.cookie == 0 {
            self.usual.push((exchange.ordinal, exchange.marks));
        } else {
            self.others += 1;
        }
    }
}

/// One connection's sender; responses are not sent, but for those of the one that behaves.
struct Sender {
    cookie: u64,
    next: [u32; 2],
}

impl Sender {
    fn open(cookie: u64, connections: &mut Connections, rows: &mut Rows) -> Sender {
        let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let port = u16::try_from(cookie + 1024).unwrap();
        let endpoints = Endpoints {
            cookie,
            role: None,
            client: (local, port),
            server: (local, 80),
            netns: None,
            cgroup: None,
            process: Some(heads::exchange::Process { pid: 1, start: 1, comm: String::new() }),
            tls: None,
        };
        connections.open(endpoints, false, rows);
        let mut sender = Sender { cookie, next: [1, 1] };
        sender.send(false, &[PREFACE, SETTINGS].concat(), connections, rows);
        sender
    }

    fn send(&mut self, egress: bool, bytes: &[u8], connections: &mut Connections, rows: &mut Rows) {
        let seq = self.next[usize::from(egress)];
        let span = u32::try_from(bytes.len()).unwrap();
        self.next[usize::from(egress)] = seq + span;
        let segment = Segment {
            egress,
            seq,
            bytes,
            span,
            accepted_in: Some(self.next[0]),
            accepted_out: egress.then_some(seq + span),
            time: u64::from(seq),
            fin: false,
            rst: false,
            cut: false,
        };
        connections.segment(self.cookie, &segment, rows);
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A request without an end, with a field of 4 KiB that enters the table.
fn large(stream: u32) -> Vec<u8> {
    let name = format!("x-{stream:06}");
    // 4096 as an integer behind a prefix of 7 bits (RFC 7541, section 5.1).
    let field = [&[0x40, 8][..], name.as_bytes(), &[0x7f, 0x81, 0x1f], &[b'v'; 4096]].concat();
    // :method GET, :scheme http, :path /
    frame(1, END_HEADERS, stream, &[&[0x82, 0x86, 0x84], &field[..]].concat())
}

#[test]
fn floods_of_many_connections_stay_below_the_limit_and_cost_others_nothing() {
    let limits = Limits { memory: MEMORY, socket: true, ..Limits::default() };
    let mut rows = Rows::default();
    let mut connections = Connections::new(limits);
    let mut usual = Sender::open(0, &mut connections, &mut rows);
    usual.send(true, SETTINGS, &mut connections, &mut rows);
    let mut stream = 1;
    let before = ALLOCATED.load(Ordering::Relaxed);
    let mut highest = 0;
    // With 200 streams each, of 4 KiB: seven times the limit.
    for cookie in 1..=FLOODS {
        let mut sender = Sender::open(cookie, &mut connections, &mut rows);
        for number in 0..200 {
            sender.send(false, &large(2 * number + 1), &mut connections, &mut rows);
        }
        usual.send(false, &frame(1, END_HEADERS | 1, stream, &[0x82, 0x86, 0x84]), &mut connections, &mut rows);
        usual.send(true, &frame(1, END_HEADERS | 1, stream, &[0x88]), &mut connections, &mut rows);
        stream += 2;
        highest = highest.max(ALLOCATED.load(Ordering::Relaxed).saturating_sub(before));
    }
    assert!(highest > MEMORY / 2, "the floods came: {highest}");
    assert!(highest < MEMORY * 5 / 4, "{highest} bytes of {MEMORY}");
    assert!(connections.ledger.let_go > 5, "{:?}", connections.ledger);
    let expected: Vec<u64> = (0..FLOODS).map(|number| 2 * number + 1).collect();
    assert_eq!(rows.usual.iter().map(|(stream, _)| *stream).collect::<Vec<_>>(), expected);
    assert!(rows.usual.iter().all(|(_, marks)| *marks == Marks::default()), "nothing is marked");
    connections.finish(&mut rows);
    assert!(connections.ledger.closed(), "{:?}", connections.ledger);
    let opened = usize::try_from(FLOODS).unwrap() * 200;
    assert!(rows.others <= opened && rows.others > opened / 2, "{} of {opened}", rows.others);
}
