"""Each real server, started, given one record the plain way, killed, started again, and asked for the record."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

import pytest

from tests.e2e.waiting import wait_for
from tests.sinks.clickhouse.server import ClickHouse
from tests.sinks.collector.server import Collector
from tests.sinks.kafka.server import Kafka
from tests.sinks.opensearch.server import OpenSearch
from tests.sinks.prometheus import Alertmanager, Prometheus
from tests.sinks.servers import Server, ask
from tests.sinks.victorialogs import VictoriaLogs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.sinks

S = TypeVar("S", bound=Server)
NANOSECONDS = "1780000000123456789"
OTLP = {
    "resourceLogs": [
        {"scopeLogs": [{"logRecords": [{"timeUnixNano": NANOSECONDS, "body": {"stringValue": "GET /orders"}}]}]}
    ]
}


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[[type[S]], S]]:
    """Start a server, or skip the test with the reason; it is stopped after the test."""
    running: list[Server] = []

    def start(kind: type[S]) -> S:
        if reason := kind.missing():
            pytest.skip(reason)
        server = kind(tmp_path / kind.name)
        running.append(server)
        return server.start()

    yield start
    for server in running:
        server.stop()


def again(server: Server) -> None:
    """Kill the server, and start it on what it kept."""
    server.kill()
    server.start()


def test_victorialogs_keeps_what_loki_push_and_elasticsearch_bulk_gave_it(
    started: Callable[[type[VictoriaLogs]], VictoriaLogs],
) -> None:
    server = started(VictoriaLogs)
    line = [NANOSECONDS, "GET /orders", {"tenant": "blue"}]
    push = {"streams": [{"stream": {"job": "masthead"}, "values": [line]}]}
    assert ask(server.loki, json.dumps(push).encode(), content_type="application/json").status < 300
    bulk = b'{"create":{}}\n{"_msg":"GET /items","@timestamp":"2026-05-28T20:26:40.1Z","tenant":"green"}\n'
    fields = "_time_field=@timestamp&_stream_fields=tenant"
    assert ask(f"{server.elasticsearch}/_bulk?{fields}", bulk, content_type="application/json").status == 200
    # It acknowledges what it holds in memory, so it is asked to end: a kill may take what it was given last.
    server.stop()
    server.start()
    wanted = {("GET /orders", "blue"), ("GET /items", "green")}
    wait_for(lambda: {(row["_msg"], row["tenant"]) for row in server.query("*")} == wanted, "both records are there")
    assert server.count('tenant:="blue"') == 1
    assert server.query('tenant:="blue"')[0]["_time"] == "2026-05-28T20:26:40.123456789Z"


def test_the_collector_keeps_what_otlp_gave_it(started: Callable[[type[Collector]], Collector]) -> None:
    server = started(Collector)
    assert ask(f"{server.url}/v1/logs", json.dumps(OTLP).encode(), content_type="application/json").status == 200
    again(server)
    assert ask(f"{server.url}/v1/logs", json.dumps(OTLP).encode(), content_type="application/json").status == 200
    assert [(record["timeUnixNano"], record["body"]) for record in server.records()] == [
        (NANOSECONDS, {"stringValue": "GET /orders"})
    ] * 2


def test_the_collector_takes_otlp_over_grpc_too(started: Callable[[type[Collector]], Collector]) -> None:
    grpc = pytest.importorskip("grpc", reason="grpcio is not installed")
    server = started(Collector)
    # An export of one log record with nothing but its time: each level is a tag, a length, and the next level.
    record = b"\x09" + int(NANOSECONDS).to_bytes(8, "little")
    for tag in (b"\x12", b"\x12", b"\x0a"):
        record = tag + bytes([len(record)]) + record
    with grpc.insecure_channel(server.grpc) as channel:
        export = channel.unary_unary("/opentelemetry.proto.collector.logs.v1.LogsService/Export")
        assert export(record, timeout=20) in {b"", b"\x0a\x00"}
    assert [entry["timeUnixNano"] for entry in server.records()] == [NANOSECONDS]


def test_kafka_keeps_what_it_acknowledged(started: Callable[[type[Kafka]], Kafka]) -> None:
    confluent = pytest.importorskip("confluent_kafka", reason="confluent-kafka is not installed")
    server = started(Kafka)
    producer = confluent.Producer({"bootstrap.servers": server.bootstrap, "enable.idempotence": True})
    producer.produce("calls", b"GET /orders")
    assert producer.flush(60) == 0
    again(server)
    assert server.read("calls", 1, deadline=60) == [b"GET /orders"]


def test_opensearch_keeps_what_it_acknowledged(started: Callable[[type[OpenSearch]], OpenSearch]) -> None:
    server = started(OpenSearch)
    template = {"index_patterns": ["logs-*"], "data_stream": {}, "template": {"settings": {"number_of_replicas": 0}}}
    put = ask(f"{server.url}/_index_template/t", json.dumps(template).encode(), "PUT", content_type="application/json")
    assert put.status == 200
    document = {"@timestamp": "2026-05-28T20:26:40Z", "url": {"path": "/orders"}}
    bulk = b'{"create":{"_id":"1"}}\n' + json.dumps(document).encode() + b"\n"
    for status in (201, 409):
        reply = ask(f"{server.url}/logs-masthead/_bulk", bulk, content_type="application/x-ndjson")
        assert [item["create"]["status"] for item in reply.json()["items"]] == [status]
    again(server)
    assert server.count("logs-masthead") == 1
    assert server.search("logs-masthead", {"match_phrase": {"url.path": "/orders"}}) == [document]


def test_prometheus_answers_what_it_read(started: Callable[[type[Prometheus]], Prometheus]) -> None:
    server = started(Prometheus)
    series = wait_for(lambda: server.query('up{job="prometheus"} == 1'), "Prometheus has read its own metrics", 60)
    again(server)
    assert series[0]["metric"]["instance"] == f"127.0.0.1:{server.port}"
    assert server.query('count_over_time(up{job="prometheus"}[5m])')


def test_alertmanager_holds_the_alerts_that_it_was_told(started: Callable[[type[Alertmanager]], Alertmanager]) -> None:
    server = started(Alertmanager)
    alerts = [{"labels": {"alertname": "ErrorRate", "route": "/orders"}}]
    reply = ask(f"{server.url}/api/v2/alerts", json.dumps(alerts).encode(), content_type="application/json")
    assert reply.status == 200
    held = wait_for(server.alerts, "Alertmanager shows the alert")
    assert [alert["labels"]["route"] for alert in held] == ["/orders"]


def test_clickhouse_keeps_an_insert_once_for_each_token(started: Callable[[type[ClickHouse]], ClickHouse]) -> None:
    pa = pytest.importorskip("pyarrow")
    server = started(ClickHouse)
    once = "SETTINGS non_replicated_deduplication_window = 100"
    server.query(f"CREATE TABLE calls (path String, status UInt16 DEFAULT 7) ENGINE = MergeTree ORDER BY path {once}")
    sink = pa.BufferOutputStream()
    table = pa.table({"path": ["/orders", "/items"]})
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    data = sink.getvalue().to_pybytes()
    zstd = pa.compress(data, "zstd", asbytes=True)
    insert = f"query={quote('INSERT INTO calls (path) FORMAT ArrowStream')}&insert_deduplication_token="
    for packed, encoding, token in ((data, "identity", "a"), (gzip.compress(data), "gzip", "a"), (zstd, "zstd", "b")):
        reply = server.post(packed, insert + token, content_encoding=encoding)
        assert reply.status == 200, reply.body
    again(server)
    rows = server.query("SELECT path, status, count() AS rows FROM calls GROUP BY ALL ORDER BY path")
    assert rows == [{"path": "/items", "status": 7, "rows": 2}, {"path": "/orders", "status": 7, "rows": 2}]


def test_clickhouse_says_what_it_refuses(started: Callable[[type[ClickHouse]], ClickHouse]) -> None:
    server = started(ClickHouse)
    for body, parameters, status, code in (
        (b"SELECT * FROM nowhere", "", 404, "60"),
        (b"SELECT 1", "nonsense=1", 404, "115"),
        (b"SELECT FROM WHERE", "", 400, "62"),
        (b"SELECT 1", "database=nowhere", 404, "81"),
    ):
        reply = server.post(body, parameters)
        assert (reply.status, reply.headers["X-ClickHouse-Exception-Code"]) == (status, code), reply.body
    assert server.post(b"SELECT 1", X_ClickHouse_Key="wrong").status == 403
    long = server.post(b"SELECT number FROM numbers(1000000) FORMAT CSV")
    assert len(long.body.splitlines()) == 1_000_000
