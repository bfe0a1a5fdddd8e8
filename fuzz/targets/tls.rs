//! Invariants: whatever comes of a TLS connection in whatever pieces, what comes out was sealed by its secrets (here:
//! the bytes 0 to 49, again and again), the counts add up, and so does the same without any secret.
#![no_main]

use fuzz::Input;
use libfuzzer_sys::fuzz_target;
use tls::keylog::Reader;
use tls::secrets::Secrets;
use tls::session::{Plaintext, Session, Side};

/// RFC 8448, section 3: the hellos in their records, and a record of 50 bytes from the client.
const CLIENT: &str =
    "16030100c4010000c00303cb34ecb1e78163ba1c38c6dacb196a6dffa21a8d9912ec18a2ef6283024dece70000061301130\
    13302010000910000000b0009000006736572766572ff01000100000a00140012001d0017001800190100010101020103010400230000003300\
    260024001d002099381de560e4bd43d23d8e435a7dbafeb3c06e51c13cae4d5413691e529aaf2c002b0003020304000d0020001e04030503060\
    3020308040805080604010501060102010402050206020202002d00020101001c000240011703030043a23f7054b62c94d0affafe8228ba55cb\
    efacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a20441e2b62974e1f5a6292a2977014bd1e3deae63aeebb21694915e4";
const SERVER: &str =
    "160303005a020000560303a6af06a4121860dc5e6e60249cd34c95930c8ac5cb1434dac155772ed3e2692800130100002e0\
    0330024001d0020c9828876112095fe66762bdbf7c672e156d6cc253b833df1dd69b1b04e751f0f002b00020304";
const LOG: &str = "CLIENT_TRAFFIC_SECRET_0 cb34ecb1e78163ba1c38c6dacb196a6dffa21a8d9912ec18a2ef6283024dece7 \
    9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5\n";

struct Authentic(u8);

impl Plaintext for Authentic {
    fn version(&mut self, _version: u16) {}

    fn data(&mut self, side: Side, bytes: &[u8], _time: u64) {
        assert_eq!(side, Side::Client, "nobody has the server's secrets");
        for byte in bytes {
            assert_eq!(*byte, self.0, "not what was sealed");
            self.0 = (self.0 + 1) % 50;
        }
    }

    fn lost(&mut self, _side: Side, _count: Option<usize>, _time: u64) {}

    fn end(&mut self, _side: Side, _time: u64) {}
}

fn hex(digits: &str) -> Vec<u8> {
    (0..digits.len() / 2).map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).expect("hex")).collect()
}

fuzz_target!(|data: &[u8]| {
    let mut secrets = Secrets::default();
    let mut input = Input(data);
    let mut log = Reader::default();
    if input.byte() % 4 == 0 {
        // A key log as hostile as the rest.
        log.feed(data, &mut secrets, |_, _| {});
    }
    log.feed(LOG.as_bytes(), &mut secrets, |_, _| {});
    let (mut session, mut out) = (Session::default(), Authentic(0));
    let mut rest = [hex(CLIENT), hex(SERVER)];
    let mut time = 0;
    while !input.0.is_empty() {
        time += 1;
        let order = input.byte();
        let side = if order & 1 == 0 { Side::Client } else { Side::Server };
        let count = if order & 2 == 0 { usize::from(input.byte()) } else { 5 };
        let own = &mut rest[usize::from(order & 1)];
        let count = count.min(own.len());
        match order >> 2 & 3 {
            0 | 1 => {
                let bytes: Vec<u8> = own.drain(..count).collect();
                session.data(side, &bytes, time, &secrets, &mut out);
            }
            2 => {
                own.drain(..count);
                session.gap(side, u64::from(input.byte()), time, &mut out);
            }
            _ => {
                let (bytes, left) = input.0.split_at(count.max(1).min(input.0.len()));
                input.0 = left;
                session.data(side, bytes, time, &secrets, &mut out);
            }
        }
        assert!(session.counts.closed(), "the counts do not add up");
    }
    session.end(Side::Client, time, &mut out);
    session.finish();
    assert!(session.counts.closed(), "the counts do not add up");
});
