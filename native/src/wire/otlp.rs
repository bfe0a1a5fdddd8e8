//! OpenTelemetry's log records and spans, as requests of OTLP (opentelemetry-proto 1.x: `collector/logs/v1`,
//! `collector/trace/v1`, `logs/v1`, `trace/v1`, `common/v1`), with the attributes of the semantic conventions 1.44.

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;

use super::folded::Folded;
use super::protobuf::{self as pb, message};
use super::row::{name_of, Row, Severity};
use crate::ndjson::columns::{Columns, FieldLists};
use crate::ndjson::members::name_and_version;
use crate::ndjson::rpc;

const SCOPE: &[u8] = b"masthead";
const SCHEMA: &[u8] = b"https://opentelemetry.io/schemas/1.44.0";
/// `SpanFlags` of trace/v1: whether the parent is another process's is known, and it is.
const REMOTE_PARENT: u32 = 0x300;
/// `SeverityNumber` of logs/v1.
const SEVERITIES: [(u64, &[u8]); 3] = [(9, b"INFO"), (13, b"WARN"), (17, b"ERROR")];
/// `SpanKind` and `Status.StatusCode` of trace/v1.
const SERVER: u64 = 2;
const CLIENT: u64 = 3;
const ERROR: u64 = 2;

/// A request with a log record for each row. `resource` are attributes, `observed` is now.
pub(crate) fn logs(batch: &RecordBatch, resource: &[(String, String)], observed: u64) -> Result<Vec<u8>, ArrowError> {
    let columns = Columns::of(batch)?;
    let mut folded = Folded::of(&columns);
    Ok(request(batch.num_rows(), resource, |place, out| {
        message(2, out, |out| record(Row { columns: &columns, place }, &mut folded, observed, out));
    }))
}

/// A request with a span for each row.
pub(crate) fn traces(batch: &RecordBatch, resource: &[(String, String)]) -> Result<Vec<u8>, ArrowError> {
    let columns = Columns::of(batch)?;
    let mut folded = Folded::of(&columns);
    Ok(request(batch.num_rows(), resource, |place, out| {
        message(2, out, |out| span(Row { columns: &columns, place }, &mut folded, out));
    }))
}

