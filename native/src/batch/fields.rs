//! One head's fields on their way into the columns.

use heads::exchange::{Field, Head, Unresolved};
use heads::rules::redact::Mask;
use heads::rules::select::{Direction, Place};
use heads::rules::url::Form;
use heads::rules::{Meaning, Rules};

use super::columns::{FieldLists, NULL};
use super::names::{Hints, Names};
use super::text;

/// The ids of the names of one head's fields, and where those stand that are read.
#[derive(Default)]
pub(super) struct Known {
    pub(super) ids: Vec<u32>,
    pub(super) read: Vec<(Meaning, u32)>,
}

impl Known {
    pub(super) fn clear(&mut self) {
        self.ids.clear();
        self.read.clear();
    }

    pub(super) fn learn(&mut self, names: &mut Names, rules: &Rules, hints: &mut Hints, raw: &[u8], fields: &[Field]) {
        self.clear();
        for (place, field) in fields.iter().enumerate() {
            let id = names.find(rules, hints, place, field.name.of(raw));
            self.ids.push(id);
            let meaning = names.get(id).rules.meaning;
            // What its sender calls a secret is not read out into other columns.
            if meaning != Meaning::None && !(field.never_indexed && rules.redact.enabled()) {
                self.read.push((meaning, u32::try_from(place).unwrap_or(u32::MAX)));
            }
        }
    }

    /// The values of the fields of one meaning, in order.
    pub(super) fn values<'a>(
        &'a self,
        head: &'a Head,
        meaning: Meaning,
    ) -> impl DoubleEndedIterator<Item = &'a [u8]> + 'a {
        let of =
            move |&(_, place): &(Meaning, u32)| head.fields.get(place as usize).map(|field| field.value.of(&head.raw));
        self.read.iter().filter(move |(is, _)| *is == meaning).filter_map(of)
    }

    /// What is done with the value of the field of this meaning, where it stands once.
    pub(super) fn mask(&self, names: &Names, meaning: Meaning) -> Mask {
        let place = self.read.iter().find(|(is, _)| *is == meaning).map(|&(_, place)| place as usize);
        let id = place.and_then(|place| self.ids.get(place));
        id.map_or(Mask::Whole, |&id| names.get(id).rules.mask)
    }

    /// The value of the field of this meaning, where it stands once.
    pub(super) fn only<'a>(&'a self, head: &'a Head, meaning: Meaning) -> Option<&'a [u8]> {
        let mut values = self.values(head, meaning);
        values.next().filter(|_| values.next().is_none())
    }
}

/// Looks ahead for bytes that a secret inside a value can't do without, so that values before the next one are not
/// looked through at all.
struct Suspects<'a> {
    raw: &'a [u8],
    mark: usize,
    percent: usize,
}

impl<'a> Suspects<'a> {
    fn new(raw: &'a [u8]) -> Suspects<'a> {
        Suspects { raw, mark: 0, percent: 0 }
    }

    #[inline]
    fn within(&mut self, start: usize, end: usize) -> bool {
        if self.mark < start {
            self.mark = self.next(start, |rest| memchr::memchr3(b'?', b'@', b'#', rest));
        }
        if self.percent < start {
            self.percent = self.next(start, |rest| memchr::memchr(b'%', rest));
        }
        self.mark < end || self.percent < end
    }

    fn next(&self, start: usize, find: impl Fn(&[u8]) -> Option<usize>) -> usize {
        self.raw.get(start..).and_then(find).map_or(usize::MAX, |at| start + at)
    }
}

/// What the writing of fields needs besides the fields.
pub(super) struct Writer<'a> {
    pub(super) rules: &'a Rules,
    pub(super) names: &'a mut Names,
    pub(super) scratch: &'a mut Vec<u8>,
    pub(super) place: Place,
    pub(super) direction: Direction,
}

impl Writer<'_> {
    /// Appends those fields that are selected, as they may be seen. True when a value or name had to be escaped.
    pub(super) fn write(&mut self, raw: &[u8], fields: &[Field], ids: &[u32], out: &mut FieldLists) -> bool {
        let ascii = text::is_ascii(raw);
        let mut suspects = Suspects::new(raw);
        let mut escaped = false;
        for (field, &id) in fields.iter().zip(ids) {
            let rules = self.names.get(id).rules;
            let selection = &self.rules.selection;
            if !selection.selected(self.place, self.direction, rules.selected, field.name.of(raw)) {
                continue;
            }
            if field.unresolved != Unresolved::Nothing || field.never_indexed {
                escaped |= self.unusual(raw, field, id, out);
                continue;
            }
            out.name(self.names.key(self.rules, id));
            let value = field.value.of(raw);
            let start = field.value.start as usize;
            let plain = match rules.mask {
                Mask::Nothing => true,
                Mask::Urls(Form::Text | Form::Authority) => !suspects.within(start, start + value.len()),
                _ => false,
            };
            if ascii && plain {
                text::append(raw, start, start + value.len(), &mut out.values.bytes);
                out.values.close();
                continue;
            }
            if ascii {
                self.rules.redact.value(rules.mask, value, &mut out.values.bytes);
            } else {
                escaped |= !ascii && std::str::from_utf8(field.name.of(raw)).is_err();
                self.scratch.clear();
                self.rules.redact.value(rules.mask, value, self.scratch);
                escaped |= text::push(self.scratch, &mut out.values.bytes);
            }
            out.values.close();
        }
        escaped
    }

    /// A field of HTTP/2 of which something is not known, or that its sender called a secret.
    #[cold]
    fn unusual(&mut self, raw: &[u8], field: &Field, id: u32, out: &mut FieldLists) -> bool {
        let (known, named) = (field.unresolved != Unresolved::Both, field.unresolved == Unresolved::Nothing);
        out.name(if named { self.names.key(self.rules, id) } else { NULL });
        if !known {
            out.values.push_option(None);
            return false;
        }
        // Nobody knows whether a value without a name is a secret.
        let mask = if named { self.names.get(id).rules.mask.of_secret() } else { Mask::Line };
        self.scratch.clear();
        let mask = if self.rules.redact.enabled() { mask } else { Mask::Nothing };
        self.rules.redact.value(mask, field.value.of(raw), self.scratch);
        let name_escaped = named && std::str::from_utf8(field.name.of(raw)).is_err();
        let escaped = text::push(self.scratch, &mut out.values.bytes);
        out.values.close();
        escaped | name_escaped
    }
}
