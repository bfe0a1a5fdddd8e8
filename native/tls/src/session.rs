//! One TLS connection: both directions' bytes in, what they carried out.
//!
//! The handshake is followed as far as it tells which keys count when: the hellos (randoms, version, suite), in TLS
//! 1.2 ChangeCipherSpec, in TLS 1.3 EncryptedExtensions (was early data accepted), EndOfEarlyData, Finished and
//! KeyUpdate. Nothing is verified but the records' own authentication: without it nothing comes out.

use crate::cutter::{Record, Step, ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE};
use crate::half::{Epoch, Half, Opened, Schedule};
use crate::handshake::{CLIENT_HELLO, ENCRYPTED_EXTENSIONS, END_OF_EARLY_DATA, FINISHED, KEY_UPDATE, SERVER_HELLO};
use crate::hello::{accepts_early_data, ClientHello, ServerHello, TLS_1_2, TLS_1_3};
use crate::keys::Keys;
use crate::secrets::{Label, Random, Secrets};
use crate::suites;

/// Who sent something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Client,
    Server,
}

/// Where the plaintext goes.
pub trait Plaintext {
    /// The server has chosen a version, before anything comes out.
    fn version(&mut self, version: u16);
    /// The next bytes of one side, and when those that carried them came.
    fn data(&mut self, side: Side, bytes: &[u8], time: u64);
    /// Bytes of it that can't be known: so many, where that is certain.
    fn lost(&mut self, side: Side, count: Option<usize>, time: u64);
    /// The side sends nothing more.
    fn end(&mut self, side: Side, time: u64);
}

/// Why a connection can't be read, or not any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A hello is missing, damaged or never came.
    NoHello,
    /// TLS 1.1 or before, or a version that is not known here.
    Version,
    /// A suite without authenticated encryption, or one that is not known here.
    Suite,
    NoSecrets,
    /// The secrets that were given open nothing.
    WrongSecrets,
    /// TLS 1.2 negotiated anew in the middle: new keys that no log tells of by this random.
    Renegotiated,
}

/// How far a connection has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing encrypted has been read yet.
    Handshake,
    Read,
    Refused(Refusal),
}

/// What became of a connection's records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Protected records, those with bytes missing too.
    pub records: u64,
    pub opened: u64,
    /// Not authentic under the keys that count.
    pub failed: u64,
    /// With bytes missing.
    pub holed: u64,
    /// For which a secret is missing.
    pub without_secret: u64,
    /// Early data that the server did not accept: it is sent again, so it is no part of the stream.
    pub early_refused: u64,
    /// Times that a place between records was lost.
    pub lost: u64,
}

impl Counts {
    pub fn closed(&self) -> bool {
        self.records == self.opened + self.failed + self.holed + self.without_secret + self.early_refused
    }

    pub fn add(&mut self, other: &Counts) {
        self.records += other.records;
        self.opened += other.opened;
        self.failed += other.failed;
        self.holed += other.holed;
        self.without_secret += other.without_secret;
        self.early_refused += other.early_refused;
        self.lost += other.lost;
    }
}

/// What is known of early data (0-RTT).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Early {
    #[default]
    None,
    /// Announced; the server has not said whether it takes it.
    Offered,
    Accepted,
    Refused,
}

/// Bytes of records that wait for the server's word about early data: servers take 16 KiB by default.
const WAITING: usize = 256 << 10;

/// One connection.
#[derive(Debug, Default)]
pub struct Session {
    halves: [Half; 2],
    random: Option<Random>,
    early: Early,
    waiting: Vec<Record>,
    waiting_bytes: usize,
    version: Option<u16>,
    refusal: Option<Refusal>,
    /// Something behind the handshake has been read.
    read: bool,
    pub counts: Counts,
}

impl Session {
    /// `ProtocolVersion` (RFC 8446, section 4.1.2), once the server has chosen.
    pub fn version(&self) -> Option<u16> {
        self.version
    }

    pub fn state(&self) -> State {
        match self.refusal {
            Some(Refusal::Renegotiated) => State::Read,
            Some(refusal) => State::Refused(refusal),
            None if self.read => State::Read,
            None if self.counts.failed > 0 => State::Refused(Refusal::WrongSecrets),
            None if self.counts.opened > 0 => State::Read,
            None => State::Handshake,
        }
    }

    pub fn renegotiated(&self) -> bool {
        self.refusal == Some(Refusal::Renegotiated)
    }

    /// Nothing more can come: the state is final.
    pub fn finish(&mut self) {
        let waiting = std::mem::take(&mut self.waiting).len() as u64;
        self.counts.records += waiting;
        self.counts.without_secret += waiting;
    }

