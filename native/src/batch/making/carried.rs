//! What carried the call: protocol, TLS, gRPC.

use super::Making;
use heads::exchange::{Endpoints, Exchange, Protocol, Unresolved};

/// Fields of all heads of which something is not known.
pub(super) fn unresolved(exchange: &Exchange) -> u32 {
    let messages = exchange.request.iter().chain(&exchange.response).chain(&exchange.interim);
    let fields = messages.flat_map(|message| message.head.fields.iter().chain(&message.head.trailers));
    let count = fields.filter(|field| field.unresolved != Unresolved::Nothing).count();
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// `ProtocolVersion` (RFC 8446, section 4.1.2; RFC 6101 for SSL 3.0); `None` for what is none.
pub(super) fn tls_version(number: u16) -> Option<&'static [u8]> {
    Some(match number {
        0x0300 => b"ssl3",
        0x0301 => b"1.0",
        0x0302 => b"1.1",
        0x0303 => b"1.2",
        0x0304 => b"1.3",
        _ => return None,
    })
}

impl Making {
    /// What carried the call: protocol, TLS, gRPC.
    pub(super) fn protocol(&mut self, endpoints: &Endpoints, exchange: &Exchange) {
        let columns = &mut self.columns;
        let head = exchange.request.as_ref().or(exchange.response.as_ref()).map(|message| &message.head);
        match (exchange.protocol, head.map(|head| (head.version, head.fault))) {
            _ if exchange.grpc.is_some() => columns.protocol.push(Some(b"grpc")),
            (Protocol::WebSocket, _) => columns.protocol.push(Some(b"websocket")),
            (Protocol::Http2, _) if endpoints.tls.is_some() => columns.protocol.push(Some(b"h2")),
            (Protocol::Http2, _) => columns.protocol.push(Some(b"h2c")),
            (_, Some((Some((1, 1)), _))) => columns.protocol.push(Some(b"http/1.1")),
            (_, Some((Some((1, 0)), _))) => columns.protocol.push(Some(b"http/1.0")),
            (_, Some((Some((major, minor)), _))) => {
                columns.protocol.push(Some(format!("http/{major}.{minor}").as_bytes()));
            }
            _ => columns.protocol.push(None),
        }
        let tls = endpoints.tls;
        columns.tls_version.push(tls.and_then(|tls| tls.version).and_then(tls_version));
        columns.tls_library.push(tls.and_then(|tls| tls.library).map(str::as_bytes));
        let grpc = exchange.grpc.unwrap_or_default();
        columns.grpc_status.push_option(grpc.status.and_then(|status| u16::try_from(status).ok()));
        columns.grpc_request_messages.push_option(grpc.request_messages);
        columns.grpc_response_messages.push_option(grpc.response_messages);
        columns.grpc_timeout.push_option(grpc.timeout.and_then(|timeout| i64::try_from(timeout).ok()));
    }
}
