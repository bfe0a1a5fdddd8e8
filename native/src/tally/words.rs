//! Texts as small numbers, so that a group is found by comparing a few of them.

use std::hash::BuildHasher;
use std::ops::Range;

use hashbrown::{DefaultHashBuilder, HashTable};

/// The number of a text.
pub(super) type Id = u32;

/// What is not known, as opposed to an empty text.
pub(super) const NULL: Id = 0;

/// The text that stands for all that there is no room for.
pub(super) const OTHER: Id = 1;

/// The text of [`OTHER`], as OpenTelemetry spells it.
pub(super) const OTHER_TEXT: &str = "_other";

/// Longer texts count as [`OTHER`]: they are no labels, and two thousand of them would fill the memory.
const LONGEST: usize = 1024;

#[derive(Clone)]
pub(super) struct Words {
    table: HashTable<Id>,
    hasher: DefaultHashBuilder,
    spans: Vec<Range<usize>>,
    bytes: Vec<u8>,
}

impl Words {
    pub(super) fn new() -> Words {
        let other = OTHER_TEXT.as_bytes();
        Words {
            table: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            spans: vec![0..0, 0..other.len()],
            bytes: other.to_vec(),
        }
    }

    /// The number of a text, the same until [`Words::keep`].
    pub(super) fn id(&mut self, word: &[u8]) -> Id {
        if word.len() > LONGEST || word == OTHER_TEXT.as_bytes() {
            return OTHER;
        }
        let hash = self.hasher.hash_one(word);
        let (spans, bytes) = (&self.spans, &self.bytes);
        if let Some(&id) = self.table.find(hash, |&id| at(spans, bytes, id) == word) {
            return id;
        }
        let id = Id::try_from(self.spans.len()).unwrap_or(OTHER);
        let start = self.bytes.len();
        self.bytes.extend_from_slice(word);
        self.spans.push(start..self.bytes.len());
        let (spans, bytes, hasher) = (&self.spans, &self.bytes, &self.hasher);
        self.table.insert_unique(hash, id, |&id| hasher.hash_one(at(spans, bytes, id)));
        id
    }

    /// The text of a number; `None` for [`NULL`].
    pub(super) fn text(&self, id: Id) -> Option<&str> {
        let bytes = at(&self.spans, &self.bytes, id);
        // Every text comes out of a column of UTF-8.
        (id != NULL).then(|| std::str::from_utf8(bytes).unwrap_or_default())
    }

    pub(super) fn size(&self) -> usize {
        const EACH: usize = size_of::<Range<usize>>() + 8;
        self.bytes.len() + self.spans.len() * EACH
    }

    /// Forgets all texts but those in use, and gives the new number of each old one (of the others [`NULL`]).
    pub(super) fn keep(&mut self, used: impl Iterator<Item = Id>) -> Vec<Id> {
        let old = std::mem::replace(self, Words::new());
        let mut moved = vec![NULL; old.spans.len()];
        for id in used {
            if let Some(place) = moved.get_mut(id as usize) {
                if *place == NULL && id != NULL {
                    *place = if id == OTHER { OTHER } else { self.id(at(&old.spans, &old.bytes, id)) };
                }
            }
        }
        moved
    }
}

fn at<'a>(spans: &[Range<usize>], bytes: &'a [u8], id: Id) -> &'a [u8] {
    spans.get(id as usize).and_then(|span| bytes.get(span.clone())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_keeps_its_number_and_null_is_not_the_empty_text() {
        let mut words = Words::new();
        let (empty, a) = (words.id(b""), words.id(b"a"));
        assert_eq!((words.id(b"a"), words.text(a), words.text(empty)), (a, Some("a"), Some("")));
        assert_eq!((words.text(NULL), words.text(OTHER)), (None, Some("_other")));
        assert_ne!(empty, NULL);
    }

    #[test]
    fn what_is_too_long_or_calls_itself_other_is_other() {
        let mut words = Words::new();
        assert_eq!(words.id(&[b'a'; LONGEST + 1]), OTHER);
        assert_eq!(words.id(b"_other"), OTHER);
        assert_ne!(words.id(&[b'a'; LONGEST]), OTHER);
    }

    #[test]
    fn texts_in_use_outlive_the_others() {
        let mut words = Words::new();
        let ids: Vec<Id> = (0..1000).map(|number| words.id(format!("word {number}").as_bytes())).collect();
        let moved = words.keep([NULL, OTHER, ids[500], ids[7], ids[500]].into_iter());
        assert_eq!(words.text(moved[ids[500] as usize]), Some("word 500"));
        assert_eq!(words.text(moved[ids[7] as usize]), Some("word 7"));
        assert_eq!((moved[NULL as usize], moved[OTHER as usize], moved[ids[8] as usize]), (NULL, OTHER, NULL));
        assert_eq!(words.id(b"word 7"), moved[ids[7] as usize]);
        assert!(words.size() < 200);
    }
}
