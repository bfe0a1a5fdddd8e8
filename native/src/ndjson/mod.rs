//! Batches as NDJSON: one object a line, OpenTelemetry names nested at the dots, null left out.

pub(crate) mod columns;
pub(crate) mod members;
pub(crate) mod names;
pub(crate) mod quote;
pub(crate) mod rpc;
pub(crate) mod time;

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;

use columns::Columns;
use members::Writer;

/// How field lists look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Headers {
    /// `{"name": ["value", ...]}`, names in lower case.
    Object,
    /// `[["Name", "value"], ...]`: order, case and duplicates as sent.
    Pairs,
}

impl Headers {
    pub(crate) fn named(name: &str) -> Option<Headers> {
        match name {
            "object" => Some(Headers::Object),
            "pairs" => Some(Headers::Pairs),
            _ => None,
        }
    }
}

/// Appends one line for each row of a batch made by `batch::Rows`.
pub(crate) fn write(batch: &RecordBatch, headers: Headers, out: &mut Vec<u8>) -> Result<(), ArrowError> {
    let columns = Columns::of(batch)?;
    let mut writer = Writer::new(&columns, headers, out);
    for row in 0..batch.num_rows() {
        writer.line(row);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
