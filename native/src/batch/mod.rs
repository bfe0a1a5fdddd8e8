//! Exchanges into Arrow record batches: selected, redacted, enriched.
//!
//! [`Rows`] is where finished exchanges go. A row costs a few hundred nanoseconds, since this runs for every exchange
//! of the host: no allocation per row or field, decisions kept beside what they are about (a field's name in `names`,
//! a connection in `links`), columns as plain vectors.

mod columns;
mod fields;
mod links;
mod making;
mod names;
mod portions;
mod routes;
mod rows;
mod schema;
mod table;
mod text;

#[cfg(test)]
pub(crate) mod tests;

pub(crate) use links::Lookup;
pub(crate) use portions::{concat, sample, size, take};
pub(crate) use rows::{Rows, Source};
pub(crate) use schema::schema;
pub(crate) use text::append;
