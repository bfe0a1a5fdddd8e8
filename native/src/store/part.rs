//! Parts: how columns lie in a Parquet file.
//!
//! zstd at its lowest level: higher ones save little on dictionary pages and cost much. Statistics and dictionaries are
//! kept where a query profits: a field's value is never looked up by range, so its list has none. Times and durations
//! are differences, ids share their beginnings, and both encodings are read by DuckDB, ClickHouse, polars and pyarrow.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::types::TimestampNanosecondType;
use arrow_array::{Array, PrimitiveArray, RecordBatch};
use arrow_schema::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::{Error, Result};

/// Rows of a row group: enough for long runs in the dictionaries, few enough to be built in some ten megabytes.
const GROUP_ROWS: usize = 131_072;

/// Pages end only with their bytes; the crate's limit of 20,000 rows would make seven of them for a page's worth.
const PAGE_ROWS: usize = 1 << 20;

/// Columns whose least and greatest value are kept for each row group, so that a query can leave the group out.
const WITH_STATISTICS: [&str; 12] = [
    "time",
    "role",
    "method",
    "path",
    "route",
    "authority",
    "status",
    "client_address",
    "server_port",
    "ttfb_ns",
    "duration_ns",
    "sample_weight",
];

/// Columns that one value is looked for in: a filter tells most row groups that they don't hold it.
const WITH_FILTER: [&str; 2] = ["exchange_id", "trace_id"];

/// The key of the file's own metadata under which the version of its schema stands.
const SCHEMA_KEY: &str = "masthead.schema";

fn properties(version: u32) -> WriterProperties {
    let column = |name: &str| ColumnPath::from(name);
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("masthead ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(vec![KeyValue::new(SCHEMA_KEY.to_owned(), version.to_string())]))
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_bloom_filter_enabled(false);
    for name in WITH_STATISTICS {
        builder = builder.set_column_statistics_enabled(column(name), EnabledStatistics::Chunk);
    }
    for name in WITH_FILTER {
        builder = builder.set_column_bloom_filter_enabled(column(name), true);
    }
    for name in ["time", "ttfb_ns", "duration_ns"] {
        builder = builder
            .set_column_dictionary_enabled(column(name), false)
            .set_column_encoding(column(name), Encoding::DELTA_BINARY_PACKED);
    }
    builder
        .set_column_dictionary_enabled(column("exchange_id"), false)
        .set_column_encoding(column("exchange_id"), Encoding::DELTA_BYTE_ARRAY)
        .build()
}

/// A part that is being written.
pub(crate) struct Writer {
    path: PathBuf,
    writer: ArrowWriter<File>,
    pub(crate) rows: u64,
    pub(crate) times: Option<(i64, i64)>,
}

/// A file that is nobody else's to read.
pub(crate) fn create(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o640).open(path)
}

impl Writer {
    pub(crate) fn create(path: &Path, schema: &SchemaRef, version: u32) -> Result<Writer> {
        let file = create(path).map_err(Error::io(path))?;
        let writer = ArrowWriter::try_new(file, Arc::clone(schema), Some(properties(version)));
        let writer = writer.map_err(Error::parquet(path))?;
        Ok(Writer { path: path.to_owned(), writer, rows: 0, times: None })
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.writer.write(batch).map_err(Error::parquet(&self.path))?;
        self.rows += batch.num_rows() as u64;
        if let Some(times) = times(batch) {
            let (low, high) = self.times.unwrap_or(times);
            self.times = Some((low.min(times.0), high.max(times.1)));
        }
        Ok(())
    }

    /// Ends the file and makes it durable.
    pub(crate) fn finish(self) -> Result<Written> {
        let Writer { path, writer, rows, times } = self;
        let file = writer.into_inner().map_err(Error::parquet(&path))?;
        file.sync_all().map_err(Error::io(&path))?;
        let bytes = file.metadata().map_err(Error::io(&path))?.len();
        drop(file);
        let crc = checksum(&path)?;
        Ok(Written { path, rows, bytes, crc, times })
    }
}

/// A part that was written.
pub(crate) struct Written {
    pub(crate) path: PathBuf,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) crc: u32,
    /// First and last of `time`, nanoseconds.
    pub(crate) times: Option<(i64, i64)>,
}

fn times(batch: &RecordBatch) -> Option<(i64, i64)> {
    let column = batch.column_by_name("time")?.as_any().downcast_ref::<PrimitiveArray<TimestampNanosecondType>>()?;
    let known = || column.iter().flatten();
    Some((known().min()?, known().max()?))
}

/// CRC-32 of a whole file: Parquet's pages carry none that every reader checks.
pub(crate) fn checksum(path: &Path) -> Result<u32> {
    let mut file = File::open(path).map_err(Error::io(path))?;
    let mut crc = crc32fast::Hasher::new();
    let mut bytes = vec![0; 1 << 18];
    loop {
        match std::io::Read::read(&mut file, &mut bytes).map_err(Error::io(path))? {
            0 => return Ok(crc.finalize()),
            read => crc.update(&bytes[..read]),
        }
    }
}
