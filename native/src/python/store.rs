//! `masthead._native.Journal`, `Classes`, `pack`, `merge`, `checksum` and `fleet_stream`: the store's files and streams.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use serde_json::{json, Value};

use super::batch::Batch;
use crate::store::{self, classes, journal, part, Error};

pyo3::import_exception!(masthead.errors, ConfigError);
pyo3::import_exception!(masthead.errors, StoreError);

impl From<Error> for PyErr {
    fn from(error: Error) -> PyErr {
        match error {
            // With the number, Python makes the subclass of OSError that fits.
            Error::Io(path, error) => match error.raw_os_error() {
                Some(number) => PyOSError::new_err((number, reason(&error), path.to_string_lossy().into_owned())),
                None => PyOSError::new_err(format!("{}: {error}", path.display())),
            },
            Error::Damaged(path, what) => {
                StoreError::new_err((format!("damaged: {what}"), path.to_string_lossy().into_owned()))
            }
            Error::Form(what) => PyRuntimeError::new_err(what),
        }
    }
}

/// The system's words, without the number that Rust puts behind them.
fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

#[pyclass(frozen, module = "masthead._native")]
pub(crate) struct Journal {
    journal: Mutex<journal::Journal>,
    handle: File,
    path: PathBuf,
}

impl Journal {
    fn with<T>(&self, work: impl FnOnce(&mut journal::Journal) -> T) -> T {
        work(&mut self.journal.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[pymethods]
impl Journal {
    #[new]
    #[allow(clippy::needless_pass_by_value, reason = "a path from Python is made here")]
    fn new(path: PathBuf, number: u64) -> PyResult<Journal> {
        let journal = journal::Journal::create(&path, number)?;
        let handle = journal.handle()?;
        Ok(Journal { journal: Mutex::new(journal), handle, path })
    }

    #[getter]
    fn rows(&self) -> u64 {
        self.with(|journal| journal.rows)
    }

    #[getter]
    fn bytes(&self) -> u64 {
        self.with(|journal| journal.bytes)
    }

    #[getter]
    fn spoiled(&self) -> bool {
        self.with(|journal| journal.spoiled)
    }

    fn append(&self, py: Python<'_>, batch: &Batch) -> PyResult<()> {
        Ok(py.detach(|| self.with(|journal| journal.append(batch.rows())))?)
    }

    fn sync(&self, py: Python<'_>) -> PyResult<()> {
        // Not under the lock: rows go on being appended while the disk works.
        Ok(py.detach(|| self.handle.sync_data()).map_err(Error::io(&self.path))?)
    }
}

#[pyclass(frozen, module = "masthead._native")]
pub(crate) struct Classes {
    classes: classes::Classes,
}

#[pymethods]
impl Classes {
    #[new]
    fn new(classes_json: &str) -> PyResult<Classes> {
        Ok(Classes { classes: classes::Classes::from_json(classes_json).map_err(ConfigError::new_err)? })
    }
}

/// Writes the parts of a journal.
#[pyfunction]
#[allow(clippy::needless_pass_by_value, reason = "paths from Python are made here")]
pub(crate) fn pack(
    py: Python<'_>,
    journal: PathBuf,
    target: PathBuf,
    version: u32,
    classes: &Classes,
) -> PyResult<String> {
    let packed = py.detach(|| store::pack::pack(&journal, &target, version, &classes.classes))?;
    let parts: Vec<Value> = packed
        .parts
        .iter()
        .map(|(class, written)| {
            let mut part = described(written);
            part["class"] = json!(class);
            part
        })
        .collect();
    let found = json!({
        "parts": parts,
        "lost_bytes": packed.lost_bytes,
        "damaged": packed.damaged,
        "torn": packed.torn,
    });
    Ok(found.to_string())
}

/// Writes the rows of several parts as one.
#[pyfunction]
#[allow(clippy::needless_pass_by_value, reason = "paths from Python are made here")]
pub(crate) fn merge(py: Python<'_>, parts: Vec<PathBuf>, target: PathBuf, version: u32) -> PyResult<String> {
    Ok(described(&py.detach(|| store::merge::merge(&parts, &target, version))?).to_string())
}

/// Rows as one Arrow IPC stream for a database that many hosts share.
#[pyfunction]
#[allow(clippy::needless_pass_by_value, reason = "a list from Python is made here")]
pub(crate) fn fleet_stream<'py>(
    py: Python<'py>,
    batches: Vec<Bound<'py, Batch>>,
    host: &str,
    classes: &Classes,
    names: Vec<String>,
) -> PyResult<Bound<'py, PyBytes>> {
    if names.len() != classes.classes.len() {
        return Err(PyValueError::new_err(format!("{} names for {} classes", names.len(), classes.classes.len())));
    }
    let rows: Vec<_> = batches.iter().map(|batch| batch.get().rows().clone()).collect();
    let stream = py.detach(|| store::fleet::stream(&rows, host, &classes.classes, &names))?;
    Ok(PyBytes::new(py, &stream))
}

/// CRC-32 of a file.
#[pyfunction]
#[allow(clippy::needless_pass_by_value, reason = "a path from Python is made here")]
pub(crate) fn checksum(py: Python<'_>, path: PathBuf) -> PyResult<u32> {
    Ok(py.detach(|| part::checksum(Path::new(&path)))?)
}

fn described(written: &part::Written) -> Value {
    json!({
        "path": written.path,
        "rows": written.rows,
        "bytes": written.bytes,
        "crc": written.crc,
        "first_ns": written.times.map(|times| times.0),
        "last_ns": written.times.map(|times| times.1),
    })
}
