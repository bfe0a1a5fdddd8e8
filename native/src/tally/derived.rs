//! Words that are worked out of several columns, by OpenTelemetry's conventions for HTTP (semconv 1.44).

use super::keys::{memoized, texts};
use super::marks;
use super::words::{Id, Words, NULL};
use crate::ndjson::columns::Columns;
use crate::ndjson::members::name_and_version;
use crate::ndjson::rpc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Derived {
    StatusClass,
    ErrorType,
    MethodKnown,
    ProtocolVersion,
    RouteConfigured,
    OriginAddress,
    OriginPort,
}

/// `http.request.method`: those of RFC 9110, PATCH (RFC 5789) and QUERY.
const METHODS: [&[u8]; 10] =
    [b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH", b"QUERY"];

impl Derived {
    pub(super) fn named(name: &str) -> Option<Derived> {
        Some(match name {
            "status_class" => Derived::StatusClass,
            "error_type" => Derived::ErrorType,
            "method_known" => Derived::MethodKnown,
            "protocol_version" => Derived::ProtocolVersion,
            "route_configured" => Derived::RouteConfigured,
            "origin_address" => Derived::OriginAddress,
            "origin_port" => Derived::OriginPort,
            _ => return None,
        })
    }
}

pub(super) fn fill(derived: Derived, columns: &Columns, rows: usize, words: &mut Words, ids: &mut Vec<Id>) {
    match derived {
        Derived::StatusClass => {
            let class = |row| columns.status.get(row).map(|status| status / 100);
            memoized(rows, class, |class| words.id(format!("{class}xx").as_bytes()), ids);
        }
        Derived::ErrorType => error_types(columns, rows, words, ids),
        Derived::MethodKnown => {
            let method = |row| {
                let method = columns.method.get(row)?;
                Some(if METHODS.contains(&method) { method } else { &b"_OTHER"[..] })
            };
            texts(rows, method, words, ids);
        }
        Derived::ProtocolVersion => {
            texts(rows, |row| columns.protocol.get(row).and_then(|protocol| name_and_version(protocol).1), words, ids);
        }
        Derived::RouteConfigured => {
            let configured = |row| columns.route_source.get(row) == Some(b"configured");
            texts(rows, |row| columns.route.get(row).filter(|_| configured(row)), words, ids);
        }
        Derived::OriginAddress => {
            let host = |row| columns.authority.get(row).and_then(|authority| host_and_port(authority).0);
            texts(rows, |row| host(row).or_else(|| columns.server_address.get(row)), words, ids);
            lower(words, ids);
        }
        Derived::OriginPort => {
            let port = |row| columns.authority.get(row).and_then(|authority| host_and_port(authority).1);
            let port = |row| port(row).or_else(|| columns.server_port.get(row));
            memoized(rows, port, |port| words.id(itoa::Buffer::new().format(*port).as_bytes()), ids);
        }
    }
}

/// `error.type`: the status where it is an error (from 500 for a server, from 400 for a client; a recording, which has
/// no role, is read as a server's), or the name of gRPC's; else `reset` or `no_response`, where nothing that was missed
/// may be the reason.
fn error_types(columns: &Columns, rows: usize, words: &mut Words, ids: &mut Vec<Id>) {
    let all = marks::Reader::new(&columns.quality);
    let parts = |row| {
        let client = columns.role.get(row) == Some(b"client");
        Some((client, columns.status.get(row), columns.grpc_status.get(row), all.of(row)))
    };
    let word = |&(client, status, grpc, marks): &(bool, Option<u16>, Option<u16>, u32)| match status {
        _ if grpc.is_some_and(|own| rpc::is_error(own, client)) => {
            words.id(rpc::status_name(grpc.unwrap_or_default()).as_bytes())
        }
        Some(status) if status >= if client { 400 } else { 500 } => words.id(status.to_string().as_bytes()),
        _ if marks & marks::RESET != 0 => words.id(b"reset"),
        None if marks & marks::NO_RESPONSE != 0 && marks & marks::MISSED == 0 => words.id(b"no_response"),
        _ => NULL,
    };
    memoized(rows, parts, word, ids);
}

/// Host names are the same in every case (RFC 3986, section 3.2.2).
fn lower(words: &mut Words, ids: &mut [Id]) {
    let (mut last, mut lowered) = (NULL, NULL);
    for id in ids {
        if *id != last {
            last = *id;
            let upper = words.text(last).filter(|text| text.bytes().any(|byte| byte.is_ascii_uppercase()));
            let text = upper.map(str::to_ascii_lowercase);
            lowered = text.map_or(last, |text| words.id(text.as_bytes()));
        }
        *id = lowered;
    }
}

/// Host and port of an authority (RFC 3986, section 3.2), without user information.
fn host_and_port(authority: &[u8]) -> (Option<&[u8]>, Option<u16>) {
    let begin = authority.iter().rposition(|&byte| byte == b'@').map_or(0, |at| at + 1);
    let authority = authority.get(begin..).unwrap_or_default();
    // The colons of an IPv6 address stand in brackets.
    let end = match authority.iter().rposition(|&byte| byte == b':' || byte == b']') {
        Some(place) if authority.get(place) == Some(&b':') => place,
        _ => authority.len(),
    };
    let (host, port) = authority.split_at(end);
    let port = port.get(1..).and_then(|port| std::str::from_utf8(port).ok()).and_then(|port| port.parse().ok());
    ((!host.is_empty()).then_some(host), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_has_a_host_and_perhaps_a_port() {
        let cases = [
            ("api.example", Some("api.example"), None),
            ("api.example:8443", Some("api.example"), Some(8443)),
            ("user:word@api.example:80", Some("api.example"), Some(80)),
            ("[::1]:80", Some("[::1]"), Some(80)),
            ("[::1]", Some("[::1]"), None),
            ("api.example:x", Some("api.example"), None),
            ("", None, None),
        ];
        for (authority, host, port) in cases {
            assert_eq!(host_and_port(authority.as_bytes()), (host.map(str::as_bytes), port));
        }
    }
}
