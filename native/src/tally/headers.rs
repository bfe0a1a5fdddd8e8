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

const UNKNOWN: u32 = u32::MAX;
const ABSENT: u32 = u32::MAX - 1;
const UNWANTED: u16 = u16::MAX;

/// The wanted fields of one side.
#[derive(Default)]
pub(super) struct Headers {
    names: Vec<String>,
    places: Vec<Vec<u32>>,
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
        self.read_names(lists);
        for places in &mut self.places {
            places.clear();
            places.resize(rows, ABSENT);
        }
        for row in 0..rows {
            let Some(fields) = lists.rows.get(row) else {
                self.places.iter_mut().filter_map(|places| places.get_mut(row)).for_each(|place| *place = UNKNOWN);
                continue;
            };
            for field in fields {
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

    fn read_names(&mut self, lists: &FieldLists) {
        let words = &lists.names.words;
        self.wanted.clear();
        for word in (0..words.len()).map(|place| words.bytes(place)) {
            let wanted = self.names.iter().position(|name| name.as_bytes().eq_ignore_ascii_case(word));
            self.wanted.push(wanted.and_then(|number| u16::try_from(number).ok()).unwrap_or(UNWANTED));
        }
    }

    #[inline]
    pub(super) fn place(&self, number: usize, row: usize) -> Place {
        match self.places.get(number).and_then(|places| places.get(row)) {
            None | Some(&UNKNOWN) => Place::Unknown,
            Some(&ABSENT) => Place::Absent,
            Some(&place) => Place::At(place as usize),
        }
    }
}
