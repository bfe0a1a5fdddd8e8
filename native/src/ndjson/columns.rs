//! A batch's columns as slices.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Float64Type, Int32Type, Int64Type, TimestampNanosecondType, UInt16Type, UInt32Type, UInt64Type,
    UInt8Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_buffer::{ArrowNativeType, NullBuffer};
use arrow_schema::ArrowError;

use crate::batch::append;

/// A column of numbers.
pub(crate) struct Numbers<'a, T: ArrowPrimitiveType> {
    values: &'a [T::Native],
    nulls: Option<&'a NullBuffer>,
}

impl<'a, T: ArrowPrimitiveType> Numbers<'a, T> {
    fn of(array: &'a dyn Array) -> Option<Numbers<'a, T>> {
        let array = array.as_primitive_opt::<T>()?;
        Some(Numbers { values: array.values(), nulls: array.nulls() })
    }

    #[inline]
    pub(crate) fn get(&self, row: usize) -> Option<T::Native> {
        let valid = self.nulls.is_none_or(|nulls| nulls.is_valid(row));
        valid.then(|| self.values.get(row).copied())?
    }
}

/// A column of texts.
pub(crate) struct Texts<'a> {
    offsets: &'a [i32],
    bytes: &'a [u8],
    nulls: Option<&'a NullBuffer>,
}

impl<'a> Texts<'a> {
    fn of(array: &'a dyn Array) -> Option<Texts<'a>> {
        let array = array.as_string_opt::<i32>()?;
        Some(Texts { offsets: array.value_offsets(), bytes: array.value_data(), nulls: array.nulls() })
    }

    pub(crate) fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    pub(crate) fn offsets(&self) -> &'a [i32] {
        self.offsets
    }

    /// The bytes of a place, whether null or not.
    #[inline]
    pub(crate) fn bytes(&self, place: usize) -> &'a [u8] {
        self.span(place, place + 1)
    }

    /// The bytes of neighbouring places.
    #[inline]
    pub(crate) fn span(&self, start: usize, end: usize) -> &'a [u8] {
        match (self.offsets.get(start), self.offsets.get(end)) {
            (Some(start), Some(end)) => self.bytes.get(start.as_usize()..end.as_usize()).unwrap_or_default(),
            _ => &[],
        }
    }

    /// Appends the bytes of a place as they are.
    #[inline]
    pub(crate) fn append(&self, place: usize, out: &mut Vec<u8>) {
        if let (Some(start), Some(end)) = (self.offsets.get(place), self.offsets.get(place + 1)) {
            append(self.bytes, start.as_usize(), end.as_usize(), out);
        }
    }

    /// Whether a row has a text at all.
    #[inline]
    pub(crate) fn is_known(&self, row: usize) -> bool {
        self.nulls.is_none_or(|nulls| nulls.is_valid(row))
    }

    #[inline]
    pub(crate) fn get(&self, row: usize) -> Option<&'a [u8]> {
        self.is_known(row).then(|| self.bytes(row))
    }
}

/// A dictionary column.
pub(crate) struct Words<'a> {
    keys: &'a [i32],
    nulls: Option<&'a NullBuffer>,
    pub(crate) words: Texts<'a>,
}

impl<'a> Words<'a> {
    fn of(array: &'a dyn Array) -> Option<Words<'a>> {
        let array = array.as_dictionary_opt::<Int32Type>()?;
        let keys = array.keys();
        Some(Words { keys: keys.values(), nulls: keys.nulls(), words: Texts::of(array.values().as_ref())? })
    }

    #[inline]
    pub(crate) fn key(&self, row: usize) -> usize {
        self.keys.get(row).map_or(0, |key| key.as_usize())
    }

    /// Whether a row has a word at all.
    #[inline]
    pub(crate) fn is_known(&self, row: usize) -> bool {
        self.nulls.is_none_or(|nulls| nulls.is_valid(row))
    }

    #[inline]
    pub(crate) fn get(&self, row: usize) -> Option<&'a [u8]> {
        self.is_known(row).then(|| self.words.bytes(self.key(row)))
    }
}

/// The rows of a list column, as ranges of places in its items.
pub(crate) struct Lists<'a> {
    offsets: &'a [i32],
    nulls: Option<&'a NullBuffer>,
}

impl<'a> Lists<'a> {
    fn of(array: &'a dyn Array) -> Option<(Lists<'a>, &'a dyn Array)> {
        let array = array.as_list_opt::<i32>()?;
        Some((Lists { offsets: array.value_offsets(), nulls: array.nulls() }, array.values().as_ref()))
    }

