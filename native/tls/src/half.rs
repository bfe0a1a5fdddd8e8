//! One direction: which keys protect its records, and which number the next one has.

use std::ops::Range;

use crate::cutter::{Cutter, Record, APPLICATION_DATA};
use crate::handshake::Messages;
use crate::keys::{next_generation, Keys};
use crate::secrets::Secret;
use crate::suites::Suite;

/// Records that may be missing before one that is tried: each costs as much as decrypting it.
const AHEAD: u64 = 256;
/// Bytes that may be decrypted in vain for one direction of one connection: bounds the time that hostile input takes.
const IN_VAIN: u64 = 64 << 20;
/// The shortest protected record: a tag of 8 bytes and a type.
const SHORTEST: usize = 9;

/// What protects a direction's records, in the order of the handshake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Epoch {
    #[default]
    Clear,
    Early,
    Handshake,
    Application,
}

/// A direction's secrets by epoch. TLS 1.2 has none: its keys come ready.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Schedule {
    pub(crate) suite: Option<Suite>,
    pub(crate) early: Option<Secret>,
    pub(crate) handshake: Option<Secret>,
    pub(crate) application: Option<Secret>,
}

impl Schedule {
    fn secret(&self, epoch: Epoch) -> Option<Secret> {
        match epoch {
            Epoch::Clear => None,
            Epoch::Early => self.early,
            Epoch::Handshake => self.handshake,
            Epoch::Application => self.application,
        }
    }
}

/// A record that authenticated.
pub(crate) struct Opened {
    /// Its content's type: the inner one in TLS 1.3.
    pub(crate) kind: u8,
    pub(crate) content: Range<usize>,
    /// Records before it went by unread, and may have carried anything.
    pub(crate) skipped: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Half {
    pub(crate) cutter: Cutter,
    pub(crate) messages: Messages,
    pub(crate) schedule: Schedule,
    pub(crate) epoch: Epoch,
    keys: Option<Keys>,
    /// Number of the next record under these keys (RFC 8446, section 5.3).
    sequence: u64,
    /// Records of the handshake that went by unread: the keys may have changed among them.
    unread: u64,
    in_vain: u64,
    pub(crate) ended: bool,
}

impl Half {
    /// TLS 1.2: the keys that count from ChangeCipherSpec on.
    pub(crate) fn prepare(&mut self, keys: Keys) {
        self.keys = Some(keys);
    }

    pub(crate) fn has_keys(&self) -> bool {
        self.keys.is_some()
    }

    /// The keys change. In TLS 1.3 they are those of the new epoch's secret, if that is known.
    pub(crate) fn enter(&mut self, epoch: Epoch) {
        if let (Some(suite), Some(secret)) = (self.schedule.suite, self.schedule.secret(epoch)) {
            self.keys = Keys::of_traffic(suite, &secret);
        } else if self.schedule.suite.is_some() {
            self.keys = None;
        }
        self.sequence = 0;
        self.unread = 0;
        self.epoch = epoch;
    }

    /// TLS 1.3: a key update (RFC 8446, section 4.6.3).
    pub(crate) fn update(&mut self) {
        if let Some((suite, next)) = self.next() {
            self.schedule.application = Some(next);
            self.keys = Keys::of_traffic(suite, &next);
            self.sequence = 0;
        }
    }

    fn next(&self) -> Option<(Suite, Secret)> {
        let suite = self.schedule.suite?;
        Some((suite, next_generation(suite.hash, self.schedule.application.as_ref()?)?))
    }

    /// A record went by unread.
    pub(crate) fn passed(&mut self) {
        self.sequence = self.sequence.saturating_add(1);
        self.unread = self.unread.saturating_add(1);
    }

    /// So much was decrypted in vain that nothing more is tried.
    pub(crate) fn exhausted(&self) -> bool {
        self.in_vain >= IN_VAIN
    }

    /// Bytes around the plaintext of a record; `None` where that does not tell how long the plaintext is, since TLS
    /// 1.3 pads it and hides its type.
    pub(crate) fn plain_length(&self, kind: u8, length: usize) -> Option<usize> {
        let (before, after) = self.keys.as_ref().filter(|_| self.schedule.suite.is_none())?.overhead();
        Some(if kind == APPLICATION_DATA { length.saturating_sub(before + after) } else { 0 })
    }

    /// Opens a record by the keys that count now, or by those that may count since something was lost: nothing that
    /// does not authenticate comes out.
    pub(crate) fn open(&mut self, record: &mut Record) -> Option<Opened> {
        let ahead = self.cutter.missing(SHORTEST).min(AHEAD);
        let expected = self.sequence;
        let (mut content, skipped) = match self.open_ahead(record, ahead) {
            Some(content) => (content, self.sequence > expected + 1),
            None => (self.open_later(record, ahead.max(self.unread).min(AHEAD))?, self.sequence > 1),
        };
        self.unread = 0;
        let mut kind = record.kind();
        if self.schedule.suite.is_some() {
            // RFC 8446, section 5.2: zeros behind the type are padding.
            let inner = record.body.get(content.clone()).unwrap_or_default();
            let last = inner.iter().rposition(|byte| *byte != 0);
            kind = last.and_then(|at| inner.get(at)).copied().unwrap_or(0);
            content.end = content.start + last.unwrap_or(0);
        }
        Some(Opened { kind, content, skipped })
    }

    fn open_ahead(&mut self, record: &mut Record, ahead: u64) -> Option<Range<usize>> {
        let keys = self.keys.as_ref()?;
        for number in self.sequence..=self.sequence.saturating_add(ahead) {
            if let Some(range) = keys.open(number, record.header, &mut record.body) {
                self.sequence = number.saturating_add(1);
                if self.epoch == Epoch::Clear {
                    self.epoch = Epoch::Application;
                }
                return Some(range);
            }
            if !worth(&mut self.in_vain, record) {
                return None;
            }
        }
        None
    }

    /// TLS 1.3: what said that the keys change may be missing, or its secret may.
    fn open_later(&mut self, record: &mut Record, ahead: u64) -> Option<Range<usize>> {
        let suite = self.schedule.suite?;
        let later: &[Epoch] = match self.epoch {
            Epoch::Clear | Epoch::Early => &[Epoch::Handshake, Epoch::Application],
            Epoch::Handshake => &[Epoch::Application],
            Epoch::Application => &[],
        };
        for epoch in later {
            let secret = self.schedule.secret(*epoch);
            let Some(keys) = secret.and_then(|secret| Keys::of_traffic(suite, &secret)) else { continue };
            if let Some(range) = self.try_keys(keys, record, ahead) {
                self.epoch = *epoch;
                return Some(range);
            }
        }
        if self.epoch == Epoch::Application && ahead > 0 {
            let (suite, next) = self.next()?;
            let range = self.try_keys(Keys::of_traffic(suite, &next)?, record, ahead)?;
            self.schedule.application = Some(next);
            return Some(range);
        }
        None
    }

    fn try_keys(&mut self, keys: Keys, record: &mut Record, ahead: u64) -> Option<Range<usize>> {
        for number in 0..=ahead {
            if let Some(range) = keys.open(number, record.header, &mut record.body) {
                self.keys = Some(keys);
                self.sequence = number + 1;
                return Some(range);
            }
            if !worth(&mut self.in_vain, record) {
                return None;
            }
        }
        None
    }
}

/// Counts a record that was decrypted in vain; whether to go on.
fn worth(in_vain: &mut u64, record: &Record) -> bool {
    *in_vain = in_vain.saturating_add(record.body.len() as u64);
    *in_vain < IN_VAIN
}
