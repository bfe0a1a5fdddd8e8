//! Field lists by name, whatever its case: each name once, in the order of first appearance, with the places of all its
//! values. What differs in case only is looked up once per batch, so a row costs as much as it has fields: strangers
//! choose how many that is.

use std::collections::HashMap;

use crate::ndjson::columns::{Columns, FieldLists};

/// The names of one dictionary.
struct Names<'a> {
    /// Where the dictionary lies, which tells it from others.
    dictionary: &'a [i32],
    /// For each word of the dictionary, the number that it shares with those that differ in case only.
    numbers: Vec<usize>,
    /// By number, the name in lower case.
    lower: Vec<Vec<u8>>,
    /// By number, the list that had it last.
    seen: Vec<u64>,
}

pub(super) struct Folded<'a> {
    names: Vec<Names<'a>>,
    list: u64,
    order: Vec<(usize, usize)>,
    places: Vec<usize>,
}

impl<'a> Folded<'a> {
    pub(super) fn of(columns: &Columns<'a>) -> Folded<'a> {
        let lists = [
            &columns.request_fields,
            &columns.response_fields,
            &columns.request_trailers,
            &columns.response_trailers,
            &columns.interim.fields,
        ];
        let mut names: Vec<Names<'a>> = Vec::new();
        for list in lists {
            let dictionary = list.names.words.offsets();
            if names.iter().any(|own| std::ptr::eq(own.dictionary, dictionary)) {
                continue;
            }
            let (mut known, mut lower): (HashMap<Vec<u8>, usize>, Vec<Vec<u8>>) = (HashMap::new(), Vec::new());
            let words = (0..list.names.words.len()).map(|word| list.names.words.bytes(word).to_ascii_lowercase());
            let numbers = words.map(|word| {
                *known.entry(word).or_insert_with_key(|word| {
                    lower.push(word.clone());
                    lower.len() - 1
                })
            });
            let numbers: Vec<usize> = numbers.collect();
            let seen = vec![0; lower.len()];
            names.push(Names { dictionary, numbers, lower, seen });
        }
        Folded { names, list: 0, order: Vec::new(), places: Vec::new() }
    }

    /// Calls `take` with each name of a row's list, in lower case, and the places of its values in order.
    pub(super) fn each(&mut self, lists: &FieldLists, row: usize, mut take: impl FnMut(&[u8], &[usize])) {
        let Some(range) = lists.rows.get(row) else { return };
        let dictionary = lists.names.words.offsets();
        let Some(names) = self.names.iter_mut().find(|own| std::ptr::eq(own.dictionary, dictionary)) else { return };
        self.list += 1;
        self.order.clear();
        let mut again = false;
        // A field whose name is not known can't be told by its name.
        for place in range.filter(|&place| lists.names.is_known(place)) {
            let number = names.numbers.get(lists.names.key(place)).copied().unwrap_or_default();
            if let Some(seen) = names.seen.get_mut(number) {
                again |= *seen == self.list;
                *seen = self.list;
            }
            self.order.push((number, place));
        }
        let name = |number: usize| names.lower.get(number).map(Vec::as_slice).unwrap_or_default();
        if !again {
            for &(number, place) in &self.order {
                take(name(number), &[place]);
            }
            return;
        }
        self.order.sort_unstable();
        let mut groups: Vec<&[(usize, usize)]> = self.order.chunk_by(|one, other| one.0 == other.0).collect();
        groups.sort_unstable_by_key(|group| group.first().map(|first| first.1));
        for group in groups {
            self.places.clear();
            self.places.extend(group.iter().map(|(_, place)| *place));
            take(name(group.first().map(|first| first.0).unwrap_or_default()), &self.places);
        }
    }
}