    fn half(&mut self, side: Side) -> &mut Half {
        let [client, server] = &mut self.halves;
        match side {
            Side::Client => client,
            Side::Server => server,
        }
    }

    /// The next bytes of one side.
    pub fn data(&mut self, side: Side, bytes: &[u8], time: u64, secrets: &Secrets, out: &mut impl Plaintext) {
        let mut bytes = bytes;
        while self.refusal.is_none() && !bytes.is_empty() {
            let step = self.half(side).cutter.step(&mut bytes, time);
            match step {
                Step::More => {}
                Step::Record => {
                    let mut record = self.half(side).cutter.take();
                    self.record(side, &mut record, secrets, out);
                    self.half(side).cutter.give_back(record);
                }
                Step::Holed { kind, length } => self.holed(side, kind, length, time, out),
                Step::Lost => self.lose_place(side, time, out),
                Step::Search => self.search(side, secrets, out),
            }
        }
    }

    /// Bytes of one side that nobody has.
    pub fn gap(&mut self, side: Side, count: u64, time: u64, out: &mut impl Plaintext) {
        if self.refusal.is_some() {
            return;
        }
        let step = self.half(side).cutter.gap(count);
        match step {
            Step::Holed { kind, length } => self.holed(side, kind, length, time, out),
            Step::Lost => self.lose_place(side, time, out),
            _ => {}
        }
    }

    /// The side sends nothing more.
    pub fn end(&mut self, side: Side, time: u64, out: &mut impl Plaintext) {
        let half = self.half(side);
        if !std::mem::replace(&mut half.ended, true) {
            out.end(side, time);
        }
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.refusal = Some(refusal);
        self.finish();
        self.halves.iter_mut().for_each(|half| half.cutter = crate::cutter::Cutter::default());
    }

    fn lose_place(&mut self, side: Side, time: u64, out: &mut impl Plaintext) {
        self.counts.lost += 1;
        self.half(side).messages.lose();
        if self.version.is_none() {
            self.refuse(Refusal::NoHello);
        } else {
            out.lost(side, None, time);
        }
    }

    /// Looks for the next record that authenticates where the place is lost.
    fn search(&mut self, side: Side, secrets: &Secrets, out: &mut impl Plaintext) {
        loop {
            let half = self.half(side);
            if half.exhausted() {
                return half.cutter.discard();
            }
            let Some(mut candidate) = half.cutter.candidate() else { return };
            let Some(opened) = half.open(&mut candidate.record) else {
                half.cutter.refuse(&candidate);
                continue;
            };
            let (rest, runs) = half.cutter.found(&candidate);
            self.counts.records += 1;
            self.counts.opened += 1;
            self.opened(side, &candidate.record, &opened, out);
            let mut from = 0;
            for (end, time) in runs {
                self.data(side, rest.get(from..end).unwrap_or_default(), time, secrets, out);
                from = end;
            }
            return;
        }
    }

    fn record(&mut self, side: Side, record: &mut Record, secrets: &Secrets, out: &mut impl Plaintext) {
        let half = self.half(side);
        match (record.kind(), half.epoch) {
            (CHANGE_CIPHER_SPEC, epoch) => self.change_cipher_spec(side, epoch, record.time(), out),
            (HANDSHAKE, Epoch::Clear) => self.clear_messages(side, &record.body, secrets, out),
            (ALERT, Epoch::Clear) => {}
            (APPLICATION_DATA, Epoch::Clear) if self.version != Some(TLS_1_2) => self.wait(side, record, out),
            _ => self.protected(side, record, out),
        }
    }

    /// TLS 1.3 sends them for the sake of boxes in the middle only (RFC 8446, appendix D.4).
    fn change_cipher_spec(&mut self, side: Side, epoch: Epoch, time: u64, out: &mut impl Plaintext) {
        match (self.version, epoch) {
            (Some(TLS_1_2), Epoch::Clear) => self.half(side).enter(Epoch::Application),
            (Some(TLS_1_2), _) => self.renegotiate(time, out),
            _ => {}
        }
    }

    fn renegotiate(&mut self, time: u64, out: &mut impl Plaintext) {
        self.refuse(Refusal::Renegotiated);
        out.lost(Side::Client, None, time);
        out.lost(Side::Server, None, time);
    }

