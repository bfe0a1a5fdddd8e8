//! Invariant: whatever lies in the ring, reading a record ends in a record or a refusal.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = heads::record::origin(data);
    let _ = heads::record::decode(data);
});
