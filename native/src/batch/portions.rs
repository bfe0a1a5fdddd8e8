//! Some rows of a batch, several batches as one, and how large they are.
//!
//! Rows that are taken out get dictionaries of their own that hold no word which they don't use, so that a few rows
//! that wait for another try don't keep a whole batch in memory.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, DictionaryArray, Int32Array, ListArray, RecordBatch, StringArray, StructArray};
use arrow_array::{Float64Array, UInt64Array};
use arrow_buffer::ArrowNativeType;
use arrow_schema::{ArrowError, DataType};
use hashbrown::HashMap;

use super::schema;

/// Bytes of the values of a batch's rows: of a slice, those of the slice. A dictionary counts whole, and once.
pub(crate) fn size(batch: &RecordBatch) -> usize {
    let mut seen = Vec::new();
    batch.columns().iter().map(|column| size_of(column, &mut seen)).sum()
}

fn size_of(array: &dyn Array, seen: &mut Vec<*const u8>) -> usize {
    let nulls = array.nulls().map_or(0, |nulls| nulls.len().div_ceil(8));
    let offsets = 4 * (array.len() + 1);
    nulls
        + match array.data_type() {
            DataType::Utf8 => {
                let ends = array.as_string::<i32>().value_offsets();
                offsets + ends.last().map_or(0, |last| (last - ends[0]).as_usize())
            }
            DataType::Dictionary(..) => {
                let words = array.as_dictionary::<Int32Type>().values();
                let place = words.as_string_opt::<i32>().map_or(std::ptr::null(), |words| words.value_data().as_ptr());
                let known = seen.contains(&place);
                seen.push(place);
                4 * array.len() + if known { 0 } else { size_of(words, seen) }
            }
            DataType::List(_) => {
                let lists = array.as_list::<i32>();
                let ends = lists.value_offsets();
                let (start, end) = (ends[0].as_usize(), ends[array.len()].as_usize());
                offsets + size_of(&lists.values().slice(start, end - start), seen)
            }
            DataType::Struct(_) => array.as_struct().columns().iter().map(|column| size_of(column, seen)).sum(),
            kind => array.len() * kind.primitive_width().unwrap_or(0),
        }
}

/// The rows at `places`, in that order; a place may come twice.
pub(crate) fn take(batch: &RecordBatch, places: Vec<u64>) -> Result<RecordBatch, ArrowError> {
    compact(&arrow_select::take::take_record_batch(batch, &UInt64Array::from(places))?)
}

/// All rows of several batches, one behind the other.
pub(crate) fn concat<'a>(batches: impl IntoIterator<Item = &'a RecordBatch>) -> Result<RecordBatch, ArrowError> {
    compact(&arrow_select::concat::concat_batches(&schema::schema(), batches)?)
}

/// One row of `one_in`, which then stands for all of them.
///
/// The choice hangs on what both ends of a call see alike: the two sockets' addresses, the number of the exchange on
/// its connection, the caller's place in its trace. The weight that a row has already is part of it, so that rows which
/// were sampled before are sampled anew, not all kept.
pub(crate) fn sample(batch: &RecordBatch, one_in: u32) -> Result<RecordBatch, ArrowError> {
    let share = u64::MAX / u64::from(one_in.max(1));
    let marks = RowMarks::of(batch)?;
    let kept = (0..batch.num_rows()).filter(|&row| marks.of_row(row) <= share);
    let batch = take(batch, kept.map(|row| row as u64).collect())?;
    let place = batch.schema().index_of("sample_weight")?;
    let weights = batch.column(place).as_primitive::<arrow_array::types::Float64Type>();
    let weights: Float64Array = weights.unary(|weight| weight * f64::from(one_in.max(1)));
    let mut columns = batch.columns().to_vec();
    columns[place] = Arc::new(weights);
    RecordBatch::try_new(batch.schema(), columns)
}

/// What the choice of a row hangs on.
struct RowMarks<'a> {
    words: Vec<(&'a Int32Array, &'a StringArray)>,
    ports: Vec<&'a arrow_array::UInt16Array>,
    exchange: &'a StringArray,
    traces: [&'a StringArray; 2],
    weight: &'a Float64Array,
}

