//! `masthead._native.Rules`.

use std::sync::Arc;

use pyo3::prelude::*;

pyo3::import_exception!(masthead.errors, ConfigError);

/// Compiled rules: selection, redaction, filters, sampling, trusted hops.
#[pyclass(frozen, module = "masthead._native")]
pub(crate) struct Rules {
    rules: Arc<heads::rules::Rules>,
}

impl Rules {
    pub(crate) fn share(&self) -> Arc<heads::rules::Rules> {
        Arc::clone(&self.rules)
    }
}

#[pymethods]
impl Rules {
    #[new]
    fn new(rules_json: &str, key: &[u8]) -> PyResult<Rules> {
        let rules = heads::rules::Rules::from_json(rules_json, key).map_err(ConfigError::new_err)?;
        Ok(Rules { rules: Arc::new(rules) })
    }
}
