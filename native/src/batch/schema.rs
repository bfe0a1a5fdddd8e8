//! The columns of a batch: the same list as `src/masthead/schema.py`, which describes each.

use std::sync::{Arc, LazyLock};

use arrow_schema::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};

fn words() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

static FIELD_PARTS: LazyLock<Fields> = LazyLock::new(|| {
    // Null where HPACK's table was not seen whole.
    Fields::from(vec![Field::new("name", words(), true), Field::new("value", DataType::Utf8, true)])
});

static INTERIM_PARTS: LazyLock<Fields> = LazyLock::new(|| {
    Fields::from(vec![
        Field::new("status", DataType::UInt16, true),
        Field::new("fields", DataType::List(item(field_parts())), true),
    ])
});

/// `struct<name, value>`: one field line.
pub(super) fn field_parts() -> Fields {
    FIELD_PARTS.clone()
}

/// `struct<status, fields>`: one interim response.
pub(super) fn interim_parts() -> Fields {
    INTERIM_PARTS.clone()
}

/// The item of a list of structs.
pub(super) fn item(parts: Fields) -> FieldRef {
    Arc::new(Field::new("item", DataType::Struct(parts), false))
}

/// The item of a list of words.
pub(super) fn words_item() -> FieldRef {
    Arc::new(Field::new("item", words(), false))
}

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let fields = || DataType::List(item(field_parts()));
    let columns = [
        ("time", DataType::Timestamp(TimeUnit::Nanosecond, None)),
        ("exchange_id", DataType::Utf8),
        ("connection_id", words()),
        ("role", words()),
        ("source", words()),
        ("protocol", words()),
        ("scheme", words()),
        ("method", words()),
        ("target", DataType::Utf8),
        ("path", DataType::Utf8),
        ("query", DataType::Utf8),
        ("route", words()),
        ("route_source", words()),
        ("authority", DataType::Utf8),
        ("status", DataType::UInt16),
        ("grpc_status", DataType::UInt16),
        ("client_address", words()),
        ("client_port", DataType::UInt16),
        ("server_address", words()),
        ("server_port", DataType::UInt16),
        ("network_namespace", DataType::UInt64),
        ("tls_version", words()),
        ("tls_library", words()),
        ("forwarded_client", DataType::Utf8),
        ("trace_id", DataType::Utf8),
        ("parent_id", DataType::Utf8),
        ("trace_flags", DataType::UInt8),
        ("process_pid", DataType::UInt32),
        ("process_executable", words()),
        ("cgroup", words()),
        ("container_id", words()),
        ("request_fields", fields()),
        ("response_fields", fields()),
        ("request_trailers", fields()),
        ("response_trailers", fields()),
        ("interim", DataType::List(item(interim_parts()))),
        ("request_head_bytes", DataType::UInt32),
        ("request_body_bytes", DataType::UInt64),
        ("response_head_bytes", DataType::UInt32),
        ("response_body_bytes", DataType::UInt64),
        ("grpc_request_messages", DataType::UInt64),
        ("grpc_response_messages", DataType::UInt64),
        ("grpc_timeout_ns", DataType::Int64),
        ("ttfb_ns", DataType::Int64),
        ("duration_ns", DataType::Int64),
        ("head_spread_ns", DataType::Int64),
        ("hpack_unresolved", DataType::UInt32),
        ("fault", DataType::Utf8),
        ("quality", DataType::List(words_item())),
        ("sample_weight", DataType::Float64),
    ];
    let columns: Vec<Field> = columns.into_iter().map(|(name, kind)| Field::new(name, kind, true)).collect();
    Arc::new(Schema::new(columns))
});

/// The schema of every batch.
pub(crate) fn schema() -> SchemaRef {
    Arc::clone(&SCHEMA)
}
