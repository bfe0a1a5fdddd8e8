//! Connections that began before we did, and directions whose place was lost.

use super::seek::{Found, Piece, Seek};
use super::side::Side;
use super::streams::Streams;
use super::{slot, Http2};
use crate::connection::Limits;
use crate::exchange::{Endpoints, Log};
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
        let Found { kind, side, pieces } = found.found(None)?;
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
        http2.take_place(kind, side, pieces, ledger, log);
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
        if let Some(Found { side, pieces, .. }) = found {
            self.take_place(kind, side, pieces, ledger, log);
        }
    }

    /// Goes on from a place that was found: from what was kept, or from where it is now.
    fn take_place(
        &mut self,
        kind: Kind,
        side: Side,
        pieces: Option<Vec<Piece>>,
        ledger: &mut Ledger,
        log: &mut impl Log,
    ) {
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
