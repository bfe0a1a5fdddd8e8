//! A full journal into parts, one for each class of its rows.

use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;

use super::classes::Classes;
use super::conform::conform;
use super::journal::Frames;
use super::part::{Writer, Written};
use super::sorted::{self, Row};
use super::Result;
use crate::batch::schema;

/// What became of a journal.
pub(crate) struct Packed {
    /// By the number of their class.
    pub(crate) parts: Vec<(usize, Written)>,
    /// Bytes that belonged to no whole frame, and in how many places.
    pub(crate) lost_bytes: u64,
    pub(crate) damaged: u64,
    pub(crate) torn: bool,
}

/// Writes the parts of a journal to `<target>.<class number>`, durable and complete. After an error none is left.
pub(crate) fn pack(journal: &Path, target: &Path, version: u32, classes: &Classes) -> Result<Packed> {
    let mut frames = Frames::open(journal)?;
    let mut batches = Vec::new();
    while let Some(batch) = frames.next()? {
        batches.push(conform(&batch, &schema())?);
    }
    let mut parts: Vec<(usize, Written)> = Vec::new();
    for (class, rows) in by_class(&batches, classes)?.into_iter().enumerate() {
        if rows.is_empty() {
            continue;
        }
        match write(&batches, rows, &named(target, class), version) {
            Ok(part) => parts.push((class, part)),
            Err(error) => {
                remove(&named(target, class));
                for (_, part) in &parts {
                    remove(&part.path);
                }
                return Err(error);
            }
        }
    }
    let Frames { lost_bytes, damaged, torn, .. } = frames;
    Ok(Packed { parts, lost_bytes, damaged, torn })
}

fn by_class(batches: &[RecordBatch], classes: &Classes) -> Result<Vec<Vec<Row>>> {
    let mut rows = vec![Vec::new(); classes.len()];
    for (number, batch) in batches.iter().enumerate() {
        for (row, class) in classes.of(batch)?.into_iter().enumerate() {
            if let Some(rows) = rows.get_mut(class) {
                rows.push((number, row));
            }
        }
    }
    Ok(rows)
}

fn write(batches: &[RecordBatch], rows: Vec<Row>, path: &Path, version: u32) -> Result<Written> {
    let mut writer = Writer::create(path, &schema(), version)?;
    sorted::write(batches, rows, |batch| writer.write(batch))?;
    writer.finish()
}

fn named(target: &Path, class: usize) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(format!(".{class}"));
    name.into()
}

/// Half a file is of no use to anyone; that it can't be removed either is told by what comes next.
pub(super) fn remove(path: &Path) {
    drop(std::fs::remove_file(path));
}
