//! `masthead._native.Tail`, `StreamFile`, `Conformed` and `write_parquet`: rows as Arrow streams, in and out of files.

use std::collections::VecDeque;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::ffi_stream::RecordBatchStreamReader;
use arrow_array::{RecordBatch, RecordBatchReader};
use arrow_ipc::reader::StreamReader;
use arrow_schema::{ArrowError, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use super::arrow::{arrow_error, read_stream, schema_capsule, stream_capsule};
use super::batch::Batch;
use crate::batch::schema;
use crate::store::conform::conform;
use crate::store::journal::Frames;
use crate::store::{part, Error};

/// The rows of journals, as they were when this was made.
#[pyclass(frozen, module = "masthead._native")]
pub(crate) struct Tail {
    files: Vec<(PathBuf, File, u64)>,
}

#[pymethods]
impl Tail {
    #[new]
    fn new(paths: Vec<PathBuf>) -> PyResult<Tail> {
        let mut files = Vec::new();
        for path in paths {
            let file = File::open(&path).map_err(Error::io(&path))?;
            let end = file.metadata().map_err(Error::io(&path))?.len();
            files.push((path, file, end));
        }
        Ok(Tail { files })
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        let _ = &self.files;
        schema_capsule(py, &schema())
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        drop(requested_schema);
        let mut journals = VecDeque::new();
        for (path, file, end) in &self.files {
            let file = file.try_clone().map_err(Error::io(path))?;
            journals.push_back(Frames::of(file, path, *end)?);
        }
        stream_capsule(py, TailReader { journals })
    }
}

struct TailReader {
    journals: VecDeque<Frames>,
}

impl Iterator for TailReader {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(frames) = self.journals.front_mut() {
            match frames.next() {
                Ok(Some(batch)) => return Some(conform(&batch, &schema())),
                Ok(None) => drop(self.journals.pop_front()),
                Err(error) => {
                    self.journals.clear();
                    return Some(Err(ArrowError::ExternalError(format!("{error:?}").into())));
                }
            }
        }
        None
    }
}

impl RecordBatchReader for TailReader {
    fn schema(&self) -> SchemaRef {
        schema()
    }
}

/// A file with one Arrow IPC stream, as ClickHouse answers with.
#[pyclass(frozen, module = "masthead._native")]
pub(crate) struct StreamFile {
    path: PathBuf,
    schema: SchemaRef,
}

fn open_stream(path: &Path) -> PyResult<StreamReader<BufReader<File>>> {
    let file = File::open(path).map_err(Error::io(path))?;
    StreamReader::try_new_buffered(file, None).map_err(arrow_error)
}

#[pymethods]
impl StreamFile {
    #[new]
    fn new(path: PathBuf) -> PyResult<StreamFile> {
        let schema = open_stream(&path)?.schema();
        Ok(StreamFile { path, schema })
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        schema_capsule(py, &self.schema)
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        drop(requested_schema);
        stream_capsule(py, open_stream(&self.path)?)
    }
}

/// Batches with exactly the columns of the row, out of any Arrow stream that has some of them.
#[pyclass(frozen, module = "masthead._native")]
pub(crate) struct Conformed {
    reader: Mutex<RecordBatchStreamReader>,
}

#[pymethods]
impl Conformed {
    #[new]
    fn new(source: &Bound<'_, PyAny>) -> PyResult<Conformed> {
        Ok(Conformed { reader: Mutex::new(read_stream(source)?) })
    }

    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Batch>> {
        let next = py.detach(|| {
            let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
            reader.next().map(|batch| batch.and_then(|batch| conform(&batch, &schema())))
        });
        Ok(next.transpose().map_err(arrow_error)?.map(Batch::new))
    }
}

/// Writes any Arrow stream to a Parquet file; gives the rows.
#[pyfunction]
#[allow(clippy::needless_pass_by_value, reason = "a path from Python is made here")]
pub(crate) fn write_parquet(py: Python<'_>, source: &Bound<'_, PyAny>, path: PathBuf) -> PyResult<u64> {
    let mut reader = read_stream(source)?;
    let file = part::create(&path).map_err(Error::io(&path))?;
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
    let failed = Error::parquet(&path);
    let mut writer = ArrowWriter::try_new(file, Arc::clone(&reader.schema()), Some(properties)).map_err(&failed)?;
    let mut rows = 0;
    loop {
        py.check_signals()?;
        match py.detach(|| reader.next()) {
            Some(batch) => {
                let batch = batch.map_err(arrow_error)?;
                rows += batch.num_rows() as u64;
                py.detach(|| writer.write(&batch)).map_err(&failed)?;
            }
            None => break,
        }
    }
    py.detach(|| writer.close()).map_err(&failed)?;
    Ok(rows)
}
