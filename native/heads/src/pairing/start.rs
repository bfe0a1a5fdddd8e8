//! Where reading starts: who sends requests, whether it is HTTP, and where to begin anew after a loss.

use super::Pairing;
use crate::exchange::{Message, Role};
use crate::http1::{head, methods, Kind, STATUS_LINE};
use crate::stream::Place;

/// The first bytes of a connection, while too few to tell a request from a response.
#[derive(Debug)]
pub(super) struct Undecided {
    pub(super) egress: bool,
    pub(super) bytes: Vec<u8>,
    pub(super) at: Place,
}

impl Pairing {
    /// The first start line of the connection tells who sends requests; false while it is not known.
    pub(super) fn decide(&mut self, egress: bool, bytes: &[u8], at: Place) -> bool {
        if self.waits_for_turn == Some(egress) {
            return false;
        }
        self.waits_for_turn = None;
        if self.unsure && !begins_request(bytes) && !begins_response(bytes) {
            return false;
        }
        let leaves = match &mut self.undecided {
            // So little, and the other end speaks: a method's first letter more likely than half a response.
            Some(first) if first.egress != egress => first.egress,
            first => {
                let start = first.get_or_insert_with(|| Undecided { egress, bytes: Vec::new(), at });
                let known = start.bytes.len();
                start.bytes.extend_from_slice(&bytes[..bytes.len().min(STATUS_LINE.len())]);
                if start.bytes.len() < STATUS_LINE.len() && STATUS_LINE.starts_with(&start.bytes) {
                    return false;
                }
                let responds = start.bytes.starts_with(STATUS_LINE);
                start.bytes.truncate(known);
                egress != responds
            }
        };
        self.request_egress = Some(leaves);
        if self.unsure {
            // The other direction may be in the middle of a message.
            let other = if leaves == egress { &mut self.response } else { &mut self.request };
            other.lose();
        }
        if leaves {
            std::mem::swap(&mut self.endpoints.client, &mut self.endpoints.server);
        }
        if self.limits.socket {
            self.endpoints.role = Some(if leaves { Role::Client } else { Role::Server });
        }
        true
    }

    /// After a loss, reading starts again where the other side had spoken, a start line follows, and there is no doubt
    /// which response belongs to which request.
    pub(super) fn resume(&mut self, kind: Kind, bytes: &[u8]) -> bool {
        let clear = match kind {
            Kind::Request => self.queue.is_empty() && begins_request(bytes),
            Kind::Response => self.queue.len() <= 1 && !self.overtaken && begins_response(bytes),
        };
        if clear {
            self.parser(kind).restart(kind);
        }
        clear
    }

    /// Whether this is HTTP: the first request must look like it, later ones are logged whatever they are.
    pub(super) fn confirm(&mut self) -> bool {
        self.confirmed = self.confirmed || is_http(&self.request.message);
        self.confirmed
    }
}

/// A line that ends in a version, or a registered method and what can be a target (RFC 9112, section 3.2).
pub(super) fn is_http(message: &Message) -> bool {
    let head = &message.head;
    let target = head.start.second.of(&head.raw);
    let targeted = matches!(target.first(), Some(b'/' | b'*')) || target.starts_with(b"http");
    head.version.is_some()
        || begins_request(&head.raw)
        || (targeted && methods::is_registered(head.start.first.of(&head.raw)))
}

pub(super) fn begins_response(bytes: &[u8]) -> bool {
    bytes.get(..8).and_then(head::version).is_some()
}

/// A whole request line that ends in a version.
pub(super) fn begins_request(bytes: &[u8]) -> bool {
    let Some(end) = memchr::memchr(b'\n', bytes) else { return false };
    let line = bytes[..end].strip_suffix(b"\r").unwrap_or(&bytes[..end]);
    let Some(at) = line.len().checked_sub(8) else { return false };
    head::version(&line[at..]).is_some() && line.first().is_some_and(|byte| head::token(*byte))
}
