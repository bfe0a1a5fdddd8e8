//! Exchanges under way, as far as they are known.

use super::rows::absorb;
use super::Pairing;
use crate::exchange::Exchange;

impl Pairing {
    /// When each exchange began that has begun and is not logged, oldest first; of one whose head is still coming
    /// nothing can be said.
    pub fn open_since(&self) -> impl Iterator<Item = u64> + '_ {
        self.queue.iter().map(Exchange::began)
    }

    /// A copy of the exchange at a place of [`Pairing::open_since`], with what was read of its bodies so far.
    pub fn open_exchange(&self, place: usize) -> Option<Exchange> {
        let mut exchange = self.queue.get(place)?.clone();
        let (first, last) = (place == 0, place + 1 == self.queue.len());
        if let Some(request) = exchange.request.as_mut().filter(|request| last && !request.complete) {
            absorb(request, &self.request.message, false);
        }
        if let Some(response) = exchange.response.as_mut().filter(|response| first && !response.complete) {
            absorb(response, &self.response.message, false);
        }
        Some(exchange)
    }
}