    fn clear_messages(&mut self, side: Side, content: &[u8], secrets: &Secrets, out: &mut impl Plaintext) {
        let mut messages = std::mem::take(&mut self.half(side).messages);
        messages.feed(content, |kind, body| match (side, kind) {
            (Side::Client, CLIENT_HELLO) => self.client_hello(body),
            (Side::Server, SERVER_HELLO) => self.server_hello(body, secrets, out),
            _ => {}
        });
        self.half(side).messages = messages;
    }

    fn client_hello(&mut self, body: &[u8]) {
        let Some(hello) = ClientHello::read(body) else {
            return self.refuse(Refusal::NoHello);
        };
        // The second one after a retry has the first one's random (RFC 8446, section 4.1.2).
        let first = self.random.replace(hello.random).is_none();
        if first && hello.early_data {
            self.early = Early::Offered;
        }
    }

    fn server_hello(&mut self, body: &[u8], secrets: &Secrets, out: &mut impl Plaintext) {
        let (Some(random), Some(hello)) = (self.random, ServerHello::read(body)) else {
            return self.refuse(Refusal::NoHello);
        };
        if hello.retry {
            // RFC 8446, section 4.2.10: early data is refused with it.
            self.refuse_early();
            return;
        }
        if self.version.replace(hello.version).is_some() {
            return self.refuse(Refusal::NoHello);
        }
        out.version(hello.version);
        match hello.version {
            TLS_1_3 => self.begin_1_3(&random, hello.suite, secrets, out),
            TLS_1_2 => self.begin_1_2(&random, &hello, secrets),
            _ => self.refuse(Refusal::Version),
        }
    }

    fn begin_1_2(&mut self, random: &Random, hello: &ServerHello, secrets: &Secrets) {
        let Some(suite) = suites::tls_1_2(hello.suite) else {
            return self.refuse(Refusal::Suite);
        };
        let master = secrets.find(random, Label::Master);
        let Some([client, server]) = master.and_then(|master| Keys::of_master(suite, master, random, &hello.random))
        else {
            return self.refuse(Refusal::NoSecrets);
        };
        self.half(Side::Client).prepare(client);
        self.half(Side::Server).prepare(server);
    }

    fn begin_1_3(&mut self, random: &Random, suite: u16, secrets: &Secrets, out: &mut impl Plaintext) {
        let Some(suite) = suites::tls_1_3(suite) else {
            return self.refuse(Refusal::Suite);
        };
        let find = |label| secrets.find(random, label).copied();
        let client = Schedule {
            suite: Some(suite),
            early: find(Label::ClientEarly),
            handshake: find(Label::ClientHandshake),
            application: find(Label::ClientTraffic),
        };
        let server = Schedule {
            early: None,
            handshake: find(Label::ServerHandshake),
            application: find(Label::ServerTraffic),
            ..client
        };
        if client.application.is_none() && server.application.is_none() {
            return self.refuse(Refusal::NoSecrets);
        }
        self.half(Side::Client).schedule = client;
        self.half(Side::Server).schedule = server;
        self.half(Side::Server).enter(Epoch::Handshake);
        if self.early != Early::Offered {
            self.half(Side::Client).enter(Epoch::Handshake);
            self.drain(out);
        }
    }

    /// Early data and what follows it wait until the server has said whether it takes early data.
    fn wait(&mut self, side: Side, record: &mut Record, out: &mut impl Plaintext) {
        let fits = self.waiting_bytes + record.body.len() <= WAITING;
        if side == Side::Client && self.early != Early::Refused && fits {
            self.waiting_bytes += record.body.len();
            self.waiting.push(std::mem::take(record));
            return;
        }
        self.counts.records += 1;
        if side == Side::Client && self.early == Early::Refused {
            self.counts.early_refused += 1;
            return;
        }
        self.counts.without_secret += 1;
        out.lost(side, None, record.time());
    }

    fn refuse_early(&mut self) {
        if self.early == Early::Offered {
            self.early = Early::Refused;
        }
        let waiting = std::mem::take(&mut self.waiting).len() as u64;
        self.counts.records += waiting;
        self.counts.early_refused += waiting;
        self.waiting_bytes = 0;
    }

    /// The server has said whether it takes early data; where that can't be read, what waits can't be judged.
    fn judge_early(&mut self, accepted: Option<bool>, time: u64, out: &mut impl Plaintext) {
        if self.early != Early::Offered {
            return;
        }
        self.early = if accepted == Some(true) { Early::Accepted } else { Early::Refused };
        let epoch = if accepted == Some(true) { Epoch::Early } else { Epoch::Handshake };
        if accepted.is_none() && !self.waiting.is_empty() {
            out.lost(Side::Client, None, time);
        }
        self.half(Side::Client).enter(epoch);
        self.drain(out);
    }