/// `ResourceLogs` and `ResourceSpans` have the same numbers: resource 1, scope 2, schema 3; in the scope: scope 1,
/// records 2, schema 3.
fn request(rows: usize, resource: &[(String, String)], mut each: impl FnMut(usize, &mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::with_capacity(rows * 2_048);
    message(1, &mut out, |out| {
        message(1, out, |out| {
            for (name, value) in resource {
                text(1, name.as_bytes(), Some(value.as_bytes()), out);
            }
        });
        message(2, out, |out| {
            message(1, out, |out| {
                pb::bytes(1, SCOPE, out);
                pb::bytes(2, env!("CARGO_PKG_VERSION").as_bytes(), out);
            });
            for place in 0..rows {
                each(place, out);
            }
            pb::bytes(3, SCHEMA, out);
        });
        pb::bytes(3, SCHEMA, out);
    });
    out
}

/// `LogRecord`.
fn record(row: Row, folded: &mut Folded, observed: u64, out: &mut Vec<u8>) {
    let (columns, place) = (row.columns, row.place);
    pb::fixed64(1, columns.time.get(place).unwrap_or_default().cast_unsigned(), out);
    let (number, word) = SEVERITIES[match row.severity() {
        Severity::Error => 2,
        Severity::Warning => 1,
        Severity::Info => 0,
    }];
    pb::number(2, number, out);
    pb::bytes(3, word, out);
    message(5, out, |out| pb::bytes(1, &body(row), out));
    attributes(row, folded, 6, out);
    if let Some(flags) = columns.trace_flags.get(place) {
        pb::fixed32(8, u32::from(flags), out);
    }
    if let Some(id) = columns.trace_id.get(place).and_then(hex::<16>) {
        pb::bytes(9, &id, out);
    }
    if let Some(id) = columns.parent_id.get(place).and_then(hex::<8>) {
        pb::bytes(10, &id, out);
    }
    pb::fixed64(11, observed, out);
    pb::bytes(12, b"masthead.exchange", out);
}

/// `GET /v1/users 200`: for people; all else is in the attributes.
fn body(row: Row) -> Vec<u8> {
    let (columns, place) = (row.columns, row.place);
    let mut body = columns.method.get(place).unwrap_or(b"-").to_vec();
    body.push(b' ');
    body.extend_from_slice(columns.path.get(place).or(columns.target.get(place)).unwrap_or(b"-"));
    body.push(b' ');
    match columns.status.get(place) {
        Some(status) => body.extend_from_slice(status.to_string().as_bytes()),
        None => body.push(b'-'),
    }
    body
}

/// `Span`.
fn span(row: Row, folded: &mut Folded, out: &mut Vec<u8>) {
    let (columns, place) = (row.columns, row.place);
    let exchange = columns.exchange_id.get(place).unwrap_or_default();
    // Without a trace of the caller's the call is one of its own, whose id is made from the exchange's.
    let trace = columns.trace_id.get(place).and_then(hex::<16>).unwrap_or_else(|| {
        let (high, low) = (digest(exchange, b"trace"), digest(exchange, b"trace'"));
        ((u128::from(high) << 64) | u128::from(low)).to_be_bytes()
    });
    pb::bytes(1, &trace, out);
    pb::bytes(2, &digest(exchange, b"span").to_be_bytes(), out);
    if let Some(state) = Row::first(&columns.request_fields, place, b"tracestate") {
        pb::bytes(3, state, out);
    }
    if let Some(parent) = columns.parent_id.get(place).and_then(hex::<8>) {
        pb::bytes(4, &parent, out);
    }
    let mut name = columns.method.get(place).filter(|method| Row::is_known_method(method)).unwrap_or(b"HTTP").to_vec();
    // A server's span has a route in its name only where it is really known; a caller's has a template.
    if let Some(route) = columns.route.get(place).filter(|_| row.is_client() || row.is_configured()) {
        name.push(b' ');
        name.extend_from_slice(route);
    }
    pb::bytes(5, &name, out);
    match columns.role.get(place) {
        Some(b"client") => pb::number(6, CLIENT, out),
        Some(b"server") => pb::number(6, SERVER, out),
        // Of a recording nobody knows (`SPAN_KIND_UNSPECIFIED`).
        _ => {}
    }
    pb::fixed64(7, columns.time.get(place).unwrap_or_default().cast_unsigned(), out);
    pb::fixed64(8, row.end_ns().cast_unsigned(), out);
    attributes(row, folded, 9, out);
    if row.error().is_some() {
        message(15, out, |out| pb::number(3, ERROR, out));
    }
    let flags = columns.trace_flags.get(place).map(u32::from);
    let remote = if columns.parent_id.get(place).is_some() { REMOTE_PARENT } else { 0 };
    if flags.is_some() || remote != 0 {
        pb::fixed32(16, flags.unwrap_or_default() | remote, out);
    }
}

/// Each attribute of the row as field `field` of the message.
fn attributes(row: Row, folded: &mut Folded, field: u32, out: &mut Vec<u8>) {
    let (columns, place) = (row.columns, row.place);
    http(row, folded, field, out);
    addresses(row, field, out);
    let (path, pid) = (columns.process_executable.get(place), columns.process_pid.get(place));
    integer(field, b"process.pid", pid.map(i64::from), out);
    text(field, b"process.executable.path", path, out);
    text(field, b"process.executable.name", path.map(name_of), out);
    text(field, b"container.id", columns.container_id.get(place), out);
    own(row, folded, field, out);
}

fn http(row: Row, folded: &mut Folded, field: u32, out: &mut Vec<u8>) {
    let (columns, place) = (row.columns, row.place);
    let method = columns.method.get(place);
    let known = method.filter(|method| Row::is_known_method(method));
    text(field, b"http.request.method", known.or(method.map(|_| b"_OTHER".as_slice())), out);
    text(field, b"http.request.method_original", method.filter(|_| known.is_none()), out);
    integer(field, b"http.response.status_code", columns.status.get(place).map(i64::from), out);
    let failure = row.error().map(|failure| failure.text());
    text(field, b"error.type", failure.as_ref().map(String::as_bytes), out);
    let name: &[u8] = if row.is_configured() && !row.is_client() { b"http.route" } else { b"url.template" };
    text(field, name, columns.route.get(place), out);
    text(field, b"url.scheme", columns.scheme.get(place), out);
    text(field, b"url.path", columns.path.get(place), out);
    text(field, b"url.query", columns.query.get(place), out);
    text(field, b"url.full", full(row).as_deref(), out);
    let total = |head: Option<u32>, body: Option<u64>| Some(u64::from(head?).saturating_add(body?)).and_then(signed);
    let request = total(columns.request_head_bytes.get(place), columns.request_body_bytes.get(place));
    let response = total(columns.response_head_bytes.get(place), columns.response_body_bytes.get(place));
    integer(field, b"http.request.size", request, out);
    integer(field, b"http.response.size", response, out);
    integer(field, b"http.request.body.size", columns.request_body_bytes.get(place).and_then(signed), out);
    integer(field, b"http.response.body.size", columns.response_body_bytes.get(place).and_then(signed), out);
    text(field, b"user_agent.original", Row::first(&columns.request_fields, place, b"user-agent"), out);
    headers(field, b"http.request.header.", folded, &columns.request_fields, place, out);
    headers(field, b"http.response.header.", folded, &columns.response_fields, place, out);
    if let Some((name, version)) = columns.protocol.get(place).map(name_and_version) {
        text(field, b"network.protocol.name", Some(name), out);
        text(field, b"network.protocol.version", version, out);
    }
    text(field, b"network.transport", Some(b"tcp"), out);
    text(field, b"tls.protocol.version", columns.tls_version.get(place), out);
    if row.is_grpc() {
        let status = columns.grpc_status.get(place).map(rpc::status_name);
        text(field, b"rpc.system.name", Some(b"grpc"), out);
        text(field, b"rpc.method", columns.path.get(place).and_then(rpc::method), out);
        text(field, b"rpc.status_code", status.as_ref().map(String::as_bytes), out);
    }
}

/// The whole address of a call that a client made (`url.full`), where all its parts are known.
fn full(row: Row) -> Option<Vec<u8>> {
    let (columns, place) = (row.columns, row.place);
    let target = columns.target.get(place).filter(|_| row.is_client())?;
    if !target.starts_with(b"/") {
        // In absolute form (RFC 9112, section 3.2.2) it is there already.
        return target.windows(3).any(|part| part == b"://").then(|| target.to_vec());
    }
    Some([columns.scheme.get(place)?, b"://", columns.authority.get(place)?, target].concat())
}

fn addresses(row: Row, field: u32, out: &mut Vec<u8>) {
    let (columns, place) = (row.columns, row.place);
    let client = (columns.client_address.get(place), columns.client_port.get(place));
    let server = (columns.server_address.get(place), columns.server_port.get(place));
    let (peer, local) = if row.is_client() { (server, client) } else { (client, server) };
    text(field, b"network.peer.address", peer.0, out);
    integer(field, b"network.peer.port", peer.1.map(i64::from), out);
    text(field, b"network.local.address", local.0, out);
    integer(field, b"network.local.port", local.1.map(i64::from), out);
    let forwarded = columns.forwarded_client.get(place);
    text(field, b"client.address", forwarded.or(client.0), out);
    integer(field, b"client.port", client.1.filter(|_| forwarded.is_none()).map(i64::from), out);
    let (host, port) = row.host();
    text(field, b"server.address", host.or(server.0), out);
    integer(field, b"server.port", port.or(server.1).map(i64::from), out);
}

/// What OpenTelemetry has no name for.
fn own(row: Row, folded: &mut Folded, field: u32, out: &mut Vec<u8>) {
    let (columns, place) = (row.columns, row.place);
    text(field, b"masthead.exchange_id", columns.exchange_id.get(place), out);
    text(field, b"masthead.connection_id", columns.connection_id.get(place), out);
    text(field, b"masthead.role", columns.role.get(place), out);
    text(field, b"masthead.source", columns.source.get(place), out);
    text(field, b"masthead.target", columns.target.get(place), out);
    text(field, b"masthead.route_source", columns.route_source.get(place), out);
    text(field, b"masthead.authority", columns.authority.get(place), out);
    text(field, b"masthead.cgroup", columns.cgroup.get(place), out);
    text(field, b"masthead.fault", columns.fault.get(place), out);
    integer(field, b"masthead.network_namespace", columns.network_namespace.get(place).and_then(signed), out);
    integer(field, b"masthead.request_head_bytes", columns.request_head_bytes.get(place).map(i64::from), out);
    integer(field, b"masthead.response_head_bytes", columns.response_head_bytes.get(place).map(i64::from), out);
    text(field, b"masthead.tls_library", columns.tls_library.get(place), out);
    integer(field, b"masthead.grpc_status", columns.grpc_status.get(place).map(i64::from), out);
    let messages = (columns.grpc_request_messages.get(place), columns.grpc_response_messages.get(place));
    integer(field, b"masthead.grpc_request_messages", messages.0.and_then(signed), out);
    integer(field, b"masthead.grpc_response_messages", messages.1.and_then(signed), out);
    integer(field, b"masthead.grpc_timeout_ns", columns.grpc_timeout_ns.get(place), out);
    integer(field, b"masthead.hpack_unresolved", columns.hpack_unresolved.get(place).map(i64::from), out);
    integer(field, b"masthead.ttfb_ns", columns.ttfb_ns.get(place), out);
    integer(field, b"masthead.duration_ns", columns.duration_ns.get(place), out);
    integer(field, b"masthead.head_spread_ns", columns.head_spread_ns.get(place), out);
    headers(field, b"masthead.request_trailer.", folded, &columns.request_trailers, place, out);
    headers(field, b"masthead.response_trailer.", folded, &columns.response_trailers, place, out);
    interim(row, folded, field, out);
    let quality = &columns.quality;
    let marks = quality.rows.get(place).into_iter().flatten().filter_map(|mark| quality.words.get(mark));
    texts(field, &[b"masthead.quality"], marks.collect(), out);
    if let Some(weight) = columns.sample_weight.get(place).filter(|weight| (weight - 1.0).abs() > f64::EPSILON) {
        pair(field, &[b"masthead.sample_weight"], 9, out, |out| pb::double(4, weight, out));
    }
}

/// Interim responses: an array of key-value lists, `status` and the fields.
fn interim(row: Row, folded: &mut Folded, field: u32, out: &mut Vec<u8>) {
    let interim = &row.columns.interim;
    let Some(places) = interim.rows.get(row.place).filter(|places| !places.is_empty()) else { return };
    message(field, out, |out| {
        pb::bytes(1, b"masthead.interim", out);
        message(2, out, |out| {
            message(5, out, |out| {
                for place in places {
                    message(1, out, |out| {
                        message(6, out, |out| {
                            integer(1, b"status", interim.statuses.get(place).map(i64::from), out);
                            headers(1, b"header.", folded, &interim.fields, place, out);
                        });
                    });
                }
            });
        });
    });
}

/// Each name of a list once, in lower case, with all its values in order.
fn headers(field: u32, prefix: &[u8], folded: &mut Folded, lists: &FieldLists, row: usize, out: &mut Vec<u8>) {
    folded.each(lists, row, |name, places| {
        let values = places.iter().map(|place| lists.values.get(*place).unwrap_or_default()).collect();
        texts(field, &[prefix, name], values, out);
    });
}

/// `KeyValue` with a text.
fn text(field: u32, name: &[u8], value: Option<&[u8]>, out: &mut Vec<u8>) {
    if let Some(value) = value {
        pair(field, &[name], pb::sized(value.len()), out, |out| pb::bytes(1, value, out));
    }
}

/// `KeyValue` with a whole number.
fn integer(field: u32, name: &[u8], value: Option<i64>, out: &mut Vec<u8>) {
    if let Some(value) = value.map(i64::cast_unsigned) {
        pair(field, &[name], 1 + pb::width(value), out, |out| pb::number(3, value, out));
    }
}

/// `KeyValue` with an array of texts; none where it is empty.
fn texts(field: u32, name: &[&[u8]], values: Vec<&[u8]>, out: &mut Vec<u8>) {
    if values.is_empty() {
        return;
    }
    let array: usize = values.iter().map(|value| pb::sized(pb::sized(value.len()))).sum();
    pair(field, name, pb::sized(array), out, |out| {
        pb::length(5, array, out);
        for value in values {
            pb::length(1, pb::sized(value.len()), out);
            pb::bytes(1, value, out);
        }
    });
}

/// `KeyValue` whose `AnyValue` takes so many bytes.
fn pair(field: u32, name: &[&[u8]], size: usize, out: &mut Vec<u8>, value: impl FnOnce(&mut Vec<u8>)) {
    let length = name.iter().map(|part| part.len()).sum();
    pb::length(field, pb::sized(length) + pb::sized(size), out);
    pb::length(1, length, out);
    for part in name {
        out.extend_from_slice(part);
    }
    pb::length(2, size, out);
    value(out);
}

fn signed(number: u64) -> Option<i64> {
    i64::try_from(number).ok()
}

/// An id of so many bytes out of its hexadecimal form.
fn hex<const BYTES: usize>(text: &[u8]) -> Option<[u8; BYTES]> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.len() == BYTES * 2)?;
    let mut id = [0; BYTES];
    for (index, byte) in id.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(index * 2..index * 2 + 2)?, 16).ok()?;
    }
    Some(id)
}

/// FNV-1a of 64 bits, mixed once more so that ids which differ in their last digit share no beginning; never 0, which is
/// no id.
fn digest(text: &[u8], purpose: &[u8]) -> u64 {
    let fold = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let mut hash = text.iter().chain(purpose).fold(0xcbf2_9ce4_8422_2325, fold);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    (hash ^ (hash >> 33)).max(1)
}
