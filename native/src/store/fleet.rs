//! Rows on their way to a shared database: one Arrow IPC stream of one batch, with two columns more than a row has.
//!
//! Words leave as text, not as dictionaries: batches that were put together have words twice in theirs, which ClickHouse
//! refuses ("Arrow dictionary contains duplicate values"), and compression takes what a dictionary would have saved.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow_cast::cast;
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow_ipc::CompressionType;
use arrow_schema::{DataType, Field, Schema};
use arrow_select::concat::concat_batches;

use super::classes::Classes;
use super::{Error, Result};
use crate::batch::schema;

/// Puts batches together and writes them with `host` (who saw the rows) and `class` (of retention).
pub(crate) fn stream(batches: &[RecordBatch], host: &str, classes: &Classes, names: &[String]) -> Result<Vec<u8>> {
    let rows = match batches {
        [one] => one.clone(),
        many => concat_batches(&schema(), many)?,
    };
    let class = classes.of(&rows)?.into_iter().map(|class| names.get(class).map(String::as_str));
    let class: StringArray = class.collect();
    if class.null_count() > 0 {
        return Err(Error::Form("a class without a name".to_owned()));
    }
    let host = StringArray::from(vec![host; rows.num_rows()]);
    written(&rows, &[("host", Arc::new(host)), ("class", Arc::new(class))])
}

fn written(rows: &RecordBatch, more: &[(&str, ArrayRef)]) -> Result<Vec<u8>> {
    let mut fields = Vec::with_capacity(rows.num_columns() + more.len());
    let mut columns = Vec::with_capacity(fields.capacity());
    for (field, column) in rows.schema().fields().iter().zip(rows.columns()) {
        let field = plain(field);
        columns.push(cast(column, field.data_type())?);
        fields.push(field);
    }
    for (name, column) in more {
        fields.push(Arc::new(Field::new(*name, DataType::Utf8, false)));
        columns.push(Arc::clone(column));
    }
    let whole = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?;
    let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::ZSTD))?;
    let mut stream = Vec::with_capacity(whole.num_rows() * 128);
    let mut writer = StreamWriter::try_new_with_options(&mut stream, &whole.schema(), options)?;
    writer.write(&whole)?;
    writer.finish()?;
    drop(writer);
    Ok(stream)
}

/// The same field without dictionaries, at any depth.
fn plain(field: &Arc<Field>) -> Arc<Field> {
    let kind = match field.data_type() {
        DataType::Dictionary(_, values) => values.as_ref().clone(),
        DataType::List(item) => DataType::List(plain(item)),
        DataType::Struct(members) => DataType::Struct(members.iter().map(plain).collect()),
        other => other.clone(),
    };
    Arc::new(Field::new(field.name(), kind, field.is_nullable()))
}
