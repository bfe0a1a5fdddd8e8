//! What several forms say of a row in the same words.

use crate::ndjson::columns::{Columns, FieldLists};
use crate::ndjson::rpc;

/// Methods that OpenTelemetry knows (semantic conventions for HTTP spans, `http.request.method`): RFC 9110, PATCH of
/// RFC 5789 and QUERY.
const METHODS: [&[u8]; 10] =
    [b"CONNECT", b"DELETE", b"GET", b"HEAD", b"OPTIONS", b"PATCH", b"POST", b"PUT", b"QUERY", b"TRACE"];

/// Fields by which calls are told apart, in the order in which they are looked for (docs/fields.md).
const REQUEST_IDS: [&[u8]; 12] = [
    b"x-request-id",
    b"x-kong-request-id",
    b"request-id",
    b"x-correlation-id",
    b"x-amzn-requestid",
    b"x-amzn-trace-id",
    b"apim-request-id",
    b"mistral-correlation-id",
    b"x-litellm-call-id",
    b"x-unique-id",
    b"x-client-request-id",
    b"x-trace-id",
];

/// One row of a batch.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) columns: &'a Columns<'a>,
    pub(super) place: usize,
}

impl<'a> Row<'a> {
    pub(super) fn is_client(self) -> bool {
        self.columns.role.get(self.place) == Some(b"client")
    }

    pub(super) fn is_configured(self) -> bool {
        self.columns.route_source.get(self.place) == Some(b"configured")
    }

    pub(super) fn has_mark(self, mark: &[u8]) -> bool {
        let quality = &self.columns.quality;
        quality.rows.get(self.place).into_iter().flatten().any(|place| quality.words.get(place) == Some(mark))
    }

    /// Why the call failed, in OpenTelemetry's sense: 5xx for who answers, 4xx too for who calls, no answer for both,
    /// and gRPC's own statuses.
    pub(super) fn error(self) -> Option<Failure> {
        if let Some(status) =
            self.columns.grpc_status.get(self.place).filter(|&own| rpc::is_error(own, self.is_client()))
        {
            return Some(Failure::Grpc(status));
        }
        match self.columns.status.get(self.place) {
            Some(status) if status >= 500 || (status >= 400 && self.is_client()) => Some(Failure::Status(status)),
            None if self.has_mark(b"reset") => Some(Failure::Mark("reset")),
            None if self.has_mark(b"no_response") => Some(Failure::Mark("no_response")),
            Some(_) | None => None,
        }
    }

    /// An error of the server's side and a call without an answer are errors, one of the client's side is a warning.
    pub(super) fn severity(self) -> Severity {
        match (self.columns.status.get(self.place), self.columns.grpc_status.get(self.place)) {
            (Some(500..) | None, _) => Severity::Error,
            (_, Some(status)) if rpc::is_error(status, false) => Severity::Error,
            (Some(400..), _) | (_, Some(1..)) => Severity::Warning,
            _ => Severity::Info,
        }
    }

    pub(super) fn is_grpc(self) -> bool {
        self.columns.protocol.get(self.place) == Some(b"grpc")
    }

    pub(super) fn is_known_method(method: &[u8]) -> bool {
        METHODS.contains(&method)
    }

    /// The host of the authority and its port, where it names one.
    pub(super) fn host(self) -> (Option<&'a [u8]>, Option<u16>) {
        let Some(authority) = self.columns.authority.get(self.place) else { return (None, None) };
        let colon = authority.iter().rposition(|&byte| byte == b':');
        if let Some(colon) = colon.filter(|&colon| !authority[colon..].contains(&b']')) {
            let port = std::str::from_utf8(&authority[colon + 1..]).ok().and_then(|text| text.parse().ok());
            if let Some(port) = port {
                return (Some(bare(&authority[..colon])), Some(port));
            }
        }
        (Some(bare(authority)), None)
    }

    /// The first value of a field, whatever its case.
    pub(super) fn first(lists: &FieldLists<'a>, place: usize, name: &[u8]) -> Option<&'a [u8]> {
        let mut places = lists.rows.get(place)?;
        let found = places.find(|&at| lists.names.get(at).is_some_and(|own| own.eq_ignore_ascii_case(name)))?;
        lists.values.get(found)
    }

    /// What tells this call from others: of the request, else of the response.
    pub(super) fn request_id(self) -> Option<&'a [u8]> {
        [&self.columns.request_fields, &self.columns.response_fields]
            .into_iter()
            .find_map(|lists| REQUEST_IDS.iter().find_map(|name| Row::first(lists, self.place, name)))
    }

    pub(super) fn end_ns(self) -> i64 {
        let begin = self.columns.time.get(self.place).unwrap_or_default();
        begin.saturating_add(self.columns.duration_ns.get(self.place).unwrap_or_default())
    }
}

/// How grave a call's outcome is: of the log record, of the message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    Info,
    Warning,
    Error,
}

pub(super) enum Failure {
    Status(u16),
    Grpc(u16),
    Mark(&'static str),
}

impl Failure {
    pub(super) fn text(&self) -> String {
        match self {
            Failure::Status(status) => status.to_string(),
            Failure::Grpc(status) => rpc::status_name(*status),
            Failure::Mark(mark) => (*mark).to_owned(),
        }
    }
}

/// An IPv6 address without its brackets.
fn bare(host: &[u8]) -> &[u8] {
    host.strip_prefix(b"[").and_then(|host| host.strip_suffix(b"]")).unwrap_or(host)
}

/// The last part of a path.
pub(super) fn name_of(path: &[u8]) -> &[u8] {
    path.rsplit(|&byte| byte == b'/').next().unwrap_or(path)
}
