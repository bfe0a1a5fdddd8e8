//! Early data (0-RTT): it waits for the server's word (RFC 8446, section 4.2.10).

use super::{Plaintext, Session, Side};
use crate::cutter::Record;
use crate::half::Epoch;

/// What is known of early data (0-RTT).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Early {
    #[default]
    None,
    /// Announced; the server has not said whether it takes it.
    Offered,
    Accepted,
    Refused,
}

/// Bytes of records that wait for the server's word about early data: servers take 16 KiB by default.
const WAITING: usize = 256 << 10;

impl Session {
    /// Early data and what follows it wait until the server has said whether it takes early data.
    pub(super) fn wait(&mut self, side: Side, record: &mut Record, out: &mut impl Plaintext) {
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

    pub(super) fn refuse_early(&mut self) {
        if self.early == Early::Offered {
            self.early = Early::Refused;
        }
        let waiting = std::mem::take(&mut self.waiting).len() as u64;
        self.counts.records += waiting;
        self.counts.early_refused += waiting;
        self.waiting_bytes = 0;
    }

    /// The server has said whether it takes early data; where that can't be read, what waits can't be judged.
    pub(super) fn judge_early(&mut self, accepted: Option<bool>, time: u64, out: &mut impl Plaintext) {
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

    pub(super) fn drain(&mut self, out: &mut impl Plaintext) {
        for mut record in std::mem::take(&mut self.waiting) {
            self.protected(Side::Client, &mut record, out);
        }
        self.waiting_bytes = 0;
    }
}