impl<'a> RowMarks<'a> {
    fn of(batch: &'a RecordBatch) -> Result<RowMarks<'a>, ArrowError> {
        let column = |name: &str| Ok::<&'a dyn Array, ArrowError>(batch.column(batch.schema_ref().index_of(name)?));
        let words = |name: &str| {
            let column = column(name)?.as_dictionary::<Int32Type>();
            Ok::<_, ArrowError>((column.keys(), column.values().as_string::<i32>()))
        };
        Ok(RowMarks {
            words: vec![words("client_address")?, words("server_address")?],
            ports: vec![column("client_port")?.as_primitive(), column("server_port")?.as_primitive()],
            exchange: column("exchange_id")?.as_string(),
            traces: [column("trace_id")?.as_string(), column("parent_id")?.as_string()],
            weight: column("sample_weight")?.as_primitive(),
        })
    }

    fn of_row(&self, row: usize) -> u64 {
        let mut hash = Hash::new();
        for (keys, words) in &self.words {
            hash.text(keys.is_valid(row).then(|| words.value(keys.value(row).as_usize())));
        }
        for ports in &self.ports {
            let port = if ports.is_valid(row) { ports.value(row) } else { 0 };
            hash.bytes(&port.to_le_bytes());
        }
        // The number is what stands behind the last dash.
        let exchange = if self.exchange.is_valid(row) { self.exchange.value(row) } else { "" };
        hash.text(exchange.rsplit('-').next());
        for texts in self.traces {
            hash.text(texts.is_valid(row).then(|| texts.value(row)));
        }
        let weight = if self.weight.is_valid(row) { self.weight.value(row) } else { 1.0 };
        hash.bytes(&weight.to_bits().to_le_bytes());
        hash.finish()
    }
}

/// FNV-1a (RFC 9923), its end mixed by splitmix64 so that the high bits are as good as the low ones: the same in every
/// process and version, which no hash of the standard library promises.
struct Hash(u64);

impl Hash {
    fn new() -> Hash {
        Hash(0xcbf2_9ce4_8422_2325)
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// A text and its end; no text is another thing than an empty one.
    fn text(&mut self, text: Option<&str>) {
        self.bytes(text.unwrap_or_default().as_bytes());
        self.bytes(&[if text.is_some() { 0xff } else { 0xfe }]);
    }

    fn finish(&self) -> u64 {
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

/// The same rows, each dictionary with the words that are used, once each.
fn compact(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().map(compact_array).collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(batch.schema(), columns)
}

fn compact_array(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    Ok(match array.data_type() {
        DataType::Dictionary(..) => compact_words(array.as_dictionary::<Int32Type>())?,
        DataType::List(item) => {
            let lists = array.as_list::<i32>();
            let items = compact_array(lists.values())?;
            Arc::new(ListArray::try_new(Arc::clone(item), lists.offsets().clone(), items, lists.nulls().cloned())?)
        }
        DataType::Struct(parts) => {
            let items = array.as_struct();
            let columns = items.columns().iter().map(compact_array).collect::<Result<Vec<_>, _>>()?;
            let nulls = items.nulls().cloned();
            Arc::new(StructArray::try_new_with_length(parts.clone(), columns, nulls, array.len())?)
        }
        _ => Arc::clone(array),
    })
}

fn compact_words(array: &DictionaryArray<Int32Type>) -> Result<ArrayRef, ArrowError> {
    const UNUSED: i32 = -1;
    let words = array.values().as_string::<i32>();
    let mut known: HashMap<&str, i32> = HashMap::new();
    let mut used: Vec<&str> = Vec::new();
    let mut places = vec![UNUSED; words.len()];
    let keys = array.keys();
    let mut fresh = vec![0; keys.len()];
    for (row, new) in fresh.iter_mut().enumerate().filter(|(row, _)| keys.is_valid(*row)) {
        let old = keys.value(row).as_usize();
        if places[old] == UNUSED {
            let word = words.value(old);
            places[old] = *known.entry(word).or_insert_with(|| {
                used.push(word);
                i32::try_from(used.len() - 1).unwrap_or(i32::MAX)
            });
        }
        *new = places[old];
    }
    let keys = Int32Array::try_new(fresh.into(), keys.nulls().cloned())?;
    Ok(Arc::new(DictionaryArray::try_new(keys, Arc::new(StringArray::from(used)))?))
}
