//! The store's files: what is written to them and read back, byte by byte. Which files there are, and when they are
//! made and removed, is decided in Python (`src/masthead/store`).
//!
//! A *journal* takes batches as they come ([`journal`]); its frames stand alone and carry checksums ([`frame`]). When
//! it is full it is *packed* ([`pack`]): its rows, sorted by time and parted by class ([`classes`]), become Parquet
//! files ([`part`]), the *parts*. Many small parts are *merged* into one ([`merge`]). Rows that come back are *conformed*
//! to today's schema ([`conform`]), whatever version wrote them. Rows for a database that many hosts share leave as a
//! stream ([`fleet`]).

pub(crate) mod classes;
pub(crate) mod conform;
pub(crate) mod fleet;
pub(crate) mod frame;
pub(crate) mod journal;
pub(crate) mod merge;
pub(crate) mod pack;
pub(crate) mod part;
mod sorted;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};

use arrow_schema::ArrowError;
use parquet::errors::ParquetError;

/// What can go wrong with a file of the store.
#[derive(Debug)]
pub(crate) enum Error {
    /// The system refused.
    Io(PathBuf, io::Error),
    /// It does not hold what it should.
    Damaged(PathBuf, String),
    /// A batch could not be turned into the file's form: a defect.
    Form(String),
}

pub(crate) type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// For `map_err`: what the system said about a file.
    pub(crate) fn io(path: &Path) -> impl Fn(io::Error) -> Error + '_ {
        |error| Error::Io(path.to_owned(), error)
    }

    /// For `map_err`: what was found while a Parquet file was read or written.
    pub(crate) fn parquet(path: &Path) -> impl Fn(ParquetError) -> Error + '_ {
        |error| match error {
            ParquetError::External(cause) => match cause.downcast::<io::Error>() {
                Ok(cause) => Error::Io(path.to_owned(), *cause),
                Err(cause) => Error::Damaged(path.to_owned(), cause.to_string()),
            },
            error => Error::Damaged(path.to_owned(), error.to_string()),
        }
    }
}

impl From<ArrowError> for Error {
    fn from(error: ArrowError) -> Error {
        Error::Form(error.to_string())
    }
}
