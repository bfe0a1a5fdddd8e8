//! Counts on the stream: groups of rows and what is measured of them, over whole batches.
//!
//! [`Tally::observe`] works out each key and number once per batch, for all tables ([`keys`], [`numbers`]), as small
//! numbers of words; a row then costs a comparison with the row before or a look-up of a few numbers, and an addition
//! per measure. Memory is bounded everywhere: groups by each table's cap, slots by a limit, words by forgetting those
//! that no group uses. Readers get copies of what is flat, and write JSON from them while counting goes on.

mod derived;
mod groups;
mod headers;
mod keys;
mod marks;
mod numbers;
mod report;
mod spec;
mod table;
#[cfg(test)]
mod tests;
mod time;
mod words;

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;

use crate::ndjson::columns::Columns;
use keys::Keys;
use numbers::Numbers;
use report::Still;
use table::{Seen, Table};
use words::Words;

/// The end of a row that has no time.
const UNTIMED: i64 = i64::MIN;

/// Words are looked through for unused ones when they have grown by this much.
const GROWTH: usize = 4 << 20;

pub(crate) struct Tally {
    words: Arc<Words>,
    keys: Keys,
    numbers: Numbers,
    tables: Vec<Table>,
    ends: Vec<i64>,
    weights: Vec<f64>,
    marks: Vec<u32>,
    /// The size of the words at which unused ones are forgotten.
    limit: usize,
}

impl Tally {
    /// Reads what is to be counted, as `_native.pyi` has it.
    pub(crate) fn from_json(text: &str) -> Result<Tally, String> {
        let mut words = Words::new();
        let (plans, keys, numbers) = spec::read(text, &mut words)?;
        let tables = plans.into_iter().map(Table::new).collect();
        let (ends, weights, marks) = Default::default();
        Ok(Tally { words: Arc::new(words), keys, numbers, tables, ends, weights, marks, limit: GROWTH })
    }

    pub(crate) fn observe(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let columns = Columns::of(batch)?;
        let rows = batch.num_rows();
        self.keys.fill(&columns, rows, Arc::make_mut(&mut self.words));
        self.read_times(&columns, rows);
        self.numbers.fill(&columns, &self.keys, &self.ends);
        self.marks.clear();
        if self.tables.iter().any(|table| table.plan.marks != 0) {
            let marks = marks::Reader::new(&columns.quality);
            self.marks.extend((0..rows).map(|row| marks.of(row)));
        }
        let seen = Seen {
            keys: &self.keys,
            numbers: &self.numbers,
            ends: &self.ends,
            weights: &self.weights,
            marks: &self.marks,
            trace: &|row| trace(&columns, row),
        };
        for table in &mut self.tables {
            table.observe(&seen);
        }
        if self.words.size() > self.limit {
            self.forget_words();
        }
        Ok(())
    }

    /// A row's end is its time and its duration; its time alone where it has no duration.
    fn read_times(&mut self, columns: &Columns, rows: usize) {
        let end =
            |row| columns.time.get(row).map(|time| time.saturating_add(columns.duration_ns.get(row).unwrap_or(0)));
        self.ends.clear();
        self.ends.extend((0..rows).map(|row| end(row).unwrap_or(UNTIMED)));
        self.weights.clear();
        self.weights.extend((0..rows).map(|row| columns.sample_weight.get(row).unwrap_or(1.0)));
    }

    /// Strangers can make up words: those that no group and no condition uses are dropped.
    fn forget_words(&mut self) {
        let groups = self.tables.iter().flat_map(|table| table.slots.values()).flat_map(|groups| &groups.keys);
        let conditions = self.tables.iter().flat_map(|table| &table.plan.conditions).flat_map(|(_, words)| words);
        let used: Vec<words::Id> = groups.chain(conditions).copied().collect();
        let moved = Arc::make_mut(&mut self.words).keep(used.into_iter());
        for table in &mut self.tables {
            table.renumber(&moved);
        }
        self.limit = self.words.size() * 2 + GROWTH;
    }

    /// A copy of all tables, to be written as JSON without holding anybody up.
    pub(crate) fn snapshot(&self) -> Stills {
        let stills = self.tables.iter().map(|table| table.still(table.slots.clone())).collect();
        Stills { stills, words: Arc::clone(&self.words) }
    }

    /// Takes out the slots that end at or before a time; tables without slots stay as they are and are left out.
    pub(crate) fn take(&mut self, before_ns: i64) -> Stills {
        let mut stills = Vec::new();
        for table in self.tables.iter_mut().filter(|table| table.plan.slot_ns > 0) {
            let slots = table.take(before_ns);
            stills.push(table.still(slots));
        }
        Stills { stills, words: Arc::clone(&self.words) }
    }
}

/// Tables at one moment.
pub(crate) struct Stills {
    stills: Vec<Still>,
    words: Arc<Words>,
}

impl Stills {
    pub(crate) fn json(&self) -> String {
        report::write(&self.stills, &self.words)
    }
}

/// Trace and span of a row whose trace is sampled (W3C Trace Context, section 3.2.2.5): the others can't be found.
fn trace(columns: &Columns, row: usize) -> Option<([u8; 32], [u8; 16])> {
    const SAMPLED: u8 = 1;
    columns.trace_flags.get(row).filter(|flags| flags & SAMPLED != 0)?;
    Some((columns.trace_id.get(row)?.try_into().ok()?, columns.parent_id.get(row)?.try_into().ok()?))
}
