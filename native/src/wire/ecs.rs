//! Elasticsearch's bulk (Elasticsearch, "Bulk API") with documents of the Elastic Common Schema 8.

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;

use super::json::Object;
use super::row::{name_of, Row};
use crate::ndjson::columns::{Columns, FieldLists};
use crate::ndjson::members::name_and_version;
use crate::ndjson::names::Names;
use crate::ndjson::time::Clock;
use crate::ndjson::{quote, Headers};

const VERSION: &[u8] = b"8.17.0";

/// Two lines for each row: `create` with the index and the exchange's id, which makes a row that comes twice a conflict, and the
/// document. Without `fields` a document has no lists of fields, and `masthead.cut` says so.
pub(crate) fn bulk(batch: &RecordBatch, index: &str, fields: bool) -> Result<Vec<u8>, ArrowError> {
    let columns = Columns::of(batch)?;
    let mut out = Vec::with_capacity(batch.num_rows() * 2_560);
    let mut documents = Documents { clock: Clock::new(), names: Names::of(&columns, Headers::Object), fields };
    for place in 0..batch.num_rows() {
        let mut action = Object::new(&mut out);
        action.raw(b"{\"create\":{");
        action.text("_index", Some(index.as_bytes()));
        action.text("_id", columns.exchange_id.get(place));
        action.close(b"}}\n");
        documents.write(Row { columns: &columns, place }, &mut out);
    }
    Ok(out)
}

struct Documents<'a> {
    clock: Clock,
    names: Vec<Names<'a>>,
    fields: bool,
}

impl Documents<'_> {
    fn write(&mut self, row: Row, out: &mut Vec<u8>) {
        let (columns, place) = (row.columns, row.place);
        let begin = columns.time.get(place).unwrap_or_default();
        let mut object = Object::new(out);
        object.raw(b"{");
        object.text("@timestamp", Some(self.clock.format(begin)));
        object.object("ecs", |ecs| ecs.text("version", Some(VERSION)));
        object.object("event", |event| self.event(row, event));
        object.object("http", |http| self.http(row, http));
        object.object("url", |url| address(row, url));
        network(row, &mut object);
        ends(row, &mut object);
        origin(row, &mut object);
        object.object("masthead", |own| self.own(row, own));
        object.close(b"}\n");
    }

    fn event(&mut self, row: Row, event: &mut Object) {
        let (columns, place) = (row.columns, row.place);
        event.text("kind", Some(b"event"));
        event.texts("category", [b"network".as_slice(), b"web"].into_iter());
        event.texts("type", [b"access".as_slice()].into_iter());
        event.text("dataset", Some(b"masthead.http"));
        event.text("module", Some(b"masthead"));
        let outcome: &[u8] = match (columns.status.get(place), row.error()) {
            (_, Some(_)) | (Some(400..), _) => b"failure",
            (Some(_), None) => b"success",
            (None, None) => b"unknown",
        };
        event.text("outcome", Some(outcome));
        event.number("duration", columns.duration_ns.get(place));
        event.text("start", Some(self.clock.format(columns.time.get(place).unwrap_or_default())));
        if columns.duration_ns.get(place).is_some() {
            event.text("end", Some(self.clock.format(row.end_ns())));
        }
    }

    fn http(&mut self, row: Row, http: &mut Object) {
        let (columns, place) = (row.columns, row.place);
        http.text("version", columns.protocol.get(place).and_then(|protocol| name_and_version(protocol).1));
        let head = |head: Option<u32>| head.map(u64::from);
        http.object("request", |request| {
            request.text("method", columns.method.get(place));
            request.text("id", row.request_id());
            sizes(request, head(columns.request_head_bytes.get(place)), columns.request_body_bytes.get(place));
            request.text("referrer", Row::first(&columns.request_fields, place, b"referer"));
            self.headers(request, "headers", &columns.request_fields, place);
        });
        http.object("response", |response| {
            response.number("status_code", columns.status.get(place));
            sizes(response, head(columns.response_head_bytes.get(place)), columns.response_body_bytes.get(place));
            response.text("mime_type", Row::first(&columns.response_fields, place, b"content-type"));
            self.headers(response, "headers", &columns.response_fields, place);
        });
    }

    /// What ECS has no name for.
    fn own(&mut self, row: Row, own: &mut Object) {
        let (columns, place) = (row.columns, row.place);
        own.text("exchange_id", columns.exchange_id.get(place));
        own.text("connection_id", columns.connection_id.get(place));
        own.text("role", columns.role.get(place));
        own.text("source", columns.source.get(place));
        own.text("route", columns.route.get(place));
        own.text("route_source", columns.route_source.get(place));
        own.text("authority", columns.authority.get(place));
        own.text("cgroup", columns.cgroup.get(place));
        own.text("fault", columns.fault.get(place));
        own.number("network_namespace", columns.network_namespace.get(place));
        own.number("request_head_bytes", columns.request_head_bytes.get(place));
        own.number("response_head_bytes", columns.response_head_bytes.get(place));
        own.number("ttfb_ns", columns.ttfb_ns.get(place));
        own.number("head_spread_ns", columns.head_spread_ns.get(place));
        own.number("trace_flags", columns.trace_flags.get(place));
        self.headers(own, "request_trailers", &columns.request_trailers, place);
        self.headers(own, "response_trailers", &columns.response_trailers, place);
        self.interim(row, own);
        if !self.fields {
            own.raw(b"\"cut\":true,");
        }
        let quality = &columns.quality;
        let marks = quality.rows.get(place).into_iter().flatten();
        own.texts("quality", marks.filter_map(|mark| quality.words.get(mark)));
        if let Some(weight) = columns.sample_weight.get(place).filter(|weight| (weight - 1.0).abs() > f64::EPSILON) {
            own.raw(format!("\"sample_weight\":{weight},").as_bytes());
        }
    }

    fn interim(&mut self, row: Row, own: &mut Object) {
        let interim = &row.columns.interim;
        let Some(places) = interim.rows.get(row.place).filter(|places| !places.is_empty()) else { return };
        own.raw(b"\"interim\":[");
        for place in places {
            own.raw(b"{");
            own.number("status", interim.statuses.get(place));
            self.headers(own, "headers", &interim.fields, place);
            own.close(b"},");
        }
        own.close(b"],");
    }

    /// Lowercase name to array of values; left out where there are none.
    fn headers(&mut self, object: &mut Object, member: &str, lists: &FieldLists, row: usize) {
        let Some(places) = lists.rows.get(row).filter(|places| self.fields && !places.is_empty()) else { return };
        let Some(names) = self.names.iter_mut().find(|names| names.belong_to(lists)) else { return };
        object.raw(b"\"");
        object.raw(member.as_bytes());
        object.raw(b"\":");
        let plain = quote::is_plain(lists.values.span(places.start, places.end));
        names.object(lists, places, plain, object.out);
        object.raw(b",");
    }
}