    fn drain(&mut self, out: &mut impl Plaintext) {
        for mut record in std::mem::take(&mut self.waiting) {
            self.protected(Side::Client, &mut record, out);
        }
        self.waiting_bytes = 0;
    }

    fn protected(&mut self, side: Side, record: &mut Record, out: &mut impl Plaintext) {
        self.counts.records += 1;
        let early_refused = side == Side::Client && self.early == Early::Refused;
        let half = self.half(side);
        if let Some(opened) = half.open(record) {
            self.counts.opened += 1;
            if opened.skipped {
                out.lost(side, None, record.time());
            }
            return self.opened(side, record, &opened, out);
        }
        let (kind, length, time) = (record.kind(), record.body.len(), record.time());
        match half.epoch {
            // What a server can't decrypt it passes over (RFC 8446, section 4.2.10).
            Epoch::Handshake if early_refused => self.counts.early_refused += 1,
            // Nothing of the handshake is missed: only what behind it can't be opened is a loss.
            Epoch::Handshake if !half.has_keys() => {
                half.passed();
                self.counts.without_secret += 1;
            }
            _ if !half.has_keys() => {
                self.counts.without_secret += 1;
                out.lost(side, None, time);
            }
            _ => {
                self.counts.failed += 1;
                self.miss(side, kind, length, time, out);
            }
        }
    }

    fn holed(&mut self, side: Side, kind: u8, length: usize, time: u64, out: &mut impl Plaintext) {
        let half = self.half(side);
        half.messages.lose();
        if half.epoch == Epoch::Clear {
            if self.version.is_none() {
                self.refuse(Refusal::NoHello);
            }
            return;
        }
        self.counts.records += 1;
        self.counts.holed += 1;
        self.miss(side, kind, length, time, out);
    }

    /// A record went by unread. One of the handshake carried no data: Finished, or what comes before it.
    fn miss(&mut self, side: Side, kind: u8, length: usize, time: u64, out: &mut impl Plaintext) {
        let half = self.half(side);
        let count = half.plain_length(kind, length);
        half.passed();
        if count != Some(0) && half.epoch != Epoch::Handshake {
            out.lost(side, count, time);
        }
    }

    /// A record that authenticated.
    fn opened(&mut self, side: Side, record: &Record, opened: &Opened, out: &mut impl Plaintext) {
        let time = record.time();
        let epoch = self.half(side).epoch;
        self.read |= matches!(epoch, Epoch::Early | Epoch::Application);
        if side == Side::Server && epoch == Epoch::Application {
            self.judge_early(None, time, out);
        }
        let content = record.body.get(opened.content.clone()).unwrap_or_default();
        match opened.kind {
            APPLICATION_DATA => {
                let mut from = opened.content.start;
                for (end, time) in &record.runs {
                    let end = (*end).min(opened.content.end);
                    if end > from {
                        out.data(side, record.body.get(from..end).unwrap_or_default(), *time);
                        from = end;
                    }
                }
            }
            HANDSHAKE => self.protected_messages(side, content, time, out),
            // close_notify (0), and whatever is fatal (RFC 8446, section 6).
            ALERT if matches!(content, [_, 0] | [2, _]) => self.end(side, time, out),
            _ => {}
        }
    }

    fn protected_messages(&mut self, side: Side, content: &[u8], time: u64, out: &mut impl Plaintext) {
        let mut messages = std::mem::take(&mut self.half(side).messages);
        let (old, epoch) = (self.version == Some(TLS_1_2), self.half(side).epoch);
        let (mut renegotiates, mut next) = (false, None);
        messages.feed(content, |kind, body| match (kind, epoch) {
            (CLIENT_HELLO | SERVER_HELLO, _) => renegotiates |= old,
            (ENCRYPTED_EXTENSIONS, Epoch::Handshake) if side == Side::Server => {
                self.judge_early(Some(accepts_early_data(body)), time, out);
            }
            (END_OF_EARLY_DATA, Epoch::Early) => next = Some(Epoch::Handshake),
            (FINISHED, Epoch::Handshake) => next = Some(Epoch::Application),
            (KEY_UPDATE, Epoch::Application) if !old => next = Some(Epoch::Clear),
            _ => {}
        });
        let half = self.half(side);
        half.messages = messages;
        // Keys change between records only (RFC 8446, section 5.1).
        match next {
            Some(Epoch::Clear) => half.update(),
            Some(epoch) => half.enter(epoch),
            None => {}
        }
        if renegotiates {
            self.renegotiate(time, out);
        }
    }
}
