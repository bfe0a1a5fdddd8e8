//! A journal: batches appended to a file, whole or not at all.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, IoSlice, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;

use super::frame::{self, Found};
use super::{Error, Result};

/// What a write may take at once (IOV_MAX, limits.h).
const PIECES: usize = 1024;

/// The file that rows are appended to.
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    number: u64,
    pub(crate) bytes: u64,
    pub(crate) rows: u64,
    /// Half a frame could not be taken back: nothing may follow it.
    pub(crate) spoiled: bool,
}

impl Journal {
    /// Makes a new journal; one that exists already is never written over. `number` is its random number.
    pub(crate) fn create(path: &Path, number: u64) -> Result<Journal> {
        let file = OpenOptions::new().create_new(true).append(true).mode(0o640).open(path).map_err(Error::io(path))?;
        Ok(Journal { path: path.to_owned(), file, number, bytes: 0, rows: 0, spoiled: false })
    }

    /// Appends a batch. After an error the journal is as it was before.
    pub(crate) fn append(&mut self, batch: &RecordBatch) -> Result<()> {
        if self.spoiled {
            let error = io::Error::other("half a frame stands at its end and could not be taken back");
            return Err(Error::Io(self.path.clone(), error));
        }
        let pieces = frame::encode(batch, self.number)?;
        if let Err(error) = write_all(&mut self.file, &pieces) {
            self.spoiled = self.file.set_len(self.bytes).is_err();
            return Err(Error::Io(self.path.clone(), error));
        }
        self.bytes += pieces.iter().map(Buffer::len).sum::<usize>() as u64;
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    /// A second handle, for whoever makes the bytes durable while more are appended.
    pub(crate) fn handle(&self) -> Result<File> {
        self.file.try_clone().map_err(Error::io(&self.path))
    }
}

fn write_all(file: &mut File, pieces: &[Buffer]) -> io::Result<()> {
    let filled: Vec<&[u8]> = pieces.iter().map(Buffer::as_slice).filter(|piece| !piece.is_empty()).collect();
    for some in filled.chunks(PIECES) {
        let mut slices: Vec<IoSlice<'_>> = some.iter().map(|piece| IoSlice::new(piece)).collect();
        let mut rest = &mut slices[..];
        while !rest.is_empty() {
            match file.write_vectored(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut rest, written),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

/// Reads a journal from its beginning up to where it ended when it was opened.
pub(crate) struct Frames {
    file: File,
    path: PathBuf,
    number: Option<u64>,
    place: u64,
    end: u64,
    /// Whether the bytes end inside a frame, and how many bytes belong to no whole frame, that one's included.
    pub(crate) torn: bool,
    pub(crate) lost_bytes: u64,
    /// Places of damage.
    pub(crate) damaged: u64,
}

impl Frames {
    pub(crate) fn open(path: &Path) -> Result<Frames> {
        let file = File::open(path).map_err(Error::io(path))?;
        let end = file.metadata().map_err(Error::io(path))?.len();
        Frames::of(file, path, end)
    }

    /// Of a file that is open already, up to `end`: it may have grown since, or been unlinked.
    pub(crate) fn of(file: File, path: &Path, end: u64) -> Result<Frames> {
        let number = frame::journal(&file, end).map_err(Error::io(path))?;
        Ok(Frames { file, path: path.to_owned(), number, place: 0, end, torn: false, lost_bytes: 0, damaged: 0 })
    }

    /// The next batch; what is damaged is stepped over and counted.
    pub(crate) fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            match frame::at(&self.file, self.number, self.place, self.end).map_err(Error::io(&self.path))? {
                Found::Frame { stream, next, .. } => {
                    let length = next - self.place;
                    self.place = next;
                    match frame::decode(stream) {
                        Ok(batch) => return Ok(Some(batch)),
                        // The checksum held, so this is a frame of some other version: as good as damaged.
                        Err(_) => self.skip(length),
                    }
                }
                Found::Damage { next } => {
                    self.skip(next - self.place);
                    self.place = next;
                }
                Found::Torn => {
                    self.torn = true;
                    self.lost_bytes += self.end - self.place;
                    self.place = self.end;
                }
                Found::End => return Ok(None),
            }
        }
    }

    fn skip(&mut self, bytes: u64) {
        self.damaged += 1;
        self.lost_bytes += bytes;
    }
}
