//! Loki's push (Loki HTTP API, "Ingest logs"): streams by their labels, in each line the row as NDJSON has it, and
//! structured metadata, bounded by Loki's limits (`max_structured_metadata_size`, `max_structured_metadata_entries_count`,
//! `max_line_size`, which counts line and metadata together).

use std::collections::HashSet;

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;

use super::folded::Folded;
use super::json::Object;
use super::row::{name_of, Row};
use crate::ndjson::columns::{Columns, FieldLists};
use crate::ndjson::members::Writer;
use crate::ndjson::{quote, Headers};

const MOST_ENTRIES: usize = 128;
const MOST_BYTES: usize = 64 * 1024;
const MOST_LINE_BYTES: usize = 256 * 1024 - MOST_BYTES;
/// The directions of calls, and how many entries a stream has at most.
const ROLES: [Option<&[u8]>; 3] = [Some(b"server"), Some(b"client"), None];

/// What Loki's limits left no room for.
#[derive(Default)]
pub(crate) struct Cut {
    /// Entries of metadata; what they say is in the line.
    pub(crate) entries: u64,
    /// Rows whose lines are without their lists of fields.
    pub(crate) rows: u64,
}

/// A body for `POST /loki/api/v1/push`, and what was left out. A line that would be too long has none of its lists of
/// fields, and an entry `masthead_cut` that says so.
pub(crate) fn push(
    batch: &RecordBatch,
    labels: &[(String, String)],
    headers: Headers,
) -> Result<(Vec<u8>, Cut), ArrowError> {
    let columns = Columns::of(batch)?;
    let mut line = Vec::with_capacity(4_096);
    let mut streams: [Vec<u8>; 3] = Default::default();
    let mut cut = Cut::default();
    // The writer keeps the names of fields ready, so it writes all lines one behind the other, and each is taken out.
    let mut ends = Vec::with_capacity(batch.num_rows());
    let mut writer = Writer::new(&columns, headers, &mut line);
    for place in 0..batch.num_rows() {
        let before = writer.written();
        writer.line(place);
        let long = writer.written() - before > MOST_LINE_BYTES;
        if long {
            writer.take_back(before);
            writer.line_without_fields(place);
            cut.rows += 1;
        }
        ends.push((writer.written(), long));
    }
    let mut begin = 0;
    let mut folded = Folded::of(&columns);
    for (place, (end, long)) in ends.into_iter().enumerate() {
        let row = Row { columns: &columns, place };
        let role = columns.role.get(place);
        let stream = &mut streams[ROLES.iter().position(|own| *own == role).unwrap_or(2)];
        let text = line.get(begin..end.saturating_sub(1)).unwrap_or_default();
        begin = end;
        stream.extend_from_slice(b"[\"");
        stream.extend_from_slice(columns.time.get(place).unwrap_or_default().to_string().as_bytes());
        stream.extend_from_slice(b"\",\"");
        quote::push(text, stream);
        stream.extend_from_slice(b"\",{");
        cut.entries += metadata(row, long, &mut folded, stream);
        stream.extend_from_slice(b"}],");
    }
    Ok((put_together(labels, streams), cut))
}

fn put_together(labels: &[(String, String)], streams: [Vec<u8>; 3]) -> Vec<u8> {
    let mut out = Vec::with_capacity(streams.iter().map(Vec::len).sum::<usize>() + 1_024);
    out.extend_from_slice(b"{\"streams\":[");
    for (role, mut values) in ROLES.iter().zip(streams) {
        if values.pop().is_none() {
            continue;
        }
        let mut object = Object::new(&mut out);
        object.raw(b"{\"stream\":{");
        for (name, value) in labels {
            object.text(name, Some(value.as_bytes()));
        }
        object.text("direction", *role);
        object.close(b"},\"values\":[");
        object.raw(&values);
        object.raw(b"]},");
    }
    Object::new(&mut out).close(b"]}");
    out
}

/// What lines are looked for by, from the most useful on; gives how many entries there was no room for.
fn metadata(row: Row, long: bool, folded: &mut Folded, out: &mut Vec<u8>) -> u64 {
    let (columns, place) = (row.columns, row.place);
    let mut entries = Entries { out, count: 0, bytes: 0, cut: 0, names: HashSet::new() };
    entries.put(b"masthead_cut", long.then_some(b"fields"));
    let status = columns.status.get(place).map(|status| status.to_string());
    entries.put(b"http_request_method", columns.method.get(place));
    entries.put(b"http_response_status_code", status.as_ref().map(String::as_bytes));
    entries.put(b"http_route", columns.route.get(place));
    entries.put(b"trace_id", columns.trace_id.get(place));
    entries.put(b"request_id", row.request_id());
    let peer = if row.is_client() { &columns.server_address } else { &columns.client_address };
    entries.put(b"peer", peer.get(place));
    entries.put(b"process", columns.process_executable.get(place).map(name_of));
    let quality = &columns.quality;
    let marks = quality.rows.get(place).into_iter().flatten().filter_map(|mark| quality.words.get(mark));
    let marks = marks.collect::<Vec<_>>().join(&b' ');
    entries.put(b"quality", Some(&marks[..]).filter(|marks| !marks.is_empty()));
    entries.headers(b"request_header_", folded, &columns.request_fields, place);
    entries.headers(b"response_header_", folded, &columns.response_fields, place);
    let cut = entries.cut;
    Object::new(out).close(b"");
    cut
}

struct Entries<'o> {
    out: &'o mut Vec<u8>,
    count: usize,
    bytes: usize,
    cut: u64,
    /// Names that are there already.
    names: HashSet<Vec<u8>>,
}

impl Entries<'_> {
    fn put(&mut self, name: &[u8], value: Option<&[u8]>) {
        let Some(value) = value else { return };
        if self.count >= MOST_ENTRIES || self.bytes + name.len() + value.len() > MOST_BYTES {
            self.cut += 1;
            return;
        }
        self.count += 1;
        self.bytes += name.len() + value.len();
        self.out.push(b'"');
        self.out.extend_from_slice(name);
        self.out.extend_from_slice(b"\":\"");
        quote::push(value, self.out);
        self.out.extend_from_slice(b"\",");
    }

    /// Each name once; several values are put together as RFC 9110, section 5.3, has it. Of names that are one here and
    /// two on the wire (`X-A` and `X_A`) the first counts.
    fn headers(&mut self, prefix: &[u8], folded: &mut Folded, lists: &FieldLists, row: usize) {
        folded.each(lists, row, |name, places| {
            let name = label(prefix, name);
            if self.count >= MOST_ENTRIES || self.names.contains(&name) {
                self.cut += 1;
                return;
            }
            let value = |place: &usize| lists.values.get(*place).unwrap_or_default();
            match places {
                [one] => self.put(&name, Some(value(one))),
                many => self.put(&name, Some(&many.iter().map(value).collect::<Vec<_>>().join(&b", "[..]))),
            }
            self.names.insert(name);
        });
    }
}

/// Letters, digits and `_`, in lower case.
fn label(prefix: &[u8], name: &[u8]) -> Vec<u8> {
    let plain = |byte: &u8| if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'_' };
    prefix.iter().copied().chain(name.iter().map(plain)).collect()
}
