"""Rows in the forms of servers, read back by other people's parts and compared with the batch's own columns."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from masthead.schema import COLUMNS
from tests.unit.stored import batches, call, pairs, random_calls

if TYPE_CHECKING:
    from collections.abc import Iterator

    from masthead._native import Batch

logs = pytest.importorskip("opentelemetry.proto.collector.logs.v1.logs_service_pb2", reason="no opentelemetry-proto")
traces = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2", reason="the same")

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
ODD = call(
    0,
    exchange_id="odd",
    method="BREW",
    target='/pöt?"x"',
    path='/pöt"\\\n\x01',
    query="a=1",
    authority="[::1]:8080",
    protocol="http/1.1",
    status=503,
    client_address="10.0.0.9",
    client_port=5555,
    server_address="10.1.0.5",
    server_port=80,
    forwarded_client="unknown",
    trace_id=TRACE,
    parent_id=PARENT,
    process_executable="/usr/bin/ng\u2603",
    route="/pot/{id}",
    route_source="configured",
    request_fields=pairs(
        ("X-A", "1"),
        ("x-a", "2"),
        ("X_A", "3"),
        ("User-Agent", "té"),
        ("Request-Id", "r1"),
        ("tracestate", "k=v"),
        ("", "e"),
    ),
    response_fields=pairs(("Content-Type", "text/plain"), ("Set-Cookie", "a"), ("Set-Cookie", "b")),
    request_trailers=pairs(("T", "1")),
    quality=["escaped", "joined"],
    duration_ns=2_000_000,
    ttfb_ns=1_000_000,
    request_head_bytes=100,
    request_body_bytes=7,
    sample_weight=2.5,
)
SIZES = {"request_head_bytes": 100, "request_body_bytes": 7, "response_head_bytes": 40, "response_body_bytes": 5}
BARE = {"time": ODD["time"], "exchange_id": "bare", "quality": ["no_response"], "sample_weight": 1.0}
MANY = call(
    2,
    exchange_id="many",
    role="client",
    request_fields=pairs(*((f"N{number}", "v") for number in range(3_000))),
    status=404,
)


def whole() -> Batch:
    (batch,) = batches([ODD, BARE, MANY, *random_calls(200)], rows=1_000)
    return batch


def columns(batch: Batch) -> list[dict[str, Any]]:
    relation = duckdb.from_arrow(batch).project("* REPLACE (epoch_ns(time) AS time)")
    return [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]


def fields_of(row: dict[str, Any], column: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for field in row[column] or []:
        found.setdefault(field["name"].lower(), []).append(field["value"])
    return found


def value(any_value: Any) -> Any:
    kind = any_value.WhichOneof("value")
    if kind == "array_value":
        return [value(inner) for inner in any_value.array_value.values]
    if kind == "kvlist_value":
        return {pair.key: value(pair.value) for pair in any_value.kvlist_value.values}
    return getattr(any_value, kind)


def attributes(message: Any) -> dict[str, Any]:
    found = {pair.key: value(pair.value) for pair in message.attributes}
    assert len(found) == len(message.attributes)
    return found


def records(batch: Batch) -> Iterator[tuple[Any, dict[str, Any]]]:
    request = logs.ExportLogsServiceRequest.FromString(batch.otlp_logs('{"service.name": "a", "x": "ü"}', 17))
    (resource,) = request.resource_logs
    assert attributes(resource.resource) == {"service.name": "a", "x": "ü"}
    (scope,) = resource.scope_logs
    assert scope.scope.name == "masthead"
    for record in scope.log_records:
        yield record, attributes(record)


def test_log_records_say_what_the_columns_say() -> None:
    batch = whole()
    rows = columns(batch)
    found = list(records(batch))
    assert len(found) == len(rows)
    for (record, has), row in zip(found, rows, strict=True):
        assert record.time_unix_nano == row["time"]
        assert record.observed_time_unix_nano == 17
        for name, column in (
            ("url.path", "path"),
            ("url.query", "query"),
            ("url.scheme", "scheme"),
            ("http.response.status_code", "status"),
            ("masthead.exchange_id", "exchange_id"),
            ("masthead.role", "role"),
            ("masthead.duration_ns", "duration_ns"),
            ("masthead.fault", "fault"),
            ("http.response.body.size", "response_body_bytes"),
        ):
            assert has.get(name) == row[column], name
        assert has.get("masthead.quality", []) == row["quality"]
        for column, prefix in (
            ("request_fields", "http.request.header."),
            ("response_fields", "http.response.header."),
        ):
            theirs = {name.removeprefix(prefix): got for name, got in has.items() if name.startswith(prefix)}
            assert theirs == fields_of(row, column)


def test_a_log_record_has_the_names_of_the_semantic_conventions() -> None:
    (odd, has), (bare, has_not), (_, many), *_ = records(whole())
    assert (has["http.request.method"], has["http.request.method_original"]) == ("_OTHER", "BREW")
    assert (has["http.route"], has["error.type"]) == ("/pot/{id}", "503")
    assert (has["server.address"], has["server.port"]) == ("::1", 8080)
    assert (has["network.peer.address"], has["network.peer.port"]) == ("10.0.0.9", 5555)
    assert has["client.address"] == "unknown"
    assert "client.port" not in has
    assert has["user_agent.original"] == "té"
    assert has["process.executable.name"] == "ng\u2603"
    assert (has["network.protocol.name"], has["network.protocol.version"]) == ("http", "1.1")
    assert has["masthead.request_trailer.t"] == ["1"]
    assert has["masthead.sample_weight"] == 2.5
    assert (odd.trace_id.hex(), odd.span_id.hex(), odd.severity_text) == (TRACE, PARENT, "ERROR")
    assert odd.body.string_value == 'BREW /pöt"\\\n\x01 503'
    assert (bare.severity_text, bare.trace_id, has_not["error.type"]) == ("ERROR", b"", "no_response")
    assert "http.request.method" not in has_not
    assert many["error.type"] == "404"


def test_a_route_that_was_inferred_is_a_template_only() -> None:
    (batch,) = batches([call(0, route="/v1/{id}", route_source="inferred", status=200)])
    ((_, has),) = records(batch)
    assert has["url.template"] == "/v1/{id}"
    assert "http.route" not in has


def spans(batch: Batch) -> list[Any]:
    request = traces.ExportTraceServiceRequest.FromString(batch.otlp_traces('{"service.name": "a"}'))
    return list(request.resource_spans[0].scope_spans[0].spans)


def test_spans_hang_in_the_trace_of_their_caller_or_are_one_of_their_own() -> None:
    odd, bare, many, *rest = spans(whole())
    assert (odd.trace_id.hex(), odd.parent_span_id.hex(), odd.trace_state) == (TRACE, PARENT, "k=v")
    assert (odd.name, odd.kind, odd.status.code) == ("HTTP /pot/{id}", 2, 2)
    assert {span.kind for span in rest} == {0, 2, 3}
    # The caller's span is another process's (bits 8 and 9), and it was not sampled as far as is known.
    assert (odd.flags, bare.flags) == (0x300, 0)
    assert odd.end_time_unix_nano - odd.start_time_unix_nano == 2_000_000
    assert (len(bare.trace_id), len(bare.span_id), bare.parent_span_id) == (16, 8, b"")
    assert (many.kind, many.status.code) == (3, 2)
    everything = [odd, bare, many, *rest]
    assert len({span.span_id for span in everything}) == len(everything)
    assert [span.span_id for span in spans(whole())] == [span.span_id for span in everything]


def test_a_callers_row_has_its_whole_address_and_every_row_its_sizes() -> None:
    (batch,) = batches(
        [
            call(0, role="client", scheme="http", authority="a.example:81", target="/x?y=1", trace_flags=1, **SIZES),
            call(1, role="client", scheme=None, authority="a.example", target="/x"),
            call(2, role="client", scheme="http", authority="a.example", target="http://b.example/x", **SIZES),
            call(3, role="server", scheme="http", authority="a.example", target="/x", request_head_bytes=5),
        ]
    )
    found = [has for _, has in records(batch)]
    assert [has.get("url.full") for has in found] == ["http://a.example:81/x?y=1", None, "http://b.example/x", None]
    assert (found[0]["http.request.size"], found[0]["http.response.size"]) == (107, 45)
    assert [has["masthead.exchange_id"] for has in found if "http.request.size" in has] == ["x-000000", "x-000002"]
    assert spans(batch)[0].flags == 1
    for message in (
        logs.ExportLogsServiceRequest.FromString(batch.otlp_logs("{}", 1)).resource_logs[0],
        traces.ExportTraceServiceRequest.FromString(batch.otlp_traces("{}")).resource_spans[0],
    ):
        scope = message.scope_logs[0] if hasattr(message, "scope_logs") else message.scope_spans[0]
        assert message.schema_url == scope.schema_url == "https://opentelemetry.io/schemas/1.44.0"


def test_documents_have_ecs_names() -> None:
    batch = whole()
    lines = batch.bulk("calls").split(b"\n")
    assert lines.pop() == b""
    actions, documents = ([json.loads(line) for line in lines[first::2]] for first in (0, 1))
    rows = columns(batch)
    assert len(documents) == len(rows)
    assert actions == [{"create": {"_index": "calls", "_id": row["exchange_id"]}} for row in rows]
    for document, row in zip(documents, rows, strict=True):
        request, response = (document.get("http", {}).get(side, {}) for side in ("request", "response"))
        assert request.get("method") == row["method"]
        assert response.get("status_code") == row["status"]
        assert response.get("body", {}).get("bytes") == row["response_body_bytes"]
        assert document["event"].get("duration") == row["duration_ns"]
        assert request.get("headers", {}) == fields_of(row, "request_fields")
        assert response.get("headers", {}) == fields_of(row, "response_fields")
        assert document["url"].get("path") == row["path"] if "url" in document else row["path"] is None
        assert document["masthead"].get("quality", []) == row["quality"]
    odd = documents[0]
    assert odd["client"] == {"address": "unknown"}
    assert odd["source"] == {"address": "10.0.0.9", "ip": "10.0.0.9", "port": 5555}
    assert (odd["url"]["domain"], odd["url"]["port"]) == ("::1", 8080)
    assert (odd["event"]["outcome"], odd["event"]["end"]) == ("failure", "2026-08-01T00:00:00.002000000Z")
    assert odd["http"]["request"]["bytes"] == 107
    assert (odd["trace"]["id"], odd["span"]["id"], odd["http"]["request"]["id"]) == (TRACE, PARENT, "r1")
    assert documents[1]["event"]["outcome"] == "failure"
    assert documents[2]["network"]["direction"] == "egress"


def test_lokis_lines_are_the_rows_and_its_limits_are_kept() -> None:
    batch = whole()
    body, cut, long = batch.loki('{"service_name": "masthead", "host": "h\\"1"}')
    streams = json.loads(body)["streams"]
    assert [stream["stream"].get("direction") for stream in streams] == ["server", "client", None]
    assert all(stream["stream"]["host"] == 'h"1' for stream in streams)
    values = [each for stream in streams for each in stream["values"]]
    expected = {line["masthead"]["exchange_id"]: line for line in map(json.loads, batch.ndjson().splitlines())}
    assert len(values) == len(expected)
    by_id = {json.loads(line)["masthead"]["exchange_id"]: (time, json.loads(line), meta) for time, line, meta in values}
    assert {name: line for name, (_, line, _) in by_id.items()} == expected
    times = {row["exchange_id"]: str(row["time"]) for row in columns(batch)}
    for name, (time, _, meta) in by_id.items():
        assert time == times[name]
        assert len(meta) <= 128
        assert all(re.fullmatch(r"[a-z0-9_]+", key) and isinstance(text, str) for key, text in meta.items())
    meta = by_id["odd"][2]
    # `X_A` is another field, for which the form has no name of its own: it is counted, not mixed in.
    assert meta["request_header_x_a"] == "1, 2"
    assert meta["response_header_set_cookie"] == "a, b"
    assert (meta["http_response_status_code"], meta["peer"], meta["request_id"]) == ("503", "10.0.0.9", "r1")
    assert meta["quality"] == "escaped joined"
    # The status and 3,000 header fields, of which 128 have room.
    assert (len(by_id["many"][2]), cut, long) == (128, 3_001 - 128 + 1, 0)


def test_a_line_that_is_too_long_for_loki_is_without_its_fields_and_says_so() -> None:
    long = call(3, exchange_id="long", request_fields=pairs(("X-A", "1"), ("X-Long", "v" * 200_000)))
    (batch,) = batches([long, call(4, exchange_id="short")])
    body, entries, rows = batch.loki('{"service_name": "masthead"}')
    assert (entries, rows) == (1, 1)
    by_id = {
        json.loads(line)["masthead"]["exchange_id"]: (json.loads(line), meta, len(line) + sum(map(len, meta.items())))
        for stream in json.loads(body)["streams"]
        for _, line, meta in stream["values"]
    }
    line, meta, size = by_id["long"]
    assert size < 256 * 1024
    assert meta["masthead_cut"] == "fields"
    assert meta["request_header_x_a"] == "1"
    assert "header" not in line["http"]["request"]
    whole_line = json.loads(batch.ndjson().splitlines()[0])
    assert line["url"] == whole_line["url"]
    assert "masthead_cut" not in by_id["short"][1]


def test_a_document_without_fields_says_so() -> None:
    batch = whole()
    documents = [json.loads(line) for line in batch.bulk("calls", fields=False).splitlines()[1::2]]
    full = [json.loads(line) for line in batch.bulk("calls").splitlines()[1::2]]
    for document, complete in zip(documents, full, strict=True):
        assert document["masthead"].pop("cut") is True
        for side in ("request", "response"):
            http = complete.get("http", {})
            if http.get(side, {}).pop("headers", None) and not http[side]:
                del http[side]
            if not http:
                complete.pop("http", None)
            complete["masthead"].pop(f"{side}_trailers", None)
        assert document == complete


def test_syslog_messages_are_of_rfc_5424() -> None:
    batch = whole()
    messages = batch.syslog(16, "a.example", "masthead", "none")
    lines = batch.ndjson().splitlines()
    form = re.compile(rb"<(\d{1,3})>1 (\S+) (\S+) (\S+) (\S+) (\S+) - (.*)", re.DOTALL)
    for message, line, row in zip(messages, lines, columns(batch), strict=True):
        found = form.fullmatch(message)
        assert found is not None
        severity = 3 if row["status"] is None or row["status"] >= 500 else 4 if row["status"] >= 400 else 6
        assert int(found[1]) == 16 * 8 + severity
        assert datetime.fromisoformat(found[2].decode()) == datetime.fromtimestamp(row["time"] // 1000 / 1e6, UTC)
        assert (found[3], found[4], found[6], found[7]) == (b"a.example", b"masthead", b"exchange", line)
    (stream,) = batch.syslog(16, "a.example", "masthead", "octet")
    for message in messages:
        length, stream = stream.split(b" ", 1)
        assert int(length) == len(message)
        assert stream.startswith(message)
        stream = stream[len(message) :]
    assert stream == b""
    (stream,) = batch.syslog(16, "a.example", "masthead", "newline")
    assert stream.splitlines() == messages
    with pytest.raises(ValueError, match="framing"):
        batch.syslog(16, "a", "b", "other")


def test_lines_can_be_taken_one_by_one() -> None:
    batch = whole()
    for headers in ("object", "pairs"):
        text, ends, keys = batch.lines(headers)
        assert text == batch.ndjson(headers)
        begins = [0, *(end + 1 for end in ends)]
        assert [text[begin:end] for begin, end in zip(begins, ends, strict=False)] == text.splitlines()
        assert [key and key.decode() for key in keys] == [row["connection_id"] for row in columns(batch)]


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1}'])
def test_labels_are_an_object_of_texts(text: str) -> None:
    for write in (whole().loki, whole().otlp_traces):
        with pytest.raises(ValueError, match=r"."):
            write(text)


def test_the_documented_names_are_those_that_are_sent() -> None:
    """Every column is in docs/fields.md, every name there is sent, and every name that is sent is there."""
    lines = (Path(__file__).parents[2] / "docs" / "fields.md").read_text().splitlines()
    table = [line.strip("| ").split(" | ") for line in lines if line.startswith("| `")]
    assert [row[0].strip("`") for row in table] == [column.name for column in COLUMNS]
    full = {
        **ODD,
        "role": "server",
        "connection_id": "c",
        "network_namespace": 1,
        "trace_flags": 1,
        "cgroup": "/",
        "container_id": "d",
        "fault": "f",
        "process_pid": 7,
        "head_spread_ns": 1,
        "response_head_bytes": 1,
        "response_body_bytes": 1,
        "response_trailers": pairs(("T", "1")),
        "interim": [{"status": 103, "fields": pairs(("Link", "x"))}],
    }
    forwarded = {**full, "exchange_id": "2", "forwarded_client": None, "route_source": "inferred", "role": "client"}
    referred = {**forwarded, "exchange_id": "3", "request_fields": pairs(("Referer", "x"), ("User-Agent", "y"))}
    (batch,) = batches([full, forwarded, referred])
    otel = {name for _, has in records(batch) for name in has}
    ecs = {name for line in batch.bulk("x").splitlines()[1::2] for name in flat(json.loads(line))} | {"_id"}
    page = (Path(__file__).parents[2] / "docs" / "fields.md").read_text()
    named = {name.removesuffix("NAME") for name in re.findall(r"`([A-Za-z_@][A-Za-z_.@]*)`", page)}
    prefixes = tuple(name for name in named if name.endswith("."))
    leaves = {name for name in ecs if not any(other.startswith(f"{name}.") for other in ecs)}
    unnamed = sorted(name for name in otel | leaves if name not in named and not name.startswith(prefixes))
    assert not unnamed, " ".join(unnamed)
    for row in table:
        for cell, sent in ((row[1], otel), (row[2], ecs)):
            for name in re.findall(r"`([a-z_@][a-z_.@]*(?:\.NAME)?)`", cell):
                whole_name, _, placeholder = name.partition(".NAME")
                if name in {"reset", "no_response"} or (not placeholder and name.startswith("_OTHER")):
                    continue
                assert any(other == whole_name or other.startswith(f"{whole_name}.") for other in sent), name


def flat(document: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, inner in document.items():
        yield f"{prefix}{name}"
        if isinstance(inner, dict):
            yield from flat(inner, f"{prefix}{name}.")
