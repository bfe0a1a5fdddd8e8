"""Every metric that masthead has of itself: the one list, with labels, unit and meaning.

`python -m masthead.metrics.listed` prints the list of docs/metrics.md; a test keeps the two the same.

Names and labels of `http_*` are OpenTelemetry's stable HTTP metrics (semconv 1.44) in the form that its specification
gives for Prometheus: dots become `_`, the unit ends the name.
"""

from __future__ import annotations

import sys

from masthead.samples import Metric

_SERVER = (
    "http_request_method",
    "http_response_status_code",
    "http_route",
    "url_scheme",
    "network_protocol_version",
    "error_type",
)
_CLIENT = (
    "http_request_method",
    "http_response_status_code",
    "server_address",
    "server_port",
    "network_protocol_version",
    "error_type",
)
_QUOTA = ("provider", "kind", "server_address", "role")

SERVER_DURATION = Metric(
    "http_server_request_duration_seconds", "histogram", _SERVER, "Duration of calls answered here.", "seconds"
)
SERVER_REQUEST_SIZE = Metric(
    "http_server_request_body_size_bytes", "histogram", _SERVER, "Size of their requests behind the head.", "bytes"
)
SERVER_RESPONSE_SIZE = Metric(
    "http_server_response_body_size_bytes", "histogram", _SERVER, "Size of their responses behind the head.", "bytes"
)
SERVER_TTFB = Metric(
    "masthead_server_time_to_first_byte_seconds",
    "histogram",
    _SERVER,
    "First byte of the request to first byte of the final response.",
    "seconds",
)
CLIENT_DURATION = Metric(
    "http_client_request_duration_seconds", "histogram", _CLIENT, "Duration of calls made from here.", "seconds"
)
CLIENT_REQUEST_SIZE = Metric(
    "http_client_request_body_size_bytes", "histogram", _CLIENT, "Size of their requests behind the head.", "bytes"
)
CLIENT_RESPONSE_SIZE = Metric(
    "http_client_response_body_size_bytes", "histogram", _CLIENT, "Size of their responses behind the head.", "bytes"
)
CLIENT_TTFB = Metric(
    "masthead_client_time_to_first_byte_seconds",
    "histogram",
    _CLIENT,
    "First byte of the request to first byte of the final response.",
    "seconds",
)
RATELIMIT_LIMIT = Metric(
    "masthead_ratelimit_limit", "gauge", _QUOTA, "What a quota allows, as the last response with this field said."
)
RATELIMIT_REMAINING = Metric("masthead_ratelimit_remaining", "gauge", _QUOTA, "What is left of it, likewise.")
RATELIMIT_RATIO = Metric(
    "masthead_ratelimit_remaining_ratio", "gauge", _QUOTA, "What is left of it, from 0 to 1, where both were told."
)
RATELIMIT_RESET = Metric(
    "masthead_ratelimit_reset_seconds",
    "gauge",
    _QUOTA,
    "Time until it begins anew, counted from the response that said so.",
    "seconds",
)
RATELIMIT_SEEN = Metric(
    "masthead_ratelimit_seen_timestamp_seconds", "gauge", _QUOTA, "When the last response spoke of it.", "seconds"
)
EXCHANGES_OPEN = Metric(
    "masthead_exchanges_open", "gauge", (), "Calls that have begun and not ended, and rows on their way to the sinks."
)
LEDGER = Metric("masthead_ledger", "counter", ("account",), "The account of everything seen, logged and lost.")
LEDGER_CLOSED = Metric("masthead_ledger_closed", "gauge", (), "1 when the account adds up.")
OVERFLOW = Metric(
    "masthead_metrics_overflow",
    "counter",
    ("metric",),
    "Calls counted under `_other`, for want of room for their labels.",
)
UNREADABLE = Metric(
    "masthead_metrics_unreadable", "counter", ("metric",), "Header fields that should have held a number and did not."
)
BUILD = Metric("masthead_build_info", "gauge", ("version",), "Always 1.")
SINK_ROWS = Metric(
    "masthead_sink_rows", "counter", ("sink", "outcome"), "Rows: received, sent, refused, dropped, sampled_out."
)
SINK_WAITING = Metric("masthead_sink_waiting_rows", "gauge", ("sink",), "Rows on their way to the server.")
SINK_SPOOLED = Metric("masthead_sink_spooled_rows", "counter", ("sink",), "Rows that went to the disk on their way.")
SINK_CUT = Metric(
    "masthead_sink_cut_rows",
    "counter",
    ("sink",),
    "Rows sent without their header fields, for which the server's limits had no room.",
)
SINK_ATTEMPTS = Metric("masthead_sink_attempts", "counter", ("sink",), "Requests made.")
SINK_FAILURES = Metric("masthead_sink_failures", "counter", ("sink",), "Requests that did not succeed.")
SINK_BYTES = Metric("masthead_sink_sent_bytes", "counter", ("sink",), "Bytes sent.", "bytes")
SINK_SECONDS = Metric("masthead_sink_request_seconds", "counter", ("sink",), "Time spent on requests.", "seconds")

LISTED = (
    SERVER_DURATION,
    SERVER_REQUEST_SIZE,
    SERVER_RESPONSE_SIZE,
    SERVER_TTFB,
    CLIENT_DURATION,
    CLIENT_REQUEST_SIZE,
    CLIENT_RESPONSE_SIZE,
    CLIENT_TTFB,
    RATELIMIT_LIMIT,
    RATELIMIT_REMAINING,
    RATELIMIT_RATIO,
    RATELIMIT_RESET,
    RATELIMIT_SEEN,
    EXCHANGES_OPEN,
    LEDGER,
    LEDGER_CLOSED,
    OVERFLOW,
    UNREADABLE,
    SINK_ROWS,
    SINK_WAITING,
    SINK_SPOOLED,
    SINK_CUT,
    SINK_ATTEMPTS,
    SINK_FAILURES,
    SINK_BYTES,
    SINK_SECONDS,
    BUILD,
)

_HEAD = "| metric | kind | labels | meaning |\n| --- | --- | --- | --- |\n"


def markdown() -> str:
    """Give the list as docs/metrics.md has it."""
    return _HEAD + "".join(map(_row, LISTED))


def _row(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{metric.exposed}` | {metric.kind} | {labels} | {metric.sentence} |\n"


if __name__ == "__main__":
    sys.stdout.write(markdown())