    #[inline]
    pub(crate) fn get(&self, row: usize) -> Option<std::ops::Range<usize>> {
        let (start, end) = (self.offsets.get(row)?, self.offsets.get(row + 1)?);
        self.nulls.is_none_or(|nulls| nulls.is_valid(row)).then(|| start.as_usize()..end.as_usize())
    }
}

/// A column of field lists.
pub(crate) struct FieldLists<'a> {
    pub(crate) rows: Lists<'a>,
    pub(crate) names: Words<'a>,
    pub(crate) values: Texts<'a>,
}

impl<'a> FieldLists<'a> {
    fn of(array: &'a dyn Array) -> Option<FieldLists<'a>> {
        let (rows, items) = Lists::of(array)?;
        let parts = items.as_struct_opt()?;
        Some(FieldLists {
            rows,
            names: Words::of(parts.column_by_name("name")?.as_ref())?,
            values: Texts::of(parts.column_by_name("value")?.as_ref())?,
        })
    }
}

/// A column of interim responses.
pub(crate) struct Interims<'a> {
    pub(crate) rows: Lists<'a>,
    pub(crate) statuses: Numbers<'a, UInt16Type>,
    pub(crate) fields: FieldLists<'a>,
}

impl<'a> Interims<'a> {
    fn of(array: &'a dyn Array) -> Option<Interims<'a>> {
        let (rows, items) = Lists::of(array)?;
        let parts = items.as_struct_opt()?;
        Some(Interims {
            rows,
            statuses: Numbers::of(parts.column_by_name("status")?.as_ref())?,
            fields: FieldLists::of(parts.column_by_name("fields")?.as_ref())?,
        })
    }
}

/// A column of lists of words.
pub(crate) struct Sets<'a> {
    pub(crate) rows: Lists<'a>,
    pub(crate) words: Words<'a>,
}

impl<'a> Sets<'a> {
    fn of(array: &'a dyn Array) -> Option<Sets<'a>> {
        let (rows, items) = Lists::of(array)?;
        Some(Sets { rows, words: Words::of(items)? })
    }
}

macro_rules! columns {
    ($($name:ident: $kind:ident $(<$number:ty>)?),* $(,)?) => {
        /// Every column of the schema, by its name.
        pub(crate) struct Columns<'a> {
            $(pub(crate) $name: $kind<'a $(, $number)?>,)*
        }

        impl<'a> Columns<'a> {
            /// An error where the batch is not one of ours.
            pub(crate) fn of(batch: &'a RecordBatch) -> Result<Columns<'a>, ArrowError> {
                let array = |name: &str| {
                    let array = batch.column_by_name(name).map(|array| array.as_ref());
                    array.ok_or_else(|| ArrowError::SchemaError(format!("no column {name}")))
                };
                let wrong = |name: &str| ArrowError::SchemaError(format!("column {name} is of another type"));
                Ok(Columns {
                    $($name: $kind::of(array(stringify!($name))?).ok_or_else(|| wrong(stringify!($name)))?,)*
                })
            }
        }
    };
}

columns! {
    time: Numbers<TimestampNanosecondType>,
    exchange_id: Texts,
    connection_id: Words,
    role: Words,
    source: Words,
    protocol: Words,
    scheme: Words,
    method: Words,
    target: Texts,
    path: Texts,
    query: Texts,
    route: Words,
    route_source: Words,
    authority: Texts,
    status: Numbers<UInt16Type>,
    grpc_status: Numbers<UInt16Type>,
    client_address: Words,
    client_port: Numbers<UInt16Type>,
    server_address: Words,
    server_port: Numbers<UInt16Type>,
    network_namespace: Numbers<UInt64Type>,
    tls_version: Words,
    tls_library: Words,
    forwarded_client: Texts,
    trace_id: Texts,
    parent_id: Texts,
    trace_flags: Numbers<UInt8Type>,
    process_pid: Numbers<UInt32Type>,
    process_executable: Words,
    cgroup: Words,
    container_id: Words,
    request_fields: FieldLists,
    response_fields: FieldLists,
    request_trailers: FieldLists,
    response_trailers: FieldLists,
    interim: Interims,
    request_head_bytes: Numbers<UInt32Type>,
    request_body_bytes: Numbers<UInt64Type>,
    response_head_bytes: Numbers<UInt32Type>,
    response_body_bytes: Numbers<UInt64Type>,
    grpc_request_messages: Numbers<UInt64Type>,
    grpc_response_messages: Numbers<UInt64Type>,
    grpc_timeout_ns: Numbers<Int64Type>,
    ttfb_ns: Numbers<Int64Type>,
    duration_ns: Numbers<Int64Type>,
    head_spread_ns: Numbers<Int64Type>,
    hpack_unresolved: Numbers<UInt32Type>,
    fault: Texts,
    quality: Sets,
    sample_weight: Numbers<Float64Type>,
}
