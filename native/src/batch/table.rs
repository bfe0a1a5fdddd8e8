//! All columns of a batch together.

use arrow_array::types::{
    Float64Type, Int64Type, TimestampNanosecondType, UInt16Type, UInt32Type, UInt64Type, UInt8Type,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::ArrowError;
use heads::exchange::Marks;

use super::columns::{FieldLists, Interims, Numbers, Sets, Text, Words};
use super::links::LinkColumns;
use super::schema;

/// The columns whose values come row by row.
pub(super) struct Columns {
    pub(super) time: Numbers<TimestampNanosecondType>,
    pub(super) exchange_id: Text,
    pub(super) role: Words,
    pub(super) source: Words,
    pub(super) protocol: Words,
    pub(super) scheme: Words,
    pub(super) method: Words,
    pub(super) target: Text,
    pub(super) path: Text,
    pub(super) query: Text,
    pub(super) route: Words,
    pub(super) route_source: Words,
    pub(super) authority: Text,
    pub(super) status: Numbers<UInt16Type>,
    pub(super) grpc_status: Numbers<UInt16Type>,
    pub(super) client_port: Numbers<UInt16Type>,
    pub(super) server_port: Numbers<UInt16Type>,
    pub(super) network_namespace: Numbers<UInt64Type>,
    pub(super) tls_version: Words,
    pub(super) tls_library: Words,
    pub(super) forwarded_client: Text,
    pub(super) trace_id: Text,
    pub(super) parent_id: Text,
    pub(super) trace_flags: Numbers<UInt8Type>,
    pub(super) process_pid: Numbers<UInt32Type>,
    pub(super) request_fields: FieldLists,
    pub(super) response_fields: FieldLists,
    pub(super) request_trailers: FieldLists,
    pub(super) response_trailers: FieldLists,
    pub(super) interim: Interims,
    pub(super) request_head_bytes: Numbers<UInt32Type>,
    pub(super) request_body_bytes: Numbers<UInt64Type>,
    pub(super) response_head_bytes: Numbers<UInt32Type>,
    pub(super) response_body_bytes: Numbers<UInt64Type>,
    pub(super) grpc_request_messages: Numbers<UInt64Type>,
    pub(super) grpc_response_messages: Numbers<UInt64Type>,
    pub(super) grpc_timeout: Numbers<Int64Type>,
    pub(super) ttfb: Numbers<Int64Type>,
    pub(super) duration: Numbers<Int64Type>,
    pub(super) head_spread: Numbers<Int64Type>,
    pub(super) hpack_unresolved: Numbers<UInt32Type>,
    pub(super) fault: Text,
    pub(super) quality: Sets,
    pub(super) sample_weight: Numbers<Float64Type>,
}

impl Columns {
    pub(super) fn new() -> Columns {
        Columns {
            time: Numbers::new(),
            exchange_id: Text::new(),
            role: Words::new(),
            source: Words::new(),
            protocol: Words::new(),
            scheme: Words::new(),
            method: Words::new(),
            target: Text::new(),
            path: Text::new(),
            query: Text::new(),
            route: Words::new(),
            route_source: Words::new(),
            authority: Text::new(),
            status: Numbers::new(),
            grpc_status: Numbers::new(),
            client_port: Numbers::new(),
            server_port: Numbers::new(),
            network_namespace: Numbers::new(),
            tls_version: Words::new(),
            tls_library: Words::new(),
            forwarded_client: Text::new(),
            trace_id: Text::new(),
            parent_id: Text::new(),
            trace_flags: Numbers::new(),
            process_pid: Numbers::new(),
            request_fields: FieldLists::new(),
            response_fields: FieldLists::new(),
            request_trailers: FieldLists::new(),
            response_trailers: FieldLists::new(),
            interim: Interims::new(),
            request_head_bytes: Numbers::new(),
            request_body_bytes: Numbers::new(),
            response_head_bytes: Numbers::new(),
            response_body_bytes: Numbers::new(),
            grpc_request_messages: Numbers::new(),
            grpc_response_messages: Numbers::new(),
            grpc_timeout: Numbers::new(),
            ttfb: Numbers::new(),
            duration: Numbers::new(),
            head_spread: Numbers::new(),
            hpack_unresolved: Numbers::new(),
            fault: Text::new(),
            quality: Sets::new(),
            sample_weight: Numbers::new(),
        }
    }

    pub(super) fn size(&self) -> usize {
        let columns = self;
        let lists = [
            &columns.request_fields,
            &columns.response_fields,
            &columns.request_trailers,
            &columns.response_trailers,
            &columns.interim.fields,
        ];
        let texts = [&columns.exchange_id, &columns.target, &columns.path, &columns.query, &columns.authority];
        // The columns of numbers and keys of one row.
        const FIXED: usize = 240;
        lists.iter().map(|list| list.size()).sum::<usize>()
            + texts.iter().map(|text| text.size()).sum::<usize>()
            // Strangers can make up paths, each with a route of its own, and schemes.
            + columns.route.dictionary.size()
            + columns.scheme.dictionary.size()
            + columns.time.len() * FIXED
    }

    /// `names` is the dictionary of all field lists.
    pub(super) fn finish(&mut self, links: &mut LinkColumns, names: &ArrayRef) -> Result<RecordBatch, ArrowError> {
        let own = self;
        let columns = vec![
            own.time.finish()?,
            own.exchange_id.finish()?,
            links.connection.finish()?,
            own.role.finish()?,
            own.source.finish()?,
            own.protocol.finish()?,
            own.scheme.finish()?,
            own.method.finish()?,
            own.target.finish()?,
            own.path.finish()?,
            own.query.finish()?,
            own.route.finish()?,
            own.route_source.finish()?,
            own.authority.finish()?,
            own.status.finish()?,
            own.grpc_status.finish()?,
            links.client.finish()?,
            own.client_port.finish()?,
            links.server.finish()?,
            own.server_port.finish()?,
            own.network_namespace.finish()?,
            own.tls_version.finish()?,
            own.tls_library.finish()?,
            own.forwarded_client.finish()?,
            own.trace_id.finish()?,
            own.parent_id.finish()?,
            own.trace_flags.finish()?,
            own.process_pid.finish()?,
            links.executable.finish()?,
            links.cgroup.finish()?,
            links.container.finish()?,
            own.request_fields.finish(names)?,
            own.response_fields.finish(names)?,
            own.request_trailers.finish(names)?,
            own.response_trailers.finish(names)?,
            own.interim.finish(names)?,
            own.request_head_bytes.finish()?,
            own.request_body_bytes.finish()?,
            own.response_head_bytes.finish()?,
            own.response_body_bytes.finish()?,
            own.grpc_request_messages.finish()?,
            own.grpc_response_messages.finish()?,
            own.grpc_timeout.finish()?,
            own.ttfb.finish()?,
            own.duration.finish()?,
            own.head_spread.finish()?,
            own.hpack_unresolved.finish()?,
            own.fault.finish()?,
            own.quality.finish(&Marks::NAMES)?,
            own.sample_weight.finish()?,
        ];
        RecordBatch::try_new(schema::schema(), columns)
    }
}
