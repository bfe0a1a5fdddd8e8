//! Field names that were seen, with all that was decided about them.
//!
//! The same few names come back in every head, mostly in the same place: so a name is compared with the one that
//! stood there in the row before, and hashed only when it is another.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};
use heads::rules::{NameRules, Rules};

use super::columns::Dictionary;
use super::text;

/// Names kept from one batch to the next; a client that makes up names can't grow the table beyond.
const KEPT_NAMES: usize = 4096;

/// Names in one place of a head are looked for up to this place by comparison with the row before.
const HINTS: usize = 64;

pub(super) struct Name {
    start: usize,
    end: usize,
    pub(super) rules: NameRules,
    /// The key in the batch's dictionary, where `batch` is the current one.
    key: i32,
    batch: u32,
}

/// The name that stood in each place of the last head of one kind.
#[derive(Clone, Copy)]
pub(super) struct Hints([u32; HINTS]);

impl Hints {
    pub(super) fn new() -> Hints {
        Hints([0; HINTS])
    }
}

pub(super) struct Names {
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
    known: Vec<Name>,
    bytes: Vec<u8>,
    batch: u32,
    pub(super) dictionary: Dictionary,
    scratch: Vec<u8>,
}

impl Names {
    pub(super) fn new() -> Names {
        Names {
            table: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            known: Vec::new(),
            bytes: Vec::new(),
            batch: 1,
            dictionary: Dictionary::new(),
            scratch: Vec::new(),
        }
    }

    #[inline]
    pub(super) fn get(&self, id: u32) -> &Name {
        &self.known[id as usize]
    }

    /// The id of a name, valid until [`Names::forget`]; `place` is where it stands in its head.
    #[inline]
    pub(super) fn find(&mut self, rules: &Rules, hints: &mut Hints, place: usize, name: &[u8]) -> u32 {
        let hint = hints.0.get(place).copied().unwrap_or(u32::MAX);
        if let Some(there) = self.known.get(hint as usize) {
            if self.bytes[there.start..there.end] == *name {
                return hint;
            }
        }
        let id = self.look_up(rules, name);
        if let Some(hint) = hints.0.get_mut(place) {
            *hint = id;
        }
        id
    }

    fn look_up(&mut self, rules: &Rules, name: &[u8]) -> u32 {
        let hash = self.hasher.hash_one(name);
        let (names, bytes) = (&self.known, &self.bytes);
        let is = |&id: &u32| names.get(id as usize).is_some_and(|known| bytes[known.start..known.end] == *name);
        if let Some(&id) = self.table.find(hash, is) {
            return id;
        }
        let id = u32::try_from(self.known.len()).unwrap_or(u32::MAX);
        let start = self.bytes.len();
        self.bytes.extend_from_slice(name);
        self.known.push(Name { start, end: self.bytes.len(), rules: rules.name(name), key: 0, batch: 0 });
        let (names, bytes, hasher) = (&self.known, &self.bytes, &self.hasher);
        let rehash = |&id: &u32| {
            let known = &names[id as usize];
            hasher.hash_one(&bytes[known.start..known.end])
        };
        self.table.insert_unique(hash, id, rehash);
        id
    }

    /// The key of a name in the dictionary of this batch. A name that may not be seen stands there as a pseudonym.
    #[inline]
    pub(super) fn key(&mut self, rules: &Rules, id: u32) -> i32 {
        let name = &self.known[id as usize];
        if name.batch == self.batch {
            return name.key;
        }
        self.new_key(rules, id)
    }

    fn new_key(&mut self, rules: &Rules, id: u32) -> i32 {
        let name = &mut self.known[id as usize];
        let raw = &self.bytes[name.start..name.end];
        let mut seen = std::mem::take(&mut self.scratch);
        seen.clear();
        rules.redact.name(name.rules.mask, raw, &mut seen);
        if std::str::from_utf8(&seen).is_err() {
            let raw = std::mem::take(&mut seen);
            text::escape(&raw, &mut seen);
        }
        name.key = self.dictionary.key(&seen);
        name.batch = self.batch;
        self.scratch = seen;
        name.key
    }

    pub(super) fn size(&self) -> usize {
        self.bytes.len() + self.known.len() * (size_of::<Name>() + 8) + self.dictionary.size()
    }

    /// The next batch begins with an empty dictionary.
    pub(super) fn next_batch(&mut self) {
        self.batch = self.batch.wrapping_add(1);
        if self.known.len() > KEPT_NAMES || self.batch == 0 {
            self.forget();
        }
    }

    /// Drops all decisions, as the rules changed.
    pub(super) fn forget(&mut self) {
        self.table.clear();
        self.known.clear();
        self.bytes.clear();
        self.batch = self.batch.max(1);
    }
}
