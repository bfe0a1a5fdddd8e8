"""The names that a filter expression knows, and where in a row they stand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Field:
    """A name of the expressions.

    Attributes:
        place: Dotted place in a row, in the form of NDJSON.
        kind: `text`, `number`, `time` (nanoseconds, written with a unit) or `marks`.
        sentence: What it is.
    """

    place: str
    kind: str
    sentence: str


FIELDS: Mapping[str, Field] = {
    "status": Field("http.response.status_code", "number", "status code"),
    "method": Field("http.request.method", "text", "method as sent"),
    "host": Field("masthead.authority", "text", "authority: host, and port where sent"),
    "path": Field("url.path", "text", "path"),
    "route": Field("http.route", "text", 'template of the path, such as "/v1/users/{id}"'),
    "query": Field("url.query", "text", "query, redacted"),
    "target": Field("masthead.target", "text", "request target as sent, redacted"),
    "protocol": Field("network.protocol.version", "text", 'version, such as "1.1"'),
    "tls": Field("tls.protocol.version", "text", 'version of TLS, such as "1.3"'),
    "role": Field("masthead.role", "text", '"server" or "client"'),
    "client": Field("client.address", "text", "client's address"),
    "server": Field("server.address", "text", "server's address"),
    "port": Field("server.port", "number", "server's port"),
    "process": Field("process.executable.path", "text", "executable; its last part will do"),
    "grpc_status": Field("masthead.grpc_status", "number", "status of a gRPC call; 0 is OK"),
    "pid": Field("process.pid", "number", "process id"),
    "container": Field("container.id", "text", "container id"),
    "trace": Field("trace_id", "text", "trace id of traceparent"),
    "ttfb": Field("masthead.ttfb_ns", "time", "first request byte to first response byte"),
    "duration": Field("masthead.duration_ns", "time", "first request byte to last response byte"),
    "mark": Field("masthead.quality", "marks", "quality marks: gap, cut, reset, ..."),
}
# `req.NAME` and `resp.NAME` (also `res.NAME`) are the fields of a message, without regard to case.
SIDES: Mapping[str, str] = {"req": "http.request.header", "resp": "http.response.header", "res": "http.response.header"}
UNITS: Mapping[str, int] = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}


def values_at(row: Mapping[str, object], place: str) -> list[object]:
    """Give what stands at a dotted place of a row: nothing, one value or several."""
    value: object = row
    for part in place.split("."):
        if not isinstance(value, Mapping):
            return []
        value = value.get(part)
    return _listed(value)


def header_values(row: Mapping[str, object], place: str, name: str) -> list[object]:
    """Give the values of a field by its lowercase name."""
    value: object = row
    for part in place.split("."):
        if not isinstance(value, Mapping):
            return []
        value = value.get(part)
    return _listed(value.get(name)) if isinstance(value, Mapping) else []


def _listed(value: object) -> list[object]:
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]
