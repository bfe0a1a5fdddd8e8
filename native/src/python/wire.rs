//! The methods of `masthead._native.Batch` that give rows in the forms of servers.

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use super::arrow::arrow_error;
use super::batch::Batch;
use crate::ndjson::Headers;
use crate::wire::syslog::Framing;
use crate::wire::{ecs, lines, loki, otlp, syslog};

type LinesOf<'py> = (Bound<'py, PyBytes>, Vec<usize>, Vec<Option<Bound<'py, PyBytes>>>);

#[pymethods]
impl Batch {
    #[pyo3(signature = (labels_json, headers="object"))]
    fn loki<'py>(
        &self,
        py: Python<'py>,
        labels_json: &str,
        headers: &str,
    ) -> PyResult<(Bound<'py, PyBytes>, u64, u64)> {
        let (labels, headers) = (pairs(labels_json)?, form(headers)?);
        let (body, cut) = self.written(py, |rows| loki::push(rows, &labels, headers))?;
        Ok((PyBytes::new(py, &body), cut.entries, cut.rows))
    }

    #[pyo3(signature = (index, *, fields=true))]
    fn bulk<'py>(&self, py: Python<'py>, index: &str, fields: bool) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.written(py, |rows| ecs::bulk(rows, index, fields))?))
    }

    fn otlp_logs<'py>(&self, py: Python<'py>, resource_json: &str, observed_ns: u64) -> PyResult<Bound<'py, PyBytes>> {
        let resource = pairs(resource_json)?;
        Ok(PyBytes::new(py, &self.written(py, |rows| otlp::logs(rows, &resource, observed_ns))?))
    }

    fn otlp_traces<'py>(&self, py: Python<'py>, resource_json: &str) -> PyResult<Bound<'py, PyBytes>> {
        let resource = pairs(resource_json)?;
        Ok(PyBytes::new(py, &self.written(py, |rows| otlp::traces(rows, &resource))?))
    }

    fn syslog<'py>(
        &self,
        py: Python<'py>,
        facility: u8,
        host: &str,
        app: &str,
        framing: &str,
    ) -> PyResult<Bound<'py, PyList>> {
        let Some(framing) = Framing::named(framing) else {
            return Err(PyValueError::new_err(format!("framing is {framing:?}, not octet, newline or none")));
        };
        let (text, ends) = self.written(py, |rows| syslog::messages(rows, facility, host, app, framing))?;
        if framing != Framing::None {
            return PyList::new(py, [PyBytes::new(py, &text)]);
        }
        let begins = std::iter::once(0).chain(ends.iter().copied());
        let messages = begins.zip(ends.iter().copied()).map(|(begin, end)| text.get(begin..end).unwrap_or_default());
        PyList::new(py, messages.map(|message| PyBytes::new(py, message)))
    }

    #[pyo3(signature = (headers="object"))]
    fn lines<'py>(&self, py: Python<'py>, headers: &str) -> PyResult<LinesOf<'py>> {
        let headers = form(headers)?;
        let found = self.written(py, |rows| lines::lines(rows, headers))?;
        let keys = found.keys.iter().map(|key| key.as_ref().map(|key| PyBytes::new(py, key))).collect();
        Ok((PyBytes::new(py, &found.text), found.ends, keys))
    }
}

impl Batch {
    fn written<T: Send>(
        &self,
        py: Python<'_>,
        write: impl FnOnce(&RecordBatch) -> Result<T, ArrowError> + Send,
    ) -> PyResult<T> {
        py.detach(|| write(self.rows())).map_err(arrow_error)
    }
}

fn form(headers: &str) -> PyResult<Headers> {
    Headers::named(headers)
        .ok_or_else(|| PyValueError::new_err(format!("headers is {headers:?}, not \"object\" or \"pairs\"")))
}

/// Names and texts, in the order of the JSON object.
fn pairs(json: &str) -> PyResult<Vec<(String, String)>> {
    let object: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(json).map_err(|error| PyValueError::new_err(error.to_string()))?;
    object
        .into_iter()
        .map(|(name, value)| match value {
            serde_json::Value::String(text) => Ok((name, text)),
            other => Err(PyValueError::new_err(format!("{name} is {other}, no text"))),
        })
        .collect()
}
