//! Columns that grow by plain vectors and become Arrow arrays without a copy.

use std::hash::BuildHasher;
use std::sync::Arc;

use arrow_array::types::{ArrowPrimitiveType, Int32Type};
use arrow_array::{ArrayRef, DictionaryArray, ListArray, PrimitiveArray, StringArray, StructArray};
use arrow_buffer::{Buffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, Fields};
use hashbrown::{DefaultHashBuilder, HashTable};

use super::schema;

/// Stands for null among dictionary keys until they are pushed.
pub(super) const NULL: i32 = -1;

/// The end of `bytes` as an Arrow offset. Batches are sealed far below the limit of 2 GiB.
#[inline]
fn offset(bytes: &[u8]) -> i32 {
    i32::try_from(bytes.len()).unwrap_or(i32::MAX)
}

/// A fresh vector for the next batch, as large as this one grew, so that it need not be moved while it fills.
fn renew<T>(vector: &mut Vec<T>) -> Vec<T> {
    let next = Vec::with_capacity(vector.len() + vector.len() / 8);
    std::mem::replace(vector, next)
}

/// Offsets begin with 0.
fn renew_offsets(offsets: &mut Vec<i32>) -> OffsetBuffer<i32> {
    let full = renew(offsets);
    offsets.push(0);
    OffsetBuffer::new(ScalarBuffer::from(full))
}

fn no_nulls() -> NullBufferBuilder {
    NullBufferBuilder::new(0)
}

/// A column of texts.
pub(super) struct Text {
    offsets: Vec<i32>,
    pub(super) bytes: Vec<u8>,
    nulls: NullBufferBuilder,
}

impl Text {
    pub(super) fn new() -> Text {
        Text { offsets: vec![0], bytes: Vec::new(), nulls: no_nulls() }
    }

    /// Ends the value whose text was appended to `bytes`.
    #[inline]
    pub(super) fn close(&mut self) {
        self.offsets.push(offset(&self.bytes));
        self.nulls.append_non_null();
    }

    #[inline]
    pub(super) fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.close();
    }

    pub(super) fn push_option(&mut self, text: Option<&[u8]>) {
        if let Some(text) = text {
            self.push(text);
        } else {
            self.offsets.push(offset(&self.bytes));
            self.nulls.append_null();
        }
    }

    pub(super) fn size(&self) -> usize {
        self.bytes.len() + 4 * self.offsets.len()
    }

    pub(super) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let offsets = renew_offsets(&mut self.offsets);
        let bytes = Buffer::from_vec(renew(&mut self.bytes));
        Ok(Arc::new(StringArray::try_new(offsets, bytes, self.nulls.finish())?))
    }
}

/// A column of numbers.
pub(super) struct Numbers<T: ArrowPrimitiveType> {
    values: Vec<T::Native>,
    nulls: NullBufferBuilder,
}

impl<T: ArrowPrimitiveType> Numbers<T> {
    pub(super) fn new() -> Numbers<T> {
        Numbers { values: Vec::new(), nulls: no_nulls() }
    }

    #[inline]
    pub(super) fn push(&mut self, value: T::Native) {
        self.values.push(value);
        self.nulls.append_non_null();
    }

    #[inline]
    pub(super) fn push_option(&mut self, value: Option<T::Native>) {
        self.values.push(value.unwrap_or_default());
        self.nulls.append(value.is_some());
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    pub(super) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let values = ScalarBuffer::from(renew(&mut self.values));
        Ok(Arc::new(PrimitiveArray::<T>::try_new(values, self.nulls.finish())?))
    }
}

/// The distinct texts of a dictionary column, each with its key.
pub(super) struct Dictionary {
    keys: HashTable<i32>,
    hasher: DefaultHashBuilder,
    offsets: Vec<i32>,
    bytes: Vec<u8>,
    last: i32,
}

impl Dictionary {
    pub(super) fn new() -> Dictionary {
        Dictionary {
            keys: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            offsets: vec![0],
            bytes: Vec::new(),
            last: NULL,
        }
    }

    #[inline]
    pub(super) fn text(&self, key: i32) -> &[u8] {
        text(&self.offsets, &self.bytes, key)
    }

    /// The key of a text that comes in runs: the last one is tried first.
    #[inline]
    pub(super) fn key(&mut self, word: &[u8]) -> i32 {
        if self.last == NULL || self.text(self.last) != word {
            self.last = self.find(word);
        }
        self.last
    }

    /// The key of a text that is the last one.
    #[inline]
    pub(super) fn key_of_last(&self, word: &[u8]) -> Option<i32> {
        (self.last != NULL && self.text(self.last) == word).then_some(self.last)
    }

    fn find(&mut self, word: &[u8]) -> i32 {
        let hash = self.hasher.hash_one(word);
        let (offsets, bytes) = (&self.offsets, &self.bytes);
        if let Some(&key) = self.keys.find(hash, |&key| text(offsets, bytes, key) == word) {
            return key;
        }
        let key = offset_count(&self.offsets);
        self.bytes.extend_from_slice(word);
        self.offsets.push(offset(&self.bytes));
        let (offsets, bytes, hasher) = (&self.offsets, &self.bytes, &self.hasher);
        self.keys.insert_unique(hash, key, |&key| hasher.hash_one(text(offsets, bytes, key)));
        key
    }

    pub(super) fn size(&self) -> usize {
        self.bytes.len() + 12 * self.offsets.len()
    }

    pub(super) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        self.keys.clear();
        self.last = NULL;
        let offsets = renew_offsets(&mut self.offsets);
        Ok(Arc::new(StringArray::try_new(offsets, Buffer::from_vec(renew(&mut self.bytes)), None)?))
    }
}

