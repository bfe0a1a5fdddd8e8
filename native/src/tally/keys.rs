//! The keys of groups: each row's columns, derived words and header fields as numbers of words, once per batch.

use std::hash::Hash;

use hashbrown::HashMap;

use super::derived::{self, Derived};
use super::headers::{Headers, Place, Side};
use super::words::{Id, Words, NULL};
use crate::ndjson::columns::{Columns, FieldLists, Texts, Words as Dictionary};

/// Where a key's word comes from.
#[derive(Clone, Copy)]
enum Origin {
    Dictionary(for<'a, 'b> fn(&'b Columns<'a>) -> &'b Dictionary<'a>),
    Text(for<'a, 'b> fn(&'b Columns<'a>) -> &'b Texts<'a>),
    Number(fn(&Columns, usize) -> Option<u64>),
    Header(Side),
    /// Whether the field is there.
    Presence(Side),
    Derived(Derived),
}

pub(super) struct Key {
    name: String,
    from: Origin,
    /// The number of the header field.
    header: usize,
}

impl Key {
    /// The key of a name.
    pub(super) fn named(name: &str) -> Result<Key, String> {
        let key = |from| Ok(Key { name: name.to_ascii_lowercase(), from, header: 0 });
        if let Some((side, field)) = header(name) {
            let present = field.strip_suffix('?');
            if present.unwrap_or(field).is_empty() {
                return Err(format!("{name} names no header field"));
            }
            return key(if present.is_some() { Origin::Presence(side) } else { Origin::Header(side) });
        }
        let from = column(name).or_else(|| Derived::named(name).map(Origin::Derived));
        from.map_or_else(|| Err(format!("{name} is no key")), key)
    }

    /// The name of its header field.
    fn field(&self) -> &str {
        header(&self.name).map_or("", |(_, field)| field.strip_suffix('?').unwrap_or(field))
    }
}

/// Side and name of `request.header.NAME` and `response.header.NAME`.
pub(super) fn header(name: &str) -> Option<(Side, &str)> {
    let request = name.strip_prefix("request.header.").map(|field| (Side::Request, field));
    request.or_else(|| name.strip_prefix("response.header.").map(|field| (Side::Response, field)))
}

fn column(name: &str) -> Option<Origin> {
    Some(match name {
        "exchange_id" => Origin::Text(|columns| &columns.exchange_id),
        "connection_id" => Origin::Dictionary(|columns| &columns.connection_id),
        "role" => Origin::Dictionary(|columns| &columns.role),
        "source" => Origin::Dictionary(|columns| &columns.source),
        "protocol" => Origin::Dictionary(|columns| &columns.protocol),
        "scheme" => Origin::Dictionary(|columns| &columns.scheme),
        "method" => Origin::Dictionary(|columns| &columns.method),
        "target" => Origin::Text(|columns| &columns.target),
        "path" => Origin::Text(|columns| &columns.path),
        "query" => Origin::Text(|columns| &columns.query),
        "route" => Origin::Dictionary(|columns| &columns.route),
        "route_source" => Origin::Dictionary(|columns| &columns.route_source),
        "authority" => Origin::Text(|columns| &columns.authority),
        "status" => Origin::Number(|columns, row| columns.status.get(row).map(u64::from)),
        "grpc_status" => Origin::Number(|columns, row| columns.grpc_status.get(row).map(u64::from)),
        "tls_version" => Origin::Dictionary(|columns| &columns.tls_version),
        "tls_library" => Origin::Dictionary(|columns| &columns.tls_library),
        "client_address" => Origin::Dictionary(|columns| &columns.client_address),
        "client_port" => Origin::Number(|columns, row| columns.client_port.get(row).map(u64::from)),
        "server_address" => Origin::Dictionary(|columns| &columns.server_address),
        "server_port" => Origin::Number(|columns, row| columns.server_port.get(row).map(u64::from)),
        "network_namespace" => Origin::Number(|columns, row| columns.network_namespace.get(row)),
        "forwarded_client" => Origin::Text(|columns| &columns.forwarded_client),
        "trace_id" => Origin::Text(|columns| &columns.trace_id),
        "parent_id" => Origin::Text(|columns| &columns.parent_id),
        "trace_flags" => Origin::Number(|columns, row| columns.trace_flags.get(row).map(u64::from)),
        "process_pid" => Origin::Number(|columns, row| columns.process_pid.get(row).map(u64::from)),
        "process_executable" => Origin::Dictionary(|columns| &columns.process_executable),
        "cgroup" => Origin::Dictionary(|columns| &columns.cgroup),
        "container_id" => Origin::Dictionary(|columns| &columns.container_id),
        "fault" => Origin::Text(|columns| &columns.fault),
        _ => return None,
    })
}

