//! WebSockets (RFC 6455): the exchange that opened one stays open, and counts what goes each way until its end.

use super::Pairing;
use crate::exchange::{Head, Log, Protocol};
use crate::http1::{Framing, Kind};
use crate::ledger::Ledger;

/// A 101 that switches to a WebSocket and nothing else (RFC 6455, section 4.2.2).
pub(super) fn is_answer(head: &Head) -> bool {
    upgrades_to(head, b"websocket")
}

/// Its only `Upgrade` field has this value.
pub(super) fn upgrades_to(head: &Head, protocol: &[u8]) -> bool {
    let mut upgrades = head.fields.iter().filter(|field| field.name.of(&head.raw).eq_ignore_ascii_case(b"upgrade"));
    upgrades.next().is_some_and(|field| field.value.of(&head.raw).eq_ignore_ascii_case(protocol))
        && upgrades.next().is_none()
}

impl Pairing {
    /// Goes over to counting. False where it is not certain whose exchange this is: then nothing more is read.
    pub(super) fn open_websocket(&mut self) -> bool {
        let only = self.queue.len() == 1;
        let front = self.queue.front_mut().filter(|front| only && front.request.as_ref().is_none_or(|it| it.complete));
        let Some(front) = front else { return false };
        let (asked, early) = (front.request.as_mut(), self.request.in_head());
        match asked {
            Some(request) => {
                request.complete = false;
                if early {
                    // Frames that came before the answer was read looked like the beginning of a request.
                    request.body_bytes += u64::from(self.request.message.head_bytes);
                    request.last_byte = self.request.message.last_byte;
                    self.request.message.clear();
                }
                self.request.restart(Kind::Request);
                self.request.proceed(Framing::UntilClose);
            }
            None => self.request.make_opaque(),
        }
        front.protocol = Protocol::WebSocket;
        self.response.proceed(Framing::UntilClose);
        true
    }

    /// Whoever ends a connection first never sees the other's FIN arrive: its socket has given way to one in TIME-WAIT.
    /// When the socket is gone without a reset, both directions have ended.
    pub(super) fn close_websocket(&mut self, time: u64, ledger: &mut Ledger, log: &mut impl Log) {
        let open = self.queue.front().is_some_and(|front| front.protocol == Protocol::WebSocket);
        if !open || !self.closed || self.reset {
            return;
        }
        for kind in [Kind::Request, Kind::Response] {
            let event = self.parser(kind).close(time);
            self.on(kind, event, ledger, log);
        }
    }
}
