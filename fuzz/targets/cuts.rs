//! Invariant: however a stream is cut into segments, the rows are the same; or the place in it is lost all the same.
//! (Where it is lost, reading begins anew at a segment that looks like a start, and that depends on the cuts.)
//!
//! Input: a seed for the cuts (2 bytes), the length of the requests (2 bytes), requests, responses.
#![no_main]

use fuzz::{endpoints, Input, Rows};
use heads::connection::{Connections, Limits, Segment};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let seed = input.short();
    let length = usize::from(input.short());
    let requests = input.bytes(length);
    let responses = input.0;
    let whole = rows(requests, responses, |_| usize::MAX);
    compare(&whole, &rows(requests, responses, |_| 1), "whole and byte by byte");
    let mut state = u32::from(seed) | 1;
    let cut = rows(requests, responses, |_| {
        // xorshift: enough to spread cuts, and the same for the same input.
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        1 + (state % 37) as usize
    });
    compare(&whole, &cut, "whole and cut");
});

struct Read {
    rows: Rows,
    lost: bool,
}

fn compare(one: &Read, other: &Read, what: &str) {
    assert_eq!(one.lost, other.lost, "{what}: {:?} {:?}", one.rows, other.rows);
    assert!(one.lost || one.rows == other.rows, "{what}: {:?} {:?}", one.rows, other.rows);
}

fn rows(requests: &[u8], responses: &[u8], mut size: impl FnMut(usize) -> usize) -> Read {
    let mut log = Rows::default();
    let limits = Limits { max_head_bytes: 512, ..Limits::default() };
    let mut connections = Connections::new(limits);
    connections.open(endpoints(1, None), false, &mut log);
    for (egress, stream) in [(false, requests), (true, responses)] {
        let mut rest = stream;
        let mut seq = 1_u32;
        while !rest.is_empty() {
            let (bytes, after) = rest.split_at(size(rest.len()).min(rest.len()));
            rest = after;
            let span = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            let end = seq.wrapping_add(span);
            let segment = Segment {
                egress,
                seq,
                bytes,
                span,
                accepted_in: Some(if egress { after_all(requests) } else { end }),
                accepted_out: Some(if egress { end } else { 1 }),
                time: 7,
                fin: false,
                rst: false,
                cut: false,
            };
            connections.segment(1, &segment, &mut log);
            seq = end;
        }
    }
    connections.finish(&mut log);
    assert!(connections.ledger.closed(), "{:?}", connections.ledger);
    assert!(log.0.len() <= requests.len() + responses.len(), "more rows than bytes");
    // Where a row began on the wire is said by its segment, which is what differs here.
    for row in &mut log.0 {
        let end = row.rfind("request_seq").unwrap_or(row.len());
        row.truncate(end);
    }
    Read { rows: log, lost: connections.ledger.lost > 0 }
}

fn after_all(stream: &[u8]) -> u32 {
    1_u32.wrapping_add(u32::try_from(stream.len()).unwrap_or(u32::MAX))
}
