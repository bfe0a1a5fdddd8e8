//! After a loss: exchanges that may miss something, and those that may have ended unseen.

use super::{Shared, Streams};
use crate::exchange::{Log, Marks};
use crate::http1::Kind;

/// Requests after a loss until an exchange that was open then, and of which nothing came since, is given up: its end
/// was lost.
const PATIENCE: u32 = 256;

impl Streams {
    /// Something of one direction was lost: the exchanges that are open may miss it.
    pub(in crate::http2) fn lose(&mut self, from: Kind) {
        let side = usize::from(from == Kind::Response);
        for stream in self.map.values_mut() {
            stream.fresh = false;
            let message = if side == 0 { &stream.exchange.request } else { &stream.exchange.response };
            if !message.as_ref().is_some_and(|message| message.complete) {
                stream.exchange.marks.add(Marks::GAP);
                stream.counters[side].lose();
            }
        }
        self.gap = true;
        self.doubtful = Some(self.highest);
        match from {
            Kind::Request => self.certain = None,
            Kind::Response => self.pushes_certain = false,
        }
    }

    /// Its first octets were lost.
    pub(in crate::http2) fn miss_beginning(&mut self) {
        self.gap = true;
    }

    /// Many requests after a loss: what was open then and said nothing since has ended unseen.
    pub(super) fn give_up_stale(&mut self, shared: &mut Shared<'_, impl Log>) {
        let Some(doubtful) = self.doubtful else { return };
        if self.highest.saturating_sub(doubtful) < 2 * PATIENCE {
            return;
        }
        self.doubtful = None;
        for id in self.ids(|id, stream| id <= doubtful && !stream.fresh && stream.exchange.marks.has(Marks::GAP)) {
            self.close(id);
            self.emit(id, shared);
        }
    }

    /// Makes room by logging the oldest exchange that may have ended unseen.
    pub(super) fn give_up_doubtful(&mut self, shared: &mut Shared<'_, impl Log>) -> bool {
        if !self.gap {
            return false;
        }
        let stale = self.map.iter().filter(|(_, stream)| !stream.fresh && stream.exchange.marks.has(Marks::GAP));
        let Some(id) = stale.map(|(id, _)| *id).min() else { return false };
        self.close(id);
        self.emit(id, shared);
        true
    }
}
