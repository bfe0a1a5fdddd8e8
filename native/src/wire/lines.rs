//! NDJSON whose lines are sent one by one, each with a key.

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;

use crate::ndjson::columns::Columns;
use crate::ndjson::members::Writer;
use crate::ndjson::Headers;

/// The lines, where each ends (without its line break), and the connection that each row belongs to.
pub(crate) struct Lines {
    pub(crate) text: Vec<u8>,
    pub(crate) ends: Vec<usize>,
    pub(crate) keys: Vec<Option<Vec<u8>>>,
}

pub(crate) fn lines(batch: &RecordBatch, headers: Headers) -> Result<Lines, ArrowError> {
    let columns = Columns::of(batch)?;
    let mut text = Vec::with_capacity(batch.num_rows() * 2_048);
    let mut writer = Writer::new(&columns, headers, &mut text);
    let mut ends = Vec::with_capacity(batch.num_rows());
    for place in 0..batch.num_rows() {
        writer.line(place);
        ends.push(writer.written().saturating_sub(1));
    }
    let keys = (0..batch.num_rows()).map(|place| columns.connection_id.get(place).map(<[u8]>::to_vec)).collect();
    Ok(Lines { text, ends, keys })
}
