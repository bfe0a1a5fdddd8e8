//! Rows of several batches in the order of their time.

use arrow_array::types::TimestampNanosecondType;
use arrow_array::{Array, PrimitiveArray, RecordBatch};
use arrow_select::interleave::interleave_record_batch;

use super::{Error, Result};

/// Rows written at once.
const AT_ONCE: usize = 8_192;

/// A row: its batch and its place there.
pub(super) type Row = (usize, usize);

/// Gives `rows` of `batches`, by time, to `write`; rows of one time stay in their order. Batches that are whole and in
/// order already are given as they are, without a copy.
pub(super) fn write(
    batches: &[RecordBatch],
    mut rows: Vec<Row>,
    mut write: impl FnMut(&RecordBatch) -> Result<()>,
) -> Result<()> {
    let times = batches.iter().map(times).collect::<Result<Vec<_>>>()?;
    let time = |&(batch, row): &Row| times.get(batch).and_then(|times| times.get(row)).copied().unwrap_or_default();
    let all = rows.len() == batches.iter().map(RecordBatch::num_rows).sum::<usize>();
    if all && rows.is_sorted_by_key(time) {
        return batches.iter().try_for_each(write);
    }
    rows.sort_by_key(time);
    let batches: Vec<&RecordBatch> = batches.iter().collect();
    for some in rows.chunks(AT_ONCE) {
        write(&interleave_record_batch(&batches, some)?)?;
    }
    Ok(())
}

fn times(batch: &RecordBatch) -> Result<&[i64]> {
    let column = batch.column_by_name("time").and_then(|column| {
        column.as_any().downcast_ref::<PrimitiveArray<TimestampNanosecondType>>().map(|times| &times.values()[..])
    });
    column.ok_or_else(|| Error::Form("rows without a column `time`".to_owned()))
}
