//! The marks of rows as bits.

use heads::exchange::Marks;

use crate::ndjson::columns::Sets;

const fn bit(name: &str) -> u32 {
    let mut place = 0;
    while place < Marks::NAMES.len() {
        if same(Marks::NAMES[place].as_bytes(), name.as_bytes()) {
            return 1 << place;
        }
        place += 1;
    }
    panic!("no such mark");
}

const fn same(one: &[u8], other: &[u8]) -> bool {
    let mut place = 0;
    while place < one.len() && place < other.len() && one[place] == other[place] {
        place += 1;
    }
    place == one.len() && place == other.len()
}

pub(super) const RESET: u32 = bit("reset");
pub(super) const NO_RESPONSE: u32 = bit("no_response");
/// What was missed may have held the response.
pub(super) const MISSED: u32 = bit("gap") | bit("joined") | bit("overlap");

/// Reads the column `quality`.
pub(super) struct Reader<'a> {
    sets: &'a Sets<'a>,
    bits: Vec<u32>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(sets: &'a Sets<'a>) -> Reader<'a> {
        let words = &sets.words.words;
        let bit = |word: &[u8]| Marks::NAMES.iter().position(|name| name.as_bytes() == word).map_or(0, |bit| 1 << bit);
        Reader { sets, bits: (0..words.len()).map(|place| bit(words.bytes(place))).collect() }
    }

    #[inline]
    pub(super) fn of(&self, row: usize) -> u32 {
        let words = self.sets.rows.get(row).unwrap_or_default();
        words.fold(0, |all, place| all | self.bits.get(self.sets.words.key(place)).copied().unwrap_or(0))
    }
}
