"""The columns of a row: the one list, with type, place in NDJSON, unit and meaning.

`python -m masthead.schema` prints docs/schema.md. The extension builds the same columns in the same order, and a test
compares the two.
"""

# ruff: noqa: E501 - a table is read row by row

from __future__ import annotations

import sys
from dataclasses import dataclass

WORD = "dictionary<int32, utf8>"
FIELDS = "list<struct<name: dictionary<int32, utf8>, value: utf8>>"


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        name: In the Arrow batch.
        type: Arrow type, as text.
        place: In NDJSON, nested at the dots; OpenTelemetry's attribute where there is one.
        unit: Of the value; empty where it has none.
        sentence: What it says.
    """

    name: str
    type: str
    place: str
    unit: str
    sentence: str


COLUMNS = (
    Column("time", "timestamp[ns]", "time", "UTC", "First byte of the request, or of the response where no request was seen."),
    Column("exchange_id", "utf8", "masthead.exchange_id", "", "Boot id, socket cookie (inside TLS the session's number), role (s, c, n: none) and ordinal: the same in every replay."),
    Column("connection_id", WORD, "masthead.connection_id", "", "Boot id and socket cookie, inside TLS the session's number where its socket is not known; in a recording `pcap` and the connection's number."),
    Column("role", WORD, "masthead.role", "", "`server` as seen by who answers, `client` by who calls; null in a recording."),
    Column("source", WORD, "masthead.source", "", "Where the bytes come from: `socket`, `tls` or `pcap`."),
    Column("protocol", WORD, "network.protocol.version", "", "`http/1.0`, `http/1.1`, `h2` (inside TLS), `h2c` (in clear), `grpc`, `websocket`; in NDJSON `network.protocol.name` and `.version` apart."),
    Column("scheme", WORD, "url.scheme", "", "Scheme of the call: `:scheme` or an absolute target's, else `https` for what came out of TLS and `http` for the rest."),
    Column("method", WORD, "http.request.method", "", "Method as sent."),
    Column("target", "utf8", "masthead.target", "", "Request target as sent (`:path` of HTTP/2), secrets redacted."),
    Column("path", "utf8", "url.path", "", "Path of the target."),
    Column("query", "utf8", "url.query", "", "Query of the target, secrets redacted; null when there is none."),
    Column("route", WORD, "http.route", "", "Template of the path, such as `/v1/users/{id}`; null when there is no path."),
    Column("route_source", WORD, "masthead.route_source", "", "Where the route comes from: `configured` (`routes.templates`), `grpc` (service and method) or `inferred` from the path."),
    Column("authority", "utf8", "masthead.authority", "", "Authority of an absolute target, or `:authority` of HTTP/2, else the Host field where there is exactly one."),
    Column("status", "uint16", "http.response.status_code", "", "Status code of the final response."),
    Column("grpc_status", "uint16", "masthead.grpc_status", "", "Status of a gRPC call, from its trailers; `rpc.status_code` in NDJSON has its name."),
    Column("client_address", WORD, "network.peer.address", "", "Address of the calling socket, null where it is not known (inside TLS); `client.address` in NDJSON where no forwarded client is known."),
    Column("client_port", "uint16", "network.peer.port", "", "Port of the calling socket; `client.port` in NDJSON where no forwarded client is known."),
    Column("server_address", WORD, "server.address", "", "Address of the answering socket."),
    Column("server_port", "uint16", "server.port", "", "Port of the answering socket."),
    Column("network_namespace", "uint64", "masthead.network_namespace", "", "Cookie of the socket's network namespace."),
    Column("tls_version", WORD, "tls.protocol.version", "", "Version of the TLS that the call came out of: `1.2`, `1.3`, ...; null in clear, and where it is not known."),
    Column("tls_library", WORD, "masthead.tls_library", "", "Library that spoke TLS: `openssl`, `gnutls`, `go`, ...; null in clear."),
    Column("forwarded_client", "utf8", "client.address", "", "The client that trusted hops name in Forwarded or X-Forwarded-For."),
    Column("trace_id", "utf8", "trace_id", "", "Trace id of a valid traceparent field."),
    Column("parent_id", "utf8", "span_id", "", "Parent id of a valid traceparent field: the caller's span."),
    Column("trace_flags", "uint8", "trace_flags", "", "Flags of a valid traceparent field."),
    Column("process_pid", "uint32", "process.pid", "", "Process that owns the socket, in the initial pid namespace."),
    Column("process_executable", WORD, "process.executable.path", "", "Executable of that process."),
    Column("cgroup", WORD, "masthead.cgroup", "", "cgroup2 path of the socket."),
    Column("container_id", WORD, "container.id", "", "Container id, where the cgroup's path names one."),
    Column("request_fields", FIELDS, "http.request.header", "", "Header fields of the request in order, duplicates and case kept, secrets redacted."),
    Column("response_fields", FIELDS, "http.response.header", "", "Header fields of the final response, likewise."),
    Column("request_trailers", FIELDS, "masthead.request_trailers", "", "Trailer fields of the request, likewise."),
    Column("response_trailers", FIELDS, "masthead.response_trailers", "", "Trailer fields of the response, likewise."),
    Column("interim", f"list<struct<status: uint16, fields: {FIELDS}>>", "masthead.interim", "", "Interim responses (1xx) in order."),
    Column("request_head_bytes", "uint32", "masthead.request_head_bytes", "bytes", "Head of the request on the wire; in HTTP/2 its HEADERS and CONTINUATION frames."),
    Column("request_body_bytes", "uint64", "http.request.body.size", "bytes", "What followed the head: content, chunk framing and trailers; DATA frames of HTTP/2 with their headers; frames of a WebSocket."),
    Column("response_head_bytes", "uint32", "masthead.response_head_bytes", "bytes", "Head of the final response on the wire, likewise."),
    Column("response_body_bytes", "uint64", "http.response.body.size", "bytes", "What followed the head, likewise."),
    Column("grpc_request_messages", "uint64", "masthead.grpc_request_messages", "", "Messages of a gRPC call that its caller began to send; null where not all their prefixes were seen."),
    Column("grpc_response_messages", "uint64", "masthead.grpc_response_messages", "", "Messages that it got back, likewise."),
    Column("grpc_timeout_ns", "int64", "masthead.grpc_timeout_ns", "ns", "Deadline of a gRPC call, as `grpc-timeout` asks for it."),
    Column("ttfb_ns", "int64", "masthead.ttfb_ns", "ns", "First byte of the request to first byte of the final response."),
    Column("duration_ns", "int64", "masthead.duration_ns", "ns", "First byte of the request to the later end of the two messages."),
    Column("head_spread_ns", "int64", "masthead.head_spread_ns", "ns", "First to last byte of the request's head."),
    Column("hpack_unresolved", "uint32", "masthead.hpack_unresolved", "", "Header fields of HTTP/2 whose name, or name and value, are null in the lists; null where there are none."),
    Column("fault", "utf8", "masthead.fault", "", "What a strict server would refuse in the head, and at which byte."),
    Column("quality", f"list<{WORD}>", "masthead.quality", "", "What is known to be missing or wrong; empty when the row is complete."),
    Column("sample_weight", "float64", "masthead.sample_weight", "", "How many exchanges the row stands for; left out of NDJSON when 1."),
)  # fmt: skip

MARKS = (
    ("joined", "The connection began before masthead did."),
    ("gap", "Bytes of the exchange were not seen."),
    ("cut", "A head was longer than `capture.max_head_bytes`, or a part was not kept because of another limit."),
    ("no_request", "A response without its request."),
    ("no_response", "A request without a final response."),
    ("reset", "The connection was reset before the exchange ended."),
    ("malformed", "A strict server would refuse a message; `fault` says why."),
    ("overlap", "Segments disagreed and what TCP accepted is not known."),
    ("escaped", r"A value held bytes that are not UTF-8; they stand as `\xNN`, with backslashes doubled."),
    (
        "hpack_unresolved",
        "Fields of HTTP/2 referred to table entries that were not seen; `hpack_unresolved` counts them.",
    ),
    ("process_unknown", "The owner of the socket was not seen."),
)

_HEAD = """\
<!-- Made by `python -m masthead.schema`; a test keeps the two the same. -->
# The row

