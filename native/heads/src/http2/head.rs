//! What a decoded section says: pseudo-header fields, and what a strict receiver would refuse (RFC 9113, section 8).

use super::grpc;
use crate::exchange::{Fault, Field, Head, Span, Unresolved};
use crate::http1::Kind;
use memchr::memchr3;

/// Octets that a field name can be made of (RFC 9113, section 8.2.1).
const NAME: [bool; 256] = names();

const fn names() -> [bool; 256] {
    let mut table = [false; 256];
    let mut octet = 0x21;
    while octet < 0x7f {
        table[octet] = !(octet >= 0x41 && octet <= 0x5a) && octet != b':' as usize;
        octet += 1;
    }
    table
}

/// Takes the pseudo-header fields out of the fields. `whole`: nothing is missing, so what is not there was not sent.
/// `call`: it is of a gRPC call.
pub(super) fn read(head: &mut Head, kind: Kind, whole: bool, call: bool) {
    if call {
        grpc::encode_binary(head);
    }
    let (mut method, mut path, mut status) = (None, None, None);
    let (mut scheme, mut authority, mut protocol) = (None, None, None);
    let (mut secret_target, mut secret_authority) = (false, false);
    let mut fault = None;
    let mut regular = false;
    let raw = &head.raw;
    let suspicious = memchr3(b'\r', b'\n', 0, raw).is_some();
    head.fields.retain(|field| {
        let name = field.name.of(raw);
        if name.first() != Some(&b':') {
            if field.unresolved == Unresolved::Nothing {
                regular = true;
                check(field, raw, suspicious, &mut fault);
            }
            return true;
        }
        let slot = match (kind, name) {
            (Kind::Request, b":method") => &mut method,
            (Kind::Request, b":path") => &mut path,
            (Kind::Request, b":scheme") => &mut scheme,
            (Kind::Request, b":authority") => &mut authority,
            (Kind::Request, b":protocol") => &mut protocol,
            (Kind::Response, b":status") => &mut status,
            _ => {
                fault.get_or_insert((Fault::FieldName, field.name.start));
                return true;
            }
        };
        if regular || slot.is_some() {
            fault.get_or_insert((Fault::FieldName, field.name.start));
            return true;
        }
        *slot = Some(field.value);
        secret_target |= field.never_indexed && name == b":path";
        secret_authority |= field.never_indexed && name == b":authority";
        false
    });
    if whole {
        let tunnel = protocol.is_none() && method.is_some_and(|method| method.of(raw) == b"CONNECT");
        let missing = match kind {
            Kind::Request if method.is_none() => Some(Fault::Method),
            Kind::Request if path.is_none_or(Span::is_empty) != tunnel => Some(Fault::Target),
            Kind::Response if status.is_none() => Some(Fault::Status),
            _ => None,
        };
        if let Some(missing) = missing {
            fault.get_or_insert((missing, 0));
        }
    }
    head.version = Some((2, 0));
    if let Some(span) = status {
        head.status = number(span.of(raw));
        if head.status.is_none() {
            fault.get_or_insert((Fault::Status, span.start));
        }
    }
    head.start.first = method.unwrap_or_default();
    head.start.second = path.or(status).unwrap_or_default();
    (head.scheme, head.authority, head.protocol) = (scheme, authority, protocol);
    (head.secret_target, head.secret_authority) = (secret_target, secret_authority);
    if head.fault.is_none() {
        head.fault = fault;
    }
}

/// Looks through a trailer section; a pseudo-header field must not be there.
pub(super) fn trailer_fault(head: &Head) -> Option<(Fault, u32)> {
    let mut fault = None;
    let suspicious = memchr3(b'\r', b'\n', 0, &head.raw).is_some();
    for field in &head.fields {
        check(field, &head.raw, suspicious, &mut fault);
    }
    fault.map(|(_, at)| (Fault::Trailer, at))
}

/// A pseudo-header field of either kind stands in it: it is a head, no trailer section.
pub(super) fn has_pseudo(head: &Head) -> bool {
    head.fields.iter().any(|field| field.name.of(&head.raw).first() == Some(&b':'))
}

/// What stands first is not known: it may be a pseudo-header field.
pub(super) fn begins_unresolved(head: &Head) -> bool {
    head.fields.first().is_some_and(|field| field.unresolved != Unresolved::Nothing)
}

/// It may be the head of a request: that begins with two pseudo-header fields at least, those of CONNECT.
pub(super) fn may_ask(head: &Head) -> bool {
    let unknown = head.fields.iter().take_while(|field| field.unresolved != Unresolved::Nothing);
    has_pseudo(head) || unknown.count() >= 2
}

fn number(text: &[u8]) -> Option<u16> {
    let [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] = text else { return None };
    Some(u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0'))
}

fn check(field: &Field, raw: &[u8], suspicious: bool, fault: &mut Option<(Fault, u32)>) {
    if field.unresolved != Unresolved::Nothing {
        return;
    }
    let (name, value) = (field.name.of(raw), field.value.of(raw));
    if name.is_empty() || !name.iter().all(|octet| NAME[usize::from(*octet)]) || is_of_connection(name) {
        fault.get_or_insert((Fault::FieldName, field.name.start));
    }
    let blank = |octet: Option<&u8>| matches!(octet, Some(b' ' | b'\t'));
    if blank(value.first())
        || blank(value.last())
        || (suspicious && memchr3(b'\r', b'\n', 0, value).is_some())
        || (name == b"te" && value != b"trailers")
    {
        fault.get_or_insert((Fault::FieldValue, field.value.start));
    }
}

/// Fields that have no place here (RFC 9113, section 8.2.2).
fn is_of_connection(name: &[u8]) -> bool {
    matches!(name, b"connection" | b"proxy-connection" | b"keep-alive" | b"transfer-encoding" | b"upgrade")
}
