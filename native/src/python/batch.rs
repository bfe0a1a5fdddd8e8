//! `masthead._native.Batch`: Arrow data by PyCapsule (the Arrow PyCapsule interface), NDJSON as bytes.

use arrow_array::ffi::to_ffi;
use arrow_array::{Array, RecordBatch, RecordBatchIterator, StructArray};
use arrow_ipc::writer::StreamWriter;
use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule};

use super::arrow::{arrow_error, schema_capsule, stream_capsule};
use crate::batch;
use crate::ndjson::{self, Headers};

/// An immutable Arrow record batch of exchanges.
#[pyclass(frozen, module = "masthead._native")]
pub(crate) struct Batch {
    batch: RecordBatch,
}

impl Batch {
    pub(crate) fn new(batch: RecordBatch) -> Batch {
        Batch { batch }
    }

    pub(crate) fn rows(&self) -> &RecordBatch {
        &self.batch
    }
}

#[pymethods]
impl Batch {
    #[getter]
    fn num_rows(&self) -> usize {
        self.batch.num_rows()
    }

    fn __len__(&self) -> usize {
        self.batch.num_rows()
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        schema_capsule(py, &self.batch.schema())
    }

    /// The requested schema may be ignored (the interface calls it a best effort).
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<(Bound<'py, PyCapsule>, Bound<'py, PyCapsule>)> {
        drop(requested_schema);
        let rows = StructArray::from(self.batch.clone());
        let (array, _) = to_ffi(&rows.to_data()).map_err(arrow_error)?;
        let array = PyCapsule::new_with_value(py, array, c"arrow_array")?;
        Ok((schema_capsule(py, &self.batch.schema())?, array))
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        drop(requested_schema);
        let reader = RecordBatchIterator::new([Ok(self.batch.clone())], self.batch.schema());
        stream_capsule(py, reader)
    }

    #[pyo3(signature = (headers="object"))]
    fn ndjson<'py>(&self, py: Python<'py>, headers: &str) -> PyResult<Bound<'py, PyBytes>> {
        let Some(headers) = Headers::named(headers) else {
            return Err(PyValueError::new_err(format!("headers is {headers:?}, not \"object\" or \"pairs\"")));
        };
        let lines = py.detach(|| {
            let mut lines = Vec::with_capacity(self.batch.num_rows() * 2048);
            ndjson::write(&self.batch, headers, &mut lines).map(|()| lines)
        });
        Ok(PyBytes::new(py, &lines.map_err(arrow_error)?))
    }

    #[getter]
    fn nbytes(&self) -> usize {
        batch::size(&self.batch)
    }

    fn slice(&self, offset: usize, length: usize) -> Batch {
        let offset = offset.min(self.batch.num_rows());
        Batch::new(self.batch.slice(offset, length.min(self.batch.num_rows() - offset)))
    }

    #[allow(clippy::needless_pass_by_value, reason = "a list from Python is made here")]
    fn take(&self, py: Python<'_>, places: Vec<u64>) -> PyResult<Batch> {
        let rows = self.batch.num_rows() as u64;
        if let Some(place) = places.iter().find(|&&place| place >= rows) {
            return Err(PyIndexError::new_err(format!("row {place} of a batch of {rows}")));
        }
        py.detach(|| batch::take(&self.batch, places)).map(Batch::new).map_err(arrow_error)
    }

    fn sample(&self, py: Python<'_>, one_in: u32) -> PyResult<Batch> {
        if one_in == 0 {
            return Err(PyValueError::new_err("one row in 0 is none"));
        }
        py.detach(|| batch::sample(&self.batch, one_in)).map(Batch::new).map_err(arrow_error)
    }

    fn ipc<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let stream = py.detach(|| {
            let mut stream = Vec::with_capacity(self.batch.num_rows() * 512);
            let mut writer = StreamWriter::try_new(&mut stream, &self.batch.schema())?;
            writer.write(&self.batch)?;
            writer.finish()?;
            drop(writer);
            Ok(stream)
        });
        Ok(PyBytes::new(py, &stream.map_err(arrow_error)?))
    }

    fn __repr__(&self) -> String {
        format!("<Batch of {} exchanges>", self.batch.num_rows())
    }
}

/// All rows of several batches, one behind the other.
#[pyfunction]
#[allow(clippy::needless_pass_by_value, reason = "a list from Python is made here")]
pub(crate) fn concat(py: Python<'_>, batches: Vec<Py<Batch>>) -> PyResult<Batch> {
    let batches: Vec<RecordBatch> = batches.iter().map(|batch| batch.get().batch.clone()).collect();
    let bytes: usize = batches.iter().map(batch::size).sum();
    // Arrow's offsets are of 32 bits.
    if i32::try_from(bytes).is_err() {
        return Err(PyValueError::new_err(format!("{bytes} bytes are too much for one batch")));
    }
    py.detach(|| batch::concat(&batches)).map(Batch::new).map_err(arrow_error)
}

/// The schema of every batch, for consumers that want it before the first.
#[pyclass(frozen, module = "masthead._native")]
pub(crate) struct BatchSchema;

#[pymethods]
impl BatchSchema {
    #[allow(clippy::unused_self, reason = "the interface asks for a method")]
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        schema_capsule(py, &crate::batch::schema())
    }
}

/// The schema of every batch.
#[pyfunction]
pub(crate) fn schema() -> BatchSchema {
    BatchSchema
}
