//! One TLS connection: both directions' bytes in, what they carried out.
//!
//! The handshake is followed as far as it tells which keys count when: the hellos (randoms, version, suite), in TLS
//! 1.2 ChangeCipherSpec, in TLS 1.3 EncryptedExtensions (was early data accepted), EndOfEarlyData, Finished and
//! KeyUpdate. Nothing is verified but the records' own authentication: without it nothing comes out.

mod early;
mod keying;

use crate::cutter::{Record, Step, ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE};
use crate::half::{Epoch, Half, Opened};
use crate::hello::TLS_1_2;
use crate::secrets::{Random, Secrets};
use early::Early;

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
}
