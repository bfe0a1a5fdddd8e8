//! Field lists as JSON: each name is quoted once per batch.

use std::collections::HashMap;
use std::ops::Range;

use super::columns::{Columns, FieldLists, Texts};
use super::{quote, Headers};
use crate::batch::append;

/// One distinct name, ready to be written.
struct Name {
    /// `"name":["` or `["Name","`.
    start: usize,
    end: usize,
    /// Names that differ in case only have the same number.
    folded: u32,
}

pub(crate) struct Names<'a> {
    /// Where the dictionary lies, which tells it from others.
    dictionary: &'a [i32],
    text: Vec<u8>,
    names: Vec<Name>,
    /// For each folded number, the list that had it last.
    seen: Vec<u32>,
    list: u32,
}

impl<'a> Names<'a> {
    fn new(words: &Texts<'a>, headers: Headers) -> Names<'a> {
        let mut text = Vec::new();
        let mut numbers: HashMap<Vec<u8>, u32> = HashMap::new();
        let mut names = Vec::with_capacity(words.len());
        for word in (0..words.len()).map(|place| words.bytes(place)) {
            let start = text.len();
            let lower = word.to_ascii_lowercase();
            let shown = if headers == Headers::Object { &lower[..] } else { word };
            text.extend_from_slice(if headers == Headers::Object { b"\"" } else { b"[\"" });
            quote::push(shown, &mut text);
            text.extend_from_slice(if headers == Headers::Object { b"\":[\"" } else { b"\",\"" });
            let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
            let folded = *numbers.entry(lower).or_insert(next);
            names.push(Name { start, end: text.len(), folded });
        }
        // Room behind the last name, for `append` to copy wide.
        text.resize(text.len() + 32, 0);
        Names { dictionary: words.offsets(), text, names, seen: vec![0; numbers.len()], list: 0 }
    }

    /// One for each dictionary of names: a batch that was just made has one in all, one that was read has several.
    pub(crate) fn of(columns: &Columns<'a>, headers: Headers) -> Vec<Names<'a>> {
        let lists = [
            &columns.request_fields,
            &columns.response_fields,
            &columns.request_trailers,
            &columns.response_trailers,
            &columns.interim.fields,
        ];
        let mut found: Vec<Names<'a>> = Vec::new();
        for list in lists {
            if !found.iter().any(|names| names.belong_to(list)) {
                found.push(Names::new(&list.names.words, headers));
            }
        }
        found
    }

    /// Whether these are the names that the lists refer to.
    #[inline]
    pub(crate) fn belong_to(&self, lists: &FieldLists) -> bool {
        std::ptr::eq(self.dictionary, lists.names.words.offsets())
    }

    /// A field whose name is not known is left out: nobody could ask for it.
    pub(crate) fn object(&mut self, lists: &FieldLists, places: Range<usize>, plain: bool, out: &mut Vec<u8>) {
        out.push(b'{');
        if self.has_duplicates(lists, places.clone()) {
            self.merged(lists, places, out);
        } else {
            for place in places.filter(|&place| lists.names.is_known(place)) {
                self.begin(lists.names.key(place), out);
                value(lists, place, plain, out);
                out.extend_from_slice(b"],");
            }
        }
        end(b'}', out);
    }

    pub(crate) fn pairs(&self, lists: &FieldLists, places: Range<usize>, plain: bool, out: &mut Vec<u8>) {
        out.push(b'[');
        for place in places {
            if lists.names.is_known(place) {
                self.begin(lists.names.key(place), out);
            } else {
                out.extend_from_slice(b"[null,\"");
            }
            value(lists, place, plain, out);
            out.extend_from_slice(b"],");
        }
        end(b']', out);
    }

    #[inline]
    fn begin(&self, key: usize, out: &mut Vec<u8>) {
        if let Some(name) = self.names.get(key) {
            append(&self.text, name.start, name.end, out);
        }
    }

    fn folded(&self, key: usize) -> u32 {
        self.names.get(key).map_or(0, |name| name.folded)
    }

    fn has_duplicates(&mut self, lists: &FieldLists, places: Range<usize>) -> bool {
        self.list = self.list.wrapping_add(1);
        let mut duplicates = false;
        for place in places.filter(|&place| lists.names.is_known(place)) {
            let folded = self.folded(lists.names.key(place));
            if let Some(seen) = self.seen.get_mut(folded as usize) {
                duplicates |= *seen == self.list;
                *seen = self.list;
            }
        }
        duplicates
    }

    /// Values of one name together, in the order of their first lines: sorted by name and place, then by place.
    fn merged(&self, lists: &FieldLists, places: Range<usize>, out: &mut Vec<u8>) {
        let known = places.filter(|&place| lists.names.is_known(place));
        let mut lines: Vec<(u32, usize)> = known.map(|place| (self.folded(lists.names.key(place)), place)).collect();
        lines.sort_unstable();
        let mut groups: Vec<&[(u32, usize)]> = lines.chunk_by(|one, other| one.0 == other.0).collect();
        groups.sort_unstable_by_key(|group| group.first().map(|line| line.1));
        for group in groups {
            for (index, &(_, place)) in group.iter().enumerate() {
                if index == 0 {
                    self.begin(lists.names.key(place), out);
                } else {
                    out.extend_from_slice(b",\"");
                }
                value(lists, place, false, out);
            }
            out.extend_from_slice(b"],");
        }
    }
}

/// The rest of a value whose first quote is there already.
#[inline]
fn value(lists: &FieldLists, place: usize, plain: bool, out: &mut Vec<u8>) {
    if !lists.values.is_known(place) {
        out.pop();
        out.extend_from_slice(b"null");
        return;
    }
    if plain {
        lists.values.append(place, out);
    } else {
        quote::push(lists.values.bytes(place), out);
    }
    out.push(b'"');
}

fn end(bracket: u8, out: &mut Vec<u8>) {
    if out.last() == Some(&b',') {
        out.pop();
    }
    out.push(bracket);
}
