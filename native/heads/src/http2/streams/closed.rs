//! Streams that were closed last: what was on its way when they were closed is none of a new exchange's.

use crate::connection::CookieHasher;
use std::collections::{HashSet, VecDeque};
use std::hash::BuildHasherDefault;

/// As many as are open at most: what is on its way belongs to no more.
const CLOSED: usize = 4096;

pub(super) type Ids = HashSet<u32, BuildHasherDefault<CookieHasher>>;

#[derive(Debug, Default)]
pub(super) struct Closed {
    /// Oldest first.
    order: VecDeque<u32>,
    ids: Ids,
}

impl Closed {
    pub(super) fn contains(&self, id: u32) -> bool {
        self.ids.contains(&id)
    }

    pub(super) fn push(&mut self, id: u32) {
        if !self.ids.insert(id) {
            return;
        }
        self.order.push_back(id);
        if self.order.len() > CLOSED {
            if let Some(oldest) = self.order.pop_front() {
                self.ids.remove(&oldest);
            }
        }
    }

    /// Bytes of memory that it takes.
    pub(super) fn held(&self) -> usize {
        2 * self.order.len() * size_of::<u32>()
    }
}
