//! Many small parts into one.
//!
//! Row groups that are large enough are taken over byte by byte, which costs next to nothing. Small ones are read,
//! put in order and written anew, since a row group of a hundred rows is mostly dictionaries and footers.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::ArrowSchemaConverter;
use parquet::bloom_filter::Sbbf;
use parquet::column::writer::ColumnCloseResult;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;

use super::conform::conform;
use super::pack::remove;
use super::part::{self, Writer, Written};
use super::sorted;
use super::{Error, Result};
use crate::batch::schema;

/// Row groups of this many rows are kept as they are.
const LARGE: i64 = 16_384;

/// Rows that are put in order together: some twenty megabytes. Parts follow each other in time, so more would gain
/// nothing. Where rows are large, fewer: senders choose how large they are.
const SORTED_ROWS: usize = 32_768;
const SORTED_BYTES: usize = 32 << 20;
/// Rows that are read at once.
const READ_ROWS: usize = 512;

struct Input {
    path: PathBuf,
    file: File,
    metadata: ParquetMetaData,
}

impl Input {
    fn open(path: &Path) -> Result<Input> {
        let file = File::open(path).map_err(Error::io(path))?;
        let metadata = ParquetMetaDataReader::new().parse_and_finish(&file).map_err(Error::parquet(path))?;
        Ok(Input { path: path.to_owned(), file, metadata })
    }

    fn rows(&self) -> i64 {
        self.metadata.file_metadata().num_rows()
    }
}

/// Writes all rows of `parts` to `target`, durable and complete. After an error it is gone.
pub(crate) fn merge(parts: &[PathBuf], target: &Path, version: u32) -> Result<Written> {
    let merged = merge_into(parts, target, version);
    if merged.is_err() {
        remove(target);
    }
    merged
}

fn merge_into(parts: &[PathBuf], target: &Path, version: u32) -> Result<Written> {
    let inputs = parts.iter().map(|path| Input::open(path)).collect::<Result<Vec<_>>>()?;
    let groups: usize = inputs.iter().map(|input| input.metadata.num_row_groups()).sum();
    let rows: i64 = inputs.iter().map(Input::rows).sum();
    let schemas = || inputs.iter().map(|input| input.metadata.file_metadata().schema());
    // Row groups can't gain columns: those of an older version are written anew, once.
    let today = ArrowSchemaConverter::new().convert(&schema()).map_err(Error::parquet(target))?;
    let same = schemas().all(|one| one == today.root_schema());
    if same && rows >= LARGE.saturating_mul(i64::try_from(groups).unwrap_or(i64::MAX)) {
        splice(&inputs, target)
    } else {
        rewrite(&inputs, target, version)
    }
}

/// Takes row groups over as they are.
fn splice(inputs: &[Input], target: &Path) -> Result<Written> {
    let first = inputs.first().ok_or_else(|| Error::Form("nothing to merge".to_owned()))?;
    let about = first.metadata.file_metadata();
    let properties = WriterProperties::builder()
        .set_created_by(about.created_by().unwrap_or_default().to_owned())
        .set_key_value_metadata(about.key_value_metadata().cloned());
    let file = part::create(target).map_err(Error::io(target))?;
    let root = about.schema_descr().root_schema_ptr();
    let mut writer =
        SerializedFileWriter::new(&file, root, Arc::new(properties.build())).map_err(Error::parquet(target))?;
    for input in inputs {
        for group in input.metadata.row_groups() {
            take_over(&mut writer, input, group)?;
        }
    }
    writer.close().map_err(Error::parquet(target))?;
    file.sync_all().map_err(Error::io(target))?;
    let rows = inputs.iter().map(Input::rows).sum::<i64>().unsigned_abs();
    let bytes = file.metadata().map_err(Error::io(target))?.len();
    Ok(Written { path: target.to_owned(), rows, bytes, crc: part::checksum(target)?, times: None })
}

fn take_over(writer: &mut SerializedFileWriter<&File>, input: &Input, group: &RowGroupMetaData) -> Result<()> {
    let failed = Error::parquet(&input.path);
    let mut out = writer.next_row_group().map_err(&failed)?;
    for column in group.columns() {
        let result = ColumnCloseResult {
            bytes_written: column.compressed_size().unsigned_abs(),
            rows_written: group.num_rows().unsigned_abs(),
            metadata: column.clone(),
            bloom_filter: Sbbf::read_from_column_chunk(column, &input.file).map_err(&failed)?,
            column_index: None,
            offset_index: None,
        };
        out.append_column(&input.file, result).map_err(&failed)?;
    }
    out.close().map_err(&failed)?;
    Ok(())
}

/// Reads and writes all rows.
fn rewrite(inputs: &[Input], target: &Path, version: u32) -> Result<Written> {
    let schema = schema();
    let mut writer = Writer::create(target, &schema, version)?;
    let mut batches: Vec<RecordBatch> = Vec::new();
    let (mut rows, mut bytes) = (0, 0);
    for input in inputs {
        let file = input.file.try_clone().map_err(Error::io(&input.path))?;
        let reader = ParquetRecordBatchReaderBuilder::try_new(file)
            .and_then(|builder| builder.with_batch_size(READ_ROWS).build());
        for batch in reader.map_err(Error::parquet(&input.path))? {
            let batch = batch.map_err(|error| Error::Damaged(input.path.clone(), error.to_string()))?;
            let batch = conform(&batch, &schema)?;
            rows += batch.num_rows();
            bytes += batch.get_array_memory_size();
            batches.push(batch);
            if rows >= SORTED_ROWS || bytes >= SORTED_BYTES {
                (rows, bytes) = (0, 0);
                write(&std::mem::take(&mut batches), &mut writer)?;
            }
        }
    }
    write(&batches, &mut writer)?;
    writer.finish()
}

fn write(batches: &[RecordBatch], writer: &mut Writer) -> Result<()> {
    let rows =
        batches.iter().enumerate().flat_map(|(number, batch)| (0..batch.num_rows()).map(move |row| (number, row)));
    sorted::write(batches, rows.collect(), |batch| writer.write(batch))
}
