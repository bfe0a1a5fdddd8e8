//! `masthead._native.Capture` and `programs`.

use super::batch::Batch;
use super::rules::Rules;
use crate::batch::schema;
use crate::capture::{self, Failure, Next, Options, TlsOptions};
use arrow_array::RecordBatch;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pyo3::import_exception!(masthead.errors, ConfigError);
pyo3::import_exception!(masthead.errors, NotPermittedError);
pyo3::import_exception!(masthead.errors, NotSupportedError);

/// Waits are cut into slices, so that Ctrl-C is heard.
const SLICE: Duration = Duration::from_millis(100);

impl From<Failure> for PyErr {
    fn from(failure: Failure) -> PyErr {
        let text = failure.to_string();
        match failure {
            Failure::NotPermitted(_) => NotPermittedError::new_err(text),
            Failure::NotSupported(_) => NotSupportedError::new_err(text),
            Failure::Options(_) => ConfigError::new_err(text),
        }
    }
}

#[pyclass(frozen, module = "masthead._native")]
pub(crate) struct Capture {
    capture: capture::Capture,
    closed: AtomicBool,
}

#[pymethods]
impl Capture {
    #[new]
    fn new(py: Python<'_>, options_json: &str, rules: &Rules) -> PyResult<Capture> {
        let options: Options = serde_json::from_str(options_json)
            .map_err(|error| ConfigError::new_err(format!("capture options: {error}")))?;
        let rules = rules.share();
        let capture = py.detach(|| capture::Capture::start(options, rules))?;
        Ok(Capture { capture, closed: AtomicBool::new(false) })
    }

    #[getter]
    fn closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn next(&self, py: Python<'_>, timeout_ms: u64) -> PyResult<Option<Batch>> {
        let end = Instant::now() + Duration::from_millis(timeout_ms);
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match py.detach(|| self.capture.next(left.min(SLICE))) {
                Next::Batch(batch) => return Ok(Some(Batch::new(batch))),
                Next::Closed => {
                    self.closed.store(true, Ordering::Release);
                    return Ok(None);
                }
                Next::Nothing if left <= SLICE => return Ok(None),
                Next::Nothing => py.check_signals()?,
            }
        }
    }

    fn set_rules(&self, py: Python<'_>, rules: &Rules) {
        let rules = rules.share();
        py.detach(|| self.capture.set_rules(rules));
    }

    fn ledger(&self, py: Python<'_>) -> String {
        py.detach(|| self.capture.ledger())
    }

    fn open_exchanges(&self, py: Python<'_>, most: usize) -> PyResult<Batch> {
        let found = py.detach(|| self.capture.open(most));
        let batch = found.unwrap_or_else(|| Ok(RecordBatch::new_empty(schema())));
        batch.map(Batch::new).map_err(|error| PyRuntimeError::new_err(error.to_string()))
    }

    fn close(&self) {
        self.capture.close();
    }
}

/// What each program may do, as JSON.
#[pyfunction]
pub(crate) fn programs(py: Python<'_>) -> PyResult<String> {
    Ok(py.detach(capture::programs::describe)?)
}

/// Who speaks TLS on this host, and whether its plaintext can be seen, as JSON.
#[pyfunction]
#[allow(clippy::needless_pass_by_value, reason = "what a Python list is turned into")]
pub(crate) fn tls_processes(py: Python<'_>, options_json: &str, own_pids: Vec<u32>) -> PyResult<String> {
    let options: TlsOptions =
        serde_json::from_str(options_json).map_err(|error| ConfigError::new_err(format!("TLS options: {error}")))?;
    Ok(py.detach(|| capture::tls::survey::survey(&options, &own_pids).to_string()))
}
