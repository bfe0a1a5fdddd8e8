//! Header sections: however a block comes in pieces it says the same, and who joins later knows less, never otherwise.
#![no_main]

use fuzz::Input;
use heads::exchange::{Head, Unresolved};
use heads::http2::hpack::{Decoder, Progress};
use libfuzzer_sys::fuzz_target;

const LIMIT: usize = 16 << 10;
/// Two tables of 64 KiB and their entries, and room to grow.
const HELD: usize = 1 << 20;

type Part = Option<Vec<u8>>;

/// The fields of a block that comes in pieces of `size`; `None` where it is invalid.
fn fields(decoder: &mut Decoder, block: &[u8], size: usize) -> Option<(Vec<(Part, Part)>, bool)> {
    let (mut head, mut progress, mut pending) = (Head::default(), Progress::default(), Vec::new());
    for piece in block.chunks(size.max(1)) {
        pending.extend_from_slice(piece);
        let (used, _) = decoder.decode(&pending, &mut head, LIMIT, &mut progress).ok()?;
        pending.drain(..used);
    }
    assert!(decoder.held() < HELD, "the table has no bound");
    assert!(head.raw.len() <= LIMIT, "the limit is not kept");
    if !pending.is_empty() {
        decoder.forget();
        return None;
    }
    let known = |bytes: &[u8]| Some(bytes.to_vec());
    let all = head.fields.iter().map(|field| match field.unresolved {
        Unresolved::Nothing => (known(field.name.of(&head.raw)), known(field.value.of(&head.raw))),
        Unresolved::Name => (None, known(field.value.of(&head.raw))),
        Unresolved::Both => (None, None),
    });
    Some((all.collect(), progress.cut))
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let (size, join) = (usize::from(input.byte()), usize::from(input.byte() % 8));
    let (mut whole, mut pieces, mut late) = (Decoder::default(), Decoder::default(), Decoder::default());
    late.forget();
    for number in 0.. {
        let length = usize::from(input.short() % 1024);
        let block = input.bytes(length);
        if block.is_empty() {
            break;
        }
        let right = fields(&mut whole, block, usize::MAX);
        assert_eq!(fields(&mut pieces, block, size), right, "in pieces it says something else");
        let Some((right, cut)) = right else { break };
        if number < join {
            continue;
        }
        let Some((found, late_cut)) = fields(&mut late, block, usize::MAX) else {
            panic!("a valid block is refused by who joined");
        };
        if cut || late_cut {
            continue;
        }
        assert_eq!(found.len(), right.len(), "fields are missing");
        for ((name, value), (right_name, right_value)) in found.iter().zip(&right) {
            assert!(name.is_none() || name == right_name, "a wrong name");
            assert!(value.is_none() || value == right_value, "a wrong value");
        }
    }
});