One row is one exchange: a request and its response, as one end of the connection saw it. An Arrow batch has the
columns in this order. In NDJSON a row is one object, nested at the dots of the place; null values are left out, except
that `masthead.quality` is always there. Places are OpenTelemetry attributes where OpenTelemetry has one.

Header fields in NDJSON are an object (lowercase name to array of values), or, with `--headers pairs`, an array of
`[name, value]` in the order and case of the wire. A field of HTTP/2 whose name is not known (`hpack_unresolved`) is
`[null, null]`, or `[null, value]` with a pseudonym for the value, and is left out of the object. A gRPC call has
`rpc.system.name`, `rpc.method` and `rpc.status_code` besides.

| column | Arrow type | place in NDJSON | unit | meaning |
| --- | --- | --- | --- | --- |
"""
_MARKS_HEAD = """
## Quality marks

A value that is not known is null, and a mark says why.

| mark | meaning |
| --- | --- |
"""


def markdown() -> str:
    """Give docs/schema.md."""
    columns = "".join(
        f"| `{column.name}` | `{column.type}` | `{column.place}` | {column.unit} | {column.sentence} |\n"
        for column in COLUMNS
    )
    marks = "".join(f"| `{name}` | {sentence} |\n" for name, sentence in MARKS)
    return f"{_HEAD}{columns}{_MARKS_HEAD}{marks}"


if __name__ == "__main__":
    sys.stdout.write(markdown())