/// `bytes` is head and body together, `body.bytes` the body.
fn sizes(object: &mut Object, head: Option<u64>, body: Option<u64>) {
    object.number("bytes", head.zip(body).map(|(head, body)| head.saturating_add(body)));
    object.object("body", |inner| inner.number("bytes", body));
}

fn address(row: Row, url: &mut Object) {
    let (columns, place) = (row.columns, row.place);
    let (host, port) = row.host();
    url.text("original", columns.target.get(place));
    url.text("scheme", columns.scheme.get(place));
    url.text("domain", host);
    url.number("port", port);
    url.text("path", columns.path.get(place));
    url.text("query", columns.query.get(place));
}

fn network(row: Row, object: &mut Object) {
    let (columns, place) = (row.columns, row.place);
    object.object("network", |network| {
        network.text("transport", Some(b"tcp"));
        network.text("protocol", columns.protocol.get(place).map(|protocol| name_and_version(protocol).0));
        let direction: Option<&[u8]> = match columns.role.get(place) {
            Some(b"server") => Some(b"ingress"),
            Some(b"client") => Some(b"egress"),
            _ => None,
        };
        network.text("direction", direction);
    });
    object.object("user_agent", |agent| {
        agent.text("original", Row::first(&columns.request_fields, place, b"user-agent"));
    });
}

fn ends(row: Row, object: &mut Object) {
    let (columns, place) = (row.columns, row.place);
    let client = (columns.client_address.get(place), columns.client_port.get(place));
    let server = (columns.server_address.get(place), columns.server_port.get(place));
    let forwarded = columns.forwarded_client.get(place);
    end(object, "client", forwarded.or(client.0), client.1.filter(|_| forwarded.is_none()));
    end(object, "source", client.0, client.1);
    end(object, "server", server.0, server.1);
    end(object, "destination", server.0, server.1);
}

/// `ip` only takes addresses, and a forwarded client may be named otherwise.
fn end(object: &mut Object, name: &str, address: Option<&[u8]>, port: Option<u16>) {
    object.object(name, |end| {
        end.text("address", address);
        let is_ip =
            |address: &&[u8]| std::str::from_utf8(address).is_ok_and(|text| text.parse::<std::net::IpAddr>().is_ok());
        end.text("ip", address.filter(is_ip));
        end.number("port", port);
    });
}

fn origin(row: Row, object: &mut Object) {
    let (columns, place) = (row.columns, row.place);
    let executable = columns.process_executable.get(place);
    object.object("process", |process| {
        process.number("pid", columns.process_pid.get(place));
        process.text("executable", executable);
        process.text("name", executable.map(name_of));
    });
    object.object("container", |container| container.text("id", columns.container_id.get(place)));
    object.object("trace", |trace| trace.text("id", columns.trace_id.get(place)));
    object.object("span", |span| span.text("id", columns.parent_id.get(place)));
    let failure = row.error().map(|failure| failure.text());
    object.object("error", |error| error.text("type", failure.as_ref().map(String::as_bytes)));
}
