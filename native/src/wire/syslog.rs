//! Syslog messages (RFC 5424, section 6), the row as NDJSON has it in MSG.

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;

use super::row::{Row, Severity};
use crate::ndjson::columns::Columns;
use crate::ndjson::members::Writer;
use crate::ndjson::time::Clock;
use crate::ndjson::Headers;

/// How messages are told apart on a stream.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Each behind its length (RFC 5425, section 4.3; RFC 6587, section 3.4.1).
    Octet,
    /// Each before a line break (RFC 6587, section 3.4.2).
    Newline,
    /// Each is a datagram (RFC 5426).
    None,
}

impl Framing {
    pub(crate) fn named(name: &str) -> Option<Framing> {
        match name {
            "octet" => Some(Framing::Octet),
            "newline" => Some(Framing::Newline),
            "none" => Some(Framing::None),
            _ => None,
        }
    }
}

/// RFC 5424, section 6.2.1: severities.
const ERROR: u8 = 3;
const WARNING: u8 = 4;
const INFORMATIONAL: u8 = 6;
/// RFC 5424, section 6.2.3.1: no more than microseconds.
const MICROSECONDS: usize = "2026-11-24T03:00:00.000000".len();

/// One message for each row, and where each ends.
pub(crate) fn messages(
    batch: &RecordBatch,
    facility: u8,
    host: &str,
    app: &str,
    framing: Framing,
) -> Result<(Vec<u8>, Vec<usize>), ArrowError> {
    let columns = Columns::of(batch)?;
    let mut lines = Vec::with_capacity(batch.num_rows() * 2_048);
    let mut writer = Writer::new(&columns, Headers::Object, &mut lines);
    let mut line_ends = Vec::with_capacity(batch.num_rows());
    for place in 0..batch.num_rows() {
        writer.line(place);
        line_ends.push(writer.written());
    }
    let mut out = Vec::with_capacity(lines.len() + batch.num_rows() * 128);
    let mut clock = Clock::new();
    let (mut begin, mut ends, mut head) = (0, Vec::with_capacity(batch.num_rows()), Vec::new());
    for (place, end) in line_ends.into_iter().enumerate() {
        let text = lines.get(begin..end.saturating_sub(1)).unwrap_or_default();
        begin = end;
        head.clear();
        header(Row { columns: &columns, place }, facility, host, app, &mut clock, &mut head);
        if framing == Framing::Octet {
            out.extend_from_slice((head.len() + text.len()).to_string().as_bytes());
            out.push(b' ');
        }
        out.extend_from_slice(&head);
        out.extend_from_slice(text);
        if framing == Framing::Newline {
            out.push(b'\n');
        }
        ends.push(out.len());
    }
    Ok((out, ends))
}

/// `<PRI>1 TIMESTAMP HOSTNAME APP-NAME PROCID MSGID -` and a blank.
fn header(row: Row, facility: u8, host: &str, app: &str, clock: &mut Clock, out: &mut Vec<u8>) {
    let severity = match row.severity() {
        Severity::Error => ERROR,
        Severity::Warning => WARNING,
        Severity::Info => INFORMATIONAL,
    };
    let priority = u16::from(facility) * 8 + u16::from(severity);
    out.extend_from_slice(format!("<{priority}>1 ").as_bytes());
    let time = clock.format(row.columns.time.get(row.place).unwrap_or_default());
    out.extend_from_slice(time.get(..MICROSECONDS).unwrap_or_default());
    out.extend_from_slice(b"Z ");
    out.extend_from_slice(if host.is_empty() { b"-" } else { host.as_bytes() });
    out.push(b' ');
    out.extend_from_slice(app.as_bytes());
    match row.columns.process_pid.get(row.place) {
        Some(pid) => out.extend_from_slice(format!(" {pid} exchange - ").as_bytes()),
        None => out.extend_from_slice(b" - exchange - "),
    }
}
