//! Connections that began before we did, and directions whose place was lost.

use super::seek::{Found, Seek};
use super::side::Side;
use super::streams::Streams;
use super::{slot, Http2};
use crate::connection::Limits;
use crate::exchange::{Endpoints, Log, Marks};
use crate::http1::Kind;
use crate::ledger::Ledger;
use crate::stream::Place;

impl Http2 {
    /// A connection that began before we did (`joined`) or whose first octets were lost, and whose frames were `found` in
    /// the direction `egress`.
    pub fn midway(
        endpoints: Endpoints,
        limits: Limits,
        joined: bool,
        egress: bool,
        [found, other]: [Seek; 2],
        ledger: &mut Ledger,
        log: &mut impl Log,
    ) -> Option<Http2> {
        let disputed = [found.disputed, other.disputed];
        let found = found.found(None)?;
        let kind = found.kind;
        let client_egress = egress == (kind == Kind::Request);
        let sides = [Side::lost_at(limits.max_head_bytes), Side::lost_at(limits.max_head_bytes)];
        let mut http2 = Http2::with(endpoints, limits, client_egress, sides, Streams::default());
        http2.joined = joined;
        if !joined {
            http2.streams.miss_beginning();
        }
        http2.settle_roles();
        let rest = if kind == Kind::Request { Kind::Response } else { Kind::Request };
        (http2.doubt[slot(kind)], http2.doubt[slot(rest)]) = (disputed[0], disputed[1]);
        http2.take_place(found, ledger, log);
        http2.settle_doubt(kind);
        http2.seeks[slot(rest)] = Some(Box::new(other));
        Some(http2)
    }

    /// Looks for the place in a direction where it is lost.
    pub(super) fn look(&mut self, kind: Kind, bytes: &[u8], at: Place, ledger: &mut Ledger, log: &mut impl Log) {
        let limit = self.limits.max_head_bytes;
        let seek = self.seeks[slot(kind)].get_or_insert_with(|| Box::new(Seek::new(limit)));
        if !seek.data(bytes, at, Some(kind)) {
            return;
        }
        let found = self.seeks[slot(kind)].take().and_then(|seek| seek.found(Some(kind)));
        if let Some(found) = found {
            self.take_place(found, ledger, log);
        }
    }

    /// Goes on from a place that was found: from what was kept, or from where it is now.
    fn take_place(&mut self, found: Found, ledger: &mut Ledger, log: &mut impl Log) {
        let Found { kind, side, pieces, passed } = found;
        let again = std::mem::replace(&mut self.found[slot(kind)], true);
        if passed > 0 {
            self.streams.miss(kind, passed, if self.joined && !again { Marks::JOINED } else { Marks::GAP });
        }
        let Some(pieces) = pieces else {
            self.sides[slot(kind)] = side;
            return;
        };
        self.sides[slot(kind)] = Side::midway(self.limits.max_head_bytes);
        for piece in pieces {
            self.with_side(kind, ledger, log, |side, frames| piece.read(side, frames));
        }
        self.sides[slot(kind)].trust();
    }
}