fn text<'a>(offsets: &[i32], bytes: &'a [u8], key: i32) -> &'a [u8] {
    let at = |index: usize| offsets.get(index).map_or(0, |&offset| usize::try_from(offset).unwrap_or(0));
    let key = usize::try_from(key).unwrap_or(usize::MAX - 1);
    bytes.get(at(key)..at(key + 1)).unwrap_or_default()
}

fn offset_count(offsets: &[i32]) -> i32 {
    i32::try_from(offsets.len() - 1).unwrap_or(i32::MAX)
}

/// A dictionary column.
pub(super) struct Words {
    keys: Vec<i32>,
    nulls: NullBufferBuilder,
    pub(super) dictionary: Dictionary,
}

impl Words {
    pub(super) fn new() -> Words {
        Words { keys: Vec::new(), nulls: no_nulls(), dictionary: Dictionary::new() }
    }

    #[inline]
    pub(super) fn push_key(&mut self, key: i32) {
        self.keys.push(key.max(0));
        self.nulls.append(key != NULL);
    }

    #[inline]
    pub(super) fn push(&mut self, word: Option<&[u8]>) {
        let key = word.map_or(NULL, |word| self.dictionary.key(word));
        self.push_key(key);
    }

    pub(super) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let words = self.dictionary.finish()?;
        dictionary(renew(&mut self.keys), self.nulls.finish(), words)
    }
}

fn dictionary(
    mut keys: Vec<i32>,
    nulls: Option<arrow_buffer::NullBuffer>,
    words: ArrayRef,
) -> Result<ArrayRef, ArrowError> {
    if words.is_empty() {
        keys.fill(0);
    }
    let keys = PrimitiveArray::<Int32Type>::try_new(ScalarBuffer::from(keys), nulls)?;
    Ok(Arc::new(DictionaryArray::try_new(keys, words)?))
}

/// A column of field lists: `list<struct<name, value>>`.
pub(super) struct FieldLists {
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
    names: Vec<i32>,
    named: NullBufferBuilder,
    pub(super) values: Text,
}

impl FieldLists {
    pub(super) fn new() -> FieldLists {
        FieldLists { offsets: vec![0], nulls: no_nulls(), names: Vec::new(), named: no_nulls(), values: Text::new() }
    }

    /// Begins a field: its name's key, or [`NULL`].
    #[inline]
    pub(super) fn name(&mut self, key: i32) {
        self.names.push(key.max(0));
        self.named.append(key != NULL);
    }

    /// Ends the row: `present` tells an empty list from null.
    #[inline]
    pub(super) fn close(&mut self, present: bool) {
        self.offsets.push(i32::try_from(self.names.len()).unwrap_or(i32::MAX));
        self.nulls.append(present);
    }

    pub(super) fn size(&self) -> usize {
        self.values.size() + 4 * (self.offsets.len() + self.names.len())
    }

    /// `names` is the dictionary that the keys are of.
    pub(super) fn finish(&mut self, names: &ArrayRef) -> Result<ArrayRef, ArrowError> {
        let keys = dictionary(renew(&mut self.names), self.named.finish(), Arc::clone(names))?;
        let items = StructArray::try_new(schema::field_parts(), vec![keys, self.values.finish()?], None)?;
        let offsets = renew_offsets(&mut self.offsets);
        list(schema::field_parts(), offsets, items, self.nulls.finish())
    }
}

/// A column of interim responses: `list<struct<status, fields>>`.
pub(super) struct Interims {
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
    pub(super) statuses: Numbers<arrow_array::types::UInt16Type>,
    pub(super) fields: FieldLists,
}

impl Interims {
    pub(super) fn new() -> Interims {
        Interims { offsets: vec![0], nulls: no_nulls(), statuses: Numbers::new(), fields: FieldLists::new() }
    }

    pub(super) fn close(&mut self, present: bool) {
        self.offsets.push(i32::try_from(self.statuses.len()).unwrap_or(i32::MAX));
        self.nulls.append(present);
    }

    pub(super) fn finish(&mut self, names: &ArrayRef) -> Result<ArrayRef, ArrowError> {
        let parts = vec![self.statuses.finish()?, self.fields.finish(names)?];
        let items = StructArray::try_new(schema::interim_parts(), parts, None)?;
        list(schema::interim_parts(), renew_offsets(&mut self.offsets), items, self.nulls.finish())
    }
}

fn list(
    parts: Fields,
    offsets: OffsetBuffer<i32>,
    items: StructArray,
    nulls: Option<arrow_buffer::NullBuffer>,
) -> Result<ArrayRef, ArrowError> {
    Ok(Arc::new(ListArray::try_new(schema::item(parts), offsets, Arc::new(items), nulls)?))
}

/// A column of sets of words out of a fixed list.
pub(super) struct Sets {
    offsets: Vec<i32>,
    keys: Vec<i32>,
}

impl Sets {
    pub(super) fn new() -> Sets {
        Sets { offsets: vec![0], keys: Vec::new() }
    }

    /// Pushes the set of the list's places whose bits are set.
    #[inline]
    pub(super) fn push(&mut self, bits: u16) {
        let mut rest = bits;
        while rest != 0 {
            self.keys.push(rest.trailing_zeros().cast_signed());
            rest &= rest - 1;
        }
        self.offsets.push(i32::try_from(self.keys.len()).unwrap_or(i32::MAX));
    }

    pub(super) fn finish(&mut self, words: &[&str]) -> Result<ArrayRef, ArrowError> {
        let words: ArrayRef = Arc::new(StringArray::from(words.to_vec()));
        let items = dictionary(renew(&mut self.keys), None, words)?;
        let offsets = renew_offsets(&mut self.offsets);
        Ok(Arc::new(ListArray::try_new(schema::words_item(), offsets, items, None)?))
    }
}