/// All keys of all tables.
#[derive(Default)]
pub(super) struct Keys {
    keys: Vec<Key>,
    ids: Vec<Vec<Id>>,
    pub(super) request: Headers,
    pub(super) response: Headers,
}

impl Keys {
    /// The place of a key.
    pub(super) fn add(&mut self, mut key: Key) -> usize {
        if let Some(place) = self.keys.iter().position(|known| known.name == key.name) {
            return place;
        }
        if let Origin::Header(side) | Origin::Presence(side) = key.from {
            key.header = self.headers(side).add(key.field());
        }
        self.keys.push(key);
        self.ids.push(Vec::new());
        self.keys.len() - 1
    }

    pub(super) fn headers(&mut self, side: Side) -> &mut Headers {
        match side {
            Side::Request => &mut self.request,
            Side::Response => &mut self.response,
        }
    }

    /// The words of one key, by row.
    pub(super) fn ids(&self, key: usize) -> &[Id] {
        self.ids.get(key).map_or(&[], Vec::as_slice)
    }

    /// Works out the words of all keys.
    pub(super) fn fill(&mut self, columns: &Columns, rows: usize, words: &mut Words) {
        self.request.fill(&columns.request_fields, rows);
        self.response.fill(&columns.response_fields, rows);
        for (key, ids) in self.keys.iter().zip(&mut self.ids) {
            ids.clear();
            ids.reserve(rows);
            match key.from {
                Origin::Dictionary(of) => dictionary(of(columns), rows, words, ids),
                Origin::Text(of) => {
                    let column = of(columns);
                    texts(rows, |row| column.get(row), words, ids);
                }
                Origin::Number(of) => memoized(
                    rows,
                    |row| of(columns, row),
                    |number| words.id(itoa::Buffer::new().format(*number).as_bytes()),
                    ids,
                ),
                Origin::Header(side) => {
                    let (headers, fields) = of_side(side, &self.request, &self.response, columns);
                    let text = |row| match headers.place(key.header, row) {
                        Place::At(place) => Some(fields.values.bytes(place)),
                        _ => None,
                    };
                    texts(rows, text, words, ids);
                }
                Origin::Presence(side) => {
                    let (headers, _) = of_side(side, &self.request, &self.response, columns);
                    let (no, yes) = (words.id(b"0"), words.id(b"1"));
                    ids.extend((0..rows).map(|row| match headers.place(key.header, row) {
                        Place::Unknown => NULL,
                        Place::Absent => no,
                        Place::At(_) => yes,
                    }));
                }
                Origin::Derived(derived) => derived::fill(derived, columns, rows, words, ids),
            }
        }
    }
}

/// The fields of a side, and where the wanted ones stand.
pub(super) fn of_side<'a, 'b>(
    side: Side,
    request: &'b Headers,
    response: &'b Headers,
    columns: &'b Columns<'a>,
) -> (&'b Headers, &'b FieldLists<'a>) {
    match side {
        Side::Request => (request, &columns.request_fields),
        Side::Response => (response, &columns.response_fields),
    }
}

/// Each word of the dictionary is looked up once, when the first row has it.
fn dictionary(column: &Dictionary, rows: usize, words: &mut Words, ids: &mut Vec<Id>) {
    const NEW: Id = Id::MAX;
    let mut known = vec![NEW; column.words.len()];
    ids.extend((0..rows).map(|row| match column.get(row) {
        None => NULL,
        Some(word) => match known.get_mut(column.key(row)) {
            Some(id) => {
                if *id == NEW {
                    *id = words.id(word);
                }
                *id
            }
            None => NULL,
        },
    }));
}

/// Calls come in runs, so the row before is compared first.
pub(super) fn texts<'a>(rows: usize, text: impl Fn(usize) -> Option<&'a [u8]>, words: &mut Words, ids: &mut Vec<Id>) {
    let (mut last, mut id) = (None, NULL);
    ids.extend((0..rows).map(|row| {
        let here = text(row);
        if here != last {
            id = here.map_or(NULL, |here| words.id(here));
            last = here;
        }
        id
    }));
}

/// The words of values of which few are different.
pub(super) fn memoized<T: Copy + Eq + Hash>(
    rows: usize,
    value: impl Fn(usize) -> Option<T>,
    mut word: impl FnMut(&T) -> Id,
    ids: &mut Vec<Id>,
) {
    let mut known: HashMap<T, Id> = HashMap::new();
    let (mut last, mut id) = (None, NULL);
    ids.extend((0..rows).map(|row| {
        let here = value(row);
        if here != last {
            id = here.map_or(NULL, |here| *known.entry(here).or_insert_with_key(&mut word));
            last = here;
        }
        id
    }));
}
