"""Metrics pushed to a real collector, and how they are called there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from masthead.commands.sending import open_sinks, pushes
from masthead.config import Config
from masthead.ledger import Ledger
from masthead.metrics.otlp import ATTRIBUTES, dotted
from masthead.metrics.sink import open_metrics
from tests.e2e.waiting import wait_for
from tests.sinks.collector.server import Collector
from tests.sinks.test_prometheus import calls
from tests.unit.stored import batches

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.sinks


def test_names_are_those_of_the_conventions() -> None:
    assert dotted("http_server_request_duration_seconds") == "http.server.request.duration"
    assert dotted("http_client_response_body_size_bytes") == "http.client.response.body.size"
    assert dotted("masthead_ledger") == "masthead.ledger"
    assert dotted("tenant_calls") == "tenant_calls"
    assert ATTRIBUTES["http_response_status_code"] == "http.response.status_code"


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_collector_takes_what_was_counted(tmp_path: Path, protocol: str) -> None:
    if reason := Collector.missing():
        pytest.skip(reason)
    with Collector(tmp_path / "collector") as server:
        url = server.url if protocol == "http" else f"http://{server.grpc}"
        table = {"kind": "otlp", "url": url, "protocol": protocol, "signals": ["metrics"], "metrics_seconds": 1}
        config = Config.model_validate({"sink": [table]})
        assert open_sinks(config) == []
        account = Ledger({"kernel.seen": 10})
        sink = open_metrics(
            config, ledger=lambda: account, accounts=dict, version="1", tell=print, pushes=pushes(config)
        )
        assert sink is not None
        for batch in batches(calls()):
            sink.write(batch)
        sink.close()
        exports = wait_for(lambda: server.exports("metrics"), "an export")
    metrics = {
        metric["name"]: metric
        for resource in exports[-1]["resourceMetrics"]
        for scope in resource["scopeMetrics"]
        for metric in scope["metrics"]
    }
    duration = metrics["http.server.request.duration"]
    assert duration["unit"] == "s"
    points = duration["histogram"]["dataPoints"]
    assert sum(int(point["count"]) for point in points) == 100
    assert sum(int(count) for point in points for count in point["bucketCounts"]) == 100
    assert all(len(point["explicitBounds"]) == 14 for point in points)
    names = {attribute["key"] for point in points for attribute in point["attributes"]}
    assert {"http.request.method", "http.response.status_code", "http.route", "url.scheme"} <= names
    ledger = metrics["masthead.ledger"]["sum"]
    assert ledger["isMonotonic"]
    assert value(ledger["dataPoints"][0]) == 10


def value(point: dict[str, Any]) -> float:
    return float(point["asDouble"])


def test_a_collector_that_is_away_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    table = {"kind": "otlp", "url": "http://127.0.0.1:1", "signals": ["metrics"], "metrics_seconds": 1}
    config = Config.model_validate({"sink": [table]})
    sink = open_metrics(
        config, ledger=lambda: Ledger({}), accounts=dict, version="1", tell=print, pushes=pushes(config)
    )
    assert sink is not None
    sink.close()
    assert capsys.readouterr().out.count("metrics could not be pushed") == 1
