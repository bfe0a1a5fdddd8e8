//! The trace of RFC 8448, section 3, and connections sealed here by its secrets, however they are cut or damaged.
#![allow(clippy::pedantic, reason = "tests: read, not shipped")]

mod keylogs;
mod losses;
mod traces;

use crate::cutter::{APPLICATION_DATA, HANDSHAKE};
use crate::keylog;
use crate::keys::Keys;
use crate::secrets::{Secret, Secrets};
use crate::session::{Plaintext, Session, Side};
use crate::suites::{tls_1_3, Suite};

/// RFC 8448, section 3: the hellos, and the secrets that follow from them.
const CLIENT_HELLO: &str = "010000c00303cb34ecb1e78163ba1c38c6dacb196a6dffa21a8d9912ec18a2ef6283024dece7\
    000006130113031302010000910000000b0009000006736572766572ff01000100000a00140012001d001700180019010001010102010301\
    0400230000003300260024001d002099381de560e4bd43d23d8e435a7dbafeb3c06e51c13cae4d5413691e529aaf2c002b0003020304000d\
    0020001e040305030603020308040805080604010501060102010402050206020202002d00020101001c00024001";
const SERVER_HELLO: &str = "020000560303a6af06a4121860dc5e6e60249cd34c95930c8ac5cb1434dac155772ed3e26928\
    00130100002e00330024001d0020c9828876112095fe66762bdbf7c672e156d6cc253b833df1dd69b1b04e751f0f002b00020304";
const RANDOM: &str = "cb34ecb1e78163ba1c38c6dacb196a6dffa21a8d9912ec18a2ef6283024dece7";
const CLIENT_HANDSHAKE: &str = "b3eddb126e067f35a780b3abf45e2d8f3b1a950738f52e9600746a0e27a55a21";
const SERVER_HANDSHAKE: &str = "b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38";
const CLIENT_TRAFFIC: &str = "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5";
const SERVER_TRAFFIC: &str = "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643";

fn hex(digits: &str) -> Vec<u8> {
    (0..digits.len() / 2).map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).expect("hex")).collect()
}

fn secret(digits: &str) -> Secret {
    Secret::new(&hex(digits)).expect("short")
}

fn suite() -> Suite {
    tls_1_3(0x1301).expect("known")
}

fn log() -> String {
    format!(
        "CLIENT_HANDSHAKE_TRAFFIC_SECRET {RANDOM} {CLIENT_HANDSHAKE}\n\
         SERVER_HANDSHAKE_TRAFFIC_SECRET {RANDOM} {SERVER_HANDSHAKE}\n\
         CLIENT_TRAFFIC_SECRET_0 {RANDOM} {CLIENT_TRAFFIC}\n\
         SERVER_TRAFFIC_SECRET_0 {RANDOM} {SERVER_TRAFFIC}\n"
    )
}

fn secrets(log: &str) -> Secrets {
    let mut secrets = Secrets::default();
    let mut reader = keylog::Reader::default();
    reader.feed(log.as_bytes(), &mut secrets, |line, fault| panic!("line {line}: {fault:?}"));
    secrets
}

fn clear(message: &str) -> Vec<u8> {
    let message = hex(message);
    [&[HANDSHAKE, 3, 1], &u16::try_from(message.len()).expect("short").to_be_bytes()[..], &message].concat()
}

fn sealed(traffic: &str, sequence: u64, kind: u8, content: &[u8]) -> Vec<u8> {
    let inner = [content, &[kind]].concat();
    Keys::of_traffic(suite(), &secret(traffic)).expect("keys").seal(sequence, &inner)
}

fn data(traffic: &str, sequence: u64, text: &str) -> Vec<u8> {
    sealed(traffic, sequence, APPLICATION_DATA, text.as_bytes())
}

/// Up to where application data begins: server's and client's.
fn handshakes() -> [Vec<u8>; 2] {
    let extensions = [8, 0, 0, 2, 0, 0];
    let finished = [&[20, 0, 0, 32][..], &[7; 32]].concat();
    let certificate = [&[11, 0, 4, 0][..], &[5; 1024]].concat();
    let server = [
        clear(SERVER_HELLO),
        sealed(SERVER_HANDSHAKE, 0, HANDSHAKE, &[&extensions[..], &certificate[..600]].concat()),
        sealed(SERVER_HANDSHAKE, 1, HANDSHAKE, &[&certificate[600..], &finished].concat()),
    ];
    let client = [clear(CLIENT_HELLO), sealed(CLIENT_HANDSHAKE, 0, HANDSHAKE, &finished)];
    [client.concat(), server.concat()]
}

/// What came out.
#[derive(Debug, Default, PartialEq, Eq)]
struct Taken {
    text: [Vec<u8>; 2],
    /// Times of the bytes of `text`.
    times: [Vec<u64>; 2],
    lost: [Vec<Option<usize>>; 2],
    ended: [bool; 2],
    version: Option<u16>,
}

impl Plaintext for Taken {
    fn version(&mut self, version: u16) {
        self.version = Some(version);
    }

    fn data(&mut self, side: Side, bytes: &[u8], time: u64) {
        assert!(self.version.is_some());
        self.text[side as usize].extend_from_slice(bytes);
        self.times[side as usize].extend(bytes.iter().map(|_| time));
    }

    fn lost(&mut self, side: Side, count: Option<usize>, _time: u64) {
        self.lost[side as usize].push(count);
    }

    fn end(&mut self, side: Side, _time: u64) {
        self.ended[side as usize] = true;
    }
}

impl Taken {
    fn text(&self, side: Side) -> String {
        String::from_utf8_lossy(&self.text[side as usize]).into_owned()
    }
}

/// A session, and what it gave.
struct Run {
    session: Session,
    secrets: Secrets,
    taken: Taken,
    time: u64,
}

impl Run {
    fn new(log: &str) -> Self {
        Self { session: Session::default(), secrets: secrets(log), taken: Taken::default(), time: 0 }
    }

    /// After the handshake.
    fn begun() -> Self {
        let mut run = Self::new(&log());
        let [client, server] = handshakes();
        // Client's hello, server's flight, client's Finished.
        let hello = clear(CLIENT_HELLO).len();
        run.feed(Side::Client, &client[..hello]);
        run.feed(Side::Server, &server);
        run.feed(Side::Client, &client[hello..]);
        run
    }

    fn feed(&mut self, side: Side, bytes: &[u8]) {
        self.time += 1;
        self.session.data(side, bytes, self.time, &self.secrets, &mut self.taken);
        assert!(self.session.counts.closed(), "{:?}", self.session.counts);
    }

    fn gap(&mut self, side: Side, count: usize) {
        self.session.gap(side, count as u64, self.time, &mut self.taken);
        assert!(self.session.counts.closed(), "{:?}", self.session.counts);
    }
}
