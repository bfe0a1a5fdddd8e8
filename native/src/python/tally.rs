//! `masthead._native.Tally`.

use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;

use super::arrow::arrow_error;
use super::batch::Batch;
use crate::tally;

pyo3::import_exception!(masthead.errors, ConfigError);

/// Groups of rows and what is measured of them.
#[pyclass(frozen, module = "masthead._native")]
pub(crate) struct Tally {
    tally: Mutex<tally::Tally>,
}

impl Tally {
    fn with<T>(&self, work: impl FnOnce(&mut tally::Tally) -> T) -> T {
        work(&mut self.tally.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[pymethods]
impl Tally {
    #[new]
    fn new(spec_json: &str) -> PyResult<Tally> {
        let tally = tally::Tally::from_json(spec_json).map_err(ConfigError::new_err)?;
        Ok(Tally { tally: Mutex::new(tally) })
    }

    fn observe(&self, py: Python<'_>, batch: &Batch) -> PyResult<()> {
        py.detach(|| self.with(|tally| tally.observe(batch.rows()))).map_err(arrow_error)
    }

    fn snapshot(&self, py: Python<'_>) -> String {
        py.detach(|| {
            let stills = self.with(|tally| tally.snapshot());
            stills.json()
        })
    }

    fn take(&self, py: Python<'_>, before_ns: i64) -> String {
        py.detach(|| {
            let stills = self.with(|tally| tally.take(before_ns));
            stills.json()
        })
    }
}
