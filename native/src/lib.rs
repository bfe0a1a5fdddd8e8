//! `masthead._native`: the border between Python and what touches every row.
#![deny(unsafe_op_in_unsafe_fn)]

mod batch;
mod capture;
mod ndjson;
mod python;
mod replay;
mod store;
mod tally;
mod wire;

use pyo3::prelude::*;

#[pymodule(gil_used = false)]
mod _native {
    #[pymodule_export]
    use crate::python::batch::{concat, schema, Batch, BatchSchema};
    #[pymodule_export]
    use crate::python::capture::{programs, tls_processes, Capture};
    #[pymodule_export]
    use crate::python::parse::{parse, parse_spans};
    #[pymodule_export]
    use crate::python::replay::Replay;
    #[pymodule_export]
    use crate::python::rules::Rules;
    #[pymodule_export]
    use crate::python::store::{checksum, fleet_stream, merge, pack, Classes, Journal};
    #[pymodule_export]
    use crate::python::streams::{write_parquet, Conformed, StreamFile, Tail};
    #[pymodule_export]
    use crate::python::tally::Tally;
}
