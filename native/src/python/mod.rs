//! The border to Python.
mod arrow;
pub(crate) mod batch;
pub(crate) mod capture;
pub(crate) mod parse;
pub(crate) mod replay;
pub(crate) mod rules;
pub(crate) mod store;
pub(crate) mod streams;
pub(crate) mod tally;
pub(crate) mod wire;
