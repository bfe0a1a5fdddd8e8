//! Invariants, for segments in any order, repeated, overlapping, cut short and out of any window, on a few connections:
//! no panic; no more rows than bytes; every record is accounted for; every exchange that was put together is logged once; nothing stays behind.
#![no_main]

use fuzz::{endpoints, Input, Rows};
use heads::connection::{Connections, Limits, Segment};
use heads::exchange::{Process, Role};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let mut log = Rows::default();
    let kind = input.byte();
    let (socket, memory) = (kind & 1 == 1, if kind & 2 == 0 { 1 << 20 } else { 2 << 10 });
    let limits = Limits { max_head_bytes: 256, connections: 2, waiting: 3, streams: 4, memory, socket };
    let mut connections = Connections::new(limits);
    while !input.0.is_empty() {
        let (what, flags) = (input.byte(), input.byte());
        let cookie = u64::from(flags >> 5 & 3);
        match what % 16 {
            0 => {
                let role = [None, Some(Role::Server), Some(Role::Client), None][usize::from(flags & 3)];
                connections.open(endpoints(cookie, role), flags & 4 != 0, &mut log);
            }
            1 => {
                let process = Process { pid: 1, start: 1, comm: "x".to_owned() };
                connections.process(cookie, process);
            }
            2 => connections.close(cookie, &segment(&mut input, flags), &mut log),
            3 => {
                let ends = endpoints(cookie, None);
                connections.early((ends.server, ends.client), &segment(&mut input, flags));
            }
            _ => connections.segment(cookie, &segment(&mut input, flags), &mut log),
        }
    }
    connections.finish(&mut log);
    assert!(connections.is_empty());
    assert_eq!(connections.open_exchanges(), 0);
    assert!(connections.ledger.closed(), "{:?}", connections.ledger);
    assert_eq!(connections.ledger.exchanges, log.0.len() as u64);
    assert!(log.0.len() <= data.len(), "more rows than bytes");
});

fn segment<'a>(input: &mut Input<'a>, flags: u8) -> Segment<'a> {
    let near = |number: u16| u32::from(number & 0x3ff).wrapping_add(u32::MAX - 300);
    let seq = near(input.short());
    let (accepted, length, skipped) = (input.short(), usize::from(input.byte()), u32::from(input.byte()));
    let bytes = input.bytes(length);
    let span = u32::try_from(bytes.len()).unwrap_or(u32::MAX) + if flags & 8 != 0 { skipped } else { 0 };
    Segment {
        egress: flags & 1 != 0,
        seq,
        bytes,
        span,
        accepted_in: (accepted & 0x8000 != 0).then(|| near(accepted)),
        accepted_out: (accepted & 0x4000 != 0).then(|| near(accepted)),
        time: u64::from(accepted),
        fin: flags & 2 != 0,
        rst: flags & 4 != 0 && flags & 16 != 0,
        cut: flags & 16 != 0,
    }
}
