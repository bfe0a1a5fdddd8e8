//! Where the header fields that are asked for stand in each row: one pass over the fields, however many are wanted.

use crate::ndjson::columns::FieldLists;

/// Which head a field is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Request,
    Response,
}

/// Where the first field of a name stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The row has no such head.
    Unknown,
    Absent,
    At(usize),
}

const ABSENT: u32 = u32::MAX;
const UNWANTED: u16 = u16::MAX;

/// The wanted fields of one side.
#[derive(Default)]
pub(super) struct Headers {
    names: Vec<String>,
    /// By name and row; empty for a name that no row of the batch has.
    places: Vec<Vec<u32>>,
    /// Whether the row has such a head at all.
    known: Vec<bool>,
    /// For each word of the dictionary of names, which wanted name it is.
    wanted: Vec<u16>,
}

impl Headers {
    /// The number of a wanted name.
    pub(super) fn add(&mut self, name: &str) -> usize {
        let known = self.names.iter().position(|known| known.eq_ignore_ascii_case(name));
        known.unwrap_or_else(|| {
            self.names.push(name.to_owned());
            self.places.push(Vec::new());
            self.names.len() - 1
        })
    }

    pub(super) fn fill(&mut self, lists: &FieldLists, rows: usize) {
        if self.names.is_empty() {
            return;
        }
        self.read_names(lists, rows);
        self.known.clear();
        self.known.extend((0..rows).map(|row| lists.rows.get(row).is_some()));
        if self.places.iter().all(Vec::is_empty) {
            return;
        }
        for row in 0..rows {
            let fields = lists.rows.get(row).unwrap_or_default();
            for field in fields.filter(|&field| lists.names.is_known(field)) {
                let wanted = self.wanted.get(lists.names.key(field)).copied().unwrap_or(UNWANTED);
                let Some(place) = self.places.get_mut(usize::from(wanted)).and_then(|places| places.get_mut(row))
                else {
                    continue;
                };
                if *place == ABSENT {
                    *place = u32::try_from(field).unwrap_or(ABSENT);
                }
            }
        }
    }

    fn read_names(&mut self, lists: &FieldLists, rows: usize) {
        let words = &lists.names.words;
        self.wanted.clear();
        self.places.iter_mut().for_each(Vec::clear);
        for word in (0..words.len()).map(|place| words.bytes(place)) {
            let wanted = self.names.iter().position(|name| name.as_bytes().eq_ignore_ascii_case(word));
            if let Some(places) = wanted.and_then(|number| self.places.get_mut(number)) {
                places.resize(rows, ABSENT);
            }
            self.wanted.push(wanted.and_then(|number| u16::try_from(number).ok()).unwrap_or(UNWANTED));
        }
    }

    /// Whether a row of the batch may have the field.
    pub(super) fn occurs(&self, number: usize) -> bool {
        self.places.get(number).is_some_and(|places| !places.is_empty())
    }

    #[inline]
    pub(super) fn place(&self, number: usize, row: usize) -> Place {
        match self.places.get(number).and_then(|places| places.get(row)) {
            Some(&place) if place != ABSENT => Place::At(place as usize),
            _ if self.known.get(row) == Some(&true) => Place::Absent,
            _ => Place::Unknown,
        }
    }
}
