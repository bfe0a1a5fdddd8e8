//! The border to Python.
pub(crate) mod batch;
pub(crate) mod capture;
pub(crate) mod parse;
pub(crate) mod replay;
pub(crate) mod rules;
