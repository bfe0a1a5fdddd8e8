//! HTTP/2 connections: any frames in any segments, bytes left out, from the beginning or joined. No panic, every row keeps
//! its promises, memory has a bound, the account adds up; what comes whole is the same however it is cut.
#![no_main]

use fuzz::{endpoints, Input, Rows};
use heads::connection::{Connections, Limits, Segment};
use libfuzzer_sys::fuzz_target;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

struct Socket {
    connections: Connections,
    rows: Rows,
    next: [u32; 2],
}

impl Socket {
    fn new(joined: bool) -> Socket {
        let limits = Limits { max_head_bytes: 4096, streams: 64, ..Limits::default() };
        let mut socket = Socket { connections: Connections::new(limits), rows: Rows::default(), next: [1, 1] };
        socket.connections.open(endpoints(1, None), joined, &mut socket.rows);
        socket
    }

    fn send(&mut self, egress: bool, bytes: &[u8], skipped: u32, lost: u32) {
        let seq = self.next[usize::from(egress)].wrapping_add(lost);
        let span = u32::try_from(bytes.len()).unwrap_or(0) + skipped;
        let end = seq.wrapping_add(span);
        self.next[usize::from(egress)] = end;
        let segment = Segment {
            egress,
            seq,
            bytes,
            span,
            accepted_in: Some(self.next[0]),
            accepted_out: if egress { Some(end) } else { None },
            time: 1,
            fin: false,
            rst: false,
            cut: false,
        };
        self.connections.segment(1, &segment, &mut self.rows);
    }

    /// The rows, and whether a place was lost: what is found again depends on where segments begin.
    fn rows(mut self) -> (Vec<String>, bool) {
        self.connections.finish(&mut self.rows);
        assert!(self.connections.ledger.closed(), "{:?}", self.connections.ledger);
        assert_eq!(self.connections.open_exchanges(), 0);
        // Where a row began on the wire is said by its segment, which is what differs here.
        let rows = self.rows.0.iter().map(|row| row[..row.rfind("request_seq").unwrap_or(row.len())].to_owned());
        (rows.collect(), self.connections.ledger.lost > 0)
    }
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let mode = input.byte();
    let (joined, losses) = (mode & 1 != 0, mode & 2 != 0);
    let cut = usize::from(input.byte()).max(1);
    let (mut whole, mut pieces) = (Socket::new(joined), Socket::new(joined));
    if !joined {
        for socket in [&mut whole, &mut pieces] {
            socket.send(false, PREFACE, 0, 0);
        }
    }
    loop {
        let head = input.short();
        let (egress, length) = (head & 1 != 0, usize::from(head >> 1) % 512);
        let (skipped, lost) =
            if losses { (u32::from(input.byte()) * 8, u32::from(input.byte() & 0x10)) } else { (0, 0) };
        let bytes = input.bytes(length);
        if bytes.is_empty() {
            break;
        }
        whole.send(egress, bytes, skipped, lost);
        assert!(whole.connections.open_exchanges() <= 64 + 1);
        if !joined && !losses {
            for piece in bytes.chunks(cut) {
                pieces.send(egress, piece, 0, 0);
            }
        }
    }
    let (rows, lost) = whole.rows();
    if !joined && !losses {
        let (found, also_lost) = pieces.rows();
        assert_eq!(lost, also_lost, "cut elsewhere it is lost: {rows:?} {found:?}");
        assert!(lost || found == rows, "cut elsewhere it says something else: {rows:?} {found:?}");
    }
});
