//! After a loss: exchanges that may miss something, and those that may have ended unseen.

use super::{Shared, Stream, Streams};
use crate::exchange::{Log, Marks};
use crate::http1::Kind;
use crate::http2::grpc::Counter;

/// Requests after a loss until an exchange that was open then, and of which nothing came since, is given up: its end
/// was lost.
const PATIENCE: u32 = 256;

impl Stream {
    /// Something of a message may be missing, if it has not come to its end; true where that is so.
    fn miss(&mut self, from: Kind, mark: Marks) -> bool {
        let (side, message) = match from {
            Kind::Request => (0, &self.exchange.request),
            Kind::Response => (1, &self.exchange.response),
        };
        let missing = message.as_ref().is_none_or(|message| !message.complete);
        if missing {
            if from == Kind::Response && self.has_vague_head() {
                self.forget_head();
            }
            self.exchange.marks.add(mark);
            self.counters[side].lose();
        }
        missing
    }

    /// Its response's head, with a status that is not known, may have been an interim one's, and the head of the response
    /// missing.
    pub(in crate::http2) fn forget_head(&mut self) {
        if let Some(message) = self.exchange.response.as_mut() {
            message.head.fields.clear();
            message.head_bytes = 0;
        }
    }

    /// Something of it may be missing, because we came late or because of a loss.
    pub(super) fn misses(&self) -> bool {
        self.exchange.marks.has(Marks(Marks::GAP.0 | Marks::JOINED.0))
    }

    /// Its end may be what is missing: nothing came since.
    fn may_be_over(&self) -> bool {
        !self.fresh && self.misses()
    }
}

impl Streams {
    /// Something of one direction was lost: the exchanges that are open may miss it.
    pub(in crate::http2) fn lose(&mut self, from: Kind) {
        for stream in self.map.values_mut() {
            stream.fresh = false;
            stream.miss(from, Marks::GAP);
        }
        self.gap = true;
        self.doubtful = Some(self.highest);
        match from {
            Kind::Request => self.certain = None,
            Kind::Response => self.pushes_certain = false,
        }
    }

    /// The place in one direction was found, and what came until `passed` was not read: the exchanges that had begun by
    /// then may miss it.
    pub(in crate::http2) fn miss(&mut self, from: Kind, passed: u64, mark: Marks) {
        self.unread[usize::from(from == Kind::Response)] = (passed, mark);
        for stream in self.map.values_mut().filter(|stream| stream.exchange.began() <= passed) {
            stream.fresh &= !stream.miss(from, mark);
        }
        self.gap = true;
        self.doubtful = Some(self.highest);
    }

    /// A request that is read only now, since its direction had to be found: its response may have gone by unread.
    pub(super) fn miss_late(&mut self, id: u32, stream: &mut Stream) {
        stream.content[1] |= self.was_adrift(Kind::Response, id);
        let (passed, mark) = self.unread[1];
        if passed > 0 && stream.exchange.began() <= passed {
            stream.fresh &= !stream.miss(Kind::Response, mark);
            self.doubtful = self.doubtful.max(Some(id));
        }
    }

    /// A promise whose stream was lost.
    pub(super) fn miss_promise(&mut self) {
        self.pushes_certain = false;
        self.gap = true;
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
        for id in self.ids(|id, stream| id <= doubtful && stream.may_be_over()) {
            self.give_up(id, shared);
        }
    }

    /// Whatever still comes of it is not read.
    fn give_up(&mut self, id: u32, shared: &mut Shared<'_, impl Log>) {
        self.close(id);
        if let Some(stream) = self.map.get_mut(&id) {
            stream.counters.iter_mut().for_each(Counter::lose);
        }
        self.emit(id, shared);
    }

    /// Makes room by logging the oldest exchange that may have ended unseen.
    pub(super) fn give_up_doubtful(&mut self, shared: &mut Shared<'_, impl Log>) -> bool {
        if !self.gap {
            return false;
        }
        let stale = self.map.iter().filter(|(_, stream)| stream.may_be_over());
        let Some(id) = stale.map(|(id, _)| *id).min() else { return false };
        self.give_up(id, shared);
        true
    }
}
